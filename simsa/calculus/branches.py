"""The selections of a program: their pieces, their guards, and the pieces that are tied in an execution.

The functions ask the operation (`simsa.primitives.operations`) of one instruction. A decision is the object in which
the interpreter records what a selection selected; only the operation knows its form. In all functions, interpreter is
the one that runs the tape, k the number of an instruction, run an execution by that interpreter, and decision a
decision of selection k.
"""

from collections.abc import Iterable
from typing import Any

from simsa.machine.reference import Execution, Interpreter
from simsa.primitives import ROWS, Primitive
from simsa.primitives.operations import EvaluatedTable, Selection
from simsa.tape.tape import FLAGS, GUARDED, OP


def primitive(interpreter: Interpreter, k: int) -> Primitive:
    """Return the primitive of instruction k."""
    return ROWS[interpreter.code[k][OP]]


def selection(interpreter: Interpreter, k: int) -> Selection:
    """Return the operation of selection k; raises TypeError if instruction k is not a selection."""
    operation = primitive(interpreter, k).operation
    if not isinstance(operation, Selection):
        raise TypeError(f"instruction {k} ({primitive(interpreter, k).name}) selects nothing")
    return operation


def guarded(interpreter: Interpreter, k: int) -> bool:
    """Tell whether the guards of instruction k depend on parameters, so that it can be tied."""
    return bool(interpreter.code[k][FLAGS] & GUARDED)


def label(interpreter: Interpreter, k: int, decision: Any) -> int | tuple[int, ...]:
    """Return a decision as numbers.

    interpreter, k: the selection. decision: what it selected. The result is the number of the piece; for `max` and
    `min` the position of the operand, or positions that share; for `sort` the permutation.
    """
    return selection(interpreter, k).label(interpreter.calls[k], decision)


def count(interpreter: Interpreter, k: int) -> int:
    """Return the number of pieces of selection k."""
    return selection(interpreter, k).count(interpreter.calls[k])


def pieces(interpreter: Interpreter, k: int) -> Iterable[Any]:
    """Return a decision for each piece of selection k."""
    return selection(interpreter, k).pieces(interpreter.calls[k])


def value(interpreter: Interpreter, k: int, run: Execution, decision: Any) -> Any:
    """Return the first output of selection k under a decision.

    interpreter, k: the selection. run: gives the operands. decision: what it selects.
    """
    return selection(interpreter, k).values(interpreter.calls[k], interpreter.operands(k, run), decision, True)[0]


def tied(interpreter: Interpreter, k: int, run: Execution) -> bool:
    """Tell whether selection k is tied: a guard that depends on parameters is 0.

    interpreter, k: the selection. run: the execution.
    """
    return guarded(interpreter, k) and run.margins[k] == 0


def table(interpreter: Interpreter, k: int, run: Execution) -> EvaluatedTable:
    """Return the branch table of selection k in an execution; empty if it has none.

    interpreter, k: the selection. run: gives the operands. Each row is a pair (guards, decision), where a guard is a
    triple (left - right, relation, whether it depends on parameters). Rows with an `isnan` guard are left out.
    """
    return selection(interpreter, k).table(interpreter.calls[k], interpreter.operands(k, run))


def differences(interpreter: Interpreter, k: int, run: Execution, decision: Any) -> list[Any]:
    """Return left - right for each guard of selection k, in the order of the branch table.

    interpreter, k: the selection. run: gives the operands. decision: what was selected. For `max` and `min` these are
    the differences of the selected operand and each other operand; for `sort`, those of neighbours in the permutation.
    """
    return selection(interpreter, k).differences(interpreter.calls[k], interpreter.operands(k, run), decision)


def identically_zero(h: Any) -> bool:
    """Tell whether a difference that is 0 at a point is 0 everywhere: whether it is a Dual, affine, with slope 0."""
    tangent = getattr(h, "tangent", None)
    return hasattr(h, "curved") and not h.curved and (tangent is None or not tangent.any())


def options(interpreter: Interpreter, k: int, run: Execution, limit: int) -> list[Any]:
    """Return the decisions of selection k that deciding its tied guards either way leads to, the executed one first.

    interpreter, k: the selection. run: the execution. limit: the largest number of decisions. Raises ProgramError if
    there are more.
    """
    operands = interpreter.operands(k, run)
    return selection(interpreter, k).options(interpreter.calls[k], operands, run.decisions[k], limit)
