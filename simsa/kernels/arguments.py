"""What kernels are given, by name: Numba compiles a named tuple as it compiles its members.

`kind` is the type of numbers, float64 or float32; all other floats are float64. A lane vector is as many numbers of
this type as fit in 256 bits: 4 or 8. A place is an index into `values`, as `machine.layout` lays the registers out.
"""

from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

OP, OUT, OUTS, FIRST, COUNT, NUMBER, BRANCH, FLAGS, TIMES, DRAWS = range(10)
"""The columns of `Code.lines`.

OP: the opcode. OUT, OUTS: the place of the first output, and how many outputs an instruction has. FIRST, COUNT: the
first operand, as an index into `Code.at`, and how many operands an instruction has. NUMBER: the index in
`Code.numbers` of its first number. BRANCH: the index in `Code.rows` of its first row. FLAGS: a sum of GUARDED, ADJOINED
and SHARED. TIMES: how many like instructions the line stands for. DRAWS: its first block of random weights.
"""

GUARDED, ADJOINED, SHARED = 1, 2, 4
"""Flags of an instruction: its guards depend on parameters, so that a gap of 0 is a tie; adjoints are passed through
it; its weights and biases are copies of parameters."""

STEP_SIZE, INVERSE_SIZE, RADIUS, MARGIN = range(4)
"""The rows of `Scratch.lane_numbers`: the step size, 1 over the size of the minibatch, the radius of the ball, and the
smallest |guard| so far."""


class Code(NamedTuple):
    """A tape: instructions, their operands, and what they read besides registers.

    lines: (instructions, 10), whose columns are OP, ..., DRAWS. at: (operands, 4), the place of an operand, and the
    distance from it to its next group, to its next sample, and to the same operand of the next instruction of a run.
    modes: (operands,), how an operand's adjoint receives: 0 not at all, 1 it is assigned, 2 it is added to. numbers:
    immediates and tie weights. rows, guards: the branch tables of selections that users wrote. seeds: (q,), the places
    of the outputs. clear: the places of the registers whose adjoints no instruction may assign.
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

    parameters: their number p. data_at: the place of the first register after the parameters. step: the distance from
    the place of such a register to the next one's. size: how many numbers hold all registers. longest: the largest
    number of operands of an instruction. groups, samples: a register has groups * samples lane vectors, a parameter one
    for each group.
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
    """The addresses of an engine's compiled walks, 0 where it has none, and facts about them.

    forward, backward: the two walks over the tape. gradient: both in one. fused_step: one step, which updates the
    parameters of a dense layer as soon as their gradient is complete. step_loop: several steps, with parameters in
    the registers of the processor. update: the step of the rule, after a gradient. sensitive: the walk of
    `kernels.sensitivity`. bytes: the size of a number of the type that they were compiled for. assigns: whether the
    gradient assigns the parameters' adjoints, if it is told so, instead of adding to them. keeps: whether the gradient
    leaves the value of every register in memory.
    """

    forward: int
    backward: int
    gradient: int
    fused_step: int
    step_loop: int
    update: int
    sensitive: int
    bytes: int
    assigns: bool
    keeps: bool


class Samples(NamedTuple):
    """The samples and the law of the minibatch.

    rows: n samples, one after the other, in `kind`; if samples are streamed, those that J is estimated on. law: the
    number of the law in `streams`. batch, replace: the size of a minibatch, and whether it is drawn with replacement.
    largest: the largest number of samples of a minibatch. scratch: how many integers of scratch `streams` needs for a
    trajectory. kinds, shares, center, scale: the law of streamed samples, as `streams.sample` takes it. key: of the
    random numbers.
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
    """Recursion (8) of the paper, or another rule, and what is recorded of it.

    gamma: (steps,), the step sizes c alpha_k. radius: a trajectory that leaves |x|_inf <= radius stops. epsilon: the
    distance from 1 to the next number of `kind`. roundings: the largest number of roundings that follow each other in a
    backward walk. blocks: of random weights for the ties of one sample. checkpoints: the steps, in ascending order,
    before which J is recorded, for trajectories with numbers below `observed`. numbers: those of the rule. losses:
    whether the rule uses the mean of the losses of the minibatch; then the walks leave the value of every register in
    memory.
    """

    gamma: NDArray[np.float64]
    radius: float
    epsilon: float
    roundings: int
    blocks: int
    checkpoints: NDArray[np.int64]
    observed: int
    numbers: NDArray[np.float64]
    losses: bool


class Memory(NamedTuple):
    """What the walks write: values and adjoints of all registers, the smallest |guard|, and which samples count.

    values, adjoints: (size,). margin: (step,), the smallest |guard| of each lane. valid: (step,), 1 if the sample of
    the lane belongs to its minibatch, else 0. order: (longest,), scratch for sorting.
    """

    values: NDArray[np.floating]
    adjoints: NDArray[np.floating]
    margin: NDArray[np.floating]
    valid: NDArray[np.floating]
    order: NDArray[np.int64]


class Differences(NamedTuple):
    """What the walk `sensitive` writes (`kernels.sensitivity`).

    deltas: (size,), the adjoints under random weights minus those of the convention. sizes: (size,), the sums of the
    absolute contributions to them. absolute: (size,), |values|. draws: the random weights of an instruction, in lane
    vectors, in whole blocks of four. marks: scratch, as many integers as there are rows and guards, and one more.
    jumps: (groups * lanes,), whether tied pieces differ in value. counter: (6,), where the random numbers are: its
    entries are named in `kernels.sensitivity`.
    """

    deltas: NDArray[np.floating]
    sizes: NDArray[np.floating]
    absolute: NDArray[np.floating]
    draws: NDArray[np.floating]
    marks: NDArray[np.int64]
    jumps: NDArray[np.bool_]
    counter: NDArray[np.int64]


class Scratch(NamedTuple):
    """What a chunk of trajectories needs besides its registers; across = groups * lanes trajectories are a chunk.

    drawn: (groups, room, lanes), flat, the samples of the minibatches; room is a multiple of the samples of a register.
    sizes, float_sizes: (across,), the sizes of the minibatches, as integers and in `kind`; 0 for a lane whose
    trajectory does not run. private: (across, scratch), for `streams`. running: (across,), whether a trajectory runs.
    tied: (across,), whether a guard of this step is 0. lane_numbers: (4 * across,), whose rows are STEP_SIZE, ...,
    MARGIN. moved: (across,), the largest change of a parameter in the last step. binary: (groups,), whether the sizes
    of all minibatches of a group are powers of two. previous: (p * across,), the parameters before the step. held:
    (s * p * across,), the state of the rule. total: (across,), the sum in J, or that of the losses of a minibatch.
    index: (step,), the samples that J is computed of. u, v, fresh: for drawing a streamed sample. convention: (size,),
    the adjoints of the convention in the walk `sensitive`. differences: what that walk writes.
    """

    drawn: NDArray[np.int64]
    sizes: NDArray[np.int64]
    float_sizes: NDArray[np.floating]
    private: NDArray[np.int64]
    running: NDArray[np.bool_]
    tied: NDArray[np.bool_]
    lane_numbers: NDArray[np.floating]
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
    differences: Differences


def _array(dtype, dimensions=1):
    return types.Array(dtype, dimensions, "C")


_INTEGERS, _WORDS, _FLOATS = _array(types.int64), _array(types.int64, 2), _array(types.float64)
CODE = types.NamedTuple((_WORDS, _WORDS, _array(types.int8), _FLOATS, _WORDS, _WORDS, _INTEGERS, _INTEGERS), Code)
SHAPE = types.NamedUniTuple(types.int64, len(Shape._fields), Shape)


def memory(kind):
    """Return the Numba type of `Memory` for a type of numbers."""
    return types.NamedTuple((*(_array(kind),) * 4, _INTEGERS), Memory)


def differences(kind):
    """Return the Numba type of `Differences` for a type of numbers."""
    return types.NamedTuple((*(_array(kind),) * 4, _INTEGERS, _array(types.boolean), _INTEGERS), Differences)
