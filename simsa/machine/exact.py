"""Recursion (8) over the rational numbers: no rounding, so a landing is one of the theorems' landings.

Exact are the arithmetic and the step sizes. The function is the one that the kernels compute: the numbers of the
program, the samples and x_0 are float64, taken at their exact value.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.machine.progress import records
from simsa.machine.replay import Walker
from simsa.machine.task import Descent, Scale
from simsa.primitives import ROWS
from simsa.primitives.arithmetic import Arithmetic, Number
from simsa.primitives.texts import STEP_FUNCTIONS
from simsa.tape import Tape
from simsa.tape.tape import NUMBER, OP, OUT

LARGEST_EXPONENT = 1000


class _Undefined:
    """A quotient by 0, a NaN, and whatever is computed from one: it compares like a NaN."""

    def _same(self, *_: Any) -> "_Undefined":
        return self

    def _false(self, _: Any) -> bool:
        return False

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _same
    __pow__ = __neg__ = __abs__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = _false
    __hash__ = object.__hash__

    def __ne__(self, _: object) -> bool:
        return True

    def __float__(self) -> float:
        return np.nan

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = _Undefined()


def rational(value: Any) -> Number:
    """Return a number of any arithmetic without rounding; a NaN is undefined."""
    if value != value:
        return UNDEFINED
    return Fraction(value if isinstance(value, int | float | Fraction) else float(value))


def divide(x: Number, y: Number) -> Number:
    """Return x / y, undefined for y = 0."""
    return x / y if y != 0 else UNDEFINED


def power(x: Number, a: Fraction) -> Number:
    """Return x^a for an integer a, undefined for x = 0 and a < 0."""
    return x**a if x != 0 or a >= 0 else UNDEFINED


def _whole(function: Callable[[Fraction], int]) -> Callable[[Number], Number]:
    """Return a function to the integers as one of rational numbers, undefined where they are."""
    return lambda x: x if x is UNDEFINED else Fraction(function(x))


EXACT = Arithmetic(rational, {"pow": power, "floor": _whole(math.floor), "round_even": _whole(round)}, divide)
"""The rational numbers, with the quotients that are undefined."""


def refusal(tape: Tape) -> str | None:
    """Return why a tape does not compute with rational numbers, in a line; None if it does."""
    for line in tape.code:
        row = ROWS[line[OP]]
        numbers = tape.numbers[line[NUMBER] : line[NUMBER] + len(row.immediates)]
        used = row.operation.functions(row) - STEP_FUNCTIONS
        whole = used == {"pow"} and all(a.is_integer() and abs(a) <= LARGEST_EXPONENT for a in numbers.tolist())
        if used and not whole:
            given = "".join(f" with {name} = {a:g}" for name, a in zip(row.immediates, numbers, strict=True))
            return f"{row.name}{given} (register r{line[OUT]}) is no rational function"
    return "inf is no rational number" if np.isinf(tape.constant_values).any() else None


def walker(tape: Tape, rows: NDArray[np.float64], descent: Descent, bits: int) -> Walker:
    """Return what takes exact steps, until a numerator or denominator of x_k has more than so many bits."""

    def too_long(v: Fraction) -> bool:
        return max(v.numerator.bit_length(), v.denominator.bit_length()) > bits

    return Walker(tape, rows, EXACT, too_long, descent.rule, descent.numbers)


def descend(
    tape: Tape,
    rows: NDArray[np.float64],
    descent: Descent,
    *,
    gamma: Sequence[Fraction],
    c: Scale,
    first: int,
    count: int,
    bits: int,
) -> dict[str, NDArray[Any]]:
    """Run trajectories as `launch.descend` does, without rounding, and return the same records, rounded to float64.

    gamma: the step sizes. c: the step scale, which names the random numbers. bits: a trajectory stops, with status
    TOO_LONG, when a numerator or denominator of x_k needs more. A margin is 0 only if it is 0. Where a quotient by 0
    reaches the gradient, the trajectory stops as not finite.
    """
    taken = walker(tape, rows, descent, bits)
    progress = taken.begin(descent, c=c, first=first, count=count)
    return records(descent, taken.advance(descent, gamma, progress, descent.steps))
