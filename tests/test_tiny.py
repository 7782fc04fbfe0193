"""The whole product in seconds, on one screen; the reference engine runs it, so that nothing is compiled."""

from pathlib import Path

import simsa
from simsa import calculus, cli
from simsa.plots import landing
from tests.support.runs import contents, swept

SCENARIO = """
[scenario]
name = "tiny"
seed = 1
[program]
kind = "expression"
parameters = ["x"]
data = ["l"]
expression = "where(x >= 1, l * x**2 / 2, l * (x - 0.5)) - l * zero(x)"
convention = "tensorflow"
[data]
source = "inline"
rows = [[1.0], [2.0]]
[sgd]
steps = 2
batch = { law = "full" }
step_size = { family = "constant" }
[initial]
law = "points"
points = [[1.5]]
[sweep]
c = [0.5, "2/3"]
trajectories = 4
precision = ["float64", "exact"]
[run]
engine = "reference"
"""


def test_tiny(tmp_path: Path, no_figures: None, capsys) -> None:
    """The step 2/3 is 1 / (3/2), the inverse of the curvature: AD makes a critical point of 0, and it is hit."""
    file, out = tmp_path / "tiny.toml", tmp_path / "out"
    file.write_text(SCENARIO, encoding="utf-8")
    summary = swept(file, out)
    landed = {(cell["c"], cell["precision"]): cell["landed"] for cell in summary["cells"]}
    assert landed == {(0.5, "float64"): 0, (0.5, "exact"): 0, (2 / 3, "float64"): 4, (2 / 3, "exact"): 4}
    assert "results: " in capsys.readouterr().out
    assert "tiny" in (out / "report.md").read_text() and "<html" in (out / "report.html").read_text()
    assert landing(summary).axes

    before = contents(out)
    assert cli.main(["sweep", str(file), "--out", str(out), "--quiet", "--resume"]) == 0
    assert contents(out) == before
    for cell in range(4):
        assert simsa.replay(out, cell, 3).differences == ()

    program = simsa.expression("abs(x) - zero(x)", ["x"])
    assert program.gradient([0.0]).tolist() == [-1.0]
    assert calculus.classify(program, [0.0]).kind == "clarke"
