"""NumPy by hand: gradients written out, all trajectories in one array; a loop of Python over the steps."""

from typing import Any

import numpy as np

from benchmarks.models import Convolution, Dense, Scalar, Sort
from benchmarks.peers.base import Peer
from benchmarks.peers.straight import straight
from benchmarks.work import Work


def by_loss(name: str, y: Any, target: Any) -> Any:
    """Return the derivatives of the losses (count, b) with respect to the scores (count, b, o)."""
    if name == "squared":
        return 2 * (y - target)
    if name == "l1":
        return np.sign(y - target)
    powers = np.exp(y - y.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True) - (target == np.arange(y.shape[-1]))


def dense(model: Dense, leaves: list[Any], rows: Any, weights: Any) -> list[Any]:
    """Return the gradients of a network. rows: (count or 1, b, d). weights: (count or 1, b, 1), of the samples."""
    xs, last = [rows[..., : model.widths[0]]], len(leaves) - 2
    for n in range(0, len(leaves), 2):
        y = xs[-1] @ leaves[n].swapaxes(1, 2) + leaves[n + 1][:, None]
        xs.append(np.maximum(y, 0) if n < last else y)
    above = by_loss(model.loss, xs[-1], rows[..., model.widths[0] :]) * weights
    slopes: list[Any] = []
    for n in range(last, -1, -2):
        x = xs[n // 2]
        slopes = [above.swapaxes(1, 2) @ x, above.sum(axis=1), *slopes]
        if n:
            above = (above @ leaves[n]) * (x > 0)
    return slopes


def sort(model: Sort, leaves: list[Any], rows: Any, weights: Any) -> list[Any]:
    """Return the gradients of the sort loss: the weight of each entry's rank."""
    ranks = np.argsort(np.argsort(leaves[0][:, None] - rows, axis=-1, kind="stable"), axis=-1)
    return [(model.weights[ranks] * weights).sum(axis=1)]


def scalar(model: Scalar) -> Any:
    """Return a function for the gradients of a scalar program: its straight-line text, compiled by Python."""
    lines = "\n".join(f"    {name} = {expression}" for name, expression in straight(model.program()))
    scope: dict[str, Any] = {"where": np.where, "zero": 0.0, "one": 1.0}
    exec(f"def slopes(r0, r1):\n{lines}\n    return [d0, d1]", scope)
    return scope["slopes"]


class Numpy(Peer):
    """All in NumPy's own loops, which use one core but for the products of large matrices."""

    stepwise = True

    @classmethod
    def cannot(cls, work: Work, **options: Any) -> str:
        return "no gradient was written by hand" if isinstance(work.model, Convolution) else ""

    def load(self, count: int, steps: int) -> None:
        inputs, model = self.inputs(count, steps), self.work.model
        self.start, self.rows = self.leaves(inputs["start"]), inputs["rows"]
        self.index, self.mask = inputs.get("index"), inputs.get("mask")
        if isinstance(model, Scalar):
            by_hand = scalar(model)
            self.slopes = lambda leaves, rows, weights: by_hand(*leaves)
        else:
            gradients: Any = dense if isinstance(model, Dense) else sort
            self.slopes = lambda leaves, rows, weights: gradients(model, leaves, rows, weights)

    def descend(self) -> Any:
        leaves, rate = self.start, self.kind.type(self.work.rate)
        for k in range(self.steps):
            rows = self.rows[None] if self.index is None else self.rows[self.index[:, k]]
            weights = np.full((1, rows.shape[1], 1), 1 / rows.shape[1], self.kind)
            if self.mask is not None:
                weights = (self.mask[:, k] / self.mask[:, k].sum(axis=1, keepdims=True))[..., None].astype(self.kind)
            slopes = self.slopes(leaves, rows, weights)
            leaves = [x - rate * slope for x, slope in zip(leaves, slopes, strict=True)]
        return leaves

    def flat(self, result: Any) -> np.ndarray:
        return np.concatenate([leaf.reshape(self.count, -1) for leaf in result], axis=1)
