"""Assembles the tape of a program, in a sequence of small passes."""

from collections.abc import Sequence

import numpy as np

from simsa.primitives import OPCODE, ROW
from simsa.primitives.operations import PLAIN, Call, Operation
from simsa.program.program import RELATIONS, Node, Program
from simsa.tape.check import check
from simsa.tape.tape import ADD, ADJOINED, ASSIGN, GUARDED, NOTHING, Tape, addressable


class _Instruction:
    """An instruction of the tape before it is written into arrays.

    node: the node of the program. out: the first register that it writes. operands: the registers that it reads.
    origin: the node's register in the program; -1 for an inserted copy. counts: for each operand, whether it depends on
    parameters.
    """

    def __init__(self, node: Node, out: int, operands: Sequence[int], origin: int) -> None:
        self.node, self.out, self.operands, self.origin = node, out, list(operands), origin
        self.modes = [NOTHING] * len(self.operands)
        self.counts: list[bool] = []
        self.flags = 0

    @property
    def outs(self) -> range:
        """Return the registers that the instruction writes."""
        return range(self.out, self.out + self.node.outputs)

    @property
    def call(self) -> Call:
        """Return the use of the primitive, without its numbers. Every guard counts as movable."""
        return Call(ROW[self.node.primitive], len(self.operands), self.node.outputs, [], None, self.node.cases, PLAIN)

    @property
    def operation(self) -> Operation:
        """Return the operation that computes the instruction."""
        return ROW[self.node.primitive].operation


def assemble(program: Program) -> Tape:
    """Return the tape of a program, which has been checked.

    The tape computes the same bits as the nodes of the program in order, without the nodes that no output depends on.
    A parameter that is read more than once is copied first, so that its adjoint in one sample is complete before it is
    added to the gradient of the minibatch. The sum over samples then has the same bits for any number of samples that
    are computed at a time.
    """
    lines, constants = _lines(program)
    lines, constants = _reachable(program, lines, constants)
    registers, outputs = _privatise(program, lines)
    lines, registers = _make_addressable(program, lines, registers)
    clear = _plan_adjoints(program, lines, outputs)
    tape = _flatten(program, lines, constants, outputs, registers, clear)
    check(tape)
    return tape


def _lines(program: Program) -> tuple[list[_Instruction], dict[int, float]]:
    """Return an instruction for each node that is not a constant, and the constants by register."""
    register, lines, constants = program.parameters + program.data, [], {}
    for node in program.nodes:
        if node.primitive == "constant":
            constants[register] = node.immediates[0]
        else:
            lines.append(_Instruction(node, register, node.operands, register))
        register += node.outputs
    return lines, constants


def _reachable(
    program: Program, lines: list[_Instruction], constants: dict[int, float]
) -> tuple[list[_Instruction], dict[int, float]]:
    """Return the instructions and constants that an output depends on."""
    wanted, kept = set(program.outputs), []
    for line in reversed(lines):
        if wanted.intersection(line.outs):
            wanted.update(line.operands)
            kept.append(line)
    return kept[::-1], {register: value for register, value in constants.items() if register in wanted}


def _privatise(program: Program, lines: list[_Instruction]) -> tuple[int, list[int]]:
    """Insert a copy of each parameter that is read more than once, and of each input that is an output.

    Returns the number of registers, and the registers of the outputs.
    """
    reads = [0] * program.parameters
    for line in lines:
        for operand in line.operands:
            if operand < program.parameters:
                reads[operand] += 1
    fresh = program.m
    copies: dict[int, int] = {}
    written = {register for line in lines for register in line.outs}

    def copy(register: int) -> int:
        nonlocal fresh
        if register not in copies:
            copies[register] = fresh
            fresh += 1
        return copies[register]

    outputs = [register if register in written else copy(register) for register in program.outputs]
    for line in lines:
        line.operands = [
            copy(r) if r < program.parameters and (reads[r] > 1 or r in copies) else r for r in line.operands
        ]
    node = Node("copy", operands=(0,))
    lines[:0] = [_Instruction(node, new, [old], -1) for old, new in copies.items()]
    return fresh, outputs


def _make_addressable(program: Program, lines: list[_Instruction], fresh: int) -> tuple[list[_Instruction], int]:
    """Insert copies for the weights, inputs or biases of an affine map whose registers are not consecutive.

    Inputs are not copied if none of them is a parameter and the weights and biases are copies of parameters (see
    `Tape.shares`). Returns the instructions, and the number of registers.
    """
    result, p = [], program.parameters
    copied = {line.out for line in lines if ROW[line.node.primitive].identity and line.operands[0] < p}
    for line in lines:
        blocks = line.operation.affine_blocks(line.operands, line.node.outputs)
        if blocks is not None:
            operands: list[int] = []
            weights, inputs, biases = blocks
            shared = all(addressable(block, p) and copied.issuperset(block) for block in (weights, biases))
            for block in blocks:
                if not (addressable(block, p) or (shared and block is inputs and min(inputs) >= p)):
                    copies = range(fresh, fresh + len(block))
                    fresh += len(block)
                    result += [
                        _Instruction(Node("copy", operands=(0,)), new, [old], -1)
                        for new, old in zip(copies, block, strict=True)
                    ]
                    block = copies
                operands += block
            line.operands = operands
        result.append(line)
    return result, fresh


def _plan_adjoints(program: Program, lines: list[_Instruction], outputs: list[int]) -> list[int]:
    """Set the flags and the modes of the operands for the backward sweep; return the registers to clear before it."""
    active = set(range(program.parameters))
    for line in lines:
        if active.intersection(line.operands):
            active.update(line.outs)
        line.counts = [operand in active for operand in line.operands]
        if active.intersection(line.operands[i] for i in line.operation.compared(line.call)):
            line.flags |= GUARDED
    adjoined = set(outputs) & active
    assigned = set(outputs) | set(range(program.parameters))
    clear = []
    for line in reversed(lines):
        if not adjoined.intersection(line.outs) or not active.intersection(line.outs):
            continue
        line.flags |= ADJOINED
        clear += [register for register in line.outs if register not in assigned]
        for j, (operand, passes) in enumerate(zip(line.operands, line.operation.passes(line.call), strict=True)):
            if passes and operand in active:
                line.modes[j] = ADD if operand in assigned else ASSIGN
                assigned.add(operand)
                adjoined.add(operand)
    return clear


def _flatten(
    program: Program,
    lines: list[_Instruction],
    constants: dict[int, float],
    outputs: list[int],
    registers: int,
    clear: list[int],
) -> Tape:
    """Write the instructions into flat arrays."""
    code: list[tuple[int, ...]] = []
    operands: list[int] = []
    modes: list[int] = []
    numbers: list[float] = []
    rows: list[tuple[int, int, int]] = []
    guards: list[tuple[int, int, int, int]] = []
    for line in lines:
        node = line.node
        at = (len(operands), len(line.operands), len(numbers), len(rows), line.flags)
        code.append((OPCODE[node.primitive], line.out, node.outputs, *at))
        operands += line.operands
        modes += line.modes
        numbers += node.immediates
        numbers += line.operation.tie_numbers(node.tie, len(line.operands))
        for case in node.cases:
            rows.append((len(guards), len(case.guards), case.piece))
            guards += [
                (g.left, RELATIONS.index(g.relation), g.right, int(line.counts[g.left] or line.counts[g.right]))
                for g in case.guards
            ]
    return Tape(
        program.parameters,
        program.data,
        registers,
        np.array(code, np.int64).reshape(-1, 8),
        np.array(operands, np.int64),
        np.array(modes, np.int8),
        np.array(numbers, np.float64),
        np.array(rows, np.int64).reshape(-1, 3),
        np.array(guards, np.int64).reshape(-1, 4),
        np.array(list(constants), np.int64),
        np.array(list(constants.values()), np.float64),
        np.array(outputs, np.int64),
        np.array(clear, np.int64),
        np.array([line.origin for line in lines], np.int64),
    )
