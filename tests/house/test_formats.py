"""Formats: a row is what rounding, the reference, the limits of engines, the analysis and scenarios need to know."""

import dataclasses
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simsa
from simsa import formats
from simsa.engines import ENGINES, Task, Work, cheapest
from simsa.errors import SimsaError
from simsa.formats import FLOAT32, FLOAT64, FORMATS, Format
from simsa.machine import Descent, Initial, arithmetic, tape_of
from simsa.machine.rounding import explain
from simsa.machine.sensitivity import weight

ROOT = Path(simsa.__file__).parent.parent

HALF = Format("half", 11, -14, 15, storage=np.float16)
"""NumPy's own: it computes with it."""
FLOAT16 = Format("emulated", 11, -14, 15, storage=np.float64)
"""The same numbers, held so that NumPy does not."""
SINGLE = Format("single", 24, -126, 127, storage=np.float64)
FLUSHED = Format("flushed", 11, -14, 15, storage=np.float16, subnormals=False)
TINY = Format("tiny", 3, -2, 2, storage=np.float32)

EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16)
"""All numbers of 16 bits."""


def same(found: Any, expected: Any) -> bool:
    """Tell whether numbers are the same ones, NaN alike and zeros with their signs."""
    one, two = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return np.array_equal(one, two, equal_nan=True) and np.array_equal(
        np.signbit(one[one == 0]), np.signbit(two[two == 0])
    )


# ---------------------------------------------------------------- rounding


def test_every_number_of_16_bits_is_kept_and_what_lies_between_is_rounded_as_numpy_rounds_it() -> None:
    """All 65,536, and what lies halfway between each and the next, and next to that on both sides."""
    exact = EVERY.astype(np.float64)
    assert same([FLOAT16.round(v) for v in exact.tolist()], exact)
    finite = np.unique(exact[np.isfinite(exact)])
    halfway = np.append((finite[1:] + finite[:-1]) / 2, [65520.0, -65520.0])
    between = np.concatenate([halfway, np.nextafter(halfway, -np.inf), np.nextafter(halfway, np.inf), [1e300, -5e-324]])
    with np.errstate(all="ignore"):
        assert same([FLOAT16.round(v) for v in between.tolist()], between.astype(np.float16))


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/"])
def test_a_million_operations_of_16_bits_are_those_of_numpy(symbol: str) -> None:
    """On pairs of any bits at all: infinities, NaN and subnormal numbers are among them."""
    x, y = np.random.default_rng(0).integers(0, 2**16, (2, 10**6)).astype(np.uint16).view(np.float16)
    operation = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[symbol]
    with np.errstate(all="ignore"):
        widened = operation(x.astype(np.float64), y.astype(np.float64))
        expected = operation(x, y)
    assert same([FLOAT16.round(v) for v in widened.tolist()], expected)
    number = arithmetic(FLOAT16).number
    some = [eval(f"a {symbol} b", {"a": number(a), "b": number(b)}) for a, b in zip(x[:20000], y[:20000], strict=True)]
    assert same(list(map(float, some)), expected[:20000])


@pytest.mark.parametrize("name", ["sqrt", "floor", "round_even"])
def test_every_root_of_16_bits_is_that_of_numpy(name: str) -> None:
    found = [float(arithmetic(FLOAT16).functions[name](v)) for v in EVERY]
    with np.errstate(all="ignore"):
        assert same(found, {"sqrt": np.sqrt, "floor": np.floor, "round_even": np.rint}[name](EVERY))


def nearest(x: Fraction, numbers: list[Fraction]) -> set[Fraction]:
    """Return the numbers that are nearest to x."""
    gap = min(abs(x - v) for v in numbers)
    return {v for v in numbers if abs(x - v) == gap}


def test_a_format_of_3_bits_by_hand() -> None:
    """Its numbers written out: with m = 4..7 and e = -2..2, and the subnormal m = 1..3 of e = -2."""
    positive = [Fraction(m, 4) * Fraction(2) ** e for e in range(-2, 3) for m in range(4, 8)]
    numbers = [Fraction(0), *(Fraction(m, 16) for m in (1, 2, 3)), *positive]
    assert (TINY.smallest, TINY.largest, TINY.epsilon, TINY.unit, TINY.counts) == (1 / 16, 7.0, 0.25, 0.125, 7)
    for n in range(16 * 64):
        x = Fraction(n, 128)
        found = nearest(x, numbers) if x < Fraction(15, 2) else {math.inf}
        rounded = TINY.round(float(x))
        assert rounded in found and TINY.round(-float(x)) == -rounded
        if len(found) == 2:  # the even one: its last bit is 0
            last = max(Fraction(2) ** (math.frexp(rounded)[1] - 3), Fraction(1, 16))
            assert rounded / last % 2 == 0
        assert TINY.at_most(float(x)) == max(v for v in numbers if v <= x) or x < Fraction(1, 16)
    assert TINY.round(7.499) == 7.0 and TINY.round(7.5) == math.inf


def test_without_subnormal_numbers_what_is_too_small_is_a_zero_of_its_sign() -> None:
    low = 2.0**-14
    found = [FLUSHED.round(v) for v in (low, -low, 0.9999 * low, 0.999 * low, -0.999 * low)]
    assert same(found, [low, -low, low, 0.0, -0.0]), "0.9999 2^-14 is rounded to 2^-14 first"
    a, b = (arithmetic(FLUSHED).number(v) for v in (1.5 * low, low))
    assert a != b and same(float(b - a), -0.0) and same(float(a - b), 0.0)
    assert float(arithmetic(FLOAT16).number(1.5 * low) - low) == low / 2, "the control"


@pytest.mark.parametrize(("row", "kind"), [(FLOAT64, np.float64), (FLOAT32, np.float32), (HALF, np.float16)])
def test_rows_say_what_numpy_says(row: Format, kind: Any) -> None:
    held = np.finfo(kind)
    assert row.native and (row.largest, row.smallest) == (held.max, held.smallest_subnormal)
    assert (row.epsilon, row.unit) == (held.eps, held.eps / 2)
    words = np.random.default_rng(1).integers(0, 2**64, 4000, np.uint64)
    with np.errstate(all="ignore"):
        x = np.concatenate([one.astype(np.float64) for one in (words.view(np.float64), words.view(np.float32), EVERY)])
        assert same([row.round(v) for v in x.tolist()], x.astype(kind)) and same(row.rounded(x), x.astype(kind))
        positive = np.abs(x[np.isfinite(x) & (np.abs(x) > row.smallest)])
        below = np.minimum(positive.astype(kind), held.max)
        below = np.where(below.astype(np.float64) > positive, np.nextafter(below, kind(0)), below)
    assert same([row.at_most(v) for v in positive.tolist()], below)


def test_numbers_are_written_as_numpy_writes_them() -> None:
    number = arithmetic(FLOAT16).number
    assert [repr(number(v)) for v in (0.1, 1 / 3, 65504.0, -0.0, math.inf, math.nan)] == [
        "0.1", "0.3333", "65500.0", "-0.0", "inf", "nan"
    ]  # fmt: skip
    assert number(0.1) == number(0.1) and number(0.1) != 0.1 and len({number(1.0), number(1.0)}) == 1
    assert not number(0) and number(2) >= 1.5 and 1 / number(2) - 1 == number(-0.5)


@pytest.mark.parametrize("row", [HALF, FLOAT16, FLUSHED, TINY, FLOAT64])
def test_random_weights_are_numbers_of_the_format(row: Format) -> None:
    for word in [0, 2**32 - 1, 2**31, *np.random.default_rng(2).integers(0, 2**32, 200).tolist()]:
        w = weight(word, row)
        assert 0 < w < 1 and w != 0.5 and (row.round(w) == w or not row.subnormals)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "exact"}, "expected an identifier other than 'exact'"),
        ({"rounding": "stochastic"}, "emulated: unknown rounding 'stochastic'; expected one of nearest_even"),
        ({"bits": 1}, "emulated: expected 2 to 53 bits"),
        ({"emin": 0}, "emin <= -1"),
        ({"bits": 12, "storage": np.float16}, "emulated: float16 has not all of its numbers"),
        ({"emin": -15, "storage": np.float16}, "emulated: float16 has not all of its numbers"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(FLOAT16, **changes)


def test_unknown_names_raise_with_those_that_there_are() -> None:
    for ask in (formats.find, formats.recorded):
        with pytest.raises(SimsaError, match="unknown precision 'emulated'; expected one of 'float64', 'float32'"):
            ask("emulated")
    assert formats.recorded("exact") is FLOAT64 and formats.recorded("float32") is FLOAT32
    with pytest.raises(ValueError, match="there is a format 'float32' already"):
        formats.add(FLOAT32)


# ---------------------------------------------------------------- the reference


def busy(x: Any, row: Any) -> Any:
    """Return a function of all kinds of operations, with ties on a grid."""
    a, b, c = x[0] - row[0], simsa.relu(x[1]) * row[1], x[0] * x[1]
    first = abs(a) + b + c / 4 + np.exp(-a * a) + np.log1p(b * b) + np.sqrt(1 + c * c)
    second = np.linalg.norm(x) + np.sort(np.stack([a, b, c]))[1] + np.maximum(a, b) + simsa.logsumexp(np.stack([a, b]))
    return first + second + np.tanh(a) + simsa.where(x[0] > x[1], x[0], x[1])


def task(precision: str, **changes: Any) -> Task:
    """Return a task of steps from points that tie and points that do not."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, -0.25], [0.7, 1.3], [0.1, 0.1]])
    rows = np.random.default_rng(0).normal(size=(6, 2)).round(1)
    given: dict[str, Any] = {
        "steps": 8, "law": "uniform_subset", "size": 1, "replace": False, "alpha": 1 / np.arange(1.0, 9.0),
        "radius": 1.3, "seed": 3, "initial": Initial("points", np.zeros(2), np.ones(2), points),
        "checkpoints": np.array([0, 4, 8]), "objective_trajectories": 100, "snapshots": True,
    }  # fmt: skip
    return Task(tape_of(simsa.trace(busy, 2, 2)), rows, Descent(**{**given, **changes}), precision)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a user's own, for one test."""
    for row in (HALF, FLOAT16, SINGLE, FLUSHED, TINY):
        monkeypatch.setitem(FORMATS, row.name, row)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(("ours", "theirs"), [("emulated", "half"), ("single", "float32")])
@pytest.mark.parametrize("radius", [1.3, 100.0])
def test_one_operation_and_one_rounding_have_numpys_bits(ours: str, theirs: str, radius: float) -> None:
    """Whole runs: steps, ties, J, points."""
    reference = ENGINES["reference"]
    one, two = (
        reference.run(task(name, radius=radius), c=Fraction(1, 2), first=0, count=10) for name in (ours, theirs)
    )
    assert all(same(values, two[key]) for key, values in one.items())
    assert one["final"].dtype == np.float64 and two["final"].dtype == formats.find(theirs).storage
    assert (one["tie_count"] > 0).any() and (one["status"] == 1).any() == (radius < 2)
    other = reference.run(task("float64", radius=radius), c=Fraction(1, 2), first=0, count=10)
    assert not same(other["final"], one["final"]), "the control: the format matters"


@pytest.mark.usefixtures("registered")
def test_engines_refuse_formats_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Format("wide", 30, -126, 127, storage=np.float64)
    summed = Format("summed", 11, -14, 15, storage=np.float16, sums="float32")
    for row in (wide, summed):
        monkeypatch.setitem(FORMATS, row.name, row)
    whys = {name: engine.refuses(task("emulated")) for name, engine in ENGINES.items()}
    compiled = "it computes with float64 and float32 only, not with emulated"
    assert whys == {
        "reference": "", "interpreter": compiled, "specialised": compiled,
        "exact": "it computes with rational numbers only, not with emulated",
    }  # fmt: skip
    work = Work(trajectories=10**6, steps=10**3, gradients=1e9, values=0.0)
    assert cheapest(task("emulated"), work) == (ENGINES["reference"], "reference")
    refuses = ENGINES["reference"].refuses
    with pytest.raises(ValueError, match="wide: an operation in float64, rounded once more, is not"):
        arithmetic(wide)
    assert refuses(task("wide")).endswith("at most 25 bits within the range of float64, not with wide")
    assert refuses(task("summed")) == ""
    assert refuses(task("exact")) == "it computes in floating point only, not with exact"
    many = task("tiny", law="fixed_size", size=8, replace=True)
    assert refuses(many) == "it counts at most 7 samples in tiny, there are 8"
    with pytest.raises(
        SimsaError, match=r"reference: it computes with formats .* not with wide; interpreter: .*; exact"
    ):
        cheapest(task("wide"), work)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_ball_is_that_of_the_kernels(precision: str) -> None:
    """At |x| = 0.1 rounded to float32, which is above 0.1: out of the ball of that radius."""
    edge = float(np.float32(0.1))
    start = Initial("points", np.zeros(1), np.ones(1), np.array([[edge], [0.1], [np.nextafter(0.1, 0)]]))
    tape = tape_of(simsa.trace(lambda x: 0.0 * x[0], 1))
    given = dataclasses.replace(task(precision).descent, initial=start, radius=0.1, law="full")
    found = [
        ENGINES[name].run(Task(tape, np.zeros((1, 0)), given, precision), c=Fraction(1), first=0, count=3)["status"]
        for name in ("reference", "interpreter")
    ]
    assert found[0].tolist() == found[1].tolist() == ([1, 0, 0] if precision == "float64" else [1, 1, 1])


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("precision", ["float32", "emulated", "half"])
def test_the_rounding_where_a_format_parts_from_the_rational_numbers_is_explained(precision: str) -> None:
    """x - 1/3 at x = 1: the constant is the first number that is rounded."""
    from simsa.machine import exact
    from simsa.machine.replay import Walker

    tape, rows = tape_of(simsa.trace(lambda x: (x[0] - 1 / 3) * x[0], 1)), np.zeros((1, 0))
    start = Initial("points", np.zeros(1), np.ones(1), np.ones((1, 1)))
    given = dataclasses.replace(task(precision).descent, initial=start, law="full")
    walker = Walker(tape, rows, arithmetic(formats.find(precision)))
    begin: dict[str, Any] = {"c": 1, "trajectory": 0}
    step = next(walker.walk(given, given.alpha, **begin))
    beside = next(exact.walker(tape, rows, given, 4096).walk(given, [Fraction(1)] * 8, **begin))
    found = explain(walker, step, beside)
    assert found is not None and found.exact == Fraction(1 / 3)
    name = {"half": "float16"}.get(precision, precision)
    assert found.operation == f"{1 / 3!r}, as a {name}" and found.rounded == formats.find(precision).round(1 / 3)


# ---------------------------------------------------------------- from a scenario

SCENARIO = """
# One step of 3/4096 down from the number after 1: 1 + 2^-10 - 3 2^-12 = 1 + 2^-12. In 11 bits numbers above 1 are 2^-10
# apart, so that is rounded to 1, which is the tie. In float32 it is a number, the next step leads below 1, and nothing
# ties.
[scenario]
name = "eleven_bits"
[program]
kind = "expression"
parameters = ["x"]
expression = "relu(x - 1)"
[sgd]
steps = 4
batch = { law = "full" }
step_size = { family = "constant" }
[initial]
law = "points"
points = [[1.0009765625], [1.5], [0.5]]
[sweep]
c = ["3/4096"]
trajectories = 3
precision = ["float64", "float32", "emulated", "half", "exact"]
[[observe]]
name = "above"
expression = "x - 1"
hit_below = 0
"""

EXTENSION = """
import numpy as np

from simsa import formats
from simsa.formats import Format

formats.add(Format("emulated", bits=11, emin=-14, emax=15, storage=np.float64))
formats.add(Format("half", bits=11, emin=-14, emax=15, storage=np.float16))

import json
import sys
from pathlib import Path
import simsa
from simsa.cli import main
from simsa.ensemble.plan import choose, plan
from simsa.ensemble.resolve import resolve
from simsa.records import read
from simsa.scenario import json_schema, load

folder, file, random = map(Path, sys.argv[1:])
assert '"emulated"' in json.dumps(json_schema())


def bits(cell):
    return {name: np.asarray(cell[name]).tobytes() for name in cell if name not in ("c", "convention", "precision")}


assert main(["sweep", str(file), "--out", str(folder / "one"), "--quiet"]) == 0
cells = {str(cell["precision"]): cell for cell in read.cells(folder / "one")}
assert {name: cell["tie_first"].tolist() for name, cell in cells.items()} == {
    "float64": [-1, -1, -1], "float32": [-1, -1, -1], "emulated": [1, -1, -1], "half": [1, -1, -1],
    "exact": [-1, -1, -1],
}
assert cells["emulated"]["sensitive_first"].tolist() == [1, -1, -1]
assert cells["emulated"]["tie_count"].tolist() == [3, 0, 0]
assert cells["emulated"]["final"][0, 0] == 1 and cells["float32"]["final"][0, 0] == 1 - 2**-11
assert bits(cells["emulated"]) == bits(cells["half"])
assert "emulated" in (folder / "one" / "report.md").read_text()
summary = json.loads((folder / "one" / "summary.json").read_text())
assert [one["precision"] for one in summary["cells"]] == list(cells)
for number, name in enumerate(cells):
    replay = simsa.replay(folder / "one", cell=number, trajectory=0)
    assert not replay.differences
    assert len(list(replay)) == 4
    part = replay.divergence()
    assert (part is None) == (name not in ("emulated", "half"))
    if part:
        assert part.k == 1 and part.value == 1 and part.exact == 1 + 2**-12 and part.rounding is not None
    assert main(["replay", str(folder / "one"), "--cell", str(number), "--trajectory", "0", "--exact"]) == 0

wanted = ["sweep.precision=['emulated', 'half']", "sweep.trajectories=60", "sweep.c=[1, '1/3']", "claim=[]"]
settings = [part for change in wanted for part in ("--set", change)]
assert main(["sweep", str(random), "--out", str(folder / "two"), "--quiet", *settings]) == 0
ours, theirs, *more = read.cells(folder / "two")
assert bits(ours) == bits(theirs) and (ours["tie_count"] > 0).any()

made = plan(resolve(load(file, ["sweep.precision=['emulated']"])))
assert [engine.name for engine in choose(made, "auto")[0].values()] == ["reference"]
for engine in ("interpreter", "specialised"):
    only = ["--set", f"run.engine='{engine}'", "--set", "sweep.precision=['emulated']"]
    assert main(["sweep", str(file), "--out", str(folder / engine), "--quiet", *only]) != 0
for change in ("initial.points=[[7e4]]", "sgd.step_size.value=1e9"):
    only = ["--set", change, "--set", "sweep.precision=['emulated']"]
    assert main(["sweep", str(file), "--out", str(folder / "none"), "--quiet", *only]) != 0
print("the same bits")
"""


def test_a_format_is_added_from_outside_in_one_place(tmp_path: Path) -> None:
    """A row in a user's file: the scenario names it, the reference runs it, and reports and replays know it."""
    file = tmp_path / "eleven_bits.toml"
    file.write_text(SCENARIO)
    random = ROOT / "scenarios" / "bad_step.toml"
    given = [sys.executable, "-c", EXTENSION, str(tmp_path), str(file), str(random)]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("the same bits\n")
    refused = [line for line in done.stderr.splitlines() if "does not run this program" in line]
    why = "it computes with float64 and float32 only, not with emulated"
    assert len(refused) == 2 and all(why in line for line in refused)
    assert "initial: a point as far as 70000 is infinite in emulated (sweep.precision)" in done.stderr
    assert "sweep.c: the step 732422 is infinite in emulated (sweep.precision)" in done.stderr


def test_the_schema_and_the_docs_have_every_format() -> None:
    schema, page = ((ROOT / name).read_text() for name in ("schema/scenario.schema.json", "docs/reference/formats.md"))
    assert all(f'"{name}"' in schema for name in FORMATS)
    assert all(line in page.splitlines() for line in formats.table()), "write it again: make tables"
