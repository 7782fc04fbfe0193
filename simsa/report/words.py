"""Numbers and names as every section writes them."""

from collections.abc import Mapping, Sequence
from typing import Any

from simsa.report.section import Summary

Cell = Mapping[str, Any]
"""A cell of a summary."""


def scale(cell: Mapping[str, Any]) -> str:
    """Return the step scale c of a cell, or of anything else that has one under "c"."""
    return f"{cell['c']:.6g}"


def interval(p: Mapping[str, Any]) -> str:
    """Return a probability with its two-sided interval and its one-sided bound: "0.1 (0.05 .. 0.2; at most 0.18)".

    p: has estimate, low, high and bound. The estimate is left out if there is none.
    """
    estimate = "" if p["estimate"] is None else f"{p['estimate']:.4g} "
    return f"{estimate}({p['low']:.4g} .. {p['high']:.4g}; at most {p['bound']:.3g})"


def event(summary: Summary, entry: Mapping[str, Any]) -> str:
    """Return the event of a claim in words: of an observable, what hits, as in "near <= 0.1".

    entry: a claim of the summary.
    """
    observed = summary["cells"][0].get("observables") or {}
    hit = observed.get(entry["event"], {}).get("hit")
    return entry["event"] if hit is None else f"{entry['event']} <= {hit['below']:g}"


def differing(entries: Sequence[Mapping[str, Any]], keys: Sequence[str] = ("convention", "precision")) -> list[str]:
    """Return the keys that have more than one value among the entries: the others need no column."""
    return [key for key in keys if len({entry[key] for entry in entries}) > 1]


def ascending(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return cells, or comparisons of cells, in the order of c."""
    return sorted(entries, key=lambda entry: float(entry["c"]))
