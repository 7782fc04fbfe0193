"""D_f and Clarke's subdifferential: known answers, and what must hold for any program."""

import itertools
import math
import re
import time
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import simsa
from simsa import calculus
from simsa.errors import ProgramError
from simsa.machine.evaluator import tape_of
from simsa.machine.reference import Interpreter
from simsa.primitives import ROW
from simsa.primitives.arithmetic import Arithmetic
from tests.support.strategies import TIES, programs

BOTH = ("full", "local")


def vertices(found):
    return {tuple(v.ravel().tolist()) for v in found.vertices}


def selection(program, x, closure="local", **options):
    return vertices(calculus.selection_operator(program, x, closure, **options))


def clarke(program, x, **options):
    return vertices(calculus.clarke(program, x, **options))


def in_hull(v, found, tol=1e-12):
    return calculus.min_norm_point(found.vertices - np.asarray(v)).norm <= tol * max(1.0, np.abs(v).max())


def trace(function, p=1, **options):
    return simsa.trace(function, p, **options)


# The table of mathematics.md, section 7 (Bolte and Pauwels 2020, Figure 1 and Section 2).


def relu2(t):
    return simsa.relu(-t) + t


TABLE = {
    "relu": (lambda x: simsa.relu(x[0]), 0.0, {0, 1}, {0, 1}, "clarke"),
    "relu2": (lambda x: relu2(x[0]), 1.0, {0, 1}, {0, 1}, "clarke"),
    "relu3": (lambda x: (simsa.relu(x[0]) + relu2(x[0])) / 2, 0.5, {0, 0.5, 1}, {0, 1}, "clarke"),
    "zero": (lambda x: simsa.zero(x[0]), 1.0, {-1, 0, 1}, {0}, "clarke"),
    "identity trap": (lambda x: x[0] - simsa.zero(x[0]), 0.0, {0, 1, 2}, {1}, "artificial"),
    "null": (lambda x: simsa.piecewise([(x[0] == 0, x[0])], 0.0), 1.0, {0, 1}, {0}, "clarke"),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_papers_examples_at_zero(name):
    function, gradient, d, c, kind = TABLE[name]
    program = trace(function)
    assert program.gradient([0.0]).tolist() == [gradient]
    for closure in BOTH:
        assert selection(program, [0.0], closure) == {(v,) for v in d}
    found = calculus.clarke(program, [0.0])
    assert vertices(found) == {(v,) for v in c}
    assert found.certified
    assert calculus.classify(program, [0.0]).kind == kind


def test_the_hull_of_branch_gradients_is_not_clarke():
    program = trace(lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]))
    assert selection(program, [0.0]) == {(0,), (1,), (2,)}
    assert clarke(program, [0.0]) == {(1,)}


def test_pieces_that_are_never_selected_count_in_full():
    """Relu as the pieces 0, x and an unused x²: D_f(1) = [1, 2] by value. At 3 x² differs."""
    program = trace(lambda x: simsa.piecewise([(x[0] <= 0, 0.0), (x[0] > 0, x[0])], x[0] ** 2))
    assert selection(program, [1.0], "full") == {(1,), (2,)}
    assert selection(program, [3.0], "full") == {(1,)}
    assert clarke(program, [1.0]) == {(1,)}


def test_full_sees_values_that_meet_by_accident_at_the_output():
    """|x| - |x - 4| at 2: x - (4 - x) is executed, and -x - (x - 4) is 0 there as well."""
    program = trace(lambda x: abs(x[0]) - abs(x[0] - 4))
    assert selection(program, [2.0], "full") == {(2,), (-2,)}
    assert selection(program, [2.0], "local") == {(2,)}


# Convex functions of the textbooks: D = ∂^c = the convex subdifferential (Rockafellar 1970, section 23).


@pytest.mark.parametrize("ties", [1, 2, 3, 4, 5])
def test_max_of_linear_forms(ties):
    rng = np.random.default_rng(ties)
    a = rng.integers(-3, 4, size=(6, 3)).astype(float)
    program = trace(lambda x: np.max(np.array(a) @ x + np.array([0.0] * ties + [-1.0] * (6 - ties))), 3)
    subgradients = {tuple(row) for row in a[:ties].tolist()}
    found = calculus.clarke(program, [0.0] * 3)
    assert selection(program, [0.0] * 3) == subgradients
    # Vertices of the hull are essential; a form that is a convex combination of others touches thinly at most.
    assert vertices(found) <= subgradients
    for g in subgradients:
        assert in_hull(g, found)


CONVEX = {
    "l1": (lambda x: np.sum(np.abs(x)), [0.0, 0.0, 2.0], {(a, b, 1) for a in (-1, 1) for b in (-1, 1)}),
    "hinge": (lambda x: simsa.hinge(x[0] * 2), [0.5, 0, 0], {(0, 0, 0), (-2, 0, 0)}),
    "huber": (lambda x: simsa.huber(x[0], 2.0), [2.0, 0, 0], {(2, 0, 0)}),
    "linf": (lambda x: np.max(np.abs(x)), [1.0, -1.0, 0.5], {(1, 0, 0), (0, -1, 0)}),
    "max-pool": (lambda x: np.sum(simsa.max_pool1d(x, 2, 1)), [1.0, 1.0, 1.0], None),
    "top-2": (lambda x: np.sum(simsa.top_k(x, 2)), [1.0, 1.0, 1.0], {(1, 1, 0), (1, 0, 1), (0, 1, 1)}),
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex_functions_have_one_set(name):
    function, x, known = CONVEX[name]
    program = trace(function, 3)
    found = calculus.clarke(program, x)
    assert found.certified
    if known is None:
        known = {(1, 1, 0), (1, 0, 1), (0, 2, 0), (0, 1, 1)}
    assert vertices(found) <= selection(program, x) <= set(known) | vertices(found)
    for g in known:
        assert in_hull(g, found)


def units(n, k, weight=1.0):
    """Sums of k of the n unit vectors, times a weight."""
    return {tuple(weight * (i in chosen) for i in range(n)) for chosen in itertools.combinations(range(n), k)}


ORDER = {
    "max": (np.max, lambda n: units(n, 1)),
    "sort[0]": (lambda x: np.sort(x)[0], lambda n: units(n, 1)),
    "top-2": (lambda x: np.sum(simsa.top_k(x, 2)), lambda n: units(n, min(n, 2))),
    "median": (np.median, lambda n: units(n, 1) if n % 2 else units(n, 2, 0.5)),
    "max-pool": (lambda x: simsa.max_pool1d(x, len(x), 1)[0], lambda n: units(n, 1)),
    "range": (lambda x: np.max(x) - np.min(x), lambda n: {tuple(np.subtract(a, b)) for a in units(n, 1)
                                                         for b in units(n, 1) if n == 1 or a != b}),
}  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ORDER)
def test_order_statistics_at_ties_of_every_multiplicity(name, n):
    """n equal entries: Clarke's vertices by hand, from the n! orders around the point. D is the same, except for a
    difference, whose two selections AD decides one by one: max − min may take one entry for both.
    """
    function, known = ORDER[name]
    if name == "top-2" and n == 1:
        return
    program = trace(function, n)
    found = calculus.clarke(program, [2.0] * n)
    assert vertices(found) == known(n)
    assert found.certified
    more = {(0.0,) * n} if name == "range" else set()
    for closure in BOTH:
        try:
            assert selection(program, [2.0] * n, closure, limit=200) == known(n) | more
        except ProgramError as error:
            assert closure == "full"
            assert "over the limit" in str(error)


@pytest.mark.parametrize("tied", [1, 2, 3, 4])
def test_max_pool_windows_tied_one_by_one(tied):
    """Two windows of four, the first with `tied` largest entries, the second with one."""
    program = trace(lambda x: np.sum(simsa.max_pool1d(x, 4, 4)), 8)
    x = [1.0] * tied + [0.0] * (4 - tied) + [0.0, 3.0, 0.0, 0.0]
    known = {(*row[:4], 0, 1, 0, 0) for row in np.eye(4)[:tied].tolist()}
    assert clarke(program, x) == selection(program, x) == known


def test_sort_at_a_tie_of_four_has_the_permutation_matrices():
    program = trace(lambda x: np.sort(x), 4)
    matrices = {tuple(np.eye(4)[list(order)].ravel()) for order in itertools.permutations(range(4))}
    for closure in BOTH:
        assert selection(program, [1.0] * 4, closure) == matrices
    found = calculus.clarke(program, [1.0] * 4)
    assert vertices(found) == matrices
    assert found.certified
    # conv of the permutation matrices: the doubly stochastic ones (Birkhoff 1946).
    flat = found.vertices.reshape(24, -1)
    assert calculus.min_norm_point(flat - np.full(16, 0.25)).norm < 1e-15
    some = calculus.selection_operator(program, [3.0, 1.0, 1.0, 2.0], "full").vertices
    assert len(some) == 2
    for matrix in some:
        assert (matrix @ [3.0, 1.0, 1.0, 2.0]).tolist() == [1, 1, 2, 3]


# Regions that first order does not decide.


def test_a_cusp_is_found_by_sampling():
    """max(0, x² − |y|) has the pieces x² ∓ y on a cusp at 0 only: Clarke's set has (0, ±1), yet f is differentiable."""
    program = trace(lambda x: np.maximum(0.0, x[0] ** 2 - abs(x[1])), 2)
    found = calculus.clarke(program, [0.0, 0.0])
    assert not found.certified
    assert vertices(found) == {(0, -1), (0, 0), (0, 1)}
    assert calculus.classify(program, [0.0, 0.0]).tie == "harmless"


def test_a_bent_cusp_between_two_parabolas():
    def function(x):
        inside = np.logical_and(x[1] >= x[0] ** 2, x[1] <= 2 * x[0] ** 2)
        below = x[1] < x[0] ** 2
        return simsa.piecewise([(inside, x[1] - x[0] ** 2), (below, 0.0)], x[0] ** 2)

    found = calculus.clarke(trace(function, 2), [0.0, 0.0])
    assert vertices(found) == {(0, 0), (0, 1)}
    assert not found.certified


def test_an_empty_cusp_is_not_found():
    program = trace(
        lambda x: simsa.piecewise([(np.logical_and(x[1] > x[0] ** 2, x[1] < -(x[0] ** 2)), 5 * x[1])], x[0]), 2
    )
    found = calculus.clarke(program, [0.0, 0.0])
    assert vertices(found) == {(1, 0)}
    assert not found.certified


def test_a_piece_on_a_line_is_not_essential():
    """The piece y of "0 if x ≠ 0" style functions: on the line x = y it agrees with x, and is executed there only."""
    program = trace(lambda x: simsa.piecewise([(x[0] == x[1], x[1])], x[0]), 2)
    assert program.gradient([1.0, 1.0]).tolist() == [0, 1]
    found = calculus.clarke(program, [1.0, 1.0])
    assert vertices(found) == {(1, 0)}
    assert found.certified
    assert calculus.classify(program, [1.0, 1.0]).tie == "C"


def test_dependent_guards_are_certified_when_affine():
    program = trace(lambda x: simsa.relu(x[0]) + simsa.relu(2 * x[0]) - simsa.relu(-x[0]), 1)
    found = calculus.clarke(program, [0.0])
    assert vertices(found) == {(1,), (3,)}
    assert found.certified


def test_three_lines_through_a_point():
    """relu(x) + relu(y) + relu(x + y): six cones, though eight assignments agree."""
    program = trace(lambda x: simsa.relu(x[0]) + simsa.relu(x[1]) + simsa.relu(x[0] + x[1]), 2)
    found = calculus.clarke(program, [0.0, 0.0])
    assert vertices(found) == {(0, 0), (2, 2), (1, 0), (0, 1), (2, 1), (1, 2)}
    assert found.certified
    assert len(calculus.selection_operator(program, [0.0, 0.0], "local")) == 7  # (1, 1) of the two empty cones too


def test_dead_units_are_certified_and_harmless():
    program = trace(lambda x: simsa.relu(simsa.relu(x[0] - 1.0)), 1)
    answer = calculus.classify(program, [0.0])
    assert (answer.kind, answer.tie, answer.certified) == ("clarke", "harmless", True)


def test_equal_operands_are_one():
    """max(x², x²), and max(x x, x²) of two registers: tied everywhere, and smooth."""
    for function in (lambda x: np.max(np.stack([x[0] ** 2] * 2)), lambda x: np.max(np.stack([x[0] * x[0], x[0] ** 2]))):
        answer = calculus.classify(trace(function), [-3.0])
        assert (answer.kind, answer.tie, answer.distance_clarke) == ("regular", "harmless", 6.0)


def test_where_masks_what_is_not_selected():
    program = trace(lambda x: np.where(x[0] > 0, np.log(x[0]), 0.0) + x[0])
    assert selection(program, [-1.0]) == {(1,)}
    assert clarke(program, [-1.0]) == {(1,)}


def test_an_infinite_slope_of_a_tied_piece_is_refused():
    program = trace(lambda x: np.where(x[0] > 0, np.sqrt(x[0]), 0.0))
    for ask in (calculus.clarke, calculus.selection_operator):
        with pytest.raises(ProgramError, match="no finite derivative"):
            ask(program, [0.0])


def test_pieces_that_meet_up_to_rounding_keep_the_ties_behind_them():
    """At 0.7 the piece 3 x − 2.1 is −4.4e-16 and meets 0 over the reals: |·| behind it is tied whichever is taken."""
    assert 3 * 0.7 - 2.1 == -4.440892098500626e-16
    program = trace(lambda x: abs(np.where(x[0] > 0.7, 3 * x[0] - 2.1, 0.0)))
    assert clarke(program, [0.7]) == {(0,), (3,)}
    assert calculus.lexicographic(program, [0.7]).tolist() == [3.0]
    assert calculus.lexicographic(program, [0.7], [[-1.0]]).tolist() == [0.0]


def test_gradients_that_differ_by_their_rounding_make_no_kink():
    program = trace(lambda x: np.where(x[0] > 0, 0.1 * x[0] + 0.2 * x[0], 0.3 * x[0]))
    assert len(calculus.clarke(program, [0.0])) == 2
    assert calculus.classify(program, [0.0]).tie == "harmless"


def halves(program):
    """The program with its numbers rounded to halves in [-4, 4], so that kinks are equal or apart."""
    nodes = [
        replace(node, immediates=tuple(round(2 * min(max(v, -4), 4)) / 2 if v == v else 0.0 for v in node.immediates))
        for node in program.nodes
    ]
    return replace(program, nodes=tuple(nodes))


# Piecewise affine programs: the gradients at random points nearby are all of Clarke's set, and decide it alone.

AFFINE = ("add", "sub", "neg", "sum", "relu", "abs", "maximum", "minimum", "max", "min", "sort", "leaky_relu", "hinge")


@given(st.data())
@settings(max_examples=60)
def test_piecewise_affine_programs_have_the_gradients_around_the_point(data):
    program = halves(data.draw(programs(max_nodes=7, names=AFFINE, outputs=1)))
    assume(program.p <= 2)
    x = data.draw(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=program.p, max_size=program.p))
    row = data.draw(st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=program.data, max_size=program.data)) or None
    assume(np.isfinite(program.value(x, row)))
    found = calculus.clarke(program, x, data=row)
    angles = 0.1 + 2 * np.pi * np.arange(60) / 60
    around = np.array(x) + 1e-4 * np.stack([np.cos(angles), np.sin(angles)], 1)[:, : program.p]
    gradients = program.gradient(around, row)
    structural = [any(found.tied) for found in program.branches(around, row)]
    assume(not any(structural))
    for gradient in gradients:
        assert in_hull(gradient, found, 1e-9), "a gradient nearby that Clarke's set lacks"
    for v in found.vertices:
        # Cones between lines of small slopes are wider than 6 degrees.
        assert np.abs(gradients - v).max(1).min() < 1e-9, "a vertex that no gradient nearby has"
    assert found.certified


# Thin cells, flat guards, and pieces that jump: known answers.

KNOWN = {
    # relu(u) - relu(-u) = u: no point beside 0 has u > 0 in the one and in the other not.
    "sin": (lambda x: simsa.relu(np.sin(x[0])) - simsa.relu(-np.sin(x[0])), 1, {(1,)}, "C"),
    "sin of a form": (lambda x: simsa.relu(np.sin(x[0] + 3 * x[1])) - simsa.relu(-np.sin(x[0] + 3 * x[1])), 2,
                      {(1, 3)}, "C"),
    # Unit normals of (1, 3) and (7, 21) are not opposite in float64; the forms are.
    "opposite": (lambda x: simsa.relu(x[0] + 3 * x[1]) - simsa.relu(-7 * x[0] - 21 * x[1]) / 7, 2, {(1, 3)}, "C"),
    "parabola": (lambda x: simsa.relu(x[1] - x[0] * x[0]) - simsa.relu(x[0] * x[0] - x[1]), 2, {(0, 1)}, "C"),
    # x³ > 0 is x > 0; x² > 0 is everywhere but at 0.
    "cube": (lambda x: np.where(x[0] ** 3 > 0, x[0], 0.0), 1, {(0,), (1,)}, "Sing"),
    "square": (lambda x: np.where(x[0] ** 2 > 0, x[0], 0.0), 1, {(1,)}, "C"),
    "sum of squares": (lambda x: np.where(x[0] ** 2 + x[1] ** 2 > 0, x[0], 0.0), 2, {(1, 0)}, "C"),
    "sine below its line": (lambda x: np.where(np.sin(x[0]) < x[0], x[0], 0.0), 1, {(0,), (1,)}, "Sing"),
    # Nodes that jump: relu, x, relu², and the median of x, -x, 2x, which is x.
    "x times step": (lambda x: x[0] * simsa.where(x[0] > 0, 1.0, 0.0), 1, {(0,), (1,)}, "Sing"),
    "sign times abs": (lambda x: simsa.where(x[0] > 0, 1.0, simsa.where(x[0] < 0, -1.0, 0.0)) * abs(x[0]), 1,
                       {(1,)}, "C"),
    "double where": (lambda x: simsa.where(x[0] > 0, simsa.where(x[0] > 0, x[0], 1.0) ** 2, 0.0), 1, {(0,)},
                     "harmless"),
    "median": (lambda x: simsa.median(np.stack([x[0], -x[0], 2 * x[0]])), 1, {(1,)}, "C"),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_thin_cells_flat_guards_and_jumping_pieces(name):
    function, p, known, tie = KNOWN[name]
    program = trace(function, p)
    found = calculus.clarke(program, [0.0] * p)
    assert vertices(found) == known
    assert found.certified, found.why
    answer = calculus.classify(program, [0.0] * p)
    assert answer.tie == tie
    if {(0,) * p} & known == set() and in_hull(np.zeros(p), calculus.selection_operator(program, [0.0] * p, "local")):
        assert answer.kind == "artificial"


# Programs that are continuous at 0, and jump at points as near to it as one likes: no Clarke subdifferential exists.

BESIDE = {
    # On the axes the guard is 0: 0 instead of x + y, which is not 0 there but at the point.
    "squares": (lambda x: simsa.where(x[0] ** 2 * x[1] ** 2 > 0, x[0] + x[1], 0.0), 2),
    "product": (lambda x: simsa.where(x[0] * x[1] > 0, x[0], 0.0), 2),  # y = 0, x > 0: 0, and x just above
    "product with a square": (lambda x: np.where(x[0] * x[1] ** 2 > 0, x[0], 0.0), 2),  # the same, and just below
    "parabola": (lambda x: simsa.where(x[0] > x[1] ** 2, x[0], 0.0), 2),  # x = y²: 0, and y² beside
    "squared parabola": (lambda x: simsa.where((x[0] - x[1] ** 2) ** 2 > 0, x[0], 0.0), 2),  # the same points
    "maximum": (lambda x: simsa.where(simsa.maximum(x[0], x[1]) > 0, x[1] - x[0], 0.0), 2),  # x = 0 > y: 0, y beside
    "half-plane": (lambda x: simsa.where(x[0] > 0, x[1], 0.0), 2),  # x = 0: 0, and y beside
    "line": (lambda x: simsa.where(x[0] == 0, 0.0, x[1]), 2),  # x = 0: 0, and y beside
    # x = y = 0: 0, and z beside, which is 0 at the point alone: a wall of two equations.
    "axis": (lambda x: simsa.where((x[0] == 0) & (x[1] == 0), 0.0, x[2] + x[0]), 3),
    "sum of squares": (lambda x: simsa.where(x[0] ** 2 + x[1] ** 2 > 0, x[0] + x[2], 0.0), 3),
    "sine": (lambda x: simsa.where(x[0] > x[1], np.sin(x[1]), 0.0), 2),  # x = y: 0, and sin(y) beside
    "between functions": (lambda x: simsa.where(np.exp(x[0]) - 1 > x[1], np.sin(x[1]), 0.0), 2),
    "fourth power": (lambda x: simsa.where(x[0] > 0, x[1] ** 4, 0.0), 2),
    "behind operations": (lambda x: 2 * simsa.where(x[0] > 0, x[1], 0.0) + x[2], 3),
    "behind a selection": (lambda x: simsa.relu(simsa.where(x[0] > 0, x[1], 0.0)), 2),
    "a step times what is not 0 there": (lambda x: simsa.where(x[0] > 0, 1.0, 0.0) * x[1], 2),
    "floor": (lambda x: x[0] * np.floor(x[1]), 2),  # y = 0: 0, and −x below
    # 2 relu(x) − x = |x|, so this is where(x > 0, y, 0); with relu(x) = x s, s near its value 0 at the point, −x > 0.
    "values that differ from those at the point": (
        lambda x: simsa.where((2 * x[0] * (x[0] > 0) - x[0] > 0) & (x[0] > 0), x[1], 0.0),
        2,
    ),
    # The step of y is 1 beside y = 0: where(x > 0, y, 0) for y > 0.
    "a guard that is no tie at the point": (lambda x: (x[0] > 0) * simsa.where(1.0 * (x[1] > 0) > 0.5, x[1], x[0]), 2),
    # The inner wall y = 0 is one for x > 0 alone, where it jumps from x to 0.
    "nested": (lambda x: simsa.where(x[0] > 0, simsa.where(x[1] > 0, x[0], 0.0), 0.0), 2),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_program_that_jumps_beside_the_point_has_no_clarke_set(name):
    function, p = BESIDE[name]
    program = trace(function, p)
    zero = [0.0] * p
    for ask in (calculus.clarke, calculus.classify, lambda P, x: calculus.is_clarke(P, x, zero)):
        with pytest.raises(ProgramError, match=r"the program jumps beside \[0.0.*no selection function"):
            ask(program, zero)
    found = calculus.check_gradient(program, zero)
    assert set(found.verdicts) == {"undecided"}
    assert "jumps beside" in found.why


def test_the_point_named_is_one_where_the_program_jumps():
    """where(x > 0, y, 0) at (0, y) is 0, and y just beside."""
    with pytest.raises(ProgramError, match="jumps beside") as caught:
        calculus.clarke(trace(BESIDE["half-plane"][0], 2), [0.0, 0.0])
    x, y = map(float, re.search(r"as at \[(.*?), (.*?)\]", str(caught.value)).groups())
    assert x == 0 < abs(y) < 1 / 64
    assert f"from [0.0] to [{y}]" in str(caught.value)


def test_one_term_of_a_mean_that_jumps_beside_the_point_is_named():
    """where(x > 0, s y, 0) is 0 for s = 0; the jumps of s = 1 and s = −1 cancel, but the terms are no selections."""
    program = simsa.trace(lambda x, s: simsa.where(x[0] > 0, s[0] * x[1], 0.0), 2, 1)
    assert calculus.clarke(calculus.objective(program, [[0.0], [0.0]]), [0.0, 0.0]).certified
    for rows in ([[0.0], [1.0]], [[0.0], [1.0], [-1.0]]):
        with pytest.raises(ProgramError, match="term 1 of the sum jumps beside"):
            calculus.clarke(calculus.objective(program, rows), [0.0, 0.0])


def test_what_is_not_proved_on_a_wall_is_not_certified():
    """The cone x y = z² has no gradient at 0, so no curve on it is found; where(x y > z², z, 0) jumps on it."""
    found = calculus.clarke(trace(lambda x: simsa.where(x[0] * x[1] > x[2] ** 2, x[2], 0.0), 3), [0.0] * 3)
    assert not found.certified
    assert "on a wall beside the point" in found.why


CONTINUOUS = {
    "relu": (lambda x: simsa.where(x[0] > 0, x[0], 0.0) + x[1], 2, {(0, 1), (1, 1)}),
    "cube": (lambda x: simsa.where(x[0] ** 3 > 0, x[0], 0.0), 2, {(0, 0), (1, 0)}),
    "sign times abs": (lambda x: simsa.where(x[0] > 0, 1.0, simsa.where(x[0] < 0, -1.0, 0.0)) * abs(x[0]) + x[1], 2,
                       {(1, 1)}),
    "double where": (lambda x: simsa.where(x[0] > 0, simsa.where(x[0] > 0, x[0], 1.0) ** 2, 0.0) + x[1], 2, {(0, 1)}),
    "parabola": (lambda x: simsa.where(x[0] > x[1] ** 2, x[0] - x[1] ** 2, 0.0), 2, {(0, 0), (1, 0)}),
    # x² + y² − x is 0 on a circle through 0, and so is what is selected there: y times it, or 0.
    "circle": (lambda x: simsa.where(x[0] ** 2 + x[1] ** 2 > x[0], (x[0] ** 2 + x[1] ** 2 - x[0]) * x[1], 0.0), 2,
               {(0, 0)}),
    # (x + y)(x − y), in a sum that is no product: a multiple of the guard by division.
    "factor": (lambda x: simsa.where(x[0] + x[1] > 0, x[0] ** 2 - x[1] ** 2, 0.0), 2, {(0, 0)}),
    "sines": (lambda x: simsa.where(np.sin(x[0]) > 0, np.sin(2 * x[0]), 0.0) + x[1], 2, {(0, 1), (2, 1)}),
    "sine of one": (lambda x: simsa.where(np.sin(x[0]) > 0, np.sin(2 * x[0]), 0.0), 1, {(0,), (2,)}),
    "x times step": (lambda x: x[0] * (x[0] > 0) + x[1], 2, {(0, 1), (1, 1)}),
    "two steps": (lambda x: (x[0] > 0) * (x[1] > 0) * x[0] * x[1], 2, {(0, 0)}),
    "jumps that cancel": (lambda x: simsa.where(x[0] > 0, x[1], 0.0) + simsa.where(x[0] > 0, 0.0, x[1]), 2, {(0, 1)}),
    "product": (lambda x: simsa.where(x[0] * x[1] > 0, x[0] * x[1], 0.0) + x[0], 2, {(1, 0)}),
    # relu(relu(x) + y): x + y and y where they are positive, else 0.
    "behind another": (lambda x: simsa.where(simsa.where(x[0] > 0, x[0], 0.0) + x[1] > 0,
                                             simsa.where(x[0] > 0, x[0], 0.0) + x[1], 0.0), 2,
                       {(0, 0), (0, 1), (1, 1)}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_selection_that_is_continuous_on_its_walls_has_a_certified_set(name):
    function, p, known = CONTINUOUS[name]
    found = calculus.clarke(trace(function, p), [0.0] * p)
    assert vertices(found) == known
    assert found.certified, found.why


def test_walls_of_many_selections_are_examined_one_by_one():
    """Eight relus, and eight x (x > 0): 3⁸ faces meet, of which none need be looked at."""
    for function in (
        lambda x: sum(simsa.where(x[i] > 0, x[i], 0.0) for i in range(8)),
        lambda x: sum(x[i] * (x[i] > 0) for i in range(8)),
    ):
        assert calculus.clarke(trace(function, 8), [0.0] * 8).certified


def test_no_entry_blinds_another():
    """1000|y| + x − zero(x): Clarke's set is {1} × [−1000, 1000], at distance 1 from 0, and AD's entry for x is 0."""
    program = trace(lambda x: 1000 * abs(x[1]) + x[0] - simsa.zero(x[0]), 2)
    answer = calculus.classify(program, [0.0, 0.0])
    assert (answer.kind, answer.distance_clarke) == ("artificial", 1.0)
    assert calculus.classify(trace(lambda x: abs(x[0]) + 1e14 * x[1], 2), [0.0, 0.0]).tie == "Sing"
    assert calculus.classify(trace(lambda x: abs(x[0]) + 1e14 * x[0]), [0.0]).tie == "Sing", "exact numbers"


def test_the_local_set_away_from_ties_is_the_gradient():
    """Relu as pieces 0, x and an unused x², at 1 where they meet: no guard is tied (Definition 5 says {1, 2})."""
    program = trace(lambda x: simsa.piecewise([(x[0] <= 0, 0.0), (x[0] > 0, x[0])], x[0] ** 2))
    assert selection(program, [1.0], "local") == {(1,)}


def test_a_trap_of_sines_is_artificial():
    """Theorem 7's scenario with zero(sin(x)) for zero(x): the same function, and the same tie."""
    formula = "where(x >= 1, l * x**2 / 2, l * (x - 0.5)) - l * zero(sin(x))"
    total = calculus.objective(simsa.expression(formula, ["x"], ["l"]), [[1.0], [2.0], [4.0]])
    answer = calculus.classify(total, [0.0])
    assert (answer.kind, answer.tie, answer.certified) == ("artificial", "C", True)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: simsa.where(x[0] > 0, 1.0, 0.0) + x[0],
        lambda x: simsa.where(x[0] == 0, 1.0, 0.0) + x[0],
        lambda x: simsa.where(x[0] ** 3 > 0, 1.0, 0.0),
    ],
)
def test_a_program_that_jumps_where_it_stands_has_no_set(function):
    program = trace(function)
    for ask in (calculus.clarke, calculus.classify, calculus.selection_operator,
                lambda P, x: calculus.selection_operator(P, x, "local")):  # fmt: skip
        with pytest.raises(ProgramError, match=r"jumps at \[0.0\].*no selection function"):
            ask(program, [0.0])


def test_many_cells_are_refused_at_once_and_membership_is_decided_without_them():
    """The set of Σ relu(x_i) at 0 is the cube [0, 1]^n."""
    for n in (20, 300):
        program = trace(lambda x: np.sum(simsa.relu(x)), n)
        started = time.process_time()
        with pytest.raises(ProgramError, match="regions meet at this point, over the limit of 65536"):
            calculus.clarke(program, np.zeros(n))
        answers = [calculus.is_clarke(program, np.zeros(n), np.full(n, v)) for v in (0.5, 1.0, 1.5)]
        assert [(answer.member, answer.proof) for answer in answers] == [(True, "in"), (True, "in"), (False, "out")]
        direction = answers[2].direction
        assert direction @ np.full(n, 1.5) < np.minimum(direction, 0).sum(), "it separates"
        assert time.process_time() - started < 10.0, "1 s where it was measured"


def test_what_rounding_decides_is_not_certified():
    """3 · 0.7 − 2.1 is 0 over the real numbers, and neither in float64 nor in the rational numbers that it has."""
    found = calculus.clarke(trace(lambda x: abs(np.where(x[0] > 0.7, 3 * x[0] - 2.1, 0.0))), [0.7])
    assert not found.certified
    assert "rounding" in found.why


# Sums.


def test_kinks_of_two_terms_may_cancel_in_the_sum():
    program = trace(lambda x, s: s[0] * abs(x[0]), 1, data=1)
    total = calculus.objective(program, [[1.0], [-1.0]])
    assert clarke(total, [0.0]) == {(0,)}
    assert selection(total, [0.0]) == {(-1,), (0,), (1,)}
    terms = calculus.minkowski_sum(total, [0.0], of=calculus.clarke)
    assert vertices(terms) == {(-1,), (0,), (1,)}
    assert vertices(calculus.minkowski_sum(program, [0.0], data=[[1.0], [-1.0]])) == vertices(terms)
    assert clarke(total.minibatch([1]), [0.0]) == {(-1,), (1,)}


def test_the_local_set_of_a_sum_is_the_sum_of_the_local_sets():
    program = trace(lambda x, s: simsa.relu(s[0] * x[0] + s[1] * x[1]), 2, data=2)
    total = calculus.objective(program, [[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    mean = calculus.minkowski_sum(total, [0.0, 0.0], closure="local")
    np.testing.assert_array_equal(mean.vertices, calculus.selection_operator(total, [0.0, 0.0], "local").vertices)


def test_the_full_set_of_a_sum_may_be_larger():
    """f_1 = relu with the unused piece 1, f_2 the same with −1: at 0 the values 1 and −1 cancel in the sum."""
    program = trace(
        lambda x, s: simsa.piecewise(
            [(x[0] <= 0, 0.0), (x[0] > 0, x[0])], s[0] + 5.0 * s[0] * x[0] * x[0] + s[0] * x[0]
        ),
        1,
        data=1,
    )
    total = calculus.objective(program, [[1.0], [-1.0]])
    full, mean = calculus.selection_operator(total, [0.0]), calculus.minkowski_sum(total, [0.0], closure="full")
    assert vertices(mean) <= vertices(full)


def test_an_objective_is_the_mean_that_the_recursion_takes():
    program = trace(lambda x, s: (x[0] - s[0]) ** 2 + abs(x[1] * s[0]), 2, data=1)
    rows = [[1.0], [2.0], [4.0]]
    total = calculus.objective(program, rows)
    gradients = [program.gradient([1.0, 2.0], row) for row in rows]
    np.testing.assert_array_equal(total.gradient([1.0, 2.0]), sum(gradients[1:], gradients[0]) / 3)
    assert total.value([1.0, 2.0]) == sum(program.value([1.0, 2.0], row) for row in rows) / 3


def test_the_trap_of_the_bad_step_is_artificial():
    """Theorem 7's scenario: at 0 every f_i has the AD derivative 0, while J'(0) > 0 (scenarios/bad_step.toml)."""
    total = bad_step()
    assert total.gradient([0.0]).tolist() == [0.0]
    answer = calculus.classify(total, [0.0])
    assert (answer.kind, answer.tie) == ("artificial", "C")
    assert answer.distance_clarke == pytest.approx(7 / 3)
    for batch in ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]):
        assert calculus.classify(total.minibatch(batch), [0.0]).kind == "artificial"


def bad_step():
    formula = "where(x >= 1, l * x**2 / 2, l * (x - 0.5)) - l * zero(x)"
    return calculus.objective(simsa.expression(formula, ["x"], ["l"]), [[1.0], [2.0], [4.0]])


# Membership and lexicographic derivatives.


def test_membership_comes_with_a_certificate():
    program = trace(lambda x: np.max(np.stack([x[0], -x[0], x[1]])), 2)
    inside = calculus.is_clarke(program, [0.0, 0.0], [0.25, 0.25])
    assert inside
    found = calculus.clarke(program, [0.0, 0.0])
    np.testing.assert_allclose(inside.weights @ found.vertices, [0.25, 0.25], atol=1e-15)
    outside = calculus.is_clarke(program, [0.0, 0.0], [0.0, -1.0])
    assert not outside
    assert ((found.vertices - [0.0, -1.0]) @ outside.direction > 0).all()
    assert outside.proof == "out"
    assert calculus.is_clarke(trace(lambda x: x[0] - simsa.zero(x[0])), [0.0], [0.0]).member is False


def test_lexicographic_follows_the_directions():
    program = trace(lambda x: np.max(x) - np.abs(x[0] - x[1]), 2)
    assert calculus.lexicographic(program, [0.0, 0.0]).tolist() == [0, 1]
    assert calculus.lexicographic(program, [0.0, 0.0], [[0.0, 1.0], [1.0, 0.0]]).tolist() == [1, 0]
    with pytest.raises(ProgramError, match="nonsingular"):
        calculus.lexicographic(program, [0.0, 0.0], np.ones((2, 2)))


def test_lexicographic_says_where_first_order_does_not_decide():
    """x³ > 0 is tied at 0 and has no slope, so no direction tells 2x from x."""
    program = trace(lambda x: np.where(x[0] ** 3 > 0, 2 * x[0], x[0]))
    with pytest.raises(ProgramError, match="to first order"):
        calculus.lexicographic(program, [0.0])
    assert calculus.lexicographic(trace(lambda x: np.where(x[0] ** 3 > 0, x[0] + x[0], 2 * x[0])), [0.0]) == [2.0]


# What must hold for any program. Smooth rows keep their domain; kinks meet at small integers.

NAMES = (
    *("add", "sub", "mul", "neg", "square", "sin", "tanh", "sum", "relu", "abs", "maximum", "minimum", "leaky_relu"),
    *("clip", "huber", "hardtanh", "max", "min"),
)
POINTS = st.sampled_from([v for v in TIES if v != 6.0])


@st.composite
def situations(draw, most=8):
    program = halves(draw(programs(max_nodes=most, names=NAMES, outputs=1)))
    assume(all(min(node.immediates, default=0) > 0 for node in program.nodes if node.primitive == "huber"))
    x = draw(st.lists(POINTS, min_size=program.p, max_size=program.p))
    data = draw(st.lists(POINTS, min_size=program.data, max_size=program.data))
    row = data if program.data else None
    assume(np.isfinite(program.value(x, row)) and np.abs(program.gradient(x, row)).max() < 1e6)
    return program, x, row


@given(situations())
@settings(max_examples=80)
def test_what_automatic_differentiation_returns_is_in_both_sets(situation):
    program, x, row = situation
    gradient = program.gradient(x, row)
    local = calculus.selection_operator(program, x, "local", data=row)
    assert in_hull(gradient, local)
    try:
        full = calculus.selection_operator(program, x, "full", data=row, limit=500)
    except ProgramError as error:
        assert "over the limit" in str(error) or "no finite derivative" in str(error)
        return
    assert vertices(local) <= vertices(full)
    assert in_hull(gradient, full)


@given(situations(most=6))
@settings(max_examples=60)
def test_clarke_is_a_subset_and_holds_lexicographic_derivatives(situation):
    program, x, row = situation
    found = calculus.clarke(program, x, data=row)
    local = calculus.selection_operator(program, x, "local", data=row)
    for v in found.vertices:
        assert in_hull(v, local)
    try:
        derivative = calculus.lexicographic(program, x, data=row)
    except ProgramError as error:
        assert "to first order" in str(error)
    else:
        if found.certified and "clip" not in {node.primitive for node in program.nodes}:  # clip(x, 1, -1) may jump
            assert in_hull(derivative, found, 1e-9)


@given(situations(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_the_graph_is_closed_along_sequences(situation, seed):
    """Closed graph (Prop. 6): v_k ∈ D(x_k), x_k → x, v_k → v give v ∈ D(x). So the distance of v_k from D(x) falls with
    |x_k − x|: the pieces' gradients are Lipschitz near x. Along a line, and with the whole of D(x_k), not AD's part.
    """
    program, x, row = situation
    assume(all(node.primitive != "clip" for node in program.nodes))
    direction = np.random.default_rng(seed).integers(-1, 2, size=program.p)  # along ties of D too
    limit = calculus.selection_operator(program, x, "local", data=row).vertices
    scale = max(1.0, np.abs(limit).max())
    distances = []
    for k in (10, 20, 30):
        near = calculus.selection_operator(program, np.array(x) + direction * 2.0**-k, "local", data=row).vertices
        distances.append(max(calculus.min_norm_point(limit - v).norm for v in near) / scale)
    assert distances[2] <= max(1e-6, distances[0] * 2.0**-15)


def test_the_graph_is_closed_where_the_gradient_turns():
    """y² |x| has the gradients (±y², 0) where x = 0, which meet as y → 0."""
    program = trace(lambda x: x[1] ** 2 * abs(x[0]), 2)
    for k in range(1, 30):
        assert selection(program, [0.0, 2.0**-k]) == {(4.0**-k, 0.0), (-(4.0**-k), 0.0)}
    assert selection(program, [0.0, 0.0]) == {(0.0, 0.0)}


MP = Arithmetic(
    mpmath.mpf,
    {
        **{name: getattr(mpmath, name) for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "erf", "expm1")},
        "log1p": mpmath.log1p,
        "pow": mpmath.power,
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
        "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    },
)
"""The same program at 60 digits."""


@given(situations(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_the_gradient_is_right_almost_everywhere(situation, seed):
    """Prop. 3, at random points, against differences of the program in 60 digits, which no rounding disturbs."""
    program, x, row = situation
    y = np.array(x) + np.random.default_rng(seed).normal(size=program.p)
    gradient = program.gradient(y, row)
    assume(np.abs(gradient).max() < 1e6)
    interpreter = Interpreter(tape_of(program), MP)
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -20
        for i in range(program.p):
            ends = []
            for side in (1, -1):
                z = [mpmath.mpf(v) for v in y.tolist()]
                z[i] += side * h
                run = interpreter.run(z, row or ())
                ends.append(run.values[interpreter.tape.outputs[0]])
            assert math.isclose((ends[0] - ends[1]) / (2 * h), gradient[i], rel_tol=1e-9, abs_tol=1e-9)
    # Equal operands of max split 1 into thirds that do not sum to it.
    found = calculus.clarke(program, y, data=row).vertices
    np.testing.assert_allclose(found, [gradient], rtol=1e-12, atol=1e-12)


# Size, and bad input.


def test_enumeration_refuses_with_the_count():
    program = trace(lambda x: np.sum(simsa.relu(x)), 40)
    with pytest.raises(ProgramError, match=r"2\^40 = 1099511627776 branch assignments, over the limit"):
        calculus.selection_operator(program, np.ones(40))
    with pytest.raises(ProgramError, match=r"2\^40"):
        calculus.selection_operator(program, np.zeros(40), "local")
    assert len(calculus.selection_operator(program, np.r_[0.0, 0.0, np.ones(38)], "local")) == 4


@pytest.mark.parametrize("closure", BOTH)
def test_a_sort_of_many_equal_numbers_refuses_with_the_count(closure):
    program = trace(lambda x: np.sort(x)[0], 40)
    for ask in (lambda: calculus.selection_operator(program, [1.0] * 40, closure), lambda: clarke(program, [1.0] * 40)):
        with pytest.raises(ProgramError, match=str(math.factorial(40))):
            ask()


def test_local_scales_to_thousands_of_selections(monkeypatch):
    """The work is a few walks over the tape, and not one for each selection."""
    program = simsa.network([2, 1500, 1], loss="squared")
    x = np.random.default_rng(0).normal(size=program.p)
    x[:4], biases = 0.0, slice(3000, 4500)
    x[biases][:2] = 0.0
    evaluate, evaluated = Interpreter._evaluate, []
    monkeypatch.setattr(
        Interpreter, "_evaluate", lambda self, k, *rest: evaluated.append(k) or evaluate(self, k, *rest)
    )
    found = calculus.selection_operator(program, x, "local", data=[1.0, 2.0, 0.5])
    assert 0 < len(evaluated) <= 4 * len(tape_of(program).code)
    assert len(found) == 4
    gradient = calculus.objective(program, [[1.0, 2.0, 0.5]]).gradient(x)
    assert any(np.array_equal(v, gradient) for v in found.vertices), "the bits of backward mode"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda P, Q: calculus.clarke(P, [0.0, 0.0]), "point of length 1"),
        (lambda P, Q: calculus.clarke(P, [math.nan]), "finite numbers"),
        (lambda P, Q: calculus.clarke(P, 0.0), "point of length 1"),
        (lambda P, Q: calculus.clarke(P, ["a"]), "a point of numbers"),
        (lambda P, Q: calculus.clarke(abs, [0.0]), "a program or an objective, got builtin_function"),
        (lambda P, Q: calculus.objective(P, [[0.0], [1.0, 2.0]]), "rows of numbers"),
        *(
            (lambda P, Q, ask=ask: ask(trace(lambda x: np.log(x[0])), [-1.0]), r"value is \[nan\] at \[-1.0\]")
            for ask in (
                calculus.clarke,
                calculus.classify,
                calculus.selection_operator,
                calculus.lexicographic,
                calculus.check_gradient,
                lambda program, x: calculus.goldstein(program, x, radius=1.0),
            )
        ),
        (lambda P, Q: calculus.classify(Q, [0.0, 0.0]), "one output, got 2"),
        (lambda P, Q: calculus.classify(P, [math.inf]), "finite numbers"),
        (lambda P, Q: calculus.selection_operator(P, [0.0], "half"), "closure must be"),
        (lambda P, Q: calculus.selection_operator(P, [0.0], tol=-1.0), "tol must be"),
        (lambda P, Q: calculus.selection_operator(P, [0.0], tol=math.nan), "tol must be"),
        (lambda P, Q: calculus.selection_operator(P, [0.0], data=[1.0]), "expected data"),
        (lambda P, Q: calculus.objective(P, [[1.0]]), "rows of shape"),
        (lambda P, Q: calculus.objective(P, np.zeros((0, 0))), "rows of shape"),
        (
            lambda P, Q: calculus.objective(trace(lambda x, s: s[0] * x[0], data=1), [[1.0], [math.nan]]),
            "got \\[nan\\]",
        ),
        (lambda P, Q: calculus.clarke(trace(lambda x, s: s[0] * x[0], data=1), [0.0]), "pass data="),
        (lambda P, Q: calculus.clarke(calculus.objective(P, [[]]), [0.0], data=[]), "has its data already"),
        (lambda P, Q: calculus.minkowski_sum(calculus.objective(P, [[]]), [0.0, 1.0]), "point of length 1"),
        (lambda P, Q: calculus.goldstein(P, [0.0], radius=-1.0), "radius above 0"),
        (lambda P, Q: calculus.goldstein(P, [0.0], radius=1.0, samples=0), "at least one sample"),
        (lambda P, Q: calculus.goldstein(Q, [0.0, 0.0], radius=1.0), "one output, got 2"),
        (lambda P, Q: calculus.is_clarke(P, [0.0], [0.0, 1.0]), "point of length 1"),
        (lambda P, Q: calculus.is_clarke(P, [0.0], [math.nan]), "finite numbers"),
        (lambda P, Q: calculus.lexicographic(P, [0.0], [[math.nan]]), "nonsingular"),
        (lambda P, Q: calculus.lexicographic(P, [0.0], [1.0, 2.0]), "nonsingular"),
        (lambda P, Q: calculus.hessian(Q, [0.0, 0.0]), "one output, got 2"),
        (lambda P, Q: calculus.hessian_vector(P, [0.0], [1.0, 1.0]), "point of length 1"),
        (lambda P, Q: calculus.check_conservative(Q, [[0.0, 0.0], [1.0, 1.0]]), "one output, got 2"),
        (lambda P, Q: calculus.check_continuity(P, (1.0, 0.0)), "box"),
        (lambda P, Q: calculus.check_continuity(P, (0.0, 1.0), samples=0), "at least one sample"),
        (lambda P, Q: calculus.check_gradient(Q, [0.0, 0.0]), "one output, got 2"),
        (lambda P, Q: calculus.compare(P, Q, (0.0, 1.0)), "one output, got 2"),
        (lambda P, Q: calculus.compare(P, P, (0.0, 1.0), samples=0), "at least one sample"),
        (lambda P, Q: calculus.bad_steps(Q, None, (0.0, 1.0)), "one output, got 2"),
        (lambda P, Q: calculus.bad_steps(P, [[1.0]], (0.0, 1.0)), "rows of shape"),
        (lambda P, Q: calculus.forward_backward_gap(P, [0.0, 1.0]), "point of length 1"),
        (lambda P, Q: calculus.objective(P, [[]]).minibatch([3]), "a minibatch names"),
    ],
)
def test_bad_input_gives_one_clear_line(ask, message):
    one, two = trace(lambda x: abs(x[0])), trace(lambda x: np.sort(x), 2)
    with pytest.raises(ProgramError, match=message) as caught:
        ask(one, two)
    assert "\n" not in str(caught.value)


KINKS = {"relu6": (0.0, 6.0), "hardtanh": (-1.0, 1.0), "hinge": (1.0,), "huber": (-1.0, 1.0), "elu": (0.0,)}
CHOICES = [(row.name, rule) for row in ROW.values() if row.selection for rule in row.ties]
NUMBERS = [(name, slope) for name in ("relu", "abs", "maximum", "hinge") for slope in (0.5, -1.0, 2.0, 0.3)]


@pytest.mark.parametrize(("name", "choice"), CHOICES + NUMBERS)
def test_what_each_convention_returns_at_its_kink_is_in_both_sets(name, choice):
    """Every spelling of every framework, and numbers, those beyond the slopes of the sides too: relu'(0) = 2."""
    row = ROW[name]
    count, sort = row.arity or 3, name == "sort"
    builder = simsa.Builder(count, 0, simsa.Convention("pytorch", {name: choice}))
    first = builder.apply(name, range(count), [1.0] * len(row.immediates), count if sort else 1)
    program = builder.finish([first + sort])
    for kink in KINKS.get(name, (1.0,) if name == "clip" else (0.0,)):
        x = [kink] * count
        assert any(program.branches(x).tied)
        for closure in BOTH:
            assert in_hull(program.gradient(x), calculus.selection_operator(program, x, closure))


def test_every_selection_of_the_table_has_a_set_at_its_kink():
    for row in ROW.values():
        if row.jumps:
            with pytest.raises(ProgramError, match="the program jumps at"):
                clarke(trace(lambda v, row=row: simsa.apply(row.name, v[0]), 1), [0.5 * (row.name == "rint")])
        elif row.selection and row.arity == 1:
            for x in KINKS.get(row.name, (0.0,)):
                program = trace(lambda v, row=row: simsa.apply(row.name, v[0], **dict.fromkeys(row.immediates, 1.0)))
                sides = {float(program.gradient([x + e])[0]) for e in (-1e-12, 1e-12)}
                found = sorted(v[0] for v in clarke(program, [x]))
                np.testing.assert_allclose(found, sorted(sides)[: len(found)], atol=1e-11)


@pytest.mark.parametrize("name", ["max", "min"])
def test_of_several_equal_operands_each_leads_in_one_cell(name):
    """The set of the largest of n at n equal entries has n gradients, whatever the orders of the others are."""
    program = trace(lambda x: getattr(np, name)(x), 12)
    assert sorted(map(tuple, clarke(program, [0.0] * 12))) == sorted(map(tuple, np.eye(12)))


@pytest.mark.parametrize(
    ("several", "two"),
    [
        ("max(exp(x) - 1, x)", "maximum(exp(x) - 1, x)"),
        ("max(x**2 - y**3, 0)", "maximum(x**2 - y**3, 0)"),
        ("min(y**2, x**2 * y)", "minimum(y**2, x**2 * y)"),
        ("sort(sin(x), y)[0]", "minimum(sin(x), y)"),
        ("median(sin(x), y, -1)", "maximum(minimum(sin(x), y), -1)"),
        ("max(x, y, x + y)", "maximum(maximum(x, y), x + y)"),
    ],
)
def test_both_spellings_have_the_same_set(several, two):
    one, other = (clarke(simsa.expression(text, ["x", "y"]), [0.0, 0.0]) for text in (several, two))
    assert sorted(map(tuple, one)) == sorted(map(tuple, other))


def test_too_many_equal_operands_are_refused_at_once():
    program = trace(lambda x: np.max(x), 200)
    with pytest.raises(ProgramError, match="200 operands of max are equal here, over the limit of 64"):
        calculus.is_clarke(program, np.zeros(200), np.full(200, 1 / 200))
