"""Dual numbers a + b ε with a vector b, with which the reference interpreter differentiates a program.

The derivative of an elementary function is the partial of its row in the table, so a new primitive needs no code here.
Dual numbers are compared lexicographically, first by value and then by tangent, as x + ε d_1 + ε² d_2 + ... is for
small ε > 0. At a tie a program then selects the pieces that it executes at such points, in the directions d_1, d_2, ...
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.machine.reference import FLOAT64
from simsa.primitives import INNER, ROW
from simsa.primitives.arithmetic import Arithmetic, formula
from simsa.primitives.texts import FUNCTIONS, OPERANDS, STEP_FUNCTIONS

Tangent = NDArray[np.float64] | np.float64 | None

ONE = 1.0
"""The factor of a term that is added as it is, compared by identity."""


class Dual:
    """A dual number.

    value: float64. tangent: its derivatives along k directions, shape (k,), or a number for one direction; None if it
    depends on no parameter. curved: whether it may be a function of the parameters that is not affine.
    """

    __slots__ = ("curved", "tangent", "value")
    __array_ufunc__ = None  # NumPy's numbers then leave operations with a Dual to the methods of Dual

    def __init__(self, value: Any, tangent: Tangent = None, curved: bool = False) -> None:
        self.value, self.tangent, self.curved = np.float64(value), tangent, curved

    def _linear(self, value: Any, *terms: tuple[Any, "Dual"], curved: bool = False) -> "Dual":
        """Return the dual number with this value and the tangent Σ factor · tangent over terms that have a tangent."""
        tangent: Tangent = None
        for factor, other in terms:
            if other.tangent is not None:
                term = other.tangent if factor is ONE else factor * other.tangent
                tangent = term if tangent is None else tangent + term
                curved = curved or other.curved
        return Dual(value, tangent, curved)

    def __add__(self, other: Any) -> "Dual":
        other = dual(other)
        if self.tangent is None and other.tangent is None:
            return Dual(self.value + other.value)
        return self._linear(self.value + other.value, (ONE, self), (ONE, other))

    def __sub__(self, other: Any) -> "Dual":
        other = dual(other)
        if self is other:
            return Dual(self.value - other.value)  # the difference is 0 everywhere, and not only at this point
        return self._linear(self.value - other.value, (ONE, self), (-1.0, other))

    def __mul__(self, other: Any) -> "Dual":
        other = dual(other)
        if self.tangent is None and other.tangent is None:
            return Dual(self.value * other.value)
        both = self.tangent is not None and other.tangent is not None
        return self._linear(self.value * other.value, (other.value, self), (self.value, other), curved=both)

    def __truediv__(self, other: Any) -> "Dual":
        other = dual(other)
        quotient = self.value / other.value
        bends = other.tangent is not None
        return self._linear(quotient, (1.0 / other.value, self), (-quotient / other.value, other), curved=bends)

    def __neg__(self) -> "Dual":
        return self._linear(-self.value, (-1.0, self))

    def __abs__(self) -> "Dual":
        return -self if self < dual(0.0) else self

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> "Dual":
        return dual(other) - self

    def __rtruediv__(self, other: Any) -> "Dual":
        return dual(other) / self

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return bool(self.value != 0)

    def __int__(self) -> int:
        return int(self.value)

    def sign(self) -> int | None:
        """Return the sign of the value, or if that is 0 of the first tangent that is not 0; None for NaN."""
        entries = (self.value, *(() if self.tangent is None else np.atleast_1d(self.tangent)))
        first = next((v for v in entries if v != 0), 0.0)
        return int(np.sign(first)) if first == first else None

    def _order(self, other: Any) -> int | None:
        """Return the lexicographic order, None where there is none."""
        other = dual(other)
        if self.value == other.value:
            return 0 if self is other or not np.isfinite(self.value) else (self - other).sign()
        return -1 if self.value < other.value else 1 if self.value > other.value else None

    def __lt__(self, other: Any) -> bool:
        return self._order(other) == -1

    def __gt__(self, other: Any) -> bool:
        return self._order(other) == 1

    def __le__(self, other: Any) -> bool:
        return self._order(other) in (-1, 0)

    def __ge__(self, other: Any) -> bool:
        return self._order(other) in (0, 1)

    def __eq__(self, other: object) -> bool:
        return self._order(other) == 0

    __hash__ = None  # type: ignore[assignment]  # equal by value, so no key of a dictionary


def dual(value: Any) -> Dual:
    """Return a number as a Dual; a plain number becomes one without a tangent."""
    return value if isinstance(value, Dual) else Dual(value)


def _function(name: str) -> Callable[..., Dual]:
    """Return an elementary function of Duals, whose derivative is the partial in the table."""
    row, function = (ROW | INNER)[name], FLOAT64.functions[name]
    partials = row.pieces[0].partials

    def apply(*args: Any) -> Dual:
        numbers = [dual(arg) for arg in args]
        values = [number.value for number in numbers]
        v = function(*values)
        operands = (*values, *(None,) * (len(OPERANDS) - len(values)), v)
        slopes = [
            (formula(text, row, FLOAT64)(*operands), number)
            for text, number in zip(partials, numbers, strict=True)
            if number.tangent is not None
        ]
        return Dual(0.0)._linear(v, *slopes, curved=bool(slopes))

    return apply


def _norm(x: Sequence[Any]) -> Dual:
    """Return the Euclidean norm of Duals. Where it is 0 its tangent is NaN, since the norm has no derivative there."""
    numbers = [dual(v) for v in x]
    v = FLOAT64.functions["norm"]([number.value for number in numbers])
    terms = [(n.value / v if v else np.nan, n) for n in numbers if n.tangent is not None]
    return Dual(0.0)._linear(v, *terms, curved=bool(terms))


def _step(name: str) -> Callable[..., Dual]:
    """Return a step function of Duals. Its derivative is 0; the value on the other side of a jump is another piece."""
    return lambda x: Dual(FLOAT64.functions[name](dual(x).value))


DUAL = Arithmetic(
    dual, {"norm": _norm} | {name: (_step if name in STEP_FUNCTIONS else _function)(name) for name in sorted(FUNCTIONS)}
)
"""The arithmetic of dual numbers for the reference interpreter."""


def seed(x: Sequence[float] | NDArray[np.float64], directions: NDArray[np.float64]) -> list[Dual]:
    """Return the parameters x, shape (p,), as Duals whose tangents are the entries of directions.

    directions: shape (p, k), or (p,) for one direction.
    """
    return [Dual(value, tangent) for value, tangent in zip(x, np.asarray(directions, np.float64), strict=True)]
