"""Evaluate programs: values, Jacobians, branches, listing.

A few points are evaluated by the reference, which needs no compilation, and many by the kernels. Both give the same
bits.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simsa.errors import known
from simsa.primitives.operations import Selection
from simsa.program.program import Branches, Program
from simsa.tape import Tape, assemble

if TYPE_CHECKING:
    from simsa.machine.reference import Execution, Interpreter

FEW = 64
"""The largest batch for which plain Python is faster than a kernel that has been loaded."""

PATIENCE = 20.0
"""Seconds of plain Python in this process after which kernels that this machine has not compiled yet are compiled. It
is about the time to compile, so that the total is at most about twice the shortest possible one."""

Array = NDArray[np.float64]


class _Clock:
    """The seconds that plain Python has taken in this process for batches of more than FEW points."""

    spent = 0.0


def plainly(tape: Tape, points: int) -> bool:
    """Tell whether plain Python evaluates a batch of so many points of a tape.

    It does if the batch is small, if the kernels have no loop for an instruction of the tape, or if the kernels are not
    compiled and plain Python has not yet taken PATIENCE.
    """
    if points <= FEW or tape.without_loop is not None:
        return True
    from simsa.machine.launch import compiled

    return _Clock.spent < PATIENCE and not compiled()


@contextmanager
def _timed(points: int) -> Iterator[None]:
    """Add the time of a batch of more than FEW points to the clock."""
    began = time.perf_counter()
    yield
    _Clock.spent += time.perf_counter() - began if points > FEW else 0.0


def values(tape: Tape, x: Array, data: Array) -> Array:
    """Return the outputs of a tape, shape (batch, q), in float64. x: (batch, p). data: (batch, d)."""
    if not plainly(tape, len(x)):
        from simsa.machine.launch import evaluate

        return evaluate(tape, x, data, differentiate=False)[0].astype(np.float64)
    interpreter = reference_of(tape)
    with _timed(len(x)):
        runs = [interpreter.run(point, row) for point, row in zip(x, data, strict=True)]
    return np.array([[run.values[r] for r in tape.outputs] for run in runs]).reshape(len(x), -1)


@lru_cache(maxsize=64)
def interpreter_of(program: Program) -> "Interpreter":
    """Return the reference interpreter of a program in float64, which is made once."""
    return reference_of(tape_of(program))


@lru_cache(maxsize=64)
def reference_of(tape: Tape) -> "Interpreter":
    """Return the reference interpreter of a tape in float64, which is made once."""
    from simsa.machine.reference import Interpreter

    return Interpreter(tape)


@lru_cache(maxsize=64)
def tape_of(program: Program) -> Tape:
    """Return the tape of a program, which is assembled once."""
    return assemble(program)


class Machine:
    """Evaluates programs; an instance is `Program.evaluator`."""

    def value(self, program: Program, x: Array, data: Array) -> Array:
        """Return the outputs of a program, shape (batch, q). x: (batch, p). data: (batch, d)."""
        return values(tape_of(program), x, data)

    def jacobian(self, program: Program, x: Array, data: Array, mode: str) -> Array:
        """Return the selection Jacobians of a program, shape (batch, q, p).

        x: (batch, p). data: (batch, d). mode: "backward" or "forward"; SimsaError is raised for any other.
        """
        known("mode", mode, ("backward", "forward"))
        if mode == "backward" and not plainly(tape_of(program), len(x)):
            from simsa.machine.launch import evaluate

            return evaluate(tape_of(program), x, data)[1].astype(np.float64)
        interpreter = interpreter_of(program)
        result = np.empty((len(x), program.q, program.p))
        with _timed(len(x) if mode == "backward" else 0):
            for b, (point, row) in enumerate(zip(x, data, strict=True)):
                run = interpreter.run(point, row)
                if mode == "backward":
                    result[b] = [interpreter.backward(run, output) for output in range(program.q)]
                else:
                    result[b] = np.transpose([interpreter.forward(run, list(unit)) for unit in np.eye(program.p)])
        return result

    def branches(self, program: Program, x: Array, data: Array) -> list[Branches]:
        """Return the decisions of the selections of a program that its outputs depend on, one entry for each point.

        x: (batch, p). data: (batch, d).
        """
        interpreter = interpreter_of(program)
        return [branches(interpreter.tape, interpreter.run(*at)) for at in zip(x, data, strict=True)]

    def listing(self, program: Program) -> str:
        """Return the tape as text."""
        return tape_of(program).listing()


def branches(tape: Tape, execution: "Execution") -> Branches:
    """Return the decisions of an execution of a tape.

    The decision of a row of the table is the number of its piece; a tie that the convention splits counts as one more
    piece, whose number is the number of pieces (Def. 3). That of `max` and `min` is the operand that is selected, or
    all operands that share; that of `sort` is its permutation.
    """
    pieces: list[int | tuple[int, ...]] = []
    for k, decision in execution.decisions.items():
        call = tape.call(k)
        if isinstance(call.row.operation, Selection):
            pieces.append(call.row.operation.branch(call, decision))
    norms = [k for k in execution.margins if k not in execution.decisions]
    return Branches(
        tuple(int(tape.nodes[k]) for k in (*execution.decisions, *norms)),
        (*pieces, *(0 for _ in norms)),
        tuple(execution.margins.get(k, np.inf) == 0 for k in (*execution.decisions, *norms)),
    )
