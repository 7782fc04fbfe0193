"""What the loops of the operations share: how operands are found, and how adjoints receive."""

from simsa.kernels.lanes import all_lanes, any_lane, load, select, splat, store, width
from simsa.kernels.options import kernel

ASSIGN, ADD = 1, 2
"""How an adjoint receives: it is assigned, or added to."""

SPLIT, FIRST, LAST = 0, 1, 2
"""Which of tied operands receive: each its share, the first only, or the last only."""


@kernel
def place(at, i, g, s):
    """Return the place of the lane vector of operand i, an index into `at`, for group g and sample s."""
    return at[i, 0] + g * at[i, 1] + s * at[i, 2]


@kernel
def give(adjoints, address, mode, used, amount):
    """Pass a lane vector `amount` to the adjoint at a place `address`, in the lanes where the mask `used` holds.

    mode: 0, which passes nothing, ASSIGN or ADD.
    """
    # Adding -0.0, which means nothing, changes nothing. A selection between the old sum and the new one would become a
    # masked store in LLVM, and the next load from the same place would have to wait for it.
    passed = select(used, amount + 0.0, splat(adjoints, -0.0))
    if mode == ASSIGN:
        store(adjoints, address, passed)
    elif mode == ADD:
        store(adjoints, address, load(adjoints, address) + passed)


@kernel
def narrow(margin, address, gap):
    """Replace the margin at a place `address` by `gap` in the lanes where that is smaller; a NaN is not."""
    old = load(margin, address)
    store(margin, address, select(gap < old, gap, old))


@kernel
def seed(adjoints, seeds, clear, output, valid, step):
    """Set the adjoint of one output to 1 where `valid` is not 0, and mark all others as having received nothing.

    seeds: the places of the outputs. clear: the places of other registers that no instruction assigns. output: the
    number of the output, an index into `seeds`. valid: (step,), whether the sample of a lane counts.
    """
    nothing = splat(adjoints, -0.0)
    for i in range(0, step, width(adjoints)):
        for n in range(clear.shape[0]):
            store(adjoints, clear[n] + i, nothing)
        for n in range(seeds.shape[0]):
            store(adjoints, seeds[n] + i, nothing)
        store(adjoints, seeds[output] + i, select(load(valid, i) != 0.0, splat(adjoints, 1.0), nothing))


@kernel
def tied(valid, margin, step):
    """Tell whether some guard of a sample that counts is 0. valid: (step,), not 0 where the sample of a lane counts."""
    found = False
    for i in range(0, step, width(margin)):
        found = found or any_lane((load(valid, i) != 0.0) & (load(margin, i) == 0.0))
    return found


@kernel
def spacing(at, first, count):
    """Return the distance between the places of consecutive operands, 0 if there is one operand only."""
    return at[first + 1, 0] - at[first, 0] if count > 1 else 0


@kernel
def finite(array, start, count):
    """Tell whether `count` lane vectors of an array, from place `start` on, have neither infinities nor NaN."""
    lanes = width(array)
    # x * 0 is 0, or NaN if x is not finite. There are four sums, because each addition waits for the one before it.
    zero = splat(array, 0.0)
    a = b = c = d = zero
    for i in range(0, count - 3, 4):
        here = start + i * lanes
        a, b = a + load(array, here) * zero, b + load(array, here + lanes) * zero
        c, d = c + load(array, here + 2 * lanes) * zero, d + load(array, here + 3 * lanes) * zero
    for i in range(count - count % 4, count):
        a = a + load(array, start + i * lanes) * zero
    return all_lanes((a + b) + (c + d) == 0.0)
