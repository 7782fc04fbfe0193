"""One more walk back at a tie, with random weights, to see whether the gradient depends on how ties are decided.

`simsa.machine.sensitivity` says why, and is the definition. Three adjoints go back side by side: the convention's,
how far the random mixture's is from it (`deltas`), and the sums of absolute contributions to that (`sizes`).
Instructions that select nothing are walked by the ordinary loops. Those that select are below, and in `rows.tied_row`;
what they pass is added to what is there. An adjoint that is exactly -0.0 has received nothing, as in `operations`.
"""

from simsa.kernels.draws import weights
from simsa.kernels.lanes import any_lane, fabs, load, negative_zero, select, splat, store, width
from simsa.kernels.operations.order import permutation
from simsa.kernels.operations.shared import FIRST, SPLIT, place
from simsa.kernels.options import kernel

STEP, TRAJECTORY, PURPOSE, KEY, PLACE, BLOCKS = range(6)
"""Entries of `counter`: the step, the first lane's trajectory, the purpose, the key, the place in the minibatch
of the first sample, and the random blocks of one sample."""

MOST_SIGNS = 4
"""As in `machine.sensitivity`."""


@kernel
def draw(draws, counter, block, count, g, s):
    """Write the random weights of `count` pieces, whose first block is `block`, for the lanes of a group and sample."""
    lanes = width(draws)
    start = (counter[PLACE] + s) * counter[BLOCKS] + block
    first = counter[TRAJECTORY] + g * lanes
    for n in range((count + 3) // 4):
        weights(draws, 4 * n * lanes, start + n, counter[STEP], first, counter[PURPOSE], counter[KEY])


@kernel
def moves(adjoints, out, count, step, groups, samples):
    """Tell whether one of `count` registers from `out` on has received something, in some lane."""
    for n in range(count):
        for i in range(groups * samples):
            if any_lane(~negative_zero(load(adjoints, out + n * step + i * width(adjoints)))):
                return True
    return False


@kernel
def mixed(a, d, w, c, nothing):
    """Return d w + a (w - c) of lanes: d where it has received something, a where it has and w is not c."""
    one = select(negative_zero(d), nothing, d * w + 0.0)
    return one + select(negative_zero(a) | (w == c), nothing, a * (w - c) + 0.0)


@kernel
def contributed(a, size, w, c, nothing):
    """Return the sum of the absolute contributions to what `mixed` returns, where size is that to d.

    w and c contribute each: their difference may be far smaller than what is rounded in it.
    """
    one = select(negative_zero(size), nothing, size * fabs(w) + 0.0)
    return one + select(negative_zero(a) | (w == c), nothing, fabs(a) * (fabs(w) + fabs(c)) + 0.0)


@kernel
def extremes_sense(
    values, adjoints, deltas, sizes, draws, counter, block, at, modes, first, count, out, step, times, rule, groups,
    samples,
):  # fmt: skip
    """Max and min: random weights on all that are equal to the value."""
    for g in range(groups):
        for s in range(samples):
            for n in range(times - 1, -1, -1):
                here = out + n * step + (g * samples + s) * width(values)
                entry = first + n * count
                if _tied_extremes(values, adjoints, deltas, at, entry, count, here, g, s):
                    draw(draws, counter, block + n * ((count + 3) // 4), count, g, s)
                    _extreme_sense(values, adjoints, deltas, sizes, draws, at, modes, entry, count, here, rule, g, s)


@kernel
def _tied_extremes(values, adjoints, deltas, at, first, count, here, g, s):
    """Tell whether a lane passes something on: how far it is; or what it has, if two operands are the best."""
    v, a, d = load(values, here), load(adjoints, here), load(deltas, here)
    equal = splat(values, 0.0)
    for i in range(first, first + count):
        equal = select(load(values, place(at, i, g, s)) == v, equal + 1.0, equal)
    return any_lane(~negative_zero(d) | ((~negative_zero(a)) & (equal > 1.0)))


@kernel
def _extreme_sense(values, adjoints, deltas, sizes, draws, at, modes, first, count, here, rule, g, s):
    """One max or min, of one sample; a NaN is never tied, and passes to the first NaN."""
    zero, one, nothing = splat(values, 0.0), splat(values, 1.0), splat(values, -0.0)
    v, a, d, size = load(values, here), load(adjoints, here), load(deltas, here), load(sizes, here)
    whole, equal = zero, zero
    for i in range(count):
        same = load(values, place(at, first + i, g, s)) == v
        whole = select(same, whole + load(draws, i * width(values)), whole)
        equal = select(same, equal + 1.0, equal)
    seen, nan = zero, v != v
    for i in range(count):
        address = place(at, first + i, g, s)
        x = load(values, address)
        odd = nan & (x != x) & (seen == 0.0)
        seen = select((x == v) | (nan & (x != x)), seen + 1.0, seen)
        w = select(x == v, load(draws, i * width(values)) / whole, select(odd, one, zero))
        if rule == SPLIT:
            c = one / equal
        elif rule == FIRST:
            c = select(seen == 1.0, one, zero)
        else:
            c = select(seen == equal, one, zero)
        c = select(nan, w, c)
        if modes[first + i]:
            takes = (x == v) | odd
            far = mixed(a, d, w, c, nothing)
            most = contributed(a, size, w, c, nothing)
            store(deltas, address, load(deltas, address) + select(takes, far, nothing))
            store(sizes, address, load(sizes, address) + select(takes, most, nothing))


@kernel
def norm_sense(
    values,
    adjoints,
    deltas,
    sizes,
    draws,
    counter,
    block,
    at,
    modes,
    numbers,
    first,
    count,
    number,
    out,
    groups,
    samples,
):
    """Norm: where it is 0, a random vector in place of the one of the unit ball that the numbers are."""
    zero, nothing = splat(values, 0.0), splat(values, -0.0)
    for g in range(groups):
        for s in range(samples):
            here = out + (g * samples + s) * width(values)
            v, a, d, size = load(values, here), load(adjoints, here), load(deltas, here), load(sizes, here)
            if not any_lane(~negative_zero(d) | ((~negative_zero(a)) & (v == zero))):
                continue
            draw(draws, counter, block, count, g, s)
            for i in range(count):
                if modes[first + i]:
                    address = place(at, first + i, g, s)
                    w = 2.0 * load(draws, i * width(values)) - 1.0
                    far = mixed(a, d, w, splat(values, numbers[number + i]), nothing)
                    most = contributed(a, size, w, splat(values, numbers[number + i]), nothing)
                    partial = load(values, address) / v
                    far = select(v == zero, far, select(negative_zero(d), nothing, d * partial + 0.0))
                    most = select(v == zero, most, select(negative_zero(size), nothing, size * fabs(partial) + 0.0))
                    store(deltas, address, load(deltas, address) + far)
                    store(sizes, address, load(sizes, address) + most)


@kernel
def sort_sense(
    values, adjoints, deltas, sizes, draws, counter, block, at, modes, first, count, out, step, rule, groups, samples,
    order,
):  # fmt: skip
    """Sort: a random mixture of the orders of equal operands, in each lane."""
    lanes = width(values)
    for g in range(groups):
        for s in range(samples):
            here = out + (g * samples + s) * lanes
            for lane in range(lanes):
                received = moved = False
                for j in range(count):
                    received = received or not negative_zero(adjoints[here + j * step + lane])
                    moved = moved or not negative_zero(deltas[here + j * step + lane])
                tied = False
                for j in range(1, count):
                    tied = tied or values[here + j * step + lane] == values[here + (j - 1) * step + lane]
                if not (moved or (received and tied)):
                    continue
                permutation(values, at, first, count, rule, g, s, lane, order)
                draw(draws, counter, block, 2 * count, g, s)
                begin = 0
                while begin < count:
                    end = begin + 1
                    while end < count and values[here + end * step + lane] == values[here + begin * step + lane]:
                        end += 1
                    _order_sense(
                        adjoints, deltas, sizes, draws, at, modes, first, count, here + lane, step, begin, end, g, s,
                        lane, order,
                    )  # fmt: skip
                    begin = end


@kernel
def _order_sense(adjoints, deltas, sizes, draws, at, modes, first, count, here, step, begin, end, g, s, lane, order):
    """Pass on what the outputs begin, ..., end - 1 of one lane have, which are equal."""
    lanes, one, zero = width(draws), draws.dtype.type(1.0), draws.dtype.type(0.0)
    m = draws.dtype.type(end - begin)
    u = v = zero
    for j in range(begin, end):
        u, v = u + draws[order[j] * lanes + lane], v + draws[(count + j) * lanes + lane]
    u, v = u / m, v / m
    for q in range(begin, end):
        i = order[q]
        if not modes[first + i]:
            continue
        address = place(at, first + i, g, s) + lane
        for j in range(begin, end):
            w = one
            if end > begin + 1:
                w = one / m + (draws[i * lanes + lane] - u) * (draws[(count + j) * lanes + lane] - v)
            c = one if j == q else zero
            a, d, size = adjoints[here + j * step], deltas[here + j * step], sizes[here + j * step]
            if not negative_zero(d):
                deltas[address] += d * w + zero
                sizes[address] += size * abs(w) + zero
            if not negative_zero(a) and w != c:
                deltas[address] += a * (w - c) + zero
                sizes[address] += abs(a) * (abs(w) + abs(c)) + zero


@kernel
def choose_sense(
    values, adjoints, deltas, sizes, draws, counter, block, at, modes, first, out, rows, guards, branch, marks, valid,
    jumps, groups, samples,
):  # fmt: skip
    """Select: random weights on the rows that are reached when each tied guard is decided either way, in each lane.

    guards: those of the tape, with the columns of `Tape.pairs`. marks: int64 scratch, for each pair and each row of a
    selection. jumps: by lane of all groups, set where the pieces of reached rows differ in value.
    """
    lanes = width(values)
    last = branch
    while rows[last, 1] > 0:
        last += 1
    count = last - branch + 1
    for g in range(groups):
        for s in range(samples):
            here = out + (g * samples + s) * lanes
            for lane in range(lanes):
                a, d, size = adjoints[here + lane], deltas[here + lane], sizes[here + lane]
                executed, several = _reached(values, at, first, rows, guards, branch, count, marks, g, s, lane)
                if several and valid[(g * samples + s) * lanes + lane] != 0.0:
                    for n in range(count):
                        piece = place(at, first + rows[branch + n, 2], g, s) + lane
                        # whether or not it has received: what is behind a jump may be dead on one side only
                        if marks[n] and values[piece] != values[here + lane]:
                            jumps[g * lanes + lane] = True
                if negative_zero(d) and (negative_zero(a) or not several):
                    continue
                draw(draws, counter, block, count, g, s)
                whole = draws.dtype.type(0.0)
                for n in range(count):
                    if marks[n]:
                        whole += draws[n * lanes + lane]
                for n in range(count):
                    piece = first + rows[branch + n, 2]
                    if not marks[n] or not modes[piece]:
                        continue
                    address = place(at, piece, g, s) + lane
                    w = draws[n * lanes + lane] / whole
                    c = draws.dtype.type(1.0 if n == executed else 0.0)
                    if not negative_zero(d):
                        deltas[address] += d * w + draws.dtype.type(0.0)
                        sizes[address] += size * w + draws.dtype.type(0.0)
                    if not negative_zero(a) and w != c:
                        deltas[address] += a * (w - c) + draws.dtype.type(0.0)
                        sizes[address] += abs(a) * (abs(w) + abs(c)) + draws.dtype.type(0.0)


@kernel
def _holds(left, relation, right):
    """Tell whether a guard holds."""
    if relation == 0:
        return left < right
    if relation == 1:
        return left <= right
    if relation == 2:
        return left == right
    if relation == 3:
        return left >= right
    return left > right


@kernel
def _reached(values, at, first, rows, guards, branch, count, marks, g, s, lane):
    """Mark the rows that are reached in one lane; return the number of the executed one, and whether there are several.

    marks[n]: whether row n is reached. Behind them is room for the number of each pair's sign among the tied ones.
    """
    begin, executed, tied = rows[branch, 0], count - 1, 0
    end = rows[branch + count - 1, 0]
    for n in range(count):
        marks[n] = 0
    for n in range(begin, end):
        marks[count + guards[n, 4]] = -1
    for row in range(count - 1, -1, -1):
        holds = True
        for n in range(rows[branch + row, 0], rows[branch + row, 0] + rows[branch + row, 1]):
            left = values[place(at, first + guards[n, 0], g, s) + lane]
            right = values[place(at, first + guards[n, 2], g, s) + lane]
            holds = holds and _holds(left, guards[n, 1], right)
            if guards[n, 3] and left == right and marks[count + guards[n, 4]] < 0:
                marks[count + guards[n, 4]] = tied
                tied += 1
        if holds:
            executed = row
    marks[executed] = 1
    if tied == 0:
        return executed, False
    combinations = 3**tied if tied <= MOST_SIGNS else 1
    for signs in range(combinations):
        for row in range(count):
            possible = sure = True
            for n in range(rows[branch + row, 0], rows[branch + row, 0] + rows[branch + row, 1]):
                digit = marks[count + guards[n, 4]]
                left = values[place(at, first + guards[n, 0], g, s) + lane]
                right = values[place(at, first + guards[n, 2], g, s) + lane]
                if not (guards[n, 3] and left == right):
                    holds = _holds(left, guards[n, 1], right)
                    possible, sure = possible and holds, sure and holds
                elif tied <= MOST_SIGNS:
                    holds = _holds((signs // 3**digit % 3 - 1) * guards[n, 5], guards[n, 1], 0)
                    possible, sure = possible and holds, sure and holds
                else:
                    sure = False
            if possible:
                marks[row] = 1
            if possible and sure:
                break
    several = 0
    for n in range(count):
        several += marks[n]
    return executed, several > 1
