"""The base class of the tables of a scenario file, and types of values that several tables use."""

import difflib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    Tag,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from simsa.vocabulary import Asked, Met

T = TypeVar("T")

Items = Annotated[tuple[T, ...], Field(strict=False)]
"""A TOML list as a tuple. The list itself is not strict, since pydantic's strict mode takes no list for a tuple."""


def _integral(value: Any) -> Any:
    """Return a float without a fractional part as the integer that it is, and anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL = BeforeValidator(_integral)
"""Annotates an `int` that may be written as a number without a fractional part, such as 1e6."""

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1), INTEGRAL]
Index = Annotated[int, Field(ge=0), INTEGRAL]
Seed = Annotated[int, Field(ge=0, lt=2**64), INTEGRAL]


def such_as(example: Any) -> Any:
    """Return what annotates a key without a default with an example of its value, which messages and editors show."""
    return Field(examples=[example])


def inside(low: float, high: float) -> float:
    """Return a number between two bounds, which may be infinite, as an example."""
    low = max(low, min(high, 0.0) - 1.0)
    return (low + min(high, low + 1)) / 2


TAGS = ("kind", "source", "law", "family", "name")
"""The keys whose value chooses one of several classes for a table."""


class Model(BaseModel):
    """A table of a scenario file: strict types, no unknown keys, no infinities, frozen.

    The docstring of a class or of a key is its description in the JSON schema.
    """

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, frozen=True, use_attribute_docstrings=True
    )


class Idle:
    """Annotates a key that may change no record: then it is no part of the digest. A key without it always counts.

    when: tells of a scenario and the value of the key whether it changes no record there; if left out, it never does.
    A new key has a neutral value, `Idle(lambda scenario, value: value == NEUTRAL)`: older scenarios keep their digests.
    """

    def __init__(self, when: Callable[[Any, Any], bool] | None = None) -> None:
        self.always = when is None
        self.when = when or (lambda scenario, value: True)


@dataclass(frozen=True)
class Unit:
    """Annotates a key with the unit of its numbers, which the reference of the keys shows: Unit("step").

    name: of the unit, in the singular; "x" stands for that of the parameters. A key without this mark has no unit.
    """

    name: str


def idle(table: Model, scenario: Any) -> dict[str, Any]:
    """Return the keys of a table that change no record of a scenario, as `model_dump` excludes them.

    A key is mapped to True if all below it is idle, else to the idle keys of its table, or of its tables by number.
    """
    found: dict[str, Any] = {}
    for name, key in type(table).model_fields.items():
        value = getattr(table, name)
        if any(mark.when(scenario, value) for mark in key.metadata if isinstance(mark, Idle)):
            found[name] = True
        elif isinstance(value, Model):
            found[name] = idle(value, scenario)
        elif isinstance(value, tuple):
            found[name] = {i: idle(one, scenario) for i, one in enumerate(value) if isinstance(one, Model)}
    return {name: inner for name, inner in found.items() if inner}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" if a known name is close to `name`, and else the list of the known names."""
    names = list(known)
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.6):
        return f"did you mean '{close[0]}'?"
    return f"expected {choices(names)}" if names else "nothing is known here"


SPELLINGS = ("a number", "a string", "a list", "a table", "true or false")
"""The kinds of TOML values, as messages call them; they are also the tags of unions of several kinds."""


def spelling(value: object) -> str:
    """Return which of SPELLINGS a value is."""
    match value:
        case bool():
            return "true or false"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case dict() | BaseModel():
            return "a table"
    return "a number"


def rational(value: float | str) -> Fraction:
    """Return a number or fraction as it was written.

    value: a fraction as text, or a float, which is taken as the shortest decimal number that rounds to it.

    >>> rational("1/7"), rational(0.1)
    (Fraction(1, 7), Fraction(1, 10))
    """
    return Fraction(value if isinstance(value, str) else repr(value))


def _positive(value: str) -> str:
    """Refuse a text that is not a fraction of integers, and a fraction outside the range of positive float64."""
    if not (re.fullmatch(RATIO, value) and SMALLEST < Fraction(value) < LARGEST):
        raise problem(f"expected a number > 0, or a fraction such as \"1/3\", got '{value}'")
    return value


RATIO = r"[0-9]+/0*[1-9][0-9]*"
SMALLEST, LARGEST = Fraction(sys.float_info.min), Fraction(sys.float_info.max)

Ratio = Annotated[str, AfterValidator(_positive), Field(json_schema_extra={"pattern": f"^{RATIO}$"})]
"""A positive fraction of integers as a string, such as "1/3". It need not be a float64."""

PositiveRatio = Annotated[
    Annotated[Positive, Tag("a number")] | Annotated[Ratio, Tag("a string")], Discriminator(spelling)
]
"""A number above 0, or a positive fraction as a string."""

Probability = Annotated[
    Annotated[float, Field(ge=0, le=1), Tag("a number")] | Annotated[Ratio, Tag("a string")], Discriminator(spelling)
]
"""A number from 0 to 1, or a positive fraction; the table that has it checks that a fraction is at most 1."""


def _ratio(value: str) -> str:
    """Refuse a text that is not an integer or a fraction of integers."""
    if not re.fullmatch(SIGNED, value):
        raise problem(f"expected a number, or a fraction such as \"9/10\", got '{value}'")
    return value


SIGNED = r"-?[0-9]+(/0*[1-9][0-9]*)?"

NumberOrRatio = Annotated[
    Annotated[float, Tag("a number")]
    | Annotated[str, AfterValidator(_ratio), Field(json_schema_extra={"pattern": f"^{SIGNED}$"}), Tag("a string")],
    Discriminator(spelling),
]
"""A number of any sign, or a fraction of integers as a string: "9/10"."""


LONGEST_DRAW = 10.0
"""A bound of |z| for drawn standard normal z: they are made of uniform numbers with 53 bits, so |z| is below 8.6."""


def bounded(
    center: float | tuple[float, ...], scale: float | tuple[float, ...], key: str, longest: float = 1.0
) -> None:
    """Refuse a law that can draw a number beyond the range of float64.

    center, scale: of the law, each a number or a list. key: the key that the message names. longest: the bound of |z|,
    so that draws are up to |center| + longest · |scale|. Lists of different lengths are refused elsewhere. Raises the
    pydantic error of `problem`.
    """
    middle, spread = (np.abs(np.atleast_1d(np.asarray(side, np.float64))) for side in (center, scale))
    with np.errstate(over="ignore"):
        fits = len({middle.size, spread.size} - {1}) < 2
        finite = not fits or bool(np.isfinite(middle + longest * spread).all())
    if not finite:
        raise problem("expected a law that draws finite numbers, got one that reaches beyond float64", key)


class OneOf:
    """Annotates a `str` that must be one of the names of a Python table, so that the names are listed only there."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a choice between the names, which editors show as an enumeration."""
        return core_schema.literal_schema(self.names)


@dataclass(frozen=True)
class Hypothesis:
    """How a hypothesis of the paper's theorems is met in a run, as far as the scenario tells.

    theorem: its number in Bolte and Pauwels (NeurIPS 2020), such as "4 and 7". hypothesis: which hypothesis. state: how
    it is met. why: the reason, in a sentence that can stand alone. c: the step scales that this holds for, or None for
    all.
    """

    theorem: str
    hypothesis: Asked
    state: Met
    why: str
    c: tuple[float, ...] | None = None


def problem(message: str, *key: str | int) -> PydanticCustomError:
    """Return the error for a validator of several keys. key: the path from its table to the key that is wrong."""
    return PydanticCustomError("scenario", "{message}", {"message": message, "key": key})


def choices(names: Iterable[object]) -> str:
    """Return names, of which there must be one at least, as "'a', 'b' or 'c'" for messages."""
    *head, last = [f"'{name}'" for name in names]
    return f"{', '.join(head)} or {last}" if head else last
