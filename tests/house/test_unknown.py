"""What is not known raises, and falls into no default: a member that no closed set has, wherever a name is given."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simsa
from simsa import calculus
from simsa.ensemble.replay import Replay
from simsa.errors import SimsaError
from simsa.machine import Descent, Initial, Machine, Stream, compiled, descend, evaluate, tape_of, warm_up
from simsa.machine.launch import smallest
from simsa.program import build
from simsa.scenario import load
from simsa.scenario.schema import json_schema
from simsa.vocabulary import Word
from tests.support.runs import planned

UNKNOWN = "fixed_sized"
"""No name of any set, and close to one."""

TAPE, ROWS, DESCENT = smallest()
PROGRAM = simsa.expression("abs(x) + y", ["x", "y"])
ONE = np.ones(1)


def law(name: str, **changes: Any) -> Descent:
    """Return a descent with a law of the minibatch."""
    return dataclasses.replace(DESCENT, law=name, **changes)


def stream(kind: str) -> Stream:
    """Return a law of samples with a component."""
    return Stream((kind,), ONE, np.zeros((1, 1)), np.ones((1, 1)))


def replayed(precision: str) -> Any:
    """Return what would take the steps of a cell of a precision."""
    cell = dataclasses.make_dataclass("Cell", ["precision"])(precision)
    given = {f.name: None for f in dataclasses.fields(Replay)}
    return Replay(**{**given, "cell": cell}).walker


PLACES: dict[str, Callable[[str], Any]] = {
    "law of the minibatch": law,
    "a law of the kernels alone": lambda name: law("fixed_size_replaced" if name == UNKNOWN else name),
    "law of streamed minibatches": lambda name: law("full" if name == UNKNOWN else name, stream=stream("ball")),
    "law of x_0": lambda name: Initial(name, ONE, ONE, np.ones((1, 1))),
    "component of a stream": stream,
    "engine": lambda name: descend(TAPE, ROWS, DESCENT, c=0.5, first=0, count=1, engine=name),
    "precision": lambda name: descend(TAPE, ROWS, DESCENT, c=0.5, first=0, count=1, precision=name),
    "precision of an evaluation": lambda name: evaluate(TAPE, np.ones((1, 1)), np.zeros((1, 0)), precision=name),
    "precision of the kernels": warm_up,
    "precision of an engine": lambda name: compiled(name, (TAPE, ROWS, DESCENT)),
    "precision of a replay": replayed,
    "mode": lambda name: PROGRAM.jacobian([1.0, 1.0], mode=name),
    "mode of the machine": lambda name: Machine().jacobian(PROGRAM, np.ones((1, 2)), np.zeros((1, 0)), name),
    "closure": lambda name: calculus.selection_operator(PROGRAM, [0.0, 0.0], name),
    "closure of a classification": lambda name: calculus.classify(PROGRAM, [0.0, 0.0], closure=name),
    "closure on a path": lambda name: calculus.check_conservative(PROGRAM, [[-1.0, 0.0], [1.0, 0.0]], name),
    "minibatches": lambda name: calculus.bad_steps(PROGRAM, None, (-1, 1), minibatches=name),
    "framework": lambda name: simsa.expression("relu(x)", ["x"], convention=name),
    "primitive of a convention": lambda name: simsa.expression("relu(x)", ["x"], convention={name: 0.5}),
    "rule at a tie": lambda name: simsa.expression("relu(x)", ["x"], convention={"relu": name}),
    "rule of a call": lambda name: simsa.trace(lambda x: simsa.apply("relu", x[0], tie=name), 1),
    "primitive": lambda name: simsa.apply(name, 1.0),
    "kind of program": lambda name: build(name),
    "kind of layer": lambda name: simsa.network([2, {"kind": name, "units": 2}]),
    "activation": lambda name: simsa.network([2, 2], activation=name),
    "activation of a layer": lambda name: simsa.network([2, {"kind": "dense", "units": 2, "activation": name}]),
    "loss": lambda name: simsa.network([2, 2], loss=name),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_name_raises(place: str) -> None:
    with pytest.raises(SimsaError) as caught:
        PLACES[place](UNKNOWN)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", Word.__subclasses__())
def test_a_word_of_no_set_raises_and_a_member_is_its_text(words: type[Word]) -> None:
    with pytest.raises(SimsaError, match=f"unknown {words.__name__} '{UNKNOWN}'; expected one of"):
        words(UNKNOWN)
    for word in words:
        assert word == str(word) == json.loads(json.dumps(word)) and repr(word) == repr(word.value)
        assert words(word.value) is word


def test_known_names_do_not() -> None:
    """The control: the calls above are right but for the name."""
    known = {
        "law of the minibatch": "reshuffled", "a law of the kernels alone": "fixed_size",
        "law of streamed minibatches": "fixed_size", "law of x_0": "uniform", "component of a stream": "normal",
        "engine": "interpreter", "precision": "float64", "precision of an evaluation": "float64",
        "precision of the kernels": "float64", "precision of an engine": "float64", "mode": "forward",
        "mode of the machine": "forward", "closure": "full", "closure of a classification": "full",
        "closure on a path": "full", "minibatches": "single", "framework": "jax", "primitive of a convention": "relu",
        "rule at a tie": "last", "rule of a call": "last", "primitive": "relu", "kind of layer": "dense",
        "activation": "tanh", "activation of a layer": "tanh", "loss": "cross_entropy",
    }  # fmt: skip
    assert set(PLACES) - set(known) == {"precision of a replay", "kind of program"}, "these need more than a name"
    for place, name in known.items():
        PLACES[place](name)
    assert tape_of(PROGRAM).parameters == 2


# Scenarios: every choice that the schema knows.


def choices_of(schema: dict[str, Any]) -> set[str]:
    """Return the names of the keys of a JSON schema, at any depth, that take one of some strings."""
    found = set()

    def walk(key: str, node: Any) -> None:
        if isinstance(node, dict):
            if "enum" in node or (node.get("type") == "string" and "const" in node):
                found.add(key)
            for name, child in node.items():
                if name == "properties":
                    for one, inner in child.items():
                        walk(one, inner)
                elif name == "$defs":
                    for inner in child.values():
                        walk("", inner)
                elif name != "discriminator":
                    walk(key, child)
        elif isinstance(node, list):
            for child in node:
                walk(key, child)

    walk("", schema)
    return found


TEXT = """
[scenario]
name = "tiny"
[program]
kind = "expression"
parameters = ["x"]
data = ["a"]
expression = "abs(x - a)"
[data]
source = "inline"
rows = [[1.0], [2.0]]
[sgd]
steps = 3
batch = { law = "fixed_size", size = 1 }
step_size = { family = "power", exponent = 1.0 }
[initial]
law = "uniform"
[sweep]
c = [0.5]
trajectories = 4
"""

SAID = {
    "program.kind": '"{}"', "program.convention": '"{}"', "program.convention.base": '"{}"', "data.source": '"{}"',
    "sgd.batch.law": '"{}"', "sgd.step_size.family": '"{}"', "initial.law": '"{}"',
    "initial": '{{ law = "he", distribution = "{}" }}', "sweep.c": '{{ law = "{}", low = 0.1, high = 1, count = 2 }}',
    "sweep.convention": '["{}"]', "sweep.precision": '["{}"]', "record.points": '"{}"', "run.engine": '"{}"',
    "optimizer": '{{ kind = "{}" }}', "optimizer.average": '"{}"',
    "data": '{{ source = "stream", sample = {{ law = "{}" }} }}',
    "claim": '[{{ event = "{}", probability = 0.5, text = "no" }}]',
}  # fmt: skip
COVERED = {"kind", "convention", "source", "law", "family", "distribution", "precision", "points", "engine", "average"}
"""The keys that are set above; the events of a claim are the schema's own and the observables."""


def test_every_choice_of_the_schema_is_tried() -> None:
    assert choices_of(json_schema()) == COVERED


@pytest.mark.parametrize("key", SAID)
def test_an_unknown_choice_of_a_scenario_raises(tmp_path: Path, key: str) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TEXT, encoding="utf-8")
    planned(load(file))
    with pytest.raises(SimsaError) as caught:
        planned(load(file, [f"{key}={SAID[key].format('unheard_of')}"]))
    assert re.search(r"expected|unknown|did you mean", str(caught.value)) and "\n" not in str(caught.value)
