"""What the operations share: how operands are found and adjoints given."""

from simsa.kernels.lanes import all_lanes, any_lane, load, select, splat, store, width
from simsa.kernels.options import kernel

ASSIGN, ADD = 1, 2
SPLIT, FIRST, LAST = 0, 1, 2


@kernel
def place(at, i, g, s):
    """Return the address of operand entry i for group g and sample s."""
    return at[i, 0] + g * at[i, 1] + s * at[i, 2]


@kernel
def give(adjoints, address, mode, used, amount):
    """Pass `amount` to an adjoint, in the lanes where it is used."""
    # -0.0 means nothing, and adding it changes nothing. From a selection between old and new LLVM would make a masked
    # store, for which the next load from there has to wait.
    passed = select(used, amount + 0.0, splat(adjoints, -0.0))
    if mode == ASSIGN:
        store(adjoints, address, passed)
    elif mode == ADD:
        store(adjoints, address, load(adjoints, address) + passed)


@kernel
def narrow(margin, address, gap):
    """Keep the smaller |guard|; a NaN gap does not count."""
    old = load(margin, address)
    store(margin, address, select(gap < old, gap, old))


@kernel
def seed(adjoints, seeds, clear, output, valid, step):
    """Give an output's adjoint 1 where `valid` is not 0, and mark all others as having received nothing."""
    nothing = splat(adjoints, -0.0)
    for i in range(0, step, width(adjoints)):
        for n in range(clear.shape[0]):
            store(adjoints, clear[n] + i, nothing)
        for n in range(seeds.shape[0]):
            store(adjoints, seeds[n] + i, nothing)
        store(adjoints, seeds[output] + i, select(load(valid, i) != 0.0, splat(adjoints, 1.0), nothing))


@kernel
def tied(valid, margin, step):
    """Tell whether a guard of a valid sample is zero."""
    found = False
    for i in range(0, step, width(margin)):
        found = found or any_lane((load(valid, i) != 0.0) & (load(margin, i) == 0.0))
    return found


@kernel
def spacing(at, first, count):
    """Return the distance between consecutive operands."""
    return at[first + 1, 0] - at[first, 0] if count > 1 else 0


@kernel
def finite(array, start, count):
    """Tell whether `count` vectors, one after the other, hold neither infinities nor NaN."""
    lanes = width(array)
    # x * 0 is 0 or NaN; four sums, because each waits for itself
    zero = splat(array, 0.0)
    a = b = c = d = zero
    for i in range(0, count - 3, 4):
        here = start + i * lanes
        a, b = a + load(array, here) * zero, b + load(array, here + lanes) * zero
        c, d = c + load(array, here + 2 * lanes) * zero, d + load(array, here + 3 * lanes) * zero
    for i in range(count - count % 4, count):
        a = a + load(array, start + i * lanes) * zero
    return all_lanes((a + b) + (c + d) == 0.0)
