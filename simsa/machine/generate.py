"""From the table to kernels: print the rows as cases of the engine, and import the result from a digest's folder.

Nothing here knows a primitive by name except those with any number of operands, whose loops the engine holds.
"""

import ast
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from simsa.primitives import OPCODE, ROWS, Piece, Primitive
from simsa.primitives.primitive import OPERANDS, names_in

KERNELS = Path(__file__).parent.parent / "kernels"
INSTANTIATED = ("engine.py", "descent.py")
"""The files that are copied beside each other; they import each other relatively, everything else absolutely."""


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


def expression(text: str) -> str:
    """Return a table text in lane arithmetic; a bare number becomes a lane vector."""
    tree = ast.parse(text, mode="eval").body
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.operand, ast.Constant) or isinstance(tree, ast.Constant):
        return f"splat(values, {float(ast.literal_eval(text))!r})"
    return f"({text})"


def _gap(left: str, right: str) -> str:
    """Return |left - right| in lane arithmetic."""
    return f"fabs({left})" if right in ("0", "0.0") else f"fabs(({left}) - ({right}))"


def _condition(guards: tuple[str, ...]) -> str:
    """Return a conjunction of guards as a mask."""
    return " & ".join(f"({guard})" for guard in guards)


class _Case:
    """The text of one row's case in one of the three walks."""

    def __init__(self, row: Primitive, indent: int) -> None:
        self.row, self.lines, self.depth = row, [], indent
        self.weights: dict[tuple[int, int], str] = {}

    def line(self, text: str, deeper: int = 0) -> None:
        """Add a line at the present depth."""
        self.lines.append("    " * (self.depth + deeper) + text)

    def numbers(self, with_weights: bool) -> None:
        """Load the immediates, and the tie weights if they are needed."""
        for i, name in enumerate(self.row.immediates):
            self.line(f"{name} = splat(values, numbers[number + {i}])")
        at = len(self.row.immediates)
        for index, branch in enumerate(self.row.branches):
            for j in branch.between:
                self.weights[index, j] = f"w{index}_{j}"
                if with_weights:
                    self.line(f"w{index}_{j} = numbers[number + {at}]")
                at += 1

    def loads(self) -> None:
        """Load the operands."""
        for i, name in enumerate(OPERANDS[: self.row.arity]):
            self.line(f"{name} = load(values, place(at, first + {i}, g, s))")

    def loop(self) -> None:
        """Open the loops over groups and samples."""
        self.line("for g in range(groups):")
        self.line("for s in range(samples):", 1)
        self.depth += 2

    def conditions(self) -> None:
        """Name the mask of each guarded row of the branch table: c0, c1, ..."""
        for index, branch in enumerate(self.row.branches[:-1]):
            self.line(f"c{index} = {_condition(branch.guards)}")

    def value(self) -> None:
        """Set v to the value of the first row that holds."""
        pieces = self.row.pieces
        chosen = [pieces[(branch.between or (branch.piece,))[0]].value for branch in self.row.branches]
        self.line(f"v = {expression(chosen[-1] if chosen else pieces[0].value)}")
        for index in range(len(chosen) - 2, -1, -1):
            self.line(f"v = select(c{index}, {expression(chosen[index])}, v)")

    def partial(self, operand: int) -> None:
        """Set t to the partial of the selected piece with respect to an operand, and u to where the piece uses it."""
        self.line("t = splat(values, 0.0)")
        last = self.row.branches[-1].piece
        assert last is not None
        self._piece_partial(self.row.pieces[last], operand, "live")
        for index in range(len(self.row.branches) - 2, -1, -1):
            branch = self.row.branches[index]
            if branch.between:
                used = [j for j in branch.between if self.row.pieces[j].uses(operand)]
                self.line("mix = splat(values, 0.0)")
                self.line("mixed = False")
                for j in used:
                    weight = self.weights[index, j]
                    self.line(f"if {weight} != 0.0:")
                    term = expression(self.row.pieces[j].partials[operand])
                    self.line(f"mix = mix + splat(values, {weight}) * {term}", 1)
                    self.line("mixed = True", 1)
                self.line(f"t = select(c{index}, mix, t)")
                self.line(f"u = (u | c{index}) if mixed else (u & (~c{index}))")
            else:
                assert branch.piece is not None
                piece = self.row.pieces[branch.piece]
                if piece.uses(operand):
                    self.line(f"t = select(c{index}, {expression(piece.partials[operand])}, t)")
                    self.line(f"u = u | c{index}")
                else:
                    self.line(f"u = u & (~c{index})")

    def _piece_partial(self, piece: Piece, operand: int, live: str) -> None:
        """Start t and u from the last row, which has no guard."""
        if piece.uses(operand):
            self.line(f"t = {expression(piece.partials[operand])}")
            self.line(f"u = {live}")
        else:
            self.line(f"u = {live} & (~{live})")


def _forward(row: Primitive) -> list[str]:
    """Return the forward case of a row."""
    case = _Case(row, 3)
    case.numbers(False)
    case.loop()
    case.loads()
    case.conditions()
    case.value()
    case.line("store(values, out + (g * samples + s) * width(values), v)")
    if row.branches:
        case.line("if guarded:")
        for left, right in row.guards():
            case.line(f"narrow(margin, (g * samples + s) * width(values), {_gap(left, right)})", 1)
    return case.lines


def _backward(row: Primitive) -> list[str]:
    """Return the backward case of a row."""
    case = _Case(row, 3)
    case.numbers(True)
    case.loop()
    case.line("grad = load(adjoints, out + (g * samples + s) * width(values))")
    case.line("live = ~negative_zero(grad)")
    case.loads()
    case.conditions()
    if any("v" in names_in(text) for piece in row.pieces for text in piece.partials):
        case.line("v = load(values, out + (g * samples + s) * width(values))")
    for i in range(row.arity or 0):
        if not any(piece.uses(i) for piece in row.pieces):
            continue
        case.line(f"mode = modes[first + {i}]")
        case.line("if mode:")
        case.depth += 1
        if row.branches:
            case.partial(i)
            case.line(f"give(adjoints, place(at, first + {i}, g, s), mode, u & live, grad * t)")
        else:
            partial = row.pieces[0].partials[i]
            amount = {"1": "grad", "-1": "-grad"}.get(partial, f"grad * {expression(partial)}")
            case.line(f"give(adjoints, place(at, first + {i}, g, s), mode, live, {amount})")
        case.depth -= 1
    return case.lines


def _inspect(row: Primitive) -> list[str]:
    """Return the case of a row that tells ties and whether they are felt."""
    case = _Case(row, 5)
    case.numbers(True)
    case.loads()
    case.conditions()
    for left, right in row.guards():
        case.line(f"touched = touched | ({_gap(left, right)} == 0.0)")
    for i in range(row.arity or 0):
        if not any(piece.uses(i) for piece in row.pieces):
            continue
        case.line(f"if modes[first + {i}]:")
        case.depth += 1
        case.partial(i)
        case.line("t = select(u, t, flag)")
        for piece in row.pieces:
            other = expression(piece.partials[i]) if piece.uses(i) else "flag"
            case.line(f"moved = moved | (({expression(piece.value)} == value) & ({other} != t))")
        case.depth -= 1
    return case.lines


def _cases(printer: Callable[[Primitive], list[str]], only_selections: bool, indent: int) -> str:
    """Return the cases of all rows with an expression, by opcode."""
    text = []
    for row in ROWS:
        if row.pieces and (row.branches or not only_selections):
            text.append("    " * indent + f"elif op == {OPCODE[row.name]}:  # {row.name}")
            text += printer(row)
    return "\n".join(text)


def engine_text() -> str:
    """Return the engine with the table's rows printed into it."""
    names = ("sum", "dot", "dense", "logsumexp", "max", "min", "sort", "select")
    text = (KERNELS / "engine.py").read_text(encoding="utf-8")
    opcodes = f"({', '.join(str(OPCODE[name]) for name in names)})"
    for marker, replacement in (
        ("range(-8, 0)  # <opcodes>", opcodes),
        ("        # <forward>", _cases(_forward, False, 2)),
        ("        # <backward>", _cases(_backward, False, 2)),
        ("                # <inspect>", _cases(_inspect, True, 4)),
    ):
        if text.count(marker) != 1:
            raise AssertionError(f"engine.py must hold the marker '{marker.strip()}' once")
        text = text.replace(marker, replacement)
    return text


def digest(texts: dict[str, str]) -> str:
    """Return the name of a kernel folder: of everything that could change a compiled bit.

    Numba's own cache looks at one file only, and would go on returning the old kernel after another file changed.
    """
    import llvmlite
    import numpy

    from simsa.kernels import NUMBA_VERSION

    parts = [NUMBA_VERSION, llvmlite.__version__, numpy.__version__, platform.python_version(), platform.machine()]
    parts += [f"{path.name}\n{path.read_text(encoding='utf-8')}" for path in sorted(KERNELS.glob("*.py"))]
    parts += [f"{name}\n{text}" for name, text in sorted(texts.items())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


@cache
def kernels() -> ModuleType:
    """Return the generated package of the interpreter: modules `engine` and `descent`, ready to call."""
    return instantiate({"engine.py": engine_text(), "descent.py": (KERNELS / "descent.py").read_text(encoding="utf-8")})


def instantiate(texts: dict[str, str]) -> ModuleType:
    """Write the texts as a package into the digest's folder, unless they are there, and import it."""
    name = f"simsa_kernels_{digest(texts)}"
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
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
