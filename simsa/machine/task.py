"""The recursion with its laws, independent of the engine that computes it. This imports no kernels."""

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
"""Laws of the minibatch of the kernels; the index of a name is the law's number in `kernels.streams`."""

INITIAL = ("points", "normal", "uniform")
"""Laws of x_0 of the kernels; the index of a name is the law's number in `kernels.streams`."""

COMPONENTS = ("normal", "ball")
"""Components of the law of streamed samples; the index of a name is its number in `kernels.streams`."""

Scale = Fraction | float
"""A step scale c. A float stands for the shortest decimal number that is read as this float."""


@dataclass(frozen=True)
class Initial:
    """The law of x_0.

    kind: "normal", "uniform", "points", or the name of a user's law in `laws.STARTS`; SimsaError is raised for any
    other. center, scale: (p,): a normal law has this mean and standard deviation, a uniform law is on [center - scale,
    center + scale). points: (m, p): trajectory t starts at point t mod m. numbers: (name, value) of each number of a
    user's law.
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

    kinds: of each component: "normal", center + scale z with standard normal z, or "ball", uniform on |x - center| <=
    scale[0]. shares: (m,), the cumulative probabilities of the components, increasing to 1. center, scale: (m, d).
    Raises SimsaError for another kind, and DataError for other shares.
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

    steps: their number. law, size, replace: of the minibatch, as in `laws.Law`. alpha: (steps,), with gamma_k = c
    alpha_k. radius: a trajectory that leaves |x|_inf <= radius stops. seed: of the random numbers, 0 <= seed < 2^64.
    initial: the law of x_0. checkpoints: increasing steps in 0, ..., steps, at which J(x_k) is recorded, for
    trajectories with numbers below objective_trajectories. snapshots: whether x_k is recorded there as well, for all
    trajectories. stream: the law of the samples, if each step draws `size` new ones, in which case `law` is
    "fixed_size"; the data are then those that J is estimated on. rule, numbers: the rule of the steps, and its numbers
    in their order, which floating point rounds to float64. Raises SimsaError for an unknown law, and DataError for
    another count of numbers.
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
        """Return the law of the minibatch; raises SimsaError if none has its name."""
        return laws.minibatch(self.law)

    def key(self, c: Scale) -> np.uint64:
        """Return the key of the random numbers of a step scale: a function of its value and the seed alone."""
        written = c if isinstance(c, Fraction) else Fraction(repr(float(c)))
        return key_of(self.seed, written)


@dataclass(frozen=True)
class ExactSteps:
    """What the exact engine needs besides a descent.

    c: the exact step scale, by the scale as it was written. alpha: the exact alpha_k. bits: the largest number of bits
    of a numerator or denominator.
    """

    c: Mapping[Fraction, Fraction]
    alpha: tuple[Fraction, ...]
    bits: int

    def gamma(self, scale: Fraction) -> list[Fraction]:
        """Return the step sizes gamma_k = c alpha_k."""
        return [self.c[scale] * alpha for alpha in self.alpha]


def law_of(descent: Descent) -> int:
    """Return the number of the law of the minibatch in the kernels; raises SimsaError if they do not have it."""
    name = "streamed" if descent.stream else descent.batches.kernel(descent.replace)
    if name is None:
        raise SimsaError(f"kernels do not draw minibatches by the law '{descent.law}'")
    return LAWS.index(name)


def key_of(seed: int, c: Fraction) -> np.uint64:
    """Return the key of the random numbers of a step scale.

    The first 8 bytes, the lowest first, of the SHA-256 of the ASCII text "seed p/q", where p/q is c in lowest terms
    and 0 <= seed < 2^64. So the random numbers of c do not depend on the other step scales of a sweep. Two of a million
    step scales have the same key with a probability of 3e-8.
    """
    said = f"{seed} {c.numerator}/{c.denominator}"
    return np.uint64(int.from_bytes(hashlib.sha256(said.encode("ascii")).digest()[:8], "little"))
