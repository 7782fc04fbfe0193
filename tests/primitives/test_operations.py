"""An operation is one entry: what a test registers is evaluated, differentiated and classified, and refused by name."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest

from simsa import calculus
from simsa.engines import ENGINES
from simsa.ensemble.plan import choose
from simsa.errors import ProgramError
from simsa.machine import Interpreter, tape_of
from simsa.machine.exact import EXACT, refusal
from simsa.primitives import OPCODE, ROW, ROWS, Primitive, add
from simsa.primitives.operations import Operation
from simsa.program.program import Builder, Program
from simsa.scenario import load
from tests.support.runs import planned


class Product(Operation):
    """x_1 ... x_n, from left to right; the kernels have no loop for it."""

    def values(self, call, x, decision, forced):
        return [math.prod(x, start=call.number(1))]

    def partials(self, call, x, values, decision):
        return [[math.prod([v for j, v in enumerate(x) if j != i], start=call.number(1)) for i in range(len(x))]]


@pytest.fixture(autouse=True)
def product() -> Iterator[Primitive]:
    row = Primitive("product", "x_1 ... x_n", None, operation=Product())
    add(row)
    yield row
    assert ROWS.pop() is ROW.pop("product") is row
    del OPCODE["product"]


def made(count: int = 3, kink: bool = False) -> Program:
    """Return the product of the parameters, or its absolute value."""
    builder = Builder(count)
    out = builder.apply("product", range(count))
    return builder.finish([builder.apply("abs", [out]) if kink else out])


def test_it_is_evaluated_and_differentiated():
    program = made()
    assert float(program.value([2.0, 3.0, 5.0])) == 30.0
    for mode in ("backward", "forward"):
        assert program.gradient([2.0, 3.0, 5.0], mode=mode).tolist() == [15.0, 10.0, 6.0]
    assert "product(r0, r1, r2)" in program.listing()


def test_it_runs_in_every_arithmetic():
    tape = tape_of(made(2))
    assert refusal(tape) is None
    run = Interpreter(tape, EXACT).run([0.1, 0.1])
    assert run.values[-1] == EXACT.number(0.1) ** 2 != EXACT.number(0.1 * 0.1)


def test_what_selects_behind_it_is_classified():
    """|x y| at (0, 1) is |x| to first order; at (0, 0) it is differentiable, with the slope 0."""
    program = made(2, kink=True)
    assert program.branches([0.0, 1.0]).tied == (True,)
    assert sorted(calculus.clarke(program, [0.0, 1.0]).vertices.tolist()) == [[-1.0, 0.0], [1.0, 0.0]]
    assert calculus.clarke(program, [0.0, 0.0]).vertices.tolist() == [[0.0, 0.0]]
    local = calculus.selection_operator(program, [0.0, 2.0], "local")
    assert {abs(v) for v in local.vertices[:, 0].tolist()} <= {0.0, 2.0}


def test_a_batch_runs_on_the_reference():
    program = made()
    points = np.random.default_rng(0).normal(size=(100, 3))
    np.testing.assert_allclose(program.value(points).ravel(), points.prod(1), rtol=1e-14)
    np.testing.assert_allclose(program.gradient(points)[:, 0], points[:, 1:].prod(1), rtol=1e-14)


SCENARIO = """
[scenario]
name = "product"
seed = 1
[program]
kind = "python"
target = "of_product:f"
parameters = 3
[initial]
law = "uniform"
low = 0.5
high = 1.5
[sgd]
steps = 4
batch = { law = "full" }
step_size = { family = "constant" }
[sweep]
c = [0.125]
precision = ["float64", "exact"]
trajectories = 2
"""

MODULE = """
from simsa.program.symbolic import Array
import numpy as np

def f(x):
    return Array(x.builder, np.array(x.builder.apply("product", x.entries.tolist())))
"""


def test_engines_without_its_loop_refuse_it_by_name_and_the_others_run_it(tmp_path, monkeypatch):
    (tmp_path / "of_product.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "product.toml"
    file.write_text(SCENARIO, encoding="utf-8")
    made = planned(load(file))
    finals = {}
    for cell in made.layout.cells:
        task = made.task(cell)
        for engine in ENGINES.values():
            if engine.parallel:
                assert engine.refuses(task) == "it has no loop for product"
            elif not engine.refuses(task):
                finals[engine.name] = engine.run(task, c=cell.scale, first=0, count=2)["final"]
    np.testing.assert_allclose(finals["reference"], finals["exact"], rtol=1e-12)
    with pytest.raises(ProgramError, match="'interpreter' does not run this program: it has no loop for product"):
        choose(made, "interpreter")
    assert {engine.name for engine in choose(made, "auto")[0].values()} == {"reference", "exact"}


def test_what_it_can_compute_follows_from_nothing_else():
    """Rows with any number of operands differ in their operation alone."""
    renamed = dataclasses.replace(ROW["sum"], name="total")
    assert renamed.operation is ROW["sum"].operation and renamed.numbers(7) == 0


def test_names_are_taken_once():
    with pytest.raises(ValueError, match="product: the table has a row of this name"):
        add(Primitive("product", "", None, operation=Product()))
    with pytest.raises(ValueError, match="a row with pieces has a fixed number of operands, and no other operation"):
        dataclasses.replace(ROW["relu"], operation=Product())
