"""A row of the primitive table as instructions: its texts are turned straight into LLVM code on lanes.

`row(...)` makes the two operations of a row: one lane vector forward, one backward. Numba sees a single call for each,
so compiling the whole table costs seconds; what the texts mean is fixed here and, in plain Python, by the reference.
"""

import ast
from collections import namedtuple
from contextlib import contextmanager

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simsa.kernels import functions
from simsa.kernels.lanes import Lanes, _broadcast, _call, _fill, _floats, _pointer, _words

ASSIGN = 1

Branch = namedtuple("Branch", "guards piece between")
"""A row of a branch table: its guards, and the piece it selects or the pieces it mixes."""

_RELATIONS = {ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.GtE: ">=", ast.Gt: ">"}
_ARITHMETIC = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}


class _Text:
    """Turns table texts into instructions, with operands and immediates by name."""

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
        if node.func.id == "sqrt":
            return _call(b, "sqrt", *args)
        kind = self.context.typing_context.resolve_value_type(getattr(functions, node.func.id))
        call = kind.get_call_type(self.context.typing_context, (self.fe,) * len(args), {})
        return self.context.get_function(kind, call)(b, args)

    def all(self, guards):
        """Return the mask of a conjunction."""
        result = self(guards[0])
        for guard in guards[1:]:
            result = self.builder.and_(result, self(guard))
        return result


class _Memory:
    """Loads, stores and addresses of one instruction; what does not change from vector to vector is loaded once."""

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
        """Return an integer argument plus a number."""
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
        """Loop over a run of outputs; yield the place of the output's vector, and the operands' addresses.

        The backward sweep goes down, as it would over single instructions: registers that two of them read are
        assigned by the last and added to by the others.
        """
        b = self.builder
        with cgutils.for_range(b, self.args["outs"]) as loop:
            n = loop.index
            if descending:
                n = b.sub(b.sub(self.args["outs"], n.type(1)), n)
            out = b.add(b.add(self.args["out"], here), b.mul(n, self.args["step"]))
            yield out, [b.add(start, b.mul(n, place[3])) for start, place in zip(starts, self.places, strict=True)]


_FORWARD = "values margin at numbers number first out outs step guarded groups samples".split()
_BACKWARD = "values adjoints at modes numbers number first out outs step groups samples".split()
_INTEGERS = ("number", "first", "out", "outs", "step", "guarded", "groups", "samples")


def _signature(names, args):
    """Type a call: arrays as they are, integers as intp."""
    return types.void(*(types.intp if name in _INTEGERS else fe for name, fe in zip(names, args, strict=True)))


def row(arity, immediates, pieces, branches):
    """Return the operations (forward, backward) of a table row with this many operands.

    pieces: (value text, partial texts) of each. branches: rows (guards, piece, between) as in the table.
    forward(values, margin, at, numbers, number, first, out, outs, step, guarded, groups, samples) computes the `outs`
    registers from `out` on, `step` apart, and narrows the margin if the guards count. backward(values, adjoints, at,
    modes, numbers, number, first, out, outs, step, groups, samples) passes their adjoints to the operands.
    """
    branches = [Branch(*branch) for branch in branches]
    operands = ("x", "y", "z")[:arity]

    def constants(memory):
        """Load the immediates."""
        return {
            name: memory.splat(memory.item("numbers", memory.plus("number", i))) for i, name in enumerate(immediates)
        }

    def forward_code(context, b, sig, args):
        memory = _Memory(context, b, sig, args, _FORWARD, arity)
        fixed = constants(memory)
        guarded = b.icmp_signed("!=", memory.args["guarded"], memory.args["guarded"].type(0))
        with memory.vectors() as (here, starts):
            least = cgutils.alloca_once(b, _floats(memory.lanes))
            b.store(memory.load("margin", here), least)
            with memory.run(here, starts) as (out, addresses):
                values = [memory.load("values", address) for address in addresses]
                text = _Text(context, b, memory.lanes, {**fixed, **dict(zip(operands, values, strict=True))})
                value = text(pieces[branches[-1].piece if branches else 0][0])
                for branch in reversed(branches[:-1]):
                    piece = pieces[branch.between[0] if branch.between else branch.piece]
                    value = b.select(text.all(branch.guards), text(piece[0]), value)
                memory.store("values", out, value)
                for left, right in _compared(branches):
                    gap, old = _call(b, "fabs", b.fsub(text(left), text(right))), b.load(least)
                    b.store(b.select(b.fcmp_ordered("<", gap, old), gap, old), least)
            if branches:
                with b.if_then(guarded):
                    memory.store("margin", here, b.load(least))
        return context.get_dummy_value()

    def backward_code(context, b, sig, args):
        memory = _Memory(context, b, sig, args, _BACKWARD, arity)
        fixed = constants(memory)
        weights = _weights(b, memory)
        modes = [memory.item("modes", memory.plus("first", i)) for i in range(arity)]
        sign = _fill(_words(memory.lanes), 1 << (memory.lanes.dtype.bitwidth - 1))
        nothing = _fill(_floats(memory.lanes), -0.0)
        with memory.vectors() as (here, starts), memory.run(here, starts, descending=True) as (out, addresses):
            values = [memory.load("values", address) for address in addresses]
            text = _Text(context, b, memory.lanes, {**fixed, **dict(zip(operands, values, strict=True))})
            grad = memory.load("adjoints", out)
            text.names["v"] = memory.load("values", out)
            live = b.icmp_unsigned("!=", b.bitcast(grad, _words(memory.lanes)), sign)
            for i, (address, mode) in enumerate(zip(addresses, modes, strict=True)):
                if all(partials[i] == "0" for _, partials in pieces):
                    continue
                with b.if_then(b.icmp_signed("!=", mode, mode.type(0))):
                    amount = b.select(live, _passed(b, weights, text, i, grad), nothing)
                    old = memory.load("adjoints", address)
                    first = b.icmp_signed("==", mode, mode.type(ASSIGN))
                    memory.store("adjoints", address, b.select(first, amount, b.fadd(old, amount)))
        return context.get_dummy_value()

    def _weights(b, memory):
        """Load the tie weights: for each tied piece, in order, the weight in every lane and whether it is not zero."""
        result = []
        for n in range(sum(len(branch.between) for branch in branches)):
            weight = memory.item("numbers", memory.plus("number", len(immediates) + n))
            result.append((memory.splat(weight), b.fcmp_unordered("!=", weight, weight.type(0.0))))
        return result

    def _passed(b, weights, text, i, grad):
        """Return what operand i gets from the first row that holds: grad times its partial, or -0.0 for nothing.

        Amounts have no -0.0, by adding +0.0; so -0.0 means nothing, and adding it changes nothing (see `nary`).
        """
        zero, nothing = text.constant(0.0), text.constant(-0.0)

        def of(piece):
            partial = pieces[piece][1][i]
            return nothing if partial == "0" else b.fadd(b.fmul(grad, text(partial)), zero)

        amount = of(branches[-1].piece if branches else 0)
        at = len(weights)
        for branch in reversed(branches[:-1]):
            if branch.between:
                at -= len(branch.between)
                mixed, uses = zero, ir.IntType(1)(0)
                for (weight, counts), j in zip(weights[at:], branch.between, strict=False):
                    if pieces[j][1][i] != "0":
                        mixed = b.select(counts, b.fadd(mixed, b.fmul(weight, text(pieces[j][1][i]))), mixed)
                        uses = b.or_(uses, counts)
                passed = b.select(uses, b.fadd(b.fmul(grad, mixed), zero), nothing)
            else:
                passed = of(branch.piece)
            amount = b.select(text.all(branch.guards), passed, amount)
        return amount

    @intrinsic
    def forward(typingctx, values, margin, at, numbers, number, first, out, outs, step, guarded, groups, samples):
        args = (values, margin, at, numbers, number, first, out, outs, step, guarded, groups, samples)
        return _signature(_FORWARD, args), forward_code

    @intrinsic
    def backward(typingctx, values, adjoints, at, modes, numbers, number, first, out, outs, step, groups, samples):
        args = (values, adjoints, at, modes, numbers, number, first, out, outs, step, groups, samples)
        return _signature(_BACKWARD, args), backward_code

    return forward, backward


def _compared(branches):
    """Return the distinct pairs (left, right) that a branch table compares."""
    pairs = {}
    for branch in branches:
        for guard in branch.guards:
            tree = ast.parse(guard, mode="eval").body
            if isinstance(tree, ast.Compare):
                pairs[ast.unparse(tree.left), ast.unparse(tree.comparators[0])] = None
    return list(pairs)
