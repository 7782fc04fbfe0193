"""Engines in plain Python, which need no compiler: the definition in floating point, and the rational numbers."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from simsa import formats
from simsa.engines.engine import Draws, Engine, Rate, Say, Task, Work
from simsa.errors import SimsaError
from simsa.formats import EXACT, INNOCUOUS
from simsa.machine import draws, exact
from simsa.machine.floating import arithmetic
from simsa.machine.progress import Progress
from simsa.machine.replay import Walker
from simsa.machine.task import ExactSteps, Scale

NO_STEPS = "the task has no step sizes without rounding"


class Plain(Engine):
    """Steps in plain Python, one trajectory after the other."""

    parallel = False
    draws: ClassVar[Draws] = draws
    rate = Rate(operand=6e-6, instruction=45e-6)

    @abstractmethod
    def walker(self, task: Task) -> Walker:
        """Return the walker that takes the steps of a task."""

    @abstractmethod
    def gamma(self, task: Task, c: Scale) -> Sequence[Any]:
        """Return the step sizes of a step scale."""

    def seconds(self, task: Task, work: Work) -> float:
        """Return the seconds of one core."""
        return (work.gradients + work.values / 3) * self.rate.of(task.tape) + work.trajectories * work.steps * 50e-6

    def preparing(self, task: Task) -> float:
        """Return the seconds until the engine is ready."""
        return 0.0

    def prepare(self, task: Task) -> None:
        """Do nothing: plain Python is always ready."""

    def begin(self, task: Task, *, c: Scale, first: int, count: int) -> Progress:
        """Return trajectories before their first step."""
        return self.walker(task).begin(task.descent, c=c, first=first, count=count)

    def advance(self, task: Task, progress: Progress, until: int, say: Say = lambda line: None) -> Progress:
        """Return trajectories before step `until`."""
        return self.walker(task).advance(task.descent, self.gamma(task, progress.c), progress, until)


class Reference(Plain):
    """The definition of what is computed in floating point; the kernels have its bits."""

    name = "reference"

    def refuses(self, task: Task) -> str:
        """Return why a task is refused; empty if it is not."""
        if task.precision == EXACT:
            return f"it computes in floating point only, not with {EXACT}"
        row = formats.find(task.precision)
        if not (row.native or row.widened):
            return (
                f"it computes with formats that NumPy has, and with others of at most {INNOCUOUS} bits within the "
                f"range of float64, not with {row.name}"
            )
        sums = formats.find(row.sums or row.name)
        if (most := max(len(task.rows), task.descent.size)) > sums.counts:
            return f"it counts at most {sums.counts} samples in {sums.name}, there are {most}"
        return ""

    def walker(self, task: Task) -> Walker:
        """Return the walker that takes the steps of a task."""
        descent = task.descent
        kind = arithmetic(formats.find(task.precision))
        return Walker(task.tape, task.rows, kind, rule=descent.rule, constants=descent.numbers)

    def gamma(self, task: Task, c: Scale) -> Sequence[Any]:
        """Return the step sizes of a step scale."""
        return list(float(c) * task.descent.alpha)


class Exact(Plain):
    """The rational numbers, in which nothing is rounded. It refuses functions that are not rational."""

    name = "exact"

    def refuses(self, task: Task) -> str:
        """Return why a task is refused; empty if it is not."""
        if task.precision != EXACT:
            return f"it computes with rational numbers only, not with {task.precision}"
        return NO_STEPS if task.exact is None else exact.refusal(task.tape) or task.descent.rule.irrational

    def walker(self, task: Task) -> Walker:
        """Return the walker that takes the steps of a task."""
        return exact.walker(task.tape, task.rows, task.descent, _exact(task).bits)

    def gamma(self, task: Task, c: Scale) -> Sequence[Any]:
        """Return the step sizes of a step scale."""
        if isinstance(c, float):
            raise SimsaError(f"a step scale of rational numbers is named by a fraction, got {c!r}")
        return _exact(task).gamma(c)


def _exact(task: Task) -> ExactSteps:
    """Return what the exact engine needs besides a descent; raises SimsaError if the task does not have it."""
    if task.exact is None:
        raise SimsaError(NO_STEPS)
    return task.exact
