"""Real numbers, computed and drawn: a scenario means the same bits on every machine.

`pow`, `log` and `exp` of C libraries differ in the last bit between platforms. Here the definition is: the
float64 nearest to the real number. Decimal arithmetic, whose error is known, is refined until no doubt is
left (Ziv's test).
"""

from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

DIGITS = 30
_HALFWAY = 4000  # no transcendental number stays in doubt for so many digits: it is halfway (which has under 1100)
_GUARD = 4  # decimal digits given to the errors of a few dozen operations
_SIEVE = 10**7  # above this argument a table of prime factors costs more than it saves


def rounded(value: Callable[[Context], Decimal], first: Decimal | None = None) -> float:
    """Return the float64 nearest to the positive real that `value(context)` gives to the context's precision.

    `first` is an approximation already at hand, good to DIGITS digits. A real halfway between two float64
    goes to the even one.
    """
    digits = DIGITS
    while digits < _HALFWAY:
        context = Context(prec=digits)
        near = first if first is not None and digits == DIGITS else value(context)
        error = near.scaleb(_GUARD - digits, context)
        low, high = float(context.subtract(near, error)), float(context.add(near, error))
        if low == high:
            return low
        digits *= 2
    return float(Context(prec=_HALFWAY // 4).plus(near))


def line(low: float, high: float, at: Fraction) -> float:
    """Return low + at (high - low), correctly rounded."""
    return float(Fraction(low) + at * (Fraction(high) - Fraction(low)))


def curve(low: float, high: float, at: Fraction) -> float:
    """Return low (high / low)^at, correctly rounded."""

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


def powers(start: float, count: int, exponent: float) -> NDArray[np.float64]:
    """Return (start + k)**exponent for k = 0..count-1, correctly rounded, shape (count,).

    For an integral start only powers of primes are computed from scratch: n**a is completely multiplicative.

    >>> powers(1.0, 4, -0.5).tolist()
    [1.0, 0.7071067811865476, 0.5773502691896257, 0.5]
    """
    if not start.is_integer() or start + count > _SIEVE:
        return np.array([power(shifted(start, k), exponent) for k in range(count)], dtype=np.float64)
    context, a = Context(prec=DIGITS), Decimal(exponent)
    of_prime: dict[int, Decimal] = {}
    out = np.empty(count)
    for k, factors in enumerate(_factorised(int(start), count)):
        near = Decimal(1)
        for p in factors:
            if p not in of_prime:
                of_prime[p] = context.power(Decimal(p), a)
            near = context.multiply(near, of_prime[p])
        n = Decimal(int(start) + k)
        out[k] = rounded(lambda wider, n=n: wider.power(n, a), near)  # type: ignore[misc]
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


STREAMS = {"c": 1, "data": 2}
"""Purposes of the draws made while a scenario is read: the second word of the generator's key."""


def uniforms(seed: int, purpose: str, count: int) -> list[Fraction]:
    """Return `count` draws in [0, 1), multiples of 2^-53.

    Source: Philox4x64-10 (Salmon et al., SC 2011) with key (seed, purpose). NumPy keeps the raw stream of a
    bit generator the same in all versions, and promises no such thing of what its `Generator` makes of it.
    """
    bits = np.random.Philox(key=np.array([seed, STREAMS[purpose]], dtype=np.uint64))
    return [Fraction(int(word) >> 11, 2**53) for word in bits.random_raw(count)]
