"""Data sets. To add a source, add a class here and its name to `Data`; a bundled data set is an entry of `BUNDLED`.

Every source gives named columns of finite float64, one row for each sample, with the target as the last column. The
exception is `Stream`, which has a law in place of rows.
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
from simsa.scenario.model import Count, Items, Model, OneOf, Unit, nearest, such_as
from simsa.scenario.reals import linear, uniforms
from simsa.scenario.stream import Stream

BUNDLED: dict[str, tuple[str, float]] = {
    "breast_cancer": ("load_breast_cancer", 1.0),
    "diabetes": ("load_diabetes", 1.0),
    "digits": ("load_digits", 16.0),
    "iris": ("load_iris", 1.0),
    "wine": ("load_wine", 1.0),
}
"""Data sets that come with scikit-learn: the name of the loader, and the number that the features are divided by."""


class Columns(NamedTuple):
    """A data set. names: of the d columns. rows: float64, shape (n, d). target: whether the last column is a target."""

    names: tuple[str, ...]
    rows: NDArray[np.float64]
    target: bool


class _Source(Model):
    """The keys that every source with rows has."""

    limit: Annotated[Count | None, Unit("row"), such_as(100)] = None
    """Keep only the first so many rows."""
    standardise: bool = False
    """Subtract from each feature its mean and divide by its standard deviation; the target stays as it is."""


class Bundled(_Source):
    """Real data that come with scikit-learn: all features, then the target (classes are 0, 1, ...)."""

    source: Annotated[str, OneOf(BUNDLED)]

    def read(self, scenario: Path, names: Sequence[str], seed: int) -> Columns:
        """Return all columns, with the features scaled as `BUNDLED` says, and the target last.

        scenario, names, seed: as for every source; not used here. Raises DataError if scikit-learn is missing.
        """
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
    """Return the data set of digits, shape (1797, 65), from its file, since importing scikit-learn takes a second."""
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise DataError("data.source: digits come with scikit-learn, which is not installed")
    table = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    table.setflags(write=False)
    return table


class Csv(_Source):
    """A file of numbers, the names of its columns in the first line.

    Columns are separated by commas, or else by semicolons or tabs. If the first line has numbers only, it is a sample,
    and the columns are column_0, column_1, ...
    """

    source: Literal["csv"]
    path: Annotated[str, such_as("data.csv")]
    """The file, relative to the scenario's folder."""
    target: Annotated[str | None, such_as("price")] = None
    """The column that is put last; the other columns keep their order."""

    def read(self, scenario: Path, names: Sequence[str], seed: int) -> Columns:
        """Return the columns of the file.

        scenario: the scenario file, in whose folder `path` is. names, seed: as for every source; not used here. Raises
        DataError, with file and line, if the file is missing, or a cell is not a finite number.
        """
        path = scenario.parent / self.path
        found = layout(path)
        header = found.names
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, delimiter=found.separator)
            if found.named:
                next(reader)
            try:
                table = [_numbers(path, reader.line_num, header, cells) for cells in reader if cells]
            except (UnicodeDecodeError, csv.Error) as error:
                raise DataError(f"{path}: cannot be read: {error}") from None
        if repeated := {name for name in header if header.count(name) > 1}:
            raise DataError(f"{path}:1: column '{min(repeated)}' stands there twice")
        if not table:
            raise DataError(f"{path}: no rows of data")
        rows = np.array(table)
        if self.target is None:
            return Columns(header, rows, False)
        last = _position(f"{path}:1", header, self.target, "data.target")
        order = [*(j for j in range(len(header)) if j != last), last]
        return Columns(tuple(header[j] for j in order), rows[:, order], True)

    def remarks(self, scenario: Path) -> tuple[str, ...]:
        """Return what is unusual about how the file is laid out, each in a line. scenario: as for `read`."""
        path = scenario.parent / self.path
        found = layout(path)
        said = []
        if found.separator != ",":
            said.append(f"{path}: columns are separated by {SEPARATORS[found.separator]}")
        if not found.named:
            ends = ", ".join(dict.fromkeys((found.names[0], found.names[-1])))
            said.append(f"{path}: no header: columns are {', ..., '.join(ends.split(', '))}")
        return tuple(said)


SEPARATORS = {",": "','", ";": "';'", "\t": "tabs"}
"""What may separate the columns of a file, in the order in which it is looked for, and what it is called."""


class CsvLayout(NamedTuple):
    """How a file of numbers is laid out. separator: of columns. names: of columns. named: whether a line has them."""

    separator: str
    names: tuple[str, ...]
    named: bool


def layout(path: Path) -> CsvLayout:
    """Return how a file of numbers is laid out, from its first line.

    Raises DataError if the file is missing, empty, or cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
            # a line of numbers with semicolons has decimal commas
            decimal = ";" in first and re.fullmatch(r"[-+\d\s.,;eE]*", first)
            separator = ";" if decimal else next((one for one in SEPARATORS if one in first), ",")
            stream.seek(0)
            header = [name.strip() for name in next(csv.reader(stream, delimiter=separator), [])]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file (data.path)") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not header:
        raise DataError(f"{path}: the file is empty; expected names of columns in the first line")
    named = not all(_is_number(name) for name in header)
    return CsvLayout(separator, tuple(header) if named else _numbered(len(header)), named)


def _is_number(cell: str) -> bool:
    """Tell whether a cell is a number, also with a decimal comma."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


class Inline(_Source):
    """Rows written in the scenario file, their columns named by `program.data`."""

    source: Literal["inline"]
    rows: Annotated[Items[Annotated[Items[float], Field(min_length=1)]], Field(min_length=1), such_as([[1.0], [2.0]])]
    """The samples, each a list of as many numbers as the program has data."""

    def read(self, scenario: Path, names: Sequence[str], seed: int) -> Columns:
        """Return the rows.

        scenario: the scenario file, for messages. names: of the columns; if empty, they are numbered. seed: not used.
        Raises DataError if a row does not have one number for each name, or as many numbers as the first row.
        """
        width = len(names) or len(self.rows[0])
        for i, row in enumerate(self.rows):
            if len(row) != width:
                raise DataError(f"{scenario}: data.rows.{i}: expected {width} numbers, got {len(row)}")
        return Columns(tuple(names) or _numbered(width), np.array(self.rows, dtype=np.float64), False)


class Uniform(_Source):
    """Synthetic rows: entries uniform on [low, high], drawn from the seed, the same on every machine."""

    source: Literal["uniform"]
    count: Annotated[Count, Unit("row"), such_as(100)]
    """How many rows."""
    columns: Annotated[Count | None, Unit("column"), such_as(2)] = None
    """How many columns, where `program.data` does not name them."""
    low: float = 0.0
    """The lower end."""
    high: float = 1.0
    """The upper end."""

    def read(self, scenario: Path, names: Sequence[str], seed: int) -> Columns:
        """Return the rows, drawn row by row.

        scenario: the scenario file, for messages. names: of the columns; if empty, they are numbered. seed: of the
        draws. Raises DataError if neither `names` nor the key `columns` gives the number of columns.
        """
        width = len(names) or self.columns
        if width is None:
            raise DataError(f"{scenario}: data.columns: missing (how many columns)")
        entries = [linear(self.low, self.high, u) for u in uniforms(seed, "data", self.count * width)]
        return Columns(tuple(names) or _numbered(width), np.array(entries).reshape(self.count, width), False)


Data = Annotated[Bundled | Csv | Inline | Uniform | Stream, Field(discriminator="source")]
"""The sources."""


def select(columns: Columns, names: Sequence[str], place: str) -> Columns:
    """Return the columns called `names`, in that order; all columns if there are no names.

    columns: a data set. names: of the columns to keep. place: where messages say that the names are. Raises DataError
    for an unknown name.
    """
    if not names or tuple(names) == columns.names:
        return columns
    order = [_position(place, columns.names, name, "program.data") for name in names]
    return Columns(tuple(names), columns.rows[:, order], False)


def finish(columns: Columns, limit: int | None, standardise: bool, place: str) -> Columns:
    """Return the first rows of a data set, with standardised features if that is asked for.

    columns: the data set. limit: the number of rows to keep; None for all. standardise: whether to subtract the mean of
    each feature and divide by its standard deviation; a constant feature is not divided. place: where messages say that
    the data are. Means and variances are made of correctly rounded sums (`math.fsum`), so that they have the same bits
    on every machine. Raises DataError for NaN and infinities, and for features whose squares overflow.
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
    """Return the names column_0, column_1, ..."""
    return tuple(f"column_{j}" for j in range(width))


def _position(place: str, header: Sequence[str], name: str, key: str) -> int:
    """Return the position of `name` in the header; raises DataError, with the closest name, if it is not there."""
    if name not in header:
        raise DataError(f"{place}: no column '{name}' ({key}); {nearest(name, header)}")
    return list(header).index(name)


def _numbers(path: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> list[float]:
    """Return a line of the file as numbers; raises DataError for a wrong count, and for a cell that is not finite."""
    if len(cells) != len(header):
        raise DataError(f"{path}:{number}: expected {len(header)} cells, got {len(cells)}")
    values = []
    for name, cell in zip(header, cells, strict=True):
        try:
            value = float(cell)
        except ValueError:
            comma = "; decimals have a point" if _is_number(cell) else ""
            raise DataError(
                f"{path}:{number}: column '{name}': expected a number, got '{cell.strip()}'{comma}"
            ) from None
        if not math.isfinite(value):
            raise DataError(f"{path}:{number}: column '{name}': expected a finite number, got {cell.strip()}")
        values.append(value)
    return values
