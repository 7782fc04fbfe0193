"""Order statistics: `sort`."""

from collections.abc import Callable, Iterator, Sequence
from functools import cmp_to_key
from itertools import islice, pairwise, permutations
from math import factorial, prod
from typing import TYPE_CHECKING, Any

from simsa.errors import ProgramError
from simsa.primitives.arithmetic import Number
from simsa.primitives.operations.operation import (
    Call,
    Contribution,
    LocalSigns,
    Ordering,
    Partials,
    format_product,
    total,
)

if TYPE_CHECKING:
    from simsa.primitives.primitive import Primitive


class Sort(Ordering):
    """The n operands in ascending order, NaN last, as n outputs.

    A decision is the permutation: for each output the position of its operand. Equal operands keep their order by the
    rule "first", and reverse it by "last".
    """

    loop = "sort"
    names = ("first", "last")

    def count_error(self, row: "Primitive", operands: int, outputs: int) -> str | None:
        """Refuse a number of outputs that is not the number of operands."""
        return None if outputs == operands else f"{outputs} outputs for {operands} operands"

    def comparisons(self, operands: int) -> int:
        """Return the square of the number of operands, since the kernels sort by insertion."""
        return operands**2

    def decide(self, call: Call, x: list[Number]) -> tuple[int, ...]:
        """Return the permutation by the rule of the call."""
        return ascending(x, call.rule == "last")

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the operands in order. A convention does not change the order of the equal values -0 and 0."""
        return [x[i] for i in (decision if forced else ascending(x, False))]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return the matrix of the permutation, with None in place of 0."""
        return [[call.number(1) if i == chosen else None for i in range(call.operands)] for chosen in decision]

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return the distances of neighbours in the order."""
        ordered = [x[i] for i in ascending(x, False)]
        return [abs(a - b) for a, b in pairwise(ordered)]

    def mixture_weights(self, call: Call) -> int:
        """Return two weights for each operand: the entries of u and of v in `mixture`."""
        return 2 * call.operands

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Contribution], bool]:
        """Return what is passed under a random mixture of the orders of equal operands.

        For m equal operands, a mixture of orders is an (m, m) matrix whose rows and columns have the sum 1. Drawn is
        the matrix with the entries 1/m + u_i v_j, for random u and v of mean 0. A linear function that is constant on
        these matrices is constant on all mixtures.
        """
        one, zero, n = call.number(1), call.number(0), call.operands
        terms: list[Contribution] = []
        begin = 0
        while begin < n:
            end = begin + 1
            while end < n and x[decision[end]] == x[decision[begin]]:
                end += 1
            block = range(begin, end)
            share = call.arithmetic.divide(one, call.number(len(block)))
            u = _centred(call, [draw(decision[j]) for j in block])
            v = _centred(call, [draw(n + j) for j in block])
            for place, i in enumerate(decision[begin:end]):
                for other, j in enumerate(block):
                    w = share + u[place] * v[other] if len(block) > 1 else one
                    terms.append((j, i, w, one if i == decision[j] else zero, one))
            begin = end
        return terms, False

    def count(self, call: Call) -> int:
        """Return the number of permutations."""
        return factorial(call.operands)

    def pieces(self, call: Call) -> Iterator[tuple[int, ...]]:
        """Yield each permutation."""
        yield from permutations(range(call.operands))

    def differences(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return the differences of neighbours in the permutation."""
        return [x[b] - x[a] for a, b in pairwise(decision)]

    def options(self, call: Call, x: list[Number], decision: Any, limit: int) -> list[tuple[int, ...]]:
        """Return the permutations that give the sorted values; raises ProgramError for more than `limit`."""
        levels = [float(v) for v in x]
        ordered = sorted(levels)
        counts = [factorial(ordered.count(v)) for v in set(ordered)]
        found = list(islice(_orders(levels, ordered), limit + 1)) if prod(counts) <= limit else None
        if found is None or len(found) > limit:
            number = format_product(counts)
            raise ProgramError(f"{number} orders or more agree at a sort, over the limit of {limit}; use limit=")
        return found

    def two_sides(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return an empty list: more than two orders may meet at a tie."""
        return []

    def resolve_tie(self, call: Call, x: list[Number], decision: Any, signs: LocalSigns) -> tuple[int, ...]:
        """Return the order under the given signs."""
        return tuple(sorted(range(call.operands), key=cmp_to_key(signs.order)))

    def regions(self, call: Call, x: list[Number], decision: Any) -> int:
        """Return the number of orders of the equal operands."""
        return prod(factorial(x.count(v)) for v in set(x))

    def tied_groups(self, call: Call, x: list[Number], decision: Any) -> list[list[int]]:
        """Return the groups of equal operands; an operand that equals no other is a group of one."""
        return [[i for i, v in enumerate(x) if v == level] for level in set(x)]


def ascending(x: Sequence[Number], reverse_ties: bool) -> tuple[int, ...]:
    """Return the permutation that sorts x, NaN last; equal entries keep their order, or reverse it if asked."""
    order: list[int] = []
    for i, v in enumerate(x):
        at = len(order)
        while (
            at
            and v == v
            and (
                v < x[order[at - 1]] or x[order[at - 1]] != x[order[at - 1]] or (reverse_ties and v == x[order[at - 1]])
            )
        ):
            at -= 1
        order.insert(at, i)
    return tuple(order)


def _centred(call: Call, weights: list[float]) -> list[Number]:
    """Return weights minus their mean, as numbers of the call's arithmetic."""
    drawn = [call.number(weight) for weight in weights]
    mean = call.arithmetic.divide(total(drawn), call.number(len(weights)))
    return [v - mean for v in drawn]


def _orders(x: list[Any], values: list[Any], taken: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the permutations that give the sorted `values` and begin with the positions `taken`."""
    if len(taken) == len(x):
        yield taken
        return
    v = values[len(taken)]
    for i, candidate in enumerate(x):
        if i not in taken and candidate == v:
            yield from _orders(x, values, (*taken, i))
