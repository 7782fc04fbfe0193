"""Each command as it is typed: what it prints and writes, and its errors, each in one line."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from simsa import cli, commands
from simsa.plots import FIGURES
from simsa.records import read
from simsa.report import catalogue
from simsa.scenario import Scenario, keys, load
from simsa.scenario.shipped import shipped
from tests.support import ROOT, SCENARIOS
from tests.support.runs import contents

SMALL = ["sweep.trajectories=12", "sgd.steps=4", "record.objective_trajectories=2", "run.engine=reference"]
SMALL = [word for change in SMALL for word in ("--set", change)]
NAMES = ["demo", "list", "new", "explain", "sweep", "report", "plot", "table", "extend", "merge", "replay"]


def typed(*words):
    """Return the exit code of a command line."""
    try:
        return cli.main([str(word) for word in words])
    except SystemExit as left:
        return left.code


def refused(capsys, *words):
    """Return the one line that a command line is refused with."""
    capsys.readouterr()
    assert typed(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1, err
    return err.rstrip("\n")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of a small run, which tests only read."""
    folder = tmp_path_factory.mktemp("results") / "trap"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("simsa.plots.save_all", lambda summary, folder: [])
        assert typed("sweep", "identity_trap", *SMALL, "--quiet", "--out", folder) == 0
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch, no_figures):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------- help


def test_simsa_alone_prints_help_which_names_every_command(capsys):
    assert typed() == 0
    out = capsys.readouterr().out
    lines = [line.split()[0] for line in out.splitlines() if line.startswith("    ") and line[4] != " "]
    assert lines == NAMES and len(commands.COMMANDS) == len(NAMES)
    assert "exit codes: 0 done, 2 bad input, 3 interrupted" in out
    assert out.index("example:\n  simsa demo") > out.index("exit codes")


@pytest.mark.parametrize("name", NAMES)
def test_the_help_of_a_command_ends_with_an_example_of_it(capsys, name):
    assert typed(name, "--help") == 0
    out = capsys.readouterr().out
    assert "exit codes: 0 done, 2 bad input, 3 interrupted" in out
    assert out.splitlines()[-1].startswith(f"  simsa {name}")


def test_every_command_is_in_its_page_of_the_docs():
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("## ")] == [f"`{n}`" for n in NAMES]


# ---------------------------------------------------------------- list, sweep NAME


def test_the_scenarios_that_come_with_simsa_are_listed(capsys):
    assert typed("list") == 0
    out = capsys.readouterr().out
    names = sorted(path.stem for path in SCENARIOS.glob("*.toml"))
    assert [line.split()[0] for line in out.split("\n\n")[0].splitlines()[1:]] == names == sorted(shipped())
    assert "\ntheorem_4                        8e+08  Hundreds of step scales" in out


def test_a_scenario_is_swept_by_its_name(results):
    said = json.loads((results / "provenance.json").read_text())
    assert said["file"] == str(SCENARIOS / "identity_trap.toml")
    assert (results / "scenario.toml").read_bytes() == (SCENARIOS / "identity_trap.toml").read_bytes()


def test_an_unknown_name_is_answered_with_the_nearest(here, capsys):
    assert refused(capsys, "sweep", "identity_tarp") == (
        "identity_tarp: there is no such file, and no scenario of this name comes with simsa; did you mean "
        "'identity_trap'? (`simsa list` says which there are; a file of your own ends in .toml)"
    )
    Path("identity_tarp").write_text("scenario = 1\n")
    assert typed("sweep", "identity_tarp") == 2 and "identity_tarp:1: scenario: expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("steps=200", "--set steps=200: steps: unknown key; did you mean 'sgd.steps'?"),
        (
            "convention=jax",
            "--set convention=jax: convention: unknown key; "
            "did you mean 'program.convention', 'sweep.convention' or 'claim.convention'?",
        ),
        (
            "sgd.step_size=0.1",
            "--set sgd.step_size=0.1: sgd.step_size: expected a table, such as "
            '{ family = "power", exponent = 0.75 }, got 0.1',
        ),
        (
            "sgd.batch=full",
            "--set sgd.batch=full: sgd.batch: expected a table, such as { law = \"uniform_subset\" }, got 'full'",
        ),
        ("sgd.steps=1.5", "--set sgd.steps=1.5: sgd.steps: expected an integer, got 1.5"),
    ],
)
def test_a_mistake_in_set_says_what_was_meant(here, capsys, change, answer):
    assert refused(capsys, "sweep", "identity_trap", "--set", change) == answer


def test_an_integral_number_is_an_integer_also_in_files(here, capsys):
    assert typed("sweep", "identity_trap", "--set", "sweep.trajectories=1e6", "--dry-run") == 0
    assert "2 cells x 1000000 trajectories" in capsys.readouterr().err
    text = (SCENARIOS / "identity_trap.toml").read_text()
    Path("x.toml").write_text(text.replace("trajectories = 6000", "trajectories = 6e3"))
    assert load("x.toml").sweep.trajectories == 6000 and isinstance(load("x.toml").sweep.trajectories, int)


# ---------------------------------------------------------------- new


def test_a_new_scenario_runs_as_it_is(here, capsys):
    assert typed("new", "my.toml") == 0
    assert capsys.readouterr().out == "written: my.toml; run it with: simsa sweep my.toml\n"
    assert max(map(len, Path("my.toml").read_text().splitlines())) <= 110
    assert typed("sweep", "my.toml", "--set", "run.engine=reference", "--set", "sweep.trajectories=4") == 0
    assert capsys.readouterr().out.endswith("results: results/my\n")


def test_nothing_is_overwritten(here, capsys):
    Path("my.toml").write_text("mine")
    assert refused(capsys, "new", "my.toml") == "my.toml is there already; choose another file"
    assert Path("my.toml").read_text() == "mine"
    assert refused(capsys, "new", "my.txt") == "my.txt: expected a file that ends in .toml"


@pytest.mark.parametrize(
    ("text", "program", "remarks"),
    [
        ("size,rooms,price\n1,2,3.5\n2,3,4\n4,1,6\n", "abs(w0 + w1 * size + w2 * rooms - price)", []),
        (
            "size;w0;price\n1;2;3.5\n2;3;4\n4;1;6\n",
            "abs(ww0 + ww1 * size + ww2 * w0 - price)",
            ["data.csv: columns are separated by ';'"],
        ),
        (
            "1\t2\t3.5\n2\t3\t4\n4\t1\t6\n",
            "abs(w0 + w1 * column_0 + w2 * column_1 - column_2)",
            ["data.csv: columns are separated by tabs", "data.csv: no header: columns are column_0, ..., column_2"],
        ),
        ("floor size,rooms,price\n1,2,3.5\n2,3,4\n4,1,6\n", "network", []),
    ],
)
def test_a_new_scenario_of_a_file_of_samples_runs_as_it_is(here, capsys, text, program, remarks):
    Path("data.csv").write_text(text)
    assert typed("new", "my.toml", "--csv", "data.csv") == 0
    said = load("my.toml").program
    assert getattr(said, "expression", said.kind) == program
    capsys.readouterr()
    quick = ("--set", "run.engine=reference", "--set", "sweep.trajectories=2", "--set", "sgd.steps=2")
    assert typed("sweep", "my.toml", *quick, "--set", "record.classify=0") == 0
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("data.csv")] == remarks
    assert read.open("results/my").sizes["trajectory"] == 2


def test_what_is_wrong_with_a_file_of_samples_is_one_line(here, capsys):
    assert refused(capsys, "new", "my.toml", "--csv", "none.csv") == f"{here}/none.csv: no such file (data.path)"
    Path("data.csv").write_text("a;b\n1,5;2\n")
    answer = f"{here}/data.csv:2: column 'a': expected a number, got '1,5'; decimals have a point"
    assert refused(capsys, "new", "my.toml", "--csv", "data.csv") == answer
    Path("data.csv").write_text("a\n1\n2\n")
    assert "expected features, and the target in the last column" in refused(
        capsys, "new", "my.toml", "--csv", "data.csv"
    )
    assert not Path("my.toml").exists()


# ---------------------------------------------------------------- explain


def test_the_tables_of_a_scenario_are_listed(capsys):
    assert typed("explain") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == list(Scenario.model_fields)


def test_a_key_is_explained(capsys):
    assert typed("explain", "sgd.steps") == 0
    assert capsys.readouterr().out.splitlines() == [
        "sgd.steps: How many steps each trajectory takes.",
        "  type: an integer of at least 1",
        "  default: none, the key is needed",
        "  example: steps = 1000",
    ]
    assert typed("explain", "sgd.step_size.family") == 0
    assert "  type: 'power', 'log', 'constant', 'geometric', 'cosine' or 'table'" in capsys.readouterr().out
    assert typed("explain", "sgd.step_size") == 0
    assert "  sgd.step_size.exponent: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "guess"), [("steps", "'sgd.steps'"), ("sgd.stepsize", "'sgd.step_size'"), ("sdg.steps", "'sgd.steps'")]
)
def test_an_unknown_key_is_answered_with_the_nearest(capsys, key, guess):
    assert refused(capsys, "explain", key) == f"there is no key '{key}'; did you mean {guess}?"


@pytest.mark.parametrize("key", keys.keys())
def test_every_key_is_explained_with_an_example_that_the_schema_takes(key):
    lines = list(keys.explained(key))
    assert lines[0].partition(": ")[2] and any(line.startswith("  type: ") for line in lines)
    for table, field in keys.keys()[key]:
        assert (
            keys.names_of(table, key.rpartition(".")[2])
            or field.examples
            or not field.is_required()
            or (keys.tables_in(field.annotation))
        ), f"{table.__name__}.{key} has neither a default nor an example"
        name = key.rpartition(".")[2]
        said = {name: keys._example(field)}
        given = {other: keys._example(one) for other, one in table.model_fields.items() if one.is_required()}
        if table is not Scenario:
            assert getattr(TypeAdapter(table).validate_python(given | said), name) is not None


# ---------------------------------------------------------------- report, plot, table


def test_the_report_is_printed_again(results, capsys):
    assert typed("report", results) == 0
    out = capsys.readouterr().out
    assert out.startswith("A convex loss with a planted artificial critical point") and out.endswith(f": {results}\n")


@pytest.mark.parametrize("words", [("report",), ("plot", "landing"), ("table", "--format", "csv")])
def test_a_folder_without_results_is_one_line(here, capsys, words):
    name, *rest = words
    assert refused(capsys, name, "nowhere", *rest) == "nowhere: there are no results of a sweep"


def test_a_run_that_was_not_finished_is_one_line(here, results, capsys):
    shutil.copytree(results, "part")
    Path("part/summary.json").unlink()
    expected = "part: there is no summary; the run was not finished: continue it with --resume"
    assert refused(capsys, "report", "part") == expected


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_a_figure_is_drawn(here, results, capsys, suffix, magic):
    words = ["plot", results, "landing", "--out", f"f.{suffix}", "--width", "3.4", "--no-title"]
    assert typed(*words) == 0
    assert capsys.readouterr().out == f"written: f.{suffix}\n"
    drawn = Path(f"f.{suffix}").read_bytes()
    assert drawn.startswith(magic)
    assert typed(*words) == 0 and Path(f"f.{suffix}").read_bytes() == drawn, "the same bytes"
    assert suffix != "svg" or b"planted" not in drawn


def test_what_cannot_be_drawn_is_one_line(here, results, capsys):
    assert refused(capsys, "plot", results, "landings") == "there is no figure 'landings'; did you mean 'landing'?"
    assert refused(capsys, "plot", results, "xyz").endswith(f"'{list(FIGURES)[-2]}' or '{list(FIGURES)[-1]}'")
    assert "--out f.gif: expected a file that ends in .pdf, .png, .svg" in refused(
        capsys, "plot", results, "landing", "--out", "f.gif"
    )
    assert "plane: a map is drawn of programs of two parameters" in refused(capsys, "plot", results, "plane")
    assert typed("plot", results, "landing", "--width", "wide") == 2
    assert "expected a number of inches from 1 to 40, got 'wide'" in capsys.readouterr().err


def test_the_cells_are_a_table(results, capsys):
    assert typed("table", results, "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["c"] for row in rows] == ["0.3", "0.5"] and rows[0]["convention"] == "tensorflow"
    assert typed("table", results, "--format", "markdown", "--columns", "c,convention, landed") == 0
    header, rule, first, _ = capsys.readouterr().out.splitlines()
    assert (header, rule) == ("| c | convention | landed |", "| ---: | --- | ---: |")
    assert first == f"| 0.3 | tensorflow | {rows[0]['landed']} |"
    assert typed("table", results, "--format", "latex", "--columns", "c,landing_probability") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [r"\begin{tabular}{rr}", r"\toprule", r"c & landing\_probability \\", r"\midrule"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    answer = "there is no column 'lnded'; did you mean 'landed'?"
    assert refused(capsys, "table", results, "--format", "csv", "--columns", "c,lnded") == answer


# ---------------------------------------------------------------- extend


def test_a_run_is_extended_to_the_bytes_of_a_longer_one(here, results, capsys):
    assert typed("extend", results, "--trajectories", 20, "--out", "more") == 0
    assert capsys.readouterr().out.endswith("results: more\n")
    longer = [*SMALL, "--set", "sweep.trajectories=20", "--set", "run.block=12"]
    assert typed("sweep", "identity_trap", *longer, "--out", "whole") == 0
    assert contents(Path("more")) == contents(Path("whole"))
    assert {"report.html", "summary.json", "scenario.toml"} <= {path.name for path in Path("more").iterdir()}
    answer = "more holds results already: continue them with --resume, or choose another folder"
    assert refused(capsys, "extend", results, "--trajectories", 20, "--out", "more") == answer
    assert typed("extend", results, "--trajectories", 20, "--out", "more", "--resume") == 0
    assert contents(Path("more")) == contents(Path("whole"))
    capsys.readouterr()
    assert typed("extend", results, "--trajectories", 3, "--out", "less") == 2
    assert "trajectories: there are 12 already, asked for 3" in capsys.readouterr().err


def test_an_extension_that_is_interrupted_says_how_to_continue(here, results, capsys, monkeypatch):
    def interrupt(*given, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr("simsa.ensemble.drive.run", interrupt)
        assert typed("extend", results, "--trajectories", 20, "--out", "more") == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"interrupted; continue with: simsa extend {results} --trajectories 20 --out more --resume"
    assert typed(*last.split()[4:]) == 0
    assert read.open("more").sizes["trajectory"] == 20


# ---------------------------------------------------------------- demo


def test_the_demo_tells_its_story(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert typed("demo", "--out", "d") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[0].startswith("SGD from 40 starts, for 8 step scales c")
    assert lines[1].endswith("10 of 40 starts (they begin at 0), but 20 for c = 0.5 and 40 for c = 0.75.")
    assert lines[2].startswith("With relu'(0) = 1/2 it is right there: 0 land.")
    assert lines[3] == "The figure: d/landing.png; the report: d/report.html"
    assert {"summary.json", "records.zarr", "report.html"} <= {path.name for path in Path("d").iterdir()}
    assert [path.name for path in Path("d").glob("*.png")] == ["landing.png"]
    assert b"landing" in Path("d/report.html").read_bytes()
    assert catalogue.read_json(Path("d/summary.json"))["scenario"] == "identity_trap_generations"


def test_the_words_of_the_demo_are_commands_that_there_are(capsys):
    text = Path(commands.demo.__file__).read_text()
    for name in ("sweep", "list", "new"):
        assert f"`simsa {name}" in text
