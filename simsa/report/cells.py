"""The sections with a table of cells: landings, final points, observables, and landings with and without rounding.

`landings`, `landing_words`, `final_points`, `observables`, `rounding` and `too_long` go from the summary of a run to a
section, or to None if the run has nothing of the kind. Cells whose entries are all equal share one row.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from simsa.report.answers import RECORDS_ALONE
from simsa.report.section import Block, Paragraph, Section, Summary, Table
from simsa.report.words import Cell, ascending, differing, grouped, interval, percent, scale
from simsa.vocabulary import PointKind, TieKind

LISTED = 60
"""Most rows of the table of landings."""

SHARED = "Cells whose entries are all equal share one row; summary.json has each cell."

Columns = dict[str, Callable[[Cell], str]]
"""The columns of a table by their names: each is a function from a cell to its entry."""


def landings(summary: Summary) -> Section:
    """Return the table of landings of a summary, in the order of c."""
    rows = _landing_rows(summary)
    shown = listed(rows)
    left_out = [cell for row in rows if row not in shown for cell in row[1]]
    header = ("c", *differing(summary["cells"]), *_landing_columns(summary["cells"]))
    blocks: list[Block] = [Table(header, tuple(row for row, _ in shown), "r" * len(header))]
    if left_out:
        rest = sum(cell["sensitive"] for cell in left_out)
        more = f"{len(left_out)} more cells, with {rest} sensitive trajectories"
        blocks.append(Paragraph(f"{more}, are not listed; summary.json has them."))
    return Section("Cells", tuple(blocks))


def landing_words(summary: Summary) -> Section:
    """Return what the columns of the table of landings are."""
    merged = len(_landing_rows(summary)) < len(summary["cells"])
    return Section("Columns of the table of cells", tuple(map(Paragraph, _notes(summary, merged=merged))), detail=True)


Row = tuple[tuple[str, ...], list[Cell]]
"""A row of a table, and the cells that it is about."""


def listed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that are shown: all, or LISTED of them, those with most sensitive trajectories first.

    Of rows with equally many, the outermost are shown. rows: in the order of c, which is kept.
    """
    middle = (len(rows) - 1) / 2
    sensitive = [max(cell["sensitive"] for cell in cells) for _, cells in rows]
    order = sorted(range(len(rows)), key=lambda i: (-sensitive[i], -abs(i - middle)))
    return [rows[i] for i in sorted(order[:LISTED])]


def _landing_rows(summary: Summary) -> list[Row]:
    """Return all rows of the table of landings, in the order of c."""
    cells = summary["cells"]
    return grouped(ascending(cells), differing(cells), _landing_columns(cells))


def _landing_columns(cells: Sequence[Cell]) -> Columns:
    """Return the columns of the table of landings behind those that name the cell."""
    level = percent(cells[0]["probability"]["landed"]["level"])
    columns: Columns = {key: _counted(key) for key in ("trajectories", "tied", "sensitive")}
    if any(cell["tie_kinds"]["classified"] for cell in cells):
        columns["examined"] = lambda cell: str(cell["tie_kinds"]["classified"])
        for kind in TieKind:
            found = any(cell["tie_kinds"]["kinds"][kind]["count"] for cell in cells)
            if found or kind in (TieKind.HARMLESS, TieKind.C, TieKind.SING):
                columns[kind] = _kind("tie_kinds", kind)
        columns["certified"] = lambda cell: str(cell["tie_kinds"]["certified"])
    return columns | {
        "landed": lambda cell: _landed(cell["tie_kinds"]),
        "P(landed)": _estimate,
        f"{level} interval": lambda cell: "{low:.4g} to {high:.4g}".format_map(cell["probability"]["landed"]),
        "at most": lambda cell: f"{cell['probability']['landed']['bound']:.3g}",
        "unbounded": _counted("unbounded"),
        "not finite": _counted("not_finite"),
    }


def _counted(key: str) -> Callable[[Cell], str]:
    """Return the function from a cell to its entry under a key."""
    return lambda cell: str(cell[key])


def _kind(found: str, kind: str) -> Callable[[Cell], str]:
    """Return the function from a cell to how many of its examined points are of a kind; "-" if none were examined.

    found: "tie_kinds" or "final_kinds".
    """
    return lambda cell: str(cell[found]["kinds"][kind]["count"]) if cell[found]["classified"] else "-"


def _estimate(cell: Cell) -> str:
    """Return the estimated probability of a landing; "-" if there is none, because some points are not classified."""
    estimate = cell["probability"]["landed"]["estimate"]
    return "-" if estimate is None else f"{estimate:.4g}"


def _landed(found: Mapping[str, Any]) -> str:
    """Return how many of the examined trajectories landed: "3", or "3 to 5" if 2 of them are undecided.

    It is "0 to 60" if none of 60 sensitive trajectories was examined. found: the `tie_kinds` of a cell.
    """
    size, examined, hits, unknown = (sum(stratum[j] for stratum in found["strata"]) for j in range(4))
    if size and not examined:
        return f"0 to {size}"
    return f"{hits} to {hits + unknown}" if unknown else str(hits)


def _notes(summary: Summary, *, merged: bool) -> Iterator[str]:
    """Yield what has to be known to read the table of landings: a paragraph each.

    merged: whether some cells share a row.
    """
    cells = summary["cells"]
    level = percent(cells[0]["probability"]["landed"]["level"])
    yield (
        "Tied: the trajectory met an exact tie. Sensitive: at a tie, the gradient of the minibatch depends on the "
        "choice. Landed: its first sensitive point is in C or Sing. P(landed) has an exact two-sided interval and, as "
        f"'at most', an exact one-sided bound, each at {level}." + f" {SHARED}" * merged
    )
    if any(cell["tie_kinds"]["classified"] for cell in cells):
        yield (
            "Examined: first sensitive points that were classified, all or a random sample. Harmless: AD returns the "
            "gradient there. Certified: the calculus proves the class."
        )
    if any(cell["tie_kinds"]["why"] for cell in cells):
        yield "Where sensitive points were not classified, at most the sensitive trajectories landed."
    yield from _undecided(cells)


def _reasons(cells: Sequence[Cell]) -> dict[str, int]:
    """Return in how many cells no final point was classified, by the reason."""
    reasons = Counter(cell["final_kinds"]["why"] if "final_kinds" in cell else RECORDS_ALONE for cell in cells)
    return {why: count for why, count in reasons.items() if why}


def _undecided(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield of how many trajectories it is not known whether they landed, and why, if there are any."""
    concerned = [cell for cell in cells if any(stratum[3] for stratum in cell["tie_kinds"]["strata"])]
    if concerned:
        later = sum(cell["tie_kinds"]["later"] for cell in concerned)
        many = sum(stratum[3] for cell in concerned for stratum in cell["tie_kinds"]["strata"])
        why = [
            *[f"{later} met another tie after a first sensitive point that was no landing"] * bool(later),
            *[f"the first sensitive points of {many - later} could not be classified"] * (many > later),
        ]
        yield (
            f"Whether {many} of the examined trajectories landed is not known, and the intervals allow for both: "
            f"{', and '.join(why)}."
        )


def final_points(summary: Summary) -> Section:
    """Return how the runs of each cell of a summary ended, and what their final points are for J."""
    cells = ascending(summary["cells"])
    keys = differing(cells)
    columns: Columns = {
        "finished": lambda cell: str(cell["final"]["settled"] + cell["final"]["moving"]),
        "settled": lambda cell: str(cell["final"]["settled"]),
        "moving": lambda cell: str(cell["final"]["moving"]),
    }
    examined = any(cell.get("final_kinds", {}).get("classified") for cell in cells)
    if examined:
        columns["examined"] = lambda cell: str(cell["final_kinds"]["classified"])
        names = {
            PointKind.CLARKE: "critical",
            PointKind.ARTIFICIAL: "artificial",
            PointKind.NOT_SETTLED: "not converged",
        }
        columns |= {name: _kind("final_kinds", kind) for kind, name in names.items()}
    rows = grouped(cells, keys, columns)
    header = ("c", *keys, *columns)
    tolerance = cells[0]["final"]["tolerance"]
    notes = [
        f"Settled: the last step moved no parameter by more than {tolerance:g} times its size c alpha_K. "
        "Moving: it moved one by more."
    ]
    if examined:
        notes.append(
            f"Examined: final points that were classified. Critical: 0 is, up to {tolerance:g}, in Clarke's "
            "subdifferential of J, or in the hull of gradients close to the point. Artificial: 0 is in D_J only. Not "
            "converged: neither. Where not all are examined, they are a random sample of the runs that landed and "
            "settled, and one of the others, so the counts are not proportions; the verdicts give probabilities."
        )
    notes += [
        f"Final points were not examined in {concerned} of {len(cells)} cells, because {why}."
        for why, concerned in _reasons(cells).items()
        if examined
    ]
    table = Table(header, tuple(row for row, _ in rows), "r" * len(header))
    return Section("Final points", (table, *map(Paragraph, notes)), detail=True)


def observables(summary: Summary) -> Section | None:
    """Return the observables of each cell of a summary: the median at the end, how many have hit, and when.

    None if there are no observables.
    """
    cells = ascending(summary["cells"])
    if not any(cell.get("observables") for cell in cells):
        return None
    keys = differing(cells)
    names = ("median at the end", "hit below", "hits", "P(hit)", "median step of the hit")
    rows: list[tuple[str, ...]] = []
    for one in cells[0]["observables"]:
        columns = {name: _observed(one, i) for i, name in enumerate(names)}
        rows += [(one, *row) for row, _ in grouped(cells, keys, columns)]
    header = ("observed", "c", *keys, *names)
    blocks: list[Block] = [Table(header, tuple(rows), "r" * len(header))]
    if any("-" in row for row in rows):
        blocks.append(Paragraph("A median is '-' if more than half of the trajectories stopped early, or did not hit."))
    return Section("Observables", tuple(blocks), heading="none", detail=True)


def _observed(name: str, column: int) -> Callable[[Cell], str]:
    """Return the function from a cell to an entry of an observable: one of those that `_hitting` returns."""
    return lambda cell: _hitting(cell["observables"][name])[column]


def _hitting(found: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Return the entries of an observable in a cell, from its median on; those about a hit are empty if it has none."""
    last, hit = found["quantiles"]["0.5"][-1], found.get("hit")
    median = "-" if last is None else f"{last:.6g}"
    if hit is None:
        return median, "", "", "", ""
    time = hit["time"]["0.5"]
    return (
        median,
        f"{hit['below']:.6g}",
        str(hit["hits"]),
        interval(hit["probability"]),
        "-" if time is None else f"{time:.0f}",
    )


PAIRED = {
    "both": "both",
    "only_exact": "only exact",
    "only_float": "only floating-point",
    "neither": "neither",
    "unclassified": "not classified",
}
"""The counts of a comparison, and the names of their columns."""


def rounding(summary: Summary) -> Section | None:
    """Return how a summary's landings with and without rounding compare on equal starts; None without exact cells."""
    found = ascending(summary.get("pairs") or [])
    if not found:
        return None
    landed = [pair for pair in found if any(pair[key] for key in PAIRED if key != "neither")]
    blocks: list[Block] = []
    if landed:
        keys = (*differing(found, ("convention", "setting")), "precision")
        rows = grouped(landed, keys, {name: _counted(key) for key, name in PAIRED.items()})
        header = ("c", *keys, *PAIRED.values())
        blocks.append(Table(header, tuple(row for row, _ in rows), "r" * len(header)))
    if rest := len(found) - len(landed):
        other = "the other " if landed else ""
        blocks.append(Paragraph(f"Nothing landed in {other}{rest} of {len(found)} comparisons."))
    title = "Landings in rational numbers and in floating point, from the same starts with the same minibatches"
    return Section(title, tuple(blocks), detail=True)


def too_long(summary: Summary) -> Section | None:
    """Return in which cells of a summary exact trajectories stopped, their numbers being too long; None if in none."""
    cut = [cell for cell in summary["cells"] if cell.get("too_long")]
    if not cut:
        return None
    counts = dict.fromkeys(f"{scale(cell)} ({cell['too_long']} of {cell['trajectories']})" for cell in cut)
    text = (
        "Some exact trajectories stopped because their numbers had more than sgd.bits bits; what they would have met "
        f"later is not known: c = {', '.join(counts)}."
    )
    return Section("Exact trajectories that stopped early", (Paragraph(text),), heading="none", detail=True)
