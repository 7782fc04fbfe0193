"""The tape: a program as flat arrays, the one format that every interpreter walks.

A tape is to a program what object code is to source: same functions, same order, but registers only, and every
decision that does not depend on the point already made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simsa.primitives import OPCODE, ROWS
from simsa.program.program import RELATIONS

OP, OUT, OUTS, FIRST, COUNT, NUMBER, BRANCH, FLAGS = range(8)
"""Columns of `Tape.code`."""

GUARDED, ADJOINED = 1, 2
"""Flags of an instruction: its guards depend on parameters; the backward sweep visits it."""

NOTHING, ASSIGN, ADD = 0, 1, 2
"""How the backward sweep treats an operand: passes nothing, writes its adjoint first, or adds to it."""

RULES = ("split", "first", "last")
"""Tie rules of `max`, `min` and `sort`, by the number that stands for them in `Tape.numbers`."""


def blocks_of(operands: Sequence[int], outs: int) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Return the weights, inputs and biases (or none) among the operands of `dense`."""
    inputs = len(operands) // (outs + 1)
    weights = outs * inputs
    return operands[:weights], operands[weights : weights + inputs], operands[weights + inputs :]


def in_line(registers: Sequence[int], parameters: int) -> bool:
    """Tell whether registers are consecutive, and all parameters or all not: addresses are then linear in them."""
    consecutive = all(b == a + 1 for a, b in pairwise(registers))
    return consecutive and (not registers or (registers[0] < parameters) == (registers[-1] < parameters))


@dataclass(frozen=True, eq=False)
class Tape:
    """A program as flat arrays.

    parameters, data, registers: how many. Registers are the program's, then those of inserted copies.
    code: int64 (n, 8), a row per instruction: opcode (place in the table), first output register, number of
    outputs, first operand, number of operands, first number, first branch row, flags.
    operands: int64, the operand registers of all instructions in turn. modes: int8, beside `operands`.
    numbers: float64, immediates and tie weights. rows: int64 (., 3), the branch table of user selections: first
    guard, number of guards, position of the piece among the operands; the last row of a table has no guard.
    guards: int64 (., 4): left position, relation (index into RELATIONS), right position, and whether a side depends
    on parameters: a guard between data and constants is no tie when its sides are equal.
    constants: registers and values preloaded. outputs: int64 (q,). clear: registers whose adjoint no instruction
    assigns, to be marked as receiving nothing before each backward sweep. nodes: int64 (n,), the program's register
    that an instruction stands for (-1 for an inserted copy).
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
        """Return the registers that are copies of parameters: they hold the same for every sample."""
        copy = OPCODE["copy"]
        return {
            int(line[OUT]) for line in self.code if line[OP] == copy and self.operands[line[FIRST]] < self.parameters
        }

    def shares(self, k: int) -> bool:
        """Tell whether instruction k is a `dense` whose weights and biases are copies of parameters, and no input one.

        Such a layer may be used at several places, as in a convolution. Its inputs may be anywhere.
        """
        if self.code[k, OP] != OPCODE["dense"]:
            return False
        weights, inputs, biases = blocks_of(self.operand(k).tolist(), int(self.code[k, OUTS]))
        return self.copies.issuperset([*weights, *biases]) and min(inputs) >= self.parameters

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
            lines.append(f"{k:6d}  {outs} = {row.name}({reads}){self._selection(k)}")
        lines.append("        return " + ", ".join(f"r{register}" for register in self.outputs))
        return "\n".join(lines)

    def _selection(self, k: int) -> str:
        """Return the branch table and tie weights of instruction k as text."""
        line, row = self.code[k], ROWS[self.code[k, OP]]
        if row.name == "select":
            reads, text = self.operand(k), []
            for first, count, piece in self.table(k):
                guards = [
                    f"r{reads[a]} {RELATIONS[relation]} r{reads[b]}"
                    for a, relation, b, _ in self.guards[first : first + count]
                ]
                text.append(f"{' and '.join(guards) or 'otherwise'}: r{reads[piece]}")
            return "  [" + "; ".join(text) + "]"
        if row.round:
            return f"  tie at 0: slopes {self.numbers[line[NUMBER] : line[NUMBER] + line[COUNT]].tolist()}"
        if row.arity is None:
            return f"  tie {RULES[int(self.numbers[line[NUMBER]])]}" if row.ties else ""
        at = line[NUMBER]
        numbers = self.numbers[at : at + len(row.fixed)]
        note = "".join(f" {name}={value!r}" for name, value in zip(row.fixed, numbers.tolist(), strict=True))
        at += len(row.immediates)
        for branch in row.tie_rows:
            weights = self.numbers[at : at + len(branch.between)]
            at += len(branch.between)
            pieces = " + ".join(
                f"{w!r}*({row.pieces[j].value})" for w, j in zip(weights.tolist(), branch.between, strict=True)
            )
            note += f"  tie at {' and '.join(branch.guards)}: {pieces}"
        return f" {note}" if note else ""

    def table(self, k: int) -> NDArray[np.int64]:
        """Return the rows of the branch table of instruction k, a user's selection."""
        first = last = int(self.code[k, BRANCH])
        while self.rows[last, 1]:
            last += 1
        return self.rows[first : last + 1]

    def choices(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return `numbers` and `guards` three times: as they are, with every tie to its first piece, and to its last.

        Only ties tell the three apart. For a user's selection, first admits equality in each guard and last forbids
        it (relation 5 never holds). If the gradients of a minibatch agree under all three, the tie was not felt.
        """
        numbers, guards = np.stack([self.numbers] * 3), np.stack([self.guards] * 3)
        for line in self.code:
            row, at = ROWS[line[OP]], line[NUMBER]
            if row.round:
                # two opposite vectors of the ball, in no special direction: turns by the golden angle
                inside = np.cos(2.399963229728653 * np.arange(1, line[COUNT] + 1)) / np.sqrt(line[COUNT])
                numbers[1:, at : at + line[COUNT]] = inside, -inside
                continue
            if row.arity is None and row.ties:
                numbers[1:, at] = RULES.index("first"), RULES.index("last")
                continue
            at += len(row.immediates)
            for branch in row.tie_rows:
                numbers[1:, at : at + len(branch.between)] = 0.0
                numbers[1, at] = numbers[2, at + len(branch.between) - 1] = 1.0
                at += len(branch.between)
        counted = self.guards[:, 3] == 1
        guards[1, counted, 1] = np.array([1, 1, 2, 3, 3])[self.guards[counted, 1]]
        guards[2, counted, 1] = np.array([0, 0, 5, 4, 4])[self.guards[counted, 1]]
        return numbers, guards
