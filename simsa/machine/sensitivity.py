"""Whether the gradient of a minibatch depends on how its ties are decided: the definition, in plain Python.

At a tie a selection may take any of several pieces. Give them weights w that sum to 1. Then the gradient G(w) is affine
in the weights of each tied selection, and so multi-affine in all of them. If it is not constant, it differs from the
convention's gradient G at almost all w (Schwartz 1980; Zippel 1979). One more backward walk decides this, with random
weights that are independent for each tied selection of each sample. If G(w) is constant, all branch assignments next to
the point have the same gradient; gradients at points nearby converge to it, so that f_I is differentiable there, and AD
returns its gradient.

The walk passes back the difference δ = G(w) - G, and not G(w), so that rounding errors in what both have in common do
not enter it. It also passes back the sum of the absolute contributions to δ, which bounds the rounding errors of δ. If
tied pieces of a selection differ in value, the step is sensitive in any case.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simsa.formats import Format
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives.arithmetic import Number
from simsa.primitives.operations import Contribution, total
from simsa.tape.tape import ADJOINED, FLAGS, GUARDED, OUT, OUTS

WEIGHTS = 6
"""The purpose of these random numbers, as in `kernels.streams`."""

BITS = 24
"""The largest number of bits of a random weight."""

Draw = Callable[[int], int]
"""The n-th random word of an instruction, below 2^32."""


def weight(word: int, format: Format | None) -> float:
    """Return the weight in (0, 1) that a random word of 32 bits stands for: an odd multiple of 2^-b, and never 1/2.

    format: that of the arithmetic, or None if nothing is rounded. b is the smaller of BITS and the bits of the format,
    so that the weight is one of its numbers.
    """
    bits = min(BITS, format.bits) if format else BITS
    return (word >> 32 - bits | 1) * 2.0**-bits


@dataclass(frozen=True)
class Difference:
    """The difference δ = G(w) - G of one sample.

    entries: (p,). sizes: (p,), the sums of the absolute contributions to them. jumps: whether tied pieces of a
    selection that the output depends on differ in value.
    """

    entries: list[Number]
    sizes: list[Number]
    jumps: bool


def difference(interpreter: Interpreter, run: Execution, word: Draw) -> Difference:
    """Return how the gradient of one sample changes under random weights at its ties.

    interpreter: of the tape. run: the execution at the point, for the sample. word: a random word for each number
    4 block + place, where an instruction has the blocks from its entry of `Tape.draws` on.
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
            # A jump counts where nothing was received, too: a piece that is not selected may be the one that passes on.
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
    """Return the random words from number `first` on."""
    return lambda n: word(first + n)


def _plain(interpreter: Interpreter, k: int, run: Execution) -> Iterator[Contribution]:
    """Yield the contributions of an instruction under its decision, with the weight 1."""
    one = interpreter.arithmetic.number(1)
    for j, row in enumerate(interpreter.partials(k, run)):
        for i, partial in enumerate(row):
            if partial is not None:
                yield j, i, one, one, partial


def _mixture(interpreter: Interpreter, k: int, run: Execution, draw: Draw) -> tuple[list[Contribution], bool]:
    """Return the contributions of a tied instruction under random weights, and whether its pieces differ in value."""
    call, x, values = interpreter.calls[k], interpreter.operands(k, run), interpreter.results(k, run)
    of = interpreter.arithmetic.format
    return call.row.operation.mixture(call, x, values, run.decisions.get(k), lambda n: weight(draw(n), of))
