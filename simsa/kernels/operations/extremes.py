"""Maxima and minima."""

import numpy as np

from simsa.kernels.lanes import any_lane, fabs, load, negative_zero, select, splat, store, width
from simsa.kernels.operations.shared import LAST, SPLIT, give, narrow, place
from simsa.kernels.options import kernel


@kernel
def extremes(values, margin, at, first, count, out, step, times, sign, guarded, groups, samples):
    """Compute a run of max (sign 1) or min (sign -1): the first of the operands that are best, and its gap."""
    for g in range(groups):
        for s in range(samples):
            here = (g * samples + s) * width(values)
            for n in range(times):
                top, gap = best(values, at, first + n * count, count, sign, g, s)
                store(values, out + n * step + here, top)
                if guarded:
                    narrow(margin, here, gap)


@kernel
def best(values, at, first, count, sign, g, s):
    """Return the largest (sign 1) or smallest (sign -1) operand, and the gap to the second best.

    If an operand is NaN, the first NaN is returned. Among equal operands, which may be zeros of two signs, it is the
    first, whatever the rule for ties is. The smallest gap is that to the second best operand, also after rounding,
    because rounding is monotone.
    """
    top = load(values, place(at, first, g, s))
    second = splat(values, -np.inf * sign)
    nan = top != top
    for i in range(first + 1, first + count):
        x = load(values, place(at, i, g, s))
        nan = nan | (x != x)
        if sign > 0:
            beaten = select(x > top, top, x)
            second = select(beaten > second, beaten, second)
            top = select(x > top, x, top)
        else:
            beaten = select(x < top, top, x)
            second = select(beaten < second, beaten, second)
            top = select(x < top, x, top)
    if any_lane(nan):
        found = splat(values, 0.0)
        for i in range(first + count - 1, first - 1, -1):
            x = load(values, place(at, i, g, s))
            found = select(x != x, x, found)
        top = select(nan, found, top)
    return top, fabs(top - second)


@kernel
def extremes_back(values, adjoints, at, modes, first, count, out, step, times, rule, groups, samples):
    """Pass the adjoints of a run of max or min to the operands that are equal to the value, as the rule says."""
    for g in range(groups):
        for s in range(samples):
            for n in range(times - 1, -1, -1):
                here = out + n * step + (g * samples + s) * width(values)
                _extreme_back(values, adjoints, at, modes, first + n * count, count, here, rule, g, s)


@kernel
def _extreme_back(values, adjoints, at, modes, first, count, here, rule, g, s):
    """Pass the adjoint of one max or min of one sample back; if the value is NaN, the first NaN receives."""
    grad, v = load(adjoints, here), load(values, here)
    live = ~negative_zero(grad)
    nan = v != v
    share = grad
    if rule == SPLIT:
        tied = splat(values, 0.0)
        for i in range(first, first + count):
            tied = select(load(values, place(at, i, g, s)) == v, tied + 1.0, tied)
        share = grad / select(nan, splat(values, 1.0), tied)
    if rule == LAST:
        _last_back(values, adjoints, at, modes, first, count, v, live, share, g, s)
        return
    for i in range(first, first + count):
        x = load(values, place(at, i, g, s))
        equal = (x == v) | (nan & (x != x))
        give(adjoints, place(at, i, g, s), modes[i], live & equal, share)
        live = live & (~(equal & nan) if rule == SPLIT else ~equal)


@kernel
def _last_back(values, adjoints, at, modes, first, count, v, live, share, g, s):
    """Pass the adjoint to the last operand that is equal to the value, or to the first NaN."""
    nan = v != v
    left = splat(values, 0.0)
    for i in range(first, first + count):
        x = load(values, place(at, i, g, s))
        left = select(x == v, left + 1.0, left)
    for i in range(first, first + count):
        x = load(values, place(at, i, g, s))
        left = select(x == v, left - 1.0, left)
        chosen = ((x == v) & (left == 0.0)) | (nan & (x != x))
        give(adjoints, place(at, i, g, s), modes[i], live & chosen, share)
        live = live & (~chosen)
