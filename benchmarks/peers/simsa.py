"""simsa itself, on one of its engines."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.base import Peer
from benchmarks.work import CHECKED, Work
from simsa.machine import descend, initial_points, minibatches, tape_of, warm_up
from simsa.machine.layout import merged
from simsa.tape.tape import FLAGS, GUARDED

PATIENCE = 150
"""Most instructions that are specialised here."""


class Simsa(Peer):
    """engine: "specialised" or "interpreter". recording: whether guards are watched for ties and margins."""

    def __init__(self, work: Work, threads: int, folder: Path, engine: str, recording: bool = True) -> None:
        super().__init__(work, threads, folder)
        self.engine, self.tape = engine, tape_of(work.program())
        if not recording:
            code = self.tape.code.copy()
            code[:, FLAGS] &= ~GUARDED
            self.tape = replace(self.tape, code=code)

    @classmethod
    def cannot(cls, work: Work, **options: Any) -> str:
        count = len(merged(tape_of(work.program())))
        if options["engine"] == "specialised" and count > PATIENCE:
            return f"{count} instructions would compile for minutes"
        return ""

    def draw(self, trajectories: str, steps: str) -> None:
        """Write what the other peers need to do the same work.

        Trajectories that are not compared take the minibatches of those that are; simsa draws fresh ones.
        """
        work, n = self.work, len(self.work.rows())
        count, steps_drawn = int(trajectories), max(int(steps), CHECKED[1])
        descent = work.descent(steps_drawn)
        arrays = {"start": initial_points(descent, 1.0, 0, count, self.tape.parameters)}
        if work.law != "full":
            name, width, kind = ("mask", n, bool) if work.subsets else ("index", work.batch, np.int32)
            drawn = np.zeros((min(count, CHECKED[0]), steps_drawn, width), kind)
            for t in range(len(drawn)):
                for k, batch in enumerate(minibatches(descent, n, 1.0, t)):
                    drawn[t, k, batch if work.subsets else slice(None)] = True if work.subsets else batch
            arrays[name] = np.resize(drawn, (count, *drawn.shape[1:]))
        np.savez(self.folder / "inputs.npz", **arrays)

    def load(self, count: int, steps: int) -> None:
        self.count, self.steps = count, steps
        # once in one thread: the kernels are compiled or imported when first used
        task = (self.tape, self.work.rows(), self.work.descent(steps))
        warm_up(self.work.precision, task if self.engine == "specialised" else None)
        pieces = 16 * self.threads + 1 if self.threads > 1 else 2
        edges = np.unique(np.linspace(0, count, min(pieces, count // 16 + 1), dtype=int)).tolist()
        self.blocks = list(pairwise(edges))

    def block(self, block: tuple[int, int]) -> np.ndarray:
        """Run some trajectories, and return their final parameters."""
        where = {"c": 1.0, "first": block[0], "count": block[1] - block[0], "engine": self.engine}
        descent = self.work.descent(self.steps)
        return descend(self.tape, self.work.rows(), descent, precision=self.work.precision, **where)["final"]

    def descend(self) -> np.ndarray:
        """Run all trajectories, in as many Python threads as cores."""
        if self.threads == 1:
            return np.concatenate([self.block(block) for block in self.blocks])
        with ThreadPoolExecutor(self.threads) as pool:
            return np.concatenate(list(pool.map(self.block, self.blocks)))
