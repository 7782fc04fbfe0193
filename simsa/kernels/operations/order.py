"""Sorting."""

from simsa.kernels.lanes import fabs, load, negative_zero, splat, store, width
from simsa.kernels.operations.shared import ASSIGN, FIRST, LAST, narrow, place
from simsa.kernels.options import kernel


@kernel
def permutation(values, at, first, count, rule, g, s, lane, order):
    """Write into `order` the ascending order of the operands of one lane, with NaN last.

    Equal operands keep their order; if the rule is LAST, they are reversed.
    """
    for i in range(count):
        v = values[place(at, first + i, g, s) + lane]
        spot = i
        while spot > 0:
            u = values[place(at, first + order[spot - 1], g, s) + lane]
            if v == v and (v < u or u != u or (rule == LAST and v == u)):
                order[spot] = order[spot - 1]
                spot -= 1
            else:
                break
        order[spot] = i


@kernel
def sort(values, margin, at, first, count, out, step, guarded, groups, samples, order):
    """Sort the operands of each lane; equal ones keep their order. Gaps are those between neighbours."""
    for g in range(groups):
        for s in range(samples):
            here = (g * samples + s) * width(values)
            for lane in range(width(values)):
                permutation(values, at, first, count, FIRST, g, s, lane, order)
                for i in range(count):
                    values[out + i * step + here + lane] = values[place(at, first + order[i], g, s) + lane]
            if guarded:
                for i in range(count - 1):
                    low = load(values, out + i * step + here)
                    narrow(margin, here, fabs(load(values, out + (i + 1) * step + here) - low))


@kernel
def sort_back(values, adjoints, at, modes, first, count, out, step, rule, groups, samples, order):
    """Pass the adjoint of each output of a sort to the operand that it equals; ties as `permutation` decides them."""
    lanes = width(values)
    for g in range(groups):
        for s in range(samples):
            here = (g * samples + s) * lanes
            for i in range(first, first + count):
                if modes[i] == ASSIGN:
                    store(adjoints, place(at, i, g, s), splat(adjoints, -0.0))
            for lane in range(lanes):
                permutation(values, at, first, count, rule, g, s, lane, order)
                # The operands receive in their order, so that a register that is read twice has the reference's sum.
                for i in range(count):
                    for j in range(count):
                        if order[j] == i and modes[first + i]:
                            grad = adjoints[out + j * step + here + lane]
                            if not negative_zero(grad):
                                address = place(at, first + i, g, s) + lane
                                adjoints[address] = (adjoints[address] + grad) + 0.0
