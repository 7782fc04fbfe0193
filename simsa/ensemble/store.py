"""Records on disk: an array for each field, a file for each field and block, a record of each task.

Kill tests forced the rules. A chunk that exists is not yet a finished block, and a chunk of fill values has no file, so
a block is finished when its task record is: that is written last, renamed into place, and holds a digest of the block
and the names of its files, because a file that is lost reads back as fill values, without a word. `status` is stored
after all other fields: where it is not, a trajectory has not been run. One block owns whole chunks. Creation is not
atomic, so records are made under another name and renamed. Chunks end in a CRC32C, because without one a flipped bit
reads back as a wrong number. What no block owns (the coordinates, and what says how arrays are read) has its SHA-256 in
the attributes of the group. Only `records.zarr` holds what was computed; the task records say when, where and how long,
and differ from run to run.
"""

import hashlib
import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsa.errors import RecordsError

if TYPE_CHECKING:  # 0.8 s of imports that an error in a scenario need not wait for
    import xarray
    import zarr

FORMAT = 2
"""Version of what is written here; other versions are refused."""

FINISHED, UNBOUNDED, NOT_FINITE, TOO_LONG, NOT_RUN = 0, 1, 2, 3, 255
"""Values of `status`."""

ZARR, TASKS = "records.zarr", "tasks"
CELL, TRAJECTORY, PARAMETER, CHECKPOINT, OBSERVABLE = "cell", "trajectory", "parameter", "checkpoint", "observable"
LIBRARIES = ("simsa", "numpy", "numba", "llvmlite", "scipy", "zarr", "xarray")


class Field(NamedTuple):
    """A recorded field; `axes` are behind (cell, trajectory), `fill` stands where nothing has run."""

    name: str
    dtype: str
    fill: float
    axes: tuple[str, ...]
    meaning: str
    units: str = "1"


NAN = float("nan")
FIELDS = (
    Field("stopped", "int32", -1, (), "step at which the run stopped", "step"),
    Field("tie_first", "int32", -1, (), "first step with an exact tie; -1 if none", "step"),
    Field("tie_count", "int32", -1, (), "number of steps with an exact tie"),
    Field("tie_sample", "int32", -1, (), "row of the data at the first tie; -1 if none"),
    Field("sensitive_first", "int32", -1, (), "first step with a decisive tie; -1 if none", "step"),
    Field("margin", "float64", NAN, (), "smallest |guard| seen; inf if the program has no guard"),
    Field("movement", "float64", NAN, (), "largest change of a parameter in the last step"),
    Field("objective", "float64", NAN, (CHECKPOINT,), "J before the step; nan where it was not evaluated"),
    Field("observe", "float64", NAN, (CHECKPOINT, OBSERVABLE), "observables before the step; nan once a run stopped"),
    Field("hit", "int32", -1, (OBSERVABLE,), "first checkpoint with observable <= hit_below; -1 if none", "step"),
    Field("final", "float64", NAN, (PARAMETER,), "parameters at the end"),
    Field("sensitive_point", "float64", NAN, (PARAMETER,), "parameters at the first tie; nan if none"),
    Field("status", "uint8", NOT_RUN, (), "how the run ended"),
)
"""What is recorded of each trajectory, in this order: until `status` is there, a trajectory has not been run."""


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


class Records:
    """The records of one sweep, open for writing. Threads may write different blocks at the same time."""

    def __init__(self, folder: Path, layout: Layout, group: "zarr.Group") -> None:
        """Take an open group; use `create` or `resume` instead."""
        self.folder, self.layout = folder, layout
        self._arrays: dict[str, Any] = {f.name: group[f.name] for f in layout.fields}

    @classmethod
    def create(cls, folder: Path, layout: Layout) -> "Records":
        """Make empty records in `folder`; raises RecordsError if there are some."""
        import zarr

        if exists(folder):
            raise RecordsError(f"{folder} holds results already")
        (folder / TASKS).mkdir(parents=True, exist_ok=True)
        for abandoned in folder.glob(f"{ZARR}.tmp-*"):
            shutil.rmtree(abandoned)
        temporary = folder / f"{ZARR}.tmp-{uuid.uuid4().hex}"
        group = zarr.create_group(temporary, zarr_format=3, attributes=layout.attributes)
        _lay_out(group, layout)
        group.attrs["files"] = {file.as_posix(): _digest(temporary, file) for file in _files(temporary)}
        for path in temporary.rglob("*"):
            _to_disk(path)
        temporary.rename(folder / ZARR)
        _to_disk(folder)
        return cls(folder, layout, zarr.open_group(folder / ZARR, mode="r+", zarr_format=3))

    @classmethod
    def resume(cls, folder: Path, layout: Layout) -> "Records":
        """Open the records in `folder` to continue them; raises RecordsError if damaged, or of another sweep."""
        import zarr

        kept = attributes(folder)
        if kept["digest"] != layout.digest:
            raise RecordsError(
                f"{folder} holds results of another scenario (digest {kept['digest'][:12]}, this one has "
                f"{layout.digest[:12]}); choose another folder, or overwrite them"
            )
        wanted = layout.attributes
        for key in ("simsa", "block", "trajectories", "steps", "arrays"):
            if kept.get(key) != wanted[key]:
                raise RecordsError(
                    f"{folder} cannot be continued: it was written with {key} = {kept.get(key)}, and this "
                    f"run has {wanted[key]}; choose another folder, or overwrite it"
                )
        for unfinished in (*(folder / ZARR).rglob("*.partial"), *(folder / TASKS).glob(".*.tmp")):
            unfinished.unlink()  # what a killed run was writing
        group = zarr.open_group(folder / ZARR, mode="r+", zarr_format=3)
        return cls(folder, layout, group)

    def write(self, block: Block, values: Mapping[str, NDArray[Any]], seconds: float) -> None:
        """Store a block, and then its task record.

        values: an array for each field, shape (count,) or (count, axis). seconds: how long it took to
        compute.
        """
        digest = hashlib.sha256()
        for f in self.layout.fields:
            value = np.ascontiguousarray(values[f.name], dtype=f.dtype)
            if value.shape != self.layout.shape(f, block.count):
                raise ValueError(f"{f.name} has shape {value.shape}, expected {self.layout.shape(f, block.count)}")
            if value.dtype.kind == "f":  # one bit pattern for nan, whatever the processor made
                value = np.where(np.isnan(value), np.nan, value)
            self._arrays[f.name][block.cell, block.first : block.first + block.count] = value
            digest.update(value.tobytes())
        chunks = list(self._chunks(block))
        for path in chunks:
            _to_disk(path)
        self._task(block).parent.mkdir(exist_ok=True)
        record = {
            "cell": block.cell,
            "block": block.index,
            "first": block.first,
            "count": block.count,
            "digest": digest.hexdigest(),
            "files": [path.relative_to(self.folder / ZARR).as_posix() for path in chunks],
            "seconds": seconds,
            "host": platform.node(),
            "versions": versions(),
        }
        write_json(self._task(block), record)

    def finished(self) -> dict[Block, float]:
        """Return the blocks that have a task record, and the seconds that each took."""
        found = {block: read_json(self._task(block)) for block in self.layout.blocks if self._task(block).exists()}
        return {
            block: float(task["seconds"])
            for block, task in found.items()
            if task is not None and (task.get("first"), task.get("count")) == (block.first, block.count)
        }

    def intact(self, block: Block) -> bool:
        """Tell whether what is on disk is what was written: the digest in the task record is the block's."""
        task = read_json(self._task(block))
        digest = hashlib.sha256()
        try:
            for f in self.layout.fields:
                value = self._arrays[f.name][block.cell, block.first : block.first + block.count]
                digest.update(np.ascontiguousarray(value).tobytes())
        except (ValueError, RuntimeError, OSError):  # the checksum or the codec refused the chunk
            return False
        return task is not None and task.get("digest") == digest.hexdigest()

    def forget(self, block: Block) -> None:
        """Remove a damaged block, task record and `status` first, so that it is computed again."""
        self._task(block).unlink(missing_ok=True)
        for path in reversed(list(self._chunks(block))):
            path.unlink()

    def _task(self, block: Block) -> Path:
        """Return the path of a block's task record."""
        return self.folder / TASKS / f"{block.name}.json"

    def _chunks(self, block: Block) -> Iterator[Path]:
        """Yield the files of a block; a chunk of fill values has none."""
        for f in self.layout.fields:
            path = self.folder / ZARR / f.name / "c" / str(block.cell) / str(block.index)
            path = path.joinpath(*["0"] * len(f.axes))
            if path.exists():
                yield path


def _lay_out(group: "zarr.Group", layout: Layout) -> None:
    """Create every array of the records, and write the coordinates."""
    from zarr.codecs import Crc32cCodec, ZstdCodec

    codecs: Any = [ZstdCodec(level=1), Crc32cCodec()]
    cells, count = len(layout.cells), min(layout.block, layout.trajectories)
    for f in layout.fields:
        behind = layout.shape(f, count)[1:]
        described: dict[str, Any] = {"long_name": f.meaning, "units": f.units}
        if f.name == "status":
            described["flag_values"] = [FINISHED, UNBOUNDED, NOT_FINITE, TOO_LONG, NOT_RUN]
            described["flag_meanings"] = "finished unbounded not_finite too_long not_run"
        group.create_array(
            f.name,
            shape=(cells, layout.trajectories, *behind),
            chunks=(1, count, *behind),
            dtype=f.dtype,
            fill_value=f.fill,
            compressors=codecs,
            dimension_names=(CELL, TRAJECTORY, *f.axes),
            attributes=described,
        )
    for name, axis, value, meaning, units in layout.coordinates:
        array = group.create_array(
            name,
            shape=value.shape,
            chunks=value.shape,
            dtype=value.dtype,
            compressors=codecs,
            dimension_names=(axis,),
            attributes={"long_name": meaning, "units": units},
        )
        array[:] = value


def exists(folder: Path) -> bool:
    """Tell whether there are records in `folder`."""
    return (folder / ZARR).exists()


def erase(folder: Path) -> None:
    """Remove the records in `folder`, task records first: a killed removal leaves nothing that looks done."""

    def remove() -> None:
        for name in (TASKS, ZARR):
            if (folder / name).exists():
                shutil.rmtree(folder / name)

    with ThreadPoolExecutor(1) as pool:
        removed = pool.submit(remove)
        import zarr  # noqa: F401 - new records need it, and importing it takes as long as removing old ones

        removed.result()


def attributes(folder: Path) -> dict[str, Any]:
    """Return the attributes of the records in `folder`.

    Raises RecordsError if there are no records, or if what no block owns is not what was written: the attributes, how
    an array is to be read, the coordinates.
    """
    path = folder if folder.suffix == ".zarr" else folder / ZARR
    if not path.exists():
        raise RecordsError(f"{folder}: no records here (there is no {ZARR})")
    group = read_json(path / "zarr.json") or {}
    kept: dict[str, Any] = group.get("attributes", {})
    if "format" not in kept or "digest" not in kept:
        raise RecordsError(f"{path}: not records of simsa, or damaged")
    if kept["format"] != FORMAT:
        raise RecordsError(f"{path}: records of format {kept['format']}; this version of simsa reads format {FORMAT}")
    files = kept.pop("files", None)
    if not isinstance(files, dict) or "zarr.json" not in files:
        raise RecordsError(f"{path}: not records of simsa, or damaged")
    for file, digest in files.items():
        if not (path / file).is_file() or _digest(path, Path(file)) != digest:
            lost = "is not what was written" if (path / file).exists() else "is missing"
            raise RecordsError(f"{path / file} {lost}: the records cannot be read without it; restore it, or overwrite")
    return kept


def _files(path: Path) -> list[Path]:
    """Return the files of new records, in order: what no block owns."""
    return sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())


def _digest(path: Path, file: Path) -> str:
    """Return the SHA-256 of a file of records; of the group's, in which these digests are kept, of all the rest."""
    data = (path / file).read_bytes()
    if file == Path("zarr.json"):
        group = json.loads(data)
        group["attributes"].pop("files", None)
        group.pop("consolidated_metadata", None)  # a copy, which others may add
        data = json.dumps(group, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def _complete(path: Path) -> None:
    """Raise RecordsError if a finished block of these records lacks a file, which would read back as fill values."""
    for task in (path.parent / TASKS).glob("*.json"):
        for file in (read_json(task) or {}).get("files", ()):
            if not (path / file).is_file():
                raise RecordsError(f"{path / file} is missing: compute block {task.stem} again with --resume")


class Recorded(Mapping[str, NDArray[Any]]):
    """The records of one cell: fields and coordinates by their names, each field read whenever it is looked up."""

    def __init__(self, fields: Mapping[str, "zarr.Array[Any]"], cell: int, coordinates: Mapping[str, NDArray[Any]]):
        """Take the fields of all cells, the number of one, and its coordinates."""
        self._fields, self._cell, self._coordinates = fields, cell, coordinates

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._coordinates[name] if name in self._coordinates else np.asarray(self._fields[name][self._cell])

    def __iter__(self) -> Iterator[str]:
        return iter([*self._fields, *self._coordinates])

    def __len__(self) -> int:
        return len(self._fields) + len(self._coordinates)


def cells(folder: Path) -> list[Recorded]:
    """Open the records in `folder` for reading, cell by cell, as plain arrays: `open` without a second of imports.

    Raises RecordsError if there are no records, or if parts of them are lost or changed; reading a damaged chunk raises
    ValueError.
    """
    import zarr

    attributes(folder)
    _complete(folder / ZARR)
    group = zarr.open_group(folder / ZARR, mode="r", zarr_format=3)
    arrays: dict[str, Any] = dict(group.arrays())
    fields = {f.name: arrays.pop(f.name) for f in FIELDS if f.name in arrays}
    alone = {name: (array.metadata.dimension_names, array[...]) for name, array in arrays.items()}
    return [
        Recorded(fields, i, {name: v[i] if axes == (CELL,) else v for name, (axes, v) in alone.items()})
        for i in range(fields["status"].shape[0])
    ]


def open(path: str | Path) -> "xarray.Dataset":
    """Open records for reading: a variable for each field, by (cell, trajectory).

    path: the folder of a run, or the `records.zarr` in it. Values are read when they are used. Coordinates of
    a cell: c, convention, precision, last_step_size. A trajectory that has not been run (yet) has status 255.
    Raises RecordsError if there are no records, or if parts of them are lost or changed; reading a damaged chunk raises
    ValueError.

    `simsa.open_records("results/relu_net").sensitive_first.sel(cell=0)` is the first landing of each run of a
    cell.
    """
    import xarray

    folder = Path(path)
    kept = attributes(folder)
    where = folder if folder.suffix == ".zarr" else folder / ZARR
    _complete(where)
    data = xarray.open_dataset(
        where,
        engine="zarr",
        consolidated=False,
        chunks=None,
        use_zarr_fill_value_as_mask=False,
        zarr_format=3,
    )
    data = data[[f.name for f in FIELDS if f.name in data]]
    data.attrs = {key: value for key, value in kept.items() if key != "coordinates"}
    return data


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON, so that a reader sees the old file or the new one, whole, even after a power cut."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _to_disk(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if there is none, or if it is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk itself and would survive a power cut."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
