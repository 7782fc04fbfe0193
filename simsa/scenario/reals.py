"""Correctly rounded functions and reproducible draws, so that a scenario gives the same bits on every machine.

The functions `pow`, `log` and `exp` of C libraries differ in the last bit between platforms. Here each result is the
float64 nearest to the real number. It is computed in decimal arithmetic with a known error bound, whose precision is
doubled until both ends of the error interval round to the same float64 (Ziv's test).
"""

from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

DIGITS = 30
_HALFWAY = 4000  # a number undecided after so many digits is halfway between two float64, which takes under 1100 digits
_GUARD = 4  # the decimal digits that cover the errors of a few dozen operations
_SIEVE = 10**7  # above this argument a table of prime factors costs more than it saves


def rounded(value: Callable[[Context], Decimal], first: Decimal | None = None) -> float:
    """Return the float64 nearest to a positive real number; a number halfway between two goes to the even one.

    value: returns the number to the precision of a context. first: the number to DIGITS digits, if it is known.
    """
    digits = DIGITS
    while digits < _HALFWAY:
        context = Context(prec=digits)
        approximation = first if first is not None and digits == DIGITS else value(context)
        error = approximation.scaleb(_GUARD - digits, context)
        low, high = float(context.subtract(approximation, error)), float(context.add(approximation, error))
        if low == high:
            return low
        digits *= 2
    return float(Context(prec=_HALFWAY // 4).plus(approximation))


def linear(low: float, high: float, at: Fraction) -> float:
    """Return low + at (high - low), correctly rounded. low, high: the ends. at: in [0, 1]."""
    return float(Fraction(low) + at * (Fraction(high) - Fraction(low)))


def geometric(low: float, high: float, at: Fraction) -> float:
    """Return low (high / low)^at, correctly rounded. low, high: the ends, above 0. at: in [0, 1]."""

    def value(context: Context) -> Decimal:
        a, b = context.ln(Decimal(low)), context.ln(Decimal(high))
        share = context.divide(Decimal(at.numerator), Decimal(at.denominator))
        return context.exp(context.add(a, context.multiply(share, context.subtract(b, a))))

    return {0: low, 1: high}[int(at)] if at in (0, 1) else rounded(value)


def shifted(start: float, k: int) -> Decimal:
    """Return start + k without rounding; no float64 has more than 1100 digits."""
    return Context(prec=1100).add(Decimal(start), k)


def power(x: Decimal, exponent: float) -> float:
    """Return x**exponent, correctly rounded, for x > 0."""
    return rounded(lambda context: context.power(x, Decimal(exponent)))


def integer_power(base: Fraction, n: int) -> float:
    """Return base**n, correctly rounded. base: above 0. n: at least 0."""

    def value(context: Context) -> Decimal:
        wider = Context(prec=context.prec + len(str(n)))
        return wider.power(wider.divide(Decimal(base.numerator), Decimal(base.denominator)), n)

    return rounded(value) if n else 1.0


def squared_cosines(count: int, low: float) -> NDArray[np.float64]:
    """Return low + (1 - low) cos(t_k)^2 for t_k = pi k / (2 count), k < count, correctly rounded, shape (count,).

    count: how many. low: at least 0 and below 1. The cosines to DIGITS digits are those of sums of angles.
    """
    bottom = Decimal(low)

    def mixed(square: Decimal, context: Context) -> Decimal:
        return context.add(bottom, context.multiply(context.subtract(1, bottom), square))

    def value(k: int, context: Context) -> Decimal:
        wider = _wider(context)
        cosine = _cosine_sine(wider.divide(wider.multiply(_pi(wider), k), 2 * count), wider)[0]
        return mixed(wider.multiply(cosine, cosine), wider)

    wider = _wider(Context(prec=DIGITS))
    c, s = _cosine_sine(wider.divide(_pi(wider), 2 * count), wider)
    x, y, out = Decimal(1), Decimal(0), np.empty(count)
    for k in range(count):
        first = mixed(wider.multiply(x, x), wider)
        out[k] = rounded(lambda context, k=k: value(k, context), first)  # type: ignore[misc]
        x, y = (
            wider.subtract(wider.multiply(x, c), wider.multiply(y, s)),
            wider.add(wider.multiply(y, c), wider.multiply(x, s)),
        )
    return out


def _wider(context: Context) -> Context:
    """Return a context with digits to spare for cosines near 0, and for sums of up to 10^9 rounding errors."""
    return Context(prec=context.prec + 30)


def _pi(context: Context) -> Decimal:
    """Return pi = 16 arctan(1/5) - 4 arctan(1/239) (Machin), to about the precision of a context."""
    scale = 10 ** (context.prec + 5)

    def arctangent(n: int) -> int:
        term, total, k = scale // n, 0, 0
        while term:
            total += (-1) ** k * (term // (2 * k + 1))
            term //= n * n
            k += 1
        return total

    return context.divide(Decimal(16 * arctangent(5) - 4 * arctangent(239)), Decimal(scale))


def _cosine_sine(x: Decimal, context: Context) -> tuple[Decimal, Decimal]:
    """Return the cosine and the sine of 0 <= x < pi / 2, with an error of about 10^(1 - precision)."""
    sums, term, n = [Decimal(0), Decimal(0)], Decimal(1), 0
    while term and context.add(1, abs(term)) != 1:
        sums[n % 2] = context.add(sums[n % 2], term if n % 4 < 2 else -term)
        n += 1
        term = context.divide(context.multiply(term, x), n)
    return sums[0], sums[1]


def powers(start: float, count: int, exponent: float) -> NDArray[np.float64]:
    """Return (start + k)**exponent for k = 0, ..., count - 1, correctly rounded, shape (count,).

    start: above 0. count: how many powers. exponent: any finite number. If start is an integer, only powers of primes
    are computed, and other powers are products of these, since n**a is completely multiplicative.

    >>> powers(1.0, 4, -0.5).tolist()
    [1.0, 0.7071067811865476, 0.5773502691896257, 0.5]
    """
    if not start.is_integer() or start + count > _SIEVE:
        return np.array([power(shifted(start, k), exponent) for k in range(count)], dtype=np.float64)
    context, a = Context(prec=DIGITS), Decimal(exponent)
    of_prime: dict[int, Decimal] = {}
    out = np.empty(count)
    for k, factors in enumerate(_factorised(int(start), count)):
        approximation = Decimal(1)
        for p in factors:
            if p not in of_prime:
                of_prime[p] = context.power(Decimal(p), a)
            approximation = context.multiply(approximation, of_prime[p])
        n = Decimal(int(start) + k)
        out[k] = rounded(lambda wider, n=n: wider.power(n, a), approximation)  # type: ignore[misc]
    return out


def _factorised(start: int, count: int) -> Iterator[list[int]]:
    """Yield the prime factors, with multiplicity, of start, start + 1, ..."""
    smallest = np.arange(start + count, dtype=np.int64)
    for p in range(2, int((start + count) ** 0.5) + 1):
        if smallest[p] == p:
            multiples = smallest[p * p :: p]
            multiples[multiples == np.arange(p * p, start + count, p)] = p
    for n in range(start, start + count):
        factors = []
        while n > 1:
            factors.append(int(smallest[n]))
            n //= factors[-1]
        yield factors


PURPOSES = {"c": 1, "data": 2}
"""The draws that are made while a scenario is read, each with the second word of the generator's key."""


def uniforms(seed: int, purpose: str, count: int) -> list[Fraction]:
    """Return draws that are uniform on the multiples of 2^-53 in [0, 1).

    seed: in [0, 2^64). purpose: a key of PURPOSES. count: how many. The generator is Philox4x64-10 (Salmon et al., SC
    2011) with the key (seed, purpose). NumPy guarantees the raw output of a bit generator for all versions, but not the
    output of `Generator`, which is therefore not used.
    """
    bits = np.random.Philox(key=np.array([seed, PURPOSES[purpose]], dtype=np.uint64))
    return [Fraction(int(word) >> 11, 2**53) for word in bits.random_raw(count)]
