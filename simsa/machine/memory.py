"""The memory that kernels write to: they allocate none themselves. Pages that are never written cost nothing."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.kernels.arguments import Differences, Memory, Samples, Scratch
from simsa.kernels.sensitivity import BLOCKS
from simsa.machine.layout import Layout

FLOAT64_LANES = 4
"""The number of lanes in float64, the format in which random numbers are drawn."""

LINE = 64
"""Bytes of a cache line. Arrays of lane vectors begin at one. NumPy's own begin 16 bytes after one, so that every other
vector would lie in two lines (dense networks took 4 % longer)."""


def _zeros(count: int, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of `count` zeros that begins at a cache line."""
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
    """Return what a chunk of trajectories needs besides its registers, all 0.

    where: the layout. samples: the samples and the law of the minibatch. memory: the registers. assigns: as in `Walks`;
    then the parameters' adjoints are not needed between two gradients, and they hold the parameters before the step,
    which saves an array in the cache. held: how many numbers the rule keeps for each coordinate from step to step.
    """
    kind, across = memory.values.dtype, where.groups * where.lanes
    # A lane whose minibatch is smaller than others' computes samples that do not count.
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
    """Return scratch for drawing a sample of d numbers: two lane vectors of uniform numbers, and d + 2 numbers."""
    return np.zeros(FLOAT64_LANES), np.zeros(FLOAT64_LANES), np.zeros(d + 2)
