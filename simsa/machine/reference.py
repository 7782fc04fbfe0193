"""The definition: a plain-Python interpreter of tapes, one point at a time. The kernels must have its bits.

It walks the same tape as the kernels, in one arithmetic, without lanes and without Numba. The operation of an
instruction says what it computes, passes back and decides (`simsa.primitives.operations`), and
`simsa.machine.elementary` defines the bits of elementary functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simsa import formats
from simsa.machine.floating import arithmetic
from simsa.primitives.arithmetic import Arithmetic, Number
from simsa.primitives.operations import Selection, total
from simsa.tape.tape import ADJOINED, COUNT, FIRST, FLAGS, GUARDED, OUT, OUTS, Tape

FLOAT64 = arithmetic(formats.FLOAT64)
"""The default arithmetic."""


@dataclass
class Execution:
    """The execution of a tape at one point.

    values: those of all registers. decisions: by the number of the instruction: the weighted pieces ((weight, piece),
    ...) of a selection of the table, the row of a user's selection, the tied operands of `max` and `min`, the
    permutation of `sort`. margins: by instruction, the smallest |guard|, of those whose guards depend on parameters.
    """

    values: list[Number]
    decisions: dict[int, Any] = field(default_factory=dict)
    margins: dict[int, float] = field(default_factory=dict)


class Interpreter:
    """Runs one tape in one arithmetic.

    code, modes: those of the tape, as lists. reads: the operand registers of each instruction. calls: for each
    instruction the `Call` that its operation takes.
    """

    def __init__(self, tape: Tape, arithmetic: Arithmetic = FLOAT64) -> None:
        self.tape, self.arithmetic = tape, arithmetic
        values = zip(tape.constant_registers.tolist(), tape.constant_values.tolist(), strict=True)
        self.code: list[list[int]] = tape.code.tolist()
        self.modes = [tape.modes[line[FIRST] : line[FIRST] + line[COUNT]].tolist() for line in self.code]
        self.reads: list[list[int]] = [tape.operand(k).tolist() for k in range(len(self.code))]
        with np.errstate(over="ignore"):  # a number beyond the range of the format becomes infinite, as in the kernels
            self._constants = [(register, arithmetic.number(value)) for register, value in values]
            self.calls = [tape.call(k, arithmetic) for k in range(len(self.code))]

    def operands(self, k: int, execution: Execution) -> list[Number]:
        """Return the values of the operands of instruction k."""
        return [execution.values[r] for r in self.reads[k]]

    def results(self, k: int, execution: Execution) -> list[Number]:
        """Return the values of the outputs of instruction k."""
        out = self.code[k][OUT]
        return execution.values[out : out + self.code[k][OUTS]]

    # Algorithm 1.

    def run(self, x: Sequence[Any], data: Sequence[Any] = (), choices: Mapping[int, Any] | None = None) -> Execution:
        """Return the execution at x, (p,), with the sample data, (d,).

        choices: by instruction, decisions that are taken instead of the tape's own (a branch assignment).
        """
        tape, number = self.tape, self.arithmetic.number
        with np.errstate(all="ignore"):
            values: list[Number] = [number(v) for v in (*x, *data)]
            values += [None] * (tape.registers - len(values))
            for register, value in self._constants:
                values[register] = value
            execution = Execution(values)
            for k in range(len(tape.code)):
                self._evaluate(k, execution, choices or {})
        return execution

    def _evaluate(self, k: int, execution: Execution, choices: Mapping[int, Any]) -> None:
        """Evaluate instruction k: write its decision, its outputs and its smallest |guard| into the execution."""
        call, x = self.calls[k], self.operands(k, execution)
        operation, out = call.row.operation, self.code[k][OUT]
        decision = None
        if isinstance(operation, Selection):
            decision = execution.decisions[k] = choices[k] if k in choices else operation.decide(call, x)
        values = operation.values(call, x, decision, k in choices)
        execution.values[out : out + call.outputs] = values
        if self.code[k][FLAGS] & GUARDED:
            execution.margins[k] = self._margin(k, x, values)

    def _margin(self, k: int, x: list[Number], values: list[Number]) -> float:
        """Return the smallest |left - right| of the guards of instruction k, without NaN; infinity if there is none."""
        call = self.calls[k]
        gaps = call.row.operation.gaps(call, x, values)
        return min((_distance(gap) for gap in gaps if gap == gap), default=np.inf)

    # Algorithm 2.

    def columns(self, k: int, execution: Execution) -> list[list[tuple[int, Number]]]:
        """Return for each operand of instruction k the outputs from which it receives, with the partial derivatives."""
        call, x, values = self.calls[k], self.operands(k, execution), self.results(k, execution)
        return call.row.operation.columns(call, x, values, execution.decisions.get(k))

    def partials(self, k: int, execution: Execution) -> list[list[Number | None]]:
        """Return d out_j / d operand_i of instruction k under its decision; None if the piece does not use it."""
        call, x, values = self.calls[k], self.operands(k, execution), self.results(k, execution)
        return call.row.operation.partials(call, x, values, execution.decisions.get(k))

    def backward(self, execution: Execution, output: int = 0) -> list[Number]:
        """Return the selection gradient of one output, (p,): only the selected pieces pass adjoints back."""
        with np.errstate(all="ignore"):
            adjoints, _ = self.adjoints(execution, output)
        return adjoints[: self.tape.parameters]

    def adjoints(self, execution: Execution, output: int = 0) -> tuple[list[Number], list[bool]]:
        """Return the adjoint of every register, and whether a selected piece leads from it to the output."""
        tape, zero = self.tape, self.arithmetic.number(0)
        wide = self.arithmetic.sums is not None
        adjoints, live = [zero] * tape.registers, [False] * tape.registers
        adjoints[tape.outputs[output]], live[tape.outputs[output]] = self.arithmetic.number(1), True
        for k in range(len(tape.code) - 1, -1, -1):
            line, call = self.code[k], self.calls[k]
            out, operation, decision = line[OUT], call.row.operation, execution.decisions.get(k)
            if not line[FLAGS] & ADJOINED or not any(live[out : out + line[OUTS]]):
                continue
            for column, r, mode in zip(self.columns(k, execution), self.reads[k], self.modes[k], strict=True):
                reached = [(adjoints[out + j], d) for j, d in column if mode and live[out + j]]
                if not reached:
                    continue
                if wide and operation.linear:  # the sum is rounded once, and its products are not
                    gradients, partials = zip(*reached, strict=True)
                    gained = self.arithmetic.dot(gradients, partials, (zero,))
                else:
                    gained = total([zero, *[operation.passed(call, g, d, decision) for g, d in reached]])
                adjoints[r], live[r] = adjoints[r] + gained, True
        return adjoints, live

    def forward(self, execution: Execution, direction: Sequence[Any]) -> list[Number]:
        """Return the tangents of the outputs along a direction in parameter space (forward mode)."""
        tape, number = self.tape, self.arithmetic.number
        tangents: list[Number] = [number(v) for v in direction] + [number(0)] * (tape.registers - tape.parameters)
        # A register whose tangent is 0 passes nothing, instead of 0 times a partial that may be infinite.
        active = [tangent != 0 for tangent in tangents]
        with np.errstate(all="ignore"):
            for k in range(len(tape.code)):
                reads, out = self.reads[k], self.code[k][OUT]
                if not any(active[r] for r in reads):
                    continue
                for j, row in enumerate(self.partials(k, execution)):
                    terms = [d * tangents[r] for r, d in zip(reads, row, strict=True) if active[r] and d is not None]
                    tangents[out + j], active[out + j] = total([number(0), *terms]), True
        return [tangents[r] for r in tape.outputs]


def _distance(gap: Number) -> float:
    """Return a nonnegative number in float64: 0 only if it is exactly 0, and infinity if it is too large."""
    try:
        return float(gap) or (formats.FLOAT64.smallest if gap else 0.0)
    except OverflowError:
        return np.inf
