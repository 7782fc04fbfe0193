"""Elementary functions: one text each, for lanes, for compiled scalars and for plain Python, with the same bits.

Only + - * /, comparisons and operations on bits are used, each rounded as IEEE 754 says, so the results do not depend
on the machine or its mathematical library. All arithmetic is in float64; a float32 is widened, and the result rounded.
Special values are those of ISO C, Annex F. Every error is below one unit in the last place, of subnormal results too;
`tests/kernels/test_functions.py` lists the largest ones found. In float32 they are below 0.501.

Pairs. An error of one rounding must not be rounded again, so intermediate results that matter are unevaluated sums of
two floats, made by the error-free transformations of Knuth, Dekker and Veltkamp (Muller et al., Handbook of
Floating-Point Arithmetic, 2nd ed., ch. 4). No fused multiply-add.

Polynomials. The coefficients are minimax, by Remez' exchange algorithm in 200-bit arithmetic, in the error weight and
on the interval that each comment states; each comment also states the largest weighted error.
"""

import functools

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from simsa.kernels.lanes import (
    Lanes,
    any_lane,
    copysign,
    exponent,
    fabs,
    get_lane,
    high,
    isnan,
    mantissa,
    narrow,
    pow2,
    round_even,
    select,
    set_lane,
    splat,
    widen_high,
    widen_low,
    width,
)
from simsa.kernels.options import EXTENSION

INF = np.inf

helper = register_jitable(**EXTENSION)
"""Marks a text that is called by the same name in Python and in compiled code."""


def elementary(text):
    """Return the function of float64 or float32 numbers or lanes that a text over float64 defines."""
    text = helper(text)

    @functools.wraps(text)
    def function(*args):
        with np.errstate(all="ignore"):
            result = text(*(np.float64(x) for x in args))
            return np.float32(result) if all(isinstance(x, np.float32) for x in args) else result

    def single(x):
        return np.float32(text(np.float64(x)))

    def single_lanes(x):
        return narrow(text(widen_low(x)), text(widen_high(x)))

    def single_pair(x, y):
        return np.float32(text(np.float64(x), np.float64(y)))

    def single_lanes_pair(x, y):
        return narrow(text(widen_low(x), widen_low(y)), text(widen_high(x), widen_high(y)))

    def compiled(*args):
        if types.float32 not in {getattr(fe, "dtype", fe) for fe in args}:
            return text
        if isinstance(args[0], Lanes):
            return single_lanes if len(args) == 1 else single_lanes_pair
        return single if len(args) == 1 else single_pair

    if text.__code__.co_argcount == 1:
        overload(function, jit_options=EXTENSION)(lambda x: compiled(x))
    else:
        overload(function, jit_options=EXTENSION)(lambda x, y: compiled(x, y))
    return function


# Error-free transformations.


@helper
def _fast_two_sum(a, b):
    """Return (s, e): s + e = a + b exactly, for |a| >= |b| or a = 0."""
    s = a + b
    return s, b - (s - a)


@helper
def _two_sum(a, b):
    """Return (s, e): s + e = a + b exactly."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@helper
def _two_product(a, b):
    """Return (p, e): p + e = a b to at least 106 bits."""
    p = a * b
    a_high, b_high = high(a), high(b)
    a_low, b_low = a - a_high, b - b_high
    return p, (((a_high * b_high - p) + a_high * b_low) + a_low * b_high) + a_low * b_low


@helper
def _quotient(a, a_low, b, b_low):
    """Return (a + a_low) / (b + b_low), |a_low| and |b_low| below an ulp of a and b, with one rounding that matters."""
    inverse = 1.0 / b
    q = a * inverse
    p, e = _two_product(q, b)
    return q + (((a - p) - e) + (a_low - q * b_low)) * inverse


@helper
def _polynomial(x, c):
    """Return c[0] + c[1] x + ... + c[n-1] x^(n-1), as a Horner scheme in x^4 of cubics, for a short critical path."""
    x2 = x * x
    x4 = x2 * x2
    last = len(c) - 1
    y = splat(x, c[last])
    for i in range(last - 1, last - 1 - last % 4, -1):
        y = y * x + c[i]
    for i in range(last - last % 4 - 4, -1, -4):
        y = y * x4 + ((c[i] + c[i + 1] * x) + (c[i + 2] + c[i + 3] * x) * x2)
    return y


# Exponentials. x = k log 2 + r, |r| <= log(2) / 2; exp(x) = 2^k exp(r).

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
"""log 2 in two floats; the first has 32 bits, so that its products with exponents are exact."""

EXP = (
    0.16666666666666677,
    0.04166666666666669,
    0.008333333333321674,
    0.0013888888888870094,
    0.000198412698860493,
    2.480158735625695e-05,
    2.7557244264195193e-06,
    2.7557245417182813e-07,
    2.5109023931661062e-08,
    2.092381916064389e-09,
)
"""(exp(r) - 1 - r - r^2 / 2) / r^3 on |r| <= 0.3467; weight r^2; error 2^-61.7."""


@helper
def _exp(x, tail):
    """Return (k, a, b): exp(x + tail) = 2^k (1 + a + b), |b| << |a| <= 0.35; x is kept within [-746, 710]."""
    x = select(x > 710.0, 710.0, x)
    x = select(x < -746.0, -746.0, x)
    k = round_even(x * LOG2_E)
    a = x - k * LN2_HIGH
    low = k * LN2_LOW - tail
    r = a - low
    z = r * r
    return k, a, (0.5 * z + r * z * _polynomial(r, EXP)) - low


@helper
def _exp_pair(x):
    """Return (k, y, low): exp(x) = 2^k (y + low), low below an ulp of y."""
    k, a, b = _exp(x, 0.0)
    y, e = _fast_two_sum(splat(x, 1.0), a)
    y, e = _fast_two_sum(y, e + b)
    return k, y, e


@helper
def _scale(y, k):
    """Return y 2^k for y near 1 and |k| < 1080, rounded once also where it is subnormal."""
    small = k < 0.0
    return y * pow2(k + select(small, 64.0, -2.0)) * select(small, 5.421010862427522e-20, 4.0)


@elementary
def exp(x):
    """Return e^x."""
    k, y, _ = _exp_pair(x)
    return _scale(y, k)


@helper
def _expm1_pair(x):
    """Return (y, low): e^x - 1 = y + low; right for -40 <= x."""
    k, a, b = _exp(x, 0.0)
    # Everything is halved, so that 2^k does not overflow before the sum does.
    scale = pow2(k - 1.0)
    whole, lost = _two_sum(scale, splat(x, -0.5))
    y, e = _two_sum(whole, scale * a)
    y, e = _fast_two_sum(y, e + (lost + scale * b))
    return 2.0 * y, 2.0 * e


@elementary
def expm1(x):
    """Return e^x - 1, without cancellation near 0."""
    y, _ = _expm1_pair(select(x < -40.0, -40.0, x))
    return select(fabs(x) < 5e-17, x, y)


@elementary
def tanh(x):
    """Return the hyperbolic tangent, (e^2x - 1) / (e^2x + 1)."""
    a = fabs(x)
    y, low = _expm1_pair(2.0 * select(a > 20.0, 20.0, a))
    d, d_low = _two_sum(y, splat(x, 2.0))
    return select(a < 3e-9, x, copysign(_quotient(y, low, d, d_low + low), x))


@helper
def _exp_negative(x):
    """Return (whole, y, low) for x <= 0: e^x rounded, and e^x = y + low where x > -50."""
    k, y, low = _exp_pair(x)
    scale = pow2(select(k < -80.0, -80.0, k))
    return _scale(y, k), scale * y, scale * low


@elementary
def sigmoid(x):
    """Return the logistic function, 1 / (1 + e^-x)."""
    whole, y, low = _exp_negative(-fabs(x))
    d, d_low = _fast_two_sum(splat(x, 1.0), y)
    q = _quotient(select(x < 0.0, y, 1.0), select(x < 0.0, low, 0.0), d, d_low + low)
    return select(x < -40.0, whole, q)


# Logarithms. x = 2^k (1 + f), sqrt(1/2) < 1 + f < sqrt(2); s = f / (2 + f); log(1 + f) = 2 artanh(s).

SQRT_2 = 1.4142135623730951
TINY = 2.2250738585072014e-308

LOG = (
    0.6666666666666735,
    0.39999999999411057,
    0.28571428743275484,
    0.22222198474461463,
    0.18183569824243068,
    0.15313901012279138,
    0.14797530537282982,
)
"""(2 artanh(s) - 2 s) / s^3 in z = s^2 on [0, 0.02947]; weight z; error 2^-58.5."""

LOG_TAIL = (
    0.14285714285716594,
    0.1111111111000091,
    0.09090909303589086,
    0.0769228637813129,
    0.06667884688954918,
    0.05842450792220227,
    0.059561170773349485,
)
"""(artanh(s) / s - 1 - z / 3 - z^2 / 5) / z^3 in z = s^2 on [0, 0.02947]; weight z^3; error 2^-72.8."""


@helper
def _split(x):
    """Return (k, m): x = 2^k m, sqrt(1/2) < m <= sqrt(2), for finite x > 0."""
    small = x < TINY
    x = select(small, x * 18014398509481984.0, x)
    k = exponent(x) - select(small, splat(x, 54.0), splat(x, 0.0))
    m = mantissa(x)
    large = m > SQRT_2
    return select(large, k + 1.0, k), select(large, m * 0.5, m)


@helper
def _log(k, f, f_low):
    """Return (y, low): k log 2 + log(1 + f + f_low) = y + low, |low| < |y| / 10."""
    s = f / (2.0 + f)
    z = s * s
    # log(1 + f) = f - f^2/2 + s (f^2/2 + R)
    square = 0.5 * f * f
    a, e = _fast_two_sum(f, -square)
    rest = s * (square + z * _polynomial(z, LOG)) + (f_low - f * f_low)
    y, lost = _fast_two_sum(k * LN2_HIGH, a)
    return y, (e + lost) + (rest + k * LN2_LOW)


@elementary
def log(x):
    """Return the natural logarithm; -inf at 0, NaN below."""
    k, m = _split(x)
    y, low = _log(k, m - 1.0, 0.0)
    y = select(x == INF, INF, select(x == 0.0, -INF, y + low))
    return select(x >= 0.0, y, np.nan)


@elementary
def log1p(x):
    """Return log(1 + x), without cancellation near 0; -inf at -1, NaN below."""
    u, lost = _two_sum(x, splat(x, 1.0))
    k, m = _split(u)
    f, f_low = _fast_two_sum(m - 1.0, select(k > 64.0, 0.0, lost * pow2(-k)))
    y, low = _log(k, f, f_low)
    y = select(x == INF, INF, select(x == -1.0, -INF, y + low))
    return select(fabs(x) < 5e-17, x, select(x >= -1.0, y, np.nan))


@elementary
def softplus(x):
    """Return log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    whole, y, low = _exp_negative(-fabs(x))
    u, lost = _fast_two_sum(splat(x, 1.0), y)
    large = u > SQRT_2
    half = select(large, splat(x, 0.5), splat(x, 1.0))
    f, f_low = _fast_two_sum(u * half - 1.0, lost * half)
    y, low = _log(select(large, splat(x, 1.0), splat(x, 0.0)), f, f_low + low * half)
    y, e = _two_sum(select(x > 0.0, x, 0.0), y)
    return select(x > 40.0, x, select(x < -40.0, whole, y + (e + low)))


@helper
def halves(largest):
    """Return powers of two (h, 1 / h) with largest h h in [1/4, 4), or above 2^-60 if it is subnormal or 0.

    So scaled, numbers up to the largest have squares that neither overflow nor, if they count, underflow; and nothing
    is rounded.
    """
    k = round_even(0.5 * exponent(largest))
    return pow2(-k), pow2(k)


@elementary
def log0(x, y):
    """Return log(x), but 0 at x = 0 for y >= 0, where x^y has no slope in y."""
    return select((x == 0.0) & (y >= 0.0), 0.0, log(x))


# Powers: the logarithm to 68 bits, times y, into the exponential.


@helper
def _product(a, a_low, b, b_low):
    """Return the product of two pairs."""
    p, e = _two_product(a, b)
    return p, e + (a * b_low + a_low * b)


@helper
def _accurate_log(x):
    """Return (y, low): log(x) = y + low to 68 bits, for finite x > 0."""
    k, m = _split(x)
    f = m - 1.0
    d, d_low = _two_sum(f, splat(x, 2.0))
    inverse = 1.0 / d
    s = f * inverse
    p, e = _two_product(s, d)
    s_low = (((f - p) - e) - s * d_low) * inverse
    z, z_low = _product(s, s_low, s, s_low)
    # artanh(s) = s + s g, g = z (1/3 + z (1/5 + z tail)); 1/3 and 1/5 are pairs too.
    g, e = _fast_two_sum(splat(x, 0.2), z * _polynomial(z, LOG_TAIL))
    g, g_low = _product(z, z_low, g, e - 1.1102230246251566e-17)
    g, e = _fast_two_sum(splat(x, 0.3333333333333333), g)
    g, g_low = _product(z, z_low, g, e + (1.850371707708594e-17 + g_low))
    g, g_low = _product(s, s_low, g, g_low)
    y, e = _fast_two_sum(2.0 * s, 2.0 * g)
    low = e + 2.0 * (s_low + g_low)
    y, e = _fast_two_sum(k * LN2_HIGH, y)
    return _fast_two_sum(y, e + (low + k * LN2_LOW))


@elementary
def pow(x, y):
    """Return x^y; of a negative x only for integral y. pow(x, 0) = pow(1, y) = 1, also where the other is NaN."""
    a = fabs(x)
    t, t_low = _accurate_log(a)
    t = select(a == INF, INF, select(a == 0.0, -INF, t))
    p, e = _two_product(y, t)
    beyond = fabs(p) > 1100.0
    k, top, rest = _exp(p, select(beyond, 0.0, e + y * t_low))
    top, low = _fast_two_sum(splat(x, 1.0), top)
    result = _scale(top + (low + rest), k)
    half = 0.5 * y
    whole = y == round_even(y)
    result = select(whole & (half != round_even(half)), copysign(result, x), result)
    result = select((x < 0.0) & (a < INF) & (y != round_even(y)), np.nan, result)
    result = select(isnan(x), x, result)
    return select((y == 0.0) | (x == 1.0) | ((a == 1.0) & (fabs(y) == INF)), 1.0, result)


# Circular functions. x = n pi / 2 + r, |r| <= pi / 4 (and a hair), r as a pair to at least 70 bits: the float nearest
# to a multiple of pi / 2 is 2^-62 away from it.

TWO_OVER_PI = 0.6366197723675814
PI_OVER_2 = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
"""pi / 2 in four floats; the first three have 33 bits."""
PI_OVER_2_HIGH, PI_OVER_2_LOW = 1.5707963267948966, 6.123233995736766e-17
FAR = 1048576.0
"""Up to here n has 20 bits, and its products with 33 bits are exact."""

DIGIT = 24
_DIGITS = int(
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006492eea09d1921cfe1deb1c"
    "b129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f"
    "6d367ecf27cb09b74f463f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b",
    16,
)
DIGITS = np.array([float(_DIGITS >> (1200 - DIGIT * (j + 1)) & (2**DIGIT - 1)) for j in range(50)])
"""The first 1200 bits of 2 / pi after the point, in digits to the base 2^24."""

SIN = (
    0.00833333333333333,
    -0.00019841269841261113,
    2.755731921683638e-06,
    -2.5052105510790343e-08,
    1.605843441807102e-10,
    -7.581729534240005e-13,
)
"""(sin(r) - r + r^3 / 6) / r^5 in z = r^2 on [0, 0.6175]; weight z^2; error 2^-68.3."""

COS = (
    0.0416666666666666,
    -0.0013888888888874062,
    2.480158728944282e-05,
    -2.755731434070701e-07,
    2.0875721655790232e-09,
    -1.1359561907029821e-11,
)
"""(cos(r) - 1 + r^2 / 2) / r^4 in z = r^2 on [0, 0.6175]; weight z^2; error 2^-64.2."""


@helper
def _modulo_4(x):
    return x - 4.0 * round_even(0.25 * x)


@helper
def _reduce_far(x):
    """Return (n mod 4, r, low) of one float beyond FAR, after Payne and Hanek: x 2/pi modulo 4, digit by digit.

    Digits whose products with x are multiples of 4 are left out; ten more give 135 bits after the point. Each product
    has at most 51 bits, so it is exact, and so is its remainder modulo 4.
    """
    e = int(exponent(x))
    m = mantissa(x)
    top = high(m)
    bottom = m - top
    first = max(0, (e - 78) // DIGIT + 1)
    a = b = c = splat(x, 0.0)
    for j in range(first, first + 10):
        # 2^(e - 24 j - 24) is below 2^128, and above 2^-170, hence no overflow or underflow.
        unit = DIGITS[j] * pow2(splat(x, e - DIGIT * (j + 1)))
        for part in (top, bottom):
            a, lost = _two_sum(a, _modulo_4(part * unit))
            b, lost = _two_sum(b, lost)
            c = c + lost
    a, b = _fast_two_sum(a, b)
    n = round_even(a)
    a, lost = _two_sum(a - n, b)
    a, b = _fast_two_sum(a, lost + c)
    r, low = _product(a, b, splat(x, PI_OVER_2_HIGH), PI_OVER_2_LOW)
    r, low = _fast_two_sum(r, low)
    sign = copysign(splat(x, 1.0), x)
    return sign * n, sign * r, sign * low


@helper
def _reduce(x):
    """Return (n, r, low): x = n pi / 2 + r + low; n may be off by multiples of 4. NaN if x is not finite."""
    n = round_even(x * TWO_OVER_PI)
    # The sums that cancel are exact, by the 33 bits of the pieces.
    a, e = _two_sum(x - n * PI_OVER_2[0], -(n * PI_OVER_2[1]))
    a, lost = _two_sum(a, -(n * PI_OVER_2[2]))
    r, low = _fast_two_sum(a, (e + lost) - n * PI_OVER_2[3])
    if any_lane(fabs(x) > FAR):
        for i in range(width(x)):
            far = get_lane(x, i)
            if FAR < abs(far) < INF:
                one, two, three = _reduce_far(far)
                n, r, low = set_lane(n, i, one), set_lane(r, i, two), set_lane(low, i, three)
    return n, r, low


@helper
def _circle(x):
    """Return (t, s, s_low, c, c_low): sin(r) and cos(r) as pairs, and t = n/4 less an integer."""
    n, r, low = _reduce(x)
    z, z_low = _product(r, low, r, low)
    # sin(r) = r - r^3/6 + r^5 S(r^2), cos(r) = 1 - r^2/2 + r^4 C(r^2): the terms before the last as pairs.
    cube, cube_low = _product(z, z_low, r, low)
    s, e = _product(cube, cube_low, splat(x, -0.16666666666666666), -9.25185853854297e-18)
    s, s_low = _fast_two_sum(r, s)
    s, s_low = _fast_two_sum(s, s_low + (low + e + cube * z * _polynomial(z, SIN)))
    c, e = _fast_two_sum(splat(x, 1.0), -0.5 * z)
    c, c_low = _fast_two_sum(c, e + (z * z * _polynomial(z, COS) - 0.5 * z_low))
    t = 0.25 * n
    return t - round_even(t), s, s_low, c, c_low


@elementary
def sin(x):
    """Return the sine, of any float."""
    t, s, _, c, _ = _circle(x)
    y = select(fabs(t) == 0.25, c, s)
    y = select((t < 0.0) | (t == 0.5), -y, y)
    return select(fabs(x) < 3e-9, x, y)


@elementary
def cos(x):
    """Return the cosine, of any float."""
    t, s, _, c, _ = _circle(x)
    y = select(fabs(t) == 0.25, s, c)
    return select((t > 0.0) | (t == -0.5), -y, y)


@elementary
def tan(x):
    """Return the tangent, of any float."""
    t, s, s_low, c, c_low = _circle(x)
    odd = fabs(t) == 0.25
    a, a_low = select(odd, -c, s), select(odd, -c_low, s_low)
    b, b_low = select(odd, s, c), select(odd, s_low, c_low)
    return select(fabs(x) < 3e-9, x, _quotient(a, a_low, b, b_low))


# The error function.

ERF = (
    0.11283791670955061,
    -0.026866170645106754,
    0.005223977625079492,
    -0.0008548326994552579,
    0.00012055331574400875,
    -1.4925605652723862e-05,
    1.6461157272384364e-06,
    -1.635188631796863e-07,
    1.4669843925232155e-08,
    -1.141001719645494e-09,
    6.01741888173889e-11,
)
"""(erf(x) / x - 2/sqrt(pi) (1 - z/3)) / z^2 in z = x^2 on [0, 1]; weight z^2; error 2^-62.4."""

ERFC = (
    -0.4271858474139568,
    0.2416581942424688,
    -0.07897858101641564,
    0.0037328923985395657,
    0.0069974617856640555,
    -0.000847142590499308,
    -0.0009819764794714398,
    4.3536159605089403e-05,
    0.0001742884676318603,
    2.7623173819801823e-05,
    -2.6611506566398535e-05,
    -1.2644115815675065e-05,
)
"""(erfc(x) exp(x^2) - erfc(2) e^4) / t in t = (x - 2) / (x + 2), x in [1, 6]; weight t exp(-x^2); error 2^-60.7."""


@elementary
def erf(x):
    """Return the error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    a = fabs(x)
    a = select(a > 6.0, 6.0, a)
    z, lost = _two_product(a, a)
    # erf(x) / x - 1 to first order in x^2 as a pair: 2/sqrt(pi) - 1 and -2/sqrt(pi)/3 in two floats each.
    first, e = _product(z, lost, splat(x, -0.37612638903183754), 1.3391897206030649e-17)
    p, first = _two_sum(splat(x, 0.1283791670955126), first)
    p, e = _product(a, 0.0, p, first + e + z * z * _polynomial(z, ERF) - 1.2420116002463032e-17)
    near, p = _fast_two_sum(a, p)
    # 1 - exp(-x^2) (erfc(2) e^4 + ...), in pairs, since the product is as large as 0.16.
    k, top, rest = _exp(-z, -lost)
    y, low = _fast_two_sum(splat(x, 1.0), top)
    t = (a - 2.0) / (a + 2.0)
    q, q_low = _fast_two_sum(splat(x, 0.25539567631050575), t * _polynomial(t, ERFC))
    q, q_low = _product(y, low + rest, q, q_low)
    far, lost = _fast_two_sum(splat(x, 1.0), -pow2(k) * q)
    far = far + (lost - pow2(k) * q_low)
    return copysign(select(a < 1.0, near + (p + e), far), x)
