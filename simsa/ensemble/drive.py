"""Run a plan: an executor works on its blocks, and the worker that has computed a block stores it at once.

Results depend neither on the executor nor on the number of workers: a trajectory's random numbers are a function of its
own number.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.ensemble.executors import Executor
from simsa.ensemble.plan import Engines, Plan
from simsa.machine import evaluator
from simsa.records.fields import derived
from simsa.records.layout import Block, Cell
from simsa.records.write import Records

SHORT = 1.0
"""Shorter preparations, in seconds, are not reported."""

PLAIN_SECONDS = 30.0
"""Seconds between two lines of progress, which are written if there is no terminal for a bar."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a call of `run` did.

    traj_steps: the number of steps of all trajectories that it ran. seconds: their wall time, without compilation.
    interrupted: whether Ctrl-C stopped it before all blocks were done.
    """

    traj_steps: int
    seconds: float
    interrupted: bool


def usable_cores() -> int:
    """Return how many cores this process may use, by its affinity. Quotas of containers are not considered."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warm_up(plan: Plan, engines: Engines, say: Say) -> float:
    """Make the engines ready for a plan, and return the seconds that this took.

    engines: by convention, precision and setting. say: takes a line if something has to be compiled.
    """
    began = time.perf_counter()
    seen = set()  # families of one engine and precision mostly have the same code
    for kind, cells in plan.families().items():
        task, engine = plan.task(cells[0]), engines[kind]
        first = (engine.name, kind[1]) not in seen
        seen.add((engine.name, kind[1]))
        announced = first and engine.preparing(task) > SHORT
        if announced:
            say(f"compiling for the {engine.name} engine, {kind[1]} (once per machine and version) ...")
        own = time.perf_counter()
        engine.prepare(task)
        if announced or time.perf_counter() - own > SHORT:
            say(f"... compiled in {time.perf_counter() - own:.1f} s")
    if plan.observables:
        observed(plan, np.zeros((1, len(plan.layout.checkpoints), plan.layout.parameters)))
    return time.perf_counter() - began


@dataclass(frozen=True)
class Job:
    """The work on a block of a plan: to compute and store it. It can be pickled, and be called in another process.

    plan, records: of the sweep. engines: by convention, precision and setting. say: takes a line if something has to be
    compiled; to be pickled, it has to be a function of a module.
    """

    plan: Plan = field(repr=False)
    records: Records = field(repr=False)
    engines: Engines
    say: Say

    def __call__(self, block: Block) -> float:
        """Compute and store a block; return the seconds that computing it took."""
        cell = self.plan.layout.cells[block.cell]
        began = time.perf_counter()
        values: Mapping[str, NDArray[Any]] = self.engines[cell.family].run(
            self.plan.task(cell), c=cell.scale, first=block.first, count=block.count, say=self.say
        )
        values = completed(self.plan, cell, values)
        seconds = time.perf_counter() - began
        self.records.write(block, values, seconds)
        return seconds


def unfinished(records: Records, say: Say, executor: Executor) -> list[Block]:
    """Return the blocks that are still to be run, also those that are damaged on disk.

    records: of the sweep. say: takes a line for each damaged block. executor: reads the blocks.
    """
    kept = list(records.finished())
    intact = dict(executor.map(records.intact, kept))
    for block in kept:
        if isinstance(found := intact[block], BaseException):
            raise found
        if not found:
            say(f"block {block.name} is damaged on disk; it will be computed again")
            records.forget(block)
    return [block for block in records.layout.blocks if not intact.get(block)]


def run(
    plan: Plan,
    records: Records,
    blocks: Iterable[Block],
    *,
    executor: Executor,
    say: Say,
    engines: Engines,
    quiet: bool = False,
) -> Outcome:
    """Run blocks of a plan and store them.

    plan, records: of the sweep. executor: works on the blocks. say: takes lines for the user. engines: by convention,
    precision and setting; they have to be ready (`warm_up`). quiet: whether no progress is shown. After Ctrl-C the
    blocks in flight are finished and stored, and the outcome is `interrupted`; a second Ctrl-C raises KeyboardInterrupt
    at once. An error in a block is raised after the other blocks in flight are stored.
    """
    layout = plan.layout
    todo = list(blocks)
    total = len(layout.cells) * layout.trajectories * layout.steps
    work = sum(block.count for block in todo) * layout.steps
    errors, interrupted, began = list[BaseException](), False, time.perf_counter()
    waiting = takewhile(lambda block: not (errors or interrupted), todo)
    outcomes = executor.map(Job(plan, records, engines, say), waiting)
    with _progress(total, total - work, say, quiet) as advance:
        while True:
            try:
                for block, outcome in outcomes:
                    if isinstance(outcome, BaseException):
                        errors.append(outcome)
                    else:
                        advance(block.count * layout.steps)
                break
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                say("stopping when the blocks in flight are done; Ctrl-C again drops them")
    seconds = time.perf_counter() - began
    if errors:
        raise errors[0]
    done = records.finished()  # this has blocks whose outcome was lost when Ctrl-C interrupted the loop
    steps = sum(block.count for block in todo if block in done) * layout.steps
    return Outcome(steps, seconds, interrupted)


def completed(plan: Plan, cell: Cell, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return what an engine recorded of a block, and the fields that are computed from it.

    plan: whose block it is. cell: of the block; what other optimizers of the sweep keep is NaN in its state. values: by
    the name of the field, each with the trajectory as its first axis.
    """
    seen = observed(plan, values["snapshots"]) if plan.observables else {}
    mine, names = plan.setting(cell).descent.rule.state, plan.layout.kept
    if mine != names:
        whole = np.full((len(values["status"]), len(names), plan.layout.parameters), np.nan)
        if mine:
            whole[:, [names.index(name) for name in mine]] = values["state"]
        values = {**values, "state": whole}
    return derived(plan.layout.fields, {**values, **seen})


def observed(plan: Plan, snapshots: NDArray[np.floating[Any]]) -> dict[str, NDArray[Any]]:
    """Return the records `observe` and `hit` of a block.

    snapshots: its points at the checkpoints, (count, checkpoints, p), NaN after a trajectory has stopped.
    """
    count, checkpoints, p = snapshots.shape
    points, none = snapshots.reshape(-1, p), np.zeros((count * checkpoints, 0))
    values = [evaluator.values(tape, points.astype(np.float64), none) for tape in plan.observables]
    observe = np.concatenate(values, axis=1).reshape(count, checkpoints, -1)
    observe[np.isnan(snapshots).any(axis=2)] = np.nan
    levels = np.array([level for _, level in plan.layout.observables])
    with np.errstate(invalid="ignore"):
        below = observe <= levels
    first = np.array(plan.layout.checkpoints)[below.argmax(axis=1)]
    return {"observe": observe, "hit": np.where(below.any(axis=1), first, -1)}


@contextmanager
def _progress(total: int, before: int, say: Say, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield a function that counts steps of trajectories and shows them: as a bar on a terminal, else in lines.

    total: all steps of the sweep. before: those done already. quiet: whether nothing is shown.
    """
    from tqdm import tqdm

    began = last = time.perf_counter()
    now = before

    with tqdm(
        total=total,
        initial=before,
        unit=" traj-steps",
        unit_scale=True,
        disable=True if quiet else None,
        smoothing=0.05,
    ) as bar:

        def advance(steps: int) -> None:
            nonlocal now, last
            now += steps
            bar.update(steps)
            instant = time.perf_counter()
            if bar.disable and not quiet and instant - last >= PLAIN_SECONDS:
                last = instant
                rate = (now - before) / (instant - began)
                left = (total - now) / rate
                say(f"{now / total:.0%} done, {rate:.3g} traj-steps/s, about {duration(left)} left")

        yield advance


def duration(seconds: float) -> str:
    """Return a time in words, to about two figures.

    >>> duration(0.034), duration(95), duration(7000)
    ('0.03 s', '1 min 35 s', '1 h 56 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
