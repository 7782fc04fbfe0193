"""One trajectory again: the kernels' bits, what differs from the records, and the rounding that left the reals."""

import json
from fractions import Fraction

import numpy as np
import pytest
import zarr

import simsa
from simsa import cli
from simsa.ensemble.transcript import _gap, _number, transcript
from simsa.errors import ProgramError, RecordsError, ScenarioError
from simsa.machine import FLOAT64, Walker, tape_of
from simsa.machine.draws import weights as words
from simsa.machine.exact import EXACT, UNDEFINED
from simsa.machine.rounding import explain, same
from simsa.records import disk
from simsa.records.layout import ZARR
from simsa.records.status import Status
from simsa.scenario import load
from tests.support.runs import planned, recorded, swept

TEXT = """\
[scenario]
name = "thirds"
seed = 4
[program]
kind = "expression"
parameters = ["x", "y"]
data = ["l"]
expression = "where(x >= 1, l * x**2 / 2, l * (x - 0.5)) - l * zero(x) + abs(y)"
[data]
source = "inline"
rows = [[1.0], [2.0], [4.0]]
[sgd]
steps = 6
step_size = { family = "table", values = [1.0, 1.0, 0.5, 0.5, 0.25, 0.25] }
[initial]
law = "uniform"
low = 1.0
high = 3.0
[sweep]
c = ["1/3", 0.5]
trajectories = 30
precision = ["float64", "float32", "exact"]
[record]
objective_trajectories = 5
"""


def sweep(folder, text=TEXT, overrides=()):
    """Run a scenario as the command does, without its report."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "said.toml"
    file.write_text(text, encoding="utf-8")
    made = planned(load(file, overrides))
    results = folder / "results"
    recorded(made, results)
    (results / "scenario.toml").write_text(text, encoding="utf-8")
    disk.write_json(results / "provenance.json", {"set": list(overrides), "file": str(file)})
    return results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("thirds"))


@pytest.mark.parametrize("cell", range(6))
def test_a_replay_is_the_recorded_trajectory(results, cell):
    data = simsa.open_records(results).isel(cell=cell).load()
    for t in range(8):
        found = simsa.replay(results, cell, t)
        assert found.differences == ()
        steps = list(found)
        assert [step.k for step in steps] == list(range(6))
        kept = data.isel(trajectory=t)
        assert [float(v) for v in steps[-1].following] == kept.final.values.tolist()
        ties = [step.k for step in steps if step.ties]
        assert (ties[0] if ties else -1, len(ties)) == (kept.tie_first, kept.tie_count)
        landed = [step.k for step in steps if step.sensitive]
        assert (landed[0] if landed else -1) == kept.sensitive_first
        assert min(step.margin for step in steps) == kept.margin
        if ties:
            assert steps[ties[0]].ties[0].sample == kept.tie_sample


@pytest.mark.parametrize("cell", range(3))
def test_a_window_is_a_part_of_the_whole(results, cell):
    whole, part = list(simsa.replay(results, cell, 3)), list(simsa.replay(results, cell, 3, 2, 5))
    assert [step.k for step in part] == [2, 3, 4]
    for one, two in zip(whole[2:5], part, strict=True):
        assert (one.x, one.following, one.minibatch, one.gradient) == (
            two.x,
            two.following,
            two.minibatch,
            two.gradient,
        )
    assert {type(v) for step in part for v in step.x} == {(np.float64, np.float32, Fraction)[cell]}


def test_exact_steps_of_a_floating_cell_are_those_of_the_exact_cell(results):
    ours, theirs = simsa.replay(results, 0, 5).exact(), simsa.replay(results, 2, 5)
    assert [step.following for step in ours] == [step.following for step in theirs]
    assert simsa.replay(results, 2, 5).divergence() is None, "the exact cell has nothing to part from"


def test_records_that_differ_are_named(results, tmp_path):
    changed = sweep(tmp_path)
    array = zarr.open_group(changed / ZARR, mode="r+")["final"]
    array[0, 3, 1] = 17.0
    assert simsa.replay(changed, 0, 3).differences == ("final",)
    assert simsa.replay(changed, 0, 2).differences == ()
    assert "THE RECORDS DIFFER from this run in: final" in list(transcript(simsa.replay(changed, 0, 3)))


# Where float and exact part.


def test_the_part_is_the_first_difference_and_the_rounding_explains_it(results):
    reasons = set()
    for t in range(20):
        found = simsa.replay(results, 0, t)
        part = found.divergence()
        same_so_far = 0
        for one, two in zip(found, found.exact(), strict=True):
            if [Fraction(float(v)) for v in one.following] != list(two.following):
                break
            same_so_far += 1
        if part is None:
            assert same_so_far == 6
            continue
        assert part.k == same_so_far + 1
        assert part.rounding is not None and part.rounding.rounded == float(part.rounding.rounded)
        assert Fraction(part.rounding.rounded) != part.rounding.exact
        reasons.add(part.rounding.place)
    assert "the step size" in reasons


def test_where_the_step_size_is_dyadic_other_roundings_show(results):
    places = {p.rounding.place for t in range(20) if (p := simsa.replay(results, 3, t).divergence()) and p.rounding}
    assert "the step size" not in places
    assert "the sum over the minibatch" in places


def test_float32_parts_at_the_start(results):
    part = simsa.replay(results, 1, 0).divergence()
    assert part.k == 0 and part.rounding.place == "the start"
    assert Fraction(part.value) != part.exact


def drawn(place):
    """Return the random words of a sample: of one trajectory's first step."""
    return words(7, 0, 0, place, 1)


def step_of(formula, x, gamma=Fraction(1, 2), data=()):
    """Return the rounding of one step, in float64 and exactly."""
    names = [f"a{i}" for i in range(len(data))]
    tape = tape_of(simsa.expression(formula, ["x"], names))
    rows = np.array([data], float).reshape(1, -1)
    floats, rationals = Walker(tape, rows, FLOAT64), Walker(tape, rows, EXACT)
    one = floats.step(0, [np.float64(x)], [0], np.float64(float(gamma)), 1e6, drawn)
    two = rationals.step(0, [Fraction(x)], [0], gamma, 1e6, drawn)
    return explain(floats, one, two), one, two


@pytest.mark.parametrize(
    ("formula", "x", "operation", "place", "decides"),
    [
        ("where(x + 1 > 1, x, 3 * x)", 2.0**-60, "8.673617379884035e-19 + 1.0", "sample 0, the value of r2", True),
        ("x**2 / 3", 1.0, "1.0 / 3.0", "sample 0, the backward sweep", False),
        ("x**3", 0.1, "0.1 ** 2.0", "sample 0, the backward sweep", False),
        ("2**60 * x", 1 + 2.0**-52, "1.0000000000000002 - 5.764607523034235e+17", "x_k minus the change", False),
        ("x**2", 1.5, None, None, None),
    ],
)
def test_the_rounding_is_named(formula, x, operation, place, decides):
    why, one, two = step_of(formula, x)
    if operation is None:
        assert why is None and [Fraction(float(v)) for v in one.following] == list(two.following)
    else:
        assert (why.operation, why.place, why.decides) == (operation, place, decides)
        assert Fraction(why.rounded) != why.exact


def test_a_rounding_that_heals_is_no_part():
    """x * 1/3 * 3 rounds twice and comes back: the gradient is 1 in both, and nothing parts."""
    tape = tape_of(simsa.expression("x / 3 * 3", ["x"]))
    run = Walker(tape, np.zeros((1, 0)))
    one = run.step(0, [np.float64(1.0)], [0], np.float64(0.5), 1e6, drawn)
    assert one.following == (0.5,)
    why, _, _ = step_of("x / 3 * 3", 1.0)
    assert why is None


def test_same():
    assert same(0.5, Fraction(1, 2)) and not same(0.1, Fraction(1, 10))
    assert same(np.nan, UNDEFINED) and not same(np.inf, UNDEFINED) and not same(1.0, UNDEFINED)
    assert not same(np.inf, Fraction(1))


# As text.


def test_the_transcript_reads_well(results):
    lines = list(transcript(simsa.replay(results, 0, 0, 0, 2), exact=True))
    data = simsa.open_records(results).isel(cell=0, trajectory=0)
    assert lines[0] == "thirds, c = 0.333333, tensorflow, float64, trajectory 0: 6 steps, finished"
    assert lines[2:4] == ["the records are the same bits", "x = (x, y)"]
    assert lines[4].startswith("float and exact first differ at x_1: x is ")
    assert lines[5] == "    gamma_0 = c alpha_0 = 1/3 was rounded to 0.3333333333333333, by -1.9e-17 (the step size)"
    assert lines[7].startswith("step 0: minibatch {") and lines[7].endswith("}, gamma = 0.3333333333333333")
    x = next(iter(simsa.replay(results, 0, 0))).x
    assert lines[8] == f"    x = ({x[0]}, {x[1]})"
    assert lines[9] == f"    exactly ({Fraction(x[0])}, {Fraction(x[1])})"
    assert lines[-1] == "(on to step 5: --from 2)"
    assert data.stopped == 6


def test_ties_are_named_with_their_guards(results):
    landed = np.flatnonzero(simsa.open_records(results).sensitive_first.values[2] >= 0)
    assert landed.size
    found = simsa.replay(results, 2, int(landed[0]))
    text = "\n".join(transcript(found))
    assert " = relu(x) at x = 0\n" in text
    assert "    sensitive: another choice at the ties changes g" in text


@pytest.mark.parametrize(
    ("formula", "x", "text"),
    [
        ("max(x, y, 2)", [2.0, 1.0], "max(x, y, 2) at 2 = x"),
        ("sum(sort([x, y]) * [1, 2])", [1.0, 1.0], "sort(x, y) at y = x"),
        ("where(x >= y, x, 2 * y)", [1.0, 1.0], "at x = y"),
        ("leaky_relu(x, 0.25) + y", [0.0, 1.0], "leaky_relu(x) at x = 0"),
        ("huber(x, 2) + y", [2.0, 1.0], "huber(x) at x = 2"),
        ("clip(x, -1, 3) + y", [3.0, 3.0], "clip(x, -1, 3) at x = 3"),
        ("clip(x, -1, y)", [3.0, 3.0], "minimum(r3, y) at r3 = y"),
        ("norm(x, y)", [0.0, 0.0], "norm(x, y) at x = 0 and y = 0"),
    ],
)
def test_guards_in_words(tmp_path, formula, x, text):
    said = f"""
[scenario]
name = "tie"
[program]
kind = "expression"
parameters = ["x", "y"]
expression = "{formula}"
[sgd]
steps = 1
step_size = {{ family = "constant", value = 1.0 }}
[initial]
law = "points"
points = [{x}]
[sweep]
c = [0.5]
trajectories = 1
"""
    lines = list(transcript(simsa.replay(sweep(tmp_path, said), 0, 0)))
    assert any(line.startswith("    tie: sample 0, ") and line.endswith(text) for line in lines), lines


def test_long_vectors_and_numbers_are_cut():
    assert _number(Fraction(1, 3)) == "1/3" and _number(np.float64(0.1)) == "0.1" and _number(np.float32(0.1)) == "0.1"
    assert _number(Fraction(1, 3**200)) == "3.764861949599026e-96... (317 bits)"
    assert _number(Fraction(-(10**400) - 1, 3)).startswith("-10^399... (")
    assert (_gap(0.5, Fraction(1, 4)), _gap(np.nan, UNDEFINED)) == ("+0.25", "no number")


# What is refused.


def test_mistakes_are_one_line(results, tmp_path, capsys):
    def said(*words):
        assert cli.main(["replay", str(results), *map(str, words)]) == 2
        return capsys.readouterr().err.strip()

    assert said("--cell", 6, "--trajectory", 0) == f"{results}: there is no cell 6; they are 0 to 5"
    assert said("--cell", 0, "--trajectory", 30) == f"{results}: there is no trajectory 30; they are 0 to 29"
    assert (
        said("--cell", 0, "--trajectory", 0, "--from", 6) == f"{results}: trajectory 0 of cell 0 has the steps 0 to 5"
    )
    assert said("--cell", 0, "--trajectory", 0, "--from", 3, "--to", 3).endswith("has the steps 0 to 5")
    with pytest.raises(RecordsError, match=r"no records here"):
        simsa.replay(tmp_path, 0, 0)
    with pytest.raises(SystemExit):
        cli.main(["replay", str(results), "--cell", "-1", "--trajectory", "0"])
    assert "argument --cell: expected an integer of at least 0, got '-1'" in capsys.readouterr().err


def test_another_scenario_or_other_data_are_refused(tmp_path):
    data = tmp_path / "rows.csv"
    data.write_text("l\n1\n2\n4\n", encoding="utf-8")
    inline = 'source = "inline"\nrows = [[1.0], [2.0], [4.0]]'
    found = sweep(tmp_path, TEXT.replace(inline, 'source = "csv"\npath = "rows.csv"'), ("sweep.trajectories=2",))
    assert simsa.replay(found, 0, 1).columns == ("l",), "data are found where the scenario was"
    data.write_text("l\n1\n2\n5\n", encoding="utf-8")
    with pytest.raises(RecordsError, match=r"are not those of the records any more \(digest \w{12}, the records have"):
        simsa.replay(found, 0, 1)
    (found / "provenance.json").unlink()
    with pytest.raises(RecordsError, match=r"provenance.json is missing or damaged"):
        simsa.replay(found, 0, 1)


def test_a_trajectory_that_has_not_been_run_is_refused(tmp_path):
    found = sweep(tmp_path)
    array = zarr.open_group(found / ZARR, mode="r+")["status"]
    array[0, 3] = Status.NOT_RUN
    with pytest.raises(RecordsError, match=r"trajectory 3 of cell 0 has not been run; continue with --resume"):
        simsa.replay(found, 0, 3)


def test_exact_beside_what_is_not_rational_is_refused_before_anything_is_said(tmp_path):
    roots = sweep(tmp_path / "one", TEXT, ("sweep.precision=['float64']", "sweep.trajectories=2"))
    assert simsa.replay(roots, 0, 0).divergence() is not None, "the scenario need not ask for exact cells"
    sines = sweep(tmp_path / "two", TEXT.replace("abs(y)", "sin(y)"), ("sweep.precision=['float64']",))
    with pytest.raises(ProgramError, match=r"sin \(register r\d+\) is no rational function: it cannot be run in exact"):
        next(transcript(simsa.replay(sines, 0, 0), exact=True))
    logs = 'family = "log", exponent = 1.0'
    family = TEXT.replace('family = "table", values = [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]', logs)
    with pytest.raises(ScenarioError, match=r"alpha_k = 1/log"):
        simsa.replay(sweep(tmp_path / "three", family, ("sweep.precision=['float64']",)), 0, 0).divergence()


def test_the_command_prints_a_replay(results, capsys):
    assert cli.main(["replay", str(results), "--cell", "0", "--trajectory", "1", "--exact", "--full"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("thirds, c = 0.333333, tensorflow, float64, trajectory 1: 6 steps, finished\n")
    assert out.count("\nstep ") == 6


def test_a_sweep_says_where_its_scenario_was(tmp_path, no_figures, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.toml").write_text(TEXT, encoding="utf-8")
    swept("x.toml", "out", "sweep.trajectories=2")
    assert json.loads((tmp_path / "out/provenance.json").read_text())["file"] == str(tmp_path / "x.toml")
    assert simsa.replay("out", 2, 1).differences == ()
