"""Clarke's subdifferential, and whether a point is critical for it, or for automatic differentiation alone."""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.balls import round_clarke
from simsa.calculus.cells import (
    Beside,
    Cell,
    Search,
    Term,
    cells,
    jumping,
    lone_guards,
    open_cone,
    rank,
    two_sides,
)
from simsa.calculus.dual import DUAL, Dual, seed
from simsa.calculus.dual import dual as dual_of
from simsa.calculus.forms import polynomial_at
from simsa.calculus.minnorm import min_norm_point
from simsa.calculus.mixed import mixed, plain, proved
from simsa.calculus.objective import Objective, executions, mean, norms, numbers, point, resolve, scalar
from simsa.calculus.sets import LIMIT, Assignment, SetValue, jacobians, named, selection_operator
from simsa.calculus.walls import doubt_beside
from simsa.errors import ProgramError
from simsa.formats import FLOAT64
from simsa.machine.reference import Execution
from simsa.primitives.arithmetic import Arithmetic
from simsa.program.program import Program
from simsa.tape.tape import OUT, OUTS
from simsa.vocabulary import PointKind, TieKind

Array = NDArray[np.float64]

RADII = (1e-2, 1e-3, 1e-4)
"""Where cells that nothing decides are looked for, relative to 1 + |x|."""

STARTS, STEPS = 12, 4
"""Points tried at each radius, and linear programs that improve each."""

NUMBERS = Arithmetic(lambda v: Dual(plain(v)), DUAL.functions)
"""Dual numbers, made of numbers of any length."""

LONG = 45
"""Significant bits beyond which a number in a program is taken to be one that was rounded, as 0.1 is."""


@dataclass(frozen=True)
class Slope:
    """The derivative of an assignment. jacobian: in float64, shape (q, p). terms: of each term, its execution."""

    names: Assignment
    jacobian: Array
    runs: tuple[Execution, ...]


def clarke(
    subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None, limit: int = LIMIT, seed: int = 0
) -> SetValue:
    """Return Clarke's subdifferential ∂^c f(x) = conv{∇f_β(x) : β essential}.

    An assignment β is essential if x is in the closure of the interior of the region where the guards choose it; there
    each guard has a strict sign, or is 0 everywhere. Guards are factored (`forms`): affine factors are decided by
    linear programming in rational numbers, others by their gradients, and then by power series along rays from x,
    whose first coefficient that is not 0 is the sign of a guard beside x. With one parameter the two sides decide
    everything. `certified` is False if that left a cell open, such as a cusp, that was looked for on curves from x and
    at points near it; if it left open whether values agree on a wall between cells (`walls`); or if rounding decides a
    guard, or whether two values agree. `why` says which.

    For an objective J it is ∂^c J, of the mean and not the mean of the sets (`minkowski_sum`). The vertices of a
    program with q > 1 outputs are Jacobians. Raises ProgramError if more than `limit` cells meet at x, and if f jumps
    at x or at points as near to it as one likes, where no such set exists.

    >>> import simsa
    >>> program = simsa.trace(lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), 1)
    >>> clarke(program, [0.0]).vertices.tolist()
    [[1.0]]
    """
    objective = resolve(subject, data)
    at = point(objective, x)
    return _clarke(objective, at, limit, seed, cones=False)[0]


def _clarke(objective: Objective, x: Array, limit: int, seed: int, cones: bool) -> tuple[SetValue, list[Slope]]:
    """Return Clarke's set and, with `cones`, the derivatives in the cells that hold an open cone.

    If these are one, f is differentiable at x, and this is its derivative.
    """
    terms = [Term(objective, x, i, run) for i, run in enumerate(executions(objective, x))]
    why = next((doubt for term in terms if (doubt := term.doubt())), "")
    found = list(cells(terms, limit))
    search, rng = Search(terms, seed), np.random.default_rng(seed)
    open_cells = [open_cone(cell) for cell in found]
    if not all(open_cells):
        search.start()
        if search.whole:
            found = [cell for cell in found if search.ray(cell)]
            open_cells = [True] * len(found)
    known: list[Slope] = []
    left: list[tuple[Cell, Slope]] = []
    for cell, is_open in zip(found, open_cells, strict=True):
        slope = _slope(objective, cell)
        if is_open or search.ray(cell):
            if not all(term.agrees(run) for term, run in zip(terms, cell.runs, strict=True)):
                raise jumping(x, terms, cell)
            if not np.isfinite(slope.jacobian).all():
                raise ProgramError("an executed piece has no finite derivative at this point")
            if not why and not (cell.exact and all(map(Term.verified, terms, cell.runs, cell.choices))):
                why = "pieces or guards agree up to rounding only"
            known.append(slope)
        else:
            left.append((cell, slope))
    known = wide = _distinct(known)
    for cell, slope in left:
        # A cell whose gradient is in the hull already need not be looked for, unless it may hold a cone of its own.
        finite = bool(np.isfinite(slope.jacobian).all())
        hull = [(slope.jacobian - other.jacobian).ravel() for other in known] if finite else []
        inside = bool(hull) and min_norm_point(np.array(hull), exact=True).contains == "in"
        if inside and not (cones and all((slope.jacobian != other.jacobian).any() for other in wide)):
            continue
        seen, cone = (True, False) if search.curve(cell) else _looked_for(cell, len(x), 1.0 + np.abs(x).max(), rng)
        if not inside:
            why = why or "a cell between curved guards was looked for on curves and at points nearby"
            if seen and not all(term.agrees(run) for term, run in zip(terms, cell.runs, strict=True)):
                raise jumping(x, terms, cell)
            known = _distinct([*known, slope]) if seen else known
        if cone:
            wide = _distinct([*wide, slope])
    if not known:
        raise ProgramError("no cell was found beside this point; are the guards' sides finite?")
    if not all(np.isfinite(slope.jacobian).all() for slope in known):
        raise ProgramError("an executed piece has no finite derivative at this point")
    why = doubt_beside(terms, x, seed) or why
    jacobians = np.array([slope.jacobian for slope in known])
    order = np.lexsort(jacobians.reshape(len(known), -1).T[::-1])
    shape = (-1, objective.p) if objective.q == 1 else (-1, objective.q, objective.p)
    names = tuple(known[i].names for i in order)
    return SetValue(jacobians[order].reshape(shape), names, "clarke", not why, why), wide or known


def _slope(objective: Objective, cell: Cell) -> Slope:
    """Return the derivative of the assignment of a cell."""
    jacobian = mean([objective.slopes(run) for run in cell.runs]) + 0.0
    names = tuple(name for i, choices in enumerate(cell.choices) for name in named(objective, i, choices))
    return Slope(names, jacobian, tuple(cell.runs))


def _distinct(slopes: list[Slope]) -> list[Slope]:
    """Return the derivatives that differ, each once."""
    return list({slope.jacobian.tobytes(): slope for slope in reversed(slopes)}.values())[::-1]


@dataclass(frozen=True)
class Classification:
    """What a point is. kind: "clarke" (0 ∈ ∂^c f), "artificial" (0 ∈ D_f, 0 ∉ ∂^c f) or "regular" (0 ∉ D_f).

    distance_selection, distance_clarke: the distances of 0 from D_f and ∂^c f. tie: None if nothing is tied;
    "harmless", if f is differentiable and AD returns its gradient; "C", if f is differentiable and AD returns another
    vector; "Sing", if f is not differentiable. certified: of ∂^c f; why it is not, if so.
    """

    kind: PointKind
    distance_selection: float
    distance_clarke: float
    tie: TieKind | None
    certified: bool
    why: str = field(default="", repr=False)


def classify(
    subject: Program | Objective,
    x: ArrayLike,
    tol: float = 1e-12,
    closure: str = "local",
    data: ArrayLike | None = None,
    limit: int = LIMIT,
) -> Classification:
    """Return whether x is Clarke critical, artificial, or regular, and what its ties are.

    tol: 0 counts as in a set if each entry of the nearest vector is at most tol, or the rounding of the sum of absolute
    contributions to that entry: no entry's size says anything about another. Gradients that tell the ties are compared
    exactly where nothing was rounded, else entry by entry up to that rounding; tol has no part in it. closure: of D_f,
    as in `selection_operator`. Source: Bolte and Pauwels (NeurIPS 2020), Section 5.1.

    >>> import simsa
    >>> classify(simsa.trace(lambda x: x[0] - simsa.zero(x[0]), 1), [0.0]).kind
    'artificial'
    """
    objective = scalar(resolve(subject, data))
    at = point(objective, x)
    if any(norms(objective.interpreter, run) for run in objective.runs(at)):
        return _classify_round(objective, at, tol, limit)
    selection = selection_operator(objective, at, closure, limit=limit)
    generalized, beside = _clarke(objective, at, limit, 0, cones=True)
    runs = tuple(objective.runs(at))
    entries = _Entries(objective, at, runs)
    (far, clarke_in), (near, selection_in) = (
        _distance(found.vertices, np.maximum(tol, entries.rounding)) for found in (generalized, selection)
    )
    kind = PointKind.REGULAR
    if clarke_in or selection_in:
        kind = PointKind.CLARKE if clarke_in else PointKind.ARTIFICIAL
    tie: TieKind | None = None
    if any(branches.tied(objective.interpreter, k, run) for run in runs for k in run.decisions):
        own = Slope((), objective.gradient(at)[None], runs)
        kink = any(entries.differ(beside[0], other) for other in beside[1:])
        tie = TieKind.SING if kink else TieKind.C if entries.differ(beside[0], own) else TieKind.HARMLESS
    return Classification(kind, near, far, tie, generalized.certified, generalized.why)


def _distance(vertices: Array, small: Array) -> tuple[float, bool]:
    """Return the distance of 0 from a hull, and whether 0 is in it, up to `small`, shape (p,), in each entry."""
    nearest = min_norm_point(vertices, exact=True)
    if nearest.contains == "in":
        return 0.0, True
    # In units of each entry, for a large one hides small ones from a solver.
    _, exponents = np.frexp(np.abs(vertices).max(0))
    scaled = min_norm_point(np.ldexp(vertices, -exponents), exact=True)
    if scaled.contains == "in":
        return 0.0, True
    points = (nearest.point, np.ldexp(scaled.point, exponents))
    return nearest.norm, any(bool((np.abs(v) <= small).all()) for v in points)


class _Entries:
    """Compares gradients entry by entry: exactly if nothing was rounded, else up to the rounding of their sums."""

    def __init__(self, objective: Objective, x: Array, runs: tuple[Execution, ...]) -> None:
        self.objective, self.x, self.runs = objective, x, runs

    @cached_property
    def rounding(self) -> Array:
        """Return the rounding of the sum of absolute contributions to each entry, shape (p,)."""
        return self._rounding(self.runs)

    def _rounding(self, runs: tuple[Execution, ...]) -> Array:
        sizes = mean([self._contributions(run) for run in runs])
        roundings = self.objective.interpreter.tape.roundings + len(self.objective.rows)
        return np.asarray(roundings * FLOAT64.epsilon * sizes, np.float64)

    def _contributions(self, run: Execution) -> Array:
        """Return the sum of absolute contributions to each entry of the gradient of an execution."""
        interpreter = self.objective.interpreter
        sizes = np.zeros(interpreter.tape.registers)
        sizes[interpreter.tape.outputs[0]] = 1.0
        with np.errstate(all="ignore"):
            for k in range(len(interpreter.code) - 1, -1, -1):
                reads = interpreter.reads[k]
                out, outs = interpreter.code[k][OUT], interpreter.code[k][OUTS]
                if sizes[out : out + outs].any():
                    for j, slopes in enumerate(interpreter.partials(k, run)):
                        for r, d in zip(reads, slopes, strict=True):
                            if d is not None and sizes[out + j]:
                                sizes[r] += sizes[out + j] * abs(float(d))
        return sizes[: self.objective.p]

    @cached_property
    def given(self) -> bool:
        """Tell whether the numbers of the program and its data are short, and so not rounded ones."""
        tape = self.objective.interpreter.tape
        every = np.concatenate([tape.constant_values, tape.numbers, self.objective.rows.ravel()])
        finite = every[np.isfinite(every)]
        return all(Fraction(v).numerator.bit_length() <= LONG or v.is_integer() for v in finite.tolist())

    @cached_property
    def terms(self) -> list[Term]:
        """Return the terms at the point."""
        return [Term(self.objective, self.x, i, run) for i, run in enumerate(self.runs)]

    def _exact(self, slope: Slope) -> list[list[Any]]:
        """Return the gradient of each term in mixed numbers."""
        found = []
        for term, run in zip(self.terms, slope.runs, strict=True):
            decisions = {k: _mixed_weights(decision) for k, decision in run.decisions.items()}
            found.append(term.exact.backward(term.run_exactly(decisions)))
        return found

    def differ(self, one: Slope, two: Slope) -> bool:
        """Tell whether two gradients differ."""
        apart = one.jacobian[0] != two.jacobian[0]
        if not apart.any():
            return False
        gap = np.abs(one.jacobian[0] - two.jacobian[0])
        if (gap > np.maximum(self._rounding(one.runs), self._rounding(two.runs)))[apart].any():
            return True
        if not self.given:
            return False
        sides = [self._exact(one), self._exact(two)]
        for side, slope in zip(sides, (one, two), strict=True):
            for exact, run in zip(side, slope.runs, strict=True):
                floats = self.objective.slopes(run)[0]
                if not all(proved(a) and a == b for a, b in zip(exact, floats.tolist(), strict=True)):
                    return False
        return any(
            sum(a) != sum(b) for a, b in zip(zip(*sides[0], strict=True), zip(*sides[1], strict=True), strict=True)
        )


def _mixed_weights(decision: Any) -> Any:
    """Return a decision with its weights as rational numbers."""
    weighted = isinstance(decision, tuple) and decision and isinstance(decision[0], tuple)
    return tuple((mixed(w), j) for w, j in decision) if weighted else decision


def _classify_round(objective: Objective, x: Array, tol: float, limit: int) -> Classification:
    """Return what a point is where a norm is 0: D_f has the whole ball there, and so has Clarke's set if certified."""
    found, gradient = round_clarke(objective, x, limit=limit), objective.gradient(x)
    small = tol * max(1.0, *(float(np.abs(body.center).max()) for body in found.bodies))
    distance = found.nearest(np.zeros(objective.p)).norm
    right = bool(np.abs(found.bodies[0].center - gradient).max() <= small)
    tie = TieKind.SING if not found.single else TieKind.HARMLESS if right else TieKind.C
    kind = PointKind.CLARKE if distance <= small else PointKind.REGULAR
    return Classification(kind, distance, distance, tie, found.certified)


@dataclass(frozen=True)
class Membership:
    """Whether v is in conv(V). True if so as a bool, also where rounding leaves it undecided and the distance is tiny.

    weights: λ with Σ λ_i g_i = v, if it is in, and the set was listed. direction: w with <w, g − v> > 0 for every g of
    V, if it is out.
    proof: "in" or "out" in rational arithmetic on the vertices as computed, or "undecided". certified: of ∂^c f.
    """

    member: bool
    weights: Array | None
    direction: Array | None
    distance: float
    proof: str
    certified: bool

    def __bool__(self) -> bool:
        return self.member


def is_clarke(
    subject: Program | Objective, x: ArrayLike, v: ArrayLike, data: ArrayLike | None = None, tol: float = 1e-12
) -> Membership:
    """Return whether v is in Clarke's subdifferential of f at x, with weights or a separating direction.

    v: shape (p,). tol: where exact arithmetic does not decide, v is in if each entry of the nearest vector is at most
    tol · max(1, |g|), with the largest |g| of that entry. Where more than 8 ties of two pieces each are independent
    (none is behind another, and so are the gradients of their guards), the set is a sum of segments: it is not listed,
    v is looked for in it by bounded least squares, and no weights are returned.

    >>> import simsa
    >>> program = simsa.trace(lambda x: abs(x[0]), 1)
    >>> answer = is_clarke(program, [0.0], [0.5])
    >>> bool(answer), answer.weights.tolist(), answer.proof
    (True, [0.25, 0.75], 'in')
    """
    objective = scalar(resolve(subject, data))
    wanted = point(objective, v)
    at = point(objective, x)
    if any(norms(objective.interpreter, run) for run in objective.runs(at)):
        ball = round_clarke(objective, at)
        near = ball.nearest(wanted)
        inside = near.norm <= tol * max(1.0, *(float(np.abs(body.center).max()) for body in ball.bodies))
        away = None if inside else near.point - wanted
        return Membership(inside, None, away, near.norm, "undecided", ball.certified)
    terms = [Term(objective, at, i, run) for i, run in enumerate(executions(objective, at))]
    product = _product(objective, terms)
    if product is not None:
        doubt = next((why for term in terms if (why := term.doubt())), "") or doubt_beside(terms, at)
        return _in_product(*product, wanted, tol, not doubt)
    found = clarke(objective, x)
    nearest = min_norm_point(found.vertices - wanted, exact=True)
    small = tol * np.maximum(1.0, np.abs(found.vertices).max(0))
    proof = str(nearest.contains)
    member = proof == "in" or (proof == "undecided" and bool((np.abs(nearest.point) <= small).all()))
    return Membership(
        member,
        nearest.weights if member else None,
        None if member else nearest.point,
        nearest.norm,
        proof,
        found.certified,
    )


SEVERAL = 8
"""Independent ties beyond which a sum of segments is not listed."""


def _product(objective: Objective, terms: list[Term]) -> tuple[Array, Array] | None:
    """Return Clarke's set as a sum of segments, g + Σ [0, 1] δ_j, if the ties are many, of two pieces, and independent.

    Then any signs of the guards have a cell beside x, each piece decides by itself what it adds to the gradient, and
    the vertices are all sums.
    """
    if sum(len(term.tied) for term in terms) <= SEVERAL:
        return None
    slopes, sides = [], []
    for term in terms:
        lone = lone_guards(term)
        pairs = {k: two_sides(term, k) for k in lone}
        if set(lone) != set(term.tied) or not all(pairs.values()):
            return None
        slopes += [slope for k in lone for slope in lone[k]]
        sides.append(pairs)
    if len(slopes) != sum(map(len, sides)) or rank(slopes) < len(slopes):
        return None
    base, moves = np.zeros(objective.p), []
    for term, pairs in zip(terms, sides, strict=True):
        picks = np.vstack([np.zeros((1, len(pairs)), np.int64), np.eye(len(pairs), dtype=np.int64)])
        found = jacobians(term.beside, term.run, pairs, picks)[:, 0]
        base = base + found[0]
        moves += list(found[1:] - found[0])
    return base / len(terms), np.array(moves) / len(terms)


def _in_product(base: Array, moves: Array, v: Array, tol: float, certified: bool) -> Membership:
    """Return whether v is in the sum of segments g + Σ [0, 1] δ_j."""
    from scipy.optimize import lsq_linear

    size = np.abs(moves).sum(0) + np.abs(base) + np.abs(v)
    unit = np.where(size > 0, size, 1.0)
    answer = lsq_linear((moves / unit).T, (v - base) / unit, bounds=(0.0, 1.0), method="bvls")
    shares = np.clip(answer.x, 0.0, 1.0)
    shares = np.where(np.abs(shares - shares.round(12)) < 1e-13, shares.round(12), shares)
    rest = [Fraction(a) - Fraction(b) for a, b in zip(base.tolist(), v.tolist(), strict=True)]
    for w, row in zip(shares.tolist(), moves.tolist(), strict=True):
        for i, d in enumerate(row):
            if w and d:
                rest[i] += Fraction(w) * Fraction(d)
    if not any(rest):
        return Membership(True, None, None, 0.0, "in", certified)
    gap = np.array([float(r) for r in rest])
    direction = gap / unit**2
    least = sum((Fraction(a) * (Fraction(b) - Fraction(c)) for a, b, c in zip(
        direction.tolist(), base.tolist(), v.tolist(), strict=True)), Fraction(0))  # fmt: skip
    for row in moves.tolist():
        along = sum((Fraction(a) * Fraction(d) for a, d in zip(direction.tolist(), row, strict=True) if d), Fraction(0))
        least += min(along, Fraction(0))
    if least > 0:
        return Membership(False, None, direction, float(np.linalg.norm(gap)), "out", certified)
    member = bool((np.abs(gap) <= tol * np.maximum(1.0, size)).all())
    return Membership(member, None, None if member else direction, float(np.linalg.norm(gap)), "undecided", certified)


def lexicographic(
    subject: Program | Objective, x: ArrayLike, M: ArrayLike | None = None, data: ArrayLike | None = None
) -> Array:
    """Return an element of Clarke's subdifferential by forward mode: f'(x; M) M⁻¹, with the lexicographic derivative.

    Values are x + ε m_1 + ε² m_2 + ..., compared in lexicographic order: at a tie the piece is taken that is
    executed in direction m_1, if that ties in direction m_2, and so on. M: shape (p, p), nonsingular; the identity by
    default. The result has shape (p,), or (q, p). Raises ProgramError if a tie of different slopes remains, where first
    order does not decide. Source: Nesterov (2005); Khan and Barton, "A vector forward mode of automatic
    differentiation for generalized derivative evaluation" (2015).

    >>> import simsa
    >>> program = simsa.trace(lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), 1)
    >>> lexicographic(program, [0.0]).tolist()
    [1.0]
    """
    objective = resolve(subject, data)
    at = point(objective, x)
    directions = np.eye(objective.p) if M is None else numbers(M, "a matrix M")
    square = directions.shape == (objective.p, objective.p) and np.isfinite(directions).all()
    if not square or not np.linalg.cond(directions) < 1e12:
        raise ProgramError(f"M must be a nonsingular matrix of shape ({objective.p}, {objective.p})")
    slopes = []
    for i, there in enumerate(executions(objective, at)):
        term = Term(objective, at, i, there)
        dual = Beside(term.tape, there, term.bounds, DUAL)
        run = dual.run(seed(at, directions), term.row)
        for k in run.decisions:
            if branches.tied(dual, k, run) and _unsettled(dual, k, run):
                raise ProgramError("a tie whose pieces differ remains to first order in every direction of M")
        outputs = [dual_of(v) for v in term.results(run)]
        if any(v.value != own for v, own in zip(outputs, term.outputs, strict=True)):
            raise ProgramError(
                f"the program jumps at {at.tolist()}, to {[float(v) for v in outputs]}: it is no selection function "
                "(Def. 3)"
            )
        slopes.append(np.array([np.zeros(objective.p) if v.tangent is None else v.tangent for v in outputs]))
    jacobian: Array = np.asarray(np.linalg.solve(directions.T, mean(slopes).T).T, np.float64)
    return jacobian[0] if objective.q == 1 else jacobian


def _unsettled(dual: Beside, k: int, run: Execution) -> bool:
    """Tell whether a guard of selection k is zero along all directions, and its pieces move differently."""
    guards = branches.differences(dual, k, run, run.decisions[k])
    if not any(h.sign() == 0 and not branches.identically_zero(h) for h in guards):
        return False
    if branches.selection(dual, k).orders:
        return False  # equal operands: their slopes are equal as well
    values = [dual_of(branches.value(dual, k, run, d)) for d in branches.options(dual, k, run, LIMIT)]
    moves = [np.zeros(1) if v.tangent is None else v.tangent for v in values]
    return any(v.value != values[0].value or (move != moves[0]).any() for v, move in zip(values, moves, strict=True))


def goldstein(
    subject: Program | Objective,
    x: ArrayLike,
    radius: float,
    samples: int = 100,
    seed: int = 0,
    data: ArrayLike | None = None,
) -> "Goldstein":
    """Return the min-norm point of Goldstein's ε-subdifferential, from gradients at random points of a ball.

    conv{∂^c f(y) : |y − x| ≤ ε} by the gradients at x and at `samples` points, uniform in the ball: a subset of it, so
    the norm is an upper bound, that falls as there are more samples. Points outside the domain are left out. At a point
    with a tie, where AD's answer may be no subgradient, it is Clarke's set there that counts. Source: Burke, Lewis and
    Overton (2005).

    >>> import simsa
    >>> program = simsa.trace(lambda x: abs(x[0]), 1)
    >>> goldstein(program, [1e-3], radius=1e-2).norm, goldstein(program, [1.0], radius=1e-2).norm
    (0.0, 1.0)
    """
    objective = scalar(resolve(subject, data))
    at = point(objective, x)
    if not (0 < radius < np.inf and samples >= 1):
        raise ProgramError(f"expected a radius above 0 and at least one sample, got {radius!r}, {samples!r}")
    executions(objective, at)
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(samples, objective.p))
    lengths = radius * rng.random(samples) ** (1 / objective.p) / np.linalg.norm(directions, axis=1)
    gradients = np.vstack([_clarke_or_gradient(objective, y) for y in (at, *(at + directions * lengths[:, None]))])
    nearest = min_norm_point(gradients)
    return Goldstein(nearest.point, nearest.norm, radius, samples, gradients, nearest.weights)


def _clarke_or_gradient(objective: Objective, x: Array) -> Array:
    """Return the vertices of Clarke's set at x, shape (r, p); without a tie AD's gradient, if f is defined there."""
    runs = list(objective.runs(x))
    if any(branches.tied(objective.interpreter, k, run) for run in runs for k in run.decisions):
        return clarke(objective, x).vertices
    value = mean([objective.outputs(run) for run in runs])
    return mean([objective.slopes(run) for run in runs])[np.isfinite(value)]


@dataclass(frozen=True)
class Goldstein:
    """The min-norm point of sampled gradients: point, norm, and radius ε and number of samples behind them.

    vertices: the gradients, those at x first, shape (r, p). weights: of the point.
    """

    point: Array
    norm: float
    radius: float
    samples: int
    vertices: Array
    weights: Array


def _looked_for(cell: Cell, p: int, size: float, rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether points near x are in the cell, at every radius; and whether plain random directions find it."""
    wide = True
    for radius in RADII:
        reach, found = radius * size, False
        for start in range(STARTS):
            t, steps = reach * _direction(p, cell, rng, start), 0
            while not (found := _strictly(cell, t)) and steps < STEPS:
                t, steps = _improved(cell, t, reach), steps + 1
            if found:
                wide = wide and steps == 0 and start % 2 == 0
                break
        if not found:
            return False, False
    return True, wide


def _direction(p: int, cell: Cell, rng: np.random.Generator, start: int) -> Array:
    """Return a random unit vector; every other one along which no guard changes, where a cusp would lie."""
    direction = rng.normal(size=p)
    slopes = [polynomial.slope for polynomial in cell.signs if polynomial.slope]
    if start % 2 and slopes:
        _, singular, rows = np.linalg.svd(np.array([[plain(s.get(i, 0)) for i in range(p)] for s in slopes]))
        null = rows[np.sum(singular > 1e-9 * singular.max(initial=0.0)) :]
        if len(null):
            direction = null.T @ rng.normal(size=len(null))
    unit: Array = direction / np.linalg.norm(direction)
    return unit


def _guards_at(cell: Cell, t: Array) -> list[Dual]:
    """Return the polynomials of a cell at x + t, each with the sign that makes it positive in the cell."""
    moving = seed(t, np.eye(len(t)))
    with np.errstate(all="ignore"):
        return [s * polynomial_at(polynomial, moving, NUMBERS) for polynomial, s in cell.signs.items()]


def _strictly(cell: Cell, t: Array) -> bool:
    """Tell whether x + t is in the open cell."""
    return all(h.value > 0 for h in _guards_at(cell, t))


def _improved(cell: Cell, t: Array, reach: float) -> Array:
    """Return a point near x at which the smallest of the signed guards is larger, to first order at x + t (an LP)."""
    from scipy.optimize import linprog

    rows, values = [], []
    for h in _guards_at(cell, t):
        length = 0.0 if h.tangent is None else float(np.linalg.norm(h.tangent))
        if h.tangent is not None and 0 < length < np.inf and np.isfinite(h.value):
            rows.append([*(-h.tangent / length), 1.0])
            values.append(h.value / length)
    if not rows or not np.abs(values).max():
        return t
    # In units of the guards, which are far smaller than the radius in a cusp.
    unit, p = float(np.abs(values).max()), len(t)
    bounds = [((-reach - b) / unit, (reach - b) / unit) for b in t.tolist()]
    answer = linprog([0.0] * p + [-1.0], np.array(rows), np.array(values) / unit, bounds=[*bounds, (None, 1.0)])
    improved: Array = t + unit * answer.x[:p] if answer.status == 0 else t
    return improved
