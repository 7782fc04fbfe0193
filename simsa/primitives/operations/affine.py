"""`sum`, `dot` and `dense`: sums of operands or of products, computed from left to right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simsa.primitives.arithmetic import Number
from simsa.primitives.operations.operation import Call, Operation, Partials

if TYPE_CHECKING:
    from simsa.primitives.primitive import Primitive


class Sum(Operation):
    """x_1 + ... + x_n."""

    loop = "sum"
    linear = True

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the sum."""
        return [call.arithmetic.dot((), (), x)]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return 1 for each operand."""
        return [[call.number(1)] * call.operands]


class Dot(Operation):
    """x_1 y_1 + ... + x_n y_n. The operands are x, then y."""

    loop = "dot"
    linear = True

    def count_error(self, row: "Primitive", operands: int, outputs: int) -> str | None:
        """Refuse an odd number of operands."""
        return super().count_error(row, operands, outputs) or ("an odd number of operands" if operands % 2 else None)

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the sum of products."""
        half = call.operands // 2
        return [call.arithmetic.dot(x[:half], x[half:])]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return the y for the operands x, and the x for the operands y."""
        half = call.operands // 2
        return [x[half:] + x[:half]]


class Dense(Operation):
    """y_j = b_j + W_j1 x_1 + W_j2 x_2 + ... The operands are W by rows, x, then b; b may be missing."""

    loop = "dense"
    linear = True

    def count_error(self, row: "Primitive", operands: int, outputs: int) -> str | None:
        """Refuse a number of operands that is neither n (outputs + 1) nor that plus one bias for each output."""
        with_bias = (operands - outputs) % (outputs + 1) == 0 and operands > outputs
        fit = with_bias or operands % (outputs + 1) == 0
        return None if fit else f"{operands} operands do not fit {outputs} outputs"

    def affine_blocks(
        self, operands: Sequence[int], outputs: int
    ) -> tuple[Sequence[int], Sequence[int], Sequence[int]] | None:
        """Return W by rows, x and b; b is empty if there are no biases."""
        return blocks_of(operands, outputs)

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the outputs."""
        weights, inputs, biases = blocks_of(x, call.outputs)
        n = len(inputs)
        return [call.arithmetic.dot(weights[j * n : j * n + n], inputs, biases[j : j + 1]) for j in range(call.outputs)]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return the partials, most of which are None."""
        table: Partials = [[None] * call.operands for _ in range(call.outputs)]
        for i, column in enumerate(self.columns(call, x, values, decision)):
            for j, partial in column:
                table[j][i] = partial
        return table

    def columns(
        self, call: Call, x: list[Number], values: list[Number], decision: Any
    ) -> list[list[tuple[int, Number]]]:
        """Return for W_ji the partial x_i, for x_i the partials W_ji, and for b_j the partial 1."""
        weights, inputs, biases = blocks_of(x, call.outputs)
        n = len(inputs)
        found = [[(i // n, inputs[i % n])] for i in range(len(weights))]
        found += [[(j, weights[j * n + i]) for j in range(call.outputs)] for i in range(n)]
        return found + [[(j, call.number(1))] for j in range(len(biases))]


def blocks_of(operands: Sequence[Any], outs: int) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
    """Return the weights, inputs and biases among the operands of `dense` with `outs` outputs."""
    inputs = len(operands) // (outs + 1)
    weights = outs * inputs
    return operands[:weights], operands[weights : weights + inputs], operands[weights + inputs :]
