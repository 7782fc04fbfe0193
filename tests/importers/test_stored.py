"""What the frameworks returned at ties, with the programs that their functions became: no framework is needed."""

import json
import subprocess
import sys

import numpy as np
import pytest

import simsa
from simsa.errors import ProgramError
from simsa.importers import arrays
from simsa.importers.imported import pruned
from simsa.program.stored import _program, described
from tests.importers.asked import FILE, Answer
from tests.support import ROOT

KEPT = json.loads(FILE.read_text(encoding="utf-8"))
CASES = {f"{case['framework']}: {case['name']}": case for case in KEPT["cases"]}


def numbers(entries):
    return np.array([float(v) for v in entries])


@pytest.mark.parametrize("name", CASES)
def test_derivatives_at_ties_are_those_of_the_framework(name):
    case = CASES[name]
    program = _program(case["program"]["programs"][0])
    known = (numbers(case[key]) for key in ("point", "value", "gradient"))
    point, value, gradient = known
    assert (
        Answer(program, point, np.zeros(0), value, gradient).difference() <= 1e-7 if "hardsigmoid at" in name else 1e-15
    )


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_the_stored_programs_are_what_the_functions_become(framework):
    """So that the file cannot fall behind the importers."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    from importlib import import_module

    from tests.importers import asked

    cases = import_module(f"tests.importers.{framework}_cases").ties()
    assert [f"{framework}: {name}" for name in cases] == [name for name in CASES if name.startswith(framework)]
    for name, (function, arguments) in cases.items():
        made = getattr(asked, f"by_{framework}")(function, arguments).program
        kept = CASES[f"{framework}: {name}"]["program"]
        assert json.loads(json.dumps(described([made]))) == json.loads(json.dumps(kept)), name


def test_importing_simsa_imports_no_framework():
    ask = (
        "import simsa, sys; simsa.from_torch, simsa.from_jax; print([m for m in ('torch', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("framework", "call"), [("torch", simsa.from_torch), ("jax", simsa.from_jax)])
def test_a_framework_that_is_missing_is_named(framework, call, monkeypatch):
    monkeypatch.setitem(sys.modules, framework, None)
    with pytest.raises(ProgramError, match=rf"pip install 'simsa\[{framework}\]'"):
        call(lambda x: x, ())


def test_a_program_loses_what_no_output_depends_on():
    def function(x):
        np.sin(x)
        return simsa.relu(np.sort(x)[1]) + 2.0

    made = simsa.trace(function, 2)
    short = pruned(made)
    assert [node.primitive for node in short.nodes] == ["sort", "relu", "constant", "add"]
    for point in ([1.0, -2.0], [3.0, 3.0]):
        assert short.value(point) == made.value(point)
        assert np.array_equal(short.gradient(point), made.gradient(point))


def test_matrix_products_and_einsum_are_those_of_numpy():
    draw = np.random.default_rng(0)
    a, b, c = draw.standard_normal((2, 3, 3)), draw.standard_normal((3, 2)), draw.standard_normal((2, 2))

    def split(x):
        parts = np.split(x, [18, 24])
        return [np.reshape(part, whole.shape) for part, whole in zip(parts, (a, b, c), strict=True)]

    point = np.concatenate([a.reshape(-1), b.reshape(-1), c.reshape(-1)])
    for equation, chosen in (
        ("bij,jk,bk->i", (0, 1, 2)),
        ("...ij,jk->...k", (0, 1)),
        ("bii->b", (0,)),
        ("jk,bk->bj", (1, 2)),
        ("jk,jk", (1, 1)),
    ):
        truth = np.einsum(equation, *[(a, b, c)[i] for i in chosen])
        program = simsa.trace(
            lambda x, equation=equation, chosen=chosen: arrays.einsum(equation, *[split(x)[i] for i in chosen]), 28
        )
        assert np.allclose(program.value(point), truth.reshape(-1), rtol=1e-13), equation
    program = simsa.trace(lambda x: arrays.matmul(split(x)[0], split(x)[1]), 28)
    assert np.allclose(program.value(point), (a @ b).reshape(-1), rtol=1e-13)


def test_biases_that_are_added_become_those_of_dense():
    program = pruned(simsa.trace(lambda x, z: arrays.add(arrays.matmul(x[:6].reshape(2, 3), z), x[6:]), 8, 3))
    assert [(node.primitive, len(node.operands)) for node in program.nodes] == [("dense", 11)]


def test_windows():
    at = arrays.windows((4,), (3,), (2,), ((1, 1),), (1,))
    assert at.tolist() == [[-1, 0, 1], [1, 2, 3]]
    at = arrays.windows((2, 3), (1, 2), (1, 1), ((0, 0), (0, 0)), (1, 2))
    assert at.tolist() == [[[[0, 2]]], [[[3, 5]]]]
    with pytest.raises(ProgramError, match="a window of 3 does not fit"):
        arrays.windows((2,), (3,), (1,), ((0, 0),), (1,))
