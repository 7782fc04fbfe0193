"""Figures of a run, drawn from its summary alone: one function for each, and `save_all`."""

from simsa.plots.figures import FIGURES, first_passage, landing, objective, save_all

__all__ = ["FIGURES", "first_passage", "landing", "objective", "save_all"]
