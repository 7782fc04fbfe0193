"""Dense layers whose weights are parameters, and whose inputs are not."""

from dataclasses import dataclass
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

from simsa.kernels.arguments import INVERSE_SIZE, RADIUS, STEP_SIZE
from simsa.kernels.lanes import _call
from simsa.kernels.operations.shared import ASSIGN
from simsa.kernels.printed.code import SUMS, Extent, operation, tiles
from simsa.kernels.rows import Row, received


class Run(NamedTuple):
    """A run of instructions with one operand each, such as relus: on all outputs of a layer, or before all its inputs.

    row: what they compute. place: of the first output, if the run is after the layer; of the first operand, if it is
    before the layer. immediates: the numbers of the row. guarded: whether gaps narrow the margin; it is needed only if
    the run is after the layer.
    """

    row: Row
    place: int
    immediates: list[float]
    guarded: bool = False


@dataclass(frozen=True)
class Dense:
    """A dense layer.

    extent: how registers lie. outs, inputs: the numbers of outputs and inputs. weights, bias: the places of the first
    weight and the first bias; both are consecutive parameters, the weights in `outs` rows of `inputs`; bias -1 if there
    is none. x, out: the places of the first input and output; both are consecutive registers, and no parameters. mode:
    how the inputs' adjoints receive. after: the run on the outputs, if fused with the layer. before: the run that makes
    the inputs, if fused with the layer.
    """

    extent: Extent
    outs: int
    inputs: int
    weights: int
    x: int
    bias: int
    out: int
    mode: int
    after: Run | None = None
    before: Run | None = None

    def operations(self, rule):
        """Return forward, finite, backward, masked, fused_backward and fused_forward, in this order.

        forward(values) computes the outputs. finite(values) tells whether all inputs are finite. backward(values,
        adjoints, fresh) passes the adjoints back if that is true: then an adjoint that received nothing, -0.0, adds
        zeros only. masked, with the same arguments, is right in any case, and slow. The adjoints of parameters are
        assigned if `fresh`, else added to.

        The others are for where no sample is tied. fused_backward(values, adjoints, lane_numbers, held, given) passes
        adjoints back to the inputs, and through the run before the layer; it takes the step of the layer's parameters
        as soon as their gradient is complete, and tells whether all are in the ball. It leaves the parameters before
        the step in their adjoints. lane_numbers: as in `Scratch`; the margin is not used. held, given: the state and
        the numbers of the rule. rule: a `Step`, or None for an engine that takes no steps, where fused_backward is
        None. fused_forward(values, margin) computes the outputs and the run after the layer, and tells whether all
        values of that are finite; it is None if there is no such run.
        """
        return (
            operation(("values",), self._forward),
            operation(("values",), self._finite, types.boolean),
            operation(("values", "adjoints", "fresh"), self._backward),
            operation(("values", "adjoints", "fresh"), self._masked),
            rule
            and operation(
                ("values", "adjoints", "lane_numbers", "held", "given"),
                lambda code: self._fused_backward(code, rule),
                types.boolean,
            ),
            operation(("values", "margin"), self._fused_forward, types.boolean) if self.after else None,
        )

    @property
    def _across(self):
        """Return how many samples are computed at once."""
        return min(4, self.extent.samples)

    def _steps(self, code):
        """Return the distances to the next lane vector, weight in a row, row of weights, and group of samples."""
        groups, samples, _, _ = self.extent
        lanes = code.lanes.count
        return lanes, groups * lanes, self.inputs * groups * lanes, samples * lanes

    def _forward(self, code, infinite=None):
        """Compute the outputs; and the run after them, if `infinite` is given, as in `_pass_on`."""
        b, across, step = code.b, self._across, self.extent.step
        lanes, next_weight, next_row, next_group = self._steps(code)
        with code.times(self.extent.groups) as g:
            for first, size, count in tiles(self.outs, SUMS // across):
                with code.times(count) as j, code.times(self.extent.samples // across) as s:
                    row = code.scaled((g, lanes), (j, size * next_row))
                    own = code.scaled((g, next_group), (s, across * lanes))
                    start = [code.constant(-0.0)] * (size * across)
                    if self.bias >= 0:
                        at = code.scaled((g, lanes), (j, size * next_weight))
                        first_bias = self.bias + first * next_weight
                        loaded = [code.load("values", first_bias + r * next_weight, at) for r in range(size)]
                        start = [value for value in loaded for _ in range(across)]

                    def body(n, i, sums, size=size, first=first, row=row, own=own):
                        w = code.scaled((row, 1), (i, next_weight))
                        at = code.scaled((own, 1), (i, step))
                        left = [
                            code.load("values", self.weights + (first + r) * next_row + n * next_weight, w)
                            for r in range(size)
                        ]
                        right = [code.load("values", self.x + n * step + k * lanes, at) for k in range(across)]
                        return [
                            b.fadd(sums[r * across + k], b.fmul(left[r], right[k]))
                            for r in range(size)
                            for k in range(across)
                        ]

                    target = code.scaled((g, next_group), (s, across * lanes), (j, size * step))
                    targets = [self.out + (first + r) * step + k * lanes for r in range(size) for k in range(across)]
                    sums = code.fold(self.inputs, start, body)
                    for place, value in zip(targets, sums, strict=True):
                        code.store("values", value, place, target)
                    if infinite is not None:
                        self._pass_on(code, infinite, [place - self.out for place in targets], target, own, sums)

    def _pass_on(self, code, infinite, targets, target, own, sums):
        """Compute the run on some outputs, and narrow the smallest gaps of their samples.

        infinite: a variable, the lanes in which some value is not finite. targets, target: the distances of the outputs
        from the first one, as numbers and a dynamic index. own: the dynamic index of their samples. sums: the outputs.
        """
        b, run = code.b, self.after
        texts = [code.text(run.row, run.immediates, [value]) for value in sums]
        values = [run.row.value(b, text) for text in texts]
        found = b.load(infinite)
        for place, value in zip(targets, values, strict=True):
            code.store("values", value, run.place + place, target)
            size_of = _call(b, "fabs", value)
            found = b.or_(found, b.fcmp_unordered(">=", size_of, code.constant(float("inf"))))
        b.store(found, infinite)
        for k in range(self._across if run.guarded else 0):
            least = code.load("margin", k * code.lanes.count, own)
            for text in texts[k :: self._across]:
                for gap in run.row.gaps(b, text):
                    least = code.smaller(gap, least)
            code.store("margin", least, k * code.lanes.count, own)

    def _fused_forward(self, code):
        b, lanes = code.b, code.lanes.count
        truth, bits = ir.VectorType(ir.IntType(1), lanes), ir.IntType(lanes)
        infinite = cgutils.alloca_once(b, truth)
        b.store(ir.Constant(truth, [0] * lanes), infinite)
        self._forward(code, infinite)
        return b.icmp_unsigned("==", b.bitcast(b.load(infinite), bits), bits(0))

    def _finite(self, code):
        """Tell whether every input is finite in every lane: x times 0 is 0 for these, and NaN for others."""
        b, zero = code.b, code.constant(0.0)
        lanes = code.lanes.count

        def body(n, i, sums):
            at = code.scaled((i, lanes))
            sums = list(sums)
            sums[n % 4] = b.fadd(sums[n % 4], b.fmul(code.load("values", self.x + n * lanes, at), zero))
            return sums

        sums = code.fold(self.inputs * self.extent.groups * self.extent.samples, [zero] * 4, body, unroll=8)
        total = b.fadd(b.fadd(sums[0], sums[1]), b.fadd(sums[2], sums[3]))
        good = b.fcmp_ordered("==", total, zero)
        return code.every(good)

    def _masked(self, code):
        """Pass the adjoints back with a mask for each, so that those that received nothing pass nothing."""
        b, zero, nothing = code.b, code.constant(0.0), code.constant(-0.0)
        lanes, next_weight, next_row, next_group = self._steps(code)
        groups, samples, _, step = self.extent
        with b.if_then(code.flags["fresh"]), code.times(self.outs * self.inputs * groups) as i:
            code.store("adjoints", zero, self.weights, code.scaled((i, lanes)))
        with code.times(groups) as g:
            with code.times(samples) as s, code.times(self.outs) as j, code.times(self.inputs) as i:
                grad = code.load("adjoints", self.out, code.scaled((g, next_group), (s, lanes), (j, step)))
                value = code.load("values", self.x, code.scaled((g, next_group), (s, lanes), (i, step)))
                at = code.scaled((g, lanes), (j, next_row), (i, next_weight))
                amount = b.select(received(b, grad), b.fadd(zero, b.fmul(grad, value)), nothing)
                code.store("adjoints", b.fadd(code.load("adjoints", self.weights, at), amount), self.weights, at)
            if self.bias >= 0:
                self._biases_back(code, g)
            if not self.mode:
                return
            with code.times(samples) as s, code.times(self.inputs) as i:

                def body(n, j, carried, g=g, s=s, i=i):
                    total, live = carried
                    at = code.scaled((g, next_group), (s, lanes), (j, step))
                    grad = code.load("adjoints", self.out + n * step, at)
                    weight = code.load(
                        "values", self.weights + n * next_row, code.scaled((g, lanes), (i, next_weight), (j, next_row))
                    )
                    given = received(b, grad)
                    return [b.select(given, b.fadd(total, b.fmul(grad, weight)), total), b.or_(live, given)]

                no = ir.Constant(ir.VectorType(ir.IntType(1), lanes), [0] * lanes)
                total, live = code.fold(self.outs, [zero, no], body)
                amount = b.select(live, b.fadd(total, zero), nothing)
                at = code.scaled((g, next_group), (s, lanes), (i, step))
                if self.mode != ASSIGN:
                    amount = b.fadd(code.load("adjoints", self.x, at), amount)
                code.store("adjoints", amount, self.x, at)

    def _backward(self, code):
        with code.times(self.extent.groups) as g:
            self._weights_back(code, g)
            if self.bias >= 0:
                self._biases_back(code, g)
            if self.mode:
                self._inputs_back(code, g)

    def _fused_backward(self, code, rule):
        b = code.b
        lanes = code.lanes.count
        # |x| is compared by its upper 32 bits, as integers, which is cheaper; NaN is larger than all numbers then.
        words = ir.VectorType(ir.IntType(32), 8)
        upper = range(8 // lanes - 1, 8, 8 // lanes)
        largest = cgutils.alloca_once(b, words)
        b.store(ir.Constant(words, [0] * 8), largest)

        def keep(values):
            """Keep the largest |value| so far."""
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

        with code.times(self.extent.groups) as g:
            own = code.scaled((g, lanes))
            rows = (STEP_SIZE, INVERSE_SIZE)
            rate, inverse = (code.load("lane_numbers", n * self.extent.groups * lanes, own) for n in rows)
            given = rule.given(code)

            def take(places, at, gradients):
                values = []
                for place, gradient in zip(places, gradients, strict=True):
                    before = code.load("values", place, at)
                    homes = [n * self.extent.data_at + place for n in range(len(rule.state))]
                    held = [code.load("held", home, at) for home in homes]
                    x, held = rule.taken(code, before, b.fmul(gradient, inverse), rate, held, given)
                    for home, value in zip(homes, held, strict=True):
                        code.store("held", value, home, at)
                    code.store("values", x, place, at)
                    code.store("adjoints", before, place, at)
                    values.append(x)
                keep(values)

            if self.mode:
                self._inputs_back(code, g, self.before)
            self._weights_back(code, g, take)
            if self.bias >= 0:
                self._biases_back(code, g, take)
        farthest = b.bitcast(code.load("lane_numbers", RADIUS * self.extent.groups * lanes), words)
        picked = ir.Constant(words, [list(upper)[n % lanes] for n in range(8)])
        inside = b.icmp_signed("<", b.load(largest), b.shuffle_vector(farthest, farthest, picked))
        return b.icmp_unsigned("==", b.bitcast(inside, ir.IntType(8)), ir.IntType(8)(-1))

    def _weights_back(self, code, g, take=None):
        """Add g_j x_i of every sample, in order, to the adjoint of W_ji.

        take: if given, the sums begin with 0, and take(places, at, sums) is called with them.
        """
        b, give = code.b, take or code.store_all
        lanes, next_weight, next_row, next_group = self._steps(code)
        _, samples, _, step = self.extent
        columns = min(self.inputs, 8)
        for first, rows, count in tiles(self.outs, max(1, SUMS // columns)):
            with code.times(count) as j:
                for second, width, many in tiles(self.inputs, columns):
                    with code.times(many) as i:
                        at = code.scaled((g, lanes), (j, rows * next_row), (i, width * next_weight))
                        left = code.scaled((g, next_group), (j, rows * step))
                        right = code.scaled((g, next_group), (i, width * step))
                        where = [
                            self.weights + (first + r) * next_row + (second + k) * next_weight
                            for r in range(rows)
                            for k in range(width)
                        ]
                        start = [code.constant(0.0) if take else code.so_far(place, at) for place in where]

                        def body(
                            n, s, sums, rows=rows, width=width, first=first, second=second, left=left, right=right
                        ):
                            assert s is None
                            grads = [
                                code.load("adjoints", self.out + (first + r) * step + n * lanes, left)
                                for r in range(rows)
                            ]
                            values = [
                                code.load("values", self.x + (second + k) * step + n * lanes, right)
                                for k in range(width)
                            ]
                            return [
                                b.fadd(sums[r * width + k], b.fmul(grads[r], values[k]))
                                for r in range(rows)
                                for k in range(width)
                            ]

                        sums = code.fold(samples, start, body, unroll=samples)
                        give(where, at, sums)

    def _biases_back(self, code, g, take=None):
        """Add g_j of every sample, in order, to the adjoint of b_j. take: as in `_weights_back`."""
        b, give = code.b, take or code.store_all
        lanes, next_weight, _, next_group = self._steps(code)
        _, samples, _, step = self.extent
        for first, size, count in tiles(self.outs, SUMS):
            with code.times(count) as j:
                at = code.scaled((g, lanes), (j, size * next_weight))
                left = code.scaled((g, next_group), (j, size * step))
                places_here = [self.bias + (first + r) * next_weight for r in range(size)]
                sums = [code.constant(0.0) if take else code.so_far(place, at) for place in places_here]
                for n in range(samples):
                    sums = [
                        b.fadd(value, code.load("adjoints", self.out + (first + r) * step + n * lanes, left))
                        for r, value in enumerate(sums)
                    ]
                give(places_here, at, sums)

    def _inputs_back(self, code, g, run=None):
        """Pass the sum over j of g_j W_ji to x_i, in the lanes where some g_j has received.

        run: if given, the run that makes the inputs; the sums are passed through it to its operands.
        """
        b, across, step = code.b, self._across, self.extent.step
        lanes, next_weight, next_row, next_group = self._steps(code)
        nothing = code.constant(-0.0)
        with code.times(self.extent.samples // across) as s:
            own = code.scaled((g, next_group), (s, across * lanes))

            def grads(n, j):
                at = code.scaled((own, 1), (j, step))
                return [code.load("adjoints", self.out + n * step + k * lanes, at) for k in range(across)]

            def given(n, j, live):
                return [b.or_(mask, received(b, grad)) for mask, grad in zip(live, grads(n, j), strict=True)]

            no = ir.Constant(ir.VectorType(ir.IntType(1), lanes), [0] * lanes)
            live = code.fold(self.outs, [no] * across, given)
            for first, size, count in tiles(self.inputs, SUMS // across):
                with code.times(count) as i:
                    column = code.scaled((g, lanes), (i, size * next_weight))

                    def body(n, j, sums, size=size, first=first, column=column):
                        at = code.scaled((column, 1), (j, next_row))
                        right = grads(n, j)
                        left = [
                            code.load("values", self.weights + n * next_row + (first + r) * next_weight, at)
                            for r in range(size)
                        ]
                        return [
                            b.fadd(sums[r * across + k], b.fmul(right[k], left[r]))
                            for r in range(size)
                            for k in range(across)
                        ]

                    target = code.scaled((g, next_group), (s, across * lanes), (i, size * step))
                    targets = [self.x + (first + r) * step + k * lanes for r in range(size) for k in range(across)]
                    sums = code.fold(self.outs, [code.constant(0.0)] * (size * across), body)
                    for n, (place, value) in enumerate(zip(targets, sums, strict=True)):
                        # A sum that began with +0.0 is never -0.0.
                        amount = b.select(live[n % across], value, nothing)
                        if run:
                            operand = run.place + place - self.x
                            text = code.text(run.row, run.immediates, [code.load("values", operand, target)])
                            text.names["v"] = code.load("values", place, target)
                            amount = run.row.amount(b, text, (), 0, amount, tied=False)
                            place = operand
                        elif self.mode != ASSIGN:
                            amount = b.fadd(code.load("adjoints", place, target), amount)
                        code.store("adjoints", amount, place, target)
