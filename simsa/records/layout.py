"""The layout of the records of a sweep: its cells, its blocks, and the shapes of the arrays."""

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

from simsa.records.fields import CELL, CHECKPOINT, FIELDS, KEPT, OBSERVABLE, PARAMETER, Field
from simsa.vocabulary import Family

FORMAT = 2
"""Version of the format of records; records of other versions are refused."""

ZARR, TASKS = "records.zarr", "tasks"
"""The folders of a run that hold what was computed, and the task records: which block, where, and how long it took."""

LIBRARIES = ("simsa", "numpy", "numba", "llvmlite", "scipy", "zarr", "xarray")
"""The libraries that records depend on."""


@dataclass(frozen=True)
class Cell:
    """A cell of the sweep: a value of each axis.

    scale: c as it was written. The random numbers are a function of it, so that cells with the same c share them.
    convention: its label. precision: the name of the format. setting: the names of the values of further axes; empty
    without them.
    """

    scale: Fraction
    convention: str
    precision: str
    setting: str = ""

    @property
    def c(self) -> float:
        """Return the step scale rounded to the nearest float64."""
        return float(self.scale)

    @property
    def family(self) -> Family:
        """Return the convention, precision and setting. Cells that agree in these are run by one engine."""
        return self.convention, self.precision, self.setting


@dataclass(frozen=True, order=True)
class Block:
    """Trajectories first, ..., first + count - 1 of a cell: the unit of work and of storage.

    index: the number of the block within its cell. cell: the number of the cell.
    """

    index: int
    cell: int
    first: int
    count: int

    @property
    def name(self) -> str:
        """Return the name of the task record of the block."""
        return f"{self.cell}-{self.index}"


@dataclass(frozen=True)
class Layout:
    """Shape and meaning of the records of one sweep.

    cells: in order. trajectories: in each cell. steps: of each run. checkpoints: the steps before which J is recorded.
    parameters: p. block: trajectories in a block; the last block of a cell may be shorter. points: whether the fields
    `final` and `sensitive_point` are recorded. last_alpha: alpha_k of the last step, by setting. digest: of the
    scenario. header: name, title, seed and hypotheses, as JSON. objective_trajectories: of how many of the first
    trajectories of each cell J is evaluated. observables: name and `hit_below` of each function that is also recorded
    at the checkpoints; `hit_below` is NaN if hits are not recorded.
    kept: the names of what the optimizer keeps for each parameter.
    """

    cells: tuple[Cell, ...]
    trajectories: int
    steps: int
    checkpoints: tuple[int, ...]
    parameters: int
    block: int
    points: bool
    last_alpha: Mapping[str, float]
    digest: str
    header: Mapping[str, Any] = field(default_factory=dict)
    objective_trajectories: int = 0
    observables: tuple[tuple[str, float], ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the fields that this sweep records."""
        has = {
            PARAMETER: self.points,
            CHECKPOINT: bool(self.checkpoints),
            OBSERVABLE: bool(self.observables),
            KEPT: bool(self.kept),
        }
        return tuple(f for f in FIELDS if all(has[axis] for axis in f.axes))

    @property
    def settings(self) -> bool:
        """Tell whether the sweep has further axes than c, convention and precision."""
        return any(cell.setting for cell in self.cells)

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
            KEPT: len(self.kept),
        }
        return (count, *(lengths[axis] for axis in f.axes))

    @property
    def coordinates(self) -> list[tuple[str, str, NDArray[Any], str, str]]:
        """Return name, axis, values, meaning and units of the coordinates."""
        text = np.dtypes.StringDType()
        cells, checkpoints = self.cells, np.array(self.checkpoints, dtype=np.int64)
        conventions = np.array([cell.convention for cell in cells], dtype=text)
        precisions = np.array([cell.precision for cell in cells], dtype=text)
        last = np.array([cell.c * self.last_alpha[cell.setting] for cell in cells])
        found = [
            ("c", CELL, np.array([cell.c for cell in cells]), "step scale c", "1"),
            ("convention", CELL, conventions, "tie convention", ""),
            ("precision", CELL, precisions, "number format", ""),
            ("last_step_size", CELL, last, "step size c alpha_k of the last step", "1"),
        ]
        if self.settings:
            settings = np.array([cell.setting for cell in cells], dtype=text)
            found.append(("setting", CELL, settings, "values of the further axes", ""))
        if checkpoints.size:
            found.append((CHECKPOINT, CHECKPOINT, checkpoints, "step before which J is taken", "step"))
        if self.observables:
            names = np.array([name for name, _ in self.observables], dtype=text)
            levels = np.array([level for _, level in self.observables])
            found.append((OBSERVABLE, OBSERVABLE, names, "function of the parameters", ""))
            found.append(("hit_below", OBSERVABLE, levels, "level that a hit is at or below; nan if none", ""))
        if self.kept and self.points:
            found.append((KEPT, KEPT, np.array(self.kept, dtype=text), "what the optimizer keeps", ""))
        return found

    @property
    def arrays(self) -> str:
        """Return a digest of the name, type and shape of every array, and of the values of the coordinates.

        It tells the records of this sweep from others of the same scenario, whose numbers would be at other places.
        """
        fields = [(f, self.shape(f, self.trajectories)) for f in self.fields]
        coordinates = [(name, axis, value.tolist(), *said) for name, axis, value, *said in self.coordinates]
        return hashlib.sha256(repr((fields, coordinates)).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Return the bytes of the records before compression."""
        each = sum(np.dtype(f.dtype).itemsize * int(np.prod(self.shape(f, 1))) for f in self.fields)
        return each * self.trajectories * len(self.cells)

    @property
    def snapshot_bytes(self) -> int:
        """Return the bytes of the points of a trajectory at the checkpoints, in memory while a block is run."""
        return 8 * self.parameters * len(self.checkpoints) if self.observables else 0

    @property
    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the records, from which it follows whether they belong to this sweep."""
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
            "coordinates": "c convention precision last_step_size"
            + " setting" * self.settings
            + " hit_below" * bool(self.observables),
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
