"""The house stands as its plan says: who imports whom, what is documented, what is pinned."""

import ast
import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from copy import deepcopy
from functools import partial

import grimp
import pytest
from importlinter.application.use_cases import _register_contract_types, read_user_options
from importlinter.cli import lint_imports
from importlinter.domain.contract import registry

from simsa.primitives import ROW
from tests.support import ROOT

SOURCES = sorted((ROOT / "simsa").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(path):
    return str(path.relative_to(ROOT))


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_import_contracts_are_kept(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    broken = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert broken == 0, capsys.readouterr().out


def test_the_definition_imports_no_numba():
    """The reference interpreter, its random numbers and its elementary functions share no code with the kernels."""
    names = ("reference", "sensitivity", "draws", "floating", "elementary")
    ask = "".join(f"import simsa.machine.{name}\n" for name in names)
    ask += "import sys; print([m for m in sys.modules if m.split('.')[0] in ('numba', 'llvmlite') or 'kernels' in m])"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_name_of_a_primitive_is_tested_but_by_what_prints_kernels():
    """What an operation is, it says itself."""
    printers = {ROOT / "simsa" / "machine" / f"{name}.py" for name in ("generate", "layout", "parts", "specialise")}
    found = []
    for path in SOURCES:
        for node in ast.walk(tree_of(path)) if path not in printers else ():
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            asked = any(isinstance(side, ast.Attribute) and side.attr in ("name", "primitive") for side in sides)
            words = {one.value for side in sides for one in ast.walk(side) if isinstance(one, ast.Constant)}
            if asked and words & ROW.keys():
                found.append(f"{name_of(path)}:{node.lineno}")
    assert found == []


# ---------------------------------------------------------------- who may import whom

MAY_IMPORT = {
    "__main__": {"cli"},
    "cli": {"commands", "ensemble", "errors", "records", "report"},
    "commands": {"drawing", "ensemble", "errors", "plots", "records", "report", "run", "scenario"},
    "run": {
        "analysis",
        "calculus",
        "distribution",
        "engines",
        "ensemble",
        "errors",
        "plots",
        "primitives",
        "program",
        "questions",
        "records",
        "report",
        "scenario",
    },
    "drawing": {"errors"},
    "report": {"analysis", "ensemble", "errors", "questions", "records", "scenario", "vocabulary"},
    "questions": {"analysis", "calculus", "ensemble", "errors", "machine", "rules", "scenario"},
    "distribution": {
        "calculus",
        "engines",
        "ensemble",
        "errors",
        "formats",
        "machine",
        "records",
        "vocabulary",
    },
    "plots": {"analysis", "calculus", "errors", "vocabulary"},
    "analysis": {"calculus", "errors", "formats", "records", "vocabulary"},
    "ensemble": {
        "engines",
        "errors",
        "formats",
        "importers",
        "machine",
        "primitives",
        "program",
        "records",
        "scenario",
        "tape",
        "vocabulary",
    },
    "engines": {"errors", "formats", "machine", "primitives", "scenario", "tape"},
    "calculus": {"errors", "formats", "machine", "primitives", "program", "tape", "vocabulary"},
    "machine": {"errors", "formats", "kernels", "laws", "primitives", "program", "records.status", "rules", "tape"},
    "tape": {"errors", "primitives", "program"},
    "importers": {"errors", "jax", "primitives", "program", "torch"},
    "kernels": {"llvmlite", "numba"},
    "program": {"errors", "primitives"},
    "scenario": {"errors", "formats", "laws", "primitives", "rules", "vocabulary"},
    "primitives": {"errors", "formats"},
    "records": {"errors", "vocabulary"},
    "laws": {"errors", "rules", "vocabulary"},
    "rules": set(),
    "vocabulary": {"errors"},
    "formats": {"errors"},
    "errors": set(),
}
"""The house as it is meant to be. That the contracts say the same is tested by planting every import there can be."""

ROOMS = [*MAY_IMPORT, "records.status", "jax", "llvmlite", "numba", "torch"]


@pytest.fixture(scope="module")
def house():
    """The imports as they are, and every contract about them."""
    options = read_user_options(config_filename=str(ROOT / "pyproject.toml"))
    _register_contract_types(options)
    contracts = [
        registry.get_contract_class(said["type"])(said["name"], options.session_options, said)
        for said in options.contracts_options
    ]
    return grimp.build_graph("simsa", include_external_packages=True, cache_dir=None), contracts


def broken_by(house, importer, imported):
    """Return the names of the contracts that one more import breaks."""
    graph, contracts = house
    assert not graph.direct_import_exists(importer=importer, imported=imported)
    graph.add_import(importer=importer, imported=imported, line_number=1, line_contents="planted")
    try:
        return {one.name for one in contracts if not one.check(deepcopy(graph), verbose=False).kept}
    finally:
        graph.remove_import(importer=importer, imported=imported)


def module_in(graph, room):
    """Return a module of a room in which nothing is imported from elsewhere by this name: a new one."""
    home = room if room in ("jax", "llvmlite", "numba", "torch") else f"simsa.{room}"
    inside = sorted(graph.find_descendants(home)) if home.startswith("simsa") else []
    return inside[-1] if inside else home


def test_every_room_is_named(house):
    graph, _ = house
    assert {f"simsa.{room}" for room in MAY_IMPORT} == graph.find_children("simsa")


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_planted_import_is_seen_where_it_is_forbidden_and_only_there(house, room):
    graph, _ = house
    importer = f"simsa.{room}.planted" if graph.find_children(f"simsa.{room}") else f"simsa.{room}"
    graph.add_module(importer)
    try:
        for other in ROOMS:
            imported = module_in(graph, other)
            if other.split(".")[0] == room or graph.direct_import_exists(importer=importer, imported=imported):
                continue
            allowed = {other, other.split(".")[0]} & MAY_IMPORT[room]
            assert bool(broken_by(house, importer, imported)) is not bool(allowed), f"{importer} -> {imported}"
    finally:
        if importer.endswith(".planted"):
            graph.remove_module(importer)


def test_every_contract_can_be_broken(house):
    graph, contracts = house
    pairs = [("plots", "cli"), *((room, other) for other in ROOMS for room in ("errors", "cli", "__main__"))]
    found = set()
    for room, other in pairs:
        importer, imported = f"simsa.{room}" if room != "plots" else "simsa.plots.style", module_in(graph, other)
        if importer != imported and not graph.direct_import_exists(importer=importer, imported=imported):
            found |= broken_by(house, importer, imported)
    assert found == {one.name for one in contracts}


def test_an_import_inside_of_a_function_is_seen(tmp_path):
    """The same on files, in a copy of the tree: the contracts are run as `make lint` runs them."""
    shutil.copytree(ROOT / "simsa", tmp_path / "simsa", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    lint = partial(subprocess.run, [*command, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert lint(env=environment).returncode == 0
    with (tmp_path / "simsa" / "calculus" / "hessian.py").open("a") as file:
        file.write("\n\ndef planted():\n    from simsa.kernels import lanes\n")
    found = lint(env=environment)
    assert found.returncode == 1 and "simsa.calculus.hessian -> simsa.kernels.lanes" in found.stdout


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_kernels_import_numba(path):
    if "kernels" not in path.parts:
        assert not {name.split(".")[0] for name in imported(tree_of(path))} & {"numba", "llvmlite"}


def public(node, prefix=""):
    """Yield the public functions and classes with their dotted names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_public_names_have_docstrings(path):
    tree = tree_of(path)
    assert [name for name, node in public(tree) if not ast.get_docstring(node)] == []
    assert ast.get_docstring(tree) or not tree.body, "the module itself"


@pytest.mark.parametrize("path", [path for path in SOURCES if ">>> " in path.read_text()], ids=name_of)
def test_examples_in_docstrings_say_what_happens(path):
    if path.parent.name == "importers":
        pytest.importorskip(path.stem, reason="the examples of an importer need its framework")
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_names_of_tests_are_distinct(path):
    """A second test of the same name would silently replace the first."""
    tree = tree_of(path)
    for scope in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        names = Counter(node.name for node in scope.body if isinstance(node, ast.FunctionDef))
        assert [name for name, times in names.items() if times > 1] == []


def required():
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for group in groups for line in group}


def test_constraints_pin_every_dependency_and_name_no_address():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = [re.fullmatch(r"([A-Za-z0-9_.-]+)==([A-Za-z0-9_.!+]+)", line) for line in lines]
    assert all(pins), [line for line, pin in zip(lines, pins, strict=True) if not pin]
    assert required() <= {pin[1].lower().replace("_", "-") for pin in pins}


def test_every_scenario_names_its_schema_and_its_claim():
    for path in sorted((ROOT / "scenarios").glob("*.toml")):
        first, *rest = path.read_text(encoding="utf-8").splitlines()
        assert first == "#:schema ../schema/scenario.schema.json", path
        assert any(line.startswith("# Claim") for line in rest), path
