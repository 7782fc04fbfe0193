"""Make kernels of the table: print its rows as cases of the engine, and import the result as a package.

A package lies in a folder that is named after a digest of everything that it is made from. The only primitives that
this file names are those whose loops the engine calls.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import textwrap
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import RLock
from types import ModuleType

from simsa.kernels.options import PLAIN
from simsa.primitives import OPCODE, ROWS, Primitive
from simsa.rules import CHANGE, NEXT, Rule

KERNELS = Path(__file__).parent.parent / "kernels"


def cache_folder() -> Path:
    """Return the folder for compiled kernels: $SIMSA_CACHE_DIR, or the user's cache folder."""
    if chosen := os.environ.get("SIMSA_CACHE_DIR"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "simsa"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "simsa"
    return (Path(base) if base else Path.home() / ".cache") / "simsa"


def _operations() -> str:
    """Return the lines that make the operations of each row with expressions."""
    lines = []
    for row in _rows():
        pieces = [(piece.value, piece.partials) for piece in row.pieces]
        branches = [(branch.guards, branch.piece, branch.between) for branch in row.branches]
        given = f"({row.arity}, {row.fixed!r}, {pieces!r}, {branches!r})"
        lines.append(f"forward_{row.name}, backward_{row.name} = row{given}")
        if branches:
            lines.append(f"tied_{row.name}, difference_{row.name} = tied_row{given}")
    return "\n".join(lines)


def _cases(text: str, rows: list[Primitive], indent: int = 8) -> str:
    """Return the cases of a walk, one for each row, by opcode."""
    cases = [f"elif op == {OPCODE[row.name]}:\n    {text.format(name=row.name)}" for row in rows]
    return textwrap.indent("\n".join(cases), " " * indent)


_FORWARD = "forward_{name}(values, margin, at, numbers, number, first, out, times, step, guarded, groups, samples)"
_BACKWARD = "backward_{name}(values, adjoints, at, modes, numbers, number, first, out, times, step, groups, samples, 0)"
_ABSOLUTE = (
    "backward_{name}(values, target, at, modes, numbers, number, first, out, times, step, groups, samples, "
    "1 if which == 2 else 0)"
)
_TIED = "return tied_{name}(values, at, numbers, number, first, n, g, s)"
_DIFFERENCE = (
    "difference_{name}(values, adjoints, deltas, sizes, draws, at, modes, numbers, number, first, out, n, g, s)"
)


def _rows() -> list[Primitive]:
    """Return the rows of the table that have expressions; the engine calls a loop for each of the others."""
    return [row for row in ROWS if row.pieces]


def engine_text() -> str:
    """Return the text of the interpreter: the template, with the rows of the table printed into it."""
    names = ("sum", "dot", "dense", "logsumexp", "norm", "max", "min", "sort", "select")
    text = (KERNELS / "engine.py").read_text(encoding="utf-8")
    opcodes = f"({', '.join(str(OPCODE[name]) for name in names)})"
    selecting = [row for row in _rows() if row.branches]
    for marker, replacement in (
        ("range(-9, 0)  # <opcodes>", opcodes),
        ("# <operations>", _operations()),
        ("        # <forward>", _cases(_FORWARD, _rows())),
        ("        # <backward>", _cases(_BACKWARD, _rows())),
        ("()  # <pieces>", f"{tuple(len(row.pieces) if row.branches else 0 for row in ROWS)}"),
        ("()  # <jumps>", f"{tuple(row.jumps for row in ROWS)}"),
        ("    # <tied>", _cases(_TIED, selecting, 4)),
        ("    # <difference>", _cases(_DIFFERENCE, selecting, 4)),
        ("            # <absolute>", _cases(_ABSOLUTE, _rows(), 12)),
    ):
        if text.count(marker) != 1:
            raise AssertionError(f"engine.py must hold the marker '{marker.strip()}' once")
        text = text.replace(marker, replacement)
    return text


def digest(texts: dict[str, str]) -> str:
    """Return the digest of everything that the compiled code of a package depends on.

    texts: the modules of the package. Numba's own cache depends on one file only, and would return the old code after
    another file has changed.
    """
    parts = [version(package) for package in ("numba", "llvmlite", "numpy")]
    parts += [platform.python_version(), platform.machine(), *["plain"] * PLAIN]
    for path in sorted(KERNELS.rglob("*.py")):
        parts.append(f"{path.relative_to(KERNELS).as_posix()}\n{path.read_text(encoding='utf-8')}")
    parts += [f"{name}\n{text}" for name, text in sorted(texts.items())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


@cache
def kernels() -> ModuleType:
    """Return the package of the interpreter, with the modules `engine` and `descent`."""
    descent = (KERNELS / "descent.py").read_text(encoding="utf-8")
    return instantiate({"engine.py": engine_text(), "descent.py": descent})


@cache
def rule_package(rule: Rule) -> ModuleType:
    """Return the package of a rule, whose module `rule` has the walk `update` that takes its steps."""
    return instantiate({"rule.py": rule_text(rule)})


def rule_text(rule: Rule) -> str:
    """Return the text of a rule's steps: the template, with the lines of the rule printed into it.

    A line that adds up over the coordinates is a loop over them, which computes the lines above it again.
    """
    held = {f"held{n}": f"{n} * shape.parameters * across + i" for n in range(len(rule.state))}
    numbers = [f"splat(values, numbers[{n}])" for n in range(len(rule.numbers))]
    names = [total.name for total in rule.totals]
    given = ["before", "gradient", "rate", "loss", *held, *numbers]
    loads = [
        "before = load(values, i)",
        "gradient = load(adjoints, i) * inverse if exact else load(adjoints, i) / size",
        *(f"{name} = load(held, {place})" for name, place in held.items()),
    ]
    functions, loops = [], []
    for n, total in enumerate(rule.totals):
        lines = [*(f"{name} = {text}" for name, text in total.before), f"return {total.text}"]
        functions.append(_function(f"_term{n}", [*rule.arguments, *names[:n]], lines))
        called = f"_term{n}({', '.join([*given, *(f'total{m}' for m in range(n))])})"
        body = [*loads, f"total{n} = total{n} + splat(values, {called})"]
        loops += [f"total{n} = splat(values, 0.0)", f"for i in {_COORDINATES}:", *(f"    {line}" for line in body)]
    lines = [*(f"{name} = {text}" for name, text in rule.steps), f"return {', '.join([*rule.state, CHANGE, NEXT])}"]
    functions.append(_function("_change", [*rule.arguments, *names], lines))
    called = f"_change({', '.join([*given, *(f'total{n}' for n in range(len(names)))])})"
    step = [
        *loads,
        f"{', '.join([*held, 'change', 'x'])} = {called}",
        *(f"store(held, {place}, {name})" for name, place in held.items()),
    ]
    text = (KERNELS / "rule.py").read_text(encoding="utf-8")
    for marker, replacement in (
        ("# <functions>", "\n\n".join(functions)),
        ("    # <totals>", textwrap.indent("\n".join(loops) or "pass", " " * 4)),
        ("        # <step>", textwrap.indent("\n".join(step), " " * 8)),
    ):
        if text.count(marker) != 1:
            raise AssertionError(f"rule.py must hold the marker '{marker.strip()}' once")
        text = text.replace(marker, replacement)
    return text


_COORDINATES = "range(g * lanes, shape.parameters * across, across)"
"""The places of the coordinates of a group."""


def _function(name: str, arguments: list[str], lines: list[str]) -> str:
    """Return the text of a function that is compiled as a part of the walk."""
    return f"@part\ndef {name}({', '.join(arguments)}):\n{textwrap.indent(chr(10).join(lines), ' ' * 4)}\n"


def engine_package(engine: str) -> ModuleType:
    """Return the package of an engine, whose module `engine` has this text, which defines its walks."""
    return instantiate({"engine.py": engine})


_LOCK = RLock()
"""Python's import locks do not cover modules that are made here: a second thread could find one that is incomplete."""


def instantiate(texts: dict[str, str]) -> ModuleType:
    """Import the package of some texts, by file name, after writing them into its folder if it does not exist."""
    with _LOCK:
        return _instantiated(texts, f"simsa_kernels_{digest(texts)}")


def _instantiated(texts: dict[str, str], name: str) -> ModuleType:
    """Return the package of this name, made of these texts if it does not exist."""
    if name in sys.modules:
        return sys.modules[name]
    folder = cache_folder() / name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=name, dir=folder.parent))
        for file, text in texts.items():
            (fresh / file).write_text(text, encoding="utf-8")
        imports = "".join(f"from . import {Path(file).stem}\n" for file in texts)
        (fresh / "__init__.py").write_text(imports, encoding="utf-8")
        try:
            fresh.rename(folder)
        except OSError:  # another process was first, with the same text
            shutil.rmtree(fresh)
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
