"""The sentences that a report begins with, on stored summaries and on ones made for each case."""

import copy
import csv
import io
import json

import numpy as np
import pytest

from simsa import analysis
from simsa.analysis.comparisons import comparisons, together
from simsa.analysis.intervals import Stratum, Tally, upper_bound
from simsa.analysis.landings import Landing, Landings
from simsa.report import table
from simsa.report.answers import MOST, answers
from simsa.report.findings import matrix
from simsa.report.section import Code, plain
from simsa.scenario import load
from tests.support import DATA, ROOT
from tests.support.runs import swept

STORED = DATA / "report"


def stored(name):
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


def said(summary):
    """Return the answers as plain text. Each is one sentence."""
    found = [plain(one) for one in answers(summary)]
    for one in found:
        assert (one[0].isupper() or one[0].isdigit()) and one.endswith(".") and ". " not in one and len(one) < 500
    assert len(found) <= MOST == 6 and len(set(found)) == len(found)
    return found


def commands(summary):
    return [span.text for one in answers(summary) if isinstance(one, tuple) for span in one if isinstance(span, Code)]


def landing_cell(cell, stratum, kinds=None, why=""):
    """Return a cell with a stratum of sensitive trajectories: size, examined, landed, unknown. kinds: their counts."""
    tally = Tally(cell["trajectories"], (Stratum(*stratum),))
    one = tally.interval()
    counts = kinds if kinds and stratum[0] else {"C": stratum[2]}
    old = cell["tie_kinds"]["kinds"]
    return {
        **cell,
        "sensitive": stratum[0],
        "landed": stratum[2],
        "probability": {
            "landed": {
                "estimate": one.estimate, "low": one.low, "high": one.high, "bound": one.bound, "level": one.level,
                "method": one.method,
            }
        },
        "tie_kinds": {
            "classified": stratum[1], "of": stratum[0], "why": why if stratum[0] else "",
            "certified": stratum[1], "later": 0,
            "strata": [list(stratum)],
            "kinds": {kind: {**old[kind], "count": counts.get(kind, 0)} for kind in old},
        },
    }  # fmt: skip


def made(*strata, name="relu_net_small", **keywords):
    """Return a summary with a cell of 96 trajectories for each stratum, at c = 0.1, 0.2, ..."""
    summary = copy.deepcopy(stored(name))
    summary["cells"] = [
        landing_cell({**summary["cells"][0], "c": 0.1 * (i + 1)}, stratum, **keywords)
        for i, stratum in enumerate(strata)
    ]
    return summary


NOTHING = (0, 0, 0, 0)


# ---------------------------------------------------------------- landings


def test_no_landing():
    """The bound is that of all cells together, and ten times as many trajectories bound a tenth of it."""
    first, *_, last = said(stored("relu_net_small"))
    assert first == (
        "No trajectory landed where AD's answer depends on a tie (Sing or C), of 192 trajectories, so P(landed) is at "
        "most 1.55 % (at 95 %)."
    )
    assert 100 * upper_bound(192) == pytest.approx(1.55, abs=0.005)
    assert last.startswith("Ten times as many trajectories, --set sweep.trajectories=960, would see an event of prob")
    assert f"probability {100 * upper_bound(1920):.3g} % with 95 %" in last


def test_a_small_bound_is_a_power_of_ten():
    summary = stored("relu_net_small")
    for cell in summary["cells"]:
        cell["trajectories"] = 2_000_000
    assert "of 4,000,000 trajectories, so P(landed) is at most 7.49e-07 (at 95 %)" in said(summary)[0]


def test_landing_at_one_step_scale():
    summary = made((12, 12, 12, 0), NOTHING, NOTHING, NOTHING)
    found = Tally(96, (Stratum(12, 12, 12),)).interval(1 - 0.05 / 4)
    assert said(summary)[0] == (
        f"Trajectories landed at 1 of 4 step scales, c = 0.1: P(landed) is 12.5 % ({100 * found.low:.3g} to "
        f"{100 * found.high:.3g} %; all cells together 95 %); at the others none of 288 trajectories landed, and "
        f"P(landed) is at most {100 * upper_bound(288):.3g} %."
    )


def test_all_land():
    first = said(made((96, 96, 96, 0), (96, 96, 96, 0)))[0]
    assert first.startswith("Trajectories landed at every step scale, c = 0.1, 0.2: P(landed) is 100 % (")
    assert "at the others" not in first
    assert said(stored("zero_bias"))[0].startswith(
        "Trajectories landed at every step scale, c = 0.1, 0.5: P(landed) is"
    )


def test_sensitive_but_harmless():
    first = said(made((9, 9, 0, 0), NOTHING, kinds={"harmless": 9}))[0]
    assert first.startswith("No trajectory landed where AD's answer depends on a tie (Sing or C), of 192 trajectories")
    assert first.endswith("; 9 were sensitive to a tie, at points that are no landing: harmless 9.")


def test_it_is_not_known_whether_they_landed():
    """Records without points: nothing was classified, and all that were sensitive may have landed."""
    summary = made((8, 0, 0, 0), NOTHING, why="the points were not recorded (record.points)")
    first, *_ = said(summary)
    bound = Tally(192, (Stratum(8, 0, 0), Stratum(0, 0, 0))).interval().bound
    assert first == (
        "Whether trajectories landed is not known; sensitive points were not classified in 1 of 2 cells, because the "
        f"points were not recorded (record.points); 8 were sensitive, so P(landed) is at most {100 * bound:.3g} % (at "
        "95 %)."
    )
    assert "--set record.points=all" in commands(summary)
    summary = made((8, 0, 0, 0), NOTHING, why="record.classify is 0")
    assert "--resume --set record.classify=100" in commands(summary)


def test_a_sample_without_landing_and_undecided_ones():
    first = said(made((40, 10, 0, 2), NOTHING))[0]
    assert first.startswith("No landing was found among 10 of 40 sensitive trajectories that were examined; of 2 of")
    first = said(stored("streaming"))[0]
    assert first == (
        "Trajectories landed at every step scale, c = 0.3, 0.5: P(landed) is 13 to 41 % (all cells together 95 %); "
        "whether 1,086 more landed is not known."
    )


def test_many_step_scales_are_a_range():
    first = said(made(*[(12, 12, 12, 0)] * 6, NOTHING))[0]
    assert first.startswith("Trajectories landed at 6 of 7 step scales, c from 0.1 to 0.6: ")


def test_nothing_was_run():
    summary = stored("relu_net_small")
    summary["cells"] = [{**cell, "trajectories": 0} for cell in summary["cells"]]
    assert said(summary) == ["No trajectory was run, so nothing is known."]


# ---------------------------------------------------------------- conventions and precisions


def axis(name, of, total, first=0, second=0, unknown=0, differ=None):
    other = {"convention": {"precision": "float64"}, "precision": {"convention": "tensorflow"}}[name]
    return {
        "axis": name, "of": list(of), **other, "c": 0.1, "trajectories": total, "both": 0, "only_first": first,
        "only_second": second, "neither": total - first - second - unknown, "unclassified": unknown,
        "differ": total if differ is None else differ, "objective": {"low": None},
    }  # fmt: skip


def compared(entries):
    """Return the sentence on conventions and precisions of a summary with these comparisons."""
    summary = made(NOTHING, NOTHING)
    values = {name: ["tensorflow"] if name == "convention" else ["float64"] for name in ("convention", "precision")}
    for one in entries:
        values[one["axis"]] = list(dict.fromkeys([*values[one["axis"]], *one["of"]]))
    cells = [
        {**cell, "convention": convention, "precision": precision}
        for cell in summary["cells"]
        for convention in values["convention"]
        for precision in values["precision"]
    ]
    return said({**summary, "cells": cells, "comparisons": entries})[1]


def test_a_convention_that_does_not_matter():
    entries = [axis("convention", ("tensorflow", name), 192, differ=0) for name in ("pytorch", "jax")]
    assert compared(entries) == (
        "The convention does not matter here: all records of 384 pairs of trajectories with the same starts and "
        "minibatches are the same bits (tensorflow, pytorch, jax); one precision was run (float64)."
    )


def test_a_convention_that_matters():
    found = compared([axis("convention", ("tensorflow", "jax"), 192, first=3, second=9, differ=40)])
    p = Tally.of(12, 192).interval()
    limits = f"{100 * p.low:.3g} to {100 * p.high:.3g} %"
    assert found == (
        "The convention matters: of 192 pairs of trajectories with the same starts and minibatches (tensorflow, jax; "
        f"float64), 40 differ in some record, and 12 landed in one alone (6.25 %, {limits}): 3 in tensorflow, 9 in "
        "jax, at c = 0.1; one precision was run (float64)."
    )
    quiet = compared([axis("convention", ("tensorflow", "jax"), 192, differ=40, unknown=2)])
    assert quiet.startswith("The convention changed no landing that is known: of 192 pairs of trajectories with the")
    assert "(tensorflow, jax), 40 differ in some record, and none landed in one alone (at most " in quiet
    assert quiet.endswith("); of 2 it is not known; one precision was run (float64).")
    several = [axis("convention", ("tensorflow", name), 192, second=k, differ=k) for name, k in (("b", 3), ("c", 9))]
    found = compared(several)
    assert "(tensorflow, c; float64; of 2 comparisons the one that differs most), 9 differ in some record, and" in found
    assert " % for this comparison by itself): 0 in tensorflow, 9 in c, at c = 0.1; one precision" in found


def test_exact_beside_float64():
    found = said(stored("mixed"))[1]
    assert found.startswith("The convention does not matter here: all records of 480 pairs of trajectories with the")
    assert (
        "; the precision matters: of 240 pairs of trajectories with the same starts and minibatches (float64, " in found
    )
    assert "tensorflow; of 2 comparisons the one that differs most), 4 landed in one alone (" in found
    assert found.endswith("): 0 in float64, 4 in exact, at c = 0.333333; of 5 it is not known.")
    same = compared([axis("precision", ("float64", "exact"), 192)])
    assert "; the precision changed no landing that is known: of 192 pairs" in same


def test_one_of_each_and_an_older_summary():
    summary = stored("zero_bias")
    assert said(summary)[1] == (
        "Whether the convention or the precision matters was not asked: one of each was run (tensorflow, float64)."
    )
    older = stored("mixed")
    del older["comparisons"]
    assert said(older)[1].endswith("is not in this summary, which an older version wrote.")


def test_agreement_counts_trajectories_that_landed_in_one_cell_alone():
    """Four trajectories of three cells; of the fourth it is not known in one of them."""
    first = {
        "c": 0.5,
        "convention": "a",
        "precision": "float64",
        "status": np.zeros(4, np.uint8),
        "margin": np.array([1.0, 2.0, np.nan, 0.0]),
    }
    second = {**first, "convention": "b", "margin": np.array([1.0, 2.5, np.nan, -0.0])}
    third = {**first, "precision": "float32"}
    everyone = np.ones(4, bool)

    def landings(*outcomes):
        who = np.arange(len(outcomes))
        return Landings(everyone, who, who, np.array(outcomes))

    landed, missed, unknown = Landing.LANDED, Landing.NOT_LANDED, Landing.NOT_EXAMINED
    records = [first, second, third]
    known = [
        landings(landed, missed, missed, missed),
        landings(landed, landed, missed, missed),
        landings(missed, missed),
    ]
    by_convention, by_precision = together(comparisons(records, known, {}))
    assert by_convention["of"] == ["a", "b"] and by_convention["beside"] == "float64" and by_precision["beside"] == "a"
    assert by_convention["differ"] == 2, "0 and -0 are not the same bits"
    counts = ("both", "only_first", "only_second", "neither", "unclassified", "trajectories")
    assert [by_convention[name] for name in counts] == [1, 0, 1, 2, 0, 4] and by_convention["c"] == [0.5]
    assert by_convention["probability"]["estimate"] == 0.25
    assert [by_precision[name] for name in counts] == [0, 1, 0, 3, 0, 4] and by_precision["differ"] == 0
    known[1] = landings(landed, landed, missed, unknown)
    one, _ = together(comparisons(records, known, {}))
    assert one["unclassified"] == 1 and one["probability"]["estimate"] is None
    assert one["probability"]["high"] == analysis.interval(2, 4).high, "it may have landed in one alone"
    assert comparisons([first], known[:1], {}) == []


# ---------------------------------------------------------------- theorems, final points, claims


def test_the_verdicts_in_one_sentence_and_as_a_table():
    assert said(stored("hypotheses_unbounded"))[2] == (
        "Theorem 7, finite time: consistent; Theorem 4, limits are selection critical: not decided (c = 0.0625), "
        "hypothesis not met (c = 2); limits are Clarke critical: consistent (c = 0.0625), hypothesis not met (c = 2)."
    )
    (shown, _) = matrix(stored("mixed")).blocks
    assert shown.header == ("", "tensorflow, jax; float64", "tensorflow, jax; exact")
    assert shown.rows[0] == ("Theorem 7, finite time", "consistent (0 of 120)", "consistent (0 of 120)")
    assert shown.rows[1][1] == "hypothesis not met (10 in a sample from 120)" and len(shown.rows) == 4
    (shown, _) = matrix(stored("hypotheses_unbounded")).blocks
    assert [row[0] for row in shown.rows][1:3] == [
        "Theorem 4, limits are selection critical (c = 0.0625)", "Theorem 4, limits are selection critical (c = 2)"
    ]  # fmt: skip
    (shown, _) = matrix(stored("relu_net_small")).blocks
    assert shown.rows[1] == ("Theorem 4, limits are selection critical", "not decided (not computed)")
    none = {**stored("streaming"), "verdicts": []}
    assert matrix(none) is None and not any(one.startswith("Theorem") for one in said(none))


def test_verdicts_that_differ_between_precisions_name_them():
    summary = stored("mixed")
    for one in summary["verdicts"]:
        if one["part"] == "finite time" and one["precision"] == "exact":
            one["verdict"] = "contradicted"
    (sentence,) = [one for one in said(summary) if one.startswith("Theorem 7")]
    assert "consistent (tensorflow, jax; float64), contradicted (tensorflow, jax; exact)" in sentence


def test_final_points_and_more_steps_where_some_have_not_converged():
    assert said(stored("mixed"))[3] == (
        "Final points examined 226 of 824: critical 34, artificial 68, not converged 124; take ten times as many steps "
        "with --set sgd.steps=60."
    )
    summary = stored("zero_bias")
    for cell in summary["cells"]:
        kinds = cell["final_kinds"]["kinds"]
        kinds["clarke"]["count"], kinds["not_settled"]["count"] = 100, 0
    assert said(summary)[3] == "Final points examined 200 of 10,000: critical 200, artificial 0, not converged 0."
    assert said(stored("streaming"))[3] == (
        "Final points were not examined, because J is estimated on 200 streamed samples: more than 256 sums of the "
        "terms' gradients, which is the limit; the last step moved 2,834 of 8,000 trajectories that took all steps."
    )
    for cell in summary["cells"]:
        del cell["final_kinds"]
    assert "because only the records were read, without the program" in said(summary)[3]


def test_rejected_claims_are_named():
    summary = stored("mixed")
    assert "3 of 4 claims are rejected: P(landed) = 9/10, P(near <= 1e-12) = 1, P(clarke) = 0." in said(summary)
    assert not any("rejected" in one for one in said(stored("zero_bias")))


# ---------------------------------------------------------------- what to do next


def test_predicted_bad_scales_that_no_cell_has_are_swept_as_fractions(tmp_path):
    summary = stored("mixed")
    (command,) = [one for one in commands(summary) if "sweep.c" in one]
    assert command == """--set 'sweep.c=["2/5", "3/7", "2/3", "4/5"]'""", "1/3 and 1/2 were taken; 2/3 is there twice"
    assert said(summary)[-1].startswith("6 bad scales are predicted in the range of the sweep that no cell has (0.4, ")
    loaded = load(ROOT / "scenarios" / "bad_step.toml", ["claim=[]", command.split("'")[1]])
    assert loaded.c_values().tolist() == [0.4, 3 / 7, 2 / 3, 0.8]
    one = {**summary["bad_scales"], "scales_in_all": 1, "scales": [{"c": 0.2086, "step": 3, "cells": []}]}
    assert said({**summary, "bad_scales": one})[-1] == (
        "1 bad scale is predicted in the range of the sweep that no cell has (0.2086): sweep it with --set "
        "'sweep.c=[0.2086]'."
    ), "no fraction with a denominator up to 1000"
    many = [{"c": 0.1 + 1e-7 * 3**0.5 * k, "step": 300 - k, "cells": []} for k in range(1, 201)]
    summary["bad_scales"] |= {"scales_in_all": 9000, "scales": many}
    assert said(summary)[-1].startswith("At least 200 bad scales are predicted in the range of the sweep that no cell")
    assert len(commands(summary)[-1].split(",")) == 4
    summary["bad_scales"]["computed"] = False
    assert not any("bad scale" in one for one in said(summary))


def test_a_run_says_what_to_type_and_that_can_be_typed(tmp_path, no_figures, capsys):
    """The first suggestion for a small run is one that the command line takes."""
    file = ROOT / "scenarios" / "bad_step.toml"
    small = ("sweep.trajectories=40", "sweep.precision=['float64']", "claim=[]", "run.engine=reference")
    summary = swept(file, tmp_path / "one", *small)
    capsys.readouterr()
    (bad,) = [one for one in commands(summary) if "sweep.c" in one]
    again = swept(file, tmp_path / "two", *small, bad.split("'")[1])
    assert [cell["c"] for cell in again["cells"]] == [0.8, 6 / 7]
    assert again["comparisons"] == [] and len(said(again)) <= MOST


# ---------------------------------------------------------------- the table for other programs


def test_the_cells_as_comma_separated_values():
    rows = list(csv.DictReader(io.StringIO(table.csv(stored("mixed")))))
    assert list(rows[0]) == [
        "c", "convention", "precision", "trajectories", "landed", "landing_probability", "low", "high", "sensitive",
        "tied", "unbounded", "not_finite", "settled", "objective", "margin",
    ]  # fmt: skip
    assert len(rows) == 16 and float(rows[0]["c"]) == 1 / 3 and rows[0]["convention"] == "tensorflow"
    assert (rows[0]["landed"], float(rows[0]["landing_probability"])) == ("5", 5 / 60)
    assert rows[0]["objective"] == rows[0]["margin"] == "", "these stored summaries have neither"
    (undecided, *_) = csv.DictReader(io.StringIO(table.csv(stored("streaming"))))
    assert undecided["landing_probability"] == "" and float(undecided["low"]) > 0.13
    summary = stored("zero_bias")
    summary["cells"][0] |= {
        "convention": 'a "b", c',
        "objective": {"step": [0, 1], "trajectories": 3, "quantiles": {"0.5": [2.0, 1.25]}},
        "codimension": {"curve": {"epsilon": [1e-9, 0.5], "trajectories": [1, 2]}},
    }
    first, *_ = csv.DictReader(io.StringIO(table.csv(summary)))
    assert (first["convention"], first["objective"], first["margin"]) == ('a "b", c', "1.25", "1e-09")
