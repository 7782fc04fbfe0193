"""One function for each figure: from the summary of a run (`simsa.analysis.summarise`) to a figure.

A figure is legible without colour: series differ in marker and line style too, and a scale of c runs from
dark to light. Drawing uses matplotlib's object interface, so nothing here opens windows or changes global
settings.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

Summary = Mapping[str, Any]
Cells = Sequence[Mapping[str, Any]]

WIDE, NARROW = 7.0, 3.4
"""Widths in inches: a page, and a column of two."""

COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe and Ito, "Color universal design" (2008), without the yellow, which is invisible on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))

SHADES = ListedColormap(mpl.colormaps["cividis"](np.linspace(0, 0.88, 256)))
"""Dark to light, by lightness alone, without the yellow that white paper swallows."""

SEPARATE = 5
"""Up to so many values of c get a style each; more are shaded along a scale."""

BANDS = 12
"""Up to so many curves of J get a band; those of landing probabilities only while they have a style each."""

STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "figure.titlesize": 9,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
}
"""matplotlib's settings while a figure is drawn or saved; the user's own are not touched."""


@mpl.rc_context(STYLE)
def landing(summary: Summary, width: float = WIDE) -> Figure:
    """Draw the probability of landing against c, with the exact interval of each cell.

    A filled marker is an estimate with its interval. An open marker with an arrow is the upper bound of a
    cell in which nothing landed. Points are not joined: the probability may be positive at single values of
    c.
    """
    families = _families(summary["cells"])
    entries_below = 0.0 if width > NARROW else 0.15 * len(families)
    figure = Figure(figsize=(width, _height(width) + entries_below), layout="constrained")
    ax = figure.subplots()
    _scale_of_c(ax, [cell["c"] for cell in summary["cells"]])
    level, shown, kinds = 0.95, [], set()
    for i, cells in enumerate(families.values()):
        shift = ScaledTranslation((i - (len(families) - 1) / 2) * 4 / 72, 0, figure.dpi_scale_trans)
        place: dict[str, Any] = {
            "transform": ax.transData + shift,
            "color": COLOURS[i % 7],
            "marker": MARKERS[i % 7],
            "linestyle": "none",
        }
        for cell in cells:
            p = cell["probability"]["landed"]
            if p["estimate"] is None:
                continue
            level = p["level"]
            x, low, middle, high = cell["c"], p["low"], p["estimate"], p["high"]
            shown.append((max(low, middle / 10) if middle else high, high))
            kinds.add(bool(middle))
            if middle == 0:
                ax.plot([x], [high], markerfacecolor="white", **place)
                arrow = {"arrowstyle": "<-", "color": place["color"], "lw": 0.8, "shrinkA": 0, "shrinkB": 2}
                behind: Any = {"xycoords": place["transform"], "textcoords": "offset points"}
                ax.annotate("", (x, high), (0, -15), arrowprops=arrow, **behind)
            else:
                ax.errorbar([x], [middle], [[middle - low], [high - middle]], elinewidth=1, capsize=2, **place)
    ax.set_xlabel("step scale c")
    ax.set_ylabel("P(landed on Sing or C)")
    lowest, highest = min((y for y, _ in shown), default=1), max((y for _, y in shown), default=1)
    if highest > 20 * lowest:
        ax.set_yscale("log")
        ax.set_ylim(lowest / 3, min(1.5, 2 * highest) if highest < 0.7 else 1.3)
    else:
        ax.set_ylim(0, min(1.05, 1.25 * highest))
    names = list(families) if len(families) > 1 else []
    entries = [_key(i, name) for i, name in enumerate(names)]
    grey: Any = {"color": "0.35", "linestyle": "none", "marker": "o"}
    if True in kinds:
        entries.append(Line2D([], [], label=f"estimate, {level:.0%} exact interval", **grey))
    if False in kinds:
        bound = f"nothing landed: {level:.0%} upper bound"
        entries.append(Line2D([], [], label=bound, markerfacecolor="white", **grey))
    figure.legend(handles=entries, loc="outside lower left", ncols=3 if width > NARROW else 1)
    _title(figure, summary)
    return figure


@mpl.rc_context(STYLE)
def objective(summary: Summary, width: float = WIDE) -> Figure:
    """Draw J along the run: the median and, for up to BANDS values of c, the band of the middle half.

    A run that was stopped counts as J = inf, so a curve ends where half of the runs have stopped, and a band
    where a quarter of them have.
    """
    panels = _Panels(summary, width)
    values = []
    banded = len(panels.c) <= BANDS
    for ax, style, cell in panels.curves():
        step = np.array(cell["objective"]["step"])
        low, middle, high = (_floats(cell["objective"]["quantiles"][q]) for q in ("0.25", "0.5", "0.75"))
        ax.plot(step, middle, **style, markevery=panels.every(step.size))
        values += [middle]
        if banded:
            ax.fill_between(step, low, high, **panels.band(style))
            values += [low, high]
    found = np.concatenate(values) if values else np.zeros(0)
    found = found[np.isfinite(found)]
    starts = [v[0] for v in values if v.size and np.isfinite(v[0])]
    for ax in panels.axes:
        ax.set_xlabel("step k")
        if found.size and found.min() > 0 and found.max() > 20 * found.min():
            ax.set_yscale("log")
            # Runs that explode would flatten all others.
            ax.set_ylim(found.min() / 1.3, min(1.3 * found.max(), 30 * max(starts, default=np.inf)))
    return panels.finish("J, median and middle half" if banded else "J, median")


@mpl.rc_context(STYLE)
def first_passage(summary: Summary, width: float = WIDE) -> Figure:
    """Draw the probability of having landed by step k, with pointwise exact intervals for few values of c.

    Only cells in which something landed have a curve; the others are counted, with their largest upper bound.
    """
    panels = _Panels(summary, width, only=lambda cell: bool(cell["landed"]))
    logarithmic = summary["cells"][0]["steps"] >= 100
    highest = 0.0
    for ax, style, cell in panels.curves():
        curve = cell["first_passage"]
        step = np.array(curve["step"]) + (1 if logarithmic else 0)
        ax.plot(
            step,
            _floats(curve["estimate"]),
            **style,
            drawstyle="steps-post",
            markevery=panels.every(step.size),
        )
        highest = max(highest, *curve["high"])
        if panels.separate:
            ax.fill_between(step, curve["low"], curve["high"], step="post", **panels.band(style))
    for ax, cells in zip(panels.axes, panels.families.values(), strict=True):
        none = [cell for cell in cells if not cell["landed"] and cell["trajectories"]]
        bound = max((cell["probability"]["landed"]["high"] for cell in none), default=0.0)
        highest = max(highest, bound if len(none) == len(cells) else 0.0)
        if none:
            text = f"nothing landed for {len(none)} of {len(cells)} c\n(hatched: P <= {bound:.2g})"
            ax.axhspan(0, bound, facecolor="0.93", edgecolor="0.6", hatch="////", linewidth=0, zorder=0.5)
            ax.text(0.02, 0.98, text, transform=ax.transAxes, va="top", fontsize=6.5, in_layout=False)
        if logarithmic:
            ax.set_xscale("log")
            ax.set_xlim(1, cells[0]["steps"])
        ax.set_xlabel("step k + 1" if logarithmic else "step k")
    for ax in panels.axes:
        ax.set_ylim(0, min(1.05, 1.25 * highest) or 1)
    return panels.finish("P(landed by step k)")


FIGURES: dict[str, Callable[..., Figure]] = {
    "landing": landing,
    "objective": objective,
    "first_passage": first_passage,
}
"""Every figure of a run, by the name of its files."""


def save_all(summary: Summary, folder: Path) -> list[Path]:
    """Write every figure to `folder` as PNG and PDF, the same bytes each time; return the files."""
    written = []
    for name, draw in FIGURES.items():
        written += save(draw(summary), folder / name)
    return written


@mpl.rc_context(STYLE)
def save(figure: Figure, name: Path) -> list[Path]:
    """Write a figure as PNG and PDF, without dates, so that it is the same bytes each time; return the files.

    name: the path without its suffix.
    """
    written = []
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None})):
        written.append(name.with_name(f"{name.name}{suffix}"))
        figure.savefig(written[-1], metadata=metadata)
    return written


class _Panels:
    """Axes for each (convention, precision), with a curve for each c: for figures along the run."""

    def __init__(self, summary: Summary, width: float, only: Callable[[Any], bool] = lambda cell: True) -> None:
        self.summary, self.only = summary, only
        self.families = _families(summary["cells"])
        self.all_c = list(dict.fromkeys(cell["c"] for cell in summary["cells"]))
        self.c = list(dict.fromkeys(cell["c"] for cell in summary["cells"] if only(cell)))
        self.separate = len(self.c) <= SEPARATE
        self.wide = width > NARROW
        columns = self.columns = min(len(self.families), 3 if self.wide else 1)
        rows = -(-len(self.families) // columns)
        self.figure = Figure(figsize=(width, _height(width) * (0.4 + 0.6 * rows)), layout="constrained")
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

    def finish(self, meaning: str) -> Figure:
        """Say what the vertical axes mean, name the curves and the panels, and return the figure."""
        for ax in self.axes[:: self.columns]:
            ax.set_ylabel(meaning)
        if len(self.families) > 1:
            for ax, name in zip(self.axes, self.families, strict=True):
                ax.set_title(name)
        if self.c and self.separate:
            entries = [Line2D([], [], **self._style(c), label=f"c = {c:.4g}") for c in self.c]
            place: Any = {"loc": "outside right upper"} if self.wide else {"loc": "outside lower left", "ncols": 3}
            self.figure.legend(handles=entries, **place)
        elif self.c:
            self.figure.colorbar(self.scale, ax=self.axes, label="step scale c", pad=0.02)
        _title(self.figure, self.summary)
        return self.figure


def _height(width: float) -> float:
    """Return the height of a figure with one row of axes, in inches."""
    return 0.45 * width if width > NARROW else 0.8 * width


def _families(cells: Cells) -> dict[str, list[Mapping[str, Any]]]:
    """Return the cells that differ in c only, by the name of what they share."""
    families: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        families.setdefault(f"{cell['convention']}, {cell['precision']}", []).append(cell)
    return families


def _key(i: int, name: str) -> Line2D:
    """Return the legend's entry of a family."""
    return Line2D([], [], color=COLOURS[i % 7], marker=MARKERS[i % 7], linestyle="none", label=name)


def _scale_of_c(ax: Axes, c: Sequence[float]) -> None:
    """Set the limits of the axis of c, and make it logarithmic if c spans more than a decade."""
    low, high = min(c), max(c)
    if high > 10 * low:
        ax.set_xscale("log")
        room = (high / low) ** 0.06
        ax.set_xlim(low / room, high * room)
    else:
        room = 0.06 * (high - low) or 0.5 * high
        ax.set_xlim(low - room, high + room)


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Return numbers as an array, nan where the summary has none."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _title(figure: Figure, summary: Summary) -> None:
    """Say above the figure which run it shows."""
    figure.suptitle(summary.get("title") or summary.get("scenario") or "", x=0.01, ha="left")
