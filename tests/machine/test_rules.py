"""Rules: a row of text is what every engine, the exact mode, replays, digests and the schema need to know."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simsa
from simsa import rules
from simsa.ensemble.plan import plan as planned
from simsa.ensemble.resolve import resolve
from simsa.errors import DataError, ScenarioError
from simsa.formats import FORMATS
from simsa.machine import Descent, Initial, Walker, arithmetic, descend, exact, tape_of
from simsa.machine.launch import ENGINES, SPECIALISED, _arranged, advance, begin, records
from simsa.rules import HEAVY_BALL, RULES, SGD, Range, Rule
from simsa.scenario import load
from tests.support import ROOT, SCENARIOS
from tests.support.runs import swept

ROWS = np.random.default_rng(0).normal(size=(9, 2)).round(2)
KINDS = {name: arithmetic(row) for name, row in FORMATS.items()}

NESTEROV = Rule(
    "nesterov",
    "Nesterov's momentum",
    change="gamma * (g + beta * m)",
    state=("m",),
    update=(("m", "beta * m + g"),),
    numbers={"beta": Range(0.0, 1.0, "how much of the last direction is kept")},
)
TWO = Rule(
    "two",
    "two states, a literal, and names that kernels use as well",
    change="gamma * values / (1 + size * size)",
    state=("values", "size"),
    update=(("values", "0.5 * values + g"), ("size", "size + values / (2 + x * x)")),
)
"""Rules that are in no table."""


def kinked(x: Any, row: Any) -> Any:
    """Tie on a grid of points, and be curved elsewhere."""
    return abs(x[0] - row[0]) + simsa.relu(x[1]) * row[1] + x[0] * x[1] / 4


def case(rule: Rule, numbers: tuple[Fraction, ...], **changes: Any) -> Descent:
    """Return a short descent from points that tie and points that do not."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, -0.25], [0.7, 1.3]])
    given: dict[str, Any] = {
        "steps": 15, "law": "uniform_subset", "size": 1, "replace": False, "alpha": 1 / np.arange(1.0, 16.0),
        "radius": 20.0, "seed": 3, "initial": Initial("points", np.zeros(2), np.ones(2), points),
        "checkpoints": np.array([0, 7, 15]), "objective_trajectories": 100, "snapshots": True, "rule": rule,
        "numbers": numbers,
    }  # fmt: skip
    return Descent(**{**given, **changes})


CASES = [(SGD, ()), (HEAVY_BALL, (Fraction(9, 10),)), (NESTEROV, (Fraction(1, 3),)), (TWO, ())]


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize(("rule", "numbers"), CASES, ids=lambda one: getattr(one, "name", ""))
def test_every_engine_takes_the_steps_of_the_text(rule: Rule, numbers: tuple[Fraction, ...], precision: str) -> None:
    """Against plain Python, bit for bit; cut at every step, too, for the state is kept between steps."""
    tape, descent = tape_of(simsa.trace(kinked, parameters=2, data=2)), case(rule, numbers)
    walker = Walker(tape, ROWS, KINDS[precision], rule=rule, constants=numbers)
    for engine in ENGINES:
        found = descend(tape, ROWS, descent, c=0.7, first=0, count=8, precision=precision, engine=engine)
        for t in range(8):
            for key, value in walker.record(descent, 0.7 * descent.alpha, c=0.7, trajectory=t).items():
                np.testing.assert_array_equal(found[key][t], np.asarray(value, found[key].dtype), f"{key} of {t}")
        progress = begin(tape, descent, c=0.7, first=0, count=8, precision=precision)
        for step in range(16):
            progress = advance(tape, ROWS, descent, progress, step, engine=engine)
        for key, values in records(descent, progress).items():
            assert values.tobytes() == found[key].tobytes(), key


@pytest.mark.parametrize("precision", KINDS)
@pytest.mark.parametrize(("rule", "numbers"), CASES, ids=lambda one: getattr(one, "name", ""))
@pytest.mark.parametrize("walk", ["step_loop", "fused_step"])
def test_steps_taken_inside_a_walk_are_those_of_the_rule(
    walk: str, rule: Rule, numbers: tuple[Fraction, ...], precision: str
) -> None:
    """Several steps of a scalar program at once, and the step of a layer as its gradient comes out."""
    rows = np.random.default_rng(1).normal(size=(8, 2)).round(1)
    if walk == "step_loop":
        tape, law = tape_of(simsa.trace(kinked, parameters=2, data=2)), {"law": "full"}
    else:
        tape, law = tape_of(simsa.network([1, 3, 1], loss="squared")), {"law": "fixed_size", "size": 4}
    start = Initial("uniform", np.zeros(tape.parameters), np.ones(tape.parameters), np.zeros((1, tape.parameters)))
    descent = case(rule, numbers, **law, initial=start)
    engine = _arranged(tape, len(rows), descent, precision, SPECIALISED, 9, None)[1].engine
    assert hasattr(engine, walk), "the walk that is tested"
    found = descend(tape, rows, descent, c=0.1, first=0, count=9, precision=precision, engine=SPECIALISED)
    walker = Walker(tape, rows, KINDS[precision], rule=rule, constants=numbers)
    for t in range(9):
        for key, value in walker.record(descent, 0.1 * descent.alpha, c=0.1, trajectory=t).items():
            np.testing.assert_array_equal(found[key][t], np.asarray(value, found[key].dtype), f"{key} of {t}")


def by_hand(gradients: list[Fraction], gamma: list[Fraction], beta: Fraction) -> Fraction:
    """Return x after steps of heavy ball from 0, with m written out."""
    x = m = Fraction(0)
    for g, rate in zip(gradients, gamma, strict=True):
        m = beta * m + g
        x -= rate * m
    return x


@settings(max_examples=30)
@given(st.fractions(0, 1, max_denominator=9).filter(lambda beta: beta < 1), st.integers(1, 6))
def test_heavy_ball_is_what_it_is_over_the_rational_numbers(beta: Fraction, steps: int) -> None:
    """f(x) = x: the gradient is 1, and m_k the geometric sum."""
    tape = tape_of(simsa.trace(lambda x: 1.0 * x[0], 1))
    start = Initial("points", np.zeros(1), np.ones(1), np.zeros((1, 1)))
    alpha = np.full(steps, 0.5)
    descent = case(HEAVY_BALL, (beta,), steps=steps, law="full", alpha=alpha, initial=start, checkpoints=np.array([0]))
    gamma = [Fraction(1, 2)] * steps
    found = exact.descend(tape, np.zeros((1, 0)), descent, gamma=gamma, c=1, first=0, count=1, bits=4096)
    assert found["final"][0, 0] == float(by_hand([Fraction(1)] * steps, gamma, beta))


def test_without_memory_heavy_ball_is_sgd() -> None:
    tape = tape_of(simsa.trace(kinked, parameters=2, data=2))
    plain, other = (
        descend(tape, ROWS, case(rule, numbers), c=0.7, first=0, count=8)
        for rule, numbers in ((SGD, ()), (HEAVY_BALL, (Fraction(0),)))
    )
    for key in plain:
        np.testing.assert_array_equal(plain[key], other[key])
    moving = descend(tape, ROWS, case(HEAVY_BALL, (Fraction(1, 2),)), c=0.7, first=0, count=8)
    assert (moving["final"] != plain["final"]).any(), "the control: memory matters"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"change": "gamma * m"}, r"unknown names \['m'\] in 'gamma \* m'"),
        ({"change": "g", "state": ("m",)}, r"each name of the state is updated once: \('m',\)"),
        ({"change": "g", "state": ("g",), "update": (("g", "g"),)}, "names must be identifiers, each used once"),
        ({"change": "g", "numbers": {"change": Range(0, 1, "")}}, "and not 'change'"),
        ({"change": "exp(g)"}, r"unknown names \['exp'\]"),
        ({"change": "g**2"}, r"expected numbers, names, \+ - \* / and \('sqrt',\), got 'g\*\*2'"),
        ({"change": "g if g > 0 else x"}, "expected numbers, names"),
        ({"change": "+g"}, "expected numbers, names"),
        ({"change": "g.real"}, "expected numbers, names"),
        ({"change": "True * g"}, "expected numbers, names"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rule("r", "a rule", **row)


def test_numbers_are_counted() -> None:
    with pytest.raises(DataError, match=r"heavy_ball takes the numbers \(beta\), got \(\)"):
        case(HEAVY_BALL, ())
    with pytest.raises(ValueError, match="there is a rule 'sgd' already"):
        rules.register(SGD)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{name='heavy_ball'}", "sgd.rule.beta: missing (how much of the last direction is kept: from 0 to below 1)"),
        ("{name='heavy_ball', beta=1.0}", "sgd.rule.beta: expected a number from 0 to below 1, got 1.0"),
        ("{name='heavy_ball', beta='1/0'}", 'sgd.rule.beta: expected a number, or a fraction such as "9/10"'),
        ("{name='heavyball'}", "sgd.rule.name: expected 'sgd' or 'heavy_ball', got 'heavyball'"),
        ("{name='sgd', beta=0.1}", "sgd.rule.beta: unknown key; expected 'name'"),
    ],
)
def test_a_scenario_says_which_rule(said: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(SCENARIOS / "bad_step.toml", [f"sgd.rule={said}"])
    assert message in str(caught.value)


def digest(*overrides: str) -> str:
    return planned(resolve(load(SCENARIOS / "bad_step.toml", list(overrides)))).layout.digest


def test_sgd_leaves_the_digest_as_it_was_and_another_rule_does_not() -> None:
    beta = {value: digest(f"sgd.rule={{name='heavy_ball', beta={value}}}") for value in ("0.5", "0.9", "'9/10'")}
    assert digest() == digest("sgd.rule={name='sgd'}")
    assert len({digest(), *beta.values()}) == 4


def test_a_sweep_with_heavy_ball_says_that_it_is_not_the_papers_recursion(tmp_path: Path, no_figures: None) -> None:
    """In all three arithmetics; replayed; and no bad steps are predicted, which are those of SGD."""
    changes = (
        "sgd.rule={name='heavy_ball', beta='1/2'}", "sweep.trajectories=40", "sweep.c=['1/2', 1]", "claim=[]",
        "sweep.precision=['float64', 'float32', 'exact']",
    )  # fmt: skip
    summary = swept(SCENARIOS / "bad_step.toml", tmp_path, *changes)
    assert summary["bad_scales"]["why"] == "steps are not those of SGD"
    assert {one["verdict"] for one in summary["verdicts"]} == {"hypothesis not met"}
    reasons = [h for one in summary["verdicts"] for h in one["hypotheses"] if h["hypothesis"].endswith("recursion (8)")]
    assert len(reasons) == len(summary["verdicts"]) and "momentum" in reasons[0]["why"]
    for cell in range(6):
        replay = simsa.replay(tmp_path, cell=cell, trajectory=7, first=1)
        steps = list(replay)
        assert not replay.differences
        assert any(v != 0 for one in steps[0].held for v in one), "the state is there where a replay begins"
    part = simsa.replay(tmp_path, cell=1, trajectory=7).divergence()
    assert part is not None and part.rounding is not None


EXTENSION = """
from simsa import rules
from simsa.rules import Range, Rule

rules.register(Rule(
    "nesterov", "Nesterov's momentum", change="gamma * (g + beta * m)", state=("m",), update=(("m", "beta * m + g"),),
    numbers={"beta": Range(0.0, 1.0, "how much of the last direction is kept")},
))

import sys
from pathlib import Path
import numpy as np
import simsa
from simsa import plots
from simsa.cli import main
from simsa.records import read

plots.save_all = lambda summary, folder: []  # figures take longer than these runs
folder, file = sys.argv[1:]
changes = [
    "sgd.rule={name='nesterov', beta='1/3'}", "sweep.trajectories=20", "sweep.c=[0.5]", "claim=[]",
    "sweep.precision=['float64', 'exact']",
]
settings = [part for change in changes for part in ("--set", change)]
every = []
for engine in ("interpreter", "specialised"):
    out = f"{folder}/{engine}"
    assert main(["sweep", file, "--out", out, "--quiet", "--set", f"run.engine='{engine}'", *settings]) == 0
    every.append([{name: np.asarray(cell[name]).tobytes() for name in cell} for cell in read.cells(Path(out))])
    assert not simsa.replay(out, cell=0, trajectory=3).differences
assert every[0] == every[1]
print("the same bits")
"""


def test_a_rule_is_added_from_outside_in_one_place(tmp_path: Path) -> None:
    """A row in a user's file: the scenario names it, each engine and the exact mode run it, and a replay knows it."""
    given = [sys.executable, "-c", EXTENSION, str(tmp_path), str(SCENARIOS / "bad_step.toml")]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("the same bits\n")


def test_the_schema_and_the_docs_have_every_rule() -> None:
    schema = (ROOT / "schema" / "scenario.schema.json").read_text()
    page = (ROOT / "docs" / "reference" / "rules.md").read_text()
    assert all(f'"const": "{name}"' in schema for name in RULES)
    assert all(line in page.splitlines() for line in rules.table()), "write it again: make tables"
