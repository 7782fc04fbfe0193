"""Figures in processes of their own: the same bytes, drawn when told to and not before."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from simsa import plots
from simsa.drawing import drawer
from simsa.errors import SimsaError
from tests.plots.test_plots import CASES
from tests.support import SCENARIOS


@pytest.fixture
def folder(tmp_path):
    """A folder to draw in."""
    return tmp_path


def drawn(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".pdf") and path.is_file()
    }


def test_the_figures_are_those_of_one_process(folder, tmp_path):
    summary = json.loads(json.dumps(CASES["few"]))
    alone = tmp_path / "alone"
    alone.mkdir()
    plots.save_all(summary, alone)
    with drawer(folder, 2) as draw:
        (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")  # after they have begun
        draw()
    assert drawn(folder) == drawn(alone)
    assert len(drawn(alone)) > 4


def test_nothing_is_drawn_unless_told(folder, capfd):
    (folder / "summary.json").write_text(json.dumps(CASES["few"]), encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), drawer(folder, 2):
        raise KeyboardInterrupt
    assert drawn(folder) == {}
    assert capfd.readouterr().err == ""


def test_a_process_that_fails_is_told(folder, capfd):
    with pytest.raises(SimsaError, match="could not all be drawn"), drawer(folder, 2) as draw:
        draw()
    assert "summary.json" in capfd.readouterr().err


def test_a_figure_that_fails_is_told(folder, capfd):
    with pytest.raises(SimsaError, match="could not all be drawn"), drawer(folder, 2) as draw:
        (folder / "summary.json").write_text(json.dumps(CASES["few"]), encoding="utf-8")
        (folder / "landing.png").mkdir()
        draw()
    assert "IsADirectoryError" in capfd.readouterr().err
    assert len(drawn(folder)) > 4, "the others are drawn"


def test_the_command_draws_a_short_run_beside_itself_and_imports_nothing_of_what_draws(folder):
    """What opens records for users, and what draws, take half a second each."""
    words = ["sweep", str(SCENARIOS / "identity_trap.toml"), "--quiet", "--workers", "3", "--out", "out"]
    words += ["--set", "sweep.trajectories=40", "--set", "sgd.steps=10"]
    script = (
        f"import sys; from simsa.cli import main; code = main({words!r}, apart=True)\n"
        "heavy = {'pandas', 'xarray', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "results: out"
    assert {"landing.png", "landing.pdf", "objective.png"} <= set(drawn(folder / "out"))


def test_the_command_ends_with_the_code_of_a_mistake(folder):
    words = [sys.executable, "-m", "simsa", "sweep", "nowhere.toml"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "nowhere.toml: no such file\n")
