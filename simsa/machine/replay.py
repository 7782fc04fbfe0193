"""Recursion (8), or another rule, in plain Python, one trajectory and one step at a time, in any arithmetic.

In floating point this is the definition of the kernels' `descend`, bit for bit. The exact engine uses it with rational
numbers, and a replay yields its steps.

Shared arguments.
descent: the recursion with its laws. gamma: the step sizes, in the arithmetic or in float64. c: the step scale, which
decides the random numbers. trajectory: its number, from 0. k: the number of a step. progress: that of a block of
trajectories.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import formats
from simsa.kernels.state import State
from simsa.machine import draws
from simsa.machine.floating import Rounded
from simsa.machine.progress import Progress, begun, nearest, records
from simsa.machine.reference import FLOAT64, Execution, Interpreter
from simsa.machine.sensitivity import Draw, difference
from simsa.machine.task import Descent, Scale
from simsa.primitives.arithmetic import Arithmetic, Number, expression
from simsa.records.status import Status
from simsa.rules import CHANGE, NEXT, SGD, Rule
from simsa.tape import Tape

FINISHED, UNBOUNDED, NOT_FINITE, TOO_LONG, _ = Status
"""The status of a trajectory: in the ball, out of it, at a NaN or infinity, or at numbers that are too long."""


def _in_float64(decision: Any) -> Any:
    """Return a decision with its weights, if it has some, in float64."""
    if isinstance(decision, tuple):
        return tuple(map(_in_float64, decision))
    return np.float64(decision) if isinstance(decision, np.floating | Rounded) else decision


@dataclass(frozen=True)
class Tie:
    """A guard that is exactly 0.

    sample: a row of `Step.data`. instruction: the number of the instruction of the tape that compares by it.
    """

    sample: int
    instruction: int


@dataclass(frozen=True, eq=False)
class Step:
    """One step x_{k+1} = x_k - change, or that of another rule, in the numbers of the arithmetic it was computed in.

    k: its number. x: x_k. minibatch: I_k, rows of `data` in the order drawn. data: the samples, in float64: all of the
    data set, or those that were streamed for this step. gradient: g_k, the mean of the selection gradients of the
    minibatch. gamma: the step size. held, kept: the state of the rule before and after the step, (p,) for each of its
    names. change: x_k - x_{k+1}, up to rounding; for SGD it is gamma_k g_k. following: x_{k+1}, or x_k if that is not
    finite. margin: the smallest |guard|. ties: of the minibatch, in order. sensitive: whether g_k depends on how these
    ties are decided (`machine.sensitivity`). status: after the step; the trajectory goes on if it is FINISHED.
    """

    k: int
    x: tuple[Number, ...]
    minibatch: tuple[int, ...]
    data: NDArray[np.float64]
    gradient: tuple[Number, ...]
    gamma: Number
    held: tuple[tuple[Number, ...], ...]
    kept: tuple[tuple[Number, ...], ...]
    change: tuple[Number, ...]
    following: tuple[Number, ...]
    margin: float
    ties: tuple[Tie, ...]
    sensitive: bool
    status: int

    @property
    def movement(self) -> Number:
        """Return the largest |change| of a coordinate."""
        return max(map(abs, self.change))


class Walker:
    """Takes the steps of trajectories of one tape, on one data set, in one arithmetic.

    rows: the samples, (n, d). too_long: tells whether a number has too many digits to go on. rule, constants: the rule
    of the steps, and its numbers in their order; `written` has these as they were given.
    """

    def __init__(
        self,
        tape: Tape,
        rows: NDArray[np.float64],
        arithmetic: Arithmetic = FLOAT64,
        too_long: Callable[[Number], bool] = lambda number: False,
        rule: Rule = SGD,
        constants: Sequence[Fraction] = (),
    ) -> None:
        self.tape, self.data, self.arithmetic, self.too_long, self.rule = tape, rows, arithmetic, too_long, rule
        self.written = tuple(constants)
        self.constants = [arithmetic.number(float(v) if arithmetic.format else v) for v in constants]
        self.rows = self.numbers(rows)
        self.interpreter = Interpreter(tape, arithmetic)
        few = arithmetic.format is not None and arithmetic.format.bits < formats.FLOAT32.bits
        self.judge = Interpreter(tape, FLOAT64) if few else self.interpreter

    def numbers(self, rows: NDArray[np.float64]) -> list[list[Number]]:
        """Return samples in the arithmetic."""
        return [[self.arithmetic.number(v) for v in row] for row in rows]

    def sensitive(self, runs: Sequence[Execution], words: Callable[[int], Draw]) -> bool:
        """Tell whether the sum of the gradients of tied executions depends on how their ties are decided.

        words: the random words for each place in the minibatch. In floating point an entry of the difference counts
        only if rounding does not explain it: if it is larger than the sum of its absolute contributions, times epsilon,
        times the largest number of roundings that follow each other. In a format of fewer bits than float32 the
        difference is computed in float64, at the same decisions and ties: its own rounding could explain any.
        """
        arithmetic = self.judge.arithmetic
        entries, sizes = ([arithmetic.number(0)] * self.tape.parameters for _ in range(2))
        for place, run in enumerate(runs):
            found = difference(self.judge, self._judged(run), words(place))
            if found.jumps:
                return True
            entries = [a + b for a, b in zip(entries, found.entries, strict=True)]
            sizes = [a + b for a, b in zip(sizes, found.sizes, strict=True)]
        if arithmetic.format is None:
            return any(delta != 0 for delta in entries)
        bound = (self.tape.roundings + len(runs)) * arithmetic.format.epsilon
        return any(
            delta != 0 and not (size - size == 0 and abs(float(delta)) <= bound * float(size))
            for delta, size in zip(entries, sizes, strict=True)
        )

    def _judged(self, run: Execution) -> Execution:
        """Return an execution in the arithmetic in which ties are judged, at the same point and decisions."""
        if self.judge is self.interpreter:
            return run
        inputs = [float(v) for v in run.values[: self.tape.parameters + self.tape.data]]
        decisions = {k: _in_float64(decision) for k, decision in run.decisions.items()}
        at = inputs[: self.tape.parameters], inputs[self.tape.parameters :]
        return replace(self.judge.run(*at, decisions), margins=run.margins)

    def step(
        self,
        k: int,
        x: Sequence[Number],
        minibatch: Sequence[int],
        gamma: Number,
        radius: float,
        words: Callable[[int], Draw],
        fresh: NDArray[np.float64] | None = None,
        held: Sequence[Sequence[Number]] | None = None,
    ) -> Step:
        """Take step k from x, (p,). A step out of |x|_inf <= radius is taken; one to a point that is not finite is not.

        minibatch: the samples. gamma: the step size, in the arithmetic. words: the random words for ties, by place in
        the minibatch. fresh: the streamed samples of this step; None if the samples are the data set. held: the state
        of the rule before the step, (p,) for each of its names; None for 0.
        """
        rows = self.rows if fresh is None else self.numbers(fresh)
        limit = self.arithmetic.format.at_most(radius) if self.arithmetic.format else radius
        with np.errstate(all="ignore"):
            runs = [self.interpreter.run(x, rows[i]) for i in minibatch]
            gradient = self.mean(runs)
            ties = [
                Tie(i, instruction)
                for i, run in zip(minibatch, runs, strict=True)
                for instruction, margin in run.margins.items()
                if margin == 0
            ]
            sensitive = bool(ties) and self.sensitive(runs, words)
            held = self.rest() if held is None else held
            loss = self.loss(runs) if self.rule.uses_loss else None
            kept, change, following = self.ruled(x, gradient, gamma, held, loss)
            status = FINISHED
            if any(v - v != 0 for v in following):
                following, status = list(x), NOT_FINITE
            elif max(abs(v) for v in following) > limit:
                status = UNBOUNDED
            elif any(self.too_long(v) for v in following):
                status = TOO_LONG
        margin = min((m for run in runs for m in run.margins.values()), default=np.inf)
        return Step(
            k=k,
            x=tuple(x),
            minibatch=tuple(minibatch),
            data=self.data if fresh is None else fresh,
            gradient=tuple(gradient),
            gamma=gamma,
            held=tuple(map(tuple, held)),
            kept=tuple(map(tuple, kept)),
            change=tuple(change),
            following=tuple(following),
            margin=margin,
            ties=tuple(ties),
            sensitive=sensitive,
            status=status,
        )

    def rest(self) -> list[list[Number]]:
        """Return the state of the rule before the first step: 0."""
        return [[self.arithmetic.number(0)] * self.tape.parameters for _ in self.rule.state]

    def ruled(
        self,
        x: Sequence[Number],
        gradient: Sequence[Number],
        gamma: Number,
        held: Sequence[Sequence[Number]],
        loss: Number = None,
    ) -> tuple[list[list[Number]], list[Number], list[Number]]:
        """Return the state of the rule after a step, the change, and the next point, computed by the rule's lines.

        x, gradient: (p,). gamma: the step size. held: the state before, (p,) for each of its names. loss: the mean of
        the losses of the minibatch; None if the rule does not use it.
        """
        names, steps = self.rule.arguments, self.rule.steps
        every = [
            dict(zip(names, [v, g, gamma, loss, *kept, *self.constants], strict=True))
            for v, g, *kept in zip(x, gradient, *held, strict=True)
        ]

        def value(text: str, found: dict[str, Number]) -> Number:
            """Return an expression in what has been computed of a coordinate."""
            return expression(text, tuple(found), self.arithmetic)(*found.values())

        for total in self.rule.totals:
            added = self.arithmetic.number(0)
            for found in (dict(one) for one in every):
                for name, text in total.before:
                    found[name] = value(text, found)
                added = added + value(total.text, found)
            for one in every:
                one[total.name] = added
        for found in every:
            for name, text in steps:
                found[name] = value(text, found)
        after = [[found[name] for found in every] for name in self.rule.state]
        return after, [found[CHANGE] for found in every], [found[NEXT] for found in every]

    def loss(self, runs: Sequence[Execution]) -> Number:
        """Return the mean of the losses of executions, added in their order."""
        return self.arithmetic.mean([run.values[self.tape.outputs[0]] for run in runs])

    def mean(self, runs: Sequence[Execution]) -> list[Number]:
        """Return the mean of the selection gradients of executions, (p,), added in their order."""
        columns = zip(*(self.interpreter.backward(run) for run in runs), strict=True)
        return [self.arithmetic.mean(column) for column in columns]

    def objective(self, x: Sequence[Number]) -> Number:
        """Return J(x), the mean over all samples of the data set in their order."""
        with np.errstate(all="ignore"):
            return self.arithmetic.mean(
                [self.interpreter.run(x, row).values[self.tape.outputs[0]] for row in self.rows]
            )

    def walk(
        self,
        descent: Descent,
        gamma: Sequence[Number],
        *,
        c: Scale,
        trajectory: int,
        first: int = 0,
        point: Sequence[Number] | None = None,
        held: Sequence[Sequence[Number]] | None = None,
    ) -> Iterator[Step]:
        """Yield the steps of a trajectory, up to the last or to the one that stops it.

        x_0, in float64, is rounded to the arithmetic; minibatches and streamed samples are those of the kernels. first,
        point, held: the step to begin with, its x, and the state of the rule before it; None for x_0 and for 0.
        """
        state = self.rest() if held is None else [[self.arithmetic.number(v) for v in one] for one in held]
        x = self.start(descent, c, trajectory) if point is None else [self.arithmetic.number(v) for v in point]
        for k, minibatch in enumerate(draws.minibatches(descent, len(self.rows), c, trajectory, first), first):
            fresh = draws.streamed(descent, c, trajectory, k) if descent.stream else None
            words = self.words(descent, c, trajectory, k)
            step = self.step(k, x, minibatch, self.arithmetic.number(gamma[k]), descent.radius, words, fresh, state)
            yield step
            if step.status != FINISHED:
                return
            x, state = list(step.following), [list(one) for one in step.kept]

    def words(self, descent: Descent, c: Scale, trajectory: int, k: int) -> Callable[[int], Draw]:
        """Return the random words for the ties of a step, by place in the minibatch."""
        key, blocks = int(descent.key(c)), int(self.tape.draws[-1])
        return lambda place: draws.weights(key, trajectory, k, place, blocks)

    def start(self, descent: Descent, c: Scale, trajectory: int) -> list[Number]:
        """Return x_0 of a trajectory."""
        x = draws.initial_point(descent, c, trajectory, self.tape.parameters)
        return [self.arithmetic.number(v) for v in x]

    def begin(self, descent: Descent, *, c: Scale, first: int, count: int) -> Progress:
        """Return the trajectories first, ..., first + count - 1 before their first step."""
        kind = self.arithmetic.format.storage if self.arithmetic.format else object
        x = np.empty((count, self.tape.parameters), kind)
        for i in range(count):
            x[i] = self.start(descent, c, first + i)
        return begun(self.tape, descent, c, first, x, self.arithmetic.number(0))

    def advance(self, descent: Descent, gamma: Sequence[Number], progress: Progress, until: int) -> Progress:
        """Return the trajectories before step `until`; `progress` is not changed."""
        state = State._make(array.copy() for array in progress.state)
        for i in range(len(state.x)):
            if state.status[i] == FINISHED:
                self._advance(descent, gamma, progress, state, i, until)
        return replace(progress, step=until, state=state)

    def _advance(
        self, descent: Descent, gamma: Sequence[Number], progress: Progress, state: State, i: int, until: int
    ) -> None:
        """Take the steps of trajectory i of a block, counted in the block, and write its records into the state."""
        x, held, trajectory = state.x[i].tolist(), state.held[i].tolist(), progress.first + i
        if self.arithmetic.format:
            x, held = list(state.x[i]), [list(one) for one in state.held[i]]

        def check(k: int) -> None:
            """Record J and x_k, as far as they are recorded, if k is a checkpoint."""
            for j in np.flatnonzero(descent.checkpoints == k):
                if trajectory < descent.objective_trajectories:
                    state.objective[i, j] = nearest(self.objective(x))
                if descent.snapshots:
                    state.snapshots[i, j] = list(map(nearest, x))

        steps = self.walk(descent, gamma, c=progress.c, trajectory=trajectory, first=progress.step, point=x, held=held)
        for step in islice(steps, until - progress.step):
            check(step.k)
            state.margin[i] = min(state.margin[i], step.margin)
            if step.ties:
                state.tie_count[i] += 1
                if state.tie_first[i] < 0:
                    state.tie_first[i], state.tie_sample[i] = step.k, step.ties[0].sample
            if step.sensitive and state.sensitive_first[i] < 0:
                state.sensitive_first[i], state.sensitive_point[i] = step.k, list(map(nearest, x))
            x, held = list(step.following), [list(one) for one in step.kept]
            if step.status != FINISHED:
                state.status[i], state.stopped[i] = step.status, step.k + 1
            elif step.k == descent.steps - 1:
                state.movement[i] = nearest(step.movement)
        if state.status[i] == FINISHED and until == descent.steps:
            check(until)
        state.x[i] = x
        for n, one in enumerate(held):
            state.held[i, n] = one

    def record(self, descent: Descent, gamma: Sequence[Number], *, c: Scale, trajectory: int) -> dict[str, Any]:
        """Return the records of one trajectory from its start to its end: those of `progress.records`."""
        progress = self.begin(descent, c=c, first=trajectory, count=1)
        found = records(descent, self.advance(descent, gamma, progress, descent.steps))
        return {name: values[0] for name, values in found.items()}
