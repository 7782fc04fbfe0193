"""Rules: a row of text is what every engine, the exact mode, replays, digests and the schema need to know."""

import pickle
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
from simsa.engines import Exact
from simsa.engines.engine import Task
from simsa.ensemble.plan import plan as planned
from simsa.ensemble.plan import rational
from simsa.ensemble.resolve import resolve
from simsa.errors import DataError, ScenarioError
from simsa.formats import FORMATS
from simsa.machine import Descent, Initial, Walker, arithmetic, descend, exact, tape_of
from simsa.machine.launch import ENGINES, SPECIALISED, _arranged, advance, begin, records
from simsa.machine.rounding import explain
from simsa.machine.task import ExactSteps
from simsa.rules import ADAM, HEAVY_BALL, RULES, SGD, TRUNCATED, Range, Rule, modified
from simsa.scenario import load
from tests.support import ROOT, SCENARIOS
from tests.support.runs import swept

ROWS = np.random.default_rng(0).normal(size=(9, 2)).round(2)
KINDS = {name: arithmetic(row) for name, row in FORMATS.items()}

TWO = Rule(
    "two",
    "two states, a literal, and names that kernels use as well",
    """
    values = 0.5 * values + g
    size = size + values / (2 + x * x)
    change = gamma * values / (1 + size * size)
    """,
    state=("values", "size"),
)
SUMS = Rule(
    "sums",
    "two totals, the second of which uses the first and a new state; and the loss",
    """
    before = total(x * g)
    values = minimum(values, -0.5) + g / (1 + before * before)
    size = total(maximum(values, sign(x)) + f)
    change = gamma * abs(values) / (3 + abs(size)) - 0.001 * f * sign(g)
    """,
    state=("values",),
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


def numbered(rule: Rule, **said: Any) -> tuple[Rule, tuple[Fraction, ...]]:
    """Return a rule with its numbers: those that are said, else the defaults."""
    return rule, tuple(Fraction(str(said.get(name, one.default))) for name, one in rule.numbers.items())


MOMENTUM = {"heavy_ball": {"momentum": "9/10"}, "nesterov": {"momentum": "1/3"}}
ROWS_OF_THE_TABLE = [numbered(row, **MOMENTUM.get(name, {})) for name, row in RULES.items()]
OTHERS = [
    (TWO, ()),
    (SUMS, ()),
    numbered(modified(SGD, ["project_box", "clip_value"]), low=-0.5, high="3/4", clip=0.25),
    numbered(
        modified(ADAM, ["clip_norm", "weight_decay", "project_ball", "average"]),
        norm=0.5, weight_decay=0.125, radius="1.25", skipped=4,
    ),
]  # fmt: skip
CASES = [*ROWS_OF_THE_TABLE, *OTHERS]
BOTH = [*((*one, "float64") for one in CASES), *((*one, "float32") for one in [CASES[0], *OTHERS])]
"""Every rule in float64; in float32, SGD and those that have everything that a row can say."""


def named(one: Any) -> str:
    """Return the name of a case."""
    return str(getattr(one, "name", one if isinstance(one, str) else ""))


@pytest.mark.parametrize(("rule", "numbers", "precision"), BOTH, ids=named)
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
        assert ("state" in found) is bool(rule.state), "the state at the end is recorded"
        for step in range(16):
            progress = advance(tape, ROWS, descent, progress, step, engine=engine)
        for key, values in records(descent, progress).items():
            assert values.tobytes() == found[key].tobytes(), key


@pytest.mark.parametrize("shape", [(1, 2), (2, 4)])
@pytest.mark.parametrize(("rule", "numbers"), [numbered(TRUNCATED, lowest=-1), (SUMS, ())], ids=lambda one: "")
def test_losses_and_totals_do_not_depend_on_how_many_samples_are_computed_at_once(
    shape: tuple[int, int], rule: Rule, numbers: tuple[Fraction, ...]
) -> None:
    tape, descent = tape_of(simsa.trace(kinked, parameters=2, data=2)), case(rule, numbers)
    plain = Walker(tape, ROWS, KINDS["float64"], rule=rule, constants=numbers)
    for engine in ENGINES:
        found = descend(tape, ROWS, descent, c=0.7, first=0, count=11, engine=engine, shape=shape)
        for t in range(11):
            expected = plain.record(descent, 0.7 * descent.alpha, c=0.7, trajectory=t)
            for key, value in expected.items():
                np.testing.assert_array_equal(found[key][t], np.asarray(value, found[key].dtype), f"{key} of {t}")


@pytest.mark.parametrize(("rule", "numbers", "precision"), BOTH, ids=named)
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
    assert hasattr(engine, walk) is rule.separable, "the walk that is tested; others take steps after the gradient"
    found = descend(tape, rows, descent, c=0.1, first=0, count=9, precision=precision, engine=SPECIALISED)
    walker = Walker(tape, rows, KINDS[precision], rule=rule, constants=numbers)
    for t in range(9):
        for key, value in walker.record(descent, 0.1 * descent.alpha, c=0.1, trajectory=t).items():
            np.testing.assert_array_equal(found[key][t], np.asarray(value, found[key].dtype), f"{key} of {t}")


SPECIAL = (0.0, -0.0, 1.5, -1.5, 5e-324, -5e-324)
FUNCTIONS = Rule(
    "functions",
    "every function of two quotients, which may be 0, -0, infinite or NaN",
    """
    one = x / g
    two = g / x
    signs = sign(one)
    sizes = abs(one)
    roots = sqrt(sizes)
    lower = minimum(one, two)
    upper = maximum(one, two)
    zero = minimum(x, g)
    other = maximum(x, g)
    change = 0 * g
    """,
    state=("one", "two", "signs", "sizes", "roots", "lower", "upper", "zero", "other"),
)


def test_functions_have_one_meaning_at_zeros_nan_and_infinities() -> None:
    """The reference, the walk `update`, and the walk `step_loop`, against what `FUNCTIONS` says of each."""
    rows = np.array([[v] for v in SPECIAL])
    starts = np.array([[v] for v in SPECIAL])
    start = Initial("points", np.zeros(1), np.ones(1), starts)
    tape = tape_of(simsa.trace(lambda x, row: x[0] * row[0], 1, 1))
    for row in rows:
        changes = {"steps": 2, "law": "full", "initial": start, "alpha": np.ones(2), "checkpoints": np.array([0])}
        descent = case(FUNCTIONS, (), **changes)
        walker = Walker(tape, row[None], KINDS["float64"], rule=FUNCTIONS)
        begun = begin(tape, descent, c=1.0, first=0, count=len(SPECIAL))
        states = [advance(tape, row[None], descent, begun, 1, engine=one).state.held for one in ENGINES]
        states.append(walker.advance(descent, [1.0, 1.0], begun, 1).state.held)
        assert np.isnan(states[0]).any() or row[0]
        with np.errstate(all="ignore"):
            x, g = starts[:, 0], 0.0 + row[0]  # sums begin with 0
            one, two = x / g, g / x
            signs = np.where(one > 0, 1, np.where(one < 0, -1, one))
            lower, upper = np.where(one < two, one, two), np.where(one > two, one, two)
            zero, other = np.where(x < g, x, g), np.where(x > g, x, g)
            known = [one, two, signs, abs(one), np.sqrt(abs(one)), lower, upper, zero, other]
        for held in states:
            for n, name in enumerate(FUNCTIONS.state):
                np.testing.assert_array_equal(held[:, n, 0], known[n], name)
                np.testing.assert_array_equal(
                    np.signbit(held[:, n, 0])[~np.isnan(known[n])], np.signbit(known[n])[~np.isnan(known[n])], name
                )


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


RATIONAL = [
    *((rule, numbers) for rule, numbers in CASES if not rule.irrational and rule is not TWO),
    numbered(modified(RULES["inna"], ["weight_decay", "average"]), weight_decay="1/8", skipped=2),
]
"""Rules with numbers, without square roots; the digits of TWO grow too fast."""


@pytest.mark.parametrize(("rule", "numbers"), RATIONAL, ids=lambda one: getattr(one, "name", ""))
def test_rational_rules_take_steps_without_rounding(rule: Rule, numbers: tuple[Fraction, ...]) -> None:
    """As float64 does, up to rounding; and the first rounding of a step is found."""
    tape, descent = tape_of(simsa.trace(kinked, parameters=2, data=2)), case(rule, numbers, steps=3, alpha=np.ones(3))
    gamma = [Fraction(7, 10 * (k + 1)) for k in range(3)]
    plain = Walker(tape, ROWS, KINDS["float64"], rule=rule, constants=numbers)
    rational = exact.walker(tape, ROWS, descent, 10**6)
    for t in (1, 7):
        floating = list(plain.walk(descent, [float(v) for v in gamma], c=0.7, trajectory=t))
        unrounded = list(rational.walk(descent, gamma, c=0.7, trajectory=t))
        for one, two in zip(floating, unrounded, strict=True):
            assert all(isinstance(v, Fraction) for state in two.kept for v in (*state, *two.following))
            np.testing.assert_allclose(np.array(one.following, float), np.array(two.following, float), atol=1e-9)
            np.testing.assert_allclose(np.array(one.kept, float), np.array(two.kept, float), atol=1e-9)
        assert explain(plain, floating[0], unrounded[0]) is not None or floating[0].following == unrounded[0].following


def test_the_exact_engine_refuses_roots_by_name() -> None:
    tape = tape_of(simsa.trace(kinked, parameters=2, data=2))
    steps = ExactSteps({Fraction(1): Fraction(1)}, (Fraction(1),) * 15, 4096)
    for rule, numbers in CASES:
        why = Exact().refuses(Task(tape, ROWS, case(rule, numbers), "exact", steps))
        assert why == (f"{rule.name} takes a square root, which is not rational" if rule.irrational else "")
    assert {rule.name for rule, _ in CASES if not rule.irrational} >= {"sgd", "inna", "ef_signsgd", "truncated"}


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
        ({"text": "change = gamma * m"}, r"unknown names \['m'\] in 'gamma \* m'"),
        ({"text": "change = late; late = g"}, r"unknown names \['late'\]"),
        ({"text": "change = g", "state": ("m",)}, r"each name of the state is assigned once: \('m',\)"),
        ({"text": "m = g; m = g; change = m", "state": ("m",)}, "each name of the state is assigned once"),
        ({"text": "change = g", "state": ("g",)}, "names must be identifiers, each used once"),
        ({"text": "change = g", "numbers": {"change": Range(0, 1, "")}}, "and not 'change'"),
        ({"text": "change = g", "numbers": {"sign": Range(0, 1, "")}}, "names must be identifiers"),
        ({"text": "m = g"}, "no line assigns 'change'"),
        ({"text": "x = g; change = g"}, "'x' cannot be assigned here: x = g"),
        ({"text": "a = g; a = x; change = a"}, "'a' cannot be assigned here"),
        ({"text": "total = g; change = g"}, "'total' cannot be assigned here"),
        ({"text": "change += g"}, r"expected lines 'name = expression', got 'change \+= g'"),
        ({"text": "change = exp(g)"}, r"unknown names \['exp'\]"),
        ({"text": "change = g * total(g)"}, r"unknown names \['total'\]"),
        ({"text": "change = total(g, x)"}, r"unknown names \['total'\]"),
        ({"text": "change = g**2"}, r"expected numbers, names, \+ - \* / and abs, .*, maximum, got 'g \*\* 2'"),
        ({"text": "change = g if g > 0 else x"}, "expected numbers, names"),
        ({"text": "change = +g"}, "expected numbers, names"),
        ({"text": "change = g.real"}, "expected numbers, names"),
        ({"text": "change = True * g"}, "expected numbers, names"),
        ({"text": "change = minimum(g)"}, "expected numbers, names"),
        ({"text": "change = sign(x=g)"}, "expected numbers, names"),
        ({"text": "change = sign * g"}, "expected numbers, names"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rule("r", "a rule", **row)


def test_numbers_are_counted() -> None:
    with pytest.raises(DataError, match=r"heavy_ball takes the numbers \(momentum\), got \(\)"):
        case(HEAVY_BALL, ())
    with pytest.raises(ValueError, match="there is a rule 'sgd' already"):
        rules.register(SGD)
    with pytest.raises(ValueError, match="expected an identifier as the name of a rule, got 'a\\+b'"):
        rules.register(Rule("a+b", "two", "change = g"))


def test_modifiers_stand_in_one_order_and_a_rule_with_them_is_one_object() -> None:
    names = ["average", "project_box", "weight_decay", "clip_norm"]
    both = modified(ADAM, names)
    assert both is modified(ADAM, names[::-1]) is rules.rule("adam+clip_norm+weight_decay+project_box+average")
    assert pickle.loads(pickle.dumps(both)) is both and modified(ADAM, []) is ADAM
    assert SGD.paper and modified(SGD, ["average"]).paper and not modified(SGD, ["project_box"]).paper
    with pytest.raises(ValueError, match=r"unknown modifiers \['clip'\]; expected some of 'clip_value'"):
        modified(ADAM, ["clip"])
    with pytest.raises(ValueError, match="unknown modifier 'clip'"):
        rules.rule("adam+clip")
    with pytest.raises(ValueError, match="unknown rule 'adams'"):
        rules.rule("adams")
    with pytest.raises(ValueError, match=r"adamw\+weight_decay: two numbers have the name weight_decay"):
        modified(RULES["adamw"], ["weight_decay"])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{}", "kind: missing; expected 'sgd', 'heavy_ball', "),
        ("{kind='heavy_ball'}", "momentum: missing (how much of the last direction is kept: from 0 to below 1)"),
        ("{kind='heavy_ball', momentum=1.0}", "momentum: expected a number from 0 to below 1, got 1.0"),
        ("{kind='heavy_ball', momentum='1/0'}", 'momentum: expected a number, or a fraction such as "9/10"'),
        ("{kind='heavyball'}", "kind: expected 'sgd', 'heavy_ball', "),
        ("{kind='sgd', momentum=0.1}", "momentum: unknown key; expected 'kind', 'weight_decay', "),
        ("{kind='inna', beta=0.0}", "beta: expected a number above 0, got 0.0"),
        ("{kind='adagrad', eps=-1.0}", "eps: expected a number from 0 on, got -1.0"),
        ("{kind='adam', betas=[0.9]}", "betas: expected 2 numbers (beta1, beta2), got 1"),
        ("{kind='adam', betas=[0.9, 1.0]}", "betas.1: expected a number from 0 to below 1, got 1.0"),
        ("{kind='adam', betas=0.9}", "betas: expected a list, got 0.9"),
        ("{kind='sgd', weight_decay=-1.0}", "weight_decay: expected a number from 0 on, got -1.0"),
        ("{kind='sgd', clip={norm=0.0}}", "clip.norm: expected a number above 0, got 0.0"),
        ("{kind='sgd', clip={value=-1.0}}", "clip.value: expected a number above 0, got -1.0"),
        ("{kind='sgd', clip={norm=1.0, value=1.0}}", "clip: expected one of 'norm' and 'value'"),
        ("{kind='sgd', project={}}", "project: expected one of 'box' and 'ball'"),
        ("{kind='sgd', project={ball=0.0}}", "project.ball: expected a number above 0, got 0.0"),
        ("{kind='sgd', project={box=[1.0, 1.0]}}", "project.box: expected a lower and an upper bound, [-1.0, 1.0], "),
        ("{kind='sgd', project={box=[1.0]}}", "project.box: expected a lower and an upper bound"),
        ("{kind='sgd', average='all'}", "average: expected 'uniform', got 'all'"),
        ("{kind='sgd', average={tail=0.0}}", "average.tail: expected a number above 0, up to 1, got 0.0"),
        ("{kind='sgd', average={tail='3/2'}}", "average.tail: expected a number above 0, up to 1, got 3/2"),
    ],
)
def test_a_scenario_says_which_rule(said: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(SCENARIOS / "bad_step.toml", [f"optimizer={said}", "sweep.precision=['float64']"])
    assert f"optimizer.{message}" in str(caught.value) and "\n" not in str(caught.value)


def test_the_key_that_the_table_has_replaced_names_it() -> None:
    with pytest.raises(ScenarioError, match=r"sgd.rule: the table \[optimizer\] says how a step is taken; write optim"):
        load(SCENARIOS / "bad_step.toml", ["sgd.rule={name='heavy_ball', beta=0.5}"])


def test_the_numbers_of_a_scenario_are_in_the_order_of_the_rule() -> None:
    """The tail of 10 steps with a share of 1/3 is 4 steps."""
    said = "{kind='adam', betas=[0.5, '2/3'], weight_decay=2, project={box=[-1, '1/2']}, average={tail='1/3'}}"
    found = load(SCENARIOS / "bad_step.toml", [f"optimizer={said}", "sweep.precision=['float64']"]).optimizer
    assert found.rule.name == "adam+weight_decay+project_box+average"
    expected = {
        "beta1": "1/2",
        "beta2": "2/3",
        "eps": "1e-8",
        "weight_decay": 2,
        "low": -1,
        "high": "1/2",
        "skipped": 6,
    }
    assert dict(zip(found.rule.numbers, found.values(10), strict=True)) == {n: Fraction(v) for n, v in expected.items()}


@pytest.mark.parametrize("said", ["{kind='adam'}", "{kind='sgd', clip={norm=1.0}}", "{kind='sgd', project={ball=1.0}}"])
def test_a_rule_with_a_root_has_no_exact_cells(said: str) -> None:
    with pytest.raises(ScenarioError, match="takes a square root, which is not rational; leave out"):
        load(SCENARIOS / "bad_step.toml", [f"optimizer={said}", "sweep.precision=['exact']"])
    found = load(SCENARIOS / "bad_step.toml", [f"optimizer={said}", "sweep.precision=['float64']"])
    with pytest.raises(ScenarioError, match="takes a square root, which is not rational: it cannot be run in exact"):
        rational(found, next(iter(planned(resolve(found)).settings[""].tapes.values())))


def digest(*overrides: str) -> str:
    return planned(resolve(load(SCENARIOS / "bad_step.toml", list(overrides)))).layout.digest


def test_sgd_leaves_the_digest_as_it_was_and_another_rule_does_not() -> None:
    heavy = [f"optimizer={{kind='heavy_ball', momentum={value}}}" for value in ("0.5", "0.9", "'9/10'")]
    changed = [*heavy, "optimizer={kind='sgd', weight_decay=0.1}", "optimizer={kind='sgd', average='uniform'}"]
    neutral = "optimizer={kind='sgd', weight_decay=0.0}"
    assert digest() == digest("optimizer={kind='sgd'}") == digest(neutral) == digest("optimizer.kind='sgd'")
    assert len({digest(), *map(digest, changed)}) == 6


def test_a_sweep_with_heavy_ball_says_that_it_is_not_the_papers_recursion(tmp_path: Path, no_figures: None) -> None:
    """In all three arithmetics; replayed; and no bad steps are predicted, which are those of SGD."""
    changes = (
        "optimizer={kind='heavy_ball', momentum='1/2'}", "sweep.trajectories=40", "sweep.c=['1/2', 1]", "claim=[]",
        "sweep.precision=['float64', 'float32', 'exact']",
    )  # fmt: skip
    summary = swept(SCENARIOS / "bad_step.toml", tmp_path, *changes)
    kept = simsa.open_records(tmp_path)
    assert kept.state.dims == ("cell", "trajectory", "kept", "parameter") and kept.kept.values.tolist() == ["m"]
    assert kept.state.notnull().all() and (kept.state != 0).any()
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


def test_conventions_are_told_apart_by_the_state_where_the_points_agree(tmp_path: Path, no_figures: None) -> None:
    """At 0, the end of the box, relu(x) has the slope 0 or 1: x stays there, and the momentum is another one."""
    (tmp_path / "box.toml").write_text(BOX, encoding="utf-8")
    for kind, differ in (("sgd", 0), ("heavy_ball', momentum='1/2", 8)):
        box = f"optimizer={{kind='{kind}', project={{box=[0.0, 1.0]}}}}"
        summary = swept(tmp_path / "box.toml", tmp_path / kind[:3], box, "run.engine='reference'")
        (found,) = summary["comparisons"]
        assert (found["trajectories"], found["differ"]) == (8, differ)
        assert (simsa.open_records(tmp_path / kind[:3]).final == 0).all()


def test_an_average_changes_no_step() -> None:
    tape = tape_of(simsa.trace(kinked, parameters=2, data=2))
    plain = descend(tape, ROWS, case(SGD, ()), c=0.7, first=0, count=8)
    average, numbers = numbered(modified(SGD, ["average"]), skipped=5)
    found = descend(tape, ROWS, case(average, numbers), c=0.7, first=0, count=8)
    assert all(found[key].tobytes() == plain[key].tobytes() for key in plain)
    walker = Walker(tape, ROWS, KINDS["float64"])
    steps = list(walker.walk(case(SGD, ()), 0.7 * case(SGD, ()).alpha, c=0.7, trajectory=3))
    mean = np.mean([step.following for step in steps[5:]], axis=0)
    np.testing.assert_allclose(found["state"][3, average.state.index("average")], mean, rtol=1e-14)


BOX = """
[scenario]
name = "box"
[program]
kind = "expression"
parameters = ["x"]
expression = "relu(x)"
[sgd]
steps = 4
step_size = { family = "constant", value = 0.5 }
[initial]
law = "points"
points = [[0.0]]
[sweep]
c = [1.0]
trajectories = 8
convention = ["tensorflow", { base = "tensorflow", relu = 1.0 }]
"""

EXTENSION = """
from simsa import rules
from simsa.rules import Range, Rule

rules.register(Rule(
    "mine", "my momentum", "m = beta * m + g; change = gamma * (g + beta * m)", state=("m",),
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
    "optimizer={kind='mine', beta='1/3'}", "sweep.trajectories=20", "sweep.c=[0.5]", "claim=[]",
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
    lines = [*rules.table(), *rules.modifiers()]
    assert all(line in page.splitlines() for line in lines), "write it again: make tables"
