"""The work: what every peer computes. Nothing here depends on a peer.

A traj-step is one SGD step of one trajectory; each trajectory has its own parameters and draws its own samples.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from benchmarks.models import Convolution, Dense, Scalar, Sort
from simsa.machine import Descent
from simsa.program import Program

CHECKED = 512, 20
"""Trajectories and steps whose results are compared before anything is timed."""


@dataclass(frozen=True)
class Work:
    """A descent to run.

    batch: the size of a minibatch, 0 for all samples. subsets: each minibatch is a uniform nonempty subset of the
    samples, the law of the paper. trajectories, steps: of a timed run; so many steps that drawing the
    start, which simsa does and peers are handed, is a few percent at most. unwatched: whether simsa is also measured
    without its watch of guards, to tell what recording ties and margins costs.
    """

    name: str
    title: str
    model: Dense | Convolution | Sort | Scalar
    batch: int
    trajectories: int
    steps: int
    samples: int = 512
    subsets: bool = False
    precision: str = "float64"
    unwatched: bool = False
    rate = 0.01

    @property
    def tolerance(self) -> float:
        """Return the largest difference allowed in the check, relative to the largest parameter.

        Peers add in another order. In float32 that flips a ReLU of some sample now and then, which moves a trajectory
        by the size of a step's rounding, amplified over the steps.
        """
        return 1e-9 if self.precision == "float64" else 1e-3

    @property
    def law(self) -> str:
        """Return simsa's name of the law of the minibatch."""
        return "uniform_subset" if self.subsets else "fixed_size" if self.batch else "full"

    @property
    def drawn(self) -> int:
        """Return how many samples a step has, on average."""
        return self.batch or (self.samples // 2 if self.subsets else self.samples)

    @property
    def parameters(self) -> int:
        """Return how many parameters a trajectory has."""
        return sum(map(prod, self.model.shapes))

    @property
    def flops(self) -> int:
        """Return the floating-point operations of a traj-step that are in matrix products."""
        return 2 * self.drawn * self.model.products

    def program(self) -> Program:
        """Return the objective f_i as a program."""
        return self.model.program()

    @cached_property
    def _rows(self) -> np.ndarray:
        return self.model.rows(self.samples)

    def rows(self) -> np.ndarray:
        """Return the samples, (n, d), float64."""
        return self._rows

    def descent(self, steps: int) -> Descent:
        """Return the descent, in simsa's terms."""
        return Descent(
            steps=steps,
            law=self.law,
            size=self.batch or 1,
            replace=False,
            alpha=np.full(steps, self.rate),
            radius=1e6,
            seed=1,
            initial=self.model.initial,
            checkpoints=np.zeros(0, np.int64),
            objective_trajectories=0,
        )


SMALL, MIDDLE = Dense((2, 16, 16, 1)), Dense((16, 32, 32, 1))
DIGITS = Dense((64, 32, 10), "cross_entropy", "digits")

WORKS = (
    Work("dense-2-16-16-1", "network 2-16-16-1, batch 8", SMALL, 8, 4096, 400, unwatched=True),
    Work("dense-16-32-32-1", "network 16-32-32-1, batch 8", MIDDLE, 8, 4096, 100, unwatched=True),
    Work("digits-64-32-10", "network 64-32-10 on digits, batch 8", DIGITS, 8, 1024, 60),
    Work("dense-2-16-16-1-f32", "network 2-16-16-1, batch 8, float32", SMALL, 8, 4096, 400, precision="float32"),
    Work("dense-16-32-32-1-f32", "network 16-32-32-1, batch 8, float32", MIDDLE, 8, 4096, 100, precision="float32"),
    Work("digits-64-32-10-f32", "64-32-10 on digits, batch 8, float32", DIGITS, 8, 1024, 60, precision="float32"),
    Work("dense-16-32-32-1-b1", "network 16-32-32-1, batch 1", MIDDLE, 1, 4096, 200),
    Work("dense-16-32-32-1-b32", "network 16-32-32-1, batch 32", MIDDLE, 32, 2048, 50),
    Work(
        "subsets-2-16-16-1", "network 2-16-16-1, uniform subsets of 32", SMALL, 0, 2048, 100, samples=32, subsets=True
    ),
    Work("convolution-8x8", "8x8 convolution + max-pool, batch 8", Convolution(4), 8, 512, 20),
    Work("l1-200", "l1 regression, 20 features, all 200 samples", Dense((20, 1), "l1"), 0, 2048, 30, samples=200),
    Work("sort-8", "sort loss of 8, batch 8", Sort(8), 8, 8192, 30),
    Work("scalar-10", "scalar program, 10 instructions", Scalar(10), 0, 2**14, 4000, samples=1),
    Work("scalar-30", "scalar program, 30 instructions", Scalar(30), 0, 2**14, 2000, samples=1, unwatched=True),
    Work("scalar-100", "scalar program, 100 instructions", Scalar(100), 0, 2**14, 1000, samples=1),
)
