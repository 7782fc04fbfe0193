"""Clarke's subdifferential, and whether a point is critical for it or for AD only."""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.balls import round_clarke
from simsa.calculus.dual import DUAL, Dual, seed
from simsa.calculus.dual import dual as dual_of
from simsa.calculus.forms import polynomial_at
from simsa.calculus.minnorm import min_norm_point
from simsa.calculus.mixed import mixed, plain, proved
from simsa.calculus.objective import Objective, executions, mean, norms, numbers, point, resolve, scalar
from simsa.calculus.regions import (
    AnchoredInterpreter,
    Region,
    Search,
    Term,
    jump_error,
    open_cone,
    rank,
    regions,
    two_sides,
    unnested_ties,
)
from simsa.calculus.sets import LIMIT, Assignment, SetValue, jacobians, named, selection_operator
from simsa.calculus.walls import unproved_continuity
from simsa.errors import ProgramError
from simsa.formats import FLOAT64
from simsa.machine.reference import Execution
from simsa.primitives.arithmetic import Arithmetic
from simsa.program.program import Program
from simsa.tape.tape import OUT, OUTS
from simsa.vocabulary import PointKind, TieKind

Array = NDArray[np.float64]

RADII = (1e-2, 1e-3, 1e-4)
"""The radii of balls in which undecided regions are searched for, relative to 1 + |x|."""

STARTS, STEPS = 12, 4
"""The number of points tried at each radius, and of linear programs that improve each point."""

NUMBERS = Arithmetic(lambda v: Dual(plain(v)), DUAL.functions)
"""The arithmetic of dual numbers, which takes numbers beyond float64 as infinite."""

LONG = 45
"""A number in a program with more significant bits than this is taken to be rounded, as 0.1 is."""


@dataclass(frozen=True)
class Derivative:
    """The derivative of a branch assignment.

    names: the assignment. jacobian: float64, shape (q, p). runs: the execution of each term under the assignment.
    """

    names: Assignment
    jacobian: Array
    runs: tuple[Execution, ...]


def clarke(
    subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None, limit: int = LIMIT, seed: int = 0
) -> SetValue:
    """Return Clarke's subdifferential ∂^c f(x) = conv{∇f_β(x) : β essential}.

    Parameters
    ----------
    subject
        A program or an objective. For an objective J the result is ∂^c J, the set of the mean; it may be smaller than
        the mean of the sets (`minkowski_sum`).
    x
        The point, shape (p,).
    data
        The data inputs of a program, shape (d,).
    limit
        The largest number of regions that may meet at x.
    seed
        Of the random directions in which regions are searched for that are not decided otherwise.

    Returns
    -------
    SetValue
        Its vertices have shape (r, p), or (r, q, p) if there are q > 1 outputs. `certified` says whether the set is
        proved, and `why` what is not proved.

    Raises
    ------
    ProgramError
        If more than `limit` regions meet at x, or if f is discontinuous at x or arbitrarily close to it: then there is
        no such set. Also if a value or derivative is not finite, or a norm is 0 at x (see `round_clarke`).

    Notes
    -----
    A branch assignment β is essential if x is in the closure of the interior of its region, the set of points that
    execute β. In the interior each guard has a strict sign, or is 0 everywhere. At a point without ties the set is the
    gradient.

    Guards are factored (`forms`). Regions between affine factors are decided by linear programming in rational numbers;
    other factors by their gradients, and then by power series along rays from x. With one parameter the two sides of x
    decide everything. The set is not certified if a region, such as a cusp, is only searched for on curves from x and
    at random points; if it is not proved that values agree on a wall between regions (`walls`); or if rounding may
    decide a guard, or whether two values agree.

    References
    ----------
    Clarke, Optimization and Nonsmooth Analysis (1983); Bolte and Pauwels (NeurIPS 2020), Section 5.1; Scholtes,
    Introduction to Piecewise Differentiable Equations (2012), for essentially active selections.

    Examples
    --------
    >>> import simsa
    >>> program = simsa.trace(lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), 1)
    >>> clarke(program, [0.0]).vertices.tolist()
    [[1.0]]
    """
    objective = resolve(subject, data)
    at = point(objective, x)
    return _clarke(objective, at, limit, seed, cones=False)[0]


def _clarke(objective: Objective, x: Array, limit: int, seed: int, cones: bool) -> tuple[SetValue, list[Derivative]]:
    """Return Clarke's set and, with `cones`, the derivatives in the regions that contain an open cone with apex x.

    If these derivatives are equal, f is differentiable at x, and this is its derivative.
    """
    terms = [Term(objective, x, i, run) for i, run in enumerate(executions(objective, x))]
    why = next((doubt for term in terms if (doubt := term.doubt())), "")
    found = list(regions(terms, limit))
    search, rng = Search(terms, seed), np.random.default_rng(seed)
    has_cone = [open_cone(region) for region in found]
    if not all(has_cone):
        search.start()
        if search.complete:
            found = [region for region in found if search.ray(region)]
            has_cone = [True] * len(found)
    known: list[Derivative] = []
    left: list[tuple[Region, Derivative]] = []
    for region, cone_inside in zip(found, has_cone, strict=True):
        slope = _slope(objective, region)
        if cone_inside or search.ray(region):
            if not all(term.agrees(run) for term, run in zip(terms, region.runs, strict=True)):
                raise jump_error(x, terms, region)
            if not np.isfinite(slope.jacobian).all():
                raise ProgramError("an executed piece has no finite derivative at this point")
            if not why and not (region.exact and all(map(Term.verified, terms, region.runs, region.choices))):
                why = "pieces or guards agree up to rounding only"
            known.append(slope)
        else:
            left.append((region, slope))
    known = wide = _distinct(known)
    for region, slope in left:
        # A region whose gradient is in the hull already is not searched for, unless it may contain a further cone.
        finite = bool(np.isfinite(slope.jacobian).all())
        hull = [(slope.jacobian - other.jacobian).ravel() for other in known] if finite else []
        inside = bool(hull) and min_norm_point(np.array(hull), exact=True).contains == "in"
        if inside and not (cones and all((slope.jacobian != other.jacobian).any() for other in wide)):
            continue
        seen, cone = (True, False) if search.curve(region) else _sampled(region, len(x), 1.0 + np.abs(x).max(), rng)
        if not inside:
            why = why or "a region between curved guards was looked for on curves and at points nearby"
            if seen and not all(term.agrees(run) for term, run in zip(terms, region.runs, strict=True)):
                raise jump_error(x, terms, region)
            known = _distinct([*known, slope]) if seen else known
        if cone:
            wide = _distinct([*wide, slope])
    if not known:
        raise ProgramError("no region was found beside this point; are the guards' sides finite?")
    if not all(np.isfinite(slope.jacobian).all() for slope in known):
        raise ProgramError("an executed piece has no finite derivative at this point")
    why = unproved_continuity(terms, x, seed) or why
    jacobians = np.array([slope.jacobian for slope in known])
    order = np.lexsort(jacobians.reshape(len(known), -1).T[::-1])
    shape = (-1, objective.p) if objective.q == 1 else (-1, objective.q, objective.p)
    names = tuple(known[i].names for i in order)
    return SetValue(jacobians[order].reshape(shape), names, "clarke", not why, why), wide or known


def _slope(objective: Objective, region: Region) -> Derivative:
    """Return the derivative of the branch assignment of a region."""
    jacobian = mean([objective.slopes(run) for run in region.runs]) + 0.0
    names = tuple(name for i, choices in enumerate(region.choices) for name in named(objective, i, choices))
    return Derivative(names, jacobian, tuple(region.runs))


def _distinct(slopes: list[Derivative]) -> list[Derivative]:
    """Return the derivatives that differ, each once."""
    return list({slope.jacobian.tobytes(): slope for slope in reversed(slopes)}.values())[::-1]


@dataclass(frozen=True)
class Classification:
    """What a point is.

    Attributes
    ----------
    kind
        "clarke" (0 ∈ ∂^c f), "artificial" (0 ∈ D_f, but 0 ∉ ∂^c f) or "regular" (neither).
    distance_selection, distance_clarke
        The distances of 0 from D_f and from ∂^c f.
    tie
        None if nothing is tied; "harmless" if f is differentiable and AD returns its gradient; "C" if f is
        differentiable and AD returns another vector; "Sing" if f is not differentiable.
    certified
        Whether ∂^c f is proved.
    why
        What is not proved; else empty.
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
    """Return whether x is Clarke critical, an artificial critical point or regular, and of which kind its ties are.

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    x
        The point, shape (p,).
    tol
        0 counts as an element of a set if each entry of the vector nearest to 0 is at most `tol` in absolute value, or
        at most the rounding error of that entry.
    closure
        Of D_f: "local" or "full", as for `selection_operator`.
    data
        The data inputs of a program, shape (d,).
    limit
        The largest number of branch assignments, and of regions that may meet at x.

    Returns
    -------
    Classification
        The kind of the point and of its ties.

    Raises
    ------
    ProgramError
        As `clarke` and `selection_operator`.

    Notes
    -----
    The kind of the ties does not depend on `tol`. Gradients are compared exactly where nothing was rounded, else entry
    by entry up to the rounding error, which is the sum of the absolute contributions to the entry, times the unit
    roundoff and the number of roundings.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 5.1.

    Examples
    --------
    >>> import simsa
    >>> classify(simsa.trace(lambda x: x[0] - simsa.zero(x[0]), 1), [0.0]).kind
    'artificial'
    """
    objective = scalar(resolve(subject, data))
    at = point(objective, x)
    if any(norms(objective.interpreter, run) for run in objective.runs(at)):
        return _classify_round(objective, at, tol, limit)
    selection = selection_operator(objective, at, closure, limit=limit)
    generalized, derivatives = _clarke(objective, at, limit, 0, cones=True)
    runs = tuple(objective.runs(at))
    entries = _Entries(objective, at, runs)
    (to_clarke, in_clarke), (to_selection, in_selection) = (
        _distance(found.vertices, np.maximum(tol, entries.rounding)) for found in (generalized, selection)
    )
    kind = PointKind.REGULAR
    if in_clarke or in_selection:
        kind = PointKind.CLARKE if in_clarke else PointKind.ARTIFICIAL
    tie: TieKind | None = None
    if any(branches.tied(objective.interpreter, k, run) for run in runs for k in run.decisions):
        own = Derivative((), objective.gradient(at)[None], runs)
        kink = any(entries.differ(derivatives[0], other) for other in derivatives[1:])
        tie = TieKind.SING if kink else TieKind.C if entries.differ(derivatives[0], own) else TieKind.HARMLESS
    return Classification(kind, to_selection, to_clarke, tie, generalized.certified, generalized.why)


def _distance(vertices: Array, small: Array) -> tuple[float, bool]:
    """Return the distance of 0 from a hull, and whether 0 is in it up to the tolerance `small` of each entry, (p,)."""
    nearest = min_norm_point(vertices, exact=True)
    if nearest.contains == "in":
        return 0.0, True
    # The entries are scaled one by one, since a solver loses small entries beside large ones.
    _, exponents = np.frexp(np.abs(vertices).max(0))
    scaled = min_norm_point(np.ldexp(vertices, -exponents), exact=True)
    if scaled.contains == "in":
        return 0.0, True
    points = (nearest.point, np.ldexp(scaled.point, exponents))
    return nearest.norm, any(bool((np.abs(v) <= small).all()) for v in points)


class _Entries:
    """Compares gradients entry by entry: exactly if nothing was rounded, else up to their rounding errors."""

    def __init__(self, objective: Objective, x: Array, runs: tuple[Execution, ...]) -> None:
        self.objective, self.x, self.runs = objective, x, runs

    @cached_property
    def rounding(self) -> Array:
        """Return a bound of the rounding error of each entry of the gradient, shape (p,)."""
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
        """Tell whether the numbers of the program and its data are short, and therefore taken not to be rounded."""
        tape = self.objective.interpreter.tape
        every = np.concatenate([tape.constant_values, tape.numbers, self.objective.rows.ravel()])
        finite = every[np.isfinite(every)]
        return all(Fraction(v).numerator.bit_length() <= LONG or v.is_integer() for v in finite.tolist())

    @cached_property
    def terms(self) -> list[Term]:
        """Return the terms at the point."""
        return [Term(self.objective, self.x, i, run) for i, run in enumerate(self.runs)]

    def _exact(self, slope: Derivative) -> list[list[Any]]:
        """Return the gradient of each term in mixed numbers."""
        found = []
        for term, run in zip(self.terms, slope.runs, strict=True):
            decisions = {k: _mixed_weights(decision) for k, decision in run.decisions.items()}
            found.append(term.exact.backward(term.run_exactly(decisions)))
        return found

    def differ(self, one: Derivative, two: Derivative) -> bool:
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
    """Return what a point is where a norm is 0. There D_f is taken to be the set that `round_clarke` returns."""
    found, gradient = round_clarke(objective, x, limit=limit), objective.gradient(x)
    small = tol * max(1.0, *(float(np.abs(body.center).max()) for body in found.bodies))
    distance = found.nearest(np.zeros(objective.p)).norm
    right = bool(np.abs(found.bodies[0].center - gradient).max() <= small)
    tie = TieKind.SING if not found.single else TieKind.HARMLESS if right else TieKind.C
    kind = PointKind.CLARKE if distance <= small else PointKind.REGULAR
    return Classification(kind, distance, distance, tie, found.certified)


@dataclass(frozen=True)
class Membership:
    """Whether a vector v is in Clarke's subdifferential, the hull of vertices g_i. As a bool it is `member`.

    Attributes
    ----------
    member
        Whether v is in the set; if exact arithmetic does not decide that, whether the distance is within the tolerance.
    weights
        λ with Σ λ_i g_i = v if v is in the set and the vertices were listed; else None.
    direction
        w with <w, g − v> > 0 for every g of the set if v is not in it; else None.
    distance
        The distance of v from the set.
    proof
        "in" or "out" in rational arithmetic on the vertices as computed, or "undecided".
    certified
        Whether the set is proved to be Clarke's subdifferential.
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
    tol
        Where exact arithmetic does not decide, v counts as an element if each entry of the difference to the nearest
        element is at most tol · max(1, |g|), with the largest |g| of that entry over the vertices.

    Returns
    -------
    Membership
        True as a bool if v is an element.

    Raises
    ------
    ProgramError
        As `clarke`.

    Notes
    -----
    If more than 8 selections are tied, each between two pieces, none depending on another, and the gradients of their
    guards are linearly independent, then the set is a sum of segments. Its vertices are not listed; v is searched for
    by bounded least squares, and no weights are returned.

    Examples
    --------
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
        nearest_point = ball.nearest(wanted)
        inside = nearest_point.norm <= tol * max(1.0, *(float(np.abs(body.center).max()) for body in ball.bodies))
        direction = None if inside else nearest_point.point - wanted
        return Membership(inside, None, direction, nearest_point.norm, "undecided", ball.certified)
    terms = [Term(objective, at, i, run) for i, run in enumerate(executions(objective, at))]
    product = _product(objective, terms)
    if product is not None:
        doubt = next((why for term in terms if (why := term.doubt())), "") or unproved_continuity(terms, at)
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
"""The vertices of a sum of more segments than this are not listed."""


def _product(objective: Objective, terms: list[Term]) -> tuple[Array, Array] | None:
    """Return Clarke's set as a sum of segments g + Σ [0, 1] δ_j, if there are many independent ties of two pieces.

    Then there is a region for each choice of signs of the guards, and each tie contributes to the gradient
    independently of the others. The result is g and the δ_j; None if the ties are few or not independent.
    """
    if sum(len(term.tied) for term in terms) <= SEVERAL:
        return None
    slopes, sides = [], []
    for term in terms:
        lone = unnested_ties(term)
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
        found = jacobians(term.anchored, term.run, pairs, picks)[:, 0]
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

    Parameters
    ----------
    subject
        A program or an objective.
    x
        The point, shape (p,).
    M
        The directions m_1, ..., m_p as columns, shape (p, p), nonsingular; the identity if it is left out.
    data
        The data inputs of a program, shape (d,).

    Returns
    -------
    array
        float64, shape (p,), or (q, p) if there are q > 1 outputs.

    Raises
    ------
    ProgramError
        If pieces with different slopes are still tied in all directions of M, if f jumps at x, or if M is singular.

    Notes
    -----
    The program is run at x + ε m_1 + ε² m_2 + ..., and values are compared lexicographically. At a tie it selects the
    piece that is executed in the direction m_1; if that is tied too, in the direction m_2, and so on.

    References
    ----------
    Nesterov, Lexicographic differentiation of nonsmooth functions (2005); Khan and Barton, A vector forward mode of
    automatic differentiation for generalized derivative evaluation (2015).

    Examples
    --------
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
        dual = AnchoredInterpreter(term.tape, there, term.bounds, DUAL)
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


def _unsettled(dual: AnchoredInterpreter, k: int, run: Execution) -> bool:
    """Tell whether a guard of selection k is 0 along all directions while the derivatives of its pieces differ."""
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

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    x
        The point, shape (p,).
    radius
        ε, above 0.
    samples
        The number of random points, at least 1.
    seed
        Of the random points.
    data
        The data inputs of a program, shape (d,).

    Returns
    -------
    Goldstein
        The min-norm point, and the gradients.

    Raises
    ------
    ProgramError
        If an argument does not fit, or f is not defined at x.

    Notes
    -----
    Goldstein's set is conv{∂^c f(y) : |y − x| ≤ ε}. It is replaced by the hull of the gradients at x and at points that
    are uniform in the ball, which is a subset, so that the norm is an upper bound. Points where f is not defined are
    left out. At a point with a tie, Clarke's set is used, since the gradient of AD may not be an element of it.

    References
    ----------
    Burke, Lewis and Overton, A robust gradient sampling algorithm for nonsmooth, nonconvex optimization (2005).

    Examples
    --------
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
    """Return the vertices of Clarke's set at x, shape (r, p); without a tie, the gradient, if f is defined at x."""
    runs = list(objective.runs(x))
    if any(branches.tied(objective.interpreter, k, run) for run in runs for k in run.decisions):
        return clarke(objective, x).vertices
    value = mean([objective.outputs(run) for run in runs])
    return mean([objective.slopes(run) for run in runs])[np.isfinite(value)]


@dataclass(frozen=True)
class Goldstein:
    """The min-norm point of sampled gradients.

    Attributes
    ----------
    point
        The shortest vector in the hull of the gradients, shape (p,).
    norm
        Its Euclidean norm.
    radius
        The radius ε of the ball around x.
    samples
        The number of random points.
    vertices
        The gradients, those at x first, shape (r, p).
    weights
        The weights of the vertices that give the point, shape (r,).
    """

    point: Array
    norm: float
    radius: float
    samples: int
    vertices: Array
    weights: Array


def _sampled(region: Region, p: int, size: float, rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether points of the region were found at every radius, and whether random directions sufficed."""
    wide = True
    for radius in RADII:
        reach, found = radius * size, False
        for start in range(STARTS):
            t, steps = reach * _direction(p, region, rng, start), 0
            while not (found := _inside_open(region, t)) and steps < STEPS:
                t, steps = _improved(region, t, reach), steps + 1
            if found:
                wide = wide and steps == 0 and start % 2 == 0
                break
        if not found:
            return False, False
    return True, wide


def _direction(p: int, region: Region, rng: np.random.Generator, start: int) -> Array:
    """Return a random unit vector; for odd `start` one along which no guard changes to first order, as in a cusp."""
    direction = rng.normal(size=p)
    slopes = [polynomial.slope for polynomial in region.signs if polynomial.slope]
    if start % 2 and slopes:
        _, singular, rows = np.linalg.svd(np.array([[plain(s.get(i, 0)) for i in range(p)] for s in slopes]))
        null = rows[np.sum(singular > 1e-9 * singular.max(initial=0.0)) :]
        if len(null):
            direction = null.T @ rng.normal(size=len(null))
    unit: Array = direction / np.linalg.norm(direction)
    return unit


def _guards_at(region: Region, t: Array) -> list[Dual]:
    """Return the polynomials of a region at x + t, with signs such that all are positive in the region."""
    moving = seed(t, np.eye(len(t)))
    with np.errstate(all="ignore"):
        return [s * polynomial_at(polynomial, moving, NUMBERS) for polynomial, s in region.signs.items()]


def _inside_open(region: Region, t: Array) -> bool:
    """Tell whether x + t is in the interior of the region."""
    return all(h.value > 0 for h in _guards_at(region, t))


def _improved(region: Region, t: Array, reach: float) -> Array:
    """Return a step from x for which the smallest guard is larger than for t, to first order, by linear programming."""
    from scipy.optimize import linprog

    rows, values = [], []
    for h in _guards_at(region, t):
        length = 0.0 if h.tangent is None else float(np.linalg.norm(h.tangent))
        if h.tangent is not None and 0 < length < np.inf and np.isfinite(h.value):
            rows.append([*np.atleast_1d(-h.tangent / length), 1.0])
            values.append(h.value / length)
    if not rows or not np.abs(values).max():
        return t
    # Scaled to the size of the guards, which in a cusp are far smaller than the radius.
    unit, p = float(np.abs(values).max()), len(t)
    bounds = [((-reach - b) / unit, (reach - b) / unit) for b in t.tolist()]
    answer = linprog([0.0] * p + [-1.0], np.array(rows), np.array(values) / unit, bounds=[*bounds, (None, 1.0)])
    improved: Array = t + unit * answer.x[:p] if answer.status == 0 else t
    return improved
