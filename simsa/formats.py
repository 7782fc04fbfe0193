"""Formats: the floating-point numbers that a run may compute with. To add one, add a row here; no other file changes.

A row says which numbers there are, and how a result is rounded to one of them. The unit of rounding, the limits of
engines, the type in which samples are stored, the names in scenarios and the table in the docs follow from it.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import known

EXACT = "exact"
"""The name of the rational numbers, which are never rounded, where a format is named."""

ROUNDINGS = ("nearest_even",)
"""How a result is rounded to a number of a format: to the nearest one; at a tie, to the one whose last bit is 0."""

MOST = 2**17
"""The most numbers that are listed one by one."""

INNOCUOUS = 25
"""The most bits of a format in which an operation can be computed in float64, and rounded once more, with the result of
a single rounding. For t bits, + - * / and the square root, 53 >= 2 t + 2 suffices (Figueroa: When is double rounding
innocuous? SIGNUM Newsletter 30, 1995)."""


@dataclass(frozen=True, eq=False)
class Format:
    """One row: the numbers +-m 2^(e - bits + 1), m whole, 2^(bits - 1) <= m < 2^bits, emin <= e <= emax, and 0.

    name: its name in scenarios, an identifier, or two with a slash between them. bits: of the significand, the hidden
    one included, 2 to 53. emin, emax: the exponents of the smallest normal number, 2^emin, and of the largest numbers;
    emin <= -1 and 1 <= emax.
    subnormals: whether the multiples of 2^(emin - bits + 1) below 2^emin are numbers of the format; if not, a result
    that is rounded to less than 2^emin becomes a 0 of its sign. rounding: one of `ROUNDINGS`. storage: the NumPy type
    of arrays, which has to have all these numbers. sums: the name of the format in which sums and dot products are
    accumulated, and rounded once at the end; "" is this one, so that every operation is rounded. Every format has
    infinities, NaN and signed zeros. Raises ValueError if one of these conditions is not met.
    """

    name: str
    bits: int
    emin: int
    emax: int
    storage: type[np.floating[Any]]
    subnormals: bool = True
    rounding: str = ROUNDINGS[0]
    sums: str = ""

    def __post_init__(self) -> None:
        if not all(part.isidentifier() for part in self.name.split("/")) or self.name == EXACT:
            raise ValueError(f"expected an identifier other than '{EXACT}' as the name of a format, got '{self.name}'")
        if self.rounding not in ROUNDINGS:
            raise ValueError(f"{self.name}: unknown rounding '{self.rounding}'; expected one of {', '.join(ROUNDINGS)}")
        if not (2 <= self.bits <= 53 and self.emin <= -1 and 1 <= self.emax):
            raise ValueError(f"{self.name}: expected 2 to 53 bits, emin <= -1 and emax >= 1, got {self}")
        held = np.finfo(self.storage)
        last = held.minexp - held.nmant
        if held.nmant + 1 < self.bits or held.maxexp - 1 < self.emax or last > self.emin - self.bits + 1:
            raise ValueError(f"{self.name}: {self.storage.__name__} has not all of its numbers")

    @property
    def epsilon(self) -> float:
        """Return the distance from 1 to the next number, 2^(1 - bits)."""
        return 2.0 ** (1 - self.bits)

    @property
    def unit(self) -> float:
        """Return the unit of rounding: the largest relative error of a result that is a normal number, 2^-bits."""
        return 2.0**-self.bits

    @cached_property
    def largest(self) -> float:
        """Return the largest finite number."""
        return math.ldexp(2.0 - self.epsilon, self.emax)

    @cached_property
    def smallest(self) -> float:
        """Return the smallest number above 0."""
        return math.ldexp(1.0, self.emin - (self.bits - 1) * self.subnormals)

    @property
    def counts(self) -> int:
        """Return the largest n such that 1, ..., n are all numbers of the format."""
        return int(min(2**self.bits, self.largest))

    @cached_property
    def native(self) -> bool:
        """Tell whether the numbers are exactly those of the storage type, so that NumPy computes with them."""
        held = np.finfo(self.storage)
        return self.subnormals and (self.bits, self.emin, self.emax) == (held.nmant + 1, held.minexp, held.maxexp - 1)

    @property
    def widened(self) -> bool:
        """Tell whether + - * / and the square root may be computed in float64 and rounded once more.

        Products that underflow in float64 must underflow in the format as well.
        """
        return self.bits <= INNOCUOUS and self.emin - self.bits > -1022

    def round(self, x: float) -> float:
        """Return x rounded to the format, in float64: an infinity beyond the range, and NaN for NaN."""
        if x == 0 or x - x != 0:
            return x
        exponent, last = self._place(x)
        if exponent > self.emax:
            return math.copysign(math.inf, x)
        units = round(math.ldexp(x, -last))
        if exponent == self.emax and abs(units) >> self.bits:
            return math.copysign(math.inf, x)
        rounded = math.ldexp(units, last)
        return math.copysign(rounded if abs(rounded) >= self.smallest else 0.0, x)

    def _place(self, x: float) -> tuple[int, int]:
        """Return the exponent of |x|, which is finite and not 0, and that of the last bit of numbers of this size."""
        exponent = math.frexp(x)[1] - 1
        return exponent, (max(exponent, self.emin) if self.subnormals else exponent) - self.bits + 1

    def rounded(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return an array of any shape whose numbers are rounded to the format, in float64."""
        if self.native:
            with np.errstate(over="ignore"):
                return values.astype(self.storage, copy=False).astype(np.float64, copy=False)
        exponent = np.frexp(values)[1] - 1
        last = (np.maximum(exponent, self.emin) if self.subnormals else exponent) - self.bits + 1
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.ldexp(np.rint(np.ldexp(values, -last)), last)
            rounded = np.where(np.abs(rounded) > self.largest, np.copysign(np.inf, values), rounded)
            rounded = np.where(np.abs(rounded) < self.smallest, np.copysign(0.0, values), rounded)
        special = ~np.isfinite(values) | (values == 0)
        return np.where(special, values, rounded)

    def numbers(self) -> NDArray[np.float64]:
        """Return the finite numbers of the format in ascending order, in float64; 0 is there once.

        Raises ValueError if there are more than MOST.
        """
        binades = self.emax - self.emin + 1 + self.subnormals
        if binades << self.bits > MOST:
            raise ValueError(f"{self.name} has more than {MOST:,} numbers")
        fractions = np.arange(2 ** (self.bits - 1), 2**self.bits, dtype=np.float64)
        normal = [np.ldexp(fractions, e - self.bits + 1) for e in range(self.emin, self.emax + 1)]
        small = np.arange(1, 2 ** (self.bits - 1)) * self.smallest if self.subnormals else np.zeros(0)
        positive = np.concatenate([small, *normal])
        return np.concatenate([-positive[::-1], [0.0], positive])

    def at_most(self, bound: float) -> float:
        """Return the largest finite number of the format that is not above a bound, itself not below the smallest."""
        rounded = self.round(bound)
        if rounded > self.largest:
            return self.largest
        return rounded if rounded <= bound else rounded - math.ldexp(1.0, self._place(bound)[1])


FLOAT64 = Format("float64", bits=53, emin=-1022, emax=1023, storage=np.float64)
FLOAT32 = Format("float32", bits=24, emin=-126, emax=127, storage=np.float32)

SMALL = (
    Format("float16", bits=11, emin=-14, emax=15, storage=np.float16, sums="float32"),
    Format("bfloat16", bits=8, emin=-126, emax=127, storage=np.float32, sums="float32"),
    Format("tfloat32", bits=11, emin=-126, emax=127, storage=np.float32, sums="float32"),
    Format("float8_e5m2", bits=3, emin=-14, emax=15, storage=np.float16, sums="float32"),
    Format("float8_e4m3", bits=4, emin=-6, emax=7, storage=np.float16, sums="float32"),
)
"""Formats of machine learning, as hardware computes with them: sums in float32. The last two are those of IEEE P3109's
kind, with infinities."""

FORMATS: dict[str, Format] = {
    row.name: row
    for row in (FLOAT64, FLOAT32, *SMALL, *(replace(row, name=f"{row.name}/{row.name}", sums="") for row in SMALL))
}
"""Every row by its name. That of a small format with its own sums has its name twice: "float16/float16"."""


def add(row: Format) -> None:
    """Add a format. Scenarios may name it in `sweep.precision` if this is called before `simsa.scenario` is imported.

    The reference runs it if it is `native` or `widened`. Raises ValueError if there is a format of this name.
    """
    if row.name in FORMATS:
        raise ValueError(f"there is a format '{row.name}' already")
    FORMATS[row.name] = row


def find(name: str) -> Format:
    """Return a format by its name, a row or one that `custom` makes; raises SimsaError if there is none."""
    if made := re.fullmatch(r"e(\d+)m(\d+)(/e\1m\2)?", name):
        return custom(int(made[2]) + 1, int(made[1]), "" if made[3] else FLOAT32.name)
    known("precision", name, FORMATS)
    return FORMATS[name]


@cache
def custom(significand: int, exponent: int, sums: str = FLOAT32.name) -> Format:
    """Return the format with so many bits, of IEEE 754's kind: its exponents are symmetric, but for one.

    significand: with the hidden bit, 2 to INNOCUOUS. exponent: 2 to 8. sums: the name of the format of sums, or "" for
    its own. Its name is "e4m3" for 4 bits each, as the hidden bit is not stored, and "e4m3/e4m3" with its own sums.
    Raises ValueError for other numbers of bits.
    """
    if not (2 <= significand <= INNOCUOUS and 2 <= exponent <= 8):
        raise ValueError(
            f"expected 2 to {INNOCUOUS} bits of significand and 2 to 8 of exponent, got {significand} and {exponent}"
        )
    name, emax = f"e{exponent}m{significand - 1}", 2 ** (exponent - 1) - 1
    storage = np.float32 if significand <= FLOAT32.bits else np.float64
    return Format(name if sums else f"{name}/{name}", significand, 1 - emax, emax, storage, sums=sums)


def recorded(precision: str) -> Format:
    """Return the format that samples, points and margins of a precision have in the records.

    It is the precision's own; rational numbers are rounded to float64. Raises SimsaError for an unknown name.
    """
    return FLOAT64 if precision == EXACT else find(precision)


def table() -> Iterator[str]:
    """Yield the lines of a Markdown table of the formats: name, bits, exponents, format of sums, rounding, range."""
    yield "| `sweep.precision` | bits | exponents | sums in | rounding | smallest, largest number | roundoff |"
    yield "|---|---|---|---|---|---|---|"
    for row in FORMATS.values():
        yield (
            f"| `{row.name}` | {row.bits} | {row.emin} to {row.emax} | {row.sums or 'itself'} | "
            f"{row.rounding.replace('_', ', ')} | {row.smallest:.3g}, {row.largest:.3g} | 2^-{row.bits} |"
        )
