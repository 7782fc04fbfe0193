"""Whether an axis matters: cells with the same starts and minibatches, compared trajectory by trajectory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.analysis.intervals import LEVEL, Stratum, Tally, interval, median
from simsa.analysis.landings import Landing, Landings, joined
from simsa.analysis.pairs import axes, groups
from simsa.records.fields import FIELDS
from simsa.records.status import Status
from simsa.vocabulary import AXES, named

EVALUATED = ("objective", "observe", "margin")
"""Fields that are computed at the points of a trajectory: at equal points they may differ by the rounding of another
precision."""

COUNTS = ("both", "only_first", "only_second", "neither", "unclassified")
"""The counts of trajectories by where they landed."""


def comparisons(
    records: Sequence[Mapping[str, Any]],
    landings: Sequence[Landings],
    header: Mapping[str, Any],
    level: float = LEVEL,
) -> list[dict[str, Any]]:
    """Return how the trajectories of two cells compare, of cells that differ in one of AXES alone.

    records, landings: of each cell, arrays by their names (`records.read.cells`). header: the attributes of the
    records. level: of confidence, between 0 and 1.

    The first cell of a group is compared with each other one. An entry has `axis`; `of`, its two values; `c` and the
    other axes, which the cells share; `trajectories`, run in both; `differ`, those of which some record is not the same
    bits (between precisions, some record but EVALUATED), and `probability` of that, with its exact interval; by where
    they landed, `both`, `only_first`, `only_second`, `neither`, or `unclassified` if that is not known in one of the
    cells. first: by which step J is seen to differ, of the first `objective_trajectories` of the header, at the
    checkpoints at which J was recorded: step, estimate, low and high (pointwise), and trajectories, 0 if J was not
    recorded. Points may differ sooner than J is looked at, so the step is an upper bound. objective: of these
    trajectories, the median of J at the last checkpoint in each cell, and of the second less the first by pairs, with
    its exact interval (order statistics); one that stopped has J = inf there, and pairs in which both stopped are left
    out of `pairs`.
    """
    found = []
    for axis in AXES:
        for first, *others in groups(records, axis):
            for other in others:
                one, two = dict(records[first]), dict(records[other])  # read once
                shared = {name: value for name, value in axes(one).items() if name != axis}
                of = [axes(cell)[axis] for cell in (one, two)]
                found.append(
                    {
                        "axis": axis,
                        "of": of,
                        **shared,
                        **_differing(axis, (one, two), level),
                        **_landed((landings[first], landings[other])),
                        **_objectives((one, two), header, level),
                    }
                )
    return found


def together(compared: Sequence[Mapping[str, Any]], level: float = LEVEL) -> list[dict[str, Any]]:
    """Return comparisons over all step scales: an entry for each axis, two of its values, and values of the others.

    compared: what `comparisons` returns. level: of confidence. An entry has axis, of, and `beside`, the values of the
    other axes, along which cells share their random numbers and are not added; `comparisons`, the entries that it is
    from, in their order; the sums of their trajectories, of those that differ and of COUNTS; `probability`, of landing
    in one of the two cells alone, averaged over the comparisons, where those that are unclassified may be any of these;
    and `c`, the step scales at which some trajectory landed in one alone.
    """
    alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for one in compared:
        beside = named({**one, one["axis"]: ""})
        alike.setdefault((one["axis"], *one["of"], beside), []).append(one)
    return [
        {
            "axis": axis,
            "of": [first, second],
            "beside": beside,
            "comparisons": mine,
            **{name: sum(one[name] for one in mine) for name in ("trajectories", "differ", *COUNTS)},
            "probability": asdict(joined(map(_one_alone, mine)).interval(level)),
            "c": sorted({one["c"] for one in mine if one["only_first"] + one["only_second"]}),
        }
        for (axis, first, second, beside), mine in alike.items()
    ]


def _one_alone(compared: Mapping[str, Any]) -> Tally:
    """Return how many trajectories landed in one of two cells alone."""
    total, unknown = compared["trajectories"], compared["unclassified"]
    return Tally(total, (Stratum(total, total, compared["only_first"] + compared["only_second"], unknown),))


Two = tuple[Mapping[str, Any], Mapping[str, Any]]
"""The records of two cells."""


def _run(cells: Two) -> NDArray[np.bool_]:
    """Return which trajectories were run in both cells."""
    first, second = (np.asarray(cell["status"]) != Status.NOT_RUN for cell in cells)
    return np.asarray(first & second)


def _differing(axis: str, cells: Two, level: float) -> dict[str, Any]:
    """Return how many trajectories of two cells differ in a record."""
    run = _run(cells)
    differing = np.zeros(run.size, dtype=np.bool_)
    for unlike_in in _unlike(cells, EVALUATED if axis == "precision" else ()):
        differing |= unlike_in
    total, differ = int(np.count_nonzero(run)), int(np.count_nonzero(differing & run))
    return {"trajectories": total, "differ": differ, "probability": asdict(interval(differ, total, level))}


def _unlike(cells: Two, without: Sequence[str]) -> Iterator[NDArray[np.bool_]]:
    """Yield for each record that two cells have, but some, which trajectories do not have the same bits in both."""
    for name in (f.name for f in FIELDS if f.name not in without):
        if name in cells[0] and name in cells[1]:
            found = unlike(cells[0][name], cells[1][name])
            if found.size:
                yield np.asarray(found.reshape(len(found), -1).any(axis=1))


def unlike(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which numbers of two arrays of one shape are not the same bits; nan is like nan."""
    a, b = np.asarray(one), np.asarray(other)
    if a.dtype.kind != "f":
        return np.asarray(a != b)
    return np.asarray(((a != b) | (np.signbit(a) != np.signbit(b))) & ~(np.isnan(a) & np.isnan(b)))


def _landed(landings: tuple[Landings, Landings]) -> dict[str, int]:
    """Return the counts of the trajectories that were run in two cells by where they landed."""
    run = landings[0].run & landings[1].run
    first, second = (found.outcomes()[run] for found in landings)
    known = (first <= Landing.LANDED) & (second <= Landing.LANDED)
    here, there = first == Landing.LANDED, second == Landing.LANDED
    which = (known & here & there, known & here & ~there, known & ~here & there, known & ~here & ~there, ~known)
    return {name: int(np.count_nonzero(chosen)) for name, chosen in zip(COUNTS, which, strict=True)}


def _objectives(cells: Two, header: Mapping[str, Any], level: float) -> dict[str, Any]:
    """Return by which step J of two cells is seen to differ, and by how much at the last checkpoint."""
    sampled = np.flatnonzero(_run(cells)[: header.get("objective_trajectories", 0)])
    recorded = all("objective" in cell for cell in cells) and sampled.size > 0
    if not recorded:
        first = {"step": [], "estimate": [], "low": [], "high": [], "trajectories": 0}
        return {
            "first": first,
            "objective": {"pairs": 0, "of": [None, None], "median": None, "low": None, "high": None},
        }
    one, two = (np.asarray(cell["objective"])[sampled].astype(np.float64) for cell in cells)
    seen = np.logical_or.accumulate(unlike(one, two), axis=1)
    shares = [interval(count, sampled.size, level) for count in np.count_nonzero(seen, axis=0).tolist()]
    last = [np.where(np.isnan(found[:, -1]), np.inf, found[:, -1]) for found in (one, two)]
    kept = ~(np.isinf(last[0]) & np.isinf(last[1]))
    with np.errstate(invalid="ignore"):
        middle, low, high = median((last[1] - last[0])[kept], level)
    return {
        "first": {
            "step": np.asarray(cells[0]["checkpoint"]).tolist(),
            **{end: [getattr(share, end) for share in shares] for end in ("estimate", "low", "high")},
            "trajectories": int(sampled.size),
        },
        "objective": {
            "pairs": int(np.count_nonzero(kept)),
            "of": [float(np.quantile(found, 0.5, method="inverted_cdf")) for found in last],
            "median": middle,
            "low": low,
            "high": high,
        },
    }
