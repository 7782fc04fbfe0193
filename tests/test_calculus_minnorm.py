"""The min-norm point: against other solvers, at every scale, and with its certificate."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simsa.calculus import min_norm_point
from simsa.errors import ProgramError


def certified(g, found, tol=1e-12):
    """Check the certificate itself: weights of a convex combination, and a hyperplane that supports it."""
    g = np.asarray(g, float)
    scale = np.abs(g).max() or 1.0
    assert (found.weights >= 0).all()
    assert found.weights.sum() == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(found.weights @ (g / scale), found.point / scale, atol=1e-14)
    v, h = found.point / scale, g / scale
    assert (h @ v).min() >= v @ v - tol * (h**2).sum(1).max()
    assert found.gap <= tol


CASES = {
    "one": ([[3.0, 4.0]], [3.0, 4.0]),
    "segment": ([[1.0, 1.0], [1.0, -1.0]], [1.0, 0.0]),
    "inside": ([[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]], [0.0, 0.0]),
    "on a face": ([[1.0, 0.0], [-1.0, 0.0], [0.0, 5.0]], [0.0, 0.0]),
    "duplicates": ([[2.0, 1.0]] * 5 + [[2.0, -1.0]] * 3, [2.0, 0.0]),
    "collinear": ([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], [1.0, 1.0]),
    "zero": ([[0.0, 0.0], [1.0, 1.0]], [0.0, 0.0]),
    "all zero": ([[0.0], [0.0]], [0.0]),
    "vertex nearest": ([[1.0, 1.0], [5.0, 2.0], [2.0, 7.0]], [1.0, 1.0]),
}


@pytest.mark.parametrize("scale", [1.0, 1e150, 1e-150, 3e300, 1e-300])
@pytest.mark.parametrize("name", CASES)
def test_known_answers_at_every_scale(name, scale):
    g, point = (np.array(side) * scale for side in CASES[name])
    found = min_norm_point(g)
    certified(g, found)
    np.testing.assert_allclose(found.point / scale, point / scale, rtol=0, atol=1e-12)
    assert found.norm / scale == pytest.approx(np.linalg.norm(point / scale), abs=1e-12)


def test_scales_that_differ_within_one_set():
    found = min_norm_point([[1e150], [1e-150]])
    assert found.point.tolist() == [1e-150]
    found = min_norm_point([[1e12, 1.0], [-1e12, 1.0]])
    np.testing.assert_allclose(found.point, [0.0, 1.0], atol=1e-12)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_agrees_with_a_solver_of_quadratic_programs(p, r, seed):
    """SLSQP knows nothing of hulls. It stops at 1e-8, so the comparison is of norms; the certificate is exact."""
    g = np.random.default_rng(seed).integers(-4, 5, size=(r, p)).astype(float)
    found = min_norm_point(g)
    certified(g, found)
    other = minimize(
        lambda w: float(((w @ g) ** 2).sum()),
        np.full(r, 1 / r),
        jac=lambda w: 2 * g @ (w @ g),
        bounds=[(0, 1)] * r,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    assert found.norm**2 <= other.fun + 1e-9


def test_a_thousand_vertices():
    rng = np.random.default_rng(1)
    for shift in (0.0, 3.0):
        g = rng.normal(size=(1000, 8)) + shift
        certified(g, min_norm_point(g))


@given(st.integers(1, 3), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=100)
def test_rational_answers_are_proofs(p, r, seed):
    """For 0 in the hull of small integers there is a combination in rationals; for 0 outside, a hyperplane."""
    g = np.random.default_rng(seed).integers(-2, 3, size=(r, p)).astype(float)
    found = min_norm_point(g, exact=True)
    assert found.contains in ("in", "out")
    assert (found.norm == 0.0) == (found.contains == "in")
    if found.contains == "out":
        v = [Fraction(a) for a in found.point.tolist()]
        assert all(sum(a * Fraction(b) for a, b in zip(v, row, strict=True)) > 0 for row in g.tolist())


def test_undecided_is_said():
    """0.1 + 0.2 - 0.3 is no zero in float64, so the hull is a segment that misses 0, by rounding alone."""
    found = min_norm_point([[0.1 + 0.2 - 0.3, 1.0], [0.0, -1.0]], exact=True)
    assert found.norm < 1e-16
    assert found.contains in ("out", "undecided")


@pytest.mark.parametrize("bad", [[], [1.0, 2.0], [[np.nan]], [[np.inf]], np.empty((0, 2)), np.empty((2, 0))])
def test_bad_input_is_refused(bad):
    with pytest.raises(ProgramError, match="finite vertices"):
        min_norm_point(bad)
