"""Observables: the values of Program.value at the recorded points, hits at checkpoints, and the same bytes always."""

from dataclasses import replace

import numpy as np
import pytest
import xarray

import simsa
from simsa import analysis
from simsa.ensemble import drive
from simsa.ensemble.cost import BLOCK_BYTES, block_size
from simsa.errors import ProgramError, ScenarioError
from simsa.machine import descend, exact, launch
from simsa.records import read
from simsa.records.fields import FIELDS
from simsa.records.status import Status
from simsa.scenario import load
from tests.support.runs import contents, digest, planned, recorded, swept

TEXT = """\
[scenario]
name = "watched"
seed = 4
[program]
kind = "expression"
parameters = ["x", "y"]
data = ["a"]
expression = "abs(x - a) + y**2"
[data]
source = "inline"
rows = [[1.0], [2.0], [4.0]]
[sgd]
steps = 40
step_size = { family = "power", exponent = 1.0 }
radius = 3.5
[sweep]
c = [0.5, 2.5]
trajectories = 60
precision = ["float64", "float32", "exact"]
[record]
checkpoints = [0, 3, 10, 40]
objective_trajectories = 0
[[observe]]
name = "distance"
expression = "abs(x - 2)"
hit_below = 0.25
[[observe]]
name = "mixed"
expression = "where(y > 0, x * y, -x * y) + relu(-x)"
"""
SHORT = ("sweep.precision=['float64']", "sweep.trajectories=20")


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Return a function that loads TEXT with one piece replaced, from a file called x.toml."""
    monkeypatch.chdir(tmp_path)

    def read(old="", new="", overrides=()):
        assert old in TEXT
        (tmp_path / "x.toml").write_text(TEXT.replace(old, new, 1) if old else TEXT, encoding="utf-8")
        return load("x.toml", overrides)

    return read


def sweep(made, folder, workers=1, blocks=None):
    recorded(made, folder, workers, blocks)
    return read.open(folder).load()


def test_observables_are_the_values_at_the_points(said, tmp_path):
    """At the start the points are known, at the end they are recorded; in between, shorter runs end there."""
    made = planned(said())
    data = sweep(made, tmp_path / "out")
    assert data.observe.dims == ("cell", "trajectory", "checkpoint", "observable")
    assert data.hit.dims == ("cell", "trajectory", "observable")
    assert data.observable.values.tolist() == ["distance", "mixed"]
    distance = simsa.expression("abs(x - 2)", ["x", "y"])
    mixed = simsa.expression("where(y > 0, x * y, -x * y) + relu(-x)", ["x", "y"])
    finished = data.status.values == Status.FINISHED
    assert 0 < np.count_nonzero(finished) < finished.size
    for cell in range(6):
        for i, program in enumerate((distance, mixed)):
            ended = data.observe.values[cell, finished[cell], -1, i]
            np.testing.assert_array_equal(ended, program.value(data.final.values[cell, finished[cell]]))
    for cell in (0, 1, 3, 4):
        c = made.layout.cells[cell]
        for at, k in enumerate((3, 10), 1):
            whole = made.settings[""]
            part = replace(whole.descent, steps=k, alpha=whole.descent.alpha[:k], checkpoints=np.array([k]))
            tape = whole.tapes["tensorflow"]
            block = descend(tape, whole.rows, part, c=c.scale, first=0, count=60, precision=c.precision)
            alive = block["status"] == 0
            values = distance.value(block["final"][alive].astype(float))
            np.testing.assert_array_equal(data.observe.values[cell, alive, at, 0], values)
            assert np.isnan(data.observe.values[cell, ~alive, at]).all()


def test_hits_are_the_first_checkpoints_at_or_below_the_level(said, tmp_path):
    data = sweep(planned(said()), tmp_path / "out")
    steps = np.array([0, 3, 10, 40])
    for values, hit in zip(data.observe.values.reshape(-1, 4, 2), data.hit.values.reshape(-1, 2), strict=True):
        below = np.flatnonzero(values[:, 0] <= 0.25)
        assert hit[0] == (steps[below[0]] if below.size else -1)
        assert hit[1] == -1, "no level, no hits"
    assert set(np.unique(data.hit.values[..., 0])) == {-1, 0, 3, 10, 40}


def test_a_value_at_the_level_is_a_hit(said, tmp_path):
    exact = said("abs(x - 2)", "x - x + 0.25", SHORT)
    assert (sweep(planned(exact), tmp_path / "out").hit.values[0, :, 0] == 0).all()


@pytest.mark.parametrize(("workers", "block"), [(1, 8), (3, 8), (2, 32)])
def test_threads_and_resumption_change_no_byte(said, tmp_path, workers, block):
    overrides = ("sweep.precision=['float64','float32']", f"run.block={block}")
    made = planned(said("", "", overrides))
    sweep(made, tmp_path / "whole")
    sweep(made, tmp_path / "parts", workers, blocks=3)
    sweep(made, tmp_path / "parts", workers)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_networks_and_python_programs_index_their_parameters(said, tmp_path):
    old = TEXT[TEXT.index("[program]") : TEXT.index("[data]")]
    network = said(old, '[program]\nkind = "network"\nlayers = [1, 2, 1]\nloss = "squared"\n', ())
    assert network.observe
    text = TEXT.replace(old, '[program]\nkind = "network"\nlayers = [1, 2, 1]\nloss = "squared"\n')
    text = text.replace("[[1.0], [2.0], [4.0]]", "[[1.0, 0.0], [2.0, 1.0]]")
    text = text.replace('"abs(x - 2)"', '"sum(x[0:2]**2) + x[-1]"')
    text = text.replace('"where(y > 0, x * y, -x * y) + relu(-x)"', '"max(x)"')
    (tmp_path / "net.toml").write_text(text, encoding="utf-8")
    data = sweep(planned(load(tmp_path / "net.toml", SHORT)), tmp_path / "out")
    done = data.status.values[0] == 0
    ends = data.final.values[0, done]
    first, last = ends[:, 0] * ends[:, 0] + ends[:, 1] * ends[:, 1], ends[:, -1]
    np.testing.assert_array_equal(data.observe.values[0, done, -1, 0], first + last)
    np.testing.assert_array_equal(data.observe.values[0, done, -1, 1], ends.max(axis=1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"abs(x - 2)"', '"abs(z - 2)"',
         "x.toml: observe.0.expression: expression \"abs(z - 2)\", column 5: unknown name 'z'; "
         "expected one of inf, pi, x, y"),
        ('name = "mixed"', 'name = "distance"',
         "x.toml:28: observe.1.name: the name 'distance' stands for two things"),
        ('name = "mixed"', 'name = "a b"',
         "x.toml:28: observe.1.name: expected a string like ^[A-Za-z_][A-Za-z0-9_]*$, got 'a b'"),
        ("hit_below = 0.25", "hit_belo = 0.25",
         "x.toml:26: observe.0.hit_belo: unknown key; did you mean 'hit_below'?"),
        ("[0, 3, 10, 40]", "[]",
         "x.toml:21: record.checkpoints: expected at least one, for the observables to be taken at"),
        ('expression = "abs(x - 2)"\n', "",
         "x.toml:23: observe.0.expression: missing (A formula in the parameters: by their names for kind "
         "\"expression\", else x[0], x[1], ..., sum(x[2:5]))"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(said, old, new, message):
    with pytest.raises((ProgramError, ScenarioError)) as caught:
        planned(said(old, new))
    assert str(caught.value) == message


def test_scenarios_without_observables_keep_their_digest(said):
    blank = TEXT[: TEXT.index("[[observe]]")]
    one = said(TEXT, blank)
    assert "observe" not in one.model_fields_set
    assert digest(one) != digest(said())
    assert planned(one).layout.fields == tuple(
        f for f in planned(said()).layout.fields if f.name not in ("observe", "hit")
    )


def test_points_at_checkpoints_are_counted_in_the_size_of_a_block(said):
    wide = said("steps = 40", "steps = 4000", ("record.checkpoints=4001", "sweep.trajectories=200000", *SHORT[:1]))
    layout = planned(wide).layout
    per = layout.snapshot_bytes + layout.bytes / (2 * 200000)
    assert layout.snapshot_bytes == 8 * 2 * 4001
    assert block_size(layout, 1e-9) * per <= BLOCK_BYTES


def test_the_summary_has_quantiles_hits_and_hitting_times():
    values = np.array([[3.0, 1.0], [2.0, 2.0], [1.0, np.nan], [5.0, 0.5]])[:, :, None]
    cell = xarray.Dataset(
        {
            "status": ("trajectory", [0, 0, 1, 0]),
            "observe": (("trajectory", "checkpoint", "observable"), values),
            "hit": (("trajectory", "observable"), [[8], [-1], [0], [8]]),
        },
        {"checkpoint": [0, 8], "observable": ["d"], "hit_below": ("observable", [1.0])},
    )
    found = analysis.estimates.observables(cell)["d"]
    assert found["step"] == [0, 8] and found["trajectories"] == 4
    assert found["quantiles"]["0.5"] == [2.0, 1.0]
    assert found["quantiles"]["0.95"] == [5.0, np.inf], "a trajectory that stopped counts as inf"
    assert (found["hit"]["hits"], found["hit"]["below"]) == (3, 1.0)
    assert found["hit"]["probability"]["estimate"] == 0.75
    assert found["hit"]["time"] == {"0.05": 0.0, "0.25": 0.0, "0.5": 8.0, "0.75": 8.0, "0.95": np.inf}
    silent = analysis.estimates.observables(cell.assign_coords(hit_below=("observable", [np.nan])))["d"]
    assert "hit" not in silent
    unrun = analysis.estimates.observables(cell.assign(status=("trajectory", [255] * 4)))["d"]
    assert unrun["trajectories"] == 0 and np.isnan(unrun["quantiles"]["0.5"]).all()


def test_a_sweep_reports_observables_and_a_replay_agrees(said, no_figures, capsys):
    said("", "", ())
    summary = swept("x.toml", "out", *SHORT)
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:2] == ["observed", "c"])
    hit = summary["cells"][0]["observables"]["distance"]["hit"]
    assert lines[at + 1].split()[:2] == ["distance", "0.5"] and lines[at + 1].split()[3:5] == ["0.25", str(hit["hits"])]
    assert lines[at + 3].split()[:2] == ["mixed", "0.5"] and len(lines[at + 3].split()) == 3
    assert simsa.replay("out", 1, 5).differences == ()


def test_the_kernels_and_the_reference_compute_every_field_in_its_shape(said):
    made = planned(said())
    tape, fields = made.settings[""].tapes["tensorflow"], [f for f in FIELDS if f.name != "state"]  # SGD keeps nothing
    names = {f.name for f in fields}
    assert made.settings[""].exact is not None
    gamma = made.settings[""].exact.gamma(made.layout.cells[0].scale)
    which = {"c": made.layout.cells[0].scale, "first": 0, "count": 2}
    given = tape, made.settings[""].rows, made.settings[""].descent
    for found in (launch.descend(*given, **which), exact.descend(*given, gamma=gamma, bits=64, **which)):
        found = {**found, **drive.observed(made, found["snapshots"])}
        assert set(found) == names | {"snapshots"}
        assert {name: found[name].shape for name in names} == {f.name: made.layout.shape(f, 2) for f in fields}
