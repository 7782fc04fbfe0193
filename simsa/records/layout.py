"""Shape of the records of a sweep: its cells, its blocks, and what arrays there are."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.records.fields import CELL, CHECKPOINT, FIELDS, OBSERVABLE, PARAMETER, Field

FORMAT = 2
"""Version of what is written here; other versions are refused."""

ZARR, TASKS = "records.zarr", "tasks"
"""The folders, in that of a run, of what was computed, and of the task records: what, when, where and how long."""

LIBRARIES = ("simsa", "numpy", "numba", "llvmlite", "scipy", "zarr", "xarray")
"""What records depend on."""


@dataclass(frozen=True)
class Cell:
    """A point of the sweep. `scale`: c as it was written, which names the random numbers: cells of one c share them."""

    scale: Fraction
    convention: str
    precision: str

    @property
    def c(self) -> float:
        """Return the step scale in float64, to the nearest."""
        return float(self.scale)


@dataclass(frozen=True, order=True)
class Block:
    """Trajectories first, ..., first + count - 1 of a cell: the unit of work and of storage."""

    index: int
    cell: int
    first: int
    count: int

    @property
    def name(self) -> str:
        """Return the name of its task record."""
        return f"{self.cell}-{self.index}"


@dataclass(frozen=True)
class Layout:
    """Shape and meaning of the records of one sweep.

    cells: in order. trajectories: in each cell. steps, checkpoints: of each run; J is kept at the
    checkpoints. parameters: p. block: trajectories in a block (the last of a cell may be short). points:
    whether parameters are kept (`final`, `sensitive_point`). last_alpha: alpha of the last step. digest: of the
    scenario. header: what else describes the sweep (JSON: name, title, seed, hypotheses).
    objective_trajectories: J is evaluated for the first so many of each cell. observables: name and `hit_below` of what
    is recorded at the checkpoints besides (NaN if there is no hitting).
    """

    cells: tuple[Cell, ...]
    trajectories: int
    steps: int
    checkpoints: tuple[int, ...]
    parameters: int
    block: int
    points: bool
    last_alpha: float
    digest: str
    header: Mapping[str, Any] = field(default_factory=dict)
    objective_trajectories: int = 0
    observables: tuple[tuple[str, float], ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the fields that are kept."""
        kept = {PARAMETER: self.points, CHECKPOINT: bool(self.checkpoints), OBSERVABLE: bool(self.observables)}
        return tuple(f for f in FIELDS if all(kept[axis] for axis in f.axes))

    @property
    def blocks(self) -> list[Block]:
        """Return all blocks; the first block of every cell comes before the second of any."""
        starts = range(0, self.trajectories, self.block)
        return [
            Block(index, cell, first, min(self.block, self.trajectories - first))
            for index, first in enumerate(starts)
            for cell in range(len(self.cells))
        ]

    def shape(self, f: Field, count: int) -> tuple[int, ...]:
        """Return the shape of a field of `count` trajectories."""
        lengths = {
            PARAMETER: self.parameters,
            CHECKPOINT: len(self.checkpoints),
            OBSERVABLE: len(self.observables),
        }
        return (count, *(lengths[axis] for axis in f.axes))

    @property
    def coordinates(self) -> list[tuple[str, str, NDArray[Any], str, str]]:
        """Return name, axis, values, meaning and units of the coordinates."""
        text = np.dtypes.StringDType()
        cells, checkpoints = self.cells, np.array(self.checkpoints, dtype=np.int64)
        conventions = np.array([cell.convention for cell in cells], dtype=text)
        precisions = np.array([cell.precision for cell in cells], dtype=text)
        last = np.array([cell.c * self.last_alpha for cell in cells])
        found = [
            ("c", CELL, np.array([cell.c for cell in cells]), "step scale c", "1"),
            ("convention", CELL, conventions, "tie convention", ""),
            ("precision", CELL, precisions, "number format", ""),
            ("last_step_size", CELL, last, "step size c alpha_k of the last step", "1"),
        ]
        if checkpoints.size:
            found.append((CHECKPOINT, CHECKPOINT, checkpoints, "step before which J is taken", "step"))
        if self.observables:
            names = np.array([name for name, _ in self.observables], dtype=text)
            levels = np.array([level for _, level in self.observables])
            found.append((OBSERVABLE, OBSERVABLE, names, "function of the parameters", ""))
            found.append(("hit_below", OBSERVABLE, levels, "level that a hit is at or below; nan if none", ""))
        return found

    @property
    def arrays(self) -> str:
        """Return a digest of what the sweep says of every array: its name, type and shape; of a coordinate, the values.

        It names the sweep's own records among those of one scenario: others would be read at the wrong place.
        """
        fields = [(f, self.shape(f, self.trajectories)) for f in self.fields]
        coordinates = [(name, axis, value.tolist(), *said) for name, axis, value, *said in self.coordinates]
        return hashlib.sha256(repr((fields, coordinates)).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Return the size of the records before compression."""
        each = sum(np.dtype(f.dtype).itemsize * int(np.prod(self.shape(f, 1))) for f in self.fields)
        return each * self.trajectories * len(self.cells)

    @property
    def snapshot_bytes(self) -> int:
        """Return the size of the points of a trajectory at the checkpoints, which are held while a block is run."""
        return 8 * self.parameters * len(self.checkpoints) if self.observables else 0

    @property
    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the group: everything that says whether records belong to this sweep."""
        return {
            "simsa": versions()["simsa"],
            "format": FORMAT,
            "digest": self.digest,
            "trajectories": self.trajectories,
            "steps": self.steps,
            "objective_trajectories": self.objective_trajectories,
            "block": self.block,
            "arrays": self.arrays,
            **self.header,
            "coordinates": "c convention precision last_step_size" + " hit_below" * bool(self.observables),
        }


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that records depend on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a folder on the path
            found[name] = "not installed"
    return found
