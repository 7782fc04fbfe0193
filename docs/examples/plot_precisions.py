"""
What rounding does to landings
==============================

The same trajectories in float32, in float64, and in rational numbers. At the step scale 1/2 nothing is rounded. At 1/3
the step itself is, so that many trajectories which land over the rational numbers miss in floating point.
"""

import simsa


def loss(x, a):
    bowl = simsa.where(x[0] >= 1, x[0] ** 2 / 2, x[0] - 0.5)
    return a[0] * (bowl - simsa.zero(x[0]))


run = simsa.sweep(
    loss, parameters=1, data=[[1], [2], [4]], c=["1/3", "1/2"], steps=2, step_size=1, initial=simsa.uniform(1, 3),
    trajectories=150, precision=["float32", "float64", "exact"], title="Bad steps, with and without rounding",
    classify=20, quiet=True,
)
figure = run.plot.precisions()
