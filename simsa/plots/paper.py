"""Figures of Bolte and Pauwels (NeurIPS 2020), from programs of simsa instead of TensorFlow."""

from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simsa import calculus
from simsa.calculus.examples import Example, figure_1
from simsa.plots.style import COLOURS, STYLE, WIDE

POINTS = 60
"""Points of each smooth part of a curve."""

VALUE: dict[str, Any] = {"label": "value", "color": COLOURS[0], "linewidth": 1.4}
SLOPE: dict[str, Any] = {
    "label": "derivative by AD",
    "color": COLOURS[5],
    "linestyle": (0, (4, 1.5)),
}
TIE: dict[str, Any] = {
    "label": "derivative by AD at a tie",
    "color": COLOURS[5],
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
    "color": COLOURS[4],
    "linewidth": 1.6,
    "marker": "_",
    "markersize": 9,
    "markeredgewidth": 1.6,
    "zorder": 4,
}


@mpl.rc_context(STYLE)
def paper_figure_1(width: float = WIDE) -> Figure:
    """Draw Figure 1 of the paper: six programs, their values, and what AD returns for their derivative.

    Behind AD's answers at ties: the selection operator D, all that AD could return, and Clarke's subdifferential.
    """
    figure = Figure(figsize=(width, 0.62 * width), layout="constrained")
    for ax, example in zip(figure.subplots(2, 3).flat, figure_1(), strict=True):
        _draw(ax, example)
    looks = (VALUE, SLOPE, TIE, SELECTION, CLARKE)
    figure.legend(handles=[Line2D([], [], **look) for look in looks], loc="outside lower center", ncols=5)
    return figure


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
    ax.set_title(example.title)
    ax.set_xlabel("t")
    ax.set_xlim(example.low, example.high)
