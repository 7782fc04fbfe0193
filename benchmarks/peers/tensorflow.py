"""TensorFlow: `vectorized_map` over trajectories in a loop of the graph over steps, compiled by XLA or not."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.models import Sort
from benchmarks.peers.base import Peer
from benchmarks.work import Work


class Ops:
    """The functions of the models."""

    relu, abs, maximum, minimum = tf.nn.relu, tf.abs, tf.maximum, tf.minimum
    reshape, largest, total, sort = tf.reshape, tf.reduce_max, tf.reduce_sum, tf.sort
    transpose, logsumexp = tf.transpose, staticmethod(lambda x: tf.reduce_logsumexp(x, axis=-1))
    constant = staticmethod(lambda x: x)
    equal = staticmethod(lambda a, b: tf.cast(a == tf.cast(b, a.dtype), a.dtype))
    columns = staticmethod(lambda x, index: tf.gather(x, index, axis=1))
    swap = staticmethod(lambda x: tf.transpose(x, (0, 2, 1)))


class TensorFlow(Peer):
    """compiled: whether XLA compiles the whole descent."""

    stepwise = True

    def __init__(self, work: Work, threads: int, folder: Path, compiled: bool) -> None:
        super().__init__(work, threads, folder)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.compiled = compiled

    @classmethod
    def cannot(cls, work: Work, **options: Any) -> str:
        if isinstance(work.model, Sort) and not options["compiled"]:
            return "vectorized_map turns the gradient of a sort into a loop over trajectories, minutes a run"
        return ""

    def load(self, count: int, steps: int) -> None:
        inputs, work = self.inputs(count, steps), self.work
        rows = tf.constant(inputs["rows"])
        drawn = inputs.get("index", inputs.get("mask", np.zeros((count, steps, 0), np.int32)))
        self.given = [tf.constant(leaf) for leaf in self.leaves(inputs["start"])]
        self.drawn = tf.constant(np.swapaxes(drawn, 0, 1))

        def slopes(given: Any) -> Any:
            leaves, index = given
            with tf.GradientTape() as tape:
                tape.watch(leaves)
                if work.subsets:
                    weights = tf.cast(index, rows.dtype)
                    loss = tf.reduce_sum(work.model.losses(Ops, leaves, rows) * weights) / tf.reduce_sum(weights)
                else:
                    loss = tf.reduce_mean(
                        work.model.losses(Ops, leaves, tf.gather(rows, index) if work.batch else rows)
                    )
            return tape.gradient(loss, leaves)

        def descend(leaves: Any, drawn: Any) -> Any:
            for k in tf.range(steps):
                down = tf.vectorized_map(slopes, (leaves, drawn[k]))
                leaves = [x - work.rate * slope for x, slope in zip(leaves, down, strict=True)]
            return leaves

        self.function = tf.function(descend, jit_compile=self.compiled)

    def descend(self) -> Any:
        result = self.function(self.given, self.drawn)
        result[0].numpy()
        return result

    def flat(self, result: Any) -> np.ndarray:
        return np.concatenate([leaf.numpy().reshape(self.count, -1) for leaf in result], axis=1)
