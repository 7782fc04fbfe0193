"""Cells of the same starts and minibatches beside each other: conventions, and precisions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from simsa.plots.page import Page, plot
from simsa.plots.panels import Looks, Panels
from simsa.plots.style import BLACK, Cells, Summary, families, floats, height, landed, number, scale_of_c
from simsa.vocabulary import AXES, named


def _pairs(summary: Summary) -> list[dict[str, Any]]:
    """Return the comparisons of a run as if each were a cell: of one c, and named by what is compared."""
    found = []
    for one in summary.get("comparisons") or []:
        names = {axis: one[axis] for axis in AXES if axis in one}
        found.append({**one, **names, one["axis"]: f"{one['of'][0]} and {one['of'][1]}"})
    return found


def _shown(summary: Summary, seen: Callable[[Mapping[str, Any]], Sequence[float]]) -> dict[str, Sequence[Any]]:
    """Return the comparisons that show something, by name: those in which neither none nor all are seen to differ.

    seen: from a comparison to the shares that are seen.
    """
    groups = families(_pairs(summary))
    shares = {name: {p for cell in cells for p in seen(cell)} for name, cells in groups.items()}
    return {name: groups[name] for name, found in shares.items() if found and found not in ({0.0}, {1.0})}


def _alike(summary: Summary, shown: Mapping[str, Any]) -> list[str]:
    """Return a sentence about the comparisons that are not shown in which none differ, and one about the others."""
    found: dict[str, list[str]] = {}
    for name, cells in families(_pairs(summary)).items():
        if name not in shown:
            found.setdefault(_in_words(cells), []).append(name)
    return [f"{words}: {'; '.join(names)}" for words, names in found.items()]


def _in_words(cells: Cells) -> str:
    """Return how many trajectories differ in a comparison of cells in which none do, or all."""
    if any(cell["differ"] for cell in cells):
        return "all trajectories differ"
    highest, level = max(cell["probability"]["bound"] for cell in cells), cells[0]["probability"]["level"]
    return f"no trajectory differs, P(ever differs) ≤ {number(highest)} at each c (one-sided, {level:.0%})"


def _ever(cell: Mapping[str, Any]) -> list[float]:
    """Return the share of trajectories that ever differ, if some were run."""
    return [cell["probability"]["estimate"]] if cell["trajectories"] else []


def _by_step(cell: Mapping[str, Any]) -> list[float]:
    """Return the shares of trajectories that are seen to differ, at each checkpoint of J."""
    shares: list[float] = cell["first"]["estimate"]
    return shares


def _no_pairs(summary: Summary) -> str:
    """Return why there is nothing to compare; empty if there is."""
    if not _pairs(summary):
        return "there are no two conventions, and no two precisions"
    return "" if _shown(summary, _ever) else "; ".join(_alike(summary, {}))


@plot(
    caption="How many trajectories of two conventions, or of two precisions, from the same start with the same "
    "minibatches, ever differ in a recorded bit: the share against c, with exact intervals, open if it is none.",
    nothing=_no_pairs,
)
def differences(summary: Summary, page: Page) -> None:
    """Draw the share of trajectories that ever differ between two cells against c, with its exact interval.

    Cells are compared that differ in their convention alone, or in their precision alone: the first with each other
    one, each comparison on axes of its own. Those in which none differ, or all, are sentences below.
    """
    groups = _shown(summary, _ever)
    axes = page.grid(len(groups), 1, height(page.width, len(groups)), sharex=True, sharey=True)
    scale_of_c(axes[0], [one["c"] for one in _pairs(summary)], page.width)
    look: dict[str, Any] = {"color": BLACK, "linestyle": "none", "marker": "o", "markersize": 3}
    for ax, (name, cells) in zip(axes, groups.items(), strict=True):
        for cell in cells:
            p = cell["probability"]
            if cell["trajectories"]:
                bars = [[p["estimate"] - p["low"]], [p["high"] - p["estimate"]]]
                face = BLACK if cell["differ"] else "white"
                ax.errorbar([cell["c"]], [p["estimate"]], bars, markerfacecolor=face, elinewidth=1, capsize=3, **look)
        page.heading(ax, name)
    axes[0].set_ylim(-0.04, 1.04)
    page.label(axes, 1, "step scale c", "P(ever differs)")
    level = _pairs(summary)[0]["probability"]["level"]
    entry = Line2D([], [], label=f"share that ever differ, {level:.0%} exact two-sided interval", **look)
    page.legend([entry], _alike(summary, groups))


def _no_first(summary: Summary) -> str:
    """Return why there is no course of differences to show; empty if there is."""
    if not _pairs(summary):
        return _no_pairs(summary)
    if not any(one["first"]["trajectories"] for one in _pairs(summary)):
        return "J was not recorded along the run, which would tell when trajectories differ"
    if not _shown(summary, _by_step):
        return "in each comparison J differs from the first checkpoint on, or never"
    return ""


@plot(
    caption="When trajectories of two conventions, or of two precisions, are first seen to differ: the share of which "
    "J differs in some bit by step k, of those of which J was recorded, with pointwise exact intervals. Points may "
    "have differed since the checkpoint before; between precisions J has a rounding of its own, too.",
    nothing=_no_first,
)
def first_difference(summary: Summary, page: Page) -> None:
    """Draw the share of trajectories of which J is seen to differ between two cells by step k, with its interval.

    The points of two trajectories may differ before their J is looked at, so the step is at most the one shown.
    Comparisons in which J differs from the first checkpoint on, or never, are counted below.
    """
    groups = _shown(summary, _by_step)
    cells = [cell for group in groups.values() for cell in group]
    panels = Panels({"cells": cells}, page, only=lambda cell: bool(cell["first"]["trajectories"]))
    for ax, style, cell in panels.curves():
        curve = cell["first"]
        step = np.array(curve["step"])
        ax.plot(step, curve["estimate"], **style, drawstyle="steps-post", markevery=panels.every(step.size))
        if panels.separate:
            ax.fill_between(step, curve["low"], curve["high"], step="post", **panels.band(style))
    for ax in panels.axes:
        ax.set_xlim(0, max(1, *(cell["first"]["step"][-1] for cell in cells if cell["first"]["step"])))
        ax.set_ylim(-0.04, 1.04)
    names = [name for name in families(_pairs(summary)) if name not in groups]
    notes = [f"J differs from the first checkpoint on, or never: {'; '.join(names)}"] if names else []
    panels.finish("step k", "P(J differs by step k)", notes=notes)
    for ax, name in zip(panels.axes, panels.families, strict=True):
        page.heading(ax, name, panels.columns)


def _no_ladder(summary: Summary) -> str:
    """Return why there is nothing to show against the precision; empty if there is."""
    precisions = {cell["precision"] for cell in summary["cells"]}
    if len(precisions) < 2:
        return f"there is one precision, {precisions.pop()}"
    return "" if _quantities(summary) else "nothing is known to have landed, and J was not recorded"


LANDED, END = "P(landed)", "J at the end"


def _quantities(summary: Summary) -> list[str]:
    """Return what there is to show against the precision."""
    landed = any(cell["landed"] for cell in summary["cells"])
    recorded = any(cell["objective"]["step"] for cell in summary["cells"])
    return [LANDED] * landed + [END] * recorded


@plot(
    caption="What the precision does: the probability of a landing, with exact intervals, and the median of J at the "
    "end, against the precision, in the order in which the scenario lists them; a line for each c.",
    nothing=_no_ladder,
)
def precisions(summary: Summary, page: Page) -> None:
    """Draw the probability of landing, if something landed, and the last median of J against the precision.

    A line joins the cells of one c, convention and setting, which have the same starts and minibatches. Precisions
    stand in the order of the scenario. Landings have their exact two-sided intervals; where the estimate is not known,
    because some points are undecided, the middle of the interval stands.
    """
    cells, wanted = summary["cells"], _quantities(summary)
    rungs = list(dict.fromkeys(cell["precision"] for cell in cells))
    groups = families([{**cell, "precision": ""} for cell in cells])
    panels = [(quantity, name) for name in groups for quantity in wanted]
    columns = len(wanted) if page.wide else 1
    rows = len(panels) // columns
    axes = page.grid(rows, columns, height(page.width, rows))
    looks = Looks(*[sorted({cell["c"] for cell in cells})] * 2)
    for ax, (quantity, name) in zip(axes, panels, strict=True):
        for i, c in enumerate(looks.shown):
            mine = [cell for cell in cells if cell["c"] == c and named({**cell, "precision": ""}) == name]
            at = np.array([rungs.index(cell["precision"]) for cell in mine], np.float64)
            if quantity == LANDED:
                if not any(cell["landed"] for cell in mine):
                    continue
                at += 0.3 * ((i + 0.5) / len(looks.shown) - 0.5)  # beside each other, for their intervals to be seen
                low, middle, high = np.array([landed(cell) for cell in mine]).reshape(-1, 3).T
                ax.errorbar(at, middle, [middle - low, high - middle], elinewidth=0.8, capsize=2, **looks.of(c))
            else:
                ax.plot(at, floats([_last(cell) for cell in mine]), **looks.of(c))
        ax.set_xticks(range(len(rungs)), rungs)
        ax.set_xlim(-0.3, len(rungs) - 0.7)
        ax.set_xlabel("precision")
        ax.set_ylabel(quantity)
        if quantity == LANDED:
            ax.set_ylim(bottom=0)
        if len(groups) > 1:
            page.heading(ax, name, columns)
    ended = sum(_last(cell) is None for cell in cells) if END in wanted else 0
    notes = [f"{ended} of {len(cells)} cells have no median: half of their trajectories stopped."] * bool(ended)
    never = [c for c in looks.shown if not any(cell["landed"] for cell in cells if cell["c"] == c)]
    if never and LANDED in wanted:
        notes.append(f"Nothing is known to have landed at {len(never)} of {len(looks.shown)} c, which have no line.")
    page.legend(looks.explain(page, axes), notes)


def _last(cell: Mapping[str, Any]) -> float | None:
    """Return the median of J at the last checkpoint; None if there is none, or if half of the runs have stopped."""
    middle: list[float | None] = cell["objective"]["quantiles"]["0.5"]
    return middle[-1] if middle else None
