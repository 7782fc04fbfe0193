"""
A map of a trap in the plane
============================

With two parameters a run is drawn on a map: level lines of J, ties by what they are, artificial critical points, and
trajectories. Here the artificial critical points are a line; one bad step brings an open set of starts onto it.
"""

import simsa


def loss(x, a):
    u = x[0] + x[1]
    bowl = simsa.where(u >= 1, u**2 / 2, u - 0.5)
    return a[0] * (bowl - simsa.zero(u))


run = simsa.sweep(
    loss, parameters=2, data=[[1], [2], [4]], c=["1/4", 0.35], steps=2, step_size=lambda k: 2.0**-k,
    initial=simsa.uniform(0.5, 2), trajectories=60, title="A line of artificial critical points", precision="exact",
    classify=20, quiet=True,
)
figure = run.plot.plane()

# %%
# One trajectory on that map, step by step: the first that landed. ``simsa.plots.animation(run.summary, "steps.gif")``
# writes the same as an animation.
steps = run.plot.steps()
