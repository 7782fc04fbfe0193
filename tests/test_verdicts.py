"""Claims, verdicts, kinds of points, bad scales and codimensions, on records that are made up to show them."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy import stats

import simsa
from simsa import analysis, calculus, cli, plots, report
from simsa.analysis import intervals, kinds, scales, scaling
from simsa.analysis.claims import Claim, evaluate
from simsa.analysis.intervals import Tally
from simsa.analysis.verdicts import verdicts
from simsa.ensemble.store import FINISHED, NOT_RUN, UNBOUNDED
from simsa.machine.launch import Descent, Initial
from simsa.scenario import hypotheses, load
from tests.test_analysis import HEADER, cell_of, records_of

# ---------------------------------------------------------------- tests and tallies


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (3, 10), (10, 10), (7, 200), (0, 200)])
@pytest.mark.parametrize("p", [0.0, 1 / 7, 0.5, 1.0])
def test_the_p_value_is_twice_the_smaller_tail(hits, trials, p):
    known = min(1, 2 * min(stats.binom.cdf(hits, trials, p), stats.binom.sf(hits - 1, trials, p)))
    assert Tally.of(hits, trials).p_value(p) == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("tally", [Tally.of(3, 50), Tally(50, ((20, 8, 3),)), Tally(50, ((20, 8, 3), (9, 9, 1)))])
def test_the_test_rejects_what_the_interval_leaves_out(tally):
    for level in (0.9, 0.95, 0.999):
        found = tally.interval(level)
        for p in (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 1.0):
            if min(abs(p - found.low), abs(p - found.high)) > 1e-6:
                assert (tally.p_value(p) > 1 - level) == (found.low <= p <= found.high)


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5])
def test_intervals_from_a_drawn_sample_cover(p):
    """All of 60 trajectories are candidates, 20 are examined: the whole distribution of the hits, enumerated."""
    total, examined, level = 60, 20, 0.9
    covered = 0.0
    inside = {h: Tally(total, ((total, examined, h),)).interval(level) for h in range(examined + 1)}
    for h, found in inside.items():
        # Hits among the examined are binomial, whatever the others are.
        covered += stats.binom.pmf(h, examined, p) * (found.low <= p <= found.high)
    assert covered >= level


@pytest.mark.parametrize(
    ("size", "examined", "hits"), [(30, 12, 0), (30, 12, 12), (30, 12, 5), (500, 40, 1), (9, 8, 4)]
)
@pytest.mark.parametrize("error", [0.05, 0.3])
def test_the_limits_of_a_population_are_those_that_the_hypergeometric_law_allows(size, examined, hits, error):
    allowed = [
        many
        for many in range(hits, size - examined + hits + 1)
        if stats.hypergeom.sf(hits - 1, size, many, examined) > error / 2
        and stats.hypergeom.cdf(hits, size, many, examined) > error / 2
    ]
    assert intervals._population(size, examined, hits, error) == (allowed[0], allowed[-1])


def test_a_complete_tally_is_clopper_pearson_and_a_sample_is_wider():
    known = Tally(1000, ((100, 100, 30),)).interval()
    low, high = analysis.clopper_pearson(30, 1000)
    assert (known.estimate, known.low, known.high) == (0.03, low, high)
    sampled = Tally(1000, ((100, 20, 6),)).interval()
    assert sampled.estimate == pytest.approx(0.03)
    assert sampled.low < known.low and sampled.high > known.high
    assert Tally(1000, ((100, 0, 0),)).estimate is None
    assert Tally(1000, ((0, 0, 0),)).interval(one_sided=True).high == analysis.upper_bound(1000)


def test_holm_is_that_of_the_definition():
    rng = np.random.default_rng(3)
    for _ in range(20):
        p = rng.random(6) ** 3
        for level in (0.9, 0.95):
            rejected, order = set(), np.argsort(p)
            for j, i in enumerate(order):
                if p[i] > (1 - level) / (len(p) - j):
                    break
                rejected.add(int(i))
            assert set(np.flatnonzero(analysis.holm(p) <= 1 - level).tolist()) == rejected
    assert analysis.holm([]).size == 0


def test_holm_falsely_rejects_no_more_often_than_stated():
    """All of ten claims are true; 2000 runs, so the share of runs with a rejection is known to 0.5 %."""
    rng = np.random.default_rng(5)
    wrong = 0
    for hits in rng.binomial(300, 1 / 7, (2000, 10)):
        wrong += min(analysis.holm([Tally.of(int(h), 300).p_value(1 / 7) for h in hits])) <= 0.05
    assert wrong / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_the_rule_for_zero_hits_covers_as_documented():
    """The headline picks one or two sides by the data: 93.8 % at worst for 95 %, and never below 1 - 3d/2."""
    trials = 2000
    hits = np.arange(trials + 1)
    low, high = analysis.clopper_pearson(hits, trials)
    high[0] = analysis.upper_bound(trials)
    worst = min(stats.binom.pmf(hits, trials, p)[(low <= p) & (p <= high)].sum() for p in np.linspace(1e-4, 5e-3, 1000))
    assert 1 - 1.5 * 0.05 <= 0.938 <= worst < 0.95


# ---------------------------------------------------------------- claims

CELLS = [{"c": c, "convention": "tensorflow", "precision": p} for c in (0.25, 1 / 3) for p in ("float64", "float32")]


def landed(*hits, total=7000):
    return [{"landed": Tally.of(h, total)} for h in hits]


def test_a_true_claim_holds_and_a_wrong_one_is_rejected():
    right = Claim("landed", 1 / 7, "closed form", "1/7", c=(0.25,))
    wrong = Claim("landed", 1 / 6, "a deliberate mistake", "1/6", c=(0.25,))
    never = Claim("landed", 0.0, "elsewhere none", c=(1 / 3,))
    found = evaluate([right, wrong, never], CELLS, landed(1000, 1010, 0, 1))
    assert [entry["holds"] for entry in found] == [True, True, False, False, True, False]
    for entry in found:
        assert set(entry) >= {"event", "text", "claimed", "cell", "estimate", "low", "high", "level", "method", "holds"}
        if entry["holds"]:
            assert entry["low"] <= entry["claimed"] <= entry["high"]
    assert found[0]["claimed_text"] == "1/7" and found[0]["trajectories"] == 7000 and found[0]["hits"] == 1000
    assert found[0]["high"] - found[0]["low"] > np.ptp(analysis.clopper_pearson(1000, 7000)), "they hold together"


def test_claims_name_their_cells():
    claim = Claim("landed", 0.5, "x", c=(1 / 3,), precision=("float32",))
    (entry,) = evaluate([claim], CELLS, landed(1, 1, 1, 1))
    assert (entry["cell"], entry["holds"]) == (3, False)
    (entry,) = evaluate([Claim("landed", 0.5, "x", c=(0.7,))], CELLS, landed(1, 1, 1, 1))
    assert (entry["cell"], entry["holds"], entry["method"]) == (None, None, "no such cell")


def test_what_was_not_counted_is_not_tested():
    (entry,) = evaluate([Claim("clarke", 0.5, "x")], CELLS[:1], [{"clarke": None}])
    assert (entry["holds"], entry["method"]) == (None, "not computed")
    (entry,) = evaluate([Claim("landed", 0.5, "x")], CELLS[:1], landed(0, total=0))
    assert entry["holds"] is None


# ---------------------------------------------------------------- verdicts

NAMES = {
    "alpha_k = o(1/log k)": True,
    "the sum of alpha_k is infinite (used for limits to be critical)": True,
    "c in (0, 1]": True,
    "almost all c": True,
    "I_k iid uniform over the nonempty subsets": True,
    "almost all x_0": True,
    "x_k is bounded": None,
}


def said(**changed):
    """All hypotheses met, but for those whose names contain a changed key."""
    held = {n: next((v for k, v in changed.items() if k in n), h) for n, h in NAMES.items()}
    return [{"theorem": "4", "hypothesis": name, "held": value, "why": "so"} for name, value in held.items()]


def finals(total, artificial=0, not_settled=0, landed=0, why=""):
    rest = total - landed - not_settled
    strata = {
        "clarke": [
            [landed, landed, landed - artificial],
            [total - landed, total - landed, rest],
        ],
        "artificial": [[landed, landed, artificial]],
        "not_settled": [[landed, landed, 0], [total - landed, total - landed, not_settled]],
    }
    return {"why": why, "kinds": {kind: {"strata": s} for kind, s in strata.items()}}


def a_cell(total=1000, landed=0, precision="exact", c=0.5, unbounded=0, **ends):
    return {
        "c": c, "convention": "tensorflow", "precision": precision, "steps": 50, "trajectories": total,
        "landed": landed, "unbounded": unbounded, "not_finite": 0, "too_long": 0,
        "final_kinds": finals(total, landed=landed, **ends),
    }  # fmt: skip


def by_part(*cells, bad=None, **changed):
    return {v["part"]: v for v in verdicts(cells, said(**changed), bad)}


LANDING, SELECTION, CLARKE = "finite time", "limits are selection critical", "limits are Clarke critical"


def test_nothing_that_speaks_against_is_consistent():
    found = by_part(a_cell(), a_cell(c=0.25))
    assert [found[part]["verdict"] for part in (LANDING, SELECTION, CLARKE)] == ["consistent"] * 3
    bound = analysis.upper_bound(2000)
    landing = found[LANDING]
    assert (landing["cells"], landing["trajectories"], landing["hits"], landing["high"]) == (2, 2000, 0, bound)
    assert landing["words"] == (
        "None of 2,000 trajectories (2 step scales c from 0.25 to 0.5, tensorflow, exact) landed where AD's answer "
        "depends on a tie (Sing or C) within 50 steps: its probability, averaged over these cells, is at most 0.0015 "
        "(exact, 95% confidence)."
    )
    assert {h["hypothesis"] for h in landing["hypotheses"]} == {"almost all x_0", "no step in F", "real numbers"}
    json.dumps(list(found.values()), allow_nan=False)


def test_a_landing_over_the_reals_at_drawn_c_contradicts():
    found = by_part(a_cell(landed=3, artificial=2))
    assert found[LANDING]["verdict"] == found[CLARKE]["verdict"] == "contradicted"
    assert (found[LANDING]["hits"], found[CLARKE]["hits"]) == (3, 2)
    assert found[LANDING]["low"] < 0.003 < found[LANDING]["high"]


def test_a_landing_in_floating_point_decides_nothing():
    found = by_part(a_cell(landed=3, artificial=2, precision="float32"))
    assert found[LANDING]["verdict"] == found[CLARKE]["verdict"] == "not decided"
    assert "Left open by: real numbers (float32: rounding both makes and destroys landings)" in found[LANDING]["words"]
    assert by_part(a_cell(precision="float32"))[LANDING]["verdict"] == "consistent"


def test_a_landing_at_chosen_c_decides_nothing():
    found = by_part(a_cell(landed=3), **{"almost all c": None})
    assert found[LANDING]["verdict"] == "not decided"
    assert "no step in F" in found[LANDING]["words"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("almost all x_0", {LANDING, CLARKE}),
        ("almost all c", {CLARKE}),
        ("alpha_k = o", {SELECTION, CLARKE}),
        ("the sum of alpha_k", {SELECTION, CLARKE}),
        ("c in (0, 1]", {SELECTION, CLARKE}),
        ("I_k iid", {SELECTION, CLARKE}),
    ],
)
@pytest.mark.parametrize("hits", [0, 5])
def test_a_broken_hypothesis_is_no_contradiction(name, parts, hits):
    found = by_part(a_cell(landed=hits, artificial=hits), **{name: False})
    for part in (LANDING, SELECTION, CLARKE):
        assert (found[part]["verdict"] == "hypothesis not met") == (part in parts)
    assert all("Not met: " in found[part]["words"] for part in parts)


def test_unbounded_runs_break_a_hypothesis_of_the_limits_but_not_of_finite_time():
    found = by_part(a_cell(), a_cell(unbounded=1))
    assert found[SELECTION]["verdict"] == found[CLARKE]["verdict"] == "hypothesis not met"
    assert "1 of 2000 runs left the ball" in found[CLARKE]["words"]
    assert "1 of them stopped early." in found[LANDING]["words"]
    assert found[LANDING]["verdict"] == "consistent"


def test_samples_of_many_cells_say_more_than_each_of_them():
    cell = a_cell()
    cell["final_kinds"]["kinds"]["not_settled"]["strata"] = [[0, 0, 0], [1000, 10, 4]]
    one, many = by_part(cell)[SELECTION], by_part(*[cell] * 50)[SELECTION]
    assert one["estimate"] == many["estimate"] == 0.4
    low, high = analysis.clopper_pearson(200, 500, 0.99)
    assert low < many["low"] < 0.4 < many["high"] < high
    assert one["low"] < low and one["high"] > high


def test_runs_that_have_not_settled_decide_nothing():
    found = by_part(a_cell(not_settled=10))
    assert found[SELECTION]["verdict"] == "not decided"
    assert found[SELECTION]["hits"] == 10
    assert found[CLARKE]["verdict"] == "consistent", "what has not settled is not artificial"


def test_without_final_points_landings_still_decide_what_they_can():
    calm, wild = a_cell(why="points were not kept"), a_cell(landed=2, why="points were not kept")
    assert by_part(calm)[SELECTION]["verdict"] == "not decided"
    assert by_part(calm)[CLARKE]["verdict"] == "consistent", "none landed, so none is artificial"
    assert by_part(wild)[CLARKE]["verdict"] == "not decided"
    assert by_part(wild)[CLARKE]["words"].startswith("It was not computed how many")


def test_cells_at_bad_scales_are_told_apart():
    bad = {"computed": True, "cells": [1]}
    found = by_part(a_cell(), a_cell(c=1.0, landed=140, artificial=140), bad=bad, **{"almost all c": None})
    assert found[LANDING]["verdict"] == "consistent" and found[LANDING]["trajectories"] == 1000
    assert found["bad steps"]["verdict"] == "hypothesis not met"
    assert (found["bad steps"]["hits"], found["bad steps"]["trajectories"]) == (140, 1000)
    assert found[CLARKE]["verdict"] == "consistent" and found[CLARKE]["trajectories"] == 1000
    only = by_part(a_cell(landed=140, artificial=140), bad={"computed": True, "cells": [0]})
    assert LANDING not in only and only[CLARKE]["verdict"] == "hypothesis not met"


def test_each_convention_and_precision_has_its_verdicts():
    """Cells that differ in these alone share their random numbers, so they are not counted together."""
    found = verdicts([a_cell(), a_cell(precision="float64")], said())
    assert [(v["part"], v["precision"]) for v in found] == [
        (part, precision) for precision in ("exact", "float64") for part in (LANDING, SELECTION, CLARKE)
    ]
    assert all(v["trajectories"] == 1000 for v in found)


def test_the_names_of_hypotheses_are_those_of_scenarios(scenarios):
    found = {h.hypothesis for h in hypotheses(load(scenarios / "bad_step.toml"))}
    assert found == set(NAMES)


# ---------------------------------------------------------------- kinds of points


def subject_of(program, rows=((),), **options):
    usual = {
        "objectives": {"tensorflow": calculus.objective(program, np.array(rows, np.float64))},
        "minibatch": lambda cell, trajectory, step: range(len(rows)),
        "alpha": 1 / np.arange(1.0, 11.0),
        "minibatches": [tuple(range(len(rows)))],
        "box": (np.full(program.p, -1.0), np.full(program.p, 1.0)),
    }
    return kinds.Subject(**usual | options)


def points_of(points, name="sensitive_point", **fields):
    array = np.array(points, np.float64)
    cell = cell_of(**{"status": np.full(len(array), FINISHED, np.uint8)} | fields)
    return cell.assign({name: (("trajectory", "parameter"), array)})


def test_ties_are_told_apart():
    """|x| has a kink at 0, zero(y) a wrong derivative there, and relu(z)^2 a tie that does nothing."""
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[1]) + simsa.relu(x[2]) ** 2, 3)
    points = [[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1], [1, 0, 0]]
    cell = points_of([*points, [np.nan] * 3], tie_first=[0, 1, 2, 3, 4, 5, -1], sensitive_first=[0, 1, 9, 3, -1, 5, -1])
    found = kinds.tie_kinds(cell, 0, subject_of(program), 1)
    assert {kind: entry["count"] for kind, entry in found["kinds"].items()} == {
        "harmless": 1, "C": 2, "Sing": 2, "rounding": 1, "undecided": 0,
    }  # fmt: skip
    assert (found["of"], found["classified"], found["why"], found["landed_later"]) == (6, 6, "", 1)
    assert found["kinds"]["Sing"]["estimate"] == pytest.approx(2 / 7)


def test_a_tie_is_that_of_the_minibatch_that_was_drawn():
    """s |x|: the kinks of s = 1 and s = -1 cancel in their mean, and not in either alone (Theorem 7's f_I)."""
    program = simsa.trace(lambda x, s: s[0] * abs(x[0]), 1, 1)
    subject = subject_of(program, [[1.0], [-1.0]], minibatch=lambda cell, t, k: [(0,), (1,), (0, 1)][t])
    cell = points_of([[0.0]] * 3, tie_first=[7, 7, 7])
    found = kinds.tie_kinds(cell, 0, subject, 1)
    assert (found["kinds"]["Sing"]["count"], found["kinds"]["harmless"]["count"]) == (2, 1)


def test_above_the_stated_count_a_fixed_sample_is_classified_and_says_so():
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[1]), 2)
    points = [[0.0, t + 1.0] if t % 2 else [t + 1.0, 0.0] for t in range(60)]
    cell = points_of(points, tie_first=np.zeros(60, np.int32))
    few = kinds.tie_kinds(cell, 0, subject_of(program, classify=20), 1)
    assert (few["of"], few["classified"]) == (60, 20)
    assert sum(entry["count"] for entry in few["kinds"].values()) == 20
    assert few == kinds.tie_kinds(cell, 0, subject_of(program, classify=20), 1)
    low, high = few["kinds"]["Sing"]["low"], few["kinds"]["Sing"]["high"]
    assert low < 0.5 < high and few["kinds"]["Sing"]["method"] == "hypergeometric within Clopper-Pearson"
    same = points_of([[0.0, 1.0]] * 60, tie_first=np.zeros(60, np.int32))
    assert kinds.tie_kinds(same, 0, subject_of(program, classify=1), 1)["classified"] == 60, "equal ties are one"


def test_nothing_is_classified_where_it_cannot_or_shall_not_be():
    program = simsa.trace(lambda x: abs(x[0]), 1)
    cell = points_of([[0.0]], tie_first=[0])
    assert "record.classify" in kinds.tie_kinds(cell, 0, subject_of(program, classify=0), 1)["why"]
    assert "record.points" in kinds.tie_kinds(cell.drop_vars("sensitive_point"), 0, subject_of(program), 1)["why"]
    rows = [[float(i)] for i in range(50_000)]
    large = subject_of(simsa.trace(lambda x, s: s[0] * abs(x[0]), 1, 1), rows, minibatches=None)
    found = kinds.tie_kinds(cell, 0, large, 1)
    assert "too large" in found["why"] and found["kinds"]["Sing"]["estimate"] is None


def test_final_points_are_told_apart():
    """x -> |x - 1| + 2 x - ... : J = |x| + (x - 1) [x > 1] is flat nowhere but at 0; zero(x + 1) traps at -1."""
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[0] + 1), 1)
    # On x < 0 the slope is -1; at -1 AD adds 1 and says 0. At 0 the kink of |x| is the minimiser.
    cell = points_of(
        [[-1.0], [-1.0], [1e-3], [-2e-3], [0.5], [9.9], [np.nan]],
        "final",
        status=[FINISHED] * 5 + [UNBOUNDED, NOT_RUN],
        sensitive_first=[3, 5, -1, -1, -1, -1, -1],
        movement=[0.0, 0.0, 1e-4, 1e-4, 1e-4, 1.0, np.nan],
    ).assign_coords(last_step_size=1e-4)
    found, tallies = kinds.final_kinds(cell, 0, subject_of(program), 1)
    counts = {kind: entry["count"] for kind, entry in found["kinds"].items()}
    assert counts == {"clarke": 2, "artificial": 2, "not_settled": 1}
    assert (found["of"], found["classified"], found["radius"]) == (5, 5, pytest.approx(1e-2))
    assert found["distance"]["least"] == 0.0 and found["distance"]["largest"] == pytest.approx(1.0)
    assert tallies["artificial"].total == 6 and tallies["artificial"].estimate == pytest.approx(2 / 6)
    assert tallies["clarke"].hits == 2


def test_ad_at_a_trap_is_not_taken_for_a_gradient_nearby():
    """Without landing on record the same point is not critical: the gradients around it are all -1."""
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[0] + 1), 1)
    cell = points_of([[-1.0]], "final", movement=[0.0]).assign_coords(last_step_size=1e-4)
    found, _ = kinds.final_kinds(cell, 0, subject_of(program), 1)
    assert found["kinds"]["not_settled"]["count"] == 1


# ---------------------------------------------------------------- bad scales


def quadratic_subject(**options):
    program = simsa.expression("where(x > 0, l*x**2/2, -x)", ["x"], ["l"])
    batches = [(0,), (1,), (0, 1)]
    return subject_of(program, [[1.0], [4.0]], minibatches=batches, **options)


def test_bad_scales_are_predicted_and_looked_up():
    """1/lambda for the means 1, 4, 5/2; with alpha_k = 1/(k + 1) a scale c is bad if c = (k + 1)/lambda."""
    cells = [{"c": c, "trajectories": 100, "landed": h} for c, h in ((0.25, 30), (0.3, 0), (0.4, 20), (0.8, 5))]
    found = scales.bad_scales(quadratic_subject(), cells)
    assert found["computed"] and [round(s["step"], 12) for s in found["steps"]] == [1.0, 0.4, 0.25]
    assert [s["minibatches"] for s in found["steps"]] == [[[0]], [[0, 1]], [[1]]]
    assert found["cells"] == [0, 2, 3]
    known = {(k + 1) / curvature for k in range(10) for curvature in (1, 4, 2.5) if 0.25 <= (k + 1) / curvature <= 0.8}
    assert {round(s["c"], 9) for s in found["scales"]} == {round(c, 9) for c in known}
    assert [s["step"] for s in found["scales"] if s["cells"] == [3]] == [1]
    assert (found["at"]["landed"], found["at"]["trajectories"]) == (55, 300)
    assert (found["elsewhere"]["landed"], found["elsewhere"]["high"]) == (0, analysis.upper_bound(100))


def test_long_runs_list_the_cells_that_are_hit_and_count_the_rest():
    cells = [{"c": 0.75, "trajectories": 1, "landed": 0}, {"c": 1500.25, "trajectories": 1, "landed": 0}]
    found = scales.bad_scales(quadratic_subject(alpha=1 / np.arange(1.0, 10001.0)), cells)
    assert found["cells"] == [0, 1] and len(found["scales"]) == scales.LISTED < found["scales_in_all"]
    assert [s["step"] for s in found["scales"] if s["cells"] == [1]] == [6000]


def test_bad_scales_that_cost_too_much_are_not_computed():
    cells = [{"c": 0.25, "trajectories": 100, "landed": 1}]
    assert "too many minibatches" in scales.bad_scales(subject_of_none(), cells)["why"]
    wide = subject_of(simsa.trace(lambda x: np.sum(x**2), 400))
    found = scales.bad_scales(wide, cells)
    assert "too large" in found["why"] and not found["computed"] and found["elsewhere"]["trajectories"] == 100


def subject_of_none():
    return subject_of(simsa.trace(lambda x: x[0] ** 2, 1), minibatches=None)


@pytest.mark.parametrize(
    ("law", "size", "replace", "n", "expected"),
    [
        ("full", 0, False, 3, [(0, 1, 2)]),
        ("uniform_subset", 0, False, 2, [(0,), (1,), (0, 1)]),
        ("fixed_size", 2, False, 3, [(0, 1), (0, 2), (1, 2)]),
        ("fixed_size", 2, True, 2, [(0, 0), (0, 1), (1, 1)]),
        ("reshuffled", 2, False, 3, [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]),
        ("reshuffled", 2, False, 4, list(itertools.combinations(range(4), 2))),
        ("uniform_subset", 0, False, 9, None),
        ("fixed_size", 8, False, 1797, None),
        ("fixed_size", 8, True, 1797, None),
    ],
)
def test_minibatches_that_can_be_drawn(law, size, replace, n, expected):
    law_of_x0 = Initial("normal", np.zeros(1), np.ones(1), np.zeros((0, 1)))
    descent = Descent(1, law, size, replace, np.ones(1), 1.0, 0, law_of_x0, np.zeros(0, np.int64), 0)
    assert report.drawable(descent, n) == expected


# ---------------------------------------------------------------- codimension


@pytest.mark.parametrize("d", [0.5, 1.0, 2.0])
def test_the_slope_of_a_power_law_is_found_as_often_as_stated(d):
    rng = np.random.default_rng(int(10 * d))
    runs = [analysis.codimension(rng.random(4000) ** (1 / d)) for _ in range(300)]
    covered = sum(found.low <= d <= found.high for found in runs)
    assert covered >= 300 * 0.95 - 3 * math.sqrt(300 * 0.95 * 0.05)
    assert np.mean([found.slope for found in runs]) == pytest.approx(d, rel=0.03)


def test_the_slope_without_a_lower_end_is_hills():
    margins = np.random.default_rng(0).random(4000)
    found = analysis.codimension(margins)
    near = np.sort(margins)[:200]
    assert found.used == 200 and found.epsilon_high == np.sort(margins)[200]
    assert found.slope == pytest.approx(1 / np.mean(np.log(found.epsilon_high / near)), rel=1e-3)


def test_margins_below_the_grain_of_the_format_are_left_out():
    """In float32 a margin of numbers near 1 is a multiple of 2^-24; the law above the grain is seen all the same."""
    rng = np.random.default_rng(1)
    margins = np.round(rng.random(10**6) * 1e-3 * 2**24) / 2**24
    found = analysis.codimension(margins, "float32")
    assert found.epsilon_low == scaling.SPACINGS * 2.0**-24 and found.zeros > 0
    assert found.low < 1 < found.high


def test_a_share_of_exact_ties_and_too_few_margins_are_said():
    found = analysis.codimension([0.0] * 70 + [0.5] * 30)
    assert (found.zeros, found.slope) == (70, None)
    assert analysis.codimension([]).slope is None
    assert analysis.codimension([np.inf] * 100).slope is None


# ---------------------------------------------------------------- all together


def test_the_summary_and_its_text_have_everything(tmp_path):
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[0] + 1), 1)
    fields = {"tie_first": [2, -1, -1, -1], "sensitive_first": [2, -1, -1, -1], "movement": [0.0, 1.0, 1.0, 1.0]}
    cell = points_of([[-1.0], [np.nan], [np.nan], [np.nan]], **fields)
    cell["final"] = (("trajectory", "parameter"), np.array([[-1.0], [0.0], [0.01], [-0.01]]))
    records = records_of(cell, cell.assign_coords(c=0.25))
    claims = [Claim("artificial", 0.25, "made so", "1/4"), Claim("landed", 1.0, "a mistake")]
    found = analysis.summarise(records, HEADER, subject=subject_of(program), claims=claims)
    json.dumps(found, allow_nan=False)
    assert [claim["holds"] for claim in found["claims"]] == [True, True, False, False]
    summary = found["cells"][0]
    assert summary["tie_kinds"]["kinds"]["C"]["count"] == 1
    assert summary["final_kinds"]["kinds"]["artificial"]["count"] == 1
    assert summary["codimension"]["zeros"] == 0
    assert {v["part"] for v in found["verdicts"]} >= {LANDING, SELECTION, CLARKE}
    printed = report.text(found, tmp_path)
    assert "- holds in 2 of 2 cells: P(artificial) = 1/4: made so" in printed
    assert "- REJECTED in 2 of 2 cells: P(landed) = 1: a mistake" in printed
    assert "  c = 0.5, tensorflow, float64: found 0.25 (" in printed
    assert "harmless/C/Sing" in printed and "0/1/0" in printed
    assert "bad step scales: none predicted" in printed
    assert "- Theorem 7, finite time: not decided." in printed
    assert printed.splitlines()[-1] == f"results: {tmp_path}"


CLAIMED = """
[[claim]]
event = "landed"
c = [1.0, 0.25]
probability = "1/7"
text = "one minibatch of seven has this mean, and every product is exact"

[[claim]]
event = "artificial"
c = [1.0, 0.25]
probability = "1/7"
text = "where it lands it stays"

[[claim]]
event = "landed"
c = [0.3, 0.9]
probability = 0
text = "no bad step"

[[claim]]
event = "landed"
c = [1.0]
probability = "1/6"
text = "deliberately wrong"

[[claim]]
event = "landed"
c = [0.9]
probability = 1e-2
text = "deliberately wrong as well"
"""


def test_the_claims_of_a_scenario_are_tested_on_its_run(scenarios, tmp_path, monkeypatch):
    """The whole way: scenarios/bad_step.toml with its closed form, and two wrong answers that must be found out."""
    monkeypatch.setattr(plots, "save_all", lambda summary, folder: [])
    file = tmp_path / "claimed.toml"
    text = (scenarios / "bad_step.toml").read_text(encoding="utf-8")
    file.write_text(text[: text.index("[[claim]]")] + CLAIMED, encoding="utf-8")
    settings = ("sweep.precision=['float64']", "sweep.c=[0.25, 0.3, '2/5', 0.9, 1]", "sweep.trajectories=20000")
    words = [word for setting in settings for word in ("--set", setting)]
    assert cli.main(["sweep", str(file), "--out", str(tmp_path / "out"), "--quiet", *words]) == 0
    found = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert [entry["holds"] for entry in found["claims"]] == [True] * 6 + [False] * 2
    assert all(entry["low"] <= entry["claimed"] <= entry["high"] for entry in found["claims"][:6])
    at = {cell["c"]: cell for cell in found["cells"]}
    assert at[1.0]["tie_kinds"]["kinds"]["C"]["count"] == at[1.0]["tie_kinds"]["classified"] > 0
    assert at[1.0]["final_kinds"]["kinds"]["artificial"]["count"] == at[1.0]["landed"]
    means = [1, 2, 4, 3 / 2, 5 / 2, 3, 7 / 3]
    assert [step["step"] for step in found["bad_scales"]["steps"]] == pytest.approx(sorted(1 / m for m in means)[::-1])
    assert found["bad_scales"]["elsewhere"]["landed"] == 0
    assert {found["cells"][i]["c"] for i in found["bad_scales"]["cells"]} == {
        c for c in at if min(abs(c * m - 1) for m in means) < 1e-9
    }
    verdict = {v["part"]: v["verdict"] for v in found["verdicts"]}
    assert verdict["finite time"] == "consistent" and verdict["bad steps"] == "hypothesis not met"


def test_of_many_cells_those_with_landings_and_the_outermost_are_printed():
    cells = [{"c": i, "landed": 3 if i in (100, 101) else 0} for i in range(200)]
    listed = [cell["c"] for cell in report._listed(cells)]
    assert len(listed) == report.LINES == 60 and listed == sorted(listed)
    assert {0, 1, 100, 101, 198, 199} <= set(listed) and 50 not in listed
    assert report._listed(cells[:60]) == cells[:60]
