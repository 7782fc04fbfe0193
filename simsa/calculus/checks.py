"""Checks of AD: forward mode against backward mode, two programs of one function, and AD against Clarke's set."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.clarke import clarke
from simsa.calculus.curves import ties_on
from simsa.calculus.minnorm import min_norm_point
from simsa.calculus.objective import Objective, box_of, executions, mean, point, resolve, scalar
from simsa.errors import ProgramError
from simsa.program.program import Program

Array = NDArray[np.float64]


def forward_backward_gap(subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None) -> float:
    """Return the largest difference of the Jacobian's entries between forward and backward mode.

    Parameters
    ----------
    subject
        A program or an objective.
    x
        The point, shape (p,).
    data
        The data inputs of a program, shape (d,).

    Returns
    -------
    float
        The largest difference, divided by max(1, largest absolute entry). NaN counts as equal to NaN.

    Raises
    ------
    ProgramError
        If a shape does not fit.

    Notes
    -----
    By Lemma 1 it is 0 up to rounding, also at ties, where both modes differentiate the same pieces.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Lemma 1.

    Examples
    --------
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
    """The comparison of two programs.

    Attributes
    ----------
    equal
        Whether their values agree at every point that was tried.
    value_gap
        The largest relative difference of values.
    value_point
        Where that is, shape (p,).
    points
        The points at which their gradients differ, shape (k, p).
    gradients
        The two gradients at each of these, shape (k, 2, p).
    tried
        The number of points that were tried.
    ties
        The number of those at which a program is tied.
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
    """Return whether two programs have the same values, and at which points their gradients differ.

    Parameters
    ----------
    first, second
        Programs with one output, or objectives, with the same number of parameters.
    box
        (low, high), each a number or shape (p,).
    samples
        The number of random points; about as many points of each other kind are tried.
    seed
        Of the random numbers.
    data
        The data inputs of both programs, shape (d,).
    tol
        The tolerance of values and of gradients, relative to 1 + their size.

    Returns
    -------
    Comparison
        With the points at which gradients differ.

    Raises
    ------
    ProgramError
        If the numbers of parameters differ, or an argument does not fit.

    Notes
    -----
    Random points almost never have a tie. Points are therefore also tried where guards are 0 on random segments of the
    box, and where coordinates are those of the box's corners and centre, 0 and ±1.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 2: several programs of one function.

    Examples
    --------
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
        equal = np.isclose(pair[0], pair[1], rtol=tol, atol=tol, equal_nan=True)
        if not equal.all():
            points.append(x)
            gradients.append(pair)
    return Comparison(
        gap <= tol, gap, worst, np.reshape(points, (-1, one.p)), np.reshape(gradients, (-1, 2, one.p)), tried, ties
    )


def _tied(objective: Objective, x: Array) -> bool:
    """Tell whether a selection of some term is tied at x."""
    return any(branches.tied(objective.interpreter, k, run) for run in objective.runs(x) for k in run.decisions)


def _candidates(
    one: Objective, two: Objective, low: Array, high: Array, samples: int, rng: np.random.Generator
) -> Iterator[Array]:
    """Yield distinct points of a box: random ones, points of a lattice, and ties on random segments."""
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
    """AD compared with Clarke's subdifferential ∂^c f(x), and one-sided slopes along each coordinate axis.

    Attributes
    ----------
    gradient
        The gradient of AD, shape (p,).
    left, right
        The slopes -f'(x; -e_i) and f'(x; e_i), extrapolated from difference quotients, shape (p,).
    error
        Estimated error bounds of the slopes, shape (p,).
    verdicts
        For each coordinate "smooth" (∂^c f(x) has one number there, and AD returns it), "kink" (it has several, and AD
        is in the set), "outside" (it has several, and AD is not in the set), "wrong" (it has one number, and AD returns
        another) or "undecided".
    why
        Why a coordinate is undecided; else empty.
    """

    gradient: Array
    left: Array
    right: Array
    error: Array
    verdicts: tuple[str, ...]
    why: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether no coordinate is "wrong" or "outside"; undecided coordinates count as right."""
        return not {"wrong", "outside"} & set(self.verdicts)


AFFORDABLE = 1024
"""Cells that may meet at a point whose Clarke subdifferential is asked for."""


def check_gradient(
    subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None, tol: float = 1e-6
) -> GradientCheck:
    """Compare AD with Clarke's subdifferential, in order to tell a kink from a wrong derivative.

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    x
        The point, shape (p,).
    data
        The data inputs of a program, shape (d,).
    tol
        The tolerance of entries, relative to 1 + |entry|. Where slopes are compared, their estimated error is added.

    Returns
    -------
    GradientCheck
        With a verdict for each coordinate.

    Raises
    ------
    ProgramError
        If f is not defined at x, or an argument does not fit.

    Notes
    -----
    At a tie, AD is compared with `clarke`. If more than AFFORDABLE regions meet at x, or the set is not certified, all
    coordinates are undecided. Without a tie, the set is the gradient of AD itself.

    The slopes are the quotients (f(x + h e_i) − f(x))/h for h = 2⁻⁸, ..., 2⁻³² times max(1, |x|), extrapolated to h = 0
    (Richardson). They check the set: a coordinate along which they have no limit, or a limit outside the set, is
    undecided. Slopes alone would not do, since they bound the entries of Clarke elements for regular functions only: at
    a triple tie of a median both slopes may be 0 along an axis along which elements of the set have 1.

    Examples
    --------
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
    vertices, why = gradient[None], ""
    if not np.isfinite(gradient).all():
        why = "AD is not finite"
    elif _tied(objective, at):
        try:
            found = clarke(objective, at, limit=AFFORDABLE)
            vertices, why = found.vertices, "" if found.certified else "Clarke's subdifferential was only sampled"
        except ProgramError as problem:
            why = str(problem)
    if why:
        return GradientCheck(gradient, left, right, error, ("undecided",) * objective.p, why)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    size = 1.0 + np.maximum(np.abs(low), np.abs(high))
    small, slack = tol * size, error + tol * size
    seen = (error <= 1e-3 * size) & (np.minimum(left, right) >= low - slack) & (np.maximum(left, right) <= high + slack)
    single, beyond = high - low <= 2 * small, (gradient < low - small) | (gradient > high + small)
    if not beyond.any() and min_norm_point((vertices - gradient) / size).norm > tol * objective.p**0.5:
        beyond = ~single  # each entry is in its interval, but the vector is not in the set
    names = np.where(single, np.where(beyond, "wrong", "smooth"), np.where(beyond, "outside", "kink"))
    if not seen.all():
        why = "the difference quotients have no limit in Clarke's subdifferential, as far as one can see"
    return GradientCheck(gradient, left, right, error, tuple(np.where(seen, names, "undecided").tolist()), why)


def _slope(objective: Objective, x: Array, direction: Array) -> tuple[float, float]:
    """Return the one-sided derivative f'(x; d), and an estimate of its error."""
    scale = max(1.0, float(np.abs(x).max()))
    start, quotients = objective.value(x), []
    for exponent in range(8, 33, 2):
        h = scale * 2.0**-exponent
        y = x + h * direction
        moved = float(np.abs(y - x).max())  # h after the rounding of y
        quotients.append((h, (objective.value(y) - start) / moved if moved else np.nan))
    best = (np.nan, np.inf)
    for (_, a), (h, b) in pairwise(quotients):
        extrapolated = b + (b - a) / 3.0  # steps fall by 4, and the error is linear in h
        noise = 4e-16 * (1.0 + abs(start)) / h
        error = abs(extrapolated - b) + noise
        if error < best[1]:
            best = (extrapolated, error)
    return best
