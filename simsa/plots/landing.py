"""Landings against the step scale c, and what their absence says."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from simsa.plots.style import (
    COLOURS,
    MARKERS,
    NARROW,
    STYLE,
    WIDE,
    Cells,
    Summary,
    families,
    height,
    key,
    scale_of_c,
    title,
)
from simsa.vocabulary import PointKind


@mpl.rc_context(STYLE)
def landing(summary: Summary, width: float = WIDE) -> Figure:
    """Draw the probability of landing against c, with the exact interval of each cell.

    A filled marker is an estimate with its two-sided interval. An open marker with an arrow is the one-sided upper
    bound of a cell in which nothing is known to have landed. Points are not joined: the probability may be positive at
    single values of c. Ticks along the top are the predicted bad scales of Theorem 7; a dashed line goes down from
    those that the sweep took.
    """
    groups = families(summary["cells"])
    entries_below = 0.0 if width > NARROW else 0.15 * (len(groups) + 1)
    figure = Figure(figsize=(width, height(width) + entries_below), layout="constrained")
    ax = figure.subplots()
    scale_of_c(ax, [cell["c"] for cell in summary["cells"]])
    marks = _bad_scales(ax, summary)
    level, shown, kinds = 0.95, [], set()
    for i, cells in enumerate(groups.values()):
        shift = ScaledTranslation((i - (len(groups) - 1) / 2) * 4 / 72, 0, figure.dpi_scale_trans)
        place: dict[str, Any] = {
            "transform": ax.transData + shift,
            "color": COLOURS[i % 7],
            "marker": MARKERS[i % 7],
            "linestyle": "none",
        }
        for cell in cells:
            p = cell["probability"]["landed"]
            if not cell["trajectories"]:
                continue
            level = p["level"]
            x, low, middle, high = cell["c"], p["low"], p["estimate"], p["high"]
            if middle is None and cell["landed"]:
                middle = (low + high) / 2  # the middle of what is known, as some are undecided
            kinds.add(bool(middle))
            if not middle:
                shown.append((p["bound"], p["bound"]))
                ax.plot([x], [p["bound"]], markerfacecolor="white", **place)
                arrow = {"arrowstyle": "<-", "color": place["color"], "lw": 0.8, "shrinkA": 0, "shrinkB": 2}
                behind: Any = {"xycoords": place["transform"], "textcoords": "offset points"}
                ax.annotate("", (x, p["bound"]), (0, -15), arrowprops=arrow, **behind)
            else:
                shown.append((max(low, middle / 10), high))
                ax.errorbar([x], [middle], [[middle - low], [high - middle]], elinewidth=1, capsize=2, **place)
    ax.set_xlabel("step scale c")
    ax.set_ylabel("P(landed on Sing or C)")
    lowest, highest = min((y for y, _ in shown), default=1), max((y for _, y in shown), default=1)
    if highest > 20 * lowest:
        ax.set_yscale("log")
        ax.set_ylim(lowest / 3, min(1.5, 2 * highest) if highest < 0.7 else 1.3)
    else:
        ax.set_ylim(0, min(1.05, 1.25 * highest))
    names = list(groups) if len(groups) > 1 else []
    entries = [key(i, name) for i, name in enumerate(names)]
    grey: Any = {"color": "0.35", "linestyle": "none", "marker": "o"}
    if True in kinds:
        entries.append(Line2D([], [], label=f"estimate, {level:.0%} exact two-sided interval", **grey))
    if False in kinds:
        bound = f"no known landing: {level:.0%} exact one-sided bound"
        entries.append(Line2D([], [], label=bound, markerfacecolor="white", **grey))
    entries += marks
    figure.legend(handles=entries, loc="outside lower left", ncols=3 if width > NARROW else 1)
    title(figure, summary)
    return figure


def _bad_scales(ax: Axes, summary: Summary) -> list[Line2D]:
    """Mark the predicted bad scales on the axis of c; return the entries of the legend."""
    bad = summary.get("bad_scales") or {}
    predicted = sorted({scale["c"] for scale in bad.get("scales", [])})
    if not predicted:
        return []
    taken = sorted({scale["c"] for scale in bad["scales"] if scale["cells"]})
    down: Any = {"color": "0.6", "linestyle": (0, (4, 3)), "linewidth": 0.8, "zorder": 0.8}
    tick: Any = {"color": "0.2", "linestyle": "none", "marker": "|", "markersize": 7, "markeredgewidth": 0.9}
    ax.plot(predicted, np.ones(len(predicted)), transform=ax.get_xaxis_transform(), clip_on=False, **tick)
    for c in taken:
        ax.axvline(c, **down)
    some = f", {len(predicted)} of {bad['scales_in_all']} shown" if bad["scales_in_all"] > len(bad["scales"]) else ""
    entries = [Line2D([], [], label=f"predicted bad scale c = 1/(λ $α_k$){some}", **tick)]
    if taken:
        entries.append(Line2D([], [], label="bad scale in the sweep", **down))
    return entries


@mpl.rc_context(STYLE)
def zero_hits(summary: Summary, width: float = WIDE) -> Figure | None:
    """Draw the upper bound after no hit against the number of trajectories, with the cells of the run on it.

    The line is 1 - 0.05^(1/N), one-sided. A marker is a cell without a landing, all sensitive points classified, or
    without an end at an artificial critical point if all ends were classified. Cells are put together only in groups
    that do not depend on what was seen: all cells of a convention and precision, and those of them at no predicted bad
    scale. None if there was a hit wherever one was looked for.
    """
    found = _bounds(summary)
    if not found:
        return None
    figure = Figure(figsize=(width, height(width) + (0 if width > NARROW else 0.15 * len(found))), layout="constrained")
    ax = figure.subplots()
    level = summary["cells"][0]["probability"]["landed"]["level"]
    most = max(n for numbers in found.values() for n in numbers)
    least = min(n for numbers in found.values() for n in numbers)
    n = np.geomspace(max(1, least / 10), most * 10, 200)
    law = f"1 - {1 - level:.2g}$^{{1/N}}$, about {-np.log(1 - level):.2g}/N"
    ax.plot(n, 1 - (1 - level) ** (1 / n), color="0.45", label=law, zorder=1)
    for i, (name, numbers) in enumerate(found.items()):
        at = np.array(sorted(set(numbers)))
        look: Any = {"marker": MARKERS[i], "color": COLOURS[i], "linestyle": "none", "markersize": 8 - 1.2 * i}
        ax.plot(at, 1 - (1 - level) ** (1 / at), label=name, markerfacecolor="none" if i % 2 else COLOURS[i], **look)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(n[0], n[-1])
    ax.set_xlabel("trajectories N without a hit")
    ax.set_ylabel(f"{level:.0%} upper bound on P(hit)")
    figure.legend(loc="outside lower left", ncols=2 if width > NARROW else 1)
    title(figure, summary)
    return figure


def _bounds(summary: Summary) -> dict[str, list[int]]:
    """Return the numbers of trajectories in which there was no hit, by what was looked for and where."""
    cells = [cell for cell in summary["cells"] if cell["trajectories"]]
    groups = [group for group in families(cells).values() if len(group) > 1]
    at_bad = {id(summary["cells"][i]) for i in (summary["bad_scales"] or {"cells": []})["cells"]}
    away = [[cell for cell in group if id(cell) not in at_bad] for group in groups]
    found = {
        "no landing, one cell": [cell["trajectories"] for cell in cells if _none(cell["tie_kinds"]["strata"])],
        "no landing, all c together": [
            _total(group) for group in groups if all(_none(cell["tie_kinds"]["strata"]) for cell in group)
        ],
        "no landing, all c that are not bad": [
            _total(some)
            for some, group in zip(away, groups, strict=True)
            if 1 < len(some) < len(group) and all(_none(cell["tie_kinds"]["strata"]) for cell in some)
        ],
        "no artificial end, one cell": [cell["trajectories"] for cell in cells if _no_artificial(cell)],
        "no artificial end, all c together": [_total(group) for group in groups if all(map(_no_artificial, group))],
    }
    return {name: numbers for name, numbers in found.items() if numbers}


def _total(cells: Cells) -> int:
    """Return the number of trajectories in cells together."""
    return sum(cell["trajectories"] for cell in cells)


def _no_artificial(cell: Mapping[str, Any]) -> bool:
    """Tell whether it is known that no trajectory of a cell ended at an artificial critical point."""
    finals = cell.get("final_kinds") or {"why": "not asked"}
    if finals["why"]:
        return False
    return _none(finals["kinds"][PointKind.ARTIFICIAL]["strata"])


def _none(strata: Sequence[Sequence[int]]) -> bool:
    """Tell whether it is known of all trajectories that may have had an event that they had not."""
    return all(size == examined and not hits and not unknown for size, examined, hits, unknown in strata)
