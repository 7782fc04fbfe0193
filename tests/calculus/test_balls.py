"""Clarke's set at the kink of a norm, against answers by hand and by a fine grid of directions."""

import numpy as np
import pytest

import simsa
from simsa.calculus import Body, RoundSet, clarke, classify, is_clarke, round_clarke
from simsa.errors import ProgramError
from simsa.primitives import ROW

SEGMENT = Body(np.array([0.0, 0.0]), (np.array([[1.0], [0.0]]),))
DISC = Body(np.array([3.0, 0.0]), (np.eye(2),))


def test_bounds_meet_at_known_distances() -> None:
    """A disc, an ellipse, a disc rolled along a segment, and the hull of a disc and a segment."""
    assert RoundSet((DISC,), True).nearest([0.0, 0.0]).norm == pytest.approx(2.0, abs=1e-12)
    # |(4 cos t, sin t + 3)| is least at t = -pi/2
    ellipse = RoundSet((Body(np.array([0.0, 3.0]), (np.diag([4.0, 1.0]),)),), True).nearest([0.0, 0.0])
    assert ellipse.norm == pytest.approx(2.0, abs=1e-9) and ellipse.low <= 2.0 + 1e-12
    rolled = Body(np.array([0.0, 3.0]), (np.eye(2), np.array([[2.0], [0.0]])))
    assert RoundSet((rolled,), True).nearest([5.0, 3.0]).norm == pytest.approx(2.0, abs=1e-9)
    # tangents from (-1, 0) to the disc: sin a = 1/4; the point (0, 1) is off that line by 1 cos a - 1 sin a
    hull = RoundSet((SEGMENT, DISC), True).nearest([0.0, 1.0])
    assert hull.norm == pytest.approx(np.sqrt(15) / 4 - 0.25, abs=1e-9)
    assert RoundSet((SEGMENT, DISC), True).nearest([2.5, 0.1]).norm == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_bounds_hold_and_meet_for_random_sets(seed: int) -> None:
    """low <= distance <= norm, the distance by 200,000 directions d: the maximum of <d, w> less the support function.

    The best of these is at an angle of at most pi / 200,000 to the best of all, so it is less by at most that angle
    times the largest |g - w|.
    """
    rng = np.random.default_rng(seed)
    bodies = tuple(
        Body(rng.normal(size=2), tuple(rng.normal(size=(2, rng.integers(1, 4))) for _ in range(rng.integers(0, 3))))
        for _ in range(rng.integers(1, 4))
    )
    w = 4 * rng.normal(size=2)
    angles = np.linspace(0, 2 * np.pi, 200_001)
    d = np.array([np.cos(angles), np.sin(angles)])
    support = np.max([b.center @ d + sum(np.linalg.norm(m.T @ d, axis=0) for m in b.maps) for b in bodies], axis=0)
    distance = max(0.0, float((w @ d - support).max()))
    found = RoundSet(bodies, True).nearest(w)
    reach = np.abs(support).max() + np.linalg.norm(w)
    assert found.low - np.pi / 200_000 * reach <= distance <= found.norm + 1e-12
    assert 0 <= found.norm - found.low < 1e-9 * reach or found.norm < 1e-12


def median(x: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Return the distance from a data point."""
    return np.linalg.norm(x - data)


@pytest.mark.parametrize("convention", ["pytorch", "jax", "tensorflow"])
def test_the_geometric_median(convention: str) -> None:
    """At a data point a the set is the mean of the other unit vectors and a ball of radius 1/n.

    Of (0, 0), (1, 0), (-1, 0), (0, 1): at (0, 0) the others add to (0, 1), of length 1 = the weight of a: the median,
    on the boundary. Of (0, 0), (1, 0), (0, 1), (1, 1): they add to (-1, -1) (1 + 1/sqrt 2), longer than 1 by sqrt 2.
    """
    program = simsa.trace(median, 2, 2, convention=convention)
    optimal = simsa.calculus.objective(program, [[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    found = classify(optimal, [0.0, 0.0])
    assert (found.kind, found.tie, found.certified) == ("clarke", "Sing", True)
    square = simsa.calculus.objective(program, [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    found = classify(square, [0.0, 0.0])
    assert (found.kind, found.tie) == ("regular", "Sing")
    assert found.distance_clarke == pytest.approx(np.sqrt(2) / 4, abs=1e-12)
    with pytest.raises(ProgramError, match="its gradients fill a ball"):
        clarke(square, [0.0, 0.0])


def test_group_lasso() -> None:
    """|Aw - b|^2 / 2 + 2 |w| is least at w = 0 exactly if |A^T b| <= 2: here A^T b = (1.5, -1), of length 1.8."""
    program = simsa.trace(
        lambda w: 0.5 * np.sum(np.square(w - np.array([1.5, -1.0]))) + 2 * np.linalg.norm(w), 2, convention="pytorch"
    )
    assert classify(program, [0.0, 0.0]).kind == "clarke"
    assert is_clarke(program, [0.0, 0.0], [-1.5, 1.0]) and is_clarke(program, [0.0, 0.0], [-3.5, 1.0]).certified
    outside = is_clarke(program, [0.0, 0.0], [-1.5, 3.5])
    assert not outside and outside.distance == pytest.approx(0.5, abs=1e-12)
    assert outside.direction @ np.array([-1.5, 3.5]) < outside.direction @ np.array([-1.5, 3.0])


@pytest.mark.parametrize(
    ("function", "certified"),
    [
        (lambda x: np.linalg.norm(x), True),
        (lambda x: -np.linalg.norm(x), True),
        (lambda x: np.linalg.norm(x) + np.linalg.norm(2 * x), True),  # regular
        (lambda x: np.linalg.norm(x) - np.linalg.norm(2 * x), False),  # one depends on the other
        (lambda x: np.linalg.norm(x[:1]) - np.linalg.norm(x[1:]), True),  # independent
        (lambda x: np.linalg.norm(x) - simsa.relu(x[0]), False),
        (lambda x: np.linalg.norm(x * x - x), True),  # curved, of full rank at 0
        (lambda x: np.linalg.norm(np.stack([x[0] * x[1], x[0]])), False),
    ],
)
def test_what_is_certified(function, certified: bool) -> None:
    assert round_clarke(simsa.trace(function, 2), [0.0, 0.0]).certified is certified


def test_norms_that_cancel_are_not_called_more_than_they_are() -> None:
    """|x| - |x| has the set {0}; the sum of the balls holds it, and says that it is not certified."""
    program = simsa.trace(lambda x: np.linalg.norm(x) - np.linalg.norm(x), 2, convention="pytorch")
    found = round_clarke(program, [0.0, 0.0])
    assert found.nearest([0.0, 0.0]).norm == 0 and not found.certified


def test_norms_within_norms_are_refused() -> None:
    program = simsa.trace(lambda x: np.linalg.norm(np.stack([np.linalg.norm(x), x[0]])), 2)
    with pytest.raises(ProgramError, match="the operand of a norm that is 0 has no derivative here"):
        round_clarke(program, [0.0, 0.0])


def test_an_untied_norm_is_smooth() -> None:
    program = simsa.trace(lambda x: np.linalg.norm(x) + simsa.relu(x[1]), 2)
    assert clarke(program, [3.0, 0.0]).vertices.tolist() == [[1.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("spelling", [name for name, ((slope,),) in ROW["norm"].ties.items() if slope == slope])
def test_what_a_framework_returns_at_the_kink_is_in_the_set(spelling: str) -> None:
    builder = simsa.Builder(2, 0, simsa.Convention("pytorch", {"norm": spelling}))
    program = builder.finish([builder.apply("norm", [0, 1])])
    assert is_clarke(program, [0.0, 0.0], program.gradient([0.0, 0.0]))
