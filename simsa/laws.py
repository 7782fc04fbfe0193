"""Laws of the minibatch I_k, and laws of x_0 beside those of `scenario.initial`. Adding one is adding a row here.

A law of the minibatch says how it is drawn, in plain Python, and what follows from that: which minibatches there are,
how large they are, whether the theorems have them. Kernels draw those that name one of theirs. A law of x_0 maps
uniform numbers to a point; a point is drawn once for each trajectory, so plain Python draws it for every engine.
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
"""Random words of 32 bits, one after the other."""

State = tuple[Met, str]
"""How the hypothesis "I_k iid uniform over the nonempty subsets" is met, and why."""

ONE_SAMPLE: State = Met.AS_STATED, "there is one sample, so every law is the paper's"
WHOLE: State = (
    Met.COVERED,
    "every minibatch is the whole of the data, which is one of the f_I, and its selection gradient is that of J: the "
    "recursion is the proof's without noise",
)
"""What holds with one sample, and where every minibatch is all of them."""


class Law(ABC):
    """A law of the minibatch: how to draw samples out of n. A subclass is one row.

    name: how scenarios call it. meaning: what it is, in a line. sized, repeats: whether a scenario says how many
    samples a minibatch has, and whether one may be drawn twice. `size` and `replace` below are what it says, 0 and
    False where it cannot. random: whether random numbers are drawn at all.
    """

    name: ClassVar[str]
    meaning: ClassVar[str]
    sized: ClassVar[bool] = True
    repeats: ClassVar[bool] = False
    random: ClassVar[bool] = True

    @abstractmethod
    def draw(self, n: int, size: int, replace: bool, step: int, words: Callable[[int, int], Words]) -> list[int]:
        """Return I_k for k = `step`: samples out of 0, ..., n - 1, in the order drawn.

        words: the random words of a trajectory, of a number (a step, or an epoch) and a purpose (MINIBATCH or EPOCH).
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
        """Return a usual number of samples in a minibatch, at least 1, for which kernels lay out their memory."""
        return self.largest(n, size)

    def sizes(self, n: int, size: int) -> list[int]:
        """Return the numbers of samples of minibatches: each subset of so many samples may be drawn."""
        return [size]

    def every(self, n: int, size: int, replace: bool, most: int) -> list[tuple[int, ...]] | None:
        """Return every minibatch that can be drawn from n samples, or None if there are more than `most`."""
        sizes = self.sizes(n, size)
        if sum(comb(n, k) for k in sizes) > most:
            return None
        return [batch for k in sizes for batch in combinations(range(n), k)]

    def kernel(self, replace: bool) -> str | None:
        """Return the name of the law of the kernels that is this one (`machine.task.LAWS`); None if they have none."""
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
    """One bit for each index, again if all are 0; ascending."""

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
    """A uniform subset of a size, or independent indices."""

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
    """Return a uniform integer 0 <= i < n, 1 <= n < 2^32 (Lemire; ACM Trans. Model. Comput. Simul. 29, 2019)."""
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
    """A law of x_0 of a user's own.

    name: how scenarios call it. textbook: what a reader would look up. point: returns the p coordinates of x_0, from p
    independent uniform numbers, multiples of 2^-53 in [0, 1), and the numbers of the law by their names. numbers: by
    name, where each may lie. dense: whether x_0 has a density, of which the theorems speak.
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
    """Add a law of your own, before `simsa.scenario` is imported: then scenarios may name it as their law.

    A law of the minibatch is run by the engines in plain Python, and refused by those that compile; a law of x_0, by
    all. Raises ValueError if there is a law of this name.
    """
    if row.name in MINIBATCHES or row.name in STARTS:
        raise ValueError(f"there is a law '{row.name}' already")
    if isinstance(row, Law):
        MINIBATCHES[row.name] = row
    else:
        STARTS[row.name] = row
