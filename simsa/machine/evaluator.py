"""What a program asks of the machine: values, Jacobians, branches, listing.

A few points run on the reference interpreter, at once; a batch runs on the kernels. Both give the same bits.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simsa.errors import ProgramError, known
from simsa.primitives.operations import Selection
from simsa.program.program import Branches, Program
from simsa.tape import Tape, assemble

if TYPE_CHECKING:
    from simsa.machine.reference import Execution, Interpreter

FEW = 64
"""Points up to which plain Python answers sooner than a kernel that may have to be compiled first (10 to 20 s)."""

Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def interpreter_of(program: Program) -> "Interpreter":
    """Return the reference interpreter of the program, in float64; made once."""
    from simsa.machine.reference import Interpreter

    return Interpreter(tape_of(program))


@lru_cache(maxsize=64)
def tape_of(program: Program) -> Tape:
    """Return the program's tape, assembled once."""
    return assemble(program)


def without_loop(tape: Tape) -> str | None:
    """Return the name of an operation of the tape that the kernels have no loop for; None if they compute it all."""
    return next((row.name for row in map(tape.row, range(len(tape.code))) if row.operation.loop is None), None)


def _need_loops(program: Program) -> None:
    """Raise ProgramError for a program that only the reference computes."""
    if name := without_loop(tape_of(program)):
        raise ProgramError(f"{name} has no loop in the kernels; it is computed at up to {FEW} points at a time")


class Machine:
    """Evaluates programs; bound to `Program.evaluator`."""

    def value(self, program: Program, x: Array, data: Array) -> Array:
        """Return the outputs, shape (batch, q)."""
        if len(x) > FEW:
            from simsa.machine.launch import evaluate

            _need_loops(program)
            return evaluate(tape_of(program), x, data, differentiate=False)[0].astype(np.float64)
        interpreter = interpreter_of(program)
        runs = [interpreter.run(point, row) for point, row in zip(x, data, strict=True)]
        return np.array([[run.values[r] for r in interpreter.tape.outputs] for run in runs]).reshape(len(x), -1)

    def jacobian(self, program: Program, x: Array, data: Array, mode: str) -> Array:
        """Return the selection Jacobians, shape (batch, q, p)."""
        known("mode", mode, ("backward", "forward"))
        if len(x) > FEW and mode == "backward":
            from simsa.machine.launch import evaluate

            _need_loops(program)
            return evaluate(tape_of(program), x, data)[1].astype(np.float64)
        interpreter = interpreter_of(program)
        result = np.empty((len(x), program.q, program.p))
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
