"""The instructions with any number of operands, on lanes: one loop each, forward and backward.

The reference interpreter defines what each loop computes.

Memory. `values` and `adjoints` hold one register after another. A register has `groups` x `samples` lane vectors; a
parameter has only `groups`, because all samples of a minibatch share it.

Adjoints. An adjoint that is exactly -0.0 has received nothing: no executed piece leads from it to the output. An
adjoint that has received something is never -0.0, because +0.0 is added to it, which changes no other value. So a piece
that is not selected passes nothing, whatever its value or derivative, and no masks are stored.

Shared arguments.
values, adjoints: (size,), those of all registers. margin: (step,), the smallest |guard| of each lane so far.
at: int64 (operands, 4), the place of each operand, and the distance from it to its next group, to its next sample, and
to the same operand of the next instruction of a run. modes: int8 (operands,), how the adjoint of an operand receives: 0
not at all, ASSIGN or ADD. numbers: float64, immediates and tie weights. rows, guards: the branch tables, as in `Tape`.
first, count: the first operand of the instruction, as an index into `at`, and the number of its operands.
out, outs: the place of its first output, and the number of its outputs. number, branch: the index of its first number
in `numbers`, and of its first row in `rows`.
times: the number of like instructions in a run; the next one has the next `count` operands and the next outputs.
inputs, bias: of a dense layer, the number of its inputs, and whether it has biases. Its operands are the weights, row
by row, the inputs, and the biases.
guarded: whether the gaps of its guards narrow `margin`. rule: which of tied operands receive: SPLIT, FIRST or LAST.
step: the distance from a register that is no parameter to the next one, in numbers. groups, samples: how many lane
vectors a register has. g, s: one group and one sample. order: int64 scratch, with room for `count` integers.
finite_parameters: whether all parameters are known to be finite; then a loop may do without masks.
"""
