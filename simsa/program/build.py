"""Programs by the kind that a scenario names: a formula, a network, or a function in a user's own module."""

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
    """A function in a user's module, which has been imported. said: how it was named, "module:function"."""

    said: str
    function: Callable[..., Any]


def imported(said: str, folder: str | Path = ".") -> Target:
    """Import the module of a user's function.

    said: "module:function"; the module is a file in `folder` (or a package there), or else an installed one. Raises
    ProgramError, with the user's file and line, for whatever goes wrong in the module, and if it has no such function.
    """
    name, colon, attribute = said.partition(":")
    if not colon or not name or not attribute.isidentifier():
        raise ProgramError(f"target '{said}': expected module:function")
    module = _guarded(said, lambda: _module(name, Path(folder)))
    function = getattr(module, attribute, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ProgramError(f"target '{said}': {unknown('function', attribute, known)}")
    return Target(said, function)


def python(
    target: str | Target,
    parameters: int | None = None,
    data: int | Sequence[str] | None = None,
    convention: str | Mapping[str, str | float] | Convention = "tensorflow",
    folder: str | Path = ".",
) -> Program:
    """Return the program of a user's function.

    target: "module:function", as in `imported`; or what that returned, so that the module is not imported again.
    folder: of the module, as there. parameters, data: how many (or the names of the data columns); left out, they are
    the attributes `parameters` and `data` of the function. convention: as in `trace`. Raises ProgramError, with the
    user's file and line, for whatever goes wrong in the module or the function.
    """
    found = imported(target, folder) if isinstance(target, str) else target
    function = found.function
    p = getattr(function, "parameters", None) if parameters is None else parameters
    d = getattr(function, "data", 0) if data is None else data
    if p is None:
        raise ProgramError(
            f"target '{found.said}': how many parameters? Say parameters = ..., or set "
            f"{found.said.partition(':')[2]}.parameters"
        )
    program: Program = _guarded(found.said, lambda: trace(function, p, d if isinstance(d, int) else len(d), convention))
    return program


def _module(name: str, folder: Path) -> ModuleType:
    """Import a module, a file in `folder` before an installed one; its own imports find its neighbours."""
    path = folder.joinpath(*name.split(".")).resolve()
    files = [path.with_suffix(".py"), path / "__init__.py"]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return importlib.import_module(name)
    # Under a name of its own: two scenarios in different folders may both have a model.py.
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


def _guarded(target: str, action: Callable[[], Any]) -> Any:
    """Return what `action` returns; a user's error becomes one line with the place in the user's file."""
    try:
        return action()
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _ours(frame.filename)]
        place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
        kind = "" if isinstance(error, SimsaError) else f"{type(error).__name__}: "
        raise ProgramError(f"target '{target}': {place}{kind}{error}") from error


def _ours(file: str) -> bool:
    """Tell whether a file is simsa's, NumPy's or Python's own, and not the user's."""
    homes = (Path(__file__).parents[1], Path(traceback.__file__).parent)
    return file.startswith("<") or any(home in Path(file).parents for home in homes)


KINDS: dict[str, Callable[..., Program]] = {
    "expression": expression,
    "network": network,
    "python": python,
    "stored": stored,
}
"""The kinds of programs by the name that scenarios give them."""


def build(kind: str, **options: Any) -> Program:
    """Return a program of one of the `KINDS`, with the arguments of the function of that name.

    >>> build("expression", text="x**2", parameters=["x"]).nodes[0].primitive
    'square'
    """
    if kind not in KINDS:
        raise ProgramError(unknown("kind of program", kind, KINDS))
    return KINDS[kind](**options)
