"""Sorts of few operands, by a fixed network that exchanges neighbours."""

from dataclasses import dataclass
from itertools import pairwise

from llvmlite import ir
from numba import types
from numba.core import cgutils

from simsa.kernels.lanes import _call
from simsa.kernels.operations.shared import ASSIGN, FIRST
from simsa.kernels.printed.code import Extent, operation


@dataclass(frozen=True)
class Sort:
    """A sort whose operands are not NaN.

    The network exchanges neighbours that are not in order, odd and even pairs in turn (odd-even transposition sort), so
    that equal operands keep their order. extent: how registers lie. out: the place of the first output. operands: the
    places of the operands, which are different registers. modes: how each receives. guarded: whether gaps narrow the
    margin. rule: FIRST, if adjoints are passed as if equal operands kept their order; LAST, if they were reversed.
    """

    extent: Extent
    out: int
    operands: list[int]
    modes: list[int]
    guarded: bool
    rule: int

    def operations(self):
        """Return proper(values), forward(values, margin) and backward(values, adjoints).

        proper tells whether no operand is NaN; the others are right only then.
        """
        return (
            operation(("values",), self._proper, types.boolean),
            operation(("values", "margin"), self._forward),
            operation(("values", "adjoints"), self._backward),
        )

    @property
    def _pairs(self):
        count = len(self.operands)
        return [pair for turn in range(count) for pair in range(turn % 2, count - 1, 2)]

    def _places(self):
        """Return the places of the outputs."""
        return [self.out + i * self.extent.step for i in range(len(self.operands))]

    def _proper(self, code):
        """Tell whether no operand is NaN."""
        b = code.b
        seen = cgutils.alloca_once_value(b, ir.Constant(ir.VectorType(ir.IntType(1), code.lanes.count), None))
        with code.vectors(self.extent) as at:
            for place in self.operands:
                x = code.load("values", *at(place))
                b.store(b.or_(b.load(seen), b.fcmp_unordered("uno", x, x)), seen)
        return b.not_(code.some(b.load(seen)))

    def _forward(self, code):
        b = code.b
        with code.vectors(self.extent) as at:
            _, here = at(self.extent.data_at)
            x = [code.load("values", *at(place)) for place in self.operands]
            for n in self._pairs:
                _swap(b, x, n)
            for place, value in zip(self._places(), x, strict=True):
                code.store("values", value, *at(place))
            if self.guarded:
                least = code.load("margin", 0, here)
                for low, high in pairwise(x):
                    least = code.smaller(_call(b, "fabs", b.fsub(high, low)), least)
                code.store("margin", least, 0, here)

    def _backward(self, code):
        b, pairs = code.b, self._pairs
        turn = 1 if self.rule == FIRST else -1
        with code.vectors(self.extent) as at:
            x = [code.load("values", *at(place)) for place in self.operands[::turn]]
            turned = [_swap(b, x, n) for n in pairs]
            passed = [code.load("adjoints", *at(place)) for place in self._places()]
            for n, was in zip(reversed(pairs), reversed(turned), strict=True):
                left, right = passed[n], passed[n + 1]
                passed[n], passed[n + 1] = b.select(was, right, left), b.select(was, left, right)
            for place, mode, amount in zip(self.operands, self.modes, passed[::turn], strict=True):
                if mode:
                    if mode != ASSIGN:
                        amount = b.fadd(code.load("adjoints", *at(place)), amount)
                    code.store("adjoints", amount, *at(place))


def _swap(b, x, n):
    """Put x[n] and x[n + 1] in order in each lane; return the lanes in which they were exchanged."""
    left, right = x[n], x[n + 1]
    turned = b.fcmp_ordered("<", right, left)
    x[n], x[n + 1] = b.select(turned, right, left), b.select(turned, left, right)
    return turned
