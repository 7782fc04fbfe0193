"""Reads scenario files. Each mistake in a file becomes one line: its place, what was expected, and what was found."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from simsa.errors import ScenarioError
from simsa.scenario.keys import example, meant, names_of, tables_in, toml
from simsa.scenario.model import SPELLINGS, TAGS, choices, nearest
from simsa.scenario.schema import Scenario

Key = tuple[str | int, ...]

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a number > {gt}",
    "greater_than_equal": "a number >= {ge}",
    "int_type": "an integer",
    "less_than": "a number < {lt}",
    "less_than_equal": "a number <= {le}",
    "model_attributes_type": "a table",
    "model_type": "a table",
    "string_pattern_mismatch": "a string like {pattern}",
    "string_too_short": "a string of at least {min_length} characters",
    "string_type": "a string",
    "too_short": "a list of at least {min_length}",
    "tuple_type": "a list",
}
"""What was expected, in the words of a TOML file, by pydantic's type of error."""


def load(path: str | Path, overrides: Sequence[str] = (), origin: str | Path | None = None) -> Scenario:
    """Return the scenario in a file.

    path: the file. overrides: keys that replace those of the file, such as "sgd.steps=500"; a value is TOML, and a bare
    word is a string. origin: the file that `path` is a copy of, if it is one; data files and modules are looked for in
    the folder of `origin`. Data are read later, by `rows`. Raises ScenarioError, with one line for each mistake: file,
    line, dotted key, what was expected, and what was found.
    """
    path = Path(path)
    text, table = _read(path)
    replaced = {_override(table, override): f"--set {override}" for override in overrides}

    def places() -> Places:
        found = {key: (line, f"{path}:{line}") for key, line in _lines(text).items()}
        for key, place in replaced.items():
            found = _put(found, key, (0, place))
        return found

    return _made(table, path if origin is None else Path(origin), places, path, {})


def tables(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a scenario file says, as nested tables that are not validated yet.

    path, overrides: as in `load`. Raises ScenarioError if the file cannot be read.
    """
    _, table = _read(Path(path))
    for override in overrides:
        _override(table, override)
    return table


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a file, and its tables; raises ScenarioError if it cannot be read or is not TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise ScenarioError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(_syntax(path, str(error))) from None


def validated(said: Mapping[str, Any], where: str, names: Mapping[Key, str]) -> Scenario:
    """Return the scenario that a table says, as a file would.

    said: what `tomllib` would return of the file. where: stands in front of each line of an error, as a file and its
    line do. names: by key, what a user calls it. Raises ScenarioError, as `load` does.
    """
    return _made(said, Path(where), dict, where, names)


Places = Mapping[Key, tuple[int, str]]
"""Line and place of each key of a file."""

AskPlaces = Callable[[], Places]
"""Finds them: only a message needs them, and finding them takes a walk over the whole file."""


def _put(places: Places, key: Key, place: tuple[int, str]) -> dict[Key, tuple[int, str]]:
    """Return places in which a key, and what is below it, stands at another place."""
    return {**{other: known for other, known in places.items() if other[: len(key)] != key}, key: place}


def _made(
    table: Mapping[str, Any], file: Path, places: AskPlaces, where: str | Path, names: Mapping[Key, str]
) -> Scenario:
    """Return the scenario that nested tables say, with a scenario for each of its settings.

    file: in whose folder data and modules are looked for. places: of each key. where: the place of other keys. names:
    by key, what a user calls it. Raises ScenarioError, with one line for each mistake.
    """
    try:
        scenario = Scenario.model_validate(table)
    except ValidationError as error:
        raise ScenarioError("\n".join(_problems(error, places(), where, names))) from None
    scenario._path = file
    if scenario.sweep.axes:
        scenario._settings = dict(_settings(table, file, places(), where, names))
    for i, claim in enumerate(scenario.claim):
        for j, name in enumerate(claim.setting or ()):
            if name not in scenario.settings:
                key = ("claim", i, "setting", j)
                (_, at), said = _place(key, places(), where), _called(key, names)
                raise ScenarioError(f"{at}: {said}: {nearest(name, scenario.settings)}, got '{name}'")
    return scenario


FIXED = ("scenario", "sweep", "record", "observe", "claim", "run", "data")
"""The tables that have no axes: what they say holds for all cells."""


def _settings(
    table: Mapping[str, Any], file: Path, places: Places, where: str | Path, names: Mapping[Key, str]
) -> Iterator[tuple[str, Scenario]]:
    """Yield the name of each setting of nested tables with axes, and its scenario; the last axis varies fastest.

    table, file, where, names: as for `_made`. places: of each key.
    """
    axes: Mapping[str, Sequence[Any]] = table["sweep"]["axes"]

    def place(*key: str | int) -> tuple[tuple[int, str], str]:
        whole = ("sweep", "axes", *key)
        return _place(whole, places, where), _called(whole, names)

    for name, values in axes.items():
        (_, at), said = place(name)
        if name in ("c", "convention", "precision", "sgd.steps") or name.partition(".")[0] in FIXED:
            there = {"sgd.steps": "the records of all cells have the same steps"}
            why = there.get(name, f"write sweep.{name}" if "." not in name else "it is the same for all cells")
            raise ScenarioError(f"{at}: {said}: expected a key of sgd, optimizer, initial or program: {why}")
        labels = [_label(value) for value in values]
        for i, label in enumerate(labels):
            if label in labels[:i]:
                (_, at), said = place(name, i)
                raise ScenarioError(f"{at}: {said}: expected distinct names, numbers {labels.index(label)} and {i} are "
                                    f"'{label}'")  # fmt: skip
    for chosen in product(*(range(len(values)) for values in axes.values())):
        varied: dict[str, Any] = deepcopy(dict(table))
        del varied["sweep"]["axes"]
        at_axes, called, labels = dict(places), dict(names), []
        for (name, values), i in zip(axes.items(), chosen, strict=True):
            value, key = values[i], tuple(name.split("."))
            labels.append(_label(value))
            inner = varied
            for part in key[:-1]:
                inner = inner.setdefault(part, {})
            inner[key[-1]] = {k: v for k, v in value.items() if k != LABEL} if isinstance(value, Mapping) else value
            put, called[key] = place(name, i)
            at_axes = _put(at_axes, key, put)
        try:
            made = Scenario.model_validate(varied)
        except ValidationError as error:
            raise ScenarioError("\n".join(_problems(error, at_axes, where, called))) from None
        made._path = file
        yield " / ".join(labels), made


LABEL = "label"
"""The key that names a value of an axis that is a table."""


def _label(value: Any) -> str:
    """Return the name of a value of an axis: its label, if it is a table with one, else how TOML has it."""
    if isinstance(value, Mapping) and LABEL in value:
        return str(value[LABEL])
    return value if isinstance(value, str) else toml(value)


def _syntax(path: Path, message: str) -> str:
    """Return the message for a text that is not TOML: the place, then the reason that `tomllib` gives."""
    place = re.search(r" \(at line (\d+), column (\d+)\)", message)
    if place is None:
        return f"{path}: not TOML: {message.removesuffix(' (at end of document)')} at the end of the file"
    return f"{path}:{place[1]}: not TOML: {message[: place.start()]} at column {place[2]}"


def _override(table: dict[str, Any], override: str) -> Key:
    """Write an override "a.b=value" into the tables of a scenario, and return its key ("a", "b")."""
    name, equals, text = override.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not equals or not all(key):
        raise ScenarioError(f"--set {override}: expected key=value, such as sgd.steps=500")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if not re.fullmatch(r"[\w./:+-]+", text.strip()):
            raise ScenarioError(f"--set {override}: the value is not TOML") from None
        value = text.strip()
    for part in key[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ScenarioError(f"--set {override}: '{part}' is not a table")
    table[key[-1]] = value
    return key


def _problems(
    error: ValidationError,
    places: Mapping[Key, tuple[int, str]],
    path: str | Path,
    names: Mapping[Key, str] = MappingProxyType({}),
) -> list[str]:
    """Return a line for each mistake, in the order of the file.

    names: what a user calls keys that are not called by themselves. places: line and place of each key of the file.
    """
    found: list[tuple[tuple[int, str], Key, str]] = []
    mistyped: set[Key] = set()
    for item in error.errors(include_url=False):
        key, tables, members = _walk(item["loc"])
        known = {name: field for table in tables for name, field in table.model_fields.items()}
        context = item.get("ctx", {})
        got = _shown(item["input"])
        match item["type"]:
            case "extra_forbidden":
                message = f"unknown key; {meant(key, known)}"
                mistyped |= {(*key[:-1], name) for name in known if message.endswith(f"did you mean '{name}'?")}
            case "missing":
                message = f"missing ({(known[str(key[-1])].description or '').removesuffix('.')})"
            case "union_tag_not_found":
                tag = context["discriminator"].strip("'")
                key = (*key, tag)
                message = f"missing; expected {choices(name for table in members for name in names_of(table, tag))}"
            case "union_tag_invalid" if " " in context["tag"]:
                message = f"expected {_quoted(context['expected_tags'], ' or ')}, got {got}"
            case "union_tag_invalid":
                key = (*key, context["discriminator"].strip("'"))
                message = f"expected {_quoted(context['expected_tags'])}, got '{context['tag']}'"
            case "literal_error":
                message = f"expected {_quoted(context['expected'])}, got {got}"
            case "scenario":
                key, message = (*key, *context["key"]), context["message"]
            case "too_short" if len(item["input"]) >= context["min_length"]:
                continue  # pydantic counts items with mistakes as missing, and these have lines of their own
            case "dict_type" | "model_type" | "model_attributes_type" if str(key[-1]) in known:
                message = f"expected a table, such as {example(known[str(key[-1])])}, got {got}"
            case kind if kind in _EXPECTED:
                context = {name: f"{v:g}" if isinstance(v, float) else v for name, v in context.items()}
                message = f"expected {_EXPECTED[kind].format_map(context)}, got {got}"
            case _:
                message = f"{item['msg']}, got {got}"
        found.append((_place(key, places, path), key, message))
    return [
        f"{place}: {_called(key, names)}: {message}"
        for (_, place), key, message in sorted(found, key=lambda one: one[0][0])
        if key not in mistyped
    ]


def _called(key: Key, names: Mapping[Key, str]) -> str:
    """Return what a user calls a key: a name for the start of it, if there is one, and the rest with dots."""
    n = next((n for n in range(len(key), 0, -1) if key[:n] in names), 0)
    return ".".join([names[key[:n]], *map(str, key[n:])] if n else map(str, key))


def _walk(location: Sequence[str | int]) -> tuple[Key, list[type[BaseModel]], list[type[BaseModel]]]:
    """Return the key at pydantic's `location`, the classes that may hold it, and the classes that its value may be.

    A location also contains the name of the member of a union that was tried, which the key does not.
    """
    key: Key = ()
    holders: list[type[BaseModel]] = [Scenario]
    members = holders
    for part in location:
        if part in SPELLINGS:
            continue
        if isinstance(part, int):  # an item of a list: the classes of the list are those of its items
            key = (*key, part)
            continue
        if len(members) > 1:
            members = [table for table in members if any(part in names_of(table, tag) for tag in TAGS)]
            continue
        key, holders = (*key, part), members
        fields = [table.model_fields[part] for table in holders if part in table.model_fields]
        members = [table for field in fields for table in tables_in(field.annotation)]
    return key, holders, members


def _quoted(names: str, last: str | None = None) -> str:
    """Return pydantic's list of quoted names as "'a', 'b' or 'c'"; with `last`, unquoted and joined by it."""
    found = re.findall(r"'([^']*)'", names)
    return choices(found) if last is None else last.join(found)


def _shown(value: Any) -> str:
    """Return a value as TOML writes it, cut after 60 characters; of a list or table, what it is."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "a table"
        case list() | tuple():
            return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _place(key: Key, places: Mapping[Key, tuple[int, str]], path: str | Path) -> tuple[int, str]:
    """Return the line of a key, or of the innermost table with it that the file has, and its place for a message."""
    for i in range(len(key), 0, -1):
        if key[:i] in places:
            return places[key[:i]]
    return 0, str(path)


_TOKEN = re.compile(
    r"""(?P<text>"{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')|(?P<comment>\#[^\n]*)"""
    r"""|(?P<end>\n)|(?P<sign>[][{}=,.])|(?P<bare>[^][{}=,.\s"'\#]+)""",
    re.DOTALL,
)
"""The tokens of TOML that are needed to find the lines of keys. That numbers are split at dots does not matter here."""


def _lines(text: str) -> dict[Key, int]:
    """Return the line of every key, table and list item of a valid TOML text, which `tomllib` does not tell."""
    places: dict[Key, int] = {}
    tables: dict[Key, int] = {}
    tokens: list[tuple[str | None, str, int]] = []
    line = 1
    for found in _TOKEN.finditer(f"{text}\n"):
        if found.lastgroup != "comment":
            tokens.append((found.lastgroup, found[0], line))
        line += found[0].count("\n")
    at = 0

    def name(stop: str) -> list[str]:
        """Read a dotted key up to the sign `stop`."""
        nonlocal at
        parts = []
        while tokens[at][1] != stop:
            kind, token, _ = tokens[at]
            if kind in ("bare", "text"):
                parts.append(token if kind == "bare" else tomllib.loads(f"x={token}")["x"])
            at += 1
        at += 1
        return parts

    def mark(key: Key, line: int) -> None:
        for i in range(1, len(key) + 1):
            places.setdefault(key[:i], line)

    def value(key: Key) -> None:
        """Read a value: record the lines of the keys inside it, and move past its end."""
        nonlocal at
        mark(key, tokens[at][2])
        opening = tokens[at][1]
        if opening not in ("[", "{"):
            while tokens[at][1] not in (",", "]", "}") and tokens[at][0] != "end":
                at += 1
            return
        at += 1
        item = 0
        while tokens[at][1] not in ("]", "}"):
            if tokens[at][1] == "," or tokens[at][0] == "end":
                at += 1
            elif opening == "[":
                value((*key, item))
                item += 1
            else:
                value((*key, *name("=")))
        at += 1

    table: Key = ()
    while at < len(tokens):
        kind, token, line = tokens[at]
        if kind == "end":
            at += 1
        elif token == "[":
            table = tuple(name("]"))
            if at < len(tokens) and tokens[at][1] == "]":  # an array of tables: [[name]]
                tables[table] = tables.get(table, -1) + 1
                mark(table, line)
                table = (*table, tables[table])
                at += 1
            mark(table, line)
        else:
            value((*table, *name("=")))
    return places
