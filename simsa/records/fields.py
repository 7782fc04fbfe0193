"""The fields of the records: one row each, which has everything that is known of the field.

To record something more, add a row, with what computes it from the other records of a block (`of`). The arrays on disk,
the attributes that say what they mean, the comparison of records, replays and the table in `docs/reference/records.md`
follow from the rows. Only what has to be watched at every step has no `of`: it is one of the entries of the state that
the recursion keeps, in its definition (`machine.replay`) and in the kernels (`kernels.descent`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from numpy.typing import NDArray

from simsa.records.status import Status

CELL, TRAJECTORY = "cell", "trajectory"
PARAMETER, CHECKPOINT, OBSERVABLE, KEPT = "parameter", "checkpoint", "observable", "kept"
"""The names of the axes of the records."""

NAN = float("nan")


@dataclass(frozen=True)
class Field:
    """A recorded field.

    name: of the array on disk. dtype: of its numbers on disk. fill: the number that is stored for trajectories that
    have not been run. axes: the names of the axes after (cell, trajectory). meaning: one line, which is stored beside
    the array. units: "1" if it has none. of: computes the field from the arrays that the engine returns for a block, by
    name, each with the trajectory as its first axis: the fields without `of`, `final` among them, whatever is kept; it
    returns an array of shape (count, *axes). None if the engine records the field itself. numbers: the closed set that
    its numbers are from, or None. note: what the documentation adds, in Markdown.

    The text of a row, except `of`, `numbers` and `note`, is part of the digest `Layout.arrays` that records hold: when
    it changes, records that were begun before cannot be continued.
    """

    name: str
    dtype: str
    fill: float
    axes: tuple[str, ...]
    meaning: str
    units: str = "1"
    of: Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]] | None = field(default=None, repr=False)
    numbers: type[IntEnum] | None = field(default=None, repr=False)
    note: str = field(default="", repr=False)


FIELDS = [
    Field("stopped", "int32", -1, (), "step at which the run stopped", "step"),
    Field("tie_first", "int32", -1, (), "first step with an exact tie; -1 if none", "step"),
    Field("tie_count", "int32", -1, (), "number of steps with an exact tie"),
    Field(
        "tie_sample", "int32", -1, (), "row of the data at the first tie; -1 if none",
        note="of streamed samples, the place in the minibatch",
    ),
    Field(
        "sensitive_first", "int32", -1, (), "first step with a decisive tie; -1 if none", "step",
        note="the gradient there depends on how its ties are decided ([here](../theory/definitions.md#sensitive))",
    ),
    Field("margin", "float64", NAN, (), "smallest |guard| seen; inf if the program has no guard"),
    Field("movement", "float64", NAN, (), "largest change of a parameter in the last step"),
    Field("objective", "float64", NAN, (CHECKPOINT,), "J before the step; nan where it was not evaluated"),
    Field(
        "observe", "float64", NAN, (CHECKPOINT, OBSERVABLE), "observables before the step; nan once a run stopped",
        note="they are what the scenario's `observe` lists ([below](#observables))",
    ),
    Field("hit", "int32", -1, (OBSERVABLE,), "first checkpoint with observable <= hit_below; -1 if none", "step"),
    Field("final", "float64", NAN, (PARAMETER,), "parameters at the end"),
    Field(
        "state", "float64", NAN, (KEPT, PARAMETER), "state of the optimizer at the end",
        note="of rules that keep one, such as a momentum or an average of the iterates",
    ),
    Field(
        "sensitive_point", "float64", NAN, (PARAMETER,), "parameters at the first tie; nan if none",
        note="the tie of step `sensitive_first`",
    ),
    Field("status", "uint8", int(Status.NOT_RUN), (), "how the run ended", numbers=Status),
]  # fmt: skip
"""What is recorded of each trajectory, in the order in which it is stored. `status` is last: until it is stored, a
trajectory has not been run."""


def add(row: Field) -> None:
    """Record one more field of every trajectory, from now on. row: has `of`.

    Raises ValueError if there is a field of this name already, or if nothing computes it.
    """
    if row.name in [f.name for f in FIELDS]:
        raise ValueError(f"there is a field '{row.name}' already")
    if row.of is None:
        raise ValueError(f"the field '{row.name}' has no `of`: nothing would compute it")
    FIELDS.insert(-1, row)  # `status` stays the last: it says that a trajectory has been run


def derived(fields: Iterable[Field], values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return what an engine recorded of a block, and the fields that are computed from it.

    fields: those that are kept. values: by name, as `Field.of` takes them.
    """
    return {**values, **{f.name: f.of(values) for f in fields if f.of}}


def table(fields: Iterable[Field] = FIELDS) -> Iterator[str]:
    """Yield the lines of a Markdown table of fields: name, axes after (cell, trajectory), unit and meaning of each."""
    yield "| record | for each | unit | meaning |"
    yield "|---|---|---|---|"
    for f in fields:
        numbers = [f"{one.value} = {getattr(one, 'words', one.name)}" for one in f.numbers or ()]
        said = "; ".join([f.meaning, *numbers, *[f.note] * bool(f.note)]).replace("|", "\\|")
        yield f"| `{f.name}` | {', '.join(f.axes)} | {'' if f.units == '1' else f.units} | {said} |"
