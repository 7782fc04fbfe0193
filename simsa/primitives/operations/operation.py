"""The operation of a primitive: its values, its partials, and which piece it selects.

Code outside this folder does not test the name of a primitive; it asks the operation. An operation holds no state of a
program or of a point: each method is given one use of the primitive (`Call`), and numbers of the arithmetic in which
the program is run.
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
"""Python's floats without elementary functions, for questions about a call that need no point."""

RULES = ("split", "first", "last")
"""The rules for equal operands of `max`, `min` and `sort`. A tape holds the index of a rule in this tuple."""


@dataclass(frozen=True)
class Guard:
    """A guard of a branch table that a program holds: `operand[left] relation operand[right]`.

    left, right: positions among the operands. relation: one of `texts.RELATIONS`. movable: whether a side depends on
    parameters; a guard between data and constants is not tied when its sides are equal.
    """

    left: int
    relation: str
    right: int
    movable: bool = True


@dataclass(frozen=True)
class Case:
    """A row of a branch table that a program holds: if all guards hold, operand number `piece` is the value."""

    guards: tuple[Guard, ...]
    piece: int


@dataclass(frozen=True, eq=False)
class Call:
    """One use of a primitive in a program.

    row: the primitive's row of the table. operands, outputs: their numbers. numbers: the immediates, then the tie
    weights, as numbers of the arithmetic. rule: the name of the rule for equal operands; None if the operation has no
    such rules. cases: the branch table, if the program holds it; else empty. arithmetic: the number type that the use
    is computed in.
    """

    row: "Primitive"
    operands: int
    outputs: int
    numbers: list[Number]
    rule: str | None
    cases: tuple[Case, ...]
    arithmetic: Arithmetic

    def number(self, value: Any) -> Number:
        """Return a Python number as a number of the arithmetic."""
        return self.arithmetic.number(value)


Partials = list[list[Number | None]]
"""The partials by output and operand; None where the adjoint of the output passes nothing to the operand."""

Contribution = tuple[int, int, Number, Number, Number]
"""What one piece passes from an output to an operand under a mixture of tied pieces: (position of the output, position
of the operand, weight of the piece in the mixture, its weight in the convention, partial)."""

EvaluatedTable = list[tuple[list[tuple[Any, str, bool]], Any]]
"""The rows of a branch table at a point: for each guard (left - right, relation, movable), and the decision."""


class Operation(ABC):
    """An operation that selects nothing; `Selection` is the class of those that do.

    The arguments that most methods share are: row, the primitive's row of the table; call, one use of the primitive; x,
    the numbers of its operands; values, the numbers of its outputs; decision, what a selection has decided, and None
    for other operations.

    loop: the name of the loop that computes the operation on the lanes of the kernels; None if there is none, in which
    case engines that compile refuse the operation. brings_table: whether the program holds the branch table. ruled:
    whether the operation has a rule for equal operands. is_norm: whether it is a Euclidean norm, which has a kink at 0
    without being a selection of finitely many pieces. linear: whether outputs are sums of products of operands, which
    a format may accumulate in another one.
    """

    loop: str | None = None
    brings_table: ClassVar[bool] = False
    ruled: ClassVar[bool] = False
    is_norm: ClassVar[bool] = False
    linear: ClassVar[bool] = False

    # What a tape may hold.

    def count_error(self, row: "Primitive", operands: int, outputs: int) -> str | None:
        """Return what is wrong with the numbers of operands and outputs, in a few words; None if they fit.

        row: the primitive. operands, outputs: how many an instruction of a tape has.
        """
        return None if outputs == 1 else f"{outputs} outputs, expected 1"

    def numbers(self, row: "Primitive", operands: int) -> int:
        """Return how many numbers a tape holds for one use: the immediates, then a rule or tie weights."""
        return len(row.immediates)

    def tie_numbers(self, tie: Weights | str, operands: int) -> list[float]:
        """Return the numbers that stand for a convention's weights or rule `tie` in a tape, after the immediates."""
        return []

    def number_error(self, row: "Primitive", numbers: NDArray[np.float64]) -> str | None:
        """Return what is wrong with the numbers that a tape holds for one use, in a few words; None if nothing is."""
        return None if np.isfinite(numbers).all() else "a number is not finite"

    def affine_blocks(
        self, operands: Sequence[int], outputs: int
    ) -> tuple[Sequence[int], Sequence[int], Sequence[int]] | None:
        """Return the weights, inputs and biases among the operands of an affine map; None for other operations."""
        return None

    def note(self, call: Call, names: Sequence[str]) -> str:
        """Return what a listing prints after the operands: immediates, branch table, ties. names: of the operands."""
        return ""

    def comparisons(self, operands: int) -> int:
        """Return how many pairs of operands are compared if that is more than linear in their number; else 0."""
        return 0

    # Conventions.

    def rules(self, row: "Primitive") -> Mapping[str, Weights | str]:
        """Return the rules at ties, by name, that a convention may use besides the spellings of the row."""
        return {}

    def takes_slope(self, row: "Primitive") -> bool:
        """Tell whether a convention may give the derivative at a tie as a number."""
        return False

    def weights_for_slope(self, row: "Primitive", slope: float) -> Weights:
        """Return the weights with which the derivative with respect to x is `slope` at every tie.

        Raises ProgramError if no weights do that.
        """
        raise ProgramError(f"{row.name}: expected a rule or a spelling, got the number {slope}")

    # Values and partials.

    @abstractmethod
    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the outputs.

        call: the use. x: its operands. decision: of a selection. forced: whether the decision was given by the caller;
        if not, it is the operation's own decision at x, and equal operands have one value whichever is taken.
        """

    @abstractmethod
    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return the partial of each output with respect to each operand.

        call: the use. x: its operands. values: its outputs. decision: of a selection. An entry is None where the piece
        that was decided on does not use the operand.
        """

    def columns(
        self, call: Call, x: list[Number], values: list[Number], decision: Any
    ) -> list[list[tuple[int, Number]]]:
        """Return `partials` by operand: for each, the pairs (position of an output, partial) that are not None.

        call: the use. x: its operands. values: its outputs. decision: of a selection.
        """
        table = self.partials(call, x, values, decision)
        return [[(j, row[i]) for j, row in enumerate(table) if row[i] is not None] for i in range(call.operands)]

    def passed(self, call: Call, gradient: Number, partial: Number, decision: Any) -> Number:
        """Return what an output passes to an operand in the backward sweep.

        call: the use. gradient: the adjoint of the output. partial: of the output with respect to the operand.
        decision: of a selection.
        """
        return gradient * partial

    def passes(self, call: Call) -> list[bool]:
        """Tell for each operand whether some piece uses it; an operand that only guards use gets no adjoint."""
        return [True] * call.operands

    def reads(self, call: Call, decision: Any) -> list[int]:
        """Return the positions of the operands that the value under a decision depends on."""
        return list(range(call.operands))

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return |left - right| for every guard, or the norm itself; the use is tied where one of them is 0.

        call: the use. x: its operands. values: its outputs.
        """
        return []

    def compared(self, call: Call) -> list[int]:
        """Return the positions of the operands that guards compare."""
        return []

    def functions(self, row: "Primitive") -> set[str]:
        """Return the names of the elementary functions that the operation needs from an arithmetic."""
        return set()

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return a bound of the error of each output in float64, against its value over the real numbers.

        call: the use. x: its operands. values: its outputs. decision: of a selection. own: error bounds of the
        operands, shape (operands,). unit: the relative rounding error of one operation.
        """
        table = self.partials(call, x, values, decision)
        steep = np.array([[0.0 if d is None else abs(float(d)) for d in line] for line in table])
        sizes = steep @ np.abs(np.array(x, np.float64))
        return [float(v) for v in steep @ own + unit * sizes]

    # Ties.

    def mixture_weights(self, call: Call) -> int:
        """Return how many random weights a mixture of the tied pieces takes; 0 if the operation has no ties."""
        return 0

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Contribution], bool]:
        """Return what a tied use passes under random weights of its pieces, and whether the pieces differ in value.

        call: the use. x: its operands. values: its outputs. decision: of a selection. draw: returns random weight
        number n, in (0, 1), for n from 0 to below `mixture_weights`. Raises AssertionError if the operation has no
        ties.
        """
        raise AssertionError(f"{call.row.name} has no ties")

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the pairs of sides that are equal at a tie.

        call: the use. x: its operands. names: the names of the operands, which the pairs are made of.
        """
        return set()


class LocalSigns(Protocol):
    """Signs in one of the regions that meet at a point, of differences that are 0 at the point itself."""

    def order(self, i: int, j: int) -> int:
        """Return the sign of operand i minus operand j."""

    def leader(self, tied: list[int], better: int) -> int | None:
        """Return the largest (better = 1) or smallest (better = -1) of tied operands; None to compare them in pairs."""

    def guard(self, row: int, number: int, h: Any) -> int | None:
        """Return the sign of a guard of a branch table; None for NaN.

        row: the row of the table. number: the position of the guard in the row. h: left - right at the point.
        """


class Selection(Operation):
    """An operation that selects one of finitely many pieces. A decision records which.

    orders: whether the operation compares its operands with one another, as `max` and `sort` do; tied operands are then
    equal, and the value is the same whichever is taken. leads: whether the operation returns a single operand, as `max`
    and `min` do, so that each of the tied operands is a piece.
    """

    orders: ClassVar[bool] = False
    leads: ClassVar[bool] = False

    @abstractmethod
    def decide(self, call: Call, x: list[Number]) -> Any:
        """Return the decision at a point."""

    @abstractmethod
    def label(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return a decision as numbers: the piece, the operand that is returned, or the permutation."""

    def branch(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the number of the row of the branch table that a decision takes; without a table, the label."""
        return self.label(call, decision)

    def jumps(self, row: "Primitive") -> bool:
        """Tell whether the pieces may differ in value at a tie, so that the primitive may be discontinuous."""
        return False

    @abstractmethod
    def count(self, call: Call) -> int:
        """Return the number of pieces."""

    @abstractmethod
    def pieces(self, call: Call) -> Iterable[Any]:
        """Return a decision for each piece."""

    @abstractmethod
    def differences(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return left - right of each guard once, in the order of the branch table.

        call: the use. x: its operands. decision: which piece was selected; for `max`, `min` and `sort`, which have no
        branch table, it determines which operands are compared.
        """

    @abstractmethod
    def options(self, call: Call, x: list[Number], decision: Any, limit: int) -> list[Any]:
        """Return the given decision and those that deciding the tied guards either way leads to.

        call: the use. x: its operands. decision: the one that was taken. limit: the largest number of decisions to
        list. Raises ProgramError if there are more than `limit`.
        """

    @abstractmethod
    def two_sides(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return the two decisions with the only tied guard below 0 and above 0.

        call: the use. x: its operands. decision: the one that was taken. Empty if several guards are tied, or if the
        two decisions give different values.
        """

    @abstractmethod
    def resolve_tie(self, call: Call, x: list[Number], decision: Any, signs: LocalSigns) -> Any:
        """Return the decision in one of the regions that meet at the point.

        call: the use. x: its operands at the point. decision: the one taken at the point. signs: the signs in the
        region of the differences that are 0 at the point.
        """

    def regions(self, call: Call, x: list[Number], decision: Any) -> int:
        """Return how many regions meet at a tie if its guards are independent.

        call: the use. x: its operands. decision: the one that was taken.
        """
        return 2

    def tied_groups(self, call: Call, x: list[Number], decision: Any) -> list[list[int]]:
        """Return the groups of equal operands between which the choice is tied, as lists of positions.

        call: the use. x: its operands. decision: the one that was taken. Empty for a selection with a branch table.
        """
        return []

    def table(self, call: Call, x: list[Number]) -> EvaluatedTable:
        """Return the branch table at a point, without the rows with an `isnan` guard; empty if there is no table."""
        return []


class Ordering(Selection):
    """A selection that compares its operands with one another: `max`, `min`, `sort`."""

    orders = True
    ruled = True
    names: ClassVar[tuple[str, ...]] = RULES

    def numbers(self, row: "Primitive", operands: int) -> int:
        """Return 1, since a tape holds the index of the rule."""
        return 1

    def tie_numbers(self, tie: Weights | str, operands: int) -> list[float]:
        """Return the index of the rule."""
        return [float(RULES.index(str(tie)))]

    def number_error(self, row: "Primitive", numbers: NDArray[np.float64]) -> str | None:
        """Refuse a number that is not the index of a rule."""
        unknown = f"unknown tie rule {numbers[0]}"
        return super().number_error(row, numbers) or (None if float(numbers[0]) in range(len(RULES)) else unknown)

    def rules(self, row: "Primitive") -> Mapping[str, Weights | str]:
        """Return the rules for equal operands."""
        return {name: name for name in self.names}

    def note(self, call: Call, names: Sequence[str]) -> str:
        """Return the rule."""
        return f"  tie {call.rule}"

    def compared(self, call: Call) -> list[int]:
        """Return all operands."""
        return list(range(call.operands))

    def mixture_weights(self, call: Call) -> int:
        """Return one weight for each operand."""
        return call.operands

    def label(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the positions of the operands that are taken."""
        return tuple(map(int, decision))

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return the largest error of an operand, since any of the operands that meet at a tie may be the value."""
        return largest_error(own, call.outputs)

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the pairs of equal operands."""
        return {(a, b) for i, a in enumerate(names) for j, b in enumerate(names[:i]) if x[i] == x[j]}


def largest_error(own: NDArray[np.float64], outputs: int) -> list[float]:
    """Return the largest finite entry of `own`, the error bounds of the operands, once for each output."""
    return [float(own[np.isfinite(own)].max(initial=0.0))] * outputs


def total(terms: Sequence[Number]) -> Number:
    """Return the sum of one term or more, from left to right."""
    return reduce(add, terms)


def weighted(call: Call, reached: list[int], draw: Callable[[int], float]) -> list[tuple[int, Number]]:
    """Return pairs (piece, random weight) with positive weights of sum 1.

    call: the use, whose arithmetic the weights are of. reached: the numbers of the tied pieces. draw: returns a random
    number in (0, 1) for the number of a piece.
    """
    drawn = [call.number(draw(piece)) for piece in reached]
    whole = total(drawn)
    return [(piece, call.arithmetic.divide(w, whole)) for piece, w in zip(reached, drawn, strict=True)]


def extremes(x: Sequence[Number], better: Callable[[Number, Number], Any]) -> list[int]:
    """Return the positions of the operands equal to the best one, in order; if there is a NaN, only the first NaN."""
    best = 0
    for i, v in enumerate(x):
        if v != v:
            return [i]
        if better(v, x[best]):
            best = i
    return [i for i, v in enumerate(x) if v == x[best]]


def format_product(counts: Sequence[int]) -> str:
    """Return a product of counts as text, such as "2^3 * 5^1 = 40"; just the number if fewer than two exceed 1."""
    number = math.prod(counts)
    factors = [c for c in counts if c > 1]
    short = " * ".join(f"{c}^{factors.count(c)}" for c in sorted(set(factors)))
    return f"{short} = {number}" if len(factors) > 1 else str(number)
