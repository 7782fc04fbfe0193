"""The exact mode: the float64 kernels where nothing is rounded, the theorem where something is, and its limits."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import chain, combinations

import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

import simsa
from simsa import analysis, questions, report
from simsa.analysis.landings import Landing, Landings
from simsa.analysis.pairs import pairs
from simsa.ensemble.plan import fastest
from simsa.ensemble.resolve import resolve
from simsa.errors import ProgramError, ScenarioError
from simsa.machine import Descent, Initial, Interpreter, Walker, exact, launch, tape_of
from simsa.machine.exact import EXACT, UNDEFINED, refusal
from simsa.primitives import ROW
from simsa.records import read
from simsa.scenario import load
from tests.support.runs import planned, recorded
from tests.support.strategies import programs

ROOTS = "exp log expm1 log1p sqrt pow power sin cos tan tanh sigmoid softplus erf elu logsumexp norm".split()
RATIONAL = tuple(name for name in ROW if name not in ROOTS)


def descent(p, points, alpha, **changes):
    """Return a descent on the full batch from given points."""
    start = Initial("points", np.zeros(p), np.ones(p), np.array(points, float).reshape(-1, p))
    settings = {
        "steps": len(alpha), "law": "full", "size": 0, "replace": False, "alpha": np.array(alpha, float), "radius": 1e6,
        "seed": 1, "initial": start, "checkpoints": np.array([0, len(alpha)]), "objective_trajectories": 100,
    }  # fmt: skip
    return Descent(**{**settings, **changes})


def run(program, d, gamma, rows=None, count=1, bits=4096):
    rows = np.zeros((1, 0)) if rows is None else np.array(rows, float)
    return exact.descend(
        tape_of(program), rows, d, gamma=[Fraction(g) for g in gamma], c=1, first=0, count=count, bits=bits
    )


# Where nothing is rounded.

DYADIC = simsa.expression("abs(x - a) + b * maximum(x, y)**2 / 2 + relu(y - x) * a - zero(y)", ["x", "y"], ["a", "b"])


@given(
    st.lists(st.tuples(st.integers(-8, 8), st.integers(-8, 8)), min_size=1, max_size=3),
    st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=3, max_size=3),
    st.sampled_from(["full", "uniform_subset", "fixed_size"]),
)
def test_exact_and_float64_agree_step_by_step_on_dyadic_numbers(points, alpha, law):
    """Minibatches of one or two samples and few bits: float64 rounds nothing."""
    rows = np.array([[1.0, 0.5], [-2.0, 1.0]])
    size = {"full": 0, "uniform_subset": 0, "fixed_size": 1}[law]
    d = descent(2, np.array(points) / 4, alpha, law=law, size=size)
    gamma = [Fraction(a) / 2 for a in alpha]
    floats, rationals = Walker(tape_of(DYADIC), rows), Walker(tape_of(DYADIC), rows, EXACT)
    for t in range(len(points)):
        ours = rationals.walk(d, gamma, c=0.5, trajectory=t)
        theirs = floats.walk(d, [float(g) for g in gamma], c=0.5, trajectory=t)
        for one, two in zip(ours, theirs, strict=True):
            assert one.following == two.following and one.gradient == two.gradient
            assert (one.ties, one.sensitive, one.margin, one.status) == (
                two.ties,
                two.sensitive,
                two.margin,
                two.status,
            )
    whole = exact.descend(tape_of(DYADIC), rows, d, gamma=gamma, c=0.5, first=0, count=len(points), bits=4096)
    kernel = launch.descend(tape_of(DYADIC), rows, d, c=0.5, first=0, count=len(points))
    assert whole.keys() == kernel.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], kernel[name], err_msg=name)


@given(st.data())
def test_gradients_are_those_of_float64_up_to_rounding(data):
    """On small integers, where few programs round at all; a selection whose sides differ by rounding may part."""
    program = data.draw(programs(names=RATIONAL, outputs=1))
    x = data.draw(st.lists(st.integers(-3, 3), min_size=program.p, max_size=program.p))
    row = data.draw(st.lists(st.integers(-3, 3), min_size=program.data, max_size=program.data))
    tape = tape_of(program)
    if refusal(tape):
        assert "inf" in refusal(tape)
        return
    ours, theirs = Interpreter(tape, EXACT), Interpreter(tape)
    one, two = ours.run(x, row), theirs.run(x, row)
    sizes = [abs(float(v)) for v in two.values if v is not None and v != 0]
    if any(not 1e-6 < size < 1e6 for size in sizes):
        return
    if one.margins == two.margins:
        np.testing.assert_allclose(np.array(ours.backward(one), float), theirs.backward(two), rtol=1e-9, atol=1e-9)


# Where something is.

LAMBDA = (1, 2, 4)
BAD_STEP = simsa.expression("where(x >= 1, l * x**2 / 2, l * (x - 0.5)) - l * zero(x)", ["x"], ["l"])
SUBSETS = tuple(chain.from_iterable(combinations(range(3), r) for r in (1, 2, 3)))


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_bad_step_lands_exactly_for_its_minibatch_and_no_other(subset):
    """Theorem 7's example: from x_0 >= 1 the step 1/mean(lambda_I) lands on 0 if I is drawn, and only then."""
    gamma = Fraction(len(subset), sum(LAMBDA[i] for i in subset))
    rows = np.array(LAMBDA, float)[:, None]
    uniform = Initial("uniform", np.array([2.0]), np.array([1.0]), np.zeros((0, 1)))
    d = descent(1, [0], [1, 1], law="uniform_subset", initial=uniform)
    count = 60
    ours = exact.descend(tape_of(BAD_STEP), rows, d, gamma=[gamma, gamma], c=gamma, first=0, count=count, bits=4096)[
        "sensitive_first"
    ]
    drawn = [tuple(next(launch.minibatches(d, 3, gamma, t))) for t in range(count)]
    assert np.array_equal(ours == 1, [one == subset for one in drawn])
    assert 0 < np.count_nonzero(ours == 1) < count
    floats = launch.descend(tape_of(BAD_STEP), rows, d, c=gamma, first=0, count=count)["sensitive_first"]
    missed = np.count_nonzero((ours == 1) & (floats != 1))
    assert not np.any((floats == 1) & (ours != 1))
    if gamma.denominator in (1, 2, 4):  # every product is exact
        assert missed == 0


def test_rounding_destroys_landings_at_a_third():
    """The share that lands is 1/7 of all over the reals, within 4 standard deviations; floats miss some of these."""
    rows = np.array(LAMBDA, float)[:, None]
    uniform = Initial("uniform", np.array([2.0]), np.array([1.0]), np.zeros((0, 1)))
    d = descent(1, [0], [1, 1], law="uniform_subset", initial=uniform, objective_trajectories=0)
    gamma = [Fraction(1, 3)] * 2
    ours = exact.descend(tape_of(BAD_STEP), rows, d, gamma=gamma, c=gamma[0], first=0, count=700, bits=4096)
    floats = launch.descend(tape_of(BAD_STEP), rows, d, c=gamma[0], first=0, count=700)
    landed = np.count_nonzero(ours["sensitive_first"] == 1)
    assert abs(landed - 100) < 4 * math.sqrt(700 * 6 / 49)
    assert 0 < np.count_nonzero(floats["sensitive_first"] == 1) < landed


def test_a_margin_is_zero_only_at_a_tie():
    tiny = Interpreter(tape_of(simsa.expression("relu(x)", ["x"])), EXACT)
    assert list(tiny.run([Fraction(1, 2**1200)]).margins.values()) == [5e-324]
    assert list(tiny.run([Fraction(0)]).margins.values()) == [0.0]
    assert list(tiny.run([Fraction(2**1200)]).margins.values()) == [math.inf]


# What is undefined, and what is too long.


def test_a_quotient_by_zero_counts_only_where_it_is_used():
    guarded = simsa.expression("where(x > 0, 1 / x, x)", ["x"])
    found = run(guarded, descent(1, [0], [1]), [1])
    assert (found["status"][0], found["final"][0, 0]) == (0, -1.0)
    found = run(simsa.expression("1 / x", ["x"]), descent(1, [0], [1, 1]), [1, 1])
    assert (found["status"][0], found["stopped"][0], found["final"][0, 0]) == (2, 1, 0.0)
    assert np.isnan(found["objective"]).all()


def test_the_undefined_is_like_a_nan():
    one = Fraction(1)
    for combined in (UNDEFINED + one, one / UNDEFINED, one - UNDEFINED, abs(-UNDEFINED) * 0, UNDEFINED**2):
        assert combined is UNDEFINED
    assert not (UNDEFINED < Fraction(1) or Fraction(1) < UNDEFINED or UNDEFINED == UNDEFINED)
    assert UNDEFINED != UNDEFINED and math.isnan(float(UNDEFINED)) and repr(UNDEFINED) == "undefined"


def test_numbers_that_double_their_length_stop_the_trajectory():
    """x_{k+1} = x_k - x_k^2 / 3 doubles the denominator's length, at the least."""
    program = simsa.expression("x**3", ["x"])
    d = descent(1, [1 / 4], [1] * 9)
    found = run(program, d, [Fraction(1, 9)] * 9, bits=64)
    x, k = Fraction(1, 4), 0
    while max(x.numerator.bit_length(), x.denominator.bit_length()) <= 64:
        x, k = x - x**2 / 3, k + 1
    assert (found["status"][0], found["stopped"][0], found["final"][0, 0]) == (3, k, float(x))
    longer = run(program, d, [Fraction(1, 9)] * 9, bits=10**5)
    assert (longer["status"][0], longer["stopped"][0]) == (0, 9)


@pytest.mark.parametrize(
    ("formula", "why"),
    [
        ("exp(x)", "exp (register r1) is no rational function"),
        ("x**0.5", "power with a = 0.5 (register r1) is no rational function"),
        ("where(x > 0, 1, elu(x))", "elu with a = 1 (register r2) is no rational function"),
        ("logsumexp(x, 2)", "logsumexp (register r2) is no rational function"),
        ("norm(x, 0)", "norm (register r2) is no rational function"),
        ("minimum(x, inf)", "inf is no rational number"),
        ("x**3 + x**(-2) / (1 + relu(x))", None),
    ],
)
def test_what_is_no_rational_function_is_refused(formula, why):
    assert refusal(tape_of(simsa.expression(formula, ["x"]))) == why


def test_powers_are_exact():
    program = simsa.expression("x**3 + x**(-3)", ["x"])
    x = Fraction(-2, 3)
    one = Interpreter(tape_of(program), EXACT)
    assert one.backward(one.run([x])) == [3 * x**2 - 3 / x**4]
    assert one.run([Fraction(0)]).values[tape_of(program).outputs[0]] is UNDEFINED


# Through a scenario.

TEXT = """\
[scenario]
name = "thirds"
seed = 4
[program]
kind = "expression"
parameters = ["x"]
data = ["l"]
expression = "where(x >= 1, l * x**2 / 2, l * (x - 0.5)) - l * zero(x)"
[data]
source = "inline"
rows = [[1.0], [2.0], [4.0]]
[sgd]
steps = 2
step_size = { family = "power", exponent = 1.0 }
[initial]
law = "uniform"
low = 1.0
high = 3.0
[sweep]
c = ["1/3", 0.5]
trajectories = 60
precision = ["float64", "exact"]
[record]
objective_trajectories = 5
"""


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Return a function that loads TEXT with one piece replaced, from a file called x.toml."""
    monkeypatch.chdir(tmp_path)

    def read(old="", new="", overrides=()):
        assert old in TEXT
        (tmp_path / "x.toml").write_text(TEXT.replace(old, new, 1) if old else TEXT, encoding="utf-8")
        return load("x.toml", overrides)

    return read


def sweep(scenario, folder, workers=1):
    recorded(planned(scenario), folder, workers)
    return read.open(folder).load()


def test_a_sweep_runs_exact_cells_beside_the_others(said, tmp_path):
    data = sweep(said(), tmp_path / "one")
    assert data.precision.values.tolist() == ["float64", "exact"] * 2
    landed = (data.sensitive_first >= 0).sum("trajectory").values.tolist()
    assert landed[0] < landed[1] and landed[2] == landed[3] > 0
    assert (data.status == 0).all()
    again = sweep(said("", "", ("run.block=7",)), tmp_path / "two", workers=3)
    for name in data:
        assert data[name].values.tobytes() == again[name].values.tobytes(), name


def test_landings_are_compared_on_the_same_starts(said, tmp_path):
    scenario = said("", "", ("sweep.precision=['exact','float32','float64']",))
    data, subject = sweep(scenario, tmp_path), questions.subject(resolve(scenario), planned(scenario))
    found = analysis.summarise(read.cells(tmp_path), read.attributes(tmp_path), subject=subject)["pairs"]
    assert [(one["c"], one["precision"]) for one in found] == [(1 / 3, "float32"), (1 / 3, "float64"), (0.5, "float32"),
                                                               (0.5, "float64")]  # fmt: skip
    landed = (data.sensitive_first >= 0).values
    for one, (e, f) in zip(found, [(0, 1), (0, 2), (3, 4), (3, 5)], strict=True):
        assert one["trajectories"] == 60 and one["undecided"] == 0
        assert one["both"] == np.count_nonzero(landed[e] & landed[f])
        assert one["only_exact"] == np.count_nonzero(landed[e] & ~landed[f])
        assert (one["only_float"], one["neither"]) == (0, np.count_nonzero(~landed[e]))
    assert found[1]["only_exact"] > 0 and found[3]["only_exact"] == 0


def test_the_report_compares_landings_and_names_what_is_cut_off(said, tmp_path):
    changes = ("sweep.c=['1/3', 0.37]", "sgd.steps=6", "sgd.bits=64", "record.objective_trajectories=0")
    scenario = said("", "", changes)
    sweep(scenario, tmp_path)
    subject = questions.subject(resolve(scenario), planned(scenario))
    found = analysis.summarise(read.cells(tmp_path), read.attributes(tmp_path), subject=subject)
    lines = report.text(found, tmp_path, full=True).splitlines()
    at = lines.index(
        "landings in rational numbers and in floating point, from the same starts with the same minibatches:"
    )
    assert lines[at + 1].split() == [
        "c",
        "precision",
        "both",
        "only",
        "exact",
        "only",
        "floating-point",
        "neither",
        "not",
        "classified",
    ]
    pair = found["pairs"][0]
    counted = ("both", "only_exact", "only_float", "neither", "unclassified")
    counts = [str(pair[key]) for key in counted]
    assert lines[at + 2].split() == ["0.333333", "float64", *counts]
    assert lines[at + 3] == "Nothing landed in the other 1 of 2 comparisons."
    cut = [cell["too_long"] for cell in found["cells"]]
    assert cut[0] == cut[2] == 0 < cut[3]
    assert lines[at + 4].startswith("Some exact trajectories stopped because their numbers had more than sgd.bits bits")
    assert f"0.37 ({cut[3]} of 60)" in " ".join(lines[at + 4 : at + 6])


def test_pairs_count_what_was_run_in_both_and_what_was_cut_off():
    data = xarray.Dataset(
        {
            "sensitive_first": (("cell", "trajectory"), [[0, -1, -1], [0, 0, -1], [-1, -1, -1], [-1, 5, -1]]),
            "status": (("cell", "trajectory"), [[0, 0, 255], [0, 0, 0], [0, 0, 0], [3, 0, 3]]),
        },
        {
            "c": ("cell", [0.5, 0.5, 0.25, 0.25]),
            "convention": ("cell", ["jax"] * 4),
            "precision": ("cell", ["float64", "exact"] * 2),
        },
    )
    cells = [data.isel(cell=i) for i in range(4)]
    found = [Landings.of(cell) for cell in cells]
    landings = [replace(one, outcome=np.full(one.trajectory.size, Landing.LANDED)) for one in found]
    one, two = pairs(cells, landings)
    assert {k: one[k] for k in ("trajectories", "both", "only_exact", "only_float", "neither", "undecided")} == {
        "trajectories": 2, "both": 1, "only_exact": 1, "only_float": 0, "neither": 0, "undecided": 0,
    }  # fmt: skip
    assert (two["trajectories"], two["only_exact"], two["neither"], two["undecided"]) == (3, 1, 2, 2)
    assert pairs(cells[::2], landings[::2]) == []


def test_exact_cells_take_steps_of_the_file_and_not_of_the_float(said):
    made = planned(said())
    assert made.settings[""].exact is not None
    third, half = Fraction(1, 3), Fraction(1, 2)
    assert made.settings[""].exact.gamma(third) == [third, third / 2]
    assert [cell.scale for cell in made.layout.cells] == [third, third, half, half]


def test_the_plan_knows_that_exact_is_slow(said):
    both, floats = planned(said()), planned(said("", "", ("sweep.precision=['float64']",)))
    less, cost = (made.estimate(fastest(made, "auto")) for made in (floats, both))
    assert floats.settings[""].exact is None and less.alone_seconds == 0
    assert cost.alone_seconds > 1000 * less.core_seconds
    assert cost.seconds(8) == cost.alone_seconds == pytest.approx(cost.core_seconds, rel=1e-3)
    long = planned(said("", "", ("sgd.steps=20000",)))
    assert long.layout.block == 1, "a trajectory of seconds is a block"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("zero(x)", "sin(x)",
         "x.toml: program: sin (register r11) is no rational function: it cannot be run in exact numbers"),
        ("exponent = 1.0", "exponent = 0.5", "x.toml:14: sgd.step_size: alpha_k = (k + 1)^-0.5 is not rational; "
         "choose an integer exponent, or leave out the precision 'exact'"),
        ('family = "power", exponent = 1.0', 'family = "log", exponent = 1.5', "x.toml:14: sgd.step_size: alpha_k = "
         "1/log(k + 3)^1.5 is not rational; choose another family, or leave out the precision 'exact'"),
        ("steps = 2", "steps = 2\nbits = 8", "x.toml:14: sgd.bits: expected a number >= 64, got 8"),
    ],
)  # fmt: skip
def test_what_cannot_be_exact_is_refused_in_one_line(said, old, new, message):
    with pytest.raises((ProgramError, ScenarioError)) as caught:
        planned(said(old, new))
    assert str(caught.value) == message
