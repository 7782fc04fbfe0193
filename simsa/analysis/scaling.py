"""Estimate the codimension of what runs approach: how the probability of a small margin falls with the margin."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.analysis.intervals import LEVEL
from simsa.formats import FLOAT64, recorded

SHARE, MOST, LEAST = 2.5, 200, 40
"""The slope is fitted to the smallest sqrt(SHARE n) of n margins, which must be at least LEAST and are at most MOST.
The more margins there are, the smaller is the share that is fitted, because the law is a power law only near 0."""

WINDOWS = (1, 2, 4, 8)
"""The interval is the hull of the intervals from the fitted margins, and from the smallest half, quarter and eighth."""

DECADE = 10.0
"""The smallest margin must be at most the largest fitted one divided by this; otherwise nothing was approached."""

SPACINGS = 64
"""Margins up to so many units of rounding (of numbers near 1) depend on the rounding, and are not fitted."""

LEAST_RANGE = 4.0
"""Least value of slope times log(epsilon_high/epsilon_low): then at most e^-4 of the margins are below the range."""

CRITICAL = 1.062
"""A power law is rejected if Anderson and Darling's statistic is above this: a true one is, with probability 10 %.
For an exponential law of unknown mean; D'Agostino and Stephens, Goodness-of-Fit Techniques (1986), Table 4.14."""

POINTS = 60
"""Most points of the empirical curve, at equal ratios of the number of trajectories."""


@dataclass(frozen=True)
class Slope:
    """The exponent d of P(0 < min |guard| <= eps) ~ eps^d as eps falls to 0, with its interval.

    slope, low, high: d and the interval, at `level`, found by `method`; None if there is no fit, and then `why` has the
    reason. epsilon_low, epsilon_high: the range of the fit. used: the number of margins in it. zeros: trajectories
    whose margin was exactly 0, which are not fitted: a positive share of them means codimension 0, whatever the slope
    of the others. smallest: the smallest positive margin; None if there is none.
    """

    slope: float | None
    low: float | None
    high: float | None
    level: float
    method: str
    why: str
    epsilon_low: float
    epsilon_high: float
    used: int
    zeros: int
    smallest: float | None


def codimension(margins: ArrayLike, precision: str = FLOAT64.name, level: float = LEVEL) -> Slope:
    """Return the slope of log P(0 < margin <= eps) against log eps as eps falls to 0, where the tail is a power law.

    margins: the smallest |guard| of each trajectory, >= 0; inf and nan are left out. precision: of the cell. level:
    confidence of the interval, in (0, 1). Given that a margin is in
    (epsilon_low, epsilon_high], u = log(epsilon_high/margin) has under a power law the density proportional to
    exp(-d u) on [0, log(epsilon_high/epsilon_low)); without the lower end its maximum-likelihood estimate is Hill's.
    epsilon_high is the smallest margin above the fitted ones; epsilon_low is SPACINGS units of rounding.

    There is a fit only if the test of Anderson and Darling for that density does not reject it, and if the smallest
    margin is at most epsilon_high / DECADE. The statistic of the test is independent of the estimate (Basu), so the
    test does not bias it. A gap below which there are no margins fails both, given enough trajectories, and so does a
    law whose slope changes much over the range. For smaller changes the interval is widened: it is the hull of the
    likelihood-ratio intervals from the fitted margins and from the smallest half, quarter and eighth of them (WINDOWS),
    and no more than MOST margins are used, so that it is never narrow. Trajectories are independent, so margins are;
    steps of one trajectory need not be. Source: Hill, Annals of Statistics 3 (1975). Raises SimsaError for an unknown
    precision.

    >>> rng = np.random.default_rng(0)
    >>> found = codimension(rng.random(20000) ** 0.5)  # P(margin <= eps) = eps^2
    >>> found.low < 2 < found.high
    True
    >>> codimension(1 + rng.random(20000)).why
    'not approached: the smallest margin is 1'
    """
    every = np.asarray(margins, np.float64)
    zeros = int(np.count_nonzero(every == 0))
    positive = np.sort(every[np.isfinite(every) & (every > 0)])
    floor = SPACINGS * recorded(precision).unit
    above = positive[positive > floor]
    wanted = min(int((SHARE * above.size) ** 0.5), MOST)
    end = float(above[wanted]) if above.size > wanted else floor
    smallest = float(positive[0]) if positive.size else None

    def refused(why: str) -> Slope:
        return Slope(None, None, None, level, "none", why, floor, end, 0, zeros, smallest)

    if smallest is None:
        return refused("no margin is positive and finite")
    if wanted < LEAST:
        return refused(
            f"{above.size} margins above the rounding of {precision} are too few to fit: "
            f"{LEAST**2 / SHARE:.0f} are needed"
        )
    if above[0] * DECADE > end:
        return refused(f"not approached: the smallest margin is {smallest:.3g}")
    u, width = np.log(end / above[:wanted]), float(np.log(end / floor))
    slope, _, _ = _truncated_exponential(u, width, level)
    if slope * width < LEAST_RANGE:
        return refused(f"the range from {floor:.2g} to {end:.2g} is too close to the rounding of {precision}")
    if _misfit(u, slope, width) > CRITICAL:
        return refused(f"no power law from {above[0]:.2g} to {end:.2g}: the slope changes there")
    found = []
    for part in WINDOWS:
        k = wanted // part
        edge = float(above[k])
        found.append(_truncated_exponential(np.log(edge / above[:k]), float(np.log(edge / floor)), level))
    low, high = max(min(one[1] for one in found), 0.0), max(one[2] for one in found)
    method = "maximum likelihood of a power law; hull of the likelihood-ratio intervals of four ranges"
    return Slope(slope, low, high, level, method, "", floor, end, wanted, zeros, smallest)


def _misfit(u: NDArray[np.float64], slope: float, width: float) -> float:
    """Return Anderson and Darling's statistic of descending u for the density ~ exp(-slope u) on [0, width)."""
    n = u.size
    below = -np.expm1(-slope * u[::-1]) / -np.expm1(-slope * width)
    below = np.clip(below, 1e-300, 1 - 2.0**-53)
    odd = 2 * np.arange(1, n + 1) - 1
    squared = -n - float(np.sum(odd * (np.log(below) + np.log1p(-below[::-1])))) / n
    return squared * (1 + 0.6 / n)


def margin_curve(margins: ArrayLike) -> dict[str, list[float]]:
    """Return how many margins are at most epsilon: lists `epsilon`, increasing, and `trajectories`, the counts.

    At most POINTS steps of this curve are returned. Both lists are empty if no margin is finite; inf and nan are never
    counted.

    >>> margin_curve([0.0, 0.0, 0.5, np.inf])
    {'epsilon': [0.0, 0.5], 'trajectories': [2, 3]}
    """
    found = np.asarray(margins, np.float64)
    found = np.sort(found[np.isfinite(found)])
    positive = found[found > 0]
    ranks = np.unique(np.geomspace(1, max(positive.size, 1), POINTS).astype(np.int64)) - 1
    epsilon = np.unique(np.concatenate([found[:1], positive[ranks] if positive.size else positive]))
    counts = np.searchsorted(found, epsilon, side="right")
    return {"epsilon": epsilon.tolist(), "trajectories": counts.tolist()}


def _truncated_exponential(u: np.ndarray, width: float, level: float) -> tuple[float, float, float]:
    """Return the rate d of the density ~ exp(-d u) on [0, width), with the ends of its likelihood-ratio interval."""
    from scipy.special import chdtri

    mean, n = float(u.mean()), u.size

    def log_likelihood(d: float) -> float:
        """Per observation: -d u - log of the integral of exp(-d u)."""
        t = d * width
        if abs(t) < 1e-8:
            return -d * mean - float(np.log(width)) + t / 2
        # the integral is width (1 - e^-t) / t; for t < 0 the factor e^-t is taken out
        return -d * mean - float(np.log(width) + np.log(-np.expm1(-abs(t)) / abs(t)) + max(-t, 0.0))

    def score(d: float) -> float:
        t = d * width
        expected = width / 2 - t * width / 12 if abs(t) < 1e-5 else 1 / d - width / float(np.expm1(min(t, 700.0)))
        return expected - mean

    # The score falls from width - mean to -mean; the bracket is widened until the score changes sign in it.
    reach = 1.0 / mean
    while score(reach) > 0:
        reach *= 2
    back = -1.0 / (width - mean) if mean < width else -1.0
    while score(back) < 0:
        back *= 2
    d = _root(score, back, reach)
    allowed = float(chdtri(1, 1 - level)) / (2 * n)
    top = log_likelihood(d)

    def drop(rate: float) -> float:
        return top - log_likelihood(rate) - allowed

    span = max(abs(d), 1.0 / width)
    below, above = d - span, d + span
    while drop(below) < 0:
        below -= span
    while drop(above) < 0:
        above += span
    return d, _root(drop, below, d), _root(drop, d, above)


def _root(f: Callable[[float], float], a: float, b: float) -> float:
    """Return where f changes sign between a and b, by bisection."""
    sign = f(a) < 0
    for _ in range(60):
        middle = 0.5 * (a + b)
        a, b = (middle, b) if (f(middle) < 0) == sign else (a, middle)
    return 0.5 * (a + b)
