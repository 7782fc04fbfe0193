"""
Settings beside each other
==========================

A further axis of a sweep, here the law of x_0: from starts on the kink of relu a layer with relu'(0) = 0 never moves,
and from random starts the network learns. All of it has the same minibatches.
"""

import numpy as np

import simsa

rows = [[u, v, float(u * v > 0)] for u in (-1.0, -0.5, 0.5, 1.0) for v in (-1.0, -0.5, 0.5, 1.0)]
network = {"kind": "network", "layers": [2, 4, 2], "loss": "cross_entropy"}
starts = [
    {"label": "random start", "law": "he", "bias": 0.1},
    {"label": "hidden layer at 0", "law": "he", "bias": 0.1, "zero": [1]},
]
run = simsa.sweep(
    {"scenario": {"name": "settings"}, "program": network, "sgd": {"steps": 20}, "sweep": {}},
    data={"source": "inline", "rows": np.array(rows).tolist()}, c=[0.25, 0.5, 1], batch=4, step_size=1.0,
    axes={"initial": starts}, conventions=["tensorflow", {"base": "tensorflow", "relu": 0.5}], trajectories=6,
    checkpoints=2, classify=6, engine="reference", title="A network 2-4-2, from two laws of x_0", quiet=True,
)
figure = run.plot.settings()
