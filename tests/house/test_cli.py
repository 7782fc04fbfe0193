"""The command line: what it writes, what it says, and with which exit code."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from simsa import cli, errors, plots
from simsa.records import read
from tests.support import ROOT
from tests.support.runs import contents

TRAP = ROOT / "scenarios" / "identity_trap.toml"
SMALL = ["sweep.trajectories=40", "run.block=8", "sgd.steps=20", "record.classify=0"]
SMALL = [word for change in SMALL for word in ("--set", change)]
SAVE_ALL = plots.save_all
FIGURES = {path for name in ("landing", "objective", "margins") for path in (f"{name}.pdf", f"{name}.png")}


def machine(task, *, c, first, count, say):
    """Stand in for an engine: trajectory t lands at step t for c = 0.5 and t < 8, and never for other c."""
    tape, descent = task.tape, task.descent
    t = np.arange(first, first + count)
    hit = np.where((t < 8) & (c == 0.5), t % descent.steps, -1)
    k = np.asarray(descent.checkpoints)
    objective = np.where((t < descent.objective_trajectories)[:, None], 1 / (1.0 + k + t[:, None]), np.nan)
    return {
        "status": (t == 39).astype(np.uint8),
        "stopped": np.where(t == 39, 5, descent.steps),
        "tie_first": np.where(t == 20, 3, hit),
        "tie_count": (hit >= 0).astype(int),
        "tie_sample": np.where(hit >= 0, 0, -1),
        "sensitive_first": hit,
        "margin": np.where(hit >= 0, 0.0, 1e-3 * t),
        "movement": np.where(hit >= 0, 0.0, 1.0),
        "objective": objective,
        "final": np.tile(t[:, None] / 7, (1, tape.parameters)),
        "sensitive_point": np.full((count, tape.parameters), np.nan),
    }


@pytest.fixture
def here(tmp_path, monkeypatch, no_figures):
    """An empty folder to work in, a machine that needs no compilation, and no figures: they take seconds."""
    monkeypatch.chdir(tmp_path)
    use(monkeypatch, machine)
    return tmp_path


def chosen(run):
    """Return what chooses an engine whose `run` is given, for every kind of cell."""
    engine = SimpleNamespace(
        name="stand-in", parallel=True, run=run, preparing=lambda task: 0.0, prepare=lambda task: None,
        seconds=lambda task, work: 0.1,
    )  # fmt: skip
    return lambda made, wanted, cores=1: (dict.fromkeys(made.families(), engine), ("stand-in engine, for tests",))


def use(monkeypatch, run):
    monkeypatch.setattr("simsa.ensemble.plan.choose", chosen(run))


def sweep(*words) -> int:
    return cli.main(["sweep", str(TRAP), *SMALL, *map(str, words)])


def summary_of(folder: Path) -> dict:
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert set(found.pop("timing")) >= {"traj_steps_per_second", "seconds", "workers"}
    return found


# ---------------------------------------------------------------- a run from end to end


def test_a_run_writes_everything_and_prints_a_table(here, capsys, monkeypatch):
    monkeypatch.setattr(plots, "save_all", SAVE_ALL)
    assert sweep("--workers", 2, "--full") == 0
    folder = here / "results" / "identity_trap"
    files = {path.name for path in folder.iterdir()}
    assert files >= FIGURES and "first_passage.png" not in files, "classify = 0: it is not known who landed"
    assert {name for name in files if name[-4:] not in (".png", ".pdf")} == {
        "figures.json", "provenance.json", "records.zarr", "report.html", "report.md", "scenario.toml", "summary.csv",
        "summary.json", "tasks",
    }  # fmt: skip
    assert (folder / "scenario.toml").read_bytes() == TRAP.read_bytes()
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "A convex loss with a planted artificial critical point, tensorflow, float64, seed 7"
    assert lines[1].startswith(
        "- Whether trajectories landed is not known; sensitive points were not classified in 1 of"
    )
    at = lines.index("cells:")
    assert (
        lines[at + 1].split()
        == ("c trajectories tied sensitive landed P(landed) 95 % interval at most unbounded not finite").split()
    )
    assert lines[at + 2].split() == "0.3 40 1 0 0 0 0 to 0.0881 0.0722 1 0".split()
    assert lines[at + 3].split() == "0.5 40 9 8 0 to 8 - 0 to 0.3565 0.332 1 0".split(), "classify = 0"
    words = lines.index("columns of the table of cells:")
    assert lines[words + 1].startswith("Tied: the trajectory met an exact tie. Sensitive: at a tie, the gradient")
    said = " ".join(out.split())
    assert said.count("ensitive points were not classified in 1 of 2 cells, because record.classify is 0; 8 were") == 1
    assert "Points are classified without another run by --resume --set record.classify=100." in said
    assert any(line.startswith("bad step scales: ") for line in lines)
    assert "- Theorem 7, finite time: hypothesis not met; Theorem 4, limits are selection critical: " in said
    why = "x_0 is chosen, not drawn; finitely many points have measure zero"
    assert said.count(why) == 1 and f"- not met: almost all x_0 - {why}" in said
    assert "warning" not in err, "the report of a short run says it"
    assert lines[-1] == "results: results/identity_trap"
    assert len({len(line) for line in lines[at + 1 : at + 4]}) == 1, "columns are aligned"
    assert "identity_trap: 2 cells x 40 trajectories x 20 steps = 1.6e+03 traj-steps (1 parameters, 2 samples)" in err
    assert re.search(r"10 blocks on 2 threads, .* of records in results/identity_trap, roughly .*s\n", err)
    assert "stand-in engine, for tests\n" in err
    assert re.search(r"done in .*: .* traj-steps/s on 2 threads\n", err)


def test_the_summary_keeps_its_contract(here):
    sweep()
    found = json.loads((here / "results/identity_trap/summary.json").read_text())
    assert set(found) >= {"scenario", "digest", "seed", "cells", "hypotheses", "timing"}
    assert found["scenario"] == "identity_trap" and found["seed"] == 7 and len(found["digest"]) == 64
    assert [cell["c"] for cell in found["cells"]] == [0.3, 0.5]
    cell = found["cells"][1]
    assert (cell["trajectories"], cell["steps"], cell["tied"], cell["sensitive"]) == (40, 20, 9, 8)
    assert (cell["unbounded"], cell["not_finite"]) == (1, 0)
    assert cell["probability"]["sensitive"] == {
        "estimate": 0.2,
        "low": pytest.approx(0.0905, abs=1e-4),
        "high": pytest.approx(0.3565, abs=1e-4),
        "bound": pytest.approx(0.3320, abs=1e-4),
        "level": 0.95,
        "method": "Clopper-Pearson",
    }
    assert all(set(h) == {"theorem", "hypothesis", "state", "why", "c"} for h in found["hypotheses"])
    assert found["timing"]["traj_steps_per_second"] > 0


def test_provenance_says_how_the_records_came_about(here):
    sweep("--workers", 2)
    sweep("--resume", "--workers", 1)
    found = json.loads((here / "results/identity_trap/provenance.json").read_text())
    assert found["scenario"] == "identity_trap" and found["seed"] == 7
    assert found["digest"] == summary_of(here / "results/identity_trap")["digest"]
    assert found["set"] == SMALL[1::2]
    first, second = found["runs"]
    assert first["command"].startswith("simsa sweep ") and first["workers"] == 2
    assert {"started", "host", "cpu", "platform", "versions"} <= set(first)
    assert second["command"].endswith("--resume --workers 1")


def test_users_open_the_records_in_one_line(here):
    sweep()
    data = read.open("results/identity_trap")
    assert data.sensitive_first.sel(cell=1).values[:9].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, -1]
    assert data.attrs["name"] == "identity_trap"


def test_several_conventions_and_precisions_are_columns(here, capsys):
    words = [
        "--set",
        "sweep.convention=['tensorflow','jax']",
        "--set",
        "sweep.precision=['float64','float32']",
    ]
    assert sweep(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A convex loss with a planted artificial critical point, seed 7"
    at = lines.index("cells:")
    assert lines[at + 1].split()[:3] == ["c", "convention", "precision"]
    assert lines[at + 2].split()[:5] == "0.3 tensorflow, jax float64, float32".split(), "they differ in nothing here"
    data = read.open("results/identity_trap")
    assert data.sizes["cell"] == 8


def test_details_are_printed_if_they_are_asked_for(here, capsys):
    sweep("--quiet")
    short = capsys.readouterr().out.splitlines()
    sweep("--quiet", "--resume", "--full")
    full = capsys.readouterr().out.splitlines()
    assert short[-2:] == ["details: in report.html and report.md, or with --full", "results: results/identity_trap"]
    assert full[: len(short) - 2] == short[:-2] and len(full) > len(short)
    assert "hypotheses:" in full and "hypotheses:" not in short


def test_the_script_is_the_same_command(here):
    words = [sys.executable, str(ROOT / "scripts" / "sweep.py"), "nowhere.toml"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "nowhere.toml: no such file\n")


# ---------------------------------------------------------------- with the machine


def test_the_trap_catches_the_shares_that_its_scenario_derives(tmp_path, capsys):
    """From five of the six starts at most: 1/6 for c = 3/10, and 1/6 + 3 (1/6) (1/3) = 1/3 for c = 1/2."""
    words = ["--out", str(tmp_path / "out"), "--quiet", "--set", "sweep.trajectories=1200"]
    assert cli.main(["sweep", str(TRAP), *words]) == 0
    low, high = json.loads((tmp_path / "out" / "summary.json").read_text())["cells"]
    assert low["landed"] == low["tied"] == 200
    assert high["probability"]["landed"]["low"] < 1 / 3 < high["probability"]["landed"]["high"]
    data = read.open(tmp_path / "out")
    landed = data.sensitive_first.values[1] >= 0
    assert (data.final.values[1][landed] == 0.0).all(), "a trap is for ever"
    assert (data.sensitive_point.values[1][landed] == 0.0).all()
    assert set(data.sensitive_first.values[1][landed]) == {0, 1}


def test_a_network_learns_digits_from_end_to_end(tmp_path, capsys):
    small = ROOT / "scenarios" / "relu_net_small.toml"
    assert cli.main(["sweep", str(small), "--out", str(tmp_path / "out"), "--workers", "2"]) == 0
    first, last = json.loads((tmp_path / "out" / "summary.json").read_text())["cells"]
    assert first["landed"] == last["landed"] == 0
    assert first["probability"]["landed"]["bound"] == pytest.approx(1 - 0.05 ** (1 / 96))
    medians = last["objective"]["quantiles"]["0.5"]
    assert medians[0] > 2.3 and medians[-1] < 0.9 * medians[0]
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files >= FIGURES - {"landing.png", "landing.pdf"}
    assert (
        "nothing is known to have landed"
        in json.loads((tmp_path / "out" / "figures.json").read_text())["landing"]["nothing"]
    )


# ---------------------------------------------------------------- bad input


def test_a_missing_file_is_one_line(here, capsys):
    assert cli.main(["sweep", "nowhere.toml"]) == 2
    assert capsys.readouterr() == ("", "nowhere.toml: no such file\n")


def test_a_misspelt_key_is_one_line_with_the_nearest_spelling(here, capsys):
    shutil.copyfile(TRAP, "bad.toml")
    text = Path("bad.toml").read_text()
    Path("bad.toml").write_text(text.replace("steps = 100", "stesp = 100"))
    assert cli.main(["sweep", "bad.toml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"bad\.toml:\d+: sgd\.stesp: unknown key; did you mean 'steps'\?\n", err)


def test_a_bad_override_is_refused(here, capsys):
    assert sweep("--set", "sgd.steps=many") == 2
    assert "--set sgd.steps=many: sgd.steps: expected an integer, got 'many'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "0"], "argument --workers: expected an integer of at least 1, got '0'"),
        (["--workers", "two"], "argument --workers: expected an integer of at least 1, got 'two'"),
        (["--resume", "--overwrite"], "not allowed with argument"),
        (["--resum"], None),
    ],
)
def test_bad_options_exit_with_two(here, capsys, words, message):
    if message is None:  # abbreviations of options are argparse's own
        assert sweep(*words) == 0
        return
    with pytest.raises(SystemExit) as left:
        sweep(*words)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "kind",
    [errors.ScenarioError, errors.DataError, errors.ProgramError, errors.TapeError, errors.RecordsError],
)
def test_every_error_of_the_family_is_a_line_and_no_traceback(here, capsys, monkeypatch, kind):
    def fail(*given, **named):
        raise kind("this is wrong")

    use(monkeypatch, fail)
    assert sweep() == 2
    err = capsys.readouterr().err
    assert err.endswith("\nthis is wrong\n") and "Traceback" not in err


def test_results_that_are_there_are_not_touched_unasked(here, capsys):
    sweep()
    before = contents(here / "results/identity_trap")
    capsys.readouterr()
    assert sweep() == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "results/identity_trap holds results already: continue them with --resume, or replace them with --overwrite"
    )
    assert contents(here / "results/identity_trap") == before


def test_another_scenario_is_not_resumed(here, capsys):
    sweep("--out", "out")
    assert sweep("--out", "out", "--resume", "--set", "sweep.trajectories=48") == 2
    assert re.fullmatch(
        r"out holds results of another scenario \(digest \w{12}, this one has \w{12}\); "
        r"choose another folder, or overwrite them",
        capsys.readouterr().err.splitlines()[-1],
    )
    assert sweep("--out", "out", "--overwrite", "--set", "sweep.trajectories=48") == 0
    assert read.open("out").sizes["trajectory"] == 48


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(here, capsys):
    assert sweep("--dry-run") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "2 cells x 40 trajectories x 20 steps" in err and "of records in results/identity_trap" in err
    assert err.count("warning: a hypothesis of Theorem 4 and 7 is not met: almost all x_0: ") == 1
    assert list(here.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_line(here, capsys):
    Path("file").write_text("in the way")
    assert sweep("--out", "file/out") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "[Errno 20] Not a directory: 'file/out/tasks'"


def test_a_run_can_be_repeated_from_its_own_folder(here):
    sweep("--out", "out")
    assert cli.main(["sweep", "out/scenario.toml", *SMALL, "--out", "out", "--resume"]) == 0


def test_ctrl_c_while_planning_is_no_traceback(here, capsys, monkeypatch):
    def interrupt(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("simsa.scenario.load", interrupt)
    assert sweep() == 3
    assert capsys.readouterr() == ("", "interrupted before there was anything to keep\n")


def test_ctrl_c_while_drawing_loses_nothing(here, capsys, monkeypatch):
    def interrupt(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "save_all", interrupt)
    assert sweep() == 3
    assert "interrupted: 10 of 10 blocks are kept; continue with: simsa sweep " in capsys.readouterr().err
    monkeypatch.undo()


def test_quiet_leaves_the_table(here, capsys):
    assert sweep("--quiet") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "results: results/identity_trap" and err == ""


def test_a_long_run_warns_before_it_begins(here, capsys, monkeypatch):
    monkeypatch.setattr("simsa.commands.sweep.SHORT", 0.0)
    assert sweep("--quiet") == 0
    err = capsys.readouterr().err
    assert err.count("warning: a hypothesis of Theorem 4 and 7 is not met") == len(err.splitlines()) == 1


# ---------------------------------------------------------------- interruptions


def test_resume_without_results_begins(here):
    assert sweep("--resume") == 0


def test_a_finished_run_resumed_says_the_same_again(here, capsys):
    sweep()
    first, table = json.loads(Path("results/identity_trap/summary.json").read_text()), capsys.readouterr().out
    assert sweep("--resume") == 0
    out, err = capsys.readouterr()
    assert out == table
    assert "10 of 10 blocks are done already" in err
    assert json.loads(Path("results/identity_trap/summary.json").read_text()) == first


RUNNER = textwrap.dedent("""
    import sys, time
    from tests.house import test_cli as test

    def slow(*given, **named):
        time.sleep(float(sys.argv[1]))
        return test.machine(*given, **named)

    import simsa.ensemble.plan
    simsa.ensemble.plan.choose = test.chosen(slow)
    sys.exit(test.cli.main(sys.argv[2:]))
""")


def start(folder: Path, pause: float, *words: str) -> subprocess.Popen:
    """Start a slow run in another process, and wait until it has stored two blocks."""
    given = ["sweep", str(TRAP), *SMALL, "--out", str(folder), *words]
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(pause), *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while len(list(folder.glob("tasks/*.json"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)
    return process


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The records and the summary of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(monkeypatch, machine)
        assert sweep("--out", folder, "--workers", 1) == 0
    return contents(folder), summary_of(folder)


def resumed_as(whole, folder: Path, *words) -> None:
    records, summary = whole
    assert sweep("--out", folder, "--resume", *words) == 0
    assert contents(folder) == records
    assert summary_of(folder) == summary


def test_a_run_killed_and_resumed_ends_with_the_same_bytes(here, whole):
    process = start(here / "out", 0.1, "--workers", "2")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (here / "out" / "summary.json").exists()
    assert 2 <= len(list((here / "out" / "tasks").glob("*.json"))) < 10
    resumed_as(whole, here / "out", "--workers", 3)


@pytest.mark.parametrize("notice", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_is_done_and_says_how_to_continue(here, whole, notice):
    process = start(here / "out", 0.1, "--workers", "2")
    process.send_signal(notice)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3 and out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    kept = re.match(r"interrupted: (\d+) of 10 blocks are kept; continue with: simsa sweep .* --resume$", last)
    assert kept and 2 <= int(kept[1]) < 10
    assert len(list((here / "out" / "tasks").glob("*.json"))) == int(kept[1])
    resumed_as(whole, here / "out", "--workers", 1)


def test_a_second_ctrl_c_does_not_wait(here):
    process = start(here / "out", 0.4, "--workers", "2")
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert err.splitlines()[-1].startswith("interrupted: ") and "Traceback" not in err


def test_a_reader_that_leaves_early_is_no_error(here):
    process = start(here / "out", 0.02)
    process.stdout.close()
    with process:
        err = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in err and "BrokenPipe" not in err


def test_a_damaged_chunk_is_repaired_on_resume(here, whole, capsys):
    sweep("--out", "out")
    chunk = Path("out/records.zarr/status/c/1/3")
    chunk.write_bytes(chunk.read_bytes()[:-2])
    resumed_as(whole, Path("out"))
    assert "block 1-3 is damaged on disk; it will be computed again" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["lose c", "flip c", "edit a fill value", "edit a type"])
def test_damaged_coordinates_and_metadata_are_a_line_and_nothing_is_lost(here, capsys, damage):
    """A lost chunk of c used to print c = 0 and exit with 0."""
    sweep("--out", "out")
    chunk, said = Path("out/records.zarr/c/c/0"), Path("out/records.zarr/sensitive_first/zarr.json")
    path = chunk if damage.endswith("c") else said
    text = said.read_text()
    match damage:
        case "lose c":
            chunk.unlink()
        case "flip c":
            raw = bytearray(chunk.read_bytes())
            raw[5] ^= 8
            chunk.write_bytes(raw)
        case "edit a fill value":
            said.write_text(text.replace('"fill_value": -1', '"fill_value": 0'))
        case "edit a type":
            said.write_text(text.replace("int32", "uint32"))
    assert said.read_text() != text or path == chunk
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert sweep("--out", "out", "--resume") == 2
    out, err = capsys.readouterr()
    lost = "is missing" if damage == "lose c" else "is not what was written"
    assert out == "" and err.splitlines()[-1].startswith(f"{path} {lost}: ")
    assert {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()} == before
    assert cli.main(["replay", "out", "--cell", "0", "--trajectory", "0"]) == 2
    assert sweep("--out", "out", "--overwrite") == 0


# ---------------------------------------------------------------- speed of the first answer

HEAVY = {"numba", "scipy", "matplotlib", "xarray", "zarr", "pandas", "sklearn", "tqdm"}


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--help"], 0), (["sweep", "--help"], 0), (["sweep", "nowhere.toml"], 2), (["sweep", "nowhere"], 2), ([], 0)],
)
def test_help_and_mistakes_wait_for_no_heavy_import(here, words, code):
    script = textwrap.dedent(f"""
        import sys
        from simsa.cli import main
        try:
            code = main({words!r})
        except SystemExit as left:
            code = left.code
        heavy = {HEAVY!r} & set(sys.modules)
        sys.exit(code if not heavy else str(heavy))
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == code, done.stderr


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert re.fullmatch(r"simsa (\d+\.\d+\.\d+.*|not installed)\n", capsys.readouterr().out)
