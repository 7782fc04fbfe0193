"""Programs by kind, as scenarios name them: a formula, a network, or a function in a user's module."""

import importlib
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from simsa.errors import ProgramError, SimsaError
from simsa.primitives import Convention
from simsa.program.expression import expression
from simsa.program.functions import unknown
from simsa.program.network import network
from simsa.program.program import Program
from simsa.program.stored import stored
from simsa.program.trace import trace


@dataclass(frozen=True)
class Target:
    """A function of a user's module that has been imported. name: "module:function"."""

    name: str
    function: Callable[..., Any]


def import_target(name: str, folder: str | Path = ".") -> Target:
    """Import the module of a user's function.

    name: "module:function"; the module is a file or a package in `folder`, or else an installed one. Raises
    ProgramError for any error in the module, with the user's file and line, and if the module has no such function.
    """
    path, colon, attribute = name.partition(":")
    if not colon or not path or not attribute.isidentifier():
        raise ProgramError(f"target '{name}': expected module:function")
    module = locating_errors(name, lambda: _module(path, Path(folder)))
    function = getattr(module, attribute, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ProgramError(f"target '{name}': {unknown('function', attribute, known)}")
    return Target(name, function)


def python(
    target: str | Target,
    parameters: int | None = None,
    data: int | Sequence[str] | None = None,
    convention: str | Mapping[str, str | float] | Convention = "tensorflow",
    folder: str | Path = ".",
) -> Program:
    """Return the program of a user's function.

    target: "module:function"; or what `import_target` returned for it, so that the module is not imported again.
    parameters: the number of parameters; None for the attribute `parameters` of the function. data: the number or the
    names of the data columns; None for the attribute `data` of the function, or 0. convention: as for `trace`. folder:
    where the module is looked for first. Raises ProgramError for any error in the module or the function, with the
    user's file and line.
    """
    found = import_target(target, folder) if isinstance(target, str) else target
    function = found.function
    p = getattr(function, "parameters", None) if parameters is None else parameters
    d = getattr(function, "data", 0) if data is None else data
    if p is None:
        raise ProgramError(
            f"target '{found.name}': how many parameters? Say parameters = ..., or set "
            f"{found.name.partition(':')[2]}.parameters"
        )
    program: Program = locating_errors(
        found.name, lambda: trace(function, p, d if isinstance(d, int) else len(d), convention)
    )
    return program


def _module(name: str, folder: Path) -> ModuleType:
    """Import a module, a file in `folder` before an installed one. It can import other files of the folder."""
    path = folder.joinpath(*name.split(".")).resolve()
    files = [path.with_suffix(".py"), path / "__init__.py"]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return importlib.import_module(name)
    # The name in sys.modules contains the path, since two scenarios in different folders may both have a model.py.
    spec = spec_from_file_location(f"simsa target {file}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(folder.resolve()))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    finally:
        sys.path.remove(str(folder.resolve()))
    return module


def locating_errors(target: str, action: Callable[[], Any]) -> Any:
    """Return what `action` returns; an error in the user's file becomes one line with file and line.

    target: the name that messages begin with. action: a function without arguments. Raises ProgramError for any error.
    """
    try:
        return action()
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _internal(frame.filename)]
        place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
        kind = "" if isinstance(error, SimsaError) else f"{type(error).__name__}: "
        raise ProgramError(f"target '{target}': {place}{kind}{error}") from error


def _internal(file: str) -> bool:
    """Tell whether a file belongs to simsa or to Python's standard library, and not to the user."""
    homes = (Path(__file__).parents[1], Path(traceback.__file__).parent)
    return file.startswith("<") or any(home in Path(file).parents for home in homes)


KINDS: dict[str, Callable[..., Program]] = {
    "expression": expression,
    "network": network,
    "python": python,
    "stored": stored,
}
"""The kinds of programs, by the names that scenarios use."""


def build(kind: str, **options: Any) -> Program:
    """Return a program of a kind. options: the arguments of the function of that name.

    kind: one of `KINDS`. Raises ProgramError for another kind.

    >>> build("expression", text="x**2", parameters=["x"]).nodes[0].primitive
    'square'
    """
    if kind not in KINDS:
        raise ProgramError(unknown("kind of program", kind, KINDS))
    return KINDS[kind](**options)
