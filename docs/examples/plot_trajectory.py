"""
One trajectory
==============

A trajectory of a run is computed again from its number, bit for bit; its coordinates are drawn along the steps, or in
the plane if there are two.
"""

import numpy as np

import simsa


def loss(x, a):
    return np.abs(x[0] - a[0]) + np.abs(x[1] + a[0]) / 2


run = simsa.sweep(
    loss, parameters=2, data=[[0], [1], [3]], c=[0.5], steps=40, step_size=lambda k: (k + 1) ** -0.75,
    initial=simsa.normal(0, 2), trajectories=10, title="Two medians", quiet=True,
)
axes = run.trajectory(cell=0, number=3).plot()
figure = axes.figure
