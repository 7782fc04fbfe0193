"""A step of a rule for the lanes of a group: a template that `machine.generate` completes for each rule."""

from simsa.kernels.arguments import INVERSE_SIZE
from simsa.kernels.lanes import all_lanes, fabs, load, prepare, select, splat, sqrt, store, width  # noqa: F401
from simsa.kernels.options import called, part

abs = fabs
"""As the texts of rules call it."""


@part
def minimum(a, b):
    """Return a if a < b, else b."""
    return select(a < b, a, b)


@part
def maximum(a, b):
    """Return a if a > b, else b."""
    return select(a > b, a, b)


@part
def sign(x):
    """Return 1 above 0, -1 below 0, else x itself, which is 0, -0 or NaN."""
    return select(x > 0.0, splat(x, 1.0), select(x < 0.0, splat(x, -1.0), x))


# <functions>


@called
def update(
    shape, memory, previous, held, sizes, lane_numbers, moved, binary, losses, numbers, gamma, radius, g, assigns, last
):  # fmt: skip
    """Take a step of the lanes of group g, and return whether all their points are in the ball |x|_inf <= radius.

    shape, memory: the parameters are changed, and their adjoints set to 0, unless `assigns`. previous, held,
    lane_numbers, moved, binary: the arrays of `Scratch` with these names. sizes: its `float_sizes`. losses: (across,),
    the sums of the losses of the minibatches, if the rule uses them. numbers, gamma: the numbers of the rule, and the
    step size. assigns: whether the walks assign the parameters' adjoints, so that these need not be 0 before a
    gradient; `previous` may be the same array as the adjoints then. last: whether this is the last step, for which the
    largest change of each lane is written into `moved`.
    """
    values, adjoints = memory.values, memory.adjoints
    lanes = width(values)
    across = shape.groups * lanes
    size = load(sizes, g * lanes)
    size = select(size > 1.0, size, splat(values, 1.0))
    inverse, exact = load(lane_numbers, INVERSE_SIZE * across + g * lanes), binary[g]
    loss = load(losses, g * lanes) * inverse if exact else load(losses, g * lanes) / size  # noqa: F841
    rate = splat(values, gamma)  # noqa: F841 - for the generated step
    farthest = splat(values, radius)
    largest = splat(values, 0.0)
    inside = size == size
    # <totals>
    for i in range(g * lanes, shape.parameters * across, across):
        if not assigns:
            prepare(previous, i + 16 * lanes)
        # <step>
        if last:
            large = fabs(change)  # noqa: F821
            largest = select(large > largest, large, largest)
        store(values, i, x)  # noqa: F821
        store(previous, i, before)  # noqa: F821
        if not assigns:
            store(adjoints, i, splat(values, 0.0))
        inside = inside & (fabs(x) <= farthest)  # noqa: F821
    if last:
        store(moved, g * lanes, largest)
    return all_lanes(inside)
