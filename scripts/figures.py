"""Draw the figures of the README again: `python scripts/figures.py all`, or the names of some.

Each comes from a scenario. Its sweep is run, or continued from its records under results/, and the figure is copied to
figures/ as PNG and PDF.
"""

import shutil
import sys
from pathlib import Path

from simsa.cli import main

ROOT = Path(__file__).parent.parent

FIGURES = {"landing": ("bad_step", "landing"), "digits": ("relu_net", "objective")}
"""Name in figures/: the scenario, and which of its figures."""


def draw(name: str) -> int:
    """Draw one figure, and return the exit code of its sweep."""
    scenario, figure = FIGURES[name]
    results = ROOT / "results" / scenario
    again = ["--resume"] if results.exists() else []
    code = main(["sweep", str(ROOT / "scenarios" / f"{scenario}.toml"), "--out", str(results), *again])
    if code == 0:
        for suffix in (".png", ".pdf"):
            shutil.copyfile(results / f"{figure}{suffix}", ROOT / "figures" / f"{name}{suffix}")
    return code


if __name__ == "__main__":
    wanted = list(FIGURES) if sys.argv[1:] in ([], ["all"]) else sys.argv[1:]
    if unknown := [name for name in wanted if name not in FIGURES]:
        print(f"unknown figure {', '.join(unknown)}; expected all, {', '.join(FIGURES)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(max(draw(name) for name in wanted))
