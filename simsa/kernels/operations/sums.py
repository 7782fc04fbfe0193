"""Sums and dot products."""

from simsa.kernels.lanes import load, negative_zero, store, width
from simsa.kernels.operations.shared import give, place
from simsa.kernels.options import kernel


@kernel
def add_up(values, at, first, count, out, groups, samples):
    """Compute x_1 + ... + x_n, from left to right."""
    for g in range(groups):
        for s in range(samples):
            total = load(values, place(at, first, g, s))
            for i in range(first + 1, first + count):
                total = total + load(values, place(at, i, g, s))
            store(values, out + (g * samples + s) * width(values), total)


@kernel
def add_up_back(adjoints, at, modes, first, count, out, groups, samples):
    """Pass the adjoint of a sum to each operand, in their order."""
    for g in range(groups):
        for s in range(samples):
            grad = load(adjoints, out + (g * samples + s) * width(adjoints))
            live = ~negative_zero(grad)
            for i in range(first, first + count):
                give(adjoints, place(at, i, g, s), modes[i], live, grad)


@kernel
def dot(values, at, first, count, out, groups, samples):
    """Compute x_1 y_1 + ... + x_n y_n, from left to right; the operands are x_1, ..., x_n, y_1, ..., y_n."""
    half = count // 2
    for g in range(groups):
        for s in range(samples):
            total = load(values, place(at, first, g, s)) * load(values, place(at, first + half, g, s))
            for i in range(first + 1, first + half):
                total = total + load(values, place(at, i, g, s)) * load(values, place(at, i + half, g, s))
            store(values, out + (g * samples + s) * width(values), total)


@kernel
def dot_back(values, adjoints, at, modes, first, count, out, groups, samples):
    """Pass the adjoint of a dot product, times the other factor, to each operand, in their order."""
    half = count // 2
    for g in range(groups):
        for s in range(samples):
            grad = load(adjoints, out + (g * samples + s) * width(adjoints))
            live = ~negative_zero(grad)
            for i in range(first, first + count):
                if modes[i]:
                    other = i + half if i < first + half else i - half
                    give(
                        adjoints,
                        place(at, i, g, s),
                        modes[i],
                        live,
                        grad * load(values, place(at, other, g, s)),
                    )
