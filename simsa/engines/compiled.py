"""Engines on kernels: the interpreter, whose walks run every tape, and the specialised engine with walks for one."""

from typing import ClassVar

from simsa.engines.engine import DATUM, DRAW, PARAMETER, STREAMED, Draws, Engine, Rate, Say, Task, Work
from simsa.formats import FLOAT32, FLOAT64
from simsa.machine import launch
from simsa.machine.layout import merged
from simsa.machine.progress import Progress
from simsa.machine.specialise import LONGEST
from simsa.machine.task import Scale

COMPILING, LOADING = 45.0, 0.4
"""Seconds to compile the kernels of a precision, once per machine and version, and to load them from disk."""

EACH = 0.02
"""Seconds to compile one instruction of a tape, runs of like ones counted once (Zen 3: 0.4 to 4 s for a whole tape)."""


class Interpreter(Engine):
    """Compiled walks that read the tape, for all lanes of a group at once."""

    name = launch.INTERPRETER
    draws: ClassVar[Draws] = launch
    rates: ClassVar[dict[str, Rate]] = {
        FLOAT64.name: Rate(operand=0.13e-9, instruction=3.2e-9, pair=7e-9),
        FLOAT32.name: Rate(operand=0.07e-9, instruction=1.6e-9, pair=7e-9),
    }

    def refuses(self, task: Task) -> str:
        """Return why a task is refused; empty if it is not."""
        if name := task.tape.without_loop:
            return f"it has no loop for {name}"
        if not task.descent.stream and task.descent.batches.kernel(task.descent.replace) is None:
            return f"it does not draw minibatches by the law '{task.descent.law}'"
        if task.precision in self.rates:
            return ""
        return f"it computes with {' and '.join(self.rates)} only, not with {task.precision}"

    def seconds(self, task: Task, work: Work) -> float:
        """Return the seconds of one core once the engine is ready."""
        law, tape = task.descent, task.tape
        taken = work.trajectories * work.steps * tape.parameters * PARAMETER
        taken += work.gradients * (DRAW if law.batches.random else 0)
        taken += work.gradients * tape.data * (STREAMED if law.stream else 0)
        each = self.rates[task.precision].of(tape) + tape.data * DATUM
        return taken + (work.gradients + work.values / 3) * each

    def preparing(self, task: Task) -> float:
        """Return the seconds until the engine is ready."""
        return LOADING if launch.compiled(task.precision) else COMPILING

    def prepare(self, task: Task) -> None:
        """Compile the kernels, or load them from disk."""
        launch.warm_up(task.precision)

    def begin(self, task: Task, *, c: Scale, first: int, count: int) -> Progress:
        """Return trajectories before their first step."""
        return launch.begin(task.tape, task.descent, c=c, first=first, count=count, precision=task.precision)

    def advance(self, task: Task, progress: Progress, until: int, say: Say = lambda line: None) -> Progress:
        """Return trajectories before step `until`."""
        return launch.advance(task.tape, task.rows, task.descent, progress, until, engine=self.name, say=say)


class Specialised(Interpreter):
    """The interpreter's recursion, with walks that are compiled for one tape."""

    name = launch.SPECIALISED
    rates: ClassVar[dict[str, Rate]] = {
        name: Rate(rate.operand, 0.05 * rate.instruction, 0.05 * rate.pair) for name, rate in Interpreter.rates.items()
    }

    def refuses(self, task: Task) -> str:
        """Return why a task is refused; empty if it is not."""
        length = len(merged(task.tape))
        if length > LONGEST:
            return f"it takes programs of at most {LONGEST} instructions, this one has {length}"
        return super().refuses(task)

    def preparing(self, task: Task) -> float:
        """Return the seconds until the engine is ready."""
        given = task.tape, task.rows, task.descent
        own = LOADING if launch.compiled(task.precision, given) else LOADING + EACH * len(merged(task.tape))
        return own + super().preparing(task) / 2  # it needs the interpreter's recursion, but not its walks

    def prepare(self, task: Task) -> None:
        """Compile the kernels, or load them from disk."""
        launch.warm_up(task.precision, (task.tape, task.rows, task.descent))
