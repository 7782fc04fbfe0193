"""The law of x_k in a small format, without sampling: all numbers of the format, and all minibatches."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import ScenarioError
from simsa.vocabulary import TieKind

if TYPE_CHECKING:
    from simsa import calculus
    from simsa.ensemble.plan import Plan
    from simsa.ensemble.resolve import Resolved
    from simsa.formats import Format
    from simsa.machine import Walker
    from simsa.records.layout import Cell

Array = NDArray[np.float64]

MOST_POINTS = 2**17
"""The most points of the format that x_k may be at: all numbers of 16 bits, or all pairs of numbers of 8 bits."""

MOST_MINIBATCHES = 255
"""The most minibatches that are taken one by one."""


@dataclass(frozen=True, eq=False)
class Law:
    """The law of a trajectory of one cell, up to the rounding of sums of probabilities in float64, some 1e-14.

    c, convention, precision, setting: of the cell. points: where x_K may be, shape (m, p). probability: of each, shape
    (m,). landed: the probability that x_j is in Sing or C of f_{I_j} for some j < k, for k = 1, ..., K, shape (K,).
    stopped: of having left the ball or met a number that is not finite; it is what `probability` lacks of 1. undecided:
    of having met a tie that the calculus does not classify, before any landing.
    """

    c: float
    convention: str
    precision: str
    setting: str
    points: Array = field(repr=False)
    probability: Array = field(repr=False)
    landed: Array = field(repr=False)
    stopped: float
    undecided: float


def law(found: "Resolved", made: "Plan", cell: "Cell") -> Law:
    """Return the law of the trajectories of a cell.

    found: the scenario with all that it names. made: its plan. cell: of it. Raises ScenarioError if the law cannot be
    listed: if the points or the minibatches are too many, or not independent; if the rule keeps a state; or if x_0 has
    a law without a formula.
    """
    from simsa import calculus
    from simsa.engines import Reference

    setting, whole = made.setting(cell), found.by_setting[cell.setting]
    format_, batches = _checked(whole, setting.descent, cell, len(setting.rows))
    space = _Space.of(format_, made.layout.parameters)
    engine, task = Reference(), made.task(cell)
    objective = calculus.objective(whole.programs[cell.convention], format_.rounded(setting.rows))
    moves = _Moves(engine.walker(task), space, objective, batches, setting.descent.radius)
    mass = {False: space.start(setting.descent.initial), True: np.zeros(space.size)}  # by whether it has landed
    landed, undecided, stopped = [0.0], 0.0, 0.0
    for gamma in engine.gamma(task, cell.scale):
        following = {key: np.zeros(space.size) for key in mass}
        for key, here in mass.items():
            for i in np.flatnonzero(here):
                for batch in range(len(batches)):
                    share = here[i] / len(batches)
                    kind, to = moves.kind(int(i), batch), moves.to(int(i), batch, gamma)
                    lands = not key and kind in (TieKind.C, TieKind.SING)
                    if lands:
                        landed[-1] += share
                    elif not key and kind is TieKind.UNDECIDED:
                        undecided += share
                    if to < 0:
                        stopped += share
                    else:
                        following[key or lands][to] += share
        mass = following
        landed.append(landed[-1])
    total = mass[False] + mass[True]
    kept = np.flatnonzero(total)
    return Law(
        c=cell.c,
        convention=cell.convention,
        precision=cell.precision,
        setting=cell.setting,
        points=space.points[kept],
        probability=total[kept],
        landed=np.array(landed[:-1]),
        stopped=stopped,
        undecided=undecided,
    )


def _checked(found: "Resolved", descent: Any, cell: "Cell", n: int) -> "tuple[Format, Sequence[tuple[int, ...]]]":
    """Return the format and the minibatches of a cell; raises ScenarioError if its law cannot be listed."""
    from simsa import formats
    from simsa.formats import EXACT

    def refuse(why: str) -> ScenarioError:
        return ScenarioError(f"{found.scenario.path}: the law of x_k cannot be listed: {why}")

    row = None if cell.precision == EXACT else formats.find(cell.precision)
    most = {1: MOST_POINTS, 2: 2**8}.get(found.program.p, 0)
    if row is None or (row.emax - row.emin + 2) << row.bits > most:
        raise refuse(f"{cell.precision} with {found.program.p} parameters has too many points")
    if descent.rule.state:
        raise refuse(f"the rule {descent.rule.name} keeps {', '.join(descent.rule.state)}")
    if descent.stream is not None or descent.replace or descent.law == "reshuffled":
        raise refuse("expected minibatches that are independent and equally likely")
    batches = descent.batches.every(n, descent.size, descent.replace, MOST_MINIBATCHES)
    if batches is None:
        raise refuse(f"there are more than {MOST_MINIBATCHES} minibatches")
    if descent.initial.kind not in ("normal", "uniform", "points"):
        raise refuse(f"the law '{descent.initial.kind}' of x_0 has no formula")
    return row, batches


@dataclass(frozen=True, eq=False)
class _Space:
    """The points of a format. numbers: its finite ones, ascending. points: all of R^p, shape (m, p).

    The zeros of both signs are one point: no operation but a quotient tells them apart.
    """

    format: "Format"
    numbers: Array
    points: Array

    @classmethod
    def of(cls, format_: "Format", p: int) -> "_Space":
        """Return the points in R^p."""
        numbers = format_.numbers()
        points = np.array(list(product(numbers, repeat=p))) if p > 1 else numbers[:, None]
        return cls(format_, numbers, points)

    @property
    def size(self) -> int:
        """Return m."""
        return len(self.points)

    def index(self, point: Sequence[float]) -> int:
        """Return the number of a point."""
        found = 0
        for v in point:
            found = found * len(self.numbers) + int(np.searchsorted(self.numbers, float(v)))
        return found

    def start(self, law: Any) -> Array:
        """Return the probability of each point under a law of x_0, rounded to the format."""
        from scipy.special import ndtr

        mass = np.ones(1)
        if law.kind == "points":
            mass = np.zeros(self.size)
            for point in self.format.rounded(law.points):
                mass[self.index(point)] += 1 / len(law.points)
            return mass
        edges = np.concatenate([[-np.inf], (self.numbers[1:] + self.numbers[:-1]) / 2, [np.inf]])
        for center, scale in zip(law.center.tolist(), law.scale.tolist(), strict=True):
            if scale == 0:
                each = np.zeros(len(self.numbers))
                each[np.searchsorted(self.numbers, self.format.round(center))] = 1
            elif law.kind == "normal":
                each = np.diff(ndtr((edges - center) / scale))
            else:
                each = np.diff(np.clip((edges - (center - scale)) / (2 * scale), 0, 1))
            mass = np.multiply.outer(mass, each).ravel()
        return mass


@dataclass(eq=False)
class _Moves:
    """Where each minibatch moves each point, and what its tie is there; each is computed once.

    walker: takes steps in the format. objective: J in float64, with the samples of the format.
    """

    walker: "Walker"
    space: _Space
    objective: "calculus.Objective"
    batches: Sequence[tuple[int, ...]]
    radius: float
    _steps: dict[tuple[int, int], Any] = field(default_factory=dict)
    _kinds: dict[tuple[int, int], TieKind | None] = field(default_factory=dict)
    _ends: dict[tuple[int, int, float], int] = field(default_factory=dict)

    @cached_property
    def _zero(self) -> Any:
        """Return a step size of 0."""
        return self.walker.arithmetic.number(0)

    def _step(self, i: int, batch: int) -> Any:
        """Return the gradient at a point, and whether a guard is 0 there."""
        key = i, batch
        if key not in self._steps:
            x = [self.walker.arithmetic.number(v) for v in self.space.points[i]]
            step = self.walker.step(0, x, self.batches[batch], self._zero, self.radius, lambda place: _word)
            self._steps[key] = step.gradient, bool(step.ties)
        return self._steps[key]

    def kind(self, i: int, batch: int) -> TieKind | None:
        """Return what the tie of f_I at a point is; None if there is none."""
        from simsa import calculus
        from simsa.errors import ProgramError

        if not self._step(i, batch)[1]:
            return None
        key = i, batch
        if key not in self._kinds:
            try:
                found = calculus.classify(self.objective.minibatch(self.batches[batch]), self.space.points[i])
                self._kinds[key] = found.tie or TieKind.ROUNDING
            except ProgramError:  # more branches meet there than the calculus lists
                self._kinds[key] = TieKind.UNDECIDED
        return self._kinds[key]

    def to(self, i: int, batch: int, gamma: float) -> int:
        """Return the number of the point that a step leads to; -1 if it stops the trajectory."""
        key = i, batch, float(gamma)
        if key not in self._ends:
            gradient, _ = self._step(i, batch)
            number = self.walker.arithmetic.number
            x = [number(v) for v in self.space.points[i]]
            with np.errstate(all="ignore"):
                _, _, following = self.walker.ruled(x, list(gradient), number(gamma), self.walker.rest(), None)
            at = [float(v) for v in following]
            inside = np.isfinite(at).all() and max(map(abs, at)) <= self.space.format.at_most(self.radius)
            self._ends[key] = self.space.index(at) if inside else -1
        return self._ends[key]


def _word(n: int) -> int:
    """Return a word for a weight at ties: whether a tie is sensitive is not asked here."""
    return n
