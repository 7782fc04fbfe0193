"""Power series in t, with which the reference interpreter runs a program along a curve x(t) for small t > 0.

Series are compared by the first coefficient in which they differ, as values are for all small t > 0. An execution along
a curve is therefore one branch assignment. If each of its guards has a coefficient that is not 0, then open sets
arbitrarily close to x(0) execute it as well.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from simsa.calculus.mixed import MIXED, functions_of, mixed, partial, plain, proved, short
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives import INNER, ROW
from simsa.primitives.arithmetic import Arithmetic
from simsa.primitives.texts import OPERANDS
from simsa.tape.tape import OUT, OUTS, Tape

ORDER, ANALYTIC = 48, 7
"""The largest power of t that is kept of polynomials, and of other functions, whose cost doubles with each power."""

FAINT = 1e-9
"""The sign of a rounded coefficient with an absolute value up to this is not decided."""


class UndecidedError(Exception):
    """Two series agree in all coefficients that are known."""


class Series:
    """A power series c_0 + c_1 t + ... in mixed numbers.

    coefficients: c_0, c_1, ... order: the last power whose coefficient is known. polynomial: whether all coefficients
    of higher powers are 0.
    """

    __slots__ = ("coefficients", "order", "polynomial")
    __array_ufunc__ = None

    def __init__(self, coefficients: list[Any], order: int = ORDER, polynomial: bool = True) -> None:
        cut = [short(c) for c in coefficients[: order + 1]]
        polynomial = polynomial and all(proved(c) and not c for c in coefficients[order + 1 :])
        while len(cut) > 1 and proved(cut[-1]) and not cut[-1]:
            cut.pop()
        self.coefficients, self.order, self.polynomial = cut, order, polynomial

    def known(self, i: int) -> Any:
        """Return coefficient i, for i up to the order."""
        return self.coefficients[i] if i < len(self.coefficients) else mixed(0)

    def cut(self, order: int) -> "Series":
        """Return the series with the coefficients up to an order only."""
        return Series(self.coefficients, min(order, self.order), self.polynomial)

    def _with(self, other: "Series", coefficients: list[Any]) -> "Series":
        return Series(coefficients, min(self.order, other.order), self.polynomial and other.polynomial)

    def __add__(self, other: Any) -> "Series":
        other = series(other)
        count = max(len(self.coefficients), len(other.coefficients))
        return self._with(other, [self.known(i) + other.known(i) for i in range(count)])

    def __neg__(self) -> "Series":
        return Series([-c for c in self.coefficients], self.order, self.polynomial)

    def __sub__(self, other: Any) -> "Series":
        return self + -series(other)

    def __mul__(self, other: Any) -> "Series":
        other = series(other)
        total = [mixed(0)] * (len(self.coefficients) + len(other.coefficients) - 1)
        for i, a in enumerate(self.coefficients):
            if not (proved(a) and not a):
                for j, b in enumerate(other.coefficients):
                    total[i + j] = total[i + j] + a * b
        return self._with(other, total)

    def __truediv__(self, other: Any) -> "Series":
        return divide(self, other)

    def __abs__(self) -> "Series":
        return -self if self < series(0) else self

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> "Series":
        return series(other) - self

    def __rtruediv__(self, other: Any) -> "Series":
        return divide(other, self)

    def __float__(self) -> float:
        return plain(self.coefficients[0])

    def __bool__(self) -> bool:
        return bool(self.coefficients[0] != 0)

    def sign(self) -> int:
        """Return the sign for small t > 0; 0 only for the series 0. Raises UndecidedError if it is not known."""
        for i, c in enumerate(self.coefficients):
            if not proved(c) and not (abs(c) > FAINT or (i == 0 and c != 0)):
                break
            if c != 0:
                return 1 if c > 0 else -1
        else:
            if self.polynomial:
                return 0
        raise UndecidedError

    def _order(self, other: Any) -> int:
        return 0 if self is other else (self - series(other)).sign()

    def __lt__(self, other: Any) -> bool:
        return self._order(other) < 0

    def __gt__(self, other: Any) -> bool:
        return self._order(other) > 0

    def __le__(self, other: Any) -> bool:
        return self._order(other) <= 0

    def __ge__(self, other: Any) -> bool:
        return self._order(other) >= 0

    def __eq__(self, other: object) -> bool:
        return self._order(other) == 0

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # equal by value, so no key of a dictionary


def series(value: Any) -> Series:
    """Return a number as a series; a plain number becomes a constant."""
    return value if isinstance(value, Series) else Series([mixed(value)])


def divide(x: Any, y: Any) -> Series:
    """Return the quotient of two series, term by term."""
    above, below = series(x), series(y)
    first, order = below.coefficients[0], min(above.order, below.order)
    if len(below.coefficients) == 1:
        return above._with(below, [MIXED.divide(c, first) for c in above.coefficients])
    quotient: list[Any] = []
    for i in range(order + 1):
        rest = above.known(i)
        for j in range(1, min(i, len(below.coefficients) - 1) + 1):
            rest = rest - quotient[i - j] * below.coefficients[j]
        quotient.append(MIXED.divide(rest, first))
    return Series(quotient, order, polynomial=False)


def _function(name: str) -> Callable[..., Series]:
    """Return an elementary function of series, by y' = Σ ∂f(u, y) u' with the partials of the table."""
    partials = len((ROW | INNER)[name].pieces[0].partials)

    def apply(*args: Any) -> Series:
        u = [series(arg) for arg in args]
        value = MIXED.functions[name](*(v.coefficients[0] for v in u))
        if all(len(v.coefficients) == 1 and v.polynomial for v in u):
            return Series([value])
        exponent = u[-1].coefficients[0]
        if name == "pow" and len(u[1].coefficients) == 1 and proved(exponent) and exponent.denominator == 1:
            return _power(u[0], exponent.numerator)
        order = min(ANALYTIC, *(v.order for v in u))
        found = [value]
        for k in range(1, order + 1):
            operands = [v.cut(k - 1) for v in u]
            places = (*operands, *(None,) * (len(OPERANDS) - len(operands)), Series(found, k - 1, polynomial=False))
            total: Any = mixed(0)
            for i in range(partials):
                if len(u[i].coefficients) > 1:
                    slope = series(partial(name, i, SERIES)(*places))
                    moved = Series([j * c for j, c in enumerate(u[i].coefficients)][1:], k - 1, polynomial=False)
                    total = total + (slope * moved).known(k - 1)
            found.append(total / k)
        return Series(found, order, polynomial=False)

    return apply


def _step(name: str) -> Callable[..., Series]:
    """Return a step function of series, a constant; the value on the other side of a jump is another piece."""
    return lambda x: Series([MIXED.functions[name](series(x).coefficients[0])])


def _power(x: Series, exponent: int) -> Series:
    """Return an integer power of a series."""
    if exponent < 0:
        return divide(series(1), _power(x, -exponent))
    result, square = series(1), x
    while exponent:
        if exponent % 2:
            result = result * square
        exponent //= 2
        square = square * square if exponent else square
    return result


SERIES = Arithmetic(series, functions_of(_function, _step), divide)
"""The arithmetic of series for the reference interpreter."""


@lru_cache(maxsize=1024)
def taylor(name: str, value: Any) -> tuple[Any, ...]:
    """Return the Taylor coefficients of an elementary function of one operand at a value."""
    return tuple(SERIES.functions[name](Series([value, mixed(1)])).coefficients)


class SeriesInterpreter(Interpreter):
    """Runs a tape along a curve.

    A constant coefficient that agrees up to rounding with the value of a given execution in float64 is replaced by it.
    """

    def __init__(self, tape: Tape, there: Execution, bounds: list[float]) -> None:
        """Set the tape, the execution at t = 0 in float64, and the error bound of each of its registers."""
        super().__init__(tape, SERIES)
        self.there, self.bounds = there, bounds

    def _margin(self, k: int, x: list[Any], values: list[Any]) -> float:
        return np.inf

    def _evaluate(self, k: int, execution: Execution, choices: Mapping[int, Any]) -> None:
        super()._evaluate(k, execution, choices)
        out = self.code[k][OUT]
        for r in range(out, out + self.code[k][OUTS]):
            moved = series(execution.values[r])
            value = anchored(moved.coefficients[0], self.there.values[r], self.bounds[r])
            execution.values[r] = (
                moved
                if value is moved.coefficients[0]
                else Series([value, *moved.coefficients[1:]], moved.order, moved.polynomial)
            )


def anchored(value: Any, there: Any, bound: float) -> Any:
    """Return the value of a register in float64 if another computation of it agrees up to rounding; else the latter.

    value: of the other computation. there: in float64. bound: the error bound of `there`.
    """
    if value == there or not abs(plain(value) - float(there)) <= bound:
        return value
    return mixed(there)
