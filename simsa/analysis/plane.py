"""A map for programs of two parameters: J, ties and what they are, artificial critical points, some trajectories."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import calculus
from simsa.analysis.kinds import ASSIGNMENTS, DUAL, Subject
from simsa.analysis.landings import Landing, Landings
from simsa.calculus.curves import crossings
from simsa.errors import ProgramError
from simsa.formats import EXACT
from simsa.vocabulary import PointKind, TieKind, family

Array = NDArray[np.float64]

EFFORT = 1.2e5
"""Most operations of the reference interpreter for the grid: about a second."""

CLASSIFIED = 3e5
"""Most operations for the classifications, counted as in `kinds`: about a second."""

LINES, FEWEST = 31, 9
"""Most lines of the grid in each direction, and the fewest with which a map is drawn."""

PATHS, LANDED_PATHS = 6, 3
"""Most trajectories of a cell that are drawn, and most of these that landed."""

TOLERANCE = 1e-9
"""Where a tie lies between two floats, pieces are taken as tied whose values differ by no more."""


def plane(
    records: Sequence[Mapping[str, Any]],
    subject: Subject,
    cells: Sequence[dict[str, Any]],
    landings: Sequence[Landings],
) -> dict[str, Any] | None:
    """Return the map of a sweep of a program with two parameters; None if it has others, or is too large.

    records, cells, landings: the records, the summary and the landings of each cell. subject: the functions of the run.

    The map has these entries. names: of the parameters. x, y: the grid. objective: J on it; rows are y. ties: points on
    lines of the grid where a guard of some f_i vanishes, each with `tie` and `kind`. tie: "Sing", "C" or "harmless", as
    `calculus.classify` has it for J, or for f_i alone where the tie is harmless for J. A root that no float holds is
    classified from the gradients near it: "Sing" if they differ, otherwise "C" if a choice at the tie would return
    another gradient. kind: "artificial" where 0 is in D_J and not in Clarke's subdifferential of J, "clarke", or
    "regular". cells: the cell with most landings and, if there is one, the cell without sensitive trajectories whose c
    is nearest, each with c and `paths`: points, and whether the trajectory landed. Curves of ties are missed where no
    line of the grid meets them, or where they cross an edge of the grid twice.
    """
    chosen = _chosen(cells)
    subject = subject.of(cells[chosen[0]])
    objective = subject.objectives[cells[chosen[0]]["convention"]]
    if objective.p != 2 or subject.fresh or subject.path is None or not any(cell["trajectories"] for cell in cells):
        return None
    work = len(objective.rows) * len(objective.interpreter.tape.operands)
    lines = min(LINES, int((EFFORT / work) ** 0.5))
    if lines < FEWEST:
        return None
    drawn = [_drawn(records[i], i, subject, landings[i]) for i in chosen]
    low, high = _box([np.array(path["points"]) for entry in drawn for path in entry["paths"]])
    x, y = (np.linspace(low[j], high[j], lines) for j in (0, 1))
    nodes = np.stack(np.meshgrid(x, y), axis=-1)
    J = np.zeros((lines, lines))
    found: dict[tuple[float, ...], tuple[Array, int]] = {}
    for i in range(len(objective.rows)):
        term = objective.minibatch([i])
        runs = [[term.run(node, 0) for node in row] for row in nodes]
        J += np.array([[term.outputs(run)[0] for run in row] for row in runs]) / len(objective.rows)
        for a, b in _edges(lines):
            for at in crossings(term, (nodes[a], nodes[b]), (runs[a[0]][a[1]], runs[b[0]][b[1]])):
                found.setdefault(tuple(np.round((at - low) / (high - low), 9)), (at, i))
    most = max(1, int(CLASSIFIED / (DUAL * work)))
    every = -(-len(found) // most) or 1
    ties = [_tie(objective, at, i) for at, i in list(found.values())[::every]]
    return {
        "names": list(objective.program.names) or ["x[0]", "x[1]"],
        "x": _six_digits(x),
        "y": _six_digits(y),
        "objective": [_six_digits(row) for row in J],
        "ties": [{**entry, "at": _six_digits(entry["at"])} for entry in ties],
        "cells": drawn,
    }


def _chosen(cells: Sequence[dict[str, Any]]) -> list[int]:
    """Return which cells are drawn: the one with most landings, and one without sensitive trajectories.

    The second has the nearest c, and is left out if there is none, or if nothing landed. Exact cells are considered
    only if there are no others.
    """
    floating = [i for i, cell in enumerate(cells) if cell["precision"] != EXACT] or list(range(len(cells)))
    best = max(floating, key=lambda i: (cells[i]["landed"], -abs(i - len(cells) // 2)))
    alike = [i for i in floating if family(cells[i]) == family(cells[best])]
    without = [i for i in alike if not cells[i]["sensitive"] and i != best]
    if not cells[best]["landed"] or not without:
        return [best]
    return [best, min(without, key=lambda i: abs(cells[i]["c"] - cells[best]["c"]))]


def _drawn(cell: Mapping[str, Any], index: int, subject: Subject, landings: Landings) -> dict[str, Any]:
    """Return some trajectories of a cell: the first that are known to have landed, and the first that have not."""
    assert subject.path is not None
    landed = landings.outcomes() == Landing.LANDED
    trajectories = [
        *np.flatnonzero(landed)[:LANDED_PATHS].tolist(),
        *np.flatnonzero(landings.outcomes() == Landing.NOT_LANDED)[:PATHS].tolist(),
    ][:PATHS]
    paths = []
    for trajectory in trajectories:
        points = subject.path(index, trajectory)
        kept = points[np.isfinite(points).all(axis=1)]
        paths.append({"landed": bool(landed[trajectory]), "points": [_six_digits(point) for point in kept]})
    return {"cell": index, "c": float(cell["c"]), "paths": paths}


def _box(paths: Sequence[Array]) -> tuple[Array, Array]:
    """Return the corners of a box around all starts and nearly all points: far outliers are left out."""
    points = np.concatenate([path for path in paths if len(path)])
    low, high = np.quantile(points, (0.02, 0.98), axis=0)
    starts = np.array([path[0] for path in paths if len(path)])
    low, high = np.minimum(low, starts.min(axis=0)), np.maximum(high, starts.max(axis=0))
    # 0.0917, so that no line of the grid has a round coordinate, where ties often are
    padding = 0.0917 * np.maximum(high - low, 0.1 * (high - low).max() + 1e-9)
    return low - padding, high + padding


def _edges(lines: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the two ends of each edge of a square grid with so many lines in each direction."""
    for i in range(lines):
        for j in range(lines - 1):
            yield (i, j), (i, j + 1)
            yield (j, i), (j + 1, i)


def _tie(objective: calculus.Objective, x: Array, sample: int) -> dict[str, Any]:
    """Return what a tie of f_i at x is, and what x is for J."""
    term = objective.minibatch([sample])
    try:
        whole = calculus.classify(objective, x, limit=ASSIGNMENTS)
        if whole.tie is None:
            return {"at": x, **_tie_between_floats(objective, term, x)}
        tie = whole.tie if whole.tie is not TieKind.HARMLESS else calculus.classify(term, x, limit=ASSIGNMENTS).tie
        return {"at": x, "tie": tie or TieKind.HARMLESS, "kind": whole.kind}
    except ProgramError:  # more branches meet here than ASSIGNMENTS, or a derivative is not finite
        return {"at": x, "tie": TieKind.UNDECIDED, "kind": PointKind.REGULAR}


def _tie_between_floats(objective: calculus.Objective, term: calculus.Objective, x: Array) -> dict[str, str]:
    """Return what the tie nearest to x is for f_i, and what that point is for J, where no guard is 0 at x itself."""
    found = []
    for one in (term, objective):
        chosen = calculus.selection_operator(one, x, "local", tol=TOLERANCE, limit=ASSIGNMENTS).vertices
        near = np.array([one.gradient(x + TOLERANCE * np.array(side)) for side in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
        found.append((chosen, near, 1e-6 * max(1.0, float(np.abs(chosen).max()))))
    (chosen, near, small), (whole, whole_near, whole_small) = found
    tie = TieKind.C if np.ptp(chosen, axis=0).max() > small else TieKind.HARMLESS
    kind = PointKind.REGULAR if calculus.min_norm_point(whole).norm > whole_small else PointKind.ARTIFICIAL
    return {
        "tie": TieKind.SING if np.ptp(near, axis=0).max() > small else tie,
        "kind": PointKind.CLARKE if calculus.min_norm_point(whole_near).norm <= whole_small else kind,
    }


def _six_digits(values: Any) -> list[float]:
    """Return numbers rounded to six significant digits, which is enough for a figure."""
    return [float(f"{v:.6g}") for v in values]
