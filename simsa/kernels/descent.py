"""Mini-batch SGD of a block of trajectories, recursion (8) of the paper, and evaluation of a block of points.

The lanes of a group take their steps together, each with its own parameters, minibatch and history. The numbers of a
trajectory do not depend on its lane, group or block, nor on how many samples are computed at once, nor on where a run
is interrupted and continued. This file is compiled once for each precision. The walks of an engine, which depend on the
tape, are called by address.

Shared arguments.
walks, code, shape, constants, samples, recursion, memory, scratch: the named tuples of `kernels.arguments`. state: that
of `kernels.state`. key, trajectory, step, purpose: of the random numbers, as in `streams.block_of`. law, batch,
replace: of the minibatch, as in `streams.minibatch`. kinds, shares, center, scale, u, v: as in `streams.sample`.
base: the trajectory in the first lane, counted in the block. first: the number of the block's first trajectory.
occupied: how many lanes have a trajectory. k: a step. b: the place of a sample in its minibatch.
"""

import numpy as np

from simsa.kernels.arguments import INVERSE_SIZE, MARGIN, RADIUS, STEP_SIZE, Memory
from simsa.kernels.calls import (
    call_backward,
    call_forward,
    call_fused_step,
    call_gradient,
    call_sensitive,
    call_step_loop,
    call_update,
)
from simsa.kernels.draws import MOST, distinct
from simsa.kernels.lanes import all_lanes, any_lane, load, mantissa, pick, select, splat, store, width
from simsa.kernels.operations.shared import seed
from simsa.kernels.options import entry, kernel, part
from simsa.kernels.sensitivity import BLOCKS, KEY, PLACE, PURPOSE, STEP, TRAJECTORY
from simsa.kernels.streams import FIXED_SIZE, FULL, MINIBATCH, SAMPLE, STREAMED, WEIGHTS, initial, minibatch, sample

FINISHED, UNBOUNDED, NOT_FINITE = 0, 1, 2


@kernel
def _prepare(constants, values, step):
    """Write the values of the constants into all lanes of their registers."""
    for n in range(constants.places.shape[0]):
        for i in range(step):
            values[constants.places[n] + i] = constants.values[n]


# The samples of a step.


@kernel
def _gather(rows, width_of_row, drawn, room, b, values, data_at, step, groups, samples):
    """Copy the samples b, b + 1, ... of each lane's minibatch into the data registers. drawn: (groups, room, lanes)."""
    lanes = width(values)
    for d in range(width_of_row):
        for g in range(groups):
            for s in range(samples):
                i = data_at + d * step + (g * samples + s) * lanes
                store(values, i, pick(rows, drawn, (g * room + b + s) * lanes, width_of_row, d))


@kernel
def _spread(rows, n, width_of_row, b, values, data_at, step, groups, samples):
    """Copy the samples b, b + 1, ... of the data set into the data registers, the same ones for every lane."""
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
def _bring(samples, shape, memory, scratch, first, k, b):
    """Load the samples b, b + 1, ... of each lane's minibatch of step k into the data registers.

    first: the number of the trajectory in the first lane.
    """
    width_of_row = samples.rows.shape[0] // samples.n
    room = scratch.drawn.shape[0] // scratch.sizes.shape[0]
    if samples.law == FULL:
        _spread(
            samples.rows, samples.n, width_of_row, b, memory.values, shape.data_at, shape.step, shape.groups,
            shape.samples,
        )  # fmt: skip
    elif samples.law == STREAMED:
        _stream(
            samples.kinds, samples.shares, samples.center, samples.scale, samples.key, first, k, b, memory.values,
            shape.data_at, shape.step, shape.groups, shape.samples, scratch.u, scratch.v, scratch.fresh,
        )  # fmt: skip
    else:
        _gather(
            samples.rows, width_of_row, scratch.drawn, room, b, memory.values, shape.data_at, shape.step, shape.groups,
            shape.samples,
        )  # fmt: skip


@part
def _draw(samples, shape, memory, scratch, first, k, occupied, resized):
    """Draw the minibatches of step k, write their sizes and what depends on these, and return the size of the largest.

    first: the number of the trajectory in the first lane. resized: whether a trajectory may have stopped since the last
    step, so that its minibatch is empty now, also if minibatches are all samples.
    """
    lanes = width(memory.values)
    most = samples.n
    if samples.law != FULL:
        room = scratch.drawn.shape[0] // scratch.sizes.shape[0]
        most = 0
        for g in range(shape.groups):
            _minibatches(
                memory.values, samples.law, samples.n, samples.batch, samples.replace, samples.key, first, k,
                scratch.private, scratch.drawn, g * room * lanes, scratch.running, scratch.sizes, g * lanes,
            )  # fmt: skip
        for t in range(occupied):
            most = max(most, scratch.sizes[t])
            scratch.float_sizes[t] = scratch.sizes[t]
    if resized or samples.law != FULL:
        across = shape.groups * lanes
        for g in range(shape.groups):
            size = load(scratch.float_sizes, g * lanes)
            size = select(size > 1.0, size, splat(scratch.float_sizes, 1.0))
            store(scratch.lane_numbers, INVERSE_SIZE * across + g * lanes, splat(scratch.float_sizes, 1.0) / size)
            # Dividing by a power of two is exact, and so is multiplying by its inverse, which is faster.
            scratch.binary[g] = all_lanes(mantissa(size) == 1.0)
    return most


@part
def _count(shape, memory, scratch, b):
    """Write into `memory.valid` which of the samples b, b + 1, ... belong to the minibatch of their lane."""
    lanes = width(memory.values)
    for g in range(shape.groups):
        size = load(scratch.float_sizes, g * lanes)
        for s in range(shape.samples):
            counts = size > splat(memory.values, b + s)
            one, none = splat(memory.values, 1.0), splat(memory.values, 0.0)
            store(memory.valid, (g * shape.samples + s) * lanes, select(counts, one, none))


# What is recorded of a step.


@part
def _objective(walks, code, shape, samples, memory, scratch):
    """Write J(x) = (1/n) sum f_i(x) of each lane into `scratch.total`, with the samples in their order."""
    values, total, index = memory.values, scratch.total, scratch.index
    lanes = width(values)
    n, each = samples.n, shape.samples
    total[:] = 0.0
    for start in range(0, n, each):
        for g in range(shape.groups):
            for s in range(each):
                for lane in range(lanes):
                    index[(g * each + s) * lanes + lane] = min(start + s, n - 1)
        width_of_row = samples.rows.shape[0] // n
        _gather(samples.rows, width_of_row, index, each, 0, values, shape.data_at, shape.step, shape.groups, each)
        call_forward(walks.forward, (code, shape, memory))
        for s in range(min(each, n - start)):
            for g in range(shape.groups):
                i = g * lanes
                store(total, i, load(total, i) + load(values, code.seeds[0] + (g * each + s) * lanes))
    for g in range(shape.groups):
        store(total, g * lanes, load(total, g * lanes) / splat(total, n))


@part
def _add_losses(code, shape, memory, scratch, b):
    """Add the losses of the samples b, b + 1, ... of each lane's minibatch to `scratch.total`; it begins with b = 0."""
    lanes = width(memory.values)
    if b == 0:
        scratch.total[:] = 0.0
    for g in range(shape.groups):
        total = load(scratch.total, g * lanes)
        for s in range(shape.samples):
            i = (g * shape.samples + s) * lanes
            total = select(load(memory.valid, i) != 0.0, total + load(memory.values, code.seeds[0] + i), total)
        store(scratch.total, g * lanes, total)


@part
def _record(state, shape, memory, scratch, base, occupied, check, observed):
    """Record checkpoint number `check` of trajectories that run: J of the first `observed` lanes, and the points."""
    across = scratch.sizes.shape[0]
    for t in range(occupied):
        if scratch.running[t] and t < observed:
            state.objective[base + t, check] = scratch.total[t]
    if state.snapshots.shape[1] > 0:
        for t in range(occupied):
            if scratch.running[t]:
                for r in range(shape.parameters):
                    state.snapshots[base + t, check, r] = memory.values[r * across + t]


@part
def _watch(state, shape, memory, scratch, base, k, b, first_part):
    """Record the smallest |guard| and the ties of the samples b, b + 1, ... of step k.

    first_part: whether earlier samples of this step had no tie. Return whether there is a tie, and whether there is one
    of a trajectory that has not been sensitive before.
    """
    lanes = width(memory.values)
    groups, each = shape.groups, shape.samples
    room = scratch.drawn.shape[0] // scratch.sizes.shape[0]
    least = MARGIN * groups * lanes
    infinity = splat(memory.values, np.inf)
    any_tie = undecided = False
    for g in range(groups):
        low = load(scratch.lane_numbers, least + g * lanes)
        for s in range(each):
            i = (g * each + s) * lanes
            gap = select(load(memory.valid, i) != 0.0, load(memory.margin, i), infinity)
            low = select(gap < low, gap, low)
            any_tie = any_tie or any_lane(gap == 0.0)
        store(scratch.lane_numbers, least + g * lanes, low)
    if any_tie:
        if first_part:
            scratch.tied[:] = False
        for i in range(groups * each * lanes):
            t, s = i // (each * lanes) * lanes + i % lanes, i // lanes % each
            if memory.valid[i] != 0.0 and memory.margin[i] == 0.0:
                scratch.tied[t] = True
                undecided = undecided or state.sensitive_first[base + t] < 0
                if state.tie_first[base + t] < 0:
                    state.tie_first[base + t] = k
                    state.tie_sample[base + t] = scratch.drawn[(t // lanes * room + b + s) * lanes + t % lanes]
    return any_tie, undecided


@part
def _find_sensitive(walks, code, shape, samples, recursion, state, memory, scratch, first, base, k, most, occupied):
    """Walk back with random weights at the ties of step k, and record the trajectories that are sensitive.

    most: the size of the largest minibatch. There is a walk for each part of the minibatches that fits in memory. If
    all of it fits, and the gradient has kept the values, these are not computed again.
    """
    across = scratch.sizes.shape[0]
    differences = scratch.differences
    counter = differences.counter
    counter[STEP], counter[TRAJECTORY] = k, first + base
    differences.jumps[:] = False
    back = Memory(memory.values, scratch.convention, memory.margin, memory.valid, memory.order)
    for b in range(0, most, shape.samples):
        if most > shape.samples:
            _count(shape, memory, scratch, b)
            _bring(samples, shape, memory, scratch, first + base, k, b)
        if most > shape.samples or not walks.keeps:
            call_forward(walks.forward, (code, shape, memory))
        counter[PLACE] = b
        call_sensitive(walks.sensitive, (code, shape, back, differences))
    for t in range(occupied):
        if not scratch.tied[t] or state.sensitive_first[base + t] >= 0:
            continue
        changes = differences.jumps[t]
        rounding = recursion.epsilon * (recursion.roundings + scratch.sizes[t])
        for r in range(shape.parameters):
            i = r * across + t
            delta, size = np.float64(differences.deltas[i]), np.float64(differences.sizes[i])
            if delta != 0.0 and not (size - size == 0.0 and abs(delta) <= rounding * size):
                changes = True
        if changes:
            state.sensitive_first[base + t] = k
            for r in range(shape.parameters):
                state.sensitive_point[base + t, r] = memory.values[r * across + t]


# The step.


@part
def _retire(state, shape, recursion, memory, scratch, base, t, k):
    """Stop the trajectory of lane t if it has left the ball or its next point is not finite; tell whether it did."""
    across = scratch.sizes.shape[0]
    values = memory.values
    reached = 0.0
    for r in range(shape.parameters):
        x = values[r * across + t]
        if x - x != 0.0:
            reached = np.nan
            break
        reached = max(reached, abs(x))
    if reached <= recursion.radius:
        return False
    state.status[base + t] = UNBOUNDED if reached == reached else NOT_FINITE
    state.stopped[base + t] = k + 1
    scratch.running[t] = False
    scratch.sizes[t] = 0
    scratch.float_sizes[t] = 0.0
    # The lane goes on at 0, without a sample, so that nothing overflows.
    for r in range(shape.parameters):
        i = r * across + t
        state.x[base + t, r] = values[i] if reached == reached else scratch.previous[i]
        values[i] = 0.0
        for n in range(state.held.shape[1]):
            h = n * shape.parameters * across + i
            state.held[base + t, n, r] = scratch.held[h]
            scratch.held[h] = 0.0
    return True


# A block.


@part
def _enter(state, shape, samples, memory, scratch, base, occupied):
    """Put the trajectories base, base + 1, ... into the lanes, and return how many of them run."""
    across = scratch.sizes.shape[0]
    remaining = 0
    scratch.private[:] = -1
    for t in range(across):
        scratch.running[t] = t < occupied and state.status[base + min(t, occupied - 1)] == FINISHED
        remaining += scratch.running[t]
        scratch.sizes[t] = samples.n if scratch.running[t] else 0
        scratch.float_sizes[t] = scratch.sizes[t]
        scratch.lane_numbers[MARGIN * across + t] = state.margin[base + t] if t < occupied else np.inf
        for r in range(shape.parameters):
            memory.values[r * across + t] = state.x[base + t, r] if scratch.running[t] else 0.0
        for n in range(state.held.shape[1]):
            for r in range(shape.parameters):
                i = (n * shape.parameters + r) * across + t
                scratch.held[i] = state.held[base + t, n, r] if scratch.running[t] else 0.0
    memory.adjoints[: shape.parameters * across] = 0.0
    return remaining


@part
def _exit(state, shape, memory, scratch, base, occupied, ended):
    """Write the trajectories of the lanes into the state. ended: whether the last step of the recursion was taken."""
    across = scratch.sizes.shape[0]
    for t in range(occupied):
        state.margin[base + t] = scratch.lane_numbers[MARGIN * across + t]
        if scratch.running[t]:
            if ended:
                state.movement[base + t] = scratch.moved[t]
            for r in range(shape.parameters):
                state.x[base + t, r] = memory.values[r * across + t]
            for n in range(state.held.shape[1]):
                for r in range(shape.parameters):
                    state.held[base + t, n, r] = scratch.held[(n * shape.parameters + r) * across + t]


@entry
def descend(walks, code, shape, constants, samples, recursion, state, memory, scratch, first, begin, end):
    """Take the steps begin, ..., end - 1 of trajectories first, first + 1, ..., and return True.

    state: it is read and written. memory, scratch: all their numbers are 0 before. begin, end: 0 <= begin <= end <=
    steps. `constants` and the other arguments are read only.

    A step of SGD is x - gamma_k (sum of the selection gradients of the minibatch, in the order drawn) / |I_k|; other
    rules use the same mean, and perhaps that of the losses. A trajectory that leaves the ball |x|_inf <= radius stops
    there. One whose next point is not finite stops before it, so that the parameters of running trajectories are
    finite.

    If a trajectory that has not been sensitive has a tie, the walk `sensitive` walks back with random weights
    (`kernels.sensitivity`). The step is sensitive if some entry of the gradient changes by more than rounding explains:
    by more than the sum of the absolute contributions to the entry, times epsilon, times the largest number of
    roundings that follow each other, which is `roundings` plus the size of the minibatch. If this walk is needed, but
    its address is 0, the result is False, and the state is meaningless.

    A checkpoint k is recorded before step k, and the checkpoint `steps` after the last step. Raises ValueError if the
    walks were compiled for another type of numbers than the state has.
    """
    if walks.bytes != state.x.itemsize:
        raise ValueError("the walks were compiled for another type of numbers")
    values = memory.values
    lanes = width(values)
    groups, each = shape.groups, shape.samples
    across = groups * lanes
    steps = recursion.gamma.shape[0]
    room = scratch.drawn.shape[0] // across
    counter = scratch.differences.counter
    counter[PURPOSE], counter[KEY], counter[BLOCKS] = WEIGHTS, np.int64(samples.key), recursion.blocks
    infinity = splat(values, np.inf)
    _prepare(constants, values, shape.step)
    if samples.law == FULL:
        for t in range(across):
            for i in range(samples.n):
                scratch.drawn[(t // lanes * room + i) * lanes + t % lanes] = i
    for base in range(0, state.x.shape[0], across):
        occupied = min(across, state.x.shape[0] - base)
        remaining = _enter(state, shape, samples, memory, scratch, base, occupied)
        check = 0
        while check < recursion.checkpoints.shape[0] and recursion.checkpoints[check] < begin:
            check += 1
        resized = reload = True
        k = begin - 1
        while k < end and remaining > 0:
            k += 1
            if k == end and end < steps:
                break
            while check < recursion.checkpoints.shape[0] and recursion.checkpoints[check] == k:
                if first + base < recursion.observed:
                    _objective(walks, code, shape, samples, memory, scratch)
                    reload = True
                _record(state, shape, memory, scratch, base, occupied, check, recursion.observed - first - base)
                check += 1
            if k == end:
                break
            most = _draw(samples, shape, memory, scratch, first + base, k, occupied, resized)
            any_tied = undecided = False
            outcome = 0
            powers = True
            if walks.fused_step != 0 or walks.step_loop != 0:
                for g in range(groups):
                    powers = powers and scratch.binary[g]
                    store(scratch.lane_numbers, STEP_SIZE * across + g * lanes, splat(values, recursion.gamma[k]))
                    store(scratch.lane_numbers, RADIUS * across + g * lanes, splat(values, recursion.radius))
            for b in range(0, most, each):
                if resized or most > each or samples.law != FULL:
                    _count(shape, memory, scratch, b)
                for i in range(0, groups * each * lanes, lanes):
                    store(memory.margin, i, infinity)
                if samples.law != FULL or reload or most > each:
                    _bring(samples, shape, memory, scratch, first + base, k, b)
                    reload = False
                at_once = most <= each and powers and k < steps - 1
                if walks.step_loop != 0 and at_once:
                    # The loop runs to the next checkpoint, or to the last step, whose movement is recorded.
                    until = min(end, steps - 1)
                    if check < recursion.checkpoints.shape[0]:
                        until = min(until, recursion.checkpoints[check])
                    until = until if samples.law == FULL else k + 1
                    after = call_step_loop(walks.step_loop, (
                        code, memory, scratch.lane_numbers, scratch.held, recursion.gamma, recursion.numbers, k, until,
                    ))  # fmt: skip
                    if after > k:
                        k, outcome = after - 1, 1
                        break
                if walks.fused_step != 0 and at_once:
                    outcome = call_fused_step(
                        walks.fused_step, (code, shape, memory, scratch.lane_numbers, scratch.held, recursion.numbers)
                    )
                    if outcome == 0:
                        for i in range(0, groups * each * lanes, lanes):
                            store(memory.margin, i, infinity)
                if outcome == 0:
                    fresh = walks.assigns and b == 0
                    if walks.gradient != 0:
                        call_gradient(walks.gradient, (code, shape, memory, fresh))
                    else:
                        call_forward(walks.forward, (code, shape, memory))
                        seed(memory.adjoints, code.seeds, code.clear, 0, memory.valid, shape.step)
                        call_backward(walks.backward, (code, shape, memory, 1, fresh))
                    if recursion.losses:
                        _add_losses(code, shape, memory, scratch, b)
                any_tie, undecided_part = _watch(state, shape, memory, scratch, base, k, b, not any_tied)
                any_tied = any_tied or any_tie
                undecided = undecided or undecided_part
            if undecided and walks.sensitive == 0:
                return False
            if undecided:
                _find_sensitive(
                    walks, code, shape, samples, recursion, state, memory, scratch, first, base, k, most, occupied
                )
            resized = False
            if any_tied:
                for t in range(occupied):
                    if scratch.tied[t]:
                        state.tie_count[base + t] += 1
            if outcome == 1:
                continue
            for g in range(groups):
                if outcome == 0 and call_update(walks.update, (
                    shape, memory, scratch.previous, scratch.held, scratch.float_sizes, scratch.lane_numbers,
                    scratch.moved, scratch.binary, scratch.total, recursion.numbers, recursion.gamma[k],
                    recursion.radius, g, walks.assigns, k == steps - 1,
                )):  # fmt: skip
                    continue
                for t in range(g * lanes, min(occupied, g * lanes + lanes)):
                    if scratch.running[t] and _retire(state, shape, recursion, memory, scratch, base, t, k):
                        remaining -= 1
                        resized = True
        _exit(state, shape, memory, scratch, base, occupied, end == steps and steps > 0)
    return True


@entry
def start(key, first, kind, center, scale, points, out, u, v):
    """Write the initial points of a block into `out`. kind, points: as in `streams.initial`, which this calls."""
    initial(key, first, kind, center, scale, points, out, u, v)


@entry
def draw(law, rows, batch, replace, key, trajectory, step, private, out):
    """Write the minibatch of one step into `out`, and return its size.

    rows: the number of samples. private: scratch, as in `streams.minibatch`, which this calls.
    """
    return minibatch(law, rows, batch, replace, key, trajectory, step, private, out, 0, 1)


@entry
def stream(kinds, shares, center, scale, purpose, key, trajectory, step, out, u, v, fresh):
    """Write the streamed samples of one step into `out`, (size, d). fresh: scratch, (d + 2,)."""
    for i in range(out.shape[0]):
        sample(kinds, shares, center, scale, purpose, key, trajectory, step, i, u, v, fresh)
        for d in range(out.shape[1]):
            out[i, d] = fresh[d]


@entry
def evaluate(
    walks, code, shape, constants, points, rows, width_of_row, outputs, jacobians, margins, differentiate, memory, index
):  # fmt: skip
    """Evaluate a program at a batch of points, and write the results.

    points: (batch, p). rows: the sample of each point, flat, with `width_of_row` numbers each. outputs: (batch, q), is
    written. jacobians: (batch, q, p), is written if `differentiate`. margins: (batch,), the smallest |guard|, is
    written. memory: all 0 before. index: int64 scratch, (step,). `shape.samples` has to be 1. Raises ValueError if the
    walks were compiled for another type of numbers than the points have.
    """
    if walks.bytes != points.itemsize:
        raise ValueError("the walks were compiled for another type of numbers")
    values, adjoints, margin = memory.values, memory.adjoints, memory.margin
    across = shape.groups * width(values)
    count = points.shape[0]
    memory.valid[:] = 1.0
    _prepare(constants, values, shape.step)
    for base in range(0, count, across):
        occupied = min(across, count - base)
        finite = 1
        for t in range(across):
            margin[t] = np.inf
            index[t] = base + min(t, occupied - 1)
            for r in range(shape.parameters):
                x = points[index[t], r]
                if x - x != 0.0:
                    finite = 0
                values[r * across + t] = x
        _gather(rows, width_of_row, index, 1, 0, values, shape.data_at, shape.step, shape.groups, shape.samples)
        call_forward(walks.forward, (code, shape, memory))
        for t in range(occupied):
            margins[base + t] = margin[t]
            for n in range(code.seeds.shape[0]):
                outputs[base + t, n] = values[code.seeds[n] + t]
        if differentiate:
            for n in range(code.seeds.shape[0]):
                seed(adjoints, code.seeds, code.clear, n, memory.valid, shape.step)
                adjoints[: shape.parameters * across] = 0.0
                call_backward(walks.backward, (code, shape, memory, finite, False))
                for t in range(occupied):
                    for r in range(shape.parameters):
                        jacobians[base + t, n, r] = adjoints[r * across + t]
