"""The memory that kernels write to: they allocate nothing themselves. What is never touched costs nothing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.kernels.arguments import Differences, Memory, Samples, Scratch
from simsa.kernels.sensitivity import BLOCKS
from simsa.machine.layout import Layout

FLOAT64_LANES = 4
"""Numbers of a lane vector in float64, the format of random numbers."""

LINE = 64
"""Bytes of a line of the cache. Arrays of lane vectors begin with one: NumPy's begin with half of a vector, and every
other vector would lie in two lines (dense networks took 4 % longer)."""


def _zeros(count: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of zeros that begins with a line of the cache."""
    whole = np.zeros(count * kind.itemsize + LINE, np.uint8)
    first = -whole.ctypes.data % LINE
    return whole[first : first + count * kind.itemsize].view(kind)


def memory_of(where: Layout, kind: np.dtype[Any]) -> Memory:
    """Return the registers of a tape in a layout, all 0. kind: the format of the numbers."""
    return Memory(
        values=_zeros(where.size, kind),
        adjoints=_zeros(where.size, kind),
        margin=_zeros(where.step, kind),
        valid=_zeros(where.step, kind),
        order=np.zeros(where.longest, np.int64),
    )


def scratch_of(where: Layout, samples: Samples, memory: Memory, assigns: bool, held: int) -> Scratch:
    """Return what a chunk of trajectories needs beside its registers, all 0.

    samples: what minibatches are drawn from. assigns: whether the walks write the adjoints of parameters, whatever they
    hold; these are free until the next gradient then, and keep what the parameters were: one array less in the cache.
    held: what a rule remembers of a coordinate, in numbers.
    """
    kind, across = memory.values.dtype, where.groups * where.lanes
    # a lane whose minibatch is smaller than others' computes some sample, which is not valid
    room = -(-samples.largest // where.samples) * where.samples
    most = int(np.diff(where.tape.draws).max(initial=0))
    u, v, fresh = uniforms(samples.center.shape[1])
    return Scratch(
        drawn=np.zeros(across * room, np.int64),
        sizes=np.zeros(across, np.int64),
        float_sizes=_zeros(across, kind),
        private=np.zeros((across, samples.scratch), np.int64),
        running=np.zeros(across, np.bool_),
        tied=np.zeros(across, np.bool_),
        lane_numbers=_zeros(4 * across, kind),
        moved=_zeros(across, kind),
        binary=np.zeros(where.groups, np.bool_),
        previous=memory.adjoints if assigns else _zeros(where.tape.parameters * across, kind),
        held=_zeros(held * where.tape.parameters * across, kind),
        total=_zeros(across, kind),
        index=np.zeros(where.step, np.int64),
        u=u,
        v=v,
        fresh=fresh,
        convention=_zeros(where.size, kind),
        differences=Differences(
            deltas=_zeros(where.size, kind),
            sizes=_zeros(where.size, kind),
            absolute=_zeros(where.size, kind),
            draws=_zeros((4 * most + 4) * where.lanes, kind),
            marks=np.zeros(len(where.tape.rows) + len(where.tape.guards) + 1, np.int64),
            jumps=np.zeros(across, np.bool_),
            counter=np.zeros(BLOCKS + 1, np.int64),
        ),
    )


def uniforms(d: int) -> tuple[Any, Any, Any]:
    """Return what drawing points takes: two lane vectors of uniforms, and room for d numbers, in pairs."""
    return np.zeros(FLOAT64_LANES), np.zeros(FLOAT64_LANES), np.zeros(d + 2)
