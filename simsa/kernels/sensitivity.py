"""A second backward walk at a tie, with random weights, which tells whether the gradient depends on how it is decided.

`simsa.machine.sensitivity` explains why, and is the definition. Three numbers are passed back for each register: the
convention's adjoint; the difference between the adjoint under random weights and the convention's (`deltas`); and the
sum of the absolute contributions to this difference (`sizes`). Instructions that select nothing pass them on by the
ordinary loops. Those that select do it here, or in `rows.tied_row`, and always add to what has been received. A number
that is exactly -0.0 has received nothing, as in `operations`.

Shared arguments.
code, shape, memory, differences: the named tuples of `kernels.arguments`; `memory.adjoints` are the convention's.
k: the line of the instruction, or of the run of like instructions. g, s: a group and a sample.
a, d, size: lane vectors of an adjoint, its difference, and the size of that. w, c: the weight of a piece in the random
mixture, and in the convention. nothing: -0.0 in every lane.
"""

from simsa.kernels.arguments import BRANCH, COUNT, DRAWS, FIRST, NUMBER, OUT, TIMES
from simsa.kernels.draws import weights
from simsa.kernels.lanes import any_lane, fabs, load, negative_zero, select, splat, store, width
from simsa.kernels.operations.order import permutation
from simsa.kernels.operations.shared import FIRST as FIRST_ONE
from simsa.kernels.operations.shared import SPLIT, place
from simsa.kernels.options import kernel

STEP, TRAJECTORY, PURPOSE, KEY, PLACE, BLOCKS = range(6)
"""The entries of `counter`: the step, the trajectory of the first lane, the purpose, the key, the place of the first
sample in the minibatch, and the number of random blocks for each sample."""

MOST_SIGNS = 4
"""The largest number of tied pairs for which all combinations of signs are tried, as in
`primitives.operations.pieces`."""


@kernel
def draw(draws, counter, block, count, g, s):
    """Write the random weights of `count` pieces, whose first block is `block`, for the lanes of group g, sample s.

    draws, counter: those of the differences.
    """
    lanes = width(draws)
    start = (counter[PLACE] + s) * counter[BLOCKS] + block
    first = counter[TRAJECTORY] + g * lanes
    for n in range((count + 3) // 4):
        weights(draws, 4 * n * lanes, start + n, counter[STEP], first, counter[PURPOSE], counter[KEY])


@kernel
def received(adjoints, out, count, step, groups, samples):
    """Tell whether one of `count` registers from place `out` on, `step` apart, has received something in some lane.

    adjoints: the array to look at. groups, samples: how many lane vectors a register has.
    """
    for n in range(count):
        for i in range(groups * samples):
            if any_lane(~negative_zero(load(adjoints, out + n * step + i * width(adjoints)))):
                return True
    return False


@kernel
def mixed(a, d, w, c, nothing):
    """Return d w + a (w - c). The first term counts where d has received, the second where a has and w is not c."""
    one = select(negative_zero(d), nothing, d * w + 0.0)
    return one + select(negative_zero(a) | (w == c), nothing, a * (w - c) + 0.0)


@kernel
def contributed(a, size, w, c, nothing):
    """Return the sum of the absolute contributions to the result of `mixed`.

    w and c count separately, because w - c may be much smaller than the rounding errors in w and c.
    """
    one = select(negative_zero(size), nothing, size * fabs(w) + 0.0)
    return one + select(negative_zero(a) | (w == c), nothing, fabs(a) * (fabs(w) + fabs(c)) + 0.0)


@kernel
def extremes_difference(code, shape, memory, differences, k):
    """Pass the differences through max and min, with random weights on all operands that are equal to the value."""
    line, at, values, adjoints = code.lines[k], code.at, memory.values, memory.adjoints
    out, first, count, times = line[OUT], line[FIRST], line[COUNT], line[TIMES]
    rule = int(code.numbers[line[NUMBER]])
    for g in range(shape.groups):
        for s in range(shape.samples):
            for n in range(times - 1, -1, -1):
                here = out + n * shape.step + (g * shape.samples + s) * width(values)
                entry = first + n * count
                if _receives(values, adjoints, differences.deltas, at, entry, count, here, g, s):
                    draw(differences.draws, differences.counter, line[DRAWS] + n * ((count + 3) // 4), count, g, s)
                    _extreme_difference(code, memory, differences, entry, count, here, rule, g, s)


@kernel
def _receives(values, adjoints, deltas, at, first, count, here, g, s):
    """Tell whether some lane passes a difference on: its own, or one that arises because several operands are equal."""
    v, a, d = load(values, here), load(adjoints, here), load(deltas, here)
    equal = splat(values, 0.0)
    for i in range(first, first + count):
        equal = select(load(values, place(at, i, g, s)) == v, equal + 1.0, equal)
    return any_lane(~negative_zero(d) | ((~negative_zero(a)) & (equal > 1.0)))


@kernel
def _extreme_difference(code, memory, differences, first, count, here, rule, g, s):
    """Pass the differences through one max or min of one sample. A NaN is never tied; it goes to the first NaN."""
    at, modes, values, adjoints = code.at, code.modes, memory.values, memory.adjoints
    deltas, sizes, draws = differences.deltas, differences.sizes, differences.draws
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
        elif rule == FIRST_ONE:
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
def norm_difference(code, shape, memory, differences, k):
    """Pass the differences through a norm. Where it is 0, a random vector stands for the one of the convention."""
    line, at, modes, numbers = code.lines[k], code.at, code.modes, code.numbers
    out, first, count, number = line[OUT], line[FIRST], line[COUNT], line[NUMBER]
    values, adjoints = memory.values, memory.adjoints
    deltas, sizes, draws = differences.deltas, differences.sizes, differences.draws
    zero, nothing = splat(values, 0.0), splat(values, -0.0)
    for g in range(shape.groups):
        for s in range(shape.samples):
            here = out + (g * shape.samples + s) * width(values)
            v, a, d, size = load(values, here), load(adjoints, here), load(deltas, here), load(sizes, here)
            if not any_lane(~negative_zero(d) | ((~negative_zero(a)) & (v == zero))):
                continue
            draw(differences.draws, differences.counter, line[DRAWS], count, g, s)
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
def sort_difference(code, shape, memory, differences, k):
    """Pass the differences through a sort, with a random mixture of the orders of equal operands, in each lane."""
    line, at, values, adjoints, order = code.lines[k], code.at, memory.values, memory.adjoints, memory.order
    out, first, count, step = line[OUT], line[FIRST], line[COUNT], shape.step
    rule = int(code.numbers[line[NUMBER]])
    deltas = differences.deltas
    lanes = width(values)
    for g in range(shape.groups):
        for s in range(shape.samples):
            here = out + (g * shape.samples + s) * lanes
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
                draw(differences.draws, differences.counter, line[DRAWS], 2 * count, g, s)
                begin = 0
                while begin < count:
                    end = begin + 1
                    while end < count and values[here + end * step + lane] == values[here + begin * step + lane]:
                        end += 1
                    _equal_difference(
                        code, memory, differences, first, count, here + lane, step, begin, end, g, s, lane
                    )
                    begin = end


@kernel
def _equal_difference(code, memory, differences, first, count, here, step, begin, end, g, s, lane):
    """Pass on the differences of the outputs begin, ..., end - 1 of a sort in one lane, whose values are equal."""
    at, modes, adjoints, order = code.at, code.modes, memory.adjoints, memory.order
    deltas, sizes, draws = differences.deltas, differences.sizes, differences.draws
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
def select_difference(code, shape, memory, differences, k):
    """Pass the differences through a selection that a user wrote, in each lane.

    Random weights stand on the rows that are reached if each tied guard is decided either way. `jumps` is set where the
    pieces of these rows differ in value.
    """
    line, at, modes, rows = code.lines[k], code.at, code.modes, code.rows
    out, first, branch = line[OUT], line[FIRST], line[BRANCH]
    values, adjoints, valid = memory.values, memory.adjoints, memory.valid
    deltas, sizes, draws, marks = differences.deltas, differences.sizes, differences.draws, differences.marks
    lanes = width(values)
    last = branch
    while rows[last, 1] > 0:
        last += 1
    count = last - branch + 1
    for g in range(shape.groups):
        for s in range(shape.samples):
            here = out + (g * shape.samples + s) * lanes
            for lane in range(lanes):
                a, d, size = adjoints[here + lane], deltas[here + lane], sizes[here + lane]
                executed, several = _reached(code, memory, marks, first, branch, count, g, s, lane)
                if several and valid[(g * shape.samples + s) * lanes + lane] != 0.0:
                    for n in range(count):
                        piece = place(at, first + rows[branch + n, 2], g, s) + lane
                        # this counts where nothing was received, too: a jump may lead to a piece that passes nothing
                        if marks[n] and values[piece] != values[here + lane]:
                            differences.jumps[g * lanes + lane] = True
                if negative_zero(d) and (negative_zero(a) or not several):
                    continue
                draw(differences.draws, differences.counter, line[DRAWS], count, g, s)
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
def _reached(code, memory, marks, first, branch, count, g, s, lane):
    """Mark the rows that are reached in one lane; return the number of the executed one, and whether there are several.

    marks: its first `count` entries become 1 for the rows that are reached, else 0. The entries after them hold the
    number that each pair of sides of a guard has among the tied pairs.
    """
    at, rows, guards, values = code.at, code.rows, code.guards, memory.values
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
