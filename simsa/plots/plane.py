"""The map of a program of two parameters: where it ties, what the ties are, and where trajectories went."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from simsa.plots.page import Page, Plot, plot
from simsa.plots.style import BLUE, NARROW, ORANGE, STYLE, VERMILION, Summary
from simsa.vocabulary import PointKind, TieKind

TIES: dict[TieKind, tuple[str, dict[str, Any]]] = {
    TieKind.SING: ("Sing: not differentiable", {"color": BLUE, "marker": "s", "markersize": 2.6}),
    TieKind.C: ("C: differentiable, AD is wrong", {"color": ORANGE, "marker": "D", "markersize": 2.6}),
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
    True: ("trajectory that landed", {"color": VERMILION, "linestyle": "-", "linewidth": 1.3}),
    False: ("trajectory that did not land", {"color": "0.25", "linestyle": (0, (3, 1.5)), "linewidth": 0.8}),
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

HERE: dict[str, Any] = {"color": VERMILION, "marker": "o", "markersize": 4, "linewidth": 1}
"""How the trajectory that is followed looks."""

FRAMES = 6
"""Most frames of a strip."""

MOVING = 40
"""Most frames of an animation."""


def _no_plane(summary: Summary) -> str:
    """Return why there is no map; empty if there is."""
    if summary.get("plane"):
        return ""
    return "a map is drawn of programs of two parameters, with data that are no stream and a grid that takes a second"


@plot(
    caption="Level lines of J, ties by what they are, artificial critical points, and some trajectories, from a dot to "
    "a star: in the cell with most landings, and in the nearest without.",
    nothing=_no_plane,
)
def plane(summary: Summary, page: Page) -> None:
    """Draw J as level lines, the ties by what they are, artificial critical points, and sample trajectories.

    A panel for the cell with most landings, and one for the nearest c without.
    """
    found = summary["plane"]
    count = len(found["cells"])
    rows, columns = (1, count) if page.wide else (count, 1)
    size = (0.45 if count == 2 else 0.6) * page.width if page.wide else 0.8 * page.width * count
    axes = page.grid(rows, columns, size, sharex=True, sharey=True)
    used: dict[str, Line2D] = {}
    for ax, cell in zip(axes, found["cells"], strict=True):
        _ground(ax, found, used)
        for path in cell["paths"]:
            _path(ax, path, used)
        ax.set_title(f"c = {cell['c']:.4g}")
    _labels(axes, found, columns)
    page.legend(list(used.values()))


def _labels(axes: list[Axes], found: Mapping[str, Any], columns: int) -> None:
    """Set the limits of maps, and the labels of their outer axes."""
    for i, ax in enumerate(axes):
        ax.set_xlim(found["x"][0], found["x"][-1])
        ax.set_ylim(found["y"][0], found["y"][-1])
        ax.grid(visible=False)
        ax.locator_params(nbins=5)
        if i >= len(axes) - columns:
            ax.set_xlabel(found["names"][0])
        if i % columns == 0:
            ax.set_ylabel(found["names"][1])


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
                ax.plot(at[:, 0], at[:, 1], linestyle="none", zorder=order, **look)
                used.setdefault(name, Line2D([], [], linestyle="none", label=name, **look))


def _path(ax: Axes, path: Any, used: dict[str, Line2D]) -> None:
    """Draw one trajectory, from a dot to a star."""
    name, look = PATHS[path["landed"]]
    points = np.array(path["points"], np.float64).reshape(-1, 2)
    ax.plot(points[:, 0], points[:, 1], zorder=3, **look)
    ax.plot(*points[0], color=look["color"], zorder=3, **START)
    ax.plot(*points[-1], color=look["color"], zorder=4, **END)
    used.setdefault(name, Line2D([], [], label=name, **look))
    used.setdefault("start", Line2D([], [], color="0.25", label="start", **START))
    used.setdefault("end", Line2D([], [], color="0.25", label="end", **END))


def _followed(summary: Summary) -> Mapping[str, Any]:
    """Return the trajectory of a map that is followed: the first that landed, or else the first."""
    paths = [path for path in summary["plane"]["cells"][0]["paths"] if len(path["points"]) > 1]
    return next((path for path in paths if path["landed"]), paths[0]) if paths else {}


def _no_steps(summary: Summary) -> str:
    """Return why there is no trajectory to follow; empty if there is."""
    return _no_plane(summary) or ("" if _followed(summary) else "no trajectory takes a step")


@plot(
    caption="One trajectory step by step on the map, from left to right: where it is after k steps, and how it came "
    "there. The first that landed, if one did.",
    nothing=_no_steps,
)
def steps(summary: Summary, page: Page) -> None:
    """Draw one trajectory step by step on the map of its program: a strip of at most FRAMES frames.

    Of a longer one, the first steps are shown and then ever fewer, to the last that was kept.
    """
    found, path = summary["plane"], _followed(summary)
    shown = _spread(len(path["points"]), FRAMES)
    columns = min(len(shown), 3 if page.wide else 2)
    rows = -(-len(shown) // columns)
    size = 0.85 * page.width / columns * rows + 0.2
    axes = page.grid(rows, columns, size, len(shown), sharex=True, sharey=True)
    used: dict[str, Line2D] = {}
    for ax, k in zip(axes, shown, strict=True):
        _ground(ax, found, used)
        _until(ax, path, k)
        ax.set_title(_step(k, path, found))
    _labels(axes, found, columns)
    page.legend([*used.values(), Line2D([], [], label="trajectory, at its last point", **HERE)])


def _spread(points: int, most: int) -> list[int]:
    """Return which of so many points are shown, in ascending order: the first ones, then ever fewer, and the last."""
    if points <= most:
        return list(range(points))
    later = np.geomspace(1, points - 1, most - 1).round().astype(int).tolist()
    return [0, *(max(k, i + 1) for i, k in enumerate(later))]


def _until(ax: Axes, path: Mapping[str, Any], k: int) -> None:
    """Draw a trajectory up to its k-th point, which has a large marker."""
    points = np.array(path["points"][: k + 1], np.float64)
    ax.plot(points[:, 0], points[:, 1], color=VERMILION, linewidth=1, marker=".", markersize=3, zorder=3)
    ax.plot(*points[-1], color=VERMILION, marker="o", markersize=4, linestyle="none", zorder=4)


def _step(k: int, path: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return the title of a frame. The points of a trajectory are kept at every step up to the hundredth."""
    c = f"c = {found['cells'][0]['c']:.4g}"
    return f"{c}, k = {k}" if k <= 100 else f"{c}, later"


def animation(summary: Summary, file: Path, *, width: float = NARROW, title: bool = True) -> None:
    """Write the trajectory that `steps` shows as an animated GIF, a frame for each step, for teaching.

    Of more than MOVING points, the first are shown and then ever fewer, to the last. The file is the same bytes each
    time.

    Parameters
    ----------
    summary
        The summary of a run, as `Run.summary` has it.
    file
        The file, which ends in .gif; its folder exists.
    width
        The width of the figure in inches.
    title
        Whether the title of the run stands above.

    Raises
    ------
    NothingToShow
        If there is no map or no step, with the reason.
    """
    from matplotlib.animation import PillowWriter

    figure = Plot(_frame, "", _no_steps)(summary, width=width, title=title)
    path = _followed(summary)
    with mpl.rc_context(STYLE):
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the axes stay where they are
        (ax,) = figure.axes
        writer = PillowWriter(fps=2)
        with writer.saving(figure, str(file), dpi=150):
            for k in _spread(len(path["points"]), MOVING):
                for line in ax.lines[-2:] if k else ():
                    line.remove()
                if k:
                    _until(ax, path, k)
                ax.set_title(_step(k, path, summary["plane"]))
                writer.grab_frame()


def _frame(summary: Summary, page: Page) -> None:
    """Draw the map with the first point of the trajectory that is followed."""
    found, used = summary["plane"], dict[str, Line2D]()
    axes = page.grid(1, 1, 0.85 * page.width)
    _ground(axes[0], found, used)
    _until(axes[0], _followed(summary), 0)
    axes[0].set_title(_step(0, _followed(summary), found))
    _labels(axes, found, 1)
    page.legend([*used.values(), Line2D([], [], label="trajectory, at its last point", **HERE)])
