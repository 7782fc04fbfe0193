"""
How close trajectories come to ties
===================================

The smallest gap of a guard that a trajectory met is its margin. Under a law with a density near a kink of codimension
1, P(margin <= epsilon) falls like epsilon: slope 1. A curve that is flat to the left edge would belong to trajectories
that met a tie exactly.
"""

import numpy as np

import simsa


def median(x, a):
    return np.abs(x[0] - a[0])


run = simsa.sweep(
    median, parameters=1, data=[[0], [1], [3]], c=[0.1, 0.3, 1], steps=5, step_size=lambda k: (k + 1) ** -0.75,
    initial=simsa.normal(2, 2), trajectories=1000, title="The median of three numbers", classify=0, quiet=True,
)
figure = run.plot.margins()

# %%
# The fitted slopes against c, with their intervals: 1 for a hypersurface.
slopes = run.plot.codimension()
