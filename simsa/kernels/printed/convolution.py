"""Convolutions: dense layers that are used at several positions, with the same copies of parameters as weights."""

from dataclasses import dataclass

from llvmlite import ir
from numba.core import cgutils

from simsa.kernels.printed.code import INDEX, SUMS, Extent, operation, tiles


@dataclass(frozen=True)
class Convolution:
    """A dense layer that is used at several positions.

    extent: how registers lie. outs, inputs: the numbers of outputs and inputs at a position. weights, bias: the places
    of the first weight, of which there are `outs` rows of `inputs`, and of the first bias; bias -1 if there is none.
    out: the place of the first output; the outputs of one position follow those of another. windows: for each position,
    the places of its inputs. fresh: whether the adjoints of weights and biases are assigned, not added to. adjoined:
    whether they receive at all.
    """

    extent: Extent
    outs: int
    inputs: int
    weights: int
    bias: int
    out: int
    windows: tuple[tuple[int, ...], ...]
    fresh: bool
    adjoined: bool

    def operations(self):
        """Return forward(values), and weights_back(values, adjoints) or None if the copies receive nothing."""
        back = operation(("values", "adjoints"), self._weights_back) if self.adjoined else None
        return operation(("values",), self._forward), back

    def _table(self, code, order):
        """Return the places of all inputs as an array of constants, with the windows in the order given."""
        places = ir.ArrayType(INDEX, len(self.windows) * self.inputs)
        constant = ir.Constant(places, [place for window in order for place in window])
        return cgutils.global_constant(code.b, "windows", constant)

    def _window(self, code, places, n, i):
        """Return the place of input i of window n."""
        at = code.scaled((n, self.inputs), (i, 1))
        return code.b.load(code.b.gep(places, [INDEX(0), at]), align=8)

    def _forward(self, code):
        b, lanes = code.b, code.lanes.count
        groups, samples, _, step = self.extent
        across = next(n for n in (4, 2, 1) if samples % n == 0)
        places = self._table(code, self.windows)
        with code.times(groups) as g, code.times(samples // across) as s:
            group_at = code.scaled((g, samples * lanes))
            own = code.scaled((g, samples * lanes), (s, across * lanes), (INDEX(0), 1))
            with cgutils.for_range(b, INDEX(len(self.windows))) as loop:
                n = loop.index
                for first, size, count in tiles(self.outs, max(1, SUMS // across)):
                    with code.times(count) as j:
                        sums = [code.constant(-0.0)] * (size * across)
                        if self.bias >= 0:
                            at = code.scaled((group_at, 1), (j, size * step))
                            loaded = [code.load("values", self.bias + (first + r) * step, at) for r in range(size)]
                            sums = [value for value in loaded for _ in range(across)]

                        def body(k, i, sums, n=n, j=j, first=first, size=size, own=own, group_at=group_at):
                            here = b.add(self._window(code, places, n, b.add(i, INDEX(k)) if i else INDEX(k)), own)
                            x = [code.load("values", m * lanes, here) for m in range(across)]
                            at = code.scaled((group_at, 1), (j, size * self.inputs * step), (i, step))
                            w = [
                                code.load("values", self.weights + ((first + r) * self.inputs + k) * step, at)
                                for r in range(size)
                            ]
                            return [
                                b.fadd(sums[r * across + m], b.fmul(w[r], x[m]))
                                for r in range(size)
                                for m in range(across)
                            ]

                        sums = code.fold(self.inputs, sums, body)
                        target = code.scaled((own, 1), (n, self.outs * step), (j, size * step))
                        for k, value in enumerate(sums):
                            place = self.out + (first + k // across) * step + k % across * lanes
                            code.store("values", value, place, target)

    def _weights_back(self, code):
        """Add g_j x_i to each sample's adjoint of W_ji, and g_j to that of b_j, from the last position to the first."""
        b, lanes = code.b, code.lanes.count
        groups, samples, _, step = self.extent
        places = self._table(code, reversed(self.windows))
        with code.times(groups) as g, code.times(samples) as s:
            own = code.scaled((g, samples * lanes), (s, lanes), (INDEX(0), 1))
            for first, rows, count in tiles(self.outs, 4):
                with code.times(count) as j:
                    left = code.scaled((own, 1), (j, rows * step))
                    for second, columns, many in tiles(self.inputs, SUMS // rows):
                        with code.times(many) as i:
                            at = code.scaled((own, 1), (j, rows * self.inputs * step), (i, columns * step))
                            where = [
                                self.weights + ((first + r) * self.inputs + second + c) * step
                                for r in range(rows)
                                for c in range(columns)
                            ]

                            def body(
                                k, n, sums, i=i, first=first, second=second, rows=rows, columns=columns, left=left
                            ):
                                d = self._grads(code, first, rows, n, k, left)
                                at = code.scaled((INDEX(k * self.inputs + second), 1), (n, self.inputs), (i, columns))
                                x = []
                                for c in range(columns):
                                    place = b.load(b.gep(places, [INDEX(0), b.add(at, INDEX(c))]), align=8)
                                    x.append(code.load("values", 0, b.add(place, own)))
                                return [
                                    b.fadd(sums[r * columns + c], b.fmul(d[r], x[c]))
                                    for r in range(rows)
                                    for c in range(columns)
                                ]

                            start = [self._before(code, place, at) for place in where]
                            code.store_all(where, at, code.fold(len(self.windows), start, body, unroll=2))
            if self.bias >= 0:
                self._biases_back(code, own)

    def _biases_back(self, code, own):
        """Add g_j to a sample's adjoint of b_j, from the last position on. own: the sample's dynamic index."""
        b, step = code.b, self.extent.step
        for first, rows, count in tiles(self.outs, SUMS):
            with code.times(count) as j:
                left = code.scaled((own, 1), (j, rows * step))
                where = [self.bias + (first + r) * step for r in range(rows)]

                def body(k, n, sums, first=first, rows=rows, left=left):
                    return [b.fadd(a, d) for a, d in zip(sums, self._grads(code, first, rows, n, k, left), strict=True)]

                start = [self._before(code, place, left) for place in where]
                code.store_all(where, left, code.fold(len(self.windows), start, body))

    def _before(self, code, place, at):
        """Return the adjoint of a weight or bias so far."""
        return code.constant(0.0) if self.fresh else code.load("adjoints", place, at)

    def _grads(self, code, first, size, n, k, left):
        """Return g_j of some outputs at the position k + n before the last; n is computed, or None for 0."""
        step = self.extent.step
        end = self.out + (len(self.windows) - 1) * self.outs * step
        at = code.scaled((left, 1), (n, -self.outs * step))
        return [code.load("adjoints", end + (first + r - k * self.outs) * step, at) for r in range(size)]
