"""Cells of the same starts and minibatches: what rounding does to landings, and whether a convention does anything."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simsa.analysis.landings import Landing, Landings
from simsa.formats import EXACT
from simsa.records.fields import FIELDS
from simsa.records.status import Status


def pairs(records: Sequence[Mapping[str, Any]], landings: Sequence[Landings]) -> list[dict[str, Any]]:
    """Return, for each floating-point cell with an exact cell beside it, how many trajectories landed in which.

    Cells that differ in precision alone stand side by side, and trajectory t of each has the same start and the same
    minibatches. both, only_exact, only_float, neither: of the trajectories that were run in both cells, and of which it
    is known whether they landed. unclassified: the others. undecided: those that are known not to have landed exactly
    up to where they stopped because the numbers became too long. landings: of each cell.
    """
    found = []
    for group in groups(records, "precision"):
        exact = next((i for i in group if axes(records[i])["precision"] == EXACT), None)
        if exact is not None:
            found += [_compared(records[i], records[exact], landings[i], landings[exact]) for i in group if i != exact]
    return found


def same_bits(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return in how many comparisons of cells that differ in convention alone all records are the same bits.

    compared: groups of cells, each of one c and one precision. same: those of them in which every field of every
    trajectory is the same bits under all conventions. None if there is one convention.
    """
    compared = [group for group in groups(records, "convention") if len(group) > 1]
    if not compared:
        return None
    same = [all(_alike(records[group[0]], records[i]) for i in group[1:]) for group in compared]
    return {
        "compared": len(compared),
        "same": sum(same),
        "conventions": list(dict.fromkeys(axes(cell)["convention"] for cell in records)),
    }


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether the records of two cells are the same bits."""
    return all(
        np.ascontiguousarray(one[name]).tobytes() == np.ascontiguousarray(other[name]).tobytes()
        for name in (f.name for f in FIELDS)
        if name in one
    )


def groups(records: Sequence[Mapping[str, Any]], axis: str) -> list[list[int]]:
    """Return the cells that differ in one axis alone, "precision" or "convention", in groups, in their order."""
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


def _compared(one: Mapping[str, Any], exact: Mapping[str, Any], ours: Landings, theirs: Landings) -> dict[str, Any]:
    """Return the counts of a floating-point cell, with its landings, against an exact one."""
    run = ours.run & theirs.run
    here, there = (landings.outcomes()[run] for landings in (ours, theirs))
    cut = np.asarray(exact["status"])[run] == Status.TOO_LONG
    known = (here <= Landing.LANDED) & (there <= Landing.LANDED)

    def count(chosen: Any) -> int:
        return int(np.count_nonzero(known & chosen))

    return {
        **axes(one),
        "trajectories": int(np.count_nonzero(run)),
        "both": count((here == Landing.LANDED) & (there == Landing.LANDED)),
        "only_exact": count((here == Landing.NOT_LANDED) & (there == Landing.LANDED)),
        "only_float": count((here == Landing.LANDED) & (there == Landing.NOT_LANDED)),
        "neither": count((here == Landing.NOT_LANDED) & (there == Landing.NOT_LANDED)),
        "unclassified": int(np.count_nonzero(~known)),
        "undecided": count(cut & (there == Landing.NOT_LANDED)),
    }
