"""The tape: a program as flat arrays of instructions. Every engine runs tapes.

A tape is to a program what object code is to source code: it has the same functions in the same order, and everything
that does not depend on the point, such as the order of the backward sweep, has been decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simsa.primitives import ROWS, Primitive
from simsa.primitives.arithmetic import Arithmetic
from simsa.primitives.operations import PLAIN, RULES, Call, Case, Guard
from simsa.primitives.operations.affine import blocks_of as blocks_of
from simsa.program.program import RELATIONS

OP, OUT, OUTS, FIRST, COUNT, NUMBER, BRANCH, FLAGS = range(8)
"""Columns of `Tape.code`, in the order of its description in `Tape`."""

GUARDED, ADJOINED = 1, 2
"""Flags of an instruction. GUARDED: a guard depends on parameters. ADJOINED: the backward sweep visits it."""

ROUNDINGS = 6
"""The number of roundings of an adjoint that passes one instruction: two products, and four for a weight itself."""

NOTHING, ASSIGN, ADD = 0, 1, 2
"""What the backward sweep does with the adjoint of an operand: nothing, write it, or add to it."""


def addressable(registers: Sequence[int], parameters: int) -> bool:
    """Tell whether registers are consecutive, and either all parameters or none: their addresses are then linear."""
    consecutive = all(b == a + 1 for a, b in pairwise(registers))
    return consecutive and (not registers or (registers[0] < parameters) == (registers[-1] < parameters))


@dataclass(frozen=True, eq=False)
class Tape:
    """A program as flat arrays.

    parameters, data, registers: their numbers. The registers are those of the program, then those of inserted copies.
    code: int64 (n, 8), a row for each instruction: opcode (position in the table of primitives), first output register,
    number of outputs, first entry of `operands`, number of operands, first entry of `numbers`, first row of `rows`,
    flags. operands: int64, the operand registers of all instructions, one after the other. modes: int8, for each entry
    of `operands` one of NOTHING, ASSIGN and ADD. numbers: float64, immediates and tie weights. rows: int64 (., 3), the
    branch tables of the user's selections: first guard, number of guards, position of the piece among the operands; the
    last row of a table has no guard. guards: int64 (., 4): position of the left side among the operands, index of the
    relation in RELATIONS, position of the right side, and whether a side depends on parameters (1 or 0); a guard
    between data and constants is not tied when its sides are equal. constant_registers, constant_values: int64 and
    float64, the registers that hold constants, and their values. outputs: int64 (q,). clear: int64, the registers whose
    adjoint no instruction assigns; it is set to -0.0 before each backward sweep. nodes: int64 (n,), for each
    instruction the register of its node in the program; -1 for an inserted copy.
    """

    parameters: int
    data: int
    registers: int
    code: NDArray[np.int64]
    operands: NDArray[np.int64]
    modes: NDArray[np.int8]
    numbers: NDArray[np.float64]
    rows: NDArray[np.int64]
    guards: NDArray[np.int64]
    constant_registers: NDArray[np.int64]
    constant_values: NDArray[np.float64]
    outputs: NDArray[np.int64]
    clear: NDArray[np.int64]
    nodes: NDArray[np.int64]

    @cached_property
    def copies(self) -> set[int]:
        """Return the registers that are copies of parameters, which have the same value for every sample."""
        return {
            int(line[OUT])
            for line in self.code
            if ROWS[line[OP]].identity and self.operands[line[FIRST]] < self.parameters
        }

    @cached_property
    def without_loop(self) -> str | None:
        """Return the name of the first primitive that the kernels have no loop for; None if there is none."""
        rows = (self.row(k) for k in range(len(self.code)))
        return next((row.name for row in rows if row.operation.loop is None), None)

    def shares(self, k: int) -> bool:
        """Tell whether instruction k is an affine map whose weights and biases are copies of parameters.

        None of its inputs may be a parameter. The same weights may then be used by several instructions, as in a
        convolution, and the inputs need not be consecutive registers.
        """
        blocks = self.row(k).operation.affine_blocks(self.operand(k).tolist(), int(self.code[k, OUTS]))
        if blocks is None:
            return False
        weights, inputs, biases = blocks
        return self.copies.issuperset([*weights, *biases]) and min(inputs) >= self.parameters

    def row(self, k: int) -> Primitive:
        """Return the primitive of instruction k."""
        return ROWS[int(self.code[k, OP])]

    def call(self, k: int, arithmetic: Arithmetic = PLAIN) -> Call:
        """Return the use of the primitive in instruction k, with its numbers in an arithmetic."""
        line, row = self.code[k].tolist(), self.row(k)
        numbers = self.numbers[line[NUMBER] : line[NUMBER] + row.numbers(line[COUNT])].tolist()
        rule = RULES[int(numbers[0])] if row.operation.ruled else None
        numbers = [] if row.operation.ruled else [arithmetic.number(v) for v in numbers]
        cases = tuple(
            Case(tuple(Guard(a, RELATIONS[r], b, bool(moves)) for a, r, b, moves in guards), piece)
            for guards, piece in (
                (self.guards[first : first + count].tolist(), piece)
                for first, count, piece in (self.table(k).tolist() if row.operation.brings_table else ())
            )
        )
        return Call(row, line[COUNT], line[OUTS], numbers, rule, cases, arithmetic)

    def operand(self, k: int) -> NDArray[np.int64]:
        """Return the operand registers of instruction k."""
        first, count = self.code[k, FIRST], self.code[k, COUNT]
        return self.operands[first : first + count]

    def listing(self) -> str:
        """Return the tape as text, one instruction a line."""
        lines = [f"{self.parameters} parameters, {self.data} data, {self.registers} registers"]
        for register, value in zip(self.constant_registers, self.constant_values.tolist(), strict=True):
            lines.append(f"        r{register} = {value!r}")
        for k, line in enumerate(self.code):
            row = ROWS[line[OP]]
            outs = f"r{line[OUT]}" if line[OUTS] == 1 else f"r{line[OUT]}..r{line[OUT] + line[OUTS] - 1}"
            reads = ", ".join(f"r{register}" for register in self.operand(k))
            lines.append(f"{k:6d}  {outs} = {row.name}({reads}){self._note(k)}")
        lines.append("        return " + ", ".join(f"r{register}" for register in self.outputs))
        return "\n".join(lines)

    def _note(self, k: int) -> str:
        """Return what the listing prints after instruction k: branch table, immediates and tie weights."""
        return self.row(k).operation.note(self.call(k), [f"r{register}" for register in self.operand(k)])

    def table(self, k: int) -> NDArray[np.int64]:
        """Return the rows of the branch table of instruction k, which must be a user's selection, int64 (., 3)."""
        first = last = int(self.code[k, BRANCH])
        while self.rows[last, 1]:
            last += 1
        return self.rows[first : last + 1]

    def mixture_weights(self, k: int) -> int:
        """Return how many random weights a mixture of the tied pieces of instruction k takes (`machine.sensitivity`).

        It is the number of pieces for most selections, 2 n for a sort of n operands, and 0 for an instruction that
        cannot be tied.
        """
        return self.row(k).operation.mixture_weights(self.call(k))

    @cached_property
    def draws(self) -> NDArray[np.int64]:
        """Return where the random weights of each instruction begin, int64 (n + 1,), in blocks of four words.

        The last entry is the number of blocks that one sample needs.
        """
        blocks = [(self.mixture_weights(k) + 3) // 4 for k in range(len(self.code))]
        return np.concatenate([[0], np.cumsum(blocks)]).astype(np.int64)

    @cached_property
    def pairs(self) -> NDArray[np.int64]:
        """Return for each guard the pair of registers that it compares, int64 (., 2).

        The first column is the number of the pair in its selection; guards that compare the same two registers have the
        same number, since a tie decides them together. The second column is 1, or -1 if the left side is the register
        with the larger number.
        """
        found = np.zeros((len(self.guards), 2), np.int64)
        for k in range(len(self.code)):
            if not self.row(k).operation.brings_table:
                continue
            known: dict[tuple[int, int], int] = {}
            reads = self.operand(k)
            for first, count, _ in self.table(k):
                for n in range(first, first + count):
                    left, right = int(reads[self.guards[n, 0]]), int(reads[self.guards[n, 2]])
                    number = known.setdefault((min(left, right), max(left, right)), len(known))
                    found[n] = number, 1 if left <= right else -1
        return found

    @cached_property
    def roundings(self) -> int:
        """Return the largest number of successive roundings in an entry of the gradient of one sample.

        It is counted from the output backwards: `ROUNDINGS` for each instruction that an adjoint passes, and a sum for
        each use of a register. With the unit roundoff u, the error of an entry is at most this number times u times the
        sum of its absolute contributions, to first order (Higham, Accuracy and Stability of Numerical Algorithms, 3.1).
        A minibatch of b samples adds b roundings.
        """
        longest, uses = np.zeros(self.registers, np.int64), np.zeros(self.registers, np.int64)
        for k in range(len(self.code) - 1, -1, -1):
            line = self.code[k]
            if line[FLAGS] & ADJOINED:
                outs = slice(line[OUT], line[OUT] + line[OUTS])
                passed = int((longest[outs] + uses[outs]).max()) + int(line[OUTS]) + ROUNDINGS
                np.maximum.at(longest, self.operand(k), passed)
                np.add.at(uses, self.operand(k), 1)
        return int((longest + uses)[: self.parameters].max())
