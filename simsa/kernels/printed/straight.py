"""Scalar instructions one after the other, and runs of one: what is made and used here stays in registers."""

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

    out, operands: places. modes: how each operand's adjoint receives. immediates: numbers, by the names that the row
    has for them. number: where its tie weights begin. guarded: whether its gaps narrow the margin. adjoined: whether
    adjoints are passed through it.
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
    """Consecutive instructions, or a run.

    extent: how registers lie. outs: how many outputs a run has, 1 if this is none. A run is one line: its outputs are
    `outs` consecutive registers, and from one to the next its operands, all at different places, move by `strides`
    registers. constants: values by place. output: the place of the tape's first output.
    """

    extent: Extent
    outs: int
    constants: dict[int, float]
    output: int
    lines: list[Line]
    strides: tuple[int, ...] = ()

    def operations(self):
        """Return forward(values, margin) and backward(values, adjoints, numbers).

        And gradient(values, margin, adjoints, numbers, valid, fresh), both at once, nothing in memory between them,
        where the instructions are the whole tape, and its only output is `output`. The adjoints of parameters are added
        to, or written if `fresh`.
        """
        return (
            operation(("values", "margin"), self._forward),
            operation(("values", "adjoints", "numbers"), self._backward),
            operation(("values", "margin", "adjoints", "numbers", "valid", "fresh"), self._gradient),
        )

    @cached_property
    def kept(self):
        """The lines that adjoints are passed through."""
        return [line for line in self.lines if line.adjoined]

    @cached_property
    def mixing(self):
        """Those of them that mix pieces at a tie."""
        return [line for line in self.kept if line.row.weights]

    @cached_property
    def moves(self):
        """By how many registers the operands of a run move, by place."""
        return dict(zip(self.lines[0].operands, self.strides, strict=True)) if self.outs > 1 else {}

    @property
    def _inner(self):
        """How many samples are walked together."""
        return self.extent.samples if self.outs > 1 else 1

    def _vectors(self, code, least=None, descending=False):
        """Loop over the lane vectors; yield some, and where to keep the smallest gap of the trajectories of each.

        Samples lie side by side, and those of a run come together: memory is walked from one end to the other.
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
        """Return room for the smallest gaps, a lane vector for each sample of a run; None if nothing is guarded."""
        if not any(line.guarded for line in self.lines):
            return None
        return [cgutils.alloca_once(code.b, code.vector) for _ in range(self._inner)]

    def _ahead(self, vector, smallest):
        """Compute every line, and narrow the smallest gap."""
        b = vector.code.b
        for line in self.lines:
            text = vector.text(line)
            vector.made[line.out] = line.row.value(b, text)
            for gap in line.row.gaps(b, text) if line.guarded else ():
                b.store(vector.code.smaller(gap, b.load(smallest)), smallest)

    def _forward(self, code):
        for some, smallest in self._vectors(code, self._smallest_gaps(code)):
            for vector, gap in zip(some, smallest, strict=True):
                self._ahead(vector, gap)
                for line in self.lines:
                    vector.store("values", vector.made[line.out], line.out)

    def _back(self, vector, weights, adjoints, whole, tied):
        """Pass the adjoints back, and store those of other parts' registers; the whole tape has none but parameters.

        weights: the tie weights of each line that has some, by the first. tied: whether a row that mixes pieces may
        hold.
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
        """Pass the adjoints of some vectors back; where no lane is tied, without the mixtures: ties are rare."""
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
        """Return the tie weights of each line that has some, by the first."""
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
            self._ahead(vector, smallest)
            valid = b.fcmp_unordered("!=", code.load("valid", 0, vector.own(1)), code.constant(0.0))
            start = {self.output: b.select(valid, code.constant(1.0), code.constant(-0.0))}
            self._walk_back(code, [vector], [start], whole=True)


class Vector:
    """One lane vector of every register: loads and stores of it, and what has been loaded already."""

    def __init__(self, code, straight, shared, own, s=None, sample=0):
        """shared, own: of the output's register; functions of how far a register moves with the run."""
        self.code, self.straight = code, straight
        self.shared, self.own, self.s, self.sample = shared, own, s, sample
        self.made = {
            place: code.constant(value) for place, value in straight.constants.items() if not straight.moves.get(place)
        }

    def copy(self):
        """Return one that knows what has been loaded so far, and forgets what is loaded from now on."""
        other = Vector(self.code, self.straight, self.shared, self.own, self.s, self.sample)
        other.made = dict(self.made)
        return other

    def at(self, place):
        """Return the address of a register."""
        stride = self.straight.moves.get(place, 1)
        if place < self.straight.extent.data_at:
            return place, self.shared(stride)
        return place + self.sample * self.code.lanes.count, self.own(stride)

    def load(self, name, place):
        """Return what an array holds of a register."""
        return self.code.load(name, *self.at(place))

    def store(self, name, value, place):
        """Write what an array holds of a register."""
        self.code.store(name, value, *self.at(place))

    def value(self, place):
        """Return the value of a register, from memory if it is not known."""
        if place not in self.made:
            self.made[place] = self.load("values", place)
        return self.made[place]

    def text(self, line):
        """Return what reads the texts of a line's row."""
        return self.code.text(line.row, line.immediates, map(self.value, line.operands))

    def amounts(self, line, grad, weights, tied):
        """Yield the number of each operand that receives, and what it gets. tied: as in `Row.amount`."""
        text = self.text(line)
        text.names["v"] = self.value(line.out)
        for i, mode in enumerate(line.modes):
            if mode and line.row.passes(i):
                yield i, line.row.amount(self.code.b, text, weights, i, grad, tied)
