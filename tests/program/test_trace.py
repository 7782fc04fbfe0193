"""A traced function computes what NumPy computes, as the nodes it promises; or it says why it cannot."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simsa
from simsa.errors import ProgramError
from simsa.primitives import ROWS, Convention
from simsa.program import Builder
from simsa.program.symbolic import BranchTable
from tests.support import ROOT
from tests.support.strategies import numbers

MATRIX = np.arange(12.0).reshape(3, 4) - 5.5


def nodes(function, parameters=4, data=0, convention="tensorflow"):
    """Return the names of the nodes of a traced function, constants left out."""
    made = simsa.trace(function, parameters, data, convention)
    return [node.primitive for node in made.nodes if node.primitive != "constant"]


def message(function, parameters=4, data=0):
    with pytest.raises(ProgramError) as caught:
        simsa.trace(function, parameters, data)
    return str(caught.value)


def slopes(function, x, h=1e-6):
    """Return the Jacobian of a NumPy function by central differences."""
    steps = h * np.eye(len(x))
    return np.stack([(np.ravel(function(x + e)) - np.ravel(function(x - e))) / (2 * h) for e in steps], axis=-1)


# ---------------------------------------------------------------- what NumPy computes

SAME = {
    "arithmetic": lambda x: (x[0] + 2) * x[1] - 3 / x[2] + -x[3] / 7 + +x[4],
    "reflected": lambda x: 1 - 2 * x / (3 + 4 / x),
    "with arrays": lambda x: x[:4] * np.array([1, 2.5, -3, 0]) + np.ones(4, np.float32),
    "with lists": lambda x: [1, 2, 3] * x[:3],
    "powers": lambda x: np.stack([x[0] ** k for k in (0, 1, 2, 3, -1, -2, 0.5, 2.5)]),
    "powers of an array": lambda x: x[:4] ** np.array([0, 1, 2, 3]),
    "exponents": lambda x: 2**x + x[0] ** x[1],
    "broadcasting": lambda x: x[:2].reshape(2, 1) * x[2:5] + x[5],
    "slices": lambda x: x[::-1][1:5:2] + x[[0, 3]] - x[-1],
    "masks": lambda x: x[np.array([True, False] * 4)],
    "newaxis": lambda x: x[None, :, np.newaxis] * 2,
    "iteration": lambda x: sum(t * k for k, t in enumerate(x)),
    "unpacking": lambda x: (lambda a, b, *rest: a * b + rest[0])(*x),
    "shapes": lambda x: x.reshape(2, 4).T.reshape((-1,))[: x.size // 2] * len(x) * x.ndim * x.shape[0],
    "exponentials": lambda x: np.exp(x) + np.log(x) + np.expm1(x) + np.log1p(x) + np.exp2(x) + np.log2(x) + np.log10(x),
    "trigonometry": lambda x: np.sin(x) + np.cos(x) * np.tan(x / 4) + np.tanh(x) + np.sinh(x) - np.cosh(x),
    "angles": lambda x: np.deg2rad(x) + np.rad2deg(x) + np.radians(x) * np.degrees(x),
    "roots": lambda x: np.sqrt(x) + np.square(x) + np.reciprocal(x) + np.hypot(x, 2) + np.positive(x) - np.negative(x),
    "absolute values": lambda x: abs(x - 1) + np.abs(x - 1.5) + np.fabs(0.5 - x),
    "extremes of two": lambda x: np.maximum(x, x[::-1]) - np.minimum(x, 1) + np.fmax(x, 1) * np.fmin(1, x),
    "clips": lambda x: np.stack(
        [np.clip(x, 0.5, 1), x.clip(0.7), np.clip(x, None, 0.9), np.clip(x, min=0.4, max=x[0] + 1)]
    ),
    "sums": lambda x: np.sum(x) + x.sum() + np.sum(x.reshape(2, 4), axis=0, keepdims=True)[0, 1] + np.add.reduce(x),
    "sums over axes": lambda x: np.sum(x.reshape(2, 2, 2), axis=(0, -1)),
    "means": lambda x: np.mean(x) * x.mean() + x.reshape(4, 2).mean(axis=1),
    "spreads": lambda x: np.var(x) + np.std(x, ddof=1) + x.reshape(2, 4).std(axis=1, keepdims=True) + np.ptp(x),
    "averages": lambda x: np.average(x) + np.average(x, weights=np.arange(8.0)),
    "extremes": lambda x: np.max(x) * x.min() + x.reshape(4, 2).max(axis=0) - np.amin(x) + np.maximum.reduce(x),
    "products": lambda x: np.prod(x) + x.reshape(2, 4).prod(axis=1) + np.multiply.reduce(x),
    "running": lambda x: np.cumsum(x) + x.cumsum()[::-1] - np.cumprod(x) + np.cumsum(x.reshape(2, 4), axis=1).ravel(),
    "differences": lambda x: np.concatenate([np.diff(x), np.diff(x, n=2), np.diff(x.reshape(4, 2), axis=0).ravel()]),
    "order": lambda x: np.sort(x)[:3] + np.sort(x.reshape(2, 4), axis=0).ravel()[:3] + np.sort(x, axis=None)[1],
    "medians": lambda x: np.median(x) + np.median(x[:5]) + np.median(x.reshape(2, 4), axis=1),
    "dot": lambda x: np.dot(x[:4], x[4:]) + x[:3] @ x[1:4] + np.vdot(x[:4], x[4:]) + np.inner(x[:2], x[2:4]) + x.dot(x),
    "matrix times vector": lambda x: x[:6].reshape(2, 3) @ x[5:] + x[6:],
    "transpose times vector": lambda x: x[:6].reshape(2, 3).T @ x[6:],
    "vector times matrix": lambda x: x[6:] @ x[:6].reshape(2, 3),
    "matrix times matrix": lambda x: x[:6].reshape(2, 3) @ x[2:].reshape(3, 2),
    "matrix times transpose": lambda x: x[:4].reshape(2, 2).T @ x[4:].reshape(2, 2).T,
    "constant matrix": lambda x: MATRIX @ x[:4] + x[:3] @ MATRIX[:, 1] + np.dot(MATRIX, x[4:]),
    "stacks of matrices": lambda x: x.reshape(2, 2, 2) @ x[:2] + np.matmul(x.reshape(2, 2, 2), x[:4].reshape(2, 2)),
    "outer": lambda x: np.outer(x[:2], x[2:5]) + np.inner(x[:2].reshape(2, 1), x[:3].reshape(3, 1)),
    "dots of numbers": lambda x: np.dot(x[0], x[1:]) + np.dot(2.0, x[1:]),
    "norms": lambda x: np.stack([np.linalg.norm(x, o) for o in (None, 1, 2, np.inf, -np.inf)]),
    "norms over an axis": lambda x: (
        np.linalg.norm(x.reshape(2, 4), axis=1) + np.linalg.norm(x.reshape(2, 4), 1, axis=1)
    ),
    "norm of a matrix": lambda x: np.linalg.norm(x.reshape(2, 4)) + np.linalg.norm(x.reshape(2, 4), "fro"),
    "logaddexp": lambda x: np.logaddexp(x[:4], x[4:]) + np.logaddexp.reduce(x),
    "joining": lambda x: np.concatenate([x, np.ones(2), np.hstack([x[0], 3.0]), np.append(x, 1), np.append(1, x[0])]),
    "stacking": lambda x: (
        np.stack([x[:2], [1, 2]], axis=1) + np.vstack([x[:2], x[2:4]]) + np.column_stack([x[:2], x[1:3]])
    ),
    "moving": lambda x: np.roll(np.flip(x), 2) + np.tile(x[:2], 4) + np.repeat(x[:4], 2) + np.take(x, [1] * 8),
    "axes": lambda x: (
        np.moveaxis(x.reshape(2, 1, 4), 0, -1).squeeze() + np.swapaxes(x.reshape(2, 4), 0, 1).transpose(0, 1)
    ),
    "splitting": lambda x: np.split(x, 2)[1] + np.array_split(x, [4])[0] + np.stack(np.unstack(x[:4])),
    "triangles": lambda x: np.tril(x.reshape(2, 4)) + np.triu(x.reshape(2, 4), 1) + np.trace(x[:4].reshape(2, 2)),
    "diagonals": lambda x: np.diag(x[:2]) + np.diag(x[:4].reshape(2, 2)) + np.diag(x[:1], -1),
    "padding": lambda x: np.pad(x, 2) + np.pad(x, (1, 3), constant_values=2.0) + np.pad(x, 2, mode="edge"),
    "filling": lambda x: np.zeros_like(x) + np.ones_like(x) * np.full_like(x, 2.5) + np.broadcast_to(x[0], 8),
    "where": lambda x: np.where(x > 0.5, x, x**2) + np.where(x[0] < x[1], 1.0, -1.0),
    "select": lambda x: np.select([x > 1, x > 0.5], [x, x**2], default=np.exp(x)),
    "conditions": lambda x: np.where((x > 0.5) & ~(x < 1) | (x == x[0]) ^ (x[1] != x), x, -x),
    "any, all": lambda x: np.where(np.all(x > 0) & (x < 9).all() & ~np.any(x > 5), x, 0.0),
    "finite": lambda x: np.where(np.isfinite(x) & ~np.isnan(x) & ~np.isinf(x), x, 0.0),
}


@pytest.mark.parametrize("name", SAME)
def test_values_are_those_of_numpy(name):
    function, rng = SAME[name], np.random.default_rng(1)
    made = simsa.trace(function, 8)
    for _ in range(3):
        x = rng.uniform(0.1, 1.9, 8)
        expected = np.ravel(function(x.copy()))
        np.testing.assert_allclose(np.atleast_1d(made.value(x)), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", SAME)
def test_gradients_are_the_slopes_of_numpy(name):
    function = SAME[name]
    made = simsa.trace(function, 8)
    x = np.random.default_rng(2).uniform(0.1, 1.9, 8)
    expected = slopes(function, x)
    tolerance = 1e-7 * max(1, np.abs(expected).max())
    for mode in ("backward", "forward"):
        np.testing.assert_allclose(made.jacobian(x, mode=mode), expected, rtol=1e-6, atol=tolerance)


def public():
    homes = [("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft)]
    for home, module in homes:
        for name in dir(module):
            function = getattr(module, name)
            if callable(function) and not name.startswith("_") and not isinstance(function, type):
                yield pytest.param(function, id=f"{home}.{name}")


QUIET = {"save", "savez", "savez_compressed", "savetxt", "info", "test", "show_config", "show_runtime"}
QUIET |= {"setbufsize", "set_printoptions", "seterr", "seterrcall", "printoptions"}
RANDOM = {"empty_like"}  # whatever was in memory


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", [f for f in public() if f.id.rpartition(".")[2] not in QUIET | RANDOM])
def test_no_function_of_numpy_is_traced_into_something_else(function):
    """Whatever the arguments: refused, or the same numbers."""
    x = np.random.default_rng(3).uniform(0.1, 0.9, 9)
    unary = isinstance(function, np.ufunc) and function.nin == 1
    for shape in ((9,), (3, 3)):
        for arguments in (1,) if unary else (1, 2):

            def call(x, shape=shape, arguments=arguments):
                return function(*[x.reshape(shape), x.reshape(shape)[::-1]][:arguments])

            try:
                made = simsa.trace(call, 9)
            except (ProgramError, TypeError, ValueError, IndexError, AttributeError):
                continue
            try:
                expected = call(x)
            except TypeError:  # NumPy asks for more arguments
                continue
            parts = expected if isinstance(expected, list | tuple) else [expected]
            expected = np.concatenate([np.ravel(part) for part in parts])
            np.testing.assert_allclose(np.atleast_1d(made.value(x)), expected, rtol=1e-12)


# ---------------------------------------------------------------- which nodes

NODES = {
    "a sum is one node": (lambda x: np.sum(x), ["sum"]),
    "so is the sum of a list by Python, in pairs": (lambda x: sum([x[0], x[1], x[2]]), ["add", "add", "add"]),
    "one number is its own sum": (lambda x: np.sum(x[:1]), []),
    "a mean is a sum, then a quotient": (lambda x: np.mean(x), ["sum", "div"]),
    "a product of vectors is a dot": (lambda x: x[:2] @ x[2:], ["dot"]),
    "a product of numbers is a product": (lambda x: x[:1] @ x[1:2], ["mul"]),
    "a matrix times a vector is dense": (lambda x: x.reshape(2, 2) @ x[:2], ["dense"]),
    "a transposed matrix is one dot a row": (lambda x: x.reshape(2, 2).T @ x[:2], ["dot", "dot"]),
    "a matrix times a matrix is dense by column": (lambda x: x.reshape(2, 2) @ x.reshape(2, 2), ["dense"] * 2),
    "or by row, if the columns are in line": (lambda x: x.reshape(2, 2).T @ x.reshape(2, 2).T, ["dense"] * 2),
    "a maximum over an axis is one node": (lambda x: np.max(x), ["max"]),
    "a maximum of two is another row": (lambda x: np.maximum(x[0], x[1]), ["maximum"]),
    "of three, the row of many": (lambda x: simsa.maximum(x[0], x[1], 0.0), ["max"]),
    "a sort is one node": (lambda x: np.sort(x), ["sort"]),
    "a median is a sort": (lambda x: np.median(x[:3]), ["sort"]),
    "top_k is a sort": (lambda x: simsa.top_k(x, 2), ["sort"]),
    "a clip has its bounds as operands": (lambda x: np.clip(x[0], -1, x[1]), ["maximum", "minimum"]),
    "a where is one selection an entry": (lambda x: np.where(x > 0, x, 0), ["select"] * 4),
    "nested conditions are one selection": (
        lambda x: simsa.piecewise([(x[0] > 0, x[1]), ((x[1] < 0) | (x[2] < 0), x[2])], x[3]),
        ["select"],
    ),
    "a logsumexp is one node": (lambda x: simsa.logsumexp(x), ["logsumexp"]),
    "rearranging costs nothing": (lambda x: np.flip(np.stack([x, x]).T.reshape(-1)), []),
    "constant powers": (lambda x: np.stack([x[0] ** k for k in (0, 1, 2, 3, -1)]), ["square", "power", "div"]),
    "max-pooling is one maximum a window": (lambda x: simsa.max_pool1d(x, 2), ["max", "max"]),
    "constants are folded by NumPy": (lambda x: x[0] * (np.exp(0.0) + 2), ["mul"]),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes(name):
    function, expected = NODES[name]
    assert nodes(function) == expected


def test_dense_reads_rows_then_vector():
    made = simsa.trace(lambda x: x[:6].reshape(2, 3) @ x[6:], 9)
    (node,) = made.nodes
    assert (node.operands, node.outputs, made.outputs) == (tuple(range(9)), 2, (9, 10))


def test_dense_with_bias_starts_from_it():
    made = simsa.trace(lambda x: simsa.dense(x[:6].reshape(2, 3), x[6:9], x[9:]), 11)
    (node,) = made.nodes
    assert (node.operands, node.outputs) == (tuple(range(11)), 2)
    x = np.arange(11.0)
    assert made.value(x).tolist() == simsa.dense(x[:6].reshape(2, 3), x[6:9], x[9:]).tolist()


def test_equal_constants_share_a_register_and_zeros_keep_their_signs():
    made = simsa.trace(lambda x: x * 2.0 + 2.0 + x[0] * 0.0 + x[0] * -0.0, 2)
    held = [node.immediates[0] for node in made.nodes if node.primitive == "constant"]
    assert [math.copysign(1, v) * (abs(v) + 1) for v in held] == [3.0, 1.0, -1.0]


# ---------------------------------------------------------------- conditions


@st.composite
def conditions(draw, depth=3):
    """Draw a condition as text over x, y, z, which NumPy and the tracer both read."""
    if depth == 0 or draw(st.booleans()):
        a, b = (draw(st.sampled_from(["x", "y", "z", "0.0", "1.0"])) for _ in range(2))
        if a == b or {a, b} == {"0.0", "1.0"}:
            a, b = "x", "0.0"
        return f"({a} {draw(st.sampled_from(['<', '<=', '==', '!=', '>=', '>']))} {b})"
    if draw(st.integers(0, 3)) == 0:
        return f"~{draw(conditions(depth - 1))}"
    return f"({draw(conditions(depth - 1))} {draw(st.sampled_from('&|^'))} {draw(conditions(depth - 1))})"


@given(conditions(), conditions(), st.lists(st.tuples(*[numbers()] * 3), min_size=1, max_size=20))
def test_conditions_mean_what_they_mean_in_numpy_nan_included(one, two, points):
    def function(p):
        x, y, z = np.moveaxis(p, -1, 0)
        names = {"x": x, "y": y, "z": z}
        first, second = eval(one, names), eval(two, names)
        return simsa.piecewise([(first, 1.0), (second, 2.0)], np.where(first ^ second, 3.0, 4.0))

    batch = np.array(points)
    assert simsa.trace(function, 3).value(batch).tolist() == function(batch).tolist()


def test_a_condition_is_written_as_its_branch_table():
    made = simsa.trace(lambda x: np.where((x[0] > 0) & (x[1] <= x[0]), x[0], x[1]), 2)
    select = made.nodes[-1]
    reads = select.operands
    (row, last) = select.cases
    assert [(reads[g.left], g.relation, reads[g.right]) for g in row.guards] == [(0, ">", 2), (1, "<=", 0)]
    assert (reads[row.piece], reads[last.piece], last.guards) == (0, 1, ())


def test_not_swaps_pieces_so_that_nan_goes_the_right_way():
    made = simsa.trace(lambda x: np.where(x[0] != 0, 1.0, 2.0), 1)
    select = made.nodes[-1]
    assert [guard.relation for guard in select.cases[0].guards] == ["=="]
    assert made.value([[0.0], [-0.0], [math.nan], [1.0]]).tolist() == [2.0, 2.0, 1.0, 1.0]


def test_a_condition_on_constants_needs_no_selection():
    assert nodes(lambda x: np.where(np.array([True, False]), x[:2], x[2:])) == []


STEPS = {
    "a condition times a number": lambda x: x * (x > 0),
    "counted": lambda x: np.sum(x > 0) + np.mean(x <= 0) + np.max(x > 1) - np.min(x > 1) * np.prod(x == 0.5),
    "as numbers": lambda x: (x > 0).astype(float) - (x > 1).astype(int),
    "added and multiplied, which is or and and": lambda x: 1.0 * ((x > 0) + (x > 1)) + 2.0 * ((x > 0) * (x < 1)),
    "of conditions": lambda x: np.where(((x > 0) == (x > 1)) & ((x > 0) != (x < 0)) & ((x > 0) <= (x < 2)), x, -x),
    "compared with numbers": lambda x: np.where((x > 0) == 1, x, 0) + np.where(np.sign(x) >= 0, 1, 2),
    "not, and, or": lambda x: 1.0 * ~(x > 0) + 2.0 * ((x > 0) & (x < 1)) + 4.0 * ((x < 0) | (x > 1)),
    "sign": lambda x: np.sign(x) * abs(x) + np.sign(x),
    "heaviside": lambda x: np.heaviside(x, 0.5) + np.heaviside(x, x),
    "floor, ceil": lambda x: np.floor(x) + 10 * np.ceil(x) + 100 * np.floor(-x),
    "trunc": lambda x: np.trunc(x) + 10 * np.fix(x),
    "round": lambda x: np.round(x) + 10 * np.rint(x) + 100 * np.around(x / 2, 1) + x.round(-1),
    "argmax": lambda x: np.argmax(x) + 10 * np.argmin(x) + 100 * np.argmax(x.reshape(-1, 2), axis=1)[0],
    "one_hot": lambda x: (
        simsa.one_hot(np.argmax(x[:3]), 3) @ x[:3] + np.sum((np.arange(3) == np.argmin(x[:3])) * x[:3])
    ),
    "stacked": lambda x: np.stack([x[0] > 0, x[1] > 0]) * x[:2] + np.stack([x[0] > 0, x[1]]),
}


@pytest.mark.parametrize("name", STEPS)
def test_conditions_and_steps_are_the_numbers_of_numpy(name):
    """Bits of the value at ties and beside them; the derivative of a step is 0, so that x * (x > 0) has 1 or 0."""
    function = STEPS[name]
    made = simsa.trace(function, 6)
    grid = np.array([-2.5, -2.0, -1.5, -1.0, -0.5, -5e-324, -0.0, 0.0, 0.49999999999999994, 0.5, 1.0, 1.5, 2.5, 3e18])
    rng = np.random.default_rng(0)
    for _ in range(40):
        x = rng.choice(grid, 6)
        expected = np.ravel(np.asarray(function(x.copy()), float))
        assert np.atleast_1d(made.value(x)).tolist() == expected.tolist()


def test_the_derivative_of_a_step_is_zero():
    made = simsa.trace(lambda x: np.sum(np.sign(x) + np.floor(x) + np.round(x) + (x > 0) + np.argmax(x)), 3)
    for x in ([0.0, 0.0, 0.0], [0.5, -1.0, 2.5], [0.3, 7.0, -9.0]):
        for mode in ("forward", "backward"):
            assert made.gradient(x, mode=mode).tolist() == [0.0, 0.0, 0.0]
    assert simsa.trace(lambda x: np.sum(x * (x > 0)), 3).gradient([2.0, 0.0, -1.0]).tolist() == [1.0, 0.0, 0.0]


def test_nan_reaches_the_value_of_a_step():
    functions = (np.sign, np.floor, np.ceil, np.rint, np.trunc, lambda x: np.heaviside(x, 0.5), np.argmax, np.argmin)
    for function in functions:
        assert np.isnan(simsa.trace(function, 2).value([math.nan, math.nan])).all()


def test_steps_compared_with_constants_are_no_guards_of_their_own():
    """(x > 0) == 1 and sign(x) == 1 are x > 0: a guard 1 == 1 would be tied wherever x > 0."""
    for function in (
        lambda x: np.where((x[0] > 0) == 1, x[0], 0),
        lambda x: np.where(np.sign(x[0]) == 1, x[0], 0),
        lambda x: np.where((x[0] > 0) == (x[0] > -1), x[0], 0),
        lambda x: np.where(np.argmax(np.stack([x[0], 0.0])) == 0, x[0], 0),
    ):
        made = simsa.trace(function, 1)
        assert not any(made.branches([2.0]).tied)
        assert made.branches([0.0]).tied[-1]


def test_floor_is_tied_at_integers_and_rint_between_them():
    for function, tied in ((np.floor, [-1.0, 0.0, 2.0]), (np.rint, [-1.5, -0.5, 0.5, 2.5])):
        made = simsa.trace(lambda x, function=function: function(x[0]), 1)
        for x in np.arange(-3, 3, 0.25):
            expected = x % 1 == tied[0] % 1
            assert made.branches([x]).tied == (expected,)


def test_conditions_that_explode_are_refused():
    def function(x):
        pairs = [(x[2 * j] > 0) ^ (x[2 * j + 1] > 0) for j in range(10)]
        condition = pairs[0]
        for pair in pairs[1:]:
            condition = condition ^ pair
        return np.where(condition, 1.0, 0.0)

    assert message(function, 20) == "a condition of more than 4096 alternatives; split it"


def test_a_decision_that_is_cut_short_stays_one():
    below = ((0, "<", 1),)
    assert BranchTable(((below, True),), False).trimmed() == BranchTable(((below, True),), False)
    assert BranchTable(((below, True), (below, False)), False).trimmed() == BranchTable(((below, True),), False)


# ---------------------------------------------------------------- writing


def test_writing_follows_numpy_views_and_all():
    def function(x):
        y = x.copy()
        y[0] = 5.0
        y[1:3] += y[:2] * 2
        part = y[2:]
        part *= 3
        y[::2] = [1.0, x[1]]
        z = np.zeros_like(y)
        z[1:] = y[:-1]
        return np.concatenate([y, z, x])

    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert simsa.trace(function, 4).value(x).tolist() == function(x.copy()).tolist()


def test_conditions_can_be_written_to():
    def function(x):
        positive = x > 0
        positive[1] = x[1] > 2
        positive &= x < 9
        return np.where(positive, x, -1.0)

    x = np.array([1.0, 1.5, -3.0, 10.0])
    assert simsa.trace(function, 4).value(x).tolist() == function(x).tolist() == [1.0, -1.0, -1.0, -1.0]


# ---------------------------------------------------------------- data, conventions, results


def test_data_are_the_second_vector():
    made = simsa.trace(lambda x, a: np.sum((x - a[:2]) ** 2) * a[2], 2, 3)
    assert (made.p, made.data, made.q) == (2, 3, 1)
    assert made.value([1.0, 2.0], [0.0, 0.0, 2.0]) == 10.0
    assert made.gradient([1.0, 2.0], [0.0, 0.0, 2.0]).tolist() == [4.0, 8.0]


def test_results_may_be_numbers_arrays_and_lists():
    assert simsa.trace(lambda x: 3, 1).value([0.0]) == 3.0
    assert simsa.trace(lambda x: [x[0], [x[1], 1.0], x.reshape(2, 1)], 2).q == 5
    assert simsa.trace(lambda x: x.reshape(2, 2), 4).q == 4


def test_functions_need_not_be_lambdas():
    class Model:
        def __call__(self, x):
            return x[0] * 2

        def loss(self, x):
            return x[0] * 3

    assert simsa.trace(Model(), 1).value([2.0]) == 4.0
    assert simsa.trace(Model().loss, 1).value([2.0]) == 6.0
    assert simsa.trace(np.sum, 3).value([1.0, 2.0, 3.0]) == 6.0


SLOPES = {
    ("relu", "tensorflow"): 0.0,
    ("relu", "jax"): 0.0,
    ("maximum", "tensorflow"): 1.0,
    ("maximum", "pytorch"): 0.5,
    ("fmax", "pytorch"): 1.0,
    ("fmax", "jax"): 0.0,
    ("clip", "tensorflow"): 1.0,
    ("clip", "jax"): 0.5,
    ("clip below", "pytorch"): 1.0,
    ("clip below", "jax"): 0.5,
    ("max", "tensorflow"): 0.5,
    ("max_pool", "tensorflow"): 1.0,
    ("max_pool", "pytorch"): 1.0,
    ("max_pool", "jax"): 1.0,
    ("abs", "pytorch"): 0.0,
    ("abs", "jax"): 1.0,
    ("zero", "tensorflow"): 1.0,
    ("where >", "jax"): 0.0,
    ("where >=", "jax"): 1.0,
    ("top_k", "jax"): 1.0,
    ("sort", "jax"): 0.0,
}
TIED = {
    "relu": simsa.relu,
    "maximum": lambda x: np.maximum(x, 0.0),
    "fmax": lambda x: np.fmax(x, 0.0),
    "clip": lambda x: np.clip(x, 0.0, 1.0),
    "clip below": lambda x: np.clip(x, 0.0, None),
    "max": lambda x: np.max(np.stack([x, 0.0])),
    "max_pool": lambda x: simsa.max_pool1d(np.stack([x, 0.0]), 2)[0],
    "abs": np.abs,
    "zero": simsa.zero,
    "where >": lambda x: np.where(x > 0, x, 0.0),
    "where >=": lambda x: np.where(x >= 0, x, 0.0),
    "top_k": lambda x: simsa.top_k(np.stack([x, 0.0]), 2)[0],
    "sort": lambda x: np.sort(np.stack([x, 0.0]))[1],
}


@pytest.mark.parametrize(("name", "convention"), SLOPES)
def test_derivatives_at_ties_are_what_the_frameworks_return(name, convention):
    """Measured on PyTorch 2.13.0, JAX 0.10.2 and TensorFlow 2.21.0."""
    made = simsa.trace(lambda x: TIED[name](x[0]), 1, convention=convention)
    assert made.gradient([0.0]).tolist() == [SLOPES[name, convention]]


def test_a_convention_may_be_ones_own():
    made = simsa.trace(lambda x: simsa.relu(x[0]), 1, convention=Convention("jax", {"relu": 0.25}))
    assert made.gradient([0.0]).tolist() == [0.25]


def test_relu_of_minus_x_has_the_paper_s_derivatives():
    relu2 = simsa.trace(lambda x: simsa.relu(-x[0]) + x[0], 1)
    relu3 = simsa.trace(lambda x: (simsa.relu(x[0]) + simsa.relu(-x[0]) + x[0]) / 2, 1)
    assert (relu2.gradient([0.0])[0], relu3.gradient([0.0])[0]) == (1.0, 0.5)


# ---------------------------------------------------------------- functions of simsa

PLAIN = {
    "relu": (simsa.relu, lambda x: np.maximum(x, 0)),
    "leaky_relu": (lambda x: simsa.leaky_relu(x, 0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
    "elu": (lambda x: simsa.elu(x, 2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(x))),
    "relu6": (simsa.relu6, lambda x: np.clip(x, 0, 6)),
    "hardtanh": (simsa.hardtanh, lambda x: np.clip(x, -1, 1)),
    "hinge": (simsa.hinge, lambda x: np.maximum(0, 1 - x)),
    "huber": (
        lambda x: simsa.huber(x, 1.5),
        lambda x: np.where(np.abs(x) <= 1.5, x * x / 2, 1.5 * np.abs(x) - 1.125),
    ),
    "sigmoid": (simsa.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "softplus": (simsa.softplus, lambda x: np.log(1 + np.exp(x))),
    "erf": (simsa.erf, lambda x: np.vectorize(math.erf)(x)),
    "clip": (lambda x: simsa.clip(x, -2, 2), lambda x: np.clip(x, -2, 2)),
    "zero": (simsa.zero, lambda x: 0 * x),
    "maximum": (lambda x: simsa.maximum(x, 0, x[::-1]), lambda x: np.maximum(np.maximum(x, 0), x[::-1])),
    "minimum": (lambda x: simsa.minimum(x, 1), lambda x: np.minimum(x, 1)),
    "logsumexp": (lambda x: simsa.logsumexp(x.reshape(2, 4), 1), lambda x: np.log(np.sum(np.exp(x.reshape(2, 4)), 1))),
    "median": (lambda x: simsa.median(x), lambda x: np.median(x)),
    "top_k": (lambda x: simsa.top_k(x, 3), lambda x: np.sort(x)[::-1][:3]),
    "max_pool1d": (lambda x: simsa.max_pool1d(x, 3, 2), lambda x: np.stack([x[0:3].max(), x[2:5].max(), x[4:7].max()])),
    "max_pool2d": (
        lambda x: simsa.max_pool2d(x.reshape(2, 4), 2),
        lambda x: x.reshape(2, 2, 2).transpose(1, 0, 2).reshape(2, 4).max(1),
    ),
    "where": (lambda x: simsa.where(x > 1, x, 1), lambda x: np.maximum(x, 1)),
    "piecewise": (
        lambda x: simsa.piecewise([(x < -1, -1.0), (x > 1, 1.0)], x),
        lambda x: np.clip(x, -1, 1),
    ),
    "dense": (
        lambda x: simsa.dense(x[:6].reshape(2, 3), x[5:], x[:2]),
        lambda x: x[:6].reshape(2, 3) @ x[5:] + x[:2],
    ),
    "conv2d": (
        lambda x: simsa.conv2d(x.reshape(1, 2, 4), x[:4].reshape(1, 1, 2, 2), x[:1]),
        lambda x: np.array([np.sum(x.reshape(2, 4)[:, j : j + 2] * x[:4].reshape(2, 2)) + x[0] for j in range(3)]),
    ),
    "apply": (lambda x: simsa.apply("softplus", x), lambda x: np.logaddexp(x, 0)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_functions_of_simsa_are_what_they_say_traced_and_plain(name):
    function, meaning = PLAIN[name]
    made, rng = simsa.trace(function, 8), np.random.default_rng(4)
    for x in (rng.normal(0, 2, 8), rng.normal(0, 4, 8), rng.permutation(8) - 3.25):
        expected = np.ravel(meaning(x))
        np.testing.assert_allclose(np.ravel(function(x)), expected, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(np.ravel(made.value(x)), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("row", [row for row in ROWS if row.arity is not None], ids=lambda row: row.name)
def test_rows_agree_traced_and_plain(row):
    """At ties and far from them; where one says NaN the other does."""
    grid = np.array([-6.0, -1.5, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 6.0, 7.0, math.nan])
    points = np.stack(np.meshgrid(*[grid] * row.arity), -1).reshape(-1, row.arity)
    points = points[np.random.default_rng(0).permutation(len(points))[:64]]
    numbers = dict.fromkeys(row.immediates, 1.5)
    made = simsa.trace(lambda x: simsa.apply(row.name, *x, **numbers), row.arity)
    with np.errstate(all="ignore"):
        plain = simsa.apply(row.name, *points.T, **numbers)
    np.testing.assert_allclose(made.value(points), plain, rtol=1e-14, atol=0)


def convolution(x, w, stride, padding):
    """Return the definition, with loops."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    rows = range(0, x.shape[1] - w.shape[2] + 1, stride)
    columns = range(0, x.shape[2] - w.shape[3] + 1, stride)
    windows = [[x[:, i : i + w.shape[2], j : j + w.shape[3]] for j in columns] for i in rows]
    return np.array([[[np.sum(window * f) for window in line] for line in windows] for f in w])


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (1, 1), (2, 1)])
def test_convolution_is_the_definition(stride, padding):
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(2, 4, 5)), rng.normal(size=(3, 2, 2, 3))

    def function(p):
        return simsa.conv2d(p[:40].reshape(2, 4, 5), p[40:].reshape(3, 2, 2, 3), None, stride, padding)

    expected = convolution(x, w, stride, padding)
    point = np.concatenate([x.ravel(), w.ravel()])
    np.testing.assert_allclose(function(point), expected, rtol=1e-12)
    made = simsa.trace(function, 76)
    np.testing.assert_allclose(made.value(point), expected.ravel(), rtol=1e-12)
    assert [node.primitive for node in made.nodes if node.primitive != "constant"] == ["dense"] * expected[0].size


def test_windows_overlap_when_the_stride_is_less_than_the_size():
    made = simsa.trace(lambda x: simsa.max_pool2d(x.reshape(1, 3, 4), (2, 3), 1), 12)
    assert [node.operands for node in made.nodes][:2] == [(0, 1, 2, 4, 5, 6), (1, 2, 3, 5, 6, 7)]


# ---------------------------------------------------------------- what cannot be traced

TRUTH = (
    "a symbolic value is neither true nor false while a program is traced: use np.where(condition, a, b) in place of "
    "if, while, and, or, not; and np.maximum, np.minimum, np.sort in place of max, min, sorted"
)
NUMBER = (
    "a symbolic value is no number while a program is traced: use NumPy's functions in place of float and math; and "
    "write into np.zeros_like(x) or a copy of x, not into an array of NumPy's"
)
HOLD = "np.array cannot hold symbolic values; use np.stack([...]) or np.concatenate([...]), which can"
INDEX = "an index cannot depend on symbolic values; use np.where(condition, a, b) to choose between entries"


def write_into_numpy(x):
    out = np.zeros(4)
    out[0] = x[0]


def add_to_numpy(x):
    out = np.zeros(4)
    out += x


def loop(x):
    while x[0] > 0:
        x = x - 1


REFUSED = [
    (lambda x: x[0] if x[0] > 0 else -x[0], TRUTH),
    (loop, TRUTH),
    (lambda x: x[0] > 0 and x[1] > 0, TRUTH),
    (lambda x: not x[0], TRUTH),
    (lambda x: 0 < x[0] < 1, TRUTH),
    (lambda x: max(x[0], x[1]), TRUTH),
    (lambda x: sorted(x), TRUTH),
    (lambda x: float(x[0]), NUMBER),
    (lambda x: int(x[0]), NUMBER),
    (lambda x: math.exp(x[0]), NUMBER),
    (
        lambda x: list(range(x[0])),
        "a symbolic value cannot be an index or a count; use np.where(condition, a, b) to choose",
    ),
    (lambda x: np.array([x[0], 1.0]), HOLD),
    (lambda x: np.asarray(x), HOLD),
    (lambda x: np.sum([x[0], x[1]]), HOLD),
    (write_into_numpy, NUMBER),
    (add_to_numpy, "np.add cannot write symbolic values into a NumPy array; assign its result"),
    (lambda x: x[x > 0], INDEX),
    (lambda x: x[x[0]], INDEX),
    (
        lambda x: (x > 0) - (x > 1),
        "NumPy does not subtract truth values; write 1.0 * (x > 0) for a number, & | ~ for logic",
    ),
    (lambda x: x * np.inf, "the constant inf is not finite"),
    (lambda x: np.where(x > 0, x, np.nan), "the constant nan is not finite"),
    (lambda x: x > np.nan, "the constant nan is not finite"),
    (lambda x: x[0] ** np.inf, "the constant inf is not finite"),
    (lambda x: x / 0, "a quotient by the constant 0 is not finite"),
    (lambda x: x * 10**400, "the constant is too large for float64"),
    (lambda x: np.maximum(x, np.inf), "the constant inf is not finite"),
    (lambda x: np.pad(x, 1, constant_values=np.inf), "the constant inf is not finite"),
    (lambda x: simsa.huber(x, np.inf), "the constant inf is not finite"),
    (lambda x: x[np.argmax(x)], INDEX),
    (lambda x: np.where(x, 1, 2), "expected a condition such as x > 0; write x != 0 if that is meant"),
    (lambda x: ~x, "expected a condition such as x > 0; write x != 0 if that is meant"),
    (
        lambda x: np.floor_divide(x, 2),
        "np.floor_divide cannot be traced; it is not continuous; what cancels elsewhere can be written with "
        "np.where(condition, a, b), np.floor",
    ),
    (
        lambda x: np.argsort(x),
        "np.argsort cannot be traced; an index is not differentiable; np.sort, np.max, np.min, np.where and np.argmax "
        "give values",
    ),
    (lambda x: np.arctan(x), "np.arctan cannot be traced; the table of primitives has no such row"),
    (lambda x: np.einsum("i,i", x, x), "np.einsum cannot be traced; use @, np.dot, np.outer or np.sum"),
    (
        lambda x: np.linalg.det(x.reshape(2, 2)),
        "np.linalg.det cannot be traced; write it with arithmetic, np.where, the usual functions of NumPy and those of "
        "simsa",
    ),
    (
        lambda x: np.add.accumulate(x),
        "np.add.accumulate cannot be traced; write it with arithmetic, np.where, the usual functions of NumPy and "
        "those of simsa",
    ),
    (
        lambda x: np.sum(x, where=x > 0),
        "np.sum cannot be traced with these arguments: got an unexpected keyword argument 'where'",
    ),
    (lambda x: np.where(x > 0), "np.where cannot be traced with these arguments: missing a required argument: 'x'"),
    (
        lambda x: np.linalg.norm(x, 3),
        "np.linalg.norm can be traced for vectors with ord 1, 2, inf and -inf, and for ord=None",
    ),
    (lambda x: np.repeat(x, x), "np.repeat: positions and sizes cannot depend on symbolic values"),
    (lambda x: x @ x[:2], "@: the shapes (4,) and (2,) do not fit"),
    (lambda x: x @ 2.0, "@ needs vectors or matrices, not numbers; use *"),
    (lambda x: np.max(x[:0]), "max of no entries"),
    (lambda x: np.argmax(x[:0]), "argmax of no entries"),
    (lambda x: x[0] + "a", "expected numbers, got 'a'"),
    (lambda x: x[0] + 1j, "expected numbers, got 1j"),
    (lambda x: x * [x[0], [1.0, 2.0]], "the entries of a list differ in shape"),
    (lambda x: simsa.huber(x, x[0]), "huber: a must be a number, not symbolic"),
    (lambda x: simsa.apply("rleu", x), "unknown primitive 'rleu'; did you mean 'relu'?"),
    (lambda x: simsa.apply("relu", x, x), "relu takes (x), got 2 operands"),
    (lambda x: simsa.apply("huber", x), "huber: expected the numbers: a; got: none"),
    (lambda x: simsa.top_k(x, 5), "top_k: expected k from 1 to 4, got 5"),
    (lambda x: simsa.max_pool1d(x, 5), "max_pool1d: a window of 5 with stride 5 does not fit 4 entries"),
    (lambda x: simsa.dense(x.reshape(2, 2), x), "dense: the shapes (2, 2) and (4,) do not fit"),
    (
        lambda x: simsa.conv2d(x, x),
        "conv2d: expected x of shape (channels, height, width) and w of shape (filters, channels, rows, columns), got "
        "(4,) and (4,)",
    ),
]


@pytest.mark.parametrize(
    ("function", "expected"), REFUSED, ids=lambda value: value[:30] if isinstance(value, str) else ""
)
def test_what_no_program_can_do_is_refused_with_the_cure(function, expected):
    assert message(function) == expected


RESULTS = [
    (lambda x: None, "<lambda> must return a number or an array: expected numbers, got None"),
    (lambda x: "a", "<lambda> must return a number or an array: expected numbers, got 'a'"),
    (lambda x: [], "<lambda> must return a number or an array, it returned nothing"),
    (lambda x, a: x, "<lambda> must take one vector (parameters): missing a required argument: 'a'"),
    (lambda: 1, "<lambda> must take one vector (parameters): too many positional arguments"),
]


@pytest.mark.parametrize(
    ("function", "expected"), RESULTS, ids=lambda value: value[-30:] if isinstance(value, str) else ""
)
def test_functions_that_take_or_return_something_else_are_refused(function, expected):
    assert message(function) == expected


def test_a_function_that_ignores_the_data_is_refused():
    expected = "<lambda> must take two vectors (parameters, data): too many positional arguments"
    assert message(lambda x: x[0], 1, 2) == expected


def test_values_of_two_programs_do_not_mix():
    kept = []
    simsa.trace(lambda x: kept.append(x) or x[0], 1)
    expected = "symbolic values of two programs meet; use only the arguments of the function being traced"
    assert message(lambda x: x + kept[0]) == expected
    assert message(lambda x: kept[0]) == f"<lambda> must return a number or an array: {expected}"


def test_a_users_own_mistakes_keep_their_traceback():
    with pytest.raises(IndexError, match="out of bounds"):
        simsa.trace(lambda x: x[7], 2)
    with pytest.raises(AttributeError, match="a symbolic array has no attribute 'foo'"):
        simsa.trace(lambda x: x.foo, 2)


def test_a_program_needs_a_parameter():
    assert "at least one parameter" in message(lambda x: 1.0, 0)
    with pytest.raises(ProgramError, match="convention 'torch' is unknown"):
        simsa.trace(lambda x: x[0], 1, convention="torch")


def test_symbolic_arrays_say_what_they_are():
    seen = []
    simsa.trace(lambda x: seen.append((repr(x), repr(x > 0), x.dtype, (x > 0).dtype)) or x, 2)
    assert seen == [("<symbolic array, shape (2,)>", "<symbolic condition, shape (2,)>", float, bool)]


def test_types_stay_what_they_are():
    assert nodes(lambda x: x.astype(float)) == []
    assert message(lambda x: x.astype(np.float32)) == "a symbolic array is float64, and cannot be made float32"


def test_methods_that_cannot_be_traced_say_what_can():
    expected = "an index is not differentiable; np.sort, np.max, np.min, np.where and np.argmax give values"
    assert message(lambda x: x.argsort()) == f"the method argsort cannot be traced; {expected}"


def test_the_example_of_the_readme_says_what_happens():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    lines = re.findall(r"^((?:program|half)\.\w.*?)  +# ([^:\n]*?)(?::.*)?$", text, re.MULTILINE)
    assert len(lines) == 4
    for call, said in lines:
        np.testing.assert_array_equal(eval(call, names), eval(said))


def test_the_builder_of_a_finished_program_is_not_needed():
    made = simsa.trace(lambda x: x[0] * 2, 1)
    builder = Builder(1)
    same = builder.finish([builder.apply("mul", [0, builder.constant(2.0)])])
    assert made.nodes == same.nodes


def test_a_program_says_what_it_is_in_a_line_and_can_be_called():
    program = simsa.trace(lambda x, a: a[0] * abs(x[0]) + simsa.relu(x[1]), 2, 1, convention="jax")
    assert repr(program) == "Program(2 parameters, 1 data input, 4 nodes, 2 selections, jax)"
    assert repr(simsa.trace(lambda x: 2 * x[0], 1)) == "Program(1 parameter, 2 nodes, 0 selections, tensorflow)"
    points = [[1.0, -2.0], [-3.0, 4.0]]
    assert program(points, [0.5]).tolist() == program.value(points, [0.5]).tolist() == [0.5, 5.5]
