"""The state of a block of trajectories: the one argument of kernels that others use. It imports no Numba."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class State(NamedTuple):
    """The state of `count` trajectories before a step, and their records so far.

    x: (count, p), in the format of the run: the current point, or the last one if the trajectory has stopped. held:
    (count, s, p), likewise: the state of the rule, s numbers for each parameter. The others are the fields of the
    records with these names (`records.fields`), whose first axis is the trajectory. snapshots: (count, checkpoints, p),
    the points at the checkpoints; (count, 0, p) if they are not recorded.
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
