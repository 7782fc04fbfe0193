"""The interpreter: two walks over a tape, for a block of lanes at once.

This file is a template. `simsa.machine.generate` makes a copy, in which the marked lines are replaced by the opcodes of
the table and by one case for each row that has an expression. Only the copy is compiled. It lies in a folder that is
named after a digest of everything it was made from, so that a kernel of an older text is never used.

Shared arguments.
code, shape, memory: the named tuples of `kernels.arguments`.
"""

from simsa.kernels.arguments import (
    ADJOINED,
    BRANCH,
    COUNT,
    DRAWS,
    FIRST,
    FLAGS,
    GUARDED,
    NUMBER,
    OP,
    OUT,
    OUTS,
    SHARED,
    TIMES,
)
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
from simsa.kernels.sensitivity import (
    PLACE,
    draw,
    extremes_difference,
    norm_difference,
    received,
    select_difference,
    sort_difference,
)

SUM, DOT, DENSE, LOGSUMEXP, NORM, MAX, MIN, SORT, SELECT = range(-9, 0)  # <opcodes>

# <operations>

PIECES = ()  # <pieces>
"""The number of pieces of each row that has expressions and selects, by opcode; 0 for the others."""
JUMPS = ()  # <jumps>
"""Whether tied pieces of a row differ in value, by opcode."""

ASSIGNS = False
"""Whether the gradient can assign the parameters' adjoints: see `Walks`."""
KEEPS = True
"""Whether the gradient leaves the value of every register in memory: see `Walks`."""


@called
def forward(code, shape, memory):
    """Compute every register (Algorithm 1), and the smallest |guard| of each lane, in `memory.margin`."""
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
def backward(code, shape, memory, finite_parameters, fresh):
    """Pass every adjoint back (Algorithm 2). The caller has set the adjoints of the outputs, as `shared.seed` does.

    finite_parameters: whether all parameters are finite, 0 or 1. fresh: whether the parameters' adjoints are assigned,
    in an engine that can do so (`ASSIGNS`); otherwise they are added to.
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
                    *(values, adjoints, at, modes, first, outs, inputs, bias, out, step, finite_parameters, times),
                    *(groups, samples),
                )
            else:
                dense_back(
                    values,
                    adjoints,
                    at,
                    modes,
                    first,
                    outs,
                    inputs,
                    bias,
                    out,
                    step,
                    finite_parameters,
                    groups,
                    samples,
                )
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
    """Return in which lanes two sides of a guard of a row of the table are equal, a bit for each lane.

    It is asked of every lane vector, and takes arrays: with the named tuples, a convolution took 8 % longer. number,
    first, n: the line of the tape, and the instruction in its run. g, s: the group and the sample.
    """
    if op < 0:
        return 0
    # <tied>
    return 0


@walk
def _row_difference(op, values, adjoints, deltas, sizes, draws, at, modes, numbers, number, first, out, n, g, s):
    """Pass on the differences of one lane vector, at place `out`, of the output of a row of the table.

    The arrays are those of `code`, `memory` and `differences`; the numbers are as in `_tied_row`.
    """
    if op < 0:
        return
    # <difference>


@walk
def _rows_difference(op, code, shape, memory, differences, k):
    """Pass the differences through the run of rows of the table in line k, with random weights at its ties."""
    pieces, step = PIECES[op], shape.step
    values, adjoints, at, modes, numbers = memory.values, memory.adjoints, code.at, code.modes, code.numbers
    deltas, sizes, draws = differences.deltas, differences.sizes, differences.draws
    out, number, first, block = code.lines[k, OUT], code.lines[k, NUMBER], code.lines[k, FIRST], code.lines[k, DRAWS]
    lanes = width(values)
    for n in range(code.lines[k, TIMES] - 1, -1, -1):
        for g in range(shape.groups):
            for s in range(shape.samples):
                i = (g * shape.samples + s) * lanes
                here = out + n * step + i
                tied = _tied_row(op, values, at, numbers, number, first, n, g, s)
                if tied and JUMPS[op]:
                    for lane in range(lanes):
                        if tied >> lane & 1 and memory.valid[i + lane] != 0.0:
                            differences.jumps[g * lanes + lane] = True
                if tied:
                    draw(differences.draws, differences.counter, block + n * ((pieces + 3) // 4), pieces, g, s)
                if tied or any_lane(~negative_zero(load(deltas, here))):
                    _row_difference(
                        op, values, adjoints, deltas, sizes, draws, at, modes, numbers, number, first, here, n, g, s
                    )


@walk
def _pass_back(code, shape, memory, differences):
    """Pass back, instruction by instruction, the convention's adjoints, the differences and their sizes.

    An instruction that may be tied passes the differences and the sizes together. Any other passes the differences as
    it passes adjoints, and the sizes as well, with |values| in place of values.
    """
    lines, at, modes, numbers, rows, guards = code.lines, code.at, code.modes, code.numbers, code.rows, code.guards
    values, order = memory.values, memory.order
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
        for which in range(3):
            target = memory.adjoints
            factors = values
            if which == 1:
                target = differences.deltas
            if which == 2:
                target = differences.sizes
                factors = differences.absolute
            if op == MAX or op == MIN:
                rule = int(numbers[number])
                if which == 0:
                    extremes_back(values, target, at, modes, first, count, out, step, times, rule, groups, samples)
                elif which == 1:
                    extremes_difference(code, shape, memory, differences, k)
            elif op == NORM:
                if which == 0:
                    norm_back(values, target, at, modes, numbers, first, count, number, out, groups, samples)
                elif which == 1:
                    norm_difference(code, shape, memory, differences, k)
            elif op == SORT:
                rule = int(numbers[number])
                if which == 0:
                    sort_back(values, target, at, modes, first, count, out, step, rule, groups, samples, order)
                elif which == 1:
                    sort_difference(code, shape, memory, differences, k)
            elif op == SELECT:
                branch = lines[k, BRANCH]
                if which == 0:
                    choose_back(values, target, at, modes, first, count, out, rows, guards, branch, groups, samples)
                elif which == 1:
                    select_difference(code, shape, memory, differences, k)
            elif PIECES[op] and which == 1:
                _rows_difference(op, code, shape, memory, differences, k)
            elif PIECES[op] and which == 2:
                continue
            elif which and not received(differences.deltas, out, outs * times, step, groups, samples):
                continue
            elif op == DENSE:
                inputs, bias = count // (outs + 1), count % (outs + 1) != 0
                if lines[k, FLAGS] & SHARED:
                    convolution_back(
                        *(factors, target, at, modes, first, outs, inputs, bias, out, step, 1, times),
                        *(groups, samples),
                    )
                else:
                    dense_back(factors, target, at, modes, first, outs, inputs, bias, out, step, 1, groups, samples)
            elif op == SUM:
                add_up_back(target, at, modes, first, count, out, groups, samples)
            elif op == DOT:
                dot_back(factors, target, at, modes, first, count, out, groups, samples)
            elif op == LOGSUMEXP:
                logsumexp_back(values, target, at, modes, first, count, out, groups, samples)
            # <absolute>
            else:
                raise ValueError("unknown opcode")


@called
def sensitive(code, shape, memory, differences):
    """Add to the parameters' differences how the gradients of some samples change under random weights.

    code, shape: the tape. memory: the values of all registers are read, and the adjoints written. differences: `deltas`
    and `sizes` of parameters are added to; they are set to 0 before the first samples of a minibatch, those with
    counter[PLACE] = 0. Entries of `jumps` are set where tied pieces differ in value.
    """
    values, adjoints = memory.values, memory.adjoints
    deltas, sizes = differences.deltas, differences.sizes
    lanes = width(values)
    across = shape.groups * lanes
    nothing = splat(values, -0.0)
    begin = 0 if differences.counter[PLACE] == 0 else shape.parameters * across
    for i in range(0, values.shape[0], lanes):
        store(differences.absolute, i, fabs(load(values, i)))
    for i in range(begin, values.shape[0], lanes):
        start = splat(values, 0.0) if i < shape.parameters * across else nothing
        store(deltas, i, start)
        store(sizes, i, start)
    adjoints[: shape.parameters * across] = 0.0
    differences.draws[:] = 1.0
    differences.marks[:] = 0
    seed(adjoints, code.seeds, code.clear, 0, memory.valid, shape.step)
    _pass_back(code, shape, memory, differences)
