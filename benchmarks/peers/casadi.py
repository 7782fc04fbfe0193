"""CasADi: the gradient of a sample as an SX function, mapped over trajectories in threads, on its virtual machine."""

from pathlib import Path
from typing import Any

import casadi
import numpy as np

from benchmarks.models import Dense, Scalar, walk
from benchmarks.peers.base import Peer
from benchmarks.work import Work


class Ops:
    """The functions of scalar programs."""

    relu = staticmethod(lambda x: casadi.fmax(x, 0.0))
    abs, maximum, minimum = casadi.fabs, casadi.fmax, casadi.fmin


class Casadi(Peer):
    """A loop of Python over the steps; parameters are columns, as CasADi has them."""

    stepwise = True
    compared = 32
    most = 256

    def __init__(self, work: Work, threads: int, folder: Path) -> None:
        super().__init__(work, threads, folder)
        x, row = casadi.SX.sym("x", work.parameters), casadi.SX.sym("row", work.rows().shape[1])
        loss = self.loss(x, row)
        self.single = casadi.Function("single", [x, row], [casadi.gradient(loss, x)])

    @classmethod
    def cannot(cls, work: Work, **options: Any) -> str:
        if work.precision != "float64":
            return "its virtual machine computes in float64 only"
        if work.subsets:
            return "a graph has a fixed number of samples"
        return "" if isinstance(work.model, Dense | Scalar) else "no expression was written for this model"

    def loss(self, x: Any, row: Any) -> Any:
        """Return the loss of one sample."""
        model = self.work.model
        if isinstance(model, Scalar):
            return walk(model.program(), Ops, [x[0], x[1]])
        y, target, at = row[: model.widths[0]], row[model.widths[0] :], 0
        for n, (o, i) in enumerate(model.shapes[::2]):
            # reshape goes column by column
            y = casadi.reshape(x[at : at + o * i], i, o).T @ y + x[at + o * i : at + o * i + o]
            at += o * i + o
            if n + 2 < len(model.widths):
                y = casadi.fmax(y, 0.0)
        if model.loss == "cross_entropy":
            chosen = casadi.vertcat(*(casadi.if_else(target[0] == j, y[j], 0.0) for j in range(o)))
            return casadi.logsumexp(y) - casadi.sum1(chosen)
        return casadi.sum1(casadi.fabs(y - target) if model.loss == "l1" else (y - target) ** 2)

    def load(self, count: int, steps: int) -> None:
        inputs, work = self.inputs(count, steps), self.work
        self.start, self.rows, self.index = inputs["start"].T, inputs["rows"], inputs.get("index")
        batch, d = work.batch or len(self.rows), self.rows.shape[1]
        x, rows = casadi.MX.sym("x", work.parameters), casadi.MX.sym("rows", max(d, 1), batch)
        total = sum(self.single(x, rows[:d, b]) for b in range(batch))
        step = casadi.Function("step", [x, rows], [x - work.rate / batch * total])
        self.many = step.map(count, "thread", self.threads) if self.threads > 1 else step.map(count)

    def descend(self) -> Any:
        x, count = casadi.DM(self.start), self.count
        fixed = None
        if self.index is None:
            fixed = casadi.DM(np.tile(self.rows.T if self.rows.size else np.zeros((1, 1)), (1, count)))
        for k in range(self.steps):
            if fixed is None:
                drawn = casadi.DM(np.ascontiguousarray(self.rows[self.index[:, k].ravel()].T))
            x = self.many(x, fixed if fixed is not None else drawn)
        return x

    def flat(self, result: Any) -> np.ndarray:
        return result.full().T
