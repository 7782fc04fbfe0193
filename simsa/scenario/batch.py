"""Laws of the minibatch I_k (paper, Section 5.2): one class for each row of `simsa.laws.MINIBATCHES`, made from it."""

from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import Field, create_model

from simsa import laws
from simsa.scenario.model import Count, Model, Unit, such_as


class Drawn(Model):
    """A law of the minibatch."""

    row: ClassVar[laws.Law]
    law: str


class Whole(Drawn):
    """A law that needs no size."""

    size: ClassVar[int] = 0
    replace: ClassVar[bool] = False


class Sized(Drawn):
    """A law with a size."""

    size: Annotated[Count, Unit("sample"), such_as(8)]
    """Samples in each minibatch."""
    replace: ClassVar[bool] = False


class Repeating(Drawn):
    """A law with a size, which may draw a sample twice."""

    size: Annotated[Count, Unit("sample"), such_as(8)]
    """Samples in each minibatch."""
    replace: bool = False
    """Whether a sample may be drawn twice in one minibatch."""


PAPER = "uniform_subset"
"""The law of the paper, which is also what a scenario has that says nothing."""


def _table(row: laws.Law) -> type[Drawn]:
    """Return the class of a row."""
    base: type[Drawn] = Repeating if row.repeats else Sized if row.sized else Whole
    title = "".join(part.title() for part in row.name.split("_"))
    fields: dict[str, Any] = {"law": (Literal[row.name], row.name if row.name == PAPER else ...)}
    made = create_model(title, __base__=base, __doc__=row.meaning, **fields)
    made.row = row
    return made


TABLES = {row.name: _table(row) for row in laws.MINIBATCHES.values()}
"""The class of each row, by its name."""

PLAIN: Any = TABLES[PAPER].model_validate({"law": PAPER})

Batch: Any = Annotated[Union[tuple(TABLES.values())], Field(discriminator="law")]  # noqa: UP007 - a tuple of classes
