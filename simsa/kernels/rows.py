"""Rows of the table of primitives as LLVM instructions on lanes, which are made of the texts of a row.

`row(...)` makes two operations, forward and backward. For Numba each is a single call, so that the whole table is
compiled in seconds. The reference defines, in plain Python, what the texts mean.

Shared arguments.
b: the builder of LLVM instructions. text: what turns a text into instructions (`_Text`), with the operands and
immediates by name. weights: a lane vector of the tie weight of each tied piece, in order. i: the number of an operand.
grad: the adjoint of the output, a lane vector. arity: the number of operands. immediates: their names.
pieces: (value text, partial texts) of each. branches: (guards, piece, between) of each row of the branch table, as in
the table of primitives. tied: False if it is known that no lane is tied (`Row.ties`).
"""

import ast
from collections import namedtuple
from contextlib import contextmanager

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simsa.kernels import functions
from simsa.kernels.lanes import Lanes, _broadcast, _call, _fill, _floats, _pointer

ASSIGN = 1

Branch = namedtuple("Branch", "guards piece between")
"""A row of a branch table: its guards, and the piece that it selects, or the pieces between which it is tied."""

_RELATIONS = {ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.GtE: ">=", ast.Gt: ">"}
_INTRINSICS = {"sqrt": "sqrt", "floor": "floor", "round_even": "rint", "abs": "fabs"}
_CHOSEN = {"minimum": "<", "maximum": ">"}
"""The functions of texts that are their first argument if it is so related to the second, and else the second."""
_ARITHMETIC = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}


class _Text:
    """Turns a text of the table into instructions. names: the lane vectors of its operands and immediates."""

    def __init__(self, context, builder, fe, names):
        self.context, self.builder, self.fe, self.names = context, builder, fe, dict(names)
        self.truth = ir.VectorType(ir.IntType(1), fe.count)

    def constant(self, value):
        return _fill(_floats(self.fe), value)

    def mask(self, value):
        return _fill(self.truth, int(value))

    def __call__(self, text):
        return self.visit(ast.parse(text, mode="eval").body)

    def visit(self, node):
        b = self.builder
        if isinstance(node, ast.Constant):
            return self.constant(float(node.value))
        if isinstance(node, ast.Name):
            return self.names[node.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return b.fneg(self.visit(node.operand))
        if isinstance(node, ast.BinOp):
            return getattr(b, _ARITHMETIC[type(node.op)])(self.visit(node.left), self.visit(node.right))
        if isinstance(node, ast.Compare):
            left, right = self.visit(node.left), self.visit(node.comparators[0])
            return b.fcmp_ordered(_RELATIONS[type(node.ops[0])], left, right)
        args = [self.visit(arg) for arg in node.args]
        if node.func.id == "isnan":
            return b.fcmp_unordered("uno", args[0], args[0])
        if node.func.id in _INTRINSICS:
            return _call(b, _INTRINSICS[node.func.id], *args)
        if node.func.id in _CHOSEN:
            return b.select(b.fcmp_ordered(_CHOSEN[node.func.id], *args), *args)
        if node.func.id == "sign":
            (x,), zero = args, self.constant(0.0)
            below = b.select(b.fcmp_ordered("<", x, zero), self.constant(-1.0), x)
            return b.select(b.fcmp_ordered(">", x, zero), self.constant(1.0), below)
        kind = self.context.typing_context.resolve_value_type(getattr(functions, node.func.id))
        call = kind.get_call_type(self.context.typing_context, (self.fe,) * len(args), {})
        return self.context.get_function(kind, call)(b, args)

    def equal(self, guard):
        """Return the mask of the lanes in which both sides of a guard are equal; no lane, if it is a test for NaN."""
        tree = ast.parse(guard, mode="eval").body
        if not isinstance(tree, ast.Compare):
            return self.mask(False)
        return self.builder.fcmp_ordered("==", self.visit(tree.left), self.visit(tree.comparators[0]))

    def all(self, guards):
        """Return the mask of the lanes in which all guards hold."""
        result = self(guards[0])
        for guard in guards[1:]:
            result = self.builder.and_(result, self(guard))
        return result


class _Memory:
    """Loads, stores and addresses of one instruction. The entries of `at` are loaded once, before the loop."""

    def __init__(self, context, builder, sig, args, names, arity):
        self.context, self.builder = context, builder
        self.fe = dict(zip(names, sig.args, strict=True))
        self.args = dict(zip(names, args, strict=True))
        self.lanes = Lanes(sig.args[0].dtype)
        self.places = []
        for i in range(arity):
            entry = builder.mul(self.plus("first", i), self.args["first"].type(4))
            self.places.append([self.item("at", builder.add(entry, entry.type(j))) for j in range(4)])

    def plus(self, name, i):
        """Return an integer argument plus an integer."""
        return self.builder.add(self.args[name], self.args[name].type(i))

    def item(self, name, index):
        """Return element `index` of an array's data."""
        data = cgutils.create_struct_proxy(self.fe[name])(self.context, self.builder, self.args[name]).data
        return self.builder.load(self.builder.gep(data, [index]))

    def pointer(self, name, offset):
        """Return a pointer to the lanes at an offset."""
        return _pointer(self.context, self.builder, self.fe[name], self.args[name], offset)

    def load(self, name, offset):
        return self.builder.load(self.pointer(name, offset), align=self.lanes.dtype.bitwidth // 8)

    def store(self, name, offset, value):
        self.builder.store(value, self.pointer(name, offset), align=self.lanes.dtype.bitwidth // 8)

    def splat(self, scalar):
        """Return a float64 in every lane, rounded to their type."""
        return _broadcast(self.context, self.builder, types.float64, self.lanes, scalar)

    @contextmanager
    def vectors(self):
        """Loop over groups and samples; yield the distance of a vector in its register, and the operands' addresses."""
        b = self.builder
        with cgutils.for_range(b, self.args["groups"]) as outer, cgutils.for_range(b, self.args["samples"]) as inner:
            g, s = outer.index, inner.index
            here = b.mul(b.add(b.mul(g, self.args["samples"]), s), g.type(self.lanes.count))
            steps = [b.add(b.mul(g, place[1]), b.mul(s, place[2])) for place in self.places]
            yield here, [b.add(place[0], step) for place, step in zip(self.places, steps, strict=True)]

    @contextmanager
    def run(self, here, starts, descending=False):
        """Loop over the outputs of a run; yield the place of the output's vector, and the operands' addresses.

        The backward walk goes from the last output to the first, as it would over single instructions: a register that
        several of them read is assigned by the last, and added to by the others.
        """
        b = self.builder
        with cgutils.for_range(b, self.args["outs"]) as loop:
            n = loop.index
            if descending:
                n = b.sub(b.sub(self.args["outs"], n.type(1)), n)
            out = b.add(b.add(self.args["out"], here), b.mul(n, self.args["step"]))
            yield out, [b.add(start, b.mul(n, place[3])) for start, place in zip(starts, self.places, strict=True)]


class Row:
    """A row of the table as code for one lane vector: its value, the gaps of its guards, and what it passes back."""

    def __init__(self, arity, immediates, pieces, branches):
        self.arity, self.immediates, self.pieces = arity, immediates, pieces
        self.absorbs = "s" in immediates
        self.branches = [Branch(*branch) for branch in branches]
        self.operands = ("x", "y", "z")[:arity]
        self.weights = sum(len(branch.between) for branch in self.branches)

    def value(self, b, text, tied=True):
        """Return the value of the piece that the first row whose guards all hold selects."""
        last = self.branches[-1].piece if self.branches else 0
        value = text(self.pieces[last][0])
        for branch in reversed([branch for branch in self.branches[:-1] if tied or not branch.between]):
            piece = self.pieces[branch.between[0] if branch.between else branch.piece]
            value = b.select(text.all(branch.guards), text(piece[0]), value)
        return value

    def gaps(self, b, text):
        """Return |left - right| of every pair of sides that the branch table compares, each pair once."""
        pairs = {}
        for branch in self.branches:
            for guard in branch.guards:
                tree = ast.parse(guard, mode="eval").body
                if isinstance(tree, ast.Compare):
                    pairs[ast.unparse(tree.left), ast.unparse(tree.comparators[0])] = None
        return [_call(b, "fabs", b.fsub(text(left), text(right))) for left, right in pairs]

    def ties(self, b, text):
        """Return the lanes in which a row that is a tie between pieces holds."""
        lanes = text.mask(False)
        for branch in self.branches:
            if branch.between:
                lanes = b.or_(lanes, text.all(branch.guards))
        return lanes

    def passes(self, i):
        """Tell whether any piece depends on operand i."""
        return any(partials[i] != "0" for _, partials in self.pieces)

    def reached(self, b, text):
        """Return for each piece the lanes in which it is reached if each tied guard may be decided either way."""
        reached, everywhere = [text.mask(False) for _ in self.pieces], text.mask(True)
        for branch in self.branches:
            possible = sure = text.mask(True)
            for guard in branch.guards:
                holds, equal = text(guard), text.equal(guard)
                possible = b.and_(possible, b.or_(holds, equal))
                sure = b.and_(sure, b.and_(holds, b.not_(equal)))
            hit = b.and_(everywhere, possible)
            for j in branch.between or (branch.piece,):
                reached[j] = b.or_(reached[j], hit)
            everywhere = b.and_(everywhere, b.not_(sure))
        return reached

    def shares(self, b, text, weights):
        """Return for each piece its weight in the execution: 1 or 0, or the convention's weight at a tie."""
        zero, one = text.constant(0.0), text.constant(1.0)
        shares = [one if j == self.branches[-1].piece else zero for j in range(len(self.pieces))]
        at = len(weights)
        for branch in reversed(self.branches[:-1]):
            at -= len(branch.between)
            here = zip(branch.between, weights[at:], strict=False) if branch.between else [(branch.piece, one)]
            mixed = dict(here)
            holds = text.all(branch.guards)
            shares = [b.select(holds, mixed.get(j, zero), share) for j, share in enumerate(shares)]
        return shares

    def amount(self, b, text, weights, i, grad, tied=True):
        """Return what operand i receives: grad times the partial of the selected piece, or -0.0 for nothing.

        An amount is never -0.0, because +0.0 is added to it. So -0.0 means nothing, and adding it changes nothing (see
        `operations`).
        """
        pieces, branches = self.pieces, [branch for branch in self.branches if tied or not branch.between]
        zero, nothing = text.constant(0.0), text.constant(-0.0)
        live = received(b, grad)
        # Where all partials are 0 or 1, an adjoint of -0.0 is passed on as -0.0 without a mask.
        simple = all(partials[i] in ("0", "1") for _, partials in pieces)

        def of(piece):
            partial = pieces[piece][1][i]
            if partial in ("0", "1"):
                return grad if partial == "1" else nothing
            return b.fadd(b.fmul(grad, self._factor(b, text, partial, grad)), zero)

        amount = of(branches[-1].piece if branches else 0)
        at = len(weights)
        for branch in reversed(branches[:-1]):
            if branch.between:
                at -= len(branch.between)
                mixed, uses = zero, text.mask(False)
                for weight, j in zip(weights[at:], branch.between, strict=False):
                    if pieces[j][1][i] != "0":
                        counts = b.fcmp_unordered("!=", weight, zero)
                        mixed = b.select(counts, b.fadd(mixed, b.fmul(weight, text(pieces[j][1][i]))), mixed)
                        uses = b.or_(uses, counts)
                passed = b.select(b.and_(uses, live), b.fadd(b.fmul(grad, mixed), zero), nothing)
            else:
                passed = of(branch.piece)
            amount = b.select(text.all(branch.guards), passed, amount)
        return amount if simple else b.select(live, amount, nothing)

    def _factor(self, b, text, partial, grad):
        """Return a partial; but 0 where the adjoint is 0, also if the partial is infinite, if the immediate s is 0."""
        factor, zero = text(partial), text.constant(0.0)
        if not self.absorbs:
            return factor
        absorbed = b.and_(b.fcmp_ordered("==", grad, zero), b.fcmp_ordered("==", text.names["s"], zero))
        return b.select(absorbed, zero, factor)

    def product(self, b, text, i, grad):
        """Return what operand i receives where nothing is tied: grad times the partial of the selected piece, or 0.

        Here 0 stands for nothing, so that the result is NaN where nothing was received and the partial is infinite.
        """

        def of(piece):
            partial = self.pieces[piece][1][i]
            if partial in ("0", "1"):
                return grad if partial == "1" else text.constant(-0.0)
            return b.fmul(grad, self._factor(b, text, partial, grad))

        branches = [branch for branch in self.branches if not branch.between]
        amount = of(branches[-1].piece if branches else 0)
        for branch in reversed(branches[:-1]):
            amount = b.select(text.all(branch.guards), of(branch.piece), amount)
        return amount


def received(b, grad):
    """Return the lanes in which an adjoint has received something: its bits are not those of -0.0."""
    bits = ir.VectorType(ir.IntType(256 // grad.type.count), grad.type.count)
    return b.icmp_unsigned("!=", b.bitcast(grad, bits), b.bitcast(_fill(grad.type, -0.0), bits))


_FORWARD = "values margin at numbers number first out outs step guarded groups samples".split()
_BACKWARD = "values adjoints at modes numbers number first out outs step groups samples absolute".split()
_TIED = "values at numbers number first n g s".split()
_DIFFERENCE = "values adjoints deltas sizes draws at modes numbers number first out n g s".split()
_INTEGERS = ("number", "first", "out", "outs", "step", "guarded", "groups", "samples", "absolute", "n", "g", "s")


def _signature(names, args):
    """Type a call: arrays as they are, integers as intp."""
    return types.void(*(types.intp if name in _INTEGERS else fe for name, fe in zip(names, args, strict=True)))


def row(arity, immediates, pieces, branches):
    """Return the operations (forward, backward) of a row of the table.

    forward(values, margin, at, numbers, number, first, out, outs, step, guarded, groups, samples) computes the `outs`
    registers from place `out` on, `step` apart, and narrows the margin if `guarded`. backward(values, adjoints, at,
    modes, numbers, number, first, out, outs, step, groups, samples, absolute) passes their adjoints to the operands; if
    `absolute`, the absolute values of what it would pass.
    """
    it = Row(arity, immediates, pieces, branches)

    def names(memory, addresses):
        """Return immediates and operands by name."""
        fixed = {
            name: memory.splat(memory.item("numbers", memory.plus("number", i))) for i, name in enumerate(immediates)
        }
        return {**fixed, **{name: memory.load("values", at) for name, at in zip(it.operands, addresses, strict=True)}}

    def forward_code(context, b, sig, args):
        memory = _Memory(context, b, sig, args, _FORWARD, arity)
        guarded = b.icmp_signed("!=", memory.args["guarded"], memory.args["guarded"].type(0))
        with memory.vectors() as (here, starts):
            least = cgutils.alloca_once(b, _floats(memory.lanes))
            b.store(memory.load("margin", here), least)
            with memory.run(here, starts) as (out, addresses):
                text = _Text(context, b, memory.lanes, names(memory, addresses))
                memory.store("values", out, it.value(b, text))
                for gap in it.gaps(b, text):
                    old = b.load(least)
                    b.store(b.select(b.fcmp_ordered("<", gap, old), gap, old), least)
            if it.branches:
                with b.if_then(guarded):
                    memory.store("margin", here, b.load(least))
        return context.get_dummy_value()

    def backward_code(context, b, sig, args):
        memory = _Memory(context, b, sig, args, _BACKWARD, arity)
        at = len(immediates)
        weights = [memory.splat(memory.item("numbers", memory.plus("number", at + n))) for n in range(it.weights)]
        modes = [memory.item("modes", memory.plus("first", i)) for i in range(arity)]
        absolute = memory.args["absolute"]
        with memory.vectors() as (here, starts), memory.run(here, starts, descending=True) as (out, addresses):
            text = _Text(context, b, memory.lanes, names(memory, addresses))
            text.names["v"] = memory.load("values", out)
            grad = memory.load("adjoints", out)
            for i, (address, mode) in enumerate(zip(addresses, modes, strict=True)):
                if not it.passes(i):
                    continue
                with b.if_then(b.icmp_signed("!=", mode, mode.type(0))):
                    amount = it.amount(b, text, weights, i, grad)
                    size = b.select(received(b, amount), _call(b, "fabs", amount), amount)
                    amount = b.select(b.icmp_signed("!=", absolute, absolute.type(0)), size, amount)
                    old = memory.load("adjoints", address)
                    first = b.icmp_signed("==", mode, mode.type(ASSIGN))
                    memory.store("adjoints", address, b.select(first, amount, b.fadd(old, amount)))
        return context.get_dummy_value()

    @intrinsic
    def forward(typingctx, values, margin, at, numbers, number, first, out, outs, step, guarded, groups, samples):
        args = (values, margin, at, numbers, number, first, out, outs, step, guarded, groups, samples)
        return _signature(_FORWARD, args), forward_code

    @intrinsic
    def backward(
        typingctx, values, adjoints, at, modes, numbers, number, first, out, outs, step, groups, samples, absolute
    ):  # fmt: skip
        args = (values, adjoints, at, modes, numbers, number, first, out, outs, step, groups, samples, absolute)
        return _signature(_BACKWARD, args), backward_code

    return forward, backward


def tied_row(arity, immediates, pieces, branches):
    """Return the operations (tied, difference) of a row of the table that selects, for `kernels.sensitivity`.

    Both are for one lane vector: output n of a run, group g, sample s. tied(values, at, numbers, number, first, n, g,
    s) returns the lanes in which two sides of a guard are equal, a bit for each. difference(values, adjoints, deltas,
    sizes, draws, at, modes, numbers, number, first, out, n, g, s) passes on the differences and their sizes, of the
    vector at place `out`. draws: a lane vector of random weights for each piece; it is not read where nothing is tied.
    """
    it = Row(arity, immediates, pieces, branches)

    def reader(context, b, sig, args, listed):
        """Return the memory, the operands' addresses, and what reads the texts."""
        memory = _Memory(context, b, sig, args, listed, arity)
        n, g, s = (memory.args[name] for name in ("n", "g", "s"))
        addresses = []
        for start, *steps in memory.places:
            for count, step in zip((g, s, n), steps, strict=True):
                start = b.add(start, b.mul(count, step))
            addresses.append(start)
        fixed = [memory.splat(memory.item("numbers", memory.plus("number", i))) for i in range(len(immediates))]
        operands = [memory.load("values", at) for at in addresses]
        names = dict(zip((*immediates, *it.operands), (*fixed, *operands), strict=True))
        return memory, addresses, _Text(context, b, memory.lanes, names)

    def tied_code(context, b, sig, args):
        _, _, text = reader(context, b, sig, args, _TIED)
        found = text.mask(False)
        for guard in {guard for branch in it.branches for guard in branch.guards}:
            found = b.or_(found, text.equal(guard))
        return b.zext(b.bitcast(found, ir.IntType(text.fe.count)), ir.IntType(64))

    def difference_code(context, b, sig, args):
        memory, addresses, text = reader(context, b, sig, args, _DIFFERENCE)
        zero, nothing = text.constant(0.0), text.constant(-0.0)
        out, at = memory.args["out"], len(immediates)
        text.names["v"] = memory.load("values", out)
        a, d, size = (memory.load(name, out) for name in ("adjoints", "deltas", "sizes"))
        weights = [memory.splat(memory.item("numbers", memory.plus("number", at + n))) for n in range(it.weights)]
        reached, shares = it.reached(b, text), it.shares(b, text, weights)
        drawn = []
        for j, mask in enumerate(reached):
            place = memory.args["n"].type(j * memory.lanes.count)
            drawn.append(b.select(mask, memory.load("draws", place), zero))
        whole = drawn[0]
        for more in drawn[1:]:
            whole = b.fadd(whole, more)
        passed, moves, moved = received(b, a), received(b, d), []
        for draw, share in zip(drawn, shares, strict=True):
            w = b.fdiv(draw, whole)
            apart = b.fsub(w, share)
            counts = b.and_(passed, b.fcmp_unordered("!=", w, share))
            mixed = b.select(moves, b.fadd(b.fmul(d, w), zero), nothing)
            mixed = b.fadd(mixed, b.select(counts, b.fadd(b.fmul(a, apart), zero), nothing))
            total = b.select(moves, b.fadd(b.fmul(size, w), zero), nothing)
            far = b.fmul(_call(b, "fabs", a), b.fadd(w, _call(b, "fabs", share)))
            moved.append((mixed, b.fadd(total, b.select(counts, b.fadd(far, zero), nothing))))
        for i, address in enumerate(addresses):
            mode = memory.item("modes", memory.plus("first", i))
            if not it.passes(i):
                continue
            with b.if_then(b.icmp_signed("!=", mode, mode.type(0))):
                for name, which in (("deltas", 0), ("sizes", 1)):
                    amount = nothing
                    for (_, partials), mask, parts in zip(it.pieces, reached, moved, strict=True):
                        if partials[i] == "0":
                            continue
                        partial = text(partials[i])
                        partial = _call(b, "fabs", partial) if which else partial
                        term = b.fadd(b.fmul(parts[which], partial), zero)
                        live = b.and_(mask, received(b, parts[which]))
                        amount = b.fadd(amount, b.select(live, term, nothing))
                    memory.store(name, address, b.fadd(memory.load(name, address), amount))
        return context.get_dummy_value()

    @intrinsic
    def tied(typingctx, values, at, numbers, number, first, n, g, s):
        args = (values, at, numbers, number, first, n, g, s)
        return types.intp(*_signature(_TIED, args).args), tied_code

    @intrinsic
    def difference(typingctx, values, adjoints, deltas, sizes, draws, at, modes, numbers, number, first, out, n, g, s):
        args = (values, adjoints, deltas, sizes, draws, at, modes, numbers, number, first, out, n, g, s)
        return _signature(_DIFFERENCE, args), difference_code

    return tied, difference
