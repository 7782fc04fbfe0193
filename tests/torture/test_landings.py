"""Who landed, on generated records of generated programs whose slopes are counted by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

import simsa
from simsa.analysis import kinds
from simsa.analysis.intervals import Tally
from simsa.analysis.landings import Landing
from simsa.vocabulary import TieKind
from tests.analysis.test_verdicts import points_of, subject_of

NOT_LANDED, LANDED, UNDECIDED, _ = Landing

KIND = 12_005

PIECES = {
    "abs": (abs, (-1, 0, 1)),
    "relu": (simsa.relu, (0, 0, 1)),
    "zero": (simsa.zero, (0, 1, 0)),
}
"""Functions of t, with their slopes at t < 0, at 0 by TensorFlow's automatic differentiation, and at t > 0."""


def kind(terms, rows, batch, x) -> str:
    """Return what a tie of the mean of the rows of a minibatch is at x, from the slopes on both sides and AD's at x."""
    slopes = [Fraction(0)] * 3
    tied = False
    for i in batch:
        for j, (name, at) in enumerate(terms):
            side = (x > at) - (x < at)
            tied |= side == 0
            for k in range(3):
                slopes[k] += Fraction(rows[i][j]) * PIECES[name][1][k if side == 0 else side + 1] / len(batch)
    left, told, right = slopes
    return "Sing" if left != right else "C" if tied and told != left else "harmless" if tied else "rounding"


@pytest.mark.torture
def test_landings_are_those_of_the_slopes(programs):
    """Sums of abs, relu and zero with kinks at integers, weights from the data; kinks of samples may cancel.

    Trajectories meet their first sensitive tie at integers, some of them after an earlier tie, some before a later one.
    """
    failed = []
    for number in range(programs):
        rng = np.random.default_rng([KIND, number])
        terms = [(str(rng.choice(list(PIECES))), int(rng.integers(-1, 2))) for _ in range(rng.integers(1, 5))]
        rows = rng.integers(-2, 3, (3, len(terms))).tolist()

        def loss(x, s, terms=terms):
            return sum(s[j] * PIECES[name][0](x[0] - at) for j, (name, at) in enumerate(terms))

        count = 6
        points = rng.integers(-1, 2, count)
        batches = [tuple(np.flatnonzero(rng.random(3) < 0.6).tolist()) or (0,) for _ in range(count)]
        step = np.where(rng.random(count) < 0.7, 5, -1)
        first = np.where((step == 5) & (rng.random(count) < 0.5), 3, step)
        ties = np.where(step < 0, 0, 1 + (first == 3) + (rng.random(count) < 0.4))
        subject = subject_of(
            simsa.trace(loss, 1, len(terms), convention="tensorflow"),
            rows,
            minibatch=lambda cell, t, k, batches=batches: batches[t],
            minibatches=sorted(set(batches)),
        )
        where = np.where(step < 0, np.nan, points)[:, None]
        cell = points_of(where, tie_first=first, sensitive_first=step, tie_count=ties)
        found, landings = kinds.tie_kinds(cell, 0, subject, 1)
        right = {t: kind(terms, rows, batches[t], int(points[t])) for t in np.flatnonzero(step == 5).tolist()}
        outcome = [NOT_LANDED] * count
        for t, one in right.items():
            later = ties[t] > 1 + (first[t] == 3)
            outcome[t] = LANDED if one in ("Sing", "C") else UNDECIDED if later else NOT_LANDED
        counted = {name: entry["count"] for name, entry in found["kinds"].items()}
        wanted = {name: list(right.values()).count(name) for name in TieKind}
        if counted != wanted or landings.outcomes().tolist() != outcome:
            failed.append(number)
    assert not failed


@pytest.mark.torture
def test_limits_from_a_sample_cover_over_generated_populations(programs):
    """Populations of each size, share of candidates, of hits and of undecided ones; the probability is that of the law.

    Each limit may miss in 2.5 %, the bound in 5 %, as often as chance has it.
    """
    missed = np.zeros(3, np.int64)
    for number in range(programs):
        rng = np.random.default_rng([KIND + 1, number])
        total = int(rng.integers(20, 400))
        candidate, hit, quiet = rng.random(3) ** 2
        event = rng.random(total) < candidate
        landed = event & (rng.random(total) < hit)
        who = rng.permutation(np.flatnonzero(event))
        seen = who[: int(rng.integers(0, who.size + 1))]
        silent = rng.random(seen.size) < quiet
        stratum = (who.size, seen.size, int((landed[seen] & ~silent).sum()), int(silent.sum()))
        found = Tally(total, (kinds.Stratum(*stratum),)).interval()
        truth = candidate * hit
        missed += [found.low > truth, found.high < truth, found.bound < truth]
    for many, error in zip(missed, (0.025, 0.025, 0.05), strict=True):
        assert many <= programs * error + 3 * math.sqrt(programs * error)
