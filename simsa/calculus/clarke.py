"""Clarke's subdifferential, and whether a point is critical for it, or for automatic differentiation alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.balls import round_clarke
from simsa.calculus.dual import Beside, seed
from simsa.calculus.minnorm import min_norm_point
from simsa.calculus.objective import Objective, executions, mean, norms, numbers, point, resolve, scalar
from simsa.calculus.sets import LIMIT, Assignment, SetValue, distinct, named, selection_operator
from simsa.errors import ProgramError
from simsa.machine.reference import Execution, Interpreter
from simsa.program.program import Program

Array = NDArray[np.float64]

ANGLE = 1e-9
"""The smallest margin, over unit normals, at which an open cone is certified in float64."""

RADII = (1e-2, 1e-3, 1e-4)
"""Where regions that first order does not decide are looked for, relative to 1 + |x|."""

STARTS, STEPS = 12, 4
"""Points tried at each radius, and linear programs that improve each."""


@dataclass(frozen=True)
class Cell:
    """A way to decide every tie that may be executed on an open set beside the point.

    choices: what is decided at the tied selections of each term. normals: σ a of the tied guards, unit vectors, which
    must be positive along a direction into the cell. affine: whether all these guards are affine. flat: whether a
    guard has no slope here. wide: whether the cell is known to hold an open cone.
    """

    choices: tuple[dict[int, branches.Alternative], ...]
    normals: tuple[Array, ...] = ()
    affine: bool = True
    flat: bool = False
    wide: bool = True

    def decisions(self, term: int) -> dict[int, Any]:
        """Return the decisions of one term."""
        return {k: alternative.decision for k, alternative in self.choices[term].items()}


def clarke(
    subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None, limit: int = LIMIT, seed: int = 0
) -> SetValue:
    """Return Clarke's subdifferential ∂^c f(x) = conv{∇f_β(x) : β essential}.

    An assignment β is essential if x is in the closure of the interior of the region where the guards choose it. With
    a_j the gradients of the tied guards and σ_j the signs that β needs, min-norm of conv{σ_j a_j} decides: a point
    v ≠ 0 is a direction along which all σ_j <a_j, v> > 0, so β is essential; 0 means there is none (Gordan), and so
    β is not essential if those guards are affine. Then `certified` is True. What remains (guards that are curved, or
    have no slope) is looked for at points near x, and `certified` is False if the answer depends on it.

    For an objective J it is ∂^c J, of the mean and not the mean of the sets (`minkowski_sum`). The vertices of a
    program with q > 1 outputs are Jacobians. Raises ProgramError if more than `limit` cells meet at x.

    >>> import simsa
    >>> program = simsa.trace(lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), 1)
    >>> clarke(program, [0.0]).vertices.tolist()
    [[1.0]]
    """
    objective = resolve(subject, data)
    at = point(objective, x)
    return _clarke(objective, at, limit, seed, cones=False)[0]


def _clarke(objective: Objective, x: Array, limit: int, seed: int, cones: bool) -> tuple[SetValue, list[Array]]:
    """Return Clarke's set and, with `cones`, the Jacobians of the cells that hold an open cone.

    If there is one such Jacobian, f is differentiable at x, and this is its derivative.
    """
    known: list[tuple[Assignment, Array]] = []
    doubtful: list[tuple[Cell, Assignment, Array]] = []
    runs = executions(objective, x)
    slopes = [objective.slopes(run) for run in runs]
    for cell in _cells(objective, x, runs, limit):
        decisions = [cell.decisions(i) for i in range(len(runs))]
        jacobian = mean([
            objective.slopes(replace(run, decisions={**run.decisions, **choices})) if choices else slope
            for run, slope, choices in zip(runs, slopes, decisions, strict=True)
        ]) + 0.0  # fmt: skip
        if not np.isfinite(jacobian).all():
            raise ProgramError("an executed piece has no finite derivative at this point")
        names = tuple(name for i, choices in enumerate(decisions) for name in named(objective, i, choices))
        if cell.wide:
            known.append((names, jacobian))
        else:
            doubtful.append((cell, names, jacobian))
    known = distinct(known)
    certified, wide = True, list(known)
    rng = np.random.default_rng(seed)
    for cell, names, jacobian in doubtful:
        # A cell whose gradient is in the hull already need not be looked for, unless it may hold a cone of its own.
        hull = [(jacobian - other).ravel() for _, other in known]
        inside = bool(hull) and min_norm_point(np.array(hull), exact=True).contains == "in"
        if inside and not (cones and all((jacobian != other).any() for _, other in wide)):
            continue
        found, open_cone = _looked_for(objective, x, cell, rng)
        if not inside:
            certified = False
            known = distinct([*known, (names, jacobian)]) if found else known
        if open_cone:
            wide = distinct([*wide, (names, jacobian)])
    if not known:
        raise ProgramError("no cell was found beside this point; are the guards' sides finite?")
    jacobians = np.array([jacobian for _, jacobian in known])
    order = np.lexsort(jacobians.reshape(len(known), -1).T[::-1])
    shape = (-1, objective.p) if objective.q == 1 else (-1, objective.q, objective.p)
    names_in_order = tuple(known[i][0] for i in order)
    found_set = SetValue(jacobians[order].reshape(shape), names_in_order, "clarke", certified)
    return found_set, [jacobian for _, jacobian in wide or known]


def _cells(objective: Objective, x: Array, runs: list[Execution], limit: int) -> Iterator[Cell]:
    """Yield the cells that meet at x: tie by tie, each decision and the signs of the guards that it needs.

    Branches of the tree that hold no open cone are cut where that is proved, and carried on in doubt where not.
    """
    interpreter = objective.interpreter
    ties = [(i, k) for i, run in enumerate(runs) for k in run.decisions if branches.tied(interpreter, k, run)]
    beside = {i: Beside(interpreter.tape, runs[i]) for i, _ in ties}
    start, leaves = Cell(tuple({} for _ in objective.rows)), 0
    stack = [(start, 0)]
    while stack:
        cell, depth = stack.pop()
        if depth == len(ties):
            leaves += 1
            if leaves > limit:
                raise ProgramError(f"more than {limit} cells meet at this point, of {len(ties)} ties; use limit=")
            yield cell
            continue
        i, k = ties[depth]
        dual, decisions = beside[i], {**runs[i].decisions, **cell.decisions(i)}
        run = dual.run(seed(x, np.eye(objective.p)), objective.rows[i].tolist(), decisions)
        for alternative in branches.alternatives(dual, k, run, limit):
            decided = replace(alternative, decision=_plain(alternative.decision))
            choices = tuple({**c, k: decided} if j == i else c for j, c in enumerate(cell.choices))
            guards = branches.differences(dual, k, run, alternative.decision)
            signed = [(guards[index], sign) for index, sign in alternative.signs]
            narrowed = _narrowed(replace(cell, choices=choices), signed)
            if narrowed is not None:
                stack.append((narrowed, depth + 1))


def _plain(decision: Any) -> Any:
    """Return a decision with its weights as float64."""
    weighted = isinstance(decision, tuple) and decision and isinstance(decision[0], tuple)
    return tuple((np.float64(float(w)), j) for w, j in decision) if weighted else decision


def _narrowed(cell: Cell, conditions: list[tuple[Any, int]]) -> Cell | None:
    """Return the cell where more guards have their signs, or None if it is proved to be thin."""
    fresh = []
    for h, sign in conditions:
        length = float(np.linalg.norm(h.tangent))
        if not np.isfinite(length):
            raise ProgramError("a guard has no finite derivative at this point")
        cell = replace(cell, affine=cell.affine and not h.curved)
        if length == 0.0 or sign == 0:
            cell = replace(cell, flat=True, wide=False)
        else:
            fresh.append(sign * h.tangent / length)
    if not fresh:
        return cell
    cell = replace(cell, normals=(*cell.normals, *fresh))
    normals = np.array(cell.normals)
    middle = normals.sum(0)
    length = float(np.linalg.norm(middle))
    # The middle of the normals is often a direction into the cell, and cheap; else the best one is asked for.
    if (normals @ middle).min() > ANGLE * length or min_norm_point(normals).norm > ANGLE:
        return cell
    if cell.affine and min_norm_point(normals, exact=True).contains == "in":
        return None
    return replace(cell, wide=False)


@dataclass(frozen=True)
class Classification:
    """What a point is. kind: "clarke" (0 ∈ ∂^c f), "artificial" (0 ∈ D_f, 0 ∉ ∂^c f) or "regular" (0 ∉ D_f).

    distance_selection, distance_clarke: the distances of 0 from D_f and ∂^c f. tie: None if nothing is tied;
    "harmless", if f is differentiable and AD returns its gradient; "C", if f is differentiable and AD returns another
    vector; "Sing", if f is not differentiable. certified: of ∂^c f.
    """

    kind: str
    distance_selection: float
    distance_clarke: float
    tie: str | None
    certified: bool


def classify(
    subject: Program | Objective,
    x: ArrayLike,
    tol: float = 1e-12,
    closure: str = "local",
    data: ArrayLike | None = None,
    limit: int = LIMIT,
) -> Classification:
    """Return whether x is Clarke critical, artificial, or regular, and what its ties are.

    tol: distances up to tol · max(1, |g|), over the gradients g of D_f, count as 0: gradients are rounded. So do
    differences of the gradients that tell the ties. closure: of D_f, as in `selection_operator`. Source: Bolte and
    Pauwels (NeurIPS 2020), Section 5.1.

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
    small = tol * max(1.0, float(np.abs(selection.vertices).max()))
    far, near = (min_norm_point(found.vertices).norm for found in (generalized, selection))
    kind = "clarke" if far <= small else "artificial" if near <= small else "regular"
    tie = None
    if any(branches.tied(objective.interpreter, k, run) for run in objective.runs(at) for k in run.decisions):
        gradient, slopes = objective.gradient(at), np.array([jacobian[0] for jacobian in beside])
        wrong = np.abs(slopes - gradient).max(initial=0.0) > small
        tie = "Sing" if np.ptp(slopes, axis=0).max() > small else "C" if wrong else "harmless"
    return Classification(kind, near, far, tie, generalized.certified)


def _classify_round(objective: Objective, x: Array, tol: float, limit: int) -> Classification:
    """Return what a point is where a norm is 0: D_f has the whole ball there, and so has Clarke's set if certified."""
    found, gradient = round_clarke(objective, x, limit=limit), objective.gradient(x)
    small = tol * max(1.0, *(float(np.abs(body.center).max()) for body in found.bodies))
    distance = found.nearest(np.zeros(objective.p)).norm
    right = bool(np.abs(found.bodies[0].center - gradient).max() <= small)
    tie = "Sing" if not found.single else "harmless" if right else "C"
    return Classification("clarke" if distance <= small else "regular", distance, distance, tie, found.certified)


@dataclass(frozen=True)
class Membership:
    """Whether v is in conv(V). True if so as a bool, also where rounding leaves it undecided and the distance is tiny.

    weights: λ with Σ λ_i g_i = v, if it is in. direction: w with <w, g − v> > 0 for every g of V, if it is out.
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

    v: shape (p,). tol: where exact arithmetic does not decide, v is in if its distance is at most tol · max(1, |g|).

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
    found = clarke(objective, x)
    nearest = min_norm_point(found.vertices - wanted, exact=True)
    small = tol * max(1.0, float(np.abs(found.vertices).max()))
    proof = str(nearest.contains)
    member = proof == "in" or (proof == "undecided" and nearest.norm <= small)
    return Membership(
        member,
        nearest.weights if member else None,
        None if member else nearest.point,
        nearest.norm,
        proof,
        found.certified,
    )


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
    terms = []
    for there, row in zip(executions(objective, at), objective.rows, strict=True):
        dual = Beside(objective.interpreter.tape, there)
        run = dual.run(seed(at, directions), row.tolist())
        for k in run.decisions:
            if branches.tied(objective.interpreter, k, there) and _unsettled(dual, k, run):
                raise ProgramError("a tie whose pieces differ remains to first order in every direction of M")
        outputs = [run.values[r].tangent for r in objective.interpreter.tape.outputs]
        terms.append(np.array([np.zeros(objective.p) if t is None else t for t in outputs]))
    jacobian: Array = np.asarray(np.linalg.solve(directions.T, mean(terms).T).T, np.float64)
    return jacobian[0] if objective.q == 1 else jacobian


def _unsettled(dual: Interpreter, k: int, run: Any) -> bool:
    """Tell whether a guard of selection k is zero along all directions, and its pieces move differently."""
    row = branches.primitive(dual, k)
    guards = branches.differences(dual, k, run, run.decisions[k])
    if not any(h.sign() == 0 and not branches.identically_zero(h) for h in guards):
        return False
    if row.arity is None and row.name != "select":
        return False  # equal operands: their slopes are equal as well
    values = [branches.value(dual, k, run, d) for d in branches.agreeing(dual, k, run, LIMIT)]
    moves = [np.zeros(1) if v.tangent is None else v.tangent for v in values]
    return any((move != moves[0]).any() for move in moves)


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


def _looked_for(objective: Objective, x: Array, cell: Cell, rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether points near x execute the cell, at every radius; and whether plain random directions find it."""
    wide = True
    for radius in RADII:
        reach = radius * (1.0 + float(np.abs(x).max()))
        found = False
        for start in range(STARTS):
            y, steps = x + reach * _direction(objective.p, cell, rng, start), 0
            while not (found := _executes(objective, y, cell)) and steps < STEPS:
                y, steps = _improved(objective, x, y, cell, reach), steps + 1
            if found:
                wide = wide and steps == 0 and start % 2 == 0
                break
        if not found:
            return False, False
    return True, wide


def _direction(p: int, cell: Cell, rng: np.random.Generator, start: int) -> Array:
    """Return a random unit vector; every other one along which no guard changes, where a cusp would lie."""
    direction = rng.normal(size=p)
    if start % 2 and cell.normals:
        _, singular, rows = np.linalg.svd(np.array(cell.normals))
        null = rows[np.sum(singular > ANGLE) :]
        if len(null):
            direction = null.T @ rng.normal(size=len(null))
    unit: Array = direction / np.linalg.norm(direction)
    return unit


def _executes(objective: Objective, y: Array, cell: Cell) -> bool:
    """Tell whether the terms at y make the decisions of the cell; operands that are equal there are one."""
    interpreter = objective.interpreter
    for i in range(len(objective.rows)):
        run = objective.run(y, i)
        for k, decision in cell.decisions(i).items():
            row, made = branches.primitive(interpreter, k), run.decisions[k]
            if row.name == "sort":
                values = interpreter.line(k, run.values)[2]
                agrees = all(values[a] == values[b] for a, b in zip(decision, made, strict=True))
            elif row.name in ("max", "min"):
                values = interpreter.line(k, run.values)[2]
                agrees = bool(values[decision[0]] == values[made[0]])
            else:
                agrees = branches.label(interpreter, k, made) == branches.label(interpreter, k, decision)
            if not agrees:
                return False
    return True


def _improved(objective: Objective, x: Array, y: Array, cell: Cell, reach: float) -> Array:
    """Return a point near x at which the smallest of the signed guards is larger, to first order at y (an LP)."""
    from scipy.optimize import linprog

    rows, values = [], []
    for i, choices in enumerate(cell.choices):
        run = objective.dual.run(seed(y, np.eye(objective.p)), objective.rows[i].tolist(), cell.decisions(i))
        for k, alternative in choices.items():
            guards = branches.differences(objective.dual, k, run, alternative.decision)
            for index, sign in alternative.signs:
                h = guards[index]
                length = float(np.linalg.norm(h.tangent))
                if sign and 0 < length < np.inf:
                    rows.append([*(-sign * h.tangent / length), 1.0])
                    values.append(sign * h.value / length)
    if not rows:
        return y
    # In units of the guards, which are far smaller than the radius in a cusp.
    unit = float(np.abs(values).max()) or reach
    bounds = [((a - reach - b) / unit, (a + reach - b) / unit) for a, b in zip(x, y, strict=True)]
    p = objective.p
    answer = linprog([0.0] * p + [-1.0], np.array(rows), np.array(values) / unit, bounds=[*bounds, (None, 1.0)])
    improved: Array = y + unit * answer.x[:p] if answer.status == 0 else y
    return improved
