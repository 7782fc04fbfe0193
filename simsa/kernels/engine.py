"""The interpreter: two walks over a tape, for a block of lanes at once.

This file is a template as well as a module. `simsa.machine.generate` copies it, with the marked lines replaced by
the opcodes of the table and by one case for each row that has an expression; only the copy is ever compiled. The
copy lies in a folder named after a digest of everything it was made from, so a stale kernel cannot be found.
"""

from simsa.kernels.convolution import convolution, convolution_back
from simsa.kernels.nary import (
    add_up,
    add_up_back,
    choose,
    choose_back,
    dense,
    dense_back,
    dot,
    dot_back,
    extremes,
    extremes_back,
    logsumexp,
    logsumexp_back,
    norm,
    norm_back,
    seed,
    sort,
    sort_back,
)
from simsa.kernels.options import walk
from simsa.kernels.rows import row  # noqa: F401 - for the generated operations

SUM, DOT, DENSE, LOGSUMEXP, NORM, MAX, MIN, SORT, SELECT = range(-9, 0)  # <opcodes>

OP, OUT, OUTS, FIRST, COUNT, NUMBER, BRANCH, FLAGS, TIMES = range(9)
GUARDED, ADJOINED, SHARED = 1, 2, 4
# <operations>

MARCHES = False
"""Whether `march` may take steps."""
STEPS = False
"""Whether `advance` may take a step as the gradient comes out."""
KEEPS = True
"""Whether `gradient` leaves every register in memory, for another walk back."""
ASSIGNS = False
"""Whether the walks write each parameter's adjoint before they add to it, if told that it is the first time."""


@walk
def forward(code, at, numbers, rows, guards, values, margin, step, groups, samples, order):
    """Compute every register (Algorithm 1), and narrow the smallest |guard| of each lane in `margin`."""
    for k in range(code.shape[0]):
        op = code[k, OP]
        out = code[k, OUT]
        outs = code[k, OUTS]
        first = code[k, FIRST]
        count = code[k, COUNT]
        number = code[k, NUMBER]  # noqa: F841 - for the generated cases
        times = code[k, TIMES]
        guarded = code[k, FLAGS] & GUARDED
        if op == DENSE:
            inputs, bias = count // (outs + 1), count % (outs + 1) != 0
            if code[k, FLAGS] & SHARED:
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
            choose(values, margin, at, first, out, rows, guards, code[k, BRANCH], guarded, groups, samples)
        # <forward>
        else:
            raise ValueError("unknown opcode")


@walk
def backward(code, at, modes, numbers, rows, guards, values, adjoints, step, trusted, fresh, groups, samples, order):
    """Pass every adjoint back (Algorithm 2); the outputs' adjoints are the caller's seeds.

    trusted: the parameters are finite. Parameters' adjoints are added to; where `ASSIGNS`, what they hold is ignored if
    `fresh`.
    """
    for k in range(code.shape[0] - 1, -1, -1):
        if not code[k, FLAGS] & ADJOINED:
            continue
        op = code[k, OP]
        out = code[k, OUT]
        outs = code[k, OUTS]
        first = code[k, FIRST]
        count = code[k, COUNT]
        number = code[k, NUMBER]
        times = code[k, TIMES]
        if op == DENSE:
            inputs, bias = count // (outs + 1), count % (outs + 1) != 0
            if code[k, FLAGS] & SHARED:
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
            branch = code[k, BRANCH]
            choose_back(values, adjoints, at, modes, first, count, out, rows, guards, branch, groups, samples)
        # <backward>
        else:
            raise ValueError("unknown opcode")


@walk
def gradient(
    code, at, modes, numbers, rows, guards, seeds, clear, values, adjoints, valid, margin, fresh, step, groups, samples,
    order,
):  # fmt: skip
    """Compute every register, and add the gradient of the first output to the parameters' adjoints, where valid."""
    forward(code, at, numbers, rows, guards, values, margin, step, groups, samples, order)
    seed(adjoints, seeds, clear, 0, valid, step)
    backward(code, at, modes, numbers, rows, guards, values, adjoints, step, 1, fresh, groups, samples, order)


@walk
def advance(
    code, at, modes, numbers, rows, guards, seeds, clear, values, adjoints, valid, margin, pace, step, groups, samples,
    order,
):  # fmt: skip
    """Take no step, and return 0: the caller computes the gradient, and takes the step. See `machine.specialise`."""
    return 0


@walk
def march(values, numbers, valid, pace, gamma, begin, end):
    """Take no step, and return `begin`, the next one. See `machine.specialise`."""
    return begin
