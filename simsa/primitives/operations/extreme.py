"""The largest or smallest of n operands: `max` and `min`."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

from simsa.primitives.arithmetic import Number
from simsa.primitives.operations.operation import Call, Contribution, LocalSigns, Ordering, Partials, extremes, weighted


class Extreme(Ordering):
    """The largest of n operands, or the smallest.

    A decision is the list of the positions of the operands that share the adjoint: by the rule "split" all that are
    equal to the best one, by "first" or "last" one of them. The value is the first of the best operands under every
    rule, so that a convention does not change whether -0 or 0 is returned.

    largest: whether the operation is `max`; else it is `min`.
    """

    leads = True

    def __init__(self, largest: bool) -> None:
        self.loop = "max" if largest else "min"
        self.better: Callable[[Number, Number], Any] = operator.gt if largest else operator.lt
        self.sign = 1 if largest else -1

    def decide(self, call: Call, x: list[Number]) -> list[int]:
        """Return the positions of the best operands that the rule of the call takes."""
        tied = extremes(x, self.better)
        return {"split": tied, "first": tied[:1], "last": tied[-1:]}[call.rule or ""]

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the first of the best operands, or the operand that was forced."""
        return [x[(decision if forced else extremes(x, self.better))[0]]]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return 1/m for each of the m operands of the decision."""
        share = call.number(1) / call.number(len(decision))
        return [[share if i in decision else None for i in range(call.operands)]]

    def passed(self, call: Call, gradient: Number, partial: Number, decision: Any) -> Number:
        """Return the adjoint divided by the number of operands of the decision, which rounds once."""
        return gradient / call.number(len(decision))

    def reads(self, call: Call, decision: Any) -> list[int]:
        """Return the position of the first operand of the decision."""
        return [decision[0]]

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return the distance of the best operand from each other operand."""
        best = extremes(x, self.better)[0]
        return [abs(x[best] - v) for i, v in enumerate(x) if i != best]

    def label(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the position of the operand of the decision, or the positions of all if there are several."""
        return int(decision[0]) if len(decision) == 1 else tuple(map(int, decision))

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Contribution], bool]:
        """Return the equal operands, with random shares."""
        one, zero = call.number(1), call.number(0)
        reached = [i for i, v in enumerate(x) if v == values[0]]
        shares = {i: one / call.number(len(decision)) for i in decision}
        return [(0, i, w, shares.get(i, zero), one) for i, w in weighted(call, reached, draw)], False

    def count(self, call: Call) -> int:
        """Return the number of operands."""
        return call.operands

    def pieces(self, call: Call) -> Iterator[list[int]]:
        """Yield the decision for each operand alone."""
        yield from ([i] for i in range(call.operands))

    def differences(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return by how much the first operand of the decision is better than each other operand."""
        best = x[decision[0]]
        return [best - v if self.sign > 0 else v - best for i, v in enumerate(x) if i != decision[0]]

    def options(self, call: Call, x: list[Number], decision: Any, limit: int) -> list[list[int]]:
        """Return the decision for each of the best operands alone."""
        best = float(x[decision[0]])
        return [[i] for i, v in enumerate(x) if float(v) == best]

    def two_sides(self, call: Call, x: list[Number], decision: Any) -> list[list[int]]:
        """Return the decisions for the best operands, if there are exactly two."""
        best = [[i] for i in self.tied_groups(call, x, decision)[0]]
        return best if len(best) == 2 else []

    def resolve_tie(self, call: Call, x: list[Number], decision: Any, signs: LocalSigns) -> list[int]:
        """Return the decision for the operand that is best under the given signs."""
        best, (tied,) = decision[0], self.tied_groups(call, x, decision)
        won = signs.leader(tied, self.sign)
        if won is not None:
            return [won]
        for i in tied:
            if i != best and signs.order(i, best) == self.sign:
                best = i
        return [best]

    def regions(self, call: Call, x: list[Number], decision: Any) -> int:
        """Return the number of the best operands."""
        return len(self.tied_groups(call, x, decision)[0])

    def tied_groups(self, call: Call, x: list[Number], decision: Any) -> list[list[int]]:
        """Return one group: the positions of the best operands."""
        return [[i for i, v in enumerate(x) if v == x[decision[0]]]]
