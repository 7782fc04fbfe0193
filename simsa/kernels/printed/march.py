"""Steps of a scalar program with parameters and state in registers, as long as no sample is tied."""

from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core import cgutils

from simsa.kernels.lanes import _broadcast, _call
from simsa.kernels.printed.code import INDEX, operation
from simsa.kernels.printed.step import Step
from simsa.kernels.printed.straight import Straight, Vector


@dataclass(frozen=True)
class March:
    """The steps of a tape that is one sequence of instructions. step: the rule that takes them."""

    straight: Straight
    step: Step

    def operation(self):
        """Return march(values, numbers, valid, pace, held, gamma, given, begin, end).

        It returns the first step that was not taken. pace: lane vectors of the step size, the inverse of the
        minibatch's size, the radius, and the margin, each for every group. held, given: the state and the numbers of
        the rule. gamma: the step size of every step. begin, end: the steps to take are begin, ..., end - 1.
        """
        names = ("values", "numbers", "valid", "pace", "held", "gamma", "given", "begin", "end")
        return operation(names, self._march, types.intp)

    def _march(self, code):
        """Take steps while no sample is tied and all points stay in the ball; x and the state are in registers."""
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
                b.store(self._marched(code, None), result)
            with otherwise:
                b.store(self._marched(code, counts), result)
        return b.load(result)

    def _marched(self, code, counts):
        """March. counts: the lanes that are valid, for each group and sample; None if all are."""
        b, lanes = code.b, code.lanes.count
        groups, _, data_at, _ = self.straight.extent
        across = groups * lanes
        begin, end = code.flags["begin"], code.flags["end"]
        points = range(data_at // across)
        places = [r * across + g * lanes for g in range(groups) for r in points]
        held_at = [n * data_at + place for n in range(len(self.step.state)) for place in places]
        least_at = [3 * across + g * lanes for g in range(groups)]
        inverse, farthest = ([code.load("pace", n * across + g * lanes) for g in range(groups)] for n in (1, 2))
        # the arrays that the carried lane vectors come from and go to
        homes = [("pace", i) for i in least_at] + [("values", i) for i in places] + [("held", i) for i in held_at]
        start, given = [begin, *(code.load(name, i) for name, i in homes)], self.step.given(code)
        # as wide as numbers: masks of one bit a lane would be packed
        truth = ir.VectorType(ir.IntType(8 * code.bytes), lanes)

        before, loop = b.block, b.append_basic_block("march")
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
            least, sums, good = self._group(code, counts, g, carried["pace", least_at[g]], x, good)
            carried["pace", least_at[g]] = least
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

        counts: as in `_marched`. g: the group. least: the smallest gap before. x: the parameters, by place. good: a
        mask as wide as numbers.
        """
        b, lanes, samples = code.b, code.lanes.count, self.straight.extent.samples
        sums = dict.fromkeys(x, code.constant(0.0))
        for n in range(g * samples, (g + 1) * samples):
            shared, own = INDEX(g * lanes), INDEX(n * lanes)
            vector = Vector(code, self.straight, lambda stride, at=shared: at, lambda stride, at=own: at)
            vector.made.update(x)
            smallest, proper = self._ahead(vector)
            # a gap between equal infinities is NaN, which is no tie, but their pieces may be mixed
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

    def _ahead(self, vector):
        """Compute every line where no sample is tied; return the smallest gap, and a sum that is NaN if a gap is."""
        b, code = vector.code.b, vector.code
        smallest = proper = None
        for line in self.straight.lines:
            text = vector.text(line)
            # the caller refuses ties of guarded and of adjoined lines; no one looks at the others, of data alone
            vector.made[line.out] = line.row.value(b, text, tied=not (line.guarded or line.adjoined))
            for gap in line.row.gaps(b, text) if line.guarded else ():
                smallest = code.smaller(gap, smallest) if smallest else gap
                proper = b.fadd(proper, gap) if proper else gap
        endless = code.constant(float("inf"))
        return smallest or endless, proper or endless

    def _back(self, vector, seed, sums):
        """Add the gradient to the parameters' adjoints in `sums` where no sample is tied.

        Nothing is told from zero here. So what should have received nothing may be zero times infinity; that is NaN,
        and goes the same way to the parameters, or to none.
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
