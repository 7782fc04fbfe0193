"""Functions of all operands at once: `logsumexp`, and the Euclidean norm, which has a kink at 0."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsa.primitives.arithmetic import Number
from simsa.primitives.operations.operation import (
    Call,
    Contribution,
    Operation,
    Partials,
    extremes,
    largest_error,
    total,
)
from simsa.primitives.texts import Weights

if TYPE_CHECKING:
    from simsa.primitives.primitive import Primitive


class LogSumExp(Operation):
    """log(exp x_1 + ... + exp x_n). The largest operand is subtracted first, if it is finite, against overflow."""

    loop = "logsumexp"

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the logarithm of the sum."""
        exp, log = call.arithmetic.functions["exp"], call.arithmetic.functions["log"]
        shift = x[extremes(x, operator.gt)[0]]
        shift = shift if abs(shift) < np.inf else call.number(0)
        return [shift + log(total([exp(v - shift) for v in x]))]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return exp(x_i - v), where v is the value."""
        return [[call.arithmetic.functions["exp"](u - values[0]) for u in x]]

    def functions(self, row: "Primitive") -> set[str]:
        """Return the exponential and the logarithm."""
        return {"exp", "log"}


class Norm(Operation):
    """The Euclidean norm. At 0 its partials are the numbers of the call, one for each operand, as a convention says."""

    loop = "norm"
    is_norm = True

    def numbers(self, row: "Primitive", operands: int) -> int:
        """Return the number of operands: a tape holds one slope at 0 for each."""
        return operands

    def tie_numbers(self, tie: Weights | str, operands: int) -> list[float]:
        """Return the slope at 0 of the convention, once for each operand."""
        return [float(v) for v in tie[0]] * operands

    def number_error(self, row: "Primitive", numbers: NDArray[np.float64]) -> str | None:
        """Refuse infinite slopes at 0. NaN is allowed, since some frameworks return it."""
        return "an infinite slope at 0" if np.isinf(numbers).any() else None

    def note(self, call: Call, names: Sequence[str]) -> str:
        """Return the slopes at 0."""
        return f"  tie at 0: slopes {call.numbers}"

    def rules(self, row: "Primitive") -> Mapping[str, Weights | str]:
        """Return the rules "zero" and "nan": the slope 0 or NaN with respect to each operand."""
        return {"zero": ((0.0,),), "nan": ((math.nan,),)}

    def takes_slope(self, row: "Primitive") -> bool:
        """Return True: a convention may give the slope at 0 as a number."""
        return True

    def weights_for_slope(self, row: "Primitive", slope: float) -> Weights:
        """Return the slope itself, which holds with respect to each operand."""
        return ((slope,),)

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the norm."""
        return [call.arithmetic.functions["norm"](x)]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return x_i / v, where v is the norm; if v is 0, the slopes of the call."""
        v = values[0]
        return [list(call.numbers) if float(v) == 0 else [call.arithmetic.divide(u, v) for u in x]]

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return the norm itself, since its kink is where it is 0."""
        return values

    def compared(self, call: Call) -> list[int]:
        """Return all operands."""
        return list(range(call.operands))

    def functions(self, row: "Primitive") -> set[str]:
        """Return "norm"."""
        return {"norm"}

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return the largest error of an operand."""
        return largest_error(own, call.outputs)

    def mixture_weights(self, call: Call) -> int:
        """Return one weight for each operand."""
        return call.operands

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Contribution], bool]:
        """Return a random slope in (-1, 1) for each operand."""
        one = call.number(1)
        drawn = [call.number(2 * draw(i) - 1) for i in range(call.operands)]
        return [(0, i, w, share, one) for i, (w, share) in enumerate(zip(drawn, call.numbers, strict=True))], False

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the pair (operand, "0") for each operand."""
        return {(name, "0") for name in names}
