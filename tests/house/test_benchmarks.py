"""What the benchmarks compare is one function: each model's losses over arrays are the values of its program."""

import numpy as np
import pytest

import simsa
from benchmarks.__main__ import PARTS, parse
from benchmarks.models import Convolution, Dense, Scalar, Sort
from benchmarks.peers.straight import straight

assert simsa.Program.evaluator  # bound by importing simsa


class Ops:
    abs, maximum, minimum, sort, transpose, reshape, largest, total = (
        np.abs, np.maximum, np.minimum, np.sort, np.transpose, np.reshape, np.max, np.sum,
    )  # fmt: skip
    relu = staticmethod(lambda x: np.maximum(x, 0.0))
    constant = staticmethod(np.asarray)
    logsumexp = staticmethod(lambda x: np.log(np.exp(x).sum(axis=-1)))
    equal = staticmethod(lambda a, b: (a == b).astype(float))
    columns = staticmethod(lambda x, index: x[:, index])
    swap = staticmethod(lambda x: np.swapaxes(x, 1, 2))


MODELS = (
    Dense((3, 5, 4, 1)),
    Dense((6, 1), "l1"),
    Dense((64, 7, 10), "cross_entropy", "digits"),
    Convolution(2),
    Sort(6),
    Scalar(10),
    Scalar(30),
)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_losses_are_the_values_of_the_program(model):
    program, rows = model.program(), model.rows(9)
    rng = np.random.default_rng(3)
    leaves = [rng.normal(size=shape) * 0.5 for shape in model.shapes]
    flat = np.concatenate([leaf.ravel() for leaf in leaves])
    losses = model.losses(Ops, leaves, rows)
    values = [program.value(flat, row).item() if program.data else program.value(flat).item() for row in rows]
    np.testing.assert_allclose(losses, values, rtol=1e-12)


@pytest.mark.parametrize("count", [10, 30, 100])
def test_straight_text_is_the_gradient_of_the_scalar_program(count):
    program = Scalar(count).program()
    assert sum(node.primitive != "constant" for node in program.nodes) == count
    names = {"where": np.where, "zero": 0.0, "one": 1.0}
    points = np.random.default_rng(4).uniform(-1, 1, (50, 2))
    names |= {"r0": points[:, 0], "r1": points[:, 1]}
    for name, expression in straight(program):
        names[name] = eval(expression, {}, names)
    gradients = program.jacobian(points)[:, 0]
    np.testing.assert_allclose(np.stack([names["d0"], names["d1"]], axis=1), gradients, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("typed", "parts"), [("", PARTS), ("all", PARTS), ("growth report", ("growth", "report"))])
def test_what_is_asked_for(typed, parts):
    """No part at all means every part, also where argparse checks the choices of nothing."""
    assert tuple(parse(typed.split()).parts) == tuple(parts)
