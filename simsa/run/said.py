"""From Python objects to a scenario file: functions, arrays and keyword arguments."""

import inspect
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import DataError, ProgramError, ScenarioError
from simsa.primitives import Convention, convention
from simsa.program import Program, trace
from simsa.program.stored import described
from simsa.program.trace import refuse_frameworks
from simsa.run.perform import SCENARIO

PROGRAM, DATA = "program.json", "data.csv"
"""The files beside a scenario that is made of Python objects: the program, and the samples."""

KEYWORDS: dict[str, tuple[str, ...]] = {
    "name": ("scenario", "name"),
    "title": ("scenario", "title"),
    "seed": ("scenario", "seed"),
    "steps": ("sgd", "steps"),
    "batch": ("sgd", "batch"),
    "step_size": ("sgd", "step_size"),
    "optimizer": ("optimizer",),
    "radius": ("sgd", "radius"),
    "initial": ("initial",),
    "c": ("sweep", "c"),
    "trajectories": ("sweep", "trajectories"),
    "conventions": ("sweep", "convention"),
    "precision": ("sweep", "precision"),
    "axes": ("sweep", "axes"),
    "checkpoints": ("record", "checkpoints"),
    "classify": ("record", "classify"),
    "observe": ("observe",),
    "claims": ("claim",),
    "engine": ("run", "engine"),
    "block": ("run", "block"),
}
"""The keyword arguments of `sweep`, and the keys of a scenario file that they set."""

WHERE = "simsa.sweep"
"""Stands in front of each line about a wrong argument, as a file's name does."""


def scenario_files(
    what: Any, parameters: int | None, data: Any, columns: int | None, keywords: Mapping[str, Any]
) -> tuple[dict[str, str], Path | None]:
    """Return the files that say a scenario, by name with their text, and the file that it was read from, if it was one.

    what, parameters, data, columns, keywords: the arguments of `simsa.sweep` of these names; keywords are those of
    `KEYWORDS`. Raises SimsaError for what is no scenario, in the words of the call.
    """
    import tomli_w

    from simsa.scenario.load import tables, validated

    files: dict[str, str] = {}
    origin: Path | None = None
    if isinstance(what, str | Path):
        origin = Path(what)
        said = tables(origin)
    elif isinstance(what, Mapping):
        said = _plain(what)
    else:
        said = {"program": {}}
    if data is not None:
        said["data"], rows, columns = _data(data, columns)
        if rows:
            files[DATA] = rows
    for word, value in keywords.items():
        if value is not None:
            *tables_in, key = KEYWORDS[word]
            table = said
            for part in tables_in:
                table = table.setdefault(part, {})
            table[key] = _value(word, value, keywords)
    if not isinstance(what, str | Path | Mapping):
        width = getattr(what, "data", 0) if columns is None else columns
        said["program"], files[PROGRAM] = _traced(what, parameters, width, said)
        said.setdefault("scenario", {}).setdefault("name", _name(what))
    names: dict[tuple[str | int, ...], str] = {key: word for word, key in KEYWORDS.items()}
    validated(said, str(origin) if origin and not keywords else WHERE, names)
    return {SCENARIO: tomli_w.dumps(said), **files}, origin


def _value(word: str, value: Any, keywords: Mapping[str, Any]) -> Any:
    """Return the value of a keyword as a scenario file says it."""
    plain = _plain(value)
    if word == "step_size":
        if callable(value):
            steps = keywords.get("steps")
            if not isinstance(steps, int) or steps < 1:
                raise ScenarioError(f"{WHERE}: steps: a function as step_size needs the number of steps, at least 1")
            return {"family": "table", "values": [_plain(value(k)) for k in range(steps)]}
        if isinstance(plain, list):
            return {"family": "table", "values": plain}
        return plain if isinstance(plain, dict) else {"family": "constant", "value": plain}
    if word == "batch" and not isinstance(plain, dict):
        return {"law": plain} if isinstance(plain, str) else {"law": "fixed_size", "size": plain}
    if word == "optimizer" and isinstance(plain, str):
        return {"kind": plain}
    if word == "initial" and isinstance(plain, list):
        return {"law": "points", "points": plain}
    if word in ("c", "conventions", "precision") and not isinstance(plain, list):
        return plain if word == "c" and isinstance(plain, dict) else [plain]
    return plain


def _plain(value: Any) -> Any:
    """Return a value in the types of a TOML file: arrays as lists, fractions as text, tables as dicts."""
    if isinstance(value, Convention):
        return {"base": value.base, **value.overrides} if value.overrides else value.base
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple | range):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _data(data: Any, columns: int | None) -> tuple[dict[str, Any], str, int | None]:
    """Return the table `[data]`, the text of the file that it names, if it names one, and the number of columns."""
    if isinstance(data, Mapping):
        return _plain(data), "", columns
    try:
        rows: NDArray[np.float64] = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{WHERE}: data: expected numbers, shape (n, d): {error}") from None
    if rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or not rows.size:
        raise DataError(f"{WHERE}: data: expected an array of shape (n, d), got shape {rows.shape}")
    names = getattr(data, "columns", None)
    header = [f"column_{j}" for j in range(rows.shape[1])] if names is None else [str(name) for name in names]
    lines = [",".join(json.dumps(name) if "," in name else name for name in header)]
    lines += [",".join(map(repr, row)) for row in rows.tolist()]
    return {"source": "csv", "path": DATA}, "\n".join(lines) + "\n", rows.shape[1]


def _traced(what: Any, parameters: int | None, width: int, said: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the table `[program]` of a function or a program, and the text of the file that it names.

    width: how many numbers of each sample it takes. said: the rest of the scenario, which names the conventions.
    """
    wanted = said.get("sweep", {}).get("convention") or ["tensorflow"]
    if isinstance(what, Program):
        asked = wanted if "convention" in said.get("sweep", {}) else [what.convention]
        try:
            programs, source = [what.under(convention(one)) for one in asked], ""
        except ProgramError as error:
            raise ScenarioError(f"{WHERE}: conventions: {error}") from None
    elif callable(what):
        refuse_frameworks(what)
        p = getattr(what, "parameters", None) if parameters is None else parameters
        if p is None:
            raise ScenarioError(f"{WHERE}: parameters: how many does the function take? Say parameters=...")
        programs = [trace(what, p, width, one) for one in wanted]
        try:
            source = inspect.getsource(what)
        except (OSError, TypeError):  # typed where Python keeps no text
            source = ""
    else:
        raise ScenarioError(
            f"{WHERE}: expected a function, a Program, the path of a scenario, or a dict, got {type(what).__name__}"
        )
    base = programs[0].convention
    first = {"base": base.base, **base.overrides} if base.overrides else base.base
    table = {"kind": "stored", "file": PROGRAM, "data": programs[0].data, "convention": first}
    return table, json.dumps(described(programs, source), indent=1)


def _name(what: Any) -> str:
    """Return a name for a function or a program."""
    name = getattr(what, "__name__", "program")
    return name if name.isidentifier() else "sweep"
