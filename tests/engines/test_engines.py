"""Engines: the bits of each are those of the reference; one is added from outside in one place."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import simsa
from simsa.engines import ENGINES, Engine, Reference, Task, Work, cheapest
from simsa.engines.engine import Say
from simsa.errors import SimsaError
from simsa.machine import Descent, Initial, tape_of
from simsa.machine.progress import Progress, records
from simsa.machine.task import ExactSteps
from simsa.rules import HEAVY_BALL, SGD

ROWS = np.array([[1.0, 0.5], [-1.0, 2.0], [0.0, 1.0], [2.0, -1.0]])
WORK = Work(trajectories=8, steps=9, gradients=100.0, values=10.0)


def kinked(x: Any, row: Any) -> Any:
    """Tie on a grid of points, and be curved elsewhere; a rational function."""
    return abs(x[0] - row[0]) + simsa.relu(x[1]) * row[1] + x[0] * x[1] / 4


def task(precision: str, law: str = "fixed_size", momentum: bool = False, radius: float = 3.0) -> Task:
    """Return a task from points that tie and points that do not, of which some leave the ball."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, -0.25], [0.75, 1.25], [2.0, 1.0]])
    numbers = (Fraction(1, 2),) if momentum else ()
    descent = Descent(
        9, law, 2, False, np.full(9, 0.5), radius, 3, Initial("points", np.zeros(2), np.ones(2), points),  # type: ignore[arg-type]
        np.array([0, 4, 9]), 100, True, rule=HEAVY_BALL if momentum else SGD, numbers=numbers,
    )  # fmt: skip
    exact = ExactSteps({Fraction(1, 2): Fraction(1, 2)}, (Fraction(1, 2),) * 9, 4096)
    return Task(tape_of(simsa.trace(kinked, parameters=2, data=2)), ROWS, descent, precision, exact)


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("law", ["fixed_size", "uniform_subset", "full", "reshuffled"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_every_engine_has_the_bits_of_the_reference(precision: str, law: str, momentum: bool) -> None:
    given = task(precision, law, momentum)
    found = {
        name: engine.run(given, c=Fraction(1, 2), first=3, count=8)
        for name, engine in ENGINES.items()
        if not engine.refuses(given)
    }
    assert list(found) == ["reference", "interpreter", "specialised"]
    for name, one in found.items():
        for key, values in one.items():
            assert values.dtype == found["reference"][key].dtype, (name, key)
            assert values.tobytes() == found["reference"][key].tobytes(), (name, key)
    assert set(found["reference"]["status"].tolist()) >= {0} and (found["reference"]["tie_count"] > 0).any()


@pytest.mark.parametrize("name", ENGINES)
def test_a_run_may_be_cut_at_any_step(name: str) -> None:
    """What is given stays as it is; a run that is cut nowhere, everywhere and somewhere has the same bits."""
    engine, given = ENGINES[name], task("exact" if name == "exact" else "float64", momentum=True)
    whole = engine.run(given, c=Fraction(1, 2), first=0, count=5)
    for cuts in (range(10), (0, 4, 9), (7, 7, 9)):
        progress = engine.begin(given, c=Fraction(1, 2), first=0, count=5)
        for step in cuts:
            before = [array.tolist() for array in progress.state]
            after = engine.advance(given, progress, step)
            np.testing.assert_equal([array.tolist() for array in progress.state], before)
            progress = after
        for key, values in records(given.descent, progress).items():
            assert values.tobytes() == whole[key].tobytes(), key


def test_over_dyadic_numbers_exact_and_float_agree() -> None:
    """Steps of halves from dyadic points: the same ties, and numbers up to the roundings of nine steps."""
    floats, rationals = (
        ENGINES[name].run(task(precision, "full", radius=100.0), c=Fraction(1, 2), first=0, count=5)
        for name, precision in (("reference", "float64"), ("exact", "exact"))
    )
    for key, values in floats.items():
        np.testing.assert_allclose(values, rationals[key], rtol=1e-14, err_msg=key)


class Backwards(Reference):
    """The trajectories of a block in the opposite order: an engine of a user's own."""

    name = "backwards"

    def refuses(self, task: Task) -> str:
        return "it computes with float32 only" if task.precision != "float32" else ""

    def cost(self, task: Task, work: Work) -> float:
        return -1.0

    def advance(self, task: Task, progress: Progress, until: int, say: Say = lambda line: None) -> Progress:
        parts = [
            self.begin(task, c=progress.c, first=progress.first + i, count=1) for i in range(len(progress.state.x))
        ]
        done = [super(Backwards, self).advance(task, part, until) for part in reversed(parts)][::-1]
        state = type(progress.state)._make(
            np.concatenate(arrays) for arrays in zip(*(d.state for d in done), strict=True)
        )
        return Progress(progress.c, progress.first, until, state)


def test_an_engine_is_added_from_outside_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    mine: Engine = Backwards()
    monkeypatch.setitem(ENGINES, mine.name, mine)
    chosen, why = cheapest(task("float32"), WORK)
    assert chosen is mine and why.startswith("backwards engine, done first (backwards -1 s, reference")
    assert cheapest(task("float64"), WORK)[0] is ENGINES["reference"]
    given: dict[str, Any] = {"c": Fraction(1, 2), "first": 3, "count": 8}
    ours, theirs = mine.run(task("float32"), **given), ENGINES["interpreter"].run(task("float32"), **given)
    assert all(values.tobytes() == theirs[key].tobytes() for key, values in ours.items())


def test_no_engine_at_all_is_said_with_every_reason() -> None:
    given = replace(task("exact"), exact=None)
    with pytest.raises(
        SimsaError, match=r"reference: it computes in floating point only, not with exact; .*exact: the t"
    ):
        cheapest(given, WORK)


def test_small_work_needs_no_compiler_and_large_work_is_worth_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simsa.machine.launch.compiled", lambda precision, special=None: False)
    assert cheapest(task("float64"), WORK)[0].name == "reference"
    large = Work(trajectories=10**6, steps=10**3, gradients=1e9, values=0.0)
    assert cheapest(task("float64"), large)[0].name == "specialised"


def test_an_exact_scale_is_a_fraction() -> None:
    progress = ENGINES["exact"].begin(task("exact"), c=0.5, first=0, count=1)
    with pytest.raises(SimsaError, match=r"a step scale of rational numbers is named by a fraction, got 0\.5"):
        ENGINES["exact"].advance(task("exact"), progress, 1)
