"""Where the registers of a tape lie in memory, and how many lane vectors each has: speed only, no result.

A register holds `groups` x `samples` lane vectors, a parameter only `groups`: the samples of a minibatch share it.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.primitives import ROWS
from simsa.tape.tape import COUNT, FIRST, FLAGS, NUMBER, OP, OUT, OUTS, Tape

LANE_BYTES = 32
"""Bytes of a lane vector: 256 bits, one AVX2 register, two of NEON."""

CACHE_BYTES = 96 * 1024
"""Values and adjoints of a block aim to fit in this much memory per thread: measured on Zen 3 (32 KiB L1, 512 KiB L2)
with `benchmarks/`, where 64 to 192 KiB gave the same speed."""

MOST_VECTORS = 16
"""Lane vectors per register beyond which dispatch no longer matters (Zen 3, 13 instructions: 16 and 32 are equal)."""


@dataclass(frozen=True)
class Layout:
    """Where the registers of a tape lie: `groups` x `samples` lane vectors each, parameters without `samples`.

    The layout decides speed only; no result depends on it.
    """

    tape: Tape
    lanes: int
    groups: int
    samples: int

    @property
    def step(self) -> int:
        """Return the distance from one register to the next, in numbers."""
        return self.groups * self.samples * self.lanes

    @property
    def data_at(self) -> int:
        """Return the place of the first register after the parameters."""
        return self.tape.parameters * self.groups * self.lanes

    @property
    def size(self) -> int:
        """Return how many numbers hold all registers."""
        return self.data_at + (self.tape.registers - self.tape.parameters) * self.step

    def places(self, registers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where registers begin."""
        p = self.tape.parameters
        inside = registers < p
        return np.where(inside, registers * self.groups * self.lanes, self.data_at + (registers - p) * self.step)

    @cached_property
    def code(self) -> NDArray[np.int64]:
        """Return the tape's code, runs of like instructions as one."""
        return merged(self.tape)

    @cached_property
    def arrays(self) -> tuple[Any, ...]:
        """Return the tape's arrays as the kernels take them, registers turned into places."""
        tape = self.tape
        inside = tape.operands < tape.parameters
        steps = np.where(inside, self.lanes, self.samples * self.lanes), np.where(inside, 0, self.lanes)
        runs = np.where(inside, self.groups * self.lanes, self.step)
        at = np.stack([self.places(tape.operands), *steps, runs], axis=1).astype(np.int64)
        code = self.code.copy()
        code[:, OUT] = self.places(code[:, OUT])
        numbers, guards = tape.choices()
        return (
            *(code, np.ascontiguousarray(at), tape.modes, numbers, tape.rows, guards),
            *(self.places(tape.constant_registers), tape.constant_values),
            *(self.places(tape.outputs), self.places(tape.clear)),
        )

    @property
    def longest(self) -> int:
        """Return the most operands of an instruction."""
        return int(self.tape.code[:, COUNT].max(initial=1))


def merged(tape: Tape) -> NDArray[np.int64]:
    """Return the tape's code with runs of like instructions as one: a layer of relus is one dispatch, not one for each.

    A run has the same opcode, numbers, flags and modes; its outputs, and each of its operands, are consecutive
    registers of one kind, and no output of the run is an operand of it.
    """
    lines: list[NDArray[np.int64]] = []
    for k, line in enumerate(tape.code):
        if not (lines and ROWS[line[OP]].pieces and _continues(tape, lines[-1], k)):
            lines.append(line.copy())
        else:
            lines[-1][OUTS] += 1
    return np.array(lines, np.int64).reshape(-1, tape.code.shape[1])


def _continues(tape: Tape, run: NDArray[np.int64], k: int) -> bool:
    """Tell whether instruction k is the next of a run."""
    line, row, n, p = tape.code[k], ROWS[tape.code[k, OP]], run[OUTS], tape.parameters
    same = line[OP] == run[OP] and line[FLAGS] == run[FLAGS] and line[OUT] == run[OUT] + n
    if not same:
        return False
    count = len(row.immediates) + sum(len(branch.between) for branch in row.tie_rows)
    one, two = (slice(start, start + count) for start in (run[NUMBER], line[NUMBER]))
    start, here = (slice(first, first + line[COUNT]) for first in (run[FIRST], line[FIRST]))
    first, now = tape.operands[start], tape.operands[here]
    alone = ((first + n < run[OUT]) | (first >= run[OUT] + n + 1)) & ((first < p) == (now < p))
    return bool(
        (tape.numbers[one].tobytes() == tape.numbers[two].tobytes())
        and (tape.modes[start] == tape.modes[here]).all()
        and (now == first + n).all()
        and alone.all()
    )


def layout(tape: Tape, precision: np.dtype[Any], batch: int, across: int) -> Layout:
    """Return a layout for minibatches of `batch` samples and at least one group, `across` trajectories at most.

    Samples share the loads of the parameters, so they come first; small tapes add groups to spread the dispatch.
    """
    lanes = LANE_BYTES // precision.itemsize
    private = tape.registers - tape.parameters
    samples = 1
    while samples * 2 <= min(batch, 8) and 2 * LANE_BYTES * private * samples * 2 <= CACHE_BYTES:
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
    """Return a layout, made once: every block of a run needs the same."""
    return Layout(tape, lanes, groups, samples)
