"""Formulas: a small language with Python's syntax. A formula is parsed, and only listed constructs are allowed."""

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from keyword import iskeyword
from typing import Any, NoReturn

import numpy as np

from simsa import primitives
from simsa.errors import ProgramError
from simsa.primitives import ROWS, Convention
from simsa.program import functions
from simsa.program.program import Builder, Program
from simsa.program.symbolic import INFINITIES, Array, Condition, finite, symbolic
from simsa.program.trace import finish

LONGEST = 100
"""The number of characters of a formula that a message shows."""

CONSTANTS = {"pi": math.pi, "inf": math.inf}

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
    ast.Invert: np.logical_not,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Not: np.logical_not,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
}
"""The operators that a formula may use."""

INSTEAD = {"^": "write ** for a power", "//": "write floor(x / y)", "%": "write x - floor(x / y) * y"}
"""What a message suggests for operators that the language does not have."""


def _several(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of one array as a function of one list or of several numbers: max([x, y]) and max(x, y)."""
    return lambda *values: function(values[0] if len(values) == 1 else functions.as_array(values))


def _row(name: str, keys: Sequence[str]) -> Callable[..., Any]:
    """Return a row of the table as a function of its operands and its immediates `keys`, which may be named."""

    def function(*values: Any, **named: Any) -> Any:
        count = max(len(values) - (len(keys) - len(named)), 0)
        rest = [key for key in keys if key not in named]
        numbers: dict[str, Any] = named | dict(zip(rest, values[count:], strict=True))
        return functions.apply(name, *values[:count], **numbers)

    return function


def _number(value: Any) -> Any:
    """Return a condition as the number 1 or 0, and a number as it is."""
    return value.astype(np.float64) if isinstance(value, Condition | np.bool_ | np.ndarray) else value


def _whole(value: Any) -> int:
    """Return a number as an integer; raises ProgramError if it is none."""
    if float(value) != int(value):
        raise ProgramError(f"expected an integer, got {value}")
    return int(value)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{row.name: _row(row.name, row.immediates) for row in ROWS if row.arity is not None and not row.identity},
    **{name: _several(getattr(np, name)) for name in ("max", "min", "sum", "mean", "prod", "sort", "median", "std")},
    "hypot": lambda x, y: np.hypot(x, y),
    "norm": _several(np.linalg.norm),
    **{name: _several(getattr(functions, name)) for name in ("argmax", "argmin")},
    **{name: getattr(np, name) for name in ("ceil", "sign", "trunc")},
    "round": lambda x, decimals=0: np.round(x, _whole(decimals)),
    "heaviside": lambda x, y: np.heaviside(x, y),
    "one_hot": lambda index, count: functions.one_hot(index, _whole(count)),
    "logsumexp": _several(functions.logsumexp),
    "dot": lambda x, y: np.dot(x, y),
    "clip": functions.clip,
    "elu": functions.elu,
    "huber": functions.huber,
    "leaky_relu": functions.leaky_relu,
    "maximum": functions.maximum,
    "minimum": functions.minimum,
    "top_k": lambda x, k: functions.top_k(x, _whole(k)),
    "where": functions.where,
    "zero": functions.zero,
}
"""The functions that a formula may call: rows of the table, and some functions of NumPy and of simsa."""


def expression(
    text: str,
    parameters: Sequence[str] | int,
    data: Sequence[str] = (),
    convention: str | Mapping[str, str | float] | Convention = "tensorflow",
) -> Program:
    """Return the program of a formula.

    Parameters
    ----------
    text
        The formula.
    parameters
        The names of the parameters; or their number p, and then they are x[0], ..., x[p-1].
    data
        The names of the data inputs.
    convention
        Decides the derivative at ties, as for `trace`.

    Returns
    -------
    Program
        With one output.

    Raises
    ------
    ProgramError
        In one line, with the formula and the column: if the formula is not in the language, or if a constant is
        infinite or NaN, or becomes so by constant arithmetic.

    Notes
    -----
    The language: numbers, pi, and inf to compare with or as a bound; `+ - * / **`; comparisons, which may be chained
    and joined by and, or, not or by `& | ~`, and which are 1 and 0 where a number is expected; `a if condition else b`;
    the functions of `FUNCTIONS`; lists as arguments, with entries and slices of them.

    Examples
    --------
    >>> expression("relu(x) + a * x**2", ["x"], ["a"]).nodes[0].primitive
    'relu'
    """
    named = () if isinstance(parameters, int) else tuple(parameters)
    p = parameters if isinstance(parameters, int) else len(named)
    inputs = [(name, np.array(i)) for i, name in enumerate(named)] if named else [("x", np.arange(p))]
    inputs += [(name, np.array(p + i)) for i, name in enumerate(data)]
    names = [name for name, _ in inputs]
    for name in names:
        if not name.isidentifier() or iskeyword(name):
            raise ProgramError(f"expression: '{name}' is no name for a number")
        if names.count(name) > 1:
            raise ProgramError(f"expression: '{name}' stands for two things")
    builder = Builder(p, len(data), primitives.convention(convention))
    known: dict[str, Any] = {name: np.float64(value) for name, value in CONSTANTS.items()}
    known |= {name: Array(builder, registers) for name, registers in inputs}
    reader = _Reader(" ".join(text.split()), known)
    with np.errstate(all="ignore"):
        result = reader.read()
    if np.ndim(result):
        raise reader.error(None, f"expected one number, got {np.size(result)}")
    program: Program = reader.do(None, finish, builder, _number(result), "the expression", names=named)
    return program


class _Reader:
    """Evaluates one formula symbolically. text: the formula on one line. known: the value of each name."""

    def __init__(self, text: str, known: dict[str, Any]) -> None:
        self.text, self.known = text, known

    def error(self, node: ast.AST | None, message: str) -> ProgramError:
        """Return the error for a place in the formula; the place of a binary operation is its operator."""
        if node is None:
            return ProgramError(f'expression "{self.shown}": {message}')
        if isinstance(node, ast.BinOp | ast.Compare):
            column = self.column(node.left.end_col_offset or 0)
            column += len(self.text[column:]) - len(self.text[column:].lstrip(" )"))
        else:
            column = self.column(node.col_offset)  # type: ignore[attr-defined]
        return ProgramError(f'expression "{self.shown}", column {column + 1}: {message}')

    def column(self, offset: int) -> int:
        """Return the column, from 0, of an offset in bytes."""
        return len(self.text.encode()[:offset].decode())

    @property
    def shown(self) -> str:
        """Return the formula as a message shows it, cut off after LONGEST characters."""
        return self.text if len(self.text) <= LONGEST else f"{self.text[:LONGEST]}..."

    def read(self) -> Any:
        """Return the value of the formula."""
        try:
            with warnings.catch_warnings(action="ignore"):  # Python warns of spellings such as 1if
                tree = ast.parse(self.text, mode="eval")
            return self.value(tree.body)
        except SyntaxError as error:
            at = f", column {error.offset}" if error.offset else ""
            raise ProgramError(f'expression "{self.shown}"{at}: {error.msg}') from None
        except (RecursionError, MemoryError):
            raise self.error(None, "too deeply nested; long sums are sum([...])") from None
        except ValueError as error:  # a null character
            raise self.error(None, str(error)) from None

    def value(self, node: ast.expr) -> Any:
        """Return the value of a part of the formula: a number, symbolic or not, a condition, or a list."""
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise self.error(node, f"expected a number, got {node.value!r}")
            case ast.Constant(value=int() | float()):
                return self.number(node)
            case ast.Name(id=name):
                if name in self.known:
                    return self.known[name]
                if name == "nan":
                    raise self.error(node, "the constant nan is not finite")
                if name in FUNCTIONS:
                    raise self.error(node, f"{name} is a function; write {name}(...)")
                raise self.error(node, functions.unknown("name", name, self.known))
            case ast.UnaryOp(op=op, operand=operand):
                return self.do(node, self.operation(node, op), self.value(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return self.do(node, self.operation(node, op), self.value(left), self.value(right))
            case ast.BoolOp(op=op, values=values):
                return self.all(node, OPERATORS[type(op)], [self.value(part) for part in values])
            case ast.Compare(left=left, ops=ops, comparators=rights):
                return self.comparison(node, ops, [self.value(part) for part in (left, *rights)])
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.do(node, np.where, self.value(test), self.value(body), self.value(orelse))
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return self.do(node, functions.as_array, [self.value(part) for part in parts])
            case ast.Subscript(value=whole, slice=index):
                return self.do(node, operator.getitem, self.value(whole), self.index(index))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                return self.call(node, name, args, keywords)
        self.refuse(node)

    def call(self, node: ast.AST, name: str, args: Sequence[ast.expr], keywords: Sequence[ast.keyword]) -> Any:
        """Return the value of a call."""
        if name not in FUNCTIONS:
            if name in self.known:
                raise self.error(node, f"{name} is no function; write {name} * (...) for a product")
            raise self.error(node, functions.unknown("function", name, FUNCTIONS))
        values = [self.value(arg) for arg in args]
        named = {str(keyword.arg): self.value(keyword.value) for keyword in keywords}
        try:
            signature(FUNCTIONS[name]).bind(*values, **named)
        except TypeError as error:
            raise self.error(node, f"{name}: {error}") from None
        return self.do(node, FUNCTIONS[name], *values, **named)

    def refuse(self, node: ast.AST) -> NoReturn:
        """Raise ProgramError for a construct of Python that the language does not have."""
        part = ast.get_source_segment(self.text, node) or type(node).__name__
        raise self.error(node, f"'{part}' is not part of the language of formulas")

    def number(self, node: ast.Constant) -> np.float64:
        """Return a number; raises ProgramError for one beyond the range of float64."""
        try:
            if math.isfinite(number := float(node.value)):  # type: ignore[arg-type]
                return np.float64(number)
        except OverflowError:
            pass
        raise self.error(node, "the number is too large")

    def operation(self, node: ast.AST, op: ast.operator | ast.unaryop) -> Callable[..., Any]:
        """Return an operator as a function; those of arithmetic take a condition as the number 1 or 0."""
        if isinstance(op, ast.BitAnd | ast.BitOr | ast.Invert | ast.Not):
            return OPERATORS[type(op)]
        if type(op) in OPERATORS:
            return lambda *values: OPERATORS[type(op)](*map(_number, values))
        symbols: dict[type[ast.AST], str] = {ast.BitXor: "^", ast.FloorDiv: "//", ast.Mod: "%"}
        symbol = symbols.get(type(op), type(op).__name__)
        raise self.error(node, f"{symbol} cannot be used; {INSTEAD.get(symbol, 'it is no arithmetic of numbers')}")

    def comparison(self, node: ast.Compare, ops: Sequence[ast.cmpop], values: Sequence[Any]) -> Any:
        """Return the condition of a comparison; a < b < c means a < b and b < c."""
        if any(type(op) not in OPERATORS for op in ops):
            self.refuse(node)
        pairs = zip(ops, values, values[1:], strict=False)
        links = [self.do(node, OPERATORS[type(op)], left, right) for op, left, right in pairs]
        return self.all(node, np.logical_and, links)

    def all(self, node: ast.AST, function: Callable[..., Any], values: Sequence[Any]) -> Any:
        """Return conditions joined by `function`."""
        for value in values:
            if not isinstance(value, Condition | bool | np.bool_):
                raise self.error(node, "and, or, not join conditions such as x > 0, not numbers")
        result = values[0]
        for value in values[1:]:
            result = self.do(node, function, result, value)
        return result

    def index(self, node: ast.expr) -> Any:
        """Return a constant index or slice."""
        match node:
            case ast.Slice(lower=lower, upper=upper, step=step):
                return slice(*(None if part is None else self.index(part) for part in (lower, upper, step)))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                return -value
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return value
        raise self.error(node, "an index must be an integer")

    def do(self, node: ast.AST | None, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        """Return `function` of values; add the place to its errors, and refuse a constant that is not finite."""
        try:
            result = function(*values, **named)
            if not symbolic(result) and isinstance(result, float | np.ndarray):
                infinite = any(not symbolic(value) and np.isinf(value).any() for value in values)
                finite(np.asarray(result, np.float64), INFINITIES if infinite else ())
            return result
        except ProgramError as error:
            raise self.error(node, str(error)) from None
        except (TypeError, ValueError, IndexError) as error:
            raise self.error(node, f"{error}") from None
