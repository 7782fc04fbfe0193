"""Elementary functions: accuracy against higher precision, special values of ISO C, and one result in four worlds.

Where NumPy's long double has 64 bits or more, it is the reference for many points; mpmath is it for fewer, everywhere.
"""

import itertools
import math

import mpmath
import numba
import numpy as np
import pytest

from simsa import formats
from simsa.kernels import functions
from simsa.kernels.lanes import load, store, width
from simsa.kernels.options import OPTIONS, kernel
from simsa.machine import arithmetic, elementary
from simsa.primitives import texts

optimised = numba.njit(**OPTIONS)
"""What `entry` does, without keeping the result on disk."""

NAN, INF, TINY = math.nan, math.inf, 5e-324
LARGE = 1.7976931348623157e308


def sizes(low, high, n):
    """Return numbers of both signs, uniform in the exponent."""
    rng = np.random.default_rng(4)
    return np.exp2(rng.uniform(low, high, n)) * rng.choice([-1.0, 1.0], n)


def uniform(low, high, n):
    return np.random.default_rng(5).uniform(low, high, n)


# The largest error found in float64, in units in the last place, rounded up (12 to 36 million points where the error is
# largest, against long double; erf: 250 000 points, against mpmath), and the domain of the points that are tried here.
FUNCTIONS = {
    "exp": (0.79, lambda n: [uniform(-1, 1, n), uniform(-745.2, 709.8, n), uniform(-746, -706, n)]),
    "expm1": (0.93, lambda n: [uniform(-1.1, 1.1, n), uniform(-45, 709.8, n), sizes(-1074, 4, n)]),
    "log": (0.74, lambda n: [uniform(0.7, 1.42, n), np.abs(sizes(-1074, 1023.99, n)), 1 + sizes(-52, -2, n)]),
    "log1p": (0.74, lambda n: [uniform(-0.5, 1, n), np.abs(sizes(-54, 1023.99, n)), sizes(-1074, -0.01, n)]),
    "tanh": (0.79, lambda n: [uniform(-1, 1, n), uniform(-25, 25, n), sizes(-1074, 4, n)]),
    "sigmoid": (0.77, lambda n: [uniform(-2, 2, n), uniform(-745, 45, n), uniform(-745, -700, n)]),
    "softplus": (0.77, lambda n: [uniform(-2, 2, n), uniform(-45, 45, n), uniform(-745, -36, n)]),
    "sin": (0.62, lambda n: [uniform(-9, 9, n), sizes(-1074, 20, n), sizes(19.9, 1023.99, n // 8)]),
    "cos": (0.61, lambda n: [uniform(-9, 9, n), sizes(-1074, 20, n), sizes(19.9, 1023.99, n // 8)]),
    "tan": (0.63, lambda n: [uniform(-9, 9, n), sizes(-1074, 20, n), sizes(19.9, 1023.99, n // 8)]),
    "erf": (0.90, lambda n: [uniform(0.8, 1.2, n), uniform(-6.1, 6.1, n), sizes(-1074, 1, n)]),
    "pow": (
        0.77,
        lambda n: [
            (np.abs(sizes(-1, 1, n)), uniform(-900, 900, n)),
            (np.abs(sizes(-1074, 1023, n)), uniform(-1, 1, n)),
            (1 + sizes(-40, -2, n), sizes(0, 43, n)),
            (sizes(-60, 60, n), np.round(uniform(-16, 16, n))),
        ],
    ),
}


def defined_in(dtype):
    """The functions of the definition, by name, of numbers of a format."""
    return arithmetic(formats.find(np.dtype(dtype).name)).functions


UNARY = [name for name in FUNCTIONS if name != "pow"]
LONG = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "pow": np.power,
}
EXACT = {
    **{name: getattr(mpmath, name) for name in ("exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "tan", "erf")},
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "pow": mpmath.power,
}


@pytest.fixture(scope="module")
def on_lanes():
    """Return apply(name, *arrays): a function on lanes, compiled once for each dtype."""
    compiled = {}

    def build(function, arity):
        @optimised
        def one(x, out):
            for i in range(0, x.shape[0], width(x)):
                store(out, i, function(load(x, i)))

        @optimised
        def two(x, y, out):
            for i in range(0, x.shape[0], width(x)):
                store(out, i, function(load(x, i), load(y, i)))

        return one if arity == 1 else two

    def apply(name, *arrays):
        n = len(arrays[0])
        padded = [np.concatenate([x, np.ones(-n % 8, x.dtype)]) for x in arrays]
        out = np.empty_like(padded[0])
        run = compiled.setdefault(name, build(getattr(functions, name), len(arrays)))
        run(*padded, out)
        return out[:n]

    return apply


def domain(name, n, dtype=np.float64):
    """Return the arguments of a function as arrays."""
    groups = [group if isinstance(group, tuple) else (group,) for group in FUNCTIONS[name][1](n)]
    with np.errstate(over="ignore", under="ignore"):
        return [np.concatenate(parts).astype(dtype) for parts in zip(*groups, strict=True)]


def ulps(got, reference):
    """Return the errors in units in the last place of the reference, subnormal or not."""
    info = np.finfo(got.dtype)
    smallest = info.minexp - info.nmant
    with np.errstate(all="ignore"):
        exponents = np.frexp(np.abs(reference))[1]
        unit = np.ldexp(np.longdouble(1), np.maximum(exponents - info.nmant - 1, smallest))
        error = np.abs(got.astype(np.longdouble) - reference) / unit
        overflow = np.isinf(got) & (np.abs(reference) >= np.longdouble(info.max) + unit / 2)
    error[(got == reference) | overflow | (np.isnan(got) & np.isnan(reference))] = 0
    return error


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is a double here")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", list(LONG))
def test_errors_stay_below_the_largest_found(name, dtype, on_lanes):
    arguments = domain(name, 20_000, dtype)
    with np.errstate(all="ignore"):
        reference = LONG[name](*(x.astype(np.longdouble) for x in arguments))
    worst = ulps(on_lanes(name, *arguments), reference).max()
    assert worst < (FUNCTIONS[name][0] if dtype == np.float64 else 0.501)


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_errors_against_mpmath(name, on_lanes):
    arguments = domain(name, 400)
    got = on_lanes(name, *arguments)
    bound = mpmath.mpf(FUNCTIONS[name][0])
    with mpmath.workprec(120):
        for *x, y in zip(*(a.tolist() for a in arguments), got.tolist(), strict=True):
            exact = EXACT[name](*(mpmath.mpf(v) for v in x))
            if mpmath.isfinite(y) and mpmath.isfinite(exact) and exact != 0:
                last = max(int(mpmath.floor(mpmath.log(abs(exact), 2))) - 52, -1074)
                assert abs(exact - y) <= bound * mpmath.ldexp(1, last), (x, y)
            else:
                assert y == exact or abs(exact) >= LARGE, (x, y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_errors_of_the_definition_against_mpmath(name, dtype):
    arguments = domain(name, 300, dtype)
    bound = mpmath.mpf(FUNCTIONS[name][0] if dtype == np.float64 else 0.501)
    digits, smallest = (52, -1074) if dtype == np.float64 else (23, -149)
    with mpmath.workprec(120):
        for x in zip(*arguments, strict=True):
            y = defined_in(dtype)[name](*x)
            assert type(y) is dtype
            exact, got = EXACT[name](*(mpmath.mpf(float(v)) for v in x)), float(y)
            if mpmath.isfinite(got) and mpmath.isfinite(exact) and exact != 0:
                last = max(int(mpmath.floor(mpmath.log(abs(exact), 2))) - digits, smallest)
                assert abs(exact - got) <= bound * mpmath.ldexp(1, last), (x, y)
            else:
                undefined = mpmath.isnan(exact) and math.isnan(got)
                assert undefined or got == exact or abs(exact) >= float(np.finfo(dtype).max), (x, y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_lanes_have_the_bits_of_the_definition(name, dtype, on_lanes):
    """On many points, where the errors are large, and on any bits at all."""
    rng = np.random.default_rng(6)
    width = np.dtype(dtype).itemsize
    words = [rng.integers(0, 2 ** (8 * width), 2000, np.uint64).astype(f"u{width}").view(dtype) for _ in range(2)]
    arguments = [np.concatenate(pair) for pair in zip(domain(name, 2000, dtype), words, strict=False)]
    lanes = on_lanes(name, *arguments)
    defined = np.array([defined_in(dtype)[name](*x) for x in zip(*arguments, strict=True)])
    assert lanes.dtype == defined.dtype
    same = (lanes.view(f"u{width}") == defined.view(f"u{width}")) | (np.isnan(lanes) & np.isnan(defined))
    assert same.all(), [(a[~same], lanes[~same], defined[~same]) for a in arguments]


def test_the_definition_has_what_texts_may_call():
    assert defined_in(np.float64).keys() - {"norm"} == texts.FUNCTIONS


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_scale_of_a_norm_is_that_of_the_kernels(dtype):
    info = np.finfo(dtype)
    edges = [0.0, info.smallest_subnormal, info.smallest_normal / 2, info.smallest_normal, info.max, INF, NAN]
    with np.errstate(over="ignore"):
        more = np.abs(sizes(info.minexp - info.nmant, info.maxexp - 0.01, 2000))
        tried = np.concatenate([edges, more]).astype(dtype)
    for x in tried:
        assert functions.halves(x) == elementary.halves(float(x), formats.find(np.dtype(dtype).name)), x


# The float that is closest to a multiple of pi / 2 (Muller, Elementary Functions, 3rd ed., ch. 11: 2^-61 away), and
# others, on both sides of where the reduction changes.
HARD = [6381956970095103.0 * 2.0**797, 1e22, 2.0**1023, LARGE, -LARGE, 2.0**20, 1048577.0, -(2.0**53)]


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_every_argument_is_reduced_exactly(name, on_lanes):
    got = on_lanes(name, np.array(HARD))
    with mpmath.workprec(1400):
        for x, y in zip(HARD, got.tolist(), strict=True):
            exact = EXACT[name](mpmath.mpf(x))
            assert abs((y - exact) / exact) < 0.7 * 2.0**-52


def test_the_error_of_a_wrong_coefficient_is_seen(monkeypatch):
    x = np.float64(0.3)
    assert abs(float(functions.exp(x)) - math.exp(0.3)) <= 2.3e-16
    for module, exp in ((functions, functions.exp), (elementary, defined_in(np.float64)["exp"])):
        monkeypatch.setattr(module, "EXP", (module.EXP[0] * (1 + 1e-12), *module.EXP[1:]))
        assert abs(float(exp(x)) - math.exp(0.3)) > 2.3e-16


# One text in compiled code, on lanes and alone, and in Python, and another that defines it.

SPECIAL = [0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, TINY, -TINY, 1e-310, LARGE, -LARGE, 0.5, -0.5, 2.0, 3.0]
EDGES = [709.782712893384, 709.7827128933841, -745.1332191019411, -745.1332191019412, -708.4, 20.0, -20.1, 40.1, -40.1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_lanes_scalars_python_and_the_definition_give_the_same_bits(name, dtype, on_lanes):
    function = getattr(functions, name)
    if name == "pow":
        arguments = [np.array(column) for column in zip(*itertools.product(SPECIAL, repeat=2), strict=True)]
        more = domain(name, 8)
    else:
        arguments, more = [np.array(SPECIAL + EDGES + HARD)], domain(name, 30)
    with np.errstate(all="ignore"):
        arguments = [np.concatenate(pair).astype(dtype) for pair in zip(arguments, more, strict=True)]

    @kernel
    def scalars(x, y, out):
        for i in range(x.shape[0]):
            out[i] = function(x[i])

    @kernel
    def scalar_pairs(x, y, out):
        for i in range(x.shape[0]):
            out[i] = function(x[i], y[i])

    alone = np.empty_like(arguments[0])
    (scalars if name != "pow" else scalar_pairs)(arguments[0], arguments[-1], alone)
    python = np.array([function(*each) for each in zip(*arguments, strict=True)])
    defined = np.array([defined_in(dtype)[name](*each) for each in zip(*arguments, strict=True)])
    together = on_lanes(name, *arguments)
    assert python.dtype == together.dtype == defined.dtype == dtype
    for other in (alone, python, defined):
        word = f"u{other.itemsize}"
        same = (together.view(word) == other.view(word)) | (np.isnan(together) & np.isnan(other))
        assert same.all(), [(a[~same], together[~same], other[~same]) for a in arguments]


def test_lanes_of_a_vector_do_not_see_each_other(on_lanes):
    for name in UNARY:
        x = np.array([0.75, NAN, 1e300, -INF, -0.75, 0.75, 2.0**700, 0.75])
        assert len(set(on_lanes(name, x)[[0, 5, 7]])) == 1


# Special values: function, argument, result; the sign of zero counts.
CORNERS = [
    ("exp", 0.0, 1.0), ("exp", -0.0, 1.0), ("exp", INF, INF), ("exp", -INF, 0.0), ("exp", 710.0, INF),
    ("exp", -746.0, 0.0), ("exp", -745.13, TINY), ("exp", TINY, 1.0),
    ("expm1", 0.0, 0.0), ("expm1", -0.0, -0.0), ("expm1", INF, INF), ("expm1", -INF, -1.0), ("expm1", -TINY, -TINY),
    ("log", 1.0, 0.0), ("log", 0.0, -INF), ("log", -0.0, -INF), ("log", -TINY, NAN), ("log", -INF, NAN),
    ("log", INF, INF),
    ("log1p", 0.0, 0.0), ("log1p", -0.0, -0.0), ("log1p", -1.0, -INF), ("log1p", -1.5, NAN), ("log1p", INF, INF),
    ("log1p", -INF, NAN), ("log1p", TINY, TINY),
    ("tanh", 0.0, 0.0), ("tanh", -0.0, -0.0), ("tanh", INF, 1.0), ("tanh", -INF, -1.0), ("tanh", -TINY, -TINY),
    ("sigmoid", 0.0, 0.5), ("sigmoid", -0.0, 0.5), ("sigmoid", INF, 1.0), ("sigmoid", -INF, 0.0),
    ("softplus", INF, INF), ("softplus", -INF, 0.0), ("softplus", LARGE, LARGE), ("softplus", -LARGE, 0.0),
    ("sin", 0.0, 0.0), ("sin", -0.0, -0.0), ("sin", INF, NAN), ("sin", -INF, NAN), ("sin", -TINY, -TINY),
    ("cos", 0.0, 1.0), ("cos", -0.0, 1.0), ("cos", INF, NAN), ("cos", -INF, NAN),
    ("tan", 0.0, 0.0), ("tan", -0.0, -0.0), ("tan", INF, NAN), ("tan", -TINY, -TINY),
    ("erf", 0.0, 0.0), ("erf", -0.0, -0.0), ("erf", INF, 1.0), ("erf", -INF, -1.0), ("erf", -6.0, -1.0),
    *((name, NAN, NAN) for name in UNARY),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x", "result"), CORNERS, ids=[f"{name}({x})" for name, x, _ in CORNERS])
def test_special_values(name, x, result, on_lanes):
    (got,) = on_lanes(name, np.array([x])).tolist()
    if math.isnan(result):
        assert math.isnan(got)
    else:
        assert (got, math.copysign(1, got)) == (result, math.copysign(1, result))


def test_special_values_of_pow(on_lanes):
    """The rules of ISO C, F.10.4.4, which Python's own `math.pow` follows, but raises where C returns inf or NaN."""
    finite = [-3.0, -2.5, -2.0, -1.0, -0.5, -TINY, -0.0, 0.0, TINY, 0.5, 1.0, 2.0, 2.5, 3.0, 2.0**53 - 1, 2.0**60]
    values = [-INF, *finite, 1e308, -1e308, INF, NAN]
    pairs = list(itertools.product(values, repeat=2))
    got = on_lanes("pow", *(np.array(column) for column in zip(*pairs, strict=True))).tolist()
    for (x, y), z in zip(pairs, got, strict=True):
        odd = math.isfinite(y) and y % 2 == 1
        try:
            expected = math.pow(x, y)
        except OverflowError:
            expected = -INF if x < 0 and odd else INF
        except ValueError:
            expected = NAN if x else math.copysign(INF, x) if odd else INF
        if math.isnan(expected):
            assert math.isnan(z), (x, y)
        else:
            assert abs(z - expected) <= 2.3e-16 * abs(expected) or z == expected, (x, y)
            assert math.copysign(1, z) == math.copysign(1, expected), (x, y)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, -1, -2, -3])
def test_small_integral_powers_of_integers_are_exact_if_they_are_representable(n, on_lanes):
    x = np.concatenate([np.arange(-64.0, 0), np.arange(1.0, 64)])
    exact = np.array([float(int(v) ** abs(n)) for v in x])
    got = on_lanes("pow", x, np.full_like(x, n))
    assert (got == exact).all() if n >= 0 else (np.abs(got * exact - 1) <= 2.3e-16).all()
