"""The table [sgd.rule] of a scenario file: a class for each row of `simsa.rules`, made from the row."""

from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import Discriminator, Field, create_model, model_validator

from simsa import rules
from simsa.scenario.model import Model, NumberOrRatio, inside, problem, rational


class Ruled(Model):
    """A rule for steps with its numbers. row: the rule."""

    row: ClassVar[rules.Rule]

    @model_validator(mode="after")
    def _within(self) -> "Ruled":
        """Refuse numbers outside the ranges that the rule gives."""
        for name, (low, high, _) in self.row.numbers.items():
            if not low <= rational(getattr(self, name)) < high:
                got = getattr(self, name)
                raise problem(f"expected a number from {low:g} to below {high:g}, got {got}", name)
        return self

    @property
    def values(self) -> tuple[Fraction, ...]:
        """Return the numbers as they were written, in the rule's order."""
        return tuple(rational(getattr(self, name)) for name in self.row.numbers)


def _table(row: rules.Rule) -> type[Ruled]:
    """Return the class for a row of `simsa.rules`."""
    numbers: dict[str, Any] = {
        name: (
            NumberOrRatio,
            Field(description=f"{meaning}: from {low:g} to below {high:g}.", examples=[inside(low, high)]),
        )
        for name, (low, high, meaning) in row.numbers.items()
    }
    fields: dict[str, Any] = {"name": (Literal[row.name], Field(description="Which rule.")), **numbers}
    made = create_model(row.name, __base__=Ruled, __doc__=f"{row.textbook}: x - {row.change}.", **fields)
    made.row = row
    return made


TABLES = {row.name: _table(row) for row in rules.RULES.values()}
"""The classes, by the names of their rules."""

PLAIN: Any = TABLES[rules.SGD.name].model_validate({"name": rules.SGD.name})
"""Stochastic gradient descent, which is the default."""

StepRule: Any = Annotated[Union[tuple(TABLES.values())], Discriminator("name")]  # noqa: UP007 - a tuple of classes
