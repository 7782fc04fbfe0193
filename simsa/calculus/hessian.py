"""Second derivatives with branches frozen: the Hessian of the brick that a point is in."""

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
    """Return ∇²f_β(x) v for the executed assignment β, exactly: backward mode in dual numbers along v.

    x, v: shape (p,). At a tie β is the convention's, and the Hessian is a mean of the pieces' where it mixes them.

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
    """Return ∇²f_β(x) for the executed assignment β, shape (p, p): backward mode in dual numbers along all axes.

    Symmetric up to rounding. For an objective it is the mean over the terms, each with its own assignment.

    >>> import simsa
    >>> hessian(simsa.trace(lambda x: x[0] ** 2 * x[1] + abs(x[1]), 2), [3.0, 5.0]).tolist()
    [[10.0, 6.0], [6.0, 0.0]]
    """
    objective = scalar(resolve(subject, data))
    at = point(objective, x)
    axes = np.eye(objective.p)
    return finite(mean([second(objective, at, i, run, axes) for i, run in enumerate(objective.runs(at))]))


def second(objective: Objective, x: Array, sample: int, run: Execution, directions: Array) -> Array:
    """Return the Hessian of one term times directions, shape (p, k), under the decisions of an execution."""
    moving = objective.dual.run(seed(x, directions), objective.rows[sample].tolist(), run.decisions)
    slopes = [dual(slope).tangent for slope in objective.dual.backward(moving)]
    return np.array([np.zeros(directions.shape[1]) if t is None else t for t in slopes])


def finite(derivative: Array) -> Array:
    """Return a second derivative; raises ProgramError if it is not finite."""
    if not np.isfinite(derivative).all():
        raise ProgramError("an executed piece has no finite second derivative at this point")
    return derivative
