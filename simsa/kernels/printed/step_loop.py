"""A loop over several steps of a scalar program, whose parameters and state stay in registers of the processor."""

from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core import cgutils

from simsa.kernels.arguments import INVERSE_SIZE, MARGIN, RADIUS
from simsa.kernels.lanes import _broadcast, _call
from simsa.kernels.printed.code import INDEX, operation
from simsa.kernels.printed.step import Step
from simsa.kernels.printed.straight import Straight, Vector


@dataclass(frozen=True)
class StepLoop:
    """A loop over the steps of a tape that is one sequence of instructions, `straight`. step: the rule."""

    straight: Straight
    step: Step

    def operation(self):
        """Return step_loop(values, numbers, valid, lane_numbers, held, gamma, given, begin, end).

        It takes the steps begin, ..., end - 1 as long as no sample is tied and all points stay in the ball, and returns
        the number of the first step that was not taken. lane_numbers: as in `Scratch`; INVERSE_SIZE and RADIUS are
        read, and MARGIN is written. held, given: the state and the numbers of the rule. gamma: all step sizes.
        """
        names = ("values", "numbers", "valid", "lane_numbers", "held", "gamma", "given", "begin", "end")
        return operation(names, self._steps, types.intp)

    def _steps(self, code):
        """Make the loop twice: for samples that all count, and for others."""
        b, lanes = code.b, code.lanes.count
        groups, samples, _, _ = self.straight.extent
        at = [(g * samples + s) * lanes for g in range(groups) for s in range(samples)]
        counts = [b.fcmp_unordered("!=", code.load("valid", i), code.constant(0.0)) for i in at]
        every = counts[0]
        for mask in counts[1:]:
            every = b.and_(every, mask)
        result = cgutils.alloca_once(b, INDEX)
        with b.if_else(code.every(every)) as (all_valid, otherwise):
            with all_valid:
                b.store(self._loop(code, None), result)
            with otherwise:
                b.store(self._loop(code, counts), result)
        return b.load(result)

    def _loop(self, code, counts):
        """Loop over steps. counts: the lanes that are valid, for each group and sample; None if all are."""
        b, lanes = code.b, code.lanes.count
        groups, _, data_at, _ = self.straight.extent
        across = groups * lanes
        begin, end = code.flags["begin"], code.flags["end"]
        points = range(data_at // across)
        places = [r * across + g * lanes for g in range(groups) for r in points]
        held_at = [n * data_at + place for n in range(len(self.step.state)) for place in places]
        least_at = [MARGIN * across + g * lanes for g in range(groups)]
        inverse, farthest = (
            [code.load("lane_numbers", n * across + g * lanes) for g in range(groups)] for n in (INVERSE_SIZE, RADIUS)
        )
        # The arrays and the places of the lane vectors that are loaded before the loop and stored after it.
        homes = (
            [("lane_numbers", i) for i in least_at] + [("values", i) for i in places] + [("held", i) for i in held_at]
        )
        start, given = [begin, *(code.load(name, i) for name, i in homes)], self.step.given(code)
        # Masks have words as wide as numbers: LLVM would pack masks of one bit for each lane.
        truth = ir.VectorType(ir.IntType(8 * code.bytes), lanes)

        before, loop = b.block, b.append_basic_block("steps")
        go_on, done = b.append_basic_block("go_on"), b.append_basic_block("done")
        b.cbranch(b.icmp_signed("<", begin, end), loop, done)
        b.position_at_end(loop)
        old = [b.phi(value.type) for value in start]
        for phi, value in zip(old, start, strict=True):
            phi.add_incoming(value, before)
        rate = b.load(b.gep(code.data["gamma"], [old[0]]))
        rate = _broadcast(code.context, b, types.float64, code.lanes, rate)
        new, good = [b.add(old[0], INDEX(1))], ir.Constant(truth, [-1] * lanes)
        carried = dict(zip(homes, old[1:], strict=True))
        for g in range(groups):
            x = {r * across: carried["values", r * across + g * lanes] for r in points}
            least, sums, good = self._group(code, counts, g, carried["lane_numbers", least_at[g]], x, good)
            carried["lane_numbers", least_at[g]] = least
            for place, total in sums.items():
                at = place + g * lanes
                own = [n * data_at + at for n in range(len(self.step.state))]
                held = [carried["held", i] for i in own]
                following, held = self.step.taken(code, x[place], b.fmul(total, inverse[g]), rate, held, given)
                carried["values", at] = following
                carried.update((("held", i), value) for i, value in zip(own, held, strict=True))
                inside = b.fcmp_ordered("<=", _call(b, "fabs", following), farthest[g])
                good = b.and_(good, b.sext(inside, truth))
        new += carried.values()
        decided = b.block
        none = ir.Constant(truth, [0] * lanes)
        b.cbranch(code.every(b.icmp_signed("<", good, none)), go_on, done)
        b.position_at_end(go_on)
        for phi, value in zip(old, new, strict=True):
            phi.add_incoming(value, go_on)
        b.cbranch(b.icmp_signed("<", new[0], end), loop, done)
        b.position_at_end(done)
        ends = []
        for values in zip(start, old, new, strict=True):
            ends.append(b.phi(values[0].type))
            for value, block in zip(values, (before, decided, go_on), strict=True):
                ends[-1].add_incoming(value, block)
        for (name, i), value in zip(homes, ends[1:], strict=True):
            code.store(name, value, i)
        return ends[0]

    def _group(self, code, counts, g, least, x, good):
        """Return the smallest gap so far, the gradient by place, and the lanes of `good` in which no sample is tied.

        counts: as in `_loop`. g: the group. least: the smallest gap before. x: the parameters, by place. good: a
        mask as wide as numbers.
        """
        b, lanes, samples = code.b, code.lanes.count, self.straight.extent.samples
        sums = dict.fromkeys(x, code.constant(0.0))
        for n in range(g * samples, (g + 1) * samples):
            shared, own = INDEX(g * lanes), INDEX(n * lanes)
            vector = Vector(code, self.straight, lambda stride, at=shared: at, lambda stride, at=own: at)
            vector.made.update(x)
            smallest, proper = self._compute(vector)
            # A gap between equal infinities is NaN, which is no tie, but a row for ties may hold: end the loop as well.
            apart = [
                b.fcmp_ordered(">", smallest, code.constant(0.0)),
                b.fcmp_ordered("ord", proper, proper),
                *(b.not_(line.row.ties(b, vector.text(line))) for line in self.straight.mixing if not line.guarded),
            ]
            narrower, seed = b.fcmp_ordered("<", smallest, least), code.constant(1.0)
            if counts:
                apart = [b.or_(mask, b.not_(counts[n])) for mask in apart]
                narrower = b.and_(counts[n], narrower)
                seed = b.select(counts[n], seed, code.constant(-0.0))
            for mask in apart:
                good = b.and_(good, b.sext(mask, good.type))
            least = b.select(narrower, smallest, least)
            self._back(vector, seed, sums)
        return least, sums, good

    def _compute(self, vector):
        """Compute every line where no sample is tied; return the smallest gap, and a sum of the gaps, NaN if one is."""
        b, code = vector.code.b, vector.code
        smallest = proper = None
        for line in self.straight.lines:
            text = vector.text(line)
            # The caller ends the loop at ties of guarded or adjoined lines. The others depend on data alone.
            vector.made[line.out] = line.row.value(b, text, tied=not (line.guarded or line.adjoined))
            for gap in line.row.gaps(b, text) if line.guarded else ():
                smallest = code.smaller(gap, smallest) if smallest else gap
                proper = b.fadd(proper, gap) if proper else gap
        infinity = code.constant(float("inf"))
        return smallest or infinity, proper or infinity

    def _back(self, vector, seed, sums):
        """Add the gradient to the parameters' adjoints in `sums`, by place. seed: the adjoint of the output.

        Here 0 stands for an adjoint that has received nothing. Its product with an infinite partial is NaN. If this
        reaches a parameter, the next point is not finite, and the loop ends before the step.
        """
        b, adjoints = vector.code.b, {self.straight.output: seed}
        for line in reversed(self.straight.kept):
            grad = adjoints.get(line.out)
            if grad is None:
                continue
            text = vector.text(line)
            text.names["v"] = vector.value(line.out)
            for i, (place, mode) in enumerate(zip(line.operands, line.modes, strict=True)):
                if mode and line.row.passes(i):
                    amount = line.row.product(b, text, i, grad)
                    where = sums if place in sums else adjoints
                    where[place] = b.fadd(where[place], amount) if place in where else amount
