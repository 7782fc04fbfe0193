"""Number types: the same program runs in floating point, in rational numbers, in dual numbers, in power series."""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from simsa.formats import Format
from simsa.primitives.texts import OPERANDS

if TYPE_CHECKING:
    from simsa.primitives.primitive import Primitive

Number = Any


@dataclass(frozen=True, eq=False)
class Arithmetic:
    """A number type: how to make a number of it, its elementary functions by the table's names, and its quotient.

    format: whose numbers they are; None if they are of no format of floating point.
    """

    number: Callable[[Any], Number]
    functions: Mapping[str, Callable[..., Number]]
    divide: Callable[[Number, Number], Number] = operator.truediv
    format: Format | None = None


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
def formula(text: str, row: "Primitive", arithmetic: Arithmetic) -> Callable[..., Number]:
    """Return a table text as a function of (x, y, z, v, immediates...)."""
    return expression(text, (*OPERANDS, "v", *row.immediates), arithmetic)


@cache
def expression(text: str, names: tuple[str, ...], arithmetic: Arithmetic) -> Callable[..., Number]:
    """Return an expression as a function of its names, in this order, on numbers of an arithmetic."""
    tree = ast.fix_missing_locations(_Adapted().visit(ast.parse(f"lambda {', '.join(names)}: {text}", mode="eval")))
    space = {**arithmetic.functions, "_number": arithmetic.number, "_divide": arithmetic.divide}
    compiled: Callable[..., Number] = eval(compile(tree, text, "eval"), space)
    return compiled
