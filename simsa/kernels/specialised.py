"""Instructions with everything known: places, counts and modes are numbers in the code, not read from the tape.

Each function below makes the operations of a piece of one tape, forward and backward; `simsa.machine.generate` prints
the calls. They compute what `rows` and `nary` compute, in an order that gives the same bits: sums run from left to
right, samples in order, and what is not given is -0.0. `shape` is (groups, samples, data_at, step): a parameter's place
is below data_at and holds a lane vector for each group; a register's place holds one for each group and sample, and the
next register begins `step` further.
"""

from contextlib import contextmanager
from itertools import pairwise

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simsa.kernels.lanes import Lanes, _broadcast, _call, _fill, _floats
from simsa.kernels.rows import ASSIGN, _Text, received

INDEX = ir.IntType(64)
ADD = 2
SUMS = 8
"""Sums in flight: enough to keep two adders of latency 3 or 4 busy, few enough for 16 registers."""


class _Code:
    """The code under construction: loops, and loads and stores at places."""

    def __init__(self, context, builder, sig, args, names):
        self.context, self.b = context, builder
        self.lanes = Lanes(sig.args[0].dtype)
        self.bytes = self.lanes.dtype.bitwidth // 8
        self.flags, self.data = {}, {}
        for name, fe, arg in zip(names, sig.args, args, strict=True):
            if isinstance(fe, types.Array):
                self.data[name] = cgutils.create_struct_proxy(fe)(context, builder, arg).data
            else:
                self.flags[name] = arg
        self.vector = _floats(self.lanes)

    def constant(self, value):
        return _fill(self.vector, value)

    def address(self, name, place, dynamic=None):
        at = INDEX(place) if dynamic is None else self.b.add(dynamic, INDEX(place))
        return self.b.bitcast(self.b.gep(self.data[name], [at]), self.vector.as_pointer())

    def load(self, name, place, dynamic=None):
        return self.b.load(self.address(name, place, dynamic), align=self.bytes)

    def store(self, name, value, place, dynamic=None):
        self.b.store(value, self.address(name, place, dynamic), align=self.bytes)

    def store_all(self, places, dynamic, adjoints):
        """Store some adjoints."""
        for place, value in zip(places, adjoints, strict=True):
            self.store("adjoints", value, place, dynamic)

    def so_far(self, place, dynamic=None, sample=None):
        """Return the adjoint of a parameter, 0 if what is there is of no use. sample: None for all, and the first."""
        fresh = self.flags["fresh"]
        if sample is not None:
            fresh = self.b.and_(fresh, self.b.icmp_unsigned("==", sample, INDEX(0)))
        return self.b.select(fresh, self.constant(0.0), self.load("adjoints", place, dynamic))

    def splat(self, name, index):
        """Return one number of a float64 array in every lane, rounded to their type."""
        number = self.b.load(self.b.gep(self.data[name], [INDEX(index)]))
        return _broadcast(self.context, self.b, types.float64, self.lanes, number)

    def scaled(self, *terms):
        """Return the sum of index x factor, or None if there is nothing to add up; an index of None is 0."""
        total = None
        for index, factor in terms:
            if index is not None:
                term = index if factor == 1 else self.b.mul(index, INDEX(factor))
                total = term if total is None else self.b.add(total, term)
        return total

    @contextmanager
    def times(self, count, descending=False):
        """Loop; yield the index, or None if there is one round only."""
        if count == 1:
            yield None
            return
        with cgutils.for_range(self.b, INDEX(count)) as loop:
            yield self.b.sub(INDEX(count - 1), loop.index) if descending else loop.index

    def fold(self, count, start, body, unroll=4):
        """Return values carried through `count` rounds: body(place, dynamic index or None, values) -> values.

        Rounds are unrolled by `unroll`; all of them if that is not less. The body is told the round as the sum of a
        number and an index.
        """
        values, b = list(start), self.b
        whole = count // unroll if count > unroll else 0
        done = whole * unroll
        if whole > 1:
            before, loop, after = b.block, b.append_basic_block("fold"), b.append_basic_block("folded")
            b.branch(loop)
            b.position_at_end(loop)
            index = b.phi(INDEX)
            index.add_incoming(INDEX(0), before)
            carried = [b.phi(value.type) for value in values]
            for phi, value in zip(carried, values, strict=True):
                phi.add_incoming(value, before)
            values = carried
            for n in range(unroll):
                values = body(n, index, values)
            following = b.add(index, INDEX(unroll))
            index.add_incoming(following, b.block)
            for phi, value in zip(carried, values, strict=True):
                phi.add_incoming(value, b.block)
            b.cbranch(b.icmp_signed("<", following, INDEX(done)), loop, after)
            b.position_at_end(after)
        else:
            done = 0
        for n in range(done, count):
            values = body(n, None, values)
        return values


def _operation(names, code):
    """Return a kernel operation over arrays, flags and integers of these names; code(_Code) makes it.

    code.tells: the type of what it returns, if anything.
    """

    def make(context, builder, sig, args):
        result = code(_Code(context, builder, sig, args, names))
        return context.get_dummy_value() if result is None else result

    told = getattr(code, "tells", types.void)
    typers = {
        1: lambda typingctx, a: (told(a), make),
        2: lambda typingctx, a, b: (told(a, b), make),
        3: lambda typingctx, a, b, c: (told(a, b, c), make),
        6: lambda typingctx, a, b, c, d, e, f: (told(a, b, c, d, e, f), make),
        7: lambda typingctx, a, b, c, d, e, f, g: (told(a, b, c, d, e, types.intp, types.intp), make),
    }
    return intrinsic(typers[len(names)])


# Instructions of the table.


def straight(shape, outs, constants, output, lines, strides=()):
    """Return forward(values, margin) and backward(values, adjoints, numbers) of consecutive instructions.

    And gradient(values, margin, adjoints, numbers, valid, fresh), both at once, nothing in memory between them, where
    the instructions are the whole tape, and `output` is the place of its only output. The adjoints of parameters are
    added to, or written if `fresh`.

    constants: values by place. lines: (row, out, operands, modes, immediates, number, guarded, adjoined) of each; row
    is a `rows.Row`, or "sum" or "dot"; number: the first of its tie weights. If outs > 1, there is one line, and it is
    a run: its outputs are `outs` consecutive registers, and from one to the next its operands, all at different places,
    move by `strides` registers. Adjoints of what is made and used
    here stay in registers.
    """
    groups, samples, data_at, step = shape
    guarded = any(line[6] for line in lines)
    kept = [line for line in lines if line[7]]
    inside = {line[1] for line in lines} if outs == 1 else set()
    moves = dict(zip(lines[0][2], strides, strict=True)) if outs > 1 else {}
    constants = {place: value for place, value in constants.items() if not moves.get(place)}

    class Vector:
        """One lane vector of every register: loads and stores of it, and what has been loaded already."""

        def __init__(self, code, shared, own, s, sample):
            """shared, own: of the output's register; functions of how far a register moves with the run."""
            self.code, self.shared, self.own, self.s, self.sample = code, shared, own, s, sample
            self.made = {place: code.constant(value) for place, value in constants.items()}

        def copy(self):
            """Return one that knows what has been loaded so far, and forgets what is loaded from now on."""
            other = Vector(self.code, self.shared, self.own, self.s, self.sample)
            other.made = dict(self.made)
            return other

        def at(self, place):
            stride = moves.get(place, 1)
            if place < data_at:
                return place, self.shared(stride)
            return place + self.sample * self.code.lanes.count, self.own(stride)

        def load(self, name, place):
            return self.code.load(name, *self.at(place))

        def store(self, name, value, place):
            self.code.store(name, value, *self.at(place))

        def value(self, place):
            if place not in self.made:
                self.made[place] = self.load("values", place)
            return self.made[place]

        def text(self, line):
            """Return what reads the texts of a row, with immediates and operands by name."""
            row, code = line[0], self.code
            names = {name: code.constant(value) for name, value in zip(row.immediates, line[4], strict=True)}
            names.update(zip(row.operands, map(self.value, line[2]), strict=True))
            return _Text(code.context, code.b, code.lanes, names)

    def vectors(code, least=None, descending=False):
        """Loop over the lane vectors; yield some, and where to keep the smallest gap of the trajectories of each.

        Samples lie side by side, and those of a run come together: memory is walked from one end to the other.
        """
        lanes, b = code.lanes.count, code.b
        inner = samples if outs > 1 else 1
        with code.times(groups) as g, code.times(samples // inner) as s:
            here = code.scaled((g, samples * lanes), (s, lanes))
            if least is not None:
                for n in range(inner):
                    b.store(code.load("margin", n * lanes, here), least[n])
            with code.times(outs, descending) as n:

                def shared(stride, g=g, n=n):
                    return code.scaled((g, lanes), (n, stride * groups * lanes))

                def own(stride, g=g, s=s, n=n):
                    return code.scaled((g, samples * lanes), (s, lanes), (n, stride * step))

                yield [Vector(code, shared, own, s, k) for k in range(inner)], least or [None] * inner
            if least is not None:
                for n in range(inner):
                    code.store("margin", b.load(least[n]), n * lanes, here)

    def total(vector, line):
        """Return a sum, or a sum of products, from left to right."""
        b, values = vector.code.b, [vector.value(place) for place in line[2]]
        if line[0] == "dot":
            half = len(values) // 2
            values = [b.fmul(x, y) for x, y in zip(values[:half], values[half:], strict=True)]
        result = values[0]
        for value in values[1:]:
            result = b.fadd(result, value)
        return result

    def smallest_gaps(code):
        """Return room for the smallest gaps, a lane vector for each sample of a run."""
        room = range(samples if outs > 1 else 1)
        return [cgutils.alloca_once(code.b, code.vector) for _ in room] if guarded else None

    def ahead(vector, smallest):
        """Compute every line, and narrow the smallest gap."""
        b = vector.code.b
        for line in lines:
            row, out = line[:2]
            if isinstance(row, str):
                vector.made[out] = total(vector, line)
                continue
            text = vector.text(line)
            vector.made[out] = row.value(b, text)
            for gap in row.gaps(b, text) if line[6] else ():
                old = b.load(smallest)
                b.store(b.select(b.fcmp_ordered("<", gap, old), gap, old), smallest)

    def forward(code):
        for some, smallest in vectors(code, smallest_gaps(code)):
            for vector, gap in zip(some, smallest, strict=True):
                ahead(vector, gap)
                for line in lines:
                    vector.store("values", vector.made[line[1]], line[1])

    def amounts(vector, line, grad, weights, tied):
        """Yield what each operand that receives gets."""
        row, out, operands, modes, *_ = line
        b = vector.code.b
        if isinstance(row, str):
            half = len(operands) // 2
            for i, mode in enumerate(modes):
                if mode and row == "sum":
                    yield i, grad
                elif mode:
                    product = b.fmul(grad, vector.value(operands[i + half if i < half else i - half]))
                    given = b.fadd(product, vector.code.constant(0.0))
                    yield i, b.select(received(b, grad), given, vector.code.constant(-0.0))
            return
        text = vector.text(line)
        text.names["v"] = vector.value(out)
        for i, mode in enumerate(modes):
            if mode and row.passes(i):
                yield i, row.amount(b, text, weights, i, grad, tied)

    def tie_weights(code):
        """Return the tie weights of each line, by the first."""
        return {
            line[5]: [code.splat("numbers", line[5] + n) for n in range(line[0].weights)]
            for line in kept
            if not isinstance(line[0], str)
        }

    def back(vector, weights, adjoints, whole, tied):
        """Pass the adjoints back, and store those of other parts' registers; the whole tape has none but parameters.

        tied: whether a row that mixes pieces may hold.
        """
        changed = []

        def adjoint(place):
            if place not in adjoints:
                if whole and place >= data_at:
                    adjoints[place] = vector.code.constant(-0.0)
                elif whole:
                    adjoints[place] = vector.code.so_far(*vector.at(place), vector.s)
                else:
                    adjoints[place] = vector.load("adjoints", place)
            return adjoints[place]

        for line in reversed(kept):
            out, operands, modes = line[1:4]
            for i, amount in amounts(vector, line, adjoint(out), weights.get(line[5], ()), tied):
                place = operands[i]
                adjoints[place] = amount if modes[i] == ASSIGN else vector.code.b.fadd(adjoint(place), amount)
                if place not in inside and place not in changed:
                    changed.append(place)
        for place in changed:
            vector.store("adjoints", adjoints[place], place)

    def walk_back(code, some, starts, whole):
        """Pass the adjoints of some vectors back; where no lane is tied, without the mixtures: ties are rare."""
        b = code.b
        mixing = [line for line in kept if not isinstance(line[0], str) and line[0].weights]
        if not mixing:
            for vector, start in zip(some, starts, strict=True):
                back(vector, {}, start, whole, False)
            return
        tied = None
        for vector in some:
            for line in mixing:
                lanes = line[0].ties(b, vector.text(line))
                tied = lanes if tied is None else b.or_(tied, lanes)
        bits = ir.IntType(code.lanes.count)
        with b.if_else(b.icmp_unsigned("!=", b.bitcast(tied, bits), bits(0))) as ways:
            for way, mixes in zip(ways, (True, False), strict=True):
                with way:
                    weights = tie_weights(code) if mixes else {}
                    for vector, start in zip(some, starts, strict=True):
                        back(vector.copy(), weights, dict(start), whole, mixes)

    def backward(code):
        for some, _ in vectors(code, descending=True):
            walk_back(code, some, [{} for _ in some], whole=False)

    def gradient(code):
        b = code.b
        for (vector,), (smallest,) in vectors(code, smallest_gaps(code)):
            ahead(vector, smallest)
            valid = b.fcmp_unordered("!=", code.load("valid", 0, vector.own(1)), code.constant(0.0))
            start = {output: b.select(valid, code.constant(1.0), code.constant(-0.0))}
            walk_back(code, [vector], [start], whole=True)

    def straight_on(vector):
        """Compute every line where no sample is tied; return the smallest gap, and a sum that is NaN if a gap is."""
        b, code = vector.code.b, vector.code
        smallest = proper = None
        for line in lines:
            if isinstance(line[0], str):
                vector.made[line[1]] = total(vector, line)
                continue
            text = vector.text(line)
            # the caller refuses ties of guarded and of adjoined lines; no one looks at the others, of data alone
            vector.made[line[1]] = line[0].value(b, text, tied=not (line[6] or line[7]))
            for gap in line[0].gaps(b, text) if line[6] else ():
                smallest = b.select(b.fcmp_ordered("<", gap, smallest), gap, smallest) if smallest else gap
                proper = b.fadd(proper, gap) if proper else gap
        endless = code.constant(float("inf"))
        return smallest or endless, proper or endless

    def straight_back(vector, seed, sums):
        """Add the gradient to the parameters' adjoints in `sums` where no sample is tied.

        Nothing is told from zero here. So what should have received nothing may be zero times infinity; that is NaN,
        and goes the same way to the parameters, or to none.
        """
        b, adjoints = vector.code.b, {output: seed}
        for line in reversed(kept):
            row, out, operands, modes = line[:4]
            grad, half = adjoints.get(out), len(operands) // 2
            if grad is None:
                continue
            text = None if isinstance(row, str) else vector.text(line)
            if text:
                text.names["v"] = vector.value(out)
            for i, (place, mode) in enumerate(zip(operands, modes, strict=True)):
                if not mode or not (text is None or row.passes(i)):
                    continue
                if text:
                    amount = row.product(b, text, i, grad)
                elif row == "sum":
                    amount = grad
                else:
                    amount = b.fmul(grad, vector.value(operands[i + half if i < half else i - half]))
                where = sums if place in sums else adjoints
                where[place] = b.fadd(where[place], amount) if place in where else amount

    def march(code):
        """Take steps while no sample is tied and all points stay in the ball; parameters are in registers."""
        b, lanes = code.b, code.lanes.count
        at = [(g * samples + s) * lanes for g in range(groups) for s in range(samples)]
        counts = [b.fcmp_unordered("!=", code.load("valid", i), code.constant(0.0)) for i in at]
        every = counts[0]
        for mask in counts[1:]:
            every = b.and_(every, mask)
        result = cgutils.alloca_once(b, INDEX)
        with b.if_else(all_of(b, every, lanes)) as (all_valid, otherwise):
            with all_valid:
                b.store(marched(code, None), result)
            with otherwise:
                b.store(marched(code, counts), result)
        return b.load(result)

    def all_of(b, mask, lanes):
        """Tell whether a mask holds in every lane."""
        return b.icmp_unsigned("==", b.bitcast(mask, ir.IntType(lanes)), ir.IntType(lanes)(-1))

    def marched(code, counts):
        """March. counts: the lanes that are valid, for each group and sample; None if all are."""
        b, lanes = code.b, code.lanes.count
        across = groups * lanes
        begin, end = code.flags["begin"], code.flags["end"]
        points = range(data_at // across)
        places = [r * across + g * lanes for g in range(groups) for r in points]
        least_at = [3 * across + g * lanes for g in range(groups)]
        inverse, farthest = ([code.load("pace", n * across + g * lanes) for g in range(groups)] for n in (1, 2))
        start = [begin, *(code.load("pace", i) for i in least_at), *(code.load("values", place) for place in places)]
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
        new, good, following = [b.add(old[0], INDEX(1))], ir.Constant(truth, [-1] * lanes), []
        for g in range(groups):
            x = {r * across: old[1 + groups + g * len(points) + r] for r in points}
            sums = dict.fromkeys(x, code.constant(0.0))
            low = old[1 + g]
            for n in range(g * samples, (g + 1) * samples):
                shared, own = INDEX(g * lanes), INDEX(n * lanes)
                vector = Vector(code, lambda stride, at=shared: at, lambda stride, at=own: at, None, 0)
                vector.made.update(x)
                smallest, proper = straight_on(vector)
                # a gap between equal infinities is NaN, which is no tie, but their pieces may be mixed
                apart = [
                    b.fcmp_ordered(">", smallest, code.constant(0.0)),
                    b.fcmp_ordered("ord", proper, proper),
                    *(
                        b.not_(line[0].ties(b, vector.text(line)))
                        for line in kept
                        if not isinstance(line[0], str) and line[0].weights and not line[6]
                    ),
                ]
                narrower, seed = b.fcmp_ordered("<", smallest, low), code.constant(1.0)
                if counts:
                    apart = [b.or_(mask, b.not_(counts[n])) for mask in apart]
                    narrower = b.and_(counts[n], narrower)
                    seed = b.select(counts[n], seed, code.constant(-0.0))
                for mask in apart:
                    good = b.and_(good, b.sext(mask, truth))
                low = b.select(narrower, smallest, low)
                straight_back(vector, seed, sums)
            new.append(low)
            for place, total_here in sums.items():
                following.append(b.fsub(x[place], b.fmul(rate, b.fmul(total_here, inverse[g]))))
                inside = b.fcmp_ordered("<=", _call(b, "fabs", following[-1]), farthest[g])
                good = b.and_(good, b.sext(inside, truth))
        new += following
        decided = b.block
        none = ir.Constant(truth, [0] * lanes)
        b.cbranch(all_of(b, b.icmp_signed("<", good, none), lanes), go_on, done)
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
        for i, value in zip(least_at, ends[1:], strict=False):
            code.store("pace", value, i)
        for place, value in zip(places, ends[1 + groups :], strict=True):
            code.store("values", value, place)
        return ends[0]

    march.tells = types.intp

    return (
        _operation(("values", "margin"), forward),
        _operation(("values", "adjoints", "numbers"), backward),
        _operation(("values", "margin", "adjoints", "numbers", "valid", "fresh"), gradient),
        _operation(("values", "numbers", "valid", "pace", "gamma", "begin", "end"), march),
    )


# Maxima, minima, and sorting.

SPLIT, FIRST, LAST = range(3)


@contextmanager
def _vectors(code, shape):
    """Loop over the lane vectors; yield what turns a place into an address: the place, and how far it has moved."""
    groups, samples, data_at, _ = shape
    lanes = code.lanes.count
    with code.times(groups) as g, code.times(samples) as s:
        shared, private = code.scaled((g, lanes)), code.scaled((g, samples * lanes), (s, lanes))
        yield lambda place: (place, shared if place < data_at else private)


def _smaller(b, x, y):
    return b.select(b.fcmp_ordered("<", x, y), x, y)


def _some(code, mask):
    """Tell whether a mask holds in some lane."""
    bits = ir.IntType(code.lanes.count)
    return code.b.icmp_unsigned("!=", code.b.bitcast(mask, bits), bits(0))


def sort(shape, out, operands, modes, guarded, rule):
    """Return proper(values), and, where that is true, forward(values, margin) and backward(values, adjoints).

    proper: no operand is NaN. Neighbours are put in order, the odd pairs and the even ones in turn, until all are in
    order: equal entries keep theirs. rule: which of them comes first for the adjoints, the first operand or, if they
    are turned round before, the last. operands: the places of different registers.
    """
    _, _, data_at, step = shape
    count = len(operands)
    pairs = [pair for turn in range(count) for pair in range(turn % 2, count - 1, 2)]

    def proper(code):
        b = code.b
        seen = cgutils.alloca_once_value(b, ir.Constant(ir.VectorType(ir.IntType(1), code.lanes.count), None))
        with _vectors(code, shape) as at:
            for place in operands:
                x = code.load("values", *at(place))
                b.store(b.or_(b.load(seen), b.fcmp_unordered("uno", x, x)), seen)
        return b.not_(_some(code, b.load(seen)))

    proper.tells = types.boolean

    def swap(b, x, n):
        """Put two neighbours in order; return where they were not."""
        left, right = x[n], x[n + 1]
        turned = b.fcmp_ordered("<", right, left)
        x[n], x[n + 1] = b.select(turned, right, left), b.select(turned, left, right)
        return turned

    def forward(code):
        b = code.b
        with _vectors(code, shape) as at:
            _, here = at(data_at)
            x = [code.load("values", *at(place)) for place in operands]
            for n in pairs:
                swap(b, x, n)
            for i, value in enumerate(x):
                code.store("values", value, *at(out + i * step))
            if guarded:
                least = code.load("margin", 0, here)
                for low, high in pairwise(x):
                    least = _smaller(b, _call(b, "fabs", b.fsub(high, low)), least)
                code.store("margin", least, 0, here)

    def backward(code):
        b = code.b
        turn = 1 if rule == FIRST else -1
        with _vectors(code, shape) as at:
            x = [code.load("values", *at(place)) for place in operands[::turn]]
            turned = [swap(b, x, n) for n in pairs]
            passed = [code.load("adjoints", *at(out + i * step)) for i in range(count)]
            for n, was in zip(reversed(pairs), reversed(turned), strict=True):
                left, right = passed[n], passed[n + 1]
                passed[n], passed[n + 1] = b.select(was, right, left), b.select(was, left, right)
            for place, mode, amount in zip(operands, modes, passed[::turn], strict=True):
                if mode:
                    if mode != ASSIGN:
                        amount = b.fadd(code.load("adjoints", *at(place)), amount)
                    code.store("adjoints", amount, *at(place))

    return (
        _operation(("values",), proper),
        _operation(("values", "margin"), forward),
        _operation(("values", "adjoints"), backward),
    )


def extremes(shape, sign, guarded, rule, lines):
    """Return forward(values, margin) and backward(values, adjoints) of maxima, or of minima (-1).

    lines: (out, operands, modes) of each, by places; the operands of one are different registers. rule: for ties.
    """
    data_at = shape[2]
    better = ">" if sign > 0 else "<"

    def value(code, x):
        """Return the best operand, the gap to the next one, and the lanes with NaN, whose numbers are of no use."""
        b = code.b
        top, second = x[0], code.constant(-sign * float("inf"))
        nan = b.fcmp_unordered("uno", x[0], x[-1])
        for n, y in enumerate(x[1:], 1):
            if n % 2 and n + 1 < len(x):
                nan = b.or_(nan, b.fcmp_unordered("uno", y, x[n + 1]))
            beaten = b.select(b.fcmp_ordered(better, y, top), top, y)
            second = b.select(b.fcmp_ordered(better, beaten, second), beaten, second)
            top = b.select(b.fcmp_ordered(better, y, top), y, top)
        return top, _call(b, "fabs", b.fsub(top, second)), nan

    def forward(code):
        b = code.b
        with _vectors(code, shape) as at:
            _, here = at(data_at)
            least = code.load("margin", 0, here)
            for out, operands, _ in lines:
                x = [code.load("values", *at(place)) for place in operands]
                top, gap, nan = value(code, x)
                result, distance = (cgutils.alloca_once(b, code.vector) for _ in range(2))
                b.store(top, result)
                b.store(gap, distance)
                with b.if_then(_some(code, nan), likely=False):
                    found = code.constant(0.0)
                    for y in reversed(x):
                        found = b.select(b.fcmp_unordered("uno", y, y), y, found)
                    b.store(b.select(nan, found, top), result)
                    b.store(b.select(nan, found, gap), distance)
                code.store("values", b.load(result), *at(out))
                least = _smaller(b, b.load(distance), least)
            if guarded:
                code.store("margin", least, 0, here)

    def chosen(code, x, v):
        """Return, for each operand, the lanes in which it receives, and the number of operands that do, if split."""
        b = code.b
        if rule == FIRST:
            # the value is the first of the best, or the first NaN, bit for bit
            word = ir.VectorType(ir.IntType(8 * code.bytes), code.lanes.count)
            same = [b.icmp_unsigned("==", b.bitcast(y, word), b.bitcast(v, word)) for y in x]
            return first_of(b, same), None
        same = [b.fcmp_ordered("==", y, v) for y in x]
        nan = b.fcmp_unordered("uno", v, v)
        missing = first_of(b, [b.and_(nan, b.fcmp_unordered("uno", y, y)) for y in x])
        if rule == LAST:
            return [b.or_(*pair) for pair in zip(first_of(b, same[::-1])[::-1], missing, strict=True)], None
        count = code.constant(0.0)
        for mask in same:
            count = b.select(mask, b.fadd(count, code.constant(1.0)), count)
        count = b.select(nan, code.constant(1.0), count)
        return [b.or_(*pair) for pair in zip(same, missing, strict=True)], count

    def first_of(b, masks):
        """Keep, in each lane, the first mask that holds."""
        kept, seen = [masks[0]], masks[0]
        for mask in masks[1:]:
            kept.append(b.and_(mask, b.not_(seen)))
            seen = b.or_(seen, mask)
        return kept

    def backward(code):
        b, nothing = code.b, code.constant(-0.0)
        with _vectors(code, shape) as at:
            for out, operands, modes in reversed(lines):
                grad, v = code.load("adjoints", *at(out)), code.load("values", *at(out))
                x = [code.load("values", *at(place)) for place in operands]
                masks, count = chosen(code, x, v)
                share = grad
                if count is not None:
                    share = b.fadd(b.fdiv(grad, count), code.constant(0.0))
                    share = b.select(received(b, grad), share, nothing)
                for place, mask, mode in zip(operands, masks, modes, strict=True):
                    if mode:
                        amount = b.select(mask, share, nothing)
                        if mode != ASSIGN:
                            amount = b.fadd(code.load("adjoints", *at(place)), amount)
                        code.store("adjoints", amount, *at(place))

    return (
        _operation(("values", "margin"), forward),
        _operation(("values", "adjoints"), backward),
    )


def convolution(shape, outs, inputs, weights, bias, out, windows, fresh, adjoined):
    """Return forward(values) and weights_back(values, adjoints) of a dense layer that is used at several places.

    weights, bias: the places of the first of the copies of parameters, in rows of `inputs`; bias -1 if there is none.
    windows: the places of the inputs, for each place of the layer, whose outputs follow each other from `out` on.
    fresh: whether the copies' adjoints are written, not added to. adjoined: whether these receive at all.
    """
    groups, samples, _, step = shape
    times = len(windows)
    across = next(n for n in (4, 2, 1) if samples % n == 0)

    def table(code, order):
        """Return the places of all windows as a constant in memory, in an order of the layer's places."""
        places = ir.ArrayType(INDEX, times * inputs)
        constant = ir.Constant(places, [place for window in order for place in window])
        return cgutils.global_constant(code.b, "windows", constant)

    def window(code, places, n, i):
        """Return a place: input i of window n."""
        at = code.scaled((n, inputs), (i, 1))
        return code.b.load(code.b.gep(places, [INDEX(0), at]), align=8)

    def forward(code):
        b, lanes = code.b, code.lanes.count
        places = table(code, windows)
        with code.times(groups) as g, code.times(samples // across) as s:
            near = code.scaled((g, samples * lanes))
            own = code.scaled((g, samples * lanes), (s, across * lanes), (INDEX(0), 1))
            with cgutils.for_range(b, INDEX(times)) as loop:
                n = loop.index
                for first, size, count in _tiles(outs, max(1, SUMS // across)):
                    with code.times(count) as j:
                        sums = [code.constant(-0.0)] * (size * across)
                        if bias >= 0:
                            at = code.scaled((near, 1), (j, size * step))
                            loaded = [code.load("values", bias + (first + r) * step, at) for r in range(size)]
                            sums = [value for value in loaded for _ in range(across)]

                        def body(k, i, sums, n=n, j=j, first=first, size=size, own=own, near=near):
                            here = b.add(window(code, places, n, b.add(i, INDEX(k)) if i else INDEX(k)), own)
                            x = [code.load("values", m * lanes, here) for m in range(across)]
                            at = code.scaled((near, 1), (j, size * inputs * step), (i, step))
                            w = [
                                code.load("values", weights + ((first + r) * inputs + k) * step, at)
                                for r in range(size)
                            ]
                            return [
                                b.fadd(sums[r * across + m], b.fmul(w[r], x[m]))
                                for r in range(size)
                                for m in range(across)
                            ]

                        sums = code.fold(inputs, sums, body)
                        target = code.scaled((own, 1), (n, outs * step), (j, size * step))
                        for k, value in enumerate(sums):
                            place = out + (first + k // across) * step + k % across * lanes
                            code.store("values", value, place, target)

    def weights_back(code):
        """Add g_j x_i of every place, the last first, to each sample's adjoint of W_ji, and g_j to that of b_j."""
        b, lanes = code.b, code.lanes.count
        places = table(code, reversed(windows))
        end = out + (times - 1) * outs * step

        def before(place, at):
            return code.constant(0.0) if fresh else code.load("adjoints", place, at)

        def grads(first, size, n, k, left):
            """Return g_j of some outputs, `k` and `n` places before the last; n may be None."""
            at = code.scaled((left, 1), (n, -outs * step))
            return [code.load("adjoints", end + (first + r - k * outs) * step, at) for r in range(size)]

        with code.times(groups) as g, code.times(samples) as s:
            own = code.scaled((g, samples * lanes), (s, lanes), (INDEX(0), 1))
            for first, rows, count in _tiles(outs, 4):
                with code.times(count) as j:
                    left = code.scaled((own, 1), (j, rows * step))
                    for second, columns, many in _tiles(inputs, SUMS // rows):
                        with code.times(many) as i:
                            at = code.scaled((own, 1), (j, rows * inputs * step), (i, columns * step))
                            where = [
                                weights + ((first + r) * inputs + second + c) * step
                                for r in range(rows)
                                for c in range(columns)
                            ]

                            def body(
                                k, n, sums, i=i, first=first, second=second, rows=rows, columns=columns, left=left
                            ):
                                d = grads(first, rows, n, k, left)
                                at = code.scaled((INDEX(k * inputs + second), 1), (n, inputs), (i, columns))
                                x = []
                                for c in range(columns):
                                    place = b.load(b.gep(places, [INDEX(0), b.add(at, INDEX(c))]), align=8)
                                    x.append(code.load("values", 0, b.add(place, own)))
                                return [
                                    b.fadd(sums[r * columns + c], b.fmul(d[r], x[c]))
                                    for r in range(rows)
                                    for c in range(columns)
                                ]

                            sums = code.fold(times, [before(place, at) for place in where], body, unroll=2)
                            code.store_all(where, at, sums)
            for first, rows, count in _tiles(outs, SUMS) if bias >= 0 else ():
                with code.times(count) as j:
                    left = code.scaled((own, 1), (j, rows * step))
                    where = [bias + (first + r) * step for r in range(rows)]

                    def added(k, n, sums, first=first, rows=rows, left=left):
                        return [b.fadd(a, d) for a, d in zip(sums, grads(first, rows, n, k, left), strict=True)]

                    code.store_all(where, left, code.fold(times, [before(place, left) for place in where], added))

    return _operation(("values",), forward), _operation(("values", "adjoints"), weights_back) if adjoined else None


# Dense layers.


def _tiles(count, size):
    """Return (first, size, how many) of the tiles that cover range(count): at most `size`, about as large."""
    tiles = -(-count // size)
    small, more = divmod(count, tiles)
    parts = [(0, small + 1, more), (more * (small + 1), small, tiles - more)]
    return [(first, wide, many) for first, wide, many in parts if wide * many]


def dense(shape, outs, inputs, weights, x, bias, out, mode, after=None, before=None):
    """Return forward(values), finite(values), backward(values, adjoints, fresh) and masked, likewise, of a dense layer.

    weights, bias: places of parameters, consecutive, adjoints added to, or written if `fresh`; bias -1: none. x: place
    of the inputs, no parameters, consecutive. mode: how the inputs receive. backward is right only if finite(values) is
    true: then an adjoint that received nothing, -0.0, adds zeros only. masked is right in any case, and slow.

    And, for where no sample is tied, ahead(values, margin) and stepped(values, adjoints, pace). stepped is backward for
    the inputs, takes the step of the layer's parameters as their gradient comes out, keeps what they were in their
    adjoints, and tells whether all are in the ball. pace: lane vectors of the step size, the inverse of the minibatch's
    size and the radius, each for every group. after: (row, out, immediates, guarded) of a run on the layer's outputs,
    which ahead computes as well; it tells whether all values of the run are finite. before: (row, place of its
    operands, immediates) of a run whose outputs are the inputs; the inputs' adjoints are passed on through it.
    """
    groups, samples, _, step = shape
    across = min(4, samples)

    def places(code):
        lanes = code.lanes.count
        return lanes, groups * lanes, inputs * groups * lanes, samples * lanes

    def named(code, run, operand):
        """Return what reads the texts of a run's row, with its operand."""
        names = {name: code.constant(value) for name, value in zip(run[0].immediates, run[2], strict=True)}
        return _Text(code.context, code.b, code.lanes, {**names, run[0].operands[0]: operand})

    def forward(code, run=None):
        b = code.b
        lanes, next_weight, next_row, next_group = places(code)
        truth = ir.VectorType(ir.IntType(1), lanes)
        endless = cgutils.alloca_once(b, truth)
        b.store(ir.Constant(truth, [0] * lanes), endless)

        def pass_on(first, target, own, sums):
            """Compute the run on the outputs from `first` on, and narrow the smallest gaps of their samples."""
            row, place, _, guarded = run
            texts = [named(code, run, value) for value in sums]
            values = [row.value(b, text) for text in texts]
            found = b.load(endless)
            for n, value in enumerate(values):
                code.store("values", value, place + (first + n // across) * step + n % across * lanes, target)
                size_of = _call(b, "fabs", value)
                found = b.or_(found, b.fcmp_unordered(">=", size_of, code.constant(float("inf"))))
            b.store(found, endless)
            for k in range(across if guarded else 0):
                least = code.load("margin", k * lanes, own)
                for text in texts[k::across]:
                    for gap in row.gaps(b, text):
                        least = b.select(b.fcmp_ordered("<", gap, least), gap, least)
                code.store("margin", least, k * lanes, own)

        with code.times(groups) as g:
            for first, size, count in _tiles(outs, SUMS // across):
                with code.times(count) as j, code.times(samples // across) as s:
                    row = code.scaled((g, lanes), (j, size * next_row))
                    own = code.scaled((g, next_group), (s, across * lanes))
                    start = [code.constant(-0.0)] * (size * across)
                    if bias >= 0:
                        at = code.scaled((g, lanes), (j, size * next_weight))
                        first_bias = bias + first * next_weight
                        loaded = [code.load("values", first_bias + r * next_weight, at) for r in range(size)]
                        start = [value for value in loaded for _ in range(across)]

                    def body(n, i, sums, size=size, first=first, row=row, own=own):
                        w = code.scaled((row, 1), (i, next_weight))
                        at = code.scaled((own, 1), (i, step))
                        left = [
                            code.load("values", weights + (first + r) * next_row + n * next_weight, w)
                            for r in range(size)
                        ]
                        right = [code.load("values", x + n * step + k * lanes, at) for k in range(across)]
                        return [
                            b.fadd(sums[r * across + k], b.fmul(left[r], right[k]))
                            for r in range(size)
                            for k in range(across)
                        ]

                    target = code.scaled((g, next_group), (s, across * lanes), (j, size * step))
                    targets = [out + (first + r) * step + k * lanes for r in range(size) for k in range(across)]
                    sums = code.fold(inputs, start, body)
                    for place, value in zip(targets, sums, strict=True):
                        code.store("values", value, place, target)
                    if run:
                        pass_on(first, target, own, sums)
        bits = ir.IntType(lanes)
        return b.icmp_unsigned("==", b.bitcast(b.load(endless), bits), bits(0)) if run else None

    def ahead(code):
        return forward(code, after)

    ahead.tells = types.boolean

    def finite(code):
        """Tell whether every input is finite in every lane: x times 0 is not 0 for the others."""
        b, zero = code.b, code.constant(0.0)
        lanes = code.lanes.count

        def body(n, i, sums):
            at = code.scaled((i, lanes))
            sums = list(sums)
            sums[n % 4] = b.fadd(sums[n % 4], b.fmul(code.load("values", x + n * lanes, at), zero))
            return sums

        sums = code.fold(inputs * groups * samples, [zero] * 4, body, unroll=8)
        total = b.fadd(b.fadd(sums[0], sums[1]), b.fadd(sums[2], sums[3]))
        good = b.fcmp_ordered("==", total, zero)
        return b.icmp_unsigned("==", b.bitcast(good, ir.IntType(code.lanes.count)), ir.IntType(code.lanes.count)(-1))

    finite.tells = types.boolean

    def masked(code):
        """Leave out what received nothing, lane by lane."""
        b, zero, nothing = code.b, code.constant(0.0), code.constant(-0.0)
        lanes, next_weight, next_row, next_group = places(code)
        with b.if_then(code.flags["fresh"]), code.times(outs * inputs * groups) as i:
            code.store("adjoints", zero, weights, code.scaled((i, lanes)))
        with code.times(groups) as g:
            with code.times(samples) as s, code.times(outs) as j, code.times(inputs) as i:
                grad = code.load("adjoints", out, code.scaled((g, next_group), (s, lanes), (j, step)))
                value = code.load("values", x, code.scaled((g, next_group), (s, lanes), (i, step)))
                at = code.scaled((g, lanes), (j, next_row), (i, next_weight))
                amount = b.select(received(b, grad), b.fadd(zero, b.fmul(grad, value)), nothing)
                code.store("adjoints", b.fadd(code.load("adjoints", weights, at), amount), weights, at)
            if bias >= 0:
                biases_back(code, g)
            if not mode:
                return
            with code.times(samples) as s, code.times(inputs) as i:

                def body(n, j, carried, g=g, s=s, i=i):
                    total, live = carried
                    at = code.scaled((g, next_group), (s, lanes), (j, step))
                    grad = code.load("adjoints", out + n * step, at)
                    weight = code.load(
                        "values", weights + n * next_row, code.scaled((g, lanes), (i, next_weight), (j, next_row))
                    )
                    given = received(b, grad)
                    return [b.select(given, b.fadd(total, b.fmul(grad, weight)), total), b.or_(live, given)]

                no = ir.Constant(ir.VectorType(ir.IntType(1), lanes), [0] * lanes)
                total, live = code.fold(outs, [zero, no], body)
                amount = b.select(live, b.fadd(total, zero), nothing)
                at = code.scaled((g, next_group), (s, lanes), (i, step))
                if mode != ASSIGN:
                    amount = b.fadd(code.load("adjoints", x, at), amount)
                code.store("adjoints", amount, x, at)

    def backward(code):
        with code.times(groups) as g:
            weights_back(code, g)
            if bias >= 0:
                biases_back(code, g)
            if mode:
                inputs_back(code, g)

    def stepped(code):
        b = code.b
        lanes = code.lanes.count
        # sizes are compared by the upper 32 bits of their numbers, as integers: cheaper, and NaN is the largest
        words = ir.VectorType(ir.IntType(32), 8)
        upper = range(8 // lanes - 1, 8, 8 // lanes)
        largest = cgutils.alloca_once(b, words)
        b.store(ir.Constant(words, [0] * 8), largest)

        def keep(values):
            """Remember the largest of some values."""
            top = b.load(largest)
            for n in range(0, len(values), 8 // lanes):
                some = [b.bitcast(value, words) for value in values[n : n + 8 // lanes]]
                if lanes < 8:
                    chosen = [8 * k + i for k in range(2) for i in upper]
                    some = [
                        b.shuffle_vector(some[0], some[-1], ir.Constant(words, [c % (8 * len(some)) for c in chosen]))
                    ]
                size = b.and_(some[0], ir.Constant(words, [0x7FFFFFFF] * 8))
                top = b.select(b.icmp_signed(">", size, top), size, top)
            b.store(top, largest)

        with code.times(groups) as g:
            own = code.scaled((g, lanes))
            rate, inverse = (code.load("pace", n * groups * lanes, own) for n in range(2))

            def take(places, at, gradients):
                values = []
                for place, gradient in zip(places, gradients, strict=True):
                    before = code.load("values", place, at)
                    x = b.fsub(before, b.fmul(rate, b.fmul(gradient, inverse)))
                    code.store("values", x, place, at)
                    code.store("adjoints", before, place, at)
                    values.append(x)
                keep(values)

            if mode:
                inputs_back(code, g, before)
            weights_back(code, g, take)
            if bias >= 0:
                biases_back(code, g, take)
        farthest = b.bitcast(code.load("pace", 2 * groups * lanes), words)
        picked = ir.Constant(words, [list(upper)[n % lanes] for n in range(8)])
        near = b.icmp_signed("<", b.load(largest), b.shuffle_vector(farthest, farthest, picked))
        return b.icmp_unsigned("==", b.bitcast(near, ir.IntType(8)), ir.IntType(8)(-1))

    stepped.tells = types.boolean

    def weights_back(code, g, take=None):
        """Add g_j x_i of every sample, in order, to the adjoint of W_ji; or take(places, at, sums) from 0 on."""
        b, give = code.b, take or code.store_all
        lanes, next_weight, next_row, next_group = places(code)
        columns = min(inputs, 8)
        for first, rows, count in _tiles(outs, max(1, SUMS // columns)):
            with code.times(count) as j:
                for second, width, many in _tiles(inputs, columns):
                    with code.times(many) as i:
                        at = code.scaled((g, lanes), (j, rows * next_row), (i, width * next_weight))
                        left = code.scaled((g, next_group), (j, rows * step))
                        right = code.scaled((g, next_group), (i, width * step))
                        where = [
                            weights + (first + r) * next_row + (second + k) * next_weight
                            for r in range(rows)
                            for k in range(width)
                        ]
                        start = [code.constant(0.0) if take else code.so_far(place, at) for place in where]

                        def body(
                            n, s, sums, rows=rows, width=width, first=first, second=second, left=left, right=right
                        ):
                            assert s is None
                            grads = [
                                code.load("adjoints", out + (first + r) * step + n * lanes, left) for r in range(rows)
                            ]
                            values = [
                                code.load("values", x + (second + k) * step + n * lanes, right) for k in range(width)
                            ]
                            return [
                                b.fadd(sums[r * width + k], b.fmul(grads[r], values[k]))
                                for r in range(rows)
                                for k in range(width)
                            ]

                        sums = code.fold(samples, start, body, unroll=samples)
                        give(where, at, sums)

    def biases_back(code, g, take=None):
        """Add g_j of every sample, in order, to the adjoint of b_j; or take(places, at, sums) from 0 on."""
        b, give = code.b, take or code.store_all
        lanes, next_weight, _, next_group = places(code)
        for first, size, count in _tiles(outs, SUMS):
            with code.times(count) as j:
                at = code.scaled((g, lanes), (j, size * next_weight))
                left = code.scaled((g, next_group), (j, size * step))
                places_here = [bias + (first + r) * next_weight for r in range(size)]
                sums = [code.constant(0.0) if take else code.so_far(place, at) for place in places_here]
                for n in range(samples):
                    sums = [
                        b.fadd(value, code.load("adjoints", out + (first + r) * step + n * lanes, left))
                        for r, value in enumerate(sums)
                    ]
                give(places_here, at, sums)

    def inputs_back(code, g, run=None):
        """Pass to x_i the sum over j of g_j W_ji, in the lanes where some g_j is given; on, through `run`, if any."""
        b = code.b
        lanes, next_weight, next_row, next_group = places(code)
        nothing = code.constant(-0.0)
        with code.times(samples // across) as s:
            own = code.scaled((g, next_group), (s, across * lanes))

            def grads(n, j):
                at = code.scaled((own, 1), (j, step))
                return [code.load("adjoints", out + n * step + k * lanes, at) for k in range(across)]

            def given(n, j, live):
                return [b.or_(mask, received(b, grad)) for mask, grad in zip(live, grads(n, j), strict=True)]

            no = ir.Constant(ir.VectorType(ir.IntType(1), lanes), [0] * lanes)
            live = code.fold(outs, [no] * across, given)
            for first, size, count in _tiles(inputs, SUMS // across):
                with code.times(count) as i:
                    column = code.scaled((g, lanes), (i, size * next_weight))

                    def body(n, j, sums, size=size, first=first, column=column):
                        at = code.scaled((column, 1), (j, next_row))
                        right = grads(n, j)
                        left = [
                            code.load("values", weights + n * next_row + (first + r) * next_weight, at)
                            for r in range(size)
                        ]
                        return [
                            b.fadd(sums[r * across + k], b.fmul(right[k], left[r]))
                            for r in range(size)
                            for k in range(across)
                        ]

                    target = code.scaled((g, next_group), (s, across * lanes), (i, size * step))
                    targets = [x + (first + r) * step + k * lanes for r in range(size) for k in range(across)]
                    sums = code.fold(outs, [code.constant(0.0)] * (size * across), body)
                    for n, (place, value) in enumerate(zip(targets, sums, strict=True)):
                        # a sum that began with +0.0 is never -0.0
                        amount = b.select(live[n % across], value, nothing)
                        if run:
                            row, operands, _ = run
                            text = named(code, run, code.load("values", operands + place - x, target))
                            text.names["v"] = code.load("values", place, target)
                            amount = row.amount(b, text, (), 0, amount, tied=False)
                            place = operands + place - x
                        elif mode != ASSIGN:
                            amount = b.fadd(code.load("adjoints", place, target), amount)
                        code.store("adjoints", amount, place, target)

    return (
        _operation(("values",), forward),
        _operation(("values",), finite),
        _operation(("values", "adjoints", "fresh"), backward),
        _operation(("values", "adjoints", "fresh"), masked),
        _operation(("values", "adjoints", "pace"), stepped),
        _operation(("values", "margin"), ahead) if after else None,
    )
