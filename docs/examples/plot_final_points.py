"""
Where trajectories end
======================

Final points by what they are for J: Clarke critical, artificial (critical for AD alone), or not converged. In one
dimension every point is drawn; large markers stand for many.
"""

import simsa


def trap(x):
    return x[0] - simsa.zero(x[0])


run = simsa.sweep(
    trap, parameters=1, c=[0.25, 0.5, 0.75], steps=4, step_size=1,
    initial=simsa.points([[0.0], [0.5], [1.0], [1.5], [2.25]]), trajectories=100,
    title="The identity, and its artificial critical point", quiet=True,
)
figure = run.plot.final_points()
