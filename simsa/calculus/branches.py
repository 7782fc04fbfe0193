"""The selections of a program, one by one: their pieces, and which of them meet at a tie.

A decision is what the reference interpreter takes and records for a selection: ((weight, piece), ...) for a row of the
table, the row of a user's branch table, the winning operands of `max` and `min`, the permutation of `sort`.
"""

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, permutations
from typing import Any

import numpy as np

from simsa.errors import ProgramError
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives import ROWS, Primitive
from simsa.program.program import RELATIONS
from simsa.tape.tape import COUNT, FLAGS, GUARDED, OP, OUT

SIGNS = {"<": (-1,), "<=": (-1, 0), "==": (0,), ">=": (0, 1), ">": (1,)}
"""The signs of left - right for which a guard holds."""

ONE = np.float64(1)


@dataclass(frozen=True)
class Alternative:
    """A decision that is executed beside a tie. signs: (index in `differences`, -1, 0 or 1) of the guards it needs."""

    decision: Any
    signs: tuple[tuple[int, int], ...]


def primitive(interpreter: Interpreter, k: int) -> Primitive:
    """Return the row of instruction k."""
    return ROWS[interpreter.code[k][OP]]


def guarded(interpreter: Interpreter, k: int) -> bool:
    """Tell whether the guards of instruction k depend on parameters, so that it can be tied."""
    return bool(interpreter.code[k][FLAGS] & GUARDED)


def label(interpreter: Interpreter, k: int, decision: Any) -> int | tuple[int, ...]:
    """Return a decision in numbers: the piece, the winning operand, or the permutation."""
    row = primitive(interpreter, k)
    if row.name == "select":
        return int(interpreter.tape.table(k)[decision, 2])
    if row.name == "sort":
        return tuple(map(int, decision))
    pieces = [piece for weight, piece in decision if weight != 0] if row.arity is not None else list(map(int, decision))
    return pieces[0] if len(pieces) == 1 else tuple(pieces)


def count(interpreter: Interpreter, k: int) -> int:
    """Return the number of pieces of selection k."""
    row, n = primitive(interpreter, k), interpreter.code[k][COUNT]
    if row.name == "select":
        return len({int(piece) for piece in interpreter.tape.table(k)[:, 2]})
    return len(row.pieces) if row.arity is not None else math.factorial(n) if row.name == "sort" else n


def pieces(interpreter: Interpreter, k: int) -> Iterator[Any]:
    """Yield a decision for each piece of selection k."""
    row, n = primitive(interpreter, k), interpreter.code[k][COUNT]
    if row.name == "select":
        yield from {int(piece): i for i, piece in reversed(list(enumerate(interpreter.tape.table(k)[:, 2])))}.values()
    elif row.arity is not None:
        yield from (((ONE, j),) for j in range(len(row.pieces)))
    elif row.name == "sort":
        yield from permutations(range(n))
    else:
        yield from ([i] for i in range(n))


def value(interpreter: Interpreter, k: int, run: Execution, decision: Any) -> Any:
    """Return the value that selection k, not a `sort`, has under a decision."""
    row, _, x, numbers = interpreter.line(k, run.values)
    if row.arity is not None:
        return interpreter.piece(row, row.pieces[decision[0][1]].value, x, None, numbers)
    return x[interpreter.tape.table(k)[decision, 2] if row.name == "select" else decision[0]]


def agreeing(interpreter: Interpreter, k: int, run: Execution, limit: int, tol: float = 0.0) -> list[Any]:
    """Return the decisions of selection k whose value, at its actual operands, is the value that it has.

    Equality is within tol. Pieces that meet at a tied guard agree over the reals, and are there even if they differ by
    their rounding. Raises ProgramError if there are more than `limit`.
    """
    row, _, x, _ = interpreter.line(k, run.values)
    out = interpreter.code[k][OUT]
    if row.name == "sort":
        return orders(x, run.values[out : out + len(x)], limit, tol)
    v, found = run.values[out], {}
    for decision in pieces(interpreter, k):
        candidate = value(interpreter, k, run, decision)
        if float(candidate) == float(v) or abs(float(candidate) - float(v)) <= tol:
            found[label(interpreter, k, decision)] = decision
    if (row.arity is not None or row.name == "select") and tied(interpreter, k, run):
        executed, adjacent = run.decisions[k], alternatives(interpreter, k, run, limit)
        pure = [((ONE, j),) for weight, j in executed if weight != 0] if row.arity is not None else [executed]
        for decision in (*pure, *(a.decision for a in adjacent)):
            if row.name == "select" or len(decision) == 1:
                found.setdefault(label(interpreter, k, decision), decision)
        # A mixture is one more piece. It adds to the hull only if it is no convex one, such as relu'(0) = 2.
        if row.arity is not None and min(weight for weight, _ in executed) < 0:
            found[label(interpreter, k, executed)] = executed
    return list(found.values())


def orders(x: list[Any], values: list[Any], limit: int, tol: float = 0.0) -> list[tuple[int, ...]]:
    """Return the permutations that give the sorted values; refuses more than `limit`."""
    counts = [math.factorial(values.count(v)) for v in set(values)]
    found = list(islice(_orders(x, values, tol), limit + 1)) if math.prod(counts) <= limit else None
    if found is None or len(found) > limit:
        raise ProgramError(f"{spelled(counts)} orders or more agree at a sort, over the limit of {limit}; use limit=")
    return found


def spelled(counts: Sequence[int]) -> str:
    """Return a product of counts, with powers written as such if there are two factors or more."""
    number = math.prod(counts)
    factors = [c for c in counts if c > 1]
    short = " * ".join(f"{c}^{factors.count(c)}" for c in sorted(set(factors)))
    return f"{short} = {number}" if len(factors) > 1 else str(number)


def _orders(x: list[Any], values: list[Any], tol: float, taken: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the permutations that give the sorted values."""
    if len(taken) == len(x):
        yield taken
        return
    v = values[len(taken)]
    for i, candidate in enumerate(x):
        if i not in taken and (candidate == v or abs(candidate - v) <= tol):
            yield from _orders(x, values, tol, (*taken, i))


def tied(interpreter: Interpreter, k: int, run: Execution) -> bool:
    """Tell whether a guard of selection k is zero, for instance because two operands of `max` are equally large."""
    return guarded(interpreter, k) and run.margins[k] == 0


def table(interpreter: Interpreter, k: int, run: Execution) -> list[tuple[list[tuple[Any, str, bool]], Any]]:
    """Return the branch table of a selection with guards: (left - right, relation, can be tied), ..., and a decision.

    Guards that ask for NaN are left out, with their rows: they concern floating point only.
    """
    row, _, x, numbers = interpreter.line(k, run.values)
    result: list[tuple[list[tuple[Any, str, bool]], Any]] = []
    differences: dict[Any, Any] = {}
    if row.name == "select":
        for index, (first, many, _) in enumerate(interpreter.tape.table(k)):
            guards = []
            for a, r, b, counts in interpreter.tape.guards[first : first + many].tolist():
                # One difference for a < b and b > a, so that it has one sign.
                pair, relation = ((a, b), RELATIONS[r]) if a <= b else ((b, a), RELATIONS[len(RELATIONS) - 1 - r])
                h = differences.setdefault(pair, x[pair[0]] - x[pair[1]])
                guards.append((h, relation, bool(counts)))
            result.append((guards, index))
        return result
    at = len(row.immediates)
    for left, right in row.guards():
        sides = (interpreter.piece(row, text, x, None, numbers) for text in (left, right))
        differences[left, right] = operator.sub(*sides)
    for branch in row.branches:
        weights = numbers[at : at + len(branch.between)]
        at += len(branch.between)
        if branch.guards and branch.guards[0].startswith("isnan"):
            continue
        decision = tuple(zip(weights, branch.between, strict=True)) if branch.between else ((ONE, branch.piece),)
        result.append(([(differences[a, b], r, True) for a, r, b in branch.comparisons], decision))
    return result


def differences(interpreter: Interpreter, k: int, run: Execution, decision: Any) -> list[Any]:
    """Return left - right for the guards of selection k, of a branch table in turn.

    For `max` and `min` it is the winner's lead over each other operand; for `sort` each step of the permutation.
    """
    row, _, x, _ = interpreter.line(k, run.values)
    if row.name == "sort":
        return [x[b] - x[a] for a, b in pairwise(decision)]
    if row.arity is None and row.name != "select":
        best = x[decision[0]]
        return [best - v if row.name == "max" else v - best for i, v in enumerate(x) if i != decision[0]]
    return _distinct(table(interpreter, k, run))


def _distinct(rows: list[tuple[list[tuple[Any, str, bool]], Any]]) -> list[Any]:
    """Return the differences that a branch table asks for, each once."""
    return list({id(h): h for guards, _ in rows for h, _, _ in guards}.values())


def decided(interpreter: Interpreter, k: int, run: Execution, index: int, sign: int) -> Any:
    """Return the decision of a branch table if the difference number `index` has a sign, the others as they are."""
    rows = table(interpreter, k, run)
    signs = {id(h): int(np.sign(float(h))) for h in _distinct(rows) if float(h) == float(h)}
    signs[id(_distinct(rows)[index])] = sign
    return next(d for guards, d in rows if all(signs.get(id(h)) in SIGNS[relation] for h, relation, _ in guards))


def identically_zero(h: Any) -> bool:
    """Tell whether a difference with value 0, a Dual, is 0 near the point: affine, and no slope."""
    tangent = getattr(h, "tangent", None)
    return hasattr(h, "curved") and not h.curved and (tangent is None or not tangent.any())


def alternatives(interpreter: Interpreter, k: int, run: Execution, limit: int) -> list[Alternative]:
    """Return the decisions that selection k executes at and beside the point, each with the signs it needs.

    A guard that is not zero keeps its sign. One that is zero has either sign, and 0 where it is identically zero
    or may be: a Dual execution tells. Beside a tie of `max`, `min` and `sort`, one operand wins, one order holds.
    Raises ProgramError if there are more than `limit` such orders.
    """
    row, _, x, _ = interpreter.line(k, run.values)
    if row.arity is not None or row.name == "select":
        return _explore(table(interpreter, k, run), {})
    if row.name == "sort":
        levels = [float(v) for v in x]
        decisions: list[Any] = list(orders(levels, sorted(levels), limit))
    else:
        best = float(x[run.decisions[k][0]])
        decisions = [[i] for i, v in enumerate(x) if float(v) == best]
    result = []
    for decision in decisions:
        leads = enumerate(differences(interpreter, k, run, decision))
        result.append(
            Alternative(decision, tuple((i, 1) for i, h in leads if float(h) == 0 and not identically_zero(h)))
        )
    return result


def _explore(rows: list[tuple[list[tuple[Any, str, bool]], Any]], signs: dict[int, int]) -> list[Alternative]:
    """Return the alternatives of a branch table, splitting on the sign of each zero guard when it is first asked."""
    index = {id(h): i for i, h in enumerate(_distinct(rows))}
    for guards, decision in rows:
        holds = True
        for h, relation, counts in guards:
            value, at = float(h), index[id(h)]
            sign = int(np.sign(value)) if value == value else None
            if sign == 0 and counts and not identically_zero(h):
                if at not in signs:
                    flat = hasattr(h, "curved") and not h.tangent.any()
                    options = (-1, 1, 0) if flat else (-1, 1)
                    return [a for s in options for a in _explore(rows, {**signs, at: s})]
                sign = signs[at]
            if sign not in SIGNS[relation]:
                holds = False
                break
        if holds:
            return [Alternative(decision, tuple(signs.items()))]
    raise AssertionError("the last row of a branch table has no guard")
