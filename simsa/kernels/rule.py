"""A step of a rule, for the lanes of a group: a template, of which `machine.generate` makes a copy for each rule."""

from simsa.kernels.lanes import all_lanes, fabs, load, prepare, select, splat, sqrt, store, width  # noqa: F401
from simsa.kernels.options import called, part


@part
def _change():
    """Return the change of a coordinate, and what its state becomes, of lanes of each."""
    # <change>


@called
def update(
    shape, memory, previous, held, limit, pace, moved, binary, numbers, gamma, radius, g, assigns, last
):  # fmt: skip
    """Take a step of group g, and return whether all its points are in the ball |x|_inf <= radius.

    The arrays are those of `kernels.arguments.Scratch`. assigns: whether the walks write parameters' adjoints, so that
    they need not be 0; `previous` may be the adjoints then. last: whether the largest change is wanted, in `moved`.
    """
    values, adjoints = memory.values, memory.adjoints
    lanes = width(values)
    across = shape.groups * lanes
    size = load(limit, g * lanes)
    size = select(size > 1.0, size, splat(values, 1.0))
    inverse, exact = load(pace, across + g * lanes), binary[g]
    rate = splat(values, gamma)  # noqa: F841 - for the generated step
    farthest = splat(values, radius)
    largest = splat(values, 0.0)
    near = size == size
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
        near = near & (fabs(x) <= farthest)
    if last:
        store(moved, g * lanes, largest)
    return all_lanes(near)
