"""
Settings beside each other
==========================

A sweep may have further axes: any key of `sgd`, `initial` and `program`. Here it is how many samples a minibatch has;
all settings share their random numbers. Two samples have other mean curvatures than one, so other steps are bad.
"""

import simsa


def loss(x, a):
    bowl = simsa.where(x[0] >= 1, x[0] ** 2 / 2, x[0] - 0.5)
    return a[0] * (bowl - simsa.zero(x[0]))


run = simsa.sweep(
    loss, parameters=1, data=[[1], [2], [4]], c=["1/3", "1/2", 1], steps=2, step_size=1, batch=1,
    axes={"sgd.batch.size": [1, 2]}, initial=simsa.uniform(1, 3), trajectories=60, classify=10,
    title="Bad steps, and the size of minibatches", quiet=True,
)
figure = run.plot.settings()
