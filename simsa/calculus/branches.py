"""The selections of a program, one by one: their pieces, and which of them meet at a tie.

A decision is what the reference interpreter takes and records for a selection: ((weight, piece), ...) for a row of the
table, the row of a user's branch table, the winning operands of `max` and `min`, the permutation of `sort`.
"""

import math
import operator
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise, permutations
from typing import Any

import numpy as np

from simsa.errors import ProgramError
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives import ROWS, Primitive
from simsa.program.program import RELATIONS
from simsa.tape.tape import COUNT, FLAGS, GUARDED, OP

SIGNS = {"<": (-1,), "<=": (-1, 0), "==": (0,), ">=": (0, 1), ">": (1,)}
"""The signs of left - right for which a guard holds."""

ONE = np.float64(1)


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


def orders(x: list[Any], values: list[Any], limit: int) -> list[tuple[int, ...]]:
    """Return the permutations that give the sorted values; refuses more than `limit`."""
    counts = [math.factorial(values.count(v)) for v in set(values)]
    found = list(islice(_orders(x, values), limit + 1)) if math.prod(counts) <= limit else None
    if found is None or len(found) > limit:
        raise ProgramError(f"{spelled(counts)} orders or more agree at a sort, over the limit of {limit}; use limit=")
    return found


def spelled(counts: Sequence[int]) -> str:
    """Return a product of counts, with powers written as such if there are two factors or more."""
    number = math.prod(counts)
    factors = [c for c in counts if c > 1]
    short = " * ".join(f"{c}^{factors.count(c)}" for c in sorted(set(factors)))
    return f"{short} = {number}" if len(factors) > 1 else str(number)


def _orders(x: list[Any], values: list[Any], taken: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the permutations that give the sorted values."""
    if len(taken) == len(x):
        yield taken
        return
    v = values[len(taken)]
    for i, candidate in enumerate(x):
        if i not in taken and candidate == v:
            yield from _orders(x, values, (*taken, i))


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


def options(interpreter: Interpreter, k: int, run: Execution, limit: int) -> list[Any]:
    """Return the decisions of selection k that are reached by deciding its tied guards either way, executed ones first.

    Of a branch table, those of the first rows that hold where each guard that is 0 is taken as below, at or above it.
    Where a row mixes pieces by a convention, each of them; the mixture is one more piece, and adds to the hull only if
    it is no convex one, such as relu'(0) = 2, or nothing at all, as with `torch.clamp` where its bounds meet. Of `max`
    and `min` each largest operand, of `sort` each order. Raises ProgramError if there are more than `limit` such
    orders.
    """
    row, _, x, _ = interpreter.line(k, run.values)
    if row.name == "sort":
        levels = [float(v) for v in x]
        return list(orders(levels, sorted(levels), limit))
    if row.arity is None and row.name != "select":
        best = float(x[run.decisions[k][0]])
        return [[i] for i, v in enumerate(x) if float(v) == best]
    found: dict[Any, Any] = {}
    for decision in (run.decisions[k], *_explore(table(interpreter, k, run), {})):
        mixed = row.arity is not None and len(decision) > 1
        weights = [weight for weight, _ in decision] if mixed else []
        if not mixed or min(weights) < 0 or not any(weights):
            found.setdefault(label(interpreter, k, decision), decision)
        if mixed:
            for _, piece in decision:
                found.setdefault(piece, ((ONE, piece),))
    return list(found.values())


def _explore(rows: list[tuple[list[tuple[Any, str, bool]], Any]], signs: dict[int, int]) -> list[Any]:
    """Return the decisions of a branch table, splitting on the sign of each zero guard when it is first asked."""
    for guards, decision in rows:
        for h, relation, counts in guards:
            value = float(h)
            sign = signs.get(id(h), int(np.sign(value)) if value == value else None)
            if sign == 0 and counts and id(h) not in signs:
                return [d for s in (0, -1, 1) for d in _explore(rows, {**signs, id(h): s})]
            if sign not in SIGNS[relation]:
                break
        else:
            return [decision]
    raise AssertionError("the last row of a branch table has no guard")
