"""
What the absence of landings says
=================================

After no landing in N trajectories, P(landed) is at most 1 - 0.05^(1/N), about 3/N: the exact one-sided bound at 95 %.
Of all step scales together it is lower, because there are more trajectories.
"""

import numpy as np

import simsa


def median(x, a):
    return np.abs(x[0] - a[0])


run = simsa.sweep(
    median, parameters=1, data=[[0], [1], [3]], c=[0.1, 0.2, 0.5, 1], steps=20, step_size=lambda k: (k + 1) ** -0.75,
    initial=simsa.uniform(-1, 4), trajectories=200, title="The median of three numbers", classify=20,
    quiet=True,
)
figure = run.plot.zero_hits()
