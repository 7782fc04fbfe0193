"""The house stands as its plan says: who imports whom, what is documented, what is pinned."""

import ast
import doctest
import importlib
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
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


def test_every_package_has_a_place_in_the_layers():
    layers = next(c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")["layers"]
    placed = set(re.findall(r"simsa\.(\w+)", " ".join(layers)))
    found = {path.stem for path in (ROOT / "simsa").glob("*.py")} | {path.parent.name for path in SOURCES}
    assert found - {"simsa", "__init__", "__main__"} <= placed


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
