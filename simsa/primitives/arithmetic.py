"""Number types. One program runs in floating point, in rational numbers, in dual numbers and in power series."""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

from simsa.formats import Format
from simsa.primitives.texts import OPERANDS

if TYPE_CHECKING:
    from simsa.primitives.primitive import Primitive

Number = Any


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """A number type in which programs are run.

    number: converts a Python number to the type. functions: the elementary functions, by the names that the table uses.
    divide: the quotient of two numbers. epsilon: the distance from 1 to the next larger number; 0 if the type does not
    round.
    format: whose numbers they are; None if they are of no format of floating point. sums: converts a number to the type
    in which sums are accumulated; None if that is the type itself.
    """

    number: Callable[[Any], Number]
    functions: Mapping[str, Callable[..., Number]]
    divide: Callable[[Number, Number], Number] = operator.truediv
    format: Format | None = None
    sums: Callable[[Any], Number] | None = None

    def dot(self, left: Iterable[Number], right: Iterable[Number], first: Iterable[Number] = ()) -> Number:
        """Return the sum of `first`, then of products, from left to right; rounded once if sums are of another type.

        left, right: the factors, as many of each. There is at least one number to add.
        """
        if self.sums is None:
            return reduce(operator.add, [*first, *map(operator.mul, left, right)])
        products = map(operator.mul, map(self.sums, left), map(self.sums, right))
        return self.number(reduce(operator.add, [*map(self.sums, first), *products]))

    def mean(self, values: Sequence[Number]) -> Number:
        """Return the mean of numbers, added to 0 in their order, and rounded once if sums are of another type."""
        wide = self.sums or self.number
        total = wide(0)
        for v in values:
            total = total + (v if self.sums is None else wide(v))
        mean = total / wide(len(values))
        return mean if self.sums is None else self.number(mean)


class _Adapted(ast.NodeTransformer):
    """Rewrites a text so that its literals and its quotients are those of an arithmetic."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Replace a literal by a call that converts it."""
        return ast.Call(ast.Name("_number", ast.Load()), [node], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Replace a quotient by a call of the arithmetic's division."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.Div):
            return node
        return ast.Call(ast.Name("_divide", ast.Load()), [node.left, node.right], [])


@cache
def formula(text: str, row: "Primitive", arithmetic: Arithmetic) -> Callable[..., Number]:
    """Return a text of the table as a function of (x, y, z, v, immediates...).

    text: the expression. row: the primitive whose text it is. arithmetic: the number type of arguments and result.
    """
    return expression(text, (*OPERANDS, "v", *row.immediates), arithmetic)


def _ordered(number: Callable[[Any], Number]) -> dict[str, Callable[..., Number]]:
    """Return the functions that are defined by comparisons alone, in any number type, as `rules.FUNCTIONS` says them.

    number: converts a Python number to the type.
    """
    return {
        "abs": abs,
        "sign": lambda x: number(1) if x > 0 else number(-1) if x < 0 else x,
        "minimum": lambda a, b: a if a < b else b,
        "maximum": lambda a, b: a if a > b else b,
    }


@cache
def expression(text: str, names: tuple[str, ...], arithmetic: Arithmetic) -> Callable[..., Number]:
    """Return an expression as a Python function.

    text: the expression, in Python's syntax. names: its variables, in the order of the arguments of the function.
    arithmetic: the number type of arguments and result.
    """
    tree = ast.fix_missing_locations(_Adapted().visit(ast.parse(f"lambda {', '.join(names)}: {text}", mode="eval")))
    space = {
        **_ordered(arithmetic.number), **arithmetic.functions, "_number": arithmetic.number,
        "_divide": arithmetic.divide,
    }  # fmt: skip
    compiled: Callable[..., Number] = eval(compile(tree, text, "eval"), space)
    return compiled
