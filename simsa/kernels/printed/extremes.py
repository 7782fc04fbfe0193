"""Maxima and minima of few operands."""

from dataclasses import dataclass

from llvmlite import ir
from numba.core import cgutils

from simsa.kernels.lanes import _call
from simsa.kernels.operations.shared import ASSIGN, FIRST, LAST
from simsa.kernels.printed.code import Extent, operation
from simsa.kernels.rows import received


@dataclass(frozen=True)
class Extremes:
    """A run of maxima (sign 1) or minima (sign -1).

    extent: how registers lie. guarded: whether gaps narrow the margin. rule: which of equal operands receive: SPLIT,
    FIRST or LAST. lines: for each maximum its output, its operands, which are different registers, and their modes;
    outputs and operands are places.
    """

    extent: Extent
    sign: int
    guarded: bool
    rule: int
    lines: list[tuple[int, tuple[int, ...], tuple[int, ...]]]

    def operations(self):
        """Return forward(values, margin) and backward(values, adjoints)."""
        return (
            operation(("values", "margin"), self._forward),
            operation(("values", "adjoints"), self._backward),
        )

    def _value(self, code, x):
        """Return the best operand, the gap to the second best, and the lanes with a NaN, where both are meaningless."""
        b, better = code.b, ">" if self.sign > 0 else "<"
        top, second = x[0], code.constant(-self.sign * float("inf"))
        nan = b.fcmp_unordered("uno", x[0], x[-1])
        for n, y in enumerate(x[1:], 1):
            if n % 2 and n + 1 < len(x):
                nan = b.or_(nan, b.fcmp_unordered("uno", y, x[n + 1]))
            beaten = b.select(b.fcmp_ordered(better, y, top), top, y)
            second = b.select(b.fcmp_ordered(better, beaten, second), beaten, second)
            top = b.select(b.fcmp_ordered(better, y, top), y, top)
        return top, _call(b, "fabs", b.fsub(top, second)), nan

    def _forward(self, code):
        b = code.b
        with code.vectors(self.extent) as at:
            _, here = at(self.extent.data_at)
            least = code.load("margin", 0, here)
            for out, operands, _ in self.lines:
                x = [code.load("values", *at(place)) for place in operands]
                top, gap, nan = self._value(code, x)
                result, distance = (cgutils.alloca_once(b, code.vector) for _ in range(2))
                b.store(top, result)
                b.store(gap, distance)
                with b.if_then(code.some(nan), likely=False):
                    found = code.constant(0.0)
                    for y in reversed(x):
                        found = b.select(b.fcmp_unordered("uno", y, y), y, found)
                    b.store(b.select(nan, found, top), result)
                    b.store(b.select(nan, found, gap), distance)
                code.store("values", b.load(result), *at(out))
                least = code.smaller(b.load(distance), least)
            if self.guarded:
                code.store("margin", least, 0, here)

    def _chosen(self, code, x, v):
        """Return for each operand the lanes in which it receives; and how many receive in each lane, if they share."""
        b = code.b
        if self.rule == FIRST:
            # The value is the first of the best operands, or the first NaN, bit for bit.
            word = ir.VectorType(ir.IntType(8 * code.bytes), code.lanes.count)
            same = [b.icmp_unsigned("==", b.bitcast(y, word), b.bitcast(v, word)) for y in x]
            return _first_of(b, same), None
        same = [b.fcmp_ordered("==", y, v) for y in x]
        nan = b.fcmp_unordered("uno", v, v)
        missing = _first_of(b, [b.and_(nan, b.fcmp_unordered("uno", y, y)) for y in x])
        if self.rule == LAST:
            return [b.or_(*pair) for pair in zip(_first_of(b, same[::-1])[::-1], missing, strict=True)], None
        count = code.constant(0.0)
        for mask in same:
            count = b.select(mask, b.fadd(count, code.constant(1.0)), count)
        count = b.select(nan, code.constant(1.0), count)
        return [b.or_(*pair) for pair in zip(same, missing, strict=True)], count

    def _backward(self, code):
        b, nothing = code.b, code.constant(-0.0)
        with code.vectors(self.extent) as at:
            for out, operands, modes in reversed(self.lines):
                grad, v = code.load("adjoints", *at(out)), code.load("values", *at(out))
                x = [code.load("values", *at(place)) for place in operands]
                masks, count = self._chosen(code, x, v)
                share = grad
                if count is not None:
                    share = b.fadd(b.fdiv(grad, count), code.constant(0.0))
                    share = b.select(received(b, grad), share, nothing)
                for place, mask, mode in zip(operands, masks, modes, strict=True):
                    if mode:
                        amount = b.select(mask, share, nothing)
                        if mode != ASSIGN:
                            amount = b.fadd(code.load("adjoints", *at(place)), amount)
                        code.store("adjoints", amount, *at(place))


def _first_of(b, masks):
    """Return the masks, of which in each lane only the first that holds is kept."""
    kept, seen = [masks[0]], masks[0]
    for mask in masks[1:]:
        kept.append(b.and_(mask, b.not_(seen)))
        seen = b.or_(seen, mask)
    return kept
