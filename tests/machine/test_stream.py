"""Streamed samples: their laws, the same bits everywhere, and what a scenario may say of them.

Statistical tests have fixed seeds; each would fail with probability 1e-6 under a fresh one.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

import simsa
from simsa import formats
from simsa.errors import DataError, ScenarioError
from simsa.machine import (
    Descent,
    Initial,
    Stream,
    Walker,
    arithmetic,
    descend,
    evaluation,
    exact,
    initial_points,
    streamed,
    tape_of,
)
from simsa.scenario import hypotheses, load
from tests.support import SCENARIOS
from tests.support.runs import planned, swept

ALARM = 1e-6
COUNT = 40_000
CENTER = np.array([[1.0, -2.0, 0.5]])
NORMAL = Stream(("normal",), np.ones(1), CENTER, np.array([[1.0, 2.0, 0.25]]))
BALL = Stream(("ball",), np.ones(1), CENTER, np.full((1, 3), 2.0))
MIXTURE = Stream(
    ("ball", "normal", "ball"),
    np.array([0.2, 0.7, 1.0]),
    np.array([[-9.0, 0.0, 0.0], [0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]),
    np.ones((3, 3)),
)
LAWS = {"normal": NORMAL, "ball": BALL, "mixture": MIXTURE}

KINKED = simsa.expression("abs(x - a) * b + abs(y) + relu(x * c)", ["x", "y"], ["a", "b", "c"])


def a_descent(stream, **changes):
    starts = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 2.0]])
    settings = {
        "steps": 12, "law": "fixed_size", "size": 3, "replace": False, "alpha": 1 / np.arange(1.0, 13.0),
        "radius": 50.0, "seed": 2**63 + 7, "initial": Initial("points", np.zeros(2), np.ones(2), starts),
        "checkpoints": np.array([0, 5, 12]), "objective_trajectories": 1000, "snapshots": True, "stream": stream,
    }  # fmt: skip
    return Descent(**(settings | changes))


def assert_moments(x, mean, deviation):
    """Test mean and variance of normal numbers, exactly, and that nothing is correlated."""
    for column, m, s in zip(x.T, mean, deviation, strict=True):
        z = (column - m) / s
        assert 2 * stats.norm.sf(abs(z.mean()) * np.sqrt(len(z))) > ALARM
        assert ALARM / 2 < stats.chi2(len(z)).cdf((z * z).sum()) < 1 - ALARM / 2
        assert stats.kstest(z, stats.norm.cdf).pvalue > ALARM


def test_normal_samples_have_their_moments():
    x = evaluation(NORMAL, COUNT, 3)
    assert_moments(x, NORMAL.center[0], NORMAL.scale[0])
    assert all(stats.pearsonr(x[:, i], x[:, j]).pvalue > ALARM for i, j in ((0, 1), (0, 2), (1, 2)))
    with pytest.raises(AssertionError):  # the control: a mean that is off by a twentieth
        assert_moments(x, NORMAL.center[0] + 0.05, NORMAL.scale[0])


@pytest.mark.parametrize("d", [1, 2, 3, 6, 7, 12])
def test_the_radius_and_direction_on_a_ball_have_their_laws(d):
    """P(|x - center| <= r) = (r / radius)^d, and a coordinate of the direction squared is Beta(1/2, (d - 1)/2)."""
    law = Stream(("ball",), np.ones(1), np.full((1, d), 3.0), np.full((1, d), 2.0))
    x = (evaluation(law, COUNT, 5) - 3.0) / 2.0
    radius = np.linalg.norm(x, axis=1)
    assert radius.max() <= 1 + 1e-15
    assert stats.kstest(radius, lambda r: np.clip(r, 0, 1) ** d).pvalue > ALARM
    assert stats.kstest(radius, lambda r: np.clip(r, 0, 1) ** (d + 1)).pvalue < ALARM
    if d > 1:
        assert stats.kstest((x[:, -1] / radius) ** 2, stats.beta(0.5, (d - 1) / 2).cdf).pvalue > ALARM
    for column in x.T:
        assert stats.binomtest(int((column > 0).sum()), COUNT).pvalue > ALARM
        z = column.mean() * np.sqrt(COUNT * (d + 2))  # E x_1^2 = 1 / (d + 2)
        assert 2 * stats.norm.sf(abs(z)) > ALARM


def test_a_mixture_has_its_weights_and_its_components():
    x = evaluation(MIXTURE, COUNT, 9)
    which = np.searchsorted([-7.0, 7.0], x[:, 0])
    assert stats.chisquare(np.bincount(which), COUNT * np.array([0.2, 0.5, 0.3])).pvalue > ALARM
    assert stats.chisquare(np.bincount(which), COUNT * np.array([0.2, 0.48, 0.32])).pvalue < ALARM
    assert_moments(x[which == 1], np.zeros(3), np.ones(3))
    radius = np.linalg.norm(x[which == 2] - MIXTURE.center[2], axis=1)
    assert stats.kstest(radius, lambda r: np.clip(r, 0, 1) ** 3).pvalue > ALARM


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_sample_is_a_function_of_where_it_is_drawn(law):
    d = a_descent(law)
    here = streamed(d, 1, 2, 3)
    np.testing.assert_array_equal(here, streamed(replace(d, size=9), 1, 2, 3)[:3])
    others = [streamed(d, *place) for place in ((0.5, 2, 3), (1, 0, 3), (1, 2, 0))]
    others += [streamed(replace(d, seed=1), 1, 2, 3), evaluation(law, 3, d.seed)]
    assert len({x.tobytes() for x in (here, *others)}) == 6


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_descent_is_what_plain_python_computes(law, precision):
    tape, d = tape_of(KINKED), a_descent(law)
    rows = evaluation(law, 20, d.seed)
    block = descend(tape, rows, d, c=0.5, first=2, count=9, precision=precision)
    walker = Walker(tape, rows, arithmetic(formats.find(precision)))
    for t in range(9):
        for key, value in walker.record(d, 0.5 * d.alpha, c=0.5, trajectory=2 + t).items():
            np.testing.assert_array_equal(block[key][t], np.asarray(value, block[key].dtype), err_msg=f"{key} of {t}")
    assert set(block["tie_sample"]) == {-1, 0}, "at y = 0 every sample ties: the first in the minibatch"


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_layout_blocks_and_threads_change_no_bit(precision):
    tape, d = tape_of(KINKED), a_descent(MIXTURE)
    rows = evaluation(MIXTURE, 20, d.seed)

    def run(first, count, shape=None):
        return descend(tape, rows, d, c=0.7, first=first, count=count, precision=precision, shape=shape)

    whole = run(0, 40)
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda first: run(first, min(7, 40 - first)), range(0, 40, 7)))
    joined = {key: np.concatenate([part[key] for part in parts]) for key in whole}
    for other in (joined, *(run(0, 40, shape) for shape in ((1, 1), (2, 1), (1, 4), (4, 2)))):
        assert all(whole[key].tobytes() == other[key].tobytes() for key in whole)


def test_exact_steps_take_the_samples_at_their_exact_value():
    tape, d = tape_of(simsa.expression("(x - a)**2 / 2", ["x"], ["a"])), a_descent(
        Stream(("ball",), np.ones(1), np.zeros((1, 1)), np.ones((1, 1))),
        steps=2, size=1, alpha=np.array([1.0, 0.5]), checkpoints=np.zeros(0, np.int64),
        initial=Initial("points", np.zeros(1), np.ones(1), np.ones((1, 1))),
    )  # fmt: skip
    one, two = (Fraction(float(streamed(d, 1, 4, k)[0, 0])) for k in range(2))
    steps = list(
        exact.walker(tape, np.zeros((1, 1)), d, 4096).walk(d, [Fraction(1), Fraction(1, 2)], c=1, trajectory=4)
    )
    assert steps[0].following == (one,) and steps[1].following == ((one + two) / 2,)
    assert initial_points(d, 1, 4, 1, 1)[0, 0] == 1


def test_a_law_that_does_not_fit_is_refused():
    with pytest.raises(DataError, match="the program reads 3 data inputs per sample, the stream has 1"):
        law = Stream(("ball",), np.ones(1), np.zeros((1, 1)), np.ones((1, 1)))
        descend(tape_of(KINKED), np.zeros((1, 3)), a_descent(law), c=1.0, first=0, count=1)
    with pytest.raises(DataError, match="at most 1073741824 samples of 3 numbers can be streamed at once"):
        evaluation(BALL, 2**31, 0)


TEXT = """\
[scenario]
name = "s"
[program]
kind = "expression"
parameters = ["x"]
data = ["a", "b"]
expression = "abs(x - a) + b * x"
[data]
source = "stream"
sample = { law = "normal", center = [0.0, 1.0], scale = 2.0 }
evaluate = 50
[sgd]
steps = 10
batch = { law = "fixed_size", size = 2 }
step_size = { family = "power", exponent = 0.75 }
[sweep]
c = [0.5]
trajectories = 8
"""

SAMPLE = '{ law = "normal", center = [0.0, 1.0], scale = 2.0 }'
MIXED = '{ law = "mixture", components = [{ law = "ball" }, { law = "normal", center = [0.0, 1.0] }] }'
BAD = {
    "another law of the minibatch": (
        '{ law = "fixed_size", size = 2 }',
        '{ law = "full" }',
        "14: sgd.batch.law: expected 'fixed_size', as samples are streamed, got 'full'",
    ),
    "the paper's law, by default": (
        'batch = { law = "fixed_size", size = 2 }\n',
        "",
        "12: sgd.batch.law: expected 'fixed_size', as samples are streamed, got 'uniform_subset'",
    ),
    "replacement": (
        "size = 2 }",
        "size = 2, replace = true }",
        "14: sgd.batch.replace: expected false: each streamed sample is drawn afresh",
    ),
    "rows of a data set": ("evaluate = 50", "limit = 50", "11: data.limit: unknown key; expected"),
    "no samples": ("evaluate = 50", "evaluate = 0", "11: data.evaluate: expected a number >= 1, got 0"),
    "unknown law": ('"normal"', '"gauss"', "10: data.sample.law: expected 'normal', 'ball' or 'mixture', got 'gauss'"),
    "no law": (f"sample = {SAMPLE}\n", "", "8: data.sample: missing (The law of a sample"),
    "scale 0": ("scale = 2.0", "scale = 0.0", "10: data.sample.scale: expected a number > 0, got 0.0"),
    "radius 0": (SAMPLE, '{ law = "ball", radius = 0.0 }', "10: data.sample.radius: expected a number > 0, got 0.0"),
    "radius of a normal": (", scale", ", radius", "10: data.sample.radius: unknown key; expected"),
    "no components": (
        SAMPLE,
        '{ law = "mixture", components = [] }',
        "10: data.sample.components: expected a list of at least 1",
    ),
    "weights": (
        SAMPLE,
        MIXED.replace("] }] }", '] }], weights = ["1/3"] }'),
        "10: data.sample.weights: expected 2 weights (one a component), got 1",
    ),
    "misspelt key of a component": (
        SAMPLE,
        MIXED.replace("center", "centre"),
        "10: data.sample.components.1.centre: unknown key; did you mean 'center'?",
    ),
    "unknown law of a component": (
        SAMPLE,
        MIXED.replace("ball", "bell"),
        "10: data.sample.components.0.law: expected 'normal' or 'ball', got 'bell'",
    ),
}


@pytest.mark.parametrize(("said", "instead", "message"), BAD.values(), ids=BAD)
def test_what_is_refused(tmp_path, said, instead, message):
    assert said in TEXT
    file = tmp_path / "x.toml"
    file.write_text(TEXT.replace(said, instead), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}:{message}") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (SAMPLE.replace("[0.0, 1.0]", "[0.0]"), "data.sample.center: expected 2 numbers (one a data column), got 1"),
        (SAMPLE.replace("2.0", "[2.0]"), "data.sample.scale: expected 2 numbers (one a data column), got 1"),
        (
            MIXED.replace("[0.0, 1.0]", "[0.0]"),
            "data.sample.components.1.center: expected 2 numbers (one a data column), got 1",
        ),
    ],
)
def test_lists_have_a_number_for_each_column(tmp_path, sample, message):
    file = tmp_path / "x.toml"
    file.write_text(TEXT.replace(SAMPLE, sample), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        planned(load(file))
    assert str(caught.value) == f"{file}: {message}"


def test_shares_are_those_of_the_weights(tmp_path):
    file = tmp_path / "x.toml"
    weighted = MIXED.replace("] }] }", '] }], weights = ["1/3", 1.0] }')
    file.write_text(TEXT.replace(SAMPLE, weighted), encoding="utf-8")
    made = planned(load(file))
    stream = made.settings[""].descent.stream
    assert stream.shares.tolist() == [0.25, 1.0] and stream.kinds == ("ball", "normal")
    assert made.settings[""].rows.shape == (50, 2)
    file.write_text(TEXT.replace(SAMPLE, MIXED), encoding="utf-8")
    assert planned(load(file)).settings[""].descent.stream.shares.tolist() == [0.5, 1.0]
    assert planned(load(file)).layout.digest != made.layout.digest
    assert [h.state for h in hypotheses(load(file), 0) if h.hypothesis == "J is a finite sum"] == ["not met"]


def test_the_scenario_holds_and_is_replayed(tmp_path, no_figures, capsys):
    """The claims of scenarios/streaming.toml, a wrong answer that is rejected, and a trajectory step by step."""
    file = tmp_path / "s.toml"
    wrong = '[[claim]]\nevent = "landed"\nc = [0.5]\nprobability = "1/2"\ntext = "wrong: as with one sample a step"\n'
    said = (SCENARIOS / "streaming.toml").read_text(encoding="utf-8")
    file.write_text(f"{said}\n{wrong}", encoding="utf-8")
    out = tmp_path / "out"
    swept(file, out, "record.classify=2")
    text = capsys.readouterr().out
    assert (
        "holds: P(landed) = 7/18" in text and "holds: P(landed) = 1/4" in text and "REJECTED: P(landed) = 1/2" in text
    )
    words = " ".join(text.split())
    assert "bad step scales: not computed, because samples are streamed" in words
    assert "Theorem 7, finite time: hypothesis not met" in words and "not met: J is a finite sum - each step" in words
    assert "Final points were not examined, because the program or the data are too large" in words
    for t in range(8):
        found = simsa.replay(out, 1, t)
        assert found.differences == () and [step.minibatch for step in found] == [(0, 1)] * 100
    tied = simsa.open_records(out).isel(cell=1)
    assert set(np.unique(tied.tie_sample)) == {-1, 0}
