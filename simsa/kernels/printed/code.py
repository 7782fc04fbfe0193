"""The code under construction: loops, loads and stores; and `operation`, which makes a function of it.

Shared arguments.
name: of an argument of the operation, an array. place: a constant index into it, of a lane vector; an address is the
place plus `dynamic`, an index that is computed, or None for 0. places: several of them.
"""

from contextlib import contextmanager
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simsa.kernels.lanes import Lanes, _broadcast, _fill, _floats
from simsa.kernels.rows import _Text

INDEX = ir.IntType(64)
SUMS = 8
"""The number of independent sums that are computed at once: enough for two adders with a latency of 3 or 4 cycles, and
few enough for 16 vector registers of the processor."""


class Extent(NamedTuple):
    """How the registers of a tape lie in memory.

    The places of parameters are below data_at. A parameter has one lane vector for each group. Another register has one
    for each group and sample, and the next register is at the distance `step`.
    """

    groups: int
    samples: int
    data_at: int
    step: int


class Code:
    """The code under construction. flags: the arguments of the operation that are no arrays, by name."""

    def __init__(self, context, builder, sig, args, names):
        self.context, self.b = context, builder
        self.lanes = Lanes(sig.args[0].dtype)
        self.bytes = self.lanes.dtype.bitwidth // 8
        self.flags, self.data = {}, {}
        for name, fe, arg in zip(names, sig.args, args, strict=True):
            if isinstance(fe, types.Array):
                self.data[name] = cgutils.create_struct_proxy(fe)(context, builder, arg).data
            else:
                self.flags[name] = arg
        self.vector = _floats(self.lanes)

    def constant(self, value):
        """Return a number in every lane."""
        return _fill(self.vector, value)

    def address(self, name, place, dynamic=None):
        """Return the address of a lane vector of an array, as a pointer."""
        at = INDEX(place) if dynamic is None else self.b.add(dynamic, INDEX(place))
        return self.b.bitcast(self.b.gep(self.data[name], [at]), self.vector.as_pointer())

    def load(self, name, place, dynamic=None):
        """Return a lane vector of an array."""
        return self.b.load(self.address(name, place, dynamic), align=self.bytes)

    def store(self, name, value, place, dynamic=None):
        """Write `value` as a lane vector of an array."""
        self.b.store(value, self.address(name, place, dynamic), align=self.bytes)

    def store_all(self, places, dynamic, adjoints):
        """Write several lane vectors of the array `adjoints`."""
        for place, value in zip(places, adjoints, strict=True):
            self.store("adjoints", value, place, dynamic)

    def so_far(self, place, dynamic=None, sample=None):
        """Return the adjoint of a parameter so far: 0 at the first sample of a gradient that is `fresh`.

        sample: the index of the sample, or None if all samples are computed at once.
        """
        fresh = self.flags["fresh"]
        if sample is not None:
            fresh = self.b.and_(fresh, self.b.icmp_unsigned("==", sample, INDEX(0)))
        return self.b.select(fresh, self.constant(0.0), self.load("adjoints", place, dynamic))

    def splat(self, name, index):
        """Return one number of a float64 array in every lane, rounded to their type."""
        number = self.b.load(self.b.gep(self.data[name], [INDEX(index)]))
        return _broadcast(self.context, self.b, types.float64, self.lanes, number)

    def scaled(self, *terms):
        """Return the sum of index * factor over the terms (index, factor). None stands for 0, also as the result."""
        total = None
        for index, factor in terms:
            if index is not None:
                term = index if factor == 1 else self.b.mul(index, INDEX(factor))
                total = term if total is None else self.b.add(total, term)
        return total

    @contextmanager
    def times(self, count, descending=False):
        """Loop `count` times, backwards if `descending`; yield the index, or None, for 0, if `count` is 1."""
        if count == 1:
            yield None
            return
        with cgutils.for_range(self.b, INDEX(count)) as loop:
            yield self.b.sub(INDEX(count - 1), loop.index) if descending else loop.index

    def fold(self, count, start, body, unroll=4):
        """Return the values after `count` iterations of body(number, index, values), which returns the next values.

        start: the values before. The number of the iteration is number + index, where the index is computed, or None
        for 0. unroll: how many iterations are unrolled; all of them, if there are no more.
        """
        values, b = list(start), self.b
        whole = count // unroll if count > unroll else 0
        done = whole * unroll
        if whole > 1:
            before, loop, after = b.block, b.append_basic_block("fold"), b.append_basic_block("folded")
            b.branch(loop)
            b.position_at_end(loop)
            index = b.phi(INDEX)
            index.add_incoming(INDEX(0), before)
            carried = [b.phi(value.type) for value in values]
            for phi, value in zip(carried, values, strict=True):
                phi.add_incoming(value, before)
            values = carried
            for n in range(unroll):
                values = body(n, index, values)
            following = b.add(index, INDEX(unroll))
            index.add_incoming(following, b.block)
            for phi, value in zip(carried, values, strict=True):
                phi.add_incoming(value, b.block)
            b.cbranch(b.icmp_signed("<", following, INDEX(done)), loop, after)
            b.position_at_end(after)
        else:
            done = 0
        for n in range(done, count):
            values = body(n, None, values)
        return values

    @contextmanager
    def vectors(self, extent):
        """Loop over the lane vectors of registers; yield a function from a place to (place, dynamic) of the vector.

        extent: how registers lie.
        """
        lanes = self.lanes.count
        with self.times(extent.groups) as g, self.times(extent.samples) as s:
            shared, own = self.scaled((g, lanes)), self.scaled((g, extent.samples * lanes), (s, lanes))
            yield lambda place: (place, shared if place < extent.data_at else own)

    def some(self, mask):
        """Tell whether a mask holds in some lane."""
        bits = ir.IntType(self.lanes.count)
        return self.b.icmp_unsigned("!=", self.b.bitcast(mask, bits), bits(0))

    def every(self, mask):
        """Tell whether a mask holds in every lane."""
        bits = ir.IntType(self.lanes.count)
        return self.b.icmp_unsigned("==", self.b.bitcast(mask, bits), bits(-1))

    def smaller(self, x, y):
        """Return x in the lanes where it is less than y, and y in the others, also where x or y is NaN."""
        return self.b.select(self.b.fcmp_ordered("<", x, y), x, y)

    def text(self, row, immediates, operands):
        """Return what makes instructions of the texts of a row.

        immediates: the numbers that the row has names for. operands: lane vectors.
        """
        names = {name: self.constant(value) for name, value in zip(row.immediates, immediates, strict=True)}
        names.update(zip(row.operands, operands, strict=True))
        return _Text(self.context, self.b, self.lanes, names)


def operation(names, code, tells=types.void):
    """Return a function for compiled code, whose arguments are arrays, flags and integers with these names.

    code: a function of a `Code`, which makes the instructions and returns the result, or None. tells: the Numba type
    of the result.
    """

    def make(context, builder, sig, args):
        result = code(Code(context, builder, sig, args, names))
        return context.get_dummy_value() if result is None else result

    typers = {
        1: lambda typingctx, a: (tells(a), make),
        2: lambda typingctx, a, b: (tells(a, b), make),
        3: lambda typingctx, a, b, c: (tells(a, b, c), make),
        5: lambda typingctx, a, b, c, d, e: (tells(a, b, c, d, e), make),
        6: lambda typingctx, a, b, c, d, e, f: (tells(a, b, c, d, e, f), make),
        9: lambda typingctx, a, b, c, d, e, f, g, h, i: (tells(a, b, c, d, e, f, g, types.intp, types.intp), make),
    }
    return intrinsic(typers[len(names)])


def tiles(count, size):
    """Return (first, size, number) of runs of equal tiles that cover range(count).

    The tiles have at most `size` elements, and their sizes differ by at most 1.
    """
    many = -(-count // size)
    small, more = divmod(count, many)
    parts = [(0, small + 1, more), (more * (small + 1), small, many - more)]
    return [(first, wide, times) for first, wide, times in parts if wide * times]
