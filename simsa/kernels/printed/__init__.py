"""The operations of the specialised engine, in which places, counts and modes are constants in the code.

Each class makes the operations of a part of one tape, forward and backward. Its fields are the constants, and
`operations()` returns functions that compiled code calls. `simsa.machine.specialise` prints the calls of both. The
operations compute what the rows and the loops in `kernels.operations` compute, with the same bits: sums run from left
to right, samples in their order, and an adjoint that has received nothing is -0.0.
"""
