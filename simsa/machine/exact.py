"""Recursion (8) over the rational numbers: nothing is rounded, as in the theorems.

The arithmetic and the step sizes are exact. The numbers of the program, the samples and x_0 are the exact values of
float64 numbers, so that the function is the one that the kernels compute.

Shared arguments.
tape: of the program. rows: the samples, (n, d). descent: the recursion with its laws. bits: a trajectory stops when a
numerator or denominator of x_k has more.
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
    """A quotient by 0 or a NaN, and each result that is computed from one. It compares like a NaN."""

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
    """Return a number of any arithmetic as a rational number, without rounding; a NaN is undefined."""
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
    """Return a function of rational numbers to the integers, which is undefined where its argument is."""
    return lambda x: x if x is UNDEFINED else Fraction(function(x))


EXACT = Arithmetic(rational, {"pow": power, "floor": _whole(math.floor), "round_even": _whole(round)}, divide)
"""The arithmetic of rational numbers, in which quotients by 0 are undefined."""


def refusal(tape: Tape) -> str | None:
    """Return why a tape cannot be computed in rational numbers, in a line; None if it can."""
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
    """Return the walker that takes exact steps; a step whose x_{k+1} is too long has the status TOO_LONG."""

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

    gamma: the step sizes. c: the step scale, which decides the random numbers. first, count: trajectories first, ...,
    first + count - 1. A margin is recorded as 0 only if it is exactly 0. A trajectory stops, with the status
    NOT_FINITE, if a quotient by 0 reaches its gradient; and with TOO_LONG if a number has more bits.
    """
    taken = walker(tape, rows, descent, bits)
    progress = taken.begin(descent, c=c, first=first, count=count)
    return records(descent, taken.advance(descent, gamma, progress, descent.steps))
