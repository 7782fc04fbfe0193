"""Landings against the step scale c, and what their absence says."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from simsa.plots.page import Page, plot
from simsa.plots.style import BLACK, BLUE, MARKERS, Cells, Summary, alike, families, height, number, scale_of_c
from simsa.vocabulary import PointKind

CROWDED = 60
"""Cells beyond which markers are small and bounds have no arrows."""

FEW = 4
"""Cells up to which the axes are low."""

POINT: dict[str, Any] = {"color": BLACK, "linestyle": "none", "marker": "o", "markersize": 3}
"""How the estimate or the bound of a cell looks."""


def _one_bound(summary: Summary) -> str:
    """Return why landings against c are no more than a number; empty if they are."""
    cells = [cell for cell in summary["cells"] if cell["trajectories"]]
    if not cells:
        return "no trajectory was run"
    found = [cell["probability"]["landed"] for cell in cells]
    bounds = {p["bound"] for p in found}
    if any(cell["landed"] for cell in cells) or len(bounds) > 1:
        return ""
    where = f"at each of {len(cells)} cells" if len(cells) > 1 else "in the one cell"
    return (
        f"nothing is known to have landed, and P(landed) ≤ {number(bounds.pop())} {where} "
        f"(exact, one-sided, {found[0]['level']:.0%})"
    )


@plot(
    caption="The probability of a landing on Sing or C against the step scale c, with exact two-sided intervals, or "
    "the one-sided bound where no landing is known. Ticks at the top are predicted bad scales; those in the sweep have "
    "a line down.",
    nothing=_one_bound,
)
def landing(summary: Summary, page: Page) -> None:
    """Draw the probability of landing against c, with the exact interval of each cell, above each other by family.

    Families with the same points share axes.

    A filled marker is an estimate with its two-sided interval. An open marker with an arrow is the one-sided upper
    bound of a cell in which nothing is known to have landed. Points are not joined: the probability may be positive at
    single values of c. Ticks along the top are the predicted bad scales of Theorem 7; a dashed line goes down from
    those that the sweep took.
    """
    groups = alike(summary["cells"], lambda cell: (cell["trajectories"], cell["landed"], cell["probability"]["landed"]))
    crowded = max(map(len, groups.values())) > CROWDED
    look = {**POINT, "markersize": 2} if crowded else POINT
    low = 0.7 if max(map(len, groups.values())) <= FEW else 1.0
    axes = page.grid(len(groups), 1, low * height(page.width, len(groups)), sharex=True, sharey=True)
    scale_of_c(axes[0], [cell["c"] for cell in summary["cells"]], page.width)
    level, shown, kinds = 0.95, [], set()
    marks: list[Line2D] = []
    for ax, (name, cells) in zip(axes, groups.items(), strict=True):
        marks = _bad_scales(ax, summary)
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
                ax.plot([x], [p["bound"]], markerfacecolor="white", **look)
                if not crowded:
                    arrow = {"arrowstyle": "<-", "color": BLACK, "lw": 0.8, "shrinkA": 0, "shrinkB": 2}
                    ax.annotate("", (x, p["bound"]), (0, -13), textcoords="offset points", arrowprops=arrow)
            else:
                shown.append((max(low, middle / 10), high))
                ax.errorbar([x], [middle], [[middle - low], [high - middle]], elinewidth=1, capsize=3, **look)
        if len(groups) > 1:
            page.heading(ax, name)
    page.label(axes, 1, "step scale c", "P(landed)")
    lowest, highest = min((y for y, _ in shown), default=1), max((y for _, y in shown), default=1)
    if highest > 20 * lowest:
        axes[0].set_yscale("log")
        axes[0].set_ylim(lowest / 4, min(1.5, 2 * highest) if highest < 0.7 else 1.3)
    else:
        axes[0].set_ylim(0, min(1.05, 1.25 * highest))
    entries = []
    if True in kinds:
        entries.append(Line2D([], [], label=f"estimate, {level:.0%} exact two-sided interval", **POINT))
    if False in kinds:
        bound = f"no known landing: {level:.0%} exact one-sided bound"
        entries.append(Line2D([], [], label=bound, markerfacecolor="white", **POINT))
    page.legend([*entries, *marks])


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


LANDINGS, ENDS = "no landing", "no end at an artificial critical point"


class Absence(NamedTuple):
    """Trajectories in which there was no hit: what was looked for, where, and in how many."""

    what: str
    where: str
    trajectories: int


def _few_bounds(summary: Summary) -> str:
    """Return why the absence of hits says no more than a number; empty if it does."""
    found = _absences(summary)
    if not found:
        return "there was a hit, or it is not known, wherever one was looked for"
    counts = {one.trajectories for one in found}
    if len(counts) > 1:
        return ""
    level, n = summary["cells"][0]["probability"]["landed"]["level"], counts.pop()
    return f"there is one bound: P(hit) ≤ {number(_bound(n, level))} after {n} trajectories without a hit ({level:.0%})"


@plot(
    caption="What the absence of hits says: the exact one-sided upper bound 1 - 0.05^(1/N), about 3/N, after no hit in "
    "N trajectories, for one cell and for cells together.",
    nothing=_few_bounds,
)
def zero_hits(summary: Summary, page: Page) -> None:
    """Draw the one-sided upper bound 1 - 0.05^(1/N) after no hit in N trajectories: a bar for each set of them.

    A set is a cell without a landing, all sensitive points classified, or without an end at an artificial critical
    point if all ends were classified. Cells are put together only in groups that do not depend on what was seen: all
    cells of a convention and precision, and those of them at no predicted bad scale.
    """
    found = _absences(summary)
    level = summary["cells"][0]["probability"]["landed"]["level"]
    lines = 1 if page.wide else 2
    (ax,) = page.grid(1, 1, 0.6 + (0.22 + 0.14 * lines) * len(found))
    bounds = [_bound(one.trajectories, level) for one in found]
    left = min(bounds) / 10
    for y, (one, bound) in enumerate(zip(found, bounds, strict=True)):
        artificial = one.what == ENDS
        colour, marker = (BLUE, MARKERS[1]) if artificial else (BLACK, MARKERS[0])
        ax.plot([left, bound], [y, y], color=colour, linewidth=2, solid_capstyle="butt", linestyle="-")
        ax.plot([bound], [y], color=colour, marker=marker, markerfacecolor="white" if artificial else colour)
        break_ = ", " if page.wide else "\n"
        text = f"{one.what}, {one.where}{break_}N = {one.trajectories:,}: P ≤ {number(bound)}"
        ax.annotate(text, (left, y), (3, 5), textcoords="offset points", fontsize=7, linespacing=1)
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(left, min(1.0, 3 * max(bounds)) if max(bounds) < 0.5 else 1.2)
    ax.set_ylim(len(found) - 0.7, -0.4 - 0.3 * lines)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"{level:.0%} upper bound on P(hit): 1 - {1 - level:.2g}$^{{1/N}}$")


def _bound(n: int, level: float) -> float:
    """Return the one-sided upper bound after no hit in n trajectories."""
    return float(1 - (1 - level) ** (1 / n))


def _absences(summary: Summary) -> list[Absence]:
    """Return the sets of trajectories in which there was no hit, those of one cell first."""
    cells = [cell for cell in summary["cells"] if cell["trajectories"]]
    groups = [group for group in families(cells).values() if len(group) > 1]
    at_bad = {id(summary["cells"][i]) for i in (summary["bad_scales"] or {"cells": []})["cells"]}
    away = [[cell for cell in group if id(cell) not in at_bad] for group in groups]
    together = [some for some, group in zip(away, groups, strict=True) if 1 < len(some) < len(group)]
    found = []
    for what, none in ((LANDINGS, _no_landing), (ENDS, _no_artificial)):
        sets = (
            ("one cell", [[cell] for cell in cells]),
            ("all c together", groups),
            ("all c that are not bad", together if what == LANDINGS else []),
        )
        found += [
            Absence(what, where, n)
            for where, some in sets
            for n in sorted({_total(one) for one in some if all(map(none, one))})
        ]
    return found


def _total(cells: Cells) -> int:
    """Return the number of trajectories in cells together."""
    return sum(cell["trajectories"] for cell in cells)


def _no_landing(cell: Mapping[str, Any]) -> bool:
    """Tell whether it is known that no trajectory of a cell landed."""
    return _none(cell["tie_kinds"]["strata"])


def _no_artificial(cell: Mapping[str, Any]) -> bool:
    """Tell whether it is known that no trajectory of a cell ended at an artificial critical point."""
    finals = cell.get("final_kinds") or {"why": "not asked"}
    if finals["why"]:
        return False
    return _none(finals["kinds"][PointKind.ARTIFICIAL]["strata"])


def _none(strata: Sequence[Sequence[int]]) -> bool:
    """Tell whether it is known of all trajectories that may have had an event that they had not."""
    return all(size == examined and not hits and not unknown for size, examined, hits, unknown in strata)
