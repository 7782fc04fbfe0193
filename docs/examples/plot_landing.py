"""
Landings against the step scale
===============================

How often does a trajectory land where AD is wrong? Theorem 7 excludes finitely many step sizes, the inverses of
constant curvatures. This loss has three of them, and a trap at 0: AD returns 0 there, although the slope is positive.
Something lands at the predicted scales, which are marked at the top, and nothing elsewhere.
"""

import simsa


def loss(x, a):
    bowl = simsa.where(x[0] >= 1, x[0] ** 2 / 2, x[0] - 0.5)
    return a[0] * (bowl - simsa.zero(x[0]))


run = simsa.sweep(
    loss, parameters=1, data=[[1], [2], [4]], c=["1/4", 0.3, "1/3", 0.45, "1/2", 0.8, 1], steps=2, step_size=1,
    initial=simsa.uniform(1, 3), trajectories=100, title="Bad steps", classify=10, quiet=True,
)
figure = run.plot.landing()
