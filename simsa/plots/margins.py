"""How near the runs came to a tie, and the codimension that this tells."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from simsa.plots.page import Page, plot
from simsa.plots.panels import Panels
from simsa.plots.style import BLACK, COLOURS, MARKERS, Summary, families, height, key, number, scale_of_c

FEWEST = 3
"""Positive margins of a cell without which a curve shows nothing."""

GAP = 1000.0
"""A ratio of neighbouring margins from which nothing lies between them but rounding: the axis begins to its right."""


def _no_margin(summary: Summary) -> str:
    """Return why there are no margins to show; empty if there are."""
    if not any(_met(cell) for cell in summary["cells"]):
        return "no trajectory met a guard, or margins were not recorded"
    curves = [[e for e in cell["codimension"]["curve"]["epsilon"] if e > 0] for cell in summary["cells"] if _met(cell)]
    if not any(curves):
        return "all trajectories met a tie exactly"
    if max(map(len, curves)) < FEWEST:
        return f"no cell has {FEWEST} different margins besides 0"
    return ""


@plot(
    caption="The probability that the smallest guard of a trajectory is at most epsilon, against epsilon. The light "
    "thick lines are the fitted slopes, over the range that they were fitted in. A curve that is flat down to the left "
    "edge belongs to trajectories that met a tie exactly, or within rounding.",
    nothing=_no_margin,
)
def margins(summary: Summary, page: Page) -> None:
    """Draw P(min |guard| <= eps) against eps, on logarithmic axes, with the slopes that were fitted.

    A thick light line is the fit, over the range of eps that it was made in; a cell without one is no power law there,
    and the legend says why. Of many values of c, the outermost, one in the middle and the one that met most ties stand
    out. Decades in which there is nothing, between what rounding makes of a tie and all other margins, are left out.
    """
    panels = Panels(summary, page, only=_met, choose=_telling)
    left, hidden = _left([cell for _, _, cell in panels.curves()])
    lowest = 1.0
    right = max(e for _, _, cell in panels.curves() for e in cell["codimension"]["curve"]["epsilon"])
    for ax, style, cell in panels.curves():
        fit, total = cell["codimension"], cell["trajectories"]
        epsilon, share = np.array(fit["curve"]["epsilon"]), np.array(fit["curve"]["trajectories"]) / total
        first = max(int(np.searchsorted(epsilon, left, side="right")) - 1, 0)
        shown, level = np.maximum(epsilon[first:], left), share[first:]
        if shown.size == 1:
            shown, level = np.array([left, right]), np.repeat(level, 2)
        lowest = min(lowest, level[0])
        ax.plot(shown, level, **{"markevery": panels.every(shown.size), "zorder": 2, **style})
        if fit["slope"] is not None and panels.stands_out(cell):
            nearest = epsilon[epsilon > fit["epsilon_low"]][0]
            at = np.geomspace(max(nearest, left), fit["epsilon_high"], 30)
            before = np.count_nonzero(epsilon <= fit["epsilon_low"])
            exact = share[before - 1] if before else 0.0
            reached = np.interp(fit["epsilon_high"], epsilon, share) - exact
            law = exact + reached * (at / at[-1]) ** fit["slope"]
            ax.plot(at, law, color=style["color"], alpha=0.3, linewidth=5, zorder=1)
    for ax in panels.axes:
        ax.set_xscale("log")
        if lowest < 0.1:
            ax.set_yscale("log")
        else:  # less than a decade
            ax.set_ylim(0, 1.05)
        ax.set_xlim(left=left)
    notes = [f"Further left: ties, and margins of at most {number(hidden)}, which rounding makes."] if hidden else []
    slopes = _slopes(summary) if len(panels.families) == 1 else {}
    panels.finish("distance ε to a tie", "P(min |guard| ≤ ε)", slopes, notes=notes)


def _left(cells: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return where the axis begins, and the largest positive margin left of it, 0 if there is none.

    It begins right of the widest gap between neighbouring margins of all cells, if that is GAP or wider.
    """
    every = np.unique([e for cell in cells for e in cell["codimension"]["curve"]["epsilon"] if e > 0])
    ratios = every[1:] / every[:-1]
    if not ratios.size or ratios.max() < GAP:
        return float(every[0]) / 3, 0.0
    i = int(ratios.argmax())
    return float(every[i + 1]) / 3, float(every[i])


def _telling(cells: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return a few values of c: the least, the largest, one in the middle, and the one that met most ties."""
    c = sorted({cell["c"] for cell in cells})
    most = max(cells, key=lambda cell: cell["codimension"]["zeros"])
    met = [most["c"]] if most["codimension"]["zeros"] else []
    rest = [value for value in c if value not in met]
    return [*met, rest[0], rest[len(rest) // 2], rest[-1]]


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
            found[cell["c"]] = words.format_map(fit)
    return found


def _few_slopes(summary: Summary) -> str:
    """Return why there are no slopes to compare; empty if there are."""
    fitted = len(_fitted(summary))
    return "" if fitted > 1 else f"{fitted or 'no'} slope was fitted, of {len(summary['cells'])} cells"


def _fitted(summary: Summary) -> list[Mapping[str, Any]]:
    """Return the cells with a slope."""
    return [cell for cell in summary["cells"] if _met(cell) and cell["codimension"]["slope"] is not None]


@plot(
    caption="The slopes of the margins against c, with intervals: 1 for a hypersurface; open where some "
    "trajectories met a tie exactly.",
    nothing=_few_slopes,
)
def codimension(summary: Summary, page: Page) -> None:
    """Draw the slopes of P(0 < min |guard| <= eps) against c, with their intervals.

    A slope of 1 is what a hypersurface has that is met as if by a density.
    """
    groups, fitted = families(summary["cells"]), _fitted(summary)
    (ax,) = page.grid(1, 1, height(page.width))
    scale_of_c(ax, [cell["c"] for cell in summary["cells"]], page.width)
    for i, cells in enumerate(groups.values()):
        shift = ScaledTranslation((i - (len(groups) - 1) / 2) * 4 / 72, 0, page.figure.dpi_scale_trans)
        look: Any = {"color": COLOURS[i % 7], "marker": MARKERS[i % 7], "linestyle": "none", "elinewidth": 1}
        for cell in cells:
            if any(cell is one for one in fitted):
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
        grey: Any = {"color": BLACK, "linestyle": "none", "marker": "o", "markerfacecolor": "white"}
        entries.append(Line2D([], [], label=exact, **grey))
    page.legend(entries)
