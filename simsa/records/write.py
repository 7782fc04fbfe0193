"""Write records: an array for each field, a file (chunk) for each field and block, and a task record for each block.

The rules below keep records sound when a run is killed at any moment. A chunk of fill values has no file, and a chunk
that exists may belong to an unfinished block, so a block counts as finished when its task record exists. That is
written last and renamed into place. It holds a digest of the block and the names of its files, because Zarr returns
fill values for a missing file without an error. `status` is stored after all other fields: where it is missing, a
trajectory has not been run. No chunk belongs to two blocks. Creating records is not atomic, so they are made under
another name and renamed. Each chunk ends in a CRC32C, because otherwise a flipped bit would be read as a wrong number.
The SHA-256 of each file that belongs to no block (the coordinates, and the metadata of the arrays) is in the attributes
of the group. What was computed is in `records.zarr` alone; task records have the host and the duration, and differ from
run to run.
"""

import hashlib
import platform
import shutil
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import RecordsError
from simsa.records.disk import read_json, to_disk, write_json
from simsa.records.fields import CELL, TRAJECTORY
from simsa.records.layout import TASKS, ZARR, Block, Layout, versions
from simsa.records.read import attributes, checksum, exists

if TYPE_CHECKING:  # these imports take 0.8 s, which an error in a scenario need not wait for
    import zarr


class Records:
    """The records of one sweep, open for writing. Threads and processes may write different blocks at the same time.

    They can be pickled, and are opened again where they are unpickled.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        """Open records that are there; use `create` or `resume` instead."""
        import zarr

        self.folder, self.layout = folder, layout
        group = zarr.open_group(folder / ZARR, mode="r+", zarr_format=3)
        self._arrays: dict[str, Any] = {f.name: group[f.name] for f in layout.fields}

    def __reduce__(self) -> tuple[type["Records"], tuple[Path, Layout]]:
        return type(self), (self.folder.absolute(), self.layout)

    @classmethod
    def create(cls, folder: Path, layout: Layout) -> "Records":
        """Make empty records in `folder`. Raises RecordsError if there are records already."""
        import zarr

        if exists(folder):
            raise RecordsError(f"{folder} holds results already")
        (folder / TASKS).mkdir(parents=True, exist_ok=True)
        for abandoned in folder.glob(f"{ZARR}.tmp-*"):
            shutil.rmtree(abandoned)
        temporary = folder / f"{ZARR}.tmp-{uuid.uuid4().hex}"
        group = zarr.create_group(temporary, zarr_format=3, attributes=layout.attributes)
        _lay_out(group, layout)
        group.attrs["files"] = {file.as_posix(): checksum(temporary, file) for file in _files(temporary)}
        for path in temporary.rglob("*"):
            to_disk(path)
        temporary.rename(folder / ZARR)
        to_disk(folder)
        return cls(folder, layout)

    @classmethod
    def resume(cls, folder: Path, layout: Layout) -> "Records":
        """Open the records in `folder` to continue them; raises RecordsError if damaged, or of another sweep."""
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
        return cls(folder, layout)

    def write(self, block: Block, values: Mapping[str, NDArray[Any]], seconds: float) -> None:
        """Store a block, and then its task record.

        values: the array of each field by its name, shape `layout.shape(field, block.count)`. seconds: how long it took
        to compute. Raises ValueError if an array has another shape.
        """
        digest = hashlib.sha256()
        for f in self.layout.fields:
            value = np.ascontiguousarray(values[f.name], dtype=f.dtype)
            if value.shape != self.layout.shape(f, block.count):
                raise ValueError(f"{f.name} has shape {value.shape}, expected {self.layout.shape(f, block.count)}")
            if value.dtype.kind == "f":  # every nan has the same bits, on any processor
                value = np.where(np.isnan(value), np.nan, value)
            self._arrays[f.name][block.cell, block.first : block.first + block.count] = value
            digest.update(value.tobytes())
        chunks = list(self._chunks(block))
        for path in chunks:
            to_disk(path)
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

    def adopt(self, other: "Records") -> list[Block]:
        """Copy the blocks of other records that are whole blocks here, too, and return those that are done now.

        other: of the same runs, but for the number of trajectories; cells have the same numbers. Damaged blocks are not
        copied.
        """
        there = other.finished()
        mine = set(self.layout.blocks)
        kept = []
        for block, seconds in there.items():
            if block in mine and other.intact(block):
                at = block.cell, slice(block.first, block.first + block.count)
                self.write(block, {f.name: np.asarray(other._arrays[f.name][at]) for f in self.layout.fields}, seconds)
                kept.append(block)
        return kept

    def finished(self) -> dict[Block, float]:
        """Return the blocks that have a task record, and the seconds that each took."""
        found = {block: read_json(self._task(block)) for block in self.layout.blocks if self._task(block).exists()}
        return {
            block: float(task["seconds"])
            for block, task in found.items()
            if task is not None and (task.get("first"), task.get("count")) == (block.first, block.count)
        }

    def intact(self, block: Block) -> bool:
        """Tell whether a block on disk has the digest that its task record holds."""
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
        """Remove a damaged block, so that it is computed again; its task record and `status` go first."""
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
        if f.numbers:
            described["flag_values"] = [one.value for one in f.numbers]
            described["flag_meanings"] = " ".join(one.name.lower() for one in f.numbers)
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


def _files(path: Path) -> list[Path]:
    """Return the files of new records, which belong to no block, in order."""
    return sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())


def erase(folder: Path) -> None:
    """Remove the records in `folder`; task records go first, so that after a kill no block seems to be finished."""

    def remove() -> None:
        for name in (TASKS, ZARR):
            if (folder / name).exists():
                shutil.rmtree(folder / name)

    with ThreadPoolExecutor(1) as pool:
        removed = pool.submit(remove)
        import zarr  # noqa: F401 - new records need it, and importing it takes as long as removing old ones

        removed.result()
