"""Draw the figures of the README and of docs/findings/ again: `python scripts/figures.py all`, or the names of some.

Most come from a scenario: its sweep is run, or continued from its records under results/, and the figure is drawn from
its summary to figures/ as PNG and PDF; the steps of a trajectory as a GIF, too. Those of the paper are drawn from
programs. What a run has nothing to show in raises, with the reason.
"""

import json
import sys
from pathlib import Path

from simsa import plots
from simsa.cli import main
from simsa.commands import demo
from simsa.plots.paper import paper_figure_1

ROOT = Path(__file__).parent.parent

FIGURES = {
    "landing": ("bad_step", "landing"),
    "final_points": ("bad_step", "final_points"),
    "margins": ("bad_step", "margins"),
    "plane": ("bad_step_2d", "plane"),
    "zero_hits": ("bad_step", "zero_hits"),
    "steps": ("bad_step_2d", "steps"),
    "differences": ("bad_step", "differences"),
    "precisions": ("bad_step", "precisions"),
    "digits": ("relu_net", "settings"),
}
"""Name in figures/: the scenario, and which of its figures."""

DEMO = "demo"
"""Name in figures/ of the figure that `simsa demo` draws."""

OF_PROGRAMS = {"paper_figure_1": paper_figure_1}
"""Name in figures/: the function that draws it."""


def draw(name: str) -> int:
    """Draw one figure, and return the exit code of its sweep, 0 if there is none."""
    if name in OF_PROGRAMS:
        plots.save(OF_PROGRAMS[name](), ROOT / "figures" / name)
        return 0
    if name == DEMO:
        results, figure = ROOT / "results" / DEMO, demo.FIGURE
        code = main(["demo", "--out", str(results)])
    else:
        scenario, figure = FIGURES[name]
        results = ROOT / "results" / scenario
        again = ["--resume"] if results.exists() else []
        code = main(["sweep", str(ROOT / "scenarios" / f"{scenario}.toml"), "--out", str(results), *again])
    if code == 0:
        summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
        plots.save(plots.FIGURES[figure](summary), ROOT / "figures" / name)
        if figure == "steps":
            plots.animation(summary, ROOT / "figures" / f"{name}.gif")
    return code


if __name__ == "__main__":
    known = [*FIGURES, DEMO, *OF_PROGRAMS]
    wanted = known if sys.argv[1:] in ([], ["all"]) else sys.argv[1:]
    if unknown := [name for name in wanted if name not in known]:
        print(f"unknown figure {', '.join(unknown)}; expected all, {', '.join(known)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(max(draw(name) for name in wanted))
