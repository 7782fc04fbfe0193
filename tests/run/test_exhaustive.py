"""The law of x_k in a small format: known answers, Monte Carlo inside its intervals, and what cannot be listed."""

import numpy as np
import pytest
from scipy.stats import chisquare

import simsa
from simsa.analysis import interval
from simsa.errors import SimsaError
from simsa.formats import FORMATS


def trap(x):
    """(x - 1)^2 / 2 plus 0, written as relu(-x) + x - relu(x)."""
    return (x[0] - 1) ** 2 / 2 + simsa.zero(x[0])


@pytest.mark.parametrize("precision", ["float8_e5m2", "float8_e4m3", "bfloat16"])
def test_the_ladder_of_precisions(precision):
    """From x_0 uniform on [-2, 0] with steps 1/2, x_1 = (x_0 + 1)/2 is rounded to 0 with probability 3 2^-t / 4.

    x_0 + 1 has t bits, and is 0 for the x_0 that are rounded to -1: half a spacing of 2^(1-t) below -1, half of 2^-t
    above it, out of 2.
    """
    t = FORMATS[precision].bits
    start = simsa.uniform(-2, 0)
    (law,) = simsa.exhaustive(
        trap, parameters=1, c=[0.5], steps=2, step_size=1.0, initial=start, trajectories=1, precision=precision
    )
    assert law.landed[1] - law.landed[0] == pytest.approx(3 * 2.0**-t / 4, rel=1e-12)
    assert law.probability.sum() == pytest.approx(1, abs=1e-12) and law.stopped == law.undecided == 0


def test_the_bad_minibatch_of_two_samples():
    """|x| a + x^2 with a in {1, 2}: no step lands from 1 with c = 1; from 3 with batch {2} x_1 = 3 - (6 + 2)/... ."""
    (law,) = simsa.exhaustive(
        lambda x, a: a[0] * abs(x[0]),
        parameters=1,
        data=[[1], [2]],
        c=[1],
        steps=3,
        step_size=1.0,
        batch=1,
        initial=[[4.0]],
        trajectories=1,
        precision="float16",
    )
    # 4 -> 3 or 2 -> (2, 1) or (1, 0) -> ...: by hand, each path has probability 1/4 after two steps.
    assert law.landed.tolist() == [0, 0, 0.25]
    known = {0.0: 0.25 + 0.125 * 3, 1.0: 0.125, -1.0: 0.25}
    assert dict(zip(law.points[:, 0].tolist(), law.probability.tolist(), strict=True)) == known


CASES = {
    "a trap": {"what": trap, "parameters": 1, "initial": simsa.uniform(-2, 1)},
    "two samples": {
        "what": lambda x, a: abs(x[0] - a[0]) + x[0] ** 2 / 4,
        "parameters": 1,
        "data": [[-0.5], [0.5]],
        "batch": 1,
        "initial": simsa.normal(0, 1),
    },
    "subsets": {
        "what": lambda x, a: simsa.relu(x[0] * a[0]) - x[0] / 4,
        "parameters": 1,
        "data": [[1], [-1], [2]],
        "batch": "uniform_subset",
        "initial": simsa.uniform(-1, 1),
    },
    "it leaves the ball": {
        "what": lambda x: -x[0] * x[0] + abs(x[0]),
        "parameters": 1,
        "radius": 4.0,
        "initial": simsa.uniform(-2, 2),
    },
    "two parameters": {
        "what": lambda x: abs(x[0] - x[1]) + simsa.relu(x[0]) / 2,
        "parameters": 2,
        "initial": simsa.points([[0.5, 0.25], [0.75, -0.5], [1, 1], [-0.25, 2]]),
    },
}


@pytest.mark.parametrize("name", CASES)
def test_monte_carlo_agrees(name):
    given = {"c": [0.5], "steps": 4, "step_size": 1.0, "trajectories": 300, "precision": "float8_e4m3", **CASES[name]}
    what = given.pop("what")
    (law,) = simsa.exhaustive(what, **given)
    run = simsa.sweep(what, **given, engine="reference", classify=30, quiet=True)
    (cell,) = run.summary["cells"]
    landed = interval(cell["landed"], 300, 1 - 1e-4)
    assert landed.low <= law.landed[-1] <= landed.high
    ended = interval(cell["unbounded"] + cell["not_finite"], 300, 1 - 1e-4)
    assert ended.low <= law.stopped <= ended.high
    records = run.records
    points = records.final.values[0][records.status.values[0] == 0]
    place = {tuple(point): i for i, point in enumerate(law.points.tolist())}
    counts = np.bincount([place[tuple(point)] for point in (points + 0.0).tolist()], minlength=len(place))
    expected = law.probability / law.probability.sum() * counts.sum()
    rare = expected < 5
    pooled = [np.append(v[~rare], v[rare].sum()) for v in (counts, expected)]
    if (rare.any() and pooled[1][-1] == 0) or not rare.any():
        pooled = [v[:-1] for v in pooled]
    assert len(pooled[0]) < 2 or chisquare(*pooled).pvalue > 1e-4
    wrong = interval(cell["landed"], 300, 1 - 1e-4)
    assert not wrong.low <= law.landed[-1] + 0.2 <= wrong.high, "the control: a law that is off by a fifth is seen"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"precision": "float32"}, "float32 with 1 parameters has too many points"),
        ({"precision": "exact"}, "exact with 1 parameters has too many points"),
        ({"optimizer": {"kind": "heavy_ball", "momentum": 0.5}}, "the rule heavy_ball keeps m"),
        ({"what": lambda x: abs(x[0]) + x[1], "parameters": 2}, "float16 with 2 parameters has too many points"),
    ],
)
def test_what_cannot_be_listed_is_said(changes, why):
    given = {"what": trap, "parameters": 1, "c": [0.5], "steps": 1, "step_size": 1.0, "trajectories": 1}
    given |= {"initial": simsa.uniform(-1, 0), "precision": "float16", **changes}
    with pytest.raises(SimsaError, match=f"the law of x_k cannot be listed: {why}"):
        simsa.exhaustive(given.pop("what"), **given)
