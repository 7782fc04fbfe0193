"""Estimates from the records of one cell: counts, curves and shares.

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
"""Distances to a tie for which `margins` counts; 1e-16 is about the spacing of float64 below 1."""

SETTLED = 1e-3
"""Largest |gradient|_inf of the last minibatch for a final point to count as settled."""

POINTS, FEW_POINTS = 200, 40
"""Most points of a first-passage curve, as more cannot be seen in a figure; and of one from a sample, as each of its
intervals takes some milliseconds."""


def _values(cell: Mapping[str, Any], name: str) -> NDArray[Any]:
    """Return a field of the trajectories that have been run."""
    run: NDArray[np.bool_] = np.asarray(cell["status"]) != Status.NOT_RUN
    values: NDArray[Any] = np.asarray(cell[name])[run]
    return values


def counts(cell: Mapping[str, Any]) -> dict[str, int]:
    """Return how many trajectories were run, tied, were sensitive, left the ball, met a NaN, or were too long.

    tied: at least one guard was exactly zero in a step. sensitive: in one of these steps the minibatch's gradient
    depends on how its ties are decided. Only such a trajectory can have landed on Sing or C of a minibatch: whether it
    has is for `Landings` to say. too_long: an exact trajectory stopped because its numbers had too many bits; what it
    would have met later is not known. Raises RecordsError for a status that is none.
    """
    status = _values(cell, "status")
    for number in np.unique(status).tolist():
        Status(number)  # refuses what is none
    return {
        "trajectories": int(status.size),
        "tied": int(np.count_nonzero(_values(cell, "tie_first") >= 0)),
        "sensitive": int(np.count_nonzero(_values(cell, "sensitive_first") >= 0)),
        "unbounded": int(np.count_nonzero(status == Status.UNBOUNDED)),
        "not_finite": int(np.count_nonzero(status == Status.NOT_FINITE)),
        "too_long": int(np.count_nonzero(status == Status.TOO_LONG)),
    }


def still(cell: Mapping[str, Any], tolerance: float = SETTLED) -> NDArray[np.bool_]:
    """Tell which trajectories ended, and moved no parameter by more than tolerance c alpha_K in their last step."""
    with np.errstate(invalid="ignore"):
        settled: NDArray[np.bool_] = np.asarray(cell["movement"]) <= tolerance * float(cell["last_step_size"])
    ended: NDArray[np.bool_] = np.asarray(cell["status"]) == Status.FINISHED
    return settled & ended


def final_states(cell: Mapping[str, Any], tolerance: float = SETTLED) -> dict[str, int]:
    """Return what the final points are, as far as one step can tell.

    settled: the run ended, and its last step moved no parameter by more than `tolerance` times the last step
    size c alpha_k, so that no entry of its last minibatch gradient exceeded `tolerance`. moving: it ended and
    moved more. unbounded: it left the ball and was stopped. not_finite: it met a NaN or an infinity. too_long: an exact
    run whose numbers had too many bits. The five are exclusive and cover every run.

    A settled point need not be critical (its last minibatch may be kind), nor a moving one far from a
    critical point (minibatches may disagree there).
    """
    status, settled = np.asarray(cell["status"]), still(cell, tolerance)
    return {
        "settled": int(np.count_nonzero(settled)),
        "moving": int(np.count_nonzero((status == Status.FINISHED) & ~settled)),
        "unbounded": int(np.count_nonzero(status == Status.UNBOUNDED)),
        "not_finite": int(np.count_nonzero(status == Status.NOT_FINITE)),
        "too_long": int(np.count_nonzero(status == Status.TOO_LONG)),
    }


@dataclass(frozen=True)
class Curve:
    """P(landed by step k), with pointwise exact intervals; arrays of equal length, `step` increasing.

    landed: of those that were examined. The estimate is nan where there is nothing to estimate it from.
    """

    step: NDArray[np.int64]
    landed: NDArray[np.int64]
    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    method: str


def first_passage(landings: Landings, steps: int, level: float = LEVEL, points: int | None = None) -> Curve:
    """Return the estimated distribution function of the first landing, k -> P(landed by step k).

    The curve is constant between the steps that it lists: 0, steps - 1, and the first sensitive steps of those that
    have landed or may have, or `points` of them at equal shares. Intervals are those of `Tally`, pointwise: not a band
    for the whole curve. A run that stopped early counts as not landed after that.
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
    """Return quantiles of J at the checkpoints, shape (quantiles, checkpoints), and of how many trajectories.

    trajectories: J was evaluated for the first so many. One that stopped (unbounded, not finite) counts as J
    = inf from then on: leaving it out would show only the survivors. Quantiles are of the sample itself (no
    interpolation); nan if there is no trajectory.
    """
    run = np.asarray(cell["status"])[:trajectories] != Status.NOT_RUN
    objective = np.asarray(cell["objective"])[:trajectories][run]
    if not len(objective):
        return np.full((len(quantiles), objective.shape[1]), np.nan), 0
    kept = np.where(np.isnan(objective), np.inf, objective)
    return np.quantile(kept, quantiles, axis=0, method="inverted_cdf"), len(kept)


def observables(cell: Mapping[str, Any], level: float = LEVEL) -> dict[str, dict[str, Any]]:
    """Return, for each observable of the scenario, its quantiles at the checkpoints, the hits, and the hitting times.

    step, quantiles: as for J; a trajectory that stopped counts as inf from then on. hit, only if the scenario has a
    `hit_below`: below, how many of the trajectories have hit, the probability with its interval, and quantiles of the
    hitting time, inf for a trajectory that did not hit. A hit is seen at checkpoints alone: the time is an upper bound.
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
    """Return how many trajectories have come within each epsilon of a tie: min_k |guard| <= epsilon.

    The slope of the share against epsilon, on logarithmic axes, estimates the codimension of what was
    approached. A trajectory that met a NaN guard only has no margin, and counts as never near.
    """
    margin = _values(cell, "margin")
    with np.errstate(invalid="ignore"):
        return np.array([np.count_nonzero(margin <= epsilon) for epsilon in epsilons], dtype=np.int64)
