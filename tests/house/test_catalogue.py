"""The catalogue in small: each scenario with fewer trajectories and steps, its known answers, and wrong ones."""

import json
import math
import shutil
import tomllib
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from simsa import cli
from simsa.errors import SimsaError
from simsa.report import catalogue
from simsa.scenario import Scenario, load
from tests.support import SCENARIOS
from tests.support.runs import swept

PAGE = Path("docs/findings/results.md")
"""The page that is written, in the folder with scenarios/ and results/."""


class Small(NamedTuple):
    """What makes a scenario small, as `--set` takes it; and the verdict on each part of the theorems."""

    changes: tuple[str, ...]
    verdicts: dict[str, str]


def said(finite: str, bad: str, selection: str, clarke: str) -> dict[str, str]:
    """Return verdicts by the part that they are on; "" for no verdict, "one, another" where cells differ."""
    parts = ("finite time", "bad steps", "limits are selection critical", "limits are Clarke critical")
    return {part: verdict for part, verdict in zip(parts, (finite, bad, selection, clarke), strict=True) if verdict}


CONSISTENT, NOT_MET, NOT_DECIDED = "consistent", "hypothesis not met", "not decided"

SMALL = {
    # Each run needs its steps to come close to the minimiser.
    **{
        name: Small(("sweep.trajectories=50", "sweep.c.count=2"), said(CONSISTENT, "", CONSISTENT, CONSISTENT))
        for name in ("hinge_svm", "l1_regression", "median", "phase_retrieval", "sort_loss")
    },
    "bad_step": Small(
        ("sweep.trajectories=100", "sweep.c=[0.1137, '1/4', '1/3', '1/2']"),
        said(CONSISTENT, NOT_MET, NOT_DECIDED, CONSISTENT),
    ),
    "bad_step_2d": Small(
        ("sweep.trajectories=80", "sweep.c=['1/4', 0.2907, '1/3']"),
        said(CONSISTENT, NOT_MET, NOT_DECIDED, CONSISTENT),
    ),
    **{
        name: Small(("sweep.trajectories=400",), said(CONSISTENT, "", NOT_DECIDED, CONSISTENT))
        for name in ("identity_trap_random", "random_bias")
    },
    "identity_trap_generations": Small(("sweep.trajectories=200",), said(NOT_MET, "", NOT_DECIDED, NOT_MET)),
    "theorem_4": Small(("sweep.trajectories=1000", "sweep.c.count=4"), said(CONSISTENT, "", NOT_DECIDED, CONSISTENT)),
    "zero_bias": Small(("sweep.trajectories=100",), said(NOT_MET, "", NOT_DECIDED, NOT_MET)),
    **{
        f"hypotheses_{name}": Small(("sweep.trajectories=200",), said(CONSISTENT, "", NOT_MET, NOT_MET))
        for name in ("constant", "slow")
    },
    # The runs that leave the ball, all at one c, void nothing at the other.
    "hypotheses_unbounded": Small(
        ("sweep.trajectories=200",),
        said(CONSISTENT, "", f"{NOT_MET}, {NOT_DECIDED}", f"{CONSISTENT}, {NOT_MET}"),
    ),
    "identity_trap": Small(("sweep.trajectories=600", "sgd.steps=20"), said(NOT_MET, "", NOT_DECIDED, NOT_MET)),
    "relu_net": Small(
        ("sweep.c=[1.0]", "sweep.trajectories=40", "sgd.steps=30", "data.limit=300", "sweep.precision=['float64']"),
        said(f"{CONSISTENT}, {NOT_MET}", "", NOT_DECIDED, f"{CONSISTENT}, {NOT_MET}"),
    ),
    "relu_net_maxpool": Small(
        ("sweep.c=[0.5]", "sweep.trajectories=50", "sgd.steps=60", "data.limit=100"),
        said(CONSISTENT, "", NOT_DECIDED, CONSISTENT),
    ),
    "adam": Small(("sweep.trajectories=100",), said(NOT_MET, "", NOT_MET, NOT_MET)),
    "signsgd": Small(("sweep.trajectories=25",), said(NOT_MET, "", NOT_MET, NOT_MET)),
    "relu_net_small": Small(("sgd.steps=30",), said(CONSISTENT, "", NOT_DECIDED, CONSISTENT)),
    "streaming": Small(("sweep.trajectories=400", "record.classify=4"), said(NOT_MET, "", NOT_MET, NOT_MET)),
}
"""By the names of the files; the small runs take under three minutes together."""


def wrong(claim: dict[str, Any], scenario: Scenario) -> dict[str, Any]:
    """Return a claim with a probability that is wrong by five standard errors of its cells, 1 / (2 sqrt n) at most."""
    known = float(Fraction(claim["probability"]))
    classified = claim["event"] in ("clarke", "artificial")
    n = min(scenario.sweep.trajectories, scenario.record.classify if classified else math.inf)
    return claim | {"probability": known + math.copysign(2.5 / math.sqrt(n), 0.5 - known), "text": "wrong on purpose"}


def toml(table: dict[str, Any]) -> str:
    """Return an inline table; JSON's strings, numbers and lists are TOML's."""
    return f"{{{', '.join(f'{key} = {json.dumps(value)}' for key, value in table.items())}}}"


def test_every_scenario_has_a_row_and_every_row_a_scenario():
    assert set(SMALL) == {path.stem for path in SCENARIOS.glob("*.toml")}


@pytest.mark.parametrize("name", SMALL)
def test_known_answers_hold_wrong_ones_are_rejected_and_verdicts_are_as_expected(name, tmp_path, no_figures, capsys):
    """The whole way of a user, but for the figures, with each claim of the file and a wrong one beside it."""
    path, (changes, verdicts) = SCENARIOS / f"{name}.toml", SMALL[name]
    changes = (*changes, "run.engine=interpreter")  # small runs take less time than the compilation
    claims = tomllib.loads(path.read_text(encoding="utf-8")).get("claim", [])
    scenario = load(path, changes)
    both = ", ".join(toml(claim) for claim in [*claims, *(wrong(claim, scenario) for claim in claims)])
    summary = swept(path, tmp_path, *changes, f"claim=[{both}]")
    assert capsys.readouterr().out.count("REJECTED") == len(claims)
    assert {entry["claim"] for entry in summary["claims"]} == set(range(2 * len(claims)))
    for entry in summary["claims"]:
        assert entry["holds"] is (entry["claim"] < len(claims)), entry
    found: dict[str, set[str]] = {}
    for verdict in summary["verdicts"]:
        found.setdefault(verdict["part"], set()).add(verdict["verdict"])
    assert {part: ", ".join(sorted(several)) for part, several in found.items()} == verdicts


@pytest.mark.parametrize(
    ("name", "kind", "reached"),
    [
        ("adam", "amsgrad", {"worst": 0.0, "best": 1.0}),
        ("signsgd", "ef_signsgd", {"near": 1.0}),
        ("signsgd", "sgd", {"near": 1.0}),
    ],
)
def test_another_optimizer_comes_where_the_first_does_not(name, kind, reached, tmp_path, no_figures):
    """The controls that the comments of two scenarios name; only SGD is told what the theorems say."""
    changes = ("sweep.trajectories=25", "sweep.precision=['float64']", "run.engine=interpreter", "claim=[]")
    summary = swept(SCENARIOS / f"{name}.toml", tmp_path, *changes, f"optimizer.kind='{kind}'")
    found = summary["cells"][0]["observables"]
    assert {one: found[one]["hit"]["probability"]["estimate"] for one in reached} == reached
    verdicts = {one["verdict"] for one in summary["verdicts"]}
    assert (NOT_MET in verdicts) is (kind != "sgd")
    whys = [
        h["why"] for one in summary["verdicts"] for h in one["hypotheses"] if h["hypothesis"].endswith("recursion (8)")
    ]
    assert len(whys) == len(summary["verdicts"]) * (kind != "sgd") and all("no theorem here" in why for why in whys)


def test_the_bad_steps_onto_a_line_are_found_from_samples_alone(tmp_path, no_figures):
    """bad_step_2d.toml: 1 / (2 mean) for the means 1, 2, 4, 3/2, 5/2, 3, 7/3 of the minibatches, and nothing else."""
    small = ("sweep.trajectories=50", "sweep.c=[0.1, 0.6]", "sweep.precision=['float64']", "claim=[]")
    bad = swept(SCENARIOS / "bad_step_2d.toml", tmp_path, *small, "run.engine=interpreter")["bad_scales"]
    means = (1, 2, 4, 3 / 2, 5 / 2, 3, 7 / 3)
    assert bad["computed"]
    assert sorted(step["step"] for step in bad["steps"]) == pytest.approx(sorted(1 / (2 * m) for m in means), rel=1e-12)
    assert [step["mass"] for step in bad["steps"]] == pytest.approx([1 / 7] * 7), "one minibatch each"


# ---------------------------------------------------------------- the page of the results


@pytest.fixture
def results(tmp_path, no_figures):
    """What writes the page, in a folder with two scenarios, as a function of the words of the command line."""
    (tmp_path / "scenarios").mkdir()
    text = (SCENARIOS / "streaming.toml").read_text(encoding="utf-8").replace("= 4000", "= 400")
    (tmp_path / "scenarios" / "streaming.toml").write_text(text, encoding="utf-8")
    shutil.copyfile(SCENARIOS / "bad_step.toml", tmp_path / "scenarios" / "bad_step.toml")
    (tmp_path / PAGE).parent.mkdir(parents=True)
    return partial(cli.catalogue, tmp_path)


def test_the_page_of_the_results_is_made_from_records_and_invents_none(results, tmp_path, capsys):
    assert results(["--only", "streaming"]) == 0
    assert "bad_step: not run" in capsys.readouterr().err
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| [")]
    assert rows[0] == ["[bad_step](../../scenarios/bad_step.toml)", "not run", *[""] * 6]
    summary = json.loads((tmp_path / "results" / "streaming" / "summary.json").read_text(encoding="utf-8"))
    at = summary["claims"][0]
    where = "[streaming](../../scenarios/streaming.toml)"
    assert at["estimate"] is None, "two samples may cancel at 0, where others land later: what is recorded is harmless"
    interval = f"undecided ({at['low']:.4g} to {at['high']:.4g})"
    assert rows[1] == [where, at["text"], "landed", "0.5", "7/18", f"{at['hits']} of 400", interval, "holds"]
    assert [row[1] for row in rows[3:]] == [
        "7, finite time",
        "4, limits are selection critical",
        "4, limits are Clarke critical",
    ]
    assert all(row[6] == NOT_MET and "J is a finite sum" in row[7] for row in rows[3:])
    assert {row[4] for row in rows[4:]} == {"not computed"}, "too many branches of the estimate of J meet at 0"
    assert results(["--only"]) == 0, "nothing is run, and the page is written again"
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == text, "the same records, the same page"


def test_the_page_says_what_is_rejected_and_leaves_out_what_is_out_of_date(results, tmp_path):
    file = tmp_path / "scenarios" / "streaming.toml"
    text = file.read_text(encoding="utf-8").replace("7/18", "1/2")
    file.write_text(text, encoding="utf-8")
    assert results(["--only", "streaming"]) == 1
    assert "| rejected in 1 of 1 cells |" in (tmp_path / PAGE).read_text(encoding="utf-8")
    for changed in (text.replace("1/2", "7/18"), text.replace("seed = 11", "seed = 12")):
        file.write_text(changed, encoding="utf-8")
        assert results(["--only"]) == 0
        assert "| not run since the file changed |" in (tmp_path / PAGE).read_text(encoding="utf-8")
    assert results(["--only", "streaming"]) == 2, "records of another seed are not continued"


def test_the_page_tells_a_sample_from_all():
    verdict = {"theorem": "4", "part": "limits", "convention": "tensorflow", "precision": "float64", "cells": 1}
    verdict |= {"trajectories": 5000, "hits": 3, "estimate": 0.5, "low": 0.25, "high": 0.75, "bound": 0.7}
    verdict |= {"verdict": NOT_DECIDED, "examined": True}
    verdict["hypotheses"] = [{"hypothesis": "a", "state": "as stated"}, {"hypothesis": "b", "state": "open"}]
    for method, hits in (("hypergeometric within Clopper-Pearson", "3 in a sample of 5,000"), ("", "3 of 5,000")):
        summary = {"cells": [{"steps": 1000}], "verdicts": [verdict | {"method": method}]}
        (row,) = catalogue.judged(summary)
        assert row == ("4, limits", "1", "1,000", hits, "0.5 (0.25 to 0.75)", NOT_DECIDED, "b")
    summary["verdicts"][0]["verdict"] = "proved"
    with pytest.raises(SimsaError, match="unknown verdict 'proved'; expected one of 'consistent'"):
        list(catalogue.judged(summary))
