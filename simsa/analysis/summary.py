"""The summary of a run: all numbers that tables and figures show, as strict JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from simsa.analysis import continuity
from simsa.analysis.claims import Claim, evaluate
from simsa.analysis.comparisons import comparisons
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
    settled,
)
from simsa.analysis.intervals import LEVEL, Tally
from simsa.analysis.kinds import Subject, final_kinds, tie_kinds
from simsa.analysis.landings import Landings
from simsa.analysis.pairs import pairs
from simsa.analysis.plane import plane
from simsa.analysis.scales import bad_scales
from simsa.analysis.scaling import codimension, margin_curve
from simsa.analysis.verdicts import verdicts
from simsa.vocabulary import Asked, Event

EVENTS = (Event.LANDED, Event.SENSITIVE, Event.TIED, Event.UNBOUNDED, Event.NOT_FINITE, Event.SETTLED)
"""The events whose probability is estimated in every cell, besides those of final points and of observables."""


def summarise(
    records: Sequence[Mapping[str, Any]],
    header: Mapping[str, Any],
    *,
    subject: Subject | None = None,
    claims: Sequence[Claim] = (),
    timing: Mapping[str, Any] | None = None,
    level: float = LEVEL,
) -> dict[str, Any]:
    """Return the summary of records, as strict JSON can hold it: without nan and infinities.

    records: of each cell, arrays by their names (`records.read.cells`). header: the attributes of the records
    (`records.read.attributes`). subject: the functions and draws of the run; None if only the records are known, and
    then nothing is classified. claims: to be tested. timing: copied into the summary. level: confidence of all
    intervals, in (0, 1).

    Each of the `cells` has c, convention, precision and setting (the values of `axes`, the further axes); counts of
    trajectories, and of those that were tied, sensitive, landed, unbounded or not finite; and `probability` of these
    events, each with estimate, low, high, bound, level and method. Which trajectories landed is decided once, in
    `kinds.tie_kinds`; without a subject it is not known for the sensitive ones. The interval of a cell holds for this
    cell; `simultaneous` has, for landings, two-sided intervals that hold for all cells at once (Bonferroni). Further
    entries are `final` (`estimates.final_states`, and how many runs landed and settled), `first_passage`, `objective`,
    `observables`, `margin`, `codimension` (`scaling`), `tie_kinds` and, with a subject, `final_kinds` (`kinds`). The
    run has `pairs` (landings with and without rounding), `comparisons` (of cells that share their random numbers),
    `claims`, `bad_scales` (`scales`), `plane` (a map, if there are two parameters), `verdicts`, and `hypotheses`: those
    recorded when the run was planned, and whether each f_i is continuous.
    """
    described: list[dict[str, Any]] = []
    tallies: list[dict[str, Tally | None]] = []
    landings: list[Landings] = []
    tested: dict[int, tuple[Subject, list[continuity.Question]]] = {}
    for i, cell in enumerate(records):
        read = dict(cell)  # so that each field is read from the disk once
        mine = None if subject is None else subject.of(read)
        found, counted, landed = _cell(read, i, mine, header, level, len(records))
        if mine is not None:
            tested.setdefault(id(mine.objectives), (mine, []))[1].extend(continuity.sensitive(read, i, mine))
        described.append(found)
        tallies.append(counted)
        landings.append(landed)
    bad = bad_scales(subject, described, level) if subject is not None else None
    state, why = continuity.together([continuity.tested(*one) for one in tested.values()])
    continuous = {"theorem": "4 and 7", "hypothesis": Asked.CONTINUOUS, "state": state, "why": why, "c": None}
    hypotheses = [*header.get("hypotheses", []), continuous]
    summary: dict[str, Any] = _strict(
        {
            "scenario": header.get("name"),
            "title": header.get("title"),
            "digest": header["digest"],
            "seed": header.get("seed"),
            "axes": header.get("axes", []),
            "cells": described,
            "pairs": pairs(records, landings),
            "comparisons": comparisons(records, landings, header, level),
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
    """Return the summary of one cell out of `cells`, the tallies of events that a claim may name, and the landings."""
    steps = header["steps"]
    count, final = counts(cell), final_states(cell)
    total = count["trajectories"]
    ties, landings = tie_kinds(cell, index, subject, cells, level)
    landed = landings.tally()
    known: dict[str, Tally] = {
        event: landed if event == Event.LANDED else Tally.of({**final, **count}[event], total) for event in EVENTS
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
        "setting": str(cell["setting"]) if "setting" in cell else "",
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
            "landed_settled": landings.tally(settled(cell)[landings.trajectory]).hits,
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
            "curve": margin_curve(margin),
        },
        **kinds,
    }
    return described, tallies, landings


def _strict(value: Any) -> Any:
    """Return `value` with None in place of nan and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
