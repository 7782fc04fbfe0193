"""Figures of a run, drawn from its summary alone: one function for each, called alike, and `save_all`.

`landing(summary, figure=None, width=7.0, title=True)` returns the figure, and so does every other; see `page.Plot`.
"""

from simsa.plots.along import first_passage, objective
from simsa.plots.ends import final_points
from simsa.plots.figures import FIGURES, save_all
from simsa.plots.landing import landing, zero_hits
from simsa.plots.margins import codimension, margins
from simsa.plots.page import NothingToShow
from simsa.plots.pairs import differences, first_difference, precisions
from simsa.plots.plane import animation, plane, steps
from simsa.plots.settings import settings
from simsa.plots.style import save

__all__ = [
    "FIGURES",
    "NothingToShow",
    "animation",
    "codimension",
    "differences",
    "final_points",
    "first_difference",
    "first_passage",
    "landing",
    "margins",
    "objective",
    "plane",
    "precisions",
    "save",
    "save_all",
    "settings",
    "steps",
    "zero_hits",
]
