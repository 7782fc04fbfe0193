"""Tracing: a Python function becomes a program by being run once on symbolic arrays."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import signature
from traceback import walk_tb
from typing import Any

import numpy as np

from simsa import primitives
from simsa.errors import ProgramError
from simsa.primitives import Convention
from simsa.program import numpy_api  # noqa: F401 - fills the tables that symbolic arrays look into
from simsa.program.program import Builder, Program
from simsa.program.symbolic import IMPORTERS, Array, foreign, lift


def trace(
    function: Callable[..., Any],
    parameters: int,
    data: int = 0,
    convention: str | Mapping[str, str | float] | Convention = "tensorflow",
) -> Program:
    """Return the program that computes a Python function.

    Parameters
    ----------
    function
        Takes a vector of `parameters` symbolic numbers, and a vector of `data` ones if data > 0. It may use operators,
        slices, the functions of NumPy and of simsa, loops that do not depend on symbolic values, and `np.where` or
        `simsa.piecewise` for choices that do. It returns a number or an array of numbers, whose q entries are the
        outputs of the program.
    parameters
        The number p of parameters, at least 1.
    data
        The number d of data inputs.
    convention
        Decides the derivative at ties: "tensorflow", "pytorch", "jax", or a mapping with a `base` and the primitives
        that differ from it.

    Returns
    -------
    Program
        The program, with p parameters, d data inputs and q outputs.

    Raises
    ------
    ProgramError
        If the function does what a program cannot do, such as `if` on a symbolic value, or returns no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> program = trace(lambda x: np.sum(np.abs(x)), 3)
    >>> (program.p, program.q), [node.primitive for node in program.nodes]
    ((3, 1), ['abs', 'abs', 'abs', 'sum'])
    """
    refuse_frameworks(function)
    builder = Builder(parameters, data, primitives.convention(convention))
    inputs = [Array(builder, np.arange(parameters))]
    if data:
        inputs.append(Array(builder, np.arange(parameters, parameters + data)))
    name = getattr(function, "__name__", repr(function))
    with suppress(ValueError):  # functions written in C may have no signature
        takes = signature(function)
        try:
            takes.bind(*inputs)
        except TypeError as error:
            vectors = "two vectors (parameters, data)" if data else "one vector (parameters)"
            raise ProgramError(f"{name} must take {vectors}: {error}") from None
    try:
        result = function(*inputs)
    except ValueError as error:
        # NumPy wraps the ProgramError that says why a symbolic value cannot be written into one of its arrays.
        if isinstance(error.__cause__, ProgramError):
            raise error.__cause__ from None
        _name_framework(error)
        raise
    except TypeError as error:
        _name_framework(error)
        raise
    return finish(builder, result, name)


def refuse_frameworks(function: Callable[..., Any]) -> None:
    """Raise ProgramError for a module of PyTorch or a compiled function of JAX, which names what imports it."""
    for kind in type(function).__mro__:
        if (package := kind.__module__.partition(".")[0].removesuffix("lib")) in IMPORTERS:
            raise ProgramError(foreign(package))


def _name_framework(error: Exception) -> None:
    """Raise ProgramError in place of an error that a framework raised over a symbolic array."""
    if "JAX type" in str(error):  # JAX leaves its own frames out of the traceback
        raise ProgramError(foreign("jax")) from None
    for one in (error, error.__cause__, error.__context__):
        for frame, _ in walk_tb(one.__traceback__ if one else None):
            package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if package in IMPORTERS:
                raise ProgramError(foreign(package)) from None


def finish(builder: Builder, result: Any, name: str, **details: Any) -> Program:
    """Return the finished program.

    builder: of the program. result: what the traced function returned; its entries are the outputs. name: what messages
    call the function. details: passed on to `Builder.finish`. Raises ProgramError if `result` has no numbers.
    """
    try:
        parts = result if isinstance(result, list | tuple) else [result]
        registers = [lift(part, builder).reshape(-1) for part in parts]
    except ProgramError as error:
        raise ProgramError(f"{name} must return a number or an array: {error}") from None
    if not sum(map(len, registers)):
        raise ProgramError(f"{name} must return a number or an array, it returned nothing")
    return builder.finish(np.concatenate(registers).tolist(), **details)
