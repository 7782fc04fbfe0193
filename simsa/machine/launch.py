"""Launch the kernels: lay a tape out in memory, check the arrays, choose and compile the walks, and call.

No other module calls kernels.

Shared arguments.
tape: of the program. rows: the samples, (n, d). descent: the recursion with its laws. c: the step scale, which decides
the random numbers as well. first, count: trajectories first, ..., first + count - 1. trajectory, step: their numbers,
from 0. p: the number of parameters. precision: one of `PRECISIONS`; SimsaError is raised for any other. engine:
"interpreter", or "specialised", whose walks are compiled for the tape first, once per machine; SimsaError is raised for
any other. shape: (groups, samples) of the layout, which tests give; None for the one that is chosen. say: a function
that takes a line for the user. progress: the state of a block of trajectories.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import formats
from simsa.errors import DataError, TapeError, known
from simsa.formats import FLOAT64
from simsa.kernels.arguments import Recursion, Samples, Walks
from simsa.kernels.calls import KINDS, address_of
from simsa.kernels.state import State
from simsa.kernels.streams import EVALUATION, SAMPLE, blocks_of_sample, scratch_size
from simsa.machine import draws
from simsa.machine.generate import engine_package, kernels, rule_package
from simsa.machine.layout import LANE_BYTES, Layout, laid_out, layout
from simsa.machine.memory import memory_of, scratch_of, uniforms
from simsa.machine.progress import Progress, begun, records
from simsa.machine.specialise import STEP_LOOP_GROUPS, engine_text, is_straight
from simsa.machine.task import INITIAL, NO_STREAM, Descent, Initial, Scale, Stream, law_of
from simsa.program.program import Builder
from simsa.rules import Rule
from simsa.tape import Tape, assemble

ENGINES = INTERPRETER, SPECIALISED = "interpreter", "specialised"
"""The names of the engines that run on kernels."""

PRECISIONS = tuple(KINDS)
"""The names of the formats of the kernels, which are also those of NumPy's dtypes."""

Float = NDArray[np.floating[Any]]

_SENSITIVE: dict[str, int] = {}
"""The address of the walk `sensitive` by precision, after it has been needed once."""

_LOCK = Lock()
"""Held by the thread that compiles or loads walks."""


Task = tuple[Tape, NDArray[np.float64], Descent]
"""The tape, the samples (n, d) and the recursion of some trajectories."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Compile without Python's search for unused cycles, which took a quarter of the time and found next to nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@lru_cache(maxsize=32)
def _specialised(where: Layout, rule: Rule) -> ModuleType:
    """Return the package of the specialised engine for a tape in a layout, and a rule."""
    return engine_package(engine_text(where, rule))


def _arranged(
    tape: Tape, n: int, descent: Descent, precision: str, engine: str, count: int, shape: tuple[int, int] | None
) -> tuple[Layout, ModuleType]:
    """Return the layout, and the package of the engine, for a descent on n samples, `count` trajectories at a time."""
    known("engine", engine, ENGINES)
    kind = _format(precision)
    batch = descent.batches.usual(n, descent.size)
    if engine == INTERPRETER:
        where = laid_out(tape, LANE_BYTES // kind.itemsize, *shape) if shape else layout(tape, kind, batch, count)
        return where, kernels()
    # The layout does not depend on the size of a block, since it is part of the code.
    where = laid_out(tape, LANE_BYTES // kind.itemsize, *shape) if shape else layout(tape, kind, batch, sys.maxsize)
    if not shape and descent.law == "full" and n <= where.samples and is_straight(where):
        where = laid_out(tape, where.lanes, min(where.groups, STEP_LOOP_GROUPS), where.samples)
    return where, _specialised(where, descent.rule)


def begin(tape: Tape, descent: Descent, *, c: Scale, first: int, count: int, precision: str = FLOAT64.name) -> Progress:
    """Return the trajectories first, ..., first + count - 1 of a cell before their first step.

    Raises TapeError for a program with several outputs.
    """
    kind = _format(precision)
    return begun(tape, descent, c, first, initial_points(descent, c, first, count, tape.parameters).astype(kind), 0)


def advance(
    tape: Tape,
    rows: NDArray[np.float64],
    descent: Descent,
    progress: Progress,
    until: int,
    *,
    engine: str = INTERPRETER,
    shape: tuple[int, int] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Progress:
    """Return the trajectories before step `until`; `progress` is not changed.

    rows: if samples are streamed, those that J is estimated on. until: from progress.step to descent.steps. engine,
    shape: the result does not depend on them, nor on where a run is interrupted and continued. say: is called if the
    walk `sensitive` has to be compiled on this machine for the first time. The call releases the GIL. Raises DataError
    if the program does not read such samples, if `until` is out of its range, or if a minibatch has more samples than
    the format counts.
    """
    kind = progress.state.x.dtype
    row = formats.find(kind.name)
    data = np.ascontiguousarray(rows, dtype=kind)
    if data.ndim != 2 or data.shape[0] < 1 or data.shape[1] != tape.data:
        raise DataError(f"the program reads {tape.data} data inputs per sample, the data have shape {data.shape}")
    if not progress.step <= until <= descent.steps:
        raise DataError(f"expected a step from {progress.step} to {descent.steps} to run to, got {until}")
    n, law = data.shape[0], law_of(descent)
    largest = descent.batches.largest(n, descent.size)
    if largest > row.counts:
        raise DataError(f"in {row.name} a minibatch has at most {row.counts} samples, this one {largest}")
    stream = descent.stream or NO_STREAM
    if descent.stream:
        _fits(descent.stream, descent.size, tape.data)
    where, package = _arranged(tape, n, descent, kind.name, engine, len(progress.state.x), shape)
    kinds, shares, center, scale = stream.arrays
    scratch = scratch_size(law, n, descent.size)  # type: ignore[no-untyped-call]
    samples = Samples(
        np.array(data.ravel()), n, law, descent.size, descent.replace, largest, scratch, kinds, shares, center, scale,
        descent.key(progress.c),
    )  # fmt: skip
    recursion = Recursion(
        float(progress.c) * descent.alpha, row.at_most(descent.radius), row.epsilon, tape.roundings,
        int(tape.draws[-1]), np.array(descent.checkpoints, np.int64), descent.objective_trajectories,
        np.array(list(map(float, descent.numbers))), descent.rule.uses_loss,
    )  # fmt: skip

    def run(sensitive: int) -> State | None:
        """Return the state after the steps; None if they need the walk `sensitive`, and its address is 0."""
        state, walks = State._make(array.copy() for array in progress.state), walks_of(package, kind.name, descent.rule)
        memory = memory_of(where, kind)
        scratch = scratch_of(where, samples, memory, walks.assigns, len(descent.rule.state))
        done = kernels().descent.descend(
            walks._replace(sensitive=sensitive), *where.arguments, samples, recursion, state, memory, scratch,
            progress.first, progress.step, until,
        )  # fmt: skip
        return state if done else None

    # Many runs meet no tie, so the walk for ties is compiled (20 s, once per machine) when the first one is met.
    state = run(_SENSITIVE.get(kind.name, 0)) or run(_sensitive(kind.name, say))
    assert state is not None
    mark(kind.name, package).touch()
    return Progress(progress.c, progress.first, until, state)


def descend(
    tape: Tape,
    rows: NDArray[np.float64],
    descent: Descent,
    *,
    c: Scale,
    first: int,
    count: int,
    precision: str = FLOAT64.name,
    engine: str = INTERPRETER,
    shape: tuple[int, int] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, NDArray[Any]]:
    """Run the trajectories first, ..., first + count - 1 of a cell to their end, and return their `records`.

    Raises what `begin` and `advance` raise.
    """
    progress = begin(tape, descent, c=c, first=first, count=count, precision=precision)
    ended = advance(tape, rows, descent, progress, descent.steps, engine=engine, shape=shape, say=say)
    return records(descent, ended)


@lru_cache(maxsize=64)
def walks_of(package: ModuleType, precision: str, rule: Rule | None = None) -> Walks:
    """Compile the walks of an engine for a precision, or load them from disk, and return them, without `sensitive`.

    package: that of the engine. rule: that of the steps, for which a specialised package was made; None if no steps are
    taken.
    """
    engine = package.engine

    def at(name: str, of: ModuleType = engine) -> int:
        walk = getattr(of, name, None)
        return 0 if walk is None else int(address_of(walk, name, precision))  # type: ignore[no-untyped-call]

    with _LOCK, _uncollected():
        return Walks(
            forward=at("forward"),
            backward=at("backward"),
            gradient=at("gradient"),
            fused_step=at("fused_step"),
            step_loop=at("step_loop"),
            update=at("update", rule_package(rule).rule) if rule else 0,
            sensitive=0,
            bytes=_format(precision).itemsize,
            assigns=engine.ASSIGNS,
            keeps=engine.KEEPS,
        )


def _sensitive(precision: str, say: Callable[[str], None]) -> int:
    """Compile the walk `sensitive` for a precision, or load it from disk, and return its address."""
    with _LOCK, _uncollected():
        if precision not in _SENSITIVE:
            known = mark(f"{precision}-ties")
            if not known.exists():
                say(f"a tie: compiling what looks at ties for {precision} (once per machine and version) ...")
            walk = kernels().engine.sensitive
            _SENSITIVE[precision] = int(address_of(walk, "sensitive", precision))  # type: ignore[no-untyped-call]
            known.touch()
        return _SENSITIVE[precision]


def _format(precision: str) -> np.dtype[Any]:
    """Return the dtype of a precision; raises SimsaError for a format that the kernels do not have."""
    known("precision", precision, PRECISIONS)
    return np.dtype(formats.find(precision).storage)


def initial_points(descent: Descent, c: Scale, first: int, count: int, p: int) -> NDArray[np.float64]:
    """Return x_0 of trajectories first, ..., first + count - 1 of a cell, shape (count, p), in float64."""
    law = descent.initial
    if law.kind not in INITIAL:  # a law of a user's own, in plain Python
        return draws.initial_points(descent, c, first, count, p)
    points = np.empty((count, p))
    kernels().descent.start(
        descent.key(c), first, INITIAL.index(law.kind), np.ascontiguousarray(law.center, np.float64),
        np.ascontiguousarray(law.scale, np.float64), np.ascontiguousarray(law.points, np.float64), points,
        *uniforms(0)[:2],
    )  # fmt: skip
    return points


def minibatches(descent: Descent, n: int, c: Scale, trajectory: int, first: int = 0) -> Iterator[list[int]]:
    """Yield I_first, I_{first + 1}, ... of a trajectory: the samples out of n, in the order in which they are drawn.

    first: the step to begin with.
    """
    law = law_of(descent)
    room = np.full(scratch_size(law, n, descent.size), -1, np.int64)  # type: ignore[no-untyped-call]
    out = np.empty(max(n, descent.size), np.int64)
    key = descent.key(c)
    for k in range(first, descent.steps):
        count = kernels().descent.draw(law, n, descent.size, descent.replace, key, trajectory, k, room, out)
        yield out[:count].tolist()


def streamed(descent: Descent, c: Scale, trajectory: int, step: int) -> NDArray[np.float64]:
    """Return the streamed samples of one step of a trajectory, (size, d), in the order in which they are drawn.

    Kernels of another format than float64 round them to that.
    """
    assert descent.stream is not None
    return _drawn(descent.stream, descent.size, SAMPLE, descent.key(c), trajectory, step)


def evaluation(stream: Stream, count: int, seed: int) -> NDArray[np.float64]:
    """Return the `count` samples that J is estimated on, (count, d).

    stream: their law. seed: from 0 to 2^64 - 1. A sample is a function of the law, the seed and its row. Raises
    DataError if there are too many samples.
    """
    return _drawn(stream, count, EVALUATION, np.uint64(seed), 0, 0)


def _drawn(stream: Stream, count: int, purpose: int, key: np.uint64, trajectory: int, step: int) -> NDArray[np.float64]:
    """Return the samples 0, ..., count - 1 that are drawn for a purpose, in one step of a trajectory."""
    _fits(stream, count, stream.center.shape[1])
    out = np.empty((count, stream.center.shape[1]))
    kernels().descent.stream(*stream.arrays, purpose, key, trajectory, step, out, *uniforms(out.shape[1]))
    return out


def _fits(stream: Stream, count: int, d: int) -> None:
    """Raise DataError if samples do not have d numbers, or if there are more samples than random numbers."""
    if stream.center.shape[1] != d:
        raise DataError(f"the program reads {d} data inputs per sample, the stream has {stream.center.shape[1]}")
    most = 2**32 // blocks_of_sample(d)  # type: ignore[no-untyped-call]
    if count > most:
        raise DataError(f"at most {most} samples of {d} numbers can be streamed at once, got {count}")


def evaluate(
    tape: Tape,
    points: Float,
    rows: Float,
    *,
    differentiate: bool = True,
    precision: str = FLOAT64.name,
    groups: int = 0,
) -> tuple[Float, Float, Float]:
    """Evaluate a batch on the kernels: outputs (b, q), selection Jacobians (b, q, p), smallest |guard| (b,).

    points: (b, p). rows: (b, d), one sample for each point. differentiate: whether Jacobians are computed; otherwise
    their shape is (0, q, p). groups: of the layout, which tests give; 0 for the number that is chosen. Raises TapeError
    for arrays of other shapes.
    """
    kind = _format(precision)
    x, data = np.ascontiguousarray(points, kind), np.ascontiguousarray(rows, kind)
    b, p, q = len(x), tape.parameters, len(tape.outputs)
    if x.shape != (b, p) or data.shape != (b, tape.data):
        raise TapeError(f"expected points (b, {p}) and data (b, {tape.data}), got {x.shape} and {data.shape}")
    lanes = LANE_BYTES // kind.itemsize
    where = laid_out(tape, lanes, groups, 1) if groups else layout(tape, kind, 1, b)
    outputs, margins = np.empty((b, q), kind), np.empty(b, kind)
    jacobians = np.zeros((b, q, p) if differentiate else (0, q, p), kind)
    evaluate_with(kernels(), where, x, data, outputs, jacobians, margins)
    return outputs, jacobians, margins


def evaluate_with(
    package: ModuleType, where: Layout, points: Float, rows: Float, outputs: Float, jacobians: Float, margins: Float
) -> None:
    """Evaluate a batch with the walks of an engine, and write `outputs`, `jacobians` and `margins`.

    package: that of the engine. where: the layout. points, rows and the arrays that are written: as in `evaluate`, all
    of one format. Jacobians are not computed if their array is empty.
    """
    kernels().descent.evaluate(
        walks_of(package, points.dtype.name), *where.arguments, np.array(points), np.array(rows).ravel(),
        where.tape.data, outputs, jacobians, margins, len(jacobians) > 0, memory_of(where, points.dtype),
        np.zeros(where.step, np.int64),
    )  # fmt: skip


def compiled(precision: str = FLOAT64.name, special: Task | None = None) -> bool:
    """Tell whether an engine has been compiled for a precision on this machine before.

    special: the task of the specialised engine that is meant; None for the interpreter.
    """
    return mark(precision, special and _arranged(*_sizes(special), precision, SPECIALISED, 1, None)[1]).exists()


def mark(precision: str, package: ModuleType | None = None) -> Path:
    """Return the path of the file whose existence says that a package has been compiled for a precision.

    package: that of the engine; None for the interpreter's.
    """
    return Path((package or kernels()).__path__[0]) / f"compiled-{precision}"


def warm_up(precision: str = FLOAT64.name, special: Task | None = None) -> float:
    """Compile an engine for a precision, or load it from disk, and return the seconds that this took.

    special: as in `compiled`.
    """
    began = time.perf_counter()
    tape, rows, descent = special or smallest()
    short = replace(descent, steps=0, alpha=np.zeros(0), checkpoints=np.zeros(0, np.int64))
    engine = SPECIALISED if special else INTERPRETER
    with _uncollected():
        descend(tape, rows, short, c=0.5, first=0, count=1, precision=precision, engine=engine)
    return time.perf_counter() - began


def _sizes(task: Task) -> tuple[Tape, int, Descent]:
    """Return what the layout of a task depends on: the tape, the number of samples, and the recursion."""
    tape, rows, descent = task
    return tape, len(rows), descent


def smallest() -> Task:
    """Return the task for which the interpreter is compiled: a small tape, its samples, and a descent of one step."""
    builder = Builder(1)
    tape = assemble(builder.finish([builder.apply("square", [0])]))
    one = np.ones(1)
    law = Initial("points", one, one, np.ones((1, 1)))
    return tape, np.zeros((1, 0)), Descent(1, "full", 1, False, one, 10.0, 0, law, np.zeros(0, np.int64), 0)
