"""Figures of a run, drawn from its summary alone: one function for each, and `save_all`."""

from simsa.plots.along import first_passage, objective
from simsa.plots.figures import FIGURES, save_all
from simsa.plots.landing import landing, zero_hits
from simsa.plots.margins import codimension, margins

__all__ = [
    "FIGURES",
    "codimension",
    "first_passage",
    "landing",
    "margins",
    "objective",
    "save_all",
    "zero_hits",
]
