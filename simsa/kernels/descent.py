"""Mini-batch SGD of a block of trajectories, recursion (8) of the paper, and evaluation of a block of points.

Lanes of a group advance in lockstep, each with its own parameters, minibatch and history. A trajectory's numbers do
not depend on the lane, the group or the block that it rides in, nor on how many samples are computed at a time.
"""

import numpy as np

from simsa.kernels.calls import call_sensitive
from simsa.kernels.draws import MOST, distinct
from simsa.kernels.lanes import all_lanes, any_lane, fabs, load, mantissa, pick, prepare, select, splat, store, width
from simsa.kernels.nary import seed
from simsa.kernels.options import entry, kernel, walk
from simsa.kernels.sensitivity import BLOCKS, KEY, PLACE, PURPOSE, STEP, TRAJECTORY
from simsa.kernels.sensitivity import MOST as MOST_BLOCKS
from simsa.kernels.streams import FIXED_SIZE, FULL, MINIBATCH, SAMPLE, STREAMED, WEIGHTS, initial, minibatch, sample

from .engine import ASSIGNS, KEEPS, MARCHES, STEPS, advance, backward, forward, gradient, march

FINISHED, UNBOUNDED, NOT_FINITE = 0, 1, 2


@kernel
def _prepare(constants, constant_values, values, step):
    """Fill the constants' registers."""
    for n in range(constants.shape[0]):
        for i in range(step):
            values[constants[n] + i] = constant_values[n]


@kernel
def _gather(rows, width_of_row, drawn, room, b, values, data_at, step, groups, samples):
    """Copy the samples b, b + 1, ... of each lane's minibatch into the data registers; drawn: (groups, room, lanes)."""
    lanes = width(values)
    for d in range(width_of_row):
        for g in range(groups):
            for s in range(samples):
                i = data_at + d * step + (g * samples + s) * lanes
                store(values, i, pick(rows, drawn, (g * room + b + s) * lanes, width_of_row, d))


@kernel
def _spread(rows, n, width_of_row, b, values, data_at, step, groups, samples):
    """Copy the samples b, b + 1, ... of all n into the data registers, the same for every lane."""
    lanes = width(values)
    for d in range(width_of_row):
        for s in range(samples):
            number = splat(values, rows[min(b + s, n - 1) * width_of_row + d])
            for g in range(groups):
                store(values, data_at + d * step + (g * samples + s) * lanes, number)


@kernel
def _minibatches(
    like, law, n, batch, replace, key, first, k, private, drawn, start, running, sizes, t
):  # fmt: skip
    """Draw the minibatches of the lanes t, t + 1, ..., of trajectories first + t, ..., and write their sizes."""
    lanes = width(like)
    size = min(batch, n)
    together = law == FIXED_SIZE and not replace and size <= MOST
    if together:
        together = distinct(like, n, size, k, first + t, MINIBATCH, key, drawn, start)
    for lane in range(lanes):
        if running[t + lane]:
            sizes[t + lane] = size if together else minibatch(
                law, n, batch, replace, key, first + t + lane, k, private[t + lane], drawn, start + lane, lanes
            )  # fmt: skip


@kernel
def _stream(
    kinds, shares, center, scale, key, first, k, b, values, data_at, step, groups, samples, u, v, fresh
):  # fmt: skip
    """Draw the samples b, b + 1, ... of each lane, of trajectories first, first + 1, ..., into the data registers."""
    lanes = width(values)
    for i in range(groups * samples * lanes):
        t, s = first + i // (samples * lanes) * lanes + i % lanes, i // lanes % samples
        sample(kinds, shares, center, scale, SAMPLE, key, t, k, b + s, u, v, fresh)
        for d in range(center.shape[1]):
            values[data_at + d * step + i] = fresh[d]


@kernel
def _samples(
    law, rows, n, width_of_row, drawn, room, kinds, shares, center, scale, key, first, k, b, values, data_at, step,
    groups, samples, u, v, fresh,
):  # fmt: skip
    """Bring the samples b, b + 1, ... of each lane's minibatch of step k into the data registers."""
    if law == FULL:
        _spread(rows, n, width_of_row, b, values, data_at, step, groups, samples)
    elif law == STREAMED:
        _stream(kinds, shares, center, scale, key, first, k, b, values, data_at, step, groups, samples, u, v, fresh)
    else:
        _gather(rows, width_of_row, drawn, room, b, values, data_at, step, groups, samples)


@walk
def _objective(
    code, at, numbers, branches, guards, values, margin, order, step, groups, samples,
    rows, n, width_of_row, index, data_at, output, total,
):  # fmt: skip
    """Write J(x) = (1/n) sum f_i(x) of each lane into `total`; samples in order."""
    lanes = width(values)
    total[:] = 0.0
    for start in range(0, n, samples):
        for g in range(groups):
            for s in range(samples):
                for lane in range(lanes):
                    index[(g * samples + s) * lanes + lane] = min(start + s, n - 1)
        _gather(rows, width_of_row, index, samples, 0, values, data_at, step, groups, samples)
        forward(code, at, numbers, branches, guards, values, margin, step, groups, samples, order)
        for s in range(min(samples, n - start)):
            for g in range(groups):
                i = g * lanes
                store(total, i, load(total, i) + load(values, output + (g * samples + s) * lanes))
    for g in range(groups):
        store(total, g * lanes, load(total, g * lanes) / splat(total, n))


@kernel
def _largest(adjoints, groups, g, count, rate, inverse, n, binary):
    """Return the largest entry of gamma_k times the gradient, in size, of each lane."""
    lanes = width(adjoints)
    size = splat(adjoints, 0.0)
    for i in range(g * lanes, count * groups * lanes, groups * lanes):
        total = load(adjoints, i)
        change = fabs(rate * (total * inverse if binary else total / n))
        size = select(change > size, change, size)
    return size


@entry
def descend(
    sensitive_at, blocks, most_blocks,
    code, at, modes, numbers, branches, guards, constants, constant_values, seeds, clear,
    parameters, data_at, step, size_of_values, longest, groups, samples,
    rows, n, law, batch, replace, largest, room, kinds, shares, center, scale, key, first, start,
    gamma, radius, epsilon, roundings, checkpoints, observed, status, stopped, tie_first, tie_count, tie_sample,
    sensitive_first, sensitive_point, smallest, final, objective, movement, snapshots,
):  # fmt: skip
    """Run the trajectories first, first + 1, ..., one for each row of `start`, fill the records, and return True.

    A step is x - gamma_k (sum of the selection gradients of the minibatch, in the order drawn) / |I_k|. A trajectory
    that leaves the ball |x|_inf <= radius stops there; one whose next point is not finite stops before it, so the
    parameters of running trajectories are finite. At a tie of a trajectory that has not been sensitive, the kernel at
    the address `sensitive_at` walks back with random weights (`kernels.sensitivity`): it is sensitive if an entry of
    the gradient changes by more than its absolute contributions times epsilon, the distance from 1 to the next number,
    times the roundings that may lie one behind the other: `roundings`, and the samples. Where the address is needed
    and 0, return False; the records are then of no use. blocks, most_blocks: of random weights, of one sample and of
    one instruction. rows: the n samples, one after the other.
    kinds, shares, center, scale: the law of streamed samples, as `streams.sample` takes it; the rows are then those
    of J alone. snapshots: NaN at first, and without checkpoints if they are not wanted.
    """
    values = np.zeros(size_of_values, start.dtype)
    lanes = width(values)
    across = groups * lanes
    adjoints = np.zeros(size_of_values, start.dtype)
    # parameters' adjoints that the next gradient writes anew are free until then: one array less in the cache
    previous = adjoints if ASSIGNS else np.zeros(parameters * across, start.dtype)
    margin = np.empty(step, start.dtype)
    valid = np.zeros(step, start.dtype)
    total = np.zeros(across, start.dtype)
    limit = np.zeros(across, start.dtype)
    # the step size, the inverse of the minibatch's size, the radius, the smallest |guard| so far
    pace = np.zeros(4 * across, start.dtype)
    least = pace[3 * across :]
    binary = np.zeros(groups, np.bool_)
    moved = np.zeros(across, start.dtype)
    order = np.zeros(longest, np.int64)
    index = np.zeros(step, np.int64)
    width_of_row = rows.shape[0] // n
    # a lane whose minibatch is smaller than others' computes some sample, which is not valid
    most_drawn = (largest + samples - 1) // samples * samples
    drawn = np.zeros(across * most_drawn, np.int64)  # (groups, most_drawn, lanes)
    sizes = np.zeros(across, np.int64)
    private = np.zeros((across, room), np.int64)
    running = np.zeros(across, np.bool_)
    tied_now = np.zeros(across, np.bool_)
    u, v = np.zeros(width(shares)), np.zeros(width(shares))
    fresh = np.zeros(center.shape[1] + 2)
    steps = gamma.shape[0]
    # the three adjoints of a walk with random weights; memory that is never touched costs nothing
    convention, deltas, absolute = (
        np.zeros(size_of_values, start.dtype), np.zeros(size_of_values, start.dtype),
        np.zeros(size_of_values, start.dtype),
    )  # fmt: skip
    jumps = np.zeros(across, np.bool_)
    counter = np.zeros(7, np.int64)
    counter[PURPOSE], counter[KEY] = WEIGHTS, np.int64(key)
    counter[BLOCKS], counter[MOST_BLOCKS] = blocks, most_blocks
    one, none = splat(values, 1.0), splat(values, 0.0)
    infinity = splat(values, np.inf)
    farthest = splat(values, radius)
    _prepare(constants, constant_values, values, step)
    if law == FULL:
        for t in range(across):
            for i in range(n):
                drawn[(t // lanes * most_drawn + i) * lanes + t % lanes] = i
    for base in range(0, start.shape[0], across):
        here = min(across, start.shape[0] - base)
        private[:] = -1
        for t in range(across):
            running[t] = t < here
            sizes[t] = n if t < here else 0
            limit[t] = sizes[t]
            least[t] = np.inf
            for r in range(parameters):
                values[r * across + t] = start[base + min(t, here - 1), r]
        adjoints[: parameters * across] = 0.0
        for t in range(here):
            status[base + t] = FINISHED
            stopped[base + t] = steps
            tie_first[base + t] = tie_sample[base + t] = sensitive_first[base + t] = -1
            tie_count[base + t] = 0
            sensitive_point[base + t, :] = np.nan
            objective[base + t, :] = np.nan
            movement[base + t] = 0.0 if steps == 0 else np.nan
        check = 0
        left = here
        most = n
        resized = stale = True
        k = -1
        while k < steps and left > 0:
            k += 1
            while check < checkpoints.shape[0] and checkpoints[check] == k:
                if first + base < observed:
                    _objective(
                        code, at, numbers, branches, guards, values, margin, order, step, groups, samples,
                        rows, n, width_of_row, index, data_at, seeds[0], total,
                    )  # fmt: skip
                    stale = True
                    for t in range(here):
                        if running[t] and first + base + t < observed:
                            objective[base + t, check] = total[t]
                if snapshots.shape[1] > 0:
                    for t in range(here):
                        if running[t]:
                            for r in range(parameters):
                                snapshots[base + t, check, r] = values[r * across + t]
                check += 1
            if k == steps:
                break
            if law != FULL:
                most = 0
                for g in range(groups):
                    _minibatches(
                        values, law, n, batch, replace, key, first + base, k, private, drawn,
                        g * most_drawn * lanes, running, sizes, g * lanes,
                    )  # fmt: skip
                for t in range(here):
                    most = max(most, sizes[t])
                    limit[t] = sizes[t]
            if resized or law != FULL:
                for g in range(groups):
                    size = load(limit, g * lanes)
                    size = select(size > 1.0, size, one)
                    store(pace, across + g * lanes, one / size)
                    # a power of two divides exactly, and multiplying is faster
                    binary[g] = all_lanes(mantissa(size) == 1.0)
            any_tied = undecided = False
            outcome = 0
            powers = True
            if STEPS or MARCHES:
                for g in range(groups):
                    powers = powers and binary[g]
                    store(pace, g * lanes, splat(values, gamma[k]))
                    store(pace, 2 * across + g * lanes, farthest)
            for b in range(0, most, samples):
                for g in range(groups):
                    size = load(limit, g * lanes)
                    for s in range(samples):
                        i = (g * samples + s) * lanes
                        if resized or most > samples or law != FULL:
                            store(valid, i, select(size > splat(values, b + s), one, none))
                        store(margin, i, infinity)
                if law != FULL or stale or most > samples:
                    _samples(
                        law, rows, n, width_of_row, drawn, most_drawn, kinds, shares, center, scale, key,
                        first + base, k, b, values, data_at, step, groups, samples, u, v, fresh,
                    )  # fmt: skip
                    stale = False
                at_once = most <= samples and powers and k < steps - 1
                if MARCHES and at_once:
                    # to the next checkpoint, or the last step, whose movement is recorded
                    end = steps - 1 if check == checkpoints.shape[0] else min(steps - 1, checkpoints[check])
                    after = march(values, numbers, valid, pace, gamma, k, end if law == FULL else k + 1)
                    if after > k:
                        k, outcome = after - 1, 1
                        break
                if STEPS and at_once:
                    outcome = advance(
                        code, at, modes, numbers, branches, guards, seeds, clear, values, adjoints,
                        valid, margin, pace, step, groups, samples, order,
                    )  # fmt: skip
                    if outcome == 0:
                        for i in range(0, step, lanes):
                            store(margin, i, infinity)
                if outcome == 0:
                    gradient(
                        code, at, modes, numbers, branches, guards, seeds, clear, values, adjoints,
                        valid, margin, ASSIGNS and b == 0, step, groups, samples, order,
                    )  # fmt: skip
                touched = False
                for g in range(groups):
                    low = load(least, g * lanes)
                    for s in range(samples):
                        i = (g * samples + s) * lanes
                        gap = select(load(valid, i) != 0.0, load(margin, i), infinity)
                        low = select(gap < low, gap, low)
                        touched = touched or any_lane(gap == 0.0)
                    store(least, g * lanes, low)
                if touched:
                    if not any_tied:
                        tied_now[:] = False
                    any_tied = True
                    for i in range(step):
                        t, s = i // (samples * lanes) * lanes + i % lanes, i // lanes % samples
                        if valid[i] != 0.0 and margin[i] == 0.0:
                            tied_now[t] = True
                            undecided = undecided or sensitive_first[base + t] < 0
                            if tie_first[base + t] < 0:
                                tie_first[base + t] = k
                                tie_sample[base + t] = drawn[(t // lanes * most_drawn + b + s) * lanes + t % lanes]
            if undecided and sensitive_at == 0:
                return False
            if undecided:
                # a walk back for each part of the minibatch; where it is all in memory, nothing else is done again
                counter[STEP], counter[TRAJECTORY] = k, first + base
                jumps[:] = False
                for b in range(0, most, samples):
                    if most > samples:
                        for i in range(0, step, lanes):
                            g, s = i // (samples * lanes), i // lanes % samples
                            store(valid, i, select(load(limit, g * lanes) > splat(values, b + s), one, none))
                        _samples(
                            law, rows, n, width_of_row, drawn, most_drawn, kinds, shares, center, scale,
                            key, first + base, k, b, values, data_at, step, groups, samples, u, v,
                            fresh,
                        )  # fmt: skip
                    if most > samples or not KEEPS:
                        forward(code, at, numbers, branches, guards, values, margin, step, groups, samples, order)
                    counter[PLACE] = b
                    call_sensitive(sensitive_at, (
                        code, at, modes, numbers, branches, guards, seeds, clear, values, convention, deltas, absolute,
                        valid, jumps, counter, parameters, step, groups, samples, order,
                    ))  # fmt: skip
                for t in range(here):
                    if not tied_now[t] or sensitive_first[base + t] >= 0:
                        continue
                    changes = jumps[t]
                    rounding = epsilon * (roundings + sizes[t])
                    for r in range(parameters):
                        delta, size = np.float64(deltas[r * across + t]), np.float64(absolute[r * across + t])
                        if delta != 0.0 and not (size - size == 0.0 and abs(delta) <= rounding * size):
                            changes = True
                    if changes:
                        sensitive_first[base + t] = k
                        for r in range(parameters):
                            sensitive_point[base + t, r] = values[r * across + t]
            resized = False
            if any_tied:
                for t in range(here):
                    if tied_now[t]:
                        tie_count[base + t] += 1
            if outcome == 1:
                continue
            rate = splat(values, gamma[k])
            for g in range(groups):
                size = load(limit, g * lanes)
                size = select(size > 1.0, size, one)
                shared, exact = load(pace, across + g * lanes), binary[g]
                if k == steps - 1:
                    store(moved, g * lanes, _largest(adjoints, groups, g, parameters, rate, shared, size, exact))
                near = size == size
                for i in range(g * lanes, 0 if outcome else parameters * across, across):
                    if not ASSIGNS:
                        prepare(previous, i + 16 * lanes)
                    gradient_here = load(adjoints, i)
                    before = load(values, i)
                    x = before - rate * (gradient_here * shared if exact else gradient_here / size)
                    store(values, i, x)
                    store(previous, i, before)
                    if not ASSIGNS:
                        store(adjoints, i, none)
                    near = near & (fabs(x) <= farthest)
                if outcome == 0 and all_lanes(near):
                    continue
                for t in range(g * lanes, min(here, g * lanes + lanes)):
                    if not running[t]:
                        continue
                    reached = 0.0
                    for r in range(parameters):
                        x = values[r * across + t]
                        if x - x != 0.0:
                            reached = np.nan
                            break
                        reached = max(reached, abs(x))
                    if reached <= radius:
                        continue
                    status[base + t] = UNBOUNDED if reached == reached else NOT_FINITE
                    stopped[base + t] = k + 1
                    running[t] = False
                    left -= 1
                    sizes[t] = 0
                    limit[t] = 0.0
                    resized = True
                    # the lane goes on without a sample, at 0, where nothing overflows
                    for r in range(parameters):
                        i = r * across + t
                        final[base + t, r] = values[i] if reached == reached else previous[i]
                        values[i] = 0.0
        for t in range(here):
            smallest[base + t] = least[t]
            if running[t]:
                if steps:
                    movement[base + t] = moved[t]
                for r in range(parameters):
                    final[base + t, r] = values[r * across + t]
    return True


@entry
def start(key, first, kind, center, scale, points, out):
    """Write the initial points of a block: `streams.initial`, kept on disk."""
    initial(key, first, kind, center, scale, points, out)


@entry
def draw(law, rows, batch, replace, key, trajectory, step, private, out):
    """Write the minibatch of one step and return its size: `streams.minibatch`, kept on disk."""
    return minibatch(law, rows, batch, replace, key, trajectory, step, private, out, 0, 1)


@entry
def stream(kinds, shares, center, scale, purpose, key, trajectory, step, out):
    """Write the streamed samples of one step, (size, d): `streams.sample`, kept on disk."""
    u, v = np.zeros(width(shares)), np.zeros(width(shares))
    fresh = np.zeros(center.shape[1] + 2)
    for i in range(out.shape[0]):
        sample(kinds, shares, center, scale, purpose, key, trajectory, step, i, u, v, fresh)
        for d in range(out.shape[1]):
            out[i, d] = fresh[d]


@entry
def evaluate(
    code, at, modes, numbers, branches, guards, constants, constant_values, seeds, clear,
    parameters, data_at, step, size_of_values, longest, groups, samples,
    points, rows, width_of_row, outputs, jacobians, margins, differentiate,
):  # fmt: skip
    """Evaluate a batch: point b with row b; fill outputs (b, q), jacobians (b, q, p) and margins (b,).

    samples is 1; as an argument, it shares the compiled walks with `descend`.
    """
    values = np.zeros(size_of_values, points.dtype)
    across = groups * width(values)
    adjoints = np.zeros(size_of_values, points.dtype)
    margin = np.empty(step, points.dtype)
    valid = np.ones(step, points.dtype)
    order = np.zeros(longest, np.int64)
    index = np.zeros(across, np.int64)
    count = points.shape[0]
    _prepare(constants, constant_values, values, step)
    for base in range(0, count, across):
        here = min(across, count - base)
        finite = 1
        for t in range(across):
            margin[t] = np.inf
            index[t] = base + min(t, here - 1)
            for r in range(parameters):
                x = points[index[t], r]
                if x - x != 0.0:
                    finite = 0
                values[r * across + t] = x
        _gather(rows, width_of_row, index, 1, 0, values, data_at, step, groups, samples)
        forward(code, at, numbers, branches, guards, values, margin, step, groups, samples, order)
        for t in range(here):
            margins[base + t] = margin[t]
            for n in range(seeds.shape[0]):
                outputs[base + t, n] = values[seeds[n] + t]
        if differentiate:
            for n in range(seeds.shape[0]):
                seed(adjoints, seeds, clear, n, valid, step)
                adjoints[: parameters * across] = 0.0
                backward(
                    *(code, at, modes, numbers, branches, guards, values, adjoints, step, finite),
                    *(False, groups, samples, order),
                )
                for t in range(here):
                    for r in range(parameters):
                        jacobians[base + t, n, r] = adjoints[r * across + t]
