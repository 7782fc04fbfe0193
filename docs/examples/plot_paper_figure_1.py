"""
Figure 1 of the paper
=====================

One function as three programs, the function 0 with the derivative 1, an artificial critical point, and a sine whose
derivatives at two points are whatever was wanted: what AD returns, dashed, beside the function.
"""

from simsa.plots.paper import paper_figure_1

figure = paper_figure_1()
