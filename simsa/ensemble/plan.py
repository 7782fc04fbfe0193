"""From a scenario to what its runs need: cells, blocks, tapes, the recursion, the cost. Pure."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from simsa.ensemble.store import Cell, Layout
from simsa.machine.launch import Descent, Initial
from simsa.program import from_scenario
from simsa.scenario import Scenario, hypotheses, rows
from simsa.tape import Tape, assemble

POINTS_LIMIT = 2**28
"""`points = "auto"` keeps the final points and those of ties while both together take at most so many
bytes."""

SHORTEST_BLOCK, LONGEST_BLOCK = 0.2, 2.0
"""Seconds that a block should take: well above the 30 ms of storing it, not above what Ctrl-C may take."""

BLOCK_BYTES = 2**26
"""Most bytes of a block's records, so that every thread can hold one."""

BLOCKS = 64
"""Blocks there should be, if that does not make them too short: enough for 16 threads to end together."""

SMALLEST_BLOCK, LARGEST_BLOCK = 32, 2**16
"""Trajectories in a block: enough to fill lanes however long it takes, and few files for large sweeps."""

SECONDS_PER_OPERAND = {"float64": 0.35e-9, "float32": 0.2e-9}
SECONDS_PER_INSTRUCTION = 1.0e-9
"""Time of a gradient, for each sample and operand, and for each sample and instruction, on one core (Zen
3)."""


@dataclass(frozen=True)
class Estimate:
    """What a plan will cost.

    traj_steps: steps of all trajectories. flops: floating point operations, counted as two for every operand
    in the forward sweep and twice that in the backward sweep. core_seconds: on one core. bytes: of records,
    uncompressed.
    """

    traj_steps: int
    flops: float
    core_seconds: float
    bytes: int


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a run needs. Nothing in it depends on the machine or on the number of threads.

    layout: cells, blocks and shape of the records. tapes: by the label of the tie convention. rows: the
    samples, (n, d). descent: the recursion, the same for all cells but c.
    """

    layout: Layout
    tapes: Mapping[str, Tape]
    rows: NDArray[np.float64] = field(repr=False)
    descent: Descent = field(repr=False)

    def estimate(self) -> Estimate:
        """Return what the plan will cost, from the operands on the tape and a calibration."""
        layout = self.layout
        seconds = flops = 0.0
        for cell in layout.cells:
            tape = self.tapes[cell.convention]
            work = _samples(self.descent, len(self.rows))
            looks = min(self.descent.objective_trajectories, layout.trajectories) / layout.trajectories
            checks = len(layout.checkpoints) * len(self.rows) * looks / 3  # values only: a third of a gradient
            each = layout.trajectories * (layout.steps * work + checks)
            flops += each * 6 * len(tape.operands)
            seconds += each * _seconds(tape, cell.precision)
        steps = len(layout.cells) * layout.trajectories * layout.steps
        return Estimate(steps, flops, seconds, layout.bytes)


def plan(scenario: Scenario) -> Plan:
    """Return the plan of a scenario.

    A cell is one (c, convention, precision), in this order, the last running fastest. Cells of the same c
    share a random stream, so that trajectory t starts at the same point and draws the same minibatches in all
    of them. Raises ScenarioError, DataError or ProgramError if the scenario, its data or its program do not
    fit together.
    """
    programs = {convention.label: from_scenario(scenario.program, convention) for convention in scenario.conventions}
    tapes = {label: assemble(program) for label, program in programs.items()}
    _, samples = rows(scenario)
    some = next(iter(programs.values()))
    alpha, checkpoints = scenario.alpha(), scenario.checkpoints()
    batch = scenario.sgd.batch
    descent = Descent(
        steps=scenario.sgd.steps,
        law=batch.law,
        size=batch.size,
        replace=batch.replace,
        alpha=alpha,
        radius=scenario.sgd.radius,
        seed=scenario.scenario.seed,
        initial=Initial(*scenario.initial.ingredients(some.p, some.layers)),
        checkpoints=checkpoints,
        objective_trajectories=scenario.record.objective_trajectories,
    )
    cells = tuple(
        Cell(float(c), convention.label, precision, stream)
        for stream, c in enumerate(scenario.c_values())
        for convention in scenario.conventions
        for precision in scenario.precisions
    )
    trajectories = scenario.sweep.trajectories
    points = scenario.record.points
    kept = 2 * 8 * some.p * trajectories * len(cells)
    seconds = (
        max(_seconds(tape, "float64") for tape in tapes.values()) * _samples(descent, len(samples)) * descent.steps
    )
    layout = Layout(
        cells=cells,
        trajectories=trajectories,
        steps=descent.steps,
        checkpoints=tuple(checkpoints.tolist()),
        objective_trajectories=descent.objective_trajectories,
        parameters=some.p,
        block=1,
        points=points == "all" or (points == "auto" and kept <= POINTS_LIMIT),
        last_alpha=float(alpha[-1]),
        digest=scenario.digest(),
        header={
            "name": scenario.scenario.name,
            "title": scenario.scenario.title,
            "seed": scenario.scenario.seed,
            "hypotheses": [asdict(hypothesis) for hypothesis in hypotheses(scenario)],
        },
    )
    return Plan(replace(layout, block=scenario.run.block or block_size(layout, seconds)), tapes, samples, descent)


def block_size(layout: Layout, seconds: float) -> int:
    """Return how many trajectories make a block; a power of two that depends on the work, not on the machine.

    seconds: an estimate for one trajectory.
    """
    cells, trajectories = len(layout.cells), layout.trajectories
    most = min(
        LARGEST_BLOCK,
        LONGEST_BLOCK / max(seconds, 1e-12),
        BLOCK_BYTES * cells * trajectories / layout.bytes,
        max(SHORTEST_BLOCK / max(seconds, 1e-12), cells * trajectories / BLOCKS),
    )
    return int(max(SMALLEST_BLOCK, 2 ** math.floor(math.log2(max(most, 1)))))


def _samples(descent: Descent, n: int) -> float:
    """Return the expected number of samples in a minibatch."""
    return {
        "full": float(n),
        "uniform_subset": n / (2 - 0.5 ** (n - 1)),
        "fixed_size": float(descent.size),
        "reshuffled": n / math.ceil(n / max(descent.size, 1)),
    }[descent.law]


def _seconds(tape: Tape, precision: str) -> float:
    """Return how long the gradient of one sample takes one core, by the calibration."""
    return len(tape.operands) * SECONDS_PER_OPERAND[precision] + len(tape.code) * SECONDS_PER_INSTRUCTION
