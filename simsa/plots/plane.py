"""The map of a program of two parameters: where it ties, what the ties are, and where trajectories went."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simsa.plots.style import COLOURS, NARROW, STYLE, WIDE, Summary, title
from simsa.vocabulary import PointKind, TieKind

TIES: dict[TieKind, tuple[str, dict[str, Any]]] = {
    TieKind.SING: ("Sing: not differentiable", {"color": COLOURS[4], "marker": "s", "markersize": 2.6}),
    TieKind.C: ("C: differentiable, AD is wrong", {"color": COLOURS[1], "marker": "D", "markersize": 2.6}),
    TieKind.HARMLESS: ("harmless tie", {"color": "0.55", "marker": "_", "markersize": 4}),
    TieKind.UNDECIDED: ("tie, not classified", {"color": "0.55", "marker": "|", "markersize": 4}),
}
CRITICAL: dict[PointKind, tuple[str, dict[str, Any]]] = {
    PointKind.ARTIFICIAL: (
        "artificial critical point of J",
        {"color": "black", "marker": "o", "markersize": 6, "markerfacecolor": "none", "markeredgewidth": 0.8},
    ),
}
PATHS: dict[bool, tuple[str, dict[str, Any]]] = {
    True: ("trajectory that landed", {"color": COLOURS[5], "linestyle": "-", "linewidth": 1.3}),
    False: ("trajectory that did not", {"color": "0.25", "linestyle": (0, (3, 1.5)), "linewidth": 0.8}),
}
START: dict[str, Any] = {"marker": ".", "markersize": 4, "linestyle": "none"}
END: dict[str, Any] = {
    "marker": "*",
    "markersize": 8,
    "linestyle": "none",
    "markeredgecolor": "white",
    "markeredgewidth": 0.4,
}
"""What each layer of the map is called, and how it looks."""


@mpl.rc_context(STYLE)
def plane(summary: Summary, width: float = WIDE) -> Figure | None:
    """Draw J as level lines, the ties by what they are, artificial critical points, and sample trajectories.

    A panel for the cell with most landings, and one for the nearest c without. None unless there are two parameters.
    """
    found = summary.get("plane")
    if not found:
        return None
    count = len(found["cells"])
    stacked = width <= NARROW
    size = (width, 0.8 * width * count + 1.1) if stacked else (width, (0.45 if count == 2 else 0.6) * width + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(*((count, 1) if stacked else (1, count)), squeeze=False, sharex=True, sharey=True)
    used: dict[str, Line2D] = {}
    for ax, cell in zip(grid.flat, found["cells"], strict=True):
        _ground(ax, found, used)
        for path in cell["paths"]:
            _path(ax, path, used)
        ax.set_title(f"c = {cell['c']:.4g}")
        ax.set_xlim(found["x"][0], found["x"][-1])
        ax.set_ylim(found["y"][0], found["y"][-1])
        ax.grid(visible=False)
    for ax in grid[-1]:
        ax.set_xlabel(found["names"][0])
    for ax in grid[:, 0]:
        ax.set_ylabel(found["names"][1])
    handles = list(used.values())
    figure.legend(handles=handles, loc="outside lower left", ncols=1 if stacked else 3)
    title(figure, summary)
    return figure


def _ground(ax: Axes, found: Any, used: dict[str, Line2D]) -> None:
    """Draw what does not depend on c."""
    J = np.array([[np.nan if v is None else v for v in row] for row in found["objective"]], np.float64)
    levels = np.unique(np.nanquantile(J, np.linspace(0, 0.97, 12)))
    if np.isfinite(levels).all() and len(levels) > 1:
        ax.contour(
            found["x"], found["y"], J, levels=levels, colors="0.82", linewidths=0.6, linestyles="solid", zorder=1
        )
        used.setdefault("J", Line2D([], [], color="0.82", linewidth=0.6, label="level line of J"))
    for key, table, order in (("tie", TIES, 2), ("kind", CRITICAL, 2.5)):
        for kind, (name, look) in table.items():
            at = np.array([tie["at"] for tie in found["ties"] if tie[key] == kind]).reshape(-1, 2)
            if len(at):
                (line,) = ax.plot(at[:, 0], at[:, 1], linestyle="none", zorder=order, label=name, **look)
                used.setdefault(name, line)


def _path(ax: Axes, path: Any, used: dict[str, Line2D]) -> None:
    """Draw one trajectory, from a dot to a star."""
    name, look = PATHS[path["landed"]]
    points = np.array(path["points"], np.float64).reshape(-1, 2)
    (line,) = ax.plot(points[:, 0], points[:, 1], zorder=3, label=name, **look)
    ax.plot(*points[0], color=look["color"], zorder=3, **START)
    ax.plot(*points[-1], color=look["color"], zorder=4, **END)
    used.setdefault(name, line)
    used.setdefault("start", Line2D([], [], color="0.25", label="start", **START))
    used.setdefault("end", Line2D([], [], color="0.25", label="end", **END))
