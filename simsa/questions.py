"""What the analysis needs besides the records, made from a scenario: J, the minibatches, and the known answers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simsa import analysis, calculus
from simsa.ensemble.plan import Plan
from simsa.ensemble.replay import drawing, path, point
from simsa.ensemble.resolve import Resolved
from simsa.machine import Descent
from simsa.scenario import Scenario
from simsa.scenario.model import rational

MOST_MINIBATCHES = 255
"""Most minibatches that are listed one by one: as many as the nonempty subsets of eight samples."""

STARTS = 256
"""Most initial points whose bounding box is taken as the box around x_0."""


def subject(found: Resolved, made: Plan) -> analysis.Subject:
    """Return what the analysis needs to know of a run besides its records.

    found: the scenario with all that it names. made: its plan, from which the records were made.
    """
    by_setting = {label: _of_setting(one, made, label) for label, one in found.by_setting.items()}
    return replace(next(iter(by_setting.values())), settings=by_setting)


def _of_setting(found: Resolved, made: Plan, label: str) -> analysis.Subject:
    """Return what the analysis needs to know of the cells of a setting.

    found: the setting with all that it names. made: the plan of the sweep. label: the name of the setting.
    """
    setting, cells = made.settings[label], made.layout.cells
    descent, rows = setting.descent, setting.rows
    first = next(cell for cell in cells if cell.setting == label)
    draws = drawing(made, first)

    def minibatch(cell: int, trajectory: int, step: int) -> Sequence[int]:
        return next(draws.minibatches(descent, len(rows), cells[cell].scale, trajectory, step))

    def fresh(cell: int, trajectory: int, step: int) -> NDArray[np.float64]:
        return draws.streamed(descent, cells[cell].scale, trajectory, step)

    def points(cell: int, trajectory: int) -> NDArray[np.float64]:
        return path(made, cells[cell], trajectory, path_steps(descent.steps))

    def at(cell: int, trajectory: int, step: int) -> NDArray[np.float64]:
        return point(made, cells[cell], trajectory, step)

    count = min(STARTS, made.layout.trajectories)
    starts = draws.initial_points(descent, first.scale, 0, count, made.layout.parameters)
    return analysis.Subject(
        objectives={label: calculus.objective(made_of, rows) for label, made_of in found.programs.items()},
        minibatch=minibatch,
        alpha=descent.alpha,
        minibatches=None if descent.stream else drawable(descent, len(rows)),
        box=(starts.min(axis=0), starts.max(axis=0)),
        classify=found.scenario.record.classify,
        fresh=fresh if descent.stream else None,
        path=points,
        at=at,
        sgd=descent.rule.paper,
    )


def path_steps(steps: int) -> NDArray[np.int64]:
    """Return the steps at which the path of a trajectory is drawn: the first hundred, then at growing distances.

    steps: how many steps the run has, at least 0. The numbers ascend from 0 to `steps`.
    """
    later = np.geomspace(100, max(steps, 100), 100).round().astype(np.int64)
    return np.union1d(np.arange(min(steps, 100) + 1), later[later <= steps])


def drawable(descent: Descent, n: int) -> list[tuple[int, ...]] | None:
    """Return every minibatch that can be drawn from n samples, or None if there are more than MOST_MINIBATCHES.

    descent: has the law of minibatches and their size. n: at least 1.
    """
    return descent.batches.every(n, descent.size, descent.replace, MOST_MINIBATCHES)


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
            precision=said.precisions(),
            setting=said.setting,
        )
        for said in scenario.claim
    ]
