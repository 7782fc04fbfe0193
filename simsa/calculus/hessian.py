"""Second derivatives under the executed branch assignment: the Hessian of the brick that a point is in."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus.dual import dual, seed
from simsa.calculus.objective import Objective, mean, point, resolve, scalar
from simsa.errors import ProgramError
from simsa.machine.reference import Execution
from simsa.program.program import Program

Array = NDArray[np.float64]


def hessian_vector(
    subject: Program | Objective, x: ArrayLike, v: ArrayLike, data: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the product ∇²f_β(x) v of a Hessian and a vector, for the executed branch assignment β.

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    x
        The point, shape (p,).
    v
        The vector, shape (p,).
    data
        The data inputs of a program, shape (d,).

    Returns
    -------
    array
        float64, shape (p,).

    Raises
    ------
    ProgramError
        If an executed piece has no finite second derivative at x, or an argument does not fit.

    Notes
    -----
    It is computed by backward mode in dual numbers along v, without difference quotients. At a tie β is the choice of
    the convention; where the convention mixes pieces, the result is the mean of theirs with its weights.

    Examples
    --------
    >>> import simsa
    >>> hessian_vector(simsa.trace(lambda x: x[0] ** 2 * x[1], 2), [3.0, 5.0], [1.0, 0.0]).tolist()
    [10.0, 6.0]
    """
    objective = scalar(resolve(subject, data))
    at, along = point(objective, x), point(objective, v)
    return finite(
        mean([second(objective, at, i, run, along[:, None])[:, 0] for i, run in enumerate(objective.runs(at))])
    )


def hessian(subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the Hessian ∇²f_β(x) for the executed branch assignment β.

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    x
        The point, shape (p,).
    data
        The data inputs of a program, shape (d,).

    Returns
    -------
    array
        float64, shape (p, p), symmetric up to rounding. For an objective it is the mean over the terms, each with its
        own assignment.

    Raises
    ------
    ProgramError
        If an executed piece has no finite second derivative at x, or an argument does not fit.

    Notes
    -----
    It is computed by backward mode in dual numbers along all axes. At a tie β is the choice of the convention; where
    the convention mixes pieces, the result is the mean of theirs with its weights.

    Examples
    --------
    >>> import simsa
    >>> hessian(simsa.trace(lambda x: x[0] ** 2 * x[1] + abs(x[1]), 2), [3.0, 5.0]).tolist()
    [[10.0, 6.0], [6.0, 0.0]]
    """
    objective = scalar(resolve(subject, data))
    at = point(objective, x)
    axes = np.eye(objective.p)
    return finite(mean([second(objective, at, i, run, axes) for i, run in enumerate(objective.runs(at))]))


def second(objective: Objective, x: Array, sample: int, run: Execution, directions: Array) -> Array:
    """Return the Hessian of one term times directions, shape (p, k), under the decisions of an execution.

    objective: the sum. x: the point, shape (p,). sample: the number of the term. run: the execution with the decisions.
    directions: shape (p, k).
    """
    moving = objective.dual.run(seed(x, directions), objective.rows[sample].tolist(), run.decisions)
    slopes = [dual(slope).tangent for slope in objective.dual.backward(moving)]
    return np.array([np.zeros(directions.shape[1]) if t is None else t for t in slopes])


def finite(derivative: Array) -> Array:
    """Return a second derivative; raises ProgramError if it is not finite."""
    if not np.isfinite(derivative).all():
        raise ProgramError("an executed piece has no finite second derivative at this point")
    return derivative
