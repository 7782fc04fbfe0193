"""From an ordinary Python function to a program, by running it once on symbolic arrays."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import signature
from typing import Any

import numpy as np

from simsa import primitives
from simsa.errors import ProgramError
from simsa.primitives import Convention
from simsa.program import numpy_api  # noqa: F401 - fills the tables that symbolic arrays look into
from simsa.program.program import Builder, Program
from simsa.program.symbolic import Array, lift


def trace(
    function: Callable[..., Any],
    parameters: int,
    data: int = 0,
    convention: str | Mapping[str, str | float] | Convention = "tensorflow",
) -> Program:
    """Return the program that computes `function`.

    function: takes a vector of `parameters` symbolic numbers, and one of `data` if data > 0. It may use operators,
    slices, NumPy's functions and simsa's, loops that do not depend on symbolic values, and np.where or simsa.piecewise
    for choices that do. It returns a number or an array of numbers, whose q entries are the program's outputs.
    convention: decides the derivative at ties: "tensorflow", "pytorch", "jax", or a table with a `base` and the
    primitives that deviate from it. Raises ProgramError for what no program can do, such as `if` on a symbolic value.

    >>> import numpy as np
    >>> program = trace(lambda x: np.sum(np.abs(x)), 3)
    >>> (program.p, program.q), [node.primitive for node in program.nodes]
    ((3, 1), ['abs', 'abs', 'abs', 'sum'])
    """
    builder = Builder(parameters, data, primitives.convention(convention))
    inputs = [Array(builder, np.arange(parameters))]
    if data:
        inputs.append(Array(builder, np.arange(parameters, parameters + data)))
    name = getattr(function, "__name__", repr(function))
    with suppress(ValueError):  # functions written in C may not tell what they take
        takes = signature(function)
        try:
            takes.bind(*inputs)
        except TypeError as error:
            vectors = "two vectors (parameters, data)" if data else "one vector (parameters)"
            raise ProgramError(f"{name} must take {vectors}: {error}") from None
    try:
        result = function(*inputs)
    except ValueError as error:
        # NumPy's way of passing on why a symbolic value cannot be written into one of its arrays.
        if isinstance(error.__cause__, ProgramError):
            raise error.__cause__ from None
        raise
    return finish(builder, result, name)


def finish(builder: Builder, result: Any, name: str, **details: Any) -> Program:
    """Return the program whose outputs are the entries of `result`; raises ProgramError if there are none."""
    try:
        parts = result if isinstance(result, list | tuple) else [result]
        registers = [lift(part, builder).reshape(-1) for part in parts]
    except ProgramError as error:
        raise ProgramError(f"{name} must return a number or an array: {error}") from None
    if not sum(map(len, registers)):
        raise ProgramError(f"{name} must return a number or an array, it returned nothing")
    return builder.finish(np.concatenate(registers).tolist(), **details)
