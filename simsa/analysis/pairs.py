"""Compare cells with the same starts and minibatches: landings with and without rounding, and records by convention."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.analysis.intervals import LEVEL, interval
from simsa.analysis.landings import Landing, Landings
from simsa.formats import EXACT
from simsa.records.fields import FIELDS
from simsa.records.status import Status


def pairs(records: Sequence[Mapping[str, Any]], landings: Sequence[Landings]) -> list[dict[str, Any]]:
    """Return, for each floating-point cell, how its landings compare with those of the exact cell of the same c.

    records, landings: of each cell. Cells are compared if they differ in precision alone; then trajectory t has the
    same start and the same minibatches in each. An entry has c, convention and precision of the floating-point cell,
    and counts of the trajectories that were run in both cells: both, only_exact, only_float, neither, by where they
    landed; unclassified, if that is not known in one of the cells. undecided: the exact trajectory did not land before
    its numbers became too long, where it stopped; these trajectories are also counted in one of the others.
    """
    found = []
    for group in groups(records, "precision"):
        exact = next((i for i in group if axes(records[i])["precision"] == EXACT), None)
        if exact is not None:
            found += [_compared(records[i], records[exact], landings[i], landings[exact]) for i in group if i != exact]
    return found


def same_bits(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return in how many groups of cells that differ in convention alone all records are the same bits.

    compared: the number of groups, one for each c and precision. same: the number of groups in which every field of
    every trajectory is the same bits under all conventions. conventions: their labels. None if there is one convention.
    """
    compared = [group for group in groups(records, "convention") if len(group) > 1]
    if not compared:
        return None
    same = [all(_same_records(records[group[0]], records[i]) for i in group[1:]) for group in compared]
    return {
        "compared": len(compared),
        "same": sum(same),
        "conventions": list(dict.fromkeys(axes(cell)["convention"] for cell in records)),
    }


def differences(
    records: Sequence[Mapping[str, Any]], header: Mapping[str, Any], level: float = LEVEL
) -> list[dict[str, Any]]:
    """Return how many trajectories ever differ between cells that differ in convention alone, or in precision alone.

    The first cell of a group is compared with each other one. axis: "convention" or "precision"; of: its two values;
    c, and the other axis, which they share. trajectories: run in both. differ: those of which some record is not the
    same bits; between precisions, some record but EVALUATED. probability: of that, with its exact interval. first: by
    which step J is seen to differ, of the first `objective_trajectories` of the header, at the checkpoints at which J
    was recorded: step, estimate, low and high (pointwise), and trajectories, 0 if J was not recorded. Points may differ
    sooner than J is looked at, so the step is an upper bound.

    records: of each cell, arrays by their names (`records.read.cells`). header: the attributes of the records. level:
    of confidence, between 0 and 1.
    """
    found = []
    for axis in ("convention", "precision"):
        for first, *others in groups(records, axis):
            for other in others:
                one, two = dict(records[first]), dict(records[other])  # read once
                shared = {name: value for name, value in axes(one).items() if name != axis}
                of = [axes(cell)[axis] for cell in (one, two)]
                found.append({"axis": axis, "of": of, **shared, **_differing(axis, one, two, header, level)})
    return found


EVALUATED = ("objective", "observe", "margin")
"""Fields that are computed at the points of a trajectory: at equal points they may differ by the rounding of another
precision."""


def _differing(
    axis: str, one: Mapping[str, Any], other: Mapping[str, Any], header: Mapping[str, Any], level: float
) -> dict[str, Any]:
    """Return how many trajectories of two cells differ, and by which step J of them does."""
    run = (one["status"] != Status.NOT_RUN) & (other["status"] != Status.NOT_RUN)
    differing = np.zeros(run.size, dtype=np.bool_)
    for name in (f.name for f in FIELDS):
        if name in one and name in other and not (axis == "precision" and name in EVALUATED):
            differing |= unlike(one[name], other[name]).reshape(run.size, -1).any(axis=1)
    total, differ = int(np.count_nonzero(run)), int(np.count_nonzero(differing & run))
    found: dict[str, Any] = {
        "trajectories": total,
        "differ": differ,
        "probability": asdict(interval(differ, total, level)),
        "first": {"step": [], "estimate": [], "low": [], "high": [], "trajectories": 0},
    }
    sampled = np.flatnonzero(run[: header.get("objective_trajectories", 0)])
    if "objective" in one and "objective" in other and sampled.size:
        seen = np.logical_or.accumulate(unlike(one["objective"][sampled], other["objective"][sampled]), axis=1)
        counts = np.count_nonzero(seen, axis=0).tolist()
        shares = [interval(count, sampled.size, level) for count in counts]
        found["first"] = {
            "step": np.asarray(one["checkpoint"]).tolist(),
            **{end: [getattr(share, end) for share in shares] for end in ("estimate", "low", "high")},
            "trajectories": int(sampled.size),
        }
    return found


def unlike(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which numbers of two arrays of one shape are not the same bits; nan is like nan."""
    a, b = np.asarray(one), np.asarray(other)
    if a.dtype.kind != "f":
        return np.asarray(a != b)
    return np.asarray(((a != b) | (np.signbit(a) != np.signbit(b))) & ~(np.isnan(a) & np.isnan(b)))


def _same_records(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether the records of two cells are the same bits."""
    return all(
        np.ascontiguousarray(one[name]).tobytes() == np.ascontiguousarray(other[name]).tobytes()
        for name in (f.name for f in FIELDS)
        if name in one
    )


def groups(records: Sequence[Mapping[str, Any]], axis: str) -> list[list[int]]:
    """Return groups of cells that differ in one axis alone, "precision" or "convention", by their numbers."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for i, cell in enumerate(records):
        found.setdefault(tuple(value for name, value in axes(cell).items() if name != axis), []).append(i)
    return list(found.values())


def axes(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the step scale, convention and precision of a cell."""
    return {
        "c": float(cell["c"]),
        "convention": str(np.asarray(cell["convention"])),
        "precision": str(np.asarray(cell["precision"])),
    }


def _compared(
    cell: Mapping[str, Any], exact_cell: Mapping[str, Any], landings: Landings, exact_landings: Landings
) -> dict[str, Any]:
    """Return the entry of `pairs` for a floating-point cell and an exact one, with the landings of each."""
    run = landings.run & exact_landings.run
    rounded, exact = (found.outcomes()[run] for found in (landings, exact_landings))
    too_long = np.asarray(exact_cell["status"])[run] == Status.TOO_LONG
    known = (rounded <= Landing.LANDED) & (exact <= Landing.LANDED)

    def count(chosen: Any) -> int:
        return int(np.count_nonzero(known & chosen))

    return {
        **axes(cell),
        "trajectories": int(np.count_nonzero(run)),
        "both": count((rounded == Landing.LANDED) & (exact == Landing.LANDED)),
        "only_exact": count((rounded == Landing.NOT_LANDED) & (exact == Landing.LANDED)),
        "only_float": count((rounded == Landing.LANDED) & (exact == Landing.NOT_LANDED)),
        "neither": count((rounded == Landing.NOT_LANDED) & (exact == Landing.NOT_LANDED)),
        "unclassified": int(np.count_nonzero(~known)),
        "undecided": count(too_long & (exact == Landing.NOT_LANDED)),
    }
