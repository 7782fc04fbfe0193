"""
What AD says at a point
=======================

`calculus.explain` says in sentences what AD returns at a point, what is true there, and why they differ; its figure has
the function, AD's slope, and the slopes of Clarke's subdifferential.
"""

import matplotlib.pyplot as plt
import numpy as np

import simsa
from simsa import calculus

figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
for ax, function in zip(axes, [lambda x: x[0] - simsa.zero(x[0]), lambda x: np.abs(x[0])], strict=True):
    found = calculus.explain(simsa.trace(function, 1), [0.0])
    found.plot(ax=ax)
    print(found, end="\n\n")
