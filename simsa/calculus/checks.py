"""Checks of automatic differentiation: forward against backward, one program against another, slopes against both."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.curves import ties_on
from simsa.calculus.objective import Objective, box_of, executions, mean, point, resolve, scalar
from simsa.errors import ProgramError
from simsa.program.program import Program

Array = NDArray[np.float64]


def forward_backward_gap(subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None) -> float:
    """Return the largest difference of the Jacobian's entries between forward and backward mode at x.

    By Lemma 1 it is 0 up to rounding, at ties too; divided by max(1, the largest entry). NaN counts as equal to NaN.

    >>> import simsa
    >>> forward_backward_gap(simsa.trace(lambda x: simsa.zero(x[0]) * np.exp(x[1]), 2), [0.0, 1.0])
    0.0
    """
    objective = resolve(subject, data)
    at = point(objective, x)
    forward, backward = [], []
    for run in objective.runs(at):
        backward.append(objective.slopes(run))
        columns = [objective.interpreter.forward(run, unit.tolist()) for unit in np.eye(objective.p)]
        forward.append(np.array(columns, np.float64).T)
    f, b = mean(forward), mean(backward)
    same = (f == b) | (np.isnan(f) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0.0, np.abs(f - b))
    scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
    return float(np.nan_to_num(gaps, nan=np.inf).max() / scale)


@dataclass(frozen=True)
class Comparison:
    """Two programs beside each other. equal: whether their values agree at every point tried.

    value_gap: the largest relative difference of values, and value_point, where. points: shape (k, p), those at which
    AD differs; gradients: shape (k, 2, p), what the two say there. tried: the number of points; ties: those with one.
    """

    equal: bool
    value_gap: float
    value_point: Array
    points: Array
    gradients: Array
    tried: int
    ties: int


def compare(
    first: Program | Objective,
    second: Program | Objective,
    box: ArrayLike,
    samples: int = 50,
    seed: int = 0,
    data: ArrayLike | None = None,
    tol: float = 1e-9,
) -> Comparison:
    """Return whether two programs have the same values, and at which points AD differs.

    Random points almost never have a tie, so the points tried are also those where guards vanish on random segments of
    the box, and those with coordinates from the box's corners, its centre, 0 and ±1. tol: of values and of gradients,
    relative to 1 + their size.

    >>> import simsa
    >>> relu2 = simsa.trace(lambda x: simsa.relu(-x[0]) + x[0], 1)
    >>> found = compare(simsa.trace(lambda x: simsa.relu(x[0]), 1), relu2, (-2, 2))
    >>> found.equal, found.points.tolist(), found.gradients.tolist()
    (True, [[0.0]], [[[0.0], [1.0]]])
    """
    one, two = scalar(resolve(first, data)), scalar(resolve(second, data))
    if one.p != two.p:
        raise ProgramError(f"the programs have {one.p} and {two.p} parameters")
    low, high = box_of(one, box)
    if samples < 1:
        raise ProgramError(f"expected at least one sample, got {samples}")
    rng = np.random.default_rng(seed)
    gap, worst, points, gradients, tried, ties = 0.0, (low + high) / 2, [], [], 0, 0
    for x in _candidates(one, two, low, high, samples, rng):
        a, b = one.value(x), two.value(x)
        distance = 0.0 if a == b or (a != a and b != b) else abs(a - b) / (1.0 + min(abs(a), abs(b)))
        distance = np.inf if np.isnan(distance) else distance
        if distance > gap:
            gap, worst = distance, x
        pair = np.array([one.gradient(x), two.gradient(x)])
        tried += 1
        ties += any(_tied(side, x) for side in (one, two))
        near = np.isclose(pair[0], pair[1], rtol=tol, atol=tol, equal_nan=True)
        if not near.all():
            points.append(x)
            gradients.append(pair)
    return Comparison(
        gap <= tol, gap, worst, np.reshape(points, (-1, one.p)), np.reshape(gradients, (-1, 2, one.p)), tried, ties
    )


def _tied(objective: Objective, x: Array) -> bool:
    """Tell whether a guard is zero at x."""
    return any(branches.tied(objective.interpreter, k, run) for run in objective.runs(x) for k in run.decisions)


def _candidates(
    one: Objective, two: Objective, low: Array, high: Array, samples: int, rng: np.random.Generator
) -> Iterator[Array]:
    """Yield points of a box, each once: random ones, ties on random segments, and a lattice."""
    seen: set[bytes] = set()
    lattice = [
        sorted({v for v in (a, (a + b) / 2, b, 0.0, 1.0, -1.0) if a <= v <= b}) for a, b in zip(low, high, strict=True)
    ]

    def points() -> Iterator[Array]:
        yield from low + (high - low) * rng.random((samples, one.p))
        if np.prod([float(len(axis)) for axis in lattice]) <= samples:
            yield from (np.array(corner) for corner in product(*lattice))
        else:
            yield from (np.array([rng.choice(axis) for axis in lattice]) for _ in range(samples))
        for _ in range(max(1, samples // 10)):
            ends = low + (high - low) * rng.random((2, one.p))
            for objective in (one, two):
                yield from ties_on(objective, ends)

    for x in points():
        key = (x + 0.0).tobytes()
        if key not in seen:
            seen.add(key)
            yield x


@dataclass(frozen=True)
class GradientCheck:
    """AD beside one-sided slopes along each coordinate axis.

    gradient: what AD says, shape (p,). left, right: the slopes f'(x; -e_i)·(-1) and f'(x; e_i), extrapolated. error:
    bounds of those, as estimated. verdicts: for each coordinate "smooth" (the slopes agree, and AD with them), "kink"
    (they differ, and AD is between them), "outside" (they differ, and AD is beyond), "wrong" (they agree, and AD is
    another number) or "undecided" (the quotients have no limit as far as one can see, or f is not defined on a side).
    ok: no coordinate is wrong or outside.
    """

    gradient: Array
    left: Array
    right: Array
    error: Array
    verdicts: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Return whether AD is what a subgradient along every axis can be."""
        return not {"wrong", "outside"} & set(self.verdicts)


def check_gradient(
    subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None, tol: float = 1e-6
) -> GradientCheck:
    """Compare AD with one-sided difference quotients, so that a kink is told from a mistake.

    The quotients (f(x + h e_i) − f(x))/h for h = 2⁻⁸ ... 2⁻³² of the scale are extrapolated to h = 0 (Richardson), and
    the extrapolation that moves least is taken. tol: relative to 1 + |slope|; the estimated error is added to it.

    >>> import simsa
    >>> answer = check_gradient(simsa.trace(lambda x: abs(x[0]) + x[1] - simsa.zero(x[1]), 2), [0.0, 0.0])
    >>> answer.verdicts, answer.left.round(6).tolist(), answer.right.round(6).tolist()
    (('kink', 'wrong'), [-1.0, 1.0], [1.0, 1.0])
    """
    objective = scalar(resolve(subject, data))
    at = point(objective, x)
    executions(objective, at)
    gradient = objective.gradient(at)
    sides = [[_slope(objective, at, side * unit) for unit in np.eye(objective.p)] for side in (-1.0, 1.0)]
    left, right = (np.array([side * slope for slope, _ in row]) for side, row in zip((-1.0, 1.0), sides, strict=True))
    error = np.array([max(a[1], b[1]) for a, b in zip(*sides, strict=True)])
    verdicts = []
    for g, a, b, e in zip(gradient, left, right, error, strict=True):
        small = e + tol * (1.0 + max(abs(a), abs(b)))
        if not e <= 1e-3 * (1.0 + max(abs(a), abs(b))):
            verdicts.append("undecided")
        elif abs(a - b) <= 2 * small:
            verdicts.append("smooth" if abs(g - (a + b) / 2) <= 2 * small else "wrong")
        else:
            verdicts.append("kink" if min(a, b) - small <= g <= max(a, b) + small else "outside")
    return GradientCheck(gradient, left, right, error, tuple(verdicts))


def _slope(objective: Objective, x: Array, direction: Array) -> tuple[float, float]:
    """Return the one-sided derivative f'(x; d), and an estimate of its error."""
    scale = max(1.0, float(np.abs(x).max()))
    start, quotients = objective.value(x), []
    for exponent in range(8, 33, 2):
        h = scale * 2.0**-exponent
        y = x + h * direction
        moved = float(np.abs(y - x).max())  # what rounding left of h
        quotients.append((h, (objective.value(y) - start) / moved if moved else np.nan))
    best = (np.nan, np.inf)
    for (_, a), (h, b) in pairwise(quotients):
        extrapolated = b + (b - a) / 3.0  # steps fall by 4, and the error is linear in h
        noise = 4e-16 * (1.0 + abs(start)) / h
        error = abs(extrapolated - b) + noise
        if error < best[1]:
            best = (extrapolated, error)
    return best
