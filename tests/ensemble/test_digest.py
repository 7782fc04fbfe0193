"""The digest of a scenario changes with every key but those that say themselves that they change no record."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsa.rules import RULES
from simsa.scenario import Scenario, load
from simsa.scenario.keys import tables_in
from simsa.scenario.model import Idle, Model

TEXT = """
[scenario]
name = "s"
[program]
kind = "expression"
parameters = ["x"]
data = ["a", "b"]
expression = "relu(x - a) * b"
[data]
source = "inline"
rows = [[1.0, 2.0], [3.0, 4.0]]
[sgd]
steps = 10
step_size = { family = "power", exponent = 1.0 }
[sweep]
c = [0.5]
trajectories = 4
"""
OBSERVE = "observe=[{name='h', expression='x', hit_below=0.5}]"
CLAIM = "claim=[{event='landed', probability='1/7', text='so'}]"
BALL = "{law='ball'}"

VARIANTS = [
    (),
    (OBSERVE, CLAIM, "sweep.precision=['exact']"),
    ("run={block=4}", "sweep.c={law='uniform', low=0.0, high=1.0, count=4}", "sweep.convention=['jax']"),
    *((f"sgd.batch={said}",) for said in ("{law='full'}", "{law='fixed_size',size=1}", "{law='reshuffled',size=1}")),
    ("sgd.step_size={family='log', exponent=2.0}", "optimizer={kind='sgd', clip={norm=1.0}, average={tail=0.5}}"),
    ("optimizer={kind='sgd', clip={value=1.0}, project={box=[-1.0, 1.0]}, average='uniform'}",),
    *(
        (f"optimizer={{kind='{name}', project={{ball=1.0}}{', momentum=0.5' * ('momentum' in row.numbers)}}}",)
        for name, row in RULES.items()
    ),
    ("sgd.step_size={family='constant'}", "initial={law='uniform'}"),
    ("sweep.precision=[{significand=4, exponent=4}]",),
    ("sgd.step_size={family='geometric', factor=0.5, every=2}",),
    ("sgd.step_size={family='cosine', warmup=3}",),
    (f"sgd.step_size={{family='table', values={[0.5] * 10}}}", "initial={law='points', points=[[1.0]]}"),
    ("initial={law='grid', low=0.0, high=1.0, count=3}",),
    *(
        (f"data={{source='stream', sample={law}}}", "sgd.batch={law='fixed_size', size=2}")
        for law in ("{law='normal'}", BALL, f"{{law='mixture', components=[{BALL}], weights=[1.0]}}")
    ),
    *((f"data={said}",) for said in ("{source='wine'}", "{source='csv', path='a'}")),
    ("data={source='uniform', columns=2, count=3}",),
    ("program={kind='network', layers=[4, 3]}", "data={source='iris'}", "initial={law='he'}"),
    ("program={kind='python', target='m:f', parameters=1, data=2}", "initial={law='glorot'}"),
    ("program={kind='stored', file='p.json', data=2}",),
    ("program={kind='torch', target='m:f', data=2}",),
    ("program={kind='jax', target='m:f', data=2}",),
]
"""Changes of the text: every table of the schema is in one of them."""


Place = tuple[str | int, ...]


def keys(table: Model, path: Place = ()) -> Iterator[tuple[type[Model], str, Place, Any]]:
    """Yield the table, name, place and value of each key that is in a scenario, those that hold tables included."""
    for name in type(table).model_fields:
        value = getattr(table, name)
        yield type(table), name, (*path, name), value
        if isinstance(value, Model):
            yield from keys(value, (*path, name))
        elif isinstance(value, tuple):
            for i, one in enumerate(value):
                if isinstance(one, Model):
                    yield from keys(one, (*path, name, i))


def other(value: Any) -> Any:
    """Return another value, of the same type if there is one. Whether a scenario allows it does not matter."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case tuple():
            return (*value, "other")
        case dict():
            return {**value, "other": 1}
        case str():
            return f"{value}-other"
    return "other"


def put(table: Any, path: Place) -> Any:
    """Return a scenario with another value of one key."""
    if not path:
        return other(table)
    first, *rest = path
    if isinstance(first, int):
        return (*table[:first], put(table[first], tuple(rest)), *table[first + 1 :])
    return table.model_copy(update={first: put(getattr(table, first), tuple(rest))})


def idle(scenario: Scenario, path: Place) -> bool:
    """Tell whether a key, or a table around it, says that it changes no record of a scenario."""
    table: Any = scenario
    for step in path:
        if isinstance(step, int):
            table = table[step]
            continue
        value = getattr(table, step)
        marks = [mark for mark in type(table).model_fields[step].metadata if isinstance(mark, Idle)]
        if any(mark.when(scenario, value) for mark in marks):
            return True
        table = value
    return False


def reachable(table: type[Any]) -> set[type[Any]]:
    """Return a table of the schema and all tables below it."""
    found = {table}
    for field in table.model_fields.values():
        for inner in tables_in(field.annotation):
            found |= reachable(inner)
    return found


def digest(scenario: Scenario) -> str:
    """Return the digest; that values are none the schema allows is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return scenario.digest(np.zeros((1, 2)))


@pytest.fixture
def scenarios(tmp_path: Path) -> list[Scenario]:
    (tmp_path / "s.toml").write_text(TEXT)
    return [load(tmp_path / "s.toml", changes) for changes in VARIANTS]


def test_the_digest_changes_with_a_key_exactly_if_the_key_says_so(scenarios: list[Scenario]) -> None:
    never = set()
    for scenario in scenarios:
        before = digest(scenario)
        for _, _, path, value in keys(scenario):
            if isinstance(value, Model) or (isinstance(value, tuple) and any(isinstance(v, Model) for v in value)):
                continue  # its keys are asked
            changed = put(scenario, path)
            says = idle(scenario, path) and idle(changed, path)
            assert (digest(changed) == before) is says, path
            if says:
                never.add(path[:2] if path[0] in ("record", "sgd") else path[:1])
    assert never == {("run",), ("claim",), ("record", "classify"), ("sgd", "bits")}


def test_every_key_of_the_schema_is_asked(scenarios: list[Scenario]) -> None:
    asked = {(table, name) for scenario in scenarios for table, name, _, _ in keys(scenario)}
    assert asked == {(table, name) for table in reachable(Scenario) for name in table.model_fields}
