"""Recursion (8): the kernels against plain Python, and the same bits whatever the layout, the block or the threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

import simsa
from simsa import formats
from simsa.errors import DataError
from simsa.kernels.arguments import Memory
from simsa.kernels.calls import call_forward
from simsa.machine import Descent, Initial, Walker, arithmetic, descend, initial_points, launch, tape_of
from simsa.machine.generate import kernels
from simsa.machine.launch import ENGINES, advance, begin
from simsa.machine.layout import layout
from simsa.machine.memory import memory_of
from simsa.machine.reference import Interpreter
from simsa.program.program import Builder, Program
from simsa.tape import Tape

ROWS = np.random.default_rng(0).normal(size=(11, 3)).round(3)


def network() -> Program:
    """Return a network 2-5-1 with relu and squared loss; data: two features and a target."""
    builder = Builder(2 * 5 + 5 + 5 + 1, 3)
    hidden = builder.apply("dense", [*range(10), 21, 22, *range(10, 15)], outputs=5)
    active = [builder.apply("relu", [hidden + j]) for j in range(5)]
    out = builder.apply("dense", [*range(15, 20), *active, 20], outputs=1)
    return builder.finish([builder.apply("square", [builder.apply("sub", [out, 23])])])


def kinked() -> Program:
    """Return |x - a| + |y| times b, which ties at grid points; data: a, b and a number that is not read."""
    builder = Builder(2, 3)
    one = builder.apply("abs", [builder.apply("sub", [0, 2])])
    two = builder.apply("mul", [builder.apply("abs", [1]), 3])
    return builder.finish([builder.apply("add", [one, two])])


def plan(p: int, law: str = "fixed_size", **changes: Any) -> Descent:
    """Return a short descent."""
    normal = Initial("normal", np.zeros(p), np.ones(p), np.zeros((1, p)))
    settings: dict[str, Any] = {
        "steps": 12, "law": law, "size": 4, "replace": False, "alpha": 1 / np.arange(1.0, 13.0), "radius": 50.0,
        "seed": 7, "initial": normal, "checkpoints": np.array([0, 5, 12]), "objective_trajectories": 1000,
        "snapshots": True,
    }  # fmt: skip
    return Descent(**{**settings, **changes})


def by_hand(tape: Tape, rows: np.ndarray, d: Descent, c: float, t: int, precision: str) -> dict[str, Any]:
    """Run one trajectory in plain Python: the definition of `descend`."""
    return Walker(tape, rows, arithmetic(formats.find(precision))).record(d, c * d.alpha, c=c, trajectory=t)


CASES = [
    ("network", "fixed_size", "float64", {}),
    ("network", "uniform_subset", "float64", {}),
    ("network", "reshuffled", "float32", {}),
    ("network", "full", "float64", {"radius": 1.5}),
    ("kinked", "fixed_size", "float64", {"replace": True}),
    ("kinked", "uniform_subset", "float32", {}),
]


def grid_start(p: int) -> Initial:
    """Return starts on a grid, where the program `kinked` ties."""
    return Initial(
        "points", np.zeros(p), np.ones(p), np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 1.0], [-1.0, 3.0], [0.5, 0.0]])
    )


def case(name: str, law: str, changes: dict[str, Any]) -> tuple[Tape, np.ndarray, Descent]:
    """Return the tape, data and descent of a case."""
    if name == "network":
        tape = tape_of(network())
        return tape, ROWS, plan(tape.parameters, law, **changes)
    rows = np.round(ROWS)
    changes = {"initial": grid_start(2), "alpha": np.ones(12), **changes}
    return tape_of(kinked()), rows, plan(2, law, **changes)


@pytest.mark.parametrize(("name", "law", "precision", "changes"), CASES)
def test_descent_is_what_plain_python_computes(name: str, law: str, precision: str, changes: dict[str, Any]) -> None:
    tape, rows, descent = case(name, law, changes)
    block = descend(tape, rows, descent, c=0.5, first=2, count=10, precision=precision)
    seen = set()
    for t in range(10):
        expected = by_hand(tape, rows, descent, 0.5, 2 + t, precision)
        for key, value in expected.items():
            np.testing.assert_array_equal(block[key][t], np.asarray(value, block[key].dtype), err_msg=f"{key} of {t}")
        seen.add((expected["tie_first"] >= 0, expected["sensitive_first"] >= 0, expected["status"]))
    if name == "kinked":
        assert (True, True, 0) in seen


@pytest.mark.parametrize(("name", "law", "precision", "changes"), CASES)
def test_layout_blocks_and_threads_change_no_bit(name: str, law: str, precision: str, changes: dict[str, Any]) -> None:
    tape, rows, descent = case(name, law, changes)

    def run(first: int, count: int, shape: tuple[int, int] | None = None) -> dict[str, np.ndarray]:
        return descend(tape, rows, descent, c=0.7, first=first, count=count, precision=precision, shape=shape)

    whole = run(0, 40)
    for shape in ((1, 1), (2, 1), (1, 4), (4, 2), (1, 8)):
        _assert_same(whole, run(0, 40, shape))
    for workers, size in ((1, 7), (2, 13), (4, 5)):
        with ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(lambda first, size=size: run(first, min(size, 40 - first)), range(0, 40, size)))
        _assert_same(whole, {key: np.concatenate([part[key] for part in parts]) for key in whole})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "law", "precision", "changes"), CASES)
def test_a_run_may_be_cut_anywhere(name: str, law: str, precision: str, changes: dict[str, Any], engine: str) -> None:
    """Cut at every step, at one, and at none: the same bits, and what is cut stays as it was."""
    tape, rows, descent = case(name, law, changes)
    whole = descend(tape, rows, descent, c=0.7, first=3, count=30, precision=precision)
    start = begin(tape, descent, c=0.7, first=3, count=30, precision=precision)
    before = [array.copy() for array in start.state]
    for cuts in (range(13), (0, 7, 12), (5, 5, 12)):
        progress = start
        for step in cuts:
            progress = advance(tape, rows, descent, progress, step, engine=engine)
        _assert_same(whole, launch.records(descent, progress))
    assert all(one.tobytes() == two.tobytes() for one, two in zip(before, start.state, strict=True))


def test_where_a_run_cannot_go_on_is_said() -> None:
    tape, rows, descent = case("kinked", "fixed_size", {})
    progress = advance(tape, rows, descent, begin(tape, descent, c=0.7, first=0, count=3), 6)
    for until in (5, 13):
        with pytest.raises(DataError, match=f"expected a step from 6 to 12 to run to, got {until}"):
            advance(tape, rows, descent, progress, until)


def test_walks_of_another_type_of_numbers_are_refused() -> None:
    """Walks for float32 that are called with arrays of float64 would compute wrong numbers, and say nothing."""
    tape = tape_of(kinked())
    where, walks = layout(tape, np.dtype("float64"), 1, 1), launch.walks_of(kernels(), "float32")
    given = np.zeros((1, 2)), np.zeros(3), 3, np.zeros((1, 1)), np.zeros((0, 1, 2)), np.zeros(1), False
    rest = memory_of(where, np.dtype("float64")), np.zeros(where.step, np.int64)
    with pytest.raises(ValueError, match="compiled for another type of numbers"):
        kernels().descent.evaluate(walks, *where.arguments, *given, *rest)


@pytest.mark.parametrize("other", [np.int8, np.float32])
def test_a_walk_is_not_called_with_arguments_of_another_type(other: type) -> None:
    """The caller is not even compiled."""
    code, shape, _ = layout(tape_of(kinked()), np.dtype("float64"), 1, 1).arguments
    narrow = code._replace(guards=code.guards.astype(other))
    values = np.zeros(shape.size)
    memory = Memory(values, values, values, values, np.zeros(1, np.int64))

    @numba.njit
    def calling(address, code, shape, memory):  # type: ignore[no-untyped-def]
        call_forward(address, (code, shape, memory))

    with pytest.raises(TypingError, match="forward: argument 0 is"):
        calling(0, narrow, shape, memory)


def _assert_same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> None:
    """Compare records byte for byte."""
    for key in one:
        assert one[key].tobytes() == two[key].tobytes(), key


def test_another_seed_or_c_gives_another_path() -> None:
    """The negative control of the comparisons above; without steps, c is in nothing but the random numbers."""
    tape, rows, descent = case("network", "fixed_size", {})
    descent = replace(descent, alpha=np.zeros(12))
    base = descend(tape, rows, descent, c=0.5, first=0, count=4)["final"]
    assert np.array_equal(base, descend(tape, rows, descent, c=Fraction(1, 2), first=0, count=4)["final"])
    for seed, c in ((7, 0.25), (7, Fraction(1, 3)), (8, 0.5)):
        other = replace(descent, seed=seed)
        assert (base != descend(tape, rows, other, c=c, first=0, count=4)["final"]).all()


def test_the_identity_trap_catches_its_known_points() -> None:
    """J = (x - 1)^2 / 2 + zero(x) with step 1/2: the trap catches x_0 in {0, -1, -3, -7, -15, ...} and no others."""
    builder = Builder(1)
    relu = builder.apply("relu", [0])
    other = builder.apply("add", [builder.apply("relu", [builder.apply("neg", [0])]), 0])
    zero = builder.apply("sub", [other, relu])
    shifted = builder.apply("sub", [0, builder.constant(1.0)])
    half = builder.apply("mul", [builder.constant(0.5), builder.apply("square", [shifted])])
    tape = tape_of(builder.finish([builder.apply("add", [half, zero])]))
    starts = -np.arange(0.0, 32.0)[:, None]
    law = Initial("points", np.zeros(1), np.ones(1), starts)
    descent = plan(1, "full", initial=law, alpha=np.full(12, 0.5), checkpoints=np.zeros(0, np.int64))
    block = descend(tape, np.zeros((1, 0)), descent, c=1.0, first=0, count=32)
    caught = [0, 1, 3, 7, 15, 31]
    assert np.flatnonzero(block["tie_first"] >= 0).tolist() == caught
    assert block["sensitive_first"][caught].tolist() == [0, 1, 2, 3, 4, 5]
    assert (block["final"][caught] == 0).all() and (block["movement"][caught] == 0).all()


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_snapshots_are_the_points_at_the_checkpoints(precision: str) -> None:
    tape, rows, descent = case("network", "full", {"radius": 2.5})
    block = descend(tape, rows, descent, c=0.5, first=0, count=20, precision=precision)
    start, end = block["snapshots"][:, 0], block["snapshots"][:, 2]
    np.testing.assert_array_equal(start, initial_points(descent, 0.5, 0, 20, tape.parameters).astype(precision))
    finished = block["status"] == 0
    assert 0 < np.count_nonzero(finished) < 20
    np.testing.assert_array_equal(end[finished], block["final"][finished])
    assert np.isnan(end[~finished]).all(), "a trajectory that has stopped is at no checkpoint"
    without = descend(tape, rows, replace(descent, snapshots=False), c=0.5, first=0, count=20)
    assert "snapshots" not in without


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_where_a_term_is_added_is_no_landing_and_what_is_added_is(precision: str) -> None:
    """At the tie the choice moves 0.1 x from the end of a sum to its start: the last bit of the slope changes."""

    def program(last: float, rule: str = "first") -> Tape:
        def f(x: Any) -> Any:
            first, second, third = (x[0] * d for d in (0.1, 0.2, 0.3))
            return second + third + np.maximum(first, x[0] * 0.1 + last * x[1])

        return tape_of(simsa.trace(f, 2, convention={"base": "tensorflow", "maximum": rule}))

    start = Initial("points", np.zeros(2), np.ones(2), np.array([[1.0, 0.0]]))
    descent = plan(2, "full", initial=start, steps=1, alpha=np.ones(1), checkpoints=np.array([0]))
    for last, landed in ((0.0, -1), (1e-3, 0)):
        tape = program(last)
        found = descend(tape, np.zeros((1, 0)), descent, c=0.5, first=0, count=1, precision=precision)
        assert (found["tie_first"][0], found["sensitive_first"][0]) == (0, landed)
        expected = by_hand(tape, np.zeros((1, 0)), descent, 0.5, 0, precision)
        assert (expected["tie_first"], expected["sensitive_first"]) == (0, landed)
        orders = [Interpreter(program(last, rule)) for rule in ("first", "last")]
        slopes = [one.backward(one.run([1.0, 0.0]))[0] for one in orders]
        assert slopes[0] != slopes[1], "the sums differ in a bit, or nothing is tested"
