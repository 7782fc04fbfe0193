"""The methods of an engine: whether it runs a task, what that costs, and how a block is begun and advanced.

Shared arguments.
task: what is run. descent: the recursion with its laws. c: the step scale. first, count: trajectories first, ...,
first + count - 1. trajectory: its number, from 0. progress: that of a block of trajectories. say: a function that takes
a line for the user, if something has to be compiled.
"""

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
"""A function that takes a line for the user."""


@dataclass(frozen=True, eq=False)
class Task:
    """What trajectories are run of.

    tape: of the program. rows: the samples, (n, d). descent: the recursion. precision: the name of a format, or
    "exact". exact: what the exact engine needs besides; None if the scenario has no exact cells.
    """

    tape: Tape
    rows: NDArray[np.float64]
    descent: Descent
    precision: str
    exact: ExactSteps | None = None


@dataclass(frozen=True)
class Work:
    """How much work a task is.

    trajectories: how many, of `steps` steps each. gradients: the total number of gradients of single samples. values:
    the total number of values of single samples, for J at the checkpoints. cores: how many may work at the same time.
    """

    trajectories: int
    steps: int
    gradients: float
    values: float
    cores: int = 1


PARAMETER, DRAW, DATUM, STREAMED = 1e-9, 20e-9, 0.6e-9, 75e-9
"""Seconds that kernels take on one core, in a step: for each parameter; for drawing each sample; for each number of a
sample that is read; and for each number that is streamed. They are fitted to the runs of `benchmarks/` on Zen 3, and
within a factor of two of each."""


@dataclass(frozen=True)
class Rate:
    """The seconds that the gradient of one sample takes on one core.

    operand, instruction: for each operand and each instruction of the tape. pair: for each pair of operands that a sort
    compares.
    """

    operand: float
    instruction: float
    pair: float = 0.0

    def of(self, tape: Tape) -> float:
        """Return the seconds of the gradient of a tape."""
        pairs = sum(tape.row(k).operation.comparisons(int(line[COUNT])) for k, line in enumerate(tape.code))
        return len(tape.operands) * self.operand + len(tape.code) * self.instruction + pairs * self.pair


class Draws(Protocol):
    """A module that draws random numbers outside of a run: `machine.draws` in plain Python, or `machine.launch`."""

    def minibatches(self, descent: Descent, n: int, c: Scale, trajectory: int, first: int = 0) -> Iterator[list[int]]:
        """Yield I_first, I_{first + 1}, ... of a trajectory: samples out of n, in the order in which they are drawn."""

    def streamed(self, descent: Descent, c: Scale, trajectory: int, step: int) -> NDArray[np.float64]:
        """Return the streamed samples of one step of a trajectory, (size, d)."""

    def initial_points(self, descent: Descent, c: Scale, first: int, count: int, p: int) -> NDArray[np.float64]:
        """Return x_0 of trajectories first, ..., first + count - 1, shape (count, p), in float64."""


class Engine(ABC):
    """One way to run trajectories."""

    name: ClassVar[str]
    parallel: ClassVar[bool] = True
    """Whether several threads can run blocks at the same time."""
    draws: ClassVar[Draws]
    """The module that draws its random numbers."""

    @abstractmethod
    def refuses(self, task: Task) -> str:
        """Return why the engine refuses a task, in a line; empty if it runs it."""

    @abstractmethod
    def seconds(self, task: Task, work: Work) -> float:
        """Return how many seconds one core works on a task, once the engine is ready."""

    @abstractmethod
    def preparing(self, task: Task) -> float:
        """Return how many seconds it takes on this machine until the engine is ready for a task."""

    @abstractmethod
    def prepare(self, task: Task) -> None:
        """Make the engine ready: compile what it needs, or load it from disk."""

    @abstractmethod
    def begin(self, task: Task, *, c: Scale, first: int, count: int) -> Progress:
        """Return trajectories first, ..., first + count - 1 of a step scale before their first step."""

    @abstractmethod
    def advance(self, task: Task, progress: Progress, until: int, say: Say = lambda line: None) -> Progress:
        """Return trajectories before step `until`; `progress` is not changed."""

    def cost(self, task: Task, work: Work) -> float:
        """Return how many seconds a task takes in all: until the engine is ready, and the run."""
        return self.preparing(task) + self.seconds(task, work) / (work.cores if self.parallel else 1)

    def run(
        self, task: Task, *, c: Scale, first: int, count: int, say: Say = lambda line: None
    ) -> dict[str, NDArray[Any]]:
        """Run trajectories to their end, and return their records."""
        progress = self.begin(task, c=c, first=first, count=count)
        return records(task.descent, self.advance(task, progress, task.descent.steps, say))
