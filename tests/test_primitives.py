"""Every row of the table says the truth: partials are derivatives, pieces meet at ties, conventions are complete."""

import math

import mpmath
import numpy as np
import pytest

from simsa.calculus import branches
from simsa.errors import ProgramError
from simsa.machine import Interpreter, tape_of
from simsa.primitives import FRAMEWORKS, OPCODE, ROW, ROWS, Branch, Convention, Piece, Primitive, convention
from simsa.program.program import Builder, Program

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


@pytest.mark.parametrize("row", SCALAR, ids=lambda row: row.name)
def test_partials_are_derivatives(row: Primitive) -> None:
    program = applied(row)
    for x in inside(row, OPCODE[row.name]):
        gradient = program.gradient(x)
        for i in range(len(x)):
            h = 1e-6 * np.eye(len(x))[i]
            slope = (float(program.value(x + h)) - float(program.value(x - h))) / 2e-6
            assert gradient[i] == pytest.approx(slope, rel=2e-6, abs=2e-7)


@pytest.mark.parametrize("row", SCALAR, ids=lambda row: row.name)
def test_values_are_the_textbook_function(row: Primitive) -> None:
    a = mpmath.mpf("0.75")
    truth = {
        "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "div": lambda x, y: x / y,
        "neg": lambda x: -x, "copy": lambda x: x, "square": lambda x: x * x, "pow": mpmath.power,
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
    "clip": [(-1.0, -1.0, 1.0), (1.0, -1.0, 1.0)],
}  # fmt: skip


@pytest.mark.parametrize("row", KINKS, ids=lambda row: row.name)
def test_tied_pieces_meet_and_are_seen(row: Primitive) -> None:
    """Continuity (Def. 3): at each tie, the pieces that the tie row mixes have the same value."""
    program = applied(row)
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
        beside = branches.decided(interpreter, 0, run, index, sign)
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
        (lambda: Convention("jax", {"rleu": 0.5}), "convention override 'rleu' is not a selection"),
        (lambda: Convention("jax", {"relu": "splat"}), "relu: tie rule 'splat' is unknown; expected one of a number"),
        (lambda: Convention("jax", {"max": 0.5}), "max: expected a rule or a spelling, got the number 0.5"),
        (lambda: Convention("jax", {"huber": 0.5}), "huber: a number cannot set its derivative at a tie"),
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
    ],
)
def test_rows_that_contradict_themselves_are_refused(row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row()
