"""The instructions with any number of operands, on lanes: one loop each, forward and backward.

Memory. `values` and `adjoints` hold one register after another; a register holds `groups` x `samples` lane vectors,
a parameter only `groups` (all samples of a minibatch share it). `at[i]` is the address of operand entry i: offset,
step from group to group, from sample to sample, and (for the rows of the table) from output to output of a run. The
reference interpreter defines what each loop computes.

Adjoints. An adjoint that is exactly -0.0 has received nothing: no executed piece leads from it to the output. Every
adjoint that received something is kept off -0.0 by adding +0.0, which changes no other value. So a piece that is not
selected passes nothing, whatever its value or derivative, and no masks are stored.
"""
