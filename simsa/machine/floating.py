"""The arithmetic of a format in plain Python.

If NumPy has the format, NumPy's numbers are used. For any other, an operation is computed in float64, and the result
rounded to the format.
"""

import math
from collections.abc import Callable
from functools import cache
from numbers import Real
from typing import Any, ClassVar

from simsa.formats import Format, find
from simsa.machine.elementary import functions
from simsa.primitives.arithmetic import Arithmetic, Number


@cache
def arithmetic(row: Format) -> Arithmetic:
    """Return the arithmetic of a format; raises ValueError for one that is neither `native` nor `widened`."""
    if not (row.native or row.widened):
        raise ValueError(f"{row.name}: an operation in float64, rounded once more, is not that operation rounded once")
    number: Callable[[Any], Number] = row.storage
    if not row.native:
        number = type(row.name, (Rounded,), {"format": row, "__slots__": ()})
    sums = arithmetic(find(row.sums)).number if row.sums not in ("", row.name) else None
    return Arithmetic(number, functions(row, number), format=row, sums=sums)


class Rounded:
    """A number of a format that NumPy does not have. Each format has a class of its own.

    value: in float64. The other operand of an arithmetic operation is rounded to the format first; that of a comparison
    is not.
    """

    __slots__ = ("value",)
    format: ClassVar[Format]

    def __init__(self, value: Any) -> None:
        self.value: float = self.format.round(float(value))

    def _other(self, other: Any) -> float:
        """Return the other operand, rounded to the format, in float64."""
        return other.value if isinstance(other, Rounded) else self.format.round(float(other))

    def __add__(self, other: Any) -> "Rounded":
        return type(self)(self.value + self._other(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Rounded":
        return type(self)(self.value - self._other(other))

    def __rsub__(self, other: Any) -> "Rounded":
        return type(self)(self._other(other) - self.value)

    def __mul__(self, other: Any) -> "Rounded":
        return type(self)(self.value * self._other(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Rounded":
        return type(self)(_quotient(self.value, self._other(other)))

    def __rtruediv__(self, other: Any) -> "Rounded":
        return type(self)(_quotient(self._other(other), self.value))

    def __neg__(self) -> "Rounded":
        return type(self)(-self.value)

    def __abs__(self) -> "Rounded":
        return type(self)(abs(self.value))

    def __float__(self) -> float:
        return self.value

    def __bool__(self) -> bool:
        return self.value != 0

    def __lt__(self, other: Any) -> bool:
        return self.value < float(other)

    def __le__(self, other: Any) -> bool:
        return self.value <= float(other)

    def __gt__(self, other: Any) -> bool:
        return self.value > float(other)

    def __ge__(self, other: Any) -> bool:
        return self.value >= float(other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rounded | Real) and self.value == float(other)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        """Return the shortest decimal number that reads as this one."""
        some = (f"{self.value:.{digits}g}" for digits in range(1, 18))
        return repr(float(next((text for text in some if self.format.round(float(text)) == self.value), self.value)))


def _quotient(x: float, y: float) -> float:
    """Return x / y as IEEE 754 defines it: infinite for y = 0, and NaN for 0 / 0."""
    if y != 0:
        return x / y
    return math.nan if x == 0 or x != x else math.copysign(1.0, x) * math.copysign(math.inf, y)
