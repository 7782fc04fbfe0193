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
from simsa.vocabulary import PointKind, TieKind

Array = NDArray[np.float64]

EFFORT = 1.2e5
"""Operations of the reference interpreter that the grid may take: about a second."""

CLASSIFIED = 3e5
"""Operations that the classifications may take, as `kinds` counts them: about a second."""

LINES, FEWEST = 31, 9
"""Most lines of the grid in each direction, and fewest with which there is a map."""

PATHS, CAUGHT = 6, 3
"""Trajectories that are drawn of a cell, and those that landed among them."""

NEAR = 1e-9
"""Values of pieces that differ by no more meet, where the tie is between two floats."""


def plane(
    records: Sequence[Mapping[str, Any]],
    subject: Subject,
    cells: Sequence[dict[str, Any]],
    landings: Sequence[Landings],
) -> dict[str, Any] | None:
    """Return the map of a sweep of a program with two parameters; None if it has others, or is too large.

    names: of the parameters. x, y: the grid; objective: J on it, rows are y. ties: points on lines of the grid where a
    guard of some f_i vanishes; `tie`: "Sing", "C" or "harmless" as `calculus.classify` has it for J, or, where it is
    harmless there, for f_i alone. A root that is no float is classified from the gradients around it: "Sing" if they
    differ, else "C" if some choice at the tie would be wrong. `kind`: "artificial" where 0 is in D_J and not in
    Clarke's subdifferential of J, "clarke", or "regular". cells: of at most two, the one with most landings and the
    nearest without, with c and `paths`: points, and whether the trajectory landed. Curves that no line of the grid
    meets, or that two neighbouring points have on the same side, are missed.
    """
    objective = next(iter(subject.objectives.values()))
    if objective.p != 2 or subject.fresh or subject.path is None or not any(cell["trajectories"] for cell in cells):
        return None
    work = len(objective.rows) * len(objective.interpreter.tape.operands)
    lines = min(LINES, int((EFFORT / work) ** 0.5))
    if lines < FEWEST:
        return None
    chosen = _chosen(cells)
    objective = subject.objectives[cells[chosen[0]]["convention"]]
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
        "x": _short(x),
        "y": _short(y),
        "objective": [_short(row) for row in J],
        "ties": [{**entry, "at": _short(entry["at"])} for entry in ties],
        "cells": drawn,
    }


def _chosen(cells: Sequence[dict[str, Any]]) -> list[int]:
    """Return the cell with most landings and the one nearest in c without, of floating-point ones if there are some."""
    floating = [i for i, cell in enumerate(cells) if cell["precision"] != EXACT] or list(range(len(cells)))
    best = max(floating, key=lambda i: (cells[i]["landed"], -abs(i - len(cells) // 2)))
    family = [i for i in floating if all(cells[i][key] == cells[best][key] for key in ("convention", "precision"))]
    calm = [i for i in family if not cells[i]["sensitive"] and i != best]
    if not cells[best]["landed"] or not calm:
        return [best]
    return [best, min(calm, key=lambda i: abs(cells[i]["c"] - cells[best]["c"]))]


def _drawn(cell: Mapping[str, Any], index: int, subject: Subject, landings: Landings) -> dict[str, Any]:
    """Return some trajectories of a cell: the first few, and the first few that are known to have landed."""
    assert subject.path is not None
    landed = landings.outcomes() == Landing.LANDED
    who = [
        *np.flatnonzero(landed)[:CAUGHT].tolist(),
        *np.flatnonzero(landings.outcomes() == Landing.NOT_LANDED)[:PATHS].tolist(),
    ][:PATHS]
    paths = []
    for trajectory in who:
        points = subject.path(index, trajectory)
        kept = points[np.isfinite(points).all(axis=1)]
        paths.append({"landed": bool(landed[trajectory]), "points": [_short(point) for point in kept]})
    return {"cell": index, "c": float(cell["c"]), "paths": paths}


def _box(paths: Sequence[Array]) -> tuple[Array, Array]:
    """Return the corners of a box around all points but those of runs that are far out."""
    points = np.concatenate([path for path in paths if len(path)])
    low, high = np.quantile(points, (0.02, 0.98), axis=0)
    starts = np.array([path[0] for path in paths if len(path)])
    low, high = np.minimum(low, starts.min(axis=0)), np.maximum(high, starts.max(axis=0))
    room = 0.0917 * np.maximum(high - low, 0.1 * (high - low).max() + 1e-9)  # no grid lines on simple numbers
    return low - room, high + room


def _edges(lines: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the ends of the edges of a grid."""
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
            return {"at": x, **_beside(objective, term, x)}
        tie = whole.tie if whole.tie is not TieKind.HARMLESS else calculus.classify(term, x, limit=ASSIGNMENTS).tie
        return {"at": x, "tie": tie or TieKind.HARMLESS, "kind": whole.kind}
    except ProgramError:  # more branches meet here than are looked at, or a derivative is not finite
        return {"at": x, "tie": TieKind.UNDECIDED, "kind": PointKind.REGULAR}


def _beside(objective: calculus.Objective, term: calculus.Objective, x: Array) -> dict[str, str]:
    """Return what a tie near x is, and what that is for J, where no guard is 0 at x itself."""
    found = []
    for one in (term, objective):
        chosen = calculus.selection_operator(one, x, "local", tol=NEAR, limit=ASSIGNMENTS).vertices
        around = np.array([one.gradient(x + NEAR * np.array(side)) for side in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
        found.append((chosen, around, 1e-6 * max(1.0, float(np.abs(chosen).max()))))
    (chosen, around, small), (whole, beside, least) = found
    tie = TieKind.C if np.ptp(chosen, axis=0).max() > small else TieKind.HARMLESS
    kind = PointKind.REGULAR if calculus.min_norm_point(whole).norm > least else PointKind.ARTIFICIAL
    return {
        "tie": TieKind.SING if np.ptp(around, axis=0).max() > small else tie,
        "kind": PointKind.CLARKE if calculus.min_norm_point(beside).norm <= least else kind,
    }


def _short(values: Any) -> list[float]:
    """Return numbers to six digits: for a figure."""
    return [float(f"{v:.6g}") for v in values]
