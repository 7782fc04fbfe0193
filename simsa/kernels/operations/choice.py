"""Selections that users write, by a branch table."""

from simsa.kernels.lanes import fabs, load, negative_zero, select, splat, store, width
from simsa.kernels.operations.shared import ADD, ASSIGN, give, narrow, place
from simsa.kernels.options import kernel


@kernel
def holds(values, at, first, guards, row, rows, g, s, so_far):
    """Return the lanes of the mask `so_far` in which every guard of a row of a branch table holds.

    row: the index of the row in `rows`. A relation with a number above 4 never holds.
    """
    for n in range(rows[row, 0], rows[row, 0] + rows[row, 1]):
        left = load(values, place(at, first + guards[n, 0], g, s))
        right = load(values, place(at, first + guards[n, 2], g, s))
        relation = guards[n, 1]
        if relation == 0:
            so_far = so_far & (left < right)
        elif relation == 1:
            so_far = so_far & (left <= right)
        elif relation == 2:
            so_far = so_far & (left == right)
        elif relation == 3:
            so_far = so_far & (left >= right)
        elif relation == 4:
            so_far = so_far & (left > right)
        else:
            so_far = so_far & (~so_far)
    return so_far


@kernel
def choose(values, margin, at, first, out, rows, guards, branch, guarded, groups, samples):
    """Compute a selection that a user wrote: the piece of the first row whose guards all hold."""
    for g in range(groups):
        for s in range(samples):
            here = (g * samples + s) * width(values)
            everywhere = load(values, place(at, first, g, s))
            open_lanes = (everywhere == everywhere) | (everywhere != everywhere)
            result = splat(values, 0.0)
            row = branch
            while True:
                hit = holds(values, at, first, guards, row, rows, g, s, open_lanes)
                result = select(hit, load(values, place(at, first + rows[row, 2], g, s)), result)
                open_lanes = open_lanes & (~hit)
                for n in range(rows[row, 0], rows[row, 0] + rows[row, 1]):
                    if guarded and guards[n, 3]:
                        left = load(values, place(at, first + guards[n, 0], g, s))
                        right = load(values, place(at, first + guards[n, 2], g, s))
                        narrow(margin, here, fabs(left - right))
                if rows[row, 1] == 0:
                    break
                row += 1
            store(values, out + here, result)


@kernel
def choose_back(values, adjoints, at, modes, first, count, out, rows, guards, branch, groups, samples):
    """Pass the adjoint of a selection to the selected piece; one piece receives in each lane, so order is no matter."""
    for g in range(groups):
        for s in range(samples):
            grad = load(adjoints, out + (g * samples + s) * width(values))
            for i in range(first, first + count):
                if modes[i] == ASSIGN:
                    store(adjoints, place(at, i, g, s), splat(adjoints, -0.0))
            open_lanes = ~negative_zero(grad)
            row = branch
            while True:
                hit = holds(values, at, first, guards, row, rows, g, s, open_lanes)
                piece = first + rows[row, 2]
                if modes[piece]:
                    give(adjoints, place(at, piece, g, s), ADD, hit, grad)
                open_lanes = open_lanes & (~hit)
                if rows[row, 1] == 0:
                    break
                row += 1
