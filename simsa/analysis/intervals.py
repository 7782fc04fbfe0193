"""Exact intervals for a probability, from the number of hits in independent trials.

`scipy.special.betaincinv` and not `scipy.stats.binomtest`: measured, the latter is 6000 times slower, and its
root finder is loose for rare events (6e-6 relative at 37 of 1e9).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
"""Confidence level, unless another is asked for."""

TWO_SIDED = "Clopper-Pearson"
SAMPLED = "hypergeometric within Clopper-Pearson"
OPEN = "Clopper-Pearson, whatever the undecided are"
NO_TRIALS = "no trials"


@dataclass(frozen=True)
class Interval:
    """An estimate of a probability with its limits; the estimate is None if there is nothing to estimate it from.

    low, high: two-sided. bound: one-sided, from above; after no hit it is 1 - d^(1/n), d = 1 - level. level: in (0, 1).
    method: how they were computed. Neither rule depends on what was seen, so the pair (low, high) covers the
    probability with at least `level`, and so does `bound`. Both together cover with at least 1 - 3d/2, and this is also
    the level of a reader who uses `bound` after no hit and the pair otherwise.
    """

    estimate: float | None
    low: float
    high: float
    bound: float
    level: float
    method: str


def clopper_pearson(
    hits: ArrayLike, trials: ArrayLike, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two-sided exact interval (Clopper and Pearson, Biometrika 26, 1934).

    low is the a/2 quantile of Beta(k, n - k + 1), high the 1 - a/2 quantile of Beta(k + 1, n - k), a = 1 -
    level; low is 0 for k = 0, high is 1 for k = n. hits, trials: k and n, integers, 0 <= k <= n, of any shapes that
    broadcast. level: in (0, 1). It covers with probability at least `level`, whatever the true value. Raises ValueError
    for other counts or levels.

    >>> low, high = clopper_pearson(5, 10)
    >>> round(float(low), 4), round(float(high), 4)
    (0.1871, 0.8129)
    """
    from scipy.special import betaincinv

    k, n = np.broadcast_arrays(np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64))
    if not 0 < level < 1 or np.any(k < 0) or np.any(k > n):
        raise ValueError("expected 0 <= hits <= trials and a level between 0 and 1")
    tail = (1 - level) / 2
    low = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 1), n - k + 1, tail))
    high = np.where(k == n, 1.0, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail))
    return low, high


def upper_bound(trials: int, level: float = LEVEL, hits: int = 0) -> float:
    """Return the exact one-sided upper bound after k hits in n trials; after none it is 1 - d^(1/n), d = 1 - level.

    It is the p at which k hits or fewer have probability d; after no hit, (1 - p)^n = d, and for d = 0.05 p is close to
    3/n. It covers with probability at least `level`, whatever the true value. trials: n. hits: k. level: in (0, 1).

    >>> round(upper_bound(1000), 6)
    0.002991
    """
    from scipy.special import betaincinv

    if hits >= trials:
        return 1.0
    return float(betaincinv(hits + 1, trials - hits, level) if hits else -np.expm1(np.log1p(-level) / trials))


def interval(hits: int, trials: int, level: float = LEVEL) -> Interval:
    """Return the estimate k/n with its two-sided Clopper-Pearson interval and its one-sided upper bound.

    hits: k. trials: n >= k. level: in (0, 1).

    >>> found = interval(0, 1000)
    >>> round(found.high, 6), round(found.bound, 6)
    (0.003682, 0.002991)
    """
    return Tally.of(hits, trials).interval(level)


def median(values: ArrayLike, level: float = LEVEL) -> tuple[float | None, float | None, float | None]:
    """Return the median of a sample, and an exact interval for that of its law: (median, low, high).

    values: of independent draws from one law, which may have atoms; inf is allowed. level: in (0, 1), reached at least.
    The interval is between two order statistics, by the binomial law of how many draws lie below the median
    (Thompson, Annals of Mathematical Statistics 7, 1936); an end is None if there are too few draws for it, and all are
    None without any. The median is a value of the sample.
    """
    from scipy.stats import binom

    found = np.sort(np.asarray(values, np.float64))
    n = found.size
    if not n:
        return None, None, None
    below = int(binom.ppf((1 - level) / 2, n, 0.5))  # the largest r with P(B < r) <= (1 - level) / 2
    low, high = (found[below - 1], found[n - below]) if below > 0 else (None, None)
    middle = float(np.quantile(found, 0.5, method="inverted_cdf"))
    return middle, None if low is None else float(low), None if high is None else float(high)


class Stratum(NamedTuple):
    """A group of `size` trajectories, of which `examined` were drawn without replacement and examined.

    hits: how many of the examined had the event. unknown: for how many of the examined it is not known.
    """

    size: int
    examined: int
    hits: int
    unknown: int = 0


@dataclass(frozen=True)
class Tally:
    """How often an event was found among `total` trajectories, if perhaps only some of them were examined.

    strata: disjoint groups of trajectories. A trajectory in no group is known not to have the event. For an event that
    is recorded of every trajectory there is one stratum, with size = examined.
    """

    total: int
    strata: tuple[Stratum, ...]

    @classmethod
    def of(cls, hits: int, total: int) -> "Tally":
        """Return the tally of an event that is known of every trajectory."""
        return cls(total, (Stratum(total, total, hits),))

    @property
    def hits(self) -> int:
        """Return how many examined trajectories had the event."""
        return sum(stratum.hits for stratum in self.strata)

    @property
    def unknown(self) -> int:
        """Return for how many examined trajectories it is not known whether they had the event."""
        return sum(stratum.unknown for stratum in self.strata)

    @property
    def examined(self) -> bool:
        """Tell whether some trajectories of every stratum that has any were examined."""
        return all(stratum.examined or not stratum.size for stratum in self.strata)

    @property
    def complete(self) -> bool:
        """Tell whether it is known for every trajectory whether it had the event."""
        return all(size == examined and not unknown for size, examined, _, unknown in self.strata)

    @property
    def estimate(self) -> float | None:
        """Return the estimated probability; None if nothing was examined, or if some of the examined are unknown."""
        if not self.total or not self.examined or self.unknown:
            return None
        return sum(s.size * s.hits / s.examined for s in self.strata if s.size) / self.total

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the estimate with limits that cover the probability with at least `level`.

        If the event is known for every trajectory, the limits are those of Clopper and Pearson. Unknown trajectories
        count as no hits for the lower limit, and as hits for the upper ones. If some strata are sampled, the number of
        hits in each is bounded by exact hypergeometric limits, which share half of the error 1 - level; the limits of
        Clopper and Pearson at these numbers have the other half.
        """
        if not self.total:
            return Interval(None, 0.0, 1.0, 1.0, level, NO_TRIALS)
        sampled = sum(0 < stratum.examined < stratum.size for stratum in self.strata)
        share = (1 - level) / (2 * sampled) if sampled else 0.0
        rest = 1 - (1 - level) / 2 if sampled else level
        low, _ = clopper_pearson(sum(_fewest_hits(s, share / 2) for s in self.strata), self.total, rest)
        _, high = clopper_pearson(sum(_most_hits(s, share / 2) for s in self.strata), self.total, rest)
        bound = upper_bound(self.total, rest, sum(_most_hits(s, share) for s in self.strata))
        method = SAMPLED if sampled else TWO_SIDED if self.complete else OPEN
        return Interval(self.estimate, float(low), float(high), bound, level, method)

    def p_value(self, probability: float) -> float:
        """Return the exact p-value: the smallest error at which the two-sided interval excludes the probability.

        For a complete tally it is min(1, 2 min(P(K <= k), P(K >= k))), K binomial with that probability.
        """
        from scipy.special import betainc

        if not self.total:
            return 1.0
        if self.complete:
            k, n = self.hits, self.total
            at_least = float(betainc(k, n - k + 1, probability)) if k else 1.0
            at_most = float(betainc(n - k, k + 1, 1 - probability)) if k < n else 1.0
            return min(1.0, 2 * min(at_least, at_most))
        inside, outside = 0.0, 1.0  # errors at which the interval has the probability, and has not; bisected
        for _ in range(40):
            error = (inside + outside) / 2
            found = self.interval(1 - error)
            inside, outside = (error, outside) if found.low <= probability <= found.high else (inside, error)
        return outside


def _fewest_hits(stratum: Stratum, error: float) -> int:
    """Return the exact one-sided lower limit of the number of hits in a stratum, at level 1 - error."""
    return stratum.hits if stratum.examined == stratum.size else _fewest(*stratum[:3], error)


def _most_hits(stratum: Stratum, error: float) -> int:
    """Return the exact one-sided upper limit of the number of hits: the size less the lower limit of the misses."""
    misses = stratum.examined - stratum.hits - stratum.unknown
    return stratum.size - (misses if stratum.examined == stratum.size else _fewest(*stratum[:2], misses, error))


def _fewest(size: int, examined: int, hits: int, error: float) -> int:
    """Return the fewest hits among `size` for which `hits` or more among `examined` have probability over `error`."""
    from scipy.special import gammaln

    def choose(n: NDArray[np.int64] | int, k: NDArray[np.int64] | int) -> Any:
        return gammaln(np.add(n, 1)) - gammaln(np.add(k, 1)) - gammaln(np.subtract(n, k) + 1)

    def at_least(many: int) -> float:
        """Return the hypergeometric P(hits or more) if there are `many` among `size`."""
        found = np.arange(max(hits, examined - (size - many)), min(examined, many) + 1)
        terms = choose(many, found) + choose(size - many, examined - found) - choose(size, examined)
        return float(np.exp(terms).sum())

    low, high = hits, size - (examined - hits)
    while low < high and hits:
        middle = (low + high) // 2
        low, high = (low, middle) if at_least(middle) > error else (middle + 1, high)
    return low


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's adjusted p-values, in the order given.

    If the claims whose adjusted p-value is at most d are rejected, no true claim is, with probability 1 - d at least.

    The j-th smallest of m is multiplied by m - j + 1, and by no less than its predecessors. Valid whatever the
    dependence of the tests, and never less powerful than Bonferroni. Source: Holm, Scandinavian Journal of Statistics
    6 (1979).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
