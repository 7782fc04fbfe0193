"""How the probability of coming near a tie falls with the distance: the codimension of what is approached."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simsa.analysis.intervals import LEVEL

SHARE, MOST, LEAST = 0.05, 1000, 10
"""The slope is fitted to the nearest twentieth of the trajectories, at most so many and at least so many. Over that
range F = 1 - exp(-a eps), the law of a minimum over many steps, has a mean slope of 0.99: less bias than noise."""

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24}
"""Unit roundoffs; formats that are not named are taken as float64."""

POINTS = 60
"""Most points of the empirical curve, at equal ratios of the number of trajectories."""

SPACINGS = 64
"""Margins below so many units of rounding (of numbers near 1) are grains of the format, and are not fitted."""


@dataclass(frozen=True)
class Slope:
    """The exponent d of P(min |guard| <= eps) ~ eps^d, None if too few came near; with its interval.

    epsilon_low, epsilon_high: the range of the fit. used: margins in it. zeros: trajectories whose margin was exactly
    0, which are no part of it: a positive share of them means codimension 0, whatever the slope of the rest.
    """

    slope: float | None
    low: float | None
    high: float | None
    level: float
    method: str
    epsilon_low: float
    epsilon_high: float
    used: int
    zeros: int


def codimension(margins: ArrayLike, precision: str = "float64", level: float = LEVEL) -> Slope:
    """Return the slope of log P(margin <= eps) against log eps as eps falls to 0.

    margins: the smallest |guard| of each trajectory, >= 0; inf and nan count as never near. Maximum likelihood given
    that a margin is in (epsilon_low, epsilon_high]: then u = log(epsilon_high/margin) has the density proportional to
    exp(-d u) on [0, log(epsilon_high/epsilon_low)), an exponential family; without the lower end it is Hill's
    estimator. epsilon_high is the smallest margin outside of the nearest SHARE of the trajectories; epsilon_low is
    SPACINGS units of rounding. The interval is that of the likelihood ratio, whose level is asymptotic. Trajectories
    are independent, so margins are; steps of one trajectory need not be. Source: Hill, Annals of Statistics 3 (1975).

    >>> rng = np.random.default_rng(0)
    >>> found = codimension(rng.random(20000) ** 0.5)  # P(margin <= eps) = eps^2
    >>> found.low < 2 < found.high
    True
    """
    all_margins = np.asarray(margins, np.float64)
    all_margins = all_margins[~np.isnan(all_margins)]
    zeros = int(np.count_nonzero(all_margins == 0))
    floor = SPACINGS * UNIT.get(precision, UNIT["float64"])
    near = np.sort(all_margins[all_margins > floor])
    near = near[np.isfinite(near)]
    wanted = min(max(int(SHARE * all_margins.size), LEAST), MOST)
    method = "maximum likelihood given epsilon_low < margin <= epsilon_high, likelihood-ratio interval"
    if near.size <= wanted or near[wanted] <= near[0]:
        return Slope(None, None, None, level, f"fewer than {LEAST} margins to fit", floor, floor, 0, zeros)
    end = float(near[wanted])
    fitted = near[:wanted]
    slope, low, high = _truncated_exponential(np.log(end / fitted), float(np.log(end / floor)), level)
    return Slope(slope, low, high, level, method, floor, end, int(wanted), zeros)


def nearness(margins: ArrayLike) -> dict[str, list[float]]:
    """Return the empirical curve of eps -> margins <= eps: `epsilon`, increasing, and `trajectories`, counts.

    At most POINTS of its steps; both lists are empty if no margin is finite. inf and nan count as never near.

    >>> nearness([0.0, 0.0, 0.5, np.inf])
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

    # The score falls from width - mean to -mean: widen until it changes sign.
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
