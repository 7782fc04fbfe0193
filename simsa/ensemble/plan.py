"""From a scenario to what its runs need: cells, blocks, tapes, the recursion, the cost. Pure."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from simsa.errors import DataError, ProgramError, ScenarioError
from simsa.machine.exact import refusal
from simsa.machine.launch import INTERPRETER, SPECIALISED, Descent, Initial, Stream, evaluation
from simsa.machine.layout import merged
from simsa.machine.specialise import LONGEST
from simsa.primitives import ROWS, Convention
from simsa.program import Program, build, expression
from simsa.records.layout import Cell, Layout
from simsa.scenario import Scenario, hypotheses, rows
from simsa.scenario.schema import EXACT, Expression, Python
from simsa.scenario.stream import Stream as Streamed
from simsa.tape import Tape, assemble
from simsa.tape.tape import COUNT, OP

POINTS_LIMIT = 2**28
"""`points = "auto"` keeps the final points and those of ties while both together take at most so many
bytes."""

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


@dataclass(frozen=True)
class Exact:
    """What exact cells need: c without rounding, by the scale as written; alpha_k; and the most bits of a number."""

    c: Mapping[Fraction, Fraction]
    alpha: tuple[Fraction, ...]
    bits: int

    def gamma(self, scale: Fraction) -> list[Fraction]:
        """Return the step sizes gamma_k = c alpha_k."""
        return [self.c[scale] * alpha for alpha in self.alpha]


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a run needs. Nothing in it depends on the machine or on the number of threads.

    layout: cells, blocks and shape of the records. tapes: by the label of the tie convention. rows: the samples,
    (n, d); if they are streamed, those that J is estimated on. descent: the recursion, the same for all cells but c.
    exact: what exact cells need besides. observables: a tape for each function of the parameters that is recorded.
    engines: by convention and precision, where it is not the interpreter.
    """

    layout: Layout
    tapes: Mapping[str, Tape]
    rows: NDArray[np.float64] = field(repr=False)
    descent: Descent = field(repr=False)
    exact: Exact | None = field(default=None, repr=False)
    observables: tuple[Tape, ...] = ()
    engines: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def engine(self, cell: Cell) -> str:
        """Return the engine that runs a cell: no result depends on it."""
        return self.engines.get((cell.convention, cell.precision), INTERPRETER)

    def estimate(self) -> Estimate:
        """Return what the plan will cost, from the operands on the tape and a calibration."""
        layout = self.layout
        seconds = exact = flops = 0.0
        gradients = layout.trajectories * layout.steps * _samples(self.descent, len(self.rows))
        evaluated = min(self.descent.objective_trajectories, layout.trajectories)
        values = evaluated * len(layout.checkpoints) * len(self.rows)
        for cell in layout.cells:
            tape = self.tapes[cell.convention]
            flops += (6 * gradients + 2 * values) * len(tape.operands)
            taken = layout.trajectories * layout.steps * tape.parameters * PARAMETER
            taken += gradients * (0 if self.descent.law == "full" else DRAW)
            taken += gradients * tape.data * (STREAMED if self.descent.stream else 0)
            taken += (gradients + values / 3) * _seconds(tape, cell.precision, self.engine(cell))
            seconds += taken
            exact += taken if cell.precision == EXACT else 0
        steps = len(layout.cells) * layout.trajectories * layout.steps
        return Estimate(steps, flops, seconds, exact, layout.bytes)


def plan(scenario: Scenario) -> Plan:
    """Return the plan of a scenario.

    A cell is one (c, convention, precision), in this order, the last running fastest. Random numbers are a function of
    the seed and c, so that trajectory t starts at the same point and draws the same minibatches in all cells of one c,
    whatever other c there are. Raises ScenarioError, DataError or ProgramError if the scenario, its data or its program
    do not fit together.
    """
    programs = {convention.label: program(scenario, convention) for convention in scenario.conventions}
    tapes = {label: assemble(made) for label, made in programs.items()}
    some = next(iter(programs.values()))
    columns, samples = rows(scenario)
    stream = None
    if isinstance(scenario.data, Streamed):
        stream = Stream(*scenario.data.sample.mixed(some.data, f"{scenario.path}: data.sample"))
        samples = evaluation(stream, scenario.data.evaluate, scenario.scenario.seed)
    if samples.shape[1] != some.data:
        raise DataError(
            f"{scenario.path}: data: the program reads {some.data} numbers of each sample, the data have "
            f"{len(columns)} columns"
        )
    exact = rational(scenario, next(iter(tapes.values()))) if EXACT in scenario.precisions else None
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
        stream=stream,
        snapshots=bool(scenario.observe),
    )
    cells = tuple(
        Cell(scale, convention.label, precision)
        for scale in scenario.scales()
        for convention in scenario.conventions
        for precision in scenario.precisions
    )
    if len({descent.key(cell.scale) for cell in cells}) < len({cell.scale for cell in cells}):
        raise ScenarioError(f"{scenario.path}: scenario.seed: two c have the same random numbers; choose another seed")
    _finite(scenario, tapes, samples, descent)
    trajectories = scenario.sweep.trajectories
    points = scenario.record.points
    kept = 2 * 8 * some.p * trajectories * len(cells)
    layout = Layout(
        cells=cells,
        trajectories=trajectories,
        steps=descent.steps,
        checkpoints=tuple(checkpoints.tolist()),
        objective_trajectories=descent.objective_trajectories,
        observables=tuple((one.name, math.nan if one.hit_below is None else one.hit_below) for one in scenario.observe),
        parameters=some.p,
        block=1,  # until the work of a trajectory is known
        points=points == "all" or (points == "auto" and kept <= POINTS_LIMIT),
        last_alpha=float(alpha[-1]),
        digest=_digest(scenario, tapes),
        header={
            "name": scenario.scenario.name,
            "title": scenario.scenario.title,
            "seed": scenario.scenario.seed,
            "hypotheses": [asdict(hypothesis) for hypothesis in hypotheses(scenario)],
        },
    )
    whole = Plan(layout, tapes, samples, descent, exact, observables(scenario, some))
    whole = replace(whole, engines=_engines(whole, scenario))
    seconds = whole.estimate().core_seconds / (len(cells) * trajectories)
    smallest = SMALLEST_BLOCK if exact is None else 1
    return replace(whole, layout=replace(layout, block=scenario.run.block or block_size(layout, seconds, smallest)))


def _finite(scenario: Scenario, tapes: Mapping[str, Tape], samples: NDArray[np.float64], descent: Descent) -> None:
    """Refuse step sizes that are infinite, and numbers that are so in the formats that the run computes with."""
    path, initial = scenario.path, descent.initial
    largest = float(scenario.c_values().max()) * float(descent.alpha.max())
    if not math.isfinite(largest):
        raise ScenarioError(f"{path}: sweep.c: the largest step c alpha_k is not finite")
    if "float32" not in scenario.precisions:
        return
    constants = np.concatenate([part for tape in tapes.values() for part in (tape.constant_values, tape.numbers)])
    starts = [np.abs(initial.center) + initial.scale, np.abs(initial.points).ravel()]
    for what, numbers in {
        "program: the constant": constants[np.isfinite(constants)],
        "data: the number": samples.ravel(),
        "initial: a point as far as": np.concatenate(starts),
        "sweep.c: the step": np.array([largest]),
    }.items():
        beyond = numbers[np.abs(numbers) > np.finfo(np.float32).max]
        if beyond.size:
            raise ScenarioError(f"{path}: {what} {beyond[0]:g} is infinite in float32 (sweep.precision)")


def observables(scenario: Scenario, of: Program) -> tuple[Tape, ...]:
    """Return a tape for each observable of the parameters of a program; raises ProgramError, with file and key."""
    tapes = []
    for i, one in enumerate(scenario.observe):
        try:
            tapes.append(assemble(expression(one.expression, of.names or of.p)))
        except ProgramError as error:
            raise ProgramError(f"{scenario.path}: observe.{i}.expression: {error}") from None
    return tuple(tapes)


def rational(scenario: Scenario, tape: Tape) -> Exact:
    """Return what exact cells need; raises ScenarioError or ProgramError if the step sizes or the tape have none."""
    if why := refusal(tape):
        raise ProgramError(f"{scenario.path}: program: {why}: it cannot be run in exact numbers")
    c, alpha = scenario.exact_steps()
    return Exact(dict(zip(scenario.scales(), c, strict=True)), alpha, scenario.sgd.bits)


def program(scenario: Scenario, convention: Convention) -> Program:
    """Return the loss of one sample as the scenario states it, with the derivatives of `convention` at ties.

    Raises ProgramError, with the scenario's file in front.
    """
    said = scenario.program
    options = said.model_dump(exclude={"kind", "convention"})
    if isinstance(said, Expression):
        options["text"] = options.pop("expression")
    elif isinstance(said, Python):
        options["folder"] = scenario.path.parent
    try:
        made = build(said.kind, **options, convention=convention)
        if made.q != 1:
            raise ProgramError(f"a loss is one number, this program returns {made.q}")
    except ProgramError as error:
        raise ProgramError(f"{scenario.path}: program: {error}") from None
    return made


def _digest(scenario: Scenario, tapes: Mapping[str, Tape]) -> str:
    """Return the scenario's digest; if its program is a user's function, with what that computes."""
    digest = scenario.digest()
    if isinstance(scenario.program, Python):
        text = "".join([digest, *(tape.listing() for tape in tapes.values())])
        digest = hashlib.sha256(text.encode()).hexdigest()
    return digest


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
    pairs = sum(int(line[COUNT]) ** 2 for line in tape.code if ROWS[line[OP]].name == "sort")
    saved = SAVED if engine == SPECIALISED else 1.0
    dispatched = (len(tape.code) * INSTRUCTION[precision] + pairs * SORTED) * saved
    return dispatched + len(tape.operands) * OPERAND[precision] + tape.data * DATUM


def _engines(whole: Plan, scenario: Scenario) -> dict[tuple[str, str], str]:
    """Return the engine of each convention and precision: the scenario's, or by what there is to gain.

    "auto" specialises where the interpreter would work for more than BREAK_EVEN core seconds. Raises ProgramError if
    the program is too long for the engine that is asked for.
    """
    wanted, layout = scenario.run.engine, whole.layout
    kinds = dict.fromkeys((c.convention, c.precision) for c in layout.cells if c.precision != EXACT)
    chosen = {}
    for convention, precision in kinds:
        cells = tuple(c for c in layout.cells if (c.convention, c.precision) == (convention, precision))
        work = replace(whole, layout=replace(layout, cells=cells)).estimate().core_seconds
        length = len(merged(whole.tapes[convention]))
        if wanted == SPECIALISED and length > LONGEST:
            raise ProgramError(
                f"{scenario.path}: run.engine: 'specialised' takes programs of at most {LONGEST} instructions, "
                f"this one has {length}; 'auto' would choose the interpreter"
            )
        if wanted == SPECIALISED or (wanted == "auto" and length <= LONGEST and work > BREAK_EVEN):
            chosen[convention, precision] = SPECIALISED
    return chosen
