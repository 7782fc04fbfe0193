"""JAX, compiled by XLA for the work: a scan over steps of a vmap over trajectories, or the other way round."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.base import Peer
from benchmarks.work import Work


class Ops:
    """The functions of the models."""

    relu, abs, maximum, minimum = jax.nn.relu, jnp.abs, jnp.maximum, jnp.minimum
    reshape, largest, sort, total, constant = jnp.reshape, jnp.max, jnp.sort, jnp.sum, jnp.asarray
    transpose, logsumexp = jnp.transpose, staticmethod(lambda x: jax.nn.logsumexp(x, axis=-1))
    equal = staticmethod(lambda a, b: (a == b).astype(a.dtype))
    columns = staticmethod(lambda x, index: x[:, index])
    swap = staticmethod(lambda x: jnp.swapaxes(x, 1, 2))


class Jax(Peer):
    """outer: "vmap" or "scan"."""

    def __init__(self, work: Work, threads: int, folder: Path, outer: str) -> None:
        super().__init__(work, threads, folder)
        jax.config.update("jax_enable_x64", work.precision == "float64")
        self.outer = outer

    def load(self, count: int, steps: int) -> None:
        inputs = self.inputs(count, steps)
        rows = jax.device_put(inputs["rows"])
        drawn = inputs.get("index", inputs.get("mask", np.zeros((count, steps, 0))))
        step = self.step(rows)
        if self.outer == "vmap":
            function = jax.vmap(lambda start, index: jax.lax.scan(step, start, index)[0])
        else:
            many = jax.vmap(step)

            def function(start: Any, index: Any) -> Any:
                return jax.lax.scan(many, start, jnp.swapaxes(index, 0, 1))[0]

        self.given = jax.device_put((self.leaves(inputs["start"]), drawn))
        self.function = jax.jit(function)

    def step(self, rows: Any) -> Any:
        """Return one step of one trajectory."""
        work = self.work
        rate = self.kind.type(work.rate)

        def loss(leaves: Any, drawn: Any) -> Any:
            if work.subsets:
                return jnp.sum(work.model.losses(Ops, leaves, rows) * drawn) / jnp.sum(drawn)
            return jnp.mean(work.model.losses(Ops, leaves, rows[drawn] if work.batch else rows))

        def step(leaves: Any, drawn: Any) -> Any:
            slopes = jax.grad(loss)(leaves, drawn)
            return jax.tree.map(lambda x, slope: x - rate * slope, leaves, slopes), None

        return step

    def descend(self) -> Any:
        return jax.block_until_ready(self.function(*self.given))

    def flat(self, result: Any) -> np.ndarray:
        return np.concatenate([np.asarray(leaf).reshape(self.count, -1) for leaf in result], axis=1)
