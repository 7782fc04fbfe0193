"""Dense layers."""

from simsa.kernels.lanes import load, negative_zero, prepare, select, splat, store, width
from simsa.kernels.operations.shared import ADD, ASSIGN, finite, give, place, spacing
from simsa.kernels.options import kernel


@kernel
def _block(left, a, next_a, a_step, right, b, next_b, b_step, count, y, z):
    """Return y_k + a_1 b_k1 + a_2 b_k2 + ..., and z_k + c_1 b_k1 + c_2 b_k2 + ..., for k = 0, ..., 3.

    The products are added from left to right. left, a, next_a, a_step: a_1 is at place `a` of the array `left`, c_1 at
    place a + next_a, and the next ones follow at the distance a_step. right, b, next_b, b_step: likewise, b_k1 is at
    place b + k next_b of `right`. count: the number of products. Eight independent sums keep the adders of the
    processor busy, and six loads serve eight products.
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
    """Compute a dense layer: y_j = b_j + W_j1 x_1 + W_j2 x_2 + ..., from left to right.

    The registers of W are contiguous and all of one kind, as the tape's check ensures, and so are those of x and of b.
    Two outputs are computed for four samples at once if all samples share the weights.
    """
    lanes = width(values)
    wide = first + outs * inputs
    wstep, xstep = spacing(at, first, outs * inputs), spacing(at, wide, inputs)
    bstep = spacing(at, wide + inputs, outs) if bias else 0
    row = inputs * wstep
    shared = at[first, 2] == 0 and (not bias or at[wide + inputs, 2] == 0)
    # The sum of -0.0 and a product is the product, bit for bit.
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
def dense_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, finite_parameters, groups, samples):
    """Pass the adjoints g of a dense layer back: g_j x_i to W_ji, the sum over j of g_j W_ji to x_i, and g_j to b_j.

    If all inputs and weights are finite, an adjoint that received nothing passes zeros, which change no sum. Only then
    are masks left out.
    """
    wide = first + outs * inputs
    plain = finite_parameters and modes[first] == ADD and at[first, 2] == 0 and at[wide, 2] != 0
    # Inputs that are no parameters are contiguous.
    if plain and finite(values, at[wide, 0], inputs * groups * samples):
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
    """Add g_j of every sample, in order, to the adjoint of b_j.

    Four sums are computed at once, because each addition waits for the one before it. An adjoint that received nothing
    is -0.0, and adding it changes nothing.
    """
    lanes = width(adjoints)
    bstep = spacing(at, first, outs)
    for g in range(groups):
        b = place(at, first, g, 0)
        o = out + g * samples * lanes
        for j in range(0, outs, 4):
            # Where fewer than four outputs remain, the last one is computed several times.
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
    """Add g_j x_i of every sample, in order, to the adjoint of W_ji.

    Blocks have two outputs and four inputs; or the other way round, if there are fewer than four inputs.
    """
    lanes = width(values)
    wide = first + outs * inputs
    wstep, xstep = spacing(at, first, outs * inputs), spacing(at, wide, inputs)
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
    """Return four lane vectors x in the lanes of the masks l0, ..., l3, and -0.0, which means nothing, elsewhere."""
    nothing = splat(x[0], -0.0)
    return (
        select(l0, x[0] + 0.0, nothing),
        select(l1, x[1] + 0.0, nothing),
        select(l2, x[2] + 0.0, nothing),
        select(l3, x[3] + 0.0, nothing),
    )


@kernel
def _inputs_back(values, adjoints, at, modes, first, outs, inputs, out, step, groups, samples):
    """Pass the sum over j of g_j W_ji to x_i, in the lanes where some g_j has received; two inputs at once."""
    lanes = width(values)
    wide = first + outs * inputs
    wstep, xstep = spacing(at, first, outs * inputs), spacing(at, wide, inputs)
    zero = splat(values, 0.0)
    zeros = (zero, zero, zero, zero)
    assigned = True
    for i in range(wide, wide + inputs):
        assigned = assigned and modes[i] == ASSIGN
    for g in range(groups):
        s = 0
        while s < samples:
            four = s + 3 < samples
            # If fewer than four samples remain, one is computed four times.
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
    """Pass the adjoints of a dense layer back, with a mask for each adjoint; the operands receive in their order."""
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
