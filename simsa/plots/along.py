"""Figures along the run: J, and the probability of having landed."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from simsa.plots.panels import Panels
from simsa.plots.style import STYLE, WIDE, Summary, floats

BANDS = 12
"""Up to so many curves of J get a band; those of landing probabilities only while they have a style each."""


@mpl.rc_context(STYLE)
def objective(summary: Summary, width: float = WIDE) -> Figure | None:
    """Draw J along the run: the median and, for up to BANDS values of c, the band of the middle half.

    A run that was stopped counts as J = inf, so a curve ends where half of the runs have stopped, and a band
    where a quarter of them have. Steps are on a logarithmic axis if the checkpoints are. None if J was not recorded.
    """
    if not any(cell["objective"]["trajectories"] for cell in summary["cells"]):
        return None
    panels = Panels(summary, width)
    values = []
    banded = len(panels.c) <= BANDS
    gaps = np.diff(summary["cells"][0]["objective"]["step"])
    logarithmic = len(gaps) > 1 and gaps[-1] > 10 * gaps[0]
    for ax, style, cell in panels.curves():
        step = np.array(cell["objective"]["step"]) + (1 if logarithmic else 0)
        low, middle, high = (floats(cell["objective"]["quantiles"][q]) for q in ("0.25", "0.5", "0.75"))
        ax.plot(step, middle, **style, markevery=panels.every(step.size))
        values += [middle]
        if banded:
            ax.fill_between(step, low, high, **panels.band(style))
            values += [low, high]
    found = np.concatenate(values) if values else np.zeros(0)
    found = found[np.isfinite(found)]
    starts = [v[0] for v in values if v.size and np.isfinite(v[0])]
    for ax in panels.axes:
        ax.set_xlabel("step k + 1" if logarithmic else "step k")
        if logarithmic:
            ax.set_xscale("log")
        if found.size and found.min() > 0 and found.max() > 20 * found.min():
            ax.set_yscale("log")
            # Runs that explode would flatten all others.
            ax.set_ylim(found.min() / 1.3, min(1.3 * found.max(), 30 * max(starts, default=np.inf)))
    return panels.finish("J, median and middle half" if banded else "J, median")


@mpl.rc_context(STYLE)
def first_passage(summary: Summary, width: float = WIDE) -> Figure | None:
    """Draw the probability of having landed by step k, with pointwise exact intervals for few values of c.

    Only cells in which something is known to have landed have a curve; the others are counted, with their largest upper
    bound, one-sided. None if nothing is known to have landed at all.
    """
    if not any(cell["landed"] for cell in summary["cells"]):
        return None
    panels = Panels(summary, width, only=lambda cell: bool(cell["landed"]))
    logarithmic = summary["cells"][0]["steps"] >= 100
    highest = 0.0
    for ax, style, cell in panels.curves():
        curve = cell["first_passage"]
        step = np.array(curve["step"]) + (1 if logarithmic else 0)
        ax.plot(
            step,
            floats(curve["estimate"]),
            **style,
            drawstyle="steps-post",
            markevery=panels.every(step.size),
        )
        highest = max(highest, *curve["high"])
        if panels.separate:
            ax.fill_between(step, curve["low"], curve["high"], step="post", **panels.band(style))
    for ax, cells in zip(panels.axes, panels.families.values(), strict=True):
        none = [cell for cell in cells if not cell["landed"] and cell["trajectories"]]
        bound = max((cell["probability"]["landed"]["bound"] for cell in none), default=0.0)
        highest = max(highest, bound if len(none) == len(cells) else 0.0)
        if none:
            text = f"no known landing for {len(none)} of {len(cells)} c\n(hatched: P <= {bound:.2g})"
            ax.axhspan(0, bound, facecolor="0.93", edgecolor="0.6", hatch="////", linewidth=0, zorder=0.5)
            ax.text(0.02, 0.98, text, transform=ax.transAxes, va="top", fontsize=6.5, in_layout=False)
        if logarithmic:
            ax.set_xscale("log")
            ax.set_xlim(1, cells[0]["steps"])
        ax.set_xlabel("step k + 1" if logarithmic else "step k")
    for ax in panels.axes:
        ax.set_ylim(0, min(1.05, 1.25 * highest) or 1)
    return panels.finish("P(landed by step k)")
