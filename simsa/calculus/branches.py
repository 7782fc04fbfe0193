"""The selections of a program, one by one: their pieces, and which of them meet at a tie.

A decision is what the reference interpreter takes and records for a selection. What it means, its operation says
(`simsa.primitives.operations`); here these are asked for an instruction and an execution.
"""

from collections.abc import Iterable
from typing import Any

from simsa.machine.reference import Execution, Interpreter
from simsa.primitives import ROWS, Primitive
from simsa.primitives.operations import EvaluatedTable, Selection
from simsa.tape.tape import FLAGS, GUARDED, OP


def primitive(interpreter: Interpreter, k: int) -> Primitive:
    """Return the row of instruction k."""
    return ROWS[interpreter.code[k][OP]]


def selection(interpreter: Interpreter, k: int) -> Selection:
    """Return the operation of selection k; raises TypeError if the instruction is none."""
    operation = primitive(interpreter, k).operation
    if not isinstance(operation, Selection):
        raise TypeError(f"instruction {k} ({primitive(interpreter, k).name}) selects nothing")
    return operation


def guarded(interpreter: Interpreter, k: int) -> bool:
    """Tell whether the guards of instruction k depend on parameters, so that it can be tied."""
    return bool(interpreter.code[k][FLAGS] & GUARDED)


def label(interpreter: Interpreter, k: int, decision: Any) -> int | tuple[int, ...]:
    """Return a decision in numbers: the piece, the winning operand, or the permutation."""
    return selection(interpreter, k).label(interpreter.calls[k], decision)


def count(interpreter: Interpreter, k: int) -> int:
    """Return the number of pieces of selection k."""
    return selection(interpreter, k).count(interpreter.calls[k])


def pieces(interpreter: Interpreter, k: int) -> Iterable[Any]:
    """Return a decision for each piece of selection k."""
    return selection(interpreter, k).pieces(interpreter.calls[k])


def value(interpreter: Interpreter, k: int, run: Execution, decision: Any) -> Any:
    """Return the first value that selection k has under a decision."""
    return selection(interpreter, k).values(interpreter.calls[k], interpreter.operands(k, run), decision, True)[0]


def tied(interpreter: Interpreter, k: int, run: Execution) -> bool:
    """Tell whether a guard of selection k is zero, for instance because two operands of `max` are equally large."""
    return guarded(interpreter, k) and run.margins[k] == 0


def table(interpreter: Interpreter, k: int, run: Execution) -> EvaluatedTable:
    """Return the branch table of a selection: (left - right, relation, can be tied), ..., and a decision, by row.

    Empty if it has none. Guards that ask for NaN are left out, with their rows: they concern floating point only.
    """
    return selection(interpreter, k).table(interpreter.calls[k], interpreter.operands(k, run))


def differences(interpreter: Interpreter, k: int, run: Execution, decision: Any) -> list[Any]:
    """Return left - right for the guards of selection k, of a branch table in turn.

    For `max` and `min` it is the winner's lead over each other operand; for `sort` each step of the permutation.
    """
    return selection(interpreter, k).differences(interpreter.calls[k], interpreter.operands(k, run), decision)


def identically_zero(h: Any) -> bool:
    """Tell whether a difference with value 0, a Dual, is 0 near the point: affine, and no slope."""
    tangent = getattr(h, "tangent", None)
    return hasattr(h, "curved") and not h.curved and (tangent is None or not tangent.any())


def options(interpreter: Interpreter, k: int, run: Execution, limit: int) -> list[Any]:
    """Return the decisions of selection k that are reached by deciding its tied guards either way, executed ones first.

    Raises ProgramError if there are too many to list: more than `limit`.
    """
    operands = interpreter.operands(k, run)
    return selection(interpreter, k).options(interpreter.calls[k], operands, run.decisions[k], limit)
