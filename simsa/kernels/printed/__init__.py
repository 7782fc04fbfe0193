"""Instructions with everything known: places, counts and modes are numbers in the code, not read from the tape.

Each class below makes the operations of a piece of one tape, forward and backward: its fields are what is known, and
`operations()` returns what compiled code calls; `simsa.machine.specialise` prints both. They compute what the rows and
the loops in `kernels.operations` compute, in an order that gives the same bits: sums run from left to right, samples in
order, and what has received nothing is -0.0.
"""
