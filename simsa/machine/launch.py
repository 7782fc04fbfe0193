"""The only door to the kernels: lay a tape out in memory, check shapes once, and call."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsa.errors import DataError, TapeError
from simsa.kernels.streams import scratch_size
from simsa.machine.generate import kernels
from simsa.primitives import ROWS
from simsa.program.program import Builder
from simsa.tape import assemble
from simsa.tape.tape import COUNT, FIRST, FLAGS, NUMBER, OP, OUT, OUTS, Tape

LANE_BYTES = 32
"""Bytes of a lane vector: 256 bits, one AVX2 register, two of NEON."""

LAWS = ("full", "uniform_subset", "fixed_size", "fixed_size_replaced", "reshuffled")
"""Laws of the minibatch, by the number that stands for them in the kernels' streams."""

INITIAL = ("points", "normal", "uniform")
"""Initial laws, by the number that stands for them in the kernels' streams."""

CACHE_BYTES = 96 * 1024
"""Values and adjoints of a block aim to fit in this much memory per thread: measured on Zen 3 (32 KiB L1, 512 KiB L2)
with `benchmarks/`, where 64 to 192 KiB gave the same speed."""

MOST_VECTORS = 16
"""Lane vectors per register beyond which dispatch no longer matters (Zen 3, 13 instructions: 16 and 32 are equal)."""

Float = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Initial:
    """The law of x_0: "normal" and "uniform" have a center and a scale for each parameter, "points" lists points.

    uniform: on center +- scale. points: trajectory t starts at point t mod m.
    """

    kind: Literal["normal", "uniform", "points"]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    points: NDArray[np.float64]


@dataclass(frozen=True)
class Descent:
    """All of recursion (8) but the tape, the data and the step scale c.

    alpha: (steps,), gamma_k = c alpha_k. checkpoints: increasing steps in 0..steps at which J(x_k) is recorded, for
    trajectories numbered below objective_trajectories; with `snapshots`, x_k is as well, for all of them. radius: a
    trajectory that leaves |x|_inf <= radius stops.
    """

    steps: int
    law: Literal["full", "uniform_subset", "fixed_size", "reshuffled"]
    size: int
    replace: bool
    alpha: NDArray[np.float64]
    radius: float
    seed: int
    initial: Initial
    checkpoints: NDArray[np.int64]
    objective_trajectories: int
    snapshots: bool = False


@dataclass(frozen=True)
class Layout:
    """Where the registers of a tape lie: `groups` x `samples` lane vectors each, parameters without `samples`.

    The layout decides speed only; no result depends on it.
    """

    tape: Tape
    lanes: int
    groups: int
    samples: int

    @property
    def step(self) -> int:
        """Return the distance from one register to the next, in numbers."""
        return self.groups * self.samples * self.lanes

    @property
    def data_at(self) -> int:
        """Return the place of the first register after the parameters."""
        return self.tape.parameters * self.groups * self.lanes

    @property
    def size(self) -> int:
        """Return how many numbers hold all registers."""
        return self.data_at + (self.tape.registers - self.tape.parameters) * self.step

    def places(self, registers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where registers begin."""
        p = self.tape.parameters
        inside = registers < p
        return np.where(inside, registers * self.groups * self.lanes, self.data_at + (registers - p) * self.step)

    @cached_property
    def arrays(self) -> tuple[Any, ...]:
        """Return the tape's arrays as the kernels take them, registers turned into places."""
        tape = self.tape
        inside = tape.operands < tape.parameters
        steps = np.where(inside, self.lanes, self.samples * self.lanes), np.where(inside, 0, self.lanes)
        runs = np.where(inside, self.groups * self.lanes, self.step)
        at = np.stack([self.places(tape.operands), *steps, runs], axis=1).astype(np.int64)
        code = merged(tape)
        code[:, OUT] = self.places(code[:, OUT])
        numbers, guards = tape.choices()
        return (
            *(code, np.ascontiguousarray(at), tape.modes, numbers, tape.rows, guards),
            *(self.places(tape.constant_registers), tape.constant_values),
            *(self.places(tape.outputs), self.places(tape.clear)),
        )

    @property
    def longest(self) -> int:
        """Return the most operands of an instruction."""
        return int(self.tape.code[:, COUNT].max(initial=1))


def merged(tape: Tape) -> NDArray[np.int64]:
    """Return the tape's code with runs of like instructions as one: a layer of relus is one dispatch, not one for each.

    A run has the same opcode, numbers, flags and modes; its outputs, and each of its operands, are consecutive
    registers of one kind, and no output of the run is an operand of it.
    """
    lines: list[NDArray[np.int64]] = []
    for k, line in enumerate(tape.code):
        if not (lines and ROWS[line[OP]].pieces and _continues(tape, lines[-1], k)):
            lines.append(line.copy())
        else:
            lines[-1][OUTS] += 1
    return np.array(lines, np.int64).reshape(-1, tape.code.shape[1])


def _continues(tape: Tape, run: NDArray[np.int64], k: int) -> bool:
    """Tell whether instruction k is the next of a run."""
    line, row, n, p = tape.code[k], ROWS[tape.code[k, OP]], run[OUTS], tape.parameters
    same = line[OP] == run[OP] and line[FLAGS] == run[FLAGS] and line[OUT] == run[OUT] + n
    if not same:
        return False
    count = len(row.immediates) + sum(len(branch.between) for branch in row.tie_rows)
    one, two = (slice(start, start + count) for start in (run[NUMBER], line[NUMBER]))
    start, here = (slice(first, first + line[COUNT]) for first in (run[FIRST], line[FIRST]))
    first, now = tape.operands[start], tape.operands[here]
    alone = ((first + n < run[OUT]) | (first >= run[OUT] + n + 1)) & ((first < p) == (now < p))
    return bool(
        (tape.numbers[one].tobytes() == tape.numbers[two].tobytes())
        and (tape.modes[start] == tape.modes[here]).all()
        and (now == first + n).all()
        and alone.all()
    )


def layout(tape: Tape, precision: np.dtype[Any], batch: int, across: int) -> Layout:
    """Return a layout for minibatches of `batch` samples and at least one group, `across` trajectories at most.

    Samples share the loads of the parameters, so they come first; small tapes add groups to spread the dispatch.
    """
    lanes = LANE_BYTES // precision.itemsize
    private = tape.registers - tape.parameters
    samples = 1
    while samples * 2 <= min(batch, 8) and 2 * LANE_BYTES * private * samples * 2 <= CACHE_BYTES:
        samples *= 2
    groups = 1
    while (
        groups * samples * 2 <= MOST_VECTORS
        and groups * 2 * lanes <= max(across, lanes)
        and 2 * LANE_BYTES * (tape.parameters + private * samples) * groups * 2 <= CACHE_BYTES
    ):
        groups *= 2
    return Layout(tape, lanes, groups, samples)


def descend(
    tape: Tape,
    rows: NDArray[np.float64],
    descent: Descent,
    *,
    c: float,
    cell: int,
    first: int,
    count: int,
    precision: str = "float64",
    shape: tuple[int, int] | None = None,
) -> dict[str, NDArray[Any]]:
    """Run the trajectories first, ..., first + count - 1 of a cell, and return their records.

    rows: (n, d), the samples. c: step scale. cell: number of the random stream. precision: "float64" or "float32".
    shape: (groups, samples) of the layout, for tests; the result does not depend on it. The call releases the GIL.
    Each record has the trajectory as its first axis: status (0 finished, 1 left the ball, 2 not finite), stopped
    (step), tie_first, tie_count, tie_sample (row of the data), tie_point (count, p), landed_first,
    margin, final (count, p), objective (count, checkpoints), movement, and snapshots (count, checkpoints, p) if
    wanted. Steps are -1, points NaN, where there is none.
    """
    kind = np.dtype(precision)
    if len(tape.outputs) != 1:
        raise TapeError(f"descent needs a program with one output, this one has {len(tape.outputs)}")
    data = np.ascontiguousarray(rows, dtype=kind)
    if data.ndim != 2 or data.shape[0] < 1 or data.shape[1] != tape.data:
        raise DataError(f"the program reads {tape.data} data inputs per sample, the data have shape {data.shape}")
    n, p = data.shape[0], tape.parameters
    law = law_of(descent)
    largest = n if descent.law in ("full", "uniform_subset") else descent.size
    batch = largest if descent.law != "uniform_subset" else max(1, n // 2)
    lanes = LANE_BYTES // kind.itemsize
    plan = Layout(tape, lanes, *shape) if shape else layout(tape, kind, batch, count)
    start = initial_points(descent, cell, first, count, p).astype(kind)
    out: dict[str, NDArray[Any]] = {
        "status": np.empty(count, np.uint8),
        "stopped": np.empty(count, np.int32),
        "tie_first": np.empty(count, np.int32),
        "tie_count": np.empty(count, np.int32),
        "tie_sample": np.empty(count, np.int32),
        "tie_point": np.empty((count, p), kind),
        "landed_first": np.empty(count, np.int32),
        "margin": np.empty(count, np.float64),
        "final": np.empty((count, p), kind),
        "objective": np.empty((count, len(descent.checkpoints)), np.float64),
        "movement": np.empty(count, np.float64),
        "snapshots": np.full((count, len(descent.checkpoints) * descent.snapshots, p), np.nan, kind),
    }
    room = scratch_size(law, n, descent.size)  # type: ignore[no-untyped-call]
    kernels().descent.descend(
        *plan.arrays, p, plan.data_at, plan.size, plan.longest, plan.groups, plan.samples, 1,
        data, law, descent.size, descent.replace, largest, room, np.uint64(descent.seed), cell, first, start,
        c * descent.alpha, descent.radius, descent.checkpoints.astype(np.int64), descent.objective_trajectories,
        *out.values(),
    )  # fmt: skip
    if not compiled(precision):
        mark(precision).touch()
    if not descent.snapshots:
        del out["snapshots"]
    return out


def initial_points(descent: Descent, cell: int, first: int, count: int, p: int) -> NDArray[np.float64]:
    """Return x_0 of trajectories first, ..., first + count - 1 of a cell, shape (count, p), in float64."""
    law = descent.initial
    points = np.empty((count, p))
    kernels().descent.start(
        np.uint64(descent.seed), cell, first, INITIAL.index(law.kind), np.ascontiguousarray(law.center, np.float64),
        np.ascontiguousarray(law.scale, np.float64), np.ascontiguousarray(law.points, np.float64), points,
    )  # fmt: skip
    return points


def minibatches(descent: Descent, n: int, cell: int, trajectory: int, first: int = 0) -> Iterator[list[int]]:
    """Yield I_first, I_{first + 1}, ... of a trajectory: the samples out of n that `descend` draws, in its order."""
    law = law_of(descent)
    room = np.full(scratch_size(law, n, descent.size), -1, np.int64)  # type: ignore[no-untyped-call]
    out = np.empty(max(n, descent.size), np.int64)
    for k in range(first, descent.steps):
        count = kernels().descent.draw(
            law, n, descent.size, descent.replace, np.uint64(descent.seed), cell, trajectory, k, room, out
        )
        yield out[:count].tolist()


def law_of(descent: Descent) -> int:
    """Return the number that stands for the law of the minibatch in the kernels."""
    return LAWS.index("fixed_size_replaced" if descent.law == "fixed_size" and descent.replace else descent.law)


def evaluate(
    tape: Tape,
    points: Float,
    rows: Float,
    *,
    differentiate: bool = True,
    precision: str = "float64",
    groups: int = 0,
) -> tuple[Float, Float, Float]:
    """Evaluate a batch on the kernels: outputs (b, q), selection Jacobians (b, q, p), smallest |guard| (b,).

    points: (b, p). rows: (b, d), one sample for each point. groups: of the layout, for tests.
    """
    kind = np.dtype(precision)
    x, data = np.ascontiguousarray(points, kind), np.ascontiguousarray(rows, kind)
    b, p, q = len(x), tape.parameters, len(tape.outputs)
    if x.shape != (b, p) or data.shape != (b, tape.data):
        raise TapeError(f"expected points (b, {p}) and data (b, {tape.data}), got {x.shape} and {data.shape}")
    lanes = LANE_BYTES // kind.itemsize
    plan = Layout(tape, lanes, groups, 1) if groups else layout(tape, kind, 1, b)
    outputs, margins = np.empty((b, q), kind), np.empty(b, kind)
    jacobians = np.zeros((b, q, p) if differentiate else (0, q, p), kind)
    kernels().descent.evaluate(
        *plan.arrays, p, plan.data_at, plan.size, plan.longest, plan.groups, plan.samples, 1,
        x, data, outputs, jacobians, margins, differentiate,
    )  # fmt: skip
    return outputs, jacobians, margins


def compiled(precision: str = "float64") -> bool:
    """Tell whether the descent kernel of this precision has been compiled on this machine before."""
    return mark(precision).exists()


def mark(precision: str) -> Path:
    """Return the file that says so, beside the compiled kernel."""
    return Path(kernels().__path__[0]) / f"compiled-{precision}"


def warm_up(precision: str = "float64") -> float:
    """Compile the descent kernel for a precision, or load it from disk; return the seconds that took."""
    began = time.perf_counter()
    descend(*smallest(), c=0.5, cell=0, first=0, count=1, precision=precision)
    return time.perf_counter() - began


def smallest() -> tuple[Tape, NDArray[np.float64], Descent]:
    """Return a tape, its data and a descent of one step, to compile with."""
    builder = Builder(1)
    tape = assemble(builder.finish([builder.apply("square", [0])]))
    one = np.ones(1)
    law = Initial("points", one, one, np.ones((1, 1)))
    return tape, np.zeros((1, 0)), Descent(1, "full", 1, False, one, 10.0, 0, law, np.zeros(0, np.int64), 0)
