"""Docstrings name what a function takes: every parameter of every public function with more than two of them.

Where the functions of a module, or of a folder, take the same arguments, its docstring may say once what they are: in
what follows the words "Shared arguments.".
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

SIMSA = ROOT / "simsa"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SIMSA.rglob("*.py"))}


def room_of(path: Path) -> str:
    """Return the folder of a module in simsa, or its own name if it is in none."""
    return path.relative_to(SIMSA).parts[0].removesuffix(".py")


ROOMS = sorted({room_of(path) for path in TREES})


def classes() -> dict[str, ast.ClassDef]:
    return {node.name: node for tree in TREES.values() for node in tree.body if isinstance(node, ast.ClassDef)}


CLASSES = classes()


def bases(node: ast.ClassDef) -> Iterator[ast.ClassDef]:
    """Yield the classes of simsa that a class inherits from, directly or not."""
    for base in node.bases:
        known = CLASSES.get(base.id if isinstance(base, ast.Name) else getattr(base, "attr", ""))
        if known is not None and known is not node:
            yield known
            yield from bases(known)


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [one for one in node.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]


def overrides(node: ast.ClassDef, name: str) -> bool:
    """Tell whether a method of a base class has this name: its docstring then names the parameters."""
    return any(name in [one.name for one in methods(base)] for base in bases(node))


def parameters(function: ast.FunctionDef, method: bool) -> list[str]:
    """Return the names of the parameters, without self or cls."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args)]
    static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in function.decorator_list)
    rest = [*given.kwonlyargs, *(one for one in (given.vararg, given.kwarg) if one is not None)]
    return names[method and not static :] + [one.arg for one in rest]


def public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef, bool]]:
    """Yield the public functions, and the methods of public classes that override none, with their names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node, False
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found = (one for one in methods(node) if not overrides(node, one.name))
            yield from ((f"{node.name}.{one.name}", one, True) for one in found)


def shared(path: Path) -> str:
    """Return what the docstrings of a module and its folder say about shared arguments; empty if they say nothing."""
    texts = (ast.get_docstring(TREES[one]) or "" for one in (path, path.parent / "__init__.py"))
    return "\n".join(text.partition("Shared arguments.")[2] for text in texts)


def unnamed(path: Path) -> Iterator[str]:
    """Yield the parameters that the docstrings of a module do not name, as "function: parameter"."""
    for name, function, method in public(TREES[path]):
        taken = parameters(function, method)
        text = f"{ast.get_docstring(function)}\n{shared(path)}"
        for one in taken if len(taken) > 2 else ():
            if not re.search(rf"(?<![\w.]){one}(?!\w)", text):
                yield f"{path.relative_to(ROOT)}: {name}: {one}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_parameter_of_a_public_function_with_more_than_two_is_named_in_its_docstring(room):
    found = [line for path in TREES if room_of(path) == room for line in unnamed(path)]
    assert found == []
