"""Laws of the minibatch I_k, and laws of x_0 besides those of `scenario.initial`. To add one, add a row here.

A law of the minibatch says how it is drawn, in plain Python, and what follows from that: which minibatches there are,
how large they are, and whether they meet the hypothesis of the theorems. Kernels draw a law whose method `kernel` names
one of their laws. A law of x_0 maps uniform numbers to a point. A point is drawn once for each trajectory, so plain
Python draws it for every engine.

Shared arguments.
n: the number of samples. size, replace: the size of a minibatch, and whether it is drawn with replacement; 0 and False
for a law that does not take them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, combinations_with_replacement
from math import ceil, comb
from typing import ClassVar

from simsa.errors import known
from simsa.rules import Range
from simsa.vocabulary import Met

MINIBATCH, EPOCH = 2, 3
"""Purposes of the random words that draw minibatches: those of a step, and those of an epoch."""

LOW = 0xFFFFFFFF
Words = Iterator[int]
"""An endless iterator over random words of 32 bits."""

State = tuple[Met, str]
"""How the hypothesis "I_k iid uniform over the nonempty subsets" is met, and the reason."""

ONE_SAMPLE: State = Met.AS_STATED, "there is one sample, so every law is the paper's"
WHOLE: State = (
    Met.COVERED,
    "every minibatch is the whole of the data, which is one of the f_I, and its selection gradient is that of J: the "
    "recursion is the proof's without noise",
)
"""How the hypothesis is met with one sample, and if every minibatch is all samples."""


class Law(ABC):
    """A law of the minibatch: how to draw samples out of n. A subclass is one row.

    name: its name in scenarios. meaning: what it is, in a line. sized, repeats: whether a scenario gives the size of a
    minibatch, and whether it says if a sample may be drawn twice. random: whether random numbers are drawn.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    sized: ClassVar[bool] = True
    repeats: ClassVar[bool] = False
    random: ClassVar[bool] = True

    @abstractmethod
    def draw(self, n: int, size: int, replace: bool, step: int, words: Callable[[int, int], Words]) -> list[int]:
        """Return I_k for k = `step`: samples out of 0, ..., n - 1, in the order drawn.

        words: a function from a number (of a step or of an epoch) and a purpose (MINIBATCH or EPOCH) to the random
        words of the trajectory for them.
        """

    @abstractmethod
    def met(self, n: int, size: int, replace: bool) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""

    def mean(self, n: int, size: int) -> float:
        """Return the expected number of samples in a minibatch."""
        return float(size)

    def largest(self, n: int, size: int) -> int:
        """Return the largest number of samples in a minibatch."""
        return size

    def usual(self, n: int, size: int) -> int:
        """Return a typical number of samples in a minibatch, at least 1, for which kernels lay out their memory."""
        return self.largest(n, size)

    def sizes(self, n: int, size: int) -> list[int]:
        """Return the possible numbers of samples in a minibatch; each subset of such a size may be drawn."""
        return [size]

    def every(self, n: int, size: int, replace: bool, most: int) -> list[tuple[int, ...]] | None:
        """Return every minibatch that can be drawn from n samples, or None if there are more than `most`."""
        sizes = self.sizes(n, size)
        if sum(comb(n, k) for k in sizes) > most:
            return None
        return [batch for k in sizes for batch in combinations(range(n), k)]

    def kernel(self, replace: bool) -> str | None:
        """Return the name of this law in the kernels (`machine.task.LAWS`); None if they do not have it."""
        return None


class Full(Law):
    """All samples, in their order."""

    name = "full"
    meaning = "I_k = {1, ..., n}: the selection gradient of J itself."
    sized, random = False, False

    def draw(self, n: int, size: int, replace: bool, step: int, words: Callable[[int, int], Words]) -> list[int]:
        """Return all samples."""
        return list(range(n))

    def met(self, n: int, size: int, replace: bool) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""
        return ONE_SAMPLE if n == 1 else WHOLE

    def mean(self, n: int, size: int) -> float:
        """Return n."""
        return float(n)

    def largest(self, n: int, size: int) -> int:
        """Return n."""
        return n

    def every(self, n: int, size: int, replace: bool, most: int) -> list[tuple[int, ...]] | None:
        """Return the one minibatch, however large it is."""
        return [tuple(range(n))]

    def kernel(self, replace: bool) -> str | None:
        """Return the kernels' name."""
        return "full"


class UniformSubset(Law):
    """A uniform nonempty subset, ascending: one random bit for each index; all are drawn again if all are 0."""

    name = "uniform_subset"
    meaning = "I_k is uniform over the 2^n - 1 nonempty subsets, independently for each k: the paper's law."
    sized = False

    def draw(self, n: int, size: int, replace: bool, step: int, words: Callable[[int, int], Words]) -> list[int]:
        """Return a subset."""
        some = words(step, MINIBATCH)
        while True:
            bits = [word >> i & 1 for word in (next(some) for _ in range(4 * -(-n // 128))) for i in range(32)]
            if found := [i for i in range(n) if bits[i]]:
                return found

    def met(self, n: int, size: int, replace: bool) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""
        return Met.AS_STATED, "this is the paper's law"

    def mean(self, n: int, size: int) -> float:
        """Return n 2^(n - 1) / (2^n - 1)."""
        return n / (2 - 0.5 ** (n - 1))

    def largest(self, n: int, size: int) -> int:
        """Return n."""
        return n

    def usual(self, n: int, size: int) -> int:
        """Return about n / 2."""
        return max(1, n // 2)

    def sizes(self, n: int, size: int) -> list[int]:
        """Return 1, ..., n."""
        return [*range(1, n + 1)]

    def kernel(self, replace: bool) -> str | None:
        """Return the kernels' name."""
        return "uniform_subset"


class FixedSize(Law):
    """A uniform subset of a given size, or as many independent indices."""

    name = "fixed_size"
    meaning = "I_k is `size` samples drawn uniformly, independently for each k."
    repeats = True

    def draw(self, n: int, size: int, replace: bool, step: int, words: Callable[[int, int], Words]) -> list[int]:
        """Return independent indices, or a subset (Floyd: Bentley, Programming pearls, CACM 30, 1987, p. 754)."""
        some = words(step, MINIBATCH)
        if replace:
            return [below(n, some) for _ in range(size)]
        found: dict[int, None] = {}
        for j in range(n - min(size, n), n):
            i = below(j + 1, some)
            found[j if i in found else i] = None
        return list(found)

    def met(self, n: int, size: int, replace: bool) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""
        if n == 1:
            return ONE_SAMPLE
        if size == n and not replace:
            return WHOLE
        functions = "means over multisets of samples" if replace else "f_I"
        return Met.COVERED, (
            f"minibatches of a fixed size are iid, draw from finitely many {functions}, and have the selection "
            "gradient of J as their mean; the proofs use no more of the law"
        )

    def every(self, n: int, size: int, replace: bool, most: int) -> list[tuple[int, ...]] | None:
        """Return every subset, or multiset, of the size."""
        if not replace:
            return super().every(n, size, replace, most)
        return list(combinations_with_replacement(range(n), size)) if comb(n + size - 1, size) <= most else None

    def kernel(self, replace: bool) -> str | None:
        """Return the kernels' name."""
        return "fixed_size_replaced" if replace else "fixed_size"


class Reshuffled(Law):
    """A uniform permutation for each epoch of ceil(n / size) steps, cut into minibatches."""

    name = "reshuffled"
    meaning = "Each epoch visits every sample once, in a fresh order; its last minibatch may be short."

    def draw(self, n: int, size: int, replace: bool, step: int, words: Callable[[int, int], Words]) -> list[int]:
        """Return a part of the permutation of the epoch (Fisher and Yates, from the last place down)."""
        epoch, place = divmod(step, -(-n // size))
        some, order = words(epoch, EPOCH), list(range(n))
        for i in range(n - 1, 0, -1):
            j = below(i + 1, some)
            order[i], order[j] = order[j], order[i]
        return order[place * size : (place + 1) * size]

    def met(self, n: int, size: int, replace: bool) -> State:
        """Return how the theorems' hypothesis on I_k is met with n samples, and why."""
        if n == 1:
            return ONE_SAMPLE
        if size == n:
            return WHOLE
        return Met.NOT_MET, (
            "reshuffled minibatches are not independent within an epoch, so their mean given the past is not that of "
            "J, which the proof on limits needs; that almost no x_0 lands is proved for every sequence of subsets"
        )

    def mean(self, n: int, size: int) -> float:
        """Return the mean over an epoch."""
        return n / ceil(n / max(size, 1))

    def sizes(self, n: int, size: int) -> list[int]:
        """Return the size, and that of the last minibatch of an epoch."""
        return sorted({min(size, n), n % size or min(size, n)})

    def kernel(self, replace: bool) -> str | None:
        """Return the kernels' name."""
        return "reshuffled"


def below(n: int, some: Words) -> int:
    """Return a uniform integer 0 <= i < n from random words, for 1 <= n < 2^32.

    Lemire: Fast random integer generation in an interval; ACM Trans. Model. Comput. Simul. 29, 2019.
    """
    while True:
        product = next(some) * n
        if product & LOW >= (2**32 - n) % n:
            return product >> 32


MINIBATCHES: dict[str, Law] = {row.name: row for row in (UniformSubset(), Full(), FixedSize(), Reshuffled())}
"""Every law of the minibatch by its name."""


def minibatch(name: str) -> Law:
    """Return the law of the minibatch of a name; raises SimsaError if there is none."""
    known("law of the minibatch", name, MINIBATCHES)
    return MINIBATCHES[name]


@dataclass(frozen=True, eq=False)
class Start:
    """A user's law of x_0.

    name: its name in scenarios. textbook: its name in textbooks. point: a function of p independent uniform numbers,
    multiples of 2^-53 in [0, 1), and of the numbers of the law as keywords, which returns the p coordinates of x_0.
    numbers: by name, the range of each. dense: whether x_0 has a density, as the theorems assume.
    """

    name: str
    textbook: str
    point: Callable[..., Sequence[float]]
    numbers: Mapping[str, Range] = field(default_factory=dict)
    dense: bool = True


STARTS: dict[str, Start] = {}
"""Every law of x_0 that has been added, by its name."""


def start(name: str) -> Start:
    """Return the law of x_0 that was added under a name; raises SimsaError if there is none."""
    known("law of x_0", name, STARTS)
    return STARTS[name]


def register(row: Law | Start) -> None:
    """Add a law. Scenarios may name it if this is called before `simsa.scenario` is imported.

    The engines in plain Python run every law of the minibatch; those that compile refuse one whose `kernel` returns
    None. Every engine runs every law of x_0. Raises ValueError if there is a law of this name.
    """
    if row.name in MINIBATCHES or row.name in STARTS:
        raise ValueError(f"there is a law '{row.name}' already")
    if isinstance(row, Law):
        MINIBATCHES[row.name] = row
    else:
        STARTS[row.name] = row
