"""What a trajectory minimises. Each model is written twice: as simsa's program, and as losses over any array library.

`losses(ops, leaves, rows)` returns the loss of each row; leaves are the parameters in arrays of the model's shapes, and
ops are the few functions that array libraries spell in different ways. Peers written by hand read the model's numbers.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from simsa.machine import Initial
from simsa.program import Builder, Program, network, trace

Shape = tuple[int, ...]


def normal(shapes: tuple[Shape, ...], fans: tuple[int, ...]) -> Initial:
    """Return He's initial law: standard deviation sqrt(2 / fan-in), 0 for biases (fan 0)."""
    scales = [(2 / fan) ** 0.5 if fan else 0.0 for fan in fans]
    scale = np.concatenate([np.full(prod(shape), s) for shape, s in zip(shapes, scales, strict=True)])
    return Initial("normal", np.zeros(len(scale)), scale, np.zeros((1, len(scale))))


def digits() -> np.ndarray:
    """Return the handwritten digits of scikit-learn, (1797, 65): 64 grey values in [0, 1], and the class."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data / 16.0, bunch.target])


@dataclass(frozen=True)
class Dense:
    """A fully connected ReLU network. loss: "squared", "l1" or "cross_entropy". data: "sine" or "digits"."""

    widths: tuple[int, ...]
    loss: str = "squared"
    data: str = "sine"

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(shape for i, o in pairwise(self.widths) for shape in ((o, i), (o,)))

    @property
    def initial(self) -> Initial:
        return normal(self.shapes, tuple(fan for i in self.widths[:-1] for fan in (i, 0)))

    def program(self) -> Program:
        return network(list(self.widths), loss=self.loss)

    def rows(self, samples: int) -> np.ndarray:
        if self.data == "digits":
            return digits()[:samples]
        rng = np.random.default_rng(0)
        features = rng.normal(size=(samples, self.widths[0]))
        return np.column_stack([features, np.sin(features.sum(axis=1))])

    @property
    def products(self) -> int:
        """Return the multiplications of a sample: forward, gradient of the weights and of the inputs but the data."""
        sizes = [i * o for i, o in pairwise(self.widths)]
        return 3 * sum(sizes) - sizes[0]

    def losses(self, ops: Any, leaves: Any, rows: Any) -> Any:
        x, target = rows[:, : self.widths[0]], rows[:, self.widths[0] :]
        for n in range(0, len(leaves), 2):
            x = x @ ops.transpose(leaves[n]) + leaves[n + 1]
            if n + 2 < len(leaves):
                x = ops.relu(x)
        return loss_of(ops, self.loss, x, target)


@dataclass(frozen=True)
class Convolution:
    """Digits of 8 x 8: `filters` filters of 3 x 3, ReLU, maxima of 2 x 2, a dense layer to ten classes."""

    filters: int

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return ((self.filters, 9), (self.filters,), (10, 9 * self.filters), (10,))

    @property
    def initial(self) -> Initial:
        return normal(self.shapes, (9, 0, 9 * self.filters, 0))

    def program(self) -> Program:
        layers = [{"kind": "conv2d", "filters": self.filters, "size": 3}, {"kind": "max_pool2d", "size": 2}, 10]
        return network([[8, 8], *layers])

    def rows(self, samples: int) -> np.ndarray:
        return digits()[:samples]

    @property
    def products(self) -> int:
        # convolution: forward and weights (the image is data); of its gradient only one place in four is not zero
        return self.filters * (36 * 9 + 9 * 9 + 3 * 90)

    @cached_property
    def windows(self) -> np.ndarray:
        """Return the nine pixels of each of the 36 places of a filter, (36, 9)."""
        corner = (8 * np.arange(6)[:, None] + np.arange(6)).ravel()
        return corner[:, None] + (8 * np.arange(3)[:, None] + np.arange(3)).ravel()

    def losses(self, ops: Any, leaves: Any, rows: Any) -> Any:
        weights, bias, last, shift = leaves
        images, b, f = rows[:, :64], rows.shape[0], self.filters
        patches = ops.reshape(ops.columns(images, self.windows.ravel()), (b, 36, 9))
        maps = ops.relu(patches @ ops.transpose(weights) + bias)
        pooled = ops.largest(ops.reshape(maps, (b, 3, 2, 3, 2, f)), (2, 4))
        # the program has the maps one after the other
        x = ops.reshape(ops.swap(ops.reshape(pooled, (b, 9, f))), (b, 9 * f))
        return loss_of(ops, "cross_entropy", x @ ops.transpose(last) + shift, rows[:, 64:])


@dataclass(frozen=True)
class Sort:
    """A weighted sum of the sorted distances x_j - d_j: a loss of order statistics; no product of matrices."""

    length: int

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return ((self.length,),)

    @property
    def initial(self) -> Initial:
        return normal(self.shapes, (2,))

    @property
    def weights(self) -> np.ndarray:
        """Return the weights, from -1 for the least to 2 for the largest."""
        return np.linspace(-1.0, 2.0, self.length)

    def program(self) -> Program:
        return trace(lambda x, d: np.sum(np.sort(x - d) * self.weights), self.length, self.length)

    def rows(self, samples: int) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(samples, self.length))

    @property
    def products(self) -> int:
        return 0

    def losses(self, ops: Any, leaves: Any, rows: Any) -> Any:
        return ops.total(ops.sort(leaves[0] - rows) * ops.constant(self.weights), -1)


@dataclass(frozen=True)
class Scalar:
    """A function of two parameters of so many instructions, one by one, a third of them with kinks; no data."""

    instructions: int

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return ((), ())

    @property
    def initial(self) -> Initial:
        return Initial("uniform", np.zeros(2), np.ones(2), np.zeros((1, 2)))

    def program(self) -> Program:
        builder = Builder(2)
        x, y, half = 0, 1, builder.constant(0.5)
        cycle = (
            ("sub", y),
            ("relu",),
            ("mul", half),
            ("maximum", x),
            ("add", y),
            ("mul", half),
            ("abs",),
            ("minimum", x),
        )
        v = x
        for n in range(self.instructions - 6):
            name, *other = cycle[n % len(cycle)]
            v = builder.apply(name, [v, *other])
        product = builder.apply("mul", [x, y])
        squares = builder.apply("add", [builder.apply("square", [x]), builder.apply("square", [y])])
        return builder.finish([builder.apply("add", [squares, builder.apply("mul", [v, product])])])

    def rows(self, samples: int) -> np.ndarray:
        return np.zeros((1, 0))

    @property
    def products(self) -> int:
        return 0

    def losses(self, ops: Any, leaves: Any, rows: Any) -> Any:
        return ops.reshape(walk(self.program(), ops, list(leaves)), (1,))


def walk(program: Program, ops: Any, values: list[Any]) -> Any:
    """Return the output of a program of scalar instructions; `values` are its parameters, and grow."""
    functions = {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "square": lambda a: a * a,
        "relu": ops.relu, "abs": ops.abs, "maximum": ops.maximum, "minimum": ops.minimum,
    }  # fmt: skip
    for node in program.nodes:
        constant = node.primitive == "constant"
        operands = [values[r] for r in node.operands]
        values.append(node.immediates[0] if constant else functions[node.primitive](*operands))
    return values[program.outputs[0]]


def loss_of(ops: Any, name: str, scores: Any, target: Any) -> Any:
    """Return the loss of each row."""
    if name == "cross_entropy":
        chosen = ops.equal(target, ops.constant(np.arange(float(scores.shape[-1]))))
        return ops.logsumexp(scores) - ops.total(scores * chosen, -1)
    difference = scores - target
    return ops.total(ops.abs(difference) if name == "l1" else difference * difference, -1)
