"""Laws of minibatches and of x_0: each is one row, and one is added from outside in one place."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simsa import laws
from simsa.errors import SimsaError
from simsa.laws import MINIBATCHES, Law, Start, State, Words
from simsa.machine import Descent, Initial, draws, launch
from simsa.machine.task import LAWS
from simsa.vocabulary import Met

SCENARIO = """
[scenario]
name = "added"
seed = 5
[program]
kind = "expression"
parameters = ["x", "y"]
data = ["a"]
expression = "relu(x - a) + abs(y) * a + x * y / 4"
[data]
source = "inline"
rows = [[1.0], [2.0], [4.0]]
[sgd]
steps = 10
step_size = { family = "constant", value = "1/4" }
batch = { law = "uniform_subset" }
[sweep]
c = [0.5]
trajectories = 24
precision = ["float64", "float32", "exact"]
[initial]
law = "logistic"
scale = 0.5
[record]
classify = 4
"""

EXTENSION = """
from math import log

from simsa import laws
from simsa.laws import MINIBATCH, Law, Start, below
from simsa.rules import Range
from simsa.vocabulary import Met


def logistic(uniforms, scale):
    return [scale * log((u + 2.0**-54) / (1 - u)) for u in uniforms]


class Window(Law):
    name = "window"
    meaning = "I_k is `size` samples in a row, the first drawn uniformly; after the last comes the first."

    def draw(self, n, size, replace, step, words):
        first = below(n, words(step, MINIBATCH))
        return [(first + i) % n for i in range(size)]

    def met(self, n, size, replace):
        return Met.COVERED, "windows are iid, and have the selection gradient of J as their mean"

    def every(self, n, size, replace, most):
        return [tuple((first + i) % n for i in range(size)) for first in range(n)]


laws.register(Start("logistic", "the logistic law", logistic, {"scale": Range(0.0, 100.0, "its scale")}))
laws.register(Window())

import sys
from pathlib import Path

import numpy as np

import simsa
from simsa import plots
from simsa.cli import main
from simsa.records import read

plots.save_all = lambda summary, folder: []
folder, file = sys.argv[1:]


def ran(engine, *changes):
    out = f"{folder}/{engine}-{len(changes)}"
    words = [part for change in (f"run.engine='{engine}'", *changes) for part in ("--set", change)]
    code = main(["sweep", file, "--out", out, "--quiet", *words])
    if code:
        return code
    assert not simsa.replay(out, cell=0, trajectory=3).differences
    return [{name: np.asarray(cell[name]).tobytes() for name in cell} for cell in read.cells(Path(out))]


every = [ran(engine) for engine in ("reference", "interpreter", "specialised")]
assert every[0] == every[1] == every[2]
window = "sgd.batch={law='window', size=2}"
other = ran("reference", window)
assert other != every[0] and other[0].keys() == every[0][0].keys()
assert ran("auto", window, "scenario.title='again'") == other, "it takes what does not refuse"
assert ran("interpreter", window) == 2
assert ran("reference", "initial.scale=-1.0") == 2
assert ran("reference", "initial={law='logistik'}") == 2
print("the same bits")
"""


def test_a_law_is_added_from_outside_in_one_place(tmp_path: Path) -> None:
    """A row in a user's file: x_0 has the same bits on every engine; minibatches are drawn by those in plain Python."""
    (tmp_path / "added.toml").write_text(SCENARIO)
    given = [sys.executable, "-c", EXTENSION, str(tmp_path), str(tmp_path / "added.toml")]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("the same bits\n")
    assert "'interpreter' does not run this program: it does not draw minibatches by the law 'window'" in done.stderr
    assert "initial.scale: expected a number from 0 to below 100, got -1.0" in done.stderr
    assert "initial.law: expected 'normal', 'uniform', 'points', 'grid', 'he', 'glorot' or 'logistic'" in done.stderr


def descent(law: str = "full", initial: str = "normal") -> Descent:
    start = Initial(initial, np.zeros(2), np.ones(2), np.zeros((0, 2)))
    return Descent(4, law, 2, False, np.ones(4), 1.0, 0, start, np.zeros(0, np.int64), 0)


class Odd(Law):
    """The samples with odd numbers."""

    name = "odd"
    meaning = "every second sample"

    def draw(self, n: int, size: int, replace: bool, step: int, words: Callable[[int, int], Words]) -> list[int]:
        return list(range(1, n, 2))

    def met(self, n: int, size: int, replace: bool) -> State:
        return Met.NOT_MET, "some samples are never drawn"


def test_kernels_refuse_a_law_that_they_do_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MINIBATCHES, "odd", Odd())
    assert list(draws.minibatches(descent("odd"), 5, 0.5, 0)) == [[1, 3]] * 4
    with pytest.raises(SimsaError, match="kernels do not draw minibatches by the law 'odd'"):
        next(launch.minibatches(descent("odd"), 5, 0.5, 0))


@pytest.mark.parametrize("point", [lambda u: u[:1], lambda u: [u[0], float("inf")]])
def test_a_law_of_x0_returns_a_finite_point(monkeypatch: pytest.MonkeyPatch, point: Callable[..., list[float]]) -> None:
    monkeypatch.setitem(laws.STARTS, "mine", Start("mine", "a law", point))
    for given in (draws, launch):
        with pytest.raises(SimsaError, match=r"the law 'mine' of x_0 returned .*; expected 2 finite numbers"):
            given.initial_points(descent(initial="mine"), 0.5, 0, 3, 2)


def test_what_is_unknown_raises_and_a_name_stands_for_one_law() -> None:
    with pytest.raises(SimsaError, match="unknown law of the minibatch 'odd'; expected one of 'uniform_subset'"):
        descent("odd")
    with pytest.raises(SimsaError, match="unknown law of x_0 'mine'; expected one of 'points', 'normal', 'uniform'"):
        descent(initial="mine")
    with pytest.raises(ValueError, match="there is a law 'full' already"):
        laws.register(MINIBATCHES["full"])
    assert pickle.loads(pickle.dumps(descent("full"))).batches is MINIBATCHES["full"]


@pytest.mark.parametrize("replace", [False, True])
def test_kernels_have_every_law_of_simsas_own(replace: bool) -> None:
    drawn = [row.kernel(replace and row.repeats) for row in MINIBATCHES.values()]
    assert set(drawn) <= set(LAWS) and len(set(drawn)) == len(MINIBATCHES)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("name", MINIBATCHES)
def test_what_a_law_says_of_its_minibatches_is_so(name: str, n: int) -> None:
    row, size = MINIBATCHES[name], min(2, n)
    made = Descent(
        400, name, size, False, np.ones(400), 1.0, 0, Initial("normal", np.zeros(1), np.ones(1), np.zeros((0, 1))),
        np.zeros(0, np.int64), 0,
    )  # fmt: skip
    found = list(draws.minibatches(made, n, 0.5, 0))
    every = row.every(n, size, False, 255)
    assert every is not None and {tuple(sorted(one)) for one in found} == set(every)
    assert max(map(len, found)) == row.largest(n, size) and 1 <= row.usual(n, size) <= n
    assert np.mean([len(one) for one in found]) == pytest.approx(row.mean(n, size), abs=0.25)
