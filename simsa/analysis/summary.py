"""The summary of a run: everything that tables and figures are made of, as strict JSON."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from simsa.analysis.estimates import (
    EPSILONS,
    QUANTILES,
    SETTLED,
    counts,
    final_states,
    first_passage,
    margins,
    objective_quantiles,
)
from simsa.analysis.intervals import LEVEL, clopper_pearson, interval

if TYPE_CHECKING:
    import xarray

EVENTS = ("landed", "tied", "unbounded", "not_finite")
"""What a probability is estimated for."""


def summarise(
    records: "xarray.Dataset", *, timing: Mapping[str, Any] | None = None, level: float = LEVEL
) -> dict[str, Any]:
    """Return the summary of records, as strict JSON can hold it: no nan, no infinity.

    Of each cell: c, convention, precision; counts of trajectories, and of those that tied, landed, became
    unbounded or not finite; `probability` of these events, each with estimate, low, high, level, method. The
    interval of a cell holds for this cell; `simultaneous` gives, for landings, intervals that hold for all
    cells at once (Bonferroni). Further `final` (`estimates.final_states`), `first_passage`, `objective`,
    `margin`. Hypotheses are those recorded when the run was planned. timing: passed through.
    """
    header, cells = records.attrs, records.sizes["cell"]
    summary: dict[str, Any] = _strict(
        {
            "scenario": header.get("name"),
            "title": header.get("title"),
            "digest": header["digest"],
            "seed": header.get("seed"),
            "cells": [_cell(records.isel(cell=i), header, level, cells) for i in range(cells)],
            "hypotheses": header.get("hypotheses", []),
            "timing": dict(timing or {}),
        }
    )
    return summary


def _cell(cell: "xarray.Dataset", header: Mapping[str, Any], level: float, cells: int) -> dict[str, Any]:
    """Return the summary of one cell out of `cells`."""
    steps = header["steps"]
    cell = cell.drop_vars(["final", "tie_point"], errors="ignore").load()
    count = counts(cell)
    total = count["trajectories"]
    together = 1 - (1 - level) / cells
    low, high = clopper_pearson(count["landed"], total, together) if total else (0.0, 1.0)
    curve = first_passage(cell, steps, level)
    objective: dict[str, Any] = {
        "step": [],
        "trajectories": 0,
        "quantiles": {f"{q:g}": [] for q in QUANTILES},
    }
    if "objective" in cell:
        quantiles, sampled = objective_quantiles(cell, header["objective_trajectories"])
        rows = zip(QUANTILES, quantiles.tolist(), strict=True)
        objective = {
            "step": cell["checkpoint"].values.tolist(),
            "trajectories": sampled,
            "quantiles": {f"{q:g}": row for q, row in rows},
        }
    return {
        "c": float(cell["c"]),
        "convention": str(cell["convention"].values),
        "precision": str(cell["precision"].values),
        "steps": steps,
        **count,
        "probability": {event: asdict(interval(count[event], total, level)) for event in EVENTS},
        "simultaneous": {
            "landed": {
                "low": float(low),
                "high": float(high),
                "level": level,
                "method": f"Clopper-Pearson, Bonferroni over {cells} cells",
            }
        },
        "final": {**final_states(cell), "tolerance": SETTLED},
        "first_passage": {
            "step": curve.step.tolist(),
            "estimate": curve.estimate.tolist(),
            "low": curve.low.tolist(),
            "high": curve.high.tolist(),
            "level": level,
            "method": "Clopper-Pearson, pointwise",
        },
        "objective": objective,
        "margin": {"epsilon": list(EPSILONS), "trajectories": margins(cell).tolist()},
    }


def _strict(value: Any) -> Any:
    """Return `value` with None for nan and infinities, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
