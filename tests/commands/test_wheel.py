"""What is installed from a wheel has the scenarios, and finds them."""

import importlib.util
import os
import subprocess
import sys
import zipfile

import pytest

from tests.support import ROOT, SCENARIOS


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="no build backend (hatchling) is installed")
def test_a_wheel_has_the_scenarios_and_finds_them(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    installed = tmp_path / "site" / "simsa" / "scenarios"
    assert {path.name for path in installed.iterdir()} == {path.name for path in SCENARIOS.iterdir()}
    listed = subprocess.run(
        [sys.executable, "-c", "import simsa; from simsa.cli import main; print(simsa.__file__); main(['list'])"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert listed[0].startswith(str(tmp_path / "site"))
    assert {path.stem for path in SCENARIOS.glob("*.toml")} <= {line.split()[0] for line in listed if line}
