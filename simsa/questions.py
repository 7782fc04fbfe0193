"""What the analysis needs besides the records, made from a scenario: J, the minibatches, and the known answers."""

from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import analysis, calculus
from simsa.ensemble.plan import Plan
from simsa.ensemble.replay import path
from simsa.ensemble.resolve import Resolved
from simsa.machine import Descent, draws, launch
from simsa.rules import SGD
from simsa.scenario import Scenario
from simsa.scenario.model import rational

MOST_MINIBATCHES = 255
"""Most minibatches that are listed one by one: as many as the nonempty subsets of eight samples."""

FEW = 5000
"""Most trajectories, or numbers, that are drawn in plain Python: of more, a kernel draws, which may have to be compiled
first."""

STARTS = 256
"""Most initial points whose bounding box is taken as the box around x_0."""


def subject(found: Resolved, made: Plan) -> analysis.Subject:
    """Return what the analysis needs to know of a run besides its records.

    found: the scenario with all that it names. made: its plan, from which the records were made.
    """
    descent, rows, cells = made.descent, made.rows, made.layout.cells

    few = len(cells) * made.layout.trajectories <= FEW
    drawing: Any = draws if few else launch

    def minibatch(cell: int, trajectory: int, step: int) -> Sequence[int]:
        found: Sequence[int] = next(drawing.minibatches(descent, len(rows), cells[cell].scale, trajectory, step))
        return found

    def fresh(cell: int, trajectory: int, step: int) -> NDArray[np.float64]:
        found: NDArray[np.float64] = drawing.streamed(descent, cells[cell].scale, trajectory, step)
        return found

    def points(cell: int, trajectory: int) -> NDArray[np.float64]:
        return path(made, cells[cell], trajectory, path_steps(descent.steps))

    count = min(STARTS, made.layout.trajectories)
    p = made.layout.parameters
    if few and count * p <= FEW:
        starts = np.array([draws.initial_point(descent, cells[0].scale, t, p) for t in range(count)]).reshape(count, p)
    else:
        starts = launch.initial_points(descent, cells[0].scale, 0, count, p)
    return analysis.Subject(
        objectives={label: calculus.objective(made_of, rows) for label, made_of in found.programs.items()},
        minibatch=minibatch,
        alpha=descent.alpha,
        minibatches=None if descent.stream else drawable(descent, len(rows)),
        box=(starts.min(axis=0), starts.max(axis=0)),
        classify=found.scenario.record.classify,
        fresh=fresh if descent.stream else None,
        path=points,
        sgd=descent.rule is SGD,
    )


def path_steps(steps: int) -> NDArray[np.int64]:
    """Return the steps at which the path of a trajectory is drawn: the first hundred, then at growing distances.

    steps: how many steps the run has, at least 0. The numbers ascend from 0 to `steps`.
    """
    later = np.geomspace(100, max(steps, 100), 100).round().astype(np.int64)
    return np.union1d(np.arange(min(steps, 100) + 1), later[later <= steps])


def drawable(descent: Descent, n: int) -> list[tuple[int, ...]] | None:
    """Return every minibatch that can be drawn from n samples, or None if there are more than MOST_MINIBATCHES.

    descent: has the law of minibatches and their size. n: at least 1. Raises ValueError if the law is unknown.
    """
    size = descent.size
    match descent.law:
        case "full":
            return [tuple(range(n))]
        case "uniform_subset":
            sizes = [*range(1, n + 1)]
        case "reshuffled":
            sizes = sorted({min(size, n), n % size or min(size, n)})
        case "fixed_size" if descent.replace:
            few = comb(n + size - 1, size) <= MOST_MINIBATCHES
            return list(combinations_with_replacement(range(n), size)) if few else None
        case "fixed_size":
            sizes = [size]
        case law:
            raise ValueError(f"unknown law of minibatches '{law}'")
    if sum(comb(n, k) for k in sizes) > MOST_MINIBATCHES:
        return None
    return [batch for k in sizes for batch in combinations(range(n), k)]


def claims(scenario: Scenario) -> list[analysis.Claim]:
    """Return the known answers of a scenario: its `[[claim]]` tables, in their order."""
    return [
        analysis.Claim(
            event=said.event,
            probability=float(rational(said.probability)),
            text=said.text,
            probability_text=said.probability if isinstance(said.probability, str) else f"{said.probability:g}",
            c=said.scales(),
            convention=said.labels(),
            precision=said.precision,
        )
        for said in scenario.claim
    ]
