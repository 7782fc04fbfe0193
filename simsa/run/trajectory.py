"""One trajectory of a run, again: its points, its ties, and what automatic differentiation says there."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from simsa.calculus import Explanation
    from simsa.ensemble.replay import Replay, Step


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One trajectory of a run, walked again: the same bits as when it was recorded. `Run.trajectory` returns it.

    Attributes
    ----------
    replay
        Its steps, one by one, as `simsa.replay` returns them; iterating over it takes them in plain Python.
    """

    replay: "Replay"

    @cached_property
    def path(self) -> NDArray[np.float64]:
        """Return x_0, x_1, ..., up to where it stopped, shape (steps + 1, p)."""
        from simsa.ensemble.replay import path

        steps = np.arange(self.replay.stopped + 1)
        found = path(self.replay.plan, self.replay.cell, self.replay.trajectory, steps)
        return found[~np.isnan(found).all(axis=1)]

    @cached_property
    def ties(self) -> "list[Step]":
        """Return the steps at which a selection was tied, each with its number `k`, and its ties."""
        return [step for step in self.replay if step.ties]

    def explain(self, k: int | None = None) -> "Explanation":
        """Return what automatic differentiation says at x_k for the minibatch of step k, and why.

        Parameters
        ----------
        k
            The step; if left out, the first one with a tie, or the last one if there is none.

        Returns
        -------
        simsa.calculus.Explanation
            Printed, it is sentences.
        """
        from simsa import calculus

        if k is None:
            first = int(self.replay.record["tie_first"])
            k = first if first >= 0 else self.replay.stopped - 1
        step = next(iter(replace(self.replay, first=k, last=k + 1)))
        rows = step.data[list(step.minibatch)]
        program = self.replay.program
        return calculus.explain(calculus.objective(program, rows), np.array(step.x, dtype=np.float64))

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the trajectory: in the plane if there are two parameters, else its coordinates along the steps.

        Parameters
        ----------
        ax
            The axes of matplotlib to draw on; new ones if left out.
        **options
            `width`, in inches, of the figure of new axes.

        Returns
        -------
        matplotlib.axes.Axes
            The axes; their figure is `.figure`.
        """
        from simsa.plots.at_point import trajectory

        return trajectory(self.path, ax=ax, **options)
