"""One trajectory of a sweep again, step by step, from the folder of its results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.engines import Draws, Engine, Exact, Reference, cheapest
from simsa.ensemble.cost import work
from simsa.ensemble.drive import observed
from simsa.ensemble.plan import Plan, plan, rational
from simsa.ensemble.resolve import Resolved, resolve
from simsa.errors import RecordsError, known
from simsa.machine import Step, Walker, exact
from simsa.machine.progress import Progress
from simsa.machine.rounding import Rounding, explain, same
from simsa.machine.task import ExactSteps
from simsa.primitives.arithmetic import Number
from simsa.records import disk, read
from simsa.records.layout import ZARR, Cell
from simsa.records.status import Status
from simsa.scenario import Scenario, load
from simsa.scenario.schema import EXACT, PRECISIONS
from simsa.tape import Tape


@dataclass(frozen=True)
class Part:
    """Where a floating-point trajectory leaves the exact one: x_k differs first in this coordinate.

    value, exact: of that coordinate. rounding: what did it; None if a selection chose otherwise for no rounding found.
    """

    k: int
    coordinate: int
    value: float
    exact: Fraction
    rounding: Rounding | None


@dataclass(frozen=True, eq=False)
class Replay:
    """A trajectory that can be walked again; iterating over it yields its `Step`s from `first` up to `last`, afresh.

    cell: with c, convention, precision. trajectory: its number. parameters, columns: the names of the parameters and of
    the data, if they have any. record: the recorded fields, of this run. differences: those in which the records are
    other bits (none, unless the records are another version's, or damaged).
    """

    scenario: Scenario = field(repr=False)
    plan: Plan = field(repr=False)
    cell: Cell
    trajectory: int
    first: int
    last: int
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    record: Mapping[str, Any] = field(repr=False)
    differences: tuple[str, ...]

    @property
    def stopped(self) -> int:
        """Return the number of steps that the trajectory took."""
        return int(self.record["stopped"])

    @cached_property
    def tape(self) -> Tape:
        """Return the tape of the cell."""
        return self.plan.tapes[self.cell.convention]

    @cached_property
    def walker(self) -> Walker:
        """Return what takes the steps, in the arithmetic of the cell."""
        known("precision", self.cell.precision, PRECISIONS)
        engine = Exact() if self.cell.precision == EXACT else Reference()
        return engine.walker(self.plan.task(self.cell))

    @cached_property
    def _rational(self) -> ExactSteps:
        """Return the exact step sizes; raises ScenarioError or ProgramError if there are none."""
        return self.plan.exact or rational(self.scenario, self.tape)

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps, in the numbers of the cell: the same bits as the kernels."""
        if self.cell.precision == EXACT:
            return self.exact()
        begin: dict[str, Any] = {}
        if self.first:
            there = self._there(self.first).state
            begin = {"first": self.first, "point": there.x[0], "held": there.held[0]}
        return islice(self._walk(self.walker, self._gamma, **begin), self.last - self.first)

    def exact(self) -> Iterator[Step]:
        """Yield the steps in rational numbers: the same start and minibatches, the step sizes without rounding.

        All steps before `first` have to be taken. Raises ScenarioError or ProgramError if the scenario is not rational.
        """
        walker = exact.walker(self.tape, self.plan.rows, self.plan.descent, self._rational.bits)
        return islice(self._walk(walker, self._rational.gamma(self.cell.scale)), self.first, self.last)

    def point(self, k: int) -> NDArray[Any]:
        """Return x_k of a floating-point cell as the kernels compute it, shape (p,)."""
        point: NDArray[Any] = self._there(k).state.x[0]
        return point

    def _there(self, k: int) -> Progress:
        """Return what the trajectory of a floating-point cell has come to before step k."""
        made = replace(self.plan, descent=replace(self.plan.descent, objective_trajectories=0, snapshots=False))
        task, engine = made.task(self.cell), _engine(made, self.cell)
        start = engine.begin(task, c=self.cell.scale, first=self.trajectory, count=1)
        return engine.advance(task, start, k)

    def part(self) -> Part | None:
        """Return where the trajectory leaves the exact one in its first `last` steps, and why; None if it does not."""
        if self.cell.precision == EXACT:
            return None
        whole = replace(self, first=0)
        draws, p = _engine(self.plan, self.cell).draws, self.tape.parameters
        begun = draws.initial_points(self.plan.descent, self.cell.scale, self.trajectory, 1, p)[0]
        number = self.walker.arithmetic.number
        for j, v in enumerate(begun.tolist()):
            if not same(number(v), Fraction(v)):
                start = Rounding(f"{v!r} as {self.cell.precision}", Fraction(v), float(number(v)), "the start")
                return Part(0, j, float(number(v)), Fraction(v), start)
        for one, two in zip(whole, whole.exact(), strict=False):
            for j, (value, other) in enumerate(zip(one.following, two.following, strict=True)):
                if not same(value, other):
                    return Part(one.k + 1, j, float(value), other, explain(self.walker, one, two))
        return None

    @property
    def _gamma(self) -> list[np.float64]:
        """Return the step sizes gamma_k of a floating-point cell."""
        return list(self.cell.c * self.plan.descent.alpha)

    def _walk(self, walker: Walker, gamma: Sequence[Number], **begin: Any) -> Iterator[Step]:
        """Yield the steps of the trajectory."""
        return walker.walk(self.plan.descent, gamma, c=self.cell.scale, trajectory=self.trajectory, **begin)


def replay(results: str | Path, cell: int, trajectory: int, first: int = 0, last: int | None = None) -> Replay:
    """Return one trajectory of a sweep, to be walked again step by step.

    results: the folder of a run. cell: its number in the records. first, last: the window of steps, first <= k < last,
    up to the end if left out. The scenario is read from the folder; data files and modules from where the scenario was.
    The whole trajectory is run once, by the kernels, and compared with its records (`differences`). Steps are taken in
    plain Python: a millisecond for a small program, seconds for a network.

    Raises RecordsError if there are no such records, or if the scenario, its data or its program are not theirs any
    more.

    `[step.x for step in simsa.replay("results/bad_step", cell=4, trajectory=7)]` are the points of a trajectory.
    """
    folder = Path(results)
    folder = folder.parent if folder.name == ZARR else folder
    found, made = _planned(folder)
    layout = made.layout
    for name, number, count in (("cell", cell, len(layout.cells)), ("trajectory", trajectory, layout.trajectories)):
        if not 0 <= number < count:
            raise RecordsError(f"{folder}: there is no {name} {number}; they are 0 to {count - 1}")
    chosen = layout.cells[cell]
    kept = read.open(folder).isel(cell=cell, trajectory=trajectory).load()
    if kept["status"] == Status.NOT_RUN:
        raise RecordsError(f"{folder}: trajectory {trajectory} of cell {cell} has not been run; continue with --resume")
    record = {name: value[0] for name, value in _run(made, chosen, trajectory).items()}
    stopped = int(record["stopped"])
    last = stopped if last is None else min(last, stopped)
    if not 0 <= first < last:
        raise RecordsError(f"{folder}: trajectory {trajectory} of cell {cell} has the steps 0 to {stopped - 1}")
    return Replay(
        scenario=found.scenario,
        plan=made,
        cell=chosen,
        trajectory=trajectory,
        first=first,
        last=last,
        parameters=found.program.names,
        columns=found.columns,
        record=record,
        differences=tuple(f.name for f in layout.fields if not _alike(kept[f.name].values, record[f.name], f.dtype)),
    )


def _planned(folder: Path) -> tuple[Resolved, Plan]:
    """Return the scenario of a run with what it names, and its plan, with the digest that its records have."""
    kept = read.attributes(folder)
    origin = disk.read_json(folder / "provenance.json")
    if origin is None:
        raise RecordsError(f"{folder}: provenance.json is missing or damaged; it says how the scenario was changed")
    found = resolve(load(folder / "scenario.toml", origin["set"], origin.get("file")))
    made = plan(found)
    if made.layout.digest != kept["digest"]:
        raise RecordsError(
            f"{folder}: scenario, data or program are not those of the records any more (digest "
            f"{made.layout.digest[:12]}, the records have {kept['digest'][:12]})"
        )
    return found, made


def _alike(kept: NDArray[Any], now: Any, dtype: str) -> bool:
    """Tell whether recorded values are those of now, bit for bit; NaN are all alike."""
    return np.array_equal(kept, np.asarray(now).astype(dtype), equal_nan=np.dtype(dtype).kind == "f")


def path(made: Plan, cell: Cell, trajectory: int, checkpoints: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return x_k of a trajectory at the checkpoints k, shape (checkpoints, p): NaN once it has stopped."""
    descent = replace(made.descent, checkpoints=checkpoints, objective_trajectories=0, snapshots=True)
    found = _run(replace(made, descent=descent, observables=()), cell, trajectory)
    return np.asarray(found["snapshots"][0], np.float64)


def drawing(made: Plan) -> Draws:
    """Return what draws random numbers of a plan apart from its run: that of the engine that is done first with it.

    No number depends on the choice.
    """
    task, cells = made.task(made.layout.cells[0]), len(made.layout.cells)
    return cheapest(task, work(made.layout, made.descent, len(made.rows), cells))[0].draws


def _run(made: Plan, cell: Cell, trajectory: int) -> Mapping[str, NDArray[Any]]:
    """Return the records of one trajectory."""
    found = _engine(made, cell).run(made.task(cell), c=cell.scale, first=trajectory, count=1)
    return {**found, **observed(made, found["snapshots"])} if made.descent.snapshots and made.observables else found


def _engine(made: Plan, cell: Cell) -> Engine:
    """Return the engine that is done first with one trajectory of a cell."""
    layout = replace(made.layout, trajectories=1)
    return cheapest(made.task(cell), work(layout, made.descent, len(made.rows)))[0]
