"""Simsa from Python: what a user types in a notebook, and what comes back."""

import json
import re
from fractions import Fraction

import matplotlib as mpl
import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure

import simsa
from simsa import calculus
from simsa.errors import SimsaError
from simsa.plots import FIGURES
from simsa.program.stored import described, stored
from tests.support import ROOT, SCENARIOS
from tests.support.runs import contents

ROWS = np.array([[1.0, 0.5], [-2.0, 1.0], [0.5, 0.25]])


def loss(w, d):
    """Hinge-like, with a tie on a line for each sample."""
    return simsa.relu(1.0 - d[0] * w[0] - d[1] * w[1]) ** 2


def trap(x):
    """The identity, which AD differentiates to 0 at 0."""
    return simsa.relu(x[0]) - simsa.relu(-x[0])


GIVEN = {
    "parameters": 2, "data": ROWS, "c": [0.25, "1/3"], "steps": 6, "step_size": lambda k: 1 / (k + 1),
    "initial": simsa.uniform(1, 3), "trajectories": 20, "conventions": ["tensorflow", "jax"], "engine": "reference",
    "quiet": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return simsa.sweep(loss, **GIVEN)


def test_cells_are_a_table_with_a_row_for_each_cell(run):
    assert isinstance(run.cells, pandas.DataFrame)
    assert run.cells["c"].tolist() == [0.25, 0.25, 1 / 3, 1 / 3]
    assert run.cells["convention"].tolist() == ["tensorflow", "jax"] * 2
    assert (run.cells["trajectories"] == 20).all()
    assert (run.cells["low"] <= run.cells["landing_probability"]).all()


def test_a_run_shows_itself(run):
    assert repr(run).startswith("loss") and "P(landed)" in repr(run)
    assert "<table" in run._repr_html_() and "<b>loss</b>" in run._repr_html_()


def test_the_folder_holds_a_scenario_that_gives_the_same_bits(run, tmp_path):
    """`save` keeps it, and the command line repeats it, without the function."""
    from simsa.cli import main

    kept = run.save(tmp_path / "kept")
    before = contents(tmp_path / "kept")
    assert main(["sweep", str(tmp_path / "kept" / "scenario.toml"), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert contents(tmp_path / "again") == before
    assert (tmp_path / "kept" / "report.html").exists()
    assert "def loss" in json.loads((tmp_path / "kept" / "program.json").read_text())["source"]
    loaded = simsa.load(tmp_path / "kept")
    pandas.testing.assert_frame_equal(loaded.cells, kept.cells)
    with pytest.raises(SimsaError, match="is not empty"):
        run.save(tmp_path / "kept")


def test_a_temporary_folder_goes_with_its_run():
    found = simsa.sweep(trap, **{**GIVEN, "parameters": 1, "data": None})
    folder = found.folder
    assert folder.exists()
    del found
    assert not folder.exists()


@pytest.mark.parametrize("more", [20, 50])
def test_extending_is_running_more_from_the_start(run, tmp_path, more):
    longer = run.extend(trajectories=more, out=tmp_path / "longer", quiet=True)
    whole = simsa.sweep(loss, **{**GIVEN, "trajectories": more, "block": 20, "out": tmp_path / "whole"})
    for name in ("status", "final", "margin", "objective"):
        np.testing.assert_array_equal(longer.records[name], whole.records[name])
    with pytest.raises(SimsaError, match="there are 20 already, asked for 3"):
        run.extend(trajectories=3)


def test_extending_runs_nothing_twice(tmp_path):
    said = []
    first = simsa.sweep(trap, **{**GIVEN, "parameters": 1, "data": None, "block": 10})
    longer = first.extend(trajectories=40, out=tmp_path / "longer", quiet=True)
    assert longer.summary["timing"]["traj_steps"] == 4 * 20 * 6, "four cells, twenty new trajectories, six steps"
    assert not said


def test_a_trajectory_can_be_walked_again(run):
    found = run.trajectory(cell=1, number=7)
    assert found.path.shape == (7, 2)
    np.testing.assert_array_equal(found.path[-1], run.records["final"].isel(cell=1, trajectory=7))
    assert found.ties == []
    assert "No selection is tied" in str(found.explain())
    assert found.plot().get_xlabel() == "x[0]"


def test_a_trajectory_explains_its_first_tie():
    found = simsa.sweep(
        trap, parameters=1, c=[1], steps=3, step_size=1.0, initial=[[2.0]], trajectories=1, engine="reference",
        quiet=True,
    )  # fmt: skip
    again = found.trajectory(0, 0)
    assert [step.k for step in again.ties] == [2]
    assert again.path.ravel().tolist() == [2.0, 1.0, 0.0, 0.0]
    assert "both relu are tied" in str(again.explain())
    assert found.cells["landed"].tolist() == [1]


def test_every_figure_takes_axes_or_a_figure(run):
    assert sorted(dir(run.plot)) == sorted(FIGURES)
    for name in ("objective", "margins"):
        assert isinstance(getattr(run.plot, name)(width=3.4, title=False), Figure)
    figure = Figure(layout="constrained")
    first, second = figure.subplots(1, 2)
    drawn = run.plot.objective(ax=second, title=False)
    assert drawn in figure.subfigs and first in figure.axes and second not in figure.axes
    with pytest.raises(AttributeError, match="there is no figure 'landings'; there are settings"):
        _ = run.plot.landings
    with pytest.raises(ValueError, match="expected axes of a grid"):
        run.plot.objective(ax=Figure().add_axes((0, 0, 1, 1)))
    assert mpl.get_backend()


def test_a_scenario_may_be_a_file_or_a_table():
    path = SCENARIOS / "bad_step.toml"
    small = {"trajectories": 4, "engine": "reference", "quiet": True}
    file = simsa.sweep(path, **small)
    assert (file.cells["trajectories"] == 4).all()
    table = {
        "scenario": {"name": "own"},
        "program": {"kind": "expression", "parameters": ["x"], "expression": "relu(x) - relu(-x)"},
        "sgd": {"steps": 2, "step_size": {"family": "constant"}},
        "sweep": {"c": [Fraction(1, 3)], "trajectories": 9},
    }
    assert simsa.sweep(table, **small).cells["c"].tolist() == [1 / 3]
    assert table["sweep"]["trajectories"] == 9, "the user's table is left alone"


def test_a_program_is_run_as_it_was_traced(run):
    program = simsa.trace(loss, 2, 2)
    given = {**GIVEN, "conventions": None, "parameters": None}
    found = simsa.sweep(program, **given)
    np.testing.assert_array_equal(found.records["final"][0], run.records["final"][0])
    with pytest.raises(SimsaError, match="a Program was traced for one, tensorflow; to compare conventions, pass the"):
        simsa.sweep(program, **{**given, "conventions": ["jax"]})


def test_data_may_be_a_table_of_pandas():
    frame = pandas.DataFrame(ROWS, columns=["height", "weight"])
    found = simsa.sweep(loss, **{**GIVEN, "data": frame, "conventions": "jax"})
    assert (found.folder / "data.csv").read_text().splitlines()[0] == "height,weight"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0, "step_size": 1.0}, "simsa.sweep: steps: expected a number >= 1, got 0"),
        ({"steps": 0}, "simsa.sweep: steps: a function as step_size needs the number of steps, at least 1"),
        ({"stepz": 3}, "simsa.sweep: unknown argument 'stepz'; did you mean 'steps'?"),
        ({"c": [-1]}, "simsa.sweep: c.0: expected a number > 0, got -1"),
        ({"trajectories": 1.5}, "simsa.sweep: trajectories: expected an integer, got 1.5"),
        ({"steps": None}, "simsa.sweep: steps: a function as step_size needs the number of steps, at least 1"),
        ({"parameters": None}, "simsa.sweep: parameters: how many does the function take? Say parameters=..."),
        ({"data": [["a"]]}, "simsa.sweep: data: expected numbers, shape (n, d)"),
        ({"data": np.zeros((2, 2, 2))}, "simsa.sweep: data: expected an array of shape (n, d), got shape (2, 2, 2)"),
        ({"precision": "float65"}, "simsa.sweep: precision.0: expected"),
        ({"initial": simsa.uniform([1, 2, 3], 4)}, "initial.low: expected 2 numbers (one a parameter), got 3"),
    ],
)
def test_what_cannot_be_run_is_said_in_the_words_of_the_call(changes, message):
    with pytest.raises(SimsaError, match=re.escape(message)):
        simsa.sweep(loss, **{**GIVEN, **changes})


def test_what_is_no_program_is_refused():
    with pytest.raises(SimsaError, match=r"expected a function, a Program, the path of a scenario, or a dict, got int"):
        simsa.sweep(3, **GIVEN)


def test_an_error_in_the_users_function_is_the_users():
    with pytest.raises(ZeroDivisionError):
        simsa.sweep(lambda w, d: 1 / 0, **GIVEN)


def test_results_are_not_overwritten_unless_said(tmp_path):
    given = {**GIVEN, "parameters": 1, "data": None, "out": tmp_path}
    first = simsa.sweep(trap, **given)
    with pytest.raises(SimsaError, match="holds results already: continue them with resume=True, or overwrite=True"):
        simsa.sweep(trap, **given)
    before = contents(tmp_path)
    simsa.sweep(trap, **given, resume=True)
    assert contents(tmp_path) == before
    assert len(simsa.sweep(trap, **{**given, "c": [0.5]}, overwrite=True).cells) == 2
    assert first.folder == tmp_path


def test_a_stored_program_is_the_program(tmp_path):
    network = simsa.network([2, {"kind": "dense", "units": 3}, 1], loss="squared")
    choice = simsa.trace(lambda x: simsa.where(x[0] > x[1], x[0] * 2.0, np.sort(x)[0]) + simsa.clip(x[1], -1, 1), 2)
    for program in (network, choice, simsa.trace(loss, 2, 2, {"base": "jax", "relu": 0.5})):
        (tmp_path / "program.json").write_text(json.dumps(described([program])))
        again = stored("program.json", program.convention, tmp_path)
        assert (again.nodes, again.outputs, again.names, again.ranges) == (
            program.nodes, program.outputs, program.names, program.ranges,
        )  # fmt: skip
    with pytest.raises(SimsaError, match=r"kept for the convention jax,relu=0.5, not for pytorch"):
        stored("program.json", "pytorch", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a program that simsa has written"),
        ("[]", "not a program that simsa has written"),
        ('{"programs": [{"parameters": 1, "data": 0, "nodes": [["relu", [4], [], 1, [], []]]}]}', "not there yet"),
        ('{"programs": [{"parameters": 1, "data": 0, "nodes": [["rely", [0], [], 1, [], []]]}]}', "'rely'"),
        ('{"programs": [{"parameters": 1, "data": 0, "nodes": [["relu", [0, 0], [], 1, [], []]]}]}', "takes 1"),
    ],
)
def test_a_damaged_program_is_refused(tmp_path, text, message):
    (tmp_path / "program.json").write_text(text)
    with pytest.raises(SimsaError, match=message):
        stored("program.json", folder=tmp_path)
    with pytest.raises(SimsaError, match=r"no such file"):
        stored("other.json", folder=tmp_path)


@pytest.mark.parametrize(
    ("function", "x", "sentences"),
    [
        (trap, [0.0], ["f is differentiable at 0 with f'(0) = 1.", "AD returns 0, because both relu are tied."]),
        (lambda x: x[0] ** 2, [1.0], ["No selection is tied at 1: AD returns 2, and f'(1) is that."]),
        (lambda x: abs(x[0]), [0.0], ["f is not differentiable at 0: Clarke's subdifferential there is [-1, 1]."]),
        (lambda x: simsa.relu(x[0]) ** 2, [0.0], ["and AD returns 0, which is right, although relu is tied."]),
        (lambda x: np.linalg.norm(x), [0.0, 0.0], ["f is not differentiable at (0, 0).", "norm is tied."]),
        (lambda x: simsa.where(x[0] > 0, x[0] + 1.0, x[0]), [0.0], ["What the point is is not known: the program"]),
    ],
)  # fmt: skip
def test_explanations_say_what_a_derivation_says(function, x, sentences):
    found = calculus.explain(simsa.trace(function, len(x)), x)
    for sentence in sentences:
        assert sentence in str(found)
    assert found.plot().lines


def test_names_that_a_user_needs_are_what_dir_lists():
    assert {"sweep", "load", "Run", "uniform", "calculus", "relu"} <= set(dir(simsa))
    assert not {"Any", "Path", "TYPE_CHECKING"} & set(dir(simsa))


def test_the_notebook_of_the_readme_runs(tmp_path, monkeypatch):
    """With fewer trajectories, and nothing compiled."""
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    small = (
        second.replace("1000", "20").replace("5000", "30").replace('"jax"])', '"jax"], engine="reference", quiet=True)')
    )
    names: dict = {}
    exec(first + small, names)
    assert names["run"].cells["trajectories"].tolist() == [20] * 6
    assert (tmp_path / "mine.html").exists() and (tmp_path / "results" / "mine" / "scenario.toml").exists()
