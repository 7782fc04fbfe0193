"""The construction of Theorem 1: a program of the same function for which AD is wrong at chosen points."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from simsa.errors import ProgramError
from simsa.program.program import Builder, Program


def artificial(program: Program, at: ArrayLike, shift: ArrayLike, form: ArrayLike | None = None) -> Program:
    """Return a program of f + r zero(· − s), which has the values of f, and whose AD gradient is shifted by r at s.

    Parameters
    ----------
    program
        A program of f, with one output.
    at
        s: without `form`, a number or shape (p,); with `form`, a number.
    shift
        r: without `form`, a number or shape (p,); with `form`, a number.
    form
        A vector a of shape (p,), or None.

    Returns
    -------
    Program
        Without `form`, entry i of its gradient is that of `program` plus r_i wherever x_i = s_i; entries with r_i = 0
        are unchanged. With `form`, the gradient is that of `program` plus r a wherever <a, x> = s exactly.

    Raises
    ------
    ProgramError
        If the program has several outputs, a number is not finite, the form is 0, or a shape does not fit.

    Notes
    -----
    zero(t) = (relu(−t) + t) − relu(t). Both relu are written as branch tables with relu'(0) = 0, so that the result
    does not depend on the convention: at the tie t = 0 the derivative of zero is 1. The form <a, x> is summed from left
    to right over the coordinates with a_i ≠ 0.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Theorem 1.

    Examples
    --------
    >>> import simsa
    >>> trap = simsa.artificial(simsa.trace(lambda x: x[0] ** 2, 1), at=1.0, shift=-2.0)
    >>> float(trap.value([1.0])), trap.gradient([1.0]).tolist(), trap.gradient([1.5]).tolist()
    (1.0, [0.0], [3.0])
    """
    if program.q != 1:
        raise ProgramError(f"artificial needs a program with one output, got {program.q}")
    builder = Builder(program.parameters, program.data, program.convention)
    builder.nodes, builder.registers = list(program.nodes), program.m
    total = program.outputs[0]
    for row, s, r in _forms(program.parameters, at, shift, form):
        terms = [
            i if a == 1.0 else builder.apply("mul", (builder.constant(a), i)) for i, a in enumerate(row) if a != 0.0
        ]
        t = terms[0] if len(terms) == 1 else builder.apply("sum", terms)
        t = builder.apply("sub", (t, builder.constant(s)))
        bump = _zero(builder, t)
        total = builder.apply("add", (total, builder.apply("mul", (builder.constant(r), bump))))
    return builder.finish((total,), program.ranges, program.names)


def _forms(
    p: int, at: ArrayLike, shift: ArrayLike, form: ArrayLike | None
) -> list[tuple[Sequence[float], float, float]]:
    """Return the triples (a, s, r) of the terms r zero(<a, x> − s) to be added."""
    try:
        s, r = (np.broadcast_to(np.asarray(v, np.float64), (p,) if form is None else ()) for v in (at, shift))
        rows = np.eye(p) if form is None else np.broadcast_to(np.asarray(form, np.float64), (1, p))
    except (TypeError, ValueError):
        shape = f"numbers or of length {p}" if form is None else f"numbers, for a form of length {p}"
        raise ProgramError(f"artificial: at and shift must be {shape}") from None
    if not (np.isfinite(s).all() and np.isfinite(r).all() and np.isfinite(rows).all() and rows.any()):
        raise ProgramError("artificial: at, shift and form must be finite, and the form not 0")
    triples = zip(rows.tolist(), np.atleast_1d(s).tolist(), np.atleast_1d(r).tolist(), strict=True)
    return [(a, b, c) for a, b, c in triples if c != 0.0]


def _zero(builder: Builder, t: int) -> int:
    """Return the register of zero(t)."""
    nothing = builder.constant(0.0)
    opposite = builder.apply("neg", (t,))
    upper = builder.select([(((t, "<=", nothing),), nothing)], t)
    lower = builder.select([(((opposite, "<=", nothing),), nothing)], opposite)
    return builder.apply("sub", (builder.apply("add", (lower, t)), upper))
