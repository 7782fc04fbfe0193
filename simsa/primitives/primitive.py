"""What a primitive is: one frozen, self-checking row.

A row holds every fact about a primitive; opcodes, kernels, the reference interpreter, listings, the documentation
table and the test inputs are derived from it. Values and partials are *text*, in the operands `x, y, z`, the
immediates (numbers fixed when a program is built) and `v`, the value of the piece itself. Text can be compiled on
SIMD lanes, evaluated in plain Python or in rational numbers, and printed.

Source: Bolte and Pauwels, NeurIPS 2020, Definitions 1 to 4 ("the paper").
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

OPERANDS = ("x", "y", "z")
STEPS = frozenset(("floor", "round_even"))
FUNCTIONS = STEPS | frozenset(
    ("exp", "log", "log0", "expm1", "log1p", "sqrt", "sin", "cos", "tan", "tanh", "sigmoid", "softplus", "pow", "erf")
)
"""What texts may call; STEPS are the functions to the integers, which move with nothing between their jumps."""
LOOPS = frozenset(("sum", "dot", "dense", "logsumexp", "norm", "max", "min", "sort", "select"))
"""The rows with any number of operands: the engine and the reference hold a loop for each of these, and no other."""


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


@dataclass(frozen=True, eq=False)
class Primitive:
    """One row of the table.

    name: how programs call it. textbook: what a reader would look up.
    arity: number of operands; None if any number (then `pieces` is empty and the kernels hold its loop).
    immediates: names of the numbers fixed when a program is built.
    pieces, branches: the selection (s, f_1..f_r); an elementary function has one piece and no branches.
    ties: for each framework spelling, the weights of the tied pieces (or, with any number of operands, the rule
    "split", "first" or "last"), as measured on the versions that `conventions` names; of `norm`, whose pieces at 0 are
    the vectors of the unit ball, each entry of the one that is taken; of an elementary function whose partial may be
    infinite, one number s, 0 if a zero adjoint passes zero all the same. domain: where the textbook function is
    defined, as an interval of each operand; tests sample inside it.
    """

    name: str
    textbook: str
    arity: int | None
    pieces: tuple[Piece, ...] = ()
    branches: tuple[Branch, ...] = ()
    immediates: tuple[str, ...] = ()
    ties: Mapping[str, Weights | str] = field(default_factory=dict)
    domain: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a row that contradicts itself."""
        if self.arity is None:
            if self.name not in LOOPS or self.pieces:
                raise ValueError(f"{self.name}: a row with any number of operands needs a loop, one of {sorted(LOOPS)}")
            return
        allowed = set(OPERANDS[: self.arity]) | set(self.immediates) | FUNCTIONS | {"v", "isnan"}
        for piece in self.pieces:
            if len(piece.partials) != self.arity:
                raise ValueError(f"{self.name}: {len(piece.partials)} partials for {self.arity} operands")
            for text in (piece.value, *piece.partials):
                if unknown := names_in(text) - allowed:
                    raise ValueError(f"{self.name}: unknown names {sorted(unknown)} in '{text}'")
        if bool(self.branches) != (len(self.pieces) > 1):
            raise ValueError(f"{self.name}: several pieces need a branch table, and one piece needs none")
        if self.branches and (self.branches[-1].guards or any(not row.guards for row in self.branches[:-1])):
            raise ValueError(f"{self.name}: exactly the last row of a branch table has no guard")
        counts = [len(row.between) for row in self.tie_rows] if self.branches else [1]
        for spelling, weights in self.ties.items():
            if isinstance(weights, str) or [len(w) for w in weights] != counts:
                raise ValueError(f"{self.name}: the weights of {spelling} do not fit the tie rows")
            if self.branches and any(sum(w) != 1.0 and any(w) for w in weights):
                raise ValueError(f"{self.name}: the weights of {spelling} do not sum to one, and are not all zero")

    @property
    def selection(self) -> bool:
        """Tell whether the primitive selects between finitely many pieces (and so can be tied)."""
        return bool(self.branches) or (self.arity is None and bool(self.ties) and not self.round)

    @property
    def jumps(self) -> bool:
        """Tell whether its tied pieces differ in value: a function to the integers."""
        return any(names_in(piece.value) & STEPS for piece in self.pieces)

    @property
    def absorbs(self) -> bool:
        """Tell whether it is an elementary function of which frameworks differ on zero times an infinite partial."""
        return bool(self.pieces and self.ties) and not self.branches

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return the names of the numbers that the partials need: the immediates, and s if it `absorbs`."""
        return (*self.immediates, "s") if self.absorbs else self.immediates

    @property
    def round(self) -> bool:
        """Tell whether it is the Euclidean norm: no selection of finitely many pieces, but with a kink at 0."""
        return self.name == "norm"

    def numbers(self, operands: int) -> int:
        """Return how many numbers an instruction has: immediates, then a rule or tie weights."""
        if self.arity is None:
            return operands if self.round else int(bool(self.ties))
        return len(self.fixed) + sum(len(row.between) for row in self.tie_rows)

    @property
    def tie_rows(self) -> tuple[Branch, ...]:
        """Return the rows of the branch table that mix tied pieces."""
        return tuple(row for row in self.branches if row.between)

    def guards(self) -> tuple[tuple[str, str], ...]:
        """Return the distinct pairs (left, right) that the branch table compares: h = left - right."""
        return tuple(dict.fromkeys((a, b) for row in self.branches for a, _, b in row.comparisons))

    def slopes(self, row: Branch) -> tuple[float, ...] | None:
        """Return the partials of the pieces tied in `row` with respect to x, or None if they are not numbers."""
        try:
            return tuple(float(self.pieces[j].partials[0]) for j in row.between)
        except ValueError:
            return None
