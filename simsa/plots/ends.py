"""Where the runs ended, and what these points are for J."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from simsa.plots.page import Page, plot
from simsa.plots.style import BLUE, VERMILION, Cells, Summary, families, height
from simsa.vocabulary import PointKind, named

LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("not classified", {"color": "0.6", "marker": "."}),
    PointKind.NOT_SETTLED: ("not settled", {"color": "0.5", "marker": "+"}),
    PointKind.CLARKE: ("Clarke critical", {"color": BLUE, "marker": "o", "markerfacecolor": "none"}),
    PointKind.ARTIFICIAL: (
        "artificial critical point",
        {"color": VERMILION, "marker": "X", "markeredgecolor": "black"},
    ),
}
"""Kinds of final points, the most telling last and so on top: what the legend says, and how they look."""

PANELS = 6
"""Most cells that have a panel each."""

GOLDEN = (5**0.5 - 1) / 2


def _no_ends(summary: Summary) -> str:
    """Return why there are no final points to show; empty if there are."""
    cells = _kept(summary)
    if not cells:
        return "no final point was kept"
    if _coordinates(cells) <= 2:
        return ""
    classified = [cell for cell in cells if cell["final_kinds"]["classified"]]
    if not classified:
        return f"no final point was classified: {cells[0]['final_kinds']['why']}"
    found = {kind for cell in classified for kind, one in cell["final_kinds"]["kinds"].items() if one["count"]}
    if len(found) > 1:
        return ""
    return f"every final point that was classified is of one kind: {LOOKS[found.pop()][0]}"


@plot(
    caption="Where trajectories ended, by what the point is for J. Large markers stand for many of them. Of one "
    "parameter, points are spread sideways within their c, only to be seen; of more than two, the shares of each kind "
    "are shown, with exact intervals.",
    nothing=_no_ends,
)
def final_points(summary: Summary, page: Page) -> None:
    """Draw the final points of runs that ended, by kind; larger markers stand for more runs.

    One parameter: the points, above each value of c. Two: a panel for each cell, or for PANELS of them. More: the
    estimated probability of each kind, above each value of c.
    """
    cells = _kept(summary)
    p = _coordinates(cells)
    present = (_strips if p == 1 else _planes if p == 2 else _shares)(cells, page)
    page.legend(
        [
            Line2D([], [], linestyle="none", label=name, **{"markersize": 5, **look})
            for kind, (name, look) in reversed(LOOKS.items())
            if kind in present
        ],
        _without(summary),
    )


def _without(summary: Summary) -> list[str]:
    """Return a sentence about the cells without a final point, if there are some."""
    kept = {id(cell) for cell in _kept(summary)}
    c = sorted({cell["c"] for cell in summary["cells"] if id(cell) not in kept})
    names = ", ".join(f"{value:.4g}" for value in c) if len(c) <= 4 else f"{len(c)} values"
    return [f"c = {names}: no trajectory ran to its end, or no point was kept."] if c else []


def _kept(summary: Summary) -> list[Mapping[str, Any]]:
    """Return the cells of which final points are kept."""
    return [cell for cell in summary["cells"] if cell.get("final_kinds", {}).get("points", {}).get("at")]


def _coordinates(cells: Cells) -> int:
    """Return how many coordinates of a final point are kept; 3 for any more than two, of which none is."""
    names = _points(cells[0])["axes"]
    return 3 if "|" in names[0] else len(names)


def _points(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the final points that are kept of a cell."""
    points: Mapping[str, Any] = cell["final_kinds"]["points"]
    return points


def _kinds(cells: Cells) -> set[str]:
    """Return the kinds of the points that are kept of cells."""
    return {kind for cell in cells for kind in _points(cell)["kind"]}


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


def _columns(cells: Cells, page: Page, meaning: str) -> "list[tuple[Axes, list[Mapping[str, Any]]]]":
    """Return the axes of each (convention, precision) and its cells, each of which has a column named by its c."""
    groups = families(cells)
    axes = page.grid(len(groups), 1, height(page.width, len(groups)), sharey=True)
    found = []
    for ax, (family, group) in zip(axes, groups.items(), strict=True):
        ordered = sorted(group, key=lambda cell: float(cell["c"]))
        every = -(-len(ordered) // int(1.6 * page.width))
        ticks = range(0, len(ordered), every)
        ax.set_xticks(ticks, [f"{ordered[i]['c']:.3g}" for i in ticks])
        ax.set_xlim(-0.6, len(ordered) - 0.4)
        ax.grid(visible=False, axis="x")
        if len(groups) > 1:
            page.heading(ax, family)
        found.append((ax, ordered))
    page.label(axes, 1, "step scale c", meaning)
    return found


def _strips(cells: Cells, page: Page) -> set[str]:
    """Draw the one parameter of each final point above its c; return the kinds that are shown."""
    shown = [at[0] for cell in cells for at in _points(cell)["at"]]
    positive = [value for value in shown if value > 0]
    logarithmic = min(shown) >= 0 and bool(positive) and max(positive) > 100 * min(positive)
    floor = min(positive) / 3 if logarithmic else -np.inf
    for ax, ordered in _columns(cells, page, f"final {_points(cells[0])['axes'][0]}"):
        for column, cell in enumerate(ordered):
            points = _points(cell)
            aside = [0.7 * ((GOLDEN * i) % 1 - 0.5) if share < 0.05 else 0 for i, share in enumerate(points["share"])]
            _scatter(ax, [column + a for a in aside], [max(at[0], floor) for at in points["at"]], points)
        if logarithmic:
            ax.set_yscale("log")
    return _kinds(cells)


def _shares(cells: Cells, page: Page) -> set[str]:
    """Draw the probability of each kind of final point above its c, with its interval; return the kinds shown."""
    counted = [(kind, cell["final_kinds"]["kinds"]) for cell in cells for kind in cell["final_kinds"]["kinds"]]
    present = [kind for kind in LOOKS if any(kind == name and kinds[kind]["count"] for name, kinds in counted)]
    for ax, ordered in _columns(cells, page, "P(kind of final point)"):
        for order, kind in enumerate(present):
            shift = ScaledTranslation((order - (len(present) - 1) / 2) * 7 / 72, 0, page.figure.dpi_scale_trans)
            look = {"markersize": 5, **LOOKS[kind][1], "linestyle": "none", "elinewidth": 1, "capsize": 2}
            for column, cell in enumerate(ordered):
                found = cell["final_kinds"]["kinds"][kind]
                if cell["final_kinds"]["classified"] and found["estimate"] is not None:
                    middle = found["estimate"]
                    bars = [[max(0.0, middle - found["low"])], [max(0.0, found["high"] - middle)]]
                    ax.errorbar([column], [middle], bars, transform=ax.transData + shift, **look)
        ax.set_ylim(-0.04, 1.04)
    return set(present)


def _planes(cells: Cells, page: Page) -> set[str]:
    """Draw the final points of two parameters, for at most PANELS cells: those with most landings, then evenly.

    Return the kinds of the points that are kept.
    """
    chosen = sorted(range(len(cells)), key=lambda i: -cells[i]["landed"])[: PANELS // 2]
    chosen = [i for i in chosen if cells[i]["landed"]]
    evenly = np.linspace(0, len(cells) - 1, len(cells) if len(cells) <= PANELS else PANELS).round().astype(int)
    chosen = sorted(dict.fromkeys([*chosen, *evenly.tolist()][:PANELS] if len(cells) > PANELS else evenly.tolist()))
    columns = min(len(chosen), 3 if page.wide else 2)
    rows = -(-len(chosen) // columns)
    size = 0.9 * page.width / columns * rows + 0.2
    axes = page.grid(rows, columns, size, len(chosen), sharex=True, sharey=True)
    many = len(families(cells)) > 1
    for ax, i in zip(axes, chosen, strict=True):
        points = _points(cells[i])
        _scatter(ax, [at[0] for at in points["at"]], [at[1] for at in points["at"]], points)
        text = f"c = {cells[i]['c']:.4g}" + (f", {named(cells[i])}" * many)
        page.heading(ax, text, columns)
        ax.locator_params(nbins=4)
    names = _points(cells[0])["axes"]
    for ax in axes[-columns:]:
        ax.set_xlabel(f"final {names[0]}")
    for ax in axes[::columns]:
        ax.set_ylabel(f"final {names[1]}")
    return _kinds(cells)
