"""What a plan costs, from the operands on its tapes and a calibration; and how large a block is, therefore."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simsa.machine.launch import SPECIALISED
from simsa.machine.task import Descent
from simsa.records.layout import Cell, Layout
from simsa.scenario.schema import EXACT
from simsa.tape import Tape
from simsa.tape.tape import COUNT

SHORTEST_BLOCK, LONGEST_BLOCK = 0.2, 2.0
"""Seconds that a block should take: well above the 30 ms of storing it, not above what Ctrl-C may take."""

BLOCK_BYTES = 2**26
"""Most bytes of a block's records and of its points at the checkpoints, so that every thread can hold one."""

BREAK_EVEN = 60.0
"""Core seconds of interpretation from which the specialised engine, which takes some 10 s to compile, saves time."""

BLOCKS = 64
"""Blocks there should be, if that does not make them too short: enough for 16 threads to end together."""

SMALLEST_BLOCK, LARGEST_BLOCK = 32, 2**16
"""Trajectories in a block: enough to fill lanes however long it takes (one by one if a cell is exact), and few files
for large sweeps."""

PARAMETER = 1e-9
DRAW = 20e-9
DATUM, STREAMED = 0.6e-9, 75e-9
OPERAND = {"float64": 0.13e-9, "float32": 0.07e-9, EXACT: 6e-6}
INSTRUCTION = {"float64": 3.2e-9, "float32": 1.6e-9, EXACT: 45e-6}
SORTED = 7e-9
SAVED = 0.05
"""Seconds on one core: for each parameter in a step; for each sample in it, to draw its number, for each number that it
has, read or streamed, for each operand and each instruction of the tape, and for each pair of entries that are sorted.
The specialised engine takes so much of the last two. Fitted to the works of `benchmarks/` on Zen 3, and within a factor
of two of each; exact numbers up to a few hundred bits, longer ones take longer."""


@dataclass(frozen=True)
class Estimate:
    """What a plan will cost.

    traj_steps: steps of all trajectories. flops: floating point operations, counted as two for every operand
    in the forward sweep and twice that in the backward sweep. core_seconds: on one core. exact_seconds: that of
    exact cells among them. bytes: of records, uncompressed.
    """

    traj_steps: int
    flops: float
    core_seconds: float
    exact_seconds: float
    bytes: int

    def seconds(self, workers: int) -> float:
        """Return the wall time on so many threads; exact cells are plain Python, which runs on one."""
        return max(self.core_seconds / workers, self.exact_seconds)


def estimate(
    layout: Layout,
    tapes: Mapping[str, Tape],
    descent: Descent,
    n: int,
    engine: Callable[[Cell], str],
) -> Estimate:
    """Return what the trajectories of a layout cost.

    tapes: by the label of the convention. descent: the recursion. n: samples that J is the mean over. engine: which one
    runs a cell.
    """
    seconds = exact = flops = 0.0
    gradients = layout.trajectories * layout.steps * _samples(descent, n)
    evaluated = min(descent.objective_trajectories, layout.trajectories)
    values = evaluated * len(layout.checkpoints) * n
    for cell in layout.cells:
        tape = tapes[cell.convention]
        flops += (6 * gradients + 2 * values) * len(tape.operands)
        taken = layout.trajectories * layout.steps * tape.parameters * PARAMETER
        taken += gradients * (0 if descent.law == "full" else DRAW)
        taken += gradients * tape.data * (STREAMED if descent.stream else 0)
        taken += (gradients + values / 3) * _seconds(tape, cell.precision, engine(cell))
        seconds += taken
        exact += taken if cell.precision == EXACT else 0
    steps = len(layout.cells) * layout.trajectories * layout.steps
    return Estimate(steps, flops, seconds, exact, layout.bytes)


def block_size(layout: Layout, seconds: float, smallest: int = SMALLEST_BLOCK) -> int:
    """Return how many trajectories make a block; a power of two that depends on the work, not on the machine.

    seconds: an estimate for one trajectory. smallest: the block of those that take long.
    """
    cells, trajectories = len(layout.cells), layout.trajectories
    most = min(
        LARGEST_BLOCK,
        LONGEST_BLOCK / max(seconds, 1e-12),
        BLOCK_BYTES / (layout.bytes / (cells * trajectories) + layout.snapshot_bytes),
        max(SHORTEST_BLOCK / max(seconds, 1e-12), cells * trajectories / BLOCKS),
    )
    return int(max(smallest, 2 ** math.floor(math.log2(max(most, 1)))))


def _samples(descent: Descent, n: int) -> float:
    """Return the expected number of samples in a minibatch."""
    return {
        "full": float(n),
        "uniform_subset": n / (2 - 0.5 ** (n - 1)),
        "fixed_size": float(descent.size),
        "reshuffled": n / math.ceil(n / max(descent.size, 1)),
    }[descent.law]


def _seconds(tape: Tape, precision: str, engine: str) -> float:
    """Return how long the gradient of one sample takes one core, by the calibration."""
    pairs = sum(tape.row(k).operation.comparisons(int(line[COUNT])) for k, line in enumerate(tape.code))
    saved = SAVED if engine == SPECIALISED else 1.0
    dispatched = (len(tape.code) * INSTRUCTION[precision] + pairs * SORTED) * saved
    return dispatched + len(tape.operands) * OPERAND[precision] + tape.data * DATUM
