"""Where the registers of a tape lie in memory, and how many lane vectors each has. No result depends on it.

A register has `groups` x `samples` lane vectors; a parameter has only `groups`, because all samples share it.

Shared arguments.
tape: of the program. lanes: the number of lanes of a vector, 4 in float64 and 8 in float32. groups, samples: 1 or more.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.kernels.arguments import Code, Constants, Shape
from simsa.primitives import ROWS
from simsa.tape.tape import ADD, COUNT, FIRST, FLAGS, NUMBER, OP, OUT, OUTS, Tape, blocks_of

TIMES, DRAWS = 8, 9
"""Columns of a layout's code after those of the tape's: the number of like instructions in a run; its `Tape.draws`."""

SHARED = 4
"""A flag besides those of the tape: a dense instruction whose weights and biases are copies of parameters."""

LANE_BYTES = 32
"""Bytes of a lane vector: 256 bits, one AVX2 register, two of NEON."""

CACHE_BYTES = 96 * 1024
"""Values and adjoints of a block aim to fit in this much memory per thread: measured on Zen 3 (32 KiB L1, 512 KiB L2)
with `benchmarks/`, where 64 to 192 KiB gave the same speed."""

MINIBATCH_BYTES = 256 * 1024
"""Values and adjoints of the samples that are computed at once may fill this much memory: half of Zen 3's second-level
cache. If a whole minibatch is computed at once, the walk `sensitive` needs no second forward walk."""

MOST_VECTORS = 16
"""The most lane vectors of a register: with 16 the cost of dispatch is negligible (Zen 3, 13 instructions: 16 and 32
are equal)."""


@dataclass(frozen=True)
class Layout:
    """Where the registers of a tape lie: `groups` x `samples` lane vectors each, parameters without `samples`.

    The layout decides speed only; no result depends on it.
    """

    tape: Tape
    lanes: int
    groups: int
    samples: int

    @cached_property
    def step(self) -> int:
        """Return the distance from one register to the next, in numbers.

        The loops of a convolution read one sample of many registers, again and again. If distances were powers of two,
        these would lie in a few sets of the cache. So two vectors, a cache line, are left free after each register (Zen
        3: a tenth faster).
        """
        vectors = self.groups * self.samples
        crowded = vectors > 2 and bool((self.code[:, FLAGS] & SHARED).any())
        return (vectors + 2 * crowded) * self.lanes

    @property
    def data_at(self) -> int:
        """Return the place of the first register after the parameters."""
        return self.tape.parameters * self.groups * self.lanes

    @property
    def size(self) -> int:
        """Return how many numbers hold all registers."""
        return self.data_at + (self.tape.registers - self.tape.parameters) * self.step

    def places(self, registers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of registers."""
        p = self.tape.parameters
        inside = registers < p
        return np.where(inside, registers * self.groups * self.lanes, self.data_at + (registers - p) * self.step)

    @cached_property
    def code(self) -> NDArray[np.int64]:
        """Return the tape's code, in which runs of like instructions are one line, with the columns TIMES and DRAWS."""
        return merged(self.tape)

    def strides(self, line: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return by how many registers each operand of a run moves from one instruction to the next; else 1."""
        first, count = int(line[FIRST]), int(line[COUNT])
        if line[TIMES] == 1:
            return np.ones(count, np.int64)
        return self.tape.operands[first + count : first + 2 * count] - self.tape.operands[first : first + count]

    @cached_property
    def arguments(self) -> tuple[Code, Shape, Constants]:
        """Return the tape as the kernels take it, with places instead of registers."""
        tape = self.tape
        inside = tape.operands < tape.parameters
        steps = np.where(inside, self.lanes, self.samples * self.lanes), np.where(inside, 0, self.lanes)
        strides = np.ones_like(tape.operands)
        for line in self.code:
            strides[line[FIRST] : line[FIRST] + line[COUNT]] = self.strides(line)
        runs = np.where(inside, self.groups * self.lanes, self.step) * strides
        at = np.stack([self.places(tape.operands), *steps, runs], axis=1)
        lines = self.code.copy()
        lines[:, OUT] = self.places(lines[:, OUT])
        guards = np.concatenate([tape.guards, tape.pairs], axis=1)
        outputs, clear = self.places(tape.outputs), self.places(tape.clear)
        # The arrays are writable: read-only ones have another type, for which kernels would be compiled again.
        code = Code(
            *(np.array(a, order="C") for a in (lines, at, tape.modes, tape.numbers, tape.rows, guards, outputs, clear))
        )
        constants = Constants(self.places(tape.constant_registers), np.array(tape.constant_values))
        return (
            code,
            Shape(tape.parameters, self.data_at, self.step, self.size, self.longest, self.groups, self.samples),
            constants,
        )

    @property
    def longest(self) -> int:
        """Return the largest number of operands of an instruction."""
        return int(self.tape.code[:, COUNT].max(initial=1))


def merged(tape: Tape) -> NDArray[np.int64]:
    """Return the tape's code, in which runs of like instructions, such as a layer of relus, are one line.

    The instructions of a run have the same opcode, numbers and flags. Their outputs are consecutive, and none is an
    operand in the same run. If they are rows of the table, each operand moves in equal steps through registers of one
    kind, and keeps its mode. If they are dense instructions whose weights are the same copies of parameters, the run is
    a convolution. The operands of maxima and minima are arbitrary.
    """
    lines: list[NDArray[np.int64]] = []
    for k, tape_line in enumerate(tape.code):
        line = np.append(tape_line, [1, tape.draws[k]])
        line[FLAGS] |= SHARED * tape.shares(k)
        if lines and _continues(tape, lines[-1], line):
            lines[-1][TIMES] += 1
        else:
            lines.append(line)
    return np.array(lines, np.int64).reshape(-1, DRAWS + 1)


def _operands(tape: Tape, line: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the operands of the first instruction of a line."""
    return tape.operands[line[FIRST] : line[FIRST] + line[COUNT]]


def _continues(tape: Tape, run: NDArray[np.int64], line: NDArray[np.int64]) -> bool:
    """Tell whether an instruction continues a run."""
    row, n = ROWS[line[OP]], run[TIMES]
    same = all(line[column] == run[column] for column in (OP, OUTS, COUNT, FLAGS))
    next_one = line[OUT] == run[OUT] + n * run[OUTS] and line[FIRST] == run[FIRST] + n * run[COUNT]
    if not same or not next_one or np.isin(_operands(tape, line), np.arange(run[OUT], line[OUT] + line[OUTS])).any():
        return False
    count = row.numbers(line[COUNT])
    one, two = (tape.numbers[start : start + count].tobytes() for start in (run[NUMBER], line[NUMBER]))
    return one == two and (
        _steps_on(tape, run, line)
        if row.pieces
        else row.name in ("max", "min") or (bool(line[FLAGS] & SHARED) and _convolves(tape, run, line))
    )


def _steps_on(tape: Tape, run: NDArray[np.int64], line: NDArray[np.int64]) -> bool:
    """Tell whether the operands of a row of the table, and their modes, continue a run."""
    n, first, now = run[TIMES], _operands(tape, run), _operands(tape, line)
    second = tape.operands[run[FIRST] + run[COUNT] : run[FIRST] + 2 * run[COUNT]]
    one, two = (tape.modes[start[FIRST] : start[FIRST] + start[COUNT]] for start in (run, line))
    kind = (first < tape.parameters) == (now < tape.parameters)
    return bool(kind.all() and (now == first + n * (second - first)).all() and (one == two).all())


def _convolves(tape: Tape, run: NDArray[np.int64], line: NDArray[np.int64]) -> bool:
    """Tell whether a dense instruction has the weights and biases of a run, whose adjoints it may assign or add to."""
    outs, at = int(line[OUTS]), int(line[FIRST])
    one, two = (blocks_of(_operands(tape, start).tolist(), outs) for start in (run, line))
    before, now = (
        blocks_of(tape.modes[start : start + line[COUNT]].tolist(), outs) for start in (at - int(line[COUNT]), at)
    )
    modes = {*now[0], *now[2]}
    adds = {*before[0], *before[2]} == {ADD} or modes == {*before[0], *before[2]} == {0}
    return one[0] == two[0] and one[2] == two[2] and len(modes) == 1 and adds


def layout(tape: Tape, precision: np.dtype[Any], batch: int, across: int) -> Layout:
    """Return a layout for minibatches of `batch` samples and blocks of `across` trajectories.

    precision: the dtype of the numbers. The samples are chosen first, since they share the loads of the parameters.
    Then groups are added, which share the cost of dispatch, as long as the numbers fit in the cache.
    """
    lanes = LANE_BYTES // precision.itemsize
    private = tape.registers - tape.parameters
    samples = 1
    while samples * 2 <= min(batch, 8) and 2 * LANE_BYTES * private * samples * 2 <= MINIBATCH_BYTES:
        samples *= 2
    groups = 1
    while (
        groups * samples * 2 <= MOST_VECTORS
        and groups * 2 * lanes <= max(across, lanes)
        and 2 * LANE_BYTES * (tape.parameters + private * samples) * groups * 2 <= CACHE_BYTES
    ):
        groups *= 2
    return laid_out(tape, lanes, groups, samples)


@lru_cache(maxsize=32)
def laid_out(tape: Tape, lanes: int, groups: int, samples: int) -> Layout:
    """Return a layout, which is kept, since every block of a run needs the same."""
    return Layout(tape, lanes, groups, samples)
