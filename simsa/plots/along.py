"""Figures along the run: J, and the probability of having landed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from simsa.plots.page import Page, plot
from simsa.plots.panels import Panels
from simsa.plots.style import Summary, families, floats, number
from simsa.vocabulary import named

BANDS = 12
"""Up to so many curves of J get a band; those of landing probabilities only while they have a style each."""

HATCHED: dict[str, Any] = {"facecolor": "0.93", "edgecolor": "0.6", "hatch": "////", "linewidth": 0, "zorder": 0.5}
"""The look of the area below a bound."""


def _no_objective(summary: Summary) -> str:
    """Return why there is no J to show; empty if there is."""
    if not any(cell["objective"]["trajectories"] for cell in summary["cells"]):
        return "J was not recorded (record.objective_every)"
    if all(len(cell["objective"]["step"]) < 2 for cell in summary["cells"]):
        return "J was recorded at one step alone"
    return ""


@plot(
    caption="J along the run: the median and the middle half of the trajectories. One that was stopped counts as "
    "J = inf from then on, so that a curve ends where half of them have stopped; the legend says where.",
    nothing=_no_objective,
)
def objective(summary: Summary, page: Page) -> None:
    """Draw J along the run: the median and, for up to BANDS values of c, the band of the middle half.

    Steps are on a logarithmic axis if the checkpoints are. Cells whose curve ends, or leaves the axes, are named.
    """
    panels = Panels(summary, page)
    values = []
    banded = len(panels.looks.shown) <= BANDS
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
    top = np.inf
    for ax in panels.axes:
        if logarithmic:
            ax.set_xscale("log")
        if found.size and found.min() > 0 and found.max() > 20 * found.min():
            ax.set_yscale("log")
            # Runs that explode would flatten all others.
            top = min(1.3 * found.max(), 30 * max(starts, default=np.inf))
            ax.set_ylim(found.min() / 1.3, top)
    x, y = "step k + 1" if logarithmic else "step k", "J, median and middle half" if banded else "J, median"
    panels.finish(x, y, notes=list(_unseen(summary, top)))


def _unseen(summary: Summary, top: float) -> Iterator[str]:
    """Yield a sentence for each way in which a cell has no curve, or an end of it. top: of the axes."""
    reasons: dict[str, list[str]] = {}
    many = len(families(summary["cells"])) > 1
    for cell in summary["cells"]:
        step, middle = cell["objective"]["step"], floats(cell["objective"]["quantiles"]["0.5"])
        stopped, above = np.flatnonzero(~np.isfinite(middle)), np.flatnonzero(middle > top)
        if not cell["trajectories"]:
            why = "no trajectory was run"
        elif not middle.size:
            why = "J was not recorded"
        elif above.size and not (stopped.size and stopped[0] < above[0]):
            why = f"the median is above the axes at step {step[above[0]]}"
        elif stopped.size:
            why = f"half of the trajectories, or more, have stopped by step {step[stopped[0]]}"
        else:
            continue
        name = f"{cell['c']:.4g}" + (f" ({named(cell)})" if many else "")
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        yield f"c = {', '.join(names)}: {why}" if len(names) <= 4 else f"{len(names)} cells: {why}"


def _no_passage(summary: Summary) -> str:
    """Return why there is no course of landings to show; empty if there is."""
    if not any(cell["landed"] for cell in summary["cells"]):
        return "nothing is known to have landed"
    steps = {step for cell in summary["cells"] for step in _landing_steps(cell["first_passage"])}
    if len(steps) == 1:
        return f"all known landings are in step {steps.pop()}"
    return ""


def _landing_steps(curve: Mapping[str, Any]) -> list[int]:
    """Return the steps of a curve at which some are known to have landed."""
    low = [0.0, *curve["low"]]
    return [step for i, step in enumerate(curve["step"]) if low[i + 1] > low[i]]


@plot(
    caption="The probability that a trajectory has landed by step k, with pointwise exact intervals for few values of "
    "c. Where the kind of some points is not known there is no estimate, and the band alone is drawn.",
    nothing=_no_passage,
)
def first_passage(summary: Summary, page: Page) -> None:
    """Draw the probability of having landed by step k, with pointwise exact intervals for few values of c.

    Only cells in which something is known to have landed have a curve, constant between steps, up to the end of the
    run; the others are counted, with their largest upper bound, one-sided.
    """
    panels = Panels(summary, page, only=lambda cell: bool(cell["landed"]))
    steps = summary["cells"][0]["steps"]
    logarithmic = steps >= 100
    highest = 0.0
    for ax, style, cell in panels.curves():
        curve = cell["first_passage"]
        step = np.append(curve["step"], steps) + (1 if logarithmic else 0)
        estimate, low, high = (_held(curve[name]) for name in ("estimate", "low", "high"))
        stairs: Any = {"drawstyle": "steps-post", "markevery": panels.every(step.size)}
        if np.isnan(estimate).all():
            for end in (low, high):
                ax.plot(step, end, **{**style, "linewidth": 0.7}, **stairs)
        else:
            ax.plot(step, estimate, **style, **stairs)
        highest = max(highest, *curve["high"])
        if panels.separate:
            ax.fill_between(step, low, high, step="post", **panels.band(style))
    hatched: dict[str, str] = {}
    for ax, (name, cells) in zip(panels.axes, panels.families.items(), strict=True):
        none = [cell for cell in cells if not cell["landed"] and cell["trajectories"]]
        bound = max((cell["probability"]["landed"]["bound"] for cell in none), default=0.0)
        highest = max(highest, bound if len(none) == len(cells) else 0.0)
        if none:
            hatched[name] = f"no known landing at {len(none)} of {len(cells)} c: P ≤ {number(bound)}"
            ax.axhspan(0, bound, **HATCHED)
        if logarithmic:
            ax.set_xscale("log")
            ax.set_xlim(1, steps + 1)
    for ax in panels.axes:
        ax.set_ylim(0, min(1.05, 1.25 * highest) or 1)
    alike = len(set(hatched.values())) == 1 and len(hatched) == len(panels.families)
    said = dict.fromkeys(text if alike else f"{name}: {text}" for name, text in hatched.items())
    x = "step k + 1" if logarithmic else "step k"
    panels.finish(x, "P(landed by step k)", entries=[Patch(label=text, **HATCHED) for text in said])


def _held(values: Sequence[float | None]) -> Any:
    """Return the values of a curve with the last once more, as it stays at the end of the run."""
    found = floats(values)
    return np.append(found, found[-1])
