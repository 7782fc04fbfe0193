"""Convolutions on lanes: runs of dense instructions whose weights are the same copies of parameters.

Here a position is one instruction of the run: one window of the inputs. The copies have the same values for all
samples, so those of the first sample are read. Each sample has its own adjoints of the copies, which are summed over
the positions before they are stored. The inputs may be any registers that are no parameters.
"""

from simsa.kernels.lanes import load, negative_zero, splat, store, width
from simsa.kernels.operations.dense import dense_back
from simsa.kernels.operations.shared import ADD, finite, give, place, spacing
from simsa.kernels.options import kernel


@kernel
def convolution(values, at, first, outs, inputs, bias, out, step, times, groups, samples):
    """Compute y_j = b_j + W_j1 x_1 + W_j2 x_2 + ... at each position, from left to right.

    Two outputs are computed for four samples at once.
    """
    lanes = width(values)
    weights = outs * inputs
    count = weights + inputs + (outs if bias else 0)
    wstep = spacing(at, first, weights)
    row = inputs * wstep
    bstep = spacing(at, first + weights + inputs, outs) if bias else 0
    nothing = splat(values, -0.0)
    for g in range(groups):
        for n in range(times):
            x = first + n * count + weights
            for s in range(0, samples, 4):
                # If fewer than four samples remain, the last one is computed several times.
                s1, s2, s3 = min(s + 1, samples - 1), min(s + 2, samples - 1), min(s + 3, samples - 1)
                group_at = g * at[x, 1]
                m0, m1, m2, m3 = (
                    group_at + s * at[x, 2],
                    group_at + s1 * at[x, 2],
                    group_at + s2 * at[x, 2],
                    group_at + s3 * at[x, 2],
                )
                o = out + n * outs * step + g * samples * lanes
                w = place(at, first, g, 0)
                b = place(at, first + weights + inputs, g, 0) if bias else 0
                for j in range(0, outs, 2):
                    # The last of an odd number of outputs is computed twice.
                    more = 1 if j + 1 < outs else 0
                    y0 = y1 = y2 = y3 = z0 = z1 = z2 = z3 = nothing
                    if bias:
                        y0 = y1 = y2 = y3 = load(values, b)
                        z0 = z1 = z2 = z3 = load(values, b + more * bstep)
                    u, v = w, w + more * row
                    for i in range(x, x + inputs):
                        here = at[i, 0]
                        p, q = load(values, u), load(values, v)
                        a0, a1 = load(values, here + m0), load(values, here + m1)
                        a2, a3 = load(values, here + m2), load(values, here + m3)
                        y0, z0 = y0 + p * a0, z0 + q * a0
                        y1, z1 = y1 + p * a1, z1 + q * a1
                        y2, z2 = y2 + p * a2, z2 + q * a2
                        y3, z3 = y3 + p * a3, z3 + q * a3
                        u += wstep
                        v += wstep
                    r = o + more * step
                    store(values, o + s * lanes, y0)
                    store(values, o + s1 * lanes, y1)
                    store(values, o + s2 * lanes, y2)
                    store(values, o + s3 * lanes, y3)
                    store(values, r + s * lanes, z0)
                    store(values, r + s1 * lanes, z1)
                    store(values, r + s2 * lanes, z2)
                    store(values, r + s3 * lanes, z3)
                    o += 2 * step
                    w += 2 * row
                    b += 2 * bstep


@kernel
def convolution_back(
    values, adjoints, at, modes, first, outs, inputs, bias, out, step, finite_parameters, times, groups, samples
):
    """Pass the adjoints of a convolution back, from the last position to the first."""
    count = outs * inputs + inputs + (outs if bias else 0)
    last = first + (times - 1) * count
    low, high, passes = _reach(at, modes, first, outs, inputs, bias, times)
    # A weight that is read elsewhere as well may have received already; then the modes of the weights differ.
    alike = finite_parameters
    for i in range(last, last + count):
        alike = alike and (modes[i] == modes[last] or last + outs * inputs <= i < last + (outs + 1) * inputs)
    if not (alike and finite_inputs(values, low, high, groups, samples)):
        places_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, times, groups, samples)
        return
    if modes[last]:
        for g in range(groups):
            for s in range(samples):
                _weights_back(
                    values, adjoints, at, modes[last], first, outs, inputs, bias, out, step, times, g, s, samples
                )
    if passes:
        inputs_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, times, groups, samples)


@kernel
def _reach(at, modes, first, outs, inputs, bias, times):
    """Return the smallest and the largest place of an input, and whether some input receives."""
    weights = outs * inputs
    count = weights + inputs + (outs if bias else 0)
    low = high = at[first + weights, 0]
    passes = False
    for n in range(times):
        for i in range(first + n * count + weights, first + n * count + weights + inputs):
            low, high = min(low, at[i, 0]), max(high, at[i, 0])
            passes = passes or modes[i] != 0
    return low, high, passes


@kernel
def finite_inputs(values, low, high, groups, samples):
    """Tell whether all registers from place `low` to the one at `high` are finite; the inputs are among them.

    If the weights are finite as well, an adjoint that received nothing passes zeros, which change no sum.
    """
    return finite(values, low, (high - low) // width(values) + groups * samples)


@kernel
def places_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, times, groups, samples):
    """Pass the adjoints of a convolution back, one dense instruction after the other; inputs may be infinite or NaN."""
    count = outs * inputs + inputs + (outs if bias else 0)
    for n in range(times - 1, -1, -1):
        here = first + n * count
        dense_back(
            values, adjoints, at, modes, here, outs, inputs, bias, out + n * outs * step, step, 0, groups, samples
        )


@kernel
def inputs_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, times, groups, samples):
    """Pass adjoints to the inputs of each position, from the last position to the first."""
    weights = outs * inputs
    count = weights + inputs + (outs if bias else 0)
    for n in range(times - 1, -1, -1):
        for g in range(groups):
            for s in range(samples):
                o = out + n * outs * step + (g * samples + s) * width(values)
                _inputs_back(
                    values, adjoints, at, modes, first, first + n * count + weights, outs, inputs, o, step, g, s
                )


@kernel
def _start(adjoints, mode, at, i, g, s):
    """Return what the sum of an adjoint begins with: the adjoint so far if it is added to, else 0."""
    return load(adjoints, place(at, i, g, s)) if mode == ADD else splat(adjoints, 0.0)


@kernel
def _weights_back(values, adjoints, at, mode, first, outs, inputs, bias, out, step, times, g, s, samples):
    """Pass the sums over the positions of g_j x_i and of g_j to W_ji and b_j of one sample, last position first."""
    lanes = width(values)
    weights = outs * inputs
    count = weights + inputs + (outs if bias else 0)
    last = first + (times - 1) * count + weights
    off = g * at[last, 1] + s * at[last, 2]
    end = out + (times - 1) * outs * step + (g * samples + s) * lanes
    for j in range(0, outs, 4):
        # Where fewer than four outputs remain, the last one is computed several times.
        j1, j2, j3 = min(j + 1, outs - 1), min(j + 2, outs - 1), min(j + 3, outs - 1)
        n1, n2, n3 = (j1 - j) * step, (j2 - j) * step, (j3 - j) * step
        for i in range(0, inputs, 2):
            r0, r1, r2, r3 = first + j * inputs, first + j1 * inputs, first + j2 * inputs, first + j3 * inputs
            k = min(i + 1, inputs - 1)
            y0, z0 = _start(adjoints, mode, at, r0 + i, g, s), _start(adjoints, mode, at, r0 + k, g, s)
            y1, z1 = _start(adjoints, mode, at, r1 + i, g, s), _start(adjoints, mode, at, r1 + k, g, s)
            y2, z2 = _start(adjoints, mode, at, r2 + i, g, s), _start(adjoints, mode, at, r2 + k, g, s)
            y3, z3 = _start(adjoints, mode, at, r3 + i, g, s), _start(adjoints, mode, at, r3 + k, g, s)
            o, x, more = end + j * step, last + i, k - i
            for _ in range(times):
                p, q = load(values, at[x, 0] + off), load(values, at[x + more, 0] + off)
                d0, d1 = load(adjoints, o), load(adjoints, o + n1)
                d2, d3 = load(adjoints, o + n2), load(adjoints, o + n3)
                y0, z0 = y0 + d0 * p, z0 + d0 * q
                y1, z1 = y1 + d1 * p, z1 + d1 * q
                y2, z2 = y2 + d2 * p, z2 + d2 * q
                y3, z3 = y3 + d3 * p, z3 + d3 * q
                o -= outs * step
                x -= count
            store(adjoints, place(at, r0 + i, g, s), y0)
            store(adjoints, place(at, r0 + k, g, s), z0)
            store(adjoints, place(at, r1 + i, g, s), y1)
            store(adjoints, place(at, r1 + k, g, s), z1)
            store(adjoints, place(at, r2 + i, g, s), y2)
            store(adjoints, place(at, r2 + k, g, s), z2)
            store(adjoints, place(at, r3 + i, g, s), y3)
            store(adjoints, place(at, r3 + k, g, s), z3)
    for j in range(0, outs if bias else 0, 2):
        more = 1 if j + 1 < outs else 0
        b = first + weights + inputs + j
        y, z = _start(adjoints, mode, at, b, g, s), _start(adjoints, mode, at, b + more, g, s)
        o = end + j * step
        for _ in range(times):
            y, z = y + load(adjoints, o), z + load(adjoints, o + more * step)
            o -= outs * step
        store(adjoints, place(at, b, g, s), y)
        store(adjoints, place(at, b + more, g, s), z)


@kernel
def _inputs_back(values, adjoints, at, modes, first, x, outs, inputs, o, step, g, s):
    """Pass the sum over j of g_j W_ji to x_i of one position and sample, where some g_j has received."""
    wstep = spacing(at, first, outs * inputs)
    zero = splat(values, 0.0)
    live = zero != zero
    for j in range(outs):
        live = live | (~negative_zero(load(adjoints, o + j * step)))
    for i in range(0, inputs, 4):
        i1, i2, i3 = min(i + 1, inputs - 1), min(i + 2, inputs - 1), min(i + 3, inputs - 1)
        w = place(at, first, g, 0)
        y0 = y1 = y2 = y3 = zero
        here = o
        for _ in range(outs):
            p = load(adjoints, here)
            y0, y1 = y0 + p * load(values, w + i * wstep), y1 + p * load(values, w + i1 * wstep)
            y2, y3 = y2 + p * load(values, w + i2 * wstep), y3 + p * load(values, w + i3 * wstep)
            here += step
            w += inputs * wstep
        give(adjoints, place(at, x + i, g, s), modes[x + i], live, y0)
        if i + 1 < inputs:
            give(adjoints, place(at, x + i1, g, s), modes[x + i1], live, y1)
        if i + 2 < inputs:
            give(adjoints, place(at, x + i2, g, s), modes[x + i2], live, y2)
        if i + 3 < inputs:
            give(adjoints, place(at, x + i3, g, s), modes[x + i3], live, y3)
