"""What all figures share: widths, colours, markers, names; and how they are saved.

A figure is legible without colour: series differ in marker and line style too, and a scale of c runs from dark to
light. Drawing uses matplotlib's object interface, so nothing here opens windows or changes global settings.
"""

import textwrap
from collections.abc import Mapping, Sequence
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
}
"""matplotlib's settings while a figure is drawn or saved; the user's own are not touched."""


TYPE_3, TRUETYPE = 3, 42
"""Fonts in a PDF. TrueType is what journals ask for, and takes twice as long: for figures that are published."""


def save(figure: Figure, name: Path, fonts: int = TYPE_3) -> list[Path]:
    """Write a figure as PNG and PDF, without dates, so that it is the same bytes each time; return the files.

    name: the path without its suffix.
    """
    png, pdf = (name.with_name(f"{name.name}{suffix}") for suffix in (".png", ".pdf"))
    with mpl.rc_context({**STYLE, "pdf.fonttype": fonts}):
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


def height(width: float) -> float:
    """Return the height of a figure with one row of axes, in inches."""
    return 0.45 * width if width > NARROW else 0.8 * width


def families(cells: Cells) -> dict[str, list[Mapping[str, Any]]]:
    """Return the cells that differ in c only, by the name of what they share."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        found.setdefault(f"{cell['convention']}, {cell['precision']}", []).append(cell)
    return found


def key(i: int, name: str) -> Line2D:
    """Return the legend's entry of a family."""
    return Line2D([], [], color=COLOURS[i % 7], marker=MARKERS[i % 7], linestyle="none", label=name)


def scale_of_c(ax: Axes, c: Sequence[float]) -> None:
    """Set the limits of the axis of c, and make it logarithmic if c spans more than a decade."""
    low, high = min(c), max(c)
    if high > 10 * low:
        ax.set_xscale("log")
        room = (high / low) ** 0.06
        ax.set_xlim(low / room, high * room)
    else:
        room = 0.06 * (high - low) or 0.5 * high
        ax.set_xlim(low - room, high + room)


def floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Return numbers as an array, nan where the summary has none."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def title(figure: Figure, summary: Summary) -> None:
    """Say above the figure which run it shows."""
    text = summary.get("title") or summary.get("scenario") or ""
    figure.suptitle(textwrap.fill(text, int(14 * figure.get_figwidth())), x=0.01, ha="left")
