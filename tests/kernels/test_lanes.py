"""Lanes: every operation is the same on lanes, on compiled scalars and in plain Python, bit for bit."""

import re

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba.core.errors import TypingError

from simsa.kernels import lanes
from simsa.kernels.lanes import all_lanes, any_lane, load, select, splat, store, width
from simsa.kernels.options import OPTIONS, kernel, walk

DTYPES = [np.float64, np.float32]
LANES = {np.float64: 4, np.float32: 8}
optimised = numba.njit(**OPTIONS)
"""What `entry` does, without keeping the result on disk."""

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.7, -1e-3, np.inf, -np.inf, np.nan, 1e-310, 1e-40, 1e30]


def assert_same_bits(a, b, name=""):
    """Compare all bits, except that one NaN is as good as another."""
    word = f"u{a.itemsize}"
    assert a.dtype == b.dtype
    same = (a.view(word) == b.view(word)) | (np.isnan(a) & np.isnan(b))
    assert same.all(), (name, a[~same], b[~same])


OPERATIONS = {
    "negation": "-x",
    "fabs": "fabs(x)",
    "round_even": "round_even(x)",
    "square root": "sqrt(fabs(x))",
    "exponent": "exponent(x)",
    "mantissa": "mantissa(x)",
    "high": "high(x)",
    "power of two": "pow2(round_even(select(fabs(x) < 60, x, splat(x, 3))))",
    "negative_zero": "select(negative_zero(x), splat(x, 1), splat(x, 0))",
    "isnan": "select(isnan(x), splat(x, 1), splat(x, 0))",
    "splat": "x + splat(x, 0.1)",
    "sum": "x + y",
    "difference": "x - y",
    "product": "x * y",
    "quotient": "x / y",
    "copysign": "copysign(x, y)",
    **{f"x {r} y": f"select(x {r} y, splat(x, 1), splat(x, 0))" for r in ("<", "<=", ">", ">=", "==", "!=")},
    "and": "select((x < y) & (x > 0), x, y)",
    "or": "select((x < y) | (x > 0), x, y)",
    "xor": "select((x < y) ^ (x > 0), x, y)",
}


def every_operation(read, write, step):
    """Return a function (xs, ys, out) that writes operation k of xs and ys to out[k n, ..., k n + n - 1]."""
    lines = ["def run(xs, ys, out):", f"    for i in range(0, xs.shape[0], {step}):", f"        x, y = {read}"]
    for k, text in enumerate(OPERATIONS.values()):
        lines.append("        " + write.format(at=f"{k} * xs.shape[0] + i", value=text))
    space = dict(vars(lanes))
    exec("\n".join(lines), space)
    return space["run"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_lanes_scalars_and_python_agree(dtype):
    values = np.array(SPECIAL * len(SPECIAL))
    with np.errstate(all="ignore"):
        xs = values.astype(dtype)
        ys = values.reshape(len(SPECIAL), -1).T.ravel().astype(dtype)
    on_lanes = every_operation("load(xs, i), load(ys, i)", "store(out, {at}, {value})", "width(xs)")
    on_scalars = every_operation("xs[i], ys[i]", "out[{at}] = {value}", "1")
    expected, in_lanes, alone = np.empty((3, len(OPERATIONS), len(xs)), dtype)
    with np.errstate(all="ignore"):
        on_lanes(xs, ys, expected.ravel())
    optimised(on_lanes)(xs, ys, in_lanes.ravel())
    kernel(on_scalars)(xs, ys, alone.ravel())
    for k, name in enumerate(OPERATIONS):
        assert_same_bits(in_lanes[k], expected[k], name)
        assert_same_bits(alone[k], expected[k], name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_have_the_documented_meaning(dtype):
    x = np.random.default_rng(0).normal(size=200).astype(dtype)
    m, e = np.frexp(np.abs(x))
    for value, fraction, power in zip(x, 2 * m, e - 1, strict=True):
        assert (lanes.mantissa(value), lanes.exponent(value)) == (fraction, power)
        assert lanes.pow2(dtype(power)) == dtype(2.0) ** dtype(power)
        top = lanes.high(value)
        rest = value - top
        assert float(top) * float(top) == float(top * top)
        assert float(top) * float(rest) == float(top * rest) and float(top) + float(rest) == float(value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lanes_are_values_in_loops_tuples_arguments_and_results(dtype):
    @kernel
    def smaller_first(x, y):
        swap = y < x
        return select(swap, y, x), select(swap, x, y), swap

    @kernel
    def run(x, y, out):
        total = splat(x, 0)
        swaps = splat(x, 0)
        for i in range(0, x.shape[0], width(x)):
            low, high, swap = smaller_first(load(x, i), load(y, i))
            total += 2 * low - high
            swaps = select(swap, swaps + 1, swaps)
        store(out, 0, total)
        store(out, width(x), swaps)
        return width(x)

    n = 5 * LANES[dtype]
    x, y = np.random.default_rng(1).normal(size=(2, n)).astype(dtype)
    out = np.zeros(2 * LANES[dtype], dtype)
    assert run(x, y, out) == LANES[dtype]
    total, swaps = np.zeros((2, LANES[dtype]), dtype)
    for a, b in zip(x.reshape(5, -1), y.reshape(5, -1), strict=True):
        total += dtype(2) * np.minimum(a, b) - np.maximum(a, b)
        swaps += b < a
    assert_same_bits(out, np.concatenate([total, swaps]))


@pytest.mark.parametrize("inner", [kernel, walk])
def test_what_compiled_code_calls_is_compiled_into_it_and_python_may_call_it_too(inner):
    @inner
    def next_after(x):
        return x + 1.0

    @optimised
    def run(x):
        return 2.0 * next_after(x)

    assert run(1.0) == 4.0
    (made,) = next_after.overloads.values()
    assert made.library.get_pointer_to_function(made.fndesc.llvm_func_name) == 0
    assert next_after(1.0) == 2.0


@kernel
def reductions(x):
    positive = load(x, 0) > 0
    return any_lane(positive), all_lanes(positive), any_lane(~positive), all_lanes(positive | ~positive)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=50)
def test_any_and_all(dtype, data):
    signs = data.draw(hnp.arrays(bool, LANES[dtype]))
    x = np.where(signs, 1, -1).astype(dtype)
    assert reductions(x) == (signs.any(), signs.all(), (~signs).any(), True)


def test_get_and_set_one_lane_widen_and_narrow():
    @kernel
    def run(x, out):
        v = load(x, 0)
        halves = lanes.narrow(lanes.widen_low(v) / 3, lanes.widen_high(v) / 3)
        for i in range(width(x)):
            if i % 3 == 0:
                halves = lanes.set_lane(halves, i, lanes.get_lane(halves, i) + i)
        store(out, 0, halves)

    x = np.random.default_rng(2).normal(size=8).astype(np.float32)
    out = np.zeros_like(x)
    run(x, out)
    third = (x.astype(np.float64) / 3).astype(np.float32)
    third[::3] += np.arange(0, 8, 3, dtype=np.float32)
    assert_same_bits(out, third)


def test_a_scalar_that_meets_lanes_is_rounded_to_their_dtype_first():
    @kernel
    def run(x, out):
        store(out, 0, load(x, 0) * 0.1)

    x = np.random.default_rng(3).normal(size=8).astype(np.float32)
    out = np.zeros_like(x)
    run(x, out)
    assert_same_bits(out, x * np.float32(0.1))
    assert (out != (x.astype(np.float64) * 0.1).astype(np.float32)).any()


def test_loads_and_stores_need_no_alignment():
    @kernel
    def run(x, out):
        store(out, 3, load(x, 1))

    x, out = np.arange(16.0), np.zeros(16)
    run(x, out)
    assert out[3:7].tolist() == [1, 2, 3, 4] and out.sum() == 10


@pytest.mark.parametrize(
    "bad",
    [np.zeros(8, np.int64), np.zeros((8, 8)), np.zeros(16)[::2], np.zeros(8, np.complex128)],
    ids=["integers", "two axes", "strided", "complex"],
)
def test_only_contiguous_float_vectors_hold_lanes(bad):
    @kernel
    def run(x):
        store(x, 0, load(x, 0))

    with pytest.raises(TypingError):
        run(bad)


def test_lanes_of_two_precisions_do_not_mix():
    @kernel
    def run(x, y):
        store(x, 0, load(x, 0) + load(y, 0))

    with pytest.raises(TypingError):
        run(np.zeros(8), np.zeros(8, np.float32))


def instructions(function):
    """Return the instruction lines of the first version of a kernel, up to its first return."""
    (text,) = function.inspect_asm().values()
    return text.split("ret", 1)[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_code_has_neither_calls_nor_fused_operations(dtype):
    @optimised
    def run(x, y, out):
        for i in range(0, x.shape[0], width(x)):
            a, b = load(x, i), load(y, i)
            v = select(a < b, a * b + a, lanes.sqrt(a) - b / a)
            store(out, i, v * lanes.pow2(lanes.round_even(lanes.fabs(v))) + lanes.mantissa(v))

    x = np.ones(LANES[dtype] * 4, dtype)
    run(x, x, np.zeros_like(x))
    text = instructions(run)
    assert re.search(r"\b(mul|vmul|fmul)", text)
    assert not re.search(r"\b(call|bl)[a-z]*\s", text)
    assert not re.search(r"fmadd|fmsub|fnmadd|fmla|fmls", text)
