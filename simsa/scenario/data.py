"""Data sets. A source is one class here, named in `Data`; a bundled one is an entry in `BUNDLED`.

Every source gives the same thing: named columns of finite float64, one row a sample, the target last. All but one: a
`Stream` has a law in place of rows.
"""

import csv
import math
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from simsa.errors import DataError
from simsa.scenario.model import Count, Items, Model, OneOf, nearest
from simsa.scenario.reals import line, uniforms
from simsa.scenario.stream import Stream

BUNDLED: dict[str, tuple[str, float]] = {
    "breast_cancer": ("load_breast_cancer", 1.0),
    "diabetes": ("load_diabetes", 1.0),
    "digits": ("load_digits", 16.0),
    "iris": ("load_iris", 1.0),
    "wine": ("load_wine", 1.0),
}
"""Real data that come with scikit-learn: the loader, and what the features are divided by."""


class Columns(NamedTuple):
    """A data set: d names, and rows, float64, shape (n, d); `target` tells whether the last column is one."""

    names: tuple[str, ...]
    rows: NDArray[np.float64]
    target: bool


class _Source(Model):
    """What every source offers: fewer rows, and features of mean 0 and variance 1."""

    limit: Count | None = None
    """Keep only the first so many rows."""
    standardise: bool = False
    """Subtract from each feature its mean and divide by its standard deviation; the target stays as it is."""


class Bundled(_Source):
    """Real data that come with scikit-learn: all features, then the target (classes are 0, 1, ...)."""

    source: Annotated[str, OneOf(BUNDLED)]

    def read(self, scenario: Path, names: Sequence[str], seed: int) -> Columns:
        """Return all columns, the features scaled as `BUNDLED` says, and the target last."""
        loader, divisor = BUNDLED[self.source]
        if self.source == "digits":
            rows = _digits()
            names = [f"pixel_{i}_{j}" for i in range(8) for j in range(8)]
            return Columns((*names, "target"), np.column_stack([rows[:, :-1] / divisor, rows[:, -1]]), True)
        # sklearn takes a second to import, which a misspelt key must not cost.
        from sklearn import datasets

        bunch = getattr(datasets, loader)()
        features = np.asarray(bunch.data, dtype=np.float64) / divisor
        label = np.asarray(bunch.target, dtype=np.float64)
        columns = [re.sub(r"\W+", "_", str(name)).strip("_") for name in bunch.feature_names]  # formulas name them
        return Columns((*columns, "target"), np.column_stack([features, label]), True)


@cache
def _digits() -> NDArray[np.float64]:
    """Return the table of digits, shape (1797, 65): from its file, as scikit-learn takes a second to import."""
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise DataError("data.source: digits come with scikit-learn, which is not installed")
    table = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    table.setflags(write=False)
    return table


class Csv(_Source):
    """A file of comma-separated numbers, the names of its columns in the first line."""

    source: Literal["csv"]
    path: str
    """The file, relative to the scenario's folder."""
    target: str | None = None
    """The column that is put last; the other columns keep their order."""

    def read(self, scenario: Path, names: Sequence[str], seed: int) -> Columns:
        """Return the columns of the file; raises DataError with file and line for what is no number."""
        path = scenario.parent / self.path
        try:
            with path.open(newline="", encoding="utf-8-sig") as stream:
                reader = csv.reader(stream)
                header = [name.strip() for name in next(reader, [])]
                if not header:
                    raise DataError(f"{path}: the file is empty; expected names of columns in the first line")
                table = [_numbers(path, reader.line_num, header, cells) for cells in reader if cells]
        except FileNotFoundError:
            raise DataError(f"{path}: no such file (data.path)") from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: cannot be read: {error}") from None
        if repeated := {name for name in header if header.count(name) > 1}:
            raise DataError(f"{path}:1: column '{min(repeated)}' stands there twice")
        if not table:
            raise DataError(f"{path}: no rows of data")
        rows = np.array(table)
        if self.target is None:
            return Columns(tuple(header), rows, False)
        last = _position(f"{path}:1", header, self.target, "data.target")
        order = [*(j for j in range(len(header)) if j != last), last]
        return Columns(tuple(header[j] for j in order), rows[:, order], True)


class Inline(_Source):
    """Rows written in the scenario file, their columns named by `program.data`."""

    source: Literal["inline"]
    rows: Annotated[Items[Annotated[Items[float], Field(min_length=1)]], Field(min_length=1)]
    """The samples, each a list of as many numbers as the program has data."""

    def read(self, scenario: Path, names: Sequence[str], seed: int) -> Columns:
        """Return the rows; raises DataError if one does not have as many numbers as the first."""
        width = len(names) or len(self.rows[0])
        for i, row in enumerate(self.rows):
            if len(row) != width:
                raise DataError(f"{scenario}: data.rows.{i}: expected {width} numbers, got {len(row)}")
        return Columns(tuple(names) or _numbered(width), np.array(self.rows, dtype=np.float64), False)


class Uniform(_Source):
    """Synthetic rows: entries uniform on [low, high], drawn from the seed, the same on every machine."""

    source: Literal["uniform"]
    count: Count
    """How many rows."""
    columns: Count | None = None
    """How many columns, where `program.data` does not name them."""
    low: float = 0.0
    """The lower end."""
    high: float = 1.0
    """The upper end."""

    def read(self, scenario: Path, names: Sequence[str], seed: int) -> Columns:
        """Return the rows, drawn row by row; raises DataError if the number of columns is not known."""
        width = len(names) or self.columns
        if width is None:
            raise DataError(f"{scenario}: data.columns: missing (how many columns)")
        entries = [line(self.low, self.high, u) for u in uniforms(seed, "data", self.count * width)]
        return Columns(tuple(names) or _numbered(width), np.array(entries).reshape(self.count, width), False)


Data = Annotated[Bundled | Csv | Inline | Uniform | Stream, Field(discriminator="source")]
"""The sources; a new one is a class above and its name here."""


def select(columns: Columns, names: Sequence[str], place: str) -> Columns:
    """Return the columns called `names`, in that order; raises DataError for a name that is not there."""
    if not names or tuple(names) == columns.names:
        return columns
    order = [_position(place, columns.names, name, "program.data") for name in names]
    return Columns(tuple(names), columns.rows[:, order], False)


def finish(columns: Columns, limit: int | None, standardise: bool, place: str) -> Columns:
    """Return the first `limit` rows, features standardised if asked; raises DataError for NaN and infinities.

    Mean and variance are correctly rounded sums (`math.fsum`), so they do not depend on the machine.
    """
    rows = columns.rows[:limit]
    if not np.isfinite(rows).all():
        i, j = (int(k) for k in np.argwhere(~np.isfinite(rows))[0])
        raise DataError(
            f"{place}: row {i + 1}, column '{columns.names[j]}': expected a finite number, got {rows[i, j]}"
        )
    if standardise:
        largest = float(np.abs(rows).max(initial=0.0))
        if largest * largest * len(rows) > sys.float_info.max:
            raise DataError(f"{place}: standardise: the squares of numbers as large as {largest:g} are beyond float64")
        rows = rows.copy()
        for j in range(rows.shape[1] - columns.target):
            mean = math.fsum(rows[:, j]) / len(rows)
            rows[:, j] -= mean
            spread = math.sqrt(math.fsum(rows[:, j] * rows[:, j]) / len(rows))
            if spread > 0:
                rows[:, j] /= spread
    return columns._replace(rows=np.ascontiguousarray(rows))


def _numbered(width: int) -> tuple[str, ...]:
    """Return names for columns that have none."""
    return tuple(f"column_{j}" for j in range(width))


def _position(place: str, header: Sequence[str], name: str, key: str) -> int:
    """Return where `name` stands among the columns; raises DataError with the nearest spelling."""
    if name not in header:
        raise DataError(f"{place}: no column '{name}' ({key}); {nearest(name, header)}")
    return list(header).index(name)


def _numbers(path: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> list[float]:
    """Return a line of the file as numbers; raises DataError for a wrong count, a word or a NaN."""
    if len(cells) != len(header):
        raise DataError(f"{path}:{number}: expected {len(header)} cells, got {len(cells)}")
    values = []
    for name, cell in zip(header, cells, strict=True):
        try:
            value = float(cell)
        except ValueError:
            raise DataError(f"{path}:{number}: column '{name}': expected a number, got '{cell.strip()}'") from None
        if not math.isfinite(value):
            raise DataError(f"{path}:{number}: column '{name}': expected a finite number, got {cell.strip()}")
        values.append(value)
    return values
