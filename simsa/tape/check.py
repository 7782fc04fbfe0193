"""Checks tapes before they run. Kernels rely on what is checked here, and do not check it again."""

import numpy as np

from simsa.errors import TapeError
from simsa.primitives import ROWS
from simsa.program.program import RELATIONS
from simsa.tape.tape import (
    ADD,
    ADJOINED,
    ASSIGN,
    BRANCH,
    COUNT,
    FIRST,
    FLAGS,
    GUARDED,
    NUMBER,
    OP,
    OUT,
    OUTS,
    Tape,
    addressable,
)


def check(tape: Tape) -> None:
    """Raise TapeError, naming the instruction, unless the tape is well formed.

    It is checked that arrays have their shapes and types; that opcodes exist; that numbers of operands fit; that every
    register is written once, and before it is read; that numbers, weights and rules are in range; that branch tables
    end with a row without guards; and that the backward sweep assigns each adjoint before it is added to or read.
    """
    _arrays(tape)
    written = np.zeros(tape.registers, bool)
    written[: tape.parameters + tape.data] = True
    for register in tape.constant_registers:
        _require(
            0 <= register < tape.registers and not written[register],
            f"constant register r{register} is taken or out of range",
        )
        written[register] = True
    for k in range(len(tape.code)):
        _instruction(tape, k, written)
    _require(len(tape.outputs) > 0, "the tape returns nothing")
    for register in tape.outputs:
        _require(0 <= register < tape.registers and bool(written[register]), f"output r{register} is never written")
        _require(register >= tape.parameters + tape.data, f"output r{register} is an input; copy it")
    _adjoints(tape)


def _require(condition: bool, message: str) -> None:
    """Raise TapeError with the message unless the condition holds."""
    if not condition:
        raise TapeError(message)


def _arrays(tape: Tape) -> None:
    """Check the counts, and the shapes and types of the arrays."""
    _require(tape.parameters >= 1 and tape.data >= 0, "a tape needs a parameter")
    _require(tape.registers >= tape.parameters + tape.data, "fewer registers than inputs")
    for name, kind, width in (
        ("code", np.int64, 8), ("operands", np.int64, 0), ("modes", np.int8, 0), ("numbers", np.float64, 0),
        ("rows", np.int64, 3), ("guards", np.int64, 4), ("constant_registers", np.int64, 0),
        ("constant_values", np.float64, 0), ("outputs", np.int64, 0), ("clear", np.int64, 0), ("nodes", np.int64, 0),
    ):  # fmt: skip
        array = getattr(tape, name)
        shape = array.shape[1:] == ((width,) if width else ())
        _require(array.dtype == kind and shape and array.flags.c_contiguous, f"{name} has the wrong type or shape")
    _require(len(tape.modes) == len(tape.operands), "modes and operands differ in length")
    _require(len(tape.constant_values) == len(tape.constant_registers), "constants differ in length")
    _require(len(tape.nodes) == len(tape.code), "nodes and code differ in length")


def _instruction(tape: Tape, k: int, written: np.ndarray) -> None:
    """Check instruction k, and mark the registers that it writes in `written`."""
    line = [int(entry) for entry in tape.code[k]]
    _require(0 <= line[OP] < len(ROWS), f"instruction {k}: opcode {line[OP]} is unknown")
    row = ROWS[line[OP]]
    where = f"instruction {k} ({row.name})"
    _require(
        0 <= line[FIRST] and line[COUNT] >= 1 and line[FIRST] + line[COUNT] <= len(tape.operands),
        f"{where}: operands out of range",
    )
    outs = line[OUTS]
    _require(outs >= 1 and 0 <= line[OUT] and line[OUT] + outs <= tape.registers, f"{where}: output out of range")
    wrong = row.operation.count_error(row, line[COUNT], outs)
    _require(wrong is None, f"{where}: {wrong}")
    for register in tape.operand(k):
        _require(0 <= register < tape.registers, f"{where}: operand r{register} out of range")
        _require(bool(written[register]), f"{where}: reads r{register} before it is written")
    for register in range(line[OUT], line[OUT] + outs):
        _require(not written[register], f"{where}: writes r{register} twice")
        written[register] = True
    blocks = row.operation.affine_blocks(tape.operand(k).tolist(), outs)
    if blocks is not None:
        weights, inputs, biases = blocks
        consecutive = addressable(weights, tape.parameters) and addressable(biases, tape.parameters)
        consecutive = consecutive and (tape.shares(k) or addressable(inputs, tape.parameters))
        _require(consecutive, f"{where}: weights, inputs and biases must be consecutive")
    _numbers(tape, line, where)
    if row.operation.brings_table:
        _branches(tape, line, where)


def _numbers(tape: Tape, line: list[int], where: str) -> None:
    """Check the immediates, tie weights and rules of an instruction."""
    row = ROWS[line[OP]]
    count = row.numbers(line[COUNT])
    _require(0 <= line[NUMBER] and line[NUMBER] + count <= len(tape.numbers), f"{where}: numbers out of range")
    wrong = row.operation.number_error(row, tape.numbers[line[NUMBER] : line[NUMBER] + count])
    _require(wrong is None, f"{where}: {wrong}")


def _branches(tape: Tape, line: list[int], where: str) -> None:
    """Check the branch table of a user's selection."""
    at = line[BRANCH]
    while True:
        _require(0 <= at < len(tape.rows), f"{where}: the branch table does not end")
        first, count, piece = (int(entry) for entry in tape.rows[at])
        _require(0 <= piece < line[COUNT], f"{where}: piece {piece} is not an operand")
        if not count:
            return
        _require(count > 0 and 0 <= first and first + count <= len(tape.guards), f"{where}: guards out of range")
        for left, relation, right, counts in tape.guards[first : first + count]:
            inside = 0 <= left < line[COUNT] and 0 <= right < line[COUNT] and counts in (0, 1)
            _require(inside and 0 <= relation < len(RELATIONS), f"{where}: a guard is out of range")
        at += 1


def _adjoints(tape: Tape) -> None:
    """Check that the backward sweep assigns before it adds or reads, and that parameters are read once."""
    ready = np.zeros(tape.registers, bool)
    ready[: tape.parameters] = True
    for register in (*tape.outputs, *tape.clear):
        _require(0 <= register < tape.registers, f"cleared register r{register} is out of range")
        ready[register] = True
    reads = np.bincount(tape.operands[tape.operands < tape.parameters], minlength=tape.parameters)
    _require(bool((reads <= 1).all()), "a parameter is read twice; copy it first")
    for k in range(len(tape.code) - 1, -1, -1):
        line = [int(entry) for entry in tape.code[k]]
        where = f"instruction {k} ({ROWS[line[OP]].name})"
        _require(0 <= line[FLAGS] <= (GUARDED | ADJOINED), f"{where}: unknown flags {line[FLAGS]}")
        modes = tape.modes[line[FIRST] : line[FIRST] + line[COUNT]]
        if not line[FLAGS] & ADJOINED:
            _require(not modes.any(), f"{where}: passes adjoints, but is not adjoined")
            continue
        for register in range(line[OUT], line[OUT] + line[OUTS]):
            _require(bool(ready[register]), f"{where}: the adjoint of r{register} is read before it is assigned")
        for register, mode in zip(tape.operand(k), modes, strict=True):
            _require(mode in (0, ASSIGN, ADD), f"{where}: unknown mode {mode}")
            _require(
                mode != ADD or bool(ready[register]),
                f"{where}: adds to the adjoint of r{register} before it is assigned",
            )
            _require(mode != ASSIGN or not ready[register], f"{where}: assigns the adjoint of r{register} twice")
            if mode:
                ready[register] = True
