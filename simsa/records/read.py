"""Read records, as plain arrays cell by cell or as an xarray Dataset; lost or changed files are refused."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import RecordsError
from simsa.records.disk import read_json
from simsa.records.fields import CELL, FIELDS
from simsa.records.layout import FORMAT, TASKS, ZARR

if TYPE_CHECKING:  # these imports take 0.8 s, which an error in a scenario need not wait for
    import xarray
    import zarr


def exists(folder: Path) -> bool:
    """Tell whether there are records in `folder`."""
    return (folder / ZARR).exists()


def attributes(folder: Path) -> dict[str, Any]:
    """Return the attributes of the records in `folder`.

    Raises RecordsError if there are no records, or if the attributes, the metadata of an array or a coordinate are lost
    or changed: what belongs to no block.
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
    owned = kept.pop("files", None)
    if not isinstance(owned, dict) or "zarr.json" not in owned:
        raise RecordsError(f"{path}: not records of simsa, or damaged")
    for file, known in owned.items():
        if not (path / file).is_file() or checksum(path, Path(file)) != known:
            lost = "is not what was written" if (path / file).exists() else "is missing"
            raise RecordsError(f"{path / file} {lost}: the records cannot be read without it; restore it, or overwrite")
    return kept


def checksum(path: Path, file: Path) -> str:
    """Return the SHA-256 of a file of records; for the file that holds these digests, the digests are left out.

    path: the folder of the records. file: relative to it.
    """
    data = (path / file).read_bytes()
    if file == Path("zarr.json"):
        group = json.loads(data)
        group["attributes"].pop("files", None)
        group.pop("consolidated_metadata", None)  # a copy of other metadata, which tools may add
        data = json.dumps(group, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def _complete(path: Path) -> None:
    """Raise RecordsError if a file of a finished block is missing: Zarr would return fill values in its place."""
    for task in (path.parent / TASKS).glob("*.json"):
        for file in (read_json(task) or {}).get("files", ()):
            if not (path / file).is_file():
                raise RecordsError(f"{path / file} is missing: compute block {task.stem} again with --resume")


class Recorded(Mapping[str, NDArray[Any]]):
    """The records of one cell: fields and coordinates by their names. A field is read from the disk at each access."""

    def __init__(self, fields: Mapping[str, "zarr.Array[Any]"], cell: int, coordinates: Mapping[str, NDArray[Any]]):
        """Take the fields of all cells, the number of a cell, and the coordinates of that cell."""
        self._fields, self._cell, self._coordinates = fields, cell, coordinates

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._coordinates[name] if name in self._coordinates else np.asarray(self._fields[name][self._cell])

    def __iter__(self) -> Iterator[str]:
        return iter([*self._fields, *self._coordinates])

    def __len__(self) -> int:
        return len(self._fields) + len(self._coordinates)


def cells(folder: Path) -> list[Recorded]:
    """Open the records in `folder` for reading, cell by cell, as plain arrays, without the imports that `open` needs.

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

    Parameters
    ----------
    path
        The folder of a run, or the `records.zarr` in it.

    Returns
    -------
    xarray.Dataset
        Values are read when they are used. The coordinates of a cell are c, convention, precision and last_step_size,
        and setting if the sweep has further axes. A trajectory that has not been run (yet) has status 255.

    Raises
    ------
    RecordsError
        If there are no records, or if parts of them are lost or changed; reading a damaged chunk raises ValueError.

    Examples
    --------
    >>> import tempfile
    >>> import simsa
    >>> folder = tempfile.mkdtemp()
    >>> run = simsa.sweep(
    ...     lambda x: abs(x[0]), parameters=1, c=[0.5], steps=2, step_size=1.0, initial=simsa.points([[1.0]]),
    ...     trajectories=4, out=folder, quiet=True,
    ... )
    >>> records = simsa.open_records(folder)
    >>> records.sensitive_first.sel(cell=0).values.tolist()  # x_2 = 0 is where the run ends
    [-1, -1, -1, -1]
    >>> records.final.sel(cell=0, trajectory=0).values.tolist()
    [0.0]
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
