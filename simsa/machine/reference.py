"""The definition: a plain-Python interpreter of tapes, one point at a time. The kernels must match it bit for bit.

It walks the tape that the kernels walk, in the arithmetic of one number type, with no lanes and no Numba.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from simsa.kernels import functions, lanes
from simsa.primitives import ROWS, Branch, Primitive
from simsa.primitives.primitive import FUNCTIONS, OPERANDS
from simsa.tape.tape import ADJOINED, COUNT, FIRST, FLAGS, GUARDED, NUMBER, OP, OUT, OUTS, RULES, Tape

Number = Any
SMALLEST = 5e-324
RELATION = (operator.lt, operator.le, operator.eq, operator.ge, operator.gt)
BETTER = {"max": operator.gt, "min": operator.lt}
COMPARE = {"<": operator.lt, "<=": operator.le, "==": operator.eq, ">=": operator.ge, ">": operator.gt}


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """A number type: how to make a number of it, its elementary functions by the table's names, and its quotient.

    epsilon: the distance from 1 to the next number; 0 if nothing is rounded.
    """

    number: Callable[[Any], Number]
    functions: Mapping[str, Callable[..., Number]]
    divide: Callable[[Number, Number], Number] = operator.truediv
    epsilon: float = 0.0


def _norm(x: Sequence[Any]) -> Any:
    """Return the Euclidean norm of floats, scaled by `functions.halves`: 0 only if all are 0."""
    largest = abs(x[0])
    for v in x[1:]:
        largest = abs(v) if abs(v) > largest else largest
    down, up = functions.halves(largest)  # type: ignore[no-untyped-call]
    scaled = [v * down * down for v in x]
    return _FUNCTIONS["sqrt"](_sum([v * v for v in scaled])) * up * up


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(functions, name, None) or getattr(lanes, name) for name in sorted(FUNCTIONS)
}


def _floating(kind: Any) -> Arithmetic:
    """Return the arithmetic of a format."""
    return Arithmetic(kind, _FUNCTIONS | {"norm": _norm}, epsilon=float(np.finfo(kind).eps))


FLOAT64, FLOAT32 = _floating(np.float64), _floating(np.float32)
ARITHMETICS = {"float64": FLOAT64, "float32": FLOAT32}
"""The arithmetics of the kernels, by precision."""


@dataclass
class Execution:
    """What happened at one point: register values, the decision of each selection, and its smallest |guard|.

    decisions: by instruction: weighted pieces ((weight, piece), ...) of a table selection, the row of a user's
    selection, the tied operands of `max` and `min`, the permutation of `sort`. margins: by instruction.
    """

    values: list[Number]
    decisions: dict[int, Any] = field(default_factory=dict)
    margins: dict[int, float] = field(default_factory=dict)


class _Adapted(ast.NodeTransformer):
    """Turns each literal of a table text into a number of the arithmetic, and each quotient into its quotient."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Wrap a literal in a call."""
        return ast.Call(ast.Name("_number", ast.Load()), [node], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Turn a quotient into a call."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        return ast.Call(ast.Name("_divide", ast.Load()), [node.left, node.right], [])


@cache
def formula(text: str, row: Primitive, arithmetic: Arithmetic) -> Callable[..., Number]:
    """Return a table text as a function of (x, y, z, v, immediates...)."""
    return expression(text, (*OPERANDS, "v", *row.immediates), arithmetic)


@cache
def expression(text: str, names: tuple[str, ...], arithmetic: Arithmetic) -> Callable[..., Number]:
    """Return an expression as a function of its names, in this order, on numbers of an arithmetic."""
    tree = ast.fix_missing_locations(_Adapted().visit(ast.parse(f"lambda {', '.join(names)}: {text}", mode="eval")))
    space = {**arithmetic.functions, "_number": arithmetic.number, "_divide": arithmetic.divide}
    compiled: Callable[..., Number] = eval(compile(tree, text, "eval"), space)
    return compiled


class Interpreter:
    """Runs one tape in one arithmetic."""

    def __init__(self, tape: Tape, arithmetic: Arithmetic = FLOAT64) -> None:
        self.tape, self.arithmetic = tape, arithmetic
        values = zip(tape.constant_registers.tolist(), tape.constant_values.tolist(), strict=True)
        self.code: list[list[int]] = tape.code.tolist()
        self.modes = [tape.modes[line[FIRST] : line[FIRST] + line[COUNT]].tolist() for line in self.code]
        with np.errstate(over="ignore"):  # a number beyond float32 is infinite there, as in the kernels
            self._constants = [(register, arithmetic.number(value)) for register, value in values]
            self._lines = [self._read(k) for k in range(len(tape.code))]

    def _read(self, k: int) -> tuple[Primitive, list[int], list[Number]]:
        """Return the row, operand registers and numbers of instruction k."""
        line, row = self.tape.code[k], ROWS[self.tape.code[k, OP]]
        count = row.numbers(int(line[COUNT]))
        numbers = self.tape.numbers[line[NUMBER] : line[NUMBER] + count].tolist()
        if row.arity is not None or row.round:  # else it is the number of a rule, whatever the arithmetic
            numbers = [self.arithmetic.number(v) for v in numbers]
        return row, self.tape.operand(k).tolist(), numbers

    def _text(self, row: Primitive, text: str, args: Sequence[Number]) -> Number:
        return formula(text, row, self.arithmetic)(*args)

    def line(self, k: int, values: list[Number]) -> tuple[Primitive, list[int], list[Number], list[Number]]:
        """Return the row, operand registers, operand values and numbers of instruction k."""
        row, reads, numbers = self._lines[k]
        return row, reads, [values[r] for r in reads], numbers

    # Algorithm 1.

    def run(self, x: Sequence[Any], data: Sequence[Any] = (), choices: Mapping[int, Any] | None = None) -> Execution:
        """Evaluate the tape at x. `choices` forces the decision of the instructions it names (a branch assignment)."""
        tape, number = self.tape, self.arithmetic.number
        with np.errstate(all="ignore"):
            values: list[Number] = [number(v) for v in (*x, *data)]
            values += [None] * (tape.registers - len(values))
            for register, value in self._constants:
                values[register] = value
            execution = Execution(values)
            for k in range(len(tape.code)):
                self._evaluate(k, execution, choices or {})
        return execution

    def _evaluate(self, k: int, execution: Execution, choices: Mapping[int, Any]) -> None:
        """Evaluate instruction k: decide, then compute its outputs."""
        row, _, x, numbers = self.line(k, execution.values)
        out, outs = self.code[k][OUT], self.code[k][OUTS]
        if row.selection or row.name == "select":
            decision = choices[k] if k in choices else self._decide(k, row, x, numbers)
            execution.decisions[k] = decision
            if self.code[k][FLAGS] & GUARDED:
                execution.margins[k] = self._margin(k, row, x, numbers)
        if row.arity is not None:
            piece = row.pieces[execution.decisions[k][0][1] if row.branches else 0]
            execution.values[out] = self.piece(row, piece.value, x, None, numbers)
        elif row.name == "select":
            execution.values[out] = x[self.tape.table(k)[execution.decisions[k], 2]]
        elif row.name in ("max", "min"):
            # which of two zeros of two signs: no convention changes a value
            best = execution.decisions[k] if k in choices else _extremes(x, BETTER[row.name])
            execution.values[out] = x[best[0]]
        elif row.name == "sort":
            order = execution.decisions[k] if k in choices else _order(x, False)
            execution.values[out : out + outs] = [x[i] for i in order]
        elif row.name == "dense":
            inputs = len(x) // (outs + 1)
            for j in range(outs):
                terms = [x[j * inputs + i] * x[outs * inputs + i] for i in range(inputs)]
                bias = x[(outs + 1) * inputs + j :][:1] if len(x) % (outs + 1) else []
                execution.values[out + j] = _sum(bias + terms)
        elif row.name == "sum":
            execution.values[out] = _sum(x)
        elif row.name == "dot":
            half = len(x) // 2
            execution.values[out] = _sum([a * b for a, b in zip(x[:half], x[half:], strict=True)])
        elif row.name == "logsumexp":
            exp, log = self.arithmetic.functions["exp"], self.arithmetic.functions["log"]
            shift = x[_extremes(x, operator.gt)[0]]
            shift = shift if abs(shift) < np.inf else self.arithmetic.number(0)
            execution.values[out] = shift + log(_sum([exp(v - shift) for v in x]))
        elif row.name == "norm":
            execution.values[out] = norm = self.arithmetic.functions["norm"](x)
            if self.code[k][FLAGS] & GUARDED:
                execution.margins[k] = _distance(norm) if norm == norm else np.inf
        else:
            raise AssertionError(f"no loop for {row.name}")

    def piece(self, row: Primitive, text: str, x: list[Number], v: Number, numbers: list[Number]) -> Number:
        """Evaluate one expression of a row with arity."""
        operands = (*x, *(None,) * (len(OPERANDS) - len(x)))
        return self._text(row, text, (*operands, v, *numbers[: len(row.immediates)]))

    def _decide(self, k: int, row: Primitive, x: list[Number], numbers: list[Number]) -> Any:
        """Return the decision of selection k: the first row of its branch table that holds."""
        if row.name == "select":
            for index, (first, count, _) in enumerate(self.tape.table(k)):
                guards = self.tape.guards[first : first + count]
                if all(RELATION[relation](x[a], x[b]) for a, relation, b, _ in guards):
                    return index
        if row.name == "sort":
            return _order(x, RULES[int(numbers[0])] == "last")
        if row.name in ("max", "min"):
            tied = _extremes(x, BETTER[row.name])
            return {"split": tied, "first": tied[:1], "last": tied[-1:]}[RULES[int(numbers[0])]]
        at = len(row.immediates)
        for branch in row.branches:
            if self._holds(row, branch, x, numbers):
                if not branch.between:
                    return ((self.arithmetic.number(1), branch.piece),)
                return tuple(zip(numbers[at : at + len(branch.between)], branch.between, strict=True))
            at += len(branch.between)
        raise AssertionError("the last row of a branch table has no guard")

    def _holds(self, row: Primitive, branch: Branch, x: list[Number], numbers: list[Number]) -> bool:
        """Tell whether every guard of a row holds."""
        if branch.guards and branch.guards[0].startswith("isnan"):
            operand = x[OPERANDS.index(branch.guards[0][6])]
            return bool(operand != operand)
        return all(
            COMPARE[relation](self.piece(row, a, x, None, numbers), self.piece(row, b, x, None, numbers))
            for a, relation, b in branch.comparisons
        )

    def _margin(self, k: int, row: Primitive, x: list[Number], numbers: list[Number]) -> float:
        """Return the smallest |left - right| over the guards of selection k; NaN differences do not count."""
        if row.name == "select":
            table = self.tape.table(k)
            guards = [guard for first, count, _ in table for guard in self.tape.guards[first : first + count]]
            sides = [(x[a], x[b]) for a, _, b, counts in guards if counts]
        elif row.name == "sort":
            ordered = [x[i] for i in _order(x, False)]
            sides = list(pairwise(ordered))
        elif row.arity is None:
            best = _extremes(x, BETTER[row.name])[0]
            sides = [(x[best], v) for i, v in enumerate(x) if i != best]
        else:
            sides = [
                (self.piece(row, a, x, None, numbers), self.piece(row, b, x, None, numbers)) for a, b in row.guards()
            ]
        gaps = [abs(a - b) for a, b in sides]
        return min((_distance(gap) for gap in gaps if gap == gap), default=np.inf)

    # Algorithm 2.

    def partials(self, k: int, execution: Execution) -> list[list[Number | None]]:
        """Return d out_j / d operand_i of instruction k under its decision; None where the piece does not use it."""
        row, _, x, numbers = self.line(k, execution.values)
        out, outs, number = self.code[k][OUT], self.code[k][OUTS], self.arithmetic.number
        v, n = execution.values[out], len(x)
        if row.arity is not None:
            mix = execution.decisions[k] if row.branches else ((number(1), 0),)
            return [[self._mixed(row, mix, i, x, v, numbers) for i in range(n)]]
        if row.name == "select":
            chosen = self.tape.table(k)[execution.decisions[k], 2]
            return [[number(1) if i == chosen else None for i in range(n)]]
        if row.name in ("max", "min"):
            tied = execution.decisions[k]
            return [[number(1) / number(len(tied)) if i in tied else None for i in range(n)]]
        if row.name == "sort":
            return [[number(1) if i == chosen else None for i in range(n)] for chosen in execution.decisions[k]]
        if row.name == "sum":
            return [[number(1)] * n]
        if row.name == "dot":
            return [x[n // 2 :] + x[: n // 2]]
        if row.name == "logsumexp":
            return [[self.arithmetic.functions["exp"](u - v) for u in x]]
        if row.name == "norm":
            return [numbers if float(v) == 0 else [self.arithmetic.divide(u, v) for u in x]]
        if row.name != "dense":
            raise AssertionError(f"no loop for {row.name}")
        inputs = n // (outs + 1)
        table: list[list[Number | None]] = [[None] * n for _ in range(outs)]
        for j in range(outs):
            for i in range(inputs):
                table[j][j * inputs + i] = x[outs * inputs + i]
                table[j][outs * inputs + i] = x[j * inputs + i]
            if n % (outs + 1):
                table[j][(outs + 1) * inputs + j] = number(1)
        return table

    def _mixed(
        self, row: Primitive, mix: Any, i: int, x: list[Number], v: Number, numbers: list[Number]
    ) -> Number | None:
        """Return the weighted partial with respect to operand i of the pieces that use it."""
        total = None
        for weight, j in mix:
            if weight != 0 and row.pieces[j].uses(i):
                term = weight * self.piece(row, row.pieces[j].partials[i], x, v, numbers)
                total = term if total is None else total + term
        return total

    def backward(self, execution: Execution, output: int = 0) -> list[Number]:
        """Return the gradient of one output. Only executed pieces are differentiated; the others pass nothing."""
        with np.errstate(all="ignore"):
            adjoints, _ = self.adjoints(execution, output)
        return adjoints[: self.tape.parameters]

    def adjoints(self, execution: Execution, output: int = 0) -> tuple[list[Number], list[bool]]:
        """Return the adjoint of every register, and whether any executed piece leads from it to the output."""
        tape, zero = self.tape, self.arithmetic.number(0)
        adjoints, live = [zero] * tape.registers, [False] * tape.registers
        adjoints[tape.outputs[output]], live[tape.outputs[output]] = self.arithmetic.number(1), True
        for k in range(len(tape.code) - 1, -1, -1):
            line = self.code[k]
            outs = [j for j in range(line[OUTS]) if live[line[OUT] + j]]
            if not outs or not line[FLAGS] & ADJOINED:
                continue
            table = self.partials(k, execution)
            split = len(execution.decisions[k]) if ROWS[line[OP]].name in ("max", "min") else 0
            for i, (r, mode) in enumerate(zip(self._lines[k][1], self.modes[k], strict=True)):
                terms = [(table[j][i], adjoints[line[OUT] + j]) for j in outs if table[j][i] is not None]
                if mode and terms:
                    if ROWS[line[OP]].absorbs and self._lines[k][2][-1] == 0:
                        terms = [(zero if g == 0 else d, g) for d, g in terms]
                    passed = [g / self.arithmetic.number(split) if split else g * d for d, g in terms]
                    adjoints[r], live[r] = adjoints[r] + _sum([zero, *passed]), True
        return adjoints, live

    def forward(self, execution: Execution, direction: Sequence[Any]) -> list[Number]:
        """Return the tangents of the outputs along a direction in parameter space (forward mode)."""
        tape, number = self.tape, self.arithmetic.number
        tangents: list[Number] = [number(v) for v in direction] + [number(0)] * (tape.registers - tape.parameters)
        # a parameter that does not move passes nothing, not zero times an infinite partial
        active = [tangent != 0 for tangent in tangents]
        with np.errstate(all="ignore"):
            for k in range(len(tape.code)):
                reads, out = self._lines[k][1], self.code[k][OUT]
                if not any(active[r] for r in reads):
                    continue
                for j, row in enumerate(self.partials(k, execution)):
                    terms = [d * tangents[r] for r, d in zip(reads, row, strict=True) if active[r] and d is not None]
                    tangents[out + j], active[out + j] = _sum([number(0), *terms]), True
        return [tangents[r] for r in tape.outputs]


def _sum(terms: Sequence[Number]) -> Number:
    """Return the sum from left to right."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _distance(gap: Number) -> float:
    """Return a nonnegative number in float64: 0 only if it is 0, however small or large a rational it may be."""
    try:
        return float(gap) or (SMALLEST if gap else 0.0)
    except OverflowError:
        return np.inf


def _extremes(x: Sequence[Number], better: Callable[[Number, Number], Any]) -> list[int]:
    """Return the operands equal to the best one, in order; the first NaN wins over everything."""
    best = 0
    for i, v in enumerate(x):
        if v != v:
            return [i]
        if better(v, x[best]):
            best = i
    return [i for i, v in enumerate(x) if v == x[best]]


def _order(x: Sequence[Number], reverse_ties: bool) -> tuple[int, ...]:
    """Return the ascending order, NaN last; equal entries keep their order, or reverse it."""
    order: list[int] = []
    for i, v in enumerate(x):
        at = len(order)
        while (
            at
            and v == v
            and (
                v < x[order[at - 1]] or x[order[at - 1]] != x[order[at - 1]] or (reverse_ties and v == x[order[at - 1]])
            )
        ):
            at -= 1
        order.insert(at, i)
    return tuple(order)
