"""Resolve a scenario: read its data, import the user's module, and draw the samples on which J is estimated, once.

The plan and the report are functions of the result, and read nothing again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from simsa.errors import DataError, ProgramError
from simsa.machine.launch import evaluation
from simsa.machine.task import Initial, Stream
from simsa.program import Program, build, expression
from simsa.program.build import import_target
from simsa.scenario import Scenario, rows
from simsa.scenario.schema import Expression, Jax, Python, Stored, Torch, enough
from simsa.scenario.stream import Stream as Streamed


@dataclass(frozen=True, eq=False)
class Resolved:
    """A scenario with all that it names.

    programs: the loss of one sample, by the label of the tie convention, in the order of the scenario. columns: the
    names of the data columns. samples: as they were read, shape (n, d), where n = 0 if samples are streamed. rows: the
    samples over which J is the mean, shape (n, d); if samples are streamed, those on which it is estimated. initial:
    the law of x_0. stream: the law of streamed samples, or None. observables: the functions of the parameters that are
    recorded. settings: the same of each setting by its name, if the sweep has further axes.
    """

    scenario: Scenario
    programs: Mapping[str, Program] = field(repr=False)
    columns: tuple[str, ...]
    samples: NDArray[np.float64] = field(repr=False)
    rows: NDArray[np.float64] = field(repr=False)
    initial: Initial = field(repr=False)
    stream: Stream | None = field(repr=False)
    observables: tuple[Program, ...] = field(repr=False)
    settings: Mapping[str, "Resolved"] = field(repr=False, default_factory=dict)

    @property
    def by_setting(self) -> Mapping[str, "Resolved"]:
        """Return what each setting names, by its name, in the order of their cells; without axes, itself by ""."""
        return self.settings or {"": self}

    @property
    def program(self) -> Program:
        """Return the program under the first convention; its shapes and names are the same under all conventions."""
        return next(iter(self.programs.values()))


def resolve(scenario: Scenario) -> Resolved:
    """Return the scenario with all that it names.

    Raises ScenarioError, DataError or ProgramError, with the scenario's file in front, if data cannot be read, if the
    program cannot be made, or if they do not fit together.
    """
    whole = _resolved(scenario)
    if not scenario.sweep.axes:
        return whole
    settings = {label: _resolved(one, whole) for label, one in scenario.settings.items()}
    for label, one in settings.items():
        if one.program.p != whole.program.p:
            raise ProgramError(
                f"{scenario.path}: sweep.axes: all cells have the same number of parameters: the program has "
                f"{whole.program.p}, at '{label}' it has {one.program.p}"
            )
    return replace(whole, settings=settings)


def _resolved(scenario: Scenario, whole: Resolved | None = None) -> Resolved:
    """Return a scenario without its axes, with all that it names.

    whole: of the same sweep, of which nothing is read again: the data are the same, and the program if it is said
    alike.
    """
    if whole is not None and (scenario.program, scenario.conventions) == (
        whole.scenario.program,
        whole.scenario.conventions,
    ):
        programs = whole.programs
    else:
        programs = losses(scenario)
    some = next(iter(programs.values()))
    if whole is None:
        columns, samples = rows(scenario)
    else:
        columns, samples = whole.columns, whole.samples
        enough(scenario, len(samples))
    stream, used = None, samples
    if isinstance(scenario.data, Streamed):
        stream = Stream(*scenario.data.sample.mixture(some.data, f"{scenario.path}: data.sample"))
        used = evaluation(stream, scenario.data.evaluate, scenario.scenario.seed)
    if used.shape[1] != some.data:
        raise DataError(
            f"{scenario.path}: data: the program reads {some.data} numbers of each sample, the data have "
            f"{len(columns)} columns"
        )
    initial = Initial(*scenario.initial.ingredients(some.p, some.ranges))
    return Resolved(scenario, programs, columns, samples, used, initial, stream, _observables(scenario, some))


def losses(scenario: Scenario) -> dict[str, Program]:
    """Return the loss of one sample under each tie convention, by its label, in the scenario's order.

    A user's module is imported once, and its function traced once for each convention. Raises ProgramError, with the
    scenario's file in front.
    """
    said = scenario.program
    options = said.model_dump(exclude={"kind", "convention"})
    folder = scenario.path.parent
    try:
        if isinstance(said, Torch | Jax):
            from simsa.importers.factory import of_factory

            model = of_factory(said.kind, import_target(said.target, folder))
            made: dict[str, Program] = {one.label: model.under(one) for one in scenario.conventions}
        else:
            if isinstance(said, Expression):
                options["text"] = options.pop("expression")
            elif isinstance(said, Python):
                options["target"] = import_target(said.target, folder)
            elif isinstance(said, Stored):
                options = {"file": said.file, "folder": folder}
            made = {one.label: build(said.kind, **options, convention=one) for one in scenario.conventions}
        if (q := next(iter(made.values())).q) != 1:
            raise ProgramError(f"a loss is one number, this program returns {q}")
    except ProgramError as error:
        raise ProgramError(f"{scenario.path}: program: {error}") from None
    return made


def _observables(scenario: Scenario, of: Program) -> tuple[Program, ...]:
    """Return the observables of the parameters of a program; raises ProgramError, with file and key."""
    found = []
    for i, one in enumerate(scenario.observe):
        try:
            found.append(expression(one.expression, of.names or of.p))
        except ProgramError as error:
            raise ProgramError(f"{scenario.path}: observe.{i}.expression: {error}") from None
    return tuple(found)
