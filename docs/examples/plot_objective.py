"""
The objective along the run
===========================

J is evaluated at the checkpoints, for the first trajectories of each cell: the median and the middle half.
"""

import numpy as np

import simsa


def median(x, a):
    return np.abs(x[0] - a[0])


run = simsa.sweep(
    median, parameters=1, data=[[0], [1], [3]], c=[0.1, 0.3, 1], steps=60, step_size=lambda k: (k + 1) ** -0.75,
    initial=simsa.normal(2, 2), trajectories=40, checkpoints=20, title="The median of three numbers", quiet=True,
)
figure = run.plot.objective()
