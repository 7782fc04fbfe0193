"""Whether the convention or the precision matters: cells compared trajectory by trajectory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.analysis.intervals import LEVEL, Stratum, Tally
from simsa.analysis.landings import Landing, Landings, joined
from simsa.analysis.pairs import axes, groups, unlike
from simsa.records.fields import FIELDS

AXES = ("convention", "precision")
"""Along which cells are compared. Trajectory t of cells that differ in these has the same start and minibatches."""


def agreement(
    records: Sequence[Mapping[str, Any]], landings: Sequence[Landings], level: float = LEVEL
) -> list[dict[str, Any]]:
    """Return how the trajectories of cells that differ in convention alone, or in precision alone, compare.

    records, landings: of each cell. level: confidence of the interval, in (0, 1).

    Of the cells that differ along an axis alone, the first is compared with each other one. There is an entry for each
    axis, two of its values and a value of the other axis, over all step scales: `axis` ("convention" or "precision"),
    `of` (the two values), `beside` (the value of the other axis, along which cells share their random numbers and are
    not added), `cells` (comparisons of two cells), `trajectories` (run in both), and of these `differ` (some record is
    not the same bits; None between precisions, where rounding makes every record differ), and by where they landed:
    `both`, `only_first`, `only_second`, `neither`, or `unclassified` if that is not known in one of the cells.
    `probability` is that of landing in one of the two alone, averaged over the comparisons: estimate, low, high, bound,
    level and method. Those that are unclassified may be any of these. `c` has the step scales at which some trajectory
    landed in one alone.
    """
    found: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for axis, across in (AXES, AXES[::-1]):
        for first, *others in groups(records, axis):
            for other in others:
                pair = (records[first], records[other])
                one, two = (axes(cell)[axis] for cell in pair)
                compared = _compared(axis, pair, (landings[first], landings[other]))
                beside = axes(records[first])[across]
                found.setdefault((axis, one, two, beside), []).append({**compared, "c": axes(records[first])["c"]})
    return [_together(*names, compared, level) for names, compared in found.items()]


COUNTS = ("trajectories", "both", "only_first", "only_second", "neither", "unclassified")
"""The counts that are added over the comparisons of two values."""


def _together(
    axis: str, first: str, second: str, beside: str, compared: Sequence[Mapping[str, Any]], level: float
) -> dict[str, Any]:
    """Return the entry of `agreement` for two values of an axis. compared: what was found at each pair of cells."""
    tally = joined(_one_alone(one) for one in compared)
    return {
        "axis": axis,
        "of": [first, second],
        "beside": beside,
        "cells": len(compared),
        **{name: sum(one[name] for one in compared) for name in COUNTS},
        "differ": sum(one["differ"] for one in compared) if axis == "convention" else None,
        "probability": asdict(tally.interval(level)),
        "c": sorted({one["c"] for one in compared if one["only_first"] + one["only_second"]}),
    }


def _one_alone(compared: Mapping[str, Any]) -> Tally:
    """Return how many trajectories landed in one of two cells alone."""
    total, unknown = compared["trajectories"], compared["unclassified"]
    return Tally(total, (Stratum(total, total, compared["only_first"] + compared["only_second"], unknown),))


def _compared(
    axis: str, cells: tuple[Mapping[str, Any], Mapping[str, Any]], landings: tuple[Landings, Landings]
) -> dict[str, int]:
    """Return the counts of the trajectories of two cells that were run in both."""
    run = landings[0].run & landings[1].run
    first, second = (found.outcomes()[run] for found in landings)
    known = (first <= Landing.LANDED) & (second <= Landing.LANDED)
    here, there = first == Landing.LANDED, second == Landing.LANDED
    differ = np.logical_or.reduce(list(_unlike(cells))) if axis == "convention" else np.zeros(run.size, np.bool_)
    counted = {
        "trajectories": np.ones(known.size, np.bool_),
        "both": known & here & there,
        "only_first": known & here & ~there,
        "only_second": known & ~here & there,
        "neither": known & ~here & ~there,
        "unclassified": ~known,
        "differ": differ[run],
    }
    return {name: int(np.count_nonzero(which)) for name, which in counted.items()}


def _unlike(cells: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Iterator[NDArray[np.bool_]]:
    """Yield for each record that two cells have which trajectories do not have the same bits in both."""
    for name in (f.name for f in FIELDS):
        if name in cells[0] and name in cells[1]:
            found = unlike(cells[0][name], cells[1][name])
            if found.size:
                yield np.asarray(found.reshape(len(found), -1).any(axis=1))
