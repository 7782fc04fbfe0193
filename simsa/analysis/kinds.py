"""What the first ties and the final points were: classified one by one with the calculus, or a drawn sample of them."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import calculus
from simsa.analysis.estimates import SETTLED
from simsa.analysis.intervals import LEVEL, Tally
from simsa.ensemble.store import FINISHED, NOT_RUN
from simsa.errors import ProgramError

TIES = ("harmless", "C", "Sing", "rounding", "undecided")
FINALS = ("clarke", "artificial", "not_settled")

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

KNOWN = 1000
"""Ties looked up for having the same point and minibatch as another: they are classified once."""

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
    shape (., p), from x_0 to the end. classify: at most so many first ties, and so many
    final points, of a cell are classified.
    """

    objectives: Mapping[str, calculus.Objective]
    minibatch: Callable[[int, int, int], Sequence[int]]
    alpha: NDArray[np.float64]
    minibatches: Sequence[tuple[int, ...]] | None
    box: tuple[NDArray[np.float64], NDArray[np.float64]]
    classify: int = 100
    fresh: Callable[[int, int, int], NDArray[np.float64]] | None = None
    path: Callable[[int, int], NDArray[np.float64]] | None = None
    _ties: dict[Any, str] = field(default_factory=dict)

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

    def tie(self, objective: calculus.Objective, key: Hashable, minibatch: tuple[Any, ...], point: bytes) -> str:
        """Return the kind of the tie of f_I: one of TIES. Equal questions are asked once; key: of the objective.

        minibatch: as `drawn` returns it.
        """
        question = (key, minibatch, point)
        if question not in self._ties:
            try:
                mean = (
                    calculus.objective(objective.program, minibatch) if self.fresh else objective.minibatch(minibatch)
                )
                found = calculus.classify(mean, np.frombuffer(point), limit=ASSIGNMENTS).tie
                self._ties[question] = found or "rounding"
            except ProgramError:  # more branches meet here than are looked at, or a derivative is not finite
                self._ties[question] = "undecided"
        return self._ties[question]


def _held(rows: NDArray[np.float64], cell: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return samples as the format of a cell holds them, in float64."""
    return rows.astype(np.float32).astype(np.float64) if str(np.asarray(cell["precision"])) == "float32" else rows


def tie_kinds(
    cell: Mapping[str, Any], index: int, subject: Subject, cells: int, level: float = LEVEL
) -> dict[str, Any]:
    """Return what the first ties of a cell were, as f_I at the recorded point says, I the minibatch of that step.

    harmless, C, Sing: as `calculus.classify` has it. rounding: at that point no guard is zero in float64, so the cell's
    own format made the tie. undecided: too many branches meet there. index: of the cell, out of `cells`.
    Probabilities are of "the first tie is of this kind", among all trajectories. Trajectories beyond
    `subject.classify` points, or those that EFFORT allows, are left to a sample drawn with a fixed seed. landed_later:
    trajectories that landed after their first tie, at a point that is not recorded.
    """
    run = np.asarray(cell["status"]) != NOT_RUN
    total, first = int(run.sum()), np.asarray(cell["tie_first"])
    tied = np.flatnonzero(run & (first >= 0))
    objective = subject.objective(cell)
    terms = max(map(len, subject.minibatches)) if subject.minibatches else len(objective.rows)
    if subject.fresh:
        terms = len(subject.minibatch(index, 0, 0))
    cost = DUAL * terms * len(objective.interpreter.tape.operands) * (1 + objective.p / 100)
    allowed = _share(subject.classify, EFFORT, cost, cells)
    why = _why_not(cell, "sensitive_point", subject.classify, allowed)
    found: list[str] = []
    if tied.size and not why:
        points = np.asarray(cell["sensitive_point"]).astype(np.float64)
        drawn = _drawn(tied, max(KNOWN, allowed), index)
        ties = [(subject.drawn(cell, index, int(t), int(first[t])), points[t].tobytes()) for t in drawn]
        if len(set(ties)) > allowed:
            ties = ties[:allowed]
        key = (str(np.asarray(cell["convention"])), str(np.asarray(cell["precision"])))
        found = [subject.tie(objective, key, *tie) for tie in ties]
    summary = _counted(total, [(tied.size, found)], TIES, level, why if tied.size else "")
    return {**summary, "landed_later": int(np.count_nonzero(run & (np.asarray(cell["sensitive_first"]) > first)))}


def final_kinds(
    cell: Mapping[str, Any], index: int, subject: Subject, cells: int, level: float = LEVEL
) -> tuple[dict[str, Any], dict[str, Tally | None]]:
    """Return what the final points of a cell are for J, and the tallies of "clarke" and "artificial".

    artificial: the run landed, moved no more, and 0 is in D_J but not in Clarke's subdifferential at its last point.
    clarke: 0 is in Clarke's subdifferential there; or, for a run that approaches without arriving, the shortest vector
    in the hull of gradients around it is no longer than SETTLED. These are gradients at random points of the ball of
    radius sqrt(c alpha_K), which is the scale of the noise of SGD with that step; AD's answer at the point itself is
    not among them. not_settled: any other run that ended. A run that did not land is not artificial: AD has met no
    tie that mattered on its way, so where it stays, it was told the truth. `distance`: quantiles of these lengths.
    """
    status, landed = np.asarray(cell["status"]), np.asarray(cell["sensitive_first"]) >= 0
    total, finished = int(np.count_nonzero(status != NOT_RUN)), status == FINISHED
    with np.errstate(invalid="ignore"):
        still = np.asarray(cell["movement"]) <= SETTLED * float(cell["last_step_size"])
    trapped, rest = np.flatnonzero(finished & landed & still), np.flatnonzero(finished & ~(landed & still))
    objective, radius = subject.objective(cell), float(np.sqrt(float(cell["last_step_size"])))
    operands, n = len(objective.interpreter.tape.operands), len(objective.rows)
    around = CLOUD + 2 * (objective.p + 1)
    allowed = _share(subject.classify, GRADIENTS, 3 * around * n * (operands + objective.p), cells)
    allowed = min(allowed, _share(subject.classify, HULLS, 1, cells))
    at_ties = _share(subject.classify, EFFORT, DUAL * n * operands * (1 + objective.p / 100), cells)
    why = _why_not(cell, "final", subject.classify, min(allowed, at_ties) if trapped.size else allowed)
    stuck: list[str] = []
    moving: list[str] = []
    distances = np.zeros(0)
    limit = max(SHOWN // cells, LEAST_SHOWN)
    some = _drawn(np.flatnonzero(finished), limit, index)
    examined = [(int(finished.sum()), some, [""] * some.size)]
    if not why and finished.any():
        points = np.asarray(cell["final"]).astype(np.float64)
        cloud = _Cloud(objective, radius, around, index)
        try:
            trapped_drawn, stuck = _stuck(cloud, points, trapped, at_ties, estimated=subject.fresh is not None)
            rest_drawn = _drawn(rest, allowed, index)
            distances = cloud.distances(points[rest_drawn])
            moving = [_kind(d) for d in distances]
            examined = [(trapped.size, trapped_drawn, stuck), (rest.size, rest_drawn, moving)]
        except ProgramError as error:
            why = f"J is estimated on {n} streamed samples: {error}"
    strata = [(trapped.size, stuck), (rest.size, moving)]
    summary = _counted(total, strata, FINALS, level, why if finished.any() else "")
    summary |= {"radius": radius, "tolerance": SETTLED, "gradients": around}
    summary["distance"] = (
        dict(zip(("least", "median", "largest"), np.quantile(distances, (0, 0.5, 1)).tolist(), strict=True))
        if distances.size
        else None
    )
    summary["points"] = _shown(cell, objective, examined, limit)
    tallies = {kind: None if why else _tally(total, strata, kind) for kind in ("clarke", "artificial")}
    return summary, tallies


def _shown(
    cell: Mapping[str, Any],
    objective: calculus.Objective,
    strata: list[tuple[int, NDArray[np.int64], list[str]]],
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
        return "points were not kept (record.points)"
    if not limit:
        return "not asked for (record.classify)"
    return "" if allowed else "the program or the data are too large for record.classify"


def _drawn(population: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return `count` of a population, or all, in a pseudo-random order that depends on the seed alone."""
    return np.random.default_rng([seed, population.size]).permutation(population)[:count]


@dataclass(frozen=True)
class _Cloud:
    """How the neighbourhood of a point is looked at: `count` gradients at random points of a ball."""

    objective: calculus.Objective
    radius: float
    count: int
    seed: int

    def distances(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for each point the length of the shortest vector in the hull of gradients around it."""
        objective, p = self.objective, self.objective.p
        if not len(points):
            return np.zeros(0)
        rng = np.random.default_rng(self.seed)
        directions = rng.normal(size=(len(points), self.count, p))
        reach = self.radius * rng.random((len(points), self.count)) ** (1 / p) / np.linalg.norm(directions, axis=2)
        around = (points[:, None] + directions * reach[..., None]).reshape(-1, p)
        gradients = np.zeros_like(around)
        for row in objective.rows:
            for i in range(0, len(around), max(CHUNK // p, 1)):
                part = slice(i, i + max(CHUNK // p, 1))
                gradients[part] += objective.program.gradient(around[part], row)
        hulls = (gradients / len(objective.rows)).reshape(len(points), self.count, p)
        if p == 1:  # the hull is an interval
            ends = np.maximum(hulls.min(axis=1), -hulls.max(axis=1)).ravel()
            return np.where(np.isnan(ends), np.inf, np.maximum(ends, 0.0))
        return np.array([calculus.min_norm_point(h).norm if np.isfinite(h).all() else np.inf for h in hulls])


def _kind(distance: float) -> str:
    """Return the kind of a point that is this far from critical."""
    return "clarke" if distance <= SETTLED else "not_settled"


def _stuck(
    cloud: _Cloud, points: NDArray[np.float64], who: NDArray[np.int64], limit: int, *, estimated: bool
) -> tuple[NDArray[np.int64], list[str]]:
    """Return who was examined of runs that landed and moved no more, and of what kind their final points are.

    Equal points are one question.

    estimated: J is, on streamed samples; where more branches of them meet than are looked at, ProgramError is raised.
    """
    if not who.size:
        return who, []
    distinct, inverse = np.unique(points[who], axis=0, return_inverse=True)
    if len(distinct) > limit:
        who = _drawn(who, limit, cloud.seed)
        distinct, inverse = np.unique(points[who], axis=0, return_inverse=True)
    kinds = []
    for x in distinct:
        try:
            kind = calculus.classify(cloud.objective, x, tol=SETTLED, limit=ASSIGNMENTS).kind
        except ProgramError:  # more branches meet here than are looked at
            if estimated:
                raise
            kind = "regular"
        kinds.append(_kind(cloud.distances(x[None])[0]) if kind == "regular" else kind)
    return who, [kinds[i] for i in np.ravel(inverse)]


def _tally(total: int, strata: list[tuple[int, list[str]]], kind: str) -> Tally:
    """Return the tally of a kind; runs that landed are the first stratum, and only they can be artificial."""
    within = strata[:1] if kind == "artificial" else strata
    return Tally(total, tuple((size, len(found), found.count(kind)) for size, found in within))


def _counted(
    total: int, strata: list[tuple[int, list[str]]], kinds: Sequence[str], level: float, why: str
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
                **asdict(tally.interval(level, one_sided=True)),
                "strata": [list(stratum) for stratum in tally.strata],
            }
            for kind, tally in tallies.items()
        },
    }
