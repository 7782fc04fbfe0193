"""What kernels are given, by name: Numba compiles named tuples as it compiles their members.

`kind` is the type of numbers, float64 or float32; all other floats are float64. A lane vector is as many numbers as fit
in 256 bits. Places are indices into `values`, as `machine.layout` lays the registers out.
"""

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray


class Code(NamedTuple):
    """A tape: instructions, their operands, and what they read beside registers.

    lines: (instructions, 10), in the columns of `engine`. at: (operands, 4), a place, and how far it is to the next
    group, sample and run. modes: (operands,), what an operand's adjoint receives. numbers: immediates and tie weights.
    rows, guards: the tables of the user's selections. seeds: (q,), the places of the outputs. clear: those of registers
    that may receive nothing.
    """

    lines: NDArray[np.int64]
    at: NDArray[np.int64]
    modes: NDArray[np.int8]
    numbers: NDArray[np.float64]
    rows: NDArray[np.int64]
    guards: NDArray[np.int64]
    seeds: NDArray[np.int64]
    clear: NDArray[np.int64]


class Shape(NamedTuple):
    """How registers lie in memory.

    parameters: their number p. data_at: the place of the first register behind them. step: from a register's place to
    the next one's. size: how many numbers hold all registers. longest: most operands of an instruction. groups,
    samples: lane vectors of a register; a parameter has one for each group.
    """

    parameters: int
    data_at: int
    step: int
    size: int
    longest: int
    groups: int
    samples: int


class Constants(NamedTuple):
    """The registers that are constant: their places and values, each of shape (constants,)."""

    places: NDArray[np.int64]
    values: NDArray[np.float64]


class Walks(NamedTuple):
    """The compiled walks of an engine by address, 0 where it has none, and what they do with memory.

    update: the walk of the rule, of which the others know nothing. bytes: of a number of theirs. assigns: parameters'
    adjoints are written before they are added to, if `fresh`. keeps: the gradient leaves every register in memory.
    """

    forward: int
    backward: int
    gradient: int
    advance: int
    march: int
    update: int
    sensitive: int
    bytes: int
    assigns: bool
    keeps: bool


class Samples(NamedTuple):
    """The samples and the law of the minibatch.

    rows: n samples, one after the other, in `kind`. law: its number in `streams`. batch, replace: size of a minibatch,
    and whether it is drawn with replacement. largest: most samples of a minibatch. scratch: numbers that `streams`
    needs for a trajectory. kinds, shares, center, scale: the law of streamed samples, as `streams.sample` takes it; the
    rows are then those of J alone. key: of the random numbers.
    """

    rows: NDArray[np.floating]
    n: int
    law: int
    batch: int
    replace: bool
    largest: int
    scratch: int
    kinds: NDArray[np.int64]
    shares: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    key: np.uint64


class Recursion(NamedTuple):
    """Recursion (8) of the paper, or another rule, and what is looked at.

    gamma: (steps,), the step sizes c alpha_k. radius: a trajectory that leaves |x|_inf <= radius stops. epsilon: the
    distance from 1 to the next number of `kind`. roundings: how many may lie one behind the other in a walk back.
    blocks: of random weights at the ties of one sample. checkpoints: ascending steps before which J is recorded, for
    trajectories below `observed`. numbers: those of the rule.
    """

    gamma: NDArray[np.float64]
    radius: float
    epsilon: float
    roundings: int
    blocks: int
    checkpoints: NDArray[np.int64]
    observed: int
    numbers: NDArray[np.float64]


class Memory(NamedTuple):
    """What the walks write: values and adjoints of all registers, |guards| and which samples count.

    values, adjoints: (size,). margin, valid: (step,), the smallest |guard| of each lane, and whether its sample belongs
    to the minibatch. order: (longest,), for sorting.
    """

    values: NDArray[np.floating]
    adjoints: NDArray[np.floating]
    margin: NDArray[np.floating]
    valid: NDArray[np.floating]
    order: NDArray[np.int64]


class Scratch(NamedTuple):
    """What a chunk of trajectories, one for each lane of all groups, needs besides: across = groups * lanes of them.

    drawn: (groups, room, lanes), the samples of the minibatches; room is a multiple of the samples of a register.
    sizes, limit: (across,), how many there are, as integers and in `kind`. private: (across, scratch), for `streams`.
    running, tied: (across,), whether a trajectory runs, and whether a guard of this step is 0. pace: (4 * across,), the
    step size, the inverse of the minibatch's size, the radius, and the smallest |guard| so far. moved: (across,), the
    largest change of a parameter in the last step. binary: (groups,), whether all sizes are powers of two. previous:
    what the parameters were before the step. held: (s * p * across,), the state of the rule. total: (across,), of J.
    index: (step,), the samples of J. u, v, fresh: of a streamed sample. The others are those of the walk `sensitive`,
    whose adjoints are `convention`, and whose sizes are `contributions`.
    """

    drawn: NDArray[np.int64]
    sizes: NDArray[np.int64]
    limit: NDArray[np.floating]
    private: NDArray[np.int64]
    running: NDArray[np.bool_]
    tied: NDArray[np.bool_]
    pace: NDArray[np.floating]
    moved: NDArray[np.floating]
    binary: NDArray[np.bool_]
    previous: NDArray[np.floating]
    held: NDArray[np.floating]
    total: NDArray[np.floating]
    index: NDArray[np.int64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]
    fresh: NDArray[np.float64]
    convention: NDArray[np.floating]
    deltas: NDArray[np.floating]
    contributions: NDArray[np.floating]
    absolute: NDArray[np.floating]
    draws: NDArray[np.floating]
    marks: NDArray[np.int64]
    jumps: NDArray[np.bool_]
    counter: NDArray[np.int64]


def _array(dtype, dimensions=1):
    return types.Array(dtype, dimensions, "C")


_INTEGERS, _WORDS, _FLOATS = _array(types.int64), _array(types.int64, 2), _array(types.float64)
CODE = types.NamedTuple((_WORDS, _WORDS, _array(types.int8), _FLOATS, _WORDS, _WORDS, _INTEGERS, _INTEGERS), Code)
SHAPE = types.NamedUniTuple(types.int64, len(Shape._fields), Shape)


def memory(kind):
    """Return the type of `Memory` for a type of numbers."""
    return types.NamedTuple((*(_array(kind),) * 4, _INTEGERS), Memory)
