"""What the further axes of a sweep do: settings beside each other, against c."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from simsa.plots.page import Page, plot
from simsa.plots.style import COLOURS, LINES, MARKERS, Cells, Summary, alike, floats, height, landed, scale_of_c
from simsa.vocabulary import AXES

MOST = len(COLOURS)
"""Most lines, each of which has a look of its own."""


def _no_settings(summary: Summary) -> str:
    """Return why there are no settings to show beside each other; empty if there are."""
    cells = [cell for cell in summary["cells"] if cell["trajectories"]]
    if len({cell.get("setting", "") for cell in cells}) < 2:
        return "there is one setting: the sweep has no further axes (sweep.axes)"
    if (lines := len(_lines(summary))) > MOST:
        return f"there are {lines} different lines, more than {MOST}"
    return ""


def _lines(summary: Summary) -> dict[str, Cells]:
    """Return the cells of each line, by its name: families that look alike share one.

    What all families share is left out of the names.
    """
    ran = [cell for cell in summary["cells"] if cell["trajectories"]]
    shared = [axis for axis in AXES if len({cell.get(axis, "") for cell in ran}) == 1]
    cells = [{**cell, **dict.fromkeys(shared, "")} for cell in ran]
    return dict(alike(cells, lambda cell: [f"{v:.3g}" for one in (_landed(cell), _last(cell)) for v in one]))


@plot(
    caption="What a setting does, from the same random numbers: the probability of a landing, with exact intervals (an "
    "open marker is the one-sided bound where no landing is known), and J at the end, the median and the middle half, "
    "against the step scale c. Cells that agree to three digits share a line.",
    nothing=_no_settings,
)
def settings(summary: Summary, page: Page) -> None:
    """Draw the probability of landing and the last J against c, with a line for each setting that differs.

    Landings have their exact two-sided intervals; where nothing is known to have landed, the open marker is the exact
    one-sided bound. A median of J is missing where half of the trajectories stopped.
    """
    lines = _lines(summary)
    columns = 2 if page.wide else 1
    axes = page.grid(2 // columns, columns, height(page.width, 2 // columns))
    entries = []
    for i, (name, cells) in enumerate(lines.items()):
        look: dict[str, Any] = {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": LINES[i]}
        entries.append(Line2D([], [], label=name, **look))
        ordered = sorted(cells, key=lambda cell: float(cell["c"]))
        _draw_landings(axes[0], ordered, look)
        c = [cell["c"] for cell in ordered]
        low, middle, high = floats([v for cell in ordered for v in _last(cell)]).reshape(-1, 3).T
        axes[1].plot(c, middle, **look)
        axes[1].fill_between(c, low, high, color=look["color"], alpha=0.15, linewidth=0)
    for ax, meaning in zip(axes, ("P(landed)", "J at the end"), strict=True):
        scale_of_c(ax, [cell["c"] for cell in summary["cells"]], page.width)
        ax.set_xlabel("step scale c")
        ax.set_ylabel(meaning)
    axes[0].set_ylim(-0.03, 1.05)
    axes[1].set_ylim(bottom=min(0.0, axes[1].get_ylim()[0]))
    page.legend(entries)


def _draw_landings(ax: Axes, cells: Cells, look: Mapping[str, Any]) -> None:
    """Draw the landings of the cells of a line, in the order of c."""
    for cell in cells:
        low, middle, high = _landed(cell)
        if cell["landed"]:
            ax.errorbar([cell["c"]], [middle], [[middle - low], [high - middle]], elinewidth=1, capsize=2, **look)
        else:
            ax.plot([cell["c"]], [high], markerfacecolor="white", **look)
    ax.plot([cell["c"] for cell in cells], [_landed(cell)[1 if cell["landed"] else 2] for cell in cells],
            color=look["color"], linestyle=look["linestyle"], linewidth=0.8, zorder=1)  # fmt: skip


def _landed(cell: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return what is drawn of the landings of a cell: their limits, or up to the bound where none is known."""
    return landed(cell) if cell["landed"] else (0.0, 0.0, float(cell["probability"]["landed"]["bound"]))


def _last(cell: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return the quartiles and the median of J at the last checkpoint; nan where there are none."""
    rows = cell["objective"]["quantiles"]
    low, middle, high = (floats(rows[q])[-1] if rows.get(q) else np.nan for q in ("0.25", "0.5", "0.75"))
    return float(low), float(middle), float(high)
