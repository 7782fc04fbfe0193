"""Numbers and names as every section writes them, and the grouping of cells that differ in nothing but their names."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

from simsa.report.section import Summary
from simsa.vocabulary import AXES

Cell = Mapping[str, Any]
"""A cell of a summary."""

FEW = 4
"""Step scales up to which each is named; of more, the range."""


def scale(cell: Mapping[str, Any]) -> str:
    """Return the step scale c of a cell, or of anything else that has one under "c"."""
    return f"{cell['c']:.6g}"


def scales(c: Sequence[float], digits: int = 6) -> str:
    """Return step scales in ascending order: each of up to FEW, as in "0.3, 0.5", or "11 from 0.1 to 0.9".

    c: the step scales, of which equal ones count once; empty if there are none. digits: significant ones.
    """
    text = [f"{one:.{digits}g}" for one in sorted(set(c))]
    return ", ".join(text) if len(text) <= FEW else f"{len(text)} from {text[0]} to {text[-1]}"


def percent(level: float) -> str:
    """Return a confidence level as a percentage: "95 %" for 0.95."""
    return f"{100 * level:.4g} %"


def interval(p: Mapping[str, Any]) -> str:
    """Return a probability with its two-sided interval and its one-sided bound: "0.1 (0.05 to 0.2; at most 0.18)".

    p: has estimate, low, high and bound. The estimate is left out if there is none.
    """
    estimate = "" if p["estimate"] is None else f"{p['estimate']:.4g} "
    return f"{estimate}({p['low']:.4g} to {p['high']:.4g}; at most {p['bound']:.3g})"


def event(summary: Summary, entry: Mapping[str, Any]) -> str:
    """Return the event of a claim in words: that of an observable as in "near <= 0.1".

    summary: has the level below which an observable is hit. entry: a claim of the summary.
    """
    observed = summary["cells"][0].get("observables") or {}
    hit = observed.get(entry["event"], {}).get("hit")
    return entry["event"] if hit is None else f"{entry['event']} <= {hit['below']:g}"


def differing(entries: Sequence[Mapping[str, Any]], keys: Sequence[str] = AXES) -> list[str]:
    """Return the keys that have more than one value among the entries: the others need no column."""
    return [key for key in keys if len({entry.get(key, "") for entry in entries}) > 1]


def ascending(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return cells, or comparisons of cells, in the order of c."""
    return sorted(entries, key=lambda entry: float(entry["c"]))


def grouped(
    cells: Sequence[Cell], keys: Sequence[str], columns: Mapping[str, Callable[[Cell], str]]
) -> list[tuple[tuple[str, ...], list[Cell]]]:
    """Return rows of a table, each with the cells that it is about: cells whose entries are all equal share a row.

    cells: in the order of the rows. keys: the names of the entries, such as "convention", that stand behind c in a row.
    columns: from a cell to each further entry. Of cells that share a row, c is written as `scales` does, and the
    values of a key are separated by commas. Cells share a row only if it names them and no others, so that the values
    of c are the same for each combination of the values of the keys.
    """
    equal: dict[tuple[str, ...], list[int]] = {}
    for i, cell in enumerate(cells):
        equal.setdefault(tuple(entry(cell) for entry in columns.values()), []).append(i)
    rows: list[tuple[tuple[str, ...], list[int]]] = []
    for entries, alike in equal.items():
        by_key: dict[tuple[str, ...], list[int]] = {}
        for i in alike:
            by_key.setdefault(tuple(cells[i].get(key, "") for key in keys), []).append(i)
        by_scales: dict[tuple[float, ...], list[tuple[str, ...]]] = {}
        for values, some in by_key.items():
            by_scales.setdefault(tuple(cells[i]["c"] for i in some), []).append(values)
        for c, combinations in by_scales.items():
            whole = set(product(*zip(*combinations, strict=True))) == set(combinations)
            for together in [combinations] if whole else [[one] for one in combinations]:
                names = [", ".join(dict.fromkeys(axis)) for axis in zip(*together, strict=True)]
                rows.append(((scales(c), *names, *entries), [i for one in together for i in by_key[one]]))
    return [(row, [cells[i] for i in some]) for row, some in sorted(rows, key=lambda row: min(row[1]))]
