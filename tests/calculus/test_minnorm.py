"""The min-norm point: against other solvers, at every scale, and with its certificate."""

import itertools
from fractions import Fraction

import mpmath
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


def nearest(g):
    """The min-norm point in 60 digits: of all faces, the nearest point of the affine hull, where it is in the face.

    Exponential, and knows nothing of least squares.
    """
    best = None
    for size in range(1, min(len(g), g.shape[1] + 1) + 1):
        for face in itertools.combinations(g.tolist(), size):
            face = mpmath.matrix(face)
            # <g_i − g_0, Σ λ_j g_j> = 0 for all i, and Σλ = 1.
            system = mpmath.ones(size, size)
            if size > 1:
                system[1:, :] = (face[1:, :] - mpmath.ones(size - 1, 1) * face[0, :]) * face.T
            if abs(mpmath.det(system)) < mpmath.mpf(10) ** -40:
                continue
            weights = mpmath.lu_solve(system, mpmath.matrix([1] + [0] * (size - 1)))
            if min(weights) >= -(mpmath.mpf(10) ** -40):
                v = weights.T * face
                best = v if best is None or mpmath.norm(v) < mpmath.norm(best) else best
    return [float(entry) for entry in best]


@given(st.integers(1, 3), st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 1e150, 1e-150]))
@settings(max_examples=40)
def test_agrees_with_all_faces_in_sixty_digits(p, r, seed, scale):
    """Small integers: degenerate, duplicated, collinear more often than not."""
    g = np.random.default_rng(seed).integers(-3, 4, size=(r, p)).astype(float)
    found = min_norm_point(g * scale)
    certified(g * scale, found)
    with mpmath.workdps(60):
        known = nearest(g)
    np.testing.assert_allclose(found.point / scale, known, rtol=0, atol=1e-12)


def test_a_thousand_vertices():
    rng = np.random.default_rng(1)
    for shift in (0.0, 3.0):
        g = rng.normal(size=(1000, 8)) + shift
        certified(g, min_norm_point(g))


@pytest.mark.parametrize("scale", [1.0, 1e150, 1e-150])
def test_a_thousand_vertices_with_a_known_answer(scale):
    """v is the mean of vertices in the hyperplane <v, g> = |v|², the others are beyond it: so v is nearest to 0."""
    rng = np.random.default_rng(2)
    v = np.array([1.0, -2.0, 0.5, 3.0])
    flat = rng.normal(size=(20, 4))
    flat -= flat.mean(0)
    on_face = v + flat - np.outer(flat @ v, v) / (v @ v)
    beyond = v + 2 * rng.normal(size=(960, 4))
    beyond = beyond + np.outer(np.maximum(0, v @ v - beyond @ v) + rng.random(960), v) / (v @ v)
    g = rng.permutation(np.vstack([on_face, on_face, beyond])) * scale
    found = min_norm_point(g)
    certified(g, found)
    np.testing.assert_allclose(found.point / scale, v, rtol=0, atol=1e-12)


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
