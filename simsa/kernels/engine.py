"""The interpreter: three walks over a tape, for a block of lanes at once.

This file is a template as well as a module. `simsa.machine.generate` copies it, with the marked lines replaced by
the opcodes of the table and by one case for each row that has an expression; only the copy is ever compiled. The
copy lies in a folder named after a digest of everything it was made from, so a stale kernel cannot be found.
"""

from simsa.kernels.functions import (  # noqa: F401 - for the generated cases
    cos,
    erf,
    exp,
    expm1,
    log,
    log1p,
    pow,
    sigmoid,
    sin,
    softplus,
    tan,
    tanh,
)
from simsa.kernels.lanes import any_lane, fabs, isnan, load, negative_zero, select, splat, sqrt, store, width  # noqa: F401
from simsa.kernels.nary import (
    add_up,
    add_up_back,
    choose,
    choose_back,
    dense,
    dense_back,
    dot,
    dot_back,
    extreme,
    extreme_back,
    give,  # noqa: F401
    holds,
    logsumexp,
    logsumexp_back,
    narrow,  # noqa: F401
    permutation,  # noqa: F401
    place,
    sort,
    sort_back,
)
from simsa.kernels.options import kernel

SUM, DOT, DENSE, LOGSUMEXP, MAX, MIN, SORT, SELECT = range(-8, 0)  # <opcodes>

OP, OUT, OUTS, FIRST, COUNT, NUMBER, BRANCH, FLAGS = range(8)
GUARDED, ADJOINED = 1, 2
ASSIGN, ADD = 1, 2


@kernel
def forward(code, at, numbers, rows, guards, values, margin, step, groups, samples, order):
    """Compute every register (Algorithm 1), and narrow the smallest |guard| of each lane in `margin`."""
    for k in range(code.shape[0]):
        op = code[k, OP]
        out = code[k, OUT]
        first = code[k, FIRST]
        count = code[k, COUNT]
        number = code[k, NUMBER]
        guarded = code[k, FLAGS] & GUARDED
        if op == DENSE:
            outs = code[k, OUTS]
            inputs = count // (outs + 1)
            dense(values, at, first, outs, inputs, count % (outs + 1) != 0, out, step, groups, samples)
        elif op == SUM:
            add_up(values, at, first, count, out, groups, samples)
        elif op == DOT:
            dot(values, at, first, count, out, groups, samples)
        elif op == LOGSUMEXP:
            logsumexp(values, at, first, count, out, groups, samples)
        elif op == MAX or op == MIN:
            sign = 1 if op == MAX else -1
            extreme(values, margin, at, first, count, out, sign, int(numbers[number]), guarded, groups, samples)
        elif op == SORT:
            rule = int(numbers[number])
            sort(values, margin, at, first, count, out, step, rule, guarded, groups, samples, order)
        elif op == SELECT:
            choose(values, margin, at, first, out, rows, guards, code[k, BRANCH], guarded, groups, samples)
        # <forward>


@kernel
def backward(code, at, modes, numbers, rows, guards, values, adjoints, step, trusted, groups, samples, order):
    """Pass every adjoint back (Algorithm 2); the outputs' adjoints are the caller's seeds.

    trusted: the parameters are finite. Parameters' adjoints are added to, not cleared.
    """
    for k in range(code.shape[0] - 1, -1, -1):
        if not code[k, FLAGS] & ADJOINED:
            continue
        op = code[k, OP]
        out = code[k, OUT]
        first = code[k, FIRST]
        count = code[k, COUNT]
        number = code[k, NUMBER]
        if op == DENSE:
            outs = code[k, OUTS]
            inputs = count // (outs + 1)
            bias = count % (outs + 1) != 0
            dense_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, trusted, groups, samples)
        elif op == SUM:
            add_up_back(adjoints, at, modes, first, count, out, groups, samples)
        elif op == DOT:
            dot_back(values, adjoints, at, modes, first, count, out, groups, samples)
        elif op == LOGSUMEXP:
            logsumexp_back(values, adjoints, at, modes, first, count, out, groups, samples)
        elif op == MAX or op == MIN:
            rule = int(numbers[number])
            extreme_back(values, adjoints, at, modes, first, count, out, rule, groups, samples)
        elif op == SORT:
            rule = int(numbers[number])
            sort_back(values, adjoints, at, modes, first, count, out, step, rule, groups, samples, order)
        elif op == SELECT:
            branch = code[k, BRANCH]
            choose_back(values, adjoints, at, modes, first, count, out, rows, guards, branch, groups, samples)
        # <backward>


@kernel
def inspect(code, at, modes, numbers, rows, guards, values, adjoints, step, groups, samples, scratch, tied, felt):
    """Find the ties of the point just swept: which instruction is tied, and whether the gradient feels it.

    A tie is felt if it was executed with a non-zero adjoint, and a piece with the same value has other partials: the
    other choice would have changed the gradient. scratch: two lane vectors. tied: int64 (groups * samples, lanes), the
    first tied instruction or -1; felt: bool beside it.
    """
    lanes = width(values)
    tied[:] = -1
    felt[:] = False
    flag = splat(values, 0.0)
    for k in range(code.shape[0]):
        if not code[k, FLAGS] & GUARDED:
            continue
        op = code[k, OP]
        out = code[k, OUT]
        first = code[k, FIRST]
        count = code[k, COUNT]
        number = code[k, NUMBER]
        adjoined = (code[k, FLAGS] & ADJOINED) != 0
        for g in range(groups):
            for s in range(samples):
                here = (g * samples + s) * lanes
                value = load(values, out + here)
                grad = load(adjoints, out + here) if adjoined else flag
                live = (~negative_zero(grad)) & (grad != 0.0)
                touched = flag != flag
                moved = flag != flag
                if op == MAX or op == MIN:
                    equal = flag
                    for i in range(first, first + count):
                        same = fabs(load(values, place(at, i, g, s)) - value) == 0.0
                        equal = select(same, equal + 1.0, equal)
                        if modes[i]:
                            moved = moved | same
                    touched = equal > 1.0
                elif op == SORT:
                    for j in range(count - 1):
                        low = out + j * step + here
                        same = fabs(load(values, low + step) - load(values, low)) == 0.0
                        touched = touched | same
                        if adjoined:
                            moved = moved | (same & (load(adjoints, low + step) != load(adjoints, low)))
                    live = flag == flag
                elif op == SELECT:
                    row = code[k, BRANCH]
                    while True:
                        for n in range(rows[row, 0], rows[row, 0] + rows[row, 1]):
                            left = load(values, place(at, first + guards[n, 0], g, s))
                            right = load(values, place(at, first + guards[n, 2], g, s))
                            touched = touched | (fabs(left - right) == 0.0)
                        if rows[row, 1] == 0:
                            break
                        row += 1
                    open_lanes = (value == value) | (value != value)
                    mine = code[k, BRANCH]
                    while True:
                        hit = holds(values, at, first, guards, mine, rows, g, s, open_lanes)
                        open_lanes = open_lanes & (~hit)
                        row = code[k, BRANCH]
                        while True:
                            one, two = first + rows[mine, 2], first + rows[row, 2]
                            other = at[one, 0] != at[two, 0] and (modes[one] != 0 or modes[two] != 0)
                            if other:
                                moved = moved | (hit & (load(values, place(at, two, g, s)) == value))
                            if rows[row, 1] == 0:
                                break
                            row += 1
                        if rows[mine, 1] == 0:
                            break
                        mine += 1
                # <inspect>
                if any_lane(touched):
                    store(scratch, 0, select(touched, flag + 1.0, flag))
                    store(scratch, lanes, select(live & moved, flag + 1.0, flag))
                    for lane in range(lanes):
                        if scratch[lane] != 0.0 and tied[g * samples + s, lane] < 0:
                            tied[g * samples + s, lane] = k
                        if scratch[lane] != 0.0 and scratch[lanes + lane] != 0.0 and adjoined:
                            felt[g * samples + s, lane] = True
