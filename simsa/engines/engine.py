"""What an engine is asked: whether it runs a task, what that costs, and to begin a block and go on with it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from simsa.machine.progress import Progress, records
from simsa.machine.task import Descent, ExactSteps, Scale
from simsa.tape import Tape
from simsa.tape.tape import COUNT

Say = Callable[[str], None]
"""Takes a line for the user."""


@dataclass(frozen=True, eq=False)
class Task:
    """What trajectories are of: a tape, the samples (n, d), the recursion, a precision.

    exact: what rational numbers need besides; None if the scenario has none.
    """

    tape: Tape
    rows: NDArray[np.float64]
    descent: Descent
    precision: str
    exact: ExactSteps | None = None


@dataclass(frozen=True)
class Work:
    """How much of a task there is to do.

    trajectories: how many, of `steps` steps each. gradients: of single samples, in all. values: of the program at
    single samples, for J at the checkpoints. cores: how many may work at once.
    """

    trajectories: int
    steps: int
    gradients: float
    values: float
    cores: int = 1


PARAMETER, DRAW, DATUM, STREAMED = 1e-9, 20e-9, 0.6e-9, 75e-9
"""Seconds on one core, of kernels: for each parameter in a step; for each sample in it, to draw its number; for each
number that it has, read or streamed. Fitted to the works of `benchmarks/` on Zen 3, within a factor of two of each."""


@dataclass(frozen=True)
class Rate:
    """Seconds on one core that a gradient of one sample takes.

    For each operand and each instruction of the tape, and for each pair of entries that are sorted.
    """

    operand: float
    instruction: float
    pair: float = 0.0

    def of(self, tape: Tape) -> float:
        """Return the seconds of the gradient of a tape."""
        pairs = sum(tape.row(k).operation.comparisons(int(line[COUNT])) for k, line in enumerate(tape.code))
        return len(tape.operands) * self.operand + len(tape.code) * self.instruction + pairs * self.pair


class Draws(Protocol):
    """What draws random numbers apart from a run: plain Python (`machine.draws`), or kernels (`machine.launch`)."""

    def minibatches(self, descent: Descent, n: int, c: Scale, trajectory: int, first: int = 0) -> Iterator[list[int]]:
        """Yield I_first, I_{first + 1}, ... of a trajectory, samples out of n in the order drawn."""

    def streamed(self, descent: Descent, c: Scale, trajectory: int, step: int) -> NDArray[np.float64]:
        """Return the fresh samples of one step of a trajectory, (size, d)."""

    def initial_points(self, descent: Descent, c: Scale, first: int, count: int, p: int) -> NDArray[np.float64]:
        """Return x_0 of trajectories first, ..., first + count - 1, (count, p)."""


class Engine(ABC):
    """One way to run trajectories."""

    name: ClassVar[str]
    parallel: ClassVar[bool] = True
    """Whether blocks run at the same time on several threads."""
    draws: ClassVar[Draws]
    """What draws its random numbers."""

    @abstractmethod
    def refuses(self, task: Task) -> str:
        """Return why the engine does not run a task, in a line; empty if it does."""

    @abstractmethod
    def seconds(self, task: Task, work: Work) -> float:
        """Return how long one core works on a task, in seconds, once the engine is ready."""

    @abstractmethod
    def preparing(self, task: Task) -> float:
        """Return how long it will take on this machine until the engine is ready for a task, in seconds."""

    @abstractmethod
    def prepare(self, task: Task) -> None:
        """Make the engine ready: compile what it needs, or load it from disk."""

    @abstractmethod
    def begin(self, task: Task, *, c: Scale, first: int, count: int) -> Progress:
        """Return trajectories first, ..., first + count - 1 of a step scale before their first step."""

    @abstractmethod
    def advance(self, task: Task, progress: Progress, until: int, say: Say = lambda line: None) -> Progress:
        """Return trajectories after their steps up to `until`. say: takes a line if something has to be compiled."""

    def cost(self, task: Task, work: Work) -> float:
        """Return how long a task takes from now on, in seconds: until the engine is ready, and the run."""
        return self.preparing(task) + self.seconds(task, work) / (work.cores if self.parallel else 1)

    def run(
        self, task: Task, *, c: Scale, first: int, count: int, say: Say = lambda line: None
    ) -> dict[str, NDArray[Any]]:
        """Run trajectories to their end, and return their records."""
        progress = self.begin(task, c=c, first=first, count=count)
        return records(task.descent, self.advance(task, progress, task.descent.steps, say))
