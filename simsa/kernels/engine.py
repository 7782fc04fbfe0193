"""The interpreter: two walks over a tape, for a block of lanes at once.

This file is a template as well as a module. `simsa.machine.generate` copies it, with the marked lines replaced by
the opcodes of the table and by one case for each row that has an expression; only the copy is ever compiled. The
copy lies in a folder named after a digest of everything it was made from, so a stale kernel cannot be found.
"""

from simsa.kernels.lanes import any_lane, fabs, load, negative_zero, splat, store, width
from simsa.kernels.operations.choice import choose, choose_back
from simsa.kernels.operations.convolution import convolution, convolution_back
from simsa.kernels.operations.dense import dense, dense_back
from simsa.kernels.operations.extremes import extremes, extremes_back
from simsa.kernels.operations.logsumexp import logsumexp, logsumexp_back
from simsa.kernels.operations.norm import norm, norm_back
from simsa.kernels.operations.order import sort, sort_back
from simsa.kernels.operations.shared import seed
from simsa.kernels.operations.sums import add_up, add_up_back, dot, dot_back
from simsa.kernels.options import called, walk
from simsa.kernels.rows import row, tied_row  # noqa: F401 - for the generated operations
from simsa.kernels.sensitivity import PLACE, choose_sense, draw, extremes_sense, moves, norm_sense, sort_sense

SUM, DOT, DENSE, LOGSUMEXP, NORM, MAX, MIN, SORT, SELECT = range(-9, 0)  # <opcodes>

OP, OUT, OUTS, FIRST, COUNT, NUMBER, BRANCH, FLAGS, TIMES, DRAWS = range(10)
GUARDED, ADJOINED, SHARED = 1, 2, 4
# <operations>

PIECES = ()  # <pieces>
"""The number of pieces of each row that has expressions and selects, by opcode; 0 for the others."""
JUMPS = ()  # <jumps>
"""Whether tied pieces of a row differ in value, by opcode."""

ASSIGNS = False
"""Whether the walks write each parameter's adjoint before they add to it, if told that it is the first time."""
KEEPS = True
"""Whether the walks leave every register in memory, for another walk back."""


@called
def forward(code, shape, memory):
    """Compute every register (Algorithm 1), and narrow the smallest |guard| of each lane in `memory.margin`."""
    lines, at, rows, guards = code.lines, code.at, code.rows, code.guards
    numbers = code.numbers  # noqa: F841 - for the generated cases
    values, margin, order = memory.values, memory.margin, memory.order
    step, groups, samples = shape.step, shape.groups, shape.samples
    for k in range(lines.shape[0]):
        op = lines[k, OP]
        out = lines[k, OUT]
        outs = lines[k, OUTS]
        first = lines[k, FIRST]
        count = lines[k, COUNT]
        number = lines[k, NUMBER]  # noqa: F841 - for the generated cases
        times = lines[k, TIMES]
        guarded = lines[k, FLAGS] & GUARDED
        if op == DENSE:
            inputs, bias = count // (outs + 1), count % (outs + 1) != 0
            if lines[k, FLAGS] & SHARED:
                convolution(values, at, first, outs, inputs, bias, out, step, times, groups, samples)
            else:
                dense(values, at, first, outs, inputs, bias, out, step, groups, samples)
        elif op == SUM:
            add_up(values, at, first, count, out, groups, samples)
        elif op == DOT:
            dot(values, at, first, count, out, groups, samples)
        elif op == LOGSUMEXP:
            logsumexp(values, at, first, count, out, groups, samples)
        elif op == NORM:
            norm(values, margin, at, first, count, out, guarded, groups, samples)
        elif op == MAX or op == MIN:
            sign = 1 if op == MAX else -1
            extremes(values, margin, at, first, count, out, step, times, sign, guarded, groups, samples)
        elif op == SORT:
            sort(values, margin, at, first, count, out, step, guarded, groups, samples, order)
        elif op == SELECT:
            choose(values, margin, at, first, out, rows, guards, lines[k, BRANCH], guarded, groups, samples)
        # <forward>
        else:
            raise ValueError("unknown opcode")


@called
def backward(code, shape, memory, trusted, fresh):
    """Pass every adjoint back (Algorithm 2); the outputs' adjoints are the caller's seeds.

    trusted: whether the parameters are finite, 0 or 1. The parameters' adjoints are added to. fresh: whether what they
    hold is to be ignored, in an engine that can write them instead.
    """
    lines, at, modes, numbers = code.lines, code.at, code.modes, code.numbers
    rows, guards = code.rows, code.guards
    values, adjoints, order = memory.values, memory.adjoints, memory.order
    step, groups, samples = shape.step, shape.groups, shape.samples
    for k in range(lines.shape[0] - 1, -1, -1):
        if not lines[k, FLAGS] & ADJOINED:
            continue
        op = lines[k, OP]
        out = lines[k, OUT]
        outs = lines[k, OUTS]
        first = lines[k, FIRST]
        count = lines[k, COUNT]
        number = lines[k, NUMBER]
        times = lines[k, TIMES]
        if op == DENSE:
            inputs, bias = count // (outs + 1), count % (outs + 1) != 0
            if lines[k, FLAGS] & SHARED:
                convolution_back(
                    *(values, adjoints, at, modes, first, outs, inputs, bias, out, step, trusted, times),
                    *(groups, samples),
                )
            else:
                dense_back(values, adjoints, at, modes, first, outs, inputs, bias, out, step, trusted, groups, samples)
        elif op == SUM:
            add_up_back(adjoints, at, modes, first, count, out, groups, samples)
        elif op == DOT:
            dot_back(values, adjoints, at, modes, first, count, out, groups, samples)
        elif op == LOGSUMEXP:
            logsumexp_back(values, adjoints, at, modes, first, count, out, groups, samples)
        elif op == NORM:
            norm_back(values, adjoints, at, modes, numbers, first, count, number, out, groups, samples)
        elif op == MAX or op == MIN:
            rule = int(numbers[number])
            extremes_back(values, adjoints, at, modes, first, count, out, step, times, rule, groups, samples)
        elif op == SORT:
            rule = int(numbers[number])
            sort_back(values, adjoints, at, modes, first, count, out, step, rule, groups, samples, order)
        elif op == SELECT:
            branch = lines[k, BRANCH]
            choose_back(values, adjoints, at, modes, first, count, out, rows, guards, branch, groups, samples)
        # <backward>
        else:
            raise ValueError("unknown opcode")


@walk
def _tied_row(op, values, at, numbers, number, first, n, g, s):
    """Return the lanes of one vector, a bit for each, in which two sides of a guard of a row of the table are equal."""
    if op < 0:
        return 0
    # <tied>
    return 0


@walk
def _row_sense(op, values, adjoints, deltas, sizes, draws, at, modes, numbers, number, first, out, n, g, s):
    """Pass on what one vector of the output of a row of the table has, under random weights at its ties."""
    if op < 0:
        return
    # <sense>


@walk
def _rows_sense(
    op, values, adjoints, deltas, sizes, draws, valid, jumps, counter, block, at, modes, numbers, number, first, out,
    step, times, groups, samples,
):  # fmt: skip
    """Pass on what a run of like rows of the table has, under random weights at its ties."""
    pieces = PIECES[op]
    for n in range(times - 1, -1, -1):
        for g in range(groups):
            for s in range(samples):
                here = out + n * step + (g * samples + s) * width(values)
                tied = _tied_row(op, values, at, numbers, number, first, n, g, s)
                if tied and JUMPS[op]:
                    for lane in range(width(values)):
                        if tied >> lane & 1 and valid[(g * samples + s) * width(values) + lane] != 0.0:
                            jumps[g * width(values) + lane] = True
                if tied:
                    draw(draws, counter, block + n * ((pieces + 3) // 4), pieces, g, s)
                if tied or any_lane(~negative_zero(load(deltas, here))):
                    _row_sense(
                        op, values, adjoints, deltas, sizes, draws, at, modes, numbers, number, first, here, n, g, s
                    )


@walk
def sense(
    lines, at, modes, numbers, rows, guards, values, absolute, adjoints, deltas, sizes, draws, marks, valid, jumps,
    counter, step, groups, samples, order,
):  # fmt: skip
    """Pass back the convention's adjoints, how far a random mixture's are from them, and the sizes of these."""
    for k in range(lines.shape[0] - 1, -1, -1):
        if not lines[k, FLAGS] & ADJOINED:
            continue
        op = lines[k, OP]
        out = lines[k, OUT]
        outs = lines[k, OUTS]
        first = lines[k, FIRST]
        count = lines[k, COUNT]
        number = lines[k, NUMBER]
        times = lines[k, TIMES]
        block = lines[k, DRAWS]
        for which in range(3):
            target = adjoints
            held = values
            if which == 1:
                target = deltas
            if which == 2:
                target = sizes
                held = absolute
            if op == MAX or op == MIN:
                rule = int(numbers[number])
                if which == 0:
                    extremes_back(values, target, at, modes, first, count, out, step, times, rule, groups, samples)
                elif which == 1:
                    extremes_sense(
                        values, adjoints, deltas, sizes, draws, counter, block, at, modes, first, count, out, step,
                        times, rule, groups, samples,
                    )  # fmt: skip
            elif op == NORM:
                if which == 0:
                    norm_back(values, target, at, modes, numbers, first, count, number, out, groups, samples)
                elif which == 1:
                    norm_sense(
                        values, adjoints, deltas, sizes, draws, counter, block, at, modes, numbers, first, count,
                        number, out, groups, samples,
                    )  # fmt: skip
            elif op == SORT:
                rule = int(numbers[number])
                if which == 0:
                    sort_back(values, target, at, modes, first, count, out, step, rule, groups, samples, order)
                elif which == 1:
                    sort_sense(
                        values, adjoints, deltas, sizes, draws, counter, block, at, modes, first, count, out, step,
                        rule, groups, samples, order,
                    )  # fmt: skip
            elif op == SELECT:
                branch = lines[k, BRANCH]
                if which == 0:
                    choose_back(values, target, at, modes, first, count, out, rows, guards, branch, groups, samples)
                elif which == 1:
                    choose_sense(
                        values, adjoints, deltas, sizes, draws, counter, block, at, modes, first, out, rows, guards,
                        branch, marks, valid, jumps, groups, samples,
                    )  # fmt: skip
            elif PIECES[op] and which == 1:
                _rows_sense(
                    op, values, adjoints, deltas, sizes, draws, valid, jumps, counter, block, at, modes, numbers,
                    number, first, out, step, times, groups, samples,
                )  # fmt: skip
            elif PIECES[op] and which == 2:
                continue
            elif which and not moves(deltas, out, outs * times, step, groups, samples):
                continue
            elif op == DENSE:
                inputs, bias = count // (outs + 1), count % (outs + 1) != 0
                if lines[k, FLAGS] & SHARED:
                    convolution_back(
                        *(held, target, at, modes, first, outs, inputs, bias, out, step, 1, times),
                        *(groups, samples),
                    )
                else:
                    dense_back(held, target, at, modes, first, outs, inputs, bias, out, step, 1, groups, samples)
            elif op == SUM:
                add_up_back(target, at, modes, first, count, out, groups, samples)
            elif op == DOT:
                dot_back(held, target, at, modes, first, count, out, groups, samples)
            elif op == LOGSUMEXP:
                logsumexp_back(values, target, at, modes, first, count, out, groups, samples)
            # <absolute>
            else:
                raise ValueError("unknown opcode")


@called
def sensitive(code, shape, memory, deltas, sizes, absolute, draws, marks, jumps, counter):
    """Add to the parameters' `deltas` and `sizes` how the gradients of some samples change under random weights.

    The values are all there; the adjoints are written. deltas, sizes: (size,), in `kind`; the parameters' entries are
    set to 0 first if these are the first samples of a minibatch. jumps: by lane of all groups, set where tied pieces
    differ in value. counter: where the random numbers are, see `kernels.sensitivity`. The others are written: absolute,
    (size,), and draws, 4 * blocks + 4 lane vectors for the most blocks of an instruction, in `kind`; marks, as many
    integers as there are rows and guards, and one more.
    """
    values, adjoints, valid = memory.values, memory.adjoints, memory.valid
    lanes = width(values)
    across = shape.groups * lanes
    nothing = splat(values, -0.0)
    begin = 0 if counter[PLACE] == 0 else shape.parameters * across
    for i in range(0, values.shape[0], lanes):
        store(absolute, i, fabs(load(values, i)))
    for i in range(begin, values.shape[0], lanes):
        start = splat(values, 0.0) if i < shape.parameters * across else nothing
        store(deltas, i, start)
        store(sizes, i, start)
    adjoints[: shape.parameters * across] = 0.0
    draws[:] = 1.0
    marks[:] = 0
    seed(adjoints, code.seeds, code.clear, 0, valid, shape.step)
    sense(
        code.lines, code.at, code.modes, code.numbers, code.rows, code.guards, values, absolute, adjoints, deltas,
        sizes, draws, marks, valid, jumps, counter, shape.step, shape.groups, shape.samples, memory.order,
    )  # fmt: skip
