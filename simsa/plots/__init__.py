"""Figures of a run, drawn from its summary alone: one function for each, and `save_all`."""

from simsa.plots.along import first_passage, objective
from simsa.plots.ends import final_points
from simsa.plots.figures import FIGURES, save_all
from simsa.plots.landing import landing, zero_hits
from simsa.plots.margins import codimension, margins
from simsa.plots.plane import plane

__all__ = [
    "FIGURES",
    "codimension",
    "final_points",
    "first_passage",
    "landing",
    "margins",
    "objective",
    "plane",
    "save_all",
    "zero_hits",
]
