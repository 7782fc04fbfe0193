"""
When trajectories land
======================

The identity x - zero(x), from starts that are 0, 1, 2 and 3 steps away from the trap at 0: a quarter of them lands in
each of the first steps.
"""

import simsa


def trap(x):
    return x[0] - simsa.zero(x[0])


run = simsa.sweep(
    trap, parameters=1, c=[0.25, 0.5], steps=6, step_size=1, initial=simsa.points([[0.0], [0.5], [1.0], [1.5]]),
    trajectories=100, title="The identity, a whole number of steps away from its trap", quiet=True,
)
figure = run.plot.first_passage()
