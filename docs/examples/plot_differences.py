"""
Conventions on the same random numbers
======================================

Trajectories of two conventions have the same starts and the same minibatches, so they are compared one by one: how many
differ in a recorded bit, and when they are first seen to.
"""

import numpy as np

import simsa


def loss(x, a):
    return a[0] * np.abs(x[0]) + (x[0] - a[1]) ** 2 / 4


run = simsa.sweep(
    loss, parameters=1, data=[[1, 1], [2, -1]], c=["1/4", "1/2", 1], steps=12, step_size=lambda k: 2.0 ** -(k // 4),
    initial=simsa.points([[0.0], [0.25], [1.0], [1.3]]), trajectories=80, checkpoints=13,
    conventions=["tensorflow", "jax"], title="|x| under two conventions", classify=20,
    quiet=True,
)
figure = run.plot.differences()

# %%
# The share of trajectories whose J differs by step k:
first = run.plot.first_difference()
