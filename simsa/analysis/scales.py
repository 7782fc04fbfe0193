"""Predict bad step scales (Theorem 7) from Hessians at sampled points, and find them among the cells of the sweep."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from simsa import calculus
from simsa.analysis.intervals import LEVEL
from simsa.analysis.landings import joined, landed
from simsa.errors import ProgramError
from simsa.vocabulary import AXES, family

if TYPE_CHECKING:
    from simsa.analysis.kinds import Subject

SAMPLES = 48
"""Points at which Hessians are taken: a brick that fills a tenth of the box is missed with probability 0.006."""

EFFORT = 2e6
"""Most operations for the Hessians: about a second."""

EQUAL = 1e-9
"""Relative difference up to which two steps count as equal: eigenvalues are computed, and 1/3 is no binary fraction."""

LISTED = 200
"""Most predicted scales that are listed."""


def bad_scales(subject: "Subject", cells: Sequence[dict[str, Any]], level: float = LEVEL) -> dict[str, Any]:
    """Return the predicted bad scales, and the landing probability in cells at them and elsewhere.

    subject, cells, level: as in `of_setting`, whose entries the result has. With several settings each has its own bad
    scales; steps and scales of all are listed, equal ones once, and the box is that of the first.
    """
    by_setting: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        by_setting.setdefault(cell.get("setting", ""), []).append(i)
    found = []
    for numbers in by_setting.values():
        one = of_setting(subject.of(cells[numbers[0]]), [cells[i] for i in numbers], level)
        for entry in (one, *one["scales"]):
            entry["cells"] = [numbers[i] for i in entry["cells"]]
        found.append(one)
    return found[0] if len(found) == 1 else _merged(found)


def _merged(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the bad scales of several settings together. found: those of each."""
    steps = {f"{one['step']:.9g}": one for part in found for one in part["steps"]}
    scales: dict[tuple[str, int], dict[str, Any]] = {}
    for one in (one for part in found for one in part["scales"]):
        kept = scales.setdefault((f"{one['c']:.9g}", one["step"]), {**one, "cells": []})
        kept["cells"] = sorted({*kept["cells"], *one["cells"]})
    return {
        **found[0],
        "computed": all(one["computed"] for one in found),
        "why": next((one["why"] for one in found if one["why"]), ""),
        "steps": sorted(steps.values(), key=lambda one: -float(one["step"])),
        "scales": sorted(scales.values(), key=lambda one: (one["c"], one["step"])),
        "scales_in_all": max(len(scales), *(one["scales_in_all"] for one in found)),
        "cells": sorted(i for one in found for i in one["cells"]),
        **{key: [entry for one in found for entry in one[key]] for key in ("at", "elsewhere")},
    }


def of_setting(subject: "Subject", cells: Sequence[dict[str, Any]], level: float = LEVEL) -> dict[str, Any]:
    """Return the predicted bad scales of the cells of one setting, and the landing probability there and elsewhere.

    subject: the functions of the run, and the box in which Hessians are taken. cells: those of the summary. level:
    confidence of the intervals, in (0, 1).

    A step is bad if it is 1/lambda for an eigenvalue lambda > 0 of the Hessian of some f_I that is constant on an open
    set (`calculus.bad_steps`, at SAMPLES points of the box), so c is bad if c alpha_k = 1/lambda for some k before the
    last: where the last step leads is not examined. `steps`: the bad steps. `scales`: the bad c between the least and
    the largest of the sweep, each with the first step k at which c alpha_k is bad, and the cells with that c; in long
    runs every c is close to a bad one. `at` and `elsewhere`: means over the cells at bad scales and over the others,
    for each family of cells. `computed` is False if the program is too large, and `why` has the reason. Bad
    steps of a brick in which no sampled point lies are missed.
    """
    found, why = _bad_steps(subject)
    scales = np.array([cell["c"] for cell in cells])
    least, largest = scales.min() * (1 - EQUAL), scales.max() * (1 + EQUAL)
    alphas, steps = np.unique(subject.alpha[:-1], return_index=True)
    alphas, steps = alphas[::-1], steps[::-1]
    listed: list[dict[str, Any]] = []
    at, in_all = np.zeros(len(cells), bool), 0
    for step in found:
        bad = step["step"] / alphas  # in ascending order
        inside = slice(*np.searchsorted(bad, (least, largest)).tolist())
        in_all += inside.stop - inside.start
        neighbours = np.clip(np.searchsorted(bad, scales) + np.array([[-1], [0]]), 0, max(len(bad) - 1, 0))
        equal = np.abs(bad[neighbours] - scales) <= EQUAL * scales if len(bad) else np.zeros((2, len(scales)), bool)
        at |= equal.any(axis=0)
        earliest = np.arange(inside.start, inside.stop)[np.argsort(steps[inside], kind="stable")[:LISTED]]
        for i in np.union1d(earliest, neighbours[equal]):
            here = (equal & (neighbours == i)).any(axis=0)
            entry = {"c": float(bad[i]), "step": int(steps[i]), "eigenvalue": step["eigenvalue"]}
            listed.append({**entry, "cells": np.flatnonzero(here).tolist()})
    listed.sort(key=lambda entry: (not entry["cells"], entry["step"], entry["c"]))
    low, high = subject.box
    return {
        "computed": not why,
        "why": why,
        "samples": SAMPLES,
        "box": [low.tolist(), high.tolist()],
        "steps": found,
        "scales": sorted(listed[:LISTED], key=lambda entry: (entry["c"], entry["step"])),
        "scales_in_all": in_all,
        "cells": np.flatnonzero(at).tolist(),
        "at": _pooled([cell for cell, bad in zip(cells, at, strict=True) if bad], level),
        "elsewhere": _pooled([cell for cell, bad in zip(cells, at, strict=True) if not bad], level),
    }


def _bad_steps(subject: "Subject") -> tuple[list[dict[str, Any]], str]:
    """Return the distinct bad steps in descending order, and why they were not computed, empty if they were."""
    objective = next(iter(subject.objectives.values()))  # conventions differ at ties alone
    if not subject.sgd:
        return [], "steps are not those of SGD"
    if subject.fresh:
        return [], "samples are streamed, so no brick is met twice"
    if subject.minibatches is None:
        return [], "there are too many minibatches"
    batches = len(subject.minibatches)
    cost = SAMPLES * len(objective.rows) * len(objective.interpreter.tape.operands) * 40 * (1 + objective.p / 100)
    if cost + SAMPLES * batches * objective.p**3 > EFFORT:
        return [], "the program or the data are too large"
    try:
        found = calculus.bad_steps(
            objective.program, objective.rows, subject.box, samples=SAMPLES, minibatches=subject.minibatches
        )
    except ProgramError as error:
        return [], str(error)
    steps: list[dict[str, Any]] = []
    for bad in found:
        if not steps or abs(steps[-1]["step"] - bad.step) > EQUAL * bad.step:
            steps.append({"step": bad.step, "eigenvalue": bad.eigenvalue, "minibatches": [], "mass": 0.0})
        if list(bad.minibatch) not in steps[-1]["minibatches"]:
            steps[-1]["minibatches"].append(list(bad.minibatch))
        steps[-1]["mass"] += bad.mass / batches
    return steps, ""


def _pooled(cells: Sequence[dict[str, Any]], level: float) -> list[dict[str, Any]]:
    """Return the landings of several cells together, in an entry for each family of cells.

    The interval is of the mean of the cells' probabilities. Cells of different families are not added, because they
    share their random numbers and so are not independent.
    """
    entries = []
    for key in dict.fromkeys(map(family, cells)):
        mine = [cell for cell in cells if family(cell) == key]
        tally = joined([landed(cell) for cell in mine])
        entries.append(
            {
                **dict(zip(AXES, key, strict=True)),
                "cells": len(mine),
                "trajectories": tally.total,
                "sensitive": sum(cell["sensitive"] for cell in mine),
                "landed": tally.hits,
                **asdict(tally.interval(level)),
            }
        )
    return entries
