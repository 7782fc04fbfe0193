"""Further axes of a sweep: a setting has the same bits as a sweep of its own, and mistakes are named in the file."""

import numpy as np
import pytest

import simsa
from simsa.ensemble.resolve import resolve
from simsa.errors import SimsaError
from simsa.records.fields import FIELDS
from simsa.scenario import load
from simsa.vocabulary import Met
from tests.support.runs import swept

TEXT = """\
[scenario]
name = "axes"
seed = 7

[program]
kind = "expression"
parameters = ["x", "y", "z"]
data = ["s"]
expression = "abs(x - s) + abs(y) + relu(x * y) + z * z"

[data]
source = "inline"
rows = [[-1.0], [0.5], [2.0]]

[sgd]
steps = 12
batch = { law = "fixed_size", size = 1 }
step_size = { family = "power", exponent = 0.75 }

[initial]
law = "uniform"
low = -1.0
high = 1.0

[sweep]
c = ["1/2", 0.25]
trajectories = 20
precision = ["float64", "float32"]

[record]
checkpoints = [0, 12]
objective_trajectories = 20
classify = 0

[run]
engine = "reference"
"""

AXES = """
[sweep.axes]
initial = [
    { label = "random", law = "uniform", low = -1.0, high = 1.0 },
    { label = "on the kink", law = "points", points = [[0.25, 0.0, 1.0]] },
]
"sgd.batch.size" = [1, 2]
"""


def write(folder, text):
    """Write a scenario file, and return it."""
    file = folder / "axes.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Let the runs of this file draw nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simsa.plots.save_all", lambda summary, folder: [])
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder and the summary of a sweep with two further axes."""
    folder = tmp_path_factory.mktemp("axes")
    summary = swept(write(folder, TEXT + AXES), folder / "out")
    return folder, summary


def test_there_is_a_cell_for_each_combination_and_the_last_axis_varies_fastest(run):
    _, summary = run
    names = ["random / 1", "random / 2", "on the kink / 1", "on the kink / 2"]
    assert list(dict.fromkeys(cell["setting"] for cell in summary["cells"])) == names
    assert len(summary["cells"]) == 2 * 4 * 2 and summary["axes"] == ["initial", "sgd.batch.size"]
    assert [cell["precision"] for cell in summary["cells"][:4]] == ["float64", "float32"] * 2


@pytest.mark.parametrize(
    ("setting", "start", "size"), [("random / 2", None, 2), ("on the kink / 1", (0.25, 0.0, 1.0), 1)]
)
def test_a_setting_has_the_bits_of_a_sweep_of_its_own(run, tmp_path, setting, start, size):
    folder, _ = run
    put = [f"sgd.batch.size={size}"]
    if start is not None:
        put.append(f'initial={{ law = "points", points = [{list(start)}] }}')
    swept(write(tmp_path, TEXT), tmp_path / "alone", *put)
    whole, alone = (simsa.open_records(path) for path in (folder / "out", tmp_path / "alone"))
    mine = np.flatnonzero(whole.setting.values == setting)
    assert mine.size == alone.sizes["cell"] == 4
    for f in FIELDS:
        if f.name in alone:
            ours, theirs = whole[f.name].values[mine], alone[f.name].values
            assert ours.tobytes() == theirs.tobytes(), f.name


def test_settings_are_compared_in_pairs_and_have_verdicts_of_their_own(run):
    _, summary = run
    compared = [one for one in summary["comparisons"] if one["axis"] == "setting"]
    assert {tuple(one["of"]) for one in compared} == {
        ("random / 1", name) for name in ("random / 2", "on the kink / 1", "on the kink / 2")
    }
    assert all(one["trajectories"] == 20 and one["differ"] for one in compared)
    state = {
        one["setting"]: {h["state"] for h in one["hypotheses"] if h["hypothesis"] == "almost all x_0"}
        for one in summary["verdicts"]
        if (one["theorem"], one["part"]) == ("7", "finite time")
    }
    assert state["random / 1"] == {Met.AS_STATED} and state["on the kink / 1"] == {Met.NOT_MET}


def test_a_replay_has_the_records_of_its_setting(run):
    folder, summary = run
    for cell in (0, 3, len(summary["cells"]) - 1):
        found = simsa.replay(folder / "out", cell, 5)
        assert found.differences == () and found.cell.setting == summary["cells"][cell]["setting"]
        assert len([step.x for step in found]) == found.stopped


def test_a_claim_may_be_about_some_settings(tmp_path):
    claim = '[[claim]]\nevent = "tied"\nsetting = ["on the kink / 1"]\nprobability = 1\ntext = "y starts at 0"\n'
    summary = swept(write(tmp_path, TEXT + AXES + claim), tmp_path / "out")
    assert [entry["setting"] for entry in summary["claims"]] == ["on the kink / 1"] * 4
    assert all(entry["holds"] for entry in summary["claims"])


def test_without_axes_nothing_changes(tmp_path):
    plain = load(write(tmp_path, TEXT))
    empty = load(write(tmp_path, f"{TEXT}[sweep.axes]\n"))
    rows = np.zeros((3, 1))
    assert plain.digest(rows) == empty.digest(rows) and dict(plain.settings) == {"": plain}


@pytest.mark.parametrize(
    ("axes", "line", "said"),
    [
        (
            'precision = ["float32"]',
            45,
            "sweep.axes.precision: expected a key of sgd, optimizer, initial or program: write sweep.pr",
        ),
        (
            '"sgd.steps" = [1, 2]',
            True,
            "sweep.axes.sgd.steps: expected a key of sgd, optimizer, initial or program: the records of",
        ),
        (
            '"record.points" = ["all"]',
            True,
            "sweep.axes.record.points: expected a key of sgd, optimizer, initial or program: it is",
        ),
        ('"sgd.batch.size" = [1, 0]', True, "sweep.axes.sgd.batch.size.1: expected a number >= 1, got 0"),
        ('"sgd.radis" = [1.0]', True, "sweep.axes.sgd.radis.0: unknown key; did you mean 'radius'?"),
        (
            '"sgd.batch.size" = [1, 1]',
            45,
            "sweep.axes.sgd.batch.size.1: expected distinct names, numbers 0 and 1 are '1'",
        ),
        ('"sgd.batch.size" = []', True, "sweep.axes.sgd.batch.size: expected a list of at least 1, got a list of 0"),
        ('initial = [{ law = "point" }]', True, "sweep.axes.initial.0.law: expected "),
        ('"sgd.batch.size" = [4]', False, "sgd.batch.size: 4 samples asked for, there are 3"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path, axes, line, said):
    file = write(tmp_path, f"{TEXT}[sweep.axes]\n{axes}\n")
    with pytest.raises(SimsaError) as found:
        resolve(load(file))
    number = file.read_text(encoding="utf-8").splitlines().index(axes) + 1
    where = f"{file}:{number}: " if line else f"{file}: "
    assert str(found.value).startswith(where + said), str(found.value)


def test_an_unknown_setting_of_a_claim_is_named(tmp_path):
    claim = '[[claim]]\nevent = "tied"\nsetting = ["randm / 1"]\nprobability = 1\ntext = "-"\n'
    with pytest.raises(SimsaError, match=r"claim\.0\.setting\.0: did you mean 'random / 1'\?, got 'randm / 1'"):
        load(write(tmp_path, TEXT + AXES + claim))


def test_python_has_the_axes_too():
    run = simsa.sweep(
        lambda x: abs(x[0]),
        parameters=1,
        c=[0.5],
        steps=5,
        step_size=lambda k: 1 / (k + 1),
        initial=simsa.uniform(1, 3),
        axes={"initial": [{"law": "points", "points": [[0.0]], "label": "at 0"}, simsa.uniform(1, 3)]},
        trajectories=10,
        engine="reference",
        quiet=True,
    )
    assert run.cells.setting[0] == "at 0" and run.cells.landed.tolist() == [10, 0]


def test_optimizers_are_an_axis_and_keep_what_they_keep(tmp_path):
    """Each has the bits of a sweep of its own; what another optimizer keeps is NaN in its records."""
    ball = '{ kind = "heavy_ball", momentum = 0.5 }'
    several = f'[sweep.axes]\noptimizer = [{{ kind = "sgd" }}, {{ kind = "adam", label = "Adam" }}, {ball}]\n'
    summary = swept(write(tmp_path, TEXT + several), tmp_path / "out")
    assert list(dict.fromkeys(cell["setting"] for cell in summary["cells"]))[1] == "Adam"
    swept(write(tmp_path, TEXT), tmp_path / "adam", 'optimizer={ kind = "adam" }')
    whole, alone = (simsa.open_records(tmp_path / name) for name in ("out", "adam"))
    mine = np.flatnonzero(whole.setting.values == "Adam")
    assert whole.final.values[mine].tobytes() == alone.final.values.tobytes()
    kept = list(whole.kept.values)
    assert whole.state.values[mine][:, :, [kept.index(name) for name in alone.kept.values]].tobytes() == (
        alone.state.values.tobytes()
    )
    assert np.isnan(whole.state.values[np.flatnonzero(whole.setting.values == '{ kind = "sgd" }')]).all()
    paper = {one["setting"]: one["verdict"] for one in summary["verdicts"] if one["part"] == "finite time"}
    assert paper["Adam"] == "hypothesis not met"
