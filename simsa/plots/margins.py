"""How near the runs came to a tie, and the codimension that this tells."""

import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from simsa.plots.panels import Panels
from simsa.plots.style import COLOURS, MARKERS, NARROW, STYLE, WIDE, Summary, families, height, key, scale_of_c, title


@mpl.rc_context(STYLE)
def margins(summary: Summary, width: float = WIDE) -> Figure | None:
    """Draw P(min |guard| <= eps) against eps, on logarithmic axes, with the slopes that were fitted.

    A thick light line is the fit, over the range of eps that it was made in; a cell without one is no power law there,
    and the legend says why. A curve that is flat down to the left edge
    belongs to runs that met a tie exactly. None if no run met a guard, or if all met ties.
    """
    positive = [e for cell in summary["cells"] if _met(cell) for e in cell["codimension"]["curve"]["epsilon"] if e > 0]
    if not positive:
        return None
    panels, left = Panels(summary, width, only=_met), min(positive) / 3
    for ax, style, cell in panels.curves():
        fit, total = cell["codimension"], cell["trajectories"]
        epsilon, share = np.array(fit["curve"]["epsilon"]), np.array(fit["curve"]["trajectories"]) / total
        ax.plot(np.maximum(epsilon, left), share, **style, markevery=panels.every(epsilon.size), zorder=2)
        if fit["slope"] is not None and panels.separate:
            at = np.geomspace(max(fit["epsilon_low"], epsilon[epsilon > 0][0]), fit["epsilon_high"], 30)
            exact = fit["zeros"] / total
            reached = np.interp(fit["epsilon_high"], epsilon, share) - exact
            law = exact + reached * (at / at[-1]) ** fit["slope"]
            ax.plot(at, law, color=style["color"], alpha=0.3, linewidth=5, zorder=1)
    for ax in panels.axes:
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlim(left=left)
        ax.set_xlabel("distance ε to a tie")
    return panels.finish("P(min |guard| ≤ ε)", _slopes(summary) if len(panels.families) == 1 else {})


def _met(cell: Any) -> bool:
    """Tell whether a run of a cell met a guard."""
    return bool(cell.get("codimension", {}).get("curve", {}).get("epsilon"))


def _slopes(summary: Summary) -> dict[float, str]:
    """Return the slope of each c in words, or why there is none."""
    found = {}
    for cell in summary["cells"]:
        fit = cell["codimension"]
        if _met(cell):
            words = f"no slope: {fit['why']}" if fit["slope"] is None else "slope {slope:.2f} ({low:.2f} .. {high:.2f})"
            found[cell["c"]] = "\n".join(textwrap.wrap(words.format_map(fit), 38))
    return found


@mpl.rc_context(STYLE)
def codimension(summary: Summary, width: float = WIDE) -> Figure | None:
    """Draw the slopes of P(0 < min |guard| <= eps) against c, with their intervals; None if fewer than two were fitted.

    A slope of 1 is what a hypersurface has that is met as if by a density.
    """
    groups = families(summary["cells"])
    fitted = [cell for cell in summary["cells"] if _met(cell) and cell["codimension"]["slope"] is not None]
    if len(fitted) < 2:
        return None
    figure = Figure(
        figsize=(width, height(width) + (0 if width > NARROW else 0.15 * len(groups))), layout="constrained"
    )
    ax = figure.subplots()
    scale_of_c(ax, [cell["c"] for cell in summary["cells"]])
    for i, cells in enumerate(groups.values()):
        shift = ScaledTranslation((i - (len(groups) - 1) / 2) * 4 / 72, 0, figure.dpi_scale_trans)
        look: Any = {"color": COLOURS[i % 7], "marker": MARKERS[i % 7], "linestyle": "none", "elinewidth": 1}
        for cell in cells:
            if cell in fitted:
                fit = cell["codimension"]
                bars = [[fit["slope"] - fit["low"]], [fit["high"] - fit["slope"]]]
                face = "white" if fit["zeros"] else look["color"]
                where: Any = {"transform": ax.transData + shift, "markerfacecolor": face}
                ax.errorbar([cell["c"]], [fit["slope"]], bars, capsize=2, **where, **look)
    ax.axhline(1, color="0.45", linestyle="--", linewidth=0.8, zorder=0.8)
    ends = [cell["codimension"][end] for cell in fitted for end in ("low", "high")]
    ax.set_ylim(min(0.0, 1.05 * min(ends)), max(1.1, 1.05 * max(ends)))
    ax.set_xlabel("step scale c")
    ax.set_ylabel(f"slope, {fitted[0]['codimension']['level']:.0%} interval")
    entries = [key(i, name) for i, name in enumerate(groups)] if len(groups) > 1 else []
    if any(cell["codimension"]["zeros"] for cell in fitted):
        exact = "some met a tie exactly: codimension 0, slope of the others"
        grey: Any = {"color": "0.35", "linestyle": "none", "marker": "o", "markerfacecolor": "white"}
        entries.append(Line2D([], [], label=exact, **grey))
    if entries:
        figure.legend(handles=entries, loc="outside lower left", ncols=3 if width > NARROW else 1)
    title(figure, summary)
    return figure
