"""Models that a function of a user's module makes, as scenarios name them."""

from collections.abc import Callable
from typing import Any

from simsa.errors import ProgramError
from simsa.importers.imported import ImportedProgram
from simsa.importers.jax import from_jax
from simsa.importers.torch import from_torch
from simsa.program.build import Target, locating_errors


def _torch(made: Any) -> ImportedProgram:
    if not isinstance(made, tuple) or len(made) not in (2, 3):
        raise ProgramError("expected the function to return (net, example_inputs, loss)")
    return from_torch(*made)


def _jax(made: Any) -> ImportedProgram:
    if not isinstance(made, tuple) or len(made) < 2:
        raise ProgramError("expected the function to return (loss, params, *example_inputs)")
    return from_jax(*made)


KINDS: dict[str, Callable[[Any], ImportedProgram]] = {"torch": _torch, "jax": _jax}
"""What makes a program of what a function returns, by the kinds of programs that scenarios name."""


def of_factory(kind: str, target: Target) -> ImportedProgram:
    """Return the program of the model that a user's function makes.

    kind: one of `KINDS`. target: the function, without arguments; for "torch" it returns (net, example_inputs) or (net,
    example_inputs, loss), as `from_torch` takes them, and for "jax" (loss, params, *example_inputs). Raises
    ProgramError for any error in the function, with the user's file and line.
    """
    made = locating_errors(target.name, target.function)
    program: ImportedProgram = locating_errors(target.name, lambda: KINDS[kind](made))
    return program
