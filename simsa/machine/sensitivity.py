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

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simsa.formats import Format
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives.arithmetic import Number
from simsa.primitives.operations import Contribution, total
from simsa.tape.tape import ADJOINED, FLAGS, GUARDED, OUT, OUTS

WEIGHTS = 6
"""The purpose of these random numbers, beside those of `kernels.streams`."""

BITS = 24
"""Of a random weight, at most."""

Draw = Callable[[int], int]
"""The n-th random word of an instruction, below 2^32."""


def weight(word: int, format: Format | None) -> float:
    """Return the odd multiple of 2^-b in (0, 1) that the first b bits of a word stand for; it is never 1/2.

    b is BITS, or as many as the format has, so that the weight is a number of it. format: None if nothing is rounded.
    """
    bits = min(BITS, format.bits) if format else BITS
    return (word >> 32 - bits | 1) * 2.0**-bits


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
        reads, modes = interpreter.reads[k], interpreter.modes[k]
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


def _plain(interpreter: Interpreter, k: int, run: Execution) -> Iterator[Contribution]:
    """Yield what an instruction passes under its decision; weights are all 1."""
    one = interpreter.arithmetic.number(1)
    for j, row in enumerate(interpreter.partials(k, run)):
        for i, partial in enumerate(row):
            if partial is not None:
                yield j, i, one, one, partial


def _mixture(interpreter: Interpreter, k: int, run: Execution, draw: Draw) -> tuple[list[Contribution], bool]:
    """Return what a tied instruction passes under random weights of its pieces, and whether these differ in value."""
    call, x, values = interpreter.calls[k], interpreter.operands(k, run), interpreter.results(k, run)
    of = interpreter.arithmetic.format
    return call.row.operation.mixture(call, x, values, run.decisions.get(k), lambda n: weight(draw(n), of))
