"""Functions of all operands at once: `logsumexp`, and the Euclidean norm, which has a kink at 0."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsa.primitives.arithmetic import Number
from simsa.primitives.operations.operation import Call, Operation, Partials, Term, extremes, largest_error, total
from simsa.primitives.texts import Weights

if TYPE_CHECKING:
    from simsa.primitives.primitive import Primitive


class LogSumExp(Operation):
    """log(exp x_1 + ... + exp x_n), shifted by the largest operand if that is finite."""

    loop = "logsumexp"

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the logarithm of the sum."""
        exp, log = call.arithmetic.functions["exp"], call.arithmetic.functions["log"]
        shift = x[extremes(x, operator.gt)[0]]
        shift = shift if abs(shift) < np.inf else call.number(0)
        return [shift + log(total([exp(v - shift) for v in x]))]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return exp(x_i - v)."""
        return [[call.arithmetic.functions["exp"](u - values[0]) for u in x]]

    def functions(self, row: "Primitive") -> set[str]:
        """Return the exponential and the logarithm."""
        return {"exp", "log"}


class Norm(Operation):
    """The Euclidean norm. Its slopes at 0 are numbers of the call: the entries of a vector of the unit ball."""

    loop = "norm"
    round = True

    def numbers(self, row: "Primitive", operands: int) -> int:
        """Return one slope for each operand."""
        return operands

    def tie_numbers(self, tie: Weights | str, operands: int) -> list[float]:
        """Return the slope that a convention names, for each operand."""
        return [float(v) for v in tie[0]] * operands

    def fault(self, row: "Primitive", numbers: NDArray[np.float64]) -> str | None:
        """Refuse infinite slopes; some frameworks answer NaN at 0."""
        return "an infinite slope at 0" if np.isinf(numbers).any() else None

    def note(self, call: Call, names: Sequence[str]) -> str:
        """Return the slopes at 0."""
        return f"  tie at 0: slopes {call.numbers}"

    def rules(self, row: "Primitive") -> Mapping[str, Weights | str]:
        """Return the slopes 0 and NaN."""
        return {"zero": ((0.0,),), "nan": ((math.nan,),)}

    def takes_slope(self, row: "Primitive") -> bool:
        """Return True."""
        return True

    def sloped(self, row: "Primitive", slope: float) -> Weights:
        """Return the slope with respect to each operand."""
        return ((slope,),)

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the norm."""
        return [call.arithmetic.functions["norm"](x)]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return x_i / v, or the slopes at 0."""
        v = values[0]
        return [list(call.numbers) if float(v) == 0 else [call.arithmetic.divide(u, v) for u in x]]

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return the norm: its kink is where it is 0."""
        return values

    def compared(self, call: Call) -> list[int]:
        """Return all operands."""
        return list(range(call.operands))

    def functions(self, row: "Primitive") -> set[str]:
        """Return the norm, which is no rational function."""
        return {"norm"}

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return the largest error of an operand."""
        return largest_error(own, call.outputs)

    def undecided(self, call: Call) -> int:
        """Return one weight for each operand."""
        return call.operands

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Term], bool]:
        """Return a random slope for each operand, in (-1, 1)."""
        one = call.number(1)
        drawn = [call.number(2 * draw(i) - 1) for i in range(call.operands)]
        return [(0, i, w, share, one) for i, (w, share) in enumerate(zip(drawn, call.numbers, strict=True))], False

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return that each operand is 0."""
        return {(name, "0") for name in names}
