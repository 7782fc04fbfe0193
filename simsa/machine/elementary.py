"""Elementary functions of floats in plain Python: the definition of what the kernels compute, bit for bit.

Each is a text over float64: + - * /, comparisons and operations on bits, each rounded as IEEE 754 says, so that results
depend on no machine and no mathematical library. A number of another format is widened, and the result rounded. Every
error is below one unit in the last place, but results are not always the nearest floats, so that their bits are defined
by this text. No code is shared with `simsa.kernels.functions`, which computes the same on lanes; tests compare the two.

Pairs. An error of one rounding must not be rounded again, so intermediate results that matter are unevaluated sums of
two floats, made by the error-free transformations of Knuth, Dekker and Veltkamp (Muller et al., Handbook of
Floating-Point Arithmetic, 2nd ed., ch. 4). No fused multiply-add.

Polynomials. The coefficients are minimax, by Remez' exchange algorithm in 200-bit arithmetic, in the error weight and
on the interval that each comment states; each comment also states the largest weighted error.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from struct import pack, unpack
from typing import Any

import numpy as np

from simsa.formats import Format

INF, NAN = math.inf, math.nan

Pair = tuple[float, float]
"""A number as the unevaluated sum of two floats."""


# Bits.


def _nearest(x: float) -> float:
    """Return the nearest integer, the even one of two, with the sign of x, for finite x."""
    return math.copysign(float(round(x)), x)


def _high(x: float) -> float:
    """Return x with the lower half of its significand cleared, so that a product of two such is exact."""
    (word,) = unpack("<q", pack("<d", x))
    (cleared,) = unpack("<d", pack("<q", word & -(1 << 27)))
    return float(cleared)


def _power_of_two(k: float) -> float:
    """Return 2^k for an integer k."""
    return math.ldexp(1.0, int(k))


def _parts(x: float) -> Pair:
    """Return (e, m): |x| = 2^e m with m in [1, 2), for finite x other than 0."""
    m, e = math.frexp(abs(x))
    return float(e - 1), 2.0 * m


# Error-free transformations.


def _fast_two_sum(a: float, b: float) -> Pair:
    """Return (s, e): s + e = a + b exactly, for |a| >= |b| or a = 0."""
    s = a + b
    return s, b - (s - a)


def _two_sum(a: float, b: float) -> Pair:
    """Return (s, e): s + e = a + b exactly."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _two_product(a: float, b: float) -> Pair:
    """Return (p, e): p + e = a b to at least 106 bits."""
    p = a * b
    a_high, b_high = _high(a), _high(b)
    a_low, b_low = a - a_high, b - b_high
    return p, (((a_high * b_high - p) + a_high * b_low) + a_low * b_high) + a_low * b_low


def _product(a: float, a_low: float, b: float, b_low: float) -> Pair:
    """Return the product of two pairs."""
    p, e = _two_product(a, b)
    return p, e + (a * b_low + a_low * b)


def _quotient(a: float, a_low: float, b: float, b_low: float) -> float:
    """Return (a + a_low) / (b + b_low), |a_low| and |b_low| below an ulp of a and b, with one rounding that matters."""
    inverse = 1.0 / b
    q = a * inverse
    p, e = _two_product(q, b)
    return q + (((a - p) - e) + (a_low - q * b_low)) * inverse


def _polynomial(x: float, c: Sequence[float]) -> float:
    """Return c[0] + c[1] x + ... + c[n-1] x^(n-1), as a Horner scheme in x^4 of cubics."""
    x2 = x * x
    x4 = x2 * x2
    last = len(c) - 1
    y = c[last]
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


def _reduced_exp(x: float, tail: float) -> tuple[float, float, float]:
    """Return (k, a, b): exp(x + tail) = 2^k (1 + a + b), |b| << |a| <= 0.35; x is kept within [-746, 710]."""
    x = max(-746.0, min(x, 710.0))
    k = _nearest(x * LOG2_E)
    a = x - k * LN2_HIGH
    low = k * LN2_LOW - tail
    r = a - low
    z = r * r
    return k, a, (0.5 * z + r * z * _polynomial(r, EXP)) - low


def _exp_pair(x: float) -> tuple[float, float, float]:
    """Return (k, y, low): exp(x) = 2^k (y + low), low below an ulp of y."""
    k, a, b = _reduced_exp(x, 0.0)
    y, e = _fast_two_sum(1.0, a)
    y, e = _fast_two_sum(y, e + b)
    return k, y, e


def _scale(y: float, k: float) -> float:
    """Return y 2^k for y near 1 and |k| < 1080, rounded once also where it is subnormal."""
    return y * _power_of_two(k + 64.0) * 2.0**-64 if k < 0.0 else y * _power_of_two(k - 2.0) * 4.0


def _exp(x: float) -> float:
    """Return e^x."""
    if x != x:
        return x
    k, y, _ = _exp_pair(x)
    return _scale(y, k)


def _expm1_pair(x: float) -> Pair:
    """Return (y, low): e^x - 1 = y + low; right for -40 <= x."""
    k, a, b = _reduced_exp(x, 0.0)
    # Everything is halved, so that 2^k does not overflow before the sum does.
    scale = _power_of_two(k - 1.0)
    whole, lost = _two_sum(scale, -0.5)
    y, e = _two_sum(whole, scale * a)
    y, e = _fast_two_sum(y, e + (lost + scale * b))
    return 2.0 * y, 2.0 * e


def _expm1(x: float) -> float:
    """Return e^x - 1, without cancellation near 0."""
    if x != x or abs(x) < 5e-17:
        return x
    return _expm1_pair(max(x, -40.0))[0]


def _tanh(x: float) -> float:
    """Return the hyperbolic tangent, (e^2x - 1) / (e^2x + 1)."""
    a = abs(x)
    if x != x or a < 3e-9:
        return x
    y, low = _expm1_pair(2.0 * min(a, 20.0))
    d, d_low = _two_sum(y, 2.0)
    return math.copysign(_quotient(y, low, d, d_low + low), x)


def _exp_negative(x: float) -> tuple[float, float, float]:
    """Return (whole, y, low) for x <= 0: e^x rounded, and e^x = y + low where x > -50."""
    k, y, low = _exp_pair(x)
    scale = _power_of_two(max(k, -80.0))
    return _scale(y, k), scale * y, scale * low


def _sigmoid(x: float) -> float:
    """Return the logistic function, 1 / (1 + e^-x)."""
    if x != x:
        return x
    whole, y, low = _exp_negative(-abs(x))
    if x < -40.0:
        return whole
    d, d_low = _fast_two_sum(1.0, y)
    return _quotient(y, low, d, d_low + low) if x < 0.0 else _quotient(1.0, 0.0, d, d_low + low)


# Logarithms. x = 2^k (1 + f), sqrt(1/2) < 1 + f < sqrt(2); s = f / (2 + f); log(1 + f) = 2 artanh(s).

SQRT_2 = 1.4142135623730951

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


def _split(x: float) -> Pair:
    """Return (k, m): x = 2^k m, sqrt(1/2) < m <= sqrt(2), for finite x > 0."""
    k, m = _parts(x)
    return (k + 1.0, m * 0.5) if m > SQRT_2 else (k, m)


def _log_pair(k: float, f: float, f_low: float) -> Pair:
    """Return (y, low): k log 2 + log(1 + f + f_low) = y + low, |low| < |y| / 10."""
    s = f / (2.0 + f)
    z = s * s
    # log(1 + f) = f - f^2/2 + s (f^2/2 + R)
    square = 0.5 * f * f
    a, e = _fast_two_sum(f, -square)
    rest = s * (square + z * _polynomial(z, LOG)) + (f_low - f * f_low)
    y, lost = _fast_two_sum(k * LN2_HIGH, a)
    return y, (e + lost) + (rest + k * LN2_LOW)


def _log(x: float) -> float:
    """Return the natural logarithm; -inf at 0, NaN below."""
    if not 0.0 < x < INF:
        return -INF if x == 0.0 else INF if x == INF else NAN
    k, m = _split(x)
    y, low = _log_pair(k, m - 1.0, 0.0)
    return y + low


def _log1p(x: float) -> float:
    """Return log(1 + x), without cancellation near 0; -inf at -1, NaN below."""
    if abs(x) < 5e-17:
        return x
    if not -1.0 < x < INF:
        return -INF if x == -1.0 else INF if x == INF else NAN
    u, lost = _two_sum(x, 1.0)
    k, m = _split(u)
    f, f_low = _fast_two_sum(m - 1.0, 0.0 if k > 64.0 else lost * _power_of_two(-k))
    y, low = _log_pair(k, f, f_low)
    return y + low


def _softplus(x: float) -> float:
    """Return log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    if x != x or x > 40.0:
        return x
    whole, y, low = _exp_negative(-abs(x))
    if x < -40.0:
        return whole
    u, lost = _fast_two_sum(1.0, y)
    k, half = (1.0, 0.5) if u > SQRT_2 else (0.0, 1.0)
    f, f_low = _fast_two_sum(u * half - 1.0, lost * half)
    y, low = _log_pair(k, f, f_low + low * half)
    y, e = _two_sum(x if x > 0.0 else 0.0, y)
    return y + (e + low)


def _log0(x: float, y: float) -> float:
    """Return log(x), but 0 at x = 0 for y >= 0, where x^y has no slope in y."""
    return 0.0 if x == 0.0 and y >= 0.0 else _log(x)


# Powers: the logarithm to 68 bits, times y, into the exponential.


def _accurate_log(x: float) -> Pair:
    """Return (y, low): log(x) = y + low to 68 bits, for finite x > 0."""
    k, m = _split(x)
    f = m - 1.0
    d, d_low = _two_sum(f, 2.0)
    inverse = 1.0 / d
    s = f * inverse
    p, e = _two_product(s, d)
    s_low = (((f - p) - e) - s * d_low) * inverse
    z, z_low = _product(s, s_low, s, s_low)
    # artanh(s) = s + s g, g = z (1/3 + z (1/5 + z tail)); 1/3 and 1/5 are pairs too.
    g, e = _fast_two_sum(0.2, z * _polynomial(z, LOG_TAIL))
    g, g_low = _product(z, z_low, g, e - 1.1102230246251566e-17)
    g, e = _fast_two_sum(0.3333333333333333, g)
    g, g_low = _product(z, z_low, g, e + (1.850371707708594e-17 + g_low))
    g, g_low = _product(s, s_low, g, g_low)
    y, e = _fast_two_sum(2.0 * s, 2.0 * g)
    low = e + 2.0 * (s_low + g_low)
    y, e = _fast_two_sum(k * LN2_HIGH, y)
    return _fast_two_sum(y, e + (low + k * LN2_LOW))


def _pow(x: float, y: float) -> float:
    """Return x^y; of a negative x only for integral y. pow(x, 0) = pow(1, y) = 1, also where the other is NaN."""
    a = abs(x)
    if y == 0.0 or x == 1.0 or (a == 1.0 and abs(y) == INF):
        return 1.0
    if x != x or y != y:
        return NAN
    whole = abs(y) == INF or y == _nearest(y)
    if -INF < x < 0.0 and not whole:
        return NAN
    t, t_low = (INF, 0.0) if a == INF else (-INF, 0.0) if a == 0.0 else _accurate_log(a)
    p, e = _two_product(y, t)
    k, top, rest = _reduced_exp(p, 0.0 if abs(p) > 1100.0 else e + y * t_low)
    top, low = _fast_two_sum(1.0, top)
    result = _scale(top + (low + rest), k)
    half = 0.5 * y
    return math.copysign(result, x) if whole and abs(y) < INF and half != _nearest(half) else result


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
DIGITS = [float(_DIGITS >> (1200 - DIGIT * (j + 1)) & (2**DIGIT - 1)) for j in range(50)]
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


def _modulo_4(x: float) -> float:
    return x - 4.0 * _nearest(0.25 * x)


def _reduce_far(x: float) -> tuple[float, float, float]:
    """Return (n mod 4, r, low) of a float beyond FAR, after Payne and Hanek: x 2/pi modulo 4, digit by digit.

    Digits whose products with x are multiples of 4 are left out; ten more give 135 bits after the point. Each product
    has at most 51 bits, so it is exact, and so is its remainder modulo 4.
    """
    e, m = _parts(x)
    top = _high(m)
    bottom = m - top
    first = max(0, (int(e) - 78) // DIGIT + 1)
    a = b = c = 0.0
    for j in range(first, first + 10):
        # 2^(e - 24 j - 24) is below 2^128, and above 2^-170, hence no overflow or underflow.
        unit = DIGITS[j] * _power_of_two(e - DIGIT * (j + 1))
        for part in (top, bottom):
            a, lost = _two_sum(a, _modulo_4(part * unit))
            b, lost = _two_sum(b, lost)
            c = c + lost
    a, b = _fast_two_sum(a, b)
    n = _nearest(a)
    a, lost = _two_sum(a - n, b)
    a, b = _fast_two_sum(a, lost + c)
    r, low = _product(a, b, PI_OVER_2_HIGH, PI_OVER_2_LOW)
    r, low = _fast_two_sum(r, low)
    sign = math.copysign(1.0, x)
    return sign * n, sign * r, sign * low


def _reduce(x: float) -> tuple[float, float, float]:
    """Return (n, r, low): x = n pi / 2 + r + low, for finite x; n may be off by multiples of 4."""
    if abs(x) > FAR:
        return _reduce_far(x)
    n = _nearest(x * TWO_OVER_PI)
    # The sums that cancel are exact, by the 33 bits of the pieces.
    a, e = _two_sum(x - n * PI_OVER_2[0], -(n * PI_OVER_2[1]))
    a, lost = _two_sum(a, -(n * PI_OVER_2[2]))
    r, low = _fast_two_sum(a, (e + lost) - n * PI_OVER_2[3])
    return n, r, low


def _circle(x: float) -> tuple[float, float, float, float, float]:
    """Return (t, s, s_low, c, c_low): sin(r) and cos(r) as pairs, and t = n/4 less an integer."""
    n, r, low = _reduce(x)
    z, z_low = _product(r, low, r, low)
    # sin(r) = r - r^3/6 + r^5 S(r^2), cos(r) = 1 - r^2/2 + r^4 C(r^2): the terms before the last as pairs.
    cube, cube_low = _product(z, z_low, r, low)
    s, e = _product(cube, cube_low, -0.16666666666666666, -9.25185853854297e-18)
    s, s_low = _fast_two_sum(r, s)
    s, s_low = _fast_two_sum(s, s_low + (low + e + cube * z * _polynomial(z, SIN)))
    c, e = _fast_two_sum(1.0, -0.5 * z)
    c, c_low = _fast_two_sum(c, e + (z * z * _polynomial(z, COS) - 0.5 * z_low))
    t = 0.25 * n
    return t - _nearest(t), s, s_low, c, c_low


def _sin(x: float) -> float:
    """Return the sine, of any float."""
    if abs(x) < 3e-9:
        return x
    if not abs(x) < INF:
        return NAN
    t, s, _, c, _ = _circle(x)
    y = c if abs(t) == 0.25 else s
    return -y if t < 0.0 or t == 0.5 else y


def _cos(x: float) -> float:
    """Return the cosine, of any float."""
    if not abs(x) < INF:
        return NAN
    t, s, _, c, _ = _circle(x)
    y = s if abs(t) == 0.25 else c
    return -y if t > 0.0 or t == -0.5 else y


def _tan(x: float) -> float:
    """Return the tangent, of any float."""
    if abs(x) < 3e-9:
        return x
    if not abs(x) < INF:
        return NAN
    t, s, s_low, c, c_low = _circle(x)
    return _quotient(-c, -c_low, s, s_low) if abs(t) == 0.25 else _quotient(s, s_low, c, c_low)


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


def _erf(x: float) -> float:
    """Return the error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    if x != x:
        return x
    a = min(abs(x), 6.0)
    z, lost = _two_product(a, a)
    if a < 1.0:
        # erf(x) / x - 1 to first order in x^2 as a pair: 2/sqrt(pi) - 1 and -2/sqrt(pi)/3 in two floats each.
        first, e = _product(z, lost, -0.37612638903183754, 1.3391897206030649e-17)
        p, first = _two_sum(0.1283791670955126, first)
        p, e = _product(a, 0.0, p, first + e + z * z * _polynomial(z, ERF) - 1.2420116002463032e-17)
        near, p = _fast_two_sum(a, p)
        return math.copysign(near + (p + e), x)
    # 1 - exp(-x^2) (erfc(2) e^4 + ...), in pairs, since the product is as large as 0.16.
    k, top, rest = _reduced_exp(-z, -lost)
    y, low = _fast_two_sum(1.0, top)
    t = (a - 2.0) / (a + 2.0)
    q, q_low = _fast_two_sum(0.25539567631050575, t * _polynomial(t, ERFC))
    q, q_low = _product(y, low + rest, q, q_low)
    scale = _power_of_two(k)
    far, lost = _fast_two_sum(1.0, -scale * q)
    return math.copysign(far + (lost - scale * q_low), x)


# Numbers of a format.

TEXTS: Mapping[str, Callable[..., float]] = {
    text.__name__.removeprefix("_"): text
    for text in (_exp, _expm1, _log, _log0, _log1p, _sin, _cos, _tan, _tanh, _sigmoid, _softplus, _pow, _erf)
}
"""The texts over float64, by the names that they have in the table of primitives."""


def functions(row: Format, number: Callable[[float], Any]) -> Mapping[str, Callable[..., Any]]:
    """Return the functions that the texts of the table may call, by name, for the numbers of a format.

    row: the format. number: the function that turns a float into one of its numbers. Each function is computed in
    float64 and rounded once, but for the Euclidean norm, which is computed in the format.
    """

    def of_format(text: Callable[..., Any]) -> Callable[..., Any]:
        def function(*x: Any) -> Any:
            with np.errstate(all="ignore"):
                return number(text(*map(float, x)))

        return function

    def norm(x: Sequence[Any]) -> Any:
        """Return the Euclidean norm, scaled by `halves`, summed from left to right: 0 only if all are 0."""
        largest = abs(x[0])
        for v in x[1:]:
            largest = abs(v) if abs(v) > largest else largest
        down, up = map(number, halves(float(largest), row))
        scaled = [v * down * down for v in x]
        squares = [v * v for v in scaled]
        total = squares[0]
        for square in squares[1:]:
            total = total + square
        return found["sqrt"](total) * up * up

    plain: dict[str, Callable[..., Any]] = {"sqrt": np.sqrt, "floor": np.floor, "round_even": np.rint, **TEXTS}
    found = {**{name: of_format(text) for name, text in plain.items()}, "norm": norm}
    return found


def halves(largest: float, row: Format) -> tuple[float, float]:
    """Return powers of two (h, 1 / h) with largest h h in [1/4, 4), or above 2^-60 if it is subnormal or 0.

    largest: a number of the format, at least 0. row: the format. Numbers of at most this size, times h h, have squares
    that do not overflow, and that underflow only if they are negligible in the sum of squares. The scaling rounds
    nothing. The exponent of a subnormal number is taken to be emin - 1, that of an infinity or NaN emax + 1.
    """
    if not largest < INF:
        e = float(row.emax + 1)
    else:
        e = float(row.emin - 1) if largest < 2.0**row.emin else _parts(largest)[0]
    k = _nearest(0.5 * e)
    return _power_of_two(-k), _power_of_two(k)
