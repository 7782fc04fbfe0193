"""The specialised engine computes what the interpreter computes, bit for bit."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsa import relu, trace
from simsa.kernels.arguments import INVERSE_SIZE, MARGIN, RADIUS, Memory
from simsa.machine import Descent, Initial, descend, tape_of
from simsa.machine.generate import engine_package
from simsa.machine.launch import evaluate, evaluate_with
from simsa.machine.layout import Layout, laid_out
from simsa.machine.specialise import engine_text
from simsa.primitives import FRAMEWORKS, ROWS, Convention, convention
from simsa.program import network
from simsa.program.program import Builder, Program
from simsa.rules import SGD
from simsa.tape import Tape
from tests.machine.test_descent import by_hand, kinked, plan
from tests.machine.test_machine import runs, same
from tests.support.strategies import EXTREMES, TIES, programs


def points(rng: np.random.Generator, count: int, width: int, finite: bool) -> np.ndarray:
    """Return points of which most numbers are ties, some extreme, and some NaN or infinite unless `finite`."""
    numbers = np.array([v for v in (*TIES, *TIES, *EXTREMES) if not finite or np.isfinite(v)])
    drawn = rng.choice(numbers, size=(count, width))
    return np.where(rng.random((count, width)) < 0.3, rng.normal(size=(count, width)), drawn)


def special(where: Layout, x: np.ndarray, data: np.ndarray, text: str = "") -> tuple[np.ndarray, ...]:
    """Evaluate points on the specialised kernels, or on an engine with another text."""
    tape, kind = where.tape, np.dtype("float64" if where.lanes == 4 else "float32")
    b, q = len(x), len(tape.outputs)
    outputs, jacobians, margins = np.empty((b, q), kind), np.zeros((b, q, tape.parameters), kind), np.empty(b, kind)
    package = engine_package(text or engine_text(where, SGD))
    evaluate_with(package, where, x.astype(kind), data.astype(kind), outputs, jacobians, margins)
    return outputs, jacobians, margins


def assert_same(tape: Tape, seed: int, precision: str = "float64", groups: int = 1) -> None:
    """Compare both engines on values, Jacobians and the smallest |guard| at points rich in ties."""
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        x = points(rng, 200, tape.parameters, finite=True).astype(precision)
        x = np.where(np.isfinite(x), x, 0)
        data = points(rng, 200, tape.data, finite=False).astype(precision)
    where = laid_out(tape, 4 if precision == "float64" else 8, groups, 1)
    for ours, theirs in zip(special(where, x, data), evaluate(tape, x, data, precision=precision), strict=True):
        assert same(ours, theirs), tape.listing()


@settings(max_examples=5)
@given(st.data(), st.sampled_from((1, 2)))
def test_generated_programs(data: st.DataObject, groups: int) -> None:
    assert_same(tape_of(data.draw(programs(max_nodes=25))), 1, groups=groups)


@settings(max_examples=1)
@given(st.data())
def test_generated_programs_in_float32(data: st.DataObject) -> None:
    assert_same(tape_of(data.draw(programs(max_nodes=25))), 2, "float32")


def everything(convention: Convention) -> Program:
    """Return a program that applies every row of the table to parameters, data, constants and results."""
    builder = Builder(6, 2, convention)
    constant = builder.constant(0.5)
    results = [0, 1, 6, constant]
    for row in ROWS:
        if row.name == "select":
            first, outputs = builder.select([([(results[-1], "<", 2), (1, "==", 2)], 3), ([(0, ">=", 7)], 4)], 5), 1
        elif row.name == "dense":
            # one whose weights are parameters, on data; and one the other way round
            outputs = 2
            first = builder.apply("dense", [0, 1, 2, 3, 6, 7, 4, 5], outputs=2)
            builder.apply("dense", [6, 7, 0], outputs=2)
        else:
            count = row.arity or 4
            operands = [*results[-2:], 2, 3, 4][:count]
            outputs = count if row.name == "sort" else 1
            first = builder.apply(row.name, operands, [0.25] * len(row.immediates), outputs)
        results += range(first, first + outputs)
    return builder.finish([builder.apply("sum", results[i : i + 20]) for i in range(0, len(results), 20)])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_row_of_the_table(framework: str) -> None:
    assert_same(tape_of(everything(Convention(framework))), 3)


def test_runs_of_like_instructions() -> None:
    assert_same(tape_of(runs()), 4, groups=2)


IMAGE = [(4, 4), {"kind": "conv2d", "filters": 3, "size": 2, "padding": 1}, {"kind": "max_pool2d", "size": 2}]
CONVOLUTIONS = [*IMAGE, {"kind": "conv2d", "filters": 2, "size": 2, "bias": False}, 2]


def mixed(x: Any, data: Any) -> Any:
    """Use a layer twice, and two of its weights elsewhere: these have received when the others have not."""
    weights = x[:6].reshape(2, 3)
    return np.sum((weights @ data[:3]) * (weights @ data[3:])) + 3.0 * x[0] * x[0] + np.exp(x[4])


@pytest.mark.parametrize("made", [lambda: network(CONVOLUTIONS), lambda: trace(mixed, 6, 6)], ids=["layers", "mixed"])
def test_convolutions(made: Any) -> None:
    """Registers of several groups lie apart, with room between them; one group is run below."""
    assert_same(tape_of(made()), 6, groups=4)


@pytest.mark.parametrize(("count", "rule", "precision", "groups"), [
    (2, "last", "float64", 2), (7, "first", "float64", 2), (7, "last", "float32", 1), (16, "first", "float32", 1),
    (16, "last", "float64", 2),
])  # fmt: skip
def test_sorting(count: int, rule: str, precision: str, groups: int) -> None:
    """Parameters, data and what is made of them, sorted; ties in abundance, and NaN, which leave the straight way."""
    builder = Builder(3, 4, convention({"base": "tensorflow", "sort": rule}))
    made = [builder.apply("sub", [n % 3, 3 + n % 4]) for n in range(count)]
    first = builder.apply("sort", [*range(7), *made][:count] if count < 16 else made, outputs=count)
    weighted = [builder.apply("mul", [first + n, n % 7]) for n in range(count)]
    tape = tape_of(builder.finish([weighted[0], builder.apply("sum", weighted)]))
    assert "Sort(extent" in engine_text(laid_out(tape, 4, 1, 1), SGD)
    assert_same(tape, 7, precision, groups)


LAWS: list[tuple[str, str, tuple[int, int], dict[str, Any]]] = [
    ("relu", "float64", (1, 4), {"law": "uniform_subset"}),
    ("relu", "float64", (1, 8), {"size": 8}),
    ("leaky_relu", "float32", (2, 4), {"size": 4}),
    ("kinked", "float64", (2, 2), {"law": "full"}),
]


@pytest.mark.parametrize(("name", "precision", "shape", "changes"), LAWS)
def test_descents_give_the_same_records(name: str, precision: str, shape: tuple[int, int], changes: Any) -> None:
    """Two hidden layers, whose inputs receive; starts that tie, and step sizes that leave the ball or overflow."""
    rng = np.random.default_rng(0)
    if name == "kinked":
        rows, program = rng.normal(size=(11, 3)).round(3), kinked()
        points = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 1.0], [0.5, 0.0]])
    else:
        rows = rng.integers(-2, 3, size=(11, 3)).astype(float)
        program = network([2, 5, 6, 1], activation=name, loss="squared")
        grid = rng.integers(-2, 3, size=(12, program.parameters)).astype(float)
        points = np.concatenate([grid, rng.normal(size=grid.shape)])
    tape = tape_of(program)
    p = tape.parameters
    descent: Descent = plan(p, initial=Initial("points", np.zeros(p), np.ones(p), points), **changes)
    seen = set()
    for c in (0.01, 0.5, 1e3, 1.7e308):
        given = {"c": c, "first": 5, "count": 27, "precision": precision}
        ours = descend(tape, rows, descent, engine="specialised", shape=shape, **given)
        theirs = descend(tape, rows, descent, **given)
        for field, values in theirs.items():
            assert ours[field].tobytes() == values.tobytes(), (field, c)
        seen |= set(zip((theirs["tie_first"] >= 0).tolist(), theirs["status"].tolist(), strict=True))
    # trajectories with ties and without, that finish, leave the ball and, in networks, overflow
    assert {tied for tied, _ in seen} == {True, False}
    assert {status for _, status in seen} == ({0, 1} if name == "kinked" else {0, 1, 2})


def powers(x: Any, row: Any) -> Any:
    """Read each parameter twice: both are copies."""
    return (x * row * (x + 1.0)).sum()


SEVERAL = {
    "tanh": lambda: network([2, 5, 6, 1], activation="tanh", loss="squared"),
    "copies": lambda: trace(powers, parameters=5, data=5),
    **{framework: partial(network, CONVOLUTIONS, convention=framework) for framework in FRAMEWORKS},
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_samples_at_a_time_give_the_records_of_plain_python(name: str) -> None:
    """Samples that share parameters: copies of these, and layers used at many places; with ties, NaN and infinities."""
    tape, rng = tape_of(SEVERAL[name]()), np.random.default_rng(5)
    rows = rng.integers(-1, 2, size=(7, tape.data)).astype(float)
    rows[:, -1] = rng.integers(0, 2, size=7)
    p = tape.parameters
    points = rng.integers(-2, 3, size=(6, p)) / 2
    points[4, 0] = points[5, 1] = 1e300  # overflows on the way
    descent = plan(
        p, steps=4, alpha=np.full(4, 0.5), radius=1e305, initial=Initial("points", *np.zeros((2, p)), points)
    )
    records = [
        descend(tape, rows, descent, c=1.0, first=0, count=6, engine=engine, shape=shape)
        for engine, shape in (("interpreter", (1, 1)), ("interpreter", (1, 4)), ("specialised", (1, 4)))
    ]
    for t in range(6):
        for key, value in by_hand(tape, rows, descent, 1.0, t, "float64").items():
            np.testing.assert_array_equal(records[0][key][t], np.asarray(value, records[0][key].dtype), f"{key} of {t}")
    for field, values in records[0].items():
        for other in records[1:]:
            assert other[field].tobytes() == values.tobytes(), field
    if name in FRAMEWORKS:
        assert (records[0]["status"] == 2).any() and (records[0]["tie_count"] > 0).any()


def test_dense_networks_take_the_step_as_the_gradient_comes_out() -> None:
    """A run between two layers is part of their loops then; one that is read elsewhere is not."""
    fused = "finite = fused_forward1(values, margin) and finite"
    widths = [2, 5, 6, 1]
    text = engine_text(laid_out(tape_of(network(widths, loss="squared")), 4, 1, 4), SGD)
    assert "ASSIGNS, KEEPS = True, True" in text and "def fused_step(" in text and fused in text

    def twice(x: Any, row: Any) -> Any:
        weights, last = x[:10].reshape(5, 2), x[10:15]
        hidden = relu(weights @ row)
        return (last @ hidden) ** 2 + hidden.sum()

    assert fused not in engine_text(laid_out(tape_of(trace(twice, parameters=15, data=2)), 4, 1, 4), SGD)


def bumps(x: Any, row: Any) -> Any:
    """Tie on the grid; where both exponentials overflow, the gap is NaN, and the tie is not counted."""
    large = np.maximum(np.exp(500 * x[0]), np.exp(500 * x[1]))
    return abs(x[0] - row[0]) + row[1] * relu(x[1]) + 1e-3 * np.minimum(large, 4.0) * x[0] ** 2 - 1 / (x[1] - 2.0)


@pytest.mark.parametrize(
    ("n", "precision", "shape"), [(1, "float64", (2, 1)), (2, "float64", (3, 2)), (1, "float32", (2, 4))]
)
def test_scalar_programs_take_several_steps_at_once(n: int, precision: str, shape: tuple[int, int]) -> None:
    """Many steps with parameters in registers; ties, checkpoints, the ball and what is not finite end the loop."""
    tape = tape_of(trace(bumps, parameters=2, data=2))
    text = engine_text(laid_out(tape, 4 if precision == "float64" else 8, *shape), SGD)
    assert "def step_loop(" in text and "return steps(" in text
    rng = np.random.default_rng(1)
    rows = rng.integers(-1, 2, size=(n, 2)).astype(float)
    points = np.concatenate([rng.integers(-2, 3, size=(30, 2)) / 2, rng.normal(size=(30, 2)) * 2])
    descent = plan(
        2, "full", steps=40, alpha=1 / np.arange(1.0, 41.0), checkpoints=np.array([0, 7, 8, 25, 40]), radius=3.0,
        initial=Initial("points", np.zeros(2), np.ones(2), points),
    )  # fmt: skip
    seen: set[tuple[bool, int]] = set()
    for c in (0.01, 0.25, 1.0, 1.7e308):
        given = {"c": c, "first": 0, "count": 60, "precision": precision}
        ours = descend(tape, rows, descent, engine="specialised", shape=shape, **given)
        theirs = descend(tape, rows, descent, **given)
        for field, values in theirs.items():
            assert ours[field].tobytes() == values.tobytes(), (field, c)
        seen |= set(zip((theirs["tie_first"] > 0).tolist(), theirs["status"].tolist(), strict=True))
    # later ties and none; trajectories that finish, leave the ball, and are not finite
    assert {tied for tied, _ in seen} == {True, False} and {status for _, status in seen} == {0, 1, 2}


def to_and_fro(x: Any, row: Any) -> Any:
    """Pull x[0] to the sample, and push x[1] away from 0."""
    return abs(x[0] - row[0]) - abs(x[1])


@pytest.mark.parametrize(("precision", "lanes"), [("float64", 4), ("float32", 8)])
def test_a_step_loop_ends_before_the_step_that_needs_care(precision: str, lanes: int) -> None:
    """By hand: steps of 1/4 in two groups of two samples, 0 and 1, of which most lanes have the first only."""
    where = laid_out(tape_of(trace(to_and_fro, parameters=2, data=1)), lanes, 2, 2)
    engine, across, lane = engine_package(engine_text(where, SGD)).engine, 2 * lanes, lanes + 1

    def ended(
        x: float, both: bool = False, none: bool = False, end: int = 10, radius: float = 100.0, rate: float = 0.25
    ) -> tuple[int, float, float, float]:
        """Return the next step, and x[0], x[1] and the smallest gap of a lane that began at (x, 1)."""
        values = np.zeros(where.size, precision)
        values[:across], values[across : 2 * across], values[lane] = 1.875, 1.0, x
        groups = values[where.data_at : where.data_at + where.step].reshape(2, 2, lanes)
        groups[:, 1] = 1.0
        valid = np.zeros((2, 2, lanes), precision)
        valid[:, 0], valid[1, :, 1] = 1.0, (not none, both)
        numbers = np.zeros((4, across), precision)
        numbers[INVERSE_SIZE], numbers[RADIUS], numbers[MARGIN] = 1.0, radius, np.inf
        numbers[INVERSE_SIZE, lane] = 0.5 if both else 1.0
        memory = Memory(values, values, values, valid.ravel(), np.zeros(1, np.int64))
        held, gamma, given = np.zeros(0, precision), np.full(10, rate), np.zeros(0)
        after = int(engine.step_loop(where.arguments[0], memory, numbers.ravel(), held, gamma, given, 0, end))
        return after, values[lane].item(), values[across + lane].item(), numbers[MARGIN, lane].item()

    # 1.875 goes to 0.125, and to and fro; nothing is ever tied
    assert ended(1.875) == (10, -0.125, 3.5, 0.125)
    assert ended(1.875, end=3) == (3, 1.125, 1.75, 1.0)  # a checkpoint; x[1] has the smallest gap
    assert ended(1.0) == (4, 0.0, 2.0, 0.25)  # tied with sample 0
    assert ended(1.75) == (7, 0.0, 2.75, 0.25)  # sample 1 does not count here
    assert ended(1.75, both=True) == (3, 1.0, 1.75, 0.25)
    assert ended(0.0, none=True) == (10, 0.0, 1.0, np.inf)
    assert ended(1.875, radius=2.0) == (4, 0.875, 2.0, 1.0)  # the next point would have x[1] = 2.25
    # what is tied, or not a number, from the start
    assert ended(0.0) == (0, 0.0, 1.0, np.inf)
    assert ended(np.nan)[0] == 0
    assert ended(1.875, rate=np.nan) == (0, 1.875, 1.0, np.inf)  # the next point would not be finite


def zero_of_data(x: Any, row: Any) -> Any:
    """Divide by |0|: the sign of that zero, which is the tied piece's, decides between 0 and e."""
    return (x[0] - 0.3) ** 2 + np.exp(np.minimum(1 / abs(row[0]), 1.0)) * x[1] ** 2


def test_a_step_loop_keeps_the_value_of_tied_data() -> None:
    """A selection among data counts as no tie, but its value is still that of the tied piece."""
    tape = tape_of(trace(zero_of_data, parameters=2, data=1))
    assert "def step_loop(" in engine_text(laid_out(tape, 4, 1, 1), SGD)
    points = np.array([[1.0, 2.0], [0.5, -0.25], [2.0, 1.0]])
    descent = plan(
        2, "full", steps=10, alpha=np.full(10, 0.125), radius=100.0,
        initial=Initial("points", np.zeros(2), np.ones(2), points),
    )  # fmt: skip
    for rows in (np.zeros((1, 1)), -np.zeros((1, 1))):
        given = {"c": 1.0, "first": 0, "count": 3}
        ours = descend(tape, rows, descent, engine="specialised", shape=(1, 1), **given)
        for t in range(3):
            for key, value in by_hand(tape, rows, descent, 1.0, t, "float64").items():
                np.testing.assert_array_equal(ours[key][t], np.asarray(value, ours[key].dtype), f"{key} of {t}")
        assert (ours["tie_count"] == 0).all()


def test_an_altered_text_would_be_noticed() -> None:
    """The negative control: another operand in one line of the code."""
    builder = Builder(2)
    tape = tape_of(builder.finish([builder.apply("sub", [0, 1])]))
    where = laid_out(tape, 4, 1, 1)
    text = engine_text(where, SGD)
    altered = text.replace("'x - y', ('1', '-1')", "'y - x', ('-1', '1')")
    assert altered != text
    x, none = np.array([[2.0, 1.0]]), np.zeros((1, 0))
    assert [special(where, x, none, t)[0].item() for t in (text, altered)] == [1.0, -1.0]


@pytest.mark.parametrize("clip", ["torch.clamp", "jax.lax.clamp", "jnp.clip"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_bounds_that_meet(clip: str, precision: str) -> None:
    """Tie weights that are all 0 pass nothing here as in the interpreter."""
    program = trace(lambda x: np.sum(np.clip(x[:2], x[2:4], x[4:]) * x[:2]), 6, convention={"clip": clip})
    assert_same(tape_of(program), 3, precision)
