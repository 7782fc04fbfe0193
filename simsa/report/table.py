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
    "setting": lambda cell: cell.get("setting", ""),
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


def rows(summary: Summary) -> list[dict[str, Any]]:
    """Return the entries of COLUMNS of each cell of a summary, by their names; `setting` only if there are settings."""
    left_out = () if any(cell.get("setting") for cell in summary["cells"]) else ("setting",)
    columns = {name: entry for name, entry in COLUMNS.items() if name not in left_out}
    return [{name: entry(cell) for name, entry in columns.items()} for cell in summary["cells"]]


def csv(summary: Summary) -> str:
    """Return the cells of a summary as comma-separated values (RFC 4180): a line of names, and a line for each cell.

    Numbers are written in full, as `repr` writes them; an entry is empty where there is no number.
    """
    text, found = io.StringIO(), rows(summary)
    lines = writer.DictWriter(text, found[0], lineterminator="\n")
    lines.writeheader()
    lines.writerows(found)
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
