"""Maxima and minima."""

import numpy as np

from simsa.kernels.lanes import any_lane, fabs, load, negative_zero, select, splat, store, width
from simsa.kernels.operations.shared import LAST, SPLIT, give, narrow, place
from simsa.kernels.options import kernel


@kernel
def extremes(values, margin, at, first, count, out, step, times, sign, guarded, groups, samples):
    """Max (sign 1) and min (sign -1), one after the other: the first of the best operands; their gaps."""
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
    """Return the largest (sign 1) or smallest (sign -1) operand, and the gap to the next; the first NaN wins.

    Equal operands may be zeros of two signs: the first of them wins, whatever the rule for ties is. The distance from
    the best to an operand grows with the operand, also as rounded: the smallest is that to the next one.
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
    """Backward of max and min: to the first, to the last, or split between all equal to the value."""
    for g in range(groups):
        for s in range(samples):
            for n in range(times - 1, -1, -1):
                here = out + n * step + (g * samples + s) * width(values)
                _extreme_back(values, adjoints, at, modes, first + n * count, count, here, rule, g, s)


@kernel
def _extreme_back(values, adjoints, at, modes, first, count, here, rule, g, s):
    """Backward of one max or min, of one sample; NaN passes to the first NaN."""
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
    """Pass to the last operand that is equal to the value, or to the first NaN."""
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
