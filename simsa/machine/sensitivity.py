"""Whether the gradient of a minibatch depends on how its ties are decided: the definition, in plain Python.

At a tie a selection may take any of several pieces. Let it take a mixture of them: with weights w on the pieces, the
gradient G(w) is affine in the weights of each tied selection, so multi-affine in all of them. If it is not constant,
it differs from the convention's at almost all w (Schwartz 1980; Zippel 1979). So one more walk back, with random
weights, independent for each tied selection of each sample, tells. If G is constant, all branch assignments next to
the point have one gradient; gradients at points nearby converge to it, so f_I is differentiable there and AD is right.

What is walked back is not G(w) but how far it is from the convention's, δ = G(w) - G: what both have in common is
never rounded into it. Beside δ go its absolute contributions, which bound what rounding alone may leave of it. Where
tied pieces of a selection differ in value, there is no common point to compare at: that is sensitive by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add

from simsa.machine.reference import COMPARE, RELATION, Execution, Interpreter, Number
from simsa.primitives import ROWS
from simsa.primitives.primitive import OPERANDS
from simsa.tape.tape import ADJOINED, FLAGS, GUARDED, OP, OUT, OUTS

WEIGHTS = 6
"""The purpose of these random numbers, beside those of `kernels.streams`."""

MOST_SIGNS = 4
"""Tied pairs of one selection whose signs are tried in all combinations; of more, each guard is decided by itself."""

Draw = Callable[[int], int]
"""The n-th random word of an instruction, below 2^32."""

Term = tuple[int, int, Number, Number, Number]
"""Output, operand, weight, the convention's weight, partial: what a piece passes from an output to an operand."""


def weight(word: int) -> float:
    """Return the odd multiple of 2^-24 in (0, 1) that a word stands for: exact in every format, and never 1/2."""
    return (word >> 8 | 1) * 2.0**-24


@dataclass(frozen=True)
class Difference:
    """δ = G(w) - G of one sample.

    entries: by parameter. sizes: the sums of absolute contributions to each. jumps: whether tied pieces of a selection
    that the output depends on differ in value.
    """

    entries: list[Number]
    sizes: list[Number]
    jumps: bool


def difference(interpreter: Interpreter, run: Execution, word: Draw) -> Difference:
    """Return how the gradient of one sample changes under random weights at its ties.

    word: by block and place in it, 4 block + place, a random word. The blocks of each instruction are `Tape.draws`.
    """
    tape, zero = interpreter.tape, interpreter.arithmetic.number(0)
    adjoints, live = interpreter.adjoints(run)
    entries, sizes, moved = [zero] * tape.registers, [zero] * tape.registers, [False] * tape.registers
    jumps = False
    for k in range(len(tape.code) - 1, -1, -1):
        line = interpreter.code[k]
        outs = range(line[OUT], line[OUT] + line[OUTS])
        tied = bool(line[FLAGS] & GUARDED) and run.margins.get(k) == 0
        if not line[FLAGS] & ADJOINED or not (tied or any(moved[r] for r in outs)):
            continue
        first = 4 * int(tape.draws[k])
        if tied:
            # a jump counts where nothing is received, too: what is behind it may be dead on one side only
            terms, jump = _mixture(interpreter, k, run, _from(word, first))
            jumps = jumps or jump
        else:
            terms = list(_plain(interpreter, k, run))
        reads, modes = interpreter.line(k, run.values)[1], interpreter.modes[k]
        gained: dict[int, list[tuple[Number, Number]]] = {}
        for j, i, w, c, partial in terms:
            r, parts = line[OUT] + j, []
            if moved[r]:
                parts.append((entries[r] * w, sizes[r] * abs(w)))
            if live[r] and w != c:
                parts.append((adjoints[r] * (w - c), abs(adjoints[r]) * (abs(w) + abs(c))))
            if parts and modes[i]:
                mixed, size = (total(column) for column in zip(*parts, strict=True))
                gained.setdefault(i, []).append((mixed * partial, size * abs(partial)))
        for i, amounts in sorted(gained.items()):
            mixed, size = (total((zero, *column)) for column in zip(*amounts, strict=True))
            r = reads[i]
            entries[r], sizes[r], moved[r] = entries[r] + mixed, sizes[r] + size, True
    return Difference(entries[: tape.parameters], sizes[: tape.parameters], jumps)


def _from(word: Draw, first: int) -> Draw:
    """Return the words from a place on."""
    return lambda n: word(first + n)


def _plain(interpreter: Interpreter, k: int, run: Execution) -> Iterator[Term]:
    """Yield what an instruction passes under its decision; weights are all 1."""
    one = interpreter.arithmetic.number(1)
    table = interpreter.partials(k, run)
    split = len(run.decisions[k]) if ROWS[interpreter.code[k][OP]].name in ("max", "min") else 0
    for j, row in enumerate(table):
        for i, partial in enumerate(row):
            if partial is not None:
                yield j, i, one, one, one / interpreter.arithmetic.number(split) if split else partial


def _mixture(interpreter: Interpreter, k: int, run: Execution, draw: Draw) -> tuple[list[Term], bool]:
    """Return what a tied selection passes under random weights of its pieces, and whether these differ in value."""
    row, _, x, numbers = interpreter.line(k, run.values)
    number = interpreter.arithmetic.number
    one, zero = number(1), number(0)
    if row.round:  # a norm at 0: each operand takes some share of its own
        drawn = [number(2 * weight(draw(i)) - 1) for i in range(len(x))]
        return [(0, i, w, share, one) for i, (w, share) in enumerate(zip(drawn, numbers, strict=True))], False
    if row.name == "sort":
        return list(_orders(interpreter, k, run, draw)), False
    if row.name in ("max", "min"):
        best = run.values[interpreter.code[k][OUT]]
        reached = [i for i, v in enumerate(x) if v == best]
        decision = run.decisions[k]
        shares = {i: one / number(len(decision)) for i in decision}
        return [(0, i, w, shares.get(i, zero), one) for i, w in _weights(interpreter, reached, draw)], False
    if row.name == "select":
        table = interpreter.tape.table(k)
        rows = _rows_reached(interpreter, k, x)
        values = [x[table[i, 2]] for i in rows]
        terms = [
            (0, int(table[i, 2]), w, one if i == run.decisions[k] else zero, one)
            for i, w in _weights(interpreter, rows, draw)
        ]
        return terms, any(v != values[0] for v in values)
    chosen = {piece: w for w, piece in run.decisions[k]}
    v, terms = run.values[interpreter.code[k][OUT]], []
    for piece, w in _weights(interpreter, _pieces_reached(interpreter, k, run), draw):
        for i in range(row.arity or 0):
            if row.pieces[piece].uses(i):
                partial = interpreter.piece(row, row.pieces[piece].partials[i], x, v, numbers)
                terms.append((0, i, w, chosen.get(piece, zero), partial))
    return terms, row.jumps


def _weights(interpreter: Interpreter, reached: list[int], draw: Draw) -> list[tuple[int, Number]]:
    """Return each piece with its weight: positive, their sum is 1."""
    drawn = [interpreter.arithmetic.number(weight(draw(piece))) for piece in reached]
    whole = total(drawn)
    return [(piece, interpreter.arithmetic.divide(w, whole)) for piece, w in zip(reached, drawn, strict=True)]


def _pieces_reached(interpreter: Interpreter, k: int, run: Execution) -> list[int]:
    """Return the pieces of a table's selection that are reached when each tied guard is decided either way."""
    row, _, x, numbers = interpreter.line(k, run.values)
    found: set[int] = set()
    for branch in row.branches:
        possible = sure = True
        if branch.guards and branch.guards[0].startswith("isnan"):
            operand = x[OPERANDS.index(branch.guards[0][6])]
            possible = sure = bool(operand != operand)
        for left, relation, right in branch.comparisons:
            a, b = (interpreter.piece(row, side, x, None, numbers) for side in (left, right))
            holds = COMPARE[relation](a, b)
            possible, sure = possible and (holds or a == b), sure and holds and a != b
        if possible:
            found.update(branch.between if branch.piece is None else (branch.piece,))
        if sure:
            break
    return sorted(found)


def _rows_reached(interpreter: Interpreter, k: int, x: list[Number]) -> list[int]:
    """Return the rows of a user's branch table that are reached when each tied guard is decided either way.

    Guards of one pair of operands are decided together, as smaller, equal or larger, where at most MOST_SIGNS pairs are
    tied; else each guard by itself, which may reach more.
    """
    tape = interpreter.tape
    table, pairs = tape.table(k), tape.pairs
    guards = [range(first, first + count) for first, count, _ in table]

    def tied(n: int) -> bool:
        left, _, right, counts = tape.guards[n]
        return bool(counts) and bool(x[left] == x[right])

    def holds(n: int) -> bool:
        left, relation, right, _ = tape.guards[n]
        return bool(RELATION[relation](x[left], x[right]))

    undecided = list(dict.fromkeys(int(pairs[n, 0]) for row in guards for n in row if tied(n)))
    found: set[int] = set()
    if len(undecided) <= MOST_SIGNS:
        for signs in product((-1, 0, 1), repeat=len(undecided)):
            sign = dict(zip(undecided, signs, strict=True))

            def decided(n: int, sign: dict[int, int] = sign) -> bool:
                if not tied(n):
                    return holds(n)
                return bool(RELATION[tape.guards[n, 1]](sign[int(pairs[n, 0])] * int(pairs[n, 1]), 0))

            found.add(next(i for i, row in enumerate(guards) if all(map(decided, row))))
        return sorted(found)
    for i, row in enumerate(guards):
        if all(tied(n) or holds(n) for n in row):
            found.add(i)
            if not any(map(tied, row)):
                break
    return sorted(found)


def _orders(interpreter: Interpreter, k: int, run: Execution, draw: Draw) -> Iterator[Term]:
    """Yield what a tied sort passes under a mixture of the orders of its equal operands.

    For m equal operands a mixture is an (m, m) matrix with sums of rows and columns 1. Here it is 1/m + u v, with u
    and v random and centred: a linear function that is constant on these is constant on all mixtures.
    """
    _, _, x, _ = interpreter.line(k, run.values)
    number, order = interpreter.arithmetic.number, run.decisions[k]
    one, zero, n = number(1), number(0), len(x)
    begin = 0
    while begin < n:
        end = begin + 1
        while end < n and x[order[end]] == x[order[begin]]:
            end += 1
        block = range(begin, end)
        share = interpreter.arithmetic.divide(one, number(len(block)))
        u = _centred(interpreter, [draw(order[j]) for j in block])
        v = _centred(interpreter, [draw(n + j) for j in block])
        for place, i in enumerate(order[begin:end]):
            for other, j in enumerate(block):
                w = share + u[place] * v[other] if len(block) > 1 else one
                yield j, i, w, one if i == order[j] else zero, one
        begin = end


def _centred(interpreter: Interpreter, words: list[int]) -> list[Number]:
    """Return the weights of words less their mean."""
    drawn = [interpreter.arithmetic.number(weight(word)) for word in words]
    mean = interpreter.arithmetic.divide(total(drawn), interpreter.arithmetic.number(len(words)))
    return [v - mean for v in drawn]


def total(terms: Sequence[Number]) -> Number:
    """Return the sum from left to right."""
    return reduce(add, terms)
