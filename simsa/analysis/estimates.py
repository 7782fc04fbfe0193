"""Estimates from the records of one cell: counts, curves and quantiles.

Every function takes the records of a single cell, arrays by their names (as in `records.read.cells`, or
`records.isel(cell=i)` of an xarray Dataset), and leaves out the trajectories that have not been run.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.analysis.intervals import LEVEL, interval
from simsa.analysis.landings import Landing, Landings
from simsa.records.status import Status

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of J along the run."""

EPSILONS = tuple(10.0**e for e in range(-16, 1))
"""Distances to a tie at which `margins` counts; 1e-16 is about the spacing of float64 numbers below 1."""

SETTLED = 1e-3
"""Largest |gradient|_inf of the last minibatch for a final point to count as settled."""

POINTS, FEW_POINTS = 200, 40
"""Most points of a first-passage curve, as more cannot be seen in a figure; and fewer if only a sample was classified,
because each interval then takes some milliseconds."""


def _values(cell: Mapping[str, Any], name: str) -> NDArray[Any]:
    """Return a field of the trajectories that have been run."""
    run: NDArray[np.bool_] = np.asarray(cell["status"]) != Status.NOT_RUN
    values: NDArray[Any] = np.asarray(cell[name])[run]
    return values


def counts(cell: Mapping[str, Any]) -> dict[str, int]:
    """Return how many trajectories were run, and how many were tied, sensitive, unbounded, not finite, too long.

    tied: at least one guard was exactly zero in a step. sensitive: in one of these steps the minibatch's gradient
    depends on how its ties are decided. Only a sensitive trajectory can have landed on Sing or C of a minibatch;
    `Landings` has whether it did. unbounded: it left the ball. not_finite: it met a NaN or an infinity. too_long: an
    exact trajectory stopped because its numbers had too many bits; what it would have met later is not known. Raises
    RecordsError for an unknown status.
    """
    status = _values(cell, "status")
    for number in np.unique(status).tolist():
        Status(number)  # raises RecordsError if it is unknown
    return {
        "trajectories": int(status.size),
        "tied": int(np.count_nonzero(_values(cell, "tie_first") >= 0)),
        "sensitive": int(np.count_nonzero(_values(cell, "sensitive_first") >= 0)),
        "unbounded": int(np.count_nonzero(status == Status.UNBOUNDED)),
        "not_finite": int(np.count_nonzero(status == Status.NOT_FINITE)),
        "too_long": int(np.count_nonzero(status == Status.TOO_LONG)),
    }


def settled(cell: Mapping[str, Any], tolerance: float = SETTLED) -> NDArray[np.bool_]:
    """Tell which trajectories ended, and moved no parameter by more than tolerance c alpha_K in their last step.

    The result has shape (trajectories,).
    """
    with np.errstate(invalid="ignore"):
        moved_little: NDArray[np.bool_] = np.asarray(cell["movement"]) <= tolerance * float(cell["last_step_size"])
    ended: NDArray[np.bool_] = np.asarray(cell["status"]) == Status.FINISHED
    return moved_little & ended


def final_states(cell: Mapping[str, Any], tolerance: float = SETTLED) -> dict[str, int]:
    """Return how many runs ended in each of five ways, judged by their last step alone.

    settled: the run ended, and its last step moved no parameter by more than `tolerance` times the last step
    size c alpha_K, so that no entry of its last minibatch gradient exceeded `tolerance`. moving: it ended and
    moved more. unbounded: it left the ball and was stopped. not_finite: it met a NaN or an infinity. too_long: an exact
    run whose numbers had too many bits. The five are exclusive and cover every run.

    A settled point need not be critical: the gradient of the last minibatch may vanish where that of J does not. A
    moving one may be close to a critical point, where the gradients of minibatches differ.
    """
    status, at_rest = np.asarray(cell["status"]), settled(cell, tolerance)
    return {
        "settled": int(np.count_nonzero(at_rest)),
        "moving": int(np.count_nonzero((status == Status.FINISHED) & ~at_rest)),
        "unbounded": int(np.count_nonzero(status == Status.UNBOUNDED)),
        "not_finite": int(np.count_nonzero(status == Status.NOT_FINITE)),
        "too_long": int(np.count_nonzero(status == Status.TOO_LONG)),
    }


@dataclass(frozen=True)
class Curve:
    """P(landed by step k), with pointwise exact intervals. All arrays have the same length; `step` increases.

    landed: how many of the examined trajectories had landed. estimate: nan where there is none. low, high: the interval
    at each step. method: how it was computed.
    """

    step: NDArray[np.int64]
    landed: NDArray[np.int64]
    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    method: str


def first_passage(landings: Landings, steps: int, level: float = LEVEL, points: int | None = None) -> Curve:
    """Return the estimated distribution function of the first landing, k -> P(landed by step k).

    landings: of a cell. steps: of each run. level: confidence of each interval, in (0, 1). points: most steps that are
    listed besides the ends; POINTS or FEW_POINTS if it is None.

    The curve is constant between the steps that it lists: 0, steps - 1, and the first sensitive steps of the
    trajectories that landed or may have landed, or `points` of these steps at equal shares of the trajectories.
    Intervals are those of `Tally`, pointwise: they are no band for the whole curve. A run that stopped early does not
    land after that.
    """
    whole = landings.tally()
    if points is None:
        points = POINTS if whole.complete else FEW_POINTS
    events = np.sort(landings.step[landings.outcome != Landing.NOT_LANDED])
    some = np.unique(events)
    if some.size > points:
        some = np.unique(events[np.linspace(0, events.size - 1, points).astype(np.int64)])
    step = np.unique(np.concatenate([[0], some, [max(steps - 1, 0)]]))
    tallies = [landings.tally(landings.step <= k) for k in step]
    found = [tally.interval(level) for tally in tallies]
    estimate = np.array([np.nan if one.estimate is None else one.estimate for one in found])
    low, high = (np.array([getattr(one, end) for one in found]) for end in ("low", "high"))
    hits = np.array([tally.hits for tally in tallies])
    return Curve(step, hits, estimate, low, high, f"{whole.interval(level).method}, pointwise")


def objective_quantiles(
    cell: Mapping[str, Any], trajectories: int, quantiles: tuple[float, ...] = QUANTILES
) -> tuple[NDArray[np.float64], int]:
    """Return quantiles of J at the checkpoints, shape (quantiles, checkpoints), and the number of trajectories in them.

    cell: its records. trajectories: how many of the first trajectories J was evaluated for. quantiles: in [0, 1].

    For a trajectory that stopped (unbounded, not finite) J counts as inf from then on: without it, the quantiles would
    be those of the trajectories that remain. Quantiles are values of the sample, without interpolation; nan if there is
    no trajectory.
    """
    run = np.asarray(cell["status"])[:trajectories] != Status.NOT_RUN
    objective = np.asarray(cell["objective"])[:trajectories][run]
    if not len(objective):
        return np.full((len(quantiles), objective.shape[1]), np.nan), 0
    kept = np.where(np.isnan(objective), np.inf, objective)
    return np.quantile(kept, quantiles, axis=0, method="inverted_cdf"), len(kept)


def observables(cell: Mapping[str, Any], level: float = LEVEL) -> dict[str, dict[str, Any]]:
    """Return, for each observable of the scenario, its quantiles at the checkpoints, the hits, and the hitting times.

    The entries `step` and `quantiles` are as for J: a trajectory that stopped counts as inf from then on. The entry
    `hit`, which is there if the scenario has a `hit_below` for the observable, has this level as `below`, how many
    trajectories hit it, the probability with its interval, and quantiles of the hitting time, which is inf for a
    trajectory without a hit. Hits are detected at checkpoints only, so the recorded time is an upper bound.
    """
    found: dict[str, dict[str, Any]] = {}
    if "observe" not in cell:
        return found
    observe, hit = _values(cell, "observe"), _values(cell, "hit")
    for i, name in enumerate(np.asarray(cell["observable"]).tolist()):
        values = np.where(np.isnan(observe[:, :, i]), np.inf, observe[:, :, i])
        found[name] = {
            "step": np.asarray(cell["checkpoint"]).tolist(),
            "trajectories": len(values),
            "quantiles": _quantiles(values),
        }
        below = float(cell["hit_below"][i])
        if not np.isnan(below):
            times, hits = np.where(hit[:, i] < 0, np.inf, hit[:, i]), int(np.count_nonzero(hit[:, i] >= 0))
            found[name]["hit"] = {
                "below": below,
                "hits": hits,
                "probability": asdict(interval(hits, len(times), level)),
                "time": _quantiles(times),
            }
    return found


def _quantiles(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return the sample quantiles along the first axis, without interpolation; nan if there are no values."""
    if not len(values):
        return {f"{q:g}": np.full(values.shape[1:], np.nan).tolist() for q in QUANTILES}
    table = np.quantile(values, QUANTILES, axis=0, method="inverted_cdf")
    return {f"{q:g}": row for q, row in zip(QUANTILES, table.tolist(), strict=True)}


def margins(cell: Mapping[str, Any], epsilons: tuple[float, ...] = EPSILONS) -> NDArray[np.int64]:
    """Return how many trajectories came within each epsilon of a tie, min_k |guard| <= epsilon; shape (epsilons,).

    The slope of their share against epsilon, on logarithmic axes, estimates the codimension of what was approached. A
    trajectory whose guards were all NaN has no margin, and is not counted at any epsilon.
    """
    margin = _values(cell, "margin")
    with np.errstate(invalid="ignore"):
        return np.array([np.count_nonzero(margin <= epsilon) for epsilon in epsilons], dtype=np.int64)
