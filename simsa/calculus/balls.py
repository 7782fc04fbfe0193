"""Clarke's set where a Euclidean norm is 0: no polytope, but the hull of sums of vectors and images of unit balls.

At a point where f = g(|A_1 x + b_1|, ..., |A_m x + b_m|, x) and all these norms are 0, the chain rule gives the
gradients v + M_1 u_1 + ... + M_m u_m with |u_j| <= 1: u_j is what stands in the place of a norm's gradient, M_j is A_j
transposed times the adjoint of the norm, and v is the gradient for u = 0. Each branch has its own v and M.
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
"""Points of the set that are looked for; each is as far as any along the direction to the nearest of those before."""


@dataclass(frozen=True)
class Nearest:
    """The point of a set that is nearest to a vector w.

    point: of the set, shape (p,). norm: |point - w|, an upper bound of the distance, as the point is in the set. low: a
    lower bound, from the plane that separates them: <d, g - w> >= low for all g of the set and a unit vector d. Both
    hold up to rounding.
    """

    point: Array
    norm: float
    low: float


@dataclass(frozen=True)
class Body:
    """{center + M_1 u_1 + ... + M_m u_m : |u_j| <= 1}. center: shape (p,). maps: the M_j, each of shape (p, n_j)."""

    center: Array
    maps: tuple[Array, ...] = ()

    def farthest(self, direction: Array) -> Array:
        """Return the point of the body that is farthest along a direction, shape (p,)."""
        result = self.center
        for matrix in self.maps:
            across = matrix.T @ direction
            length = np.linalg.norm(across)
            if length > 0:
                result = result + matrix @ (across / length)
        return result


@dataclass(frozen=True)
class RoundSet:
    """The convex hull of bodies. certified: whether it is Clarke's set; if not, it may be larger than that.

    >>> ball = RoundSet((Body(np.array([3.0, 4.0]), (np.eye(2),)),), certified=True)
    >>> ball.nearest([0.0, 0.0]).norm, ball.nearest([3.0, 3.5]).norm
    (4.0, 0.0)
    """

    bodies: tuple[Body, ...]
    certified: bool

    def farthest(self, direction: Array) -> Array:
        """Return a point of the set that is farthest along a direction, shape (p,)."""
        found = [body.farthest(direction) for body in self.bodies]
        return max(found, key=lambda g: float(g @ direction))

    @property
    def single(self) -> bool:
        """Tell whether the set is one point."""
        flat = not any(matrix.any() for body in self.bodies for matrix in body.maps)
        return flat and all((body.center == self.bodies[0].center).all() for body in self.bodies)

    def nearest(self, w: ArrayLike, gap: float = 1e-13) -> Nearest:
        """Return the point of the set nearest to w, shape (p,), and bounds of its distance.

        By the fully corrective method of Frank and Wolfe: the hull of points of the set grows by the one that is
        farthest along the way to w. gap: how near the bounds are to come, relative to the largest vector met; after
        `ROUNDS` points they may not have, and hold all the same.
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
    """Return Clarke's subdifferential at a point where norms may be 0, or a set that holds it.

    It is Clarke's set, and `certified`, where no selection is tied, the operands of the norms are affine, or their
    slopes A_j have full rank; and either one norm is 0, or the adjoints of all are at least 0 (f is regular), or the
    rank of all A_j together is the sum of their ranks (no norm's gradient depends on another's). Raises ProgramError
    for norms within norms that are 0, for more than `limit` branches, and unless the program has one output.

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
    """Return an interpreter in which the norms that are 0 have these gradients, by instruction, and 0 by default."""
    numbers = interpreter.tape.numbers.copy()
    for k in norms(interpreter, run):
        first, count = interpreter.code[k][NUMBER], interpreter.code[k][COUNT]
        numbers[first : first + count] = units.get(k, 0.0)
    return Interpreter(replace(interpreter.tape, numbers=numbers), interpreter.arithmetic)


def _slope(objective: Objective, run: Execution, units: dict[int, Array]) -> Array:
    """Return the gradient of an execution for gradients of its norms that are 0."""
    return np.array(_with(objective.interpreter, run, units).backward(run), np.float64)
