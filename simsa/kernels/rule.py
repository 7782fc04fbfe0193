"""A step of a rule for the lanes of a group: a template that `machine.generate` completes for each rule."""

from simsa.kernels.arguments import INVERSE_SIZE
from simsa.kernels.lanes import all_lanes, fabs, load, prepare, select, splat, sqrt, store, width  # noqa: F401
from simsa.kernels.options import called, part


@part
def _change():
    """Return the next state of a coordinate and its change, as lane vectors."""
    # <change>


@called
def update(
    shape, memory, previous, held, sizes, lane_numbers, moved, binary, numbers, gamma, radius, g, assigns, last
):  # fmt: skip
    """Take a step of the lanes of group g, and return whether all their points are in the ball |x|_inf <= radius.

    shape, memory: the parameters are changed, and their adjoints set to 0, unless `assigns`. previous, held,
    lane_numbers, moved, binary: the arrays of `Scratch` with these names. sizes: its `float_sizes`. numbers, gamma: the
    numbers of the rule, and the step size. assigns: whether the walks assign the parameters' adjoints, so that these
    need not be 0 before a gradient; `previous` may be the same array as the adjoints then. last: whether this is the
    last step, for which the largest change of each lane is written into `moved`.
    """
    values, adjoints = memory.values, memory.adjoints
    lanes = width(values)
    across = shape.groups * lanes
    size = load(sizes, g * lanes)
    size = select(size > 1.0, size, splat(values, 1.0))
    inverse, exact = load(lane_numbers, INVERSE_SIZE * across + g * lanes), binary[g]
    rate = splat(values, gamma)  # noqa: F841 - for the generated step
    farthest = splat(values, radius)
    largest = splat(values, 0.0)
    inside = size == size
    for i in range(g * lanes, shape.parameters * across, across):
        if not assigns:
            prepare(previous, i + 16 * lanes)
        total = load(adjoints, i)
        before = load(values, i)
        gradient = total * inverse if exact else total / size  # noqa: F841
        # <step>
        if last:
            large = fabs(change)  # noqa: F821
            largest = select(large > largest, large, largest)
        x = before - change  # noqa: F821
        store(values, i, x)
        store(previous, i, before)
        if not assigns:
            store(adjoints, i, splat(values, 0.0))
        inside = inside & (fabs(x) <= farthest)
    if last:
        store(moved, g * lanes, largest)
    return all_lanes(inside)
