"""Integration along curves, continuity of selections, and the checks of automatic differentiation."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import simsa
from simsa import calculus
from simsa.errors import ProgramError
from tests.calculus.test_sets import bad_step, situations
from tests.support.strategies import programs

NAMES = (
    *("add", "sub", "mul", "neg", "square", "sin", "tanh", "sum"),
    *("relu", "abs", "maximum", "leaky_relu", "huber", "max", "min"),
)


def trace(function, p=1, **options):
    return simsa.trace(function, p, **options)


# Conservativity (Theorem 3, Proposition 2).


@given(st.data())
@settings(max_examples=60)
def test_every_choice_integrates_to_the_function_along_segments(data):
    program = data.draw(programs(max_nodes=8, names=NAMES, outputs=1))
    assume(all(0 < v < 10 for node in program.nodes if node.primitive == "huber" for v in node.immediates))
    assume(all(np.abs(v) < 10 for node in program.nodes for v in node.immediates))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ends = rng.uniform(-1.5, 1.5, size=(2, program.p))
    row = rng.normal(size=program.data) if program.data else None
    assume(np.isfinite(program.value(ends, row)).all() and np.abs(program.value(ends, row)).max() < 1e6)
    found = calculus.check_conservative(program, ends, data=row)
    assert found.relative < 1e-10
    assert found.residual <= found.error + 1e-10 * max(1.0, abs(found.increment))


def test_hundreds_of_breakpoints_are_found():
    """|sin t| on [-300, 300] has its kinks at kπ, |k| ≤ 95."""
    found = calculus.check_conservative(trace(lambda x: abs(np.sin(x[0]))), [[-300.0], [300.0]])
    known = np.pi * np.arange(-95, 96)
    np.testing.assert_allclose(600 * found.breakpoints - 300, known, atol=1e-9)
    assert found.residual < 1e-10


def test_kinks_behind_kinks():
    """The tent map 1 − |1 − 2x|, eight times over: a zigzag with a kink at every k/256."""

    def zigzag(x):
        t = x[0]
        for _ in range(8):
            t = 1 - abs(1 - 2 * t)
        return t

    found = calculus.check_conservative(trace(zigzag), [[0.0], [1.0]])
    np.testing.assert_allclose(found.breakpoints, np.arange(1, 256) / 256, rtol=0, atol=1e-11)
    assert found.residual < 1e-10


def test_kinks_of_a_random_sum():
    """Σ w_i relu(a_i·x + b_i) along a segment is piecewise linear, with its kinks where a_i·x + b_i vanishes."""
    rng = np.random.default_rng(5)
    a, b, w = rng.normal(size=(40, 3)), 0.5 * rng.normal(size=40), rng.normal(size=40)
    program = trace(lambda x: np.dot(w, simsa.relu(a @ x + b)), 3)
    ends = np.array([[-2.0, -1.0, -2.0], [2.0, 1.5, 1.0]])
    at = -(a @ ends[0] + b) / (a @ (ends[1] - ends[0]))
    known = np.sort(at[(at > 0) & (at < 1)])
    assert len(known) > 25
    found = calculus.check_conservative(program, ends)
    np.testing.assert_allclose(found.breakpoints, known, rtol=0, atol=1e-12)
    assert found.relative < 1e-12


def test_a_network_along_a_segment_of_parameters():
    program = simsa.network([2, 6, 1], loss="squared")
    rng = np.random.default_rng(0)
    total = calculus.objective(program, rng.normal(size=(3, 3)))
    found = calculus.check_conservative(total, 3 * rng.normal(size=(2, program.p)))
    assert len(found.breakpoints) > 5
    assert found.relative < 1e-12


@pytest.mark.parametrize("closure", ["full", "local"])
def test_within_a_tie_every_choice_integrates_to_the_same(closure):
    """Along x = y the program max(x, y) + zero(x − y) is tied throughout: D has many slopes, but one along the line."""
    program = trace(lambda x: np.maximum(x[0], x[1]) + simsa.zero(x[0] - x[1]), 2)
    ends = [[0.0, 0.0], [2.0, 2.0]]
    assert len(calculus.selection_operator(program, [1.0, 1.0], closure)) > 2
    found = calculus.check_conservative(program, ends, closure=closure)
    assert found.increment == 2.0
    assert found.residual < 1e-14


def test_along_a_curve_that_is_a_program():
    program = trace(lambda x: abs(x[0]) + np.maximum(x[1], x[0] * x[1]) - simsa.zero(x[0] - x[1]), 2)
    circle = trace(lambda t: np.stack([np.cos(6.0 * t[0]), np.sin(6.0 * t[0])]), 1)
    found = calculus.check_conservative(program, circle)
    known = np.array([np.pi / 4, np.pi / 2, np.pi, 5 * np.pi / 4, 3 * np.pi / 2]) / 6
    assert all(np.abs(found.breakpoints - t).min() < 1e-12 for t in known)
    assert found.relative < 1e-12
    bent = trace(lambda t: np.stack([abs(t[0] - 0.3), t[0] ** 2]), 1)
    assert calculus.check_conservative(program, bent).relative < 1e-12


def test_a_polyline_has_corners():
    program = trace(lambda x: simsa.relu(x[0]) * x[1], 2)
    assert calculus.check_conservative(program, [[-1.0, 0.0], [1.0, 1.0], [2.0, -3.0], [-1.0, 0.0]]).residual < 1e-12


def test_what_is_no_function_is_not_conservative():
    """A jump is the control: its gradients integrate to something else."""
    jump = trace(lambda x: np.where(x[0] > 0.3, x[0] + 1.0, x[0]))
    assert calculus.check_conservative(jump, [[0.0], [1.0]]).residual == pytest.approx(1.0)


def test_bad_paths_are_refused():
    program = trace(lambda x: abs(x[0]))
    for path in ([[1.0]], [[1.0, 2.0], [3.0, 4.0]], [[0.0], [np.nan]]):
        with pytest.raises(ProgramError, match="a path is"):
            calculus.check_conservative(program, path)
    with pytest.raises(ProgramError, match="not finite everywhere"):
        calculus.check_conservative(trace(lambda x: np.log(x[0])), [[-1.0], [1.0]])
    with pytest.raises(ProgramError, match="a curve is"):
        calculus.check_conservative(program, trace(lambda t: np.stack([t[0], t[0]]), 1))


# Continuity (Definition 3).


def test_a_jump_is_found_with_its_point():
    program = trace(lambda x: np.where(x[0] + x[1] > 0.5, x[0], x[0] + 2.0), 2)
    found = calculus.check_continuity(program, (-1.0, 1.0), samples=30, seed=1).counterexample
    assert found.point.sum() == pytest.approx(0.5, abs=1e-12)
    assert found.jump == pytest.approx(2.0)
    assert len(set(found.pieces)) == 2


def test_a_wrong_value_on_a_null_set_is_found():
    program = trace(lambda x: simsa.piecewise([(x[0] == 0.25, 1.0 + x[0])], x[0]))
    assert calculus.check_continuity(program, (-1.0, 1.0)).counterexample.jump == pytest.approx(1.0)


def test_continuous_selections_pass_and_say_what_was_tried():
    total = bad_step()
    found = calculus.check_continuity(total, (-3.0, 3.0), samples=10)
    assert found.counterexample is None
    assert found.samples == 10
    assert found.ties > 10
    assert found.met == found.nodes
    far = calculus.check_continuity(total, (5.0, 6.0), samples=2)
    assert (far.counterexample, far.ties, far.met) == (None, 0, ())
    for function in (simsa.relu6, simsa.hardtanh, simsa.huber, simsa.elu, simsa.hinge, np.abs):
        program = trace(lambda x, function=function: function(4 * x[0]))
        found = calculus.check_continuity(program, (-4.0, 4.0), samples=10)
        assert found.counterexample is None
        assert found.met == found.nodes != ()


JUMPS = {
    "where(y*y*x*x > 0, x, x + 1)": 1.0,  # of issue 12: on both axes, where the guard changes no sign
    "where((x - 0.3*y)**4 > 0, x, x + 1)": 1.0,
    "where(abs(x - y) > 0, x, x + 1)": 1.0,
    "where(x == y, x + 1, x)": 1.0,
    "where(x*x + y*y > 0, x, x + 1)": 1.0,  # at a point
    "where(x == 1/2 and y == 1/4, 1, 0)": 1.0,
    "where(x == 1/2, where(y == 1/4, 1, 0), 0)": 1.0,
    "where(x*x - 2*x*y + y*y > 0, x, x + 1)": 1.0,
    "where(x > 0, where(y == 0, 1, 0), 0)": 1.0,  # on a ray
    "where(sin(x)**2 > 0, x, x + 1)": 1.0,
    "(x > 0)*(y > 0)": 1.0,
    "sign(x)": 2.0,
    "floor(x) - 2*round(y)": None,
    "heaviside(x - y, 1)": 1.0,
    "argmax(x, y)": 1.0,
    "where(x > 0, 1/x, 0)": None,  # bounded by nothing
    "where(x*y >= 0, x, -x)": None,
}


@pytest.mark.parametrize("text", JUMPS)
def test_jumps_on_thin_sets_are_found(text):
    found = calculus.check_continuity(simsa.expression(text, ["x", "y"]), (-1.0, 1.0), samples=20).counterexample
    assert found is not None
    if JUMPS[text] is not None:
        assert found.jump == pytest.approx(JUMPS[text], abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "x*(x > 0)",
        "sign(x)*abs(x)",
        "where(x > 0, sqrt(x), 0)*(x > 0)",
        "where(x*x >= 0, x, x + 1)",  # nothing is below 0
        "where(x > 0, x*log(x), 0)",  # a piece that has no value at the tie, but a limit
        "where(x == 0, 1, 0) - where(2*x == 0, 1, 0)",
        "where(sign(x) + 0.5 == 0, 5, 0)",  # the guard jumps over 0
        "(x - floor(x))*(1 - (x - floor(x)))",
        "where(x > 0.1, 1e9*(x - 0.1), 0)",  # steep: the rounding of the root explains the difference
        "where(x > 0.1, (x + 1e10) - 1e10, x)",  # over the reals it is x
        "dot(one_hot(argmax(x, y), 2), [x, y])",
        "where(y*y*x*x > 0, x*y, 0)",
        "where(x**2 + 1e-20 > 0, x, x + 1)",
    ],
)
def test_continuous_programs_whose_pieces_jump_pass(text):
    """Definition 3 is about the program's function: each of these is continuous, by hand."""
    program = simsa.expression(text, ["x", "y"])
    assert calculus.check_continuity(program, (-1.0, 1.0), samples=5).counterexample is None


def test_continuity_at_points_that_a_run_met():
    program = simsa.expression("where(x*x*y*y > 0, x, x + a)", ["x", "y"], ["a"])
    total = calculus.objective(program, [[0.0], [2.0]])
    found = calculus.continuity_at(total, [[0.5, 0.5], [0.25, 0.0]])
    assert (found.counterexample.sample, found.counterexample.jump) == (1, 2.0)
    assert found.counterexample.point.tolist() == [0.25, 0.0]
    near = calculus.continuity_at(simsa.expression("where(x > 1e-5, 1, 0)", ["x"]), [[0.0]])
    assert near.counterexample.point == pytest.approx([1e-5], abs=1e-12)
    assert calculus.continuity_at(simsa.expression("x*(x > 0)", ["x"]), [[0.0], [1.0]]).counterexample is None
    with pytest.raises(ProgramError, match=r"finite points of shape \(k, 2\)"):
        calculus.continuity_at(total, [[0.0]])


# Checks.


@given(situations())
@settings(max_examples=40)
def test_forward_and_backward_agree_at_ties(situation):
    program, x, row = situation
    assert calculus.forward_backward_gap(program, x, data=row) < 1e-12


def test_forward_and_backward_of_an_objective():
    assert calculus.forward_backward_gap(bad_step(), [0.0]) == 0.0
    with pytest.raises(ProgramError, match="point of length 1"):
        calculus.forward_backward_gap(bad_step(), [0.0, 1.0])


def test_three_relus_compared():
    """Figure 1 of the paper: one function, three derivatives at 0."""
    relu, relu2 = trace(lambda x: simsa.relu(x[0])), trace(lambda x: simsa.relu(-x[0]) + x[0])
    relu3 = trace(lambda x: (simsa.relu(x[0]) + (simsa.relu(-x[0]) + x[0])) / 2)
    for other, slope in ((relu2, 1.0), (relu3, 0.5)):
        found = calculus.compare(relu, other, (-2.0, 2.0))
        assert found.equal
        assert found.points.tolist() == [[0.0]]
        assert found.gradients.tolist() == [[[0.0], [slope]]]


def test_conventions_compared():
    function = lambda x: np.sum(np.abs(x)) + np.max(x)  # noqa: E731
    found = calculus.compare(trace(function, 2), trace(function, 2, convention="jax"), (-1.0, 1.0), samples=20)
    assert found.equal
    assert len(found.points) > 0
    assert all(0.0 in x for x in found.points)
    assert found.tried > found.ties > 0


def test_different_functions_are_told_apart():
    found = calculus.compare(
        trace(lambda x: x[0] ** 2), trace(lambda x: x[0] ** 2 + simsa.relu(x[0] - 0.9)), (-1.0, 1.0)
    )
    assert not found.equal
    assert found.value_point[0] > 0.9
    undefined = calculus.compare(
        trace(lambda x: np.where(x[0] < 0.9, x[0], np.log(x[0] - 2.0))), trace(lambda x: x[0]), (-1.0, 1.0)
    )
    assert (undefined.equal, undefined.value_gap) == (False, np.inf)
    with pytest.raises(ProgramError, match="1 and 2 parameters"):
        calculus.compare(trace(lambda x: x[0]), trace(lambda x: x[0], 2), (-1.0, 1.0))


def test_gradient_check_knows_kinks():
    function = lambda x: np.exp(x[0]) + abs(x[1]) + x[2] - simsa.zero(x[2]) + 2 * simsa.zero(-x[3]) + abs(x[3])  # noqa: E731
    program = trace(function, 4)
    found = calculus.check_gradient(program, [1.0, 0.0, 0.0, 0.0])
    assert found.verdicts == ("smooth", "kink", "wrong", "outside")
    assert not found.ok
    np.testing.assert_allclose(found.left, [np.e, -1.0, 1.0, -1.0], atol=1e-6)
    np.testing.assert_allclose(found.right, [np.e, 1.0, 1.0, 1.0], atol=1e-6)
    assert calculus.check_gradient(program, [1.0, 2.0, 3.0, 4.0]).verdicts == ("smooth",) * 4


def test_gradient_check_never_calls_a_clarke_element_wrong():
    """One-sided slopes bound an entry only for regular functions.

    median(x, y, 0) at 0: along both axes it is 0, and both slopes; beside 0 it is x, y or 0, so that Clarke's set is
    the hull of (1, 0), (0, 1), (0, 0), and AD's (0, 1) is in it. max(min(x, y), z) at 0: along z the slopes are 0 and
    1, along x they are 0 on both sides (min(x, 0) < 0 = z on the left, min(x, 0) = 0 on the right), while (1, 0, 0) is
    a gradient where y > x > z.
    """
    median = simsa.expression("median(x, y, 0)", ["x", "y"])
    found = calculus.check_gradient(median, [0.0, 0.0])
    assert (found.gradient.tolist(), found.verdicts) == ([0.0, 1.0], ("kink", "kink"))
    assert found.left.tolist() == found.right.tolist() == [0.0, 0.0]
    nested = simsa.expression("maximum(minimum(x, y), z)", ["x", "y", "z"])
    found = calculus.check_gradient(nested, [0.0, 0.0, 0.0])
    assert (found.gradient.tolist(), found.verdicts) == ([1.0, 0.0, 0.0], ("kink",) * 3)
    assert (found.left[0], found.right[0]) == (0.0, 0.0)


def test_gradient_check_sees_what_no_coordinate_shows():
    """|x + y| at 0: the segment from (-1, -1) to (1, 1); (1, -1) is not on it, though each entry could be."""
    program = simsa.artificial(simsa.expression("abs(x + y)", ["x", "y"]), [0.0, 0.0], [1.0, -1.0])
    found = calculus.check_gradient(program, [0.0, 0.0])
    assert (found.gradient.tolist(), found.verdicts) == ([1.0, -1.0], ("outside", "outside"))


def test_gradient_check_is_not_misled_where_nothing_is_tied():
    """Kinks at ±1e-9 around 0, where f' = 0; a wave too fast for any quotient, with f'(0) = 1000."""
    for text, slope in (("relu(x - 1e-9) - relu(-x - 1e-9)", 0.0), ("1e-6*sin(1e9*x)", 1000.0)):
        found = calculus.check_gradient(simsa.expression(text, ["x"]), [0.0])
        assert (found.gradient.tolist(), found.verdicts) == ([slope], ("undecided",))
        assert "difference quotients" in found.why


def test_gradient_check_says_where_it_cannot_tell():
    for function in (lambda x: np.sqrt(abs(x[0])), lambda x: x[0] ** 1.5, lambda x: np.where(x[0] > 0, x[0] + 1, x[0])):
        assert calculus.check_gradient(trace(function), [0.0]).verdicts == ("undecided",)
    beyond = trace(lambda x: simsa.relu(x[0]), convention={"base": "pytorch", "relu": 2.0})
    assert calculus.check_gradient(beyond, [0.0]).verdicts == ("outside",)


def test_goldstein_leaves_out_what_is_not_defined():
    """At distance 1e-3 from the end of the logarithm's domain: gradients 1/x for x in (0, 0.011)."""
    found = calculus.goldstein(trace(lambda x: np.log(x[0])), [1e-3], radius=1e-2, samples=100)
    assert (found.vertices > 0).all()
    assert 1 / 0.011 < found.norm < 100


def test_goldstein_sees_the_kink_that_the_gradient_does_not():
    program = trace(lambda x: abs(x[0]) + 2 * abs(x[1]), 2)
    near = [1e-4, -1e-5]
    assert np.linalg.norm(program.gradient(near)) > 2
    found = calculus.goldstein(program, near, radius=1e-2, samples=50, seed=1)
    assert found.norm < 1e-12
    assert found.vertices.shape == (51, 2)
    assert calculus.goldstein(program, near, radius=1e-9, samples=50).norm > 2


def test_goldstein_is_not_misled_by_the_gradient_at_a_tie():
    """At the artificial point of x − zero(x) AD says 0, which is no gradient of the identity anywhere."""
    found = calculus.goldstein(trace(lambda x: x[0] - simsa.zero(x[0])), [0.0], radius=1e-2, samples=10)
    assert found.norm == 1.0
    assert found.vertices.tolist() == [[1.0]] * 11
    assert calculus.goldstein(trace(lambda x: abs(x[0])), [0.0], radius=1e-2, samples=1).norm == 0.0
