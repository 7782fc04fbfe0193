"""A program around a point, with what automatic differentiation says there; and one trajectory."""

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from simsa.plots.style import COLOURS, NARROW, STYLE, height

if TYPE_CHECKING:
    from simsa.calculus import Explanation

POINTS = 201
"""Points of the curve; an odd number, so that the point itself is one of them."""


@mpl.rc_context(STYLE)
def explanation(found: "Explanation", ax: Axes | None = None, *, reach: float = 1.0, width: float = NARROW) -> Axes:
    """Draw f around a point, the line with AD's slope, and the slopes of Clarke's subdifferential; return the axes.

    found: of `calculus.explain`. ax: to draw on; those of a new figure if None. reach: how far to both sides. width: of
    a new figure, in inches. With several parameters, f is drawn along the direction against AD's gradient, or along
    the first coordinate where that is 0.
    """
    ax = _axes(ax, width)
    x, gradient = found.x, found.gradient
    size = float(np.linalg.norm(gradient))
    direction = np.eye(len(x))[0]
    if len(x) > 1 and np.isfinite(size) and size > 0:
        direction = -gradient / size
    t = np.linspace(-reach, reach, POINTS)
    program, rows = found.subject.program, found.subject.rows
    points = x + t[:, None] * direction
    values = np.mean([program.value(points, np.broadcast_to(row, (len(t), len(row)))) for row in rows], axis=0)
    at = t + x[0] if len(x) == 1 else t
    here = at[POINTS // 2]
    ax.plot(at, values, color=COLOURS[0], label="f", zorder=3)
    if found.clarke is not None and found.clarke.vertices.ndim == 2:
        slopes = found.clarke.vertices @ direction
        ends = [found.value + slope * t for slope in (slopes.min(), slopes.max())]
        label = "slopes of Clarke's subdifferential" if slopes.max() > slopes.min() else "the derivative"
        ax.fill_between(at, *ends, color=COLOURS[2], alpha=0.35, linewidth=0, label=label)
        if slopes.max() == slopes.min():
            ax.plot(at, ends[0], color=COLOURS[2], linestyle=":")
    slope = float(gradient @ direction)
    if np.isfinite(slope):
        ax.plot(at, found.value + slope * t, color=COLOURS[5], linestyle="--", label=f"slope by AD: {slope:.3g}")
    ax.plot([here], [found.value], color=COLOURS[5], marker="o", markeredgecolor="black", linestyle="none", zorder=5)
    ax.set_xlabel("x" if len(x) == 1 else "distance from the point")
    ax.set_ylabel("f")
    low, high = float(values.min()), float(values.max())
    room = 0.15 * (high - low) or 0.5
    ax.set_ylim(low - room, high + room)
    ax.legend()
    return ax


@mpl.rc_context(STYLE)
def trajectory(path: NDArray[np.float64], ax: Axes | None = None, *, width: float = NARROW) -> Axes:
    """Draw x_0, x_1, ... of a trajectory, and return the axes.

    path: shape (steps + 1, p). ax: to draw on; those of a new figure if None. width: of a new figure, in inches. Two
    parameters are drawn in their plane, others along the steps, at most the first seven.
    """
    ax = _axes(ax, width)
    first: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": COLOURS[3], "label": "x_0", "zorder": 4}
    if path.shape[1] == 2:
        ax.plot(*path.T, color=COLOURS[0], linewidth=0.8, marker=".", markersize=2)
        ax.plot(*path[0], **first)
        ax.plot(*path[-1], **{**first, "marker": "s", "color": COLOURS[5], "label": f"x_{len(path) - 1}"})
        ax.set_xlabel("x[0]")
        ax.set_ylabel("x[1]")
        ax.legend()
        return ax
    for j in range(min(path.shape[1], len(COLOURS))):
        ax.plot(path[:, j], color=COLOURS[j], linewidth=0.8, label=f"x[{j}]")
    ax.set_xlabel("step k")
    ax.set_ylabel("x_k")
    if path.shape[1] > 1:
        ax.legend()
    return ax


def _axes(ax: Axes | None, width: float) -> Axes:
    """Return the axes that were given, or those of a new figure."""
    return Figure(figsize=(width, height(width)), layout="constrained").add_subplot() if ax is None else ax
