"""Claims, verdicts, kinds of points, bad scales and codimensions, on records that are made up to show them."""

import itertools
import json
import math

import numpy as np
import pytest
from scipy import stats

import simsa
from simsa import analysis, calculus, questions, report
from simsa.analysis import intervals, kinds, scales, scaling
from simsa.analysis.claims import Claim, evaluate
from simsa.analysis.intervals import Stratum, Tally
from simsa.analysis.landings import Landing
from simsa.analysis.verdicts import verdicts
from simsa.errors import SimsaError
from simsa.machine.task import Descent, Initial
from simsa.records.status import Status
from simsa.report.cells import LISTED, listed
from simsa.scenario import hypotheses, load
from tests.analysis.test_analysis import HEADER, cell_of, landings_of, records_of
from tests.support import SCENARIOS
from tests.support.runs import swept

NOT_LANDED, LANDED, UNDECIDED, NOT_EXAMINED = Landing

# ---------------------------------------------------------------- tests and tallies


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (3, 10), (10, 10), (7, 200), (0, 200)])
@pytest.mark.parametrize("p", [0.0, 1 / 7, 0.5, 1.0])
def test_the_p_value_is_twice_the_smaller_tail(hits, trials, p):
    known = min(1, 2 * min(stats.binom.cdf(hits, trials, p), stats.binom.sf(hits - 1, trials, p)))
    assert Tally.of(hits, trials).p_value(p) == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize(
    "tally",
    [
        Tally.of(3, 50),
        Tally(50, (Stratum(20, 8, 3),)),
        Tally(50, (Stratum(20, 8, 3), Stratum(9, 9, 1))),
        Tally(50, (Stratum(20, 20, 3, 2),)),
    ],
)
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
    inside = {h: Tally(total, (Stratum(total, examined, h),)).interval(level) for h in range(examined + 1)}
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
    stratum = Stratum(size, examined, hits)
    assert intervals._fewest_hits(stratum, error / 2) == allowed[0]
    assert intervals._most_hits(stratum, error / 2) == allowed[-1]


def test_a_complete_tally_is_clopper_pearson_and_a_sample_is_wider():
    known = Tally(1000, (Stratum(100, 100, 30),)).interval()
    low, high = analysis.clopper_pearson(30, 1000)
    assert (known.estimate, known.low, known.high) == (0.03, low, high)
    sampled = Tally(1000, (Stratum(100, 20, 6),)).interval()
    assert sampled.estimate == pytest.approx(0.03)
    assert sampled.low < known.low and sampled.high > known.high
    assert Tally(1000, (Stratum(100, 0, 0),)).estimate is None
    assert Tally(1000, (Stratum(0, 0, 0),)).interval().bound == analysis.upper_bound(1000)


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
    (entry,) = evaluate([Claim("landed", 0.5, "x")], CELLS[:1], [{"landed": Tally(100, (Stratum(9, 0, 0),))}])
    assert (entry["holds"], entry["method"]) == (None, "not computed"), "nobody looked at the sensitive ones"


@pytest.mark.parametrize(("claimed", "holds"), [(0.1, True), (0.3, True), (0.6, False), (0.0, False)])
def test_a_claim_about_undecided_trajectories_is_rejected_only_if_they_do_not_matter(claimed, holds):
    """10 of 100 landed, 20 more may have: between 10 and 30 %."""
    found = evaluate([Claim("landed", claimed, "x")], CELLS[:1], [{"landed": Tally(100, (Stratum(40, 40, 10, 20),))}])
    assert (found[0]["holds"], found[0]["estimate"]) == (holds, None)


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


STATES = {True: "as stated", False: "not met", None: "open"}


def said(**changed):
    """All hypotheses met, but for those whose names contain a changed key."""
    held = {n: next((v for k, v in changed.items() if k in n), h) for n, h in NAMES.items()}
    return [
        {"theorem": "4", "hypothesis": name, "state": STATES[value], "why": "so", "c": None}
        for name, value in held.items()
    ]


def finals(total, artificial=0, not_settled=0, landed=0, why=""):
    rest = total - landed - not_settled
    strata = {
        "clarke": [
            [landed, landed, landed - artificial, 0],
            [total - landed, total - landed, rest, 0],
        ],
        "artificial": [[landed, landed, artificial, 0]],
        "not_settled": [[landed, landed, 0, 0], [total - landed, total - landed, not_settled, 0]],
    }
    return {
        "why": why,
        "certified": landed,
        "candidates": landed,
        "kinds": {k: {"strata": s} for k, s in strata.items()},
    }


def a_cell(total=1000, landed=0, precision="exact", c=0.5, unbounded=0, strata=None, **ends):
    classified = sum(stratum[1] for stratum in strata) if strata else landed
    ties = {"strata": strata or [[landed, landed, landed, 0]], "certified": classified, "classified": classified}
    return {
        "c": c, "convention": "tensorflow", "precision": precision, "steps": 50, "trajectories": total,
        "sensitive": sum(stratum[0] for stratum in ties["strata"]), "landed": landed, "tie_kinds": ties,
        "unbounded": unbounded, "not_finite": 0, "too_long": 0,
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
    assert (landing["cells"], landing["trajectories"], landing["hits"], landing["bound"]) == (2, 2000, 0, bound)
    assert landing["words"] == (
        "Landed where AD's answer depends on a tie (Sing or C) within 50 steps: none of 2,000 trajectories; "
        "probability 0 % (0 to 0.184 %; one-sided, at most 0.15 %)."
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
    assert found[LANDING]["words"].endswith("certified for 3 of 3 points. Hypotheses left open: real numbers.")
    (reals,) = [h for h in found[LANDING]["hypotheses"] if h["hypothesis"] == "real numbers"]
    assert (reals["state"], reals["why"]) == ("open", "in float32, rounding both makes and destroys landings")
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
    assert all("Hypotheses not met: " in found[part]["words"] for part in parts)


def test_unbounded_runs_break_a_hypothesis_of_the_limits_in_their_cell_alone():
    found = [v for v in verdicts([a_cell(), a_cell(unbounded=1)], said()) if v["part"] != LANDING]
    assert [(v["part"], v["verdict"], v["cells"]) for v in found] == [
        (SELECTION, "consistent", 1), (SELECTION, "hypothesis not met", 1),
        (CLARKE, "consistent", 1), (CLARKE, "hypothesis not met", 1),
    ]  # fmt: skip
    broken = [h for h in found[1]["hypotheses"] if h["state"] == "not met"]
    assert [(h["hypothesis"], h["why"]) for h in broken] == [
        ("x_k is bounded", "1 of 1,000 runs left the ball or met a number that is not finite")
    ]
    landing = by_part(a_cell(), a_cell(unbounded=1))[LANDING]
    assert "1 trajectories stopped early." in landing["words"] and landing["verdict"] == "consistent"


def test_a_scale_above_one_is_split_off_and_voids_no_other():
    """Theorem 4 for gamma_k = 2 alpha_k is Theorem 4 with c = 1 and the steps 2 alpha_k: the proof covers it."""
    hypotheses_of = [h for h in said() if h["hypothesis"] != "c in (0, 1]"]
    unit = {"theorem": "4", "hypothesis": "c in (0, 1]"}
    hypotheses_of += [
        {**unit, "state": "as stated", "why": "they are", "c": [0.5, 0.25]},
        {**unit, "state": "covered by the proof", "why": "rescaled", "c": [2.0]},
    ]
    found = verdicts([a_cell(), a_cell(c=0.25), a_cell(c=2.0, unbounded=7)], hypotheses_of)
    assert [(v["part"], v["c"], v["verdict"]) for v in found] == [
        (LANDING, [0.25, 2.0], "consistent"),
        (SELECTION, [0.25, 0.5], "consistent"),
        (SELECTION, [2.0, 2.0], "hypothesis not met"),
        (CLARKE, [0.25, 0.5], "consistent"),
        (CLARKE, [2.0, 2.0], "hypothesis not met"),
    ]
    states = {(h["hypothesis"], h["state"]) for h in found[2]["hypotheses"]}
    assert {("c in (0, 1]", "covered by the proof"), ("x_k is bounded", "not met")} <= states
    assert ("c in (0, 1]", "as stated") in {(h["hypothesis"], h["state"]) for h in found[1]["hypotheses"]}


def test_a_landing_that_may_or_may_not_be_decides_nothing():
    """Sensitive points that are undecided, or that nobody looked at, are neither hits nor excluded."""
    undecided = by_part(a_cell(strata=[[5, 5, 0, 2]]))[LANDING]
    assert (undecided["verdict"], undecided["hits"], undecided["estimate"]) == ("not decided", 0, None)
    assert ": none of 1,000 trajectories; 2 are undecided; probability 0 to 0.721 %." in undecided["words"]
    assert undecided["high"] == analysis.clopper_pearson(2, 1000)[1]
    unseen = by_part(a_cell(strata=[[83, 0, 0, 0]]))[LANDING]
    assert unseen["verdict"] == "not decided"
    assert unseen["words"].endswith(
        "not computed for the 83 of 1,000 trajectories for which it is possible, as sensitive points were not "
        "examined; probability at most 9.88 %."
    )
    some = by_part(a_cell(strata=[[5, 5, 1, 2]]))[LANDING]
    assert some["verdict"] == "contradicted", "one is known, over the reals, at drawn c"


def test_samples_of_many_cells_say_more_than_each_of_them():
    cell = a_cell()
    cell["final_kinds"]["kinds"]["not_settled"]["strata"] = [[0, 0, 0, 0], [1000, 10, 4, 0]]
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
    assert "not computed for 1,000 trajectories, as final points were not exam" in by_part(wild)[CLARKE]["words"]


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


def test_the_names_of_hypotheses_are_those_of_scenarios():
    found = {h.hypothesis for h in hypotheses(load(SCENARIOS / "bad_step.toml"), 1)}
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
    cell = cell_of(**{"status": np.full(len(array), Status.FINISHED, np.uint8)} | fields)
    return cell.assign({name: (("trajectory", "parameter"), array)})


def test_ties_are_told_apart():
    """|x| has a kink at 0, zero(y) a wrong derivative there, and relu(z)^2 a tie that does nothing."""
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[1]) + simsa.relu(x[2]) ** 2, 3)
    points = [[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1], [1, 0, 0]]
    first = [0, 1, 2, 3, 4, 5, -1]
    cell = points_of([*points, [np.nan] * 3], tie_first=first, sensitive_first=first, tie_count=[1] * 6 + [0])
    found, landings = kinds.tie_kinds(cell, 0, subject_of(program), 1)
    assert {kind: entry["count"] for kind, entry in found["kinds"].items()} == {
        "harmless": 1, "C": 2, "Sing": 2, "rounding": 1, "undecided": 0,
    }  # fmt: skip
    assert (found["of"], found["classified"], found["why"], found["later"]) == (6, 6, "", 0)
    assert found["kinds"]["Sing"]["estimate"] == pytest.approx(2 / 7)
    assert landings.outcomes().tolist() == [LANDED, LANDED, NOT_LANDED, LANDED, NOT_LANDED, LANDED, NOT_LANDED]
    assert found["strata"] == [[6, 6, 4, 0]]


def test_a_harmless_first_point_excludes_no_later_landing():
    """relu(z)^2 ties harmlessly. Known of later ties: their number, with those before the first sensitive one."""
    program = simsa.trace(lambda x: abs(x[0]) + simsa.relu(x[2]) ** 2 + 0 * x[1], 3)
    cell = points_of(
        [[1, 1, 0]] * 4 + [[0, 1, 1]],
        tie_first=[3, 3, 2, 2, 3],
        sensitive_first=[3] * 5,
        tie_count=[1, 2, 2, 3, 9],
    )
    found, landings = kinds.tie_kinds(cell, 0, subject_of(program), 1)
    assert landings.outcome.tolist() == [NOT_LANDED, UNDECIDED, NOT_LANDED, UNDECIDED, LANDED]
    assert (found["later"], found["strata"]) == (2, [[5, 5, 1, 2]])


def test_a_tie_of_the_arithmetic_is_no_landing_but_in_exact_cells_undecided():
    """At float32(1/3), 3 x - 1 is 0 in float32 and not in float64; an exact cell's 1/3 is no float64."""
    program = simsa.trace(lambda x: abs(3 * x[0] - 1), 1)
    x = [[float(np.float32(1 / 3))]]
    assert np.float32(3) * np.float32(1 / 3) == 1
    cell = points_of(x, tie_first=[2], sensitive_first=[2], tie_count=[1])
    for precision, outcome in (("float32", NOT_LANDED), ("exact", UNDECIDED)):
        found, landings = kinds.tie_kinds(cell.assign_coords(precision=precision), 0, subject_of(program), 1)
        assert found["kinds"]["rounding"]["count"] == 1 and landings.outcome.tolist() == [outcome]


def test_a_tie_is_that_of_the_minibatch_that_was_drawn():
    """s |x|: the kinks of s = 1 and s = -1 cancel in their mean, and not in either alone (Theorem 7's f_I)."""
    program = simsa.trace(lambda x, s: s[0] * abs(x[0]), 1, 1)
    drawn = [(0,), (1,), (0, 1)]
    subject = subject_of(program, [[1.0], [-1.0]], minibatch=lambda cell, t, k: drawn[t], minibatches=drawn)
    cell = points_of([[0.0]] * 3, tie_first=[7, 7, 7], sensitive_first=[7, 7, 7], tie_count=[1, 1, 1])
    found, _ = kinds.tie_kinds(cell, 0, subject, 1)
    assert (found["kinds"]["Sing"]["count"], found["kinds"]["harmless"]["count"]) == (2, 1)


def sensitive(points, **fields):
    """Return a cell whose trajectories all met their first sensitive tie, and no other, at step 0."""
    zeros = np.zeros(len(points), np.int32)
    return points_of(points, tie_first=zeros, sensitive_first=zeros, tie_count=zeros + 1, **fields)


def test_above_the_stated_count_a_fixed_sample_is_classified_and_says_so():
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[1]), 2)
    points = [[0.0, t + 1.0] if t % 2 else [t + 1.0, 0.0] for t in range(60)]
    cell = sensitive(points)
    few, landings = kinds.tie_kinds(cell, 0, subject_of(program, classify=20), 1)
    assert (few["of"], few["classified"]) == (60, 20)
    assert sum(entry["count"] for entry in few["kinds"].values()) == 20
    assert few == kinds.tie_kinds(cell, 0, subject_of(program, classify=20), 1)[0]
    low, high = few["kinds"]["Sing"]["low"], few["kinds"]["Sing"]["high"]
    assert low < 0.5 < high and few["kinds"]["Sing"]["method"] == "hypergeometric within Clopper-Pearson"
    assert few["strata"] == [[60, 20, 20, 0]] and landings.tally().estimate == 1
    same = sensitive([[0.0, 1.0]] * 60)
    assert kinds.tie_kinds(same, 0, subject_of(program, classify=1), 1)[0]["classified"] == 60, "equal ties are one"


def test_paired_cells_are_asked_the_same_questions():
    """Cells of one c examine the same trajectories, whatever their place; another c, others."""
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[1]), 2)
    cell = sensitive([[0.0, t + 1.0] if t % 2 else [t + 1.0, 0.0] for t in range(200)])
    subject = subject_of(program, classify=20)
    asked = [np.flatnonzero(kinds.tie_kinds(cell, i, subject, 1)[1].outcome == LANDED).tolist() for i in (0, 1, 7)]
    assert asked[0] == asked[1] == asked[2] and len(asked[0]) == 20
    other = kinds.tie_kinds(cell.assign_coords(c=0.25), 0, subject, 1)[1]
    assert np.flatnonzero(other.outcome == LANDED).tolist() != asked[0]
    fewer = cell.isel(trajectory=slice(0, 150))
    assert set(asked[0]) & set(range(150)) <= set(
        np.flatnonzero(kinds.tie_kinds(fewer, 0, subject, 1)[1].outcome == LANDED).tolist()
    ), "who is drawn is a function of the number of the trajectory"


def test_three_conventions_with_the_same_bits_have_the_same_ends_and_say_so_once(tmp_path):
    """The run never meets a tie, so no convention matters: the same sample and the same kinds in each cell."""
    program = simsa.trace(lambda x: abs(x[0]), 1)
    ends = np.random.default_rng(0).normal(size=(300, 1)) * 1e-2
    cell = points_of(ends, "final", movement=np.full(300, 1e-3)).assign_coords(last_step_size=1e-4)
    names = ("tensorflow", "pytorch", "jax")
    subject = subject_of(program, objectives=dict.fromkeys(names, calculus.objective(program, np.zeros((1, 0)))))
    records = records_of(*(cell.assign_coords(convention=name) for name in names))
    found = analysis.summarise(records, HEADER, subject=subject)
    first, *others = [one["final_kinds"] for one in found["cells"]]
    assert first["classified"] == 100 < first["of"] and 0 < first["kinds"]["clarke"]["count"] < 100
    assert all(one == first for one in others)
    assert [(one["of"], one["differ"]) for one in found["comparisons"]] == [
        ([names[0], other], 0) for other in names[1:]
    ]
    text = " ".join(report.text(found, tmp_path).split())
    said = "all records of 600 pairs of trajectories with the same starts and minibatches are the same bits"
    assert text.count(f"The convention does not matter here: {said} (tensorflow, pytorch, jax)") == 1
    assert text.count("Theorem 7, finite time") == 2 and "tensorflow, pytorch, jax; float64" in text
    changed = records_of(cell, cell.assign_coords(convention="jax"))
    changed[1]["margin"] = changed[1]["margin"] * (1 + 2**-52)
    again = analysis.summarise(changed, HEADER, subject=subject)
    assert "same bits" not in report.text(again, tmp_path)
    (convention,) = again["comparisons"]
    assert (convention["axis"], convention["of"]) == ("convention", ["tensorflow", "jax"])
    assert convention["differ"] == convention["trajectories"] == convention["neither"] == 300


def test_how_many_are_examined_does_not_depend_on_the_answers():
    """Sing or not by the sign of x[1]: the share of landings among the examined is unbiased over who is drawn (c)."""
    program = simsa.trace(lambda x: abs(x[0]) * (1 + 0 * x[1]) + simsa.relu(x[0]) ** 2, 2)
    points = [[0.0, 1.0 + t] if t < 30 else [1.0 + t, 0.0] for t in range(100)]  # 30 of 100 land
    subject, shares = subject_of(program, classify=10), []
    for k in range(200):
        cell = sensitive(points).assign_coords(c=0.001 * (k + 1))
        shares.append(kinds.tie_kinds(cell, 0, subject, 1)[1].tally().estimate)
    sd = math.sqrt(0.3 * 0.7 / 10 * 90 / 99 / 200)
    assert abs(np.mean(shares) - 0.3) < 3 * sd


def test_nothing_is_classified_where_it_cannot_or_shall_not_be():
    program = simsa.trace(lambda x: abs(x[0]), 1)
    cell = sensitive([[0.0]])
    assert "record.classify" in kinds.tie_kinds(cell, 0, subject_of(program, classify=0), 1)[0]["why"]
    assert "record.points" in kinds.tie_kinds(cell.drop_vars("sensitive_point"), 0, subject_of(program), 1)[0]["why"]
    rows = [[float(i)] for i in range(50_000)]
    large = subject_of(simsa.trace(lambda x, s: s[0] * abs(x[0]), 1, 1), rows, minibatches=None, classify=1)
    found, landings = kinds.tie_kinds(cell, 0, large, 1)
    assert "too large" in found["why"] and found["kinds"]["Sing"]["estimate"] is None
    assert landings.outcome.tolist() == [NOT_EXAMINED] and found["strata"] == [[1, 0, 0, 0]]


def test_final_points_are_told_apart():
    """x -> |x - 1| + 2 x - ... : J = |x| + (x - 1) [x > 1] is flat nowhere but at 0; zero(x + 1) traps at -1."""
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[0] + 1), 1)
    # On x < 0 the slope is -1; at -1 AD adds 1 and says 0. At 0 the kink of |x| is the minimiser.
    cell = points_of(
        [[-1.0], [-1.0], [1e-3], [-2e-3], [0.5], [9.9], [np.nan]],
        "final",
        status=[Status.FINISHED] * 5 + [Status.UNBOUNDED, Status.NOT_RUN],
        sensitive_first=[3, 5, -1, -1, -1, -1, -1],
        movement=[0.0, 0.0, 1e-4, 1e-4, 1e-4, 1.0, np.nan],
    ).assign_coords(last_step_size=1e-4)
    found, tallies = kinds.final_kinds(cell, subject_of(program), landings_of(cell), 1)
    assert (found["certified"], found["candidates"]) == (2, 2)
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
    found, _ = kinds.final_kinds(cell, subject_of(program), landings_of(cell), 1)
    assert found["kinds"]["not_settled"]["count"] == 1
    felt = cell.assign(sensitive_first=("trajectory", [3]))
    for outcome, kind in ((NOT_LANDED, "not_settled"), (LANDED, "artificial"), (UNDECIDED, "artificial")):
        found, _ = kinds.final_kinds(felt, subject_of(program), landings_of(felt, outcome), 1)
        assert found["kinds"][kind]["count"] == 1, "a harmless sensitive point is no landing"


# ---------------------------------------------------------------- bad scales


def quadratic_subject(**options):
    program = simsa.expression("where(x > 0, l*x**2/2, -x)", ["x"], ["l"])
    batches = [(0,), (1,), (0, 1)]
    return subject_of(program, [[1.0], [4.0]], minibatches=batches, **options)


def test_bad_scales_are_predicted_and_looked_up():
    """1/lambda for the means 1, 4, 5/2; with alpha_k = 1/(k + 1) a scale c is bad if c = (k + 1)/lambda."""
    cells = [a_cell(100, h, c=c) for c, h in ((0.25, 30), (0.3, 0), (0.4, 20), (0.8, 5))]
    found = scales.bad_scales(quadratic_subject(), cells)
    assert found["computed"] and [round(s["step"], 12) for s in found["steps"]] == [1.0, 0.4, 0.25]
    assert [s["minibatches"] for s in found["steps"]] == [[[0]], [[0, 1]], [[1]]]
    assert found["cells"] == [0, 2, 3]
    known = {(k + 1) / curvature for k in range(10) for curvature in (1, 4, 2.5) if 0.25 <= (k + 1) / curvature <= 0.8}
    assert {round(s["c"], 9) for s in found["scales"]} == {round(c, 9) for c in known}
    assert [s["step"] for s in found["scales"] if s["cells"] == [3]] == [1]
    assert [(p["landed"], p["trajectories"]) for p in found["at"]] == [(55, 300)]
    assert [(p["landed"], p["bound"]) for p in found["elsewhere"]] == [(0, analysis.upper_bound(100))]
    paired = scales.bad_scales(quadratic_subject(), [*cells, a_cell(100, c=0.3, precision="float64")])
    assert [(p["precision"], p["bound"]) for p in paired["elsewhere"]] == [
        (precision, analysis.upper_bound(100)) for precision in ("exact", "float64")
    ], "these share their random numbers"


def test_long_runs_list_the_cells_that_are_hit_and_count_the_rest():
    cells = [a_cell(1, c=0.75), a_cell(1, c=1500.25)]
    found = scales.bad_scales(quadratic_subject(alpha=1 / np.arange(1.0, 10001.0)), cells)
    assert found["cells"] == [0, 1] and len(found["scales"]) == scales.LISTED < found["scales_in_all"]
    assert [s["step"] for s in found["scales"] if s["cells"] == [1]] == [6000]


def test_bad_scales_that_cost_too_much_are_not_computed():
    cells = [a_cell(100, 1, c=0.25)]
    assert "too many minibatches" in scales.bad_scales(subject_of_none(), cells)["why"]
    wide = subject_of(simsa.trace(lambda x: np.sum(x**2), 400))
    found = scales.bad_scales(wide, cells)
    assert "too large" in found["why"] and not found["computed"] and found["elsewhere"][0]["trajectories"] == 100


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
    assert questions.drawable(descent, n) == expected


def test_an_unknown_law_of_minibatches_falls_into_no_default():
    law_of_x0 = Initial("normal", np.zeros(1), np.ones(1), np.zeros((0, 1)))
    with pytest.raises(SimsaError, match="unknown law of the minibatch 'fixed'"):
        Descent(1, "fixed", 2, False, np.ones(1), 1.0, 0, law_of_x0, np.zeros(0, np.int64), 0)
    descent = Descent(1, "full", 2, False, np.ones(1), 1.0, 0, law_of_x0, np.zeros(0, np.int64), 0)
    object.__setattr__(descent, "law", "fixed")
    with pytest.raises(SimsaError, match="unknown law of the minibatch 'fixed'"):
        questions.drawable(descent, 3)


# ---------------------------------------------------------------- codimension


def power(d):
    """Margins with P(margin <= e) = e^d."""
    return lambda rng, n: rng.random(n) ** (1 / d)


def contaminated(b):
    """Margins with P(margin <= e) = e (1 + b e) / (1 + b)."""
    return lambda rng, n: (np.sqrt(1 + 4 * b * (1 + b) * rng.random(n)) - 1) / (2 * b)


def saturating(b):
    """Margins with P(margin <= e) = e (1 + b) / (1 + b e)."""
    return lambda rng, n: (lambda u: u / (1 + b - b * u))(rng.random(n))


def product(rng, n):
    """Margins with P(margin <= e) = e (1 + log(1/e)): a slowly varying factor."""
    return rng.random(n) * rng.random(n)


def with_atoms(rng, n):
    """Half of the runs meet a tie exactly."""
    return np.where(rng.random(n) < 0.5, 0.0, rng.random(n))


def runs(draw, n, count, seed=0):
    """Fit the slopes of `count` runs."""
    rng = np.random.default_rng([seed, n, count])
    return [analysis.codimension(draw(rng, n)) for _ in range(count)]


@pytest.mark.parametrize("n", [1000, 4000, 20000])
@pytest.mark.parametrize(
    ("draw", "d", "fitted"),
    [
        (power(0.5), 0.5, 0.8),
        (power(1), 1, 0.8),
        (power(2), 2, 0.25),
        (contaminated(1), 1, 0.8),
        (saturating(1), 1, 0.8),
        (saturating(100), 1, 0.8),
        (product, 1, 0.8),
        (with_atoms, 1, 0.8),
    ],
    ids=["1/2", "1", "2", "1 + e", "1/(1 + e)", "1/(1 + 100 e)", "log", "atoms"],
)
def test_the_interval_of_a_slope_covers_it_and_is_given(draw, d, fitted, n):
    """Of the runs with a slope, at least 95 % have the true one in the interval; a share of `fitted` has one."""
    count = 100
    found = [one for one in runs(draw, n, count) if one.slope is not None]
    if draw is with_atoms and n == 1000:
        assert not found and "too few to fit: 640 are needed" in runs(draw, n, 1)[0].why  # about 500 are positive
        return
    covered = sum(one.low <= d <= one.high for one in found)
    assert covered >= 0.95 * len(found) - 3 * math.sqrt(len(found) * 0.95 * 0.05)
    assert len(found) >= fitted * count - 3 * math.sqrt(count * fitted * (1 - fitted))
    assert all(0 <= one.low <= one.slope <= one.high and not one.why for one in found)
    assert np.median([one.high for one in found]) < 3 * d, "and still says something"


def test_the_control_falls_short():
    """The interval of one range alone, as it was fitted before, misses where a slowly varying factor bends the law."""
    covered = 0
    for seed in range(100):
        near = np.sort(product(np.random.default_rng([9, seed]), 100_000))
        _, low, high = scaling._truncated_exponential(np.log(near[1000] / near[:1000]), 25.0, 0.95)
        covered += low <= 1 <= high
    assert covered < 50


def test_a_thousand_runs_and_many_more_agree():
    """Four runs of 1000 each contain the slope that 100,000 have."""
    for draw in (power(1), contaminated(1), product):
        many = next(one.slope for one in runs(draw, 100_000, 4) if one.slope is not None)
        few = [one for one in runs(draw, 1000, 8, seed=3) if one.slope is not None]
        assert len(few) >= 4 and all(one.low <= many <= one.high for one in few)


@pytest.mark.parametrize("n", [1000, 20000])
@pytest.mark.parametrize("gap", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("edge", [1, 2, 6], ids="edge {}".format)
def test_what_is_not_approached_has_no_slope(gap, edge, n):
    """Margins gap + v, P(v <= e) ~ e^edge: they end at the gap, however gently."""
    found = runs(lambda rng, m: gap + rng.random(m) ** (1 / edge), n, 40)
    assert all(one.slope is None and one.why for one in found)
    if gap == 1.0:
        assert all(one.why == f"not approached: the smallest margin is {one.smallest:.3g}" for one in found)


@pytest.mark.parametrize("distance", [5.0, 8.0, 20.0])
def test_starts_far_from_any_tie_do_not_look_like_a_high_codimension(distance):
    """abs(N(distance, 1)): the tail of the normal law looks like a power, over a range that ends far from 0."""
    found = runs(lambda rng, n: np.abs(rng.normal(distance, 1, n)), 5000, 40)
    assert all(one.slope is None for one in found)


def test_the_test_of_fit_rejects_a_true_power_law_as_often_as_stated():
    """10 %, whatever the exponent and the number of margins: its statistic has no parameter left."""
    rejected = sum("no power law" in one.why for d in (0.5, 1.0) for one in runs(power(d), 4000, 400))
    assert abs(rejected / 800 - 0.1) < 3 * math.sqrt(0.1 * 0.9 / 800)


def test_the_slope_without_a_lower_end_is_hills():
    margins = np.random.default_rng(1).random(4000)
    found = analysis.codimension(margins)
    near = np.sort(margins)[:100]
    assert found.used == 100 and found.epsilon_high == np.sort(margins)[100]
    assert found.slope == pytest.approx(1 / np.mean(np.log(found.epsilon_high / near)), rel=1e-3)


def test_margins_below_the_grain_of_the_format_are_left_out():
    """In float32 a margin of numbers near 1 is a multiple of 2^-24; the law above the grain is seen all the same."""
    rng = np.random.default_rng(3)
    margins = np.round(rng.random(20000) * 2**24) / 2**24
    margins[:7] = 0
    found = analysis.codimension(margins, "float32")
    assert found.epsilon_low == scaling.SPACINGS * 2.0**-24 and found.zeros >= 7
    assert found.low < 1 < found.high


def test_where_the_grain_is_near_there_is_no_slope_and_never_a_negative_one():
    """float32, all margins within some thousand units of rounding: they used to be fitted, with slopes below 0."""
    rng = np.random.default_rng(2)
    for width in (100, 300, 1000):
        margins = np.round(rng.random(20000) ** 0.5 * width) / 2**24
        found = analysis.codimension(margins, "float32")
        assert found.slope is None and found.why


def test_unknown_formats_have_no_unit_of_rounding():
    with pytest.raises(SimsaError, match="unknown precision 'float12'"):
        analysis.codimension([0.5] * 1000, "float12")


def test_a_share_of_exact_ties_and_too_few_margins_are_said():
    found = analysis.codimension([0.0] * 70 + [0.5] * 30)
    assert (found.zeros, found.slope) == (70, None) and "too few" in found.why
    assert (
        analysis.codimension([]).why == analysis.codimension([np.inf] * 100).why == "no margin is positive and finite"
    )
    assert "not approached" in analysis.codimension([0.5] * 1000).why
    assert all("too few" in analysis.codimension(np.arange(1.0, n + 1)).why for n in range(1, 50))


# ---------------------------------------------------------------- all together


def test_the_summary_and_its_text_have_everything(tmp_path):
    program = simsa.trace(lambda x: abs(x[0]) + simsa.zero(x[0] + 1), 1)
    fields = {"tie_first": [2, -1, -1, -1], "sensitive_first": [2, -1, -1, -1], "movement": [0.0, 1.0, 1.0, 1.0]}
    fields |= {"tie_count": [1, 0, 0, 0]}
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
    printed = report.text(found, tmp_path, full=True)
    assert "- holds in 2 of 2 cells: P(artificial) = 1/4 (made so)" in printed
    assert "- REJECTED in 2 of 2 cells: P(landed) = 1 (a mistake)" in printed
    assert "  c = 0.25, 0.5; tensorflow; float64: found 0.25 (" in printed
    assert "harmless  C  Sing  certified" in printed and "critical  artificial  not converged" in printed
    assert "bad step scales: none predicted" in printed
    assert "- Theorem 7, finite time: hypothesis not met; Theorem 4, " in printed
    assert "- Theorem 7, finite time (2 step scales c from 0.25 to 0.5; tensorflow; float64): Landed where" in printed
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


def test_the_claims_of_a_scenario_are_tested_on_its_run(tmp_path, no_figures):
    """The whole way: scenarios/bad_step.toml with its closed form, and two wrong answers that must be found out."""
    file = tmp_path / "claimed.toml"
    text = (SCENARIOS / "bad_step.toml").read_text(encoding="utf-8")
    file.write_text(text[: text.index("[[claim]]")] + CLAIMED, encoding="utf-8")
    settings = ("sweep.precision=['float64']", "sweep.c=[0.25, 0.3, '2/5', 0.9, 1]", "sweep.trajectories=20000")
    found = swept(file, tmp_path / "out", *settings)
    assert [entry["holds"] for entry in found["claims"]] == [True] * 6 + [False] * 2
    assert all(entry["low"] <= entry["claimed"] <= entry["high"] for entry in found["claims"][:6])
    at = {cell["c"]: cell for cell in found["cells"]}
    assert at[1.0]["tie_kinds"]["kinds"]["C"]["count"] == at[1.0]["tie_kinds"]["classified"] > 0
    assert at[1.0]["final_kinds"]["kinds"]["artificial"]["count"] == at[1.0]["landed"]
    means = [1, 2, 4, 3 / 2, 5 / 2, 3, 7 / 3]
    assert [step["step"] for step in found["bad_scales"]["steps"]] == pytest.approx(sorted(1 / m for m in means)[::-1])
    assert [p["landed"] for p in found["bad_scales"]["elsewhere"]] == [0]
    assert {found["cells"][i]["c"] for i in found["bad_scales"]["cells"]} == {
        c for c in at if min(abs(c * m - 1) for m in means) < 1e-9
    }
    verdict = {v["part"]: v["verdict"] for v in found["verdicts"]}
    assert verdict["finite time"] == "consistent" and verdict["bad steps"] == "hypothesis not met"


def test_of_many_cells_those_with_landings_and_the_outermost_are_printed():
    rows = [((str(i),), [{"c": i, "sensitive": 3 if i in (100, 101) else 0}]) for i in range(200)]
    found = [cell["c"] for _, (cell,) in listed(rows)]
    assert len(found) == LISTED == 60 and found == sorted(found)
    assert {0, 1, 100, 101, 198, 199} <= set(found) and 50 not in found
    assert listed(rows[:60]) == rows[:60]
