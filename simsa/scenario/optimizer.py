"""The table [optimizer] of a scenario file: a class for each row of `simsa.rules`, made from the row."""

import math
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import Discriminator, Field, Tag, create_model, model_validator

from simsa import rules
from simsa.scenario.model import Items, Model, NumberOrRatio, inside, problem, rational, spelling, such_as


class Clip(Model):
    """How the mean gradient of the minibatch is clipped, before anything else: by its norm, or each coordinate."""

    norm: Annotated[NumberOrRatio | None, such_as(1.0)] = None
    """The largest Euclidean norm of g: above 0."""
    value: Annotated[NumberOrRatio | None, such_as(0.5)] = None
    """The largest |g| of a coordinate: above 0."""

    @model_validator(mode="after")
    def _one(self) -> "Clip":
        """Refuse two ways to clip, none, and numbers that are not above 0."""
        _chosen(self, "norm", "value")
        for name in ("norm", "value"):
            if (said := getattr(self, name)) is not None and rational(said) <= 0:
                raise problem(f"expected a number above 0, got {said}", name)
        return self


class Project(Model):
    """Where x_{k+1} is projected: on a box, or on a ball around 0. x_0 is not."""

    box: Annotated[Items[NumberOrRatio] | None, such_as([-1.0, 1.0])] = None
    """The lower and the upper bound of each coordinate."""
    ball: Annotated[NumberOrRatio | None, such_as(2.0)] = None
    """The radius of the Euclidean ball: above 0."""

    @model_validator(mode="after")
    def _one(self) -> "Project":
        """Refuse two sets, none, and sets without an inside."""
        _chosen(self, "box", "ball")
        if self.box is not None and (len(self.box) != 2 or not rational(self.box[0]) < rational(self.box[1])):
            raise problem(f"expected a lower and an upper bound, [-1.0, 1.0], got {list(self.box)}", "box")
        if self.ball is not None and rational(self.ball) <= 0:
            raise problem(f"expected a number above 0, got {self.ball}", "ball")
        return self


class Tail(Model):
    """The average of the last iterates."""

    tail: Annotated[NumberOrRatio, such_as(0.5)]
    """The share of the steps whose x_{k+1} are averaged: above 0, up to 1."""

    @model_validator(mode="after")
    def _share(self) -> "Tail":
        """Refuse what is no share."""
        if not 0 < rational(self.tail) <= 1:
            raise problem(f"expected a number above 0, up to 1, got {self.tail}", "tail")
        return self


Average = Annotated[
    Annotated[Literal["uniform"], Tag("a string")] | Annotated[Tail, Tag("a table")], Discriminator(spelling)
]


def _chosen(table: Model, *names: str) -> None:
    """Refuse a table that has not exactly one of some keys."""
    if sum(getattr(table, name) is not None for name in names) != 1:
        raise problem(f"expected one of {' and '.join(map(repr, names))}")


class Optimizer(Model):
    """A rule for steps with its numbers and modifiers. row: the rule without modifiers."""

    row: ClassVar[rules.Rule]
    kind: str
    weight_decay: NumberOrRatio = 0.0
    """The weight of |x|^2 / 2, whose gradient is added to g: from 0 on."""
    clip: Annotated[Clip | None, such_as({"norm": 1.0})] = None
    """How the mean gradient is clipped; left out, it is not."""
    project: Annotated[Project | None, such_as({"box": [-1.0, 1.0]})] = None
    """Where x_{k+1} is projected; left out, nowhere."""
    average: Annotated[Average | None, such_as("uniform")] = None
    """Which iterates x_1, x_2, ... are averaged besides, "uniform" for all; left out, none."""

    @model_validator(mode="after")
    def _within(self) -> "Optimizer":
        """Refuse numbers outside the ranges that the rule gives, and lists of another length."""
        for key, names in _listed(self.row).items():
            said = getattr(self, key)
            if isinstance(said, tuple) and len(said) != len(names):
                raise problem(f"expected {len(names)} numbers ({', '.join(names)}), got {len(said)}", key)
            for i, name in enumerate(names):
                value = said[i] if isinstance(said, tuple) else said
                if not self.row.numbers[name].has(rational(value)):
                    place = (key, i) if isinstance(said, tuple) else (key,)
                    raise problem(f"expected a number {self.row.numbers[name].words}, got {value}", *place)
        if rational(self.weight_decay) < 0:
            raise problem(f"expected a number from 0 on, got {self.weight_decay}", "weight_decay")
        return self

    @property
    def _modifiers(self) -> dict[str, dict[str, Fraction]]:
        """Return the modifiers by name, and the numbers of each by name, but for those that depend on the steps."""
        found: dict[str, dict[str, Fraction]] = {}
        if self.clip is not None and self.clip.value is not None:
            found["clip_value"] = {"clip": rational(self.clip.value)}
        if self.clip is not None and self.clip.norm is not None:
            found["clip_norm"] = {"norm": rational(self.clip.norm)}
        if "weight_decay" not in self.row.numbers and rational(self.weight_decay):
            found["weight_decay"] = {"weight_decay": rational(self.weight_decay)}
        if self.project is not None and self.project.box is not None:
            low, high = map(rational, self.project.box)
            found["project_box"] = {"low": low, "high": high}
        if self.project is not None and self.project.ball is not None:
            found["project_ball"] = {"radius": rational(self.project.ball)}
        if self.average is not None:
            found["average"] = {}
        return found

    @property
    def rule(self) -> rules.Rule:
        """Return the rule with its modifiers."""
        return rules.modified(self.row, list(self._modifiers))

    def values(self, steps: int) -> tuple[Fraction, ...]:
        """Return the numbers of the rule as they were written, in its order. steps: how many steps there are."""
        found: dict[str, Fraction] = {}
        for key, names in _listed(self.row).items():
            said = getattr(self, key)
            several = said if isinstance(said, tuple) else (said,)
            found.update(zip(names, map(rational, several), strict=True))
        for numbers in self._modifiers.values():
            found.update(numbers)
        if self.average is not None:
            share = rational(self.average.tail) if isinstance(self.average, Tail) else 1
            found["skipped"] = Fraction(steps - math.ceil(share * steps))
        return tuple(found[name] for name in self.rule.numbers)


def _listed(row: rules.Rule) -> dict[str, list[str]]:
    """Return the keys for the numbers of a rule, and the names of the numbers that each has."""
    found: dict[str, list[str]] = {}
    for name, one in row.numbers.items():
        found.setdefault(one.key or name, []).append(name)
    return found


def _table(row: rules.Rule) -> type[Optimizer]:
    """Return the class for a row of `simsa.rules`. Raises ValueError if a number has the name of another key."""
    fields: dict[str, Any] = {"kind": (Literal[row.name], Field(description="Which rule."))}
    for key, names in _listed(row).items():
        if key in Optimizer.model_fields and key != rules.WEIGHT_DECAY.name:
            raise ValueError(f"{row.name}: '{key}' is a key of every optimizer, and no name for a number of one")
        several = [row.numbers[name] for name in names]
        said = "; ".join(f"{one.meaning}: {one.words}" for one in several)
        defaults = tuple(one.default for one in several)
        examples = [inside(one.low, one.high) for one in several]
        listed, kind = bool(several[0].key), Items[NumberOrRatio] if several[0].key else NumberOrRatio
        more: dict[str, Any] = {"default": defaults if listed else defaults[0]}
        if None in defaults:
            more = {"examples": [examples if listed else examples[0]]}
        fields[key] = (kind, Field(description=f"{said}.", **more))
    made = create_model(row.name, __base__=Optimizer, __doc__=row.textbook, **fields)
    made.row = row
    return made


TABLES = {row.name: _table(row) for row in rules.RULES.values()}
"""The classes, by the names of their rules."""

PLAIN: Any = TABLES[rules.SGD.name].model_validate({"kind": rules.SGD.name})
"""Stochastic gradient descent, which is the default."""

AnyOptimizer: Any = Annotated[Union[tuple(TABLES.values())], Discriminator("kind")]  # noqa: UP007 - a tuple of classes
