"""PyTorch: `torch.func.vmap(grad)`, a loop of Python over the steps; as it is, or compiled by Inductor."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers.base import Peer
from benchmarks.work import Work


class Ops:
    """The functions of the models."""

    relu, abs, maximum, minimum = torch.relu, torch.abs, torch.maximum, torch.minimum
    reshape, largest, total, constant = torch.reshape, torch.amax, torch.sum, staticmethod(torch.from_numpy)
    transpose, logsumexp = torch.t, staticmethod(lambda x: torch.logsumexp(x, -1))
    sort = staticmethod(lambda x: torch.sort(x, dim=-1).values)
    equal = staticmethod(lambda a, b: (a == b).to(a.dtype))
    columns = staticmethod(lambda x, index: x[:, torch.from_numpy(index)])
    swap = staticmethod(lambda x: x.transpose(1, 2))


class Torch(Peer):
    """compiled: whether `torch.compile` compiles the step."""

    stepwise = True
    whole = True

    def __init__(self, work: Work, threads: int, folder: Path, compiled: bool) -> None:
        super().__init__(work, threads, folder)
        torch.set_num_threads(threads)
        step = torch.func.vmap(self.step, in_dims=(0, 0 if work.batch or work.subsets else None))
        self.many = torch.compile(step, dynamic=False) if compiled else step
        self.rows = torch.from_numpy(work.rows().astype(self.kind))

    def load(self, count: int, steps: int) -> None:
        inputs = self.inputs(count, steps)
        self.start = [torch.from_numpy(leaf) for leaf in self.leaves(inputs["start"])]
        drawn = inputs.get("index", inputs.get("mask"))
        self.drawn = [
            None if drawn is None else torch.from_numpy(np.ascontiguousarray(drawn[:, k])) for k in range(steps)
        ]

    def loss(self, leaves: Any, drawn: Any) -> Any:
        """Return the loss of one trajectory's minibatch."""
        work = self.work
        if work.subsets:
            return torch.sum(work.model.losses(Ops, leaves, self.rows) * drawn) / torch.sum(drawn)
        return torch.mean(work.model.losses(Ops, leaves, self.rows[drawn] if work.batch else self.rows))

    def step(self, leaves: Any, drawn: Any) -> Any:
        """Return one step of one trajectory."""
        slopes = torch.func.grad(self.loss)(leaves, drawn)
        return [x - self.work.rate * slope for x, slope in zip(leaves, slopes, strict=True)]

    def descend(self) -> Any:
        leaves = self.start
        with torch.no_grad():
            for drawn in self.drawn:
                leaves = self.many(leaves, drawn)
        return leaves

    def flat(self, result: Any) -> np.ndarray:
        return np.concatenate([leaf.numpy().reshape(self.count, -1) for leaf in result], axis=1)
