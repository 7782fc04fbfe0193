"""Where the runs ended, and what these points are for J."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simsa.plots.style import COLOURS, NARROW, STYLE, WIDE, Summary, families, height, title
from simsa.vocabulary import PointKind

LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("not classified", {"color": "0.6", "marker": "."}),
    PointKind.NOT_SETTLED: ("not settled", {"color": "0.5", "marker": "+"}),
    PointKind.CLARKE: ("Clarke critical", {"color": COLOURS[4], "marker": "o", "markerfacecolor": "none"}),
    PointKind.ARTIFICIAL: (
        "artificial critical point",
        {"color": COLOURS[5], "marker": "X", "markeredgecolor": "black"},
    ),
}
"""Kinds of final points, the most telling last and so on top: what the legend says, and how they look."""

PANELS = 6
"""Most cells that have a panel each."""

GOLDEN = (5**0.5 - 1) / 2


@mpl.rc_context(STYLE)
def final_points(summary: Summary, width: float = WIDE) -> Figure | None:
    """Draw the final points of runs that ended, by kind; larger markers stand for more runs.

    One parameter: the points, above each value of c. Two: a panel for each cell, or for PANELS of them. More: the
    largest entry of the gradient of the last step, above each value of c. None if no point was kept.
    """
    cells = [cell for cell in summary["cells"] if cell.get("final_kinds", {}).get("points", {}).get("at")]
    if not cells:
        return None
    draw = _planes if len(_points(cells[0])["axes"]) == 2 else _strips
    figure = draw(cells, width)
    present = {kind for cell in cells for kind in _points(cell)["kind"]}
    entries = [
        Line2D([], [], linestyle="none", label=name, **{"markersize": 5, **look})
        for kind, (name, look) in reversed(LOOKS.items())
        if kind in present
    ]
    figure.legend(handles=entries, loc="outside lower left", ncols=4 if width > NARROW else 2)
    title(figure, summary)
    return figure


def _points(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the final points that are kept of a cell."""
    points: Mapping[str, Any] = cell["final_kinds"]["points"]
    return points


def _scatter(ax: Axes, x: Sequence[float], y: Sequence[float], points: Mapping[str, Any]) -> None:
    """Draw points by kind, their area by the share of runs."""
    for order, (kind, (_, look)) in enumerate(LOOKS.items()):
        mine = [i for i, found in enumerate(points["kind"]) if found == kind]
        if look["marker"] == "+":
            colours = {"color": look["color"]}
        else:
            colours = {
                "facecolors": look.get("markerfacecolor", look["color"]),
                "edgecolors": look.get("markeredgecolor", look["color"]),
            }
        area = [12 + 250 * points["share"][i] for i in mine]
        here, up = ([side[i] for i in mine] for side in (x, y))
        ax.scatter(here, up, area, marker=look["marker"], linewidths=0.7, zorder=2 + order / 9, **colours)


def _strips(cells: Sequence[Mapping[str, Any]], width: float) -> Figure:
    """Draw one number of each final point above its c; a panel for each convention and precision."""
    groups = families(cells)
    figure = Figure(figsize=(width, height(width) * (0.4 + 0.6 * len(groups))), layout="constrained")
    axes = figure.subplots(len(groups), 1, squeeze=False, sharey=True).ravel().tolist()
    name = _points(cells[0])["axes"][0]
    shown = [at[0] for cell in cells for at in _points(cell)["at"]]
    positive = [value for value in shown if value > 0]
    logarithmic = min(shown) >= 0 and bool(positive) and max(positive) > 100 * min(positive)
    floor = min(positive) / 3 if logarithmic else -np.inf
    for ax, (family, group) in zip(axes, groups.items(), strict=True):
        ordered = sorted(group, key=lambda cell: float(cell["c"]))
        for column, cell in enumerate(ordered):
            points = _points(cell)
            aside = [0.7 * ((GOLDEN * i) % 1 - 0.5) if share < 0.05 else 0 for i, share in enumerate(points["share"])]
            _scatter(ax, [column + a for a in aside], [max(at[0], floor) for at in points["at"]], points)
        every = -(-len(ordered) // (20 if width > NARROW else 7))
        ticks = range(0, len(ordered), every)
        ax.set_xticks(ticks, [f"{ordered[i]['c']:.3g}" for i in ticks])
        ax.set_xlim(-0.6, len(ordered) - 0.4)
        ax.grid(visible=False, axis="x")
        ax.set_ylabel(f"final {name}" if "|" not in name else f"{name} of the last step")
        if logarithmic:
            ax.set_yscale("log")
        if len(groups) > 1:
            ax.set_title(family)
    axes[-1].set_xlabel("step scale c")
    return figure


def _planes(cells: Sequence[Mapping[str, Any]], width: float) -> Figure:
    """Draw the final points of two parameters, for at most PANELS cells: those with most landings, then evenly."""
    chosen = sorted(range(len(cells)), key=lambda i: -cells[i]["landed"])[: PANELS // 2]
    chosen = [i for i in chosen if cells[i]["landed"]]
    evenly = np.linspace(0, len(cells) - 1, len(cells) if len(cells) <= PANELS else PANELS).round().astype(int)
    chosen = sorted(dict.fromkeys([*chosen, *evenly.tolist()][:PANELS] if len(cells) > PANELS else evenly.tolist()))
    columns = min(len(chosen), 3 if width > NARROW else 2)
    rows = -(-len(chosen) // columns)
    side = width / columns
    figure = Figure(figsize=(width, 0.9 * side * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    many = len(families(cells)) > 1
    for ax, i in zip(grid.flat, chosen, strict=False):
        points = _points(cells[i])
        _scatter(ax, [at[0] for at in points["at"]], [at[1] for at in points["at"]], points)
        ax.set_title(f"c = {cells[i]['c']:.4g}" + (f", {cells[i]['convention']}, {cells[i]['precision']}" * many))
    for unused in grid.flat[len(chosen) :]:
        unused.remove()
    names, shown = _points(cells[0])["axes"], grid.flat[: len(chosen)]
    for ax in shown[-columns:]:
        ax.tick_params(labelbottom=True)  # shared axes label the lowest row only, which may have gaps
        ax.set_xlabel(f"final {names[0]}")
    for ax in shown[::columns]:
        ax.set_ylabel(f"final {names[1]}")
    return figure
