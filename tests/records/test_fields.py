"""A field is one row: records of every engine, their attributes and replays follow from it."""

import numpy as np
import pytest

import simsa
from simsa.records import fields
from simsa.records.fields import FIELDS, PARAMETER, Field
from simsa.scenario import load
from tests.support.runs import contents, planned, recorded, swept

TEXT = """
scenario = {name = "tiny", seed = 3}
program = {kind = "expression", parameters = ["x", "y"], expression = "abs(x) + relu(y - x)**2"}
sgd = {steps = 6, step_size = {family = "constant", value = "1/4"}}
initial = {law = "uniform", low = -1.0, high = 1.0}
sweep = {c = [1.0, "1/2"], trajectories = 5, precision = ["float64", "float32", "exact"]}
"""


@pytest.fixture
def added():
    """Two fields of our own: one number, and one for each parameter."""
    rows = [
        Field("farthest", "float64", np.nan, (), "largest |parameter| at the end", of=farthest),
        Field("sign", "int8", 0, (PARAMETER,), "sign of each parameter", of=lambda block: np.sign(block["final"])),
    ]
    before = list(FIELDS)
    for row in rows:
        fields.add(row)
    yield rows
    FIELDS[:] = before


def farthest(block):
    return np.abs(block["final"]).max(axis=1)


def test_an_added_field_is_recorded_by_every_engine_and_replayed(tmp_path, added):
    found = {}
    (tmp_path / "tiny.toml").write_text(TEXT)
    for engine in ("reference", "interpreter", "specialised"):
        made = planned(load(tmp_path / "tiny.toml", [f"run.engine={engine}", "run.block=3"]))
        recorded(made, tmp_path / engine)
        found[engine] = contents(tmp_path / engine)
        data = simsa.open_records(tmp_path / engine)
        np.testing.assert_array_equal(data["farthest"], np.abs(data["final"]).max("parameter"))
        np.testing.assert_array_equal(data["sign"], np.sign(data["final"]))
        assert data["farthest"].attrs["long_name"] == "largest |parameter| at the end"
    assert found["reference"] == found["interpreter"] == found["specialised"]


def test_a_replay_compares_it(tmp_path, added, no_figures):
    (tmp_path / "tiny.toml").write_text(TEXT)
    swept(tmp_path / "tiny.toml", tmp_path / "out")
    again = simsa.replay(tmp_path / "out", 0, 2)
    assert again.differences == ()
    assert again.record["farthest"] == np.abs(again.record["final"]).max()
    object.__setattr__(added[0], "of", lambda block: farthest(block) + 1.0)
    assert simsa.replay(tmp_path / "out", 0, 2).differences == ("farthest",)


def test_records_without_it_are_as_before_and_do_not_go_on_with_it(tmp_path, added):
    (tmp_path / "tiny.toml").write_text(TEXT)
    scenario = load(tmp_path / "tiny.toml")
    layout = planned(scenario).layout
    with_them = layout.digest, layout.arrays
    FIELDS[:] = [f for f in FIELDS if f not in added]
    assert layout.digest == with_them[0] == planned(scenario).layout.digest, "the runs are the same"
    assert layout.arrays != with_them[1], "what is kept of them is not"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Field("margin", "float64", 0, (), "", of=lambda block: block["final"]), "there is a field 'margin' already"),
        (Field("mine", "float64", 0, (), ""), "'mine' has no `of`: nothing would compute it"),
    ],
)
def test_rows_that_cannot_be_are_refused(row, message):
    with pytest.raises(ValueError, match=message):
        fields.add(row)
