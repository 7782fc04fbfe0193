"""The progress of a block of trajectories, which every engine begins and advances; and their records at the end."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import TapeError
from simsa.kernels.state import State
from simsa.machine.task import Descent, Scale
from simsa.tape import Tape


@dataclass(frozen=True)
class Progress:
    """The progress of a block of trajectories before a step.

    c: their step scale. first: the number of the first trajectory. step: the number k of the next step. state: x_k and
    the records so far, each with the trajectory as its first axis. A run that is continued from here has the bits of
    one that was never interrupted.
    """

    c: Scale
    first: int
    step: int
    state: State


def begun(tape: Tape, descent: Descent, c: Scale, first: int, x: NDArray[Any], zero: Any) -> Progress:
    """Return trajectories first, first + 1, ... before their first step.

    tape: of the program. descent: the recursion. c: the step scale. x: (count, p), x_0 of each. zero: the number 0 of
    its arithmetic. Rational numbers are recorded in float64. Raises TapeError for a program with several outputs.
    """
    if len(tape.outputs) != 1:
        raise TapeError(f"descent needs a program with one output, this one has {len(tape.outputs)}")
    (count, p), checkpoints = x.shape, len(descent.checkpoints)
    kept = np.dtype(np.float64) if x.dtype == object else x.dtype
    state = State(
        x=x,
        held=np.full((count, len(descent.rule.state), p), zero, x.dtype),
        status=np.zeros(count, np.uint8),
        stopped=np.full(count, descent.steps, np.int32),
        tie_first=np.full(count, -1, np.int32),
        tie_count=np.zeros(count, np.int32),
        tie_sample=np.full(count, -1, np.int32),
        sensitive_first=np.full(count, -1, np.int32),
        sensitive_point=np.full((count, p), np.nan, kept),
        margin=np.full(count, np.inf),
        objective=np.full((count, checkpoints), np.nan),
        movement=np.full(count, np.nan if descent.steps else 0.0),
        snapshots=np.full((count, checkpoints * descent.snapshots, p), np.nan, kept),
    )
    return Progress(c, first, 0, state)


def records(descent: Descent, progress: Progress) -> dict[str, NDArray[Any]]:
    """Return the records of trajectories after their last step.

    Each has the trajectory as its first axis: status (`records.status`), stopped (step), tie_first, tie_count,
    tie_sample (row of the data; if streamed, place in the minibatch), sensitive_first, sensitive_point (count, p),
    margin, final (count, p), state (count, s, p), if the rule keeps s numbers for each parameter, objective (count,
    checkpoints), movement (of the last step, if the trajectory finished), and snapshots (count, checkpoints, p), if
    `descent.snapshots`. Where there is no such step, its number is -1, and
    its point or number is NaN. Rational numbers are rounded to float64.
    """
    found = progress.state._asdict()
    x, held = found.pop("x"), found.pop("held")
    if x.dtype == object:
        x, held = (np.array(list(map(nearest, values.flat)), np.float64).reshape(values.shape) for values in (x, held))
    if not descent.snapshots:
        del found["snapshots"]
    return {**found, "final": x, **({"state": held} if descent.rule.state else {})}


def nearest(number: Any) -> float:
    """Return the float64 nearest to a number: an infinity beyond the range of float64, and NaN if it is undefined."""
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf
