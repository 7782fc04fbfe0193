"""Replay one trajectory of a sweep step by step, from the folder of its results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import formats
from simsa.engines import Draws, Engine, Exact, Reference, cheapest
from simsa.ensemble.cost import work
from simsa.ensemble.drive import completed
from simsa.ensemble.plan import Plan, Setting, plan, rational
from simsa.ensemble.resolve import Resolved, resolve
from simsa.errors import RecordsError
from simsa.formats import EXACT
from simsa.machine import Step as Step
from simsa.machine import Walker, exact
from simsa.machine.progress import Progress
from simsa.machine.rounding import Rounding, explain, same
from simsa.machine.task import ExactSteps
from simsa.primitives.arithmetic import Number
from simsa.program import Program
from simsa.records import disk, read
from simsa.records.layout import ZARR, Cell
from simsa.records.status import Status
from simsa.scenario import Scenario, load
from simsa.tape import Tape


@dataclass(frozen=True)
class Divergence:
    """The first point x_k at which a floating-point trajectory differs from the exact one, and why.

    Attributes
    ----------
    k
        The step, from 0.
    coordinate
        The first coordinate of x_k that differs.
    value, exact
        The coordinate in floating point, and as a rational number.
    rounding
        The rounding that caused it; None if a selection chose another piece and no rounding was found that explains it.
    """

    k: int
    coordinate: int
    value: float
    exact: Fraction
    rounding: Rounding | None


@dataclass(frozen=True, eq=False)
class Replay:
    """A trajectory that can be computed again: iterating over it yields its `Step`s k, first <= k < last.

    Attributes
    ----------
    scenario, program, plan
        The scenario of the sweep, the loss of one sample under the convention of the cell, and the plan.
    cell
        The cell, with c, convention and precision.
    trajectory
        The number of the trajectory in the cell.
    first, last
        The steps first <= k < last are yielded.
    parameters, columns
        The names of the parameters and of the data columns; empty if they have none.
    record
        The recorded fields, as computed now.
    differences
        The names of the fields whose bits differ from the records on disk; it is empty, unless the records are damaged
        or of another version.
    """

    scenario: Scenario = field(repr=False)
    program: Program = field(repr=False)
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

    @property
    def _setting(self) -> Setting:
        """Return what the cell has in common with the others of its setting."""
        return self.plan.setting(self.cell)

    @cached_property
    def tape(self) -> Tape:
        """Return the tape of the cell."""
        return self._setting.tapes[self.cell.convention]

    @cached_property
    def walker(self) -> Walker:
        """Return the object that takes the steps, in the arithmetic of the cell."""
        if self.cell.precision != EXACT:
            formats.find(self.cell.precision)
        engine = Exact() if self.cell.precision == EXACT else Reference()
        return engine.walker(self.plan.task(self.cell))

    @cached_property
    def _rational(self) -> ExactSteps:
        """Return the exact step sizes; raises ScenarioError or ProgramError if there are none."""
        return self._setting.exact or rational(self.scenario.settings[self.cell.setting], self.tape)

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps in the precision of the cell, with the same bits as the kernels."""
        if self.cell.precision == EXACT:
            return self.exact()
        begin: dict[str, Any] = {}
        if self.first:
            state = self._progress(self.first).state
            begin = {"first": self.first, "point": state.x[0], "held": state.held[0]}
        return islice(self._walk(self.walker, self._gamma, **begin), self.last - self.first)

    def exact(self) -> Iterator[Step]:
        """Yield the steps in rational numbers: the same start and minibatches, and step sizes without rounding.

        All steps before `first` are computed as well. Raises ScenarioError or ProgramError if the scenario is not
        rational.
        """
        walker = exact.walker(self.tape, self._setting.rows, self._setting.descent, self._rational.bits)
        return islice(self._walk(walker, self._rational.gamma(self.cell.scale)), self.first, self.last)

    def point(self, k: int) -> NDArray[Any]:
        """Return x_k as the engine of a floating-point cell computes it, shape (p,)."""
        point: NDArray[Any] = self._progress(k).state.x[0]
        return point

    def _progress(self, k: int) -> Progress:
        """Return the state of the trajectory of a floating-point cell before step k."""
        return _before(self.plan, self.cell, self.trajectory, k)

    def divergence(self) -> Divergence | None:
        """Return where the trajectory first differs from the exact one, within its first `last` steps, and why.

        None if it does not differ there, or if the cell is exact. Raises ScenarioError or ProgramError if the scenario
        is not rational.
        """
        if self.cell.precision == EXACT:
            return None
        whole = replace(self, first=0)
        draws, p = _engine(self.plan, self.cell).draws, self.tape.parameters
        begun = draws.initial_points(self._setting.descent, self.cell.scale, self.trajectory, 1, p)[0]
        number = self.walker.arithmetic.number
        for j, v in enumerate(begun.tolist()):
            if not same(number(v), Fraction(v)):
                start = Rounding(f"{v!r} as {self.cell.precision}", Fraction(v), float(number(v)), "the start")
                return Divergence(0, j, float(number(v)), Fraction(v), start)
        for one, two in zip(whole, whole.exact(), strict=False):
            for j, (value, other) in enumerate(zip(one.following, two.following, strict=True)):
                if not same(value, other):
                    return Divergence(one.k + 1, j, float(value), other, explain(self.walker, one, two))
        return None

    @property
    def _gamma(self) -> list[np.float64]:
        """Return the step sizes gamma_k of a floating-point cell."""
        return list(self.cell.c * self._setting.descent.alpha)

    def _walk(self, walker: Walker, gamma: Sequence[Number], **begin: Any) -> Iterator[Step]:
        """Yield the steps of the trajectory."""
        return walker.walk(self._setting.descent, gamma, c=self.cell.scale, trajectory=self.trajectory, **begin)


def replay(results: str | Path, cell: int, trajectory: int, first: int = 0, last: int | None = None) -> Replay:
    """Return one trajectory of a sweep, which can then be computed again step by step.

    Parameters
    ----------
    results
        The folder of a run. Its scenario is read from there, and data files and modules from where the scenario was.
    cell
        The number of the cell in the records, from 0.
    trajectory
        The number of the trajectory, from 0.
    first, last
        The window of steps, first <= k < last; None stands for the end.

    Returns
    -------
    Replay
        Iterating over it yields the steps. The whole trajectory is run once, and compared with its records
        (`differences`). Steps are taken in plain Python: a step takes a millisecond for a small program, and seconds
        for a network.

    Raises
    ------
    RecordsError
        If there are no such records, if the trajectory has not been run, or if the scenario, its data or its program
        have changed since.

    Examples
    --------
    >>> import tempfile
    >>> import simsa
    >>> folder = tempfile.mkdtemp()
    >>> run = simsa.sweep(
    ...     lambda x: abs(x[0]), parameters=1, c=[0.5], steps=2, step_size=1.0, initial=simsa.points([[1.0]]),
    ...     trajectories=4, out=folder, quiet=True,
    ... )
    >>> [step.x[0].item() for step in replay(folder, cell=0, trajectory=0)]
    [1.0, 0.5]
    """
    folder = Path(results)
    folder = folder.parent if folder.name == ZARR else folder
    found, made = planned(folder)
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
        program=found.by_setting[chosen.setting].programs[chosen.convention],
        plan=made,
        cell=chosen,
        trajectory=trajectory,
        first=first,
        last=last,
        parameters=found.program.names,
        columns=found.columns,
        record=record,
        differences=tuple(
            f.name for f in layout.fields if not _same_values(kept[f.name].values, record[f.name], f.dtype)
        ),
    )


def origin(folder: Path) -> tuple[list[str], str | None]:
    """Return what was put over the scenario of a run, and the file that the scenario was read from.

    folder: of the results. The file is None if data and modules lie in that folder. Raises RecordsError if the folder
    does not say.
    """
    found = disk.read_json(folder / "provenance.json")
    if found is None:
        raise RecordsError(f"{folder}: provenance.json is missing or damaged; it says how the scenario was changed")
    return found["set"], found.get("file")


def planned(folder: Path) -> tuple[Resolved, Plan]:
    """Return the scenario of a run with what it names, and its plan, which has the digest that the records have.

    folder: of the results. Raises RecordsError if there are none, or if scenario, data or program are not theirs.
    """
    kept = read.attributes(folder)
    found = resolve(load(folder / "scenario.toml", *origin(folder)))
    made = plan(found)
    if made.layout.digest != kept["digest"]:
        raise RecordsError(
            f"{folder}: scenario, data or program are not those of the records any more (digest "
            f"{made.layout.digest[:12]}, the records have {kept['digest'][:12]})"
        )
    return found, made


def _same_values(kept: NDArray[Any], now: Any, dtype: str) -> bool:
    """Tell whether recorded values equal those computed now, bit for bit; NaN equals NaN."""
    return np.array_equal(kept, np.asarray(now).astype(dtype), equal_nan=np.dtype(dtype).kind == "f")


def path(made: Plan, cell: Cell, trajectory: int, checkpoints: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return x_k of a trajectory at the checkpoints k, shape (checkpoints, p), NaN after it has stopped.

    made: the plan. cell: of it. trajectory: the number. checkpoints: steps in ascending order.
    """
    kept = _changed(made, cell, checkpoints=checkpoints, objective_trajectories=0, snapshots=True)
    found = _run(replace(kept, observables=()), cell, trajectory)
    return np.asarray(found["snapshots"][0], np.float64)


def point(made: Plan, cell: Cell, trajectory: int, k: int) -> NDArray[np.float64]:
    """Return x_k of a trajectory, or the last point before it stopped, shape (p,).

    made: the plan. cell: of it, in floating point or exact; exact points are rounded to float64. trajectory: the
    number. k: at least 0. Only the steps before k are taken.
    """
    return np.array([float(v) for v in _before(made, cell, trajectory, k).state.x[0]])


def _before(made: Plan, cell: Cell, trajectory: int, k: int) -> Progress:
    """Return the state of a trajectory before step k."""
    alone = _changed(made, cell, objective_trajectories=0, snapshots=False)
    task, engine = alone.task(cell), _engine(alone, cell)
    return engine.advance(task, engine.begin(task, c=cell.scale, first=trajectory, count=1), k)


def drawing(made: Plan, cell: Cell) -> Draws:
    """Return the module that draws random numbers of a plan outside of its run.

    made: the plan. cell: of it. It is the module of the engine that would run all cells first, if they were like this
    one; the numbers do not depend on it.
    """
    task, cells = made.task(cell), len(made.layout.cells)
    return cheapest(task, work(made.layout, task, cells))[0].draws


def _changed(made: Plan, cell: Cell, **fields: Any) -> Plan:
    """Return a plan in which fields of the recursion of a cell have other values."""
    setting = made.setting(cell)
    changed = replace(setting, descent=replace(setting.descent, **fields))
    return replace(made, settings={**made.settings, cell.setting: changed})


def _run(made: Plan, cell: Cell, trajectory: int) -> Mapping[str, NDArray[Any]]:
    """Return the records of one trajectory."""
    return completed(made, cell, _engine(made, cell).run(made.task(cell), c=cell.scale, first=trajectory, count=1))


def _engine(made: Plan, cell: Cell) -> Engine:
    """Return the engine that finishes one trajectory of a cell first, compilation included."""
    layout = replace(made.layout, trajectories=1)
    task = made.task(cell)
    return cheapest(task, work(layout, task))[0]
