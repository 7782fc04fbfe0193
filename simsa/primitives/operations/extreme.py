"""The largest or smallest of n operands: `max` and `min`."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

from simsa.primitives.arithmetic import Number
from simsa.primitives.operations.operation import Call, Judge, Ordering, Partials, Term, extremes, mixed


class Extreme(Ordering):
    """The largest of n operands, or the smallest.

    A decision is the list of the operands that share what is passed back: all that are equal to the best one, or the
    first or last of them. Which of two zeros of two signs is the value, no convention changes.
    """

    leads = True

    def __init__(self, largest: bool) -> None:
        self.loop = "max" if largest else "min"
        self.better: Callable[[Number, Number], Any] = operator.gt if largest else operator.lt
        self.sign = 1 if largest else -1

    def decide(self, call: Call, x: list[Number]) -> list[int]:
        """Return the tied operands by the rule of the call."""
        tied = extremes(x, self.better)
        return {"split": tied, "first": tied[:1], "last": tied[-1:]}[call.rule or ""]

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the first of the best operands, or the one that was named."""
        return [x[(decision if forced else extremes(x, self.better))[0]]]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return 1/m for each of m operands that share."""
        share = call.number(1) / call.number(len(decision))
        return [[share if i in decision else None for i in range(call.operands)]]

    def passed(self, call: Call, gradient: Number, partial: Number, decision: Any) -> Number:
        """Return the m-th part of the adjoint, in one rounding."""
        return gradient / call.number(len(decision))

    def reads(self, call: Call, decision: Any) -> list[int]:
        """Return the operand that leads."""
        return [decision[0]]

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return how far the best operand is from each other."""
        best = extremes(x, self.better)[0]
        return [abs(x[best] - v) for i, v in enumerate(x) if i != best]

    def label(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the operand that leads, or all that share."""
        return int(decision[0]) if len(decision) == 1 else tuple(map(int, decision))

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Term], bool]:
        """Return random shares of the equal operands."""
        one, zero = call.number(1), call.number(0)
        reached = [i for i, v in enumerate(x) if v == values[0]]
        shares = {i: one / call.number(len(decision)) for i in decision}
        return [(0, i, w, shares.get(i, zero), one) for i, w in mixed(call, reached, draw)], False

    def count(self, call: Call) -> int:
        """Return the number of operands."""
        return call.operands

    def pieces(self, call: Call) -> Iterator[list[int]]:
        """Yield each operand as the one that leads."""
        yield from ([i] for i in range(call.operands))

    def differences(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return the lead over each other operand."""
        best = x[decision[0]]
        return [best - v if self.sign > 0 else v - best for i, v in enumerate(x) if i != decision[0]]

    def options(self, call: Call, x: list[Number], decision: Any, limit: int) -> list[list[int]]:
        """Return each of the best operands."""
        best = float(x[decision[0]])
        return [[i] for i, v in enumerate(x) if float(v) == best]

    def two_sides(self, call: Call, x: list[Number], decision: Any) -> list[list[int]]:
        """Return the two best operands, if there are two."""
        best = [[i] for i in self.equals(call, x, decision)[0]]
        return best if len(best) == 2 else []

    def beside(self, call: Call, x: list[Number], decision: Any, judge: Judge) -> list[int]:
        """Return the operand that leads beside the point."""
        best, (tied,) = decision[0], self.equals(call, x, decision)
        won = judge.leader(tied, self.sign)
        if won is not None:
            return [won]
        for i in tied:
            if i != best and judge.order(i, best) == self.sign:
                best = i
        return [best]

    def cells(self, call: Call, x: list[Number], decision: Any) -> int:
        """Return the number of the best operands."""
        return len(self.equals(call, x, decision)[0])

    def equals(self, call: Call, x: list[Number], decision: Any) -> list[list[int]]:
        """Return the best operands, one group."""
        return [[i for i, v in enumerate(x) if v == x[decision[0]]]]
