"""Classify first sensitive points and final points of trajectories with the calculus: all, or a random sample."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import calculus
from simsa.analysis.estimates import SETTLED, settled
from simsa.analysis.intervals import LEVEL, Stratum, Tally
from simsa.analysis.landings import Landing, Landings
from simsa.errors import ProgramError
from simsa.formats import EXACT, recorded
from simsa.records.status import Status
from simsa.vocabulary import PointKind, TieKind

FINALS = (PointKind.CLARKE, PointKind.ARTIFICIAL, PointKind.NOT_SETTLED)
"""The kinds of the last point of a run that ended."""

EFFORT = 4e6
"""Most operations of the reference interpreter for the classifications of a whole sweep: about two seconds."""

DUAL = 40
"""Operations for each operand of a tape in one classification at a tie, which evaluates some branches, also in dual
numbers: a measured average."""

KINK, KINKS = 4, 2e7
"""Operations for each operand of a tape in one test for a kink, which takes two executions in dual numbers; and most
operations for these tests of a whole sweep: about ten seconds."""

GRADIENTS = 2e9
"""Most operands that the kernels visit for the gradients near final points of a whole sweep: a few seconds."""

HULLS = 3000
"""Most final points of a whole sweep for which the shortest vector in a hull of gradients is computed: a second or
two."""

ASSIGNMENTS = 256
"""Branch assignments at one point beyond which its kind is left undecided."""

Ask = Callable[[calculus.Objective, tuple[str, str], tuple[Any, ...], bytes], tuple[TieKind, bool]]
"""From J, its convention and format, a minibatch and a point to the kind of the tie, and whether it is certified."""

REDRAWN = 100_000
"""Most minibatches of a whole sweep that are drawn again to count the distinct pairs of point and minibatch: a second
or two."""

SHOWN, LEAST_SHOWN = 2000, 10
"""Most final points of a whole sweep that are kept for the figure of final points; and how many a cell has at least."""

SAMPLED = 200
"""Gradients that are sampled near a final point, besides 2 (p + 1). With 20, half of the runs that approach a kink
between thin pieces were taken for not converged (scenarios/sort_loss.toml)."""

CHUNK = 2**22
"""Most numbers in a batch of gradients: it bounds the memory."""


@dataclass(eq=False)
class Subject:
    """What the analysis needs to know of a run besides its records: the functions that were minimised, and the draws.

    objectives: J by the label of the tie convention. minibatch: the function (cell, trajectory, step) -> row numbers of
    the minibatch I_k. alpha: the step sizes alpha_k, shape (steps,). minibatches: every I that can be drawn, as tuples
    of row numbers, or None if there are too many to list. box: (low, high), each of shape (p,), corners of a box that
    holds the initial points. classify: the most sensitive points, and the most final points, of a cell that are
    classified; points that are equal, with equal minibatches, count once. fresh: if samples are streamed, the function
    (cell, trajectory, step) -> samples of that minibatch, shape (size, d); otherwise None. path: the function (cell,
    trajectory) -> some points of the trajectory, shape (., p), from x_0 to its end; None if there is no plan. at: the
    function (cell, trajectory, step k) -> x_k, shape (p,), or None. sgd: whether steps are those of recursion (8).
    settings: the same for each setting of a sweep with further axes, by its name; the other fields are then those of
    the first.
    """

    objectives: Mapping[str, calculus.Objective]
    minibatch: Callable[[int, int, int], Sequence[int]]
    alpha: NDArray[np.float64]
    minibatches: Sequence[tuple[int, ...]] | None
    box: tuple[NDArray[np.float64], NDArray[np.float64]]
    classify: int = 100
    fresh: Callable[[int, int, int], NDArray[np.float64]] | None = None
    path: Callable[[int, int], NDArray[np.float64]] | None = None
    sgd: bool = True
    at: Callable[[int, int, int], NDArray[np.float64]] | None = None
    settings: Mapping[str, "Subject"] = field(default_factory=dict)
    _ties: dict[Any, tuple[TieKind, bool]] = field(default_factory=dict)
    _kinks: dict[Any, bool] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Return p."""
        return self.box[0].size

    def of(self, cell: Mapping[str, Any]) -> "Subject":
        """Return the subject of the setting of a cell. cell: its records, or its summary."""
        return self.settings.get(str(np.asarray(cell["setting"])), self) if "setting" in cell else self

    def objective(self, cell: Mapping[str, Any]) -> calculus.Objective:
        """Return J of a cell, with the samples rounded to the precision of the cell."""
        whole = self.objectives[str(np.asarray(cell["convention"]))]
        rows = _held(whole.rows, cell)
        return whole if rows is whole.rows else calculus.objective(whole.program, rows)

    def drawn(self, cell: Mapping[str, Any], index: int, trajectory: int, step: int) -> tuple[Any, ...]:
        """Return the minibatch of a step as row numbers; if samples are streamed, as the samples of the cell.

        cell: its records. index: its number. trajectory, step: which minibatch.
        """
        if self.fresh is None:
            return tuple(self.minibatch(index, trajectory, step))
        return tuple(map(tuple, _held(self.fresh(index, trajectory, step), cell).tolist()))

    def tie(
        self, objective: calculus.Objective, key: tuple[str, str], minibatch: tuple[Any, ...], point: bytes
    ) -> tuple[TieKind, bool]:
        """Return the kind of the tie of f_I at a point, and whether it is certified. Results are kept.

        objective: J of the cell. key: the convention of the objective, and the format of its samples. minibatch: I, as
        `drawn` returns it. point: the bytes of x in float64.
        """
        question = (key, minibatch, point)
        if question not in self._ties:
            mean = self._mean(objective, minibatch)
            try:
                found = calculus.classify(mean, np.frombuffer(point), limit=ASSIGNMENTS)
                self._ties[question] = (found.tie or TieKind.ROUNDING, found.certified)
            except ProgramError:  # more branches meet here than ASSIGNMENTS, or f_I cannot be classified
                self._ties[question] = self.kink(objective, key, minibatch, point)
        return self._ties[question]

    def kink(
        self, objective: calculus.Objective, key: tuple[str, str], minibatch: tuple[Any, ...], point: bytes
    ) -> tuple[TieKind, bool]:
        """Return Sing if f_I is seen to have a kink at a point (`calculus.kinked`), and undecided if not; uncertified.

        The arguments are those of `tie`. Results are kept, for all conventions, as these differ at ties alone.
        """
        question = (key[-1], minibatch, point)
        if question not in self._kinks:
            try:
                self._kinks[question] = calculus.kinked(self._mean(objective, minibatch), np.frombuffer(point))
            except ProgramError:  # a derivative is not finite, or the program may jump
                self._kinks[question] = False
        return TieKind.SING if self._kinks[question] else TieKind.UNDECIDED, False

    def _mean(self, objective: calculus.Objective, minibatch: tuple[Any, ...]) -> calculus.Objective:
        """Return f_I. objective: J of the cell. minibatch: I, as `drawn` returns it."""
        return calculus.objective(objective.program, minibatch) if self.fresh else objective.minibatch(minibatch)


def _held(rows: NDArray[np.float64], cell: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return samples rounded to the precision of a cell, in float64, shape (n, d)."""
    return recorded(_precision(cell)).rounded(rows)


def _precision(cell: Mapping[str, Any]) -> str:
    """Return the number format of a cell."""
    return str(np.asarray(cell["precision"]))


def tie_kinds(
    cell: Mapping[str, Any], index: int, subject: Subject | None, cells: int, level: float = LEVEL
) -> tuple[dict[str, Any], Landings]:
    """Return what the first sensitive points of a cell are for f_I, I the minibatch of that step, and the landings.

    cell: its records. index: its number, out of `cells`. subject: None if only the records are known; then nothing is
    classified. level: confidence of the intervals, in (0, 1).

    Kinds are those of `TieKind`: harmless, C and Sing as in `calculus.classify`; rounding, if no guard is zero at the
    point, so that rounding in the cell made the tie; undecided, if too many branches meet there or f_I cannot be
    classified. Where all of that is too much work, a point is Sing if f_I is seen to have a kink (`calculus.kinked`),
    and else undecided. Probabilities are of "the first sensitive point is of this kind", among all trajectories. Points
    that are equal, with equal minibatches, are classified once. If there are more distinct ones than
    `subject.classify`, or than EFFORT allows, the trajectories of a random sample are examined. `certified` counts
    those of the `classified` for which the calculus proves its answer.

    C and Sing are landings. A trajectory whose first sensitive point is neither may have landed later, where no point
    is recorded: whether it landed is undecided, unless it met no tie after that point; `later` counts these
    trajectories. In an exact cell, rounding is undecided as well, because the rational point may have a tie that the
    point rounded to float64 has not. `strata`: of the landings, as in `Tally`.
    """
    landings = Landings.of(cell)
    sensitive, total = landings.trajectory, int(np.count_nonzero(landings.run))
    none = "only the records were read, without the program and the data"
    why = "" if subject is not None or not sensitive.size else none
    found: list[TieKind] = []
    certified, later, examined = 0, 0, sensitive[:0]
    if subject is not None and sensitive.size:
        cost = _operands(subject, cell, index)
        allowed = _share(subject.classify, EFFORT, DUAL * cost * (1 + subject.parameters / 100), cells)
        kinks = not allowed
        if kinks:  # Clarke's set is too much work, but a kink shows that the point is in Sing
            allowed = _share(subject.classify, KINKS, KINK * cost, cells)
        if "sensitive_point" not in cell and subject.at is not None:  # points are computed again, step by step
            steps = int(landings.step.max())
            allowed = min(allowed, _share(subject.classify, EFFORT, 3 * cost * steps, cells) if steps else allowed)
            why = _why_not(cell, "", subject.classify, allowed)
        else:
            why = _why_not(cell, "sensitive_point", subject.classify, allowed)
        if not why:
            ask = subject.kink if kinks else subject.tie
            examined, answers = _classified_ties(cell, index, subject, landings, allowed, REDRAWN // cells, ask)
            found, certified = [kind for kind, _ in answers], sum(proved for _, proved in answers)
            at = np.searchsorted(sensitive, examined)
            tied_later = _tied_later(cell, examined, landings.step[at])
            landed = np.isin(found, (TieKind.C, TieKind.SING))
            exact = _precision(cell) == EXACT
            undecided = np.isin(found, [TieKind.UNDECIDED, *[TieKind.ROUNDING] * exact])
            later = int(np.count_nonzero(tied_later & ~landed & ~undecided))
            landings.outcome[at] = np.select(
                [landed, undecided | tied_later], [Landing.LANDED, Landing.UNDECIDED], Landing.NOT_LANDED
            )
    summary = _counted(total, [(sensitive.size, found)], tuple(TieKind), level, why)
    strata = [list(stratum) for stratum in landings.tally().strata]
    return {**summary, "certified": certified, "later": later, "strata": strata}, landings


def _operands(subject: Subject, cell: Mapping[str, Any], index: int) -> float:
    """Return how many operands an execution of f_I visits, for the first minibatch I of a cell."""
    objective = subject.objective(cell)
    terms = max(map(len, subject.minibatches)) if subject.minibatches else len(subject.drawn(cell, index, 0, 0))
    return terms * len(objective.interpreter.tape.operands)


def _classified_ties(
    cell: Mapping[str, Any], index: int, subject: Subject, landings: Landings, allowed: int, redrawn: int, ask: Ask
) -> tuple[NDArray[np.int64], list[tuple[TieKind, bool]]]:
    """Return which sensitive trajectories are examined, in ascending order, with the kind of each, certified or not.

    All of them are examined if they are known to have at most `allowed` distinct pairs of point and minibatch: because
    there are so few points and possible minibatches, or by drawing at most `redrawn` minibatches again. Otherwise
    `allowed` of them are drawn at random. How many are examined depends on the pairs of all of them, and on no answer,
    so each subset of that size is as likely.
    """
    sensitive, kept = landings.trajectory, cell.get("sensitive_point")
    points = None if kept is None else np.asarray(kept).astype(np.float64)
    possible = np.inf if subject.fresh or subject.minibatches is None else len(subject.minibatches)
    distinct = np.inf
    if points is not None and possible <= allowed:
        distinct = len(np.unique(points[sensitive], axis=0))
    if points is None:
        examined = _drawn(sensitive, allowed, cell)
    elif sensitive.size <= redrawn or possible * distinct <= allowed:
        examined = sensitive if sensitive.size <= redrawn or possible == 1 else _drawn(sensitive, redrawn, cell)
    else:
        examined = _drawn(sensitive, allowed, cell)
    step = dict(zip(sensitive.tolist(), landings.step.tolist(), strict=True))

    def point(t: int) -> bytes:
        if points is not None:
            return bytes(points[t].tobytes())
        assert subject.at is not None
        return np.asarray(subject.at(index, t, step[t]), np.float64).tobytes()

    if possible == 1:  # every step has the same minibatch
        whole = tuple(next(iter(subject.minibatches or ())))
        pairs = {t: (whole, point(t)) for t in examined.tolist()}
    else:
        pairs = {t: (subject.drawn(cell, index, t, step[t]), point(t)) for t in examined.tolist()}
    if len(set(pairs.values())) > allowed:
        examined = _drawn(examined, allowed, cell)
    objective = subject.objective(cell)
    key = (str(np.asarray(cell["convention"])), recorded(_precision(cell)).name)  # the samples depend on the format
    return examined, [ask(objective, key, *pairs[t]) for t in examined.tolist()]


def _tied_later(cell: Mapping[str, Any], trajectories: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which trajectories may have met a tie after their first sensitive step; `step` is that step of each.

    `tie_count` steps had a tie. One is the sensitive step, and another is the first step with a tie, if it is earlier.
    """
    earlier = np.asarray(cell["tie_first"])[trajectories] < step
    later: NDArray[np.bool_] = np.asarray(cell["tie_count"])[trajectories] > 1 + earlier
    return later


def final_kinds(
    cell: Mapping[str, Any], subject: Subject, landings: Landings, cells: int, level: float = LEVEL
) -> tuple[dict[str, Any], dict[str, Tally | None]]:
    """Return what the final points of a cell are for J, and the tallies of "clarke" and "artificial".

    cell: its records. subject: the functions of the run. landings: of the cell. cells: how many the run has; they share
    the effort. level: confidence of the intervals, in (0, 1).

    A run is a candidate if it landed, or may have, and settled (`estimates.settled`). artificial: the run is a
    candidate, and at its last point 0 is in D_J but not in Clarke's subdifferential. clarke: 0 is in Clarke's
    subdifferential there; or, for a run that approaches a critical point without reaching it, the shortest vector in
    the hull of gradients near its last point is no longer than SETTLED. These are gradients at random points of the
    ball of radius sqrt(c alpha_K), which is the scale of the noise of SGD with that step; the gradient of AD at the
    last point itself is not among them. not_settled: any other run that ended. A run that did not land is never
    artificial: on its way AD met no tie on which the gradient depends. `distance`: quantiles of the lengths of these
    shortest vectors. `certified` counts those of the examined candidates, `candidates`, for which the calculus proves
    its answer.
    """
    status, landed = np.asarray(cell["status"]), landings.outcomes() != Landing.NOT_LANDED
    total, finished = int(np.count_nonzero(status != Status.NOT_RUN)), status == Status.FINISHED
    candidate = landed & settled(cell)
    candidates, others = np.flatnonzero(candidate), np.flatnonzero(finished & ~candidate)
    objective, radius = subject.objective(cell), float(np.sqrt(float(cell["last_step_size"])))
    operands, n = len(objective.interpreter.tape.operands), len(objective.rows)
    count = SAMPLED + 2 * (objective.p + 1)
    allowed = _share(subject.classify, GRADIENTS, 3 * count * n * (operands + objective.p), cells)
    allowed = min(allowed, _share(subject.classify, HULLS, 1, cells))
    at_ties = _share(subject.classify, EFFORT, DUAL * n * operands * (1 + objective.p / 100), cells)
    why = _why_not(cell, "final", subject.classify, min(allowed, at_ties) if candidates.size else allowed)
    candidate_kinds: list[PointKind] = []
    certified = 0
    other_kinds: list[PointKind] = []
    distances = np.zeros(0)
    limit = max(SHOWN // cells, LEAST_SHOWN)
    some = _drawn(np.flatnonzero(finished), limit, cell)
    examined: list[tuple[int, NDArray[np.int64], Sequence[str]]] = [(int(finished.sum()), some, [""] * some.size)]
    if not why and finished.any():
        points = np.asarray(cell["final"]).astype(np.float64)
        sampler = _GradientSampler(objective, radius, count, seed_of(cell))
        try:
            candidates_drawn, candidate_kinds, certified = _classified_candidates(
                sampler, points, candidates, at_ties, cell, estimated=subject.fresh is not None
            )
            others_drawn = _drawn(others, allowed, cell)
            distances = sampler.distances(points, others_drawn)
            other_kinds = [_kind(d) for d in distances]
            examined = [(candidates.size, candidates_drawn, candidate_kinds), (others.size, others_drawn, other_kinds)]
        except ProgramError as error:
            why = f"J is estimated on {n} streamed samples: {error}"
    strata = [(candidates.size, candidate_kinds), (others.size, other_kinds)]
    summary = _counted(total, strata, FINALS, level, why if finished.any() else "")
    summary |= {
        "certified": certified,
        "candidates": len(candidate_kinds),
        "radius": radius,
        "tolerance": SETTLED,
        "gradients": count,
    }
    summary["distance"] = (
        dict(zip(("least", "median", "largest"), np.quantile(distances, (0, 0.5, 1)).tolist(), strict=True))
        if distances.size
        else None
    )
    summary["points"] = _shown(cell, objective, examined, limit)
    tallies: dict[str, Tally | None] = {
        kind: None if why else _tally(total, strata, kind) for kind in (PointKind.CLARKE, PointKind.ARTIFICIAL)
    }
    return summary, tallies


def _shown(
    cell: Mapping[str, Any],
    objective: calculus.Objective,
    strata: Sequence[tuple[int, NDArray[np.int64], Sequence[str]]],
    limit: int,
) -> dict[str, Any]:
    """Return final points for a figure: `at`, `kind` of each ("" if not classified), `share` of the runs that ended.

    `at` has the coordinates, whose names are `axes`, if there are one or two parameters; otherwise it has the largest
    |entry| of the last minibatch's gradient. Points that are equal to six digits are one, with a larger share. strata:
    of each, how many trajectories it has, which were examined, and their kinds. limit: most points of a stratum.
    """
    p, total = objective.p, sum(size for size, _, _ in strata)
    names = list(objective.program.names) or [f"x[{j}]" for j in range(p)]
    values = np.zeros((len(cell["status"]), 0))
    if p > 2:
        names, values = ["largest |gradient|"], np.asarray(cell["movement"])[:, None] / float(cell["last_step_size"])
    elif "final" in cell:
        values = np.asarray(cell["final"]).astype(np.float64)
    found: dict[str, Any] = {"axes": names, "at": [], "kind": [], "share": []}
    for size, trajectories, kinds in strata if values.size else []:
        rounded = (tuple(float(f"{v:.6g}") for v in values[i]) for i in trajectories)
        counted = Counter(zip(rounded, kinds, strict=True)).most_common(limit)
        every = sum(count for _, count in counted)
        for (at, kind), count in counted:
            found["at"].append(at)
            found["kind"].append(kind)
            found["share"].append(float(f"{size * count / (every * total):.4g}"))
    return found


def _share(limit: int, effort: float, cost: float, cells: int) -> int:
    """Return how many points of a cell may be classified: `limit`, or fewer if all cells together would cost too much.

    effort: the operations for 100 points of each cell; more are allowed if `limit` is larger. cost: of one point.
    """
    return min(limit, int(limit / 100 * effort / (cost * cells)))


def _why_not(cell: Mapping[str, Any], field_name: str, limit: int, allowed: int) -> str:
    """Return why no point is classified; empty if some can be.

    field_name: of the field with the points; empty if they need none.
    """
    if field_name and field_name not in cell:
        return "the points were not recorded (record.points)"
    if not limit:
        return "record.classify is 0"
    return "" if allowed else "the program or the data are too large for a point to be classified in seconds"


def seed_of(cell: Mapping[str, Any]) -> int:
    """Return the seed of the samples that the analysis of a cell draws; cells with the same step scale c share it."""
    return int(np.float64(cell["c"]).view(np.uint64))


def _drawn(population: NDArray[np.int64], count: int, cell: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return `count` trajectories of a population at random, or all if there are no more, in ascending order.

    Each trajectory has a pseudo-random rank, which is a function of its number and of c, so that cells with the same c
    draw the same trajectories.
    """
    if population.size <= count:
        return population
    ranks = np.random.default_rng([seed_of(cell), 0]).random(int(population.max()) + 1)[population]
    return np.sort(population[np.argsort(ranks, kind="stable")[:count]])


@dataclass(frozen=True)
class _GradientSampler:
    """Samples `count` gradients of J at random points of a ball of a radius around a point."""

    objective: calculus.Objective
    radius: float
    count: int
    seed: int

    def distances(self, points: NDArray[np.float64], trajectories: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the length of the shortest vector in the hull of the gradients near each point, shape (trajectories,).

        points: the last point of every trajectory of the cell, shape (., p). trajectories: the numbers of those that
        are asked for. The sample is a function of the seed and of the number of the trajectory. The length is infinite
        where a gradient is not finite.
        """
        objective, p = self.objective, self.objective.p
        if not trajectories.size:
            return np.zeros(0)
        near = np.concatenate([self._points_near(points[t], int(t)) for t in trajectories])
        gradients = np.zeros_like(near)
        for row in objective.rows:
            for i in range(0, len(near), max(CHUNK // p, 1)):
                part = slice(i, i + max(CHUNK // p, 1))
                gradients[part] += objective.program.gradient(near[part], row)
        hulls = (gradients / len(objective.rows)).reshape(trajectories.size, self.count, p)
        if p == 1:  # the hull is an interval
            ends = np.maximum(hulls.min(axis=1), -hulls.max(axis=1)).ravel()
            return np.where(np.isnan(ends), np.inf, np.maximum(ends, 0.0))
        return np.array([calculus.min_norm_point(h).norm if np.isfinite(h).all() else np.inf for h in hulls])

    def _points_near(self, point: NDArray[np.float64], trajectory: int) -> NDArray[np.float64]:
        """Return random points, uniform on the ball around the last point of a trajectory, shape (count, p)."""
        rng = np.random.default_rng([self.seed, 1, trajectory])
        directions = rng.normal(size=(self.count, point.size))
        reach = self.radius * rng.random(self.count) ** (1 / point.size) / np.linalg.norm(directions, axis=1)
        near: NDArray[np.float64] = point + directions * reach[:, None]
        return near


def _kind(distance: float) -> PointKind:
    """Return the kind of a point whose nearby gradients have a shortest vector of this length in their hull."""
    return PointKind.CLARKE if distance <= SETTLED else PointKind.NOT_SETTLED


def _classified_candidates(
    sampler: _GradientSampler,
    points: NDArray[np.float64],
    candidates: NDArray[np.int64],
    limit: int,
    cell: Mapping[str, Any],
    *,
    estimated: bool,
) -> tuple[NDArray[np.int64], list[PointKind], int]:
    """Return which candidates are examined, the kinds of their last points, and how many of these are certified.

    points: the last point of every trajectory of the cell. limit: most distinct points that are classified; if there
    are more, `limit` candidates are drawn at random. estimated: whether J is estimated on streamed samples; then
    ProgramError is raised where more branches of it meet than ASSIGNMENTS.
    """
    if not candidates.size:
        return candidates, [], 0
    if len(np.unique(points[candidates], axis=0)) > limit:
        candidates = _drawn(candidates, limit, cell)
    distinct, first, inverse = np.unique(points[candidates], axis=0, return_index=True, return_inverse=True)
    kinds, certified = [], []
    for x, i in zip(distinct, first, strict=True):
        try:
            found = calculus.classify(sampler.objective, x, tol=SETTLED, limit=ASSIGNMENTS)
            kind, proved = found.kind, found.certified
        except ProgramError:  # more branches meet here than ASSIGNMENTS
            if estimated:
                raise
            kind, proved = PointKind.REGULAR, False
        certified.append(proved)
        if kind is PointKind.REGULAR:
            kind = _kind(sampler.distances(points, candidates[i : i + 1])[0])
        kinds.append(kind)
    inverse = np.ravel(inverse)
    return candidates, [kinds[i] for i in inverse], sum(certified[i] for i in inverse)


def _tally(total: int, strata: Sequence[tuple[int, Sequence[str]]], kind: str) -> Tally:
    """Return the tally of a kind. The first stratum has the candidates, and only these can be artificial."""
    within = strata[:1] if kind is PointKind.ARTIFICIAL else strata
    return Tally(total, tuple(Stratum(size, len(found), found.count(kind)) for size, found in within))


def _counted(
    total: int, strata: Sequence[tuple[int, Sequence[str]]], kinds: Sequence[str], level: float, why: str
) -> dict[str, Any]:
    """Return the counts and probabilities of each kind, how many points there are (`of`), and how many are classified.

    total: trajectories that were run. strata: of each, how many trajectories it has, and the kinds of the examined.
    why: the reason if none is classified, otherwise empty.
    """
    tallies = {kind: _tally(total, strata, kind) for kind in kinds}
    return {
        "of": sum(size for size, _ in strata),
        "classified": sum(len(found) for _, found in strata),
        "why": why,
        "kinds": {
            kind: {
                "count": tally.hits,
                **asdict(tally.interval(level)),
                "strata": [list(stratum) for stratum in tally.strata],
            }
            for kind, tally in tallies.items()
        },
    }
