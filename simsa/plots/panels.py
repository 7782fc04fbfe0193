"""Axes for each (convention, precision), with a curve for each c."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from simsa.plots.style import COLOURS, LINES, MARKERS, NARROW, SHADES, Summary, families, height, title

SEPARATE = 5
"""Up to so many values of c get a style each; more are shaded along a scale."""


class Panels:
    """Axes for each (convention, precision), with a curve for each c: for figures along the run."""

    def __init__(self, summary: Summary, width: float, only: Callable[[Any], bool] = lambda cell: True) -> None:
        self.summary, self.only = summary, only
        self.families = families(summary["cells"])
        self.all_c = sorted({cell["c"] for cell in summary["cells"]})
        self.c = sorted({cell["c"] for cell in summary["cells"] if only(cell)})
        self.separate = len(self.c) <= SEPARATE
        self.wide = width > NARROW
        columns = self.columns = min(len(self.families), 3 if self.wide else 1)
        rows = -(-len(self.families) // columns)
        self.figure = Figure(figsize=(width, height(width) * (0.4 + 0.6 * rows)), layout="constrained")
        grid = self.figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        self.axes: list[Axes] = list(grid.flat[: len(self.families)])
        for unused in grid.flat[len(self.families) :]:
            unused.remove()
        for ax in self.axes[-columns:]:
            ax.tick_params(labelbottom=True)  # shared axes label the lowest row only, which has gaps
        ends = min(self.all_c), max(self.all_c)
        spread = ends[1] > 10 * ends[0]
        self.scale = ScalarMappable((LogNorm if spread else Normalize)(*ends), SHADES)

    def curves(self) -> "list[tuple[Axes, dict[str, Any], Mapping[str, Any]]]":
        """Return the axes, the style and the cell of every curve."""
        return [
            (ax, self._style(cell["c"]), cell)
            for ax, cells in zip(self.axes, self.families.values(), strict=True)
            for cell in cells
            if self.only(cell) and cell["trajectories"]
        ]

    def _style(self, c: float) -> dict[str, Any]:
        """Return the look of the curve of one c."""
        if not self.separate:
            return {"color": self.scale.to_rgba(np.array([c]))[0], "linewidth": 0.9}
        # The same look in every figure of a run, while there are enough looks.
        i = (self.all_c if len(self.all_c) <= len(COLOURS) else self.c).index(c)
        return {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": LINES[i]}

    def band(self, style: Mapping[str, Any]) -> dict[str, Any]:
        """Return the look of the band around a curve."""
        return {"color": style["color"], "alpha": 0.15, "linewidth": 0}

    def every(self, points: int) -> int:
        """Return how far apart the markers of a curve are."""
        return max(1, points // 12)

    def finish(self, meaning: str, more: Mapping[float, str] | None = None) -> Figure:
        """Say what the vertical axes mean, name the curves and the panels, and return the figure.

        more: what the legend says of a value of c besides.
        """
        for ax in self.axes[:: self.columns]:
            ax.set_ylabel(meaning)
        for ax in self.axes:
            if ax.get_xlabel() == "step k":
                ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(self.families) > 1:
            for ax, name in zip(self.axes, self.families, strict=True):
                ax.set_title(name)
        if self.c and self.separate:
            names = {c: f"c = {c:.4g}" + (f"\n{more[c]}" if more and c in more else "") for c in self.c}
            entries = [Line2D([], [], **self._style(c), label=name) for c, name in names.items()]
            columns = 2 if more else 3
            place: Any = (
                {"loc": "outside right upper"} if self.wide else {"loc": "outside lower left", "ncols": columns}
            )
            self.figure.legend(handles=entries, **place)
        elif self.c:
            self.figure.colorbar(self.scale, ax=self.axes, label="step scale c", pad=0.02)
        title(self.figure, self.summary)
        return self.figure
