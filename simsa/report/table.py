"""The cells of a sweep as one plain table, for spreadsheets and for other programs."""

import csv as writer
import io
from collections.abc import Callable
from typing import Any

from simsa.report.section import Summary
from simsa.report.words import Cell

COLUMNS: dict[str, Callable[[Cell], Any]] = {
    "c": lambda cell: cell["c"],
    "convention": lambda cell: cell["convention"],
    "precision": lambda cell: cell["precision"],
    "trajectories": lambda cell: cell["trajectories"],
    "landed": lambda cell: cell["landed"],
    "landing_probability": lambda cell: cell["probability"]["landed"]["estimate"],
    "low": lambda cell: cell["probability"]["landed"]["low"],
    "high": lambda cell: cell["probability"]["landed"]["high"],
    "sensitive": lambda cell: cell["sensitive"],
    "tied": lambda cell: cell["tied"],
    "unbounded": lambda cell: cell["unbounded"],
    "not_finite": lambda cell: cell["not_finite"],
    "settled": lambda cell: cell["final"]["settled"],
    "objective": lambda cell: _objective(cell),
    "margin": lambda cell: _margin(cell),
}
"""The columns by their names: functions from a cell to its number or word, or to None where there is none."""


def csv(summary: Summary) -> str:
    """Return the cells of a summary as comma-separated values (RFC 4180): a line of names, and a line for each cell.

    Numbers are written in full, as `repr` writes them; an entry is empty where there is no number.
    """
    text = io.StringIO()
    lines = writer.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows([entry(cell) for entry in COLUMNS.values()] for cell in summary["cells"])
    return text.getvalue()


def _objective(cell: Cell) -> float | None:
    """Return the median of J at the last step at which it was evaluated; None if it was not."""
    medians = cell.get("objective", {}).get("quantiles", {}).get("0.5", [])
    last: float | None = medians[-1] if medians else None
    return last


def _margin(cell: Cell) -> float | None:
    """Return the smallest distance of a trajectory from a tie; None if no trajectory met a guard."""
    nearest = cell.get("codimension", {}).get("curve", {}).get("epsilon", [])
    least: float | None = nearest[0] if nearest else None
    return least
