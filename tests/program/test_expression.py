"""Formulas mean what NumPy means by them; mistakes are one line with the place."""

import math
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simsa
from simsa.errors import ProgramError
from simsa.primitives import ROWS
from simsa.program.expression import FUNCTIONS
from tests.support import SCENARIOS

X, Y, A = 0.75, -2.0, 3.0
POINT, DATA = [X, Y], [A]


def made(text, convention="tensorflow"):
    return simsa.expression(text, ["x", "y"], ["a"], convention)


def message(text, parameters=("x", "y"), data=("a",)):
    with pytest.raises(ProgramError) as caught:
        simsa.expression(text, parameters, data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


VALUES = {
    "3": 3.0,
    "-x": -X,
    "+x": X,
    "x + a * x**2": X + A * X**2,
    "(x - a)**2 / 2 + a * zero(x)": (X - A) ** 2 / 2,
    "-x**2": -(X**2),
    "2**-x": 2**-X,
    "x**2**3": X**8,
    "1e-3 * x + .5": 1e-3 * X + 0.5,
    "x*pi": X * math.pi,
    "relu(x) + relu(y)": X,
    "abs(y)": 2.0,
    "maximum(x, y)": X,
    "maximum(x, y, a)": A,
    "minimum(x, y, a)": Y,
    "max(x, y)": X,
    "max([x, y, a])": A,
    "min(x, [y, a][0])": Y,
    "sum([x, y, a])": X + Y + A,
    "sum(x, y)": X + Y,
    "mean([x, y, a])": (X + Y + A) / 3,
    "prod([x, y, a])": X * Y * A,
    "median([x, y, a])": X,
    "median(x, y)": (X + Y) / 2,
    "sort([x, y, a])[0]": Y,
    "sort([x, y, a])[-1]": A,
    "sum(sort([x, y, a])[1:])": X + A,
    "sort([x, y, a])[::-1][1]": X,
    "top_k([x, y, a], 2)[1]": X,
    "dot([x, y], [a, 2])": X * A + Y * 2,
    "sum([x, y] * [a, 2])": X * A + Y * 2,
    "logsumexp([x, y])": math.log(math.exp(X) + math.exp(Y)),
    "exp(x) + log(a) + sin(x) * cos(y) - tan(x)": math.exp(X) + math.log(A) + math.sin(X) * math.cos(Y) - math.tan(X),
    "tanh(x) + sqrt(a) + expm1(x) + log1p(a)": math.tanh(X) + math.sqrt(A) + math.expm1(X) + math.log1p(A),
    "sigmoid(x)": 1 / (1 + math.exp(-X)),
    "softplus(x)": math.log1p(math.exp(X)),
    "erf(x)": math.erf(X),
    "hinge(a * x)": 0.0,
    "huber(y)": 1.5,
    "huber(y, 3)": 2.0,
    "huber(y, a=3)": 2.0,
    "leaky_relu(y)": -0.02,
    "leaky_relu(y, 0.25)": -0.5,
    "clip(y, -1, 1)": -1.0,
    "clip(y, low=0)": 0.0,
    "pow(a, x)": A**X,
    "where(x > 0, x, 0)": X,
    "where(x > 0 and y > 0, 1, 2)": 2.0,
    "where(x > 0 or y > 0, 1, 2)": 1.0,
    "where(not x > 0, 1, 2)": 2.0,
    "where((x > 0) & ~(y > 0) | (a == 3), 1, 2)": 1.0,
    "where(0 < x < 1 <= a != 4, 1, 2)": 1.0,
    "where(y < x < 0.5, 1, 2)": 2.0,
    "where(1 > 2, x, y)": Y,
    "x if x > y else y": X,
    "1 if x > 1 else 2 if y < 0 else 3": 2.0,
    "log(2) * x": math.log(2) * X,
    "x * (x > 1) + y * (y > 1)": X * (X > 1) + Y * (Y > 1),
    "(x > 0) + (a > 0) - (1 > 0)": (X > 0) + (A > 0) - 1.0,
    "sign(x) + heaviside(0 * x, 1/4)": math.copysign(1, X) + 0.25,
    "floor(x) + ceil(y) + round(a) + trunc(y)": math.floor(X) + math.ceil(Y) + round(A) + math.trunc(Y),
    "argmax(x, y, a) + 10 * argmin([x, y, a])": float(np.argmax([X, Y, A]) + 10 * np.argmin([X, Y, A])),
    "dot(one_hot(argmax(x, y), 2), [x, y])": max(X, Y),
    "x if x < inf else 0": X,
    "clip(x, -inf, inf)": X,
    "x > y": float(X > Y),
    " x\n\t+ y ": X + Y,
    "1if x > 0 else y": 1.0,
    "(x,\n y)[1]": Y,
}


@pytest.mark.parametrize("text", VALUES)
def test_values(text):
    assert made(text).value(POINT, DATA) == pytest.approx(VALUES[text], rel=1e-15, abs=0)


NODES = {
    "x + 2": ["add"],
    "x**2": ["square"],
    "x**3": ["power"],
    "x**0 + x**1": ["add"],
    "x**y": ["pow"],
    "where(0 < x < 1, x, y)": ["select"],
    "max(x, y, 0)": ["max"],
    "maximum(x, y)": ["maximum"],
    "sort([x, y])[0]": ["sort"],
    "(1 + 2) * x": ["mul"],
    "zero(x)": ["neg", "relu", "add", "relu", "sub"],
}


@pytest.mark.parametrize("text", NODES)
def test_nodes(text):
    assert [node.primitive for node in made(text).nodes if node.primitive != "constant"] == NODES[text]


def test_names_and_sizes_are_kept():
    program = made("x + a")
    assert (program.p, program.data, program.q, program.names) == (2, 1, 1, ("x", "y"))


def test_parameters_may_be_called_like_constants_and_functions():
    program = simsa.expression("pi + exp(exp)", ["pi", "exp"])
    assert program.value([2.0, 0.0]) == 3.0


def test_names_need_not_be_ascii():
    assert simsa.expression("α * β", ["α"], ["β"]).value([2.0], [3.0]) == 6.0
    expected = "expression \"α * βeta\", column 5: unknown name 'βeta'; expected one of inf, pi, α, β"
    assert message("α * βeta", ["α"], ["β"]) == expected


def test_the_convention_decides_ties():
    assert [made("abs(x)", name).gradient([0.0, 0.0], DATA)[0] for name in ("tensorflow", "jax")] == [0.0, 1.0]


def test_an_unselected_branch_never_contaminates():
    program = made("where(x > 0, sqrt(x), 0) + where(y > 0, 1 / y, 0)")
    for mode in ("forward", "backward"):
        assert program.gradient([-1.0, 0.0], DATA, mode).tolist() == [0.0, 0.0]


def test_every_formula_of_a_scenario_that_comes_with_simsa_is_read():
    for path in SCENARIOS.glob("*.toml"):
        table = tomllib.loads(path.read_text())["program"]
        if table["kind"] == "expression":
            simsa.expression(table["expression"], table["parameters"], table.get("data", ()))


# ---------------------------------------------------------------- against Python's own arithmetic


@st.composite
def formulas(draw, depth=4):
    """Draw a formula that Python can evaluate as well."""
    if depth == 0:
        return draw(st.sampled_from(["x", "y", "a", "2", "0.5", "(-1)"]))
    part = formulas(depth - 1)
    match draw(st.integers(0, 4)):
        case 0 | 1:
            return f"({draw(part)} {draw(st.sampled_from(['+', '-', '*', '/']))} {draw(part)})"
        case 2:
            return f"-{draw(part)}"
        case 3:
            a, b, c, d = draw(st.tuples(part, part, part, part))
            return f"({a} if {b} {draw(st.sampled_from(['<', '<=', '==', '!=']))} {c} else {d})"
    return f"{draw(st.sampled_from(['abs', 'relu', 'hinge', 'hardtanh']))}({draw(part)})"


@given(formulas(), st.tuples(*[st.floats(-4, 4) | st.sampled_from([0.0, 1.0, -1.0, math.nan])] * 3))
def test_formulas_give_the_bits_that_python_gives(text, point):
    names = dict(zip("xya", map(np.float64, point), strict=True))
    plain = {"abs": abs, "relu": simsa.relu, "hinge": simsa.hinge, "hardtanh": simsa.hardtanh}
    with np.errstate(all="ignore"):
        expected = np.float64(eval(text.replace("2", "np.float64(2)"), {"np": np, **plain}, names))
    try:
        found = made(text).value(point[:2], point[2:])
    except ProgramError as error:  # a quotient of constants that is not finite, which Python goes on with
        assert "is not finite" in str(error)
        return
    assert found == expected or (np.isnan(found) and np.isnan(expected))


# ---------------------------------------------------------------- mistakes

MISTAKES = {
    "x + z": "column 5: unknown name 'z'; expected one of a, inf, pi, x, y",
    "rleu(x)": "column 1: unknown function 'rleu'; did you mean 'relu'?",
    "x + exq(y)": "column 5: unknown function 'exq'; did you mean 'exp'?",
    "relu + 1": "column 1: relu is a function; write relu(...)",
    "x(3)": "column 1: x is no function; write x * (...) for a product",
    "x ^ 2": "column 3: ^ cannot be used; write ** for a power",
    "x // 2": "column 3: // cannot be used; write floor(x / y)",
    "(x) % 2": "column 5: % cannot be used; write x - floor(x / y) * y",
    "x @ y": "column 3: MatMult cannot be used; it is no arithmetic of numbers",
    "x.real": "column 1: 'x.real' is not part of the language of formulas",
    "lambda: x": "column 1: 'lambda: x' is not part of the language of formulas",
    "[i for i in x]": "column 1: '[i for i in x]' is not part of the language of formulas",
    "x is y": "column 3: 'x is y' is not part of the language of formulas",
    "(lambda: x)()": "column 1: '(lambda: x)()' is not part of the language of formulas",
    "relu(*[x])": "column 6: '*[x]' is not part of the language of formulas",
    "x if x else y": "column 1: expected a condition such as x > 0; write x != 0 if that is meant",
    "where(x, 1, 2)": "column 1: expected a condition such as x > 0; write x != 0 if that is meant",
    "x and y": "column 1: and, or, not join conditions such as x > 0, not numbers",
    "not x": "column 1: expected a condition such as x > 0; write x != 0 if that is meant",
    "9**9**9**9*x": "column 5: the constant inf is not finite",
    "x*nan": "column 3: the constant nan is not finite",
    "inf*x": "column 4: the constant inf is not finite",
    "x + 1/0": "column 6: the constant inf is not finite",
    "x / (1 - 1)": "column 3: a quotient by the constant 0 is not finite",
    "x + log(0)": "column 5: the constant -inf is not finite",
    "x + (inf - inf)": "column 10: the constant nan is not finite",
    "where(x > 0, x, inf)": "column 1: the constant inf is not finite",
    "x ** (2 * inf)": "column 3: the constant inf is not finite",
    "huber(x, inf)": "column 1: the constant inf is not finite",
    "round(x, 400)": "column 1: the constant inf is not finite",
    "round(x, 1.5)": "column 1: expected an integer, got 1.5",
    "exp(710)": "column 1: the constant inf is not finite",
    "inf": "the expression must return a number or an array: the constant inf is not finite",
    "True": "column 1: expected a number, got True",
    "x + 'a'": "column 5: expected a number, got 'a'",
    "x + 1j": "column 5: expected a number, got 1j",
    "x + 1e999": "column 5: the number is too large",
    "huber(x, y)": "column 1: huber: a must be a number, not symbolic",
    "huber()": "column 1: huber: missing a required argument: 'x'",
    "huber(x, b=1)": "column 1: huber: got an unexpected keyword argument 'b'",
    "relu(x, y)": "column 1: relu takes (x), got 2 operands",
    "where(x > 0, x)": "column 1: where: missing a required argument: 'y'",
    "top_k([x, y], 1.5)[0]": "column 1: expected an integer, got 1.5",
    "top_k([x, y], 3)[0]": "column 1: top_k: expected k from 1 to 2, got 3",
    "sort([x, y])[x]": "column 14: an index must be an integer",
    "sort([x, y])[5]": "column 1: index 5 is out of bounds for axis 0 with size 2",
    "x +": "invalid syntax",
    "x + + * y": "column 7: invalid syntax",
    "x := 3": "column 3: invalid syntax",
    "": "invalid syntax",
    "[x, y]": "expected one number, got 2",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_one_line_with_formula_and_column(text):
    rest = MISTAKES[text]
    assert message(text) == f'expression "{text}"{", " if rest.startswith("column") else ": "}{rest}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(" * 500 + "x" + ")" * 500, "too many nested parentheses"),
        ("+".join(["x"] * 10**4), "too deeply nested; long sums are sum([...])"),
        ("-" * 10**5 + "x", "too deeply nested; long sums are sum([...])"),
        ("9" * 5000, "Exceeds the limit"),
        ("x\0", "source code string cannot contain null bytes"),
    ],
    ids=["parentheses", "sum", "signs", "digits", "null"],
)
def test_formulas_beyond_all_measure_are_refused_in_few_words(text, expected):
    assert expected in message(text)
    assert len(message(text)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "().__class__.__bases__",
        "open('x')",
        "eval('x')",
        "f'{x}'",
        "x.__class__",
        "exec('x')",
    ],
)
def test_nothing_is_ever_run(text):
    assert message(text)


@given(st.text(alphabet="xya0123456789.+-*/()[]<>=!&|~, :'abcdefghijklmnopqrstuvwxyz", max_size=30))
def test_any_text_is_a_program_or_one_clear_error(text):
    try:
        made(text)
    except ProgramError as error:
        assert str(error).startswith("expression ")


@pytest.mark.parametrize(
    ("parameters", "data", "expected"),
    [
        (["x", "x"], [], "expression: 'x' stands for two things"),
        (["x"], ["x"], "expression: 'x' stands for two things"),
        (["x y"], [], "expression: 'x y' is no name for a number"),
        (["lambda"], [], "expression: 'lambda' is no name for a number"),
    ],
)
def test_names_are_checked(parameters, data, expected):
    assert message("1", parameters, data) == expected


def test_the_functions_are_those_of_the_table_and_a_few_more():
    rows = {row.name for row in ROWS if row.arity is not None}
    assert rows - {"copy"} <= set(FUNCTIONS)


def test_a_number_of_parameters_is_the_list_x():
    program = simsa.expression("sum(x[1:]**2) - a * x[0] + max(x)", 3, ["a"])
    assert (program.p, program.data, program.names) == (3, 1, ())
    assert program.value([2.0, 3.0, -1.0], [5.0]) == 9 + 1 - 10 + 3
    with pytest.raises(ProgramError, match="'x' stands for two things"):
        simsa.expression("x[0]", 2, ["x"])
    with pytest.raises(ProgramError, match=r'"x\[2\]", column 1: index 2 is out of bounds'):
        simsa.expression("x[2]", 2)
