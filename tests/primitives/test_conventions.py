"""Derivatives at ties and elsewhere are what PyTorch, JAX and TensorFlow returned.

tests/data/conventions.json: what was measured (PyTorch 2.13.0, JAX 0.10.2, TensorFlow 2.21.0 with Keras 3.15.1; CPU,
float64, eager, reverse mode): an entry for each framework function, with the expression it computes, the spelling that
says which row of the table it is, and the gradient at some points. The last tests ask PyTorch and JAX themselves, and
are skipped where they are not installed.
"""

import ast
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import simsa
from simsa.machine import Machine
from simsa.primitives import ROW, convention
from simsa.primitives.conventions import FRAMEWORKS
from simsa.program.program import Builder, Program
from simsa.program.symbolic import Array
from tests.support import DATA

Program.evaluator = Machine()


class Fact(NamedTuple):
    """What a framework's function returned: gradients (rows of the Jacobian in turn) at points."""

    framework: str
    call: str
    expression: str
    ties: dict[str, str]
    points: list[list[float]]
    gradients: list[list[float]]

    def program(self) -> Program:
        """Return the expression as a program under the framework's convention."""
        return compiled(self.expression, len(self.points[0]), {"base": self.framework, **self.ties})


MEASURED = json.loads((DATA / "conventions.json").read_text(encoding="utf-8"))
FACTS, DEPARTURES = ([Fact(*entry) for entry in MEASURED[name]] for name in ("facts", "departures"))

BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
RELATION = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
SYNONYMS = {
    "fmax": "maximum",
    "fmin": "minimum",
    "clip_min": "maximum",
    "clip_max": "minimum",
    "hinge_embedding": "hinge",
}
IMMEDIATE = ("leaky_relu", "elu", "huber")


def compiled(expression: str, count: int, rule: dict[str, Any]) -> Program:
    """Return the program of an expression in x, y, z or in the vector v."""
    builder = Builder(count, 0, convention(rule))
    names: dict[str, Any] = {"v": list(range(count)), "x": 0, "y": 1, "z": 2, "lo": 1, "hi": 2}

    def build(node: ast.expr) -> Any:
        """Return a register, or a list of them for a vector."""
        match node:
            case ast.Constant(value=value):
                return builder.constant(value)
            case ast.Name(id="inf"):
                return builder.constant(math.inf)
            case ast.Name(id=name):
                return names[name]
            case ast.List(elts=items):
                return [build(item) for item in items]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
                return builder.constant(-value)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return builder.apply("neg", [build(operand)])
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=2)):
                return builder.apply("square", [build(left)])
            case ast.BinOp(left=left, op=op, right=right):
                a, b = build(left), build(right)
                return each(lambda a, b: builder.apply(BINARY[type(op)], [a, b]), a, b)
            case ast.Subscript(value=value, slice=ast.Slice(lower=lower, upper=upper)):
                ends = [end and ast.literal_eval(end) for end in (lower, upper)]
                return build(value)[slice(*ends)]
            case ast.Call(func=ast.Name(id="where" | "branch"), args=[ast.Compare() as test, yes, no]):
                a, b = build(test.left), build(test.comparators[0])
                return builder.select([([(a, RELATION[type(test.ops[0])], b)], build(yes))], build(no))
            case ast.Call(func=ast.Name(id=name), args=args):
                return call(name, args)
        raise AssertionError(ast.dump(node))

    def each(function: Callable[..., int], *vectors: Any) -> Any:
        """Apply a function to registers, or to each of vectors of them."""
        if isinstance(vectors[0], list):
            return [function(*items) for items in zip(*vectors, strict=True)]
        return function(*vectors)

    def call(name: str, args: list[ast.expr]) -> Any:
        """Apply a function of the expressions."""
        if name in IMMEDIATE:
            return builder.apply(name, [build(args[0])], [float(ast.literal_eval(args[1]))])
        if name.startswith("maxpool"):
            size, stride = (ast.literal_eval(arg) for arg in args[1:])
            return [builder.apply("max", window) for window in windows(name, size, stride)]
        if name == "std":  # of v, with this number less than n in the divisor
            return int(np.std(Array(builder, np.array(build(args[0]))), ddof=ast.literal_eval(args[1])).entries)
        if name == "top_k":
            return [int(entry) for entry in simsa.top_k(Array(builder, np.array(build(args[0]))), count).entries]
        registers = [build(arg) for arg in args if name != "hinge_embedding" or arg is args[0]]
        if name == "clip_min" and isinstance(args[1], ast.Constant):  # max(x, 0)
            return builder.apply("relu", registers[:1])
        if name in ("max", "min", "sum", "logsumexp", "norm"):
            return builder.apply(name, registers[0])
        if name == "sort":
            first = builder.apply(name, registers[0], outputs=count)
            return list(range(first, first + count))
        return each(lambda *items: builder.apply(SYNONYMS.get(name, name), items), *registers)

    def windows(name: str, size: int, stride: int) -> list[list[int]]:
        """Return the windows of v, or of v as a square image."""
        if name == "maxpool1d":
            return [list(range(i, i + size)) for i in range(0, count - size + 1, stride)]
        image = np.arange(count).reshape(math.isqrt(count), -1)
        corners = range(0, len(image) - size + 1, stride)
        return [image[i : i + size, j : j + size].ravel().tolist() for i in corners for j in corners]

    result = build(ast.parse(expression, mode="eval").body)
    return builder.finish(result if isinstance(result, list) else [result])


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact.framework}: {fact.call}")
def test_measured(fact: Fact) -> None:
    """The program returns the framework's gradient at every point, ties and signed zeros included."""
    program = fact.program()
    jacobians = program.jacobian(fact.points)
    np.testing.assert_allclose(
        jacobians.reshape(len(fact.points), -1), fact.gradients, rtol=1e-15, atol=1e-16, err_msg=fact.expression
    )


@pytest.mark.parametrize("fact", DEPARTURES, ids=lambda fact: f"{fact.framework}: {fact.call}")
def test_departures(fact: Fact) -> None:
    """The few measured derivatives that no weights of tied pieces give are known, and stay known.

    jax.lax.clamp gives nothing to bounds that cross around x, though nothing is tied there.
    tf.clip_by_value has another value where bounds cross, the lower one. F.softplus is x beyond 20. keras.ops.hypot is
    wrong where its operands are equal. tf.norm passes zero where zero comes in, as tf.sqrt does, whatever its slope.
    At 0 ** 0 PyTorch has a slope in x; below, JAX and TensorFlow have none in the exponent; TensorFlow takes 0 for the
    logarithm of a negative base. jax.lax.top_k takes 0.0 before -0.0, which are equal, so that it is a tie elsewhere.
    """
    jacobians = fact.program().jacobian(fact.points).reshape(len(fact.points), -1)
    assert not np.isclose(jacobians, fact.gradients, rtol=1e-12, atol=1e-12, equal_nan=True).all(axis=1).any()


def test_every_spelling_was_measured() -> None:
    """Each spelling in the table stands in the data, as the first of its framework or by name."""
    used = set()
    for fact in FACTS:
        base = convention({"base": fact.framework, **fact.ties})
        names = {node.primitive for node in fact.program().nodes} & {row.name for row in ROW.values() if row.ties}
        used |= {(name, base.spelling(name)) for name in names}
        if "clip(x, lo, hi)" in fact.expression:  # its bounds may meet
            used |= {("clip", clip := base.spelling("clip"))}
            used |= {("minimum", spelling) for spelling in ROW["minimum"].ties if spelling == f"{clip}(lo = hi)"}
    assert used == {(row.name, spelling) for row in ROW.values() for spelling in row.ties}


@pytest.mark.parametrize("base", FRAMEWORKS)
@pytest.mark.parametrize("slope", [None, 0.0, 0.5, 1.0, -3.0])
def test_zero_program(base: str, slope: float | None) -> None:
    """With c = relu'(0): relu2' = 1 - c, relu3' = 1/2, zero' = 1 - 2c, and x - zero has 2c at 0, both modes."""
    rule = {"base": base} if slope is None else {"base": base, "relu": slope}
    c = slope or 0.0
    relu2 = "(relu(-x) + x)"
    expected = {
        "relu(x)": c,
        relu2: 1 - c,
        f"0.5*(relu(x) + {relu2})": 0.5,
        f"{relu2} - relu(x)": 1 - 2 * c,
        f"x - ({relu2} - relu(x))": 2 * c,
    }
    for expression, derivative in expected.items():
        program = compiled(expression, 1, rule)
        for mode in ("backward", "forward"):
            assert program.gradient([0.0], mode=mode) == derivative, expression


SMOOTH = ("sin({})", "tanh({})", "sigmoid({})", "softplus({})", "exp(0.25*tanh({}))", "log(1.5 + sin({}))")
KINKS = (
    *("relu({})", "abs({})", "maximum({}, {})", "minimum({}, {})", "leaky_relu({}, 0.25)", "relu6({})"),
    *("hardtanh({})", "clip({}, -1, 1)", "elu({}, 0.5)", "where({} > {}, {}, {})", "where({} <= {}, {}, {})"),
    *("max([{}, {}, {}])", "min([{}, {}, {}])"),
)
EXACT = ("({} + {})", "({} - {})", "({}*{})", "(0.5*{})", "-{}")


def expressions(smooth: bool, count: int) -> list[str]:
    """Return random expressions in x, y, z; without the smooth functions, small integers meet ties exactly."""
    rng = np.random.default_rng(1)
    forms = (*KINKS, *EXACT, *SMOOTH) if smooth else (*KINKS[:8], *KINKS[9:], *EXACT)

    def draw(depth: int) -> str:
        if depth == 0:
            return str(rng.choice(["x", "y", "z"]))
        form = str(rng.choice(forms))
        return form.format(*(draw(depth - 1) for _ in range(form.count("{}"))))

    return [draw(3) for _ in range(count)]


def torch_gradients(expression: str, points: np.ndarray) -> np.ndarray:
    """Ask PyTorch."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    names = {name: getattr(torch, name) for name in "sin tanh sigmoid exp log relu abs maximum minimum where".split()}
    names |= {name: getattr(functional, name) for name in ("softplus", "leaky_relu", "relu6", "hardtanh", "elu")}
    names |= {"clip": torch.clamp, "max": lambda v: torch.stack(v).amax(), "min": lambda v: torch.stack(v).amin()}
    x = torch.tensor(points.T.copy(), requires_grad=True)
    columns = [dict(zip("xyz", point, strict=True)) for point in x.T]
    total = sum(eval(expression, {**names, **column}) for column in columns)
    return np.asarray(torch.autograd.grad(total, x)[0].T)


def jax_gradients(expression: str, points: np.ndarray) -> np.ndarray:
    """Ask JAX."""
    jax = pytest.importorskip("jax")
    jnp = pytest.importorskip("jax.numpy")
    names = {name: getattr(jnp, name) for name in "sin tanh exp log abs maximum minimum where clip".split()}
    names |= {name: getattr(jax.nn, name) for name in "sigmoid softplus relu leaky_relu relu6 elu".split()}
    names |= {"hardtanh": jax.nn.hard_tanh}
    names |= {"max": lambda v: jnp.max(jnp.stack(v)), "min": lambda v: jnp.min(jnp.stack(v))}
    with jax.enable_x64(True):
        function = jax.vmap(jax.grad(lambda p: eval(expression, {**names, **dict(zip("xyz", p, strict=True))})))
        return np.asarray(function(jnp.asarray(points)))


@pytest.mark.parametrize(("framework", "witness"), [("pytorch", torch_gradients), ("jax", jax_gradients)])
@pytest.mark.parametrize("smooth", [True, False])
def test_witness(framework: str, witness: Callable[[str, np.ndarray], np.ndarray], smooth: bool) -> None:
    """Random programs have the gradients that the framework, if it is installed, returns now."""
    rng = np.random.default_rng(2)
    ties = 0
    for expression in expressions(smooth, 40):
        points = rng.normal(size=(12, 3)) if smooth else rng.integers(-2, 3, (12, 3)).astype(float)
        program = compiled(expression, 3, {"base": framework})
        ties += sum(any(run.tied) for run in program.branches(points))
        np.testing.assert_allclose(
            program.gradient(points), witness(expression, points), rtol=1e-12, atol=1e-13, err_msg=expression
        )
    assert smooth or ties > 100
