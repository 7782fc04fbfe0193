"""What the schema says of each key of a scenario file: its meaning, its type, its default, an example."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from simsa.errors import ScenarioError
from simsa.scenario.model import TAGS, Idle, OneOf, Unit, choices, nearest
from simsa.scenario.schema import Scenario

Place = tuple[type[BaseModel], FieldInfo]
"""A class of tables that has a key, and its field there."""

LIMITS = {"ge": "of at least {:g}", "gt": "above {:g}", "le": "up to {:g}", "lt": "below {:.4g}"}
"""How the limits of a number are said, by the name that pydantic has for them."""


def tables_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the classes of tables in the annotation of a field."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in tables_in(part)]


def names_of(table: type[BaseModel], tag: str) -> list[str]:
    """Return the values of the key `tag` (kind, source, law, family or name) that choose this class from a union."""
    if tag not in table.model_fields:
        return []
    field = table.model_fields[tag]
    listed = [name for one in field.metadata if isinstance(one, OneOf) for name in one.names]
    return listed or [str(name) for name in get_args(field.annotation)]


@cache
def keys() -> dict[str, list[Place]]:
    """Return every key of a scenario file, with dots, and the classes of tables that have it, in their order."""
    found: dict[str, list[Place]] = {}

    def walk(table: type[BaseModel], prefix: str) -> None:
        for name, field in table.model_fields.items():
            found.setdefault(f"{prefix}{name}", []).append((table, field))
            for inner in tables_in(field.annotation):
                walk(inner, f"{prefix}{name}.")

    walk(Scenario, "")
    return found


def meant(key: Sequence[str | int], known: Iterable[str]) -> str:
    """Return what an unknown key was perhaps meant to be, or what there is.

    key: its parts. known: the names that its table has. At the top of a file there are tables only: what is the name of
    a key of a table is said to be that.
    """
    places = _ending(str(key[-1])) if len(key) == 1 else []
    return f"did you mean {choices(places)}?" if places else nearest(str(key[-1]), known)


def _ending(name: str) -> list[str]:
    """Return the keys of a scenario file, with dots, whose last part is a name."""
    return [key for key in keys() if key.rpartition(".")[2] == name]


class Entry(NamedTuple):
    """What the schema says of a key, in one of the classes of tables that have it, or in several that say the same.

    which: for which value of its tag a table has the key, in words that follow its name; empty if every table has it.
    meaning, type, default, example: in words and as TOML; there is no default for a key that chooses the class. unit:
    of its numbers, empty if they have none.
    """

    which: str
    meaning: str
    type: str
    default: str
    example: str
    unit: str


def entries(key: str) -> list[Entry]:
    """Return what the schema says of a key. key: one of `keys()`."""
    places, name = keys()[key], key.rpartition(".")[2]
    if tags := [one for table, _ in places if name in TAGS for one in names_of(table, name)]:
        return [Entry("", "Chooses which keys the table has.", choices(tags), "", f"{name} = {toml(tags[0])}", "")]
    found = []
    for i, (table, field) in enumerate(places):
        if any(repr(field) == repr(earlier) for _, earlier in places[:i]):
            continue  # several tables have the same key
        which = _which([owner for owner, other in places if repr(other) == repr(field)]) if len(places) > 1 else ""
        kind = type_of(field.annotation, field.metadata)
        unit = next((one.name for one in field.metadata if isinstance(one, Unit)), "")
        said = f"{name} = {example(field)}"
        found.append(Entry(which, _meaning(table, field), kind, _default(field), said, unit))
    return found


def counts(key: str) -> str:
    """Return whether a key changes the records of a run: "yes", "no", or "unless neutral".

    key: one of `keys()`. A key of a table that never does (`Idle`) does not either. "unless neutral" is said of a key
    that some values of change nothing, such as an empty list.
    """
    parts = key.split(".")
    above = [keys()[".".join(parts[: i + 1])] for i in range(len(parts))]
    marks = [mark for places in above for _, field in places for mark in field.metadata if isinstance(mark, Idle)]
    return "no" if any(mark.always for mark in marks) else "unless neutral" if marks else "yes"


def explained(key: str) -> Iterator[str]:
    """Yield what the schema says of a key, in lines.

    key: with dots, such as "sgd.step_size"; a table has keys of its own, which are listed. Raises ScenarioError, with
    the nearest key, if there is none of this name.
    """
    places = keys().get(key)
    if places is None:
        raise ScenarioError(f"there is no key '{key}'; {meant(key.split('.')[-1:], keys())}")
    name = key.rpartition(".")[2]
    for one in entries(key):
        yield f"{key}{one.which}: {one.meaning}"
        yield f"  type: {one.type}"
        if one.default:
            yield f"  default: {one.default}"
        yield f"  example: {one.example}"
        if not one.default:
            yield from (f"  {name} = {toml(names_of(table, name)[0])}: {_first(table.__doc__)}" for table, _ in places)
            return
    for table in dict.fromkeys(one for _, field in places for one in tables_in(field.annotation)):
        yield f"keys{_which([table])}: {_first(table.__doc__)}"
        for inner, field in table.model_fields.items():
            if not (inner in TAGS and names_of(table, inner)):
                needed = "" if field.is_required() or default(field) is None else f" (default: {toml(default(field))})"
                yield f"  {key}.{inner}: {_meaning(table, field)}{needed}"


def table() -> Iterator[str]:
    """Yield the lines of a Markdown section for each table of a scenario file, with a row for each key."""
    for i, (name, field) in enumerate(Scenario.model_fields.items()):
        whole = keys()[name][0]
        listed = [key for key in keys() if key.startswith(f"{name}.")]
        title = f"[[{name}]]" if _tables_of_a_list(field) else f"[{name}]"
        yield from ([""] * (i > 0) + [f"## `{title}`", ""])
        yield f"{_meaning(*whole)} {'Every scenario has it.' if field.is_required() else 'It may be left out.'}"
        yield from ("", "| key | meaning | values | unit | default | example | changes records |")
        yield "|---|---|---|---|---|---|---|"
        for key in listed:
            for one in entries(key):
                cells = (one.meaning, one.type, one.unit, _code(one.default), _code(one.example), counts(key))
                yield f"| `{key}`{one.which} | {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


BAR = "\\|"
"""A vertical bar within a cell of a Markdown table."""


def _code(text: str) -> str:
    """Return a text of TOML as Markdown shows it, and words as they are."""
    return text if not text or text.startswith("none, ") else f"`{text}`"


def _which(tables: Sequence[type[BaseModel]]) -> str:
    """Return for which value of its tag a table is chosen, in words that follow the name of a key; or nothing."""
    named = [(tag, name) for table in tables for tag in TAGS for name in names_of(table, tag)]
    return f", for {named[0][0]} = {choices(name for _, name in named)}" if named else ""


def _meaning(table: type[BaseModel], field: FieldInfo) -> str:
    """Return what a key means, in a line."""
    return " ".join(field.description.split()) if field.description else _first(table.__doc__)


def _first(text: str | None) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join((text or "").split("\n\n")[0].split())


def _default(field: FieldInfo) -> str:
    """Return the default of a key."""
    if field.is_required():
        return "none, the key is needed"
    return "none, the key may be left out" if default(field) is None else toml(default(field))


def default(field: FieldInfo) -> Any:
    """Return the default of a key that has one."""
    return field.get_default(call_default_factory=True)


def type_of(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Return in words which values a type of the schema has.

    annotation: the type. metadata: what it is annotated with, in the order of `typing.Annotated`.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [one for part in parts[1:] for one in (part.metadata if isinstance(part, FieldInfo) else [part])]
        pattern = any(isinstance(part, FieldInfo) and part.json_schema_extra for part in parts[1:])
        return 'a fraction such as "1/3"' if pattern else type_of(parts[0], [*inner, *metadata])
    if origin in (Union, UnionType):
        said = [type_of(part) for part in parts if part is not NoneType]
        return " or ".join(dict.fromkeys(said))
    if origin is Literal:
        return choices(parts)
    if listed := [name for one in metadata if isinstance(one, OneOf) for name in one.names]:
        return choices(listed)
    limits = [LIMITS[name].format(getattr(one, name)) for one in metadata for name in LIMITS if hasattr(one, name)]
    if origin is tuple:
        least = next((f" of at least {one.min_length}" for one in metadata if hasattr(one, "min_length")), "")
        return f"a list{least} (each {type_of(parts[0])})"
    if tables_in(annotation) or origin is dict:
        return "a table"
    words = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
    return f"{words[annotation]} {' and '.join(limits)}".rstrip()


def example(field: FieldInfo) -> str:
    """Return an example of a key's value, as TOML: the default if it has one."""
    return toml(_example(field))


def _example(field: FieldInfo) -> Any:
    """Return an example of a key's value."""
    if field.examples:
        return field.examples[0]
    if not field.is_required() and default(field) is not None and not _tables_of_a_list(field):
        return default(field)
    if inner := tables_in(field.annotation):
        some = {name: _example(one) for name, one in inner[0].model_fields.items() if one.is_required()}
        return [some] if _tables_of_a_list(field) else some
    listed = [name for one in field.metadata if isinstance(one, OneOf) for name in one.names]
    return (listed or get_args(field.annotation))[0]


def _tables_of_a_list(field: FieldInfo) -> bool:
    """Tell whether the value of a key is a list of tables."""
    return get_origin(field.annotation) is tuple and bool(tables_in(field.annotation))


def toml(value: Any) -> str:
    """Return a value as a line of TOML; of a table, the keys that do not have their defaults, and its tag."""
    match value:
        case BaseModel():
            fields = type(value).model_fields
            said = {name: getattr(value, name) for name in fields}
            return toml({n: one for n, one in said.items() if n in TAGS or one != default(fields[n])})
        case dict():
            return f"{{ {', '.join(f'{name} = {toml(one)}' for name, one in value.items())} }}" if value else "{}"
        case list() | tuple():
            return f"[{', '.join(map(toml, value))}]"
        case float() if abs(value) >= 1e6:
            return f"{value:g}".replace("e+0", "e")
    return json.dumps(value)
