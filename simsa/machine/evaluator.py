"""What a program asks of the machine: values, Jacobians, branches, listing.

A few points run on the reference interpreter, at once; a batch runs on the kernels. Both give the same bits.
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
"""Points up to which plain Python answers sooner than a kernel that is ready."""

PATIENCE = 20.0
"""Seconds of plain Python, in all, after which kernels that were never compiled on this machine are compiled: about as
long as that takes, so that waiting costs at most twice what is best."""

Array = NDArray[np.float64]


class _Clock:
    """How long plain Python has worked on batches that kernels would have taken, in seconds."""

    spent = 0.0


def plainly(tape: Tape, points: int) -> bool:
    """Tell whether a batch is for plain Python.

    It is if it is a small one, one that is not worth the first compilation yet, or one that the kernels do not compute.
    """
    if points <= FEW or tape.without_loop is not None:
        return True
    from simsa.machine.launch import compiled

    return _Clock.spent < PATIENCE and not compiled()


@contextmanager
def _timed(points: int) -> Iterator[None]:
    """Count the time of a batch that kernels would have taken."""
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
    """Return the reference interpreter of the program, in float64; made once."""
    return reference_of(tape_of(program))


@lru_cache(maxsize=64)
def reference_of(tape: Tape) -> "Interpreter":
    """Return the reference interpreter of a tape, in float64; made once."""
    from simsa.machine.reference import Interpreter

    return Interpreter(tape)


@lru_cache(maxsize=64)
def tape_of(program: Program) -> Tape:
    """Return the program's tape, assembled once."""
    return assemble(program)


class Machine:
    """Evaluates programs; bound to `Program.evaluator`."""

    def value(self, program: Program, x: Array, data: Array) -> Array:
        """Return the outputs, shape (batch, q)."""
        return values(tape_of(program), x, data)

    def jacobian(self, program: Program, x: Array, data: Array, mode: str) -> Array:
        """Return the selection Jacobians, shape (batch, q, p)."""
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
        """Return the decisions of the selections that the outputs depend on, one entry for each point."""
        interpreter = interpreter_of(program)
        return [branches(interpreter.tape, interpreter.run(*at)) for at in zip(x, data, strict=True)]

    def listing(self, program: Program) -> str:
        """Return the tape as text."""
        return tape_of(program).listing()


def branches(tape: Tape, execution: "Execution") -> Branches:
    """Return the decisions of an execution in the table's numbers.

    A selection of the table gives the number of its piece; a tie that the convention splits is one more piece, behind
    the others (Def. 3). `max` and `min` give the winning operand, or all that share a split; `sort` its permutation.
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
