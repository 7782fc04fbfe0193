"""The language of the table: pieces and branch tables, whose values, partials and guards are text.

A text is an expression in the operands `x, y, z`, the immediates (numbers fixed when a program is built) and `v`, the
value of the piece itself. It can be compiled on SIMD lanes, evaluated in plain Python or in rational numbers, and
printed.
"""

import ast
from dataclasses import dataclass
from functools import cached_property

OPERANDS = ("x", "y", "z")
STEPS = frozenset(("floor", "round_even"))
FUNCTIONS = STEPS | frozenset(
    ("exp", "log", "log0", "expm1", "log1p", "sqrt", "sin", "cos", "tan", "tanh", "sigmoid", "softplus", "pow", "erf")
)
"""What texts may call; STEPS are the functions to the integers, which move with nothing between their jumps."""
RELATIONS = ("<", "<=", "==", ">=", ">")


def names_in(text: str) -> set[str]:
    """Return the names that the expression `text` uses, functions included."""
    return {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}


@dataclass(frozen=True)
class Piece:
    """An elementary function (Def. 1): its value, and its partial with respect to each operand.

    The partial "0" is structural: the piece does not use that operand, and passes nothing to it.
    """

    value: str
    partials: tuple[str, ...]

    def uses(self, operand: int) -> bool:
        """Tell whether the piece depends on operand number `operand`."""
        return self.partials[operand] != "0"


@dataclass(frozen=True)
class Branch:
    """A row of a branch table: if every guard holds, `piece` is selected.

    `guards` are texts `left relation right`; the relation `isnan` (written `isnan(y)`) concerns floating point only.
    A row with `between` is a tie row: the pieces named there agree, and the convention's weights mix them.
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
"""One tuple of weights for each tie row of a branch table: they sum to one, or are all 0, and nothing is passed."""
