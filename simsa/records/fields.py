"""The fields of the records: one row each, which has everything that is known of the field.

To record something more, add a row here, and compute it where the trajectories are run. The arrays on disk, the
attributes that say what they mean, the comparison of records and the table in `docs/definitions.md`
(`python -m simsa.records`) follow from the rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from simsa.records.status import Status

CELL, TRAJECTORY = "cell", "trajectory"
PARAMETER, CHECKPOINT, OBSERVABLE = "parameter", "checkpoint", "observable"
"""The names of the axes of the records."""

NAN = float("nan")


@dataclass(frozen=True)
class Field:
    """A recorded field.

    name: of the array on disk. dtype: of its numbers on disk. fill: the number that is stored for trajectories that
    have not been run. axes: the names of the axes after (cell, trajectory). meaning: one line, which is stored beside
    the array. units: "1" if it has none. numbers: the closed set that its numbers are from, or None. note: what the
    documentation adds, in Markdown.

    The text of a row, except `numbers` and `note`, is part of the digest `Layout.arrays` that records hold: when it
    changes, records that were begun before cannot be continued.
    """

    name: str
    dtype: str
    fill: float
    axes: tuple[str, ...]
    meaning: str
    units: str = "1"
    numbers: type[IntEnum] | None = field(default=None, repr=False)
    note: str = field(default="", repr=False)


FIELDS = (
    Field("stopped", "int32", -1, (), "step at which the run stopped", "step"),
    Field("tie_first", "int32", -1, (), "first step with an exact tie; -1 if none", "step"),
    Field("tie_count", "int32", -1, (), "number of steps with an exact tie"),
    Field(
        "tie_sample", "int32", -1, (), "row of the data at the first tie; -1 if none",
        note="of streamed samples, the place in the minibatch",
    ),
    Field(
        "sensitive_first", "int32", -1, (), "first step with a decisive tie; -1 if none", "step",
        note="the gradient of that step depends on how its ties are decided (below)",
    ),
    Field("margin", "float64", NAN, (), "smallest |guard| seen; inf if the program has no guard"),
    Field("movement", "float64", NAN, (), "largest change of a parameter in the last step"),
    Field("objective", "float64", NAN, (CHECKPOINT,), "J before the step; nan where it was not evaluated"),
    Field(
        "observe", "float64", NAN, (CHECKPOINT, OBSERVABLE), "observables before the step; nan once a run stopped",
        note="they are what the scenario's `observe` lists ([exact.md](exact.md))",
    ),
    Field("hit", "int32", -1, (OBSERVABLE,), "first checkpoint with observable <= hit_below; -1 if none", "step"),
    Field("final", "float64", NAN, (PARAMETER,), "parameters at the end"),
    Field(
        "sensitive_point", "float64", NAN, (PARAMETER,), "parameters at the first tie; nan if none",
        note="the tie of step `sensitive_first`",
    ),
    Field("status", "uint8", int(Status.NOT_RUN), (), "how the run ended", numbers=Status),
)  # fmt: skip
"""What is recorded of each trajectory, in the order in which it is stored. `status` is last: until it is stored, a
trajectory has not been run."""


def table(fields: Iterable[Field] = FIELDS) -> Iterator[str]:
    """Yield the lines of a Markdown table of fields: name, axes after (cell, trajectory), unit and meaning of each."""
    yield "| record | for each | unit | meaning |"
    yield "|---|---|---|---|"
    for f in fields:
        numbers = [f"{one.value} = {getattr(one, 'words', one.name)}" for one in f.numbers or ()]
        said = "; ".join([f.meaning, *numbers, *[f.note] * bool(f.note)]).replace("|", "\\|")
        yield f"| `{f.name}` | {', '.join(f.axes)} | {'' if f.units == '1' else f.units} | {said} |"
