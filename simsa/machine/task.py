"""What a trajectory is: the recursion with its laws, whatever computes it. No kernel is needed to say it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsa import laws
from simsa.errors import DataError, SimsaError, known
from simsa.rules import SGD, Rule

LAWS = ("full", "uniform_subset", "fixed_size", "fixed_size_replaced", "reshuffled", "streamed")
"""Laws of the minibatch, by the number that stands for them in the kernels' streams."""

INITIAL = ("points", "normal", "uniform")
"""Initial laws, by the number that stands for them in the kernels' streams."""

COMPONENTS = ("normal", "ball")
"""Components of the law of streamed samples, by the number that stands for them in the kernels' streams."""

Scale = Fraction | float
"""A step scale c, as it was written: a float stands for the shortest decimal number that reads as it."""


@dataclass(frozen=True)
class Initial:
    """The law of x_0: "normal" and "uniform" have a center and a scale for each parameter, "points" lists points.

    uniform: on center +- scale. points: trajectory t starts at point t mod m. A law of a user's own is called by its
    name in `laws.STARTS`, and has `numbers`, (name, value) each.
    """

    kind: str
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    points: NDArray[np.float64]
    numbers: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        known("law of x_0", self.kind, (*INITIAL, *laws.STARTS))


@dataclass(frozen=True)
class Stream:
    """The law of a streamed sample of d numbers: a mixture of m components.

    kinds: "normal", center + scale z, or "ball", uniform on |x - center| <= scale[0]. shares: (m,), the probabilities
    of the components up to each, increasing to 1. center, scale: (m, d).
    """

    kinds: tuple[Literal["normal", "ball"], ...]
    shares: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __post_init__(self) -> None:
        for kind in self.kinds:
            known("component of the law of samples", kind, COMPONENTS)
        if len(self.shares) != len(self.kinds) or (self.kinds and self.shares[-1] != 1):
            raise DataError(f"expected the shares of {len(self.kinds)} components up to 1, got {self.shares.tolist()}")

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Return the law as the kernels take it."""
        kinds = np.array([COMPONENTS.index(kind) for kind in self.kinds], np.int64)
        return (kinds, *(np.ascontiguousarray(a, np.float64) for a in (self.shares, self.center, self.scale)))


NO_STREAM = Stream((), np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)))


@dataclass(frozen=True)
class Descent:
    """All of recursion (8) but the tape, the data and the step scale c.

    alpha: (steps,), gamma_k = c alpha_k. checkpoints: increasing steps in 0..steps at which J(x_k) is recorded, for
    trajectories numbered below objective_trajectories; with `snapshots`, x_k is as well, for all of them. radius: a
    trajectory that leaves |x|_inf <= radius stops. stream: the law of the samples, if each step draws `size` fresh ones
    (law "fixed_size"); the data are then those that J is estimated on. rule, numbers: how a step is taken, and the
    rule's numbers in their order, of which floating point takes the nearest float64.
    """

    steps: int
    law: str
    size: int
    replace: bool
    alpha: NDArray[np.float64]
    radius: float
    seed: int
    initial: Initial
    checkpoints: NDArray[np.int64]
    objective_trajectories: int
    snapshots: bool = False
    stream: Stream | None = None
    rule: Rule = SGD
    numbers: tuple[Fraction, ...] = ()

    def __post_init__(self) -> None:
        known("law of the minibatch", self.law, ("fixed_size",) if self.stream else laws.MINIBATCHES)
        if len(self.numbers) != len(self.rule.numbers):
            raise DataError(f"{self.rule.name} takes the numbers ({', '.join(self.rule.numbers)}), got {self.numbers}")

    @property
    def batches(self) -> laws.Law:
        """Return the law of the minibatch; raises SimsaError if there is none of its name."""
        return laws.minibatch(self.law)

    def key(self, c: Scale) -> np.uint64:
        """Return the key of the random numbers of a step scale: a function of its value and the seed alone."""
        written = c if isinstance(c, Fraction) else Fraction(repr(float(c)))
        return key_of(self.seed, written)


@dataclass(frozen=True)
class ExactSteps:
    """What rational numbers need besides: c and alpha_k without rounding, and how long a number may be.

    c: by the scale as it was written. bits: most of a numerator or denominator.
    """

    c: Mapping[Fraction, Fraction]
    alpha: tuple[Fraction, ...]
    bits: int

    def gamma(self, scale: Fraction) -> list[Fraction]:
        """Return the step sizes gamma_k = c alpha_k."""
        return [self.c[scale] * alpha for alpha in self.alpha]


def law_of(descent: Descent) -> int:
    """Return the number that stands for the law of the minibatch in the kernels; raises SimsaError if none does."""
    name = "streamed" if descent.stream else descent.batches.kernel(descent.replace)
    if name is None:
        raise SimsaError(f"kernels do not draw minibatches by the law '{descent.law}'")
    return LAWS.index(name)


def key_of(seed: int, c: Fraction) -> np.uint64:
    """Return the key of the random numbers of a step scale.

    The first 8 bytes, the lowest first, of the SHA-256 of the ASCII text "seed p/q", where p/q is c in lowest terms
    and 0 <= seed < 2^64. So what is drawn for c is the same in whatever list c stands. Of a million step scales some
    two share a key with probability 3e-8.
    """
    said = f"{seed} {c.numerator}/{c.denominator}"
    return np.uint64(int.from_bytes(hashlib.sha256(said.encode("ascii")).digest()[:8], "little"))
