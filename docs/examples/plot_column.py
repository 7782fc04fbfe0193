"""
A figure for a column of a paper
================================

Every figure takes `width` in inches, and `title=False` leaves the title to the caption. `figure` draws several on one
page: a Figure or SubFigure of matplotlib that is empty. `simsa.plots.save` writes PNG and PDF with TrueType fonts.
"""

from matplotlib.figure import Figure

import simsa


def trap(x):
    return x[0] - simsa.zero(x[0])


run = simsa.sweep(
    trap, parameters=1, c=[0.25, 0.5, 0.75], steps=4, step_size=1,
    initial=simsa.points([[0.0], [0.5], [1.0], [1.5], [2.25]]), trajectories=100, quiet=True,
)
column = run.plot.landing(width=3.4, title=False)

# %%
# Two of them beside each other:
page = Figure(figsize=(7, 3.2), layout="constrained")
left, right = page.subfigures(1, 2)
run.plot.landing(figure=left, title=False)
run.plot.first_passage(figure=right, title=False)
