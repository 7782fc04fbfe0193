"""Whether a function is seen not to be differentiable at a point, where its pieces are too many to be listed."""

import numpy as np
from numpy.typing import ArrayLike

from simsa.calculus.curves import jumps
from simsa.calculus.dual import Dual, seed
from simsa.calculus.objective import Array, Objective, point, resolve, scalar
from simsa.errors import ProgramError
from simsa.program.program import Program

GAP = 1e-6
"""Relative gap between one-sided derivatives above which they differ: rounding makes some 1e-12 in a large network."""

SPARSE, FEW = 0.05, 20
"""The part of the parameters that the first direction moves, and how many these are at least."""


def kinked(subject: Program | Objective, x: ArrayLike, directions: int = 2, data: ArrayLike | None = None) -> bool:
    """Tell whether the one-sided derivatives of f at x are seen not to be those of a linear map.

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    x
        The point, shape (p,).
    directions
        How many random directions d are tried, at least 1. The first moves a SPARSE part of the parameters, since the
        others then cost nothing.
    data
        The data inputs of a program, shape (d,).

    Returns
    -------
    bool
        True if f'(x; d) and -f'(x; -d) differ in some direction by more than GAP, relative to their size: then f is not
        differentiable at x. False says nothing.

    Raises
    ------
    ProgramError
        If a derivative is not finite, or if a selection of the program may jump.

    Notes
    -----
    A program that selects with continuous functions of the table alone has one-sided derivatives, which obey the chain
    rule: at a tie, f'(x; d) takes the piece that the derivatives of the operands along d select. So each direction
    costs two executions in dual numbers, however many pieces meet at x. Derivatives are computed in float64, so the
    answer is not certified.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives (SIAM 2008), Chapter 14.

    Examples
    --------
    >>> import simsa
    >>> kinked(simsa.trace(lambda x: abs(x[0]) + x[1], 2), [0.0, 1.0])
    True
    >>> kinked(simsa.trace(lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), 1), [0.0])
    False
    """
    objective = scalar(resolve(subject, data))
    if jumps(objective.interpreter):
        raise ProgramError("a selection may jump, so one-sided derivatives need not follow the chain rule")
    at = point(objective, x)
    rng = np.random.default_rng(0)
    for i in range(directions):
        d = rng.normal(size=objective.p)
        if i == 0 and objective.p > FEW:
            d[rng.permutation(objective.p)[max(FEW, int(SPARSE * objective.p)) :]] = 0.0
        forward, back = _derivative(objective, at, d), _derivative(objective, at, -d)
        if abs(forward + back) > GAP * (abs(forward) + abs(back)):
            return True
    return False


def _derivative(objective: Objective, x: Array, d: Array) -> float:
    """Return f'(x; d). Raises ProgramError if it is not finite."""
    moving = [one if move else Dual(one.value) for one, move in zip(seed(x, d), d, strict=True)]
    total = 0.0
    for row in objective.rows:
        run = objective.dual.run(moving, row.tolist())
        tangent = run.values[objective.interpreter.tape.outputs[0]].tangent
        total += 0.0 if tangent is None else float(tangent)
    if not np.isfinite(total):
        raise ProgramError("a one-sided derivative is not finite")
    return total / len(objective.rows)
