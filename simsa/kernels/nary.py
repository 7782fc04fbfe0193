"""The instructions with any number of operands, on lanes: one loop each, forward and backward.

Memory. `values` and `adjoints` hold one register after another; a register holds `groups` x `samples` lane vectors,
a parameter only `groups` (all samples of a minibatch share it). `at[i]` is the address of operand entry i: offset,
step from group to group, from sample to sample, and (for the rows of the table) from output to output of a run. The
reference interpreter defines what each loop computes.

Adjoints. An adjoint that is exactly -0.0 has received nothing: no executed piece leads from it to the output. Every
adjoint that received something is kept off -0.0 by adding +0.0, which changes no other value. So a piece that is not
selected passes nothing, whatever its value or derivative, and no masks are stored.
"""

import numpy as np

from simsa.kernels.functions import exp, halves, log
from simsa.kernels.lanes import (
    all_lanes,
    any_lane,
    fabs,
    load,
    negative_zero,
    prepare,
    select,
    splat,
    sqrt,
    store,
    width,
)
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
def add_up(values, at, first, count, out, groups, samples):
    """sum: x_1 + ... + x_n, from left to right."""
    for g in range(groups):
        for s in range(samples):
            total = load(values, place(at, first, g, s))
            for i in range(first + 1, first + count):
                total = total + load(values, place(at, i, g, s))
            store(values, out + (g * samples + s) * width(values), total)


@kernel
def add_up_back(adjoints, at, modes, first, count, out, groups, samples):
    """Backward of sum."""
    for g in range(groups):
        for s in range(samples):
            grad = load(adjoints, out + (g * samples + s) * width(adjoints))
            live = ~negative_zero(grad)
            for i in range(first, first + count):
                give(adjoints, place(at, i, g, s), modes[i], live, grad)


@kernel
def dot(values, at, first, count, out, groups, samples):
    """dot: x_1 y_1 + ... + x_n y_n, from left to right; the operands are all x, then all y."""
    half = count // 2
    for g in range(groups):
        for s in range(samples):
            total = load(values, place(at, first, g, s)) * load(values, place(at, first + half, g, s))
            for i in range(first + 1, first + half):
                total = total + load(values, place(at, i, g, s)) * load(values, place(at, i + half, g, s))
            store(values, out + (g * samples + s) * width(values), total)


@kernel
def dot_back(values, adjoints, at, modes, first, count, out, groups, samples):
    """Backward of dot; operands in order."""
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


@kernel
def logsumexp(values, at, first, count, out, groups, samples):
    """logsumexp: shift + log(sum of exp(x_i - shift)), with the largest x_i, if finite, as the shift."""
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
    """Backward of logsumexp: exp(x_i - v)."""
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


@kernel
def norm(values, margin, at, first, count, out, guarded, groups, samples):
    """norm: sqrt(x_1 x_1 + ... + x_n x_n), from left to right, scaled by `halves`; its kink is where it is 0."""
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
    """Backward of norm: x_i / v; where v is 0, the vector of the unit ball that the numbers from `number` on are."""
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


@kernel
def extremes(values, margin, at, first, count, out, step, times, sign, guarded, groups, samples):
    """Max (sign 1) and min (sign -1), one after the other: the first of the best operands; their gaps."""
    for g in range(groups):
        for s in range(samples):
            here = (g * samples + s) * width(values)
            for n in range(times):
                top, gap = best(values, at, first + n * count, count, sign, g, s)
                store(values, out + n * step + here, top)
                if guarded:
                    narrow(margin, here, gap)


@kernel
def best(values, at, first, count, sign, g, s):
    """Return the largest (sign 1) or smallest (sign -1) operand, and the gap to the next; the first NaN wins.

    Equal operands may be zeros of two signs: the first of them wins, whatever the rule for ties is. The distance from
    the best to an operand grows with the operand, also as rounded: the smallest is that to the next one.
    """
    top = load(values, place(at, first, g, s))
    second = splat(values, -np.inf * sign)
    nan = top != top
    for i in range(first + 1, first + count):
        x = load(values, place(at, i, g, s))
        nan = nan | (x != x)
        if sign > 0:
            beaten = select(x > top, top, x)
            second = select(beaten > second, beaten, second)
            top = select(x > top, x, top)
        else:
            beaten = select(x < top, top, x)
            second = select(beaten < second, beaten, second)
            top = select(x < top, x, top)
    if any_lane(nan):
        found = splat(values, 0.0)
        for i in range(first + count - 1, first - 1, -1):
            x = load(values, place(at, i, g, s))
            found = select(x != x, x, found)
        top = select(nan, found, top)
    return top, fabs(top - second)


@kernel
def extremes_back(values, adjoints, at, modes, first, count, out, step, times, rule, groups, samples):
    """Backward of max and min: to the first, to the last, or split between all equal to the value."""
    for g in range(groups):
        for s in range(samples):
            for n in range(times - 1, -1, -1):
                here = out + n * step + (g * samples + s) * width(values)
                _extreme_back(values, adjoints, at, modes, first + n * count, count, here, rule, g, s)


@kernel
def _extreme_back(values, adjoints, at, modes, first, count, here, rule, g, s):
    """Backward of one max or min, of one sample; NaN passes to the first NaN."""
    grad, v = load(adjoints, here), load(values, here)
    live = ~negative_zero(grad)
    nan = v != v
    share = grad
    if rule == SPLIT:
        tied = splat(values, 0.0)
        for i in range(first, first + count):
            tied = select(load(values, place(at, i, g, s)) == v, tied + 1.0, tied)
        share = grad / select(nan, splat(values, 1.0), tied)
    if rule == LAST:
        _last_back(values, adjoints, at, modes, first, count, v, live, share, g, s)
        return
    for i in range(first, first + count):
        x = load(values, place(at, i, g, s))
        equal = (x == v) | (nan & (x != x))
        give(adjoints, place(at, i, g, s), modes[i], live & equal, share)
        live = live & (~(equal & nan) if rule == SPLIT else ~equal)


@kernel
def _last_back(values, adjoints, at, modes, first, count, v, live, share, g, s):
    """Pass to the last operand that is equal to the value, or to the first NaN."""
    nan = v != v
    left = splat(values, 0.0)
    for i in range(first, first + count):
        x = load(values, place(at, i, g, s))
        left = select(x == v, left + 1.0, left)
    for i in range(first, first + count):
        x = load(values, place(at, i, g, s))
        left = select(x == v, left - 1.0, left)
        chosen = ((x == v) & (left == 0.0)) | (nan & (x != x))
        give(adjoints, place(at, i, g, s), modes[i], live & chosen, share)
        live = live & (~chosen)


@kernel
def permutation(values, at, first, count, rule, g, s, lane, order):
    """Write the ascending order of one lane, NaN last; equal entries keep their order (or reverse it)."""
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
    """sort: insertion sort of each lane, equal entries in their order, and the smallest gap between neighbours."""
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
    """Backward of sort: each output passes to the operand that it is."""
    lanes = width(values)
    for g in range(groups):
        for s in range(samples):
            here = (g * samples + s) * lanes
            for i in range(first, first + count):
                if modes[i] == ASSIGN:
                    store(adjoints, place(at, i, g, s), splat(adjoints, -0.0))
            for lane in range(lanes):
                permutation(values, at, first, count, rule, g, s, lane, order)
                # operands in order, so that a register read twice adds up as in the reference
                for i in range(count):
                    for j in range(count):
                        if order[j] == i and modes[first + i]:
                            grad = adjoints[out + j * step + here + lane]
                            if not negative_zero(grad):
                                address = place(at, first + i, g, s) + lane
                                adjoints[address] = (adjoints[address] + grad) + 0.0


@kernel
def holds(values, at, first, guards, row, rows, g, s, so_far):
    """Return `so_far` where every guard of a branch-table row holds; a relation beyond the five never does."""
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
    """select: the piece of the first row whose guards hold."""
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
    """Backward of select: the selected piece gets all. Only one receives in a lane, so their order does not matter."""
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


@kernel
def _step(at, first, count):
    """Return the distance between consecutive operands."""
    return at[first + 1, 0] - at[first, 0] if count > 1 else 0


@kernel
def _block(left, a, next_a, a_step, right, b, next_b, b_step, count, y, z):
    """Add products from left to right to sums: y_k + a_1 b_k1 + a_2 b_k2 + ..., and z_k likewise, for k = 0, ..., 3.

    The a of y begin at place a of `left`, those of z next_a further; from one to the next is a_step. The b_k begin at
    place b + k next_b of `right`. Eight sums in flight keep the adders busy, and six loads serve eight products.
    """
    y0, y1, y2, y3 = y
    z0, z1, z2, z3 = z
    for _ in range(count):
        p, q = load(left, a), load(left, a + next_a)
        b0, b1 = load(right, b), load(right, b + next_b)
        b2, b3 = load(right, b + 2 * next_b), load(right, b + 3 * next_b)
        y0, z0 = y0 + p * b0, z0 + q * b0
        y1, z1 = y1 + p * b1, z1 + q * b1
        y2, z2 = y2 + p * b2, z2 + q * b2
        y3, z3 = y3 + p * b3, z3 + q * b3
        a += a_step
        b += b_step
    return (y0, y1, y2, y3), (z0, z1, z2, z3)


@kernel
def _store_four(array, address, step, x):
    """Store four vectors."""
    store(array, address, x[0])
    store(array, address + step, x[1])
    store(array, address + 2 * step, x[2])
    store(array, address + 3 * step, x[3])


@kernel
def _prepare_four(array, address, step):
    """Fetch the memory of four lane vectors that are going to be written."""
    for n in range(4):
        prepare(array, address + n * step)


@kernel
def dense(values, at, first, outs, inputs, bias, out, step, groups, samples):
    """dense: y_j = b_j + W_j1 x_1 + W_j2 x_2 + ..., from left to right.

    W, x and b are each contiguous registers of one kind (the tape's check says so), so an address is linear in them.
    Two outputs for four samples at a time, if all samples share the weights.
    """
    lanes = width(values)
    wide = first + outs * inputs
    wstep, xstep = _step(at, first, outs * inputs), _step(at, wide, inputs)
    bstep = _step(at, wide + inputs, outs) if bias else 0
    row = inputs * wstep
    shared = at[first, 2] == 0 and (not bias or at[wide + inputs, 2] == 0)
    # the sum of -0.0 and a product is the product, bit for bit
    nothing = splat(values, -0.0)
    y = z = (nothing, nothing, nothing, nothing)
    for g in range(groups):
        s = 0
        while shared and s + 3 < samples:
            w, x = place(at, first, g, s), place(at, wide, g, s)
            b = place(at, wide + inputs, g, s) if bias else 0
            o = out + (g * samples + s) * lanes
            for j in range(0, outs, 2):
                # the last of an odd number of outputs is computed twice
                more = 1 if j + 1 < outs else 0
                if bias:
                    u, v = load(values, b), load(values, b + more * bstep)
                    y, z = (u, u, u, u), (v, v, v, v)
                _prepare_four(values, o, lanes)
                _prepare_four(values, o + more * step, lanes)
                first_row, second_row = _block(values, w, more * row, wstep, values, x, lanes, xstep, inputs, y, z)
                _store_four(values, o, lanes, first_row)
                _store_four(values, o + more * step, lanes, second_row)
                o += 2 * step
                w += 2 * row
                b += 2 * bstep
            s += 4
        while s < samples:
            w, x = place(at, first, g, s), place(at, wide, g, s)
            b = place(at, wide + inputs, g, s) if bias else 0
            for j in range(outs):
                total = load(values, w) * load(values, x)
                if bias:
                    total = load(values, b) + total
                for i in range(1, inputs):
                    total = total + load(values, w + i * wstep) * load(values, x + i * xstep)
                store(values, out + j * step + (g * samples + s) * lanes, total)
                w += row
                b += bstep
            s += 1


@kernel
def _finite(array, start, count):
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


@kernel
def dense_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, trusted, groups, samples):
    """Backward of dense: W_ji gets g_j x_i, x_i gets the sum over j of g_j W_ji, and b_j gets g_j.

    If all inputs are finite (and the weights, which `trusted` says), an adjoint that received nothing passes zeros,
    which change no sum; only then may the loop do without masks.
    """
    wide = first + outs * inputs
    plain = trusted and modes[first] == ADD and at[first, 2] == 0 and at[wide, 2] != 0
    # inputs that are no parameters lie one after the other
    if plain and _finite(values, at[wide, 0], inputs * groups * samples):
        _weights_back(values, adjoints, at, first, outs, inputs, out, step, groups, samples)
        passes = False
        for i in range(wide, wide + inputs):
            passes = passes or modes[i] != 0
        if passes:
            _inputs_back(values, adjoints, at, modes, first, outs, inputs, out, step, groups, samples)
    else:
        _dense_back_masked(values, adjoints, at, modes, first, outs, inputs, out, step, groups, samples)
    if bias and modes[wide + inputs] == ADD and at[wide + inputs, 2] == 0:
        _biases_back(adjoints, at, wide + inputs, outs, out, step, groups, samples)
    elif bias:
        for j in range(outs):
            i = wide + inputs + j
            if modes[i]:
                for g in range(groups):
                    for s in range(samples):
                        grad = load(adjoints, out + j * step + (g * samples + s) * width(values))
                        give(adjoints, place(at, i, g, s), modes[i], ~negative_zero(grad), grad)


@kernel
def _biases_back(adjoints, at, first, outs, out, step, groups, samples):
    """Add g_j of every sample, in order, to the adjoint of b_j; four at a time, because each sum waits for itself.

    An adjoint that received nothing is -0.0, and adding it changes nothing.
    """
    lanes = width(adjoints)
    bstep = _step(at, first, outs)
    for g in range(groups):
        b = place(at, first, g, 0)
        o = out + g * samples * lanes
        for j in range(0, outs, 4):
            # beyond the last, the last again
            n1, n2, n3 = min(1, outs - 1 - j), min(2, outs - 1 - j), min(3, outs - 1 - j)
            y0, y1 = load(adjoints, b), load(adjoints, b + n1 * bstep)
            y2, y3 = load(adjoints, b + n2 * bstep), load(adjoints, b + n3 * bstep)
            here = o
            for _ in range(samples):
                y0, y1 = y0 + load(adjoints, here), y1 + load(adjoints, here + n1 * step)
                y2, y3 = y2 + load(adjoints, here + n2 * step), y3 + load(adjoints, here + n3 * step)
                here += lanes
            store(adjoints, b, y0)
            store(adjoints, b + n1 * bstep, y1)
            store(adjoints, b + n2 * bstep, y2)
            store(adjoints, b + n3 * bstep, y3)
            b += 4 * bstep
            o += 4 * step


@kernel
def _weights_back(values, adjoints, at, first, outs, inputs, out, step, groups, samples):
    """Add g_j x_i of every sample, in order, to the adjoint of W_ji: two outputs by four inputs, or the other way."""
    lanes = width(values)
    wide = first + outs * inputs
    wstep, xstep = _step(at, first, outs * inputs), _step(at, wide, inputs)
    for g in range(groups):
        w, x, o = place(at, first, g, 0), place(at, wide, g, 0), out + g * samples * lanes
        left, a, next_a, rows, next_row = adjoints, o, step, outs, inputs * wstep
        right, b, next_b, columns, next_column = values, x, xstep, inputs, wstep
        if inputs < 4 <= outs:
            left, a, next_a, rows, next_row, right, b, next_b, columns, next_column = (
                *(right, b, next_b, columns, next_column),
                *(left, a, next_a, rows, next_row),
            )
        for row in range(0, rows, 2):
            # the last of an odd number of rows is computed twice
            more = 1 if row + 1 < rows else 0
            here = w
            there = w + more * next_row
            column = b
            for _ in range(columns // 4):
                y = (
                    load(adjoints, here),
                    load(adjoints, here + next_column),
                    load(adjoints, here + 2 * next_column),
                    load(adjoints, here + 3 * next_column),
                )
                z = (
                    load(adjoints, there),
                    load(adjoints, there + next_column),
                    load(adjoints, there + 2 * next_column),
                    load(adjoints, there + 3 * next_column),
                )
                y, z = _block(left, a, more * next_a, lanes, right, column, next_b, lanes, samples, y, z)
                _store_four(adjoints, here, next_column, y)
                _store_four(adjoints, there, next_column, z)
                here += 4 * next_column
                there += 4 * next_column
                column += 4 * next_b
            for _ in range(columns % 4):
                u, v = load(adjoints, here), load(adjoints, there)
                p, q = a, column
                for _ in range(samples):
                    factor = load(right, q)
                    u = u + load(left, p) * factor
                    v = v + load(left, p + more * next_a) * factor
                    p += lanes
                    q += lanes
                store(adjoints, here, u)
                store(adjoints, there, v)
                here += next_column
                there += next_column
                column += next_b
            w += 2 * next_row
            a += 2 * next_a


@kernel
def _masked(l0, l1, l2, l3, x):
    """Return four amounts as first adjoints, -0.0 where nothing is given."""
    nothing = splat(x[0], -0.0)
    return (
        select(l0, x[0] + 0.0, nothing),
        select(l1, x[1] + 0.0, nothing),
        select(l2, x[2] + 0.0, nothing),
        select(l3, x[3] + 0.0, nothing),
    )


@kernel
def _inputs_back(values, adjoints, at, modes, first, outs, inputs, out, step, groups, samples):
    """Pass to x_i the sum over j of g_j W_ji, in the lanes where some g_j is given; two inputs at once."""
    lanes = width(values)
    wide = first + outs * inputs
    wstep, xstep = _step(at, first, outs * inputs), _step(at, wide, inputs)
    zero = splat(values, 0.0)
    zeros = (zero, zero, zero, zero)
    assigned = True
    for i in range(wide, wide + inputs):
        assigned = assigned and modes[i] == ASSIGN
    for g in range(groups):
        s = 0
        while s < samples:
            four = s + 3 < samples
            # fewer than four samples left: one, computed four times
            next_sample = lanes if four else 0
            o = out + (g * samples + s) * lanes
            w, x = place(at, first, g, s), place(at, wide, g, s)
            l0 = l1 = l2 = l3 = zero != zero
            here = o
            for _ in range(outs):
                l0 = l0 | (~negative_zero(load(adjoints, here)))
                l1 = l1 | (~negative_zero(load(adjoints, here + next_sample)))
                l2 = l2 | (~negative_zero(load(adjoints, here + 2 * next_sample)))
                l3 = l3 | (~negative_zero(load(adjoints, here + 3 * next_sample)))
                here += step
            for i in range(0, inputs, 2):
                more = 1 if i + 1 < inputs else 0
                if assigned:
                    _prepare_four(adjoints, x, lanes)
                    _prepare_four(adjoints, x + more * xstep, lanes)
                y, z = _block(
                    *(values, w, more * wstep, inputs * wstep, adjoints, o, next_sample, step, outs, zeros, zeros)
                )
                if four and assigned:
                    _store_four(adjoints, x, lanes, _masked(l0, l1, l2, l3, y))
                    _store_four(adjoints, x + more * xstep, lanes, _masked(l0, l1, l2, l3, z))
                else:
                    for n in range(i, i + 1 + more):
                        here = x + (n - i) * xstep
                        give(adjoints, here, modes[wide + n], l0, y[0])
                        if four:
                            give(adjoints, here + lanes, modes[wide + n], l1, y[1])
                            give(adjoints, here + 2 * lanes, modes[wide + n], l2, y[2])
                            give(adjoints, here + 3 * lanes, modes[wide + n], l3, y[3])
                        y = z
                w += 2 * wstep
                x += 2 * xstep
            s += 4 if four else 1


@kernel
def _dense_back_masked(values, adjoints, at, modes, first, outs, inputs, out, step, groups, samples):
    """Backward of dense with a mask for each adjoint that received nothing; operands in order."""
    wide = first + outs * inputs
    zero = splat(values, 0.0)
    for g in range(groups):
        for s in range(samples):
            o = out + (g * samples + s) * width(values)
            for j in range(outs):
                grad = load(adjoints, o + j * step)
                for i in range(inputs):
                    entry = first + j * inputs + i
                    if modes[entry]:
                        amount = zero + grad * load(values, place(at, wide + i, g, s))
                        give(adjoints, place(at, entry, g, s), modes[entry], ~negative_zero(grad), amount)
            for i in range(inputs):
                if modes[wide + i]:
                    total = zero
                    used = zero != zero
                    for j in range(outs):
                        grad = load(adjoints, o + j * step)
                        live = ~negative_zero(grad)
                        weight = load(values, place(at, first + j * inputs + i, g, s))
                        total = select(live, total + grad * weight, total)
                        used = used | live
                    give(adjoints, place(at, wide + i, g, s), modes[wide + i], used, total)
