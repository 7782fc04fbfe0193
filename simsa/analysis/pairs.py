"""What rounding does to landings: exact cells beside the floating-point cells of the same starts and minibatches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simsa.ensemble.store import NOT_RUN, TOO_LONG

EXACT = "exact"


def pairs(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each floating-point cell with an exact cell beside it, how many trajectories landed in which.

    Cells that differ in precision alone stand side by side, and trajectory t of each has the same start and the same
    minibatches. both, only_exact, only_float, neither: of the trajectories that were run in both cells. undecided:
    those among them that were not seen to land exactly and stopped because the numbers became too long.
    """
    found = []
    for group in _groups(records):
        exact = next((i for i in group if _axes(records[i])[2] == EXACT), None)
        if exact is not None:
            found += [_compared(records[i], records[exact]) for i in group if i != exact]
    return found


def _groups(records: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Return the cells that differ in precision alone, which runs fastest."""
    groups: list[list[int]] = []
    last = None
    seen: set[str] = set()
    for i, cell in enumerate(records):
        c, convention, precision = _axes(cell)
        if (c, convention) != last or precision in seen:  # a c that is listed twice has two random streams
            groups.append([])
            seen = set()
        last = c, convention
        groups[-1].append(i)
        seen.add(precision)
    return groups


def _axes(cell: Mapping[str, Any]) -> tuple[float, str, str]:
    """Return the step scale, convention and precision of a cell."""
    return float(cell["c"]), str(np.asarray(cell["convention"])), str(np.asarray(cell["precision"]))


def _compared(one: Mapping[str, Any], exact: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts of a floating-point cell against an exact one."""
    run = (np.asarray(one["status"]) != NOT_RUN) & (np.asarray(exact["status"]) != NOT_RUN)
    ours, theirs = (np.asarray(cell["sensitive_first"])[run] >= 0 for cell in (exact, one))
    cut = np.asarray(exact["status"])[run] == TOO_LONG

    def count(chosen: Any) -> int:
        return int(np.count_nonzero(chosen))

    return {
        **dict(zip(("c", "convention", "precision"), _axes(one), strict=True)),
        "trajectories": count(run),
        "both": count(ours & theirs),
        "only_exact": count(ours & ~theirs),
        "only_float": count(theirs & ~ours),
        "neither": count(~ours & ~theirs),
        "undecided": count(cut & ~ours),
    }
