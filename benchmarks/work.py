"""The work: what every peer computes. Nothing here depends on a peer.

A traj-step is one SGD step of one trajectory; each trajectory has its own parameters and draws its own samples.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from simsa.machine import Descent, Initial
from simsa.program.program import Builder, Program

SAMPLES = 512


@dataclass(frozen=True)
class Work:
    """A descent to run: a ReLU network of these widths with squared loss, or the scalar program if there are none."""

    name: str
    title: str
    widths: tuple[int, ...]
    batch: int
    trajectories: int
    steps: int

    @property
    def rate(self) -> float:
        """Return the step size, constant."""
        return 0.01

    def program(self) -> Program:
        """Return the objective f_i as a program."""
        return network(self.widths) if self.widths else scalar()

    def rows(self) -> np.ndarray:
        """Return the samples, (n, d): features and a target; (1, 0) for the scalar program."""
        if not self.widths:
            return np.zeros((1, 0))
        rng = np.random.default_rng(0)
        features = rng.normal(size=(SAMPLES, self.widths[0]))
        return np.column_stack([features, np.sin(features.sum(axis=1))])

    def initial(self) -> Initial:
        """Return He's initial law; uniform on [-1, 1] for the scalar program."""
        if not self.widths:
            return Initial("uniform", np.zeros(2), np.ones(2), np.zeros((1, 2)))
        fans = list(pairwise(self.widths))
        scale = np.concatenate([np.r_[np.full(i * o, (2 / i) ** 0.5), np.zeros(o)] for i, o in fans])
        return Initial("normal", np.zeros(len(scale)), scale, np.zeros((1, len(scale))))

    def descent(self, steps: int) -> Descent:
        """Return the descent, in simsa's terms."""
        return Descent(
            steps=steps,
            law="fixed_size" if self.widths else "full",
            size=self.batch,
            replace=False,
            alpha=np.full(steps, self.rate),
            radius=1e6,
            seed=1,
            initial=self.initial(),
            checkpoints=np.zeros(0, np.int64),
            objective_trajectories=0,
        )

    @property
    def flops(self) -> int:
        """Return the floating-point operations of a traj-step that are in matrix products."""
        products = [i * o for i, o in pairwise(self.widths)]
        # forward, gradient of the weights, gradient of the inputs (not of the data)
        return self.batch * 2 * (3 * sum(products) - products[0]) if products else 0


def network(widths: tuple[int, ...]) -> Program:
    """Return a fully connected ReLU network with squared loss; data: the features and the target."""
    fans = list(pairwise(widths))
    builder = Builder(sum(i * o + o for i, o in fans), widths[0] + 1)
    x = list(range(builder.parameters, builder.parameters + widths[0]))
    at = 0
    for inputs, outputs in fans:
        weights = range(at, at + inputs * outputs)
        bias = range(weights.stop, weights.stop + outputs)
        first = builder.apply("dense", [*weights, *x, *bias], outputs=outputs)
        x = list(range(first, first + outputs))
        if bias.stop < builder.parameters:
            x = [builder.apply("relu", [register]) for register in x]
        at = bias.stop
    target = builder.parameters + widths[0]
    return builder.finish([builder.apply("square", [builder.apply("sub", [x[0], target])])])


def scalar() -> Program:
    """Return x^2 + y^2 + xy (relu(xy) relu(x - y) + relu(x - y) relu(y)): 13 instructions, no data."""
    builder = Builder(2)
    product = builder.apply("mul", [0, 1])
    one, two, three = (builder.apply("relu", [register]) for register in (product, builder.apply("sub", [0, 1]), 1))
    kinks = builder.apply("add", [builder.apply("mul", [one, two]), builder.apply("mul", [two, three])])
    squares = builder.apply("add", [builder.apply("square", [0]), builder.apply("square", [1])])
    return builder.finish([builder.apply("add", [squares, builder.apply("mul", [kinks, product])])])


WORKS = (
    Work("dense-2-16-16-1", "network 2-16-16-1, batch 8", (2, 16, 16, 1), 8, 4096, 200),
    Work("dense-16-32-32-1", "network 16-32-32-1, batch 8", (16, 32, 32, 1), 8, 4096, 100),
    Work("scalar-13", "scalar program, 13 instructions", (), 1, 2**18, 100),
)
