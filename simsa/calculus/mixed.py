"""Mixed numbers: a Fraction where a value is known to be rational, and a float64 where it had to be rounded.

Programs made of + - * / and selections are run without rounding. Other functions are rounded, except for arguments at
which their value is known to be rational, such as exp(0). A value is exact if it is a Fraction.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from simsa import formats
from simsa.machine.reference import FLOAT64, Execution, Interpreter
from simsa.primitives import INNER, ROW
from simsa.primitives.arithmetic import Arithmetic, formula
from simsa.primitives.texts import FUNCTIONS, STEP_FUNCTIONS
from simsa.tape.tape import OUT, OUTS, Tape

LONGEST = 4096
"""Bits of a numerator or denominator beyond which a number is rounded to float64."""

KNOWN: Mapping[tuple[str, int], Fraction] = {
    **{(name, 0): Fraction(0) for name in ("sin", "tan", "tanh", "erf", "expm1", "log1p", "sqrt")},
    **{(name, 0): Fraction(1) for name in ("exp", "cos")},
    ("sigmoid", 0): Fraction(1, 2),
    ("log", 1): Fraction(0),
}
"""Rational values of functions that are not rational."""

SLACK = 4
"""The assumed error of each operation in unit roundoffs: twice that of the operation and of the input."""


def mixed(value: Any) -> Any:
    """Return a number as a Fraction; infinities, NaN, and fractions over LONGEST bits, as float64."""
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) <= LONGEST:
            return value
        return np.float64(plain(value))
    number = float(value)
    return Fraction(number) if math.isfinite(number) else np.float64(number)


def short(value: Any) -> Any:
    """Return a mixed number, rounded to float64 if it is a fraction over LONGEST bits."""
    return mixed(value) if isinstance(value, Fraction) else np.float64(value)


def plain(value: Any) -> float:
    """Return a number as float64; infinite if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def proved(value: Any) -> bool:
    """Tell whether a number is a Fraction, so that nothing was rounded on the way to it."""
    return isinstance(value, Fraction)


def divide(x: Any, y: Any) -> Any:
    """Return x / y; if y is 0, the quotient of float64: an infinity or NaN."""
    if y != 0:
        return x / y
    with np.errstate(all="ignore"):
        return np.float64(plain(x)) / np.float64(plain(y))


def _function(name: str) -> Callable[..., Any]:
    """Return an elementary function, exact where its value is known to be rational."""

    def apply(*args: Any) -> Any:
        if all(map(proved, args)):
            if name in STEP_FUNCTIONS:
                return Fraction(math.floor(args[0]) if name == "floor" else round(args[0]))
            known = KNOWN.get((name, args[0]))
            if known is not None and len(args) == 1:
                return known
            if name == "pow" and args[1].denominator == 1 and abs(args[1]) <= LONGEST and (args[0] or args[1] >= 0):
                length = max(args[0].numerator.bit_length(), args[0].denominator.bit_length())
                if length * abs(args[1]) <= 4 * LONGEST:
                    return args[0] ** args[1].numerator
            if name == "sqrt" and args[0] >= 0:
                root = Fraction(math.isqrt(args[0].numerator), math.isqrt(args[0].denominator))
                if root * root == args[0]:
                    return root
        with np.errstate(all="ignore"):
            return FLOAT64.functions[name](*(np.float64(plain(arg)) for arg in args))

    return apply


def functions_of(
    function: Callable[[str], Callable[..., Any]], step: Callable[[str], Callable[..., Any]]
) -> dict[str, Callable[..., Any]]:
    """Return the functions of an arithmetic by name.

    function: makes an elementary function from its name. step: makes a step function from its name. The Euclidean norm
    is added as the square root of a sum of squares, which is enough since it is used only where the norm is not 0.
    """
    found = {name: (step if name in STEP_FUNCTIONS else function)(name) for name in sorted(FUNCTIONS)}
    return {**found, "norm": lambda x: found["sqrt"](reduce(add, [v * v for v in x]))}


MIXED = Arithmetic(mixed, functions_of(_function, _function), divide)
"""The arithmetic of mixed numbers for the reference interpreter."""


class MixedInterpreter(Interpreter):
    """Runs a tape in mixed numbers, and rounds fractions that become too long."""

    def __init__(self, tape: Tape) -> None:
        """Set the tape."""
        super().__init__(tape, MIXED)

    def _evaluate(self, k: int, execution: Execution, choices: Mapping[int, Any]) -> None:
        super()._evaluate(k, execution, choices)
        out = self.code[k][OUT]
        for r in range(out, out + self.code[k][OUTS]):
            execution.values[r] = short(execution.values[r])


def begun(interpreter: Interpreter, inputs: list[Any]) -> Execution:
    """Return an execution before its first instruction.

    interpreter: gives the tape and its constants. inputs: parameters, then data, as numbers of its arithmetic.
    """
    values = [*inputs, *[None] * (interpreter.tape.registers - len(inputs))]
    for register, value in interpreter._constants:
        values[register] = value
    return Execution(values)


def errors(interpreter: Interpreter, run: Execution) -> list[float]:
    """Return for each register of an execution in float64 a bound of its error, to first order.

    interpreter: in float64. run: the execution. Each operand contributes its own error times the absolute partial, and
    each operation adds its rounding. For a selection the bound is the largest over its pieces, since the values of
    pieces that meet at a tie are compared with each other.
    """
    unit = SLACK * formats.FLOAT64.epsilon
    found = [unit * abs(float(v)) if v is not None else 0.0 for v in run.values]
    with np.errstate(all="ignore"):
        for k, line in enumerate(interpreter.code):
            call, x, values = interpreter.calls[k], interpreter.operands(k, run), interpreter.results(k, run)
            own = np.array([found[r] for r in interpreter.reads[k]])
            bounds = call.row.operation.errors(call, x, values, run.decisions.get(k), own, unit)
            for j, bound in enumerate(bounds):
                found[line[OUT] + j] = bound if bound == bound else np.inf
    return found


def partial(name: str, number: int, arithmetic: Arithmetic) -> Callable[..., Any]:
    """Return a partial of an elementary function of the table, as a function of (x, y, z, v).

    name: of the row. number: the position of the operand. arithmetic: the number type of arguments and result.
    """
    row = (ROW | INNER)[name]
    return formula(row.pieces[0].partials[number], row, arithmetic)
