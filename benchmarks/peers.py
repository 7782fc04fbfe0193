"""The peers, each in a process of its own: a worker that reads commands and answers with seconds.

    python -m benchmarks.peers PEER WORK THREADS FOLDER STEPS

The process keeps to THREADS cores. simsa writes the start, the minibatches and its own result of a short run to FOLDER
("draw"); the others start from those ("check" writes their result), so that all do the same work.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.work import WORKS, Work

CHECKED = 64, 20
"""Trajectories and steps of the run whose results are compared."""


class Simsa:
    """simsa on one of its engines, ties and events recorded."""

    def __init__(self, work: Work, threads: int, folder: Path, steps: int, engine: str) -> None:
        from simsa.machine import descend, tape_of

        self.engine, self.name = engine, "simsa" if engine == "specialised" else engine

        self.work, self.threads, self.folder, self.steps = work, threads, folder, steps
        self.tape, self.rows, self.descend = tape_of(work.program()), work.rows(), descend

    def block(self, first: int, count: int, steps: int) -> np.ndarray:
        """Run some trajectories, and return their final parameters."""
        where = {"c": 1.0, "cell": 0, "first": first, "count": count, "engine": self.engine}
        return self.descend(self.tape, self.rows, self.work.descent(steps), **where)["final"]

    def draw(self) -> None:
        """Write what the other peers need to do the same work, and the result that they must reach."""
        from simsa.kernels.streams import FIXED_SIZE, minibatch, scratch_size
        from simsa.machine import initial_points

        work, n = self.work, len(self.rows)
        descent = work.descent(max(self.steps, CHECKED[1]))
        start = initial_points(descent, 0, 0, work.trajectories, self.tape.parameters)
        index = np.zeros((work.trajectories if work.widths else 1, descent.steps, work.batch), np.int64)
        if work.widths:
            scratch = np.full(scratch_size(FIXED_SIZE, n, work.batch), -1, np.int64)
            for t in range(len(index)):
                for k in range(descent.steps):
                    seed = np.uint64(descent.seed)
                    minibatch(FIXED_SIZE, n, work.batch, False, seed, 0, t, k, scratch, index[t, k], 0, 1)
        np.savez(self.folder / "inputs.npz", start=start, index=index.astype(np.int32))

    def check(self) -> None:
        """Write the result of the short run."""
        np.save(self.folder / f"{self.name}.npy", self.block(0, *CHECKED))

    def prepare(self) -> None:
        """Warm up."""
        self.run()

    def run(self) -> None:
        """Run all trajectories, in as many Python threads as cores."""
        total = self.work.trajectories
        edges = np.linspace(0, total, 16 * self.threads + 1 if self.threads > 1 else 2, dtype=int).tolist()
        blocks = [(a, b - a, self.steps) for a, b in pairwise(edges)]
        if self.threads == 1:
            self.block(*blocks[0])
            return
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(lambda block: self.block(*block), blocks))


class Jax:
    """JAX, compiled by XLA for this work: a scan over steps of a vmap over trajectories, or the other way round."""

    def __init__(self, work: Work, threads: int, folder: Path, steps: int, outer: str) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax, self.work, self.folder, self.steps, self.outer = jax, work, folder, steps, outer

    def load(self, count: int, steps: int) -> None:
        """Put the inputs on the device, and compile."""
        inputs, work = np.load(self.folder / "inputs.npz"), self.work
        start, index = inputs["start"][:count], inputs["index"][:count, :steps]
        if work.widths:
            self.inputs = self.jax.device_put((self.layers(start), index))
            self.function = self.compiled(self.network_step())
        else:
            self.inputs = self.jax.device_put((start, np.zeros((count, steps, 0))))
            self.function = self.compiled(self.scalar_step())
        self.result = self.jax.block_until_ready(self.function(*self.inputs))

    def layers(self, flat: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Split parameters (count, p) into weights and biases."""
        result, at = [], 0
        for i, o in pairwise(self.work.widths):
            weights = flat[:, at : at + i * o].reshape(-1, o, i)
            result.append((weights, flat[:, at + i * o : at + i * o + o]))
            at += i * o + o
        return result

    def compiled(self, step: Callable) -> Callable:
        """Return the whole descent, jitted."""
        jax = self.jax
        if self.outer == "vmap":
            return jax.jit(jax.vmap(lambda start, index: jax.lax.scan(step, start, index)[0]))
        many = jax.vmap(step)
        return jax.jit(lambda start, index: jax.lax.scan(many, start, jax.numpy.swapaxes(index, 0, 1))[0])

    def network_step(self) -> Callable:
        """Return one step of one trajectory."""
        jax, rate = self.jax, self.work.rate
        rows = jax.device_put(self.work.rows())

        def loss(layers, batch):
            x = batch[:, :-1]
            for weights, bias in layers[:-1]:
                x = jax.nn.relu(x @ weights.T + bias)
            weights, bias = layers[-1]
            return jax.numpy.mean(((x @ weights.T + bias)[:, 0] - batch[:, -1]) ** 2)

        def step(layers, index):
            slopes = jax.grad(loss)(layers, rows[index])
            return jax.tree.map(lambda x, slope: x - rate * slope, layers, slopes), None

        return step

    def scalar_step(self) -> Callable:
        """Return one step of one trajectory."""
        jax, rate = self.jax, self.work.rate
        relu = jax.nn.relu

        def objective(point):
            x, y = point
            kinks = relu(x * y) * relu(x - y) + relu(x - y) * relu(y)
            return x * x + y * y + kinks * (x * y)

        return lambda point, _: (point - rate * jax.grad(objective)(point), None)

    def check(self) -> None:
        """Write the result of the short run."""
        self.load(*CHECKED)
        leaves = [np.asarray(leaf).reshape(CHECKED[0], -1) for leaf in self.jax.tree.leaves(self.result)]
        np.save(self.folder / f"jax-{self.outer}.npy", np.concatenate(leaves, axis=1))

    def prepare(self) -> None:
        """Compile and warm up."""
        self.load(self.work.trajectories, self.steps)

    def run(self) -> None:
        """Run all trajectories."""
        self.jax.block_until_ready(self.function(*self.inputs))


PEERS = {
    "simsa": ("simsa, specialised", lambda *args: Simsa(*args, engine="specialised")),
    "interpreter": ("simsa, interpreter", lambda *args: Simsa(*args, engine="interpreter")),
    "jax-vmap": ("JAX jit(vmap(scan))", lambda *args: Jax(*args, outer="vmap")),
    "jax-scan": ("JAX jit(scan(vmap))", lambda *args: Jax(*args, outer="scan")),
}


def main(peer: str, name: str, threads: str, folder: str, steps: str) -> None:
    """Answer commands from standard input, one word a line: each with the seconds that it took."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    work = next(work for work in WORKS if work.name == name)
    worker = PEERS[peer][1](work, int(threads), Path(folder), int(steps))
    for line in sys.stdin:
        began = time.perf_counter()
        getattr(worker, line.strip())()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
