"""Formats of 16 and 8 bits: every operation of all 8-bit numbers, and layers as PyTorch computes them on a CPU."""

import json

import numpy as np
import pytest

import simsa
from simsa import formats
from simsa.formats import FORMATS
from simsa.machine import Interpreter, arithmetic
from simsa.tape import assemble
from tests.support import DATA

LAYERS = json.loads((DATA / "layers16.json").read_text(encoding="utf-8"))
"""Linear layers of PyTorch on a CPU in 16 bits: inputs, outputs and gradients, all exact in float64."""


def nearest(values, numbers, bits):
    """Return values rounded to an ascending list of numbers by a search: to the nearest, at a tie to the even one."""
    edges = (numbers[1:] + numbers[:-1]) / 2
    at = np.searchsorted(edges, values)
    tied = np.isin(values, edges)
    odd = np.arange(len(numbers)) - len(numbers) // 2  # 0 has the number 0, so that even numbers have an even last bit
    at = np.where(tied & (odd[at] % 2 != 0), at + 1, at)
    beyond = numbers[-1] + (numbers[-1] - numbers[-2]) / 2
    return np.where(np.abs(values) >= beyond, np.copysign(np.inf, values), numbers[at])


@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3"])
def test_all_pairs_of_8_bits_are_rounded_to_the_nearest(name):
    row = FORMATS[name]
    numbers = row.numbers()
    assert numbers[-1] == row.largest == {"float8_e5m2": 57344, "float8_e4m3": 240}[name]
    number = arithmetic(row).number
    with np.errstate(all="ignore"):
        a, b = (v.ravel() for v in np.meshgrid(numbers, numbers))
        for symbol, exact in {"+": a + b, "-": a - b, "*": a * b, "/": a / b}.items():
            finite = np.isfinite(exact)
            chosen = np.flatnonzero(finite)[:: 7 if symbol in "+-" else 5]
            assert np.array_equal(row.rounded(exact[finite]), nearest(exact[finite], numbers, row.bits)), symbol
            operate = {
                "+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": lambda x, y: x / y
            }[symbol]  # fmt: skip
            found = [float(operate(number(x), number(y))) for x, y in zip(a[chosen], b[chosen], strict=True)]
            assert np.array_equal(found, nearest(exact[chosen], numbers, row.bits)), symbol


def layer(m, n):
    """Return a linear layer with its weights, inputs and biases as parameters, and the same against data."""

    def values(p):
        return simsa.dense(p[: m * n].reshape(m, n), p[m * n : m * n + n], p[m * n + n :])

    size = m * n + n + m
    return simsa.trace(values, size), simsa.trace(lambda p, s: np.sum(values(p) * s), size, m)


def agreeing(name, row):
    """Return how many numbers of PyTorch's layers a format has, of how many: outputs, and gradients."""
    found, total = 0, 0
    for case in LAYERS[name]:
        m, n = len(case["output"]), len(case["input"])
        forward, back = (Interpreter(assemble(program), arithmetic(FORMATS[row])) for program in layer(m, n))
        at = [*case["weight"], *case["input"], *case["bias"]]
        run = forward.run(at)
        outputs = [float(run.values[r]) for r in forward.tape.outputs]
        gradient = [float(v) for v in back.backward(back.run(at, case["seed"]))]
        pairs = zip(outputs + gradient[: m * n + n], case["output"] + case["d_weight"] + case["d_input"], strict=True)
        same = [ours == theirs for ours, theirs in pairs]
        found, total = found + sum(same), total + len(same)
    return found, total


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_layers_are_those_of_pytorch_as_sums_are_accumulated_in_float32(name):
    found, total = agreeing(name, name)
    assert found == total == 1350
    alone, _ = agreeing(name, f"{name}/{name}")
    assert alone < 0.95 * total, "the control: rounding each operation gives other numbers"


def test_a_sum_in_its_own_format_loses_what_float32_keeps():
    """2048 + 1 + 1 in 11 bits: each 1 is lost, unless the sum is rounded once."""
    tape = assemble(simsa.trace(lambda x: np.sum(x), 3))
    found = {}
    for name in ("float16", "float16/float16"):
        interpreter = Interpreter(tape, arithmetic(FORMATS[name]))
        run = interpreter.run([2048.0, 1.0, 1.0])
        found[name] = float(run.values[tape.outputs[0]])
    assert found == {"float16": 2050.0, "float16/float16": 2048.0}


def test_a_network_runs_in_16_bits_and_conventions_part_there():
    """relu'(0) = 0 or 1 in bfloat16: a run meets a kink by rounding, which in float64 it never does."""
    run = simsa.sweep(
        lambda x, a: simsa.relu(x[0] - a[0]) + simsa.relu(a[0] - x[0]) / 2,
        parameters=1,
        data=[[0.25], [-0.5], [1.0]],
        c=[0.5],
        steps=20,
        step_size=lambda k: 1 / (k + 1),
        batch=1,
        initial=simsa.uniform(-1, 1),
        trajectories=30,
        conventions=["tensorflow", {"base": "tensorflow", "relu": 1.0}],
        precision=["float64", "bfloat16"],
        engine="reference",
        classify=0,
        quiet=True,
    )
    differ = {one["precision"]: one["differ"] for one in run.summary["comparisons"] if one["axis"] == "convention"}
    assert differ["float64"] == 0 < differ["bfloat16"]


def test_a_format_by_its_bits_is_the_one_with_a_name():
    given = {"parameters": 1, "c": [0.5], "steps": 6, "step_size": 1.0, "trajectories": 8, "engine": "reference"}
    given |= {"initial": simsa.uniform(-1, 1), "classify": 0, "quiet": True}
    bits = [{"significand": 4, "exponent": 4}, {"significand": 11, "exponent": 5, "own_sums": True}]
    run = simsa.sweep(lambda x: np.abs(x[0] - 0.3) * x[0], precision=["float8_e4m3", "float16/float16", *bits], **given)
    assert run.cells.precision.tolist() == ["float8_e4m3", "float16/float16", "e4m3", "e5m10/e5m10"]
    final = run.records.final.values
    assert np.array_equal(final[0], final[2]) and np.array_equal(final[1], final[3]) and (final[0] != final[1]).any()
    with pytest.raises(simsa.SimsaError, match=r"precision\.0\.significand: expected a number <= 25, got 30"):
        simsa.sweep(lambda x: x[0], precision=[{"significand": 30, "exponent": 5}], **given)
    with pytest.raises(simsa.SimsaError, match="unknown precision 'e4q3'; expected one of 'float64', 'float32'"):
        formats.find("e4q3")
