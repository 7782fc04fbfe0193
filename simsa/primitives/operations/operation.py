"""What stands beside a row of the table and computes it: its values, what it passes back, and how it decides.

Nothing outside this folder asks for the name of a primitive; it asks the operation. An operation knows no point and no
program: it is given one use of the primitive (`Call`) and numbers of the arithmetic in which the program is run.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from simsa.errors import ProgramError
from simsa.primitives.arithmetic import Arithmetic, Number
from simsa.primitives.texts import Weights

if TYPE_CHECKING:
    from simsa.primitives.primitive import Primitive

PLAIN = Arithmetic(float, {})
"""Python's floats without elementary functions: for what is asked of a call, and not of a point."""

RULES = ("split", "first", "last")
"""Rules for equal operands of `max`, `min` and `sort`, by the number that stands for them in a tape."""


@dataclass(frozen=True)
class Guard:
    """A guard of a branch table that a program brings: operand `left`, a relation ("<=", ...), operand `right`.

    movable: whether a side depends on parameters. A guard between data and constants is no tie if its sides are equal.
    """

    left: int
    relation: str
    right: int
    movable: bool = True


@dataclass(frozen=True)
class Case:
    """A row of a branch table that a program brings: if all guards hold, operand `piece` is the value."""

    guards: tuple[Guard, ...]
    piece: int


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a primitive in a program.

    row: of the table. operands, outputs: how many. numbers: the immediates, then tie weights, in the arithmetic. rule:
    the name of the rule for equal operands, if the operation has such rules. cases: the branch table, if the program
    brings one. arithmetic: the numbers that it is computed in.
    """

    row: "Primitive"
    operands: int
    outputs: int
    numbers: list[Number]
    rule: str | None
    cases: tuple[Case, ...]
    arithmetic: Arithmetic

    def number(self, value: Any) -> Number:
        """Return a number of the arithmetic."""
        return self.arithmetic.number(value)


Partials = list[list[Number | None]]
"""By output and operand; None where nothing is passed."""

Term = tuple[int, int, Number, Number, Number]
"""Output, operand, weight, the convention's weight, partial: what a piece passes from an output to an operand."""

Table = list[tuple[list[tuple[Any, str, bool]], Any]]
"""The rows of a branch table at a point: (left - right, relation, movable) for each guard, and the decision."""


class Operation(ABC):
    """An operation that selects nothing. `Selection` is one that does.

    Arguments of its methods: `call`, one use of the primitive; `x`, the numbers of its operands; `values`, those of its
    outputs; `decision`, what was decided (None unless it selects).

    loop: the name of the kernels' loop that computes it on lanes; None if the kernels have none, and refuse it.
    brings_table: whether its branch table stands in the program. ruled: whether it has a rule for equal operands.
    round: whether it is a norm: no selection of finitely many pieces, but with a kink at 0.
    """

    loop: str | None = None
    brings_table: ClassVar[bool] = False
    ruled: ClassVar[bool] = False
    round: ClassVar[bool] = False

    # What a tape may hold.

    def fits(self, row: "Primitive", operands: int, outputs: int) -> str | None:
        """Return what is wrong with the number of operands or outputs, in a few words; None if they fit."""
        return None if outputs == 1 else f"{outputs} outputs, expected 1"

    def numbers(self, row: "Primitive", operands: int) -> int:
        """Return how many numbers stand in a tape for one use: immediates, then a rule or tie weights."""
        return len(row.immediates)

    def tie_numbers(self, tie: Weights | str, operands: int) -> list[float]:
        """Return what a tape holds of a convention's answer at ties, behind the immediates."""
        return []

    def fault(self, row: "Primitive", numbers: NDArray[np.float64]) -> str | None:
        """Return what is wrong with the numbers that a tape holds, in a few words; None if nothing is."""
        return None if np.isfinite(numbers).all() else "a number is not finite"

    def affine_blocks(
        self, operands: Sequence[int], outputs: int
    ) -> tuple[Sequence[int], Sequence[int], Sequence[int]] | None:
        """Return the weights, inputs and biases among the operands of an affine map; None if it is none."""
        return None

    def note(self, call: Call, names: Sequence[str]) -> str:
        """Return what a listing says behind the operands, whose names are given: branches, ties, numbers."""
        return ""

    def comparisons(self, operands: int) -> int:
        """Return how many pairs of operands are compared, where that grows faster than the number of operands."""
        return 0

    # Conventions.

    def rules(self, row: "Primitive") -> Mapping[str, Weights | str]:
        """Return the rules at ties that a convention may name besides the spellings of the row."""
        return {}

    def takes_slope(self, row: "Primitive") -> bool:
        """Tell whether a convention may name a number as the derivative at a tie."""
        return False

    def sloped(self, row: "Primitive", slope: float) -> Weights:
        """Return the weights that give a derivative with respect to x at every tie."""
        raise ProgramError(f"{row.name}: expected a rule or a spelling, got the number {slope}")

    # Values and partials.

    @abstractmethod
    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the outputs. forced: whether the decision was given, and not made at this point."""

    @abstractmethod
    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return d out_j / d operand_i under a decision; None where its piece does not use the operand."""

    def columns(
        self, call: Call, x: list[Number], values: list[Number], decision: Any
    ) -> list[list[tuple[int, Number]]]:
        """Return for each operand the outputs that pass it something, with the partials."""
        table = self.partials(call, x, values, decision)
        return [[(j, row[i]) for j, row in enumerate(table) if row[i] is not None] for i in range(call.operands)]

    def passed(self, call: Call, gradient: Number, partial: Number, decision: Any) -> Number:
        """Return what the adjoint of an output passes to an operand over a partial."""
        return gradient * partial

    def passes(self, call: Call) -> list[bool]:
        """Tell of each operand whether some piece uses it: the sides of guards alone pass nothing."""
        return [True] * call.operands

    def reads(self, call: Call, decision: Any) -> list[int]:
        """Return the operands that the value under a decision depends on, by their place."""
        return list(range(call.operands))

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return |left - right| for every guard, or the norm; it is tied, or at its kink, where one is 0."""
        return []

    def compared(self, call: Call) -> list[int]:
        """Return the operands that guards compare, by their place."""
        return []

    def functions(self, row: "Primitive") -> set[str]:
        """Return the functions of an arithmetic that it needs, by the table's names."""
        return set()

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return how far each output may be from what it is over the real numbers, in float64.

        own: how far each operand may be. unit: the rounding of one operation, relative.
        """
        table = self.partials(call, x, values, decision)
        steep = np.array([[0.0 if d is None else abs(float(d)) for d in line] for line in table])
        sizes = steep @ np.abs(np.array(x, np.float64))
        return [float(v) for v in steep @ own + unit * sizes]

    # Ties.

    def undecided(self, call: Call) -> int:
        """Return how many random weights a mixture of its tied pieces takes; 0 if it has no ties."""
        return 0

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Term], bool]:
        """Return what it passes at a tie under random weights of its pieces, and whether these differ in value.

        draw: the random weights by number, each in (0, 1).
        """
        raise AssertionError(f"{call.row.name} has no ties")

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the pairs of sides that are equal at a tie, in the names of the operands."""
        return set()


class Judge(Protocol):
    """What is known of signs beside a point, where operands and guards that are equal there part."""

    def order(self, i: int, j: int) -> int:
        """Return the sign of operand i less operand j."""

    def leader(self, tied: list[int], better: int) -> int | None:
        """Return the largest (better 1) or smallest (-1) of operands, if that can be told at once."""

    def guard(self, row: int, number: int, h: Any) -> int | None:
        """Return the sign of a guard of a branch table, by row and number in it; None for NaN. h: its value."""


class Selection(Operation):
    """An operation that takes one of finitely many pieces, and records which.

    orders: whether it selects by comparing its operands with one another; those that are tied are equal, and it has the
    same values whichever is taken. leads: whether it takes one operand, so that each of those that are tied may lead.
    """

    orders: ClassVar[bool] = False
    leads: ClassVar[bool] = False

    @abstractmethod
    def decide(self, call: Call, x: list[Number]) -> Any:
        """Return the decision at a point."""

    @abstractmethod
    def label(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return a decision in numbers: the piece, the operand that leads, or the permutation."""

    def branch(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the number of a decision's row in the branch table; if it has none, the label."""
        return self.label(call, decision)

    def jumps(self, row: "Primitive") -> bool:
        """Tell whether its pieces may differ in value on the two sides of a tie."""
        return False

    @abstractmethod
    def count(self, call: Call) -> int:
        """Return the number of pieces."""

    @abstractmethod
    def pieces(self, call: Call) -> Iterable[Any]:
        """Return a decision for each piece."""

    @abstractmethod
    def differences(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return left - right of the guards under a decision, of a branch table each once, in turn."""

    @abstractmethod
    def options(self, call: Call, x: list[Number], decision: Any, limit: int) -> list[Any]:
        """Return the decisions that deciding the tied guards either way leads to, beside the one that was taken.

        Raises ProgramError if these are too many to list: more than `limit`.
        """

    @abstractmethod
    def two_sides(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return the decisions below and above the one guard that is 0; none if there are more, or values differ."""

    @abstractmethod
    def beside(self, call: Call, x: list[Number], decision: Any, judge: Judge) -> Any:
        """Return the decision beside a point, where a judge knows the signs of what is 0 there."""

    def cells(self, call: Call, x: list[Number], decision: Any) -> int:
        """Return how many cells the first guards of a tie cut if they are independent."""
        return 2

    def equals(self, call: Call, x: list[Number], decision: Any) -> list[list[int]]:
        """Return the groups of equal operands that are tied, by their places; none if it has a branch table."""
        return []

    def table(self, call: Call, x: list[Number]) -> Table:
        """Return the branch table at a point; empty if it has none. Guards that ask for NaN are left out."""
        return []


class Ordering(Selection):
    """A selection that compares its operands with one another: `max`, `min`, `sort`."""

    orders = True
    ruled = True
    names: ClassVar[tuple[str, ...]] = RULES

    def numbers(self, row: "Primitive", operands: int) -> int:
        """Return 1: the number of the rule."""
        return 1

    def tie_numbers(self, tie: Weights | str, operands: int) -> list[float]:
        """Return the number of the rule."""
        return [float(RULES.index(str(tie)))]

    def fault(self, row: "Primitive", numbers: NDArray[np.float64]) -> str | None:
        """Refuse a number that stands for no rule."""
        unknown = f"unknown tie rule {numbers[0]}"
        return super().fault(row, numbers) or (None if float(numbers[0]) in range(len(RULES)) else unknown)

    def rules(self, row: "Primitive") -> Mapping[str, Weights | str]:
        """Return the rules for equal operands."""
        return {name: name for name in self.names}

    def note(self, call: Call, names: Sequence[str]) -> str:
        """Return the rule."""
        return f"  tie {call.rule}"

    def compared(self, call: Call) -> list[int]:
        """Return all operands."""
        return list(range(call.operands))

    def undecided(self, call: Call) -> int:
        """Return one weight for each operand."""
        return call.operands

    def label(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the places of the operands that are taken."""
        return tuple(map(int, decision))

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return the largest error of an operand: those that meet are compared."""
        return largest_error(own, call.outputs)

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the pairs of equal operands."""
        return {(a, b) for i, a in enumerate(names) for j, b in enumerate(names[:i]) if x[i] == x[j]}


def largest_error(own: NDArray[np.float64], outputs: int) -> list[float]:
    """Return the largest finite error of an operand, for each output."""
    return [float(own[np.isfinite(own)].max(initial=0.0))] * outputs


def total(terms: Sequence[Number]) -> Number:
    """Return the sum from left to right."""
    return reduce(add, terms)


def mixed(call: Call, reached: list[int], draw: Callable[[int], float]) -> list[tuple[int, Number]]:
    """Return each piece with its random weight: positive, their sum is 1."""
    drawn = [call.number(draw(piece)) for piece in reached]
    whole = total(drawn)
    return [(piece, call.arithmetic.divide(w, whole)) for piece, w in zip(reached, drawn, strict=True)]


def extremes(x: Sequence[Number], better: Callable[[Number, Number], Any]) -> list[int]:
    """Return the operands equal to the best one, in order; the first NaN wins over everything."""
    best = 0
    for i, v in enumerate(x):
        if v != v:
            return [i]
        if better(v, x[best]):
            best = i
    return [i for i, v in enumerate(x) if v == x[best]]


def spelled(counts: Sequence[int]) -> str:
    """Return a product of counts, with powers written as such if there are two factors or more."""
    number = math.prod(counts)
    factors = [c for c in counts if c > 1]
    short = " * ".join(f"{c}^{factors.count(c)}" for c in sorted(set(factors)))
    return f"{short} = {number}" if len(factors) > 1 else str(number)
