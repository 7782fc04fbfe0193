"""Logarithms of sums of exponentials."""

from simsa.kernels.functions import exp, log
from simsa.kernels.lanes import fabs, load, negative_zero, select, splat, store, width
from simsa.kernels.operations.shared import give, place
from simsa.kernels.options import kernel


@kernel
def logsumexp(values, at, first, count, out, groups, samples):
    """Compute shift + log(sum of exp(x_i - shift)); the shift is the largest x_i, or 0 if that is not finite."""
    for g in range(groups):
        for s in range(samples):
            shift = load(values, place(at, first, g, s))
            for i in range(first + 1, first + count):
                x = load(values, place(at, i, g, s))
                shift = select((x > shift) | ((x != x) & (shift == shift)), x, shift)
            shift = select(fabs(shift) < splat(values, float("inf")), shift, splat(values, 0.0))
            total = exp(load(values, place(at, first, g, s)) - shift)
            for i in range(first + 1, first + count):
                total = total + exp(load(values, place(at, i, g, s)) - shift)
            store(values, out + (g * samples + s) * width(values), shift + log(total))


@kernel
def logsumexp_back(values, adjoints, at, modes, first, count, out, groups, samples):
    """Pass the adjoint of logsumexp back, times exp(x_i - v), where v is the value."""
    for g in range(groups):
        for s in range(samples):
            here = out + (g * samples + s) * width(values)
            grad = load(adjoints, here)
            live = ~negative_zero(grad)
            v = load(values, here)
            for i in range(first, first + count):
                if modes[i]:
                    partial = exp(load(values, place(at, i, g, s)) - v)
                    give(adjoints, place(at, i, g, s), modes[i], live, grad * partial)
