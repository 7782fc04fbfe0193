"""What trajectories have come to: the one argument of the kernels that others read, so that it imports no Numba."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class State(NamedTuple):
    """What a block of trajectories has come to, and its records so far: the first axis is the trajectory.

    x: (count, p), in `kind`: where each is, or ended. held: (count, s, p), in `kind`: the state of the rule. The others
    are the fields of the records of these names; snapshots: (count, checkpoints, p), without checkpoints if they are
    not wanted.
    """

    x: NDArray[np.floating]
    held: NDArray[np.floating]
    status: NDArray[np.uint8]
    stopped: NDArray[np.int32]
    tie_first: NDArray[np.int32]
    tie_count: NDArray[np.int32]
    tie_sample: NDArray[np.int32]
    sensitive_first: NDArray[np.int32]
    sensitive_point: NDArray[np.floating]
    margin: NDArray[np.float64]
    objective: NDArray[np.float64]
    movement: NDArray[np.float64]
    snapshots: NDArray[np.floating]
