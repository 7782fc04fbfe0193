"""What rounding does to landings: exact cells beside the floating-point cells of the same starts and minibatches."""

from typing import TYPE_CHECKING, Any

import numpy as np

from simsa.ensemble.store import NOT_RUN, TOO_LONG

if TYPE_CHECKING:
    import xarray

EXACT = "exact"


def pairs(records: "xarray.Dataset") -> list[dict[str, Any]]:
    """Return, for each floating-point cell with an exact cell beside it, how many trajectories landed in which.

    Cells that differ in precision alone stand side by side, and trajectory t of each has the same start and the same
    minibatches. both, only_exact, only_float, neither: of the trajectories that were run in both cells. undecided:
    those among them that were not seen to land exactly and stopped because the numbers became too long.
    """
    found = []
    for group in _groups(records):
        exact = next((i for i in group if _axes(records.isel(cell=i))[2] == EXACT), None)
        for i in group if exact is not None else ():
            if i != exact:
                found.append(_compared(records.isel(cell=i), records.isel(cell=exact)))
    return found


def _groups(records: "xarray.Dataset") -> list[list[int]]:
    """Return the cells that differ in precision alone, which runs fastest."""
    groups: list[list[int]] = []
    last = None
    seen: set[str] = set()
    for i in range(records.sizes["cell"]):
        c, convention, precision = _axes(records.isel(cell=i))
        if (c, convention) != last or precision in seen:  # a c that is listed twice has two random streams
            groups.append([])
            seen = set()
        last = c, convention
        groups[-1].append(i)
        seen.add(precision)
    return groups


def _axes(cell: "xarray.Dataset") -> tuple[float, str, str]:
    """Return the step scale, convention and precision of a cell."""
    return float(cell["c"]), str(cell["convention"].values), str(cell["precision"].values)


def _compared(one: "xarray.Dataset", exact: "xarray.Dataset") -> dict[str, Any]:
    """Return the counts of a floating-point cell against an exact one."""
    run = (one["status"].values != NOT_RUN) & (exact["status"].values != NOT_RUN)
    ours, theirs = (cell["landed_first"].values[run] >= 0 for cell in (exact, one))
    cut = exact["status"].values[run] == TOO_LONG

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
