"""Mini-batch SGD of a block of trajectories, recursion (8) of the paper, and evaluation of a block of points.

Lanes of a group advance in lockstep, each with its own parameters, minibatch and history. A trajectory's numbers do
not depend on the lane, the group or the block that it rides in, nor on how many samples are computed at a time.
"""

import numpy as np

from simsa.kernels.lanes import all_lanes, any_lane, fabs, load, mantissa, select, splat, store, width
from simsa.kernels.options import entry, kernel
from simsa.kernels.streams import initial, minibatch

from .engine import backward, forward

FINISHED, UNBOUNDED, NOT_FINITE = 0, 1, 2


@kernel
def _prepare(constants, constant_values, values, step):
    """Fill the constants' registers."""
    for n in range(constants.shape[0]):
        for i in range(step):
            values[constants[n] + i] = constant_values[n]


@kernel
def _seed(adjoints, seeds, clear, output, valid, step):
    """Give the output's adjoint 1 where the lane has a sample, and mark all else as having received nothing."""
    for n in range(clear.shape[0]):
        for i in range(step):
            adjoints[clear[n] + i] = -0.0
    for n in range(seeds.shape[0]):
        for i in range(step):
            adjoints[seeds[n] + i] = -0.0
    for i in range(step):
        adjoints[seeds[output] + i] = 1.0 if valid[i] != 0.0 else -0.0


@kernel
def _gather(rows, index, values, data_at, step, groups, samples, lanes):
    """Copy the samples of each lane into the data registers; `index` is (groups * samples * lanes,)."""
    for d in range(rows.shape[1]):
        for i in range(groups * samples * lanes):
            values[data_at + d * step + i] = rows[index[i], d]


@kernel
def _objective(
    code,
    at,
    numbers,
    branches,
    guards,
    values,
    margin,
    order,
    step,
    groups,
    samples,
    rows,
    index,
    data_at,
    output,
    total,
):
    """Write J(x) = (1/n) sum f_i(x) of each lane into `total`; samples in order."""
    lanes = width(values)
    n = rows.shape[0]
    total[:] = 0.0
    for start in range(0, n, samples):
        for g in range(groups):
            for s in range(samples):
                for lane in range(lanes):
                    index[(g * samples + s) * lanes + lane] = min(start + s, n - 1)
        _gather(rows, index, values, data_at, step, groups, samples, lanes)
        forward(code, at, numbers, branches, guards, values, margin, step, groups, samples, order)
        for s in range(min(samples, n - start)):
            for g in range(groups):
                store(
                    total,
                    g * lanes,
                    load(total, g * lanes) + load(values, output + (g * samples + s) * lanes),
                )
    for g in range(groups):
        store(total, g * lanes, load(total, g * lanes) / splat(total, n))


@entry
def descend(
    code, at, modes, numbers, branches, guards, constants, constant_values, seeds, clear,
    parameters, data_at, size_of_values, longest, groups, samples, trusted,
    rows, law, batch, replace, largest, room, seed, cell, first, start, gamma, radius, checkpoints, observed,
    status, stopped, tie_first, tie_count, tie_sample, tie_point, landed_first, smallest, final, objective,
    movement, snapshots,
):  # fmt: skip
    """Run the trajectories first, first + 1, ..., one for each row of `start`, and fill the records.

    A step is x - gamma_k (sum of the selection gradients of the minibatch, in the order drawn) / |I_k|. A trajectory
    that leaves the ball |x|_inf <= radius stops there; one whose next point is not finite stops before it, so the
    parameters can be trusted to be finite (`trusted` is 1). A trajectory has landed when, at a tie, another choice of
    the tied pieces would have changed the gradient of its minibatch: numbers and guards come three times, as
    `Tape.choices` returns them. snapshots: NaN at first, and without checkpoints if they are not wanted.
    """
    values = np.zeros(size_of_values, start.dtype)
    lanes = width(values)
    step = groups * samples * lanes
    across = groups * lanes
    store_of_adjoints = np.zeros((3, size_of_values), start.dtype)
    margin = np.empty(step, start.dtype)
    valid = np.zeros(step, start.dtype)
    total = np.zeros(across, start.dtype)
    alive = np.zeros(across, start.dtype)
    counts = np.ones(across, start.dtype)
    moved = np.zeros(across, start.dtype)
    reached = np.zeros(across, start.dtype)
    sound = np.zeros(across, start.dtype)
    least = np.zeros(across, start.dtype)
    order = np.zeros(longest, np.int64)
    index = np.zeros(step, np.int64)
    drawn = np.zeros((across, largest), np.int64)
    sizes = np.zeros(across, np.int64)
    private = np.zeros((across, room), np.int64)
    tied_now = np.zeros(across, np.bool_)
    count = start.shape[0]
    _prepare(constants, constant_values, values, step)
    for base in range(0, count, across):
        here = min(across, count - base)
        private[:] = -1
        for t in range(across):
            alive[t] = 1.0 if t < here else 0.0
            least[t] = np.inf
            moved[t] = 0.0
            for r in range(parameters):
                values[(r * groups + t // lanes) * lanes + t % lanes] = start[base + min(t, here - 1), r]
        for t in range(here):
            status[base + t] = FINISHED
            stopped[base + t] = gamma.shape[0]
            tie_first[base + t] = tie_sample[base + t] = landed_first[base + t] = -1
            tie_count[base + t] = 0
            tie_point[base + t, :] = np.nan
            objective[base + t, :] = np.nan
        check = 0
        running = here
        for k in range(gamma.shape[0] + 1):
            if running == 0:
                break
            while check < checkpoints.shape[0] and checkpoints[check] == k:
                if first + base < observed:
                    _objective(
                        code, at, numbers[0], branches, guards[0], values, margin, order, step, groups, samples, rows,
                        index, data_at, seeds[0], total,
                    )  # fmt: skip
                    for t in range(here):
                        if alive[t] != 0.0 and first + base + t < observed:
                            objective[base + t, check] = total[t]
                if snapshots.shape[1] > 0:
                    for t in range(here):
                        if alive[t] != 0.0:
                            for r in range(parameters):
                                i = (r * groups + t // lanes) * lanes + t % lanes
                                snapshots[base + t, check, r] = values[i]
                check += 1
            if k == gamma.shape[0]:
                break
            most = 0
            for t in range(across):
                sizes[t] = 0
                if alive[t] != 0.0:
                    sizes[t] = minibatch(
                        law,
                        rows.shape[0],
                        batch,
                        replace,
                        seed,
                        cell,
                        first + base + t,
                        k,
                        private[t],
                        drawn[t],
                        0,
                    )
                counts[t] = max(sizes[t], 1)
                most = max(most, sizes[t])
                tied_now[t] = False
            any_tied = False
            for choice in range(3):
                # as the convention says; then, if a sample is tied, with every tie to its first and to its last piece
                if choice and not any_tied:
                    break
                adjoints = store_of_adjoints[choice]
                adjoints[: parameters * across] = 0.0
                for b in range(0, most, samples):
                    for g in range(groups):
                        for s in range(samples):
                            for lane in range(lanes):
                                i = (g * samples + s) * lanes + lane
                                t = g * lanes + lane
                                inside = b + s < sizes[t]
                                valid[i] = 1.0 if inside else 0.0
                                index[i] = drawn[t, b + s] if inside else 0
                                margin[i] = np.inf
                    _gather(rows, index, values, data_at, step, groups, samples, lanes)
                    forward(
                        code,
                        at,
                        numbers[choice],
                        branches,
                        guards[choice],
                        values,
                        margin,
                        step,
                        groups,
                        samples,
                        order,
                    )
                    _seed(adjoints, seeds, clear, 0, valid, step)
                    backward(
                        code,
                        at,
                        modes,
                        numbers[choice],
                        branches,
                        guards[choice],
                        values,
                        adjoints,
                        step,
                        1,
                        groups,
                        samples,
                        order,
                    )
                    if choice:
                        continue
                    touched = False
                    for g in range(groups):
                        low = load(least, g * lanes)
                        for s in range(samples):
                            i = (g * samples + s) * lanes
                            gap = select(load(valid, i) != 0.0, load(margin, i), splat(values, np.inf))
                            low = select(gap < low, gap, low)
                            touched = touched or any_lane(gap == 0.0)
                        store(least, g * lanes, low)
                    if touched:
                        any_tied = True
                        for i in range(step):
                            t = i // (samples * lanes) * lanes + i % lanes
                            if valid[i] != 0.0 and margin[i] == 0.0:
                                tied_now[t] = True
                                if tie_first[base + t] < 0:
                                    tie_first[base + t] = k
                                    tie_sample[base + t] = index[i]
                                    for r in range(parameters):
                                        tie_point[base + t, r] = values[(r * groups + t // lanes) * lanes + t % lanes]
            adjoints = store_of_adjoints[0]
            if any_tied:
                for t in range(here):
                    if tied_now[t] and landed_first[base + t] < 0:
                        for r in range(parameters):
                            i = (r * groups + t // lanes) * lanes + t % lanes
                            ours, first_choice, last_choice = (
                                adjoints[i],
                                store_of_adjoints[1, i],
                                store_of_adjoints[2, i],
                            )
                            if ours != first_choice or ours != last_choice:
                                landed_first[base + t] = k
            rate = splat(values, gamma[k])
            for g in range(groups):
                n = load(counts, g * lanes)
                inverse = splat(values, 1.0) / n
                # a power of two divides exactly, and multiplying is faster
                binary = all_lanes(mantissa(n) == 1.0)
                size = splat(values, 0.0)
                far = splat(values, 0.0)
                whole = splat(values, 0.0)
                for r in range(parameters):
                    i = (r * groups + g) * lanes
                    total_gradient = load(adjoints, i)
                    change = rate * (total_gradient * inverse if binary else total_gradient / n)
                    before = load(values, i)
                    x = before - change
                    store(values, i, x)
                    store(adjoints, i, before)
                    whole = whole + (x - x)
                    change, x = fabs(change), fabs(x)
                    size = select(change > size, change, size)
                    far = select(x > far, x, far)
                going = load(alive, g * lanes) != 0.0
                good = going & (whole == 0.0)
                store(sound, g * lanes, select(good, splat(values, 1.0), splat(values, 0.0)))
                store(moved, g * lanes, select(good, size, load(moved, g * lanes)))
                store(reached, g * lanes, far)
                if not all_lanes(good):
                    for r in range(parameters):
                        i = (r * groups + g) * lanes
                        store(values, i, select(good, load(values, i), load(adjoints, i)))
            for t in range(here):
                if alive[t] != 0.0:
                    if tied_now[t]:
                        tie_count[base + t] += 1
                    if sound[t] == 0.0 or reached[t] > radius:
                        status[base + t] = UNBOUNDED if sound[t] != 0.0 else NOT_FINITE
                        stopped[base + t] = k + 1
                        alive[t] = 0.0
                        running -= 1
        for t in range(here):
            smallest[base + t] = least[t]
            movement[base + t] = moved[t]
            for r in range(parameters):
                final[base + t, r] = values[(r * groups + t // lanes) * lanes + t % lanes]


@entry
def start(seed, cell, first, kind, center, scale, points, out):
    """Write the initial points of a block: `streams.initial`, kept on disk."""
    initial(seed, cell, first, kind, center, scale, points, out)


@entry
def draw(law, rows, batch, replace, seed, cell, trajectory, step, private, out):
    """Write the minibatch of one step and return its size: `streams.minibatch`, kept on disk."""
    return minibatch(law, rows, batch, replace, seed, cell, trajectory, step, private, out, 0)


@entry
def evaluate(
    code, at, modes, numbers, branches, guards, constants, constant_values, seeds, clear,
    parameters, data_at, size_of_values, longest, groups, samples, trusted,
    points, rows, outputs, jacobians, margins, differentiate,
):  # fmt: skip
    """Evaluate a batch: point b with row b; fill outputs (b, q), jacobians (b, q, p) and margins (b,).

    samples is 1 and trusted is 1; as arguments, they share the compiled walks with `descend`.
    """
    values = np.zeros(size_of_values, points.dtype)
    lanes = width(values)
    across = groups * lanes
    adjoints = np.zeros(size_of_values, points.dtype)
    margin = np.empty(across, points.dtype)
    valid = np.ones(across, points.dtype)
    order = np.zeros(longest, np.int64)
    index = np.zeros(across, np.int64)
    count = points.shape[0]
    _prepare(constants, constant_values, values, across)
    for base in range(0, count, across):
        here = min(across, count - base)
        finite = trusted
        for t in range(across):
            margin[t] = np.inf
            index[t] = base + min(t, here - 1)
            for r in range(parameters):
                x = points[index[t], r]
                if x - x != 0.0:
                    finite = 0
                values[(r * groups + t // lanes) * lanes + t % lanes] = x
        _gather(rows, index, values, data_at, across, groups, samples, lanes)
        forward(code, at, numbers[0], branches, guards[0], values, margin, across, groups, samples, order)
        for t in range(here):
            margins[base + t] = margin[t]
            for n in range(seeds.shape[0]):
                outputs[base + t, n] = values[seeds[n] + t]
        if differentiate:
            for n in range(seeds.shape[0]):
                _seed(adjoints, seeds, clear, n, valid, across)
                adjoints[: parameters * across] = 0.0
                backward(
                    code,
                    at,
                    modes,
                    numbers[0],
                    branches,
                    guards[0],
                    values,
                    adjoints,
                    across,
                    finite,
                    groups,
                    1,
                    order,
                )
                for t in range(here):
                    for r in range(parameters):
                        jacobians[base + t, n, r] = adjoints[(r * groups + t // lanes) * lanes + t % lanes]
