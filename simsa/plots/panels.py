"""Axes for each (convention, precision), with a curve for each c."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from simsa.plots.page import Page
from simsa.plots.style import COLOURS, LINES, MARKERS, SHADES, Summary, families, height

SEPARATE = 5
"""Up to so many values of c get a style each."""

BEHIND: dict[str, Any] = {"color": "0.75", "linewidth": 0.6, "marker": "none", "zorder": 1.5}
"""The look of curves that are there for comparison with others."""

Choose = Callable[[Sequence[Mapping[str, Any]]], Sequence[float]]


class Looks:
    """How the curve of each c looks: a style each up to SEPARATE of them, else shaded along a scale.

    every: the values of c of the run; a value looks the same in every figure while there are enough looks. shown: those
    that have a look of their own here; curves of others are light and thin if there are styles.
    """

    def __init__(self, every: Sequence[float], shown: Sequence[float]) -> None:
        self.every, self.shown = sorted(every), sorted(shown)
        self.separate = len(self.shown) <= SEPARATE
        low, high = self.every[0], self.every[-1]
        self.scale = ScalarMappable((LogNorm if high > 10 * low else Normalize)(low, high), SHADES)

    def of(self, c: float) -> dict[str, Any]:
        """Return the look of the curve of one c, as keywords of `Axes.plot`."""
        if not self.separate:
            return {"color": self.scale.to_rgba(np.array([c]))[0], "linewidth": 0.9}
        if c not in self.shown:
            return BEHIND
        i = (self.every if len(self.every) <= len(COLOURS) else self.shown).index(c)
        return {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": LINES[i]}

    def explain(self, page: Page, axes: Sequence[Axes], more: Mapping[float, str] | None = None) -> list[Line2D]:
        """Return the legend's entries for the styles; draw a bar of the scale beside the axes if there is one instead.

        page: that of the axes. more: what the legend says of a value of c besides.
        """
        if self.separate:
            names = {c: f"c = {c:.4g}" + (f": {more[c]}" if more and c in more else "") for c in self.shown}
            return [Line2D([], [], **self.of(c), label=name) for c, name in names.items()]
        page.figure.colorbar(self.scale, ax=axes, label="step scale c", pad=0.02)
        return []


class Panels:
    """Axes for each (convention, precision), with a curve for each c.

    only: tells which cells have a curve. choose: from more than SEPARATE of these cells to the values of c that get a
    style each, the others being light and thin; without it, many values of c are shaded along a scale.
    """

    def __init__(
        self,
        summary: Summary,
        page: Page,
        only: Callable[[Any], bool] = lambda cell: True,
        choose: Choose | None = None,
    ) -> None:
        self.page, self.only = page, only
        self.families = families(summary["cells"])
        cells = [cell for cell in summary["cells"] if only(cell) and cell["trajectories"]]
        c = {cell["c"] for cell in cells}
        chosen = set(choose(cells)) if choose is not None and len(c) > SEPARATE else c
        self.behind = len(c) - len(chosen)
        self.looks = Looks(sorted({cell["c"] for cell in summary["cells"]}), sorted(chosen))
        count = len(self.families)
        self.columns = min(count, 3 if page.wide else 1)
        rows = -(-count // self.columns)
        self.axes = page.grid(rows, self.columns, height(page.width, rows), count, sharex=True, sharey=True)

    @property
    def separate(self) -> bool:
        """Tell whether curves have styles, and not shades."""
        return self.looks.separate

    def curves(self) -> "list[tuple[Axes, dict[str, Any], Mapping[str, Any]]]":
        """Return the axes, the style and the cell of every curve."""
        return [
            (ax, self.looks.of(cell["c"]), cell)
            for ax, cells in zip(self.axes, self.families.values(), strict=True)
            for cell in cells
            if self.only(cell) and cell["trajectories"]
        ]

    def stands_out(self, cell: Mapping[str, Any]) -> bool:
        """Tell whether the curve of a cell has a style of its own."""
        return self.separate and cell["c"] in self.looks.shown

    def band(self, style: Mapping[str, Any]) -> dict[str, Any]:
        """Return the look of the band around a curve."""
        return {"color": style["color"], "alpha": 0.15, "linewidth": 0}

    def every(self, points: int) -> int:
        """Return how far apart the markers of a curve are."""
        return max(1, points // 12)

    def finish(
        self,
        x: str,
        y: str,
        more: Mapping[float, str] | None = None,
        entries: Sequence[Artist] = (),
        notes: Sequence[str] = (),
    ) -> None:
        """Say what the axes mean, and name the curves and the panels.

        x, y: what is on the horizontal and on the vertical axes; "step k" has ticks at integers. more: what the legend
        says of a value of c besides. entries: of the legend besides those of the curves. notes: sentences below it.
        """
        self.page.label(self.axes, self.columns, x, y)
        if x == "step k":
            few = self.columns > 1 or not self.page.wide
            for ax in self.axes:
                ax.xaxis.set_major_locator(MaxNLocator(5 if few else 9, integer=True))
        if len(self.families) > 1:
            for ax, name in zip(self.axes, self.families, strict=True):
                self.page.heading(ax, name, self.columns)
        curves = self.looks.explain(self.page, self.axes, more) if self.looks.shown else []
        if self.behind:
            curves.append(Line2D([], [], label=f"the other {self.behind} values of c", **BEHIND))
        self.page.legend([*curves, *entries], notes)
