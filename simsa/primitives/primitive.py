"""What a primitive is: one frozen row of the table, which checks itself when it is made.

A row holds every fact about a primitive. Opcodes, kernels, the reference interpreter, listings, the table in the
documentation and the inputs of the tests are derived from it. What the primitive computes is given either by texts
(`texts`) or by an object (`operations`).

Source: Bolte and Pauwels, NeurIPS 2020, Definitions 1 to 4 ("the paper").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simsa.primitives.operations import ELEMENTARY, PIECES, Operation, Selection
from simsa.primitives.texts import FUNCTIONS, OPERANDS, STEP_FUNCTIONS, Branch, Piece, Weights, names_in


@dataclass(frozen=True, eq=False)
class Primitive:
    """One row of the table.

    name: how programs call the primitive. textbook: the function in words, as a reader would look it up. arity: the
    number of operands, or None if any number is allowed. operation: the object that computes the primitive; a row with
    pieces must not name one, a row without pieces must. immediates: the names of the numbers that are fixed when a
    program is built, such as the threshold of `huber`.

    pieces, branches: the selection (s, f_1, ..., f_r) of Definition 2. An elementary function has one piece and no
    branches.

    ties: what each framework spelling returns at a tie, as measured on the versions that `table` names. It is a tuple
    of weights of the tied pieces for each tie row. For `max`, `min` and `sort` it is the rule "split", "first" or
    "last". For `norm`, whose pieces at 0 are the vectors of the unit ball, it is the entry that every operand gets. For
    an elementary function whose partial may be infinite it is one number s: with s = 0 a zero adjoint passes zero,
    although the partial is infinite; with s = 1 the product is NaN.

    domain: where the textbook function is defined, one interval for each operand; tests sample inside it. vanishes: the
    positions of operands such that the value is 0 wherever one of them is 0, provided that the immediates are positive.

    Raises ValueError if the row contradicts itself.
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
        """Refuse a row that contradicts itself, and set the operation of a row with pieces."""
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
        """Tell whether the primitive selects one of finitely many pieces, so that it can be tied."""
        return isinstance(self.operation, Selection)

    @property
    def jumps(self) -> bool:
        """Tell whether the primitive is a step function (`floor`, `rint`), whose pieces differ in value at a tie."""
        return self.step_function is not None

    @property
    def step_function(self) -> str | None:
        """Return the name of the step function in the texts of the pieces; None if there is none."""
        return next((name for piece in self.pieces for name in sorted(names_in(piece.value) & STEP_FUNCTIONS)), None)

    @property
    def absorbs(self) -> bool:
        """Tell whether frameworks differ on the product of a zero adjoint and an infinite partial of this function."""
        return bool(self.pieces and self.ties) and not self.branches

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return the names of the numbers that the partials need: the immediates, and "s" if the row `absorbs`."""
        return (*self.immediates, "s") if self.absorbs else self.immediates

    @property
    def is_norm(self) -> bool:
        """Tell whether the primitive is the Euclidean norm, which has a kink at 0 without being a selection."""
        return self.operation.is_norm

    @property
    def identity(self) -> bool:
        """Tell whether the value is the operand itself, and its derivative 1, as for `copy`."""
        return len(self.pieces) == 1 and (self.pieces[0].value, *self.pieces[0].partials) == ("x", "1")

    def numbers(self, operands: int) -> int:
        """Return how many numbers a tape holds for one use with `operands` operands: immediates, then the tie rule."""
        return self.operation.numbers(self, operands)

    @property
    def tie_rows(self) -> tuple[Branch, ...]:
        """Return the rows of the branch table that mix tied pieces."""
        return tuple(row for row in self.branches if row.between)

    def guards(self) -> tuple[tuple[str, str], ...]:
        """Return the distinct pairs (left, right) that the branch table compares: h = left - right."""
        return tuple(dict.fromkeys((a, b) for row in self.branches for a, _, b in row.comparisons))

    def slopes(self, row: Branch) -> tuple[float, ...] | None:
        """Return the partials with respect to x of the pieces tied in `row`, or None if one is not a constant."""
        try:
            return tuple(float(self.pieces[j].partials[0]) for j in row.between)
        except ValueError:
            return None
