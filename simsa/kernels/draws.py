"""Random numbers for several trajectories at once, one in each lane of a vector, with the bits of `streams`."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simsa.kernels.lanes import Lanes, _fill, _floats, _like
from simsa.kernels.streams import LOW, MULTIPLIERS, WEYL

MOST = 32
"""The largest minibatch that is drawn this way: each index is compared with all before it, so time is quadratic."""

_INDEX = ir.IntType(64)


class _Words:
    """Vectors of 64-bit words, one for each lane."""

    def __init__(self, b, count):
        self.b, self.count, self.vector = b, count, ir.VectorType(_INDEX, count)
        self.low = self.constant(int(LOW))

    def constant(self, value):
        return ir.Constant(self.vector, [value] * self.count)

    def splat(self, scalar):
        result = ir.Constant(self.vector, ir.Undefined)
        for lane in range(self.count):
            result = self.b.insert_element(result, scalar, ir.IntType(32)(lane))
        return result

    def upper(self, word):
        return self.b.lshr(word, self.constant(32))

    def lower(self, word):
        return self.b.and_(word, self.low)

    def philox(self, counter, key):
        """Return the four words of `streams.philox` in each lane; every word is below 2^32."""
        b, (c0, c1, c2, c3), (k, m) = self.b, counter, key
        first, second = (self.constant(int(multiplier)) for multiplier in MULTIPLIERS)
        for _ in range(10):
            p, q = b.mul(first, c0), b.mul(second, c2)
            c0, c1 = b.xor(b.xor(self.upper(q), c1), k), self.lower(q)
            c2, c3 = b.xor(b.xor(self.upper(p), c3), m), self.lower(p)
            k, m = (self.lower(b.add(x, self.constant(int(w)))) for x, w in zip((k, m), WEYL, strict=True))
        return c0, c1, c2, c3


@intrinsic
def distinct(typingctx, like, n, size, step, first, purpose, key, out, start):
    """Write a uniform subset of `size` indices below n for trajectories first, first + 1, ..., and return True.

    The indices are those of `streams._distinct`: number i of a lane is written to out[start + i * lanes + lane]. If a
    random word is rejected, which is rare, the result is False, and what has been written is meaningless.

    typingctx: Numba's. like: an array whose dtype says how many lanes there are. n: the number of samples. step, first,
    purpose, key: as in `streams.block_of`; `first` is the trajectory of the first lane. out: int64, flat.
    """
    lanes = _like(like).count

    def code(context, builder, sig, args):
        b, words = builder, _Words(builder, lanes)
        _, n, size, step, first, purpose, key, out, start = args
        data = cgutils.create_struct_proxy(sig.args[7])(context, b, out).data
        truth = ir.VectorType(ir.IntType(1), lanes)
        halves = words.splat(b.and_(key, _INDEX(int(LOW)))), words.splat(b.lshr(key, _INDEX(32)))
        ours = ir.Constant(words.vector, list(range(lanes)))
        trajectory = words.lower(b.add(words.splat(first), ours))
        place, use = words.splat(step), words.splat(purpose)
        least = words.splat(n)
        rejected = cgutils.alloca_once(b, truth)
        b.store(_fill(truth, 0), rejected)
        drawn = [cgutils.alloca_once(b, words.vector) for _ in range(4)]

        def row(i):
            at = b.add(start, b.mul(i, _INDEX(lanes)))
            return b.bitcast(b.gep(data, [at]), words.vector.as_pointer())

        def take(word, i):
            """Write index i: the one that the word gives, or the last one allowed where that has been drawn already."""
            j = words.splat(b.add(b.sub(n, size), i))
            product = b.mul(word, b.add(j, words.constant(1)))
            refused = b.icmp_unsigned("<", words.lower(product), least)
            b.store(b.or_(b.load(rejected), refused), rejected)
            index = words.upper(product)
            hit = cgutils.alloca_once(b, truth)
            b.store(_fill(truth, 0), hit)
            with cgutils.for_range(b, i) as loop:
                same = b.icmp_unsigned("==", b.load(row(loop.index), align=8), index)
                b.store(b.or_(b.load(hit), same), hit)
            b.store(b.select(b.load(hit), j, index), row(i), align=8)

        with cgutils.for_range(b, b.lshr(b.add(size, _INDEX(3)), _INDEX(2))) as loop:
            counter = words.splat(loop.index), place, trajectory, use
            for word, room in zip(words.philox(counter, halves), drawn, strict=True):
                b.store(word, room)
            for n_th, room in enumerate(drawn):
                i = b.add(b.shl(loop.index, _INDEX(2)), _INDEX(n_th))
                with b.if_then(b.icmp_signed("<", i, size)):
                    take(b.load(room), i)
        none = ir.IntType(lanes)(0)
        return b.icmp_unsigned("==", b.bitcast(b.load(rejected), ir.IntType(lanes)), none)

    integers = (types.intp,) * 5
    return types.boolean(like, *integers, types.uint64, out, types.intp), code


@intrinsic
def weights(typingctx, out, start, block, step, first, purpose, key):
    """Write the four random weights of a block, for trajectories first, first + 1, ..., as four lane vectors.

    A weight is an odd multiple of 2^-24 in (0, 1), made of the first 24 bits of a word.

    typingctx: Numba's. out: a flat array of float64 or float32, written from entry `start` on. block, step, first,
    purpose, key: as in `streams.block_of`; `first` is the trajectory of the first lane.
    """
    fe = Lanes(out.dtype)

    def code(context, builder, sig, args):
        b, words = builder, _Words(builder, fe.count)
        _, start, block, step, first, purpose, key = args
        data = cgutils.create_struct_proxy(sig.args[0])(context, b, args[0]).data
        halves = words.splat(b.and_(key, _INDEX(int(LOW)))), words.splat(b.lshr(key, _INDEX(32)))
        ours = ir.Constant(words.vector, list(range(fe.count)))
        trajectory = words.lower(b.add(words.splat(first), ours))
        counter = words.lower(words.splat(block)), words.splat(step), trajectory, words.splat(purpose)
        for n, word in enumerate(words.philox(counter, halves)):
            odd = b.or_(b.lshr(word, words.constant(8)), words.constant(1))
            number = b.fmul(b.sitofp(odd, _floats(fe)), _fill(_floats(fe), 2.0**-24))
            at = b.gep(data, [b.add(start, _INDEX(n * fe.count))])
            b.store(number, b.bitcast(at, number.type.as_pointer()), align=out.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(out, *(types.intp,) * 6), code
