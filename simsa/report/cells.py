"""The sections with a row for each cell: landings, observables, and landings with and without rounding.

`landings`, `observables`, `rounding` and `too_long` go from the summary of a run to a section.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from simsa.report.section import Block, Paragraph, Section, Summary, Table
from simsa.report.words import Cell, ascending, differing, interval, scale
from simsa.vocabulary import PointKind, TieKind

LISTED = 60
"""Most cells that are listed."""


def landings(summary: Summary) -> Section:
    """Return the table of a summary's cells in the order of c, with notes to read it by; the title is the run's."""
    cells = summary["cells"]
    shown = listed(ascending(cells))
    table, sampled = _landings(cells, shown)
    shared = [cells[0][key] for key in ("convention", "precision") if key not in differing(cells)]
    title = ", ".join([summary["title"] or summary["scenario"], *shared, f"seed {summary['seed']}"])
    return Section(title, (table, *map(Paragraph, _notes(summary, shown, sampled))))


def listed(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that are listed: all, or LISTED of them: the most sensitive ones, and the outermost.

    cells: in the order of c, in which those that are listed stay.
    """
    middle = (len(cells) - 1) / 2
    order = sorted(range(len(cells)), key=lambda i: (-cells[i]["sensitive"], -abs(i - middle)))
    return [cells[i] for i in sorted(order[:LISTED])]


def _landings(cells: Sequence[Cell], shown: Sequence[Cell]) -> tuple[Table, bool]:
    """Return the table of landings, and whether an entry of it is about a sample.

    cells: all of the run, which decide what columns there are. shown: those that have a row.
    """
    level = cells[0]["probability"]["landed"]["level"]
    columns: dict[str, Callable[[Cell], str]] = {
        "c": scale,
        **{key: itemgetter(key) for key in differing(cells)},
        **{key: _counted(key) for key in ("trajectories", "tied", "sensitive")},
        "landed": lambda cell: _landed(cell["tie_kinds"]),
        "P(landed)": _estimate,
        f"{level:.0%} interval": lambda cell: "{low:.4g} .. {high:.4g}".format_map(cell["probability"]["landed"]),
        "at most": lambda cell: f"{cell['probability']['landed']['bound']:.3g}",
        "unbounded": _counted("unbounded"),
        "not finite": _counted("not_finite"),
        "settled": lambda cell: str(cell["final"]["settled"]),
        "moving": lambda cell: str(cell["final"]["moving"]),
    }
    classified = _classified(cells)
    rows = [tuple(entry(cell) for entry in (*columns.values(), *classified.values())) for cell in shown]
    sampled = any(" of " in entry for row in rows for entry in row[len(columns) :])
    header = (*columns, *classified)
    return Table(header, tuple(rows), "r" * len(header)), sampled


def _classified(cells: Sequence[Cell]) -> dict[str, Callable[[Cell], str]]:
    """Return the columns about points that were classified, each if some were: from a cell to its entry."""
    columns: dict[str, Callable[[Cell], str]] = {}
    if any(cell["tie_kinds"]["classified"] for cell in cells):
        columns["harmless/C/Sing"] = lambda cell: _kinds(cell["tie_kinds"], (TieKind.HARMLESS, TieKind.C, TieKind.SING))
        columns["certified"] = lambda cell: _certified(cell["tie_kinds"])
    if any(cell.get("final_kinds", {}).get("classified") for cell in cells):
        columns["Clarke/artificial"] = lambda cell: _kinds(
            cell["final_kinds"], (PointKind.CLARKE, PointKind.ARTIFICIAL)
        )
    return columns


def _counted(key: str) -> Callable[[Cell], str]:
    """Return the function from a cell to its entry under a key."""
    return lambda cell: str(cell[key])


def _estimate(cell: Cell) -> str:
    """Return the estimated probability of a landing; "-" if there is none, because not all were classified."""
    estimate = cell["probability"]["landed"]["estimate"]
    return "-" if estimate is None else f"{estimate:.4g}"


def _landed(found: Mapping[str, Any]) -> str:
    """Return how many landed: "3"; "3 to 5", some undecided; "3 in 10 of 60", a sample; "0 to 60", not classified.

    found: the `tie_kinds` of a cell.
    """
    size, examined, hits, unknown = (sum(stratum[j] for stratum in found["strata"]) for j in range(4))
    counted = f"{hits} to {hits + unknown}" if unknown else str(hits)
    if size and not examined:
        return f"0 to {size}"
    return f"{counted} in {examined} of {size}" if examined < size else counted


def _kinds(found: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """Return counts as "3/0/1", and of how many if not all were classified.

    found: the `tie_kinds` or `final_kinds` of a cell. kinds: whose counts are wanted, in this order.
    """
    if not found["classified"]:
        return "-"
    counts = "/".join(str(found["kinds"][kind]["count"]) for kind in kinds)
    sampled = found["classified"] < found["of"]
    return f"{counts} of {found['classified']}" if sampled else counts


def _certified(found: Mapping[str, Any]) -> str:
    """Return of how many of the classified points the calculus is certain: "3 of 4", or "-" if there are none.

    found: the `tie_kinds` of a cell.
    """
    return f"{found['certified']} of {found['classified']}" if found["classified"] else "-"


def _notes(summary: Summary, shown: Sequence[Cell], sampled: bool) -> Iterator[str]:
    """Yield what has to be known to read the table of landings: a paragraph each.

    shown: the cells that have a row. sampled: whether an entry is about a sample.
    """
    cells = summary["cells"]
    level = cells[0]["probability"]["landed"]["level"]
    if len(shown) < len(cells):
        rest = sum(cell["sensitive"] for cell in cells) - sum(cell["sensitive"] for cell in shown)
        yield f"and {len(cells) - len(shown)} cells more, with {rest} sensitive trajectories; summary.json has them"
    yield (
        f"P(landed): two-sided exact interval; at most: one-sided exact bound, after no landing 1 - {1 - level:.2g}^"
        f"(1/trajectories). Each holds with {level:.0%}."
    )
    if sampled:
        yield "of n: the sensitive, or final, points of n trajectories were classified, a sample of those there are"
    reasons = Counter(cell["tie_kinds"]["why"] for cell in cells if cell["tie_kinds"]["why"])
    for why, concerned in reasons.items():
        yield f"not classified in {concerned} of {len(cells)} cells: {why}; at most the sensitive landed"
    yield from _undecided(cells)
    yield from _same_bits(summary)


def _undecided(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield of how many trajectories it is not known whether they landed, and why, if there are any."""
    concerned = [cell for cell in cells if any(stratum[3] for stratum in cell["tie_kinds"]["strata"])]
    if concerned:
        later = sum(cell["tie_kinds"]["later"] for cell in concerned)
        many = sum(stratum[3] for cell in concerned for stratum in cell["tie_kinds"]["strata"])
        yield (
            f"{many} trajectories may have landed or not, which the intervals allow for: {later} met a later tie after "
            f"a sensitive one that was no landing, {many - later} first ones are undecided"
        )


def _same_bits(summary: Summary) -> Iterator[str]:
    """Yield in how many comparisons the records of all conventions are the same bits, if in any."""
    found = summary.get("same_bits")
    if found and found["same"]:
        where = (
            "everywhere" if found["same"] == found["compared"] else f"in {found['same']} of {found['compared']} pairs"
        )
        names = ", ".join(found["conventions"])
        yield f"same bits under all conventions ({names}) {where} of c and precision"


def observables(summary: Summary) -> Section | None:
    """Return the observables of each cell of a summary: the median at the end, how many have hit, and when.

    None if there are no observables.
    """
    cells = ascending(summary["cells"])
    if not any(cell.get("observables") for cell in cells):
        return None
    keys = differing(cells)
    header = ("observed", "c", *keys, "median at the end", "hit below", "hits", "P(hit)", "median step of the hit")
    rows = tuple(
        (name, scale(cell), *(cell[key] for key in keys), *_observed(cell["observables"][name]))
        for name in cells[0]["observables"]
        for cell in cells
    )
    return Section("Observables", (Table(header, rows, "r" * len(header)),), heading="none")


def _observed(found: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
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
    "only_exact": "only exactly",
    "only_float": "only in float",
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
        keys = (*differing(found, ("convention",)), "precision")
        header = ("c", *keys, *PAIRED.values())
        rows = tuple((scale(pair), *(str(pair[key]) for key in (*keys, *PAIRED))) for pair in landed)
        blocks.append(Table(header, rows, "r" * len(header)))
    if rest := len(found) - len(landed):
        other = "the other " if landed else ""
        blocks.append(Paragraph(f"nothing landed in {other}{rest} of {len(found)} comparisons"))
    return Section("Landed exactly and in floating point, on the same starts and minibatches", tuple(blocks))


def too_long(summary: Summary) -> Section | None:
    """Return in which cells of a summary exact trajectories stopped, their numbers being too long; None if in none."""
    cut = [cell for cell in summary["cells"] if cell.get("too_long")]
    if not cut:
        return None
    scales = ", ".join(f"{scale(cell)} ({cell['too_long']} of {cell['trajectories']})" for cell in cut)
    text = (
        "exact trajectories that stopped because their numbers had more than sgd.bits bits, so that what they "
        f"would have met later is not known: c = {scales}"
    )
    return Section("Exact trajectories that stopped early", (Paragraph(text),), heading="none")
