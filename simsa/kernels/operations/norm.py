"""The Euclidean norm."""

from simsa.kernels.functions import halves
from simsa.kernels.lanes import fabs, load, negative_zero, select, splat, sqrt, store, width
from simsa.kernels.operations.shared import give, narrow, place
from simsa.kernels.options import kernel


@kernel
def norm(values, margin, at, first, count, out, guarded, groups, samples):
    """Compute sqrt(x_1 x_1 + ... + x_n x_n), from left to right, scaled by `halves`; it is tied where it is 0."""
    for g in range(groups):
        for s in range(samples):
            largest = fabs(load(values, place(at, first, g, s)))
            for i in range(first + 1, first + count):
                size = fabs(load(values, place(at, i, g, s)))
                largest = select(size > largest, size, largest)
            down, up = halves(largest)
            x = load(values, place(at, first, g, s)) * down * down
            total = x * x
            for i in range(first + 1, first + count):
                x = load(values, place(at, i, g, s)) * down * down
                total = total + x * x
            v = sqrt(total) * up * up
            here = (g * samples + s) * width(values)
            store(values, out + here, v)
            if guarded:
                narrow(margin, here, v)


@kernel
def norm_back(values, adjoints, at, modes, numbers, first, count, number, out, groups, samples):
    """Pass the adjoint of the norm v back, times x_i / v.

    Where v is 0, the numbers from `number` on, which are a vector of the unit ball, stand for x / v.
    """
    for g in range(groups):
        for s in range(samples):
            here = out + (g * samples + s) * width(values)
            grad, v = load(adjoints, here), load(values, here)
            live = ~negative_zero(grad)
            for i in range(first, first + count):
                if modes[i]:
                    x = load(values, place(at, i, g, s))
                    partial = select(v == 0.0, splat(values, numbers[number + i - first]), x / v)
                    give(adjoints, place(at, i, g, s), modes[i], live, grad * partial)
