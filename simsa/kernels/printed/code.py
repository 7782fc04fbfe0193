"""The code under construction: loops, loads and stores, and what makes a kernel operation of it."""

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
"""Sums in flight: enough to keep two adders of latency 3 or 4 busy, few enough for 16 registers."""


class Extent(NamedTuple):
    """How the registers of a tape lie in memory.

    A parameter's place is below data_at and holds a lane vector for each group; another register's place holds one for
    each group and sample, and the next register begins `step` further.
    """

    groups: int
    samples: int
    data_at: int
    step: int


class Code:
    """The code under construction: loops, and loads and stores at places."""

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
        """Return the address of a lane vector of an array: at a place, and `dynamic`, an index, behind it."""
        at = INDEX(place) if dynamic is None else self.b.add(dynamic, INDEX(place))
        return self.b.bitcast(self.b.gep(self.data[name], [at]), self.vector.as_pointer())

    def load(self, name, place, dynamic=None):
        """Return a lane vector of an array."""
        return self.b.load(self.address(name, place, dynamic), align=self.bytes)

    def store(self, name, value, place, dynamic=None):
        """Write a lane vector of an array."""
        self.b.store(value, self.address(name, place, dynamic), align=self.bytes)

    def store_all(self, places, dynamic, adjoints):
        """Store some adjoints."""
        for place, value in zip(places, adjoints, strict=True):
            self.store("adjoints", value, place, dynamic)

    def so_far(self, place, dynamic=None, sample=None):
        """Return the adjoint of a parameter, 0 if what is there is of no use. sample: None for all, and the first."""
        fresh = self.flags["fresh"]
        if sample is not None:
            fresh = self.b.and_(fresh, self.b.icmp_unsigned("==", sample, INDEX(0)))
        return self.b.select(fresh, self.constant(0.0), self.load("adjoints", place, dynamic))

    def splat(self, name, index):
        """Return one number of a float64 array in every lane, rounded to their type."""
        number = self.b.load(self.b.gep(self.data[name], [INDEX(index)]))
        return _broadcast(self.context, self.b, types.float64, self.lanes, number)

    def scaled(self, *terms):
        """Return the sum of index x factor, or None if there is nothing to add up; an index of None is 0."""
        total = None
        for index, factor in terms:
            if index is not None:
                term = index if factor == 1 else self.b.mul(index, INDEX(factor))
                total = term if total is None else self.b.add(total, term)
        return total

    @contextmanager
    def times(self, count, descending=False):
        """Loop; yield the index, or None if there is one round only."""
        if count == 1:
            yield None
            return
        with cgutils.for_range(self.b, INDEX(count)) as loop:
            yield self.b.sub(INDEX(count - 1), loop.index) if descending else loop.index

    def fold(self, count, start, body, unroll=4):
        """Return values carried through `count` rounds: body(place, dynamic index or None, values) -> values.

        Rounds are unrolled by `unroll`; all of them if that is not less. The body is told the round as the sum of a
        number and an index.
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
        """Loop over the lane vectors of registers; yield what turns a place into an address.

        An address is the place, and how far it has moved.
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
        """Return x where it is less than y, and y elsewhere, also where x is NaN."""
        return self.b.select(self.b.fcmp_ordered("<", x, y), x, y)

    def text(self, row, immediates, operands):
        """Return what reads the texts of a row, with immediates, which are numbers, and operands by name."""
        names = {name: self.constant(value) for name, value in zip(row.immediates, immediates, strict=True)}
        names.update(zip(row.operands, operands, strict=True))
        return _Text(self.context, self.b, self.lanes, names)


def operation(names, code, tells=types.void):
    """Return a kernel operation over arrays, flags and integers of these names; code(Code) makes it.

    tells: the type of what it returns, if anything.
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
    """Return (first, size, how many) of the tiles that cover range(count): at most `size`, about as large."""
    many = -(-count // size)
    small, more = divmod(count, many)
    parts = [(0, small + 1, more), (more * (small + 1), small, many - more)]
    return [(first, wide, times) for first, wide, times in parts if wide * times]
