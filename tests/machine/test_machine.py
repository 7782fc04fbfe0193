"""The kernels compute what the reference defines, bit for bit; and what the reference defines is Algorithm 2."""

import dataclasses
import shutil
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simsa
from simsa import formats
from simsa.machine import Interpreter, arithmetic, generate, tape_of
from simsa.machine.launch import evaluate
from simsa.machine.layout import merged
from simsa.primitives import OPCODE, ROW, convention
from simsa.program.program import Builder, Program
from simsa.tape import Tape
from simsa.tape.tape import OP
from tests.support.strategies import points, programs


def same(a: object, b: object) -> bool:
    """Tell whether two arrays have the same bits, all NaN being equal."""
    one, two = np.asarray(a), np.asarray(b)
    signs = np.signbit(one) == np.signbit(two)
    return bool(np.all((one == two) & signs | (one != one) & (two != two)))


def assert_equal_bits(tape: Tape, x: np.ndarray, data: np.ndarray, precision: str, groups: int) -> int:
    """Compare kernels and reference on values, Jacobians and the smallest |guard|; return how many points are ties."""
    with np.errstate(over="ignore"):
        x, data = x.astype(precision), data.astype(precision)
    outputs, jacobians, margins = evaluate(tape, x, data, precision=precision, groups=groups)
    interpreter = Interpreter(tape, arithmetic(formats.find(precision)))
    for b in range(len(x)):
        run = interpreter.run(x[b], data[b])
        context = f"{tape.listing()}\nx = {x[b]}, data = {data[b]}"
        assert same([run.values[r] for r in tape.outputs], outputs[b]), context
        assert same([interpreter.backward(run, q) for q in range(len(tape.outputs))], jacobians[b]), context
        assert min(run.margins.values(), default=np.inf) == margins[b], context
    return int((margins == 0).sum())


def test_numbers_beyond_float32_are_infinite_there() -> None:
    """A constant and an immediate of 1e308, on both sides."""
    builder = Builder(1)
    scaled = builder.apply("leaky_relu", [builder.apply("sub", [0, builder.constant(1e308)])], [1e308])
    tape = tape_of(builder.finish([scaled]))
    assert_equal_bits(tape, np.array([[1.0], [-1.0], [0.0]]), np.zeros((3, 0)), "float32", 1)
    assert Interpreter(tape, arithmetic(formats.FLOAT32)).run([np.float32(1)]).values[tape.outputs[0]] == -np.inf


@pytest.mark.parametrize("rule", ["split", "first", "last"])
def test_no_rule_for_ties_changes_a_value(rule: str) -> None:
    """Of zeros with two signs the first is the extreme one, and they keep their order when sorted."""
    for name in ("max", "min", "sort"):
        if (name, rule) == ("sort", "split"):
            continue
        builder = Builder(2, 0, convention({"base": "tensorflow", name: rule}))
        outs = 2 if name == "sort" else 1
        first = builder.apply(name, [0, 1], outputs=outs)
        tape = tape_of(builder.finish(list(range(first, first + outs))))
        x = np.array([[0.0, -0.0], [-0.0, 0.0]])
        values, jacobians, _ = evaluate(tape, x, np.zeros((2, 0)))
        assert same(values, x[:, :outs]), (name, rule)
        expected = {"split": [0.5, 0.5], "first": [1.0, 0.0], "last": [0.0, 1.0]}[rule]
        assert same(jacobians[:, 0], [expected] * 2), (name, rule)
        assert_equal_bits(tape, x, np.zeros((2, 0)), "float64", 1)


def test_a_shared_layer_with_a_weight_that_is_read_elsewhere() -> None:
    """Such a weight has received when the layer's others have not."""

    def function(x: Any, data: Any) -> Any:
        weights = x[:6].reshape(2, 3)
        return np.sum((weights @ data[:3]) * (weights @ data[3:])) + 3.0 * x[0] * x[0] + np.exp(x[4])

    tape = tape_of(simsa.trace(function, 6, 6))
    assert sum(tape.shares(k) for k in range(len(tape.code))) == 2
    rng = np.random.default_rng(0)
    for groups in (1, 2):
        assert_equal_bits(tape, rng.normal(size=(9, 6)), rng.normal(size=(9, 6)), "float64", groups)


def batch(draw: st.DrawFn, made: Program, count: int, finite: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Draw points (count, p) and data (count, d) of a program."""
    drawn = [draw(points(made, finite)) for _ in range(count)]
    return np.array([x for x, _ in drawn]), np.array([row for _, row in drawn]).reshape(count, made.data)


@pytest.mark.torture
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_kernels_match_the_reference(request: pytest.FixtureRequest, precision: str) -> None:
    """Over generated programs: each row of the table has some in which every second node is of this row."""
    count = max(10, request.config.getoption("--programs") // 20)
    opcodes, ties = set(), 0

    @settings(max_examples=count)
    @given(st.data(), st.sampled_from((1, 2, 4) if precision == "float64" else (1, 2)))
    def compare(names: tuple[str, ...], data: st.DataObject, groups: int) -> None:
        nonlocal ties
        made = data.draw(programs(names=names))
        tape = tape_of(made)
        ties += assert_equal_bits(tape, *batch(data.draw, made, 4), precision, groups)
        opcodes.update(tape.code[:, OP].tolist())

    for name in ROW:
        compare((*[name] * len(ROW), *ROW))
    assert opcodes >= set(OPCODE.values()), "no row is left out"
    assert ties > count * len(ROW) / 8, "and many points are ties"


@settings(max_examples=500)
@given(st.data())
def test_forward_and_backward_mode_agree_at_ties_too(data: st.DataObject) -> None:
    """Lemma 1, up to rounding, wherever both are finite."""
    made = data.draw(programs())
    x, rows = batch(data.draw, made, 1, finite=True)
    backward, forward = made.jacobian(x, rows), made.jacobian(x, rows, mode="forward")
    if np.isfinite(backward).all() and np.isfinite(forward).all() and np.abs(backward).max() < 1e6:
        np.testing.assert_allclose(backward, forward, rtol=1e-6, atol=1e-6)


def runs() -> Program:
    """Return a program with runs of like instructions, which kernels do at once: over parameters, data and results.

    The differences of neighbours read each register twice, so the order in which adjoints are added shows in the bits.
    """
    builder = Builder(7, 7)
    products = [builder.apply("mul", [i, 7 + i]) for i in range(7)]
    active = [builder.apply("leaky_relu", [r], [0.3]) for r in products]
    gaps = [builder.apply("sub", [a, b]) for a, b in pairwise(active)]
    sizes = [builder.apply("maximum", [a, b]) for a, b in pairwise(gaps)]
    chained = sizes[0]
    for _ in range(3):
        chained = builder.apply("exp", [chained])
    return builder.finish([builder.apply("sum", [*sizes, chained, *active]), gaps[2]])


@settings(max_examples=60)
@given(st.data(), st.sampled_from((1, 2, 4)))
def test_runs_of_like_instructions_match_the_reference(data: st.DataObject, groups: int) -> None:
    made = runs()
    tape = tape_of(made)
    assert len(merged(tape)) < len(tape.code) / 2
    assert_equal_bits(tape, *batch(data.draw, made, 3), "float64", groups)


def test_runs_in_decimals_match_the_reference() -> None:
    """Numbers whose sums are rounded, so that the order of the additions shows."""
    made = runs()
    random = np.random.default_rng(5)
    assert_equal_bits(tape_of(made), random.normal(size=(20, 7)), random.normal(size=(20, 7)), "float64", 2)


def test_an_altered_tie_weight_would_be_noticed() -> None:
    """The negative control of the comparison above."""
    builder = Builder(1)
    tape = tape_of(builder.finish([builder.apply("relu", [0])]))
    altered = dataclasses.replace(tape, numbers=np.array([0.5, 0.5]))
    one, two = (evaluate(t, np.zeros((1, 1)), np.zeros((1, 0)))[1] for t in (tape, altered))
    assert one.item() == 0.0 and two.item() == 0.5
    assert Interpreter(altered).backward(Interpreter(altered).run([0.0])) == [0.5]


def _where_log() -> Program:
    builder = Builder(1)
    zero = builder.constant(0.0)
    log = builder.apply("log", [0])
    return builder.finish([builder.select([([(0, ">", zero)], log)], zero)])


@pytest.mark.parametrize("x", [0.0, -1.0, -np.inf])
def test_a_piece_that_is_not_selected_passes_nothing(x: float) -> None:
    """The "double where" NaN of array frameworks: where(x > 0, log(x), 0) at x <= 0."""
    made = _where_log()
    assert made.value([x]) == 0.0
    assert made.gradient([x]).tolist() == [0.0]
    assert evaluate(tape_of(made), np.full((1, 1), x), np.zeros((1, 0)))[1].item() == 0.0


@pytest.mark.parametrize(("base", "slope"), [("tensorflow", 0.0), ("pytorch", np.nan), ("jax", np.nan)])
def test_a_square_root_that_receives_zero(base: str, slope: float) -> None:
    """tf.sqrt passes zero, whatever its slope; the others multiply zero by infinity."""
    made = simsa.trace(lambda x: 0 * np.sqrt(x[0]) + x[1], 2, convention=base)
    same_slopes = np.testing.assert_array_equal
    same_slopes(made.gradient([0.0, 3.0]), [slope, 1.0])
    same_slopes(made.gradient([4.0, 3.0]), [0.0, 1.0])
    points = np.array([[0.0, 1.0], [-0.0, 1.0], [4.0, 2.0]])
    for precision in ("float64", "float32"):
        assert_equal_bits(tape_of(made), points, np.zeros((3, 0)), precision, 1)


def test_an_executed_infinity_is_not_hidden() -> None:
    """sqrt(x * x) at 0 is NaN in array frameworks, and honestly so: its chain rule multiplies 0 by infinity."""
    builder = Builder(1)
    made = builder.finish([builder.apply("sqrt", [builder.apply("mul", [0, 0])])])
    assert np.isnan(made.gradient([0.0])).all()


def test_a_batch_gives_the_same_bits_as_its_points() -> None:
    builder = Builder(2, 1)
    made = builder.finish([builder.apply("tanh", [builder.apply("dense", [0, 2, 1], outputs=1)])])
    x = np.random.default_rng(0).normal(size=(200, 2))
    data = np.random.default_rng(1).normal(size=(200, 1))
    assert same(made.value(x, data), [made.value(p, d) for p, d in zip(x, data, strict=True)])
    assert same(made.gradient(x, data), [made.gradient(p, d) for p, d in zip(x, data, strict=True)])


def test_the_folder_of_kernels_depends_on_every_text(tmp_path, monkeypatch) -> None:
    """Numba's cache sees one file only; a changed row or helper must lead to another folder, so never to old code."""
    texts = {"engine.py": generate.engine_text()}
    before = generate.digest(texts)
    assert generate.digest({"engine.py": texts["engine.py"].replace("'x * y'", "'y * x'")}) != before
    with monkeypatch.context() as patched:
        patched.setattr(generate, "PLAIN", not generate.PLAIN)
        assert generate.digest(texts) != before
    copy = tmp_path / "kernels"
    shutil.copytree(generate.KERNELS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(generate, "KERNELS", copy)
    assert generate.digest(texts) == before
    below = copy / "below"
    below.mkdir()
    for path in (copy / "lanes.py", below / "one.py", below / "other.py"):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(f"{text}\n# changed\n", encoding="utf-8")
        after = generate.digest(texts)
        assert after != before, path
        before = after
    (below / "other.py").rename(copy / "other.py")
    assert generate.digest(texts) != before


def test_listing_shows_instructions_branches_and_ties() -> None:
    text = _where_log().listing()
    assert "select(" in text and "otherwise" in text and "log(" in text
