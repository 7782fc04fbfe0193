"""Figures of Bolte and Pauwels (NeurIPS 2020), from programs of simsa instead of TensorFlow."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.lines import Line2D

from simsa import calculus
from simsa.calculus.examples import Example, figure_1
from simsa.plots.page import page
from simsa.plots.style import BLACK, BLUE, VERMILION, WIDE

POINTS = 60
"""Points of each smooth part of a curve."""

VALUE: dict[str, Any] = {"label": "value", "color": BLACK, "linewidth": 1.4}
SLOPE: dict[str, Any] = {
    "label": "derivative by AD",
    "color": VERMILION,
    "linestyle": (0, (4, 1.5)),
}
TIE: dict[str, Any] = {
    "label": "derivative by AD at a tie",
    "color": VERMILION,
    "linestyle": "none",
    "marker": "o",
    "markersize": 5,
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
    "zorder": 5,
}
SELECTION: dict[str, Any] = {
    "label": "selection operator D",
    "color": "0.78",
    "linewidth": 6,
    "solid_capstyle": "butt",
    "zorder": 1,
}
CLARKE: dict[str, Any] = {
    "label": "Clarke's subdifferential",
    "color": BLUE,
    "linewidth": 1.6,
    "marker": "_",
    "markersize": 9,
    "markeredgewidth": 1.6,
    "zorder": 4,
}


def paper_figure_1(*, figure: Figure | SubFigure | None = None, width: float = WIDE, title: bool = True) -> FigureBase:
    """Draw Figure 1 of the paper: six programs, their values, and what AD returns for their derivative; return it.

    Behind AD's answers at ties: the selection operator D, all that AD could return, and Clarke's subdifferential.
    figure: an empty Figure or SubFigure to draw on; None for a new one. width: of a new one, in inches. title: whether
    the name of the figure stands above.
    """
    with page(figure, width, "Bolte and Pauwels (2020), Figure 1" if title else "") as one:
        columns, rows = (3, 2) if one.wide else (2, 3)
        size = (0.27 if one.wide else 0.5) * one.width * rows
        axes = one.grid(rows, columns, size)
        for ax, example in zip(axes, figure_1(), strict=True):
            _draw(ax, example)
            one.heading(ax, example.title, columns)
        for ax in axes[-columns:]:
            ax.set_xlabel("t")
        one.legend([Line2D([], [], **look) for look in (VALUE, SLOPE, TIE, SELECTION, CLARKE)])
    return one.figure


def _draw(ax: Axes, example: Example) -> None:
    """Draw one program; the lines are open at its ties."""
    program = example.program
    for a, b in pairwise([example.low, *example.ties, example.high]):
        t = np.linspace(a, b, POINTS)
        ax.plot(t, program.value(t[:, None]), **VALUE)
        ax.plot(t[1:-1], program.gradient(t[1:-1, None])[:, 0], **SLOPE)
    for tie in example.ties:
        for found, look in (
            (calculus.selection_operator(program, [tie], closure="local"), SELECTION),
            (calculus.clarke(program, [tie]), CLARKE),
        ):
            ax.plot([tie, tie], [found.vertices.min(), found.vertices.max()], **look)
        ax.plot([tie], program.gradient([tie]), **TIE)
    ax.set_xlim(example.low, example.high)
