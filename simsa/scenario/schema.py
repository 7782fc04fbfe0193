"""The tables of a scenario file, one class for each, and what follows from a scenario alone."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Discriminator, Field, PrivateAttr, Tag, model_validator

from simsa import primitives
from simsa.errors import DataError, ProgramError, ScenarioError
from simsa.formats import EXACT, FLOAT64, FORMATS, INNOCUOUS, custom
from simsa.scenario.batch import PLAIN as PAPER
from simsa.scenario.batch import Batch
from simsa.scenario.data import Csv, Data, finish, select
from simsa.scenario.initial import Initial, Normal
from simsa.scenario.model import (
    INTEGRAL,
    Count,
    Hypothesis,
    Idle,
    Index,
    Items,
    Model,
    OneOf,
    Positive,
    PositiveRatio,
    Probability,
    Seed,
    Unit,
    choices,
    idle,
    problem,
    rational,
    spelling,
    such_as,
)
from simsa.scenario.optimizer import PLAIN, AnyOptimizer
from simsa.scenario.scales import Scales
from simsa.scenario.step_size import StepSize, Table
from simsa.scenario.stream import Stream
from simsa.vocabulary import Asked, Event, Met

PRECISIONS = (*FORMATS, EXACT)
"""The numbers that a run may compute with: those of a format, or the rational numbers."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _known(value: dict[str, float | str]) -> dict[str, float | str]:
    """Refuse a convention with an unknown framework, primitive or tie rule."""
    try:
        primitives.convention(value)
    except ProgramError as error:
        raise problem(str(error)) from None
    return value


Rule = Annotated[Annotated[str, Tag("a string")] | Annotated[float, Tag("a number")], Discriminator(spelling)]
Convention = Annotated[
    Annotated[str, OneOf(primitives.FRAMEWORKS), Tag("a string")]
    | Annotated[dict[str, Rule], AfterValidator(_known), Tag("a table")],
    Discriminator(spelling),
]
"""A framework's name, or a table with a `base` and, for single primitives, another rule at ties."""


class Header(Model):
    """The table [scenario]."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"), such_as("my_experiment")]
    """Names the folder of the results."""
    title: str = ""
    """One line, for figures and tables."""
    seed: Seed = 0
    """Of every random number of the run."""


class Expression(Model):
    """A program written as a formula of named parameters and data."""

    kind: Literal["expression"]
    parameters: Annotated[Items[Name], Field(min_length=1), such_as(["x"])]
    """Names of the parameters, which the gradient is taken for."""
    data: Items[Name] = ()
    """Names of the data columns the formula uses."""
    expression: Annotated[str, Field(min_length=1), such_as("abs(x)")]
    """The loss of one sample: relu(x), abs, maximum(x, y), where(x > 0, x, 0), exp, numbers, + - * / **."""
    convention: Convention = "tensorflow"
    """The derivative at ties: a framework's, or a table of your own."""

    @model_validator(mode="after")
    def _distinct(self) -> "Expression":
        for name, times in Counter((*self.parameters, *self.data)).items():
            if times > 1:
                raise problem(f"the name '{name}' stands for two things", "data" if name in self.data else "parameters")
        return self


Option = Annotated[
    Annotated[Index, Tag("a number")]
    | Annotated[str, Tag("a string")]
    | Annotated[bool, Tag("true or false")]
    | Annotated[Items[Index], Tag("a list")],
    Discriminator(spelling),
]
LayerEntry = Annotated[
    Annotated[Count, Tag("a number")]
    | Annotated[Annotated[Items[Count], Field(min_length=1)], Tag("a list")]
    | Annotated[dict[str, Option], Tag("a table")],
    Discriminator(spelling),
]
"""A layer: a number of units, or a table with its kind; the input may be a shape. `simsa.program.network` checks the
keys."""


class Network(Model):
    """A network with a loss; a sample is the input, then the target."""

    kind: Literal["network"]
    layers: Annotated[Items[LayerEntry], Field(min_length=2), such_as([64, 32, 10])]
    """The input, a number of features or a shape; then units of a layer, or a table: { kind = "conv2d", ... }."""
    activation: str = "relu"
    """The primitive between layers."""
    loss: str = "cross_entropy"
    """The loss of the output against the target."""
    convention: Convention = "tensorflow"
    """The derivative at ties: a framework's, or a table of your own."""


class Python(Model):
    """A program traced from a Python function of a vector of parameters, and one of data if there are any."""

    kind: Literal["python"]
    target: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), such_as("my_module:loss")]
    """The function, as "module:function"; modules beside the scenario file are found."""
    parameters: Annotated[Count, Unit("parameter"), such_as(2)]
    """How many parameters the function takes."""
    data: Annotated[Index, Unit("column")] = 0
    """How many data columns it takes."""
    convention: Convention = "tensorflow"
    """The derivative at ties: a framework's, or a table of your own."""


class Stored(Model):
    """A program that simsa has traced and written to a file, once for each tie convention."""

    kind: Literal["stored"]
    file: Annotated[str, Field(min_length=1), such_as("program.json")]
    """The file, relative to the scenario's folder."""
    data: Annotated[Index, Unit("column")] = 0
    """How many data columns the program takes."""
    convention: Convention = "tensorflow"
    """The derivative at ties: of one of the conventions that the file has."""


class Torch(Model):
    """A model of PyTorch, which a function makes: it returns (net, example_inputs, loss)."""

    kind: Literal["torch"]
    target: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), such_as("my_module:model")]
    """The function, as "module:function"; modules beside the scenario file are found."""
    data: Index = 0
    """How many data columns the model takes: the entries of its example inputs."""
    convention: Convention = "pytorch"
    """The derivative at ties: a framework's, or a table of your own."""


class Jax(Model):
    """A function of JAX, which a function makes: it returns (loss, params, *example_inputs)."""

    kind: Literal["jax"]
    target: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), such_as("my_module:model")]
    """The function, as "module:function"; modules beside the scenario file are found."""
    data: Index = 0
    """How many data columns the model takes: the entries of its example inputs."""
    convention: Convention = "jax"
    """The derivative at ties: a framework's, or a table of your own."""


class Sgd(Model):
    """The recursion x_{k+1} = x_k - c alpha_k grad f_{I_k}(x_k), unless [optimizer] names another rule."""

    steps: Annotated[Count, Unit("step"), such_as(1000)]
    """How many steps each trajectory takes."""
    batch: Batch = PAPER
    """The law of the minibatch I_k."""
    step_size: Annotated[StepSize, such_as({"family": "power", "exponent": 0.75})]
    """The family of alpha_k, before the scale c."""
    radius: Annotated[Positive, Unit("x")] = 1e6
    """A trajectory with a coordinate above this is unbounded, and stops."""
    bits: Annotated[
        int, Field(ge=64), INTEGRAL, Unit("bit"), Idle(lambda scenario, bits: EXACT not in scenario.precisions)
    ] = 4096
    """An exact trajectory stops when a coordinate's numerator or denominator has more bits."""

    @model_validator(mode="before")
    @classmethod
    def _moved(cls, said: Any) -> Any:
        """Refuse the key that [optimizer] has replaced."""
        if isinstance(said, dict) and "rule" in said:
            raise problem("the table [optimizer] says how a step is taken; write optimizer.kind = ...", "rule")
        return said

    @model_validator(mode="after")
    def _long_enough(self) -> "Sgd":
        if isinstance(self.step_size, Table) and len(self.step_size.values) < self.steps:
            got = len(self.step_size.values)
            raise problem(f"expected at least {self.steps} values (sgd.steps), got {got}", "step_size", "values")
        return self


class Bits(Model):
    """A floating-point format by its bits, of IEEE 754's kind, which the reference engine computes with."""

    significand: Annotated[int, Field(ge=2, le=INNOCUOUS), INTEGRAL, such_as(4)]
    """Bits of the significand, the hidden one included."""
    exponent: Annotated[int, Field(ge=2, le=8), INTEGRAL, such_as(4)]
    """Bits of the exponent."""
    own_sums: bool = False
    """Whether sums and dot products are rounded in each step; otherwise they are accumulated in float32."""

    @property
    def name(self) -> str:
        """Return the name of the format."""
        return (
            custom(self.significand, self.exponent, "") if self.own_sums else custom(self.significand, self.exponent)
        ).name


Precision = Annotated[
    Annotated[str, OneOf(PRECISIONS), Tag("a string")] | Annotated[Bits, Tag("a table")], Discriminator(spelling)
]
"""A format by its name, the rational numbers, or a format by its bits."""


def _names(listed: Sequence[str | Bits]) -> tuple[str, ...]:
    """Return the names of formats."""
    return tuple(one if isinstance(one, str) else one.name for one in listed)


class Sweep(Model):
    """The axes of the experiment; a cell is one value of each."""

    c: Annotated[
        Annotated[Annotated[Items[PositiveRatio], Field(min_length=1)], Tag("a list")]
        | Annotated[Scales, Tag("a table")],
        Discriminator(spelling),
        such_as([0.1, "1/3", 1]),
    ]
    """Step scales: a list of numbers or fractions such as "1/3", or a law that draws or spaces them."""
    trajectories: Annotated[Count, Unit("trajectory"), such_as(1000)]
    """How many trajectories in each cell."""
    convention: Annotated[
        Annotated[Items[Convention], Field(min_length=1)] | None, such_as(["tensorflow", "pytorch"])
    ] = None
    """Tie conventions to compare on the same random numbers, in place of the program's one."""
    precision: Annotated[Items[Precision], Field(min_length=1)] = (FLOAT64.name,)
    """What to compute with, on the same random numbers: "float64", "float32", "exact" (rational numbers, slow), a
    format of 16 or 8 bits (slow), or a table with its bits."""
    axes: Annotated[
        dict[str, Annotated[Items[Any], Field(min_length=1)]],
        Idle(lambda scenario, axes: not axes),
        Field(default_factory=dict, examples=[{"sgd.batch.size": [1, 8]}]),
    ]
    """Further axes, on the same random numbers: by the key of another table, its values. A value that is a table may
    have a label, which names it."""


class Record(Model):
    """What is kept of each trajectory, besides its events and its end."""

    checkpoints: Annotated[
        Annotated[Count, Tag("a number")] | Annotated[Items[Index], Tag("a list")],
        Discriminator(spelling),
        Unit("step"),
    ] = 11
    """Steps at which J is evaluated: how many, equally spaced, or a list of them."""
    objective_trajectories: Annotated[Index, Unit("trajectory")] = 64
    """J is evaluated for the first so many trajectories of each cell; it costs n sample losses each time."""
    points: Literal["auto", "all", "none"] = "auto"
    """Whether final points and points of ties are kept; "auto" keeps them while they are small."""
    classify: Annotated[Index, Unit("point"), Idle()] = 100
    """At most so many sensitive points, and so many final points, of each cell are classified afterwards; 0 for none.
    Equal ones are one."""


class Claim(Model):
    """A known answer: the probability of an event in some cells. It is tested on the records, and changes none."""

    event: Annotated[str, such_as("landed")]
    """What happens to a trajectory: landed, sensitive, tied, unbounded, not_finite, artificial, clarke, settled; or the
    name of an observable with `hit_below`, which it hits."""
    c: Annotated[Annotated[Items[PositiveRatio], Field(min_length=1)] | None, such_as(["1/3"])] = None
    """The step scales it is about, numbers or fractions such as "1/3"; all if left out."""
    convention: Annotated[Annotated[Items[Convention], Field(min_length=1)] | None, such_as(["tensorflow"])] = None
    """The tie conventions it is about; all if left out."""
    precision: Annotated[Annotated[Items[Precision], Field(min_length=1)] | None, such_as(["exact"])] = None
    """The formats it is about; all if left out."""
    setting: Annotated[
        Annotated[Items[str], Field(min_length=1)] | None,
        Idle(),
        such_as(["8"]),
    ] = None
    """The settings it is about, by their names; all if left out."""
    probability: Annotated[Probability, such_as("1/7")]
    """The known answer, a number or a fraction such as "1/7"."""
    text: Annotated[str, Field(min_length=1), such_as("one of the seven minibatches has the mean 1/c")]
    """Where it comes from, in one line."""

    @model_validator(mode="after")
    def _is_probability(self) -> "Claim":
        if rational(self.probability) > 1:
            raise problem(f"expected a probability up to 1, got '{self.probability}'", "probability")
        return self

    def labels(self) -> tuple[str, ...] | None:
        """Return the labels of the claim's conventions, as cells have them; None for all conventions."""
        listed = self.convention
        return None if listed is None else tuple(primitives.convention(one).label for one in listed)

    def precisions(self) -> tuple[str, ...] | None:
        """Return the names of the claim's formats; None for all."""
        return None if self.precision is None else _names(self.precision)

    def scales(self) -> tuple[float, ...] | None:
        """Return the claim's step scales in float64, as cells have them; None for all step scales."""
        return None if self.c is None else tuple(float(rational(c)) for c in self.c)


class Observe(Model):
    """A function of the parameters that is recorded of every trajectory at the checkpoints."""

    name: Annotated[Name, such_as("distance")]
    """Names it in the records and in the summary."""
    expression: Annotated[str, Field(min_length=1), such_as("abs(x)")]
    """A formula in the parameters: by their names for kind "expression", else x[0], x[1], ..., sum(x[2:5])."""
    hit_below: Annotated[float | None, such_as(1e-3)] = None
    """A trajectory has hit at its first checkpoint where the value is at most this; left out, hits are not recorded."""


class Run(Model):
    """How the work is cut up; it changes no result, and is no part of the digest."""

    block: Annotated[Index, Unit("trajectory")] = 0
    """Trajectories in one block of work; 0 chooses by the size of the program."""
    engine: Literal["auto", "reference", "interpreter", "specialised"] = "auto"
    """What runs the program. The reference is slow and needs no compilation, the interpreter is compiled once for all
    programs, the specialised engine for each and is the fastest; "auto" takes the one that is done first."""


class Scenario(Model):
    """A whole experiment, as a scenario file states it."""

    scenario: Header
    """What the experiment is called, and its seed."""
    program: Annotated[Expression | Network | Python | Stored | Torch | Jax, Field(discriminator="kind")]
    """The loss of one sample."""
    data: Data | None = None
    """The samples; without data J is the program itself."""
    sgd: Sgd
    """The recursion: steps, minibatches, step sizes."""
    optimizer: Annotated[AnyOptimizer, Idle(lambda scenario, optimizer: optimizer == PLAIN)] = PLAIN
    """How a step is taken with gradient and step size; SGD if left out."""
    initial: Initial = Normal()
    """The law of x_0."""
    sweep: Sweep
    """The axes: step scales, trajectories, conventions, precisions."""
    record: Record = Record()
    """What is kept of each trajectory."""
    observe: Annotated[Items[Observe], Idle(lambda scenario, observe: not observe)] = ()
    """Functions of the parameters that are recorded of every trajectory at the checkpoints."""
    claim: Annotated[Items[Claim], Idle()] = ()
    """Known answers, which the summary tests."""
    run: Annotated[Run, Idle()] = Run()
    """How the work is cut up."""

    _path: Path = PrivateAttr(default=Path("scenario.toml"))
    _settings: dict[str, "Scenario"] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> "Scenario":
        uses_data = isinstance(self.program, Network) or bool(self.program.data)
        if self.data is not None and not uses_data:
            raise problem("the program uses no data; name the columns it uses", "program", "data")
        if self.data is None and uses_data:
            raise problem("missing table; the program uses data", "data")
        if isinstance(self.data, Stream):
            batch = self.sgd.batch
            if batch.law != "fixed_size":
                raise problem(
                    f"expected 'fixed_size', as samples are streamed, got '{batch.law}'", "sgd", "batch", "law"
                )
            if batch.replace:
                raise problem("expected false: each streamed sample is drawn afresh", "sgd", "batch", "replace")
        for i, one in enumerate(self.observe):
            if one.name in [other.name for other in self.observe[:i]]:
                raise problem(f"the name '{one.name}' stands for two things", "observe", i, "name")
            if one.name in set(Event):
                raise problem(f"'{one.name}' is an event of every run; expected another name", "observe", i, "name")
        events = (*Event, *(one.name for one in self.observe if one.hit_below is not None))
        for i, claim in enumerate(self.claim):
            if claim.event not in events:
                raise problem(f"expected {choices(events)}, got '{claim.event}'", "claim", i, "event")
        self._distinct()
        if self.observe and self.record.checkpoints == ():
            raise problem("expected at least one, for the observables to be taken at", "record", "checkpoints")
        if EXACT in self.precisions and isinstance(why := self.sgd.step_size.exact(1), str):
            raise problem(f"alpha_k = {why}, or leave out the precision 'exact'", "sgd", "step_size")
        if EXACT in self.precisions and (why := self.optimizer.rule.irrational):
            raise problem(f"{why}; leave out the precision 'exact'", "optimizer", "kind")
        listed = self.record.checkpoints
        if isinstance(listed, tuple):
            if list(listed) != sorted(set(listed)):
                raise problem("expected increasing steps", "record", "checkpoints")
            if listed and listed[-1] > self.sgd.steps:
                late = f"expected steps up to {self.sgd.steps} (sgd.steps), got {listed[-1]}"
                raise problem(late, "record", "checkpoints", len(listed) - 1)
        return self

    def _distinct(self) -> None:
        """Refuse a value that is listed twice on an axis of the sweep, since its cells would be the same.

        Step scales are compared in float64.
        """
        axes: tuple[tuple[str, Sequence[object]], ...] = (
            ("c", self.c_values().tolist()),
            ("convention", [one.label for one in self.conventions]),
            ("precision", self.precisions),
        )
        for axis, values in axes:
            first: dict[object, int] = {}
            for i, value in enumerate(values):
                if (j := first.setdefault(value, i)) < i:
                    place = () if axis == "c" and isinstance(self.sweep.c, Scales) else (i,)
                    raise problem(f"expected distinct values, numbers {j} and {i} are {value!r}", "sweep", axis, *place)

    @property
    def path(self) -> Path:
        """Return the scenario file, in whose folder data files and modules are looked for."""
        return self._path

    @property
    def settings(self) -> Mapping[str, "Scenario"]:
        """Return a scenario for each setting by its name, in the order of their cells; without axes, itself by "".

        A setting is a value of each of `sweep.axes`; its scenario has these values, and no axes.
        """
        return self._settings or {"": self}

    @property
    def conventions(self) -> tuple[primitives.Convention, ...]:
        """Return the tie conventions of the sweep, in the order of their cells."""
        listed = (self.program.convention,) if self.sweep.convention is None else self.sweep.convention
        return tuple(primitives.convention(one) for one in listed)

    @property
    def precisions(self) -> tuple[str, ...]:
        """Return the formats of the sweep, in the order of their cells."""
        return _names(self.sweep.precision)

    def c_values(self) -> NDArray[np.float64]:
        """Return the distinct step scales c in float64, shape (number of them,), all > 0.

        Scales that are drawn depend on the seed alone.
        """
        if isinstance(self.sweep.c, Scales):
            return self.sweep.c.values(self.scenario.seed)
        return np.array([float(rational(c)) for c in self.sweep.c])

    def scales(self) -> tuple[Fraction, ...]:
        """Return the step scales as fractions: as written if listed, else the shortest decimals of their float64."""
        written = self.c_values().tolist() if isinstance(self.sweep.c, Scales) else self.sweep.c
        return tuple(map(rational, written))

    def exact_steps(self) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """Return the step scales and alpha_0 .. alpha_{steps-1} as fractions, without rounding.

        Listed scales are the numbers as written; scales by a law are its float64 numbers. Raises ScenarioError if
        alpha_k is not rational.
        """
        alpha = self.sgd.step_size.exact(self.sgd.steps)
        if isinstance(alpha, str):
            raise ScenarioError(f"{self.path}: sgd.step_size: alpha_k = {alpha}")
        if isinstance(self.sweep.c, Scales):
            return tuple(map(Fraction, self.c_values().tolist())), alpha
        return tuple(map(rational, self.sweep.c)), alpha

    def alpha(self) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1}, shape (steps,); raises ScenarioError if one overflows, or rounds to 0."""
        alpha = self.sgd.step_size.alpha(self.sgd.steps)
        if not np.isfinite(alpha).all():
            raise ScenarioError(f"{self.path}: sgd.step_size: alpha_{int(np.argmin(np.isfinite(alpha)))} is infinite")
        if not alpha.all():
            raise ScenarioError(f"{self.path}: sgd.step_size: alpha_{int(np.argmin(alpha != 0))} rounds to 0")
        return alpha

    def checkpoints(self) -> NDArray[np.int64]:
        """Return the steps before which J is recorded, increasing, int64, shape (k,); `sgd.steps` means the end."""
        listed = self.record.checkpoints
        if isinstance(listed, int):
            count = listed
            listed = tuple(i * self.sgd.steps // (count - 1) for i in range(count)) if count > 1 else (self.sgd.steps,)
        return np.unique(np.array(listed, dtype=np.int64))

    def digest(self, samples: NDArray[np.float64]) -> str:
        """Return the SHA-256, in hexadecimal, of the scenario with its defaults and of its data.

        samples: as `rows` reads them, shape (n, d). Left out is what changes no record: a key says so itself (`Idle`).
        """
        counted = self.model_dump(mode="json", exclude=idle(self, self))
        hashed = hashlib.sha256(json.dumps(counted, sort_keys=True, separators=(",", ":")).encode())
        hashed.update(samples.astype("<f8").tobytes())
        return hashed.hexdigest()


def rows(scenario: Scenario) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the names of the data columns and the samples, float64, shape (n, d), all finite.

    The columns are those that `program.data` names, in its order; if it names none, all columns, the target last.
    Without data there is one sample without numbers, shape (1, 0). With streamed samples the shape is (0, d), where
    d = 0 if the program does not name its data. Raises DataError, with file, line and column, for bad data, and
    ScenarioError if there are fewer samples than a minibatch needs.
    """
    program, source = scenario.program, scenario.data
    if source is None:
        return (), np.zeros((1, 0))
    names = program.data if isinstance(program, Expression) else ()
    if isinstance(source, Stream):
        return names, np.zeros((0, len(names)))
    place = f"{scenario.path}: data"
    read = source.read(scenario.path, names, scenario.scenario.seed)
    columns = finish(select(read, names, place), source.limit, source.standardise, place)
    n, d = columns.rows.shape
    if isinstance(program, Python | Stored | Torch | Jax) and d != program.data:
        raise DataError(f"{place}: expected {program.data} columns (program.data), got {d}")
    enough(scenario, n)
    return columns.names, columns.rows


def enough(scenario: Scenario, n: int) -> None:
    """Raise ScenarioError if a minibatch without replacement is larger than the number n of samples."""
    batch = scenario.sgd.batch
    if scenario.data is not None and not isinstance(scenario.data, Stream) and batch.size > n and not batch.replace:
        raise ScenarioError(f"{scenario.path}: sgd.batch.size: {batch.size} samples asked for, there are {n}")


def remarks(scenario: Scenario) -> tuple[str, ...]:
    """Return what is unusual about how the data of a scenario are laid out, each in a line."""
    return scenario.data.remarks(scenario.path) if isinstance(scenario.data, Csv) else ()


def json_schema() -> dict[str, object]:
    """Return the JSON schema of scenario files, as committed under schema/ for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema()}


def hypotheses(scenario: Scenario, samples: int) -> tuple[Hypothesis, ...]:
    """Return the hypotheses of Theorems 4 and 7, and how a scenario meets each.

    samples: the number of samples, as `rows` reads them; for streamed samples it is not used. Warnings, tables and
    verdicts use this list. "Covered by the proof" follows from the proofs (Sections D and E of the paper): they hold
    for any f_I from a finite set that are iid with the selection gradient of J as their mean, and for any steps
    gamma_k = o(1/log k). That almost no x_0 lands in finite time is proved for any law of I_k.
    """
    c, batch = scenario.c_values(), scenario.sgd.batch
    drawn = isinstance(scenario.sweep.c, Scales) and scenario.sweep.c.drawn
    chosen = "chosen, not drawn: it may be one of the exceptions"
    decided = {True: Met.AS_STATED, False: Met.NOT_MET, None: Met.OPEN}

    def judged(theorem: str, hypothesis: Asked, holds: bool | None, why: str) -> Hypothesis:
        return Hypothesis(theorem, hypothesis, decided[holds], why)

    if isinstance(scenario.data, Stream):
        why = (
            "each step draws fresh samples, so J is an expectation and no union of null sets over the f_I is a null set"
        )
        law = Met.NOT_MET, "there are no indices to draw: each sample is drawn afresh"
        finite: tuple[Hypothesis, ...] = (Hypothesis("4 and 7", Asked.FINITE_SUM, Met.NOT_MET, why),)
    else:
        law, finite = batch.row.met(samples, batch.size, batch.replace), ()
    if not (rule := scenario.optimizer.rule).paper:
        why = f"steps are those of {rule.textbook}: {rule.known}"
        finite = (*finite, Hypothesis("4 and 7", Asked.RECURSION, Met.NOT_MET, why))
    within, above = (tuple(c[chosen_c].tolist()) for chosen_c in (c <= 1, c > 1))
    many = f"{len(above)} of the {len(c)} step scales" if len(c) > 1 else "the step scale"
    rescaled = (
        f"{many} above 1: each is c = 1 with the steps c alpha_k, which are o(1/log k) if alpha_k is, and the "
        "exceptional c are countably many among all c > 0"
    )
    scales = (
        Hypothesis("4", Asked.UNIT, Met.AS_STATED, "so are these step scales", within if above else None),
        Hypothesis("4", Asked.UNIT, Met.COVERED, rescaled, above if within else None),
    )
    return (
        *finite,
        judged("4 and 7", Asked.VANISHING, *scenario.sgd.step_size.vanishing),
        judged("4", Asked.DIVERGENT, *scenario.sgd.step_size.divergent),
        *(one for one, some in zip(scales, (within, above), strict=True) if some),
        judged("4", Asked.ALMOST_ALL_C, drawn or None, f"c is {'drawn from a density' if drawn else chosen}"),
        Hypothesis("4 and 7", Asked.BATCHES, *law),
        judged("4 and 7", Asked.STARTS, *scenario.initial.density),
        judged("4 and 7", Asked.BOUNDED, None, "the records count the trajectories that left the ball"),
    )


def warnings(scenario: Scenario, samples: int) -> tuple[str, ...]:
    """Return a line for each hypothesis of `hypotheses` that a scenario does not meet. samples: as for `hypotheses`."""
    return tuple(
        f"{scenario.path}: warning: a hypothesis of Theorem {h.theorem} is not met: {h.hypothesis}: {h.why}"
        for h in hypotheses(scenario, samples)
        if h.state == Met.NOT_MET
    )
