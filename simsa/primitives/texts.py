"""The language of the table: pieces and branch tables, whose values, partials and guards are text.

A text is an expression in the operands `x, y, z`, the immediates (numbers that are fixed when a program is built) and
`v`, the value of the piece itself. The same text is compiled for SIMD lanes, evaluated in plain Python or in rational
numbers, and printed.
"""

import ast
from dataclasses import dataclass
from functools import cached_property

OPERANDS = ("x", "y", "z")
STEP_FUNCTIONS = frozenset(("floor", "round_even"))
FUNCTIONS = STEP_FUNCTIONS | frozenset(
    ("exp", "log", "log0", "expm1", "log1p", "sqrt", "sin", "cos", "tan", "tanh", "sigmoid", "softplus", "pow", "erf")
)
"""The functions that texts may call. STEP_FUNCTIONS are those that are constant between jumps."""
RELATIONS = ("<", "<=", "==", ">=", ">")


def names_in(text: str) -> set[str]:
    """Return the names of the variables and functions in the expression `text`."""
    return {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}


@dataclass(frozen=True)
class Piece:
    """An elementary function (Def. 1): the text of its value, and of its partial with respect to each operand.

    The partial "0" says that the piece does not use that operand: the backward sweep passes nothing to it, not even a
    product of 0 and NaN.
    """

    value: str
    partials: tuple[str, ...]

    def uses(self, operand: int) -> bool:
        """Tell whether the piece depends on the operand at position `operand`, counted from 0."""
        return self.partials[operand] != "0"


@dataclass(frozen=True)
class Branch:
    """A row of a branch table of the table of primitives: if all guards hold, the row is taken.

    guards: texts `left relation right`, or `isnan(y)`, which concerns floating point only. piece: the number of the
    piece that is selected; None in a tie row. between: in a tie row, the pieces that agree there, which the weights of
    the convention mix; else empty. Raises ValueError unless exactly one of `piece` and `between` is given.
    """

    guards: tuple[str, ...]
    piece: int | None = None
    between: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that the row selects one piece, or mixes at least two."""
        if (self.piece is None) != bool(self.between) or len(self.between) == 1:
            raise ValueError(f"a branch selects one piece or mixes several: {self}")

    @cached_property
    def comparisons(self) -> tuple[tuple[str, str, str], ...]:
        """Return (left, relation, right) for each guard that compares."""
        return tuple(filter(None, map(_comparison, self.guards)))


def _comparison(guard: str) -> tuple[str, str, str] | None:
    """Return (left, relation, right) of a guard, or None if it does not compare."""
    tree = ast.parse(guard, mode="eval").body
    if not isinstance(tree, ast.Compare):
        return None
    return ast.unparse(tree.left), _SYMBOLS[type(tree.ops[0])], ast.unparse(tree.comparators[0])


_SYMBOLS = {ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.GtE: ">=", ast.Gt: ">"}

Weights = tuple[tuple[float, ...], ...]
"""For each tie row of a branch table the weights of its tied pieces. They sum to 1, or are all 0: then nothing is
passed to any operand."""
