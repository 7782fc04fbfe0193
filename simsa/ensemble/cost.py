"""Estimate the cost of a plan from the operands on its tapes and a calibration; choose the size of blocks from it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from simsa.engines import Engine, Task, Work
from simsa.records.layout import Layout

SHORTEST_BLOCK, LONGEST_BLOCK = 0.2, 2.0
"""The seconds that a block should take: many times the 30 ms of storing it, but not long to wait for after Ctrl-C."""

BLOCK_BYTES = 2**26
"""Most bytes of the records of a block and of its points at the checkpoints, since each thread has a block in
memory."""

BLOCKS = 64
"""The number of blocks that a sweep should have, unless they become too short: enough for 16 threads to end
together."""

SMALLEST_BLOCK, LARGEST_BLOCK = 32, 2**16
"""The smallest and the largest number of trajectories in a block: enough to fill the lanes, however long they take (but
1 if a cell is exact), and so many that large sweeps have few files."""


@dataclass(frozen=True)
class Estimate:
    """What a plan will cost.

    traj_steps: steps of all trajectories. flops: floating point operations, counted as two for every operand in a
    forward sweep and four in a backward sweep. core_seconds: on one core. alone_seconds: the part of core_seconds of
    engines that run on one core only. bytes: of records, uncompressed.
    """

    traj_steps: int
    flops: float
    core_seconds: float
    alone_seconds: float
    bytes: int

    def seconds(self, workers: int) -> float:
        """Return the wall time on so many threads, of which plain Python uses one."""
        return max(self.core_seconds / workers, self.alone_seconds)


def estimate(layout: Layout, runs: Iterable[tuple[Task, Engine]]) -> Estimate:
    """Return what the trajectories of a layout cost, once the engines are ready.

    layout: of the records. runs: the task of each cell, and the engine that runs it.
    """
    seconds = one_core = flops = 0.0
    for task, engine in runs:
        each = work(layout, task)
        flops += (6 * each.gradients + 2 * each.values) * len(task.tape.operands)
        taken = engine.seconds(task, each)
        seconds += taken
        one_core += 0 if engine.parallel else taken
    steps = len(layout.cells) * layout.trajectories * layout.steps
    return Estimate(steps, flops, seconds, one_core, layout.bytes)


def work(layout: Layout, task: Task, cells: int = 1, cores: int = 1) -> Work:
    """Return how much work some cells of a layout are.

    layout: of the records. task: of each of them. cells: how many. cores: how many there are.
    """
    descent, n = task.descent, len(task.rows)
    trajectories = layout.trajectories * cells
    evaluated = min(descent.objective_trajectories, layout.trajectories) * cells
    gradients = trajectories * layout.steps * descent.batches.mean(n, descent.size)
    return Work(trajectories, layout.steps, gradients, evaluated * len(layout.checkpoints) * n, cores)


def block_size(layout: Layout, seconds: float, smallest: int = SMALLEST_BLOCK) -> int:
    """Return how many trajectories make a block: a power of two that depends on the work, not on the machine.

    layout: of the records. seconds: estimated for one trajectory. smallest: the least result, if it is a power of two.
    """
    cells, trajectories = len(layout.cells), layout.trajectories
    most = min(
        LARGEST_BLOCK,
        LONGEST_BLOCK / max(seconds, 1e-12),
        BLOCK_BYTES / (layout.bytes / (cells * trajectories) + layout.snapshot_bytes),
        max(SHORTEST_BLOCK / max(seconds, 1e-12), cells * trajectories / BLOCKS),
    )
    return int(max(smallest, 2 ** math.floor(math.log2(max(most, 1)))))
