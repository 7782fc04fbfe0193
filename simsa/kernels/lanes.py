"""Explicit SIMD: one value per trajectory, 256 bits at a time, in code that reads like scalar code.

`Lanes(dtype)` is a vector of 4 float64 or 8 float32, `Mask(dtype)` a truth value for each of its lanes. Both are plain
values: local variables, accumulators, arguments, results, members of tuples. Numba knows + - * / and the comparisons
of lanes (ordered, as IEEE says; `!=` is true of NaN), and & | ^ ~ of masks. A scalar that meets lanes is first rounded
to their dtype, then broadcast.

Each function below has a Python body, for a NumPy float64 or float32 (a machine with one lane), and the LLVM
instructions that it becomes in compiled code, for lanes and for scalars. So one text of an elementary function serves
all three, bit for bit. Nothing here depends on the width of the machine's registers: LLVM splits or joins vectors.
"""

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, lower_cast, models, register_model

BITS = 256


class Lanes(types.Type):
    """A vector of float64 or float32, one trajectory per lane."""

    def __init__(self, dtype):
        self.dtype, self.count = dtype, BITS // dtype.bitwidth
        super().__init__(name=f"Lanes({dtype})")

    def can_convert_from(self, typingctx, other):
        """Allow a scalar to be converted to lanes."""
        return Conversion.unsafe if isinstance(other, types.Number) else None


class Mask(types.Type):
    """A truth value for each lane of `Lanes(dtype)`."""

    def __init__(self, dtype):
        self.dtype, self.count = dtype, BITS // dtype.bitwidth
        super().__init__(name=f"Mask({dtype})")


# Each operation is defined once for lanes and scalars. These functions return the LLVM types and constants of both.


def _dtype(fe):
    return fe.dtype if isinstance(fe, Lanes | Mask) else fe


def _llvm(fe, element):
    """Return `element` in as many lanes as the type has."""
    return ir.VectorType(element, fe.count) if isinstance(fe, Lanes | Mask) else element


def _floats(fe):
    """Return the LLVM floating-point type of lanes or of a scalar."""
    return _llvm(fe, ir.DoubleType() if _dtype(fe).bitwidth == 64 else ir.FloatType())


def _words(fe):
    """Return the LLVM integer type for the bits of lanes or of a scalar."""
    return _llvm(fe, ir.IntType(_dtype(fe).bitwidth))


def _fill(llvm, value):
    """Return a constant, the same in every lane."""
    return ir.Constant(llvm, [value] * llvm.count if isinstance(llvm, ir.VectorType) else value)


def _call(builder, name, *args):
    """Call an LLVM intrinsic whose arguments and result are all of one floating-point type."""
    llvm = args[0].type
    element = llvm.element if isinstance(llvm, ir.VectorType) else llvm
    lanes = f"v{llvm.count}" if isinstance(llvm, ir.VectorType) else ""
    full = f"llvm.{name}.{lanes}{'f64' if isinstance(element, ir.DoubleType) else 'f32'}"
    function = ir.FunctionType(llvm, [llvm] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, full), args)


def _shuffle(builder, first, second, order):
    """Return the lanes of `first` and then `second`, counted on from one to the other, that `order` lists."""
    return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order))


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    """Lanes are an LLVM vector."""

    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _floats(fe_type))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    """A mask is a vector of i1 in registers, and of whole words in memory, where <4 x i1> would be packed into bits."""

    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _llvm(fe_type, ir.IntType(1)))

    def get_data_type(self):
        return _words(self._fe_type)

    get_argument_type = get_return_type = get_data_type

    def as_data(self, builder, value):
        return builder.sext(value, self.get_data_type())

    as_argument = as_return = as_data

    def from_data(self, builder, value):
        return builder.trunc(value, self.get_value_type())

    from_argument = from_return = from_data

    def load_from_data_pointer(self, builder, ptr, align=None):
        return self.from_data(builder, builder.load(ptr, align=align))


@lower_cast(types.Number, Lanes)
def _broadcast(context, builder, from_type, to_type, value):
    scalar = context.cast(builder, value, types.unliteral(from_type), to_type.dtype)
    first = builder.insert_element(ir.Constant(_floats(to_type), ir.Undefined), scalar, ir.IntType(32)(0))
    return _shuffle(builder, first, first, [0] * to_type.count)


# Registration.

_ANY = ((types.VarArg(types.Any),),)


def _compile(function, typer, lower, patterns=_ANY):
    """Define what a function or operator is in compiled code.

    `typer(*types)` returns the signature, or None where the operation is not defined; Numba then casts the arguments
    to the signature's types. `lower(context, builder, fe, *values)` makes the instructions, `fe` being the first type.
    """

    @infer_global(function)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            return None if kws else typer(*args)

    def implement(context, builder, sig, args):
        return lower(context, builder, sig.args[0], *args)

    for pattern in patterns:
        lower_builtin(function, *pattern)(implement)


def _meet(*args):
    """Return the type in which floats of several types meet: the lanes among them, else the widest scalar."""
    lanes = {fe for fe in args if isinstance(fe, Lanes)}
    if len(lanes) > 1 or not all(isinstance(fe, Lanes | types.Integer | types.Float) for fe in args):
        return None
    floats = [fe for fe in args if isinstance(fe, types.Float)]
    return lanes.pop() if lanes else max(floats, key=lambda fe: fe.bitwidth, default=types.float64)


def _truth(fe):
    return Mask(fe.dtype) if isinstance(fe, Lanes) else types.boolean


def _map(*args):
    """Type floats -> float."""
    fe = _meet(*args)
    return fe and signature(fe, *(fe for _ in args))


def _test(*args):
    """Type floats -> mask."""
    fe = _meet(*args)
    return fe and signature(_truth(fe), *(fe for _ in args))


# Operators. Numba has its own for scalars.

_PAIRS = ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes))


def _operator(symbol, typer, lower, patterns=_PAIRS):
    """Register an operator where lanes are present."""

    def typed(*args):
        return typer(*args) if any(isinstance(fe, Lanes) for fe in args) else None

    _compile(symbol, typed, lower, patterns)


def _mask_operator(symbol, lower, pattern):
    """Register an operator of masks."""

    def typed(*args):
        return signature(args[0], *args) if isinstance(args[0], Mask) and len(set(args)) == 1 else None

    _compile(symbol, typed, lower, (pattern,))


for _symbol, _instruction in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    for _name in (_symbol, "i" + _symbol):
        _operator(getattr(operator, _name), _map, lambda c, b, fe, x, y, do=_instruction: getattr(b, do)(x, y))
_operator(operator.neg, _map, lambda c, b, fe, x: b.fneg(x), ((Lanes,),))
for _symbol, _relation in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "==")):
    _operator(getattr(operator, _symbol), _test, lambda c, b, fe, x, y, is_=_relation: b.fcmp_ordered(is_, x, y))
_operator(operator.ne, _test, lambda c, b, fe, x, y: b.fcmp_unordered("!=", x, y))
for _symbol, _instruction in (("and_", "and_"), ("or_", "or_"), ("xor", "xor")):
    for _name in (_symbol, "i" + _symbol.rstrip("_")):
        _mask_operator(
            getattr(operator, _name),
            lambda c, b, fe, x, y, do=_instruction: getattr(b, do)(x, y),
            (Mask, Mask),
        )
_mask_operator(operator.invert, lambda c, b, fe, x: b.not_(x), (Mask,))


# Memory.


def load(array, offset):
    """Return the lanes that begin at element `offset` of a contiguous (n,) float array; unaligned, not checked."""
    return array[offset]


def store(array, offset, lanes):
    """Write lanes to a contiguous (n,) float array from element `offset` on; unaligned, not checked."""
    array[offset] = lanes


def width(like):
    """Return the number of lanes of a value or for an array: 4 in float64, 8 in float32, 1 outside compiled code."""
    return 1


def splat(like, value):
    """Return `value` in every lane, rounded to the dtype of an array, of lanes or of a scalar."""
    return like.dtype.type(value)


def prepare(array, offset):
    """Fetch the memory at element `offset`, which may be any integer, into the cache, since a store will follow.

    A store that misses the cache delays all later ones.
    """


def pick(array, index, start, width, column):
    """Return array[index[start + lane] * width + column] in each lane; places are not checked.

    array: contiguous, (n,), of floats: rows of `width` numbers. index: int64, the row of each lane from `start` on.
    """
    return array[index[start] * width + column]


_INDEX = types.Array(types.intp, 1, "C")


def _like(fe):
    """Return the type of the lanes of a contiguous float vector, of lanes, or of a scalar; None for anything else."""
    if not isinstance(fe, types.Array):
        return _meet(fe)
    flat = fe.ndim == 1 and fe.layout in "CF" and fe.dtype in (types.float64, types.float32)
    return Lanes(fe.dtype) if flat else None


def _load_type(array, offset):
    fe = isinstance(array, types.Array) and _like(array)
    return signature(fe, array, types.intp) if fe and isinstance(offset, types.Integer) else None


def _store_type(array, offset, lanes):
    loaded = _load_type(array, offset)
    if loaded is None or not array.mutable or _meet(loaded.return_type, lanes) != loaded.return_type:
        return None
    return signature(types.void, array, types.intp, loaded.return_type)


def _prepare_type(array, offset):
    loaded = _load_type(array, offset)
    return loaded and signature(types.void, array, types.intp)


def _pick_type(array, index, start, width, column):
    fe = isinstance(array, types.Array) and _like(array)
    integers = all(isinstance(i, types.Integer) for i in (start, width, column))
    if not fe or not integers or index != _INDEX:
        return None
    return signature(fe, array, index, types.intp, types.intp, types.intp)


def _width_type(like):
    return signature(types.intp, like) if _like(like) else None


def _splat_type(like, value):
    fe = _like(like)
    return signature(fe, like, fe) if fe and (_meet(value) == fe or not isinstance(value, Lanes)) else None


def _pointer(context, builder, fe, array, offset):
    """Return a pointer to the lanes at `offset`."""
    data = cgutils.create_struct_proxy(fe)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _floats(_like(fe)).as_pointer())


def _load(context, builder, fe, array, offset):
    return builder.load(_pointer(context, builder, fe, array, offset), align=fe.dtype.bitwidth // 8)


def _store(context, builder, fe, array, offset, lanes):
    builder.store(lanes, _pointer(context, builder, fe, array, offset), align=fe.dtype.bitwidth // 8)
    return context.get_dummy_value()


def _prepare(context, builder, fe, array, offset):
    fetch(builder, _pointer(context, builder, fe, array, offset))
    return context.get_dummy_value()


def fetch(builder, pointer):
    """Fetch the cache line of a pointer into the first-level cache, for writing."""
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(function, [builder.bitcast(pointer, byte), word(1), word(3), word(1)])


def _pick(context, builder, fe, array, index, start, width, column):
    lanes = _like(fe)
    data = cgutils.create_struct_proxy(fe)(context, builder, array).data
    where = cgutils.create_struct_proxy(_INDEX)(context, builder, index).data
    result = ir.Constant(_floats(lanes), ir.Undefined)
    for lane in range(lanes.count):
        entry = builder.load(builder.gep(where, [builder.add(start, start.type(lane))]))
        place = builder.add(builder.mul(entry, width), column)
        result = builder.insert_element(result, builder.load(builder.gep(data, [place])), ir.IntType(32)(lane))
    return result


def _width(context, builder, fe, like):
    return context.get_constant(types.intp, getattr(_like(fe), "count", 1))


_compile(load, _load_type, _load)
_compile(store, _store_type, _store)
_compile(pick, _pick_type, _pick)
_compile(prepare, _prepare_type, _prepare)
_compile(width, _width_type, _width)
_compile(splat, _splat_type, lambda c, b, fe, like, value: value)


# Functions of values.


def fabs(x):
    """Return |x|; only the sign bit changes, also of NaN."""
    return abs(x)


def sqrt(x):
    """Return the correctly rounded square root; NaN below zero, -0 at -0."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


def copysign(x, y):
    """Return |x| with the sign bit of y."""
    return np.copysign(x, y)


def floor(x):
    """Return the largest integer up to x."""
    return np.floor(x)


def round_even(x):
    """Return the nearest integer, the even one of two."""
    return np.rint(x)


def isnan(x):
    """Return a mask: x is not a number."""
    return x != x


def negative_zero(x):
    """Return a mask: x is -0.0, bit for bit."""
    return (x == 0) & np.signbit(x)


_compile(fabs, _map, lambda c, b, fe, x: _call(b, "fabs", x))
_compile(sqrt, _map, lambda c, b, fe, x: _call(b, "sqrt", x))
_compile(copysign, _map, lambda c, b, fe, x, y: _call(b, "copysign", x, y))
_compile(floor, _map, lambda c, b, fe, x: _call(b, "floor", x))
_compile(round_even, _map, lambda c, b, fe, x: _call(b, "rint", x))
_compile(isnan, _test, lambda c, b, fe, x: b.fcmp_unordered("uno", x, x))


def _negative_zero(context, builder, fe, x):
    words = _words(fe)
    return builder.icmp_signed("==", builder.bitcast(x, words), _fill(words, 1 << (_dtype(fe).bitwidth - 1)))


_compile(negative_zero, _test, _negative_zero)


# Bits. A float is (-1)**s * m * 2**e with m in [1, 2): one sign bit, the exponent e + bias, the fraction of m.


def _layout(bits):
    """Return (bits of the fraction, exponent bias) of a float of 32 or 64 bits."""
    return (52, 1023) if bits == 64 else (23, 127)


def _word(x):
    """Return the bits of a NumPy float as an int."""
    return int(x.view(np.dtype(f"u{x.itemsize}")))


def _unword(like, word):
    """Return the NumPy float with these bits."""
    return np.dtype(f"u{like.itemsize}").type(word).view(like.dtype)


def pow2(k):
    """Return 2**k for integral k in the range of exponents of normal numbers."""
    fraction, bias = _layout(8 * k.itemsize)
    shifted = _word(k + k.dtype.type((1 << fraction) + bias)) << fraction
    return _unword(k, shifted & ((1 << 8 * k.itemsize) - 1))


def exponent(x):
    """Return e of x = +-m 2**e as a float; defined by the bits, hence right for normal x only."""
    fraction, bias = _layout(8 * x.itemsize)
    return x.dtype.type(((_word(x) >> fraction) & (2 * bias + 1)) - bias)


def mantissa(x):
    """Return m in [1, 2) of x = +-m 2**e; defined by the bits, hence right for normal x only."""
    fraction, bias = _layout(8 * x.itemsize)
    return _unword(x, (_word(x) & ((1 << fraction) - 1)) | (bias << fraction))


def high(x):
    """Return x with the lower half of its significand cleared, so that a product of two such is exact."""
    return _unword(x, _word(x) & -(1 << (27 if x.itemsize == 8 else 12)))


def _pow2(context, builder, fe, k):
    """Add 2**fraction + bias: the sum is exact, and its last bits are the biased exponent; move them to their place."""
    fraction, bias = _layout(_dtype(fe).bitwidth)
    shifted = builder.fadd(k, _fill(_floats(fe), float((1 << fraction) + bias)))
    words = _words(fe)
    return builder.bitcast(builder.shl(builder.bitcast(shifted, words), _fill(words, fraction)), _floats(fe))


def _exponent(context, builder, fe, x):
    """Put the biased exponent in the last bits of 2**fraction, and subtract 2**fraction + bias."""
    fraction, bias = _layout(_dtype(fe).bitwidth)
    words = _words(fe)
    biased = builder.lshr(builder.shl(builder.bitcast(x, words), _fill(words, 1)), _fill(words, fraction + 1))
    shifted = builder.or_(biased, _fill(words, (fraction + bias) << fraction))
    return builder.fsub(builder.bitcast(shifted, _floats(fe)), _fill(_floats(fe), float((1 << fraction) + bias)))


def _mantissa(context, builder, fe, x):
    fraction, bias = _layout(_dtype(fe).bitwidth)
    words = _words(fe)
    kept = builder.and_(builder.bitcast(x, words), _fill(words, (1 << fraction) - 1))
    return builder.bitcast(builder.or_(kept, _fill(words, bias << fraction)), _floats(fe))


def _high(context, builder, fe, x):
    words, bits = _words(fe), _dtype(fe).bitwidth
    kept = (1 << bits) - (1 << (27 if bits == 64 else 12))
    return builder.bitcast(builder.and_(builder.bitcast(x, words), _fill(words, kept)), _floats(fe))


_compile(pow2, _map, _pow2)
_compile(exponent, _map, _exponent)
_compile(mantissa, _map, _mantissa)
_compile(high, _map, _high)


# Masks.


def select(mask, a, b):
    """Return a where the mask holds, else b, in the dtype in which the two meet."""
    return np.result_type(a, b).type(a if mask else b)


def any_lane(mask):
    """Return whether the mask holds in some lane."""
    return bool(mask)


def all_lanes(mask):
    """Return whether the mask holds in every lane."""
    return bool(mask)


def _select_type(mask, a, b):
    if isinstance(a, Mask) or a == types.boolean:
        return signature(a, mask, a, a) if a == b and mask in (a, types.boolean) else None
    fe = _meet(a, b, Lanes(mask.dtype)) if isinstance(mask, Mask) else _meet(a, b)
    return signature(fe, mask, fe, fe) if fe and mask in (_truth(fe), types.boolean) else None


def _gather(mask):
    """Type mask -> truth value."""
    return signature(types.boolean, mask) if isinstance(mask, Mask) or mask == types.boolean else None


def _reduce(full):
    """Return the lowering of any (compare with no lane) or all (with every lane)."""

    def lower(context, builder, fe, mask):
        if not isinstance(fe, Mask):
            return mask
        bits = builder.bitcast(mask, ir.IntType(fe.count))
        every = ir.IntType(fe.count)((1 << fe.count) - 1)
        return builder.icmp_unsigned("==", bits, every) if full else builder.icmp_unsigned("!=", bits, bits.type(0))

    return lower


_compile(select, _select_type, lambda c, b, fe, mask, x, y: b.select(mask, x, y))
_compile(any_lane, _gather, _reduce(False))
_compile(all_lanes, _gather, _reduce(True))


# Between lanes, and between precisions.


def get_lane(x, i):
    """Return lane i as a scalar."""
    return x


def set_lane(x, i, value):
    """Return x with lane i replaced by the scalar `value`."""
    return value


def widen_low(x):
    """Return the first half of float32 lanes as float64 lanes."""
    return np.float64(x)


def widen_high(x):
    """Return the second half of float32 lanes as float64 lanes."""
    return np.float64(x)


def narrow(low, high):
    """Return two vectors of float64 lanes, rounded, as the halves of one vector of float32 lanes."""
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(low)


def _get_lane_type(x, i):
    fe = _meet(x)
    return signature(_dtype(fe), fe, types.intp) if fe and isinstance(i, types.Integer) else None


def _set_lane_type(x, i, value):
    taken = _get_lane_type(x, i)
    return taken and signature(taken.args[0], *taken.args, taken.return_type)


def _get_lane(context, builder, fe, x, i):
    return builder.extract_element(x, i) if isinstance(fe, Lanes) else x


def _set_lane(context, builder, fe, x, i, value):
    return builder.insert_element(x, value, i) if isinstance(fe, Lanes) else value


def _resized(x, source, target):
    if isinstance(x, Lanes):
        return Lanes(target) if x.dtype == source else None
    return target if x == source else None


def _widen_type(x):
    fe = _resized(x, types.float32, types.float64)
    return fe and signature(fe, x)


def _narrow_type(low, high):
    fe = _resized(low, types.float64, types.float32) if low == high else None
    return fe and signature(fe, low, high)


def _widen(start):
    def lower(context, builder, fe, x):
        if not isinstance(fe, Lanes):
            return builder.fpext(x, ir.DoubleType())
        half = fe.count // 2
        kept = _shuffle(builder, x, x, list(range(start * half, start * half + half)))
        return builder.fpext(kept, ir.VectorType(ir.DoubleType(), half))

    return lower


def _narrow(context, builder, fe, low, high):
    if not isinstance(fe, Lanes):
        return builder.fptrunc(low, ir.FloatType())
    low, high = (builder.fptrunc(x, ir.VectorType(ir.FloatType(), fe.count)) for x in (low, high))
    return _shuffle(builder, low, high, list(range(2 * fe.count)))


_compile(get_lane, _get_lane_type, _get_lane)
_compile(set_lane, _set_lane_type, _set_lane)
_compile(widen_low, _widen_type, _widen(0))
_compile(widen_high, _widen_type, _widen(1))
_compile(narrow, _narrow_type, _narrow)
