"""Scenarios whose landing probability is known in closed form, and wrong answers that the same run would refuse."""

import json
from pathlib import Path

import pytest

from simsa.cli import main

SCENARIOS = Path(__file__).parent.parent / "scenarios"


def sweep(name: str, folder: Path, *settings: str) -> list[dict]:
    """Run a scenario, and return its cells."""
    arguments = ["sweep", str(SCENARIOS / f"{name}.toml"), "--out", str(folder / name), "--quiet"]
    assert main([*arguments, *(part for setting in settings for part in ("--set", setting))]) == 0
    cells: list[dict] = json.loads((folder / name / "summary.json").read_text())["cells"]
    return cells


def test_bad_steps_land_with_probability_one_seventh_and_others_never(tmp_path: Path) -> None:
    """Theorem 7: F holds the inverse curvatures of the bricks. At binary fractions no product is rounded."""
    cells = sweep("bad_step", tmp_path, "sweep.precision=['float64']", "sweep.trajectories=20000", "claim=[]")
    for cell in cells:
        interval = cell["simultaneous"]["landed"]
        if cell["c"] in (0.25, 0.5, 1.0):
            known = 15 / 98 if cell["c"] == 0.5 else 1 / 7
            assert interval["low"] <= known <= interval["high"]
            assert not interval["low"] <= 1 / 6 <= interval["high"], "the control: a wrong answer is outside"
        elif any(abs(cell["c"] - bad) < 1e-9 for bad in (2 / 3, 2 / 5, 1 / 3, 3 / 7)):
            assert 0 < cell["landed"] < cell["trajectories"] / 7, "rounding spares some"
        else:
            assert cell["landed"] == cell["tied"] == 0


def test_random_starts_avoid_the_identity_trap(tmp_path: Path) -> None:
    """Theorem 4 (ii): the starts that the trap catches have measure zero."""
    settings = ('initial={law="normal"}', "sweep.trajectories=20000", "record.objective_trajectories=1")
    for cell in sweep("identity_trap", tmp_path, *settings):
        assert cell["landed"] == 0
        assert cell["probability"]["landed"]["high"] == pytest.approx(1 - 0.05 ** (1 / 20000))
