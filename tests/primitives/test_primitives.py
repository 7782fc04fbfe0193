"""Every row of the table says the truth: partials are derivatives, pieces meet at ties, conventions are complete."""

import math

import mpmath
import numpy as np
import pytest

import simsa
from simsa.calculus import branches
from simsa.errors import ProgramError
from simsa.machine import Interpreter, tape_of
from simsa.machine.launch import evaluate
from simsa.machine.layout import laid_out
from simsa.primitives import FRAMEWORKS, OPCODE, ROW, ROWS, Branch, Convention, Piece, Primitive, convention
from simsa.primitives.operations import PIECES
from simsa.program.program import Builder, Program
from simsa.tape.tape import OP

ELEMENTARY = [row for row in ROWS if row.pieces and not row.branches]
SELECTIONS = [row for row in ROWS if row.branches]
KINKS = [row for row in SELECTIONS if row.ties]
SCALAR = ELEMENTARY + SELECTIONS


def applied(row: Primitive, immediate: float = 0.75) -> Program:
    """Return the program that is one application of a row."""
    builder = Builder(row.arity or 1)
    return builder.finish([builder.apply(row.name, range(row.arity or 1), [immediate] * len(row.immediates))])


def inside(row: Primitive, seed: int) -> np.ndarray:
    """Return random points of the row's domain."""
    r = np.random.default_rng(seed)
    low = np.array([max(a, -4.0) for a, _ in row.domain])
    high = np.array([min(b, 4.0) for _, b in row.domain])
    return low + (high - low) * r.uniform(0.05, 0.95, size=(40, len(low)))


@pytest.mark.parametrize("row", [row for row in SCALAR if row.name != "stop"], ids=lambda row: row.name)
def test_partials_are_derivatives(row: Primitive) -> None:
    program = applied(row)
    for x in inside(row, OPCODE[row.name]):
        gradient = program.gradient(x)
        for i in range(len(x)):
            h = 1e-6 * np.eye(len(x))[i]
            slope = (float(program.value(x + h)) - float(program.value(x - h))) / 2e-6
            assert gradient[i] == pytest.approx(slope, rel=2e-6, abs=2e-7)


def test_stop_passes_no_derivative() -> None:
    program = simsa.trace(lambda x: x[0] * simsa.apply("stop", x[0]) + simsa.apply("stop", x[0]), 1)
    assert program.value([3.0]) == 12.0
    assert program.gradient([3.0]).tolist() == program.gradient([3.0], mode="forward").tolist() == [3.0]


@pytest.mark.parametrize("row", SCALAR, ids=lambda row: row.name)
def test_values_are_the_textbook_function(row: Primitive) -> None:
    a = mpmath.mpf("0.75")
    truth = {
        "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / y,
        "neg": lambda x: -x, "copy": lambda x: x, "stop": lambda x: x, "square": lambda x: x * x, "pow": mpmath.power,
        "power": lambda x: mpmath.power(x, a), "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
        "softplus": lambda x: mpmath.log1p(mpmath.exp(x)), "relu": lambda x: max(x, 0),
        "leaky_relu": lambda x: max(x, a * x), "elu": lambda x: x if x > 0 else a * mpmath.expm1(x),
        "relu6": lambda x: min(max(x, 0), 6), "hardtanh": lambda x: min(max(x, -1), 1), "abs": abs, "maximum": max,
        "minimum": min, "clip": lambda x, y, z: min(max(x, y), z), "hinge": lambda x: max(0, 1 - x),
        "rint": mpmath.nint, "huber": lambda x: x * x / 2 if abs(x) <= a else a * (abs(x) - a / 2),
    }  # fmt: skip
    function = truth.get(row.name) or getattr(mpmath, row.name)
    program = applied(row)
    for x in inside(row, 1 + OPCODE[row.name]):
        expected = float(function(*(mpmath.mpf(float(v)) for v in x)))
        assert float(program.value(x)) == pytest.approx(expected, rel=4e-16 * 4, abs=1e-300)


TIES = {
    "relu": [0.0], "leaky_relu": [0.0], "elu": [0.0], "relu6": [0.0, 6.0], "hardtanh": [-1.0, 1.0], "abs": [0.0],
    "hinge": [1.0], "huber": [-0.75, 0.75], "maximum": [(2.0, 2.0)], "minimum": [(2.0, 2.0)],
    "clip": [-1.0, 1.0],
}  # fmt: skip


@pytest.mark.parametrize("row", KINKS, ids=lambda row: row.name)
def test_tied_pieces_meet_and_are_seen(row: Primitive) -> None:
    """Continuity (Def. 3): at each tie, the pieces that the tie row mixes have the same value."""
    program = applied(row)
    if row.name == "clip":  # the row is there only for numbers as bounds
        builder = Builder(1)
        program = builder.finish([builder.apply("clip", [0, builder.constant(-1.0), builder.constant(1.0)])])
    interpreter = Interpreter(tape_of(program))
    assert len(TIES[row.name]) == len(row.tie_rows)
    for point, branch in zip(TIES[row.name], row.tie_rows, strict=True):
        x = np.atleast_1d(point)
        assert program.branches(x).tied == (True,)
        values = {
            float(interpreter.run(x, choices={0: ((np.float64(1), piece),)}).values[interpreter.tape.outputs[0]])
            for piece in branch.between
        }
        assert len(values) == 1


@pytest.mark.parametrize(
    ("name", "at", "sides"),
    [
        ("floor", 2.0, (1.0, 2.0)),
        ("floor", 0.0, (-1.0, 0.0)),
        ("rint", 0.5, (0.0, 1.0)),
        ("rint", 1.5, (1.0, 2.0)),
        ("rint", -0.5, (-1.0, -0.0)),
        ("rint", -2.5, (-3.0, -2.0)),
    ],
)
def test_pieces_beside_a_step_are_what_it_is_there(name: str, at: float, sides: tuple[float, float]) -> None:
    """floor is n - 1 below an integer n, and n from there on; rint is n below n + 1/2, and n + 1 above."""
    program = applied(ROW[name])
    interpreter = Interpreter(tape_of(program))
    run = interpreter.run([at])
    assert run.margins == {0: 0.0}
    for side, sign in zip(sides, (-1, 1), strict=True):
        assert float(program.value([at + sign * 1e-9])) == side
        index = next(i for i, h in enumerate(branches.differences(interpreter, 0, run, run.decisions[0])) if h == 0)
        beside = PIECES.decided(interpreter.calls[0], interpreter.operands(0, run), index, sign)
        assert float(interpreter.run([at], choices={0: beside}).values[interpreter.tape.outputs[0]]) == side


@pytest.mark.parametrize("row", [row for row in ROWS if row.ties], ids=lambda row: row.name)
def test_every_framework_has_a_convention_for_every_selection(row: Primitive) -> None:
    for framework in FRAMEWORKS:
        assert convention(framework).tie(row.name) in row.ties.values()


def test_names_and_opcodes_are_unique() -> None:
    assert len(OPCODE) == len(ROWS)


@pytest.mark.parametrize(
    ("wish", "x", "expected"),
    [
        ({"relu": 0.25}, 0.0, 0.25),
        ({"relu": 10.0}, 0.0, 10.0),
        ({"base": "pytorch", "relu": "split"}, 0.0, 0.5),
        ({"base": "jax", "relu": "torch.clamp_min"}, 0.0, 1.0),
    ],
)
def test_a_user_may_choose_the_derivative_at_zero(wish: dict[str, str | float], x: float, expected: float) -> None:
    builder = Builder(1, convention=convention(wish))
    program = builder.finish([builder.apply("relu", [0])])
    assert program.gradient([x]).tolist() == [expected]
    assert program.gradient([math.nextafter(x, 1.0)]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Convention("theano"), "convention 'theano' is unknown; expected one of tensorflow, pytorch, jax"),
        (lambda: Convention("jax", {"rleu": 0.5}), "convention override 'rleu' has no rule at ties"),
        (lambda: Convention("jax", {"relu": "splat"}), "relu: tie rule 'splat' is unknown; expected one of a number"),
        (lambda: Convention("jax", {"max": 0.5}), "max: expected a rule or a spelling, got the number 0.5"),
        (lambda: Convention("jax", {"huber": 0.5}), "huber: a number cannot set its derivative at a tie"),
        (
            lambda: Convention("jax", {"norm": "split"}),
            "norm: tie rule 'split' is unknown; expected one of a number, zero",
        ),
    ],
)
def test_bad_conventions_are_refused(make, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        make()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (lambda: Primitive("f", "", 1, (Piece("x", ("1", "0")),)), "2 partials for 1 operands"),
        (lambda: Primitive("f", "", 1, (Piece("q", ("1",)),)), r"unknown names \['q'\]"),
        (lambda: Primitive("f", "", 1, (Piece("x", ("1",)), Piece("0", ("0",)))), "several pieces need a branch table"),
        (lambda: Branch(("x < 0",)), "selects one piece or mixes several"),
        (lambda: Primitive("cumsum", "", None), "cumsum: a row without pieces needs an operation"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row()


def test_an_opcode_without_a_loop_raises() -> None:
    """It computed 0.0: the engine fell through its cases."""
    program = applied(ROW["sum"])
    tape = tape_of(program)
    laid_out(tape, 4, 1, 1).arguments[0].lines[0, OP] = len(ROWS)
    with pytest.raises(ValueError, match="unknown opcode"):
        evaluate(tape, np.zeros((1, 1)), np.zeros((1, 0)), groups=1)


NORMS = [  # at 0: base and overrides, and the derivative with respect to each operand
    ("tensorflow", math.nan),
    ("pytorch", 0.0),
    ("jax", math.nan),
    ({"base": "jax", "norm": "jnp.hypot"}, 0.5),
    ({"base": "jax", "norm": "zero"}, 0.0),
    ({"base": "pytorch", "norm": "torch.hypot"}, math.nan),
    ({"base": "pytorch", "norm": -0.25}, -0.25),
]


@pytest.mark.parametrize(("rule", "slope"), NORMS)
def test_the_norm_at_its_kink(rule: str | dict[str, str | float], slope: float) -> None:
    """The pieces at 0 are the vectors of the unit ball; an instruction holds the one that the framework returns."""
    builder = Builder(2, convention=convention(rule))
    program = builder.finish([builder.apply("norm", [0, 1])])
    points = np.array([[0.0, 0.0], [-0.0, 0.0], [3.0, -4.0], [5e-324, 0.0]])
    expected = np.array([[slope, slope], [slope, slope], [0.6, -0.8], [1.0, 0.0]])
    outputs, jacobians, margins = evaluate(tape_of(program), points, np.zeros((4, 0)))
    for mode in ("backward", "forward"):
        np.testing.assert_array_equal(program.gradient(points, mode=mode), expected)
    np.testing.assert_array_equal(jacobians[:, 0], expected)
    assert outputs.ravel().tolist() == margins.tolist() == [0.0, 0.0, 5.0, 5e-324]


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e-160, 1.0, 1e160, 5e307])
def test_no_square_overflows_or_underflows(size: float) -> None:
    """The norm of (3, 4) times a number is 5 times it, up to rounding: no more is lost than in the result itself."""
    builder = Builder(3)
    program = builder.finish([builder.apply("norm", [0, 1, 2])])
    x = size * np.array([0.6, 0.8, 0.0])
    assert float(program.value(x)) == pytest.approx(
        float(mpmath.sqrt(sum(mpmath.mpf(float(v)) ** 2 for v in x))), 4e-16
    )


def test_norms_of_ordinary_numbers_are_the_plain_formula() -> None:
    """Scaling by powers of two rounds nothing: the bits of sqrt of the sum of squares from left to right."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 7):
        builder = Builder(count)
        program = builder.finish([builder.apply("norm", range(count))])
        for x in rng.normal(0, 10.0 ** rng.integers(-50, 50), (50, count)):
            total = x[0] * x[0]
            for v in x[1:]:
                total = total + v * v
            assert program.value(x) == np.sqrt(total)


POWERS = [  # x, y, d/dx, d/dy of x ** y as PyTorch, JAX and TensorFlow return them, where they agree
    (0.0, 2.0, 0.0, 0.0),
    (0.0, 1.0, 1.0, 0.0),
    (0.0, 0.5, math.inf, 0.0),
    (-0.0, 3.0, 0.0, 0.0),
    (2.0, 0.0, 0.0, math.log(2.0)),
    (2.0, -1.0, -0.25, 0.5 * math.log(2.0)),
    (-2.0, 0.5, math.nan, math.nan),
    (-2.0, 3.0, 12.0, math.nan),  # TensorFlow: 0 for y
    (0.0, 0.0, math.nan, 0.0),  # PyTorch: 0 for x
    (0.0, -1.0, -math.inf, -math.inf),  # JAX and TensorFlow: NaN for y
]


@pytest.mark.parametrize(("x", "y", "dx", "dy"), POWERS)
def test_a_power_has_the_partials_of_the_frameworks(x: float, y: float, dx: float, dy: float) -> None:
    """At x = 0 < y it was NaN for y, from 0 times log(0) = -inf; and forward mode multiplied dx = inf by 0."""
    program = simsa.trace(lambda v: v[0] ** v[1], 2)
    for mode in ("backward", "forward"):
        np.testing.assert_array_equal(program.gradient([x, y], mode=mode), [dx, dy])
    np.testing.assert_array_equal(evaluate(tape_of(program), np.array([[x, y]]), np.zeros((1, 0)))[1][0, 0], [dx, dy])
