"""Sequences and runs of scalar instructions, whose intermediate values stay in registers of the processor."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from numba.core import cgutils

from simsa.kernels.operations.shared import ASSIGN
from simsa.kernels.printed.code import Extent, operation
from simsa.kernels.printed.instructions import Dot, Select, Sum
from simsa.kernels.rows import Row


class Line(NamedTuple):
    """An instruction.

    row: what it computes. out, operands: places. modes: how each operand's adjoint receives. immediates: the numbers
    that the row has names for, in order. number: the index of its first tie weight. guarded: whether its gaps narrow
    the margin. adjoined: whether adjoints are passed through it.
    """

    row: Row | Select | Sum | Dot
    out: int
    operands: tuple[int, ...]
    modes: tuple[int, ...]
    immediates: list[float]
    number: int
    guarded: bool
    adjoined: bool


@dataclass(frozen=True)
class Straight:
    """A sequence of instructions, or a run of like instructions.

    extent: how registers lie. outs: the number of instructions of a run, 1 for a sequence. constants: values by place.
    output: the place of the tape's first output. lines: the instructions of the sequence, or the first one of the run,
    whose operands are at different places. strides: by how many registers each operand of a run moves from one
    instruction to the next; the output moves by one.
    """

    extent: Extent
    outs: int
    constants: dict[int, float]
    output: int
    lines: list[Line]
    strides: tuple[int, ...] = ()

    def operations(self):
        """Return forward(values, margin) and backward(values, adjoints, numbers).

        The third is gradient(values, margin, adjoints, numbers, valid, fresh), which is both walks in one, without
        writing values to memory. It is right if the instructions are the whole tape, and `output` is its only output.
        The adjoints of parameters are assigned if `fresh`, else added to.
        """
        return (
            operation(("values", "margin"), self._forward),
            operation(("values", "adjoints", "numbers"), self._backward),
            operation(("values", "margin", "adjoints", "numbers", "valid", "fresh"), self._gradient),
        )

    @cached_property
    def kept(self):
        """Return the lines that adjoints are passed through."""
        return [line for line in self.lines if line.adjoined]

    @cached_property
    def mixing(self):
        """Return those of these lines that pass weighted pieces at a tie."""
        return [line for line in self.kept if line.row.weights]

    @cached_property
    def moves(self):
        """Return by how many registers the operands of a run move, by place; empty for a sequence."""
        return dict(zip(self.lines[0].operands, self.strides, strict=True)) if self.outs > 1 else {}

    @property
    def _inner(self):
        """Return how many samples are computed in one iteration of the loop."""
        return self.extent.samples if self.outs > 1 else 1

    def _vectors(self, code, least=None, descending=False):
        """Loop over the lane vectors; yield several at a time, and for each a variable for its smallest gap.

        least: these variables, or None if nothing is guarded. descending: whether a run is walked backwards. The
        samples of a run are computed together, because they are adjacent in memory, which is then read in order.
        """
        lanes, b = code.lanes.count, code.b
        groups, samples, _, step = self.extent
        inner = self._inner
        with code.times(groups) as g, code.times(samples // inner) as s:
            here = code.scaled((g, samples * lanes), (s, lanes))
            if least is not None:
                for n in range(inner):
                    b.store(code.load("margin", n * lanes, here), least[n])
            with code.times(self.outs, descending) as n:

                def shared(stride, g=g, n=n):
                    return code.scaled((g, lanes), (n, stride * groups * lanes))

                def own(stride, g=g, s=s, n=n):
                    return code.scaled((g, samples * lanes), (s, lanes), (n, stride * step))

                yield [Vector(code, self, shared, own, s, k) for k in range(inner)], least or [None] * inner
            if least is not None:
                for n in range(inner):
                    code.store("margin", b.load(least[n]), n * lanes, here)

    def _smallest_gaps(self, code):
        """Return variables for the smallest gaps, one for each sample of an iteration; None if nothing is guarded."""
        if not any(line.guarded for line in self.lines):
            return None
        return [cgutils.alloca_once(code.b, code.vector) for _ in range(self._inner)]

    def _compute(self, vector, smallest):
        """Compute every line for a lane vector, and narrow its smallest gap."""
        b = vector.code.b
        for line in self.lines:
            text = vector.text(line)
            vector.made[line.out] = line.row.value(b, text)
            for gap in line.row.gaps(b, text) if line.guarded else ():
                b.store(vector.code.smaller(gap, b.load(smallest)), smallest)

    def _forward(self, code):
        for some, smallest in self._vectors(code, self._smallest_gaps(code)):
            for vector, gap in zip(some, smallest, strict=True):
                self._compute(vector, gap)
                for line in self.lines:
                    vector.store("values", vector.made[line.out], line.out)

    def _back(self, vector, weights, adjoints, whole, tied):
        """Pass the adjoints of a lane vector back, and store those that other parts of the tape read.

        weights: by `Line.number`, the tie weights of each line that has some. adjoints: by place, those that are known.
        whole: whether this is the whole tape; then only parameters' adjoints are stored. tied: False if it is known
        that no line is tied.
        """
        changed = []
        inside = {line.out for line in self.lines} if self.outs == 1 else set()

        def adjoint(place):
            if place not in adjoints:
                if whole and place >= self.extent.data_at:
                    adjoints[place] = vector.code.constant(-0.0)
                elif whole:
                    adjoints[place] = vector.code.so_far(*vector.at(place), vector.s)
                else:
                    adjoints[place] = vector.load("adjoints", place)
            return adjoints[place]

        for line in reversed(self.kept):
            for i, amount in vector.amounts(line, adjoint(line.out), weights.get(line.number, ()), tied):
                place = line.operands[i]
                adjoints[place] = amount if line.modes[i] == ASSIGN else vector.code.b.fadd(adjoint(place), amount)
                if place not in inside and place not in changed:
                    changed.append(place)
        for place in changed:
            vector.store("adjoints", adjoints[place], place)

    def _walk_back(self, code, some, starts, whole):
        """Pass the adjoints of some vectors back.

        starts: for each vector, the adjoints that are known. If no lane is tied, as is usual, the code without tie
        weights is taken.
        """
        b = code.b
        if not self.mixing:
            for vector, start in zip(some, starts, strict=True):
                self._back(vector, {}, start, whole, False)
            return
        tied = None
        for vector in some:
            for line in self.mixing:
                lanes = line.row.ties(b, vector.text(line))
                tied = lanes if tied is None else b.or_(tied, lanes)
        with b.if_else(code.some(tied)) as ways:
            for way, mixes in zip(ways, (True, False), strict=True):
                with way:
                    weights = self._tie_weights(code) if mixes else {}
                    for vector, start in zip(some, starts, strict=True):
                        self._back(vector.copy(), weights, dict(start), whole, mixes)

    def _tie_weights(self, code):
        """Return the tie weights of each line that has some, by `Line.number`."""
        return {
            line.number: [code.splat("numbers", line.number + n) for n in range(line.row.weights)]
            for line in self.mixing
        }

    def _backward(self, code):
        for some, _ in self._vectors(code, descending=True):
            self._walk_back(code, some, [{} for _ in some], whole=False)

    def _gradient(self, code):
        b = code.b
        for (vector,), (smallest,) in self._vectors(code, self._smallest_gaps(code)):
            self._compute(vector, smallest)
            valid = b.fcmp_unordered("!=", code.load("valid", 0, vector.own(1)), code.constant(0.0))
            start = {self.output: b.select(valid, code.constant(1.0), code.constant(-0.0))}
            self._walk_back(code, [vector], [start], whole=True)


class Vector:
    """One lane vector of every register: its loads and stores, and the values that have been loaded or computed.

    made: these values, by place.
    """

    def __init__(self, code, straight, shared, own, s=None, sample=0):
        """Begin with the constants.

        shared, own: functions of a stride in registers, which return the dynamic index of a parameter and of another
        register. s, sample: the sample is their sum; s is computed, or None for 0.
        """
        self.code, self.straight = code, straight
        self.shared, self.own, self.s, self.sample = shared, own, s, sample
        self.made = {
            place: code.constant(value) for place, value in straight.constants.items() if not straight.moves.get(place)
        }

    def copy(self):
        """Return a copy, so that values that are loaded later in one branch of the code are not used in another."""
        other = Vector(self.code, self.straight, self.shared, self.own, self.s, self.sample)
        other.made = dict(self.made)
        return other

    def at(self, place):
        """Return the place and the dynamic index of the lane vector of a register."""
        stride = self.straight.moves.get(place, 1)
        if place < self.straight.extent.data_at:
            return place, self.shared(stride)
        return place + self.sample * self.code.lanes.count, self.own(stride)

    def load(self, name, place):
        """Return the lane vector of the register at a place, from the array of this name."""
        return self.code.load(name, *self.at(place))

    def store(self, name, value, place):
        """Write `value` as the lane vector of the register at `place`, to the array `name`."""
        self.code.store(name, value, *self.at(place))

    def value(self, place):
        """Return the value of the register at a place, which is loaded if it is not known."""
        if place not in self.made:
            self.made[place] = self.load("values", place)
        return self.made[place]

    def text(self, line):
        """Return what makes instructions of the texts of a line's row."""
        return self.code.text(line.row, line.immediates, map(self.value, line.operands))

    def amounts(self, line, grad, weights, tied):
        """Yield the number of each operand of a line that receives, and what it receives.

        grad: the adjoint of the line's output. weights, tied: as in `Row.amount`.
        """
        text = self.text(line)
        text.names["v"] = self.value(line.out)
        for i, mode in enumerate(line.modes):
            if mode and line.row.passes(i):
                yield i, line.row.amount(self.code.b, text, weights, i, grad, tied)
