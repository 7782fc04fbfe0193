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
    still,
)
from simsa.analysis.intervals import LEVEL, Tally
from simsa.analysis.kinds import Subject, final_kinds, tie_kinds
from simsa.analysis.landings import Landings
from simsa.analysis.pairs import differences, pairs, same_bits
from simsa.analysis.plane import plane
from simsa.analysis.scales import bad_scales
from simsa.analysis.scaling import codimension, nearness
from simsa.analysis.verdicts import verdicts
from simsa.vocabulary import Asked

EVENTS = ("landed", "sensitive", "tied", "unbounded", "not_finite", "settled")
"""What a probability is estimated for, besides kinds of final points."""


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

    Of each cell: c, convention, precision; counts of trajectories, and of those that tied, were sensitive, landed,
    became unbounded or not finite; `probability` of these events, each with estimate, low, high, bound, level, method.
    Who landed is decided once (`kinds.tie_kinds`), and taken from there by all that count landings; without the subject
    it is not known of those that were sensitive. The interval of a cell holds for this cell; `simultaneous` gives, for
    landings, two-sided intervals that hold for all cells at once (Bonferroni). Further `final`
    (`estimates.final_states`, and how many that have settled landed), `first_passage`, `objective`, `observables`,
    `margin`, `codimension` (`scaling`), `tie_kinds`, and, if the subject is given, `final_kinds` (`kinds`). Of the run:
    `pairs` (exact cells beside the others), `same_bits` (conventions beside each other), `differences` (how many
    trajectories differ between conventions, or precisions), `claims` (`claims.evaluate`),
    `bad_scales` (`scales`), `plane` (a map, if there are two parameters), `verdicts` (`verdicts`), and the hypotheses
    recorded when it was planned. records: of each cell, arrays by their names (`records.read.cells`). header: the
    attributes of the records (`records.read.attributes`). timing: passed through.
    """
    described: list[dict[str, Any]] = []
    tallies: list[dict[str, Tally | None]] = []
    landings: list[Landings] = []
    sensitive: list[continuity.Question] = []
    for i, cell in enumerate(records):
        read = dict(cell)  # read once
        found, counted, landed = _cell(read, i, subject, header, level, len(records))
        sensitive += [] if subject is None else continuity.sensitive(read, i, subject)
        described.append(found)
        tallies.append(counted)
        landings.append(landed)
    bad = bad_scales(subject, described, level) if subject is not None else None
    state, why = continuity.tested(subject, sensitive)
    continuous = {"theorem": "4 and 7", "hypothesis": Asked.CONTINUOUS, "state": state, "why": why, "c": None}
    hypotheses = [*header.get("hypotheses", []), continuous]
    summary: dict[str, Any] = _strict(
        {
            "scenario": header.get("name"),
            "title": header.get("title"),
            "digest": header["digest"],
            "seed": header.get("seed"),
            "cells": described,
            "pairs": pairs(records, landings),
            "same_bits": same_bits(records),
            "differences": differences(records, header, level),
            "bad_scales": bad,
            "plane": plane(records, subject, described, landings) if subject is not None else None,
            "claims": evaluate(claims, described, tallies, level),
            "verdicts": verdicts(described, hypotheses, bad, level),
            "hypotheses": hypotheses,
            "timing": dict(timing or {}),
        }
    )
    return summary


def _cell(
    cell: Mapping[str, Any], index: int, subject: Subject | None, header: Mapping[str, Any], level: float, cells: int
) -> tuple[dict[str, Any], dict[str, Tally | None], Landings]:
    """Return the summary of one cell out of `cells`, the tallies of events that a claim may name, and who landed."""
    steps = header["steps"]
    count, final = counts(cell), final_states(cell)
    total = count["trajectories"]
    ties, landings = tie_kinds(cell, index, subject, cells, level)
    landed = landings.tally()
    known: dict[str, Tally] = {
        event: landed if event == "landed" else Tally.of({**final, **count}[event], total) for event in EVENTS
    }
    observed = observables(cell, level)
    hits = {name: found["hit"]["hits"] for name, found in observed.items() if "hit" in found}
    tallies: dict[str, Tally | None] = {**known, **{name: Tally.of(many, total) for name, many in hits.items()}}
    kinds: dict[str, Any] = {"tie_kinds": ties}
    if subject is not None:
        kinds["final_kinds"], ends = final_kinds(cell, subject, landings, cells, level)
        tallies |= ends
    curve, margin = first_passage(landings, steps, level), cell["margin"]
    together = landed.interval(1 - (1 - level) / cells)
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
        "landed": landed.hits,
        "probability": {event: asdict(tally.interval(level)) for event, tally in known.items()},
        "simultaneous": {
            "landed": {
                "low": together.low,
                "high": together.high,
                "level": level,
                "method": f"{together.method}, Bonferroni over {cells} cells",
            }
        },
        "final": {
            **final,
            "landed_settled": landings.tally(still(cell)[landings.who]).hits,
            "tolerance": SETTLED,
        },
        "first_passage": {
            "step": curve.step.tolist(),
            "estimate": curve.estimate.tolist(),
            "low": curve.low.tolist(),
            "high": curve.high.tolist(),
            "level": level,
            "method": curve.method,
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
    return described, tallies, landings


def _strict(value: Any) -> Any:
    """Return `value` with None for nan and infinities, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
