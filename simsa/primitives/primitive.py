"""What a primitive is: one frozen, self-checking row.

A row holds every fact about a primitive; opcodes, kernels, the reference interpreter, listings, the documentation
table and the test inputs are derived from it. What it computes is either text (`texts`) or an operation (`operations`).

Source: Bolte and Pauwels, NeurIPS 2020, Definitions 1 to 4 ("the paper").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simsa.primitives.operations import ELEMENTARY, PIECES, Operation, Selection
from simsa.primitives.texts import FUNCTIONS, OPERANDS, STEPS, Branch, Piece, Weights, names_in


@dataclass(frozen=True, eq=False)
class Primitive:
    """One row of the table.

    name: how programs call it. textbook: what a reader would look up.
    arity: number of operands; None if any number.
    operation: what computes it. It follows from the pieces; a row without pieces is given one.
    immediates: names of the numbers fixed when a program is built.
    pieces, branches: the selection (s, f_1..f_r); an elementary function has one piece and no branches.
    ties: for each framework spelling, the weights of the tied pieces (or, with any number of operands, the rule
    "split", "first" or "last"), as measured on the versions that `conventions` names; of `norm`, whose pieces at 0 are
    the vectors of the unit ball, each entry of the one that is taken; of an elementary function whose partial may be
    infinite, one number s, 0 if a zero adjoint passes zero all the same. domain: where the textbook function is
    defined, as an interval of each operand; tests sample inside it. vanishes: operands, by their place, such that it is
    0 wherever one of them is, if its immediates are positive.
    """

    name: str
    textbook: str
    arity: int | None
    pieces: tuple[Piece, ...] = ()
    branches: tuple[Branch, ...] = ()
    immediates: tuple[str, ...] = ()
    ties: Mapping[str, Weights | str] = field(default_factory=dict)
    domain: tuple[tuple[float, float], ...] = ()
    operation: Operation = ELEMENTARY
    vanishes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a row that contradicts itself, and set the operation of one with pieces."""
        of_text = (ELEMENTARY, PIECES)
        if not self.pieces:
            if self.operation in of_text:
                raise ValueError(f"{self.name}: a row without pieces needs an operation")
            return
        if self.arity is None or self.operation not in of_text:
            raise ValueError(f"{self.name}: a row with pieces has a fixed number of operands, and no other operation")
        object.__setattr__(self, "operation", PIECES if self.branches else ELEMENTARY)
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
        return isinstance(self.operation, Selection)

    @property
    def jumps(self) -> bool:
        """Tell whether its tied pieces differ in value: a function to the integers."""
        return self.step is not None

    @property
    def step(self) -> str | None:
        """Return the function to the integers that its pieces are made of; None if there is none."""
        return next((name for piece in self.pieces for name in sorted(names_in(piece.value) & STEPS)), None)

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
        return self.operation.round

    @property
    def identity(self) -> bool:
        """Tell whether the value is the operand itself: a copy."""
        return len(self.pieces) == 1 and self.pieces[0].value == "x"

    def numbers(self, operands: int) -> int:
        """Return how many numbers an instruction has: immediates, then a rule or tie weights."""
        return self.operation.numbers(self, operands)

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
