"""The instructions with any number of operands, on lanes: one loop each, forward and backward.

Memory. `values` and `adjoints` hold one register after another; a register holds `groups` x `samples` lane vectors,
a parameter only `groups` (all samples of a minibatch share it). `at[i]` is the address of operand entry i: offset,
step from group to group, step from sample to sample. The reference interpreter defines what each loop computes.

Adjoints. An adjoint that is exactly -0.0 has received nothing: no executed piece leads from it to the output. Every
adjoint that received something is kept off -0.0 by adding +0.0, which changes no other value. So a piece that is not
selected passes nothing, whatever its value or derivative, and no masks are stored.
"""

from simsa.kernels.functions import exp, log
from simsa.kernels.lanes import any_lane, fabs, load, negative_zero, select, splat, store, width
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
    if mode == ASSIGN:
        store(adjoints, address, select(used, amount + 0.0, splat(adjoints, -0.0)))
    elif mode == ADD:
        old = load(adjoints, address)
        store(adjoints, address, select(used, (old + amount) + 0.0, old))


@kernel
def narrow(margin, address, gap):
    """Keep the smaller |guard|; a NaN gap does not count."""
    old = load(margin, address)
    store(margin, address, select(gap < old, gap, old))


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
def best(values, at, first, count, sign, g, s):
    """Return the largest (sign 1) or smallest (sign -1) operand; the first NaN wins."""
    top = load(values, place(at, first, g, s))
    for i in range(first + 1, first + count):
        x = load(values, place(at, i, g, s))
        better = (x > top) if sign > 0 else (x < top)
        top = select(((top == top) & better) | ((x != x) & (top == top)), x, top)
    return top


@kernel
def extreme(values, margin, at, first, count, out, sign, rule, guarded, groups, samples):
    """Max and min: the first (or last) of the best operands, and the gap to the nearest other."""
    for g in range(groups):
        for s in range(samples):
            here = (g * samples + s) * width(values)
            top = best(values, at, first, count, sign, g, s)
            chosen = top
            seen = top != top
            for i in range(first, first + count):
                x = load(values, place(at, i, g, s))
                equal = x == top
                chosen = select(equal & ((~seen) if rule != LAST else equal), x, chosen)
                if guarded:
                    gap = fabs(top - x)
                    once = seen | (~equal)
                    narrow(margin, here, select(once, gap, splat(values, float("inf"))))
                seen = seen | equal
            store(values, out + here, chosen)


@kernel
def extreme_back(values, adjoints, at, modes, first, count, out, rule, groups, samples):
    """Backward of max and min: to the first, to the last, or split between all equal to the value."""
    for g in range(groups):
        for s in range(samples):
            here = out + (g * samples + s) * width(values)
            grad = load(adjoints, here)
            live = ~negative_zero(grad)
            v = load(values, here)
            nan = v != v
            tied = splat(values, 0.0)
            for i in range(first, first + count):
                x = load(values, place(at, i, g, s))
                tied = select(x == v, tied + 1.0, tied)
            left = select(nan, splat(values, 1.0), tied if rule == SPLIT else splat(values, 1.0))
            share = grad / left
            seen = splat(values, 0.0)
            for i in range(first, first + count):
                x = load(values, place(at, i, g, s))
                equal = (x == v) | (nan & (x != x))
                before = seen
                seen = select(equal, seen + 1.0, seen)
                if rule == LAST:
                    chosen = equal & (select(nan, before, seen) == select(nan, splat(values, 0.0), tied))
                elif rule == FIRST:
                    chosen = equal & (before == 0.0)
                else:
                    chosen = equal & ((~nan) | (before == 0.0))
                give(adjoints, place(at, i, g, s), modes[i], live & chosen, share)


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
def sort(values, margin, at, first, count, out, step, rule, guarded, groups, samples, order):
    """sort: insertion sort of each lane, and the smallest gap between neighbours."""
    for g in range(groups):
        for s in range(samples):
            here = (g * samples + s) * width(values)
            for lane in range(width(values)):
                permutation(values, at, first, count, rule, g, s, lane, order)
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
    """Backward of select: the selected piece gets all; operands in order."""
    for g in range(groups):
        for s in range(samples):
            grad = load(adjoints, out + (g * samples + s) * width(values))
            live = ~negative_zero(grad)
            for i in range(count):
                if modes[first + i]:
                    open_lanes = live
                    mine = live & (~live)
                    row = branch
                    while True:
                        hit = holds(values, at, first, guards, row, rows, g, s, open_lanes)
                        if rows[row, 2] == i:
                            mine = mine | hit
                        open_lanes = open_lanes & (~hit)
                        if rows[row, 1] == 0:
                            break
                        row += 1
                    give(adjoints, place(at, first + i, g, s), modes[first + i], mine, grad)


@kernel
def dense(values, at, first, outs, inputs, bias, out, step, groups, samples):
    """dense: y_j = b_j + W_j1 x_1 + W_j2 x_2 + ..., from left to right.

    W, x and b are each contiguous registers of one kind (the tape's check says so), so an address is linear in them.
    Four outputs for two samples at a time: eight sums in flight, and each load serves several of them.
    """
    lanes = width(values)
    wide = first + outs * inputs
    wstep = at[first + 1, 0] - at[first, 0] if outs * inputs > 1 else 0
    xstep = at[wide + 1, 0] - at[wide, 0] if inputs > 1 else 0
    for g in range(groups):
        for j in range(0, outs, 4):
            rows = min(4, outs - j)
            s = 0
            while s < samples:
                pair = 2 if s + 1 < samples else 1
                x0 = place(at, wide, g, s)
                x1 = place(at, wide, g, s + pair - 1)
                if rows == 4 and at[first, 2] == 0:
                    w0 = place(at, first, g, s) + j * inputs * wstep
                    w1 = w0 + inputs * wstep
                    w2 = w1 + inputs * wstep
                    w3 = w2 + inputs * wstep
                    a, b = load(values, x0), load(values, x1)
                    if bias:
                        p, q = load(values, w0), load(values, w1)
                        u, v = load(values, w2), load(values, w3)
                        b0 = load(values, place(at, wide + inputs + j, g, s))
                        b1 = load(values, place(at, wide + inputs + j + 1, g, s))
                        b2 = load(values, place(at, wide + inputs + j + 2, g, s))
                        b3 = load(values, place(at, wide + inputs + j + 3, g, s))
                        y0, y1, y2, y3 = b0 + p * a, b1 + q * a, b2 + u * a, b3 + v * a
                        z0, z1, z2, z3 = b0 + p * b, b1 + q * b, b2 + u * b, b3 + v * b
                    else:
                        p, q = load(values, w0), load(values, w1)
                        u, v = load(values, w2), load(values, w3)
                        y0, y1, y2, y3 = p * a, q * a, u * a, v * a
                        z0, z1, z2, z3 = p * b, q * b, u * b, v * b
                    for i in range(1, inputs):
                        a, b = load(values, x0 + i * xstep), load(values, x1 + i * xstep)
                        p, q = load(values, w0 + i * wstep), load(values, w1 + i * wstep)
                        u, v = load(values, w2 + i * wstep), load(values, w3 + i * wstep)
                        y0 = y0 + p * a
                        y1 = y1 + q * a
                        y2 = y2 + u * a
                        y3 = y3 + v * a
                        z0 = z0 + p * b
                        z1 = z1 + q * b
                        z2 = z2 + u * b
                        z3 = z3 + v * b
                    o = out + j * step + (g * samples + s) * lanes
                    store(values, o, y0)
                    store(values, o + step, y1)
                    store(values, o + 2 * step, y2)
                    store(values, o + 3 * step, y3)
                    o += (pair - 1) * lanes
                    store(values, o, z0)
                    store(values, o + step, z1)
                    store(values, o + 2 * step, z2)
                    store(values, o + 3 * step, z3)
                else:
                    for r in range(j, j + rows):
                        for t in range(s, s + pair):
                            w = place(at, first, g, t) + r * inputs * wstep
                            x = place(at, wide, g, t)
                            total = load(values, w) * load(values, x)
                            if bias:
                                total = load(values, place(at, wide + inputs + r, g, t)) + total
                            for i in range(1, inputs):
                                total = total + load(values, w + i * wstep) * load(values, x + i * xstep)
                            store(values, out + r * step + (g * samples + t) * lanes, total)
                s += pair


@kernel
def dense_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, trusted, groups, samples):
    """Backward of dense: W_ji gets g_j x_i, x_i gets the sum over j of g_j W_ji, and b_j gets g_j.

    If all inputs are finite (and the weights, which `trusted` says), an adjoint that received nothing passes zeros,
    which change no sum; only then may the loop do without masks.
    """
    wide = first + outs * inputs
    plain = trusted and modes[first] == ADD and at[first, 2] == 0 and at[wide, 2] != 0
    zero = splat(values, 0.0)
    if plain:
        check = zero
        xstep = at[wide + 1, 0] - at[wide, 0] if inputs > 1 else 0
        for i in range(inputs):
            here = at[wide, 0] + i * xstep
            for _ in range(groups * samples):
                x = load(values, here)
                check = check + (x - x)
                here += width(values)
        plain = not any_lane(check != 0.0)
    if plain:
        for g in range(groups):
            s = 0
            while s < samples:
                if s + 3 < samples:
                    _dense_back_four(values, adjoints, at, modes, first, outs, inputs, out, step, g, s, samples)
                    s += 4
                else:
                    _dense_back_one(values, adjoints, at, modes, first, outs, inputs, out, step, g, s, samples)
                    s += 1
    else:
        _dense_back_masked(values, adjoints, at, modes, first, outs, inputs, out, step, groups, samples)
    if bias and modes[wide + inputs] == ADD and at[wide + inputs, 2] == 0:
        # an adjoint that received nothing is -0.0, and adding it changes nothing
        for j in range(outs):
            for g in range(groups):
                here = place(at, wide + inputs + j, g, 0)
                total = load(adjoints, here)
                grad = out + j * step + g * samples * width(values)
                for _ in range(samples):
                    total = total + load(adjoints, grad)
                    grad += width(values)
                store(adjoints, here, total)
    elif bias:
        for j in range(outs):
            i = wide + inputs + j
            if modes[i]:
                for g in range(groups):
                    for s in range(samples):
                        grad = load(adjoints, out + j * step + (g * samples + s) * width(values))
                        give(adjoints, place(at, i, g, s), modes[i], ~negative_zero(grad), grad)


@kernel
def _weights_back(values, adjoints, w, wstep, x, xstep, o, step, outs, inputs):
    """Add g_j x_i to the adjoint of W_ji for four samples: two rows at a time, each adjoint loaded and stored once."""
    lanes = width(values)
    row = inputs * wstep
    for j in range(0, outs, 2):
        two = j + 1 < outs
        p, q = o + j * step, o + (j + 1 if two else j) * step
        p0, p1 = load(adjoints, p), load(adjoints, p + lanes)
        p2, p3 = load(adjoints, p + 2 * lanes), load(adjoints, p + 3 * lanes)
        q0, q1 = load(adjoints, q), load(adjoints, q + lanes)
        q2, q3 = load(adjoints, q + 2 * lanes), load(adjoints, q + 3 * lanes)
        here, there, at = w + j * row, w + (j + 1) * row, x
        for _ in range(inputs):
            x0, x1 = load(values, at), load(values, at + lanes)
            x2, x3 = load(values, at + 2 * lanes), load(values, at + 3 * lanes)
            store(adjoints, here, (((load(adjoints, here) + p0 * x0) + p1 * x1) + p2 * x2) + p3 * x3)
            if two:
                store(adjoints, there, (((load(adjoints, there) + q0 * x0) + q1 * x1) + q2 * x2) + q3 * x3)
            here += wstep
            there += wstep
            at += xstep


@kernel
def _inputs_back(values, adjoints, modes, w, wstep, x, xstep, o, step, outs, inputs, live, other):
    """Pass to four inputs, for two samples, the sum over j of g_j W_ji: eight sums in flight."""
    lanes = width(values)
    row = inputs * wstep
    zero = splat(values, 0.0)
    for i in range(0, inputs, 4):
        last = inputs - 1
        w0, w1 = w + i * wstep, w + min(i + 1, last) * wstep
        w2, w3 = w + min(i + 2, last) * wstep, w + min(i + 3, last) * wstep
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
        grad = o
        for _ in range(outs):
            a, b = load(adjoints, grad), load(adjoints, grad + lanes)
            u0, u1 = load(values, w0), load(values, w1)
            u2, u3 = load(values, w2), load(values, w3)
            a0 = a0 + a * u0
            a1 = a1 + a * u1
            a2 = a2 + a * u2
            a3 = a3 + a * u3
            b0 = b0 + b * u0
            b1 = b1 + b * u1
            b2 = b2 + b * u2
            b3 = b3 + b * u3
            w0 += row
            w1 += row
            w2 += row
            w3 += row
            grad += step
        at = x + i * xstep
        give(adjoints, at, modes[i], live, a0)
        give(adjoints, at + lanes, modes[i], other, b0)
        if i + 1 < inputs:
            give(adjoints, at + xstep, modes[i + 1], live, a1)
            give(adjoints, at + xstep + lanes, modes[i + 1], other, b1)
        if i + 2 < inputs:
            give(adjoints, at + 2 * xstep, modes[i + 2], live, a2)
            give(adjoints, at + 2 * xstep + lanes, modes[i + 2], other, b2)
        if i + 3 < inputs:
            give(adjoints, at + 3 * xstep, modes[i + 3], live, a3)
            give(adjoints, at + 3 * xstep + lanes, modes[i + 3], other, b3)


@kernel
def _dense_back_four(values, adjoints, at, modes, first, outs, inputs, out, step, g, s, samples):
    """Backward of dense for four samples."""
    lanes = width(values)
    wide = first + outs * inputs
    wstep = at[first + 1, 0] - at[first, 0] if outs * inputs > 1 else 0
    xstep = at[wide + 1, 0] - at[wide, 0] if inputs > 1 else 0
    o = out + (g * samples + s) * lanes
    w = place(at, first, g, s)
    x = place(at, wide, g, s)
    _weights_back(values, adjoints, w, wstep, x, xstep, o, step, outs, inputs)
    passes = False
    for i in range(inputs):
        passes = passes or modes[wide + i] != 0
    if passes:
        for t in range(0, 4, 2):
            live = other = splat(values, 0.0) != 0.0
            for j in range(outs):
                live = live | (~negative_zero(load(adjoints, o + j * step + t * lanes)))
                other = other | (~negative_zero(load(adjoints, o + j * step + (t + 1) * lanes)))
            _inputs_back(
                values,
                adjoints,
                modes[wide:],
                w,
                wstep,
                x + t * lanes,
                xstep,
                o + t * lanes,
                step,
                outs,
                inputs,
                live,
                other,
            )


@kernel
def _dense_back_one(values, adjoints, at, modes, first, outs, inputs, out, step, g, s, samples):
    """Backward of dense for one sample."""
    wide = first + outs * inputs
    wstep = at[first + 1, 0] - at[first, 0] if outs * inputs > 1 else 0
    zero = splat(values, 0.0)
    o = out + (g * samples + s) * width(values)
    live = zero != zero
    for j in range(outs):
        live = live | (~negative_zero(load(adjoints, o + j * step)))
    for i in range(inputs):
        address = place(at, wide + i, g, s)
        x = load(values, address)
        total = zero
        w = place(at, first, g, s) + i * wstep
        for j in range(outs):
            grad = load(adjoints, o + j * step)
            here = w + j * inputs * wstep
            total = total + grad * load(values, here)
            store(adjoints, here, load(adjoints, here) + grad * x)
        give(adjoints, address, modes[wide + i], live, total)


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
