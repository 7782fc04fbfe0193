"""Landings with and without rounding, of cells with the same starts and minibatches; and which cells these are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simsa.analysis.landings import Landing, Landings
from simsa.formats import EXACT
from simsa.records.status import Status
from simsa.vocabulary import AXES


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


def groups(records: Sequence[Mapping[str, Any]], axis: str) -> list[list[int]]:
    """Return groups of cells that differ in one axis alone, one of AXES, by their numbers."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for i, cell in enumerate(records):
        found.setdefault(tuple(value for name, value in axes(cell).items() if name != axis), []).append(i)
    return list(found.values())


def axes(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the step scale of a cell, and its value of each of AXES. cell: its records."""
    return {"c": float(cell["c"]), **{axis: str(np.asarray(cell[axis])) if axis in cell else "" for axis in AXES}}


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
