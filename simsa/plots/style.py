"""What all figures share: widths, colours, markers, fonts and names; and how they are saved.

A figure is legible without colour: series differ in marker and line style too, and a scale of c runs from dark to
light. Drawing uses matplotlib's object interface, so nothing here opens windows or changes global settings.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

from simsa.vocabulary import families as together
from simsa.vocabulary import named

Summary = Mapping[str, Any]
Cells = Sequence[Mapping[str, Any]]

WIDE, NARROW = 7.0, 3.4
"""Widths in inches: a page, and a column of two."""

BLACK, ORANGE, BLUE, VERMILION, SKY, GREEN, PURPLE = COLOURS = (
    "#000000",
    "#E69F00",
    "#0072B2",
    "#D55E00",
    "#56B4E9",
    "#009E73",
    "#CC79A7",
)
"""Okabe and Ito, "Color universal design" (2008), without the yellow, which is invisible on white. The first three are
as far apart in grey as they can be, as most figures have no more series."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))

SHADES = ListedColormap(mpl.colormaps["cividis"](np.linspace(0, 0.88, 256)))
"""Dark to light, by lightness alone, without the yellow that white paper swallows."""

FEW = 6
"""Step scales up to which a logarithmic axis names each of them."""

TRUETYPE = 42
"""Fonts in a PDF or PostScript file: journals take TrueType, and refuse Type 3, which is matplotlib's default."""

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
    "pdf.fonttype": TRUETYPE,
    "ps.fonttype": TRUETYPE,
}
"""matplotlib's settings while a figure is drawn or saved; the user's own are not touched."""


@mpl.rc_context(STYLE)
def save(figure: Figure, name: Path) -> list[Path]:
    """Write a figure as PNG and PDF, without dates, so that it is the same bytes each time; return the files.

    Parameters
    ----------
    figure
        What a function of `simsa.plots` returned.
    name
        The path without its suffix, in a folder that exists.

    Returns
    -------
    list of Path
        The files.
    """
    png, pdf = (name.with_name(f"{name.name}{suffix}") for suffix in (".png", ".pdf"))
    figure.set_dpi(STYLE["savefig.dpi"])
    # `savefig` would find the layout for each format, and draw it before and after
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")
    FigureCanvasPdf(figure).print_pdf(pdf, metadata={"CreationDate": None})  # type: ignore[no-untyped-call]
    return [png, pdf]


def save_as(figure: Figure, path: Path) -> None:
    """Write a figure to a file in the format that its suffix names, without a date.

    figure: the figure. path: the file, which ends in .pdf, .png or .svg.
    """
    dates = {".pdf": {"CreationDate": None}, ".png": {"Software": None}, ".svg": {"Date": None}}
    with mpl.rc_context({**STYLE, "pdf.fonttype": TRUETYPE, "svg.hashsalt": path.stem}):
        figure.savefig(path, metadata=dates[path.suffix])


def height(width: float, rows: int = 1) -> float:
    """Return the height of a figure with so many rows of axes, without its legend; `width` and height in inches."""
    return (0.45 * width if width > NARROW else 0.7 * width) * (0.5 + 0.5 * rows)


def families(cells: Cells) -> dict[str, list[Mapping[str, Any]]]:
    """Return the cells that differ in c only, by the name of what they share."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        found.setdefault(named(cell), []).append(cell)
    return found


def alike(cells: Cells, look: Callable[[Mapping[str, Any]], Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the cells of one family for each set of families that look alike, by the names of all of these.

    cells: of a run. look: from a cell to what is drawn of it.
    """
    found: dict[str, list[list[Mapping[str, Any]]]] = {}
    for group in families(cells).values():
        found.setdefault(repr([(cell["c"], look(cell)) for cell in group]), []).append(group)
    return {
        together(group[0] for group in groups) if len(groups) > 1 else named(groups[0][0]): groups[0]
        for groups in found.values()
    }


def key(i: int, name: str) -> Line2D:
    """Return the legend's entry of the i-th family; after seven, colours and markers begin again."""
    return Line2D([], [], color=COLOURS[i % 7], marker=MARKERS[i % 7], linestyle="none", label=name)


def scale_of_c(ax: Axes, c: Sequence[float], width: float) -> None:
    """Set the limits and the ticks of the axis of c, and make it logarithmic if c spans more than a decade.

    ax: the axes. c: the step scales that are drawn. width: of the figure, in inches.
    """
    low, high = min(c), max(c)
    if high > 10 * low:
        ax.set_xscale("log")
        room = (high / low) ** 0.06
        ax.set_xlim(low / room, high * room)
        ax.xaxis.set_minor_formatter(NullFormatter())
        named = sorted(set(c))
        if len(named) <= FEW and high < 1000 * low:
            ax.set_xticks(named, [f"{one:.3g}" for one in named])
    else:
        room = 0.06 * (high - low) or 0.5 * high
        ax.set_xlim(low - room, high + room)
        ax.xaxis.set_major_locator(MaxNLocator(9 if width > NARROW else 5))


def landed(cell: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return the lower limit, the estimate and the upper limit of the probability of a landing in a cell.

    Where the estimate is not known, because some points are undecided, the middle of the interval stands in its place.
    """
    p = cell["probability"]["landed"]
    middle = (p["low"] + p["high"]) / 2 if p["estimate"] is None else p["estimate"]
    return float(p["low"]), float(middle), float(p["high"])


def floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Return numbers as an array, nan where the summary has none."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def number(value: float) -> str:
    """Return a number to two digits, as a figure shows bounds: 0.0015, or 3e-08."""
    return f"{value:.2g}"
