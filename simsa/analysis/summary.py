"""The summary of a run: everything that tables and figures are made of, as strict JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from simsa.analysis import continuity
from simsa.analysis.claims import Claim, evaluate
from simsa.analysis.estimates import (
    EPSILONS,
    QUANTILES,
    SETTLED,
    counts,
    final_states,
    first_passage,
    margins,
    objective_quantiles,
    observables,
)
from simsa.analysis.intervals import LEVEL, Tally, clopper_pearson, interval
from simsa.analysis.kinds import Subject, final_kinds, tie_kinds
from simsa.analysis.pairs import pairs
from simsa.analysis.plane import plane
from simsa.analysis.scales import bad_scales
from simsa.analysis.scaling import codimension, nearness
from simsa.analysis.verdicts import verdicts

EVENTS = ("landed", "tied", "unbounded", "not_finite", "settled")
"""What a probability is estimated for from what is recorded of every trajectory."""


def summarise(
    records: Sequence[Mapping[str, Any]],
    header: Mapping[str, Any],
    *,
    subject: Subject | None = None,
    claims: Sequence[Claim] = (),
    timing: Mapping[str, Any] | None = None,
    level: float = LEVEL,
) -> dict[str, Any]:
    """Return the summary of records, as strict JSON can hold it: no nan, no infinity.

    Of each cell: c, convention, precision; counts of trajectories, and of those that tied, landed, became
    unbounded or not finite; `probability` of these events, each with estimate, low, high, level, method. The
    interval of a cell holds for this cell; `simultaneous` gives, for landings, two-sided intervals that hold for all
    cells at once (Bonferroni). Further `final` (`estimates.final_states`), `first_passage`, `objective`,
    `observables`, `margin`, `codimension` (`scaling`), and, if the subject is given, `tie_kinds` and `final_kinds`
    (`kinds`). Of the run: `pairs` (`pairs`: exact cells beside the others), `claims` (`claims.evaluate`), `bad_scales`
    (`scales`), `plane` (a map, if there are two parameters), `verdicts` (`verdicts`), and the hypotheses recorded when
    it was planned. records: of each cell, arrays by their names (`store.cells`). header: the attributes of the records
    (`store.attributes`). timing: passed through.
    """
    described: list[dict[str, Any]] = []
    tallies: list[dict[str, Tally | None]] = []
    sensitive: list[continuity.Question] = []
    for i, cell in enumerate(records):
        read = dict(cell)  # read once
        found, counted = _cell(read, i, subject, header, level, len(records))
        sensitive += [] if subject is None else continuity.sensitive(read, i, subject)
        described.append(found)
        tallies.append(counted)
    bad = bad_scales(subject, described, level) if subject is not None else None
    held, why = continuity.tested(subject, sensitive)
    continuous = {"theorem": "4 and 7", "hypothesis": continuity.CONTINUOUS, "held": held, "why": why}
    hypotheses = [*header.get("hypotheses", []), continuous]
    summary: dict[str, Any] = _strict(
        {
            "scenario": header.get("name"),
            "title": header.get("title"),
            "digest": header["digest"],
            "seed": header.get("seed"),
            "cells": described,
            "pairs": pairs(records),
            "bad_scales": bad,
            "plane": plane(records, subject, described) if subject is not None else None,
            "claims": evaluate(claims, described, tallies, level),
            "verdicts": verdicts(described, hypotheses, bad, level),
            "hypotheses": hypotheses,
            "timing": dict(timing or {}),
        }
    )
    return summary


def _cell(
    cell: Mapping[str, Any], index: int, subject: Subject | None, header: Mapping[str, Any], level: float, cells: int
) -> tuple[dict[str, Any], dict[str, Tally | None]]:
    """Return the summary of one cell out of `cells`, and what was counted of the events that a claim may name."""
    steps = header["steps"]
    count, final = counts(cell), final_states(cell)
    total = count["trajectories"]
    together = 1 - (1 - level) / cells
    low, high = clopper_pearson(count["landed"], total, together) if total else (0.0, 1.0)
    tallies: dict[str, Tally | None] = {event: Tally.of({**final, **count}[event], total) for event in EVENTS}
    observed = observables(cell, level)
    hits = {name: found["hit"]["hits"] for name, found in observed.items() if "hit" in found}
    tallies |= {name: Tally.of(many, total) for name, many in hits.items()}
    kinds: dict[str, Any] = {}
    if subject is not None:
        kinds["tie_kinds"] = tie_kinds(cell, index, subject, cells, level)
        kinds["final_kinds"], ends = final_kinds(cell, index, subject, cells, level)
        tallies |= ends
    curve, margin = first_passage(cell, steps, level), cell["margin"]
    objective: dict[str, Any] = {
        "step": [],
        "trajectories": 0,
        "quantiles": {f"{q:g}": [] for q in QUANTILES},
    }
    if "objective" in cell:
        quantiles, sampled = objective_quantiles(cell, header["objective_trajectories"])
        rows = zip(QUANTILES, quantiles.tolist(), strict=True)
        objective = {
            "step": cell["checkpoint"].tolist(),
            "trajectories": sampled,
            "quantiles": {f"{q:g}": row for q, row in rows},
        }
    described = {
        "c": float(cell["c"]),
        "convention": str(cell["convention"]),
        "precision": str(cell["precision"]),
        "steps": steps,
        **count,
        "probability": {event: asdict(interval({**final, **count}[event], total, level)) for event in EVENTS},
        "simultaneous": {
            "landed": {
                "low": float(low),
                "high": float(high),
                "level": level,
                "method": f"Clopper-Pearson, Bonferroni over {cells} cells",
            }
        },
        "final": {**final, "tolerance": SETTLED},
        "first_passage": {
            "step": curve.step.tolist(),
            "estimate": curve.estimate.tolist(),
            "low": curve.low.tolist(),
            "high": curve.high.tolist(),
            "level": level,
            "method": "Clopper-Pearson, pointwise",
        },
        "objective": objective,
        "observables": observed,
        "margin": {"epsilon": list(EPSILONS), "trajectories": margins(cell).tolist()},
        "codimension": {
            **asdict(codimension(margin, str(cell["precision"]), level)),
            "curve": nearness(margin),
        },
        **kinds,
    }
    return described, tallies


def _strict(value: Any) -> Any:
    """Return `value` with None for nan and infinities, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
