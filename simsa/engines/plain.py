"""Plain Python, which needs no compiler: the definition in floating point, and the rational numbers."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from simsa.engines.engine import Draws, Engine, Rate, Say, Task, Work
from simsa.errors import SimsaError
from simsa.machine import draws, exact
from simsa.machine.progress import Progress
from simsa.machine.reference import ARITHMETICS
from simsa.machine.replay import Walker
from simsa.machine.task import ExactSteps, Scale
from simsa.scenario.schema import EXACT


class Plain(Engine):
    """Steps in plain Python, one trajectory after the other."""

    parallel = False
    draws: ClassVar[Draws] = draws
    rate = Rate(operand=6e-6, instruction=45e-6)

    @abstractmethod
    def walker(self, task: Task) -> Walker:
        """Return what takes the steps of a task."""

    @abstractmethod
    def gamma(self, task: Task, c: Scale) -> Sequence[Any]:
        """Return the step sizes of a step scale."""

    def seconds(self, task: Task, work: Work) -> float:
        """Return the seconds of one core, ready."""
        return (work.gradients + work.values / 3) * self.rate.of(task.tape) + work.trajectories * work.steps * 50e-6

    def preparing(self, task: Task) -> float:
        """Return the seconds until the engine is ready."""
        return 0.0

    def prepare(self, task: Task) -> None:
        """Nothing has to be made ready."""

    def begin(self, task: Task, *, c: Scale, first: int, count: int) -> Progress:
        """Return trajectories before their first step."""
        return self.walker(task).begin(task.descent, c=c, first=first, count=count)

    def advance(self, task: Task, progress: Progress, until: int, say: Say = lambda line: None) -> Progress:
        """Return trajectories after their steps up to `until`."""
        return self.walker(task).advance(task.descent, self.gamma(task, progress.c), progress, until)


class Reference(Plain):
    """The definition of floating point: the kernels have its bits."""

    name = "reference"

    def refuses(self, task: Task) -> str:
        """Return why a task is refused, or nothing."""
        return "" if task.precision in ARITHMETICS else f"it computes with {' and '.join(ARITHMETICS)} only"

    def walker(self, task: Task) -> Walker:
        """Return what takes the steps of a task."""
        descent = task.descent
        kind = ARITHMETICS[task.precision]
        return Walker(task.tape, task.rows, kind, rule=descent.rule, constants=descent.numbers)

    def gamma(self, task: Task, c: Scale) -> Sequence[Any]:
        """Return the step sizes of a step scale."""
        return list(float(c) * task.descent.alpha)


class Exact(Plain):
    """The rational numbers: no rounding, and no function that leaves them."""

    name = "exact"

    def refuses(self, task: Task) -> str:
        """Return why a task is refused, or nothing."""
        if task.exact is None or task.precision != EXACT:
            return "it computes with rational numbers only"
        return exact.refusal(task.tape) or ""

    def walker(self, task: Task) -> Walker:
        """Return what takes the steps of a task."""
        return exact.walker(task.tape, task.rows, task.descent, _exact(task).bits)

    def gamma(self, task: Task, c: Scale) -> Sequence[Any]:
        """Return the step sizes of a step scale."""
        if isinstance(c, float):
            raise SimsaError(f"a step scale of rational numbers is named by a fraction, got {c!r}")
        return _exact(task).gamma(c)


def _exact(task: Task) -> ExactSteps:
    """Return what rational numbers need; raises SimsaError if the task does not have it."""
    if task.exact is None:
        raise SimsaError("the task has no step sizes without rounding")
    return task.exact
