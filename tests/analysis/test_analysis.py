"""What is estimated from records, against known answers."""

import json
import math
from functools import lru_cache

import numpy as np
import pytest
import xarray
from scipy import stats

import simsa
from simsa import analysis, calculus
from simsa.analysis import estimates
from simsa.analysis.intervals import Stratum, Tally
from simsa.analysis.landings import Landing, Landings
from simsa.errors import RecordsError, SimsaError
from simsa.records.status import Status

NOT_LANDED, LANDED, UNDECIDED, NOT_EXAMINED = Landing

# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (1, 1), (1, 2), (0, 37), (5, 10), (37, 200), (200, 200)])
def test_the_interval_is_that_of_scipy_where_scipy_is_exact(hits, trials, level):
    wanted = stats.binomtest(hits, trials).proportion_ci(level, method="exact")
    low, high = analysis.clopper_pearson(hits, trials, level)
    assert low == pytest.approx(wanted.low, abs=1e-9)
    assert high == pytest.approx(wanted.high, abs=1e-9)


@pytest.mark.parametrize(("hits", "trials"), [(37, 10**9), (1, 10**9), (10**6 - 1, 10**6), (3, 4096)])
def test_the_tails_are_exact_for_rare_events_too(hits, trials):
    low, high = analysis.clopper_pearson(hits, trials)
    assert stats.binom.sf(hits - 1, trials, low) == pytest.approx(0.025, rel=1e-9)
    assert stats.binom.cdf(hits, trials, high) == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize("trials", [1, 20, 200])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_enumerated_coverage_never_falls_below_the_level(trials, level):
    hits = np.arange(trials + 1)
    low, high = analysis.clopper_pearson(hits, trials, level)
    for p in np.linspace(0, 1, 101):
        covered = stats.binom.pmf(hits, trials, p)[(low <= p) & (p <= high)].sum()
        assert covered >= level - 1e-12


def test_enumerated_coverage_at_known_points():
    hits = np.arange(201)
    low, high = analysis.clopper_pearson(hits, 200)
    found = [round(stats.binom.pmf(hits, 200, p)[(low <= p) & (p <= high)].sum(), 3) for p in (0.001, 0.01, 0.1, 0.5)]
    assert found == [0.983, 0.984, 0.967, 0.960]


def test_intervals_are_computed_for_arrays():
    low, high = analysis.clopper_pearson([[0, 5], [10, 3]], 10)
    assert low.shape == high.shape == (2, 2)
    assert low[0, 0] == 0.0 and high[1, 0] == 1.0
    assert (low < high).all()


@pytest.mark.parametrize(("hits", "trials", "level"), [(-1, 3, 0.95), (4, 3, 0.95), (1, 3, 1.0), (1, 3, 0.0)])
def test_impossible_counts_are_refused(hits, trials, level):
    with pytest.raises(ValueError, match="expected 0 <= hits <= trials and a level between 0 and 1"):
        analysis.clopper_pearson(hits, trials, level)


@pytest.mark.parametrize("trials", [1, 10, 1000, 10**6, 10**12])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_bound_after_no_hit_solves_its_equation(trials, level):
    bound = analysis.upper_bound(trials, level)
    assert trials * math.log1p(-bound) == pytest.approx(math.log(1 - level), rel=1e-12)
    if trials <= 10**6:
        assert bound == pytest.approx(1 - (1 - level) ** (1 / trials), rel=1e-9)


def test_a_probability_has_a_two_sided_interval_and_a_one_sided_bound_whatever_was_seen():
    none = analysis.interval(0, 1_000_000)
    assert (none.estimate, none.low, none.method) == (0.0, 0.0, "Clopper-Pearson")
    assert none.bound == pytest.approx(2.9957e-6, rel=1e-4), "1 - 0.05^(1/N), the number to quote"
    assert none.high == pytest.approx(3.6889e-6, rel=1e-4), "1 - 0.025^(1/N)"
    some = analysis.interval(3, 10)
    assert some.estimate == 0.3 and some.low < 0.3 < some.bound < some.high
    assert stats.binom.cdf(3, 10, some.bound) == pytest.approx(0.05)
    every = analysis.interval(10, 10)
    assert (every.estimate, every.high, every.bound) == (1.0, 1.0, 1.0)
    assert every.low == pytest.approx(0.025 ** (1 / 10))
    assert analysis.interval(0, 0) == analysis.Interval(None, 0.0, 1.0, 1.0, 0.95, "no trials")


@pytest.mark.parametrize("trials", [1, 5, 10, 40, 50, 300])
def test_each_limit_covers_and_picking_one_by_the_data_does_not(trials):
    """Binomial sums. Coverage jumps where p passes a limit, so its least values are beside the limits.

    The control is the rule that quotes the bound after no hit and the interval after some: it covers with 92.5 % for 50
    trials (0.92508), the least of all that were tried (docs/theory/definitions.md); and never with less than 1 - 3d/2.
    """
    hits = np.arange(trials + 1)
    found = [analysis.interval(int(k), trials) for k in hits]
    low, high, bound = (np.array([getattr(one, name) for one in found]) for name in ("low", "high", "bound"))
    picked = np.where(hits == 0, bound, high)
    edges = np.concatenate([low, high, bound])
    worst = {"pair": 1.0, "bound": 1.0, "picked": 1.0}
    for p in np.concatenate([edges * (1 - 1e-9), edges + 1e-9 * (1 - edges)]):
        mass = stats.binom.pmf(hits, trials, p)
        covered = {"pair": (low <= p) & (p <= high), "bound": p <= bound, "picked": (low <= p) & (p <= picked)}
        worst = {name: min(least, mass[covered[name]].sum()) for name, least in worst.items()}
    assert min(worst["pair"], worst["bound"]) >= 0.95 - 1e-7
    assert worst["picked"] >= 1 - 1.5 * 0.05
    if trials == 50:
        assert worst["picked"] == pytest.approx(0.92508, abs=1e-5), "the control falls short"


@lru_cache
def sampled(hits, unknown) -> analysis.Interval:
    """Limits for 80 trajectories of which 50 are candidates and 20 were looked at."""
    return Tally(80, (Stratum(50, 20, hits, unknown),)).interval()


@pytest.mark.parametrize("p", [0.02, 0.1, 0.4, 0.8])
@pytest.mark.parametrize(("answered", "bias"), [(1.0, 0.0), (0.7, 0.0), (0.7, 1.0), (0.0, 0.0)])
def test_the_limits_of_a_sample_with_undecided_ones_cover(p, answered, bias):
    """80 trajectories, 50 candidates, 20 examined; a share of these is undecided, hits or misses the more likely.

    Hits are binomial among all candidates. 2000 runs; the control leaves the undecided out, and fails if they are all
    hits.
    """
    rng = np.random.default_rng([int(100 * p), int(10 * answered), int(bias)])
    runs, covered, bounded, ignored = 2000, 0, 0, 0
    truth = p * 50 / 80
    for _ in range(runs):
        landed = rng.random(50) < p
        seen = np.zeros(50, bool)
        seen[rng.permutation(50)[:20]] = True
        quiet = rng.random(50) > (np.where(landed, answered * (1 - bias), 1.0) if bias else answered)
        hits, unknown = int((landed & seen & ~quiet).sum()), int((seen & quiet).sum())
        one = sampled(hits, unknown)
        covered += one.low <= truth <= one.high
        bounded += truth <= one.bound
        ignored += sampled(hits, 0).high >= truth
        assert (one.estimate is None) == bool(unknown)
    least = 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
    assert covered / runs >= least and bounded / runs >= least
    if bias and p == 0.8:
        assert ignored / runs < 0.5, "the control falls short"


def test_what_nobody_looked_at_bounds_from_above():
    found = Tally(1000, (Stratum(83, 0, 0),)).interval()
    assert (found.estimate, found.low) == (None, 0.0)
    assert found.bound == pytest.approx(stats.beta.ppf(0.95, 84, 1000 - 83))
    assert found.high == pytest.approx(stats.beta.ppf(0.975, 84, 1000 - 83))


# ---------------------------------------------------------------- a cell with known answers

STEPS, CHECKPOINTS = 10, (0, 5, 10)


def cell_of(**fields) -> xarray.Dataset:
    """Records of one cell in which nothing happened to any of the trajectories, but for the given fields."""
    n = len(next(iter(fields.values())))
    usual = {
        "status": np.full(n, Status.FINISHED, np.uint8),
        "stopped": np.full(n, STEPS, np.int32),
        "tie_first": np.full(n, -1, np.int32),
        "tie_count": np.zeros(n, np.int32),
        "sensitive_first": np.full(n, -1, np.int32),
        "margin": np.ones(n),
        "movement": np.ones(n),
        "objective": np.ones((n, len(CHECKPOINTS))),
    } | fields
    data = {
        name: (("trajectory", "checkpoint") if np.ndim(value) == 2 else "trajectory", np.asarray(value))
        for name, value in usual.items()
    }
    alone = {"c": 0.5, "convention": "tensorflow", "precision": "float64", "last_step_size": 0.1}
    return xarray.Dataset(data, {"checkpoint": list(CHECKPOINTS), **alone})


def test_counts_leave_out_what_has_not_run():
    cell = cell_of(
        status=[Status.FINISHED, Status.UNBOUNDED, Status.NOT_FINITE, Status.TOO_LONG, Status.NOT_RUN],
        tie_first=[0, 3, -1, -1, -1],
        sensitive_first=[-1, 4, -1, -1, -1],
    )
    assert analysis.counts(cell) == {
        "trajectories": 4,
        "tied": 2,
        "sensitive": 1,
        "unbounded": 1,
        "not_finite": 1,
        "too_long": 1,
    }


def test_unknown_states_and_precisions_fall_into_no_default():
    with pytest.raises(RecordsError, match=r"unknown status 7; expected one of 0 \(finished\), 1 \(left the ball\)"):
        analysis.counts(cell_of(status=[Status.FINISHED, 7]))
    cell = cell_of(status=[Status.FINISHED]).assign_coords(precision="float12")
    with pytest.raises(
        SimsaError, match="unknown precision 'float12'; expected one of 'float64', 'float32', 'float16'"
    ):
        analysis.summarise(records_of(cell), HEADER)
    with pytest.raises(
        SimsaError, match="unknown precision 'float12'; expected one of 'float64', 'float32', 'float16'"
    ):
        kink().objective(cell)


def test_final_states_are_exclusive_and_cover_all():
    cell = cell_of(
        status=[
            Status.FINISHED,
            Status.FINISHED,
            Status.FINISHED,
            Status.FINISHED,
            Status.UNBOUNDED,
            Status.NOT_FINITE,
            Status.NOT_RUN,
        ],
        movement=[0.0, 0.9e-4, 1.1e-4, np.inf, 0.0, np.nan, np.nan],
        sensitive_first=[2, -1, 3, -1, 1, -1, -1],
    )
    assert analysis.final_states(cell) == {
        "settled": 2,
        "moving": 2,
        "unbounded": 1,
        "not_finite": 1,
        "too_long": 0,
    }
    assert estimates.settled(cell).tolist() == [True, True] + [False] * 5


def landings_of(cell, *outcome) -> Landings:
    """Say what is known of the sensitive trajectories of a cell: that all landed, unless told."""
    found = Landings.of(cell)
    found.outcome[:] = outcome or LANDED
    return found


def test_the_first_passage_curve_counts_landings_up_to_each_step():
    cell = cell_of(sensitive_first=[-1, 0, 3, 3, 9, -1, -1, -1])
    curve = analysis.first_passage(landings_of(cell), STEPS)
    assert curve.step.tolist() == [0, 3, 9]
    assert curve.landed.tolist() == [1, 3, 4]
    assert curve.estimate.tolist() == [1 / 8, 3 / 8, 4 / 8]
    low, high = analysis.clopper_pearson([1, 3, 4], 8)
    assert curve.low.tolist() == low.tolist() and curve.high.tolist() == high.tolist()


def test_the_first_passage_curve_without_landings_is_zero_to_the_end():
    curve = analysis.first_passage(landings_of(cell_of(sensitive_first=[-1] * 20)), STEPS)
    assert curve.step.tolist() == [0, 9]
    assert curve.estimate.tolist() == [0, 0]


def test_a_long_first_passage_curve_is_thinned_and_stays_exact_where_it_stands():
    first = np.random.default_rng(0).integers(0, 100_000, 5000).astype(np.int32)
    curve = analysis.first_passage(landings_of(cell_of(sensitive_first=first)), 100_000, points=50)
    assert 40 <= curve.step.size <= 52
    for step, landed in zip(curve.step, curve.landed, strict=True):
        assert landed == (first <= step).sum()
    assert curve.landed[-1] == 5000


def test_first_passage_without_trajectories_has_no_estimate():
    curve = analysis.first_passage(landings_of(cell_of(status=[Status.NOT_RUN, Status.NOT_RUN])), STEPS)
    assert np.isnan(curve.estimate).all()
    assert curve.low.tolist() == [0, 0] and curve.high.tolist() == [1, 1]


def test_the_first_passage_curve_knows_what_is_not_known():
    """Of four sensitive trajectories one landed (step 2), one did not, one is undecided and one was not looked at."""
    cell = cell_of(sensitive_first=[2, 4, 6, 8, -1, -1, -1, -1])
    landings = landings_of(cell, LANDED, NOT_LANDED, UNDECIDED, NOT_EXAMINED)
    assert landings.outcomes().tolist() == [LANDED, NOT_LANDED, UNDECIDED, NOT_EXAMINED, *[NOT_LANDED] * 4]
    curve = analysis.first_passage(landings, STEPS)
    assert curve.step.tolist() == [0, 2, 6, 8, 9]
    assert curve.landed.tolist() == [0, 1, 1, 1, 1]
    np.testing.assert_equal(curve.estimate, [0, 1 / 8, np.nan, np.nan, np.nan])
    assert curve.high[2] == analysis.clopper_pearson(2, 8)[1] and curve.low[2] == analysis.clopper_pearson(1, 8)[0]
    assert landings.tally().strata == (Stratum(4, 3, 1, 1),)


def test_a_stopped_run_counts_as_an_infinite_objective():
    cell = cell_of(
        status=[Status.FINISHED, Status.FINISHED, Status.UNBOUNDED, Status.FINISHED, Status.FINISHED],
        objective=[[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, np.nan, np.nan], [9.0, 9.0, 9.0], [np.nan] * 3],
    )
    quantiles, sampled = analysis.objective_quantiles(cell, 3, (0.0, 0.5, 1.0))
    assert sampled == 3
    assert quantiles.tolist() == [[1, 1, 1], [2, 2, 2], [3, np.inf, np.inf]]


def test_objective_quantiles_without_trajectories_are_nan():
    quantiles, sampled = analysis.objective_quantiles(cell_of(status=[Status.FINISHED, Status.NOT_RUN]), 0)
    assert sampled == 0 and np.isnan(quantiles).all() and quantiles.shape == (5, 3)


def test_margins_count_how_many_came_how_near():
    cell = cell_of(margin=[0.0, 1e-12, 0.5, np.inf, np.nan], status=[Status.FINISHED] * 4 + [Status.NOT_FINITE])
    assert analysis.margins(cell, (0.0, 1e-12, 1e-3, 1.0)).tolist() == [1, 2, 2, 3]


# ---------------------------------------------------------------- the summary

HEADER = {
    "name": "made_up",
    "title": "Made up",
    "seed": 7,
    "digest": "abc",
    "steps": STEPS,
    "objective_trajectories": 2,
    "hypotheses": [{"theorem": "4", "hypothesis": "almost all x_0", "state": "not met", "why": "a point", "c": None}],
}


def records_of(*cells: xarray.Dataset) -> list[dict[str, np.ndarray]]:
    return [{name: variable.values for name, variable in cell.variables.items()} for cell in cells]


@pytest.fixture
def summary():
    calm = cell_of(margin=[0.5, 0.2, 0.1, 0.0], tie_first=[-1, -1, -1, 2])
    wild = cell_of(
        status=[Status.FINISHED, Status.UNBOUNDED, Status.NOT_FINITE, Status.NOT_RUN],
        tie_first=[1, -1, -1, -1],
        sensitive_first=[1, -1, -1, -1],
        movement=[0.0, np.inf, np.nan, np.nan],
        tie_count=[1, 0, 0, 0],
        objective=[[2.0, 1.0, 1.0], [2.0, np.nan, np.nan], [np.nan] * 3, [np.nan] * 3],
    )
    wild = wild.assign(sensitive_point=(("trajectory", "parameter"), np.zeros((4, 1))))
    timing = {"traj_steps_per_second": 1e6}
    return analysis.summarise(records_of(calm, wild), HEADER, subject=kink(), timing=timing)


def kink() -> analysis.Subject:
    """What the analysis asks of a program: abs(x), without data."""
    program = simsa.trace(lambda x: abs(x[0]), 1)
    objective = calculus.objective(program, np.zeros((1, 0)))
    batch, box = [(0,)], (np.array([-1.0]), np.array([1.0]))
    return analysis.Subject({"tensorflow": objective}, lambda *_: (0,), np.ones(STEPS), batch, box)


def test_the_summary_keeps_its_contract(summary):
    assert set(summary) >= {"scenario", "digest", "seed", "cells", "hypotheses", "timing"}
    assert (summary["scenario"], summary["digest"], summary["seed"]) == ("made_up", "abc", 7)
    *planned, continuous = summary["hypotheses"]
    assert planned == HEADER["hypotheses"]
    assert (continuous["hypothesis"], continuous["state"]) == ("each f_i is continuous (Def. 3)", "as stated")
    assert summary["timing"]["traj_steps_per_second"] == 1e6
    wanted = {"c", "convention", "precision", "trajectories", "steps", "tied", "sensitive", "landed", "unbounded"}
    for cell in summary["cells"]:
        assert set(cell) >= wanted | {"not_finite", "probability"}
        for event in ("landed", "sensitive", "tied", "unbounded", "not_finite"):
            assert set(cell["probability"][event]) == {"estimate", "low", "high", "bound", "level", "method"}
    calm, wild = summary["cells"]
    names = ("trajectories", "tied", "sensitive", "landed", "unbounded", "not_finite")
    assert [calm[name] for name in names] == [4, 1, 0, 0, 0, 0]
    assert [wild[name] for name in names] == [3, 1, 1, 1, 1, 1]
    assert calm["probability"]["landed"]["bound"] == pytest.approx(1 - 0.05 ** (1 / 4))
    assert wild["probability"]["landed"]["estimate"] == 1 / 3


def test_the_summary_is_strict_json(summary):
    text = json.dumps(summary, allow_nan=False)
    assert json.loads(text) == summary


def test_the_summary_has_curves(summary):
    calm, wild = summary["cells"]
    assert wild["first_passage"]["step"] == [0, 1, 9]
    assert wild["first_passage"]["estimate"] == [0, 1 / 3, 1 / 3]
    assert wild["objective"]["step"] == list(CHECKPOINTS)
    assert wild["objective"]["trajectories"] == 2
    assert wild["objective"]["quantiles"]["0.5"] == [2.0, 1.0, 1.0]
    assert wild["objective"]["quantiles"]["0.95"] == [2.0, None, None]
    assert calm["margin"]["trajectories"][0] == 1
    assert wild["final"] | {"tolerance": 0} == {
        "settled": 1,
        "moving": 0,
        "unbounded": 1,
        "not_finite": 1,
        "too_long": 0,
        "landed_settled": 1,
        "tolerance": 0,
    }


def test_simultaneous_intervals_are_wider(summary):
    for cell in summary["cells"]:
        alone, together = cell["probability"]["landed"], cell["simultaneous"]["landed"]
        assert together["low"] <= alone["low"] and together["high"] >= alone["high"]
        assert together["method"] == "Clopper-Pearson, Bonferroni over 2 cells"


def test_without_the_program_landings_are_bounded_by_the_sensitive_and_not_counted():
    cell = cell_of(tie_first=[1, -1, 3, -1], sensitive_first=[1, -1, 3, -1])
    (found,) = analysis.summarise(records_of(cell), HEADER)["cells"]
    assert (found["sensitive"], found["landed"], found["probability"]["landed"]["estimate"]) == (2, 0, None)
    assert found["probability"]["landed"]["bound"] == found["probability"]["sensitive"]["bound"]
    assert found["tie_kinds"]["why"] == "only the records were read, without the program and the data"
    assert found["first_passage"]["estimate"] == [0, None, None, None]


def test_a_run_without_checkpoints_has_a_summary():
    cell = cell_of(margin=[1.0, 2.0]).drop_vars("objective")
    summary = analysis.summarise(records_of(cell), HEADER)
    assert summary["cells"][0]["objective"]["step"] == []


def test_a_run_that_has_not_begun_has_a_summary():
    summary = analysis.summarise(records_of(cell_of(status=[Status.NOT_RUN, Status.NOT_RUN])), HEADER)
    assert summary["cells"][0]["probability"]["landed"]["estimate"] is None
    json.dumps(summary, allow_nan=False)


def test_epsilons_grow():
    assert list(estimates.EPSILONS) == sorted(estimates.EPSILONS)
