"""What every peer shares: the inputs that all start from, and the words that a worker answers to."""

import math
import time
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.work import CHECKED, Work

SHORTEST = 0.25
"""Seconds that a timed run takes at least: the work is repeated until then."""

LONGEST = 1.0
"""Seconds that a timed run takes about at most, if the peer's steps are a loop of Python: it does fewer steps."""


class Peer:
    """A peer: `load` puts the inputs of some trajectories and steps in place, `descend` runs them.

    options: what its entry in PEERS says. Each run does the same, from the same start.
    """

    package: ClassVar[str] = ""
    """What must be installed."""

    stepwise: ClassVar[bool] = False
    """Whether a timed run may do fewer steps, because each is a call from Python."""

    compared: ClassVar[int] = CHECKED[0]
    """Trajectories of the check, fewer for a peer that would take minutes."""

    whole: ClassVar[bool] = False
    """Whether the check runs all trajectories: a peer that compiles for a size then does so once."""

    most: ClassVar[int] = 2**62
    """Most trajectories of a timed run: all, but for a peer that would take minutes."""

    def __init__(self, work: Work, threads: int, folder: Path, **options: Any) -> None:
        self.work, self.threads, self.folder, self.options = work, threads, folder, options
        self.kind = np.dtype(work.precision)
        self.repeats = 1
        self.count = self.steps = 0

    @classmethod
    def cannot(cls, work: Work, **options: Any) -> str:
        """Return why this peer does not do the work, or nothing."""
        return ""

    def load(self, count: int, steps: int) -> None:
        """Put the inputs of the first trajectories and steps in place, and compile."""
        raise NotImplementedError

    def descend(self) -> Any:
        """Run what is loaded, and return the final parameters as the peer has them."""
        raise NotImplementedError

    def flat(self, result: Any) -> np.ndarray:
        """Return the final parameters, (count, p)."""
        return np.asarray(result)

    def inputs(self, count: int, steps: int) -> dict[str, np.ndarray]:
        """Return `start` (count, p), `rows` (n, d), and `index` (count, steps, batch) or `mask` (count, steps, n)."""
        self.count, self.steps = count, steps
        stored = np.load(self.folder / "inputs.npz")
        result = {"start": stored["start"][:count].astype(self.kind), "rows": self.work.rows().astype(self.kind)}
        for name in {"index", "mask"} & set(stored):
            result[name] = stored[name][:count, :steps]
        return result

    def leaves(self, flat: np.ndarray) -> list[np.ndarray]:
        """Split parameters (count, p) into the model's arrays, trajectories first."""
        result, at = [], 0
        for shape in self.work.model.shapes:
            result.append(np.ascontiguousarray(flat[:, at : at + prod(shape)].reshape(-1, *shape)))
            at += prod(shape)
        return result

    def check(self, name: str, trajectories: str) -> None:
        """Write the result of a short run, of the trajectories that are compared."""
        self.load(int(trajectories) if self.whole else self.compared, CHECKED[1])
        np.save(self.folder / f"{name}.npy", self.flat(self.descend())[: self.compared])

    def prepare(self, trajectories: str, steps: str) -> None:
        """Load the work, warm up, and choose the length of a timed run."""
        count, most = min(int(trajectories), self.most), int(steps)
        first = min(2, most) if self.stepwise else most
        self.load(count, first)
        self.descend()
        began = time.perf_counter()
        self.descend()
        seconds = time.perf_counter() - began
        if self.stepwise:
            now = max(1, min(most, int(LONGEST / (seconds / first))))
            self.load(count, now)
            self.descend()
            seconds *= now / first
        self.repeats = max(1, math.ceil(SHORTEST / seconds))

    def run(self) -> int:
        """Do the work, and return how many traj-steps that were."""
        for _ in range(self.repeats):
            self.descend()
        return self.repeats * self.count * self.steps
