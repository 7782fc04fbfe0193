"""What first sensitive points and final points are: classified one by one with the calculus, or a sample of them."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import calculus
from simsa.analysis.estimates import SETTLED, still
from simsa.analysis.intervals import LEVEL, Stratum, Tally
from simsa.analysis.landings import Landing, Landings
from simsa.errors import ProgramError
from simsa.formats import EXACT, recorded
from simsa.records.status import Status
from simsa.vocabulary import PointKind, TieKind

FINALS = (PointKind.CLARKE, PointKind.ARTIFICIAL, PointKind.NOT_SETTLED)
"""What the last point of a run can be."""

EFFORT = 4e6
"""Operations of the reference interpreter that the classifications of a whole sweep may take: about two seconds."""

DUAL = 40
"""Operations for each operand: a classification at a tie evaluates some branches, in dual numbers too (measured)."""

GRADIENTS = 2e9
"""Operands that the gradients around final points of a whole sweep may visit in the kernels: a few seconds."""

HULLS = 3000
"""Final points of a whole sweep for which the shortest vector in a hull of gradients is computed: a second or two."""

ASSIGNMENTS = 256
"""Branch assignments at one point beyond which its kind is left undecided."""

KNOWN = 100_000
"""Minibatches of a whole sweep that are drawn again to see whether equal questions are asked: a second or two."""

SHOWN, LEAST_SHOWN = 2000, 10
"""Final points of a whole sweep, and at least so many of a cell, that are kept for the figure of them."""

CLOUD = 200
"""Gradients around a final point, besides 2 (p + 1): with 20, half of the runs to a kink of thin pieces were not
seen to be near it (scenarios/sort_loss.toml)."""

CHUNK = 2**22
"""Numbers of a batch of gradients."""


@dataclass(eq=False)
class Subject:
    """What the records do not hold: the functions that were minimised, and what was drawn.

    objectives: J by the label of the tie convention. minibatch: (cell, trajectory, step) -> the samples of I_k.
    alpha: shape (steps,). minibatches: every I that can be drawn, as index tuples, or None if there are too many.
    box: (low, high), each of shape (p,), around where runs begin. path: (cell, trajectory) -> points of the trajectory,
    shape (., p), from x_0 to the end. classify: at most so many questions about sensitive points, and so many
    about final points, of a cell are asked. sgd: whether steps are those of recursion (8).
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
    _ties: dict[Any, tuple[TieKind, bool]] = field(default_factory=dict)

    def objective(self, cell: Mapping[str, Any]) -> calculus.Objective:
        """Return J of a cell, with the samples as its format holds them."""
        whole = self.objectives[str(np.asarray(cell["convention"]))]
        rows = _held(whole.rows, cell)
        return whole if rows is whole.rows else calculus.objective(whole.program, rows)

    def drawn(self, cell: Mapping[str, Any], index: int, trajectory: int, step: int) -> tuple[Any, ...]:
        """Return the minibatch of a step: numbers of rows; or, if streamed, the samples as the cell holds them."""
        if self.fresh is None:
            return tuple(self.minibatch(index, trajectory, step))
        return tuple(map(tuple, _held(self.fresh(index, trajectory, step), cell).tolist()))

    def tie(
        self, objective: calculus.Objective, key: Hashable, minibatch: tuple[Any, ...], point: bytes
    ) -> tuple[TieKind, bool]:
        """Return the kind of the tie of f_I, and whether it is certified. Equal questions are asked once.

        key: of the objective. minibatch: as `drawn` returns it.
        """
        question = (key, minibatch, point)
        if question not in self._ties:
            try:
                mean = (
                    calculus.objective(objective.program, minibatch) if self.fresh else objective.minibatch(minibatch)
                )
                found = calculus.classify(mean, np.frombuffer(point), limit=ASSIGNMENTS)
                self._ties[question] = (found.tie or TieKind.ROUNDING, found.certified)
            except ProgramError:  # more branches meet here than are looked at, or the function is not of the kind
                self._ties[question] = (TieKind.UNDECIDED, False)
        return self._ties[question]


def _held(rows: NDArray[np.float64], cell: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return samples as the format of a cell holds them, in float64."""
    return recorded(_precision(cell)).rounded(rows)


def _precision(cell: Mapping[str, Any]) -> str:
    """Return the number format of a cell."""
    return str(np.asarray(cell["precision"]))


def tie_kinds(
    cell: Mapping[str, Any], index: int, subject: Subject | None, cells: int, level: float = LEVEL
) -> tuple[dict[str, Any], Landings]:
    """Return what the first sensitive points of a cell are for f_I, I the minibatch of that step, and who landed.

    harmless, C, Sing: as `calculus.classify` has it. rounding: no guard is zero at that point, so the cell's own
    arithmetic made the tie. undecided: too many branches meet there, or f_I is not of the kind that can be classified.
    index: of the cell, out of `cells`. Probabilities are of "the first sensitive point is of this kind", among all
    trajectories. Equal questions are asked once; if there are more than `subject.classify`, or than EFFORT allows, the
    trajectories of a random sample are examined. `certified`: of how many of the `classified` the calculus is certain.

    C and Sing are landings. A trajectory whose first sensitive point is neither may have landed later, where it is not
    recorded: it is undecided, unless it met no tie after that point; `later` counts these. So is, in an exact cell,
    one whose rational point has no tie once it is rounded to float64. `strata`: of the landings, as in `Tally`.
    """
    landings = Landings.of(cell)
    who, total = landings.who, int(np.count_nonzero(landings.run))
    why = "" if subject is not None or not who.size else "only the records were read, without the program and the data"
    found: list[TieKind] = []
    certified, later, examined = 0, 0, who[:0]
    if subject is not None and who.size:
        allowed = _share(subject.classify, EFFORT, _question(subject, cell, index), cells)
        why = _why_not(cell, "sensitive_point", subject.classify, allowed)
        if not why:
            examined, answers = _asked(cell, index, subject, landings, allowed, KNOWN // cells)
            found, certified = [kind for kind, _ in answers], sum(sure for _, sure in answers)
            at = np.searchsorted(who, examined)
            again = _tied_later(cell, examined, landings.step[at])
            lost = np.isin(found, (TieKind.C, TieKind.SING))
            rounded = _precision(cell) == EXACT  # its rational point may be tied where its float64 is not
            unsure = np.isin(found, [TieKind.UNDECIDED, *[TieKind.ROUNDING] * rounded])
            later = int(np.count_nonzero(again & ~lost & ~unsure))
            landings.outcome[at] = np.select(
                [lost, unsure | again], [Landing.LANDED, Landing.UNDECIDED], Landing.NOT_LANDED
            )
    summary = _counted(total, [(who.size, found)], tuple(TieKind), level, why)
    strata = [list(stratum) for stratum in landings.tally().strata]
    return {**summary, "certified": certified, "later": later, "strata": strata}, landings


def _question(subject: Subject, cell: Mapping[str, Any], index: int) -> float:
    """Return how many operations it takes to classify a point for f_I, about."""
    objective = subject.objective(cell)
    terms = max(map(len, subject.minibatches)) if subject.minibatches else len(objective.rows)
    if subject.fresh:
        terms = len(subject.minibatch(index, 0, 0))
    return DUAL * terms * len(objective.interpreter.tape.operands) * (1 + objective.p / 100)


def _asked(
    cell: Mapping[str, Any], index: int, subject: Subject, landings: Landings, allowed: int, known: int
) -> tuple[NDArray[np.int64], list[tuple[TieKind, bool]]]:
    """Return which sensitive trajectories are examined, in ascending order, and the answer of each.

    All, if they are known to ask at most `allowed` questions: their points and the minibatches that can be drawn are so
    few, or at most `known` minibatches need be drawn again to see it. Else `allowed` of them at random. How many there
    are depends on the questions of all of them and on no answer, so that each subset of that size is as likely.
    """
    who, points = landings.who, np.asarray(cell["sensitive_point"]).astype(np.float64)
    few = np.inf if subject.fresh or subject.minibatches is None else len(subject.minibatches)
    distinct = len(np.unique(points[who], axis=0)) if few <= allowed else np.inf
    if who.size <= known or few * distinct <= allowed:
        some = who if who.size <= known or few == 1 else _drawn(who, known, cell)
    else:
        some = _drawn(who, allowed, cell)
    step = dict(zip(who.tolist(), landings.step.tolist(), strict=True))

    def question(t: int) -> tuple[tuple[Any, ...], bytes]:
        return subject.drawn(cell, index, t, step[t]), points[t].tobytes()

    if few == 1:  # one minibatch for ever
        whole = tuple(next(iter(subject.minibatches or ())))
        questions = {t: (whole, points[t].tobytes()) for t in some.tolist()}
    else:
        questions = {t: question(t) for t in some.tolist()}
    if len(set(questions.values())) > allowed:
        some = _drawn(some, allowed, cell)
    objective = subject.objective(cell)
    key = (str(np.asarray(cell["convention"])), recorded(_precision(cell)).name)  # what the samples are held as
    return some, [subject.tie(objective, key, *questions[t]) for t in some.tolist()]


def _tied_later(cell: Mapping[str, Any], who: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which trajectories may have met a tie after their first sensitive one.

    `tie_count` steps had a tie. One is the sensitive one, and another the first one, if that is earlier.
    """
    earlier = np.asarray(cell["tie_first"])[who] < step
    later: NDArray[np.bool_] = np.asarray(cell["tie_count"])[who] > 1 + earlier
    return later


def final_kinds(
    cell: Mapping[str, Any], subject: Subject, landings: Landings, cells: int, level: float = LEVEL
) -> tuple[dict[str, Any], dict[str, Tally | None]]:
    """Return what the final points of a cell are for J, and the tallies of "clarke" and "artificial".

    artificial: the run landed, or may have, moved no more, and 0 is in D_J but not in Clarke's subdifferential at its
    last point. clarke: 0 is in Clarke's subdifferential there; or, for a run that approaches without arriving, the
    shortest vector in the hull of gradients around it is no longer than SETTLED. These are gradients at random points
    of the ball of radius sqrt(c alpha_K), which is the scale of the noise of SGD with that step; AD's answer at the
    point itself is not among them. not_settled: any other run that ended. A run that did not land is not artificial: AD
    has met no tie that mattered on its way, so where it stays, it was told the truth. `distance`: quantiles of these
    lengths. `certified`: of how many of the `stuck`, the runs that landed and moved no more, the calculus is certain.
    """
    status, landed = np.asarray(cell["status"]), landings.outcomes() != Landing.NOT_LANDED
    total, finished = int(np.count_nonzero(status != Status.NOT_RUN)), status == Status.FINISHED
    trap = landed & still(cell)
    trapped, rest = np.flatnonzero(trap), np.flatnonzero(finished & ~trap)
    objective, radius = subject.objective(cell), float(np.sqrt(float(cell["last_step_size"])))
    operands, n = len(objective.interpreter.tape.operands), len(objective.rows)
    around = CLOUD + 2 * (objective.p + 1)
    allowed = _share(subject.classify, GRADIENTS, 3 * around * n * (operands + objective.p), cells)
    allowed = min(allowed, _share(subject.classify, HULLS, 1, cells))
    at_ties = _share(subject.classify, EFFORT, DUAL * n * operands * (1 + objective.p / 100), cells)
    why = _why_not(cell, "final", subject.classify, min(allowed, at_ties) if trapped.size else allowed)
    stuck: list[PointKind] = []
    certified = 0
    moving: list[PointKind] = []
    distances = np.zeros(0)
    limit = max(SHOWN // cells, LEAST_SHOWN)
    some = _drawn(np.flatnonzero(finished), limit, cell)
    examined: list[tuple[int, NDArray[np.int64], Sequence[str]]] = [(int(finished.sum()), some, [""] * some.size)]
    if not why and finished.any():
        points = np.asarray(cell["final"]).astype(np.float64)
        cloud = _Cloud(objective, radius, around, seed_of(cell))
        try:
            trapped_drawn, stuck, certified = _stuck(
                cloud, points, trapped, at_ties, cell, estimated=subject.fresh is not None
            )
            rest_drawn = _drawn(rest, allowed, cell)
            distances = cloud.distances(points, rest_drawn)
            moving = [_kind(d) for d in distances]
            examined = [(trapped.size, trapped_drawn, stuck), (rest.size, rest_drawn, moving)]
        except ProgramError as error:
            why = f"J is estimated on {n} streamed samples: {error}"
    strata = [(trapped.size, stuck), (rest.size, moving)]
    summary = _counted(total, strata, FINALS, level, why if finished.any() else "")
    summary |= {
        "certified": certified,
        "stuck": len(stuck),
        "radius": radius,
        "tolerance": SETTLED,
        "gradients": around,
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

    at: coordinates, whose names are `axes`, if there are one or two parameters; else the largest entry of the last
    minibatch's gradient. strata: size, who was examined, and of what kind they are. Equal points are one; at most
    `limit` of a stratum are kept.
    """
    p, total = objective.p, sum(size for size, _, _ in strata)
    names = list(objective.program.names) or [f"x[{j}]" for j in range(p)]
    values = np.zeros((len(cell["status"]), 0))
    if p > 2:
        names, values = ["largest |gradient|"], np.asarray(cell["movement"])[:, None] / float(cell["last_step_size"])
    elif "final" in cell:
        values = np.asarray(cell["final"]).astype(np.float64)
    found: dict[str, Any] = {"axes": names, "at": [], "kind": [], "share": []}
    for size, who, kinds in strata if values.size else []:
        rounded = (tuple(float(f"{v:.6g}") for v in values[i]) for i in who)
        counted = Counter(zip(rounded, kinds, strict=True)).most_common(limit)
        every = sum(count for _, count in counted)
        for (at, kind), count in counted:
            found["at"].append(at)
            found["kind"].append(kind)
            found["share"].append(float(f"{size * count / (every * total):.4g}"))
    return found


def _share(limit: int, effort: float, cost: float, cells: int) -> int:
    """Return how many classifications of a cell are allowed: `limit`, fewer if all cells together cost too much."""
    return min(limit, int(limit / 100 * effort / (cost * cells)))


def _why_not(cell: Mapping[str, Any], field_name: str, limit: int, allowed: int) -> str:
    """Return why nothing is classified; empty if something can be."""
    if field_name not in cell:
        return "the points were not recorded (record.points)"
    if not limit:
        return "record.classify is 0"
    return "" if allowed else "the program or the data are too large for a point to be classified in seconds"


def seed_of(cell: Mapping[str, Any]) -> int:
    """Return the seed of what is drawn for the analysis of a cell: cells of one step scale c share it."""
    return int(np.float64(cell["c"]).view(np.uint64))


def _drawn(population: NDArray[np.int64], count: int, cell: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return `count` trajectories of a population at random, or all, in ascending order.

    Each trajectory has its pseudo-random rank, a function of its number and of c: cells that are paired draw alike.
    """
    if population.size <= count:
        return population
    ranks = np.random.default_rng([seed_of(cell), 0]).random(int(population.max()) + 1)[population]
    return np.sort(population[np.argsort(ranks, kind="stable")[:count]])


@dataclass(frozen=True)
class _Cloud:
    """How the neighbourhood of a point is looked at: `count` gradients at random points of a ball."""

    objective: calculus.Objective
    radius: float
    count: int
    seed: int

    def distances(self, points: NDArray[np.float64], who: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return, for the last point of each trajectory `who`, the length of the shortest vector in the hull around it.

        What is drawn around a point is a function of the seed and of the number of the trajectory.
        """
        objective, p = self.objective, self.objective.p
        if not who.size:
            return np.zeros(0)
        around = np.concatenate([self._around(points[t], int(t)) for t in who])
        gradients = np.zeros_like(around)
        for row in objective.rows:
            for i in range(0, len(around), max(CHUNK // p, 1)):
                part = slice(i, i + max(CHUNK // p, 1))
                gradients[part] += objective.program.gradient(around[part], row)
        hulls = (gradients / len(objective.rows)).reshape(who.size, self.count, p)
        if p == 1:  # the hull is an interval
            ends = np.maximum(hulls.min(axis=1), -hulls.max(axis=1)).ravel()
            return np.where(np.isnan(ends), np.inf, np.maximum(ends, 0.0))
        return np.array([calculus.min_norm_point(h).norm if np.isfinite(h).all() else np.inf for h in hulls])

    def _around(self, point: NDArray[np.float64], trajectory: int) -> NDArray[np.float64]:
        """Return random points of the ball around the last point of a trajectory, shape (count, p)."""
        rng = np.random.default_rng([self.seed, 1, trajectory])
        directions = rng.normal(size=(self.count, point.size))
        reach = self.radius * rng.random(self.count) ** (1 / point.size) / np.linalg.norm(directions, axis=1)
        around: NDArray[np.float64] = point + directions * reach[:, None]
        return around


def _kind(distance: float) -> PointKind:
    """Return the kind of a point that is this far from critical."""
    return PointKind.CLARKE if distance <= SETTLED else PointKind.NOT_SETTLED


def _stuck(
    cloud: _Cloud,
    points: NDArray[np.float64],
    who: NDArray[np.int64],
    limit: int,
    cell: Mapping[str, Any],
    *,
    estimated: bool,
) -> tuple[NDArray[np.int64], list[PointKind], int]:
    """Return who was examined of runs that landed and moved no more, of what kind their ends are, how many for certain.

    Equal points are one question.

    estimated: J is, on streamed samples; where more branches of them meet than are looked at, ProgramError is raised.
    """
    if not who.size:
        return who, [], 0
    if len(np.unique(points[who], axis=0)) > limit:
        who = _drawn(who, limit, cell)
    distinct, first, inverse = np.unique(points[who], axis=0, return_index=True, return_inverse=True)
    kinds, sure = [], []
    for x, i in zip(distinct, first, strict=True):
        try:
            found = calculus.classify(cloud.objective, x, tol=SETTLED, limit=ASSIGNMENTS)
            kind, certain = found.kind, found.certified
        except ProgramError:  # more branches meet here than are looked at
            if estimated:
                raise
            kind, certain = PointKind.REGULAR, False
        sure.append(certain)
        kinds.append(_kind(cloud.distances(points, who[i : i + 1])[0]) if kind is PointKind.REGULAR else kind)
    inverse = np.ravel(inverse)
    return who, [kinds[i] for i in inverse], sum(sure[i] for i in inverse)


def _tally(total: int, strata: Sequence[tuple[int, Sequence[str]]], kind: str) -> Tally:
    """Return the tally of a kind; runs that landed are the first stratum, and only they can be artificial."""
    within = strata[:1] if kind is PointKind.ARTIFICIAL else strata
    return Tally(total, tuple(Stratum(size, len(found), found.count(kind)) for size, found in within))


def _counted(
    total: int, strata: Sequence[tuple[int, Sequence[str]]], kinds: Sequence[str], level: float, why: str
) -> dict[str, Any]:
    """Return counts and probabilities of each kind, and of how many trajectories they were found."""
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
