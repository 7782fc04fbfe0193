"""Theorem 1's construction: the same function, with another gradient at points of one's choice."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from simsa.errors import ProgramError
from simsa.program.program import Builder, Program


def artificial(program: Program, at: ArrayLike, shift: ArrayLike, form: ArrayLike | None = None) -> Program:
    """Return a program of f + r zero(· − s): the values of f everywhere, and AD shifted by r at s.

    zero(t) = (relu(−t) + t) − relu(t), with relu'(0) = 0 under every convention, since both are branch tables of the
    program's own. Without `form`, coordinate i is shifted by r_i where x_i = s_i: at: s, shift: r, each a number or of
    shape (p,); coordinates with r_i = 0 are left alone. With form = a, of shape (p,), AD is shifted by r a wherever
    <a, x> = s exactly: at and shift are numbers. The form is summed from left to right, without its zeros.

    Raises ProgramError unless the program has one output, and the numbers are finite. Source: Bolte and Pauwels
    (NeurIPS 2020), Theorem 1.

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
    return builder.finish((total,), program.layers, program.names)


def _forms(
    p: int, at: ArrayLike, shift: ArrayLike, form: ArrayLike | None
) -> list[tuple[Sequence[float], float, float]]:
    """Return the (a, s, r) of each r zero(<a, x> − s)."""
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
