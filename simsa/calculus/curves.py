"""Checks along curves: whether gradients of D_f integrate to the function, and whether a program is continuous."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, islice, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.dual import Dual, seed
from simsa.calculus.objective import Objective, box_of, mean, numbers, objective, resolve, scalar
from simsa.calculus.sets import selection_operator
from simsa.errors import ProgramError
from simsa.machine.exact import EXACT, refusal
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives.operations import SIGNS
from simsa.program.program import Program
from simsa.tape.tape import OUT, OUTS

Array = NDArray[np.float64]

GRID = 16
"""The number of parts of a curve that are searched for breakpoints one after the other."""

DEEPEST = 30
"""The largest number of times that a part of a curve is halved."""

NINE_NODES, FIVE_NODES = (np.polynomial.legendre.leggauss(n) for n in (9, 5))
"""The nodes and weights of Gauss' quadrature rules on [-1, 1]."""

BETWEEN = (0.37, 0.71)
"""The points of a part, as shares of its length, at which a guard is compared with a cubic. They are not simple
fractions, at which a periodic guard might agree with the cubic by chance."""

BENT = 0.02
"""A part is halved if a guard differs from the cubic through its ends by more than this, relative to its size."""


@dataclass(frozen=True)
class Curve:
    """A curve γ: [0, 1] → R^p.

    at: the function γ. velocity: its derivative γ'. corners: the t in (0, 1) at which γ is not differentiable.
    """

    at: Callable[[float], Array]
    velocity: Callable[[float], Array]
    corners: tuple[float, ...] = ()


def _curve(total: Objective, path: ArrayLike | Program) -> Curve:
    """Return a path as a curve: points that are joined by segments, or a program of one parameter with p outputs."""
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


def _program_corners(inner: Objective) -> "Breakpoints":
    """Return the t at which a guard of the program of a curve is 0."""
    line = Curve(lambda t: np.array([t]), lambda t: np.array([1.0]))
    return _breakpoints(inner, line, 0.0, 1.0)


# Breakpoints.


@dataclass(frozen=True)
class _GuardFunction:
    """A function whose zeros are searched for in place of a guard: difference number `index` of selection k.

    factor: which function. None: the difference itself. A register: a factor of the difference, which is then 0 where
    the register is, possibly without a change of sign, as x*x is. "sin" or "cos": that function of π times the operand
    of `floor` or `rint`, which is 0 where these jump.
    """

    k: int
    index: int
    factor: int | str | None = None


Breakpoints = dict[float, list[tuple[int, _GuardFunction]]]
"""By t, the pairs (number of a term, guard function) that are 0 there."""


def _moving(total: Objective, curve: Curve, t: float, sample: int, choices: dict[int, Any] | None = None) -> Execution:
    """Return the execution of a term at γ(t), in dual numbers along γ'(t)."""
    x = [Dual(v, np.array([s])) for v, s in zip(curve.at(t), curve.velocity(t), strict=True)]
    return total.dual.run(x, total.rows[sample].tolist(), choices)


def _guards(total: Objective, run: Execution) -> dict[_GuardFunction, Any]:
    """Return the values of the guard functions in an execution."""
    found = {}
    for k, decision in run.decisions.items():
        if branches.guarded(total.dual, k):
            factors = _factors(total.interpreter, k)
            split = {guard.index for guard in factors}
            for i, h in enumerate(branches.differences(total.dual, k, run, decision)):
                if i not in split and not branches.identically_zero(h):
                    found[_GuardFunction(k, i)] = h
            for guard in factors:
                found[guard] = _height(total.dual, run, guard, decision)
    return found


def _height(interpreter: Interpreter, run: Execution, guard: _GuardFunction, decision: Any) -> Any:
    """Return the value of a guard function under a decision of its selection."""
    if guard.factor is None:
        return branches.differences(interpreter, guard.k, run, decision)[guard.index]
    if isinstance(guard.factor, int):
        return run.values[guard.factor]
    turned = run.values[int(interpreter.tape.operand(guard.k)[0])] * interpreter.arithmetic.number(np.pi)
    return interpreter.arithmetic.functions[guard.factor](turned)


ZERO_AT_JUMPS = {"floor": "sin", "round_even": "cos"}
"""For each step function of x, a function of π x that is 0 where it jumps; the guard itself jumps there, too."""


@lru_cache(maxsize=4096)
def _factors(interpreter: Interpreter, k: int) -> list[_GuardFunction]:
    """Return guard functions of selection k that are factors: of sides that are compared with 0, or of a step."""
    row, tape = branches.primitive(interpreter, k), interpreter.tape
    if row.step_function is not None:
        return [_GuardFunction(k, 0, ZERO_AT_JUMPS[row.step_function])]
    zero = set(tape.constant_registers[tape.constant_values == 0].tolist())
    reads = tape.operand(k).tolist()
    found = []
    for index, pair in enumerate(_pairs(interpreter, k)):
        sides = [reads[i] for i in pair]
        if zero.intersection(sides):
            watched = [r for side in sides if side not in zero for r in _divisors(interpreter, side)]
            found += [_GuardFunction(k, index, r) for r in dict.fromkeys(watched)]
    return found


@lru_cache(maxsize=4096)
def _pairs(interpreter: Interpreter, k: int) -> list[tuple[int, int]]:
    """Return the pairs of operands that a user's selection compares, in the order of its differences; else none."""
    guards = [g for case in interpreter.calls[k].cases for g in case.guards]
    return list(dict.fromkeys((min(g.left, g.right), max(g.left, g.right)) for g in guards))


def _divisors(interpreter: Interpreter, register: int) -> list[int]:
    """Return the registers that are factors of a register; empty if it is not a product."""
    at = {int(line[OUT]): k for k, line in enumerate(interpreter.tape.code)}
    leaves, stack = [], [register]
    while stack:
        r = stack.pop()
        call = interpreter.calls[at[r]] if r in at else None
        if call is not None and call.row.vanishes and all(v > 0 for v in call.numbers[: len(call.row.immediates)]):
            stack += [interpreter.reads[at[r]][i] for i in call.row.vanishes]
        elif r != register:
            leaves.append(r)
    return leaves


def _labels(total: Objective, run: Execution) -> list[Any]:
    """Return the labels of the decisions of an execution."""
    return [branches.label(total.interpreter, k, decision) for k, decision in run.decisions.items()]


def _breakpoints(total: Objective, curve: Curve, low: float, high: float) -> Breakpoints:
    """Return the t in (low, high) at which a guard of some term is 0, in increasing order.

    In each part of the curve, the decisions just behind its left end are kept fixed, so that the guards are smooth, and
    their roots are found by Brent's method. Behind the first root that may change another guard, the decisions there
    are used. So that no pair of roots is missed, a part is halved until each guard is close to the cubic with the same
    values and slopes at both ends, and this cubic has no further roots.
    """
    ends = np.linspace(low, high, GRID + 1).tolist()
    found: Breakpoints = {}
    isolated = _isolated(total.interpreter)
    for sample in range(len(total.rows)):
        for a, b in pairwise(ends):
            _search(total, curve, sample, a, b, found, DEEPEST, isolated)
    result: Breakpoints = {}
    last = -np.inf
    for t in sorted(t for t in found if low < t < high):
        if t - last > 1e-12 * (high - low):
            last = t
        result.setdefault(last, []).extend(found[t])
    return result


def ties_on(total: Objective, ends: Array) -> list[Array]:
    """Return the points of a segment with the given ends, shape (2, p), at which a guard is 0, up to rounding."""
    curve = _curve(total, ends)
    return [curve.at(t) for t in _breakpoints(total, curve, 0.0, 1.0)]


SNAP = 12
"""A root is rounded to this number of decimals if the guard is exactly 0 there, which short floats make likely."""


def crossings(term: Objective, ends: tuple[Array, Array], runs: tuple[Execution, Execution]) -> list[Array]:
    """Return points of a segment at which a guard of a single term changes sign.

    term: an objective of one term. ends: the ends, each of shape (p,), which differ in one coordinate. runs: the
    executions at the ends. For each selection that these decide differently, the roots of guards that change sign are
    found with the decisions of the first end fixed. Guards that are 0 twice are missed; `ties_on` finds these. At a
    returned point the guard is exactly 0 if there is such a float.
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


def _isolated(interpreter: Interpreter) -> set[int]:
    """Return the instructions that no guard depends on, so that no guard changes where they change their piece."""
    tape = interpreter.tape
    behind: dict[int, set[int]] = {}
    watched: set[int] = set()
    for k, line in enumerate(tape.code):
        above: set[int] = set().union(*(behind.get(r, ()) for r in tape.operand(k).tolist()))
        row = branches.primitive(interpreter, k)
        if row.selection:
            if branches.guarded(interpreter, k):
                watched |= above
            if not _has_table(interpreter, k):
                watched.add(k)  # the guards of `max`, `min` and `sort` depend on their own decision
            above = above | {k}
        behind.update(dict.fromkeys(range(line[OUT], line[OUT] + line[OUTS]), above))
    return set(range(len(tape.code))) - watched


def _search(
    total: Objective, curve: Curve, sample: int, a: float, b: float, found: Breakpoints, depth: int, isolated: set[int]
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
                _search(total, curve, sample, a, (a + b) / 2, found, depth - 1, isolated)
                _search(total, curve, sample, (a + b) / 2, b, found, depth - 1, isolated)
                return
            if crosses:
                roots.append((_root(total, curve, sample, left.decisions, guard, a, b), guard))
            elif h.value == 0:
                found.setdefault(a, []).append((sample, guard))
        if roots:
            roots.sort(key=itemgetter(0))
            last = next((t for t, guard in roots if guard.k not in isolated), roots[-1][0])
            for t, guard in roots:
                if t <= last + 1e-12:
                    found.setdefault(t, []).append((sample, guard))
            a = last + 1e-12
        elif depth > 0 and _labels(total, left) != _labels(total, _moving(total, curve, b - inner, sample)):
            # There is a root within `inner` of the left end, and the fixed decisions are those behind it.
            _search(total, curve, sample, a, (a + b) / 2, found, depth - 1, isolated)
            a, depth = (a + b) / 2, depth - 1
        else:
            return


def _crossing(heights: list[Any], width: float) -> tuple[bool, bool]:
    """Return whether a guard changes sign between two ends, and whether it may have further roots there.

    heights: the guard at the left end, at the points BETWEEN, and at the right end, in dual numbers. width: the length
    of the part. If the cubic through the ends is close to the guard at the points between, its roots are counted.
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
    total: Objective, curve: Curve, sample: int, frozen: dict[int, Any], guard: _GuardFunction, a: float, b: float
) -> float:
    """Return a root of a guard in [a, b], at whose ends it has different signs."""
    from scipy.optimize import brentq

    def height(t: float) -> float:
        run = total.run(curve.at(t), sample, frozen)
        return float(_height(total.interpreter, run, guard, frozen[guard.k]))

    if height(a) * height(b) > 0:  # a value is 0 up to rounding, and has another sign in dual numbers
        return a
    return float(brentq(height, a, b, xtol=1e-15, rtol=1e-15, disp=False))  # as close as 100 iterations come


@dataclass(frozen=True)
class Conservativity:
    """The integral of <v, γ'> along a curve, for v ∈ D_f(γ(t)), compared with f(γ(1)) − f(γ(0)).

    Attributes
    ----------
    residual
        The largest absolute difference, over three choices of v: those with the least and the largest <v, γ'>, and the
        gradient of AD.
    relative
        The residual divided by the integral of |<v, γ'>| or by the increment, whichever is larger.
    breakpoints
        The t in (0, 1) at which a guard is 0.
    error
        The estimated error of the quadrature.
    increment
        f(γ(1)) − f(γ(0)).
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
    """Return how well ∫ <v(t), γ'(t)> dt agrees with f(γ(1)) − f(γ(0)), for v(t) ∈ D_f(γ(t)).

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    path
        Points of shape (k, p), k at least 2, which are joined by segments; or a program of one parameter with p
        outputs, which is γ on [0, 1].
    closure
        Of D_f: "local" or "full", as for `selection_operator`.
    data
        The data inputs of a program, shape (d,).
    tol
        The relative tolerance of the quadrature.

    Returns
    -------
    Conservativity
        The residual, which is 0 up to the error of the quadrature.

    Raises
    ------
    ProgramError
        If f or a derivative is not finite on the path, or an argument does not fit.

    Notes
    -----
    Between breakpoints, Gauss' rules with 5 and 9 nodes are used, which are exact for polynomials up to degrees 9 and
    17, on intervals that are halved until the rules agree. Where the curve stays in a tie, all gradients of the set are
    tried at each node.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Theorem 3 and Proposition 2.

    Examples
    --------
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
    """Return the least and the largest <v, γ'> over D_f(γ(t)), that of AD, and its absolute value, shape (4,)."""
    x, direction = curve.at(t), curve.velocity(t)
    runs = list(total.runs(x))
    own = float(mean([total.slopes(run) for run in runs])[0] @ direction)
    tied = any(branches.tied(total.interpreter, k, run) for run in runs for k in run.decisions)
    if closure == "local" and not tied:
        return np.array([own, own, own, abs(own)])
    slopes = selection_operator(total, x, closure).vertices @ direction
    return np.array([slopes.min(), slopes.max(), own, abs(own)])


def _integral(slope: Callable[[float], Array], a: float, b: float, tol: float, depth: int) -> tuple[Array, float]:
    """Return the integral of `slope` over [a, b], and the difference of two rules as an estimate of its error.

    tol: relative, for the difference. depth: how often [a, b] may still be halved.
    """
    middle, half = (a + b) / 2, (b - a) / 2
    nine, five = (
        half * np.sum([w * slope(middle + half * n) for n, w in zip(*rule, strict=True)], axis=0)
        for rule in (NINE_NODES, FIVE_NODES)
    )
    gap = float(np.abs(nine - five)[:3].max())  # without the absolute value, which gives the scale only and has kinks
    if gap <= tol * max(float(nine[3]), 1e-3 * (b - a)) or depth == 0:
        return nine, gap
    left, left_gap = _integral(slope, a, middle, tol, depth - 1)
    right, right_gap = _integral(slope, middle, b, tol, depth - 1)
    return left + right, left_gap + right_gap


@dataclass(frozen=True)
class Counterexample:
    """A point at which a program is not continuous.

    Attributes
    ----------
    point
        x, shape (p,).
    sample
        The number of the term.
    node
        The register of a selection that changes its piece.
    pieces
        The pieces that it selects on one side of x, at x, and on the other side.
    values
        The values of the output that jumps most: its limit from one side, its value at x, and its limit from the
        other side.
    jump
        The largest difference of values of an output.
    """

    point: Array
    sample: int
    node: int
    pieces: tuple[Any, ...]
    values: tuple[float, ...]
    jump: float


@dataclass(frozen=True)
class Continuity:
    """The result of a search for discontinuities.

    Attributes
    ----------
    counterexample
        The first one that was found, or None.
    samples
        The number of segments or points that were tried.
    ties
        The number of ties that were checked.
    nodes
        The registers of the selections with a branch table that depends on parameters.
    met
        Those of them that were tied at some point; the others were not tested.
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
    """Search for a point at which a program is not continuous.

    Parameters
    ----------
    subject
        A program or an objective; each term of an objective is tested.
    box
        (low, high), each a number or shape (p,): where points are tried.
    samples
        The number of random segments of the box, at least 1.
    seed
        Of the random numbers.
    data
        The data inputs of a program, shape (d,).
    tol
        Two values agree if they differ by at most tol · (1 + |value|) plus the effect of rounding x. Rational programs
        are compared without rounding.

    Returns
    -------
    Continuity
        With a counterexample, if one was found. If none was found, nothing is proved; `met` says which selections were
        tested.

    Raises
    ------
    ProgramError
        If an argument does not fit.

    Notes
    -----
    Definition 3 demands that the function of a program is continuous, not each of its selections: x * (x > 0) is. The
    points that are tried are, for each term: roots of guards and of factors of guards on random segments (x*x > 0
    changes no sign where x does); points at which several guards are exactly 0, found by Gauss-Newton steps from random
    points; and points whose coordinates are constants of the program or those of corners of the box. At each of them
    the limits on both sides and the value must agree. Each is f_β for the branch assignment β that is executed there.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Definition 3.

    Examples
    --------
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
    rng = np.random.default_rng(seed)
    search = _Search(total, tol)
    watched = _watched(total.interpreter)
    together = iter(_subsets(watched, total.p) * 2)
    few = [v for v in {0.0, 1.0, -1.0, *total.interpreter.tape.constant_values.tolist()} if np.isfinite(v)]
    done = 0
    while done < samples and search.counterexample is None and search.ties < ENOUGH:
        done += 1
        ends = low + (high - low) * rng.random((2, total.p))
        curve = _curve(total, ends)
        for t, vanishing in _breakpoints(total, curve, 0.0, 1.0).items():
            for sample in dict.fromkeys(sample for sample, _ in vanishing):
                search.look(curve.at(t), ends[1] - ends[0], sample, {g.k for i, g in vanishing if i == sample})
        lattice = np.array(
            [rng.choice([a, b, *(v for v in few if a <= v <= b)]) for a, b in zip(low, high, strict=True)]
        )
        sets = [guards for guards in islice(together, MEETINGS) if len(guards) > 1 or guards[0].k not in search.met]
        for x in [lattice, *(x for guards in sets for x in _meetings(total, guards, ends[0]))]:
            if (low <= x).all() and (x <= high).all():
                search.look_along_lines(x, rng, DIRECTIONS)
    return search.result(done)


def continuity_at(
    subject: Program | Objective, points: ArrayLike, seed: int = 0, data: ArrayLike | None = None, tol: float = 1e-8
) -> Continuity:
    """Test whether a program is continuous at given points, and close to them.

    Parameters
    ----------
    subject
        A program or an objective; each term of an objective is tested.
    points
        The points, shape (k, p), or one point, shape (p,); finite.
    seed
        Of the random directions.
    data
        The data inputs of a program, shape (d,).
    tol
        As for `check_continuity`.

    Returns
    -------
    Continuity
        With a counterexample, if one was found.

    Raises
    ------
    ProgramError
        If an argument does not fit.

    Notes
    -----
    At each point, limits from some directions are compared with the value, as by `check_continuity`; and so they are at
    the roots of guards on one random segment through the point with a length of about 10⁻³ (1 + |x|). This takes about
    100 executions for each point and term.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Definition 3.

    Examples
    --------
    >>> import simsa
    >>> continuity_at(simsa.trace(lambda x: np.where(x[0] * x[0] > 0, x[0], 1.0), 1), [[0.0]]).counterexample.jump
    1.0
    """
    total = resolve(subject, data)
    table = np.atleast_2d(numbers(points, "points"))
    if table.shape[1:] != (total.p,) or not np.isfinite(table).all():
        raise ProgramError(f"expected finite points of shape (k, {total.p}), got {table.shape}")
    rng = np.random.default_rng(seed)
    search = _Search(total, tol)
    for x in table:
        search.look_along_lines(x, rng, DIRECTIONS)
        half = 5e-4 * (1.0 + np.abs(x).max()) * rng.uniform(-1.0, 1.0, total.p)
        curve = _curve(total, np.array([x - half, x + half]))
        for t, vanishing in _breakpoints(total, curve, 0.0, 1.0).items():
            for sample in dict.fromkeys(sample for sample, _ in vanishing):
                search.look(curve.at(t), half, sample, {g.k for i, g in vanishing if i == sample})
        if search.counterexample is not None:
            break
    return search.result(len(table))


ENOUGH = 1000
"""A search ends after this number of ties."""

DISTANCES = (2.0**-24, 2.0**-30, 2.0**-36)
"""The distances from a point at which a program is executed for its limits, relative to 1 + |x|."""

DIRECTIONS = 3
"""The number of random lines through a point along which limits are compared."""

MEETINGS = 4
"""The number of sets of guards that are brought to 0 together, for each segment."""

SUBSETS = 400
"""The largest number of sets of guards that are brought to 0 together."""


class _Search:
    """Tests points for a jump, and records the first counterexample, the number of ties, and the tied selections."""

    def __init__(self, total: Objective, tol: float) -> None:
        self.total, self.tol = total, tol
        self.counterexample: Counterexample | None = None
        self.ties, self.met, self.seen = 0, set[int](), set[bytes]()
        tape, interpreter = total.interpreter.tape, total.interpreter
        self.nodes = {k for k in range(len(tape.code)) if _has_table(interpreter, k)}
        self.steps = {k for k in self.nodes if branches.primitive(interpreter, k).jumps}
        self.exact = Interpreter(tape, EXACT) if refusal(tape) is None else None

    def result(self, samples: int) -> Continuity:
        """Return what was found."""
        origin = self.total.interpreter.tape.nodes
        nodes, met = (tuple(sorted(int(origin[k]) for k in group)) for group in (self.nodes, self.met))
        return Continuity(self.counterexample, samples, self.ties, nodes, met)

    def look_along_lines(self, x: Array, rng: np.random.Generator, lines: int) -> None:
        """Test a point along random lines if a selection of some term is tied there, unless it was tested before."""
        if (x + 0.0).tobytes() in self.seen:
            return
        self.seen.add((x + 0.0).tobytes())
        for sample in range(len(self.total.rows)):
            run = self.total.run(x, sample)
            tied = {k for k in self.nodes if branches.tied(self.total.interpreter, k, run)}
            for direction in rng.uniform(-1.0, 1.0, (lines if tied else 0, self.total.p)):
                self.look(x, direction, sample, tied)

    def look(self, x: Array, direction: Array, sample: int, tied: set[int]) -> None:
        """Test one term at a point along a line. tied: the selections with a guard that is 0 there, up to rounding."""
        self.ties, self.met = self.ties + len(tied & self.nodes), self.met | (tied & self.nodes)
        if self.counterexample is not None or not np.abs(direction).max() > 0:
            return
        unit = direction / np.abs(direction).max() * (1.0 + np.abs(x).max())
        sides = [[self.total.run(x + sign * h * unit, sample) for h in DISTANCES] for sign in (-1.0, 1.0)]
        here = self.total.run(x, sample)
        at = self._at_zero(x, sample, here, self._vanishing(here, sides))
        if not np.isfinite(self.total.outputs(here)).all():
            return  # the program is not defined at the point, which is not a jump
        decided = (sides[0][-1].decisions, at, here.decisions, sides[1][-1].decisions)
        left, right = (self._limit(x, unit, sample, side) for side in sides)
        zero = self._under(x, unit, sample, at)
        found = [left, zero, zero if at is here.decisions else self._under(x, unit, sample, here.decisions), right]
        gaps = {(i, j): self._gap(found[i], found[j]) for i, j in combinations(range(4), 2)}
        (i, j), jump = max(gaps.items(), key=lambda entry: float(entry[1].max()))
        if jump.max() <= 0 or self._agree(x, sample, decided[i], decided[j]):
            return
        changed = [k for k in sorted(self.nodes) if len({self._label(k, one) for one in decided}) > 1]
        node = next(iter(changed or sorted(tied & self.nodes) or sorted(self.nodes)))
        q = int(np.argmax(jump))
        middle = 1 if 1 in (i, j) or 2 not in (i, j) else 2
        shown = (0, middle, 3)
        self.counterexample = Counterexample(
            x,
            sample,
            int(self.total.interpreter.tape.nodes[node]),
            tuple(self._label(node, decided[i]) for i in shown),
            tuple(float(found[i][0][q]) for i in shown),
            float(np.abs(found[i][0] - found[j][0]).max()),
        )

    def _label(self, k: int, decisions: dict[int, Any]) -> Any:
        return branches.label(self.total.interpreter, k, decisions[k])

    def _vanishing(self, here: Execution, sides: list[list[Execution]]) -> dict[int, set[int]]:
        """Return by selection the guards of users' selections that are 0 at the point: exactly, or by a change of sign.

        For the latter the guard function must tend to 0 on both sides; a guard that jumps across 0 does not count.
        """
        interpreter, found = self.total.interpreter, dict[int, set[int]]()
        for k in self.nodes - self.steps:
            guards = [_GuardFunction(k, i) for i in range(len(_pairs(interpreter, k)))] + _factors(interpreter, k)
            for guard in guards:
                left, right = (
                    [float(_height(interpreter, run, guard, run.decisions[k])) for run in (side[0], side[-1])]
                    for side in sides
                )
                tends = all(abs(last) < abs(first) / 4 for first, last in (left, right))
                changes = left[-1] * right[-1] < 0 or min(abs(left[-1]), abs(right[-1])) == 0
                if (tends and changes) or float(_height(interpreter, here, guard, here.decisions[k])) == 0:
                    found.setdefault(k, set()).add(guard.index)
        return found

    def _at_zero(self, x: Array, sample: int, here: Execution, zeros: dict[int, set[int]]) -> dict[int, Any]:
        """Return the decisions at a point if the guards `zeros` are 0 there, by one selection after the other."""
        interpreter, choices, run = self.total.interpreter, dict[int, Any](), here
        for k in sorted(zeros):
            rows = branches.table(interpreter, k, run)
            differences = list({id(h): h for guards, _ in rows for h, _, _ in guards}.values())
            signs = {id(h): int(np.sign(float(h))) for h in differences if float(h) == float(h)}
            signs |= {id(differences[i]): 0 for i in zeros[k]}
            holds = (all(signs.get(id(h)) in SIGNS[r] for h, r, _ in guards) for guards, _ in rows)
            choices[k] = next(decision for (_, decision), held in zip(rows, holds, strict=True) if held)
            run = self.total.run(x, sample, choices)
        return run.decisions

    def _under(self, x: Array, unit: Array, sample: int, decisions: dict[int, Any]) -> tuple[Array, Array]:
        """Return f_β(x) for the assignment of some decisions, and by how much it changes within the rounding of x."""
        value, *shifted = (
            self.total.outputs(self.total.run(x + h * unit, sample, decisions)) for h in (0.0, -4e-15, 4e-15)
        )
        return value, np.max([np.abs(other - value) for other in shifted], axis=0)

    def _limit(self, x: Array, unit: Array, sample: int, runs: list[Execution]) -> tuple[Array, Array]:
        """Return the limit of the program on one side of x, and an estimate of its error.

        runs: executions on that side, ever closer to x. If all have the same assignment β, and f_β(x) is finite, the
        limit is f_β(x). Else it is the value closest to x, with twice its last change as the error; the error is 0 if
        the values grow without bound.
        """
        last = runs[-1].decisions
        same = all(self._label(k, run.decisions) == self._label(k, last) for run in runs for k in self.nodes)
        if same and not self.steps:
            value, error = self._under(x, unit, sample, last)
            if np.isfinite(value).all():
                return value, error
        first, before, value = (self.total.outputs(run) for run in runs)
        grows = (np.abs(value) > 4.0 * np.abs(before)) & (np.abs(before) > 4.0 * np.abs(first))
        return value, np.where(grows, 0.0, 2.0 * np.abs(value - before))

    def _gap(self, a: tuple[Array, Array], b: tuple[Array, Array]) -> Array:
        """Return the differences of two values that exceed the tolerance; 0 where they agree, or one is not finite."""
        with np.errstate(invalid="ignore"):
            gap = np.abs(a[0] - b[0])
            slack = self.tol * (1.0 + np.maximum(np.abs(a[0]), np.abs(b[0]))) + 4.0 * (a[1] + b[1])
        return np.where(gap > slack, gap, 0.0)

    def _agree(self, x: Array, sample: int, one: dict[int, Any], two: dict[int, Any]) -> bool:
        """Tell whether two assignments of a rational program have the same value at x, computed without rounding."""
        if self.exact is None or self.steps:
            return False
        runs = [self.exact.run(x.tolist(), self.total.rows[sample].tolist(), decisions) for decisions in (one, two)]
        outputs = self.total.interpreter.tape.outputs
        values = [[run.values[r] for r in outputs] for run in runs]
        return all(abs(float(a - b)) <= self.tol * (1.0 + abs(float(a))) for a, b in zip(*values, strict=True))


def _has_table(interpreter: Interpreter, k: int) -> bool:
    """Tell whether selection k has a branch table with guards that depend on parameters."""
    row = branches.primitive(interpreter, k)
    return branches.guarded(interpreter, k) and row.selection and not branches.selection(interpreter, k).orders


def jumps(interpreter: Interpreter) -> bool:
    """Tell whether a program has selections that may jump: a user's selection, or a step function."""
    found = (k for k, call in enumerate(interpreter.calls) if call.cases or call.row.jumps)
    return any(branches.guarded(interpreter, k) for k in found)


def _watched(interpreter: Interpreter) -> list[_GuardFunction]:
    """Return the guard functions of users' selections; a guard with factors is represented by these."""
    found = []
    for k, call in enumerate(interpreter.calls):
        if branches.guarded(interpreter, k) and call.cases:
            factors = _factors(interpreter, k)
            split = {guard.index for guard in factors}
            found += [_GuardFunction(k, i) for i in range(len(_pairs(interpreter, k))) if i not in split] + factors
    return found


def _subsets(guards: list[_GuardFunction], p: int) -> list[tuple[_GuardFunction, ...]]:
    """Return up to SUBSETS sets of at most p guards, the small sets first."""
    sets = (subset for size in range(1, p + 1) for subset in combinations(guards, size))
    return list(islice(sets, SUBSETS))


def _meetings(total: Objective, guards: tuple[_GuardFunction, ...], start: Array) -> list[Array]:
    """Return points at which all guards of a set are exactly 0: at most one for each term, by Gauss-Newton steps."""
    found = []
    for sample, row in enumerate(total.rows.tolist()):
        x = start
        for _ in range(40):
            run = total.dual.run(seed(x, np.eye(total.p)), row)
            heights = [_height(total.dual, run, g, run.decisions[g.k]) for g in guards]
            values = np.array([float(h) for h in heights])
            slopes = np.array([np.zeros(total.p) if h.tangent is None else h.tangent for h in heights])
            if not (np.isfinite(values).all() and np.isfinite(slopes).all()) or not values.any():
                break
            step = np.linalg.lstsq(slopes, values)[0]
            x = x - step
            if np.abs(step).max() <= 1e-15 * (1.0 + np.abs(x).max()):
                break
        for candidate in (x, *(x.round(decimals) for decimals in (12, 9, 6, 4, 3))):
            run = total.run(candidate, sample)
            if all(float(_height(total.interpreter, run, g, run.decisions[g.k])) == 0 for g in guards):
                found.append(candidate)
                break
    return found
