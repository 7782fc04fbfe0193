"""A kink is seen by one-sided derivatives, however many pieces meet; a smooth point never is one."""

import numpy as np
import pytest

import simsa
from simsa import calculus
from simsa.errors import ProgramError


@pytest.mark.parametrize(
    ("function", "point", "kink"),
    [
        (lambda x: abs(x[0]), [0.0, 0.0], True),
        (lambda x: abs(x[0]), [1e-300, 0.0], False),
        (lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), [0.0, 0.0], False),
        (lambda x: simsa.relu(x[0]) ** 2 + x[1], [0.0, 0.0], False),
        (lambda x: np.maximum(x[0], x[1]), [2.0, 2.0], True),
        (lambda x: np.maximum(x[0], x[0]), [2.0, 2.0], False),
        (lambda x: np.sqrt(x[0] * x[0] + x[1] * x[1] + 1e-20), [0.0, 0.0], False),
        (lambda x: np.exp(abs(x[0])) - abs(x[0]), [0.0, 0.0], False),
        (lambda x: sum(simsa.relu(x[0] - k * x[1]) for k in range(40)), [0.0, 0.0], True),
    ],
)
def test_known_points(function, point, kink):
    assert calculus.kinked(simsa.trace(function, 2), point) is kink


def test_a_large_network_with_its_hidden_layer_at_0_has_a_kink_and_with_random_weights_none():
    program = simsa.network([8, 30, 3])
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=(5, 8)), rng.integers(0, 3, 5)])
    objective = calculus.objective(program, rows)
    x = rng.normal(size=program.p)
    assert not calculus.kinked(objective, x)
    x[: 8 * 30 + 30] = 0
    assert calculus.kinked(objective, x)
    with pytest.raises(ProgramError):  # 2^150 pieces meet: Clarke's set cannot be listed
        calculus.classify(objective, x, limit=256)


def test_a_program_that_may_jump_is_refused():
    program = simsa.trace(lambda x: simsa.where(x[0] * x[0] > 0, 3 * x[0], simsa.relu(x[0])), 1)
    with pytest.raises(ProgramError, match="may jump"):
        calculus.kinked(program, [0.0])
