"""Hessians of bricks, the bad steps of Theorem 7, and Theorem 1's construction."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import simsa
from simsa import calculus
from simsa.errors import ProgramError
from simsa.primitives import ROWS
from tests.calculus.test_sets import bad_step, clarke
from tests.support.strategies import programs

SMOOTH = tuple(row for row in ROWS if row.arity is not None and len(row.pieces) == 1)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_second_derivatives_of_every_elementary_row(row):
    """Against mpmath's numerical derivative of the row's own text, in 40 digits."""
    x = [0.7, 1.3, 0.4][: row.arity]
    numbers = dict.fromkeys(row.immediates, 2.5)
    program = simsa.trace(lambda v: simsa.apply(row.name, *v, **numbers), row.arity)
    space = {
        name: getattr(mpmath, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "erf", "expm1")
    }
    space |= {"pow": mpmath.power, "log1p": mpmath.log1p, "sigmoid": lambda t: 1 / (1 + mpmath.exp(-t))}
    space |= {"softplus": lambda t: mpmath.log1p(mpmath.exp(t))}

    def text(*values):
        return eval(row.pieces[0].value, {**space, **dict(zip("xyz", values, strict=False)), **numbers})

    found = calculus.hessian(program, x)
    with mpmath.workdps(40):
        for i, j in itertools.product(range(row.arity), repeat=2):
            orders = tuple(int(k == i) + int(k == j) for k in range(row.arity))
            known = float(mpmath.diff(text, tuple(x) if row.arity > 1 else x[0], orders if row.arity > 1 else 2))
            assert math.isclose(found[i, j], known, rel_tol=1e-9, abs_tol=1e-9)


def test_rows_of_any_number_of_operands():
    def function(x):
        w = np.reshape(x, (2, 2))
        return simsa.logsumexp(simsa.dense(w, x[:2], x[2:])) + np.dot(x[:2], x[2:]) + np.sum(x) * np.max(x)

    program, x, h = simsa.trace(function, 4), np.array([0.3, -0.2, 0.5, 1.0]), 1e-5
    known = np.array([(program.gradient(x + h * e) - program.gradient(x - h * e)) / (2 * h) for e in np.eye(4)])
    np.testing.assert_allclose(calculus.hessian(program, x), known, atol=1e-8)


@given(st.data())
@settings(max_examples=40)
def test_hessians_are_differences_of_gradients(data):
    names = ("add", "sub", "mul", "sin", "tanh", "sigmoid", "square", "relu", "max", "sum", "dot", "softplus", "huber")
    program = data.draw(programs(max_nodes=8, names=names, outputs=1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    assume(all(0 <= abs(v) < 10 for node in program.nodes for v in node.immediates))
    x, row = rng.normal(size=program.p), rng.normal(size=program.data) if program.data else None
    found = calculus.hessian(program, x, data=row)
    assume(np.abs(found).max() < 1e4)
    np.testing.assert_allclose(found, found.T, atol=1e-10 * max(1.0, np.abs(found).max()))
    h, v = 1e-5, rng.normal(size=program.p)
    assume(program.branches(x - h * v, row) == program.branches(x + h * v, row))
    known = (program.gradient(x + h * v, row) - program.gradient(x - h * v, row)) / (2 * h)
    np.testing.assert_allclose(calculus.hessian_vector(program, x, v, data=row), known, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(calculus.hessian_vector(program, x, v, data=row), found @ v, atol=1e-9, rtol=1e-9)


def test_the_branches_are_frozen():
    program = simsa.trace(lambda x: np.where(x[0] > 0, x[0] ** 2, np.log(x[0])), 1)
    assert calculus.hessian(program, [1.0]).tolist() == [[2.0]]
    assert calculus.hessian(simsa.trace(lambda x: simsa.relu(x[0]) ** 2, 1), [-1.0]).tolist() == [[0.0]]
    with pytest.raises(ProgramError, match="second derivative"):
        calculus.hessian(simsa.trace(lambda x: np.sqrt(x[0]), 1), [0.0])


# Bad steps (Theorem 7, Claim 3).


def test_the_bad_steps_of_the_scenario():
    """Known answer: 1/λ_I for the means λ_I of (1, 2, 4) over the seven minibatches; bad where x ≥ 1."""
    total = bad_step()
    found = calculus.bad_steps(total.program, total.rows, (0.0, 3.0), samples=150, seed=3)
    batches = [batch for n in (1, 2, 3) for batch in itertools.combinations(range(3), n)]
    curvature = {batch: np.mean([(1, 2, 4)[i] for i in batch]) for batch in batches}
    assert {bad.minibatch for bad in found} == set(curvature)
    assert sorted(bad.step for bad in found) == pytest.approx(sorted([1, 1 / 2, 1 / 4, 2 / 3, 2 / 5, 1 / 3, 3 / 7]))
    for bad in found:
        assert bad.eigenvalue == pytest.approx(curvature[bad.minibatch], rel=1e-14)
        assert bad.point[0] >= 1
        assert bad.mass == pytest.approx(2 / 3, abs=5 * math.sqrt(2 / 9 / 150))
        assert np.abs(bad.direction).tolist() == [1.0]


def test_quadratics_have_the_inverse_eigenvalues():
    a = np.diag([1.0, 3.0, 3.0, -2.0])
    program = simsa.trace(lambda x: np.dot(x, a @ x) / 2, 4)
    found = calculus.bad_steps(program, None, (-1.0, 1.0), samples=10)
    assert [(bad.step, bad.multiplicity, bad.mass) for bad in found] == [(1.0, 1, 1.0), (pytest.approx(1 / 3), 2, 1.0)]


def test_smooth_functions_that_are_not_quadratic_have_no_atom():
    program = simsa.trace(lambda x: np.sum(np.exp(x)) + np.sin(x[0] * x[1]) + x[0] ** 4, 2)
    assert calculus.bad_steps(program, None, (-1.0, 1.0), samples=50) == []


def test_piecewise_linear_programs_have_no_atom():
    program = simsa.trace(lambda x: np.max(np.abs(x)) + simsa.relu(x[0] - x[1]), 2)
    assert calculus.bad_steps(program, None, (-1.0, 1.0), samples=50) == []


def test_atoms_of_a_relu_network_are_the_output_bias_of_dead_units():
    """(w·relu(v x + b) + c − y)²: with every unit dead it is (c − y)², whose second derivative is 2."""
    program = simsa.network([1, 2, 1], loss="squared")
    found = calculus.bad_steps(program, [[1.0, 0.5]], (-1.0, 1.0), samples=60, seed=1)
    assert {round(bad.step, 9) for bad in found} == {0.5}
    (bad,) = found
    assert {piece for _, _, piece in bad.brick} == {0}, "all units dead"
    assert np.abs(bad.direction).tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert bad.mass == pytest.approx(1 / 4, abs=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_each_atom_of_a_network_is_explained(seed):
    """The parts of the loss that are quadratic: the map of the last layer is affine in its bias, and in its weights too
    where the units behind are dead or constant. So the direction of every atom moves the last bias alone, and the
    brick is one in which that entry of the Hessian has no other in its row.
    """
    program = simsa.network([2, 3, 1], loss="squared")
    rows = np.random.default_rng(seed).normal(size=(3, 3))
    total = calculus.objective(program, rows)
    found = calculus.bad_steps(program, rows, (-1.0, 1.0), samples=60, seed=seed)
    assert found
    for bad in found:
        brick = total.minibatch(bad.minibatch)
        h = calculus.hessian(brick, bad.point)
        assert abs(np.linalg.det(np.eye(program.p) - bad.step * h)) < 1e-9 * np.linalg.norm(h, 2) ** program.p
        np.testing.assert_allclose(h @ bad.direction, bad.eigenvalue * bad.direction, atol=1e-9)
        assert bad.eigenvalue == pytest.approx(2.0)
        assert np.abs(bad.direction).argmax() == program.p - 1
        assert {piece for _, _, piece in bad.brick} == {0}, "all units are dead for all samples"


def test_the_second_point_stays_where_the_piece_is_defined():
    """x² + log near the edge of its domain, and behind a guard: nothing is asked of the logarithm of x < 0."""
    program = simsa.trace(lambda x: np.where(x[0] > 0, np.log(x[0]), 2 * x[0] ** 2) + x[1] ** 2, 2)
    found = calculus.bad_steps(program, None, ([1e-6, -1.0], [1e-3, 1.0]), samples=20)
    assert {bad.step for bad in found} == {0.5}
    found = calculus.bad_steps(program, None, (-1e-3, 1e-3), samples=40)
    assert {bad.step for bad in found} == {0.5, 0.25}


def test_curvatures_that_cancel_in_a_minibatch_are_an_atom():
    """x²/2 ± sin x: neither is quadratic, their mean is."""
    program = simsa.trace(lambda x, s: x[0] ** 2 / 2 + s[0] * np.sin(x[0]), 1, data=1)
    found = calculus.bad_steps(program, [[1.0], [-1.0]], (-3.0, 3.0), samples=20)
    assert [(bad.minibatch, bad.step, bad.mass) for bad in found] == [((0, 1), 1.0, 1.0)]


def test_an_objective_has_its_rows():
    total = bad_step()
    found = calculus.bad_steps(total, None, (2.0, 3.0), samples=3, minibatches="full")
    assert [bad.step for bad in found] == pytest.approx([3 / 7])
    with pytest.raises(ProgramError, match="has its data already"):
        calculus.bad_steps(total, total.rows, (2.0, 3.0))
    with pytest.raises(ProgramError, match="pass its rows"):
        calculus.bad_steps(total.program, None, (2.0, 3.0))


def test_minibatches_are_chosen_and_checked():
    total = bad_step()
    found = calculus.bad_steps(total.program, total.rows, (2.0, 3.0), samples=3, minibatches=[(0, 2)])
    assert [bad.step for bad in found] == [0.4]
    for wrong, message in (
        ("half", "minibatches must be"),
        ([(7,)], "names some of the rows"),
        ([0, 1], "index tuples"),
    ):
        with pytest.raises(ProgramError, match=message):
            calculus.bad_steps(total.program, total.rows, (2.0, 3.0), minibatches=wrong)
    with pytest.raises(ProgramError, match="2\\^9 - 1 minibatches"):
        calculus.bad_steps(total.program, np.ones((9, 1)), (2.0, 3.0))
    with pytest.raises(ProgramError, match="box"):
        calculus.bad_steps(total.program, total.rows, (3.0, 2.0))


# Theorem 1.


@given(st.data())
@settings(max_examples=30)
def test_artificial_keeps_the_function_and_shifts_its_gradient(data):
    program = data.draw(programs(max_nodes=6, names=("add", "mul", "sin", "relu", "max", "abs"), outputs=1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    s, r = rng.normal(size=(2, program.p))
    row = rng.normal(size=program.data) if program.data else None
    other = simsa.artificial(program, at=s, shift=r)
    for x in (s, s + 1.0, rng.normal(size=program.p)):
        np.testing.assert_array_equal(other.value(x, row), program.value(x, row))
    assume(np.isfinite(program.gradient(s, row)).all())
    np.testing.assert_allclose(other.gradient(s, row), program.gradient(s, row) + r, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(other.gradient(s + 1.0, row), program.gradient(s + 1.0, row))


def test_artificial_critical_points_at_will():
    smooth = simsa.trace(lambda x: np.exp(x[0]) + x[1] ** 2, 2)
    x = np.array([0.5, -1.0])
    trap = simsa.artificial(smooth, at=x, shift=-smooth.gradient(x))
    answer = calculus.classify(trap, x)
    assert (answer.kind, answer.tie) == ("artificial", "C")
    assert answer.distance_clarke == pytest.approx(np.linalg.norm(smooth.gradient(x)))
    assert calculus.classify(smooth, x).kind == "regular"


def test_artificial_along_an_affine_form():
    smooth = simsa.trace(lambda x: np.sum(x), 3)
    trap = simsa.artificial(smooth, at=2.0, shift=-1.0, form=[1.0, 0.0, 2.0])
    assert trap.gradient([0.0, 5.0, 1.0]).tolist() == [0, 1, -1]
    assert trap.gradient([0.5, 5.0, 1.0]).tolist() == [1, 1, 1]
    assert clarke(trap, [0.0, 5.0, 1.0]) == {(1, 1, 1)}
    for convention in ("pytorch", "jax", {"base": "pytorch", "relu": 0.5}):
        program = simsa.trace(lambda x: x[0], 1, convention=convention)
        assert simsa.artificial(program, 0.0, -1.0).gradient([0.0]).tolist() == [0.0]


@pytest.mark.parametrize(
    "bad",
    [
        {"at": [1.0, 2.0, 3.0], "shift": 1.0},
        {"at": np.nan, "shift": 1.0},
        {"at": 0.0, "shift": 1.0, "form": [0.0, 0.0]},
        {"at": 0.0, "shift": 1.0, "form": [1.0]},
        {"at": [0.0, 0.0], "shift": 1.0, "form": [1.0, 1.0]},
    ],
)
def test_artificial_refuses_what_it_cannot_do(bad):
    if bad.get("form") == [1.0]:
        bad = {**bad, "form": [1.0, 2.0, 3.0]}
    with pytest.raises(ProgramError, match="artificial"):
        simsa.artificial(simsa.trace(lambda x: np.sum(x), 2), **bad)
