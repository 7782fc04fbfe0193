"""Bad step scales (Theorem 7): predicted from Hessians at sampled points, then looked up among the cells."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from simsa import calculus
from simsa.analysis.intervals import LEVEL
from simsa.analysis.landings import joined, landed
from simsa.errors import ProgramError

if TYPE_CHECKING:
    from simsa.analysis.kinds import Subject

SAMPLES = 48
"""Points at which Hessians are taken: a brick of a tenth of the box is missed with probability 0.006."""

EFFORT = 2e6
"""Operations that the Hessians may take: about a second."""

EQUAL = 1e-9
"""Steps that differ by no more, relatively, are one: eigenvalues are computed, and 1/3 is no binary fraction."""

LISTED = 200
"""Most predicted scales that are listed."""


def bad_scales(subject: "Subject", cells: Sequence[dict[str, Any]], level: float = LEVEL) -> dict[str, Any]:
    """Return the predicted bad scales, and the landing probability in cells at them and elsewhere.

    A step is bad if it is 1/lambda for an eigenvalue lambda > 0 of the Hessian of some f_I that is constant on an open
    set (`calculus.bad_steps`, at SAMPLES points of the box of `subject`), so c is bad if c alpha_k = 1/lambda for some
    k before the last: where the last step leads is not looked at. cells: those of the summary. `steps` are the bad
    steps; `scales` the bad c between the least and the largest of the sweep, each with the first step k it concerns,
    and the cells that are there: with long runs every c is close to one. `at` and `elsewhere` are means over cells, for
    each convention and precision. computed is False, with the reason, if the program is too large; an atom in a brick
    that no point was in is missed.
    """
    found, why = _atoms(subject)
    scales = np.array([cell["c"] for cell in cells])
    least, largest = scales.min() * (1 - EQUAL), scales.max() * (1 + EQUAL)
    alphas, steps = np.unique(subject.alpha[:-1], return_index=True)
    alphas, steps = alphas[::-1], steps[::-1]
    listed: list[dict[str, Any]] = []
    at, in_all = np.zeros(len(cells), bool), 0
    for atom in found:
        bad = atom["step"] / alphas  # in ascending order
        inside = slice(*np.searchsorted(bad, (least, largest)).tolist())
        in_all += inside.stop - inside.start
        beside = np.clip(np.searchsorted(bad, scales) + np.array([[-1], [0]]), 0, max(len(bad) - 1, 0))
        near = np.abs(bad[beside] - scales) <= EQUAL * scales if len(bad) else np.zeros((2, len(scales)), bool)
        at |= near.any(axis=0)
        earliest = np.arange(inside.start, inside.stop)[np.argsort(steps[inside], kind="stable")[:LISTED]]
        for i in np.union1d(earliest, beside[near]):
            here = (near & (beside == i)).any(axis=0)
            entry = {"c": float(bad[i]), "step": int(steps[i]), "eigenvalue": atom["eigenvalue"]}
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


def _atoms(subject: "Subject") -> tuple[list[dict[str, Any]], str]:
    """Return the bad steps, those of equal size as one, in descending order; and why there are none, if so."""
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
    atoms: list[dict[str, Any]] = []
    for bad in found:
        if not atoms or abs(atoms[-1]["step"] - bad.step) > EQUAL * bad.step:
            atoms.append({"step": bad.step, "eigenvalue": bad.eigenvalue, "minibatches": [], "mass": 0.0})
        if list(bad.minibatch) not in atoms[-1]["minibatches"]:
            atoms[-1]["minibatches"].append(list(bad.minibatch))
        atoms[-1]["mass"] += bad.mass / batches
    return atoms, ""


def _pooled(cells: Sequence[dict[str, Any]], level: float) -> list[dict[str, Any]]:
    """Return what was counted in several cells together; the interval is of the mean of their probabilities.

    An entry for each convention and precision: cells that differ in these share their random numbers, and are no more
    trajectories than one of them.
    """
    entries = []
    for convention, precision in dict.fromkeys((cell["convention"], cell["precision"]) for cell in cells):
        mine = [cell for cell in cells if (cell["convention"], cell["precision"]) == (convention, precision)]
        tally = joined([landed(cell) for cell in mine])
        entries.append(
            {
                "convention": convention,
                "precision": precision,
                "cells": len(mine),
                "trajectories": tally.total,
                "sensitive": sum(cell["sensitive"] for cell in mine),
                "landed": tally.hits,
                **asdict(tally.interval(level)),
            }
        )
    return entries
