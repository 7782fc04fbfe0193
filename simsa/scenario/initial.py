"""Laws of the initial point x_0. To add a law, add a row to `simsa.laws.STARTS`, or a class here and in `TABLES`.

A law does not draw x_0. It returns the numbers that the random number generator needs to draw it (`Ingredients`).
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, Union

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, create_model, model_validator

from simsa import laws
from simsa.errors import ScenarioError
from simsa.scenario.model import (
    LONGEST_DRAW,
    Count,
    Idle,
    Items,
    Model,
    Unit,
    bounded,
    inside,
    problem,
    spelling,
    such_as,
)
from simsa.scenario.reals import linear

_GRID_LIMIT = 10**7


Number = Annotated[
    Annotated[float, Tag("a number")] | Annotated[Items[float], Tag("a list")], Discriminator(spelling), Unit("x")
]
NonNegativeNumber = Annotated[
    Annotated[float, Field(ge=0), Tag("a number")] | Annotated[Items[Annotated[float, Field(ge=0)]], Tag("a list")],
    Discriminator(spelling),
]


class Ingredients(NamedTuple):
    """The numbers that x_0 is drawn with.

    kind: "normal" for center + scale z with z standard normal, "uniform" for the box of center +- scale, "points",
    where trajectory t starts at point t mod m, or the name of a law in `simsa.laws.STARTS`. center, scale: float64,
    shape (p,). points: float64, shape (m, p); m = 0 unless the kind is "points". numbers: (name, value) each, of
    a law of `STARTS`.
    """

    kind: str
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    points: NDArray[np.float64]
    numbers: tuple[tuple[str, float], ...] = ()


class ParameterRange(Protocol):
    """The weights or biases of one layer of a network, as `Program.ranges` lists them."""

    @property
    def kind(self) -> str:
        """Return "weight" or "bias"."""

    @property
    def start(self) -> int:
        """Return the first parameter."""

    @property
    def stop(self) -> int:
        """Return the parameter after the last."""

    @property
    def fan_in(self) -> int:
        """Return the number of inputs of a unit of the layer."""

    @property
    def fan_out(self) -> int:
        """Return the number of units of the layer."""


def _check_length(values: Sequence[float], parameters: int, key: str) -> None:
    """Refuse a list that does not have one number for each parameter."""
    if len(values) != parameters:
        raise ScenarioError(f"initial.{key}: expected {parameters} numbers (one a parameter), got {len(values)}")


def _each(value: float | tuple[float, ...], parameters: int, key: str) -> NDArray[np.float64]:
    """Return one number for each parameter, shape (p,); a single number is repeated."""
    if isinstance(value, tuple):
        _check_length(value, parameters, key)
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (parameters,)))


def _box(
    low: float | tuple[float, ...], high: float | tuple[float, ...], parameters: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of a box in R^p, each of shape (p,)."""
    below, above = _each(low, parameters, "low"), _each(high, parameters, "high")
    if (below > above).any():
        j = int(np.argmax(below > above))
        raise ScenarioError(f"initial.low: expected low <= high, got {below[j]:g} > {above[j]:g} for parameter {j}")
    return below, above


def _no_points(parameters: int) -> NDArray[np.float64]:
    """Return the empty table of points, shape (0, p)."""
    return np.zeros((0, parameters))


def _zeros(parameters: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the center and scale of a law that lists points, which does not use them."""
    return np.zeros(parameters), np.zeros(parameters)


class Normal(Model):
    """x_0 = center + scale z, with z standard normal."""

    law: Literal["normal"] = "normal"
    center: Number = 0.0
    """The mean: one number for all parameters, or a list with one for each."""
    scale: NonNegativeNumber = 1.0
    """The standard deviation, likewise; 0 fixes a coordinate."""

    @model_validator(mode="after")
    def _bounded(self) -> "Normal":
        bounded(self.center, self.scale, "scale", LONGEST_DRAW)
        return self

    @property
    def density(self) -> tuple[bool, str]:
        """Tell whether x_0 has a density (the theorems speak of almost all x_0), and why."""
        fixed = self.scale == 0 or (isinstance(self.scale, tuple) and 0 in self.scale)
        return not fixed, "a coordinate of scale 0 is not random" if fixed else "x_0 is normal"

    def ingredients(self, parameters: int, ranges: Sequence[ParameterRange] = ()) -> Ingredients:
        """Return the numbers that x_0 in R^p is drawn with; raises ScenarioError if a list does not have p entries."""
        center, scale = _each(self.center, parameters, "center"), _each(self.scale, parameters, "scale")
        return Ingredients("normal", center, scale, _no_points(parameters))


class Uniform(Model):
    """x_0 is uniform on the box [low, high], rounded to center +- scale."""

    law: Literal["uniform"]
    low: Number = -1.0
    """The lower corner: one number for all parameters, or a list with one for each."""
    high: Number = 1.0
    """The upper corner, likewise; equal to `low` it fixes a coordinate."""

    @model_validator(mode="after")
    def _bounded(self) -> "Uniform":
        bounded(self.low, self.high, "high")
        return self

    @property
    def density(self) -> tuple[bool, str]:
        """Tell whether x_0 has a density (the theorems speak of almost all x_0), and why."""
        fixed = bool(np.equal(self.low, self.high).any())
        return not fixed, "a coordinate with low = high is not random" if fixed else "x_0 is uniform on a box"

    def ingredients(self, parameters: int, ranges: Sequence[ParameterRange] = ()) -> Ingredients:
        """Return the numbers that x_0 in R^p is drawn with.

        Raises ScenarioError if a list does not have p entries, or if low > high.
        """
        low, high = _box(self.low, self.high, parameters)
        return Ingredients("uniform", (low + high) / 2, (high - low) / 2, _no_points(parameters))


class Points(Model):
    """x_0 is one of the given points: trajectory t starts at point t mod m."""

    law: Literal["points"]
    points: Annotated[
        Items[Annotated[Items[float], Field(min_length=1)]], Field(min_length=1), Unit("x"), such_as([[0.0], [1.0]])
    ]
    """The points, each a list of one number for each parameter."""

    @property
    def density(self) -> tuple[bool, str]:
        """Tell whether x_0 has a density (the theorems speak of almost all x_0), and why."""
        return False, "x_0 is chosen, not drawn; finitely many points have measure zero"

    def ingredients(self, parameters: int, ranges: Sequence[ParameterRange] = ()) -> Ingredients:
        """Return the points; raises ScenarioError if one does not have p coordinates."""
        for i, point in enumerate(self.points):
            _check_length(point, parameters, f"points.{i}")
        return Ingredients("points", *_zeros(parameters), np.array(self.points, dtype=np.float64))


class Grid(Model):
    """x_0 is a point of a rectangular grid on [low, high], the last parameter running fastest."""

    law: Literal["grid"]
    low: Annotated[Number, such_as(-1.0)]
    """The lower corner, included: one number for all parameters, or a list with one for each."""
    high: Annotated[Number, such_as(1.0)]
    """The upper corner, included."""
    count: Annotated[
        Annotated[Count, Tag("a number")] | Annotated[Items[Count], Tag("a list")],
        Discriminator(spelling),
        Unit("point"),
        such_as(5),
    ]
    """Points along each axis: one number for all parameters, or a list."""

    @property
    def density(self) -> tuple[bool, str]:
        """Tell whether x_0 has a density (the theorems speak of almost all x_0), and why."""
        return False, "x_0 is on a grid; finitely many points have measure zero"

    def ingredients(self, parameters: int, ranges: Sequence[ParameterRange] = ()) -> Ingredients:
        """Return the points of the grid.

        Raises ScenarioError if a list does not have p entries, or if the points have more than 10^7 coordinates.
        """
        low, high = _box(self.low, self.high, parameters)
        counts = _each(self.count, parameters, "count").astype(np.int64).tolist()
        if math.prod(counts) * parameters > _GRID_LIMIT:
            raise ScenarioError(f"initial.count: {math.prod(counts)} points of {parameters} numbers are too many")
        axes = [
            [linear(a, b, Fraction(i, max(n - 1, 1))) for i in range(n)]
            for a, b, n in zip(low, high, counts, strict=True)
        ]
        return Ingredients("points", *_zeros(parameters), np.array(list(itertools.product(*axes)), dtype=np.float64))


class _Network(Model):
    """The laws of He and of Glorot: the variance of a weight depends on its layer; all biases have one scale."""

    distribution: Literal["normal", "uniform"] = "normal"
    """The law of each weight; both have the same variance."""
    bias: Annotated[float, Field(ge=0)] = 0.0
    """The scale of the biases (standard deviation, or half the width); 0 starts them at 0."""
    zero: Annotated[Items[Count], Idle(lambda scenario, zero: not zero), such_as([1])] = ()
    """Layers whose weights and biases all start at 0: 1 is the first layer with parameters."""

    @model_validator(mode="after")
    def _bounded(self) -> "_Network":
        bounded(0.0, self.bias, "bias", LONGEST_DRAW)
        return self

    def variance(self, part: ParameterRange) -> float:
        """Return the variance of a weight of the range `part`."""
        raise AssertionError("each law has its own")

    @property
    def density(self) -> tuple[bool, str]:
        """Tell whether x_0 has a density (the theorems speak of almost all x_0), and why."""
        if self.zero:
            return False, f"layer {', '.join(map(str, self.zero))} starts at 0: not random"
        return (
            self.bias > 0,
            "weights and biases are drawn" if self.bias > 0 else "the biases start at 0: not random",
        )

    def ingredients(self, parameters: int, ranges: Sequence[ParameterRange] = ()) -> Ingredients:
        """Return the numbers that x_0 in R^p is drawn with.

        Raises ScenarioError if the weights and biases in `ranges` are not all of the parameters, or if there is no
        layer of a number in `zero`.
        """
        scale = np.full(parameters, np.nan)
        layer = 0
        for part in ranges:
            layer += part.kind == "weight"
            spread = self.bias
            if part.kind == "weight":
                spread = math.sqrt(self.variance(part) * (3 if self.distribution == "uniform" else 1))
            scale[part.start : part.stop] = 0.0 if layer in self.zero else spread
        if np.isnan(scale).any():
            raise ScenarioError("initial.law: this law is for networks, whose layers it scales by")
        if late := [i for i in self.zero if i > layer]:
            raise ScenarioError(f"initial.zero: the network has {layer} layers with parameters, got {late[0]}")
        return Ingredients(self.distribution, np.zeros(parameters), scale, _no_points(parameters))


class He(_Network):
    """Weights of variance 2 / fan_in (He et al., ICCV 2015)."""

    law: Literal["he"]

    def variance(self, part: ParameterRange) -> float:
        """Return 2 / fan_in."""
        return 2.0 / part.fan_in


class Glorot(_Network):
    """Weights of variance 2 / (fan_in + fan_out) (Glorot and Bengio, AISTATS 2010)."""

    law: Literal["glorot"]

    def variance(self, part: ParameterRange) -> float:
        """Return 2 / (fan_in + fan_out)."""
        return 2.0 / (part.fan_in + part.fan_out)


class Added(Model):
    """A law of a user's own, with its numbers."""

    row: ClassVar[laws.Start]

    @model_validator(mode="after")
    def _within(self) -> "Added":
        """Refuse numbers that are not where the law has them."""
        for name, one in self.row.numbers.items():
            if not one.has(got := getattr(self, name)):
                raise problem(f"expected a number {one.words}, got {got}", name)
        return self

    @property
    def density(self) -> tuple[bool, str]:
        """Tell whether x_0 has a density (the theorems speak of almost all x_0), and why."""
        return self.row.dense, f"the law '{self.row.name}' has {'a' if self.row.dense else 'no'} density"

    def ingredients(self, parameters: int, ranges: Sequence[ParameterRange] = ()) -> Ingredients:
        """Return what draws x_0 in R^p."""
        numbers = tuple((name, getattr(self, name)) for name in self.row.numbers)
        return Ingredients(self.row.name, *_zeros(parameters), _no_points(parameters), numbers)


def _table(row: laws.Start) -> type[Added]:
    """Return the class of a row."""
    numbers: dict[str, Any] = {
        name: (float, Field(description=f"{one.meaning}: {one.words}.", examples=[inside(one.low, one.high)]))
        for name, one in row.numbers.items()
    }
    fields: dict[str, Any] = {"law": (Literal[row.name], ...), **numbers}
    made = create_model(row.name, __base__=Added, __doc__=row.textbook, **fields)
    made.row = row
    return made


TABLES = (Normal, Uniform, Points, Grid, He, Glorot, *map(_table, laws.STARTS.values()))
"""The classes of the laws; a new one is a class above and its name here, or a row elsewhere."""

Initial: Any = Annotated[Union[TABLES], Field(discriminator="law")]  # noqa: UP007 - a tuple of classes
