"""Make the plan of a sweep from a resolved scenario: cells, blocks, tapes, the recursion.

These functions are pure: they read, import, draw and compile nothing, and the same `Resolved` gives the same plan.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from simsa import formats
from simsa.engines import ENGINES, Engine, Task, cheapest
from simsa.ensemble.cost import SMALLEST_BLOCK, Estimate, block_size, estimate, work
from simsa.ensemble.resolve import Resolved
from simsa.errors import ProgramError, ScenarioError
from simsa.formats import EXACT
from simsa.machine.exact import refusal
from simsa.machine.task import Descent, ExactSteps
from simsa.records.layout import Cell, Layout
from simsa.scenario import Scenario, hypotheses
from simsa.scenario.schema import Jax, Python, Stored, Torch
from simsa.tape import Tape, assemble
from simsa.vocabulary import Family

POINTS_LIMIT = 2**28
"""Most bytes of final points and sensitive points together with which `points = "auto"` records them."""


Engines = Mapping[Family, Engine]
"""The engine that runs the cells of each convention, precision and setting."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What the cells of one setting of the further axes have in common.

    tapes: by the label of the tie convention. rows: the samples, shape (n, d); if samples are streamed, those on which
    J is estimated. descent: the recursion, which is the same for all cells except for c. exact: what exact cells need
    in addition; None without such cells.
    """

    tapes: Mapping[str, Tape]
    rows: NDArray[np.float64] = field(repr=False)
    descent: Descent = field(repr=False)
    exact: ExactSteps | None = field(default=None, repr=False)

    def task(self, cell: Cell) -> Task:
        """Return the task of a cell: what an engine needs to know of its trajectories."""
        return Task(self.tapes[cell.convention], self.rows, self.descent, cell.precision, self.exact)


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a run needs. Nothing in it depends on the machine or on the number of threads.

    layout: cells, blocks and shape of the records. settings: what the cells of each setting have in common, by its
    name; there is one with the name "" if the sweep has no further axes. observables: a tape for each function of the
    parameters that is recorded.
    """

    layout: Layout
    settings: Mapping[str, Setting]
    observables: tuple[Tape, ...] = ()

    def setting(self, cell: Cell) -> Setting:
        """Return what a cell has in common with the others of its setting."""
        return self.settings[cell.setting]

    def task(self, cell: Cell) -> Task:
        """Return the task of a cell: what an engine needs to know of its trajectories."""
        return self.setting(cell).task(cell)

    def families(self) -> dict[Family, list[Cell]]:
        """Return the cells by convention, precision and setting. Cells that agree in these are run by one engine."""
        found: dict[Family, list[Cell]] = {}
        for cell in self.layout.cells:
            found.setdefault(cell.family, []).append(cell)
        return found

    def estimate(self, engines: Engines) -> Estimate:
        """Return what the plan will cost on engines that are ready. engines: by convention, precision and setting."""
        return estimate(self.layout, [(self.task(cell), engines[cell.family]) for cell in self.layout.cells])


def choose(made: Plan, wanted: str, cores: int = 1) -> tuple[dict[Family, Engine], tuple[str, ...]]:
    """Return the engine of each family of cells, and the reasons for the choice, each in a line.

    made: the plan. wanted: the name of an engine, or "auto" for the one that is done first, compilation on this machine
    included. Exact cells have a single engine. cores: how many threads there are. No result depends on the choice.
    Raises ProgramError if the engine `wanted` refuses the program.
    """
    chosen, reasons = {}, {}
    for kind, cells in made.families().items():
        task = made.task(cells[0])
        todo = work(made.layout, task, len(cells), cores)
        if wanted == "auto" or task.precision == EXACT:
            chosen[kind], reasons[kind] = cheapest(task, todo)
            continue
        chosen[kind], reasons[kind] = ENGINES[wanted], f"{wanted} engine, as run.engine says"
        if why := ENGINES[wanted].refuses(task):
            raise ProgramError(f"run.engine: '{wanted}' does not run this program: {why}; 'auto' chooses one that does")
    return chosen, tuple(dict.fromkeys(reasons.values()))


def fastest(made: Plan, wanted: str) -> dict[Family, Engine]:
    """Return the engine of each family of cells that is fastest once it is ready, whatever the machine is.

    made: the plan. wanted: as in `choose`. The size of a block follows from this choice, so it depends on nothing but
    the scenario.
    """
    chosen = {}
    for kind, cells in made.families().items():
        task = made.task(cells[0])
        todo = work(made.layout, task, len(cells))
        able = [engine for engine in ENGINES.values() if not engine.refuses(task)]
        if wanted in ENGINES and ENGINES[wanted] in able:
            able = [ENGINES[wanted]]
        chosen[kind] = min(able, key=lambda engine, task=task, todo=todo: engine.seconds(task, todo))  # type: ignore[misc]
    return chosen


def plan(found: Resolved) -> Plan:
    """Return the plan of a scenario and of what it names.

    There is a cell for each (c, setting, convention, precision), in this order, with the last index varying fastest.
    Random numbers are a function of the seed and c, so that trajectory t starts at the same point and draws the same
    minibatches in all cells of one c, whatever other c there are. found: the scenario with all that it names. Raises
    ScenarioError or ProgramError if a number is infinite in a precision of the sweep, if an exact cell is asked for and
    the program or the step sizes are not rational, or if two c have the same random numbers.
    """
    scenario = found.scenario
    settings = {label: _setting(one) for label, one in found.by_setting.items()}
    parameters = found.program.p
    descent = next(iter(settings.values())).descent
    cells = tuple(
        Cell(scale, convention.label, precision, label)
        for scale in scenario.scales()
        for label, one in scenario.settings.items()
        for convention in one.conventions
        for precision in scenario.precisions
    )
    if len({descent.key(cell.scale) for cell in cells}) < len({cell.scale for cell in cells}):
        raise ScenarioError(f"{scenario.path}: scenario.seed: two c have the same random numbers; choose another seed")
    trajectories = scenario.sweep.trajectories
    points = scenario.record.points
    names = tuple(dict.fromkeys(name for one in settings.values() for name in one.descent.rule.state))
    kept = (2 + len(names)) * 8 * parameters * trajectories * len(cells)
    layout = Layout(
        cells=cells,
        trajectories=trajectories,
        steps=descent.steps,
        checkpoints=tuple(descent.checkpoints.tolist()),
        objective_trajectories=descent.objective_trajectories,
        observables=tuple((one.name, math.nan if one.hit_below is None else one.hit_below) for one in scenario.observe),
        kept=names,
        parameters=parameters,
        block=1,  # until the work of a trajectory is known
        points=points == "all" or (points == "auto" and kept <= POINTS_LIMIT),
        last_alpha={label: float(one.descent.alpha[-1]) for label, one in settings.items()},
        digest=_digest(found, settings),
        header={
            "name": scenario.scenario.name,
            "title": scenario.scenario.title,
            "seed": scenario.scenario.seed,
            "hypotheses": [
                {**asdict(hypothesis), **({"setting": label} if label else {})}
                for label, one in scenario.settings.items()
                for hypothesis in hypotheses(one, len(found.samples))
            ],
            **({"axes": list(scenario.sweep.axes)} if scenario.sweep.axes else {}),
        },
    )
    whole = Plan(layout, settings, tuple(map(assemble, found.observables)))
    seconds = whole.estimate(fastest(whole, scenario.run.engine)).core_seconds / (len(cells) * trajectories)
    smallest = 1 if EXACT in scenario.precisions else SMALLEST_BLOCK
    return replace(whole, layout=replace(layout, block=scenario.run.block or block_size(layout, seconds, smallest)))


def _setting(found: Resolved) -> Setting:
    """Return what the cells of a scenario without axes have in common.

    found: the scenario with all that it names. Raises ScenarioError or ProgramError, as `plan` does.
    """
    scenario = found.scenario
    tapes = {label: assemble(made) for label, made in found.programs.items()}
    batch = scenario.sgd.batch
    descent = Descent(
        steps=scenario.sgd.steps,
        law=batch.law,
        size=batch.size,
        replace=batch.replace,
        alpha=scenario.alpha(),
        radius=scenario.sgd.radius,
        seed=scenario.scenario.seed,
        initial=found.initial,
        checkpoints=scenario.checkpoints(),
        objective_trajectories=scenario.record.objective_trajectories,
        stream=found.stream,
        snapshots=bool(scenario.observe),
        rule=scenario.optimizer.rule,
        numbers=scenario.optimizer.values(scenario.sgd.steps),
    )
    _finite(scenario, tapes, found.rows, descent)
    exact = rational(scenario, next(iter(tapes.values()))) if EXACT in scenario.precisions else None
    return Setting(tapes, found.rows, descent, exact)


def _finite(scenario: Scenario, tapes: Mapping[str, Tape], samples: NDArray[np.float64], descent: Descent) -> None:
    """Raise ScenarioError if a step size is infinite, or if float32 is used and a number is infinite in it."""
    path, initial = scenario.path, descent.initial
    largest = float(scenario.c_values().max()) * float(descent.alpha.max())
    if not math.isfinite(largest):
        raise ScenarioError(f"{path}: sweep.c: the largest step c alpha_k is not finite")
    constants = np.concatenate([part for tape in tapes.values() for part in (tape.constant_values, tape.numbers)])
    starts = [np.abs(initial.center) + initial.scale, np.abs(initial.points).ravel()]
    for what, numbers in {
        "program: the constant": constants[np.isfinite(constants)],
        "data: the number": samples.ravel(),
        "initial: a point as far as": np.concatenate(starts),
        "sweep.c: the step": np.array([largest]),
    }.items():
        for row in (formats.find(name) for name in scenario.precisions if name != EXACT):
            beyond = numbers[np.abs(numbers) > row.largest]
            if beyond.size:
                raise ScenarioError(f"{path}: {what} {beyond[0]:g} is infinite in {row.name} (sweep.precision)")


def rational(scenario: Scenario, tape: Tape) -> ExactSteps:
    """Return what exact cells need; raises ScenarioError or ProgramError if rule, steps or tape are not rational."""
    if why := refusal(tape):
        raise ProgramError(f"{scenario.path}: program: {why}: it cannot be run in exact numbers")
    if why := scenario.optimizer.rule.irrational:
        raise ScenarioError(f"{scenario.path}: optimizer.kind: {why}: it cannot be run in exact numbers")
    c, alpha = scenario.exact_steps()
    return ExactSteps(dict(zip(scenario.scales(), c, strict=True)), alpha, scenario.sgd.bits)


def _digest(found: Resolved, settings: Mapping[str, Setting]) -> str:
    """Return the digest of the scenario, which also covers the tapes if the program is a function or in a file.

    settings: with the tapes.
    """
    digest = found.scenario.digest(found.samples)
    if isinstance(found.scenario.program, Python | Stored | Torch | Jax):
        text = "".join([digest, *(tape.listing() for one in settings.values() for tape in one.tapes.values())])
        digest = hashlib.sha256(text.encode()).hexdigest()
    return digest
