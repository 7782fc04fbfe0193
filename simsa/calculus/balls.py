"""Clarke's subdifferential where a Euclidean norm is 0: a convex hull of sums of vectors and images of unit balls.

At a point where f = g(|A_1 x + b_1|, ..., |A_m x + b_m|, x) and all these norms are 0, the chain rule gives the
gradients v + M_1 u_1 + ... + M_m u_m with |u_j| <= 1. Here u_j takes the place of the gradient of norm j, M_j is A_j
transposed times the adjoint of the norm, and v is the gradient for u = 0. Each branch assignment has its own v and M.
"""

from dataclasses import dataclass, replace
from itertools import product
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.dual import seed
from simsa.calculus.minnorm import min_norm_point
from simsa.calculus.objective import Objective, mean, norms, point, resolve, scalar
from simsa.errors import ProgramError
from simsa.machine.reference import Execution, Interpreter
from simsa.program.program import Program
from simsa.tape.tape import COUNT, NUMBER, OUT

Array = NDArray[np.float64]

ROUNDS = 300
"""The largest number of points of the set that `RoundSet.nearest` computes."""


@dataclass(frozen=True)
class Nearest:
    """The point of a set that is nearest to a vector w.

    Attributes
    ----------
    point
        The point of the set, shape (p,).
    norm
        |point - w|, which is an upper bound of the distance.
    low
        A lower bound of the distance, from a separating plane: <d, g - w> >= low for a unit vector d and all g of the
        set. Both bounds hold up to rounding.
    """

    point: Array
    norm: float
    low: float


@dataclass(frozen=True)
class Body:
    """The set {center + M_1 u_1 + ... + M_m u_m : |u_j| <= 1}.

    Attributes
    ----------
    center
        The center, shape (p,).
    maps
        The matrices M_j, each of shape (p, n_j).
    """

    center: Array
    maps: tuple[Array, ...] = ()

    def farthest(self, direction: Array) -> Array:
        """Return a point g of the body with the largest <g, direction>, shape (p,)."""
        result = self.center
        for matrix in self.maps:
            across = matrix.T @ direction
            length = np.linalg.norm(across)
            if length > 0:
                result = result + matrix @ (across / length)
        return result


@dataclass(frozen=True)
class RoundSet:
    """The convex hull of bodies.

    Attributes
    ----------
    bodies
        The bodies, at least one.
    certified
        Whether the hull is Clarke's subdifferential; if not, it contains it, and may be larger.

    Examples
    --------
    >>> ball = RoundSet((Body(np.array([3.0, 4.0]), (np.eye(2),)),), certified=True)
    >>> ball.nearest([0.0, 0.0]).norm, ball.nearest([3.0, 3.5]).norm
    (4.0, 0.0)
    """

    bodies: tuple[Body, ...]
    certified: bool

    def farthest(self, direction: Array) -> Array:
        """Return a point g of the set with the largest <g, direction>, shape (p,)."""
        found = [body.farthest(direction) for body in self.bodies]
        return max(found, key=lambda g: float(g @ direction))

    @property
    def single(self) -> bool:
        """Tell whether the set is one point."""
        flat = not any(matrix.any() for body in self.bodies for matrix in body.maps)
        return flat and all((body.center == self.bodies[0].center).all() for body in self.bodies)

    def nearest(self, w: ArrayLike, gap: float = 1e-13) -> Nearest:
        """Return the point of the set nearest to w, with bounds of its distance.

        w: shape (p,), finite. gap: the difference of the bounds at which the search ends, relative to the largest
        vector that was met; it also ends after `ROUNDS` points, with bounds that hold but may be farther apart. Raises
        ProgramError for another w.

        The method is the fully corrective one of Frank and Wolfe: in each round, the point of the set that is farthest
        in the direction of w is added to a list, and the point nearest to w in the hull of the list is computed.
        """
        wanted = np.asarray(w, np.float64)
        if wanted.shape != self.bodies[0].center.shape or not np.isfinite(wanted).all():
            raise ProgramError(f"expected a finite vector of shape {self.bodies[0].center.shape}, got {w!r}")
        atoms = np.array([body.center - wanted for body in self.bodies])
        low, best = 0.0, min_norm_point(atoms)
        size = max(1.0, float(np.abs(atoms).max()))
        for _ in range(ROUNDS):
            if best.norm <= gap * size:
                break
            direction = -best.point / best.norm
            atom = self.farthest(direction) - wanted
            low = max(low, float(-direction @ atom))
            if best.norm - low <= gap * size:
                break
            atoms = np.vstack([atoms[best.weights > 0], atom])
            following = min_norm_point(atoms)
            if following.norm >= best.norm:
                break
            best = following
        return Nearest(best.point + wanted, best.norm, min(low, best.norm))


def round_clarke(
    subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None, limit: int = 4096
) -> RoundSet:
    """Return Clarke's subdifferential at a point where Euclidean norms may be 0, or a larger set.

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    x
        The point, shape (p,).
    data
        The data inputs of a program, shape (d,).
    limit
        The largest number of combinations of tied pieces.

    Returns
    -------
    RoundSet
        `certified` says whether it is Clarke's subdifferential; if not, it contains it.

    Raises
    ------
    ProgramError
        If more than `limit` combinations of pieces are tied at x, if a norm that is 0 is inside another one, if a
        derivative is not finite, or if the program has several outputs.

    Notes
    -----
    The set is certified if no selection is tied, if the operands of each norm that is 0 are affine or have a derivative
    A_j of full rank, and if one of three conditions holds: a single norm is 0; or the adjoints of all norms are at
    least 0, so that f is regular; or the rank of all A_j together is the sum of their ranks, so that the gradients of
    the norms are independent of each other. At ties, the hull over all combinations of the tied pieces is returned.

    References
    ----------
    Clarke, Optimization and Nonsmooth Analysis (1983), Section 2.3.

    Examples
    --------
    >>> import simsa
    >>> found = round_clarke(simsa.trace(lambda x: 2 * np.linalg.norm(x) + x[0], 2), [0.0, 0.0])
    >>> found.nearest([0.0, 0.0]).norm, found.nearest([1.0, 3.0]).norm, found.certified
    (0.0, 1.0, True)
    """
    objective = scalar(resolve(subject, data))
    at = point(objective, x)
    interpreter, tape = objective.interpreter, objective.interpreter.tape
    runs = list(objective.runs(at))
    kinks = [(i, k) for i, run in enumerate(runs) for k in norms(interpreter, run)]
    free = [
        {k: branches.options(interpreter, k, run, limit) for k in run.decisions if branches.tied(interpreter, k, run)}
        for run in runs
    ]
    if prod(len(options) for choices in free for options in choices.values()) > limit:
        raise ProgramError(f"more than {limit} branches meet at this point; use limit=")
    certified, slopes = not any(free), []
    for i, k in kinks:
        moved = objective.dual.run(seed(at, np.eye(objective.p)), objective.rows[i].tolist(), runs[i].decisions)
        operands = [moved.values[r] for r in tape.operand(k)]
        rows = np.array([np.zeros(objective.p) if v.tangent is None else v.tangent for v in operands])
        if not np.isfinite(rows).all():
            raise ProgramError("the operand of a norm that is 0 has no derivative here")
        certified = certified and (not any(v.curved for v in operands) or np.linalg.matrix_rank(rows) == len(rows))
        slopes.append(rows)
    bodies, positive = [], True
    for decisions in product(*(product(*choices.values()) for choices in free)):
        chosen = [
            replace(run, decisions={**run.decisions, **dict(zip(choices, picked, strict=True))})
            for run, choices, picked in zip(runs, free, decisions, strict=True)
        ]
        center = mean([_slope(objective, run, {}) for run in chosen])
        maps = []
        for i, k in kinks:
            units = [
                _slope(objective, chosen[i], {k: unit}) - _slope(objective, chosen[i], {})
                for unit in np.eye(interpreter.code[k][COUNT])
            ]
            maps.append(np.array(units).T / len(runs))
            adjoints, _ = _with(interpreter, chosen[i], {}).adjoints(chosen[i])
            positive = positive and adjoints[interpreter.code[k][OUT]] >= 0
        if not (np.isfinite(center).all() and all(np.isfinite(matrix).all() for matrix in maps)):
            raise ProgramError("an executed piece has no finite derivative at this point")
        bodies.append(Body(center, tuple(maps)))
    if len(kinks) > 1 and not positive:
        ranks = [np.linalg.matrix_rank(rows) for rows in slopes]
        certified = certified and bool(np.linalg.matrix_rank(np.vstack(slopes)) == sum(ranks))
    return RoundSet(tuple(bodies), bool(certified))


def _with(interpreter: Interpreter, run: Execution, units: dict[int, Array]) -> Interpreter:
    """Return an interpreter in which the norms that are 0 have the gradients `units`, by instruction; 0 by default."""
    numbers = interpreter.tape.numbers.copy()
    for k in norms(interpreter, run):
        first, count = interpreter.code[k][NUMBER], interpreter.code[k][COUNT]
        numbers[first : first + count] = units.get(k, 0.0)
    return Interpreter(replace(interpreter.tape, numbers=numbers), interpreter.arithmetic)


def _slope(objective: Objective, run: Execution, units: dict[int, Array]) -> Array:
    """Return the gradient of an execution if its norms that are 0 have the gradients `units`, by instruction."""
    return np.array(_with(objective.interpreter, run, units).backward(run), np.float64)
