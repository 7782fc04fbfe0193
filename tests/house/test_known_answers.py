"""Scenarios whose landing probability is known in closed form, and wrong answers that the same run would refuse."""

from pathlib import Path

import pytest

from tests.support import SCENARIOS
from tests.support.runs import swept

pytestmark = pytest.mark.usefixtures("no_figures")


def test_bad_steps_land_with_probability_one_seventh_and_others_never(tmp_path: Path) -> None:
    """Theorem 7: F holds the inverse curvatures of the bricks. At binary fractions no product is rounded."""
    settings = ("sweep.precision=['float64']", "sweep.trajectories=20000", "claim=[]")
    for cell in swept(SCENARIOS / "bad_step.toml", tmp_path, *settings)["cells"]:
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
    for cell in swept(SCENARIOS / "identity_trap.toml", tmp_path, *settings)["cells"]:
        assert cell["landed"] == 0
        assert cell["probability"]["landed"]["bound"] == pytest.approx(1 - 0.05 ** (1 / 20000))


SWEEP = """
[scenario]
name = "made"
seed = 3
[program]
kind = "expression"
parameters = {parameters}
data = {data}
expression = "{expression}"
convention = "{convention}"
{samples}
[sgd]
steps = {steps}
batch = {{ law = "{batch}" }}
step_size = {{ family = "constant" }}
[initial]
law = "{law}"
{initial}
[sweep]
c = [{c}]
trajectories = {trajectories}
precision = ["{precision}"]
"""


def made(folder: Path, expression: str, **changes: object) -> dict:
    """Run a scenario of one cell, and return the cell."""
    plain = {
        "parameters": '["x"]', "data": "[]", "convention": "tensorflow", "samples": "", "batch": "full",
        "steps": 4, "c": "1.0", "law": "points", "initial": "points = [[0.0]]", "trajectories": 10,
        "precision": "float64",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "made.toml"
    file.write_text(SWEEP.format(expression=expression, **{**plain, **changes}), encoding="utf-8")
    (cell,) = swept(file, folder / "out")["cells"]
    return dict(cell)


@pytest.mark.parametrize("precision", ["float64", "exact"])
def test_every_spelling_of_the_absolute_value_lands_alike(tmp_path: Path, precision: str) -> None:
    """The sample without a kink takes x to 0 in one step of size 1, and the one with it is tied there, next or later.

    All three spellings say 0 there, so the paths are the same. Whether all ties go to their first piece, to their last,
    or as the convention says, relu(x) + relu(-x) passes 0: only a mixture of decisions shows that it is not smooth.
    """
    found = {}
    for kink in ("abs(x)", "relu(x) + relu(-x)", "max(x, 0) - min(x, 0)"):
        start = {
            "law": "uniform",
            "initial": "low = 1.0\nhigh = 3.0",
            "trajectories": 300,
            "precision": precision,
            "batch": "uniform_subset",
        }
        samples = '[data]\nsource = "inline"\nrows = [[1.0, 0.0], [1.0, 1.0]]'
        cell = made(
            tmp_path / f"{len(found)}", f"a * x**2 / 2 + b * ({kink})", data='["a", "b"]', samples=samples, **start
        )
        assert cell["tie_kinds"]["certified"] == cell["tie_kinds"]["classified"]
        found[kink] = cell["sensitive"], cell["landed"]
    assert len(set(found.values())) == 1 and found["abs(x)"][1] == found["abs(x)"][0] > 150


@pytest.mark.parametrize(
    ("expression", "changes", "sensitive", "landed"),
    [
        ("median(x, -x, 2 * x)", {}, 10, 10),
        ("1e-5 * abs(x) + y", {"parameters": '["x", "y"]', "precision": "float32"}, 10, 10),
        ("abs(x) + 1e14 * y", {"parameters": '["x", "y"]'}, 10, 10),
        ("abs(x) + 1e14 * x", {}, 10, 10),
        ("maximum(x, 0) - maximum(-x, 0)", {"convention": "pytorch"}, 10, 0),
        ("relu(x)**2", {}, 0, 0),
        ("x * (x > 0)", {}, 10, 10),
        ("where(x > 0, 1, where(x < 0, -1, 0)) * abs(x)", {}, 10, 10),
        ("where(x**3 > 0, x, 0)", {}, 10, 10),
    ],
)
def test_what_counts_as_landing_where_a_run_starts_at_a_tie(
    tmp_path: Path, expression: str, changes: dict, sensitive: int, landed: int
) -> None:
    """At 0, in order: x, and AD says -1 (C); two kinks beside large slopes (Sing), also in the same entry.

    Then x itself, where AD is right, though other decisions would not be; x^2 and 0, which is smooth; relu (Sing); x
    as a sign times |x|, where AD says 0 (C); and relu again, whose guard is flat.
    """
    if "y" in str(changes.get("parameters", "")):
        changes = {**changes, "initial": "points = [[0.0, 1.0]]"}
    cell = made(tmp_path, expression, steps=1, c="0.5", **changes)
    assert (cell["sensitive"], cell["landed"]) == (sensitive, landed)


def test_a_trap_that_is_flat_in_another_way_is_the_same_trap(tmp_path: Path) -> None:
    """zero(sin(x)) is 0 near 0, as zero(x) is, and AD says cos(0) = 1 at 0 for both."""
    counts = []
    for name in ("zero(x)", "zero(sin(x))"):
        text = (SCENARIOS / "bad_step.toml").read_text(encoding="utf-8")
        settings = ("sweep.precision=['float64']", "sweep.c=[1.0]", "sweep.trajectories=400", "claim=[]")
        file = tmp_path / f"{len(counts)}.toml"
        file.write_text(text.replace("zero(x)", name), encoding="utf-8")
        (cell,) = swept(file, tmp_path / f"out{len(counts)}", *settings)["cells"]
        counts.append((cell["landed"], cell["final_kinds"]["kinds"]["artificial"]))
    assert counts[0] == counts[1] and counts[0][0] > 40
