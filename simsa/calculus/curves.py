"""Along curves: whether a choice of gradients integrates to the function, and whether a selection is continuous."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.dual import Dual
from simsa.calculus.objective import Objective, box_of, mean, numbers, objective, resolve, scalar
from simsa.calculus.sets import selection_operator
from simsa.errors import ProgramError
from simsa.machine.reference import Execution, Interpreter
from simsa.program.program import Program
from simsa.tape.tape import OUT, OUTS

Array = NDArray[np.float64]

GRID = 16
"""Parts of a curve that are searched one by one for breakpoints."""

DEEPEST = 30
"""Times that a part of a curve is halved, at most."""

FINE, ROUGH = (np.polynomial.legendre.leggauss(n) for n in (9, 5))
"""Gauss' nodes and weights on [-1, 1]."""

BETWEEN = (0.37, 0.71)
"""Where between the ends of a part a guard is compared with a cubic; no simple fractions, which waves have too."""

BENT = 0.02
"""How far, relative to its size, a guard may be from the cubic through its ends before a part is halved."""


@dataclass(frozen=True)
class Curve:
    """A curve [0, 1] → R^p. at: t to the point. velocity: t to the derivative. corners: where it is no smooth curve."""

    at: Callable[[float], Array]
    velocity: Callable[[float], Array]
    corners: tuple[float, ...] = ()


def _curve(total: Objective, path: ArrayLike | Program) -> Curve:
    """Return a path as a curve: points to be joined by segments, or a program of one parameter with p outputs."""
    if isinstance(path, Program):
        if path.p != 1 or path.q != total.p or path.data:
            raise ProgramError(f"a curve is a program of one parameter with {total.p} outputs, got {path.p}, {path.q}")
        inner = objective(path, np.zeros((1, 0)))
        corners = _program_corners(inner)
        return Curve(
            lambda t: inner.values([t]), lambda t: np.asarray(inner.jacobian([t])[:, 0], np.float64), tuple(corners)
        )
    points = numbers(path, "a path")
    if points.ndim != 2 or len(points) < 2 or points.shape[1] != total.p or not np.isfinite(points).all():
        raise ProgramError(
            f"a path is at least two finite points of length {total.p}, or a program; got {points.shape}"
        )
    parts = len(points) - 1

    def at(t: float) -> Array:
        i = min(int(t * parts), parts - 1)
        share = t * parts - i
        between: Array = (1.0 - share) * points[i] + share * points[i + 1]
        return between

    def velocity(t: float) -> Array:
        i = min(int(t * parts), parts - 1)
        step: Array = parts * (points[i + 1] - points[i])
        return step

    return Curve(at, velocity, tuple(i / parts for i in range(1, parts)))


def _program_corners(inner: Objective) -> "Found":
    """Return where the selections of a curve's own program change."""
    line = Curve(lambda t: np.array([t]), lambda t: np.array([1.0]))
    return _breakpoints(inner, line, 0.0, 1.0)


# Breakpoints.


@dataclass(frozen=True)
class _Guard:
    """A guard of the frozen program: number `index` among the differences of selection k."""

    k: int
    index: int


Found = dict[float, list[tuple[int, _Guard]]]
"""By t, the terms and the guards that vanish there."""


def _moving(total: Objective, curve: Curve, t: float, sample: int, choices: dict[int, Any] | None = None) -> Execution:
    """Return the execution of a term at γ(t), in dual numbers along γ'(t)."""
    x = [Dual(v, np.array([s])) for v, s in zip(curve.at(t), curve.velocity(t), strict=True)]
    return total.dual.run(x, total.rows[sample].tolist(), choices)


def _guards(total: Objective, run: Execution) -> dict[_Guard, Any]:
    """Return the differences that the guards of an execution are about."""
    return {
        _Guard(k, i): h
        for k, decision in run.decisions.items()
        if branches.guarded(total.dual, k)
        for i, h in enumerate(branches.differences(total.dual, k, run, decision))
        if not branches.identically_zero(h)
    }


def _labels(total: Objective, run: Execution) -> list[Any]:
    """Return the decisions of an execution in numbers."""
    return [branches.label(total.interpreter, k, decision) for k, decision in run.decisions.items()]


def _breakpoints(total: Objective, curve: Curve, low: float, high: float) -> Found:
    """Return the t in (low, high) at which a guard of some term vanishes, in order.

    Between neighbours the decisions beside the left end are frozen, so that the guards are smooth, and their
    roots are found by Brent's method, up to the first that changes another guard; behind it the next decisions are
    frozen. So that no pair of roots is passed over, a part is halved until each guard is near the cubic that has its
    values and slopes at both ends, and the cubic excludes it.
    """
    ends = np.linspace(low, high, GRID + 1).tolist()
    found: Found = {}
    lonely = _lonely(total.interpreter)
    for sample in range(len(total.rows)):
        for a, b in pairwise(ends):
            _search(total, curve, sample, a, b, found, DEEPEST, lonely)
    result: Found = {}
    last = -np.inf
    for t in sorted(t for t in found if low < t < high):
        if t - last > 1e-12 * (high - low):
            last = t
        result.setdefault(last, []).extend(found[t])
    return result


def ties_on(total: Objective, ends: Array) -> list[Array]:
    """Return the points of a segment, shape (2, p), at which a guard vanishes, up to rounding of the point."""
    curve = _curve(total, ends)
    return [curve.at(t) for t in _breakpoints(total, curve, 0.0, 1.0)]


SNAP = 12
"""Decimals that a root is rounded to, if it is one there as well: 0 is hard to hit from a float that is not short."""


def crossings(term: Objective, ends: tuple[Array, Array], runs: tuple[Execution, Execution]) -> list[Array]:
    """Return points of a segment along a coordinate at which guards of a single term vanish that differ at its ends.

    runs: the executions at the ends. Where they decide a selection differently, the guard that changed is followed with
    the decisions of the first frozen; so guards that vanish twice in between are missed, which `ties_on` looks for. The
    guard is exactly 0 at the point where a float allows that.
    """
    from scipy.optimize import brentq

    (start, end), (left, right) = ends, runs
    along = int(np.abs(end - start).argmax())
    found: list[Array] = []

    def at(s: float) -> Array:
        return np.where(np.arange(len(start)) == along, s, start)

    for k, decision in left.decisions.items():
        if not branches.guarded(term.interpreter, k) or k not in right.decisions:
            continue
        if branches.label(term.interpreter, k, decision) == branches.label(term.interpreter, k, right.decisions[k]):
            continue

        def heights(s: float, k: int = k, decision: Any = decision) -> list[float]:
            run = term.run(at(s), 0, left.decisions)
            return [float(h) for h in branches.differences(term.interpreter, k, run, decision)]

        for i, (a, b) in enumerate(zip(heights(start[along]), heights(end[along]), strict=True)):
            if a * b < 0:
                s = float(brentq(lambda s, i=i, heights=heights: heights(s)[i], start[along], end[along], xtol=1e-15))
                found.append(at(round(s, SNAP) if heights(round(s, SNAP))[i] == 0 else s))
    return found


def _lonely(interpreter: Interpreter) -> set[int]:
    """Return the selections that change no guard when they change their piece: none that is guarded reads them."""
    tape = interpreter.tape
    behind: dict[int, set[int]] = {}
    watched: set[int] = set()
    for k, line in enumerate(tape.code):
        above: set[int] = set().union(*(behind.get(r, ()) for r in tape.operand(k).tolist()))
        row = branches.primitive(interpreter, k)
        if row.selection or row.name == "select":
            if branches.guarded(interpreter, k):
                watched |= above
            if not _has_table(interpreter, k):
                watched.add(k)  # the guards of `max`, `min`, `sort` are about the winner
            above = above | {k}
        behind.update(dict.fromkeys(range(line[OUT], line[OUT] + line[OUTS]), above))
    return set(range(len(tape.code))) - watched


def _search(
    total: Objective, curve: Curve, sample: int, a: float, b: float, found: Found, depth: int, lonely: set[int]
) -> None:
    """Add the roots of the guards of one term in [a, b] to `found`."""
    while b - a > 4e-12:
        inner = 1e-3 * (b - a)
        left = _moving(total, curve, a + inner, sample)
        places = (a, *(a + share * (b - a) for share in BETWEEN), b)
        seen = [_guards(total, _moving(total, curve, t, sample, left.decisions)) for t in places]
        roots = []
        for guard, h in seen[0].items():
            crosses, doubtful = _crossing([guards.get(guard, h) for guards in seen], b - a)
            if doubtful and depth > 0:
                _search(total, curve, sample, a, (a + b) / 2, found, depth - 1, lonely)
                _search(total, curve, sample, (a + b) / 2, b, found, depth - 1, lonely)
                return
            if crosses:
                roots.append((_root(total, curve, sample, left.decisions, guard, a, b), guard))
            elif h.value == 0:
                found.setdefault(a, []).append((sample, guard))
        if roots:
            roots.sort(key=itemgetter(0))
            last = next((t for t, guard in roots if guard.k not in lonely), roots[-1][0])
            for t, guard in roots:
                if t <= last + 1e-12:
                    found.setdefault(t, []).append((sample, guard))
            a = last + 1e-12
        elif depth > 0 and _labels(total, left) != _labels(total, _moving(total, curve, b - inner, sample)):
            # A root within `inner` of the left end: the decisions frozen were those behind it.
            _search(total, curve, sample, a, (a + b) / 2, found, depth - 1, lonely)
            a, depth = (a + b) / 2, depth - 1
        else:
            return


def _crossing(heights: list[Any], width: float) -> tuple[bool, bool]:
    """Return whether a guard changes sign between two ends, and whether it may vanish there more often than that.

    heights: the guard at the left end, at the places between, at the right end. It is taken for the cubic through the
    ends if that is near it in between.
    """
    h, *inner, g = heights
    crosses = bool(h.value * g.value < 0)
    if not (h.curved or g.curved):
        return crosses, False
    slopes = [0.0 if v.tangent is None else float(v.tangent[0]) * width for v in (h, g)]
    cubic = np.polynomial.Polynomial(
        [h.value, slopes[0], 3 * (g.value - h.value) - 2 * slopes[0] - slopes[1], 2 * (h.value - g.value) + sum(slopes)]
    )
    size = max(*(abs(v.value) for v in heights), *(abs(slope) / 4 for slope in slopes))
    if not all(abs(cubic(share) - v.value) <= BENT * size for share, v in zip(BETWEEN, inner, strict=True)):
        return crosses, bool(size > 0 and np.isfinite(size))
    roots = np.asarray(cubic.deriv().roots(), np.complex128)
    turns = [float(t) for t in roots[np.abs(roots.imag) < 1e-9].real if 0 < t < 1]
    signs = np.sign([h.value, *(cubic(t) for t in sorted(turns)), g.value])
    signs = signs[signs != 0]
    return crosses, bool((signs[1:] != signs[:-1]).sum() > crosses)


def _root(
    total: Objective, curve: Curve, sample: int, frozen: dict[int, Any], guard: _Guard, a: float, b: float
) -> float:
    """Return a root of a guard between a and b, where its signs differ."""
    from scipy.optimize import brentq

    def height(t: float) -> float:
        run = total.run(curve.at(t), sample, frozen)
        return float(branches.differences(total.interpreter, guard.k, run, frozen[guard.k])[guard.index])

    if height(a) * height(b) > 0:  # the dual numbers' values are these, unless one is a rounding away from 0
        return a
    return float(brentq(height, a, b, xtol=1e-15, rtol=1e-15))


@dataclass(frozen=True)
class Conservativity:
    """The integrals of <v, γ'> along a curve, for v ∈ D_f(γ(t)), beside f(γ(1)) − f(γ(0)).

    residual: the largest difference, over the choices v that make <v, γ'> least, largest, and that AD makes. relative:
    the same divided by the integral of |<v, γ'>| or the increment, the larger. breakpoints: t in (0, 1) at which a
    guard vanishes, found by their signs. error: bound of the quadrature, by two rules. increment: of f.
    """

    residual: float
    relative: float
    breakpoints: Array
    error: float
    increment: float


def check_conservative(
    subject: Program | Objective,
    path: ArrayLike | Program,
    closure: str = "local",
    data: ArrayLike | None = None,
    tol: float = 1e-13,
) -> Conservativity:
    """Return how well ∫ <v(t), γ'(t)> dt agrees with f(γ(1)) − f(γ(0)), for v(t) ∈ D_f(γ(t)) (Thm. 3, Prop. 2).

    path: points, shape (k, p), joined by segments; or a program of one parameter with p outputs, γ on [0, 1]. closure:
    of D_f, as in `selection_operator`. tol: relative, of the quadrature: Gauss' rules with 5 and 9 nodes, exact for
    polynomials up to degree 9 and 17, on halved intervals until they agree. Where the curve stays in a tie, all
    gradients of the set are tried at each node.

    >>> import simsa
    >>> program = simsa.trace(lambda x: simsa.relu(x[0]) - 2 * abs(x[1]) + simsa.zero(x[0]), 2)
    >>> answer = check_conservative(program, [[-1.0, 1.0], [1.0, -0.5]])
    >>> answer.residual < 1e-14, answer.breakpoints.round(6).tolist()
    (True, [0.5, 0.666667])
    """
    total = scalar(resolve(subject, data))
    curve = _curve(total, path)
    start, end = (total.value(curve.at(t)) for t in (0.0, 1.0))
    smooth = [0.0, *curve.corners, 1.0]
    integrals, error = np.zeros(4), 0.0
    with np.errstate(all="ignore"):
        breaks = [t for a, b in pairwise(smooth) for t in _breakpoints(total, curve, a, b)]
        for a, b in pairwise(sorted({*smooth, *breaks})):
            part, bound = _integral(lambda t: _slopes(total, curve, t, closure), a, b, tol, 12)
            integrals, error = integrals + part, error + bound
    if not np.isfinite([start, end, *integrals]).all():
        raise ProgramError("the program, or its derivative, is not finite everywhere on this path")
    increment = end - start
    residual = float(np.abs(integrals[:3] - increment).max())
    scale = max(abs(increment), float(integrals[3]))
    return Conservativity(residual, residual / scale if scale else residual, np.array(breaks), error, increment)


def _slopes(total: Objective, curve: Curve, t: float, closure: str) -> Array:
    """Return the least and largest <v, γ'> over D_f(γ(t)), AD's own, and its absolute value."""
    x, direction = curve.at(t), curve.velocity(t)
    runs = list(total.runs(x))
    own = float(mean([total.slopes(run) for run in runs])[0] @ direction)
    tied = any(branches.tied(total.interpreter, k, run) for run in runs for k in run.decisions)
    if closure == "local" and not tied:
        return np.array([own, own, own, abs(own)])
    slopes = selection_operator(total, x, closure).vertices @ direction
    return np.array([slopes.min(), slopes.max(), own, abs(own)])


def _integral(slope: Callable[[float], Array], a: float, b: float, tol: float, depth: int) -> tuple[Array, float]:
    """Return the integral of `slope` over [a, b], and a bound of its error: what two rules differ by."""
    middle, half = (a + b) / 2, (b - a) / 2
    fine, rough = (
        half * np.sum([w * slope(middle + half * n) for n, w in zip(*rule, strict=True)], axis=0)
        for rule in (FINE, ROUGH)
    )
    gap = float(np.abs(fine - rough)[:3].max())  # the absolute value is for the scale only, and has kinks
    if gap <= tol * max(float(fine[3]), 1e-3 * (b - a)) or depth == 0:
        return fine, gap
    left, left_gap = _integral(slope, a, middle, tol, depth - 1)
    right, right_gap = _integral(slope, middle, b, tol, depth - 1)
    return left + right, left_gap + right_gap


@dataclass(frozen=True)
class Counterexample:
    """A tie at which a selection is not continuous: point x, sample, register of the node, and what its pieces are.

    pieces: the piece selected with the guard below, at and above 0; values: what they are at x; jump: the largest
    difference that the choice makes to the program's outputs.
    """

    point: Array
    sample: int
    node: int
    pieces: tuple[Any, ...]
    values: tuple[float, ...]
    jump: float


@dataclass(frozen=True)
class Continuity:
    """What a search for discontinuities found. counterexample: the first one, or None.

    samples: segments tried. ties: guards that were brought to 0 on them, each checked. nodes: registers of the
    selections with guards; met: those of which a tie was met, the others being untested.
    """

    counterexample: Counterexample | None
    samples: int
    ties: int
    nodes: tuple[int, ...]
    met: tuple[int, ...]


def check_continuity(
    subject: Program | Objective,
    box: ArrayLike,
    samples: int = 50,
    seed: int = 0,
    data: ArrayLike | None = None,
    tol: float = 1e-8,
) -> Continuity:
    """Search for a point at which a selection of a program is not continuous (Def. 3 demands that it is).

    On segments between random points of the box, every root of a guard is found; there the pieces that are selected
    with this guard below, at and above 0 must agree. `max`, `min` and `sort` are continuous by nature.

    box: (low, high), each a number or shape (p,). tol: two values agree if they differ by at most tol · (1 + |value|).
    To find nothing proves nothing: `met` says which selections were tested at all.

    >>> import simsa
    >>> step = simsa.trace(lambda x: np.where(x[0] > 0.5, x[0] + 1, x[0]), 1)
    >>> found = check_continuity(step, (-1, 1)).counterexample
    >>> found.point.round(9).tolist(), round(found.jump, 9)
    ([0.5], 1.0)
    """
    total = resolve(subject, data)
    low, high = box_of(total, box)
    if samples < 1:
        raise ProgramError(f"expected at least one sample, got {samples}")
    interpreter, rng = total.interpreter, np.random.default_rng(seed)
    nodes: set[int] = set()
    met: set[int] = set()
    done, ties, counterexample = 0, 0, None
    while done < samples and counterexample is None:
        done += 1
        curve = _curve(total, low + (high - low) * rng.random((2, total.p)))
        for run in total.runs(curve.at(0.5)):
            nodes |= {k for k in run.decisions if _has_table(interpreter, k)}
        for t, vanishing in _breakpoints(total, curve, 0.0, 1.0).items():
            for sample, guard in vanishing:
                if _has_table(interpreter, guard.k):
                    ties, met = ties + 1, met | {guard.k}
                    counterexample = counterexample or _disagreement(total, curve.at(t), sample, guard, tol)
    registers = [tuple(sorted(int(interpreter.tape.nodes[k]) for k in group)) for group in (nodes, met)]
    return Continuity(counterexample, done, ties, registers[0], registers[1])


def _has_table(interpreter: Interpreter, k: int) -> bool:
    """Tell whether selection k has a branch table with guards that parameters move."""
    row = branches.primitive(interpreter, k)
    return branches.guarded(interpreter, k) and (row.arity is not None or row.name == "select")


def _disagreement(total: Objective, x: Array, sample: int, guard: _Guard, tol: float) -> Counterexample | None:
    """Return a counterexample if the pieces beside a root of a guard differ there."""
    interpreter, k = total.interpreter, guard.k
    run = total.run(x, sample)
    decisions = [branches.decided(interpreter, k, run, guard.index, sign) for sign in (-1, 0, 1)]
    values = [float(branches.value(interpreter, k, run, decision)) for decision in decisions]
    if max(values) - min(values) <= tol * (1.0 + max(map(abs, values))):
        return None
    outputs = [total.outputs(total.run(x, sample, {k: decision})) for decision in decisions]
    jump = max(float(np.abs(a - b).max()) for a in outputs for b in outputs)
    labels = tuple(branches.label(interpreter, k, decision) for decision in decisions)
    return Counterexample(x, sample, int(interpreter.tape.nodes[k]), labels, tuple(values), jump)
