"""`simsa plot DIR FIGURE`: draw one figure of a run."""

import argparse
from pathlib import Path
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands
from simsa.errors import SimsaError

SUFFIXES = (".pdf", ".png", ".svg")
"""What the name of a figure's file may end in."""


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "plot",
        run,
        "draw a figure of a run, from its summary",
        "simsa plot results/bad_step landing --out landing.pdf --width 3.4 --no-title",
    )
    parser.add_argument("results", type=Path, metavar="DIR", help="the folder of a run")
    parser.add_argument("figure", metavar="FIGURE", help="such as landing; an unknown name lists those that there are")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a .pdf, .png or .svg file (default: FIGURE.png in this folder)"
    )
    parser.add_argument(
        "--width", type=_inches, default=7.0, metavar="INCHES", help="width (default: 7, a page; 3.4 is a column)"
    )
    parser.add_argument("--no-title", action="store_true", help="without the title of the run above it")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Draw a figure and write it; return the exit code."""
    out: Path = chosen.out or Path(f"{chosen.figure}.png")
    if out.suffix not in SUFFIXES:
        raise SimsaError(f"--out {out}: expected a file that ends in {', '.join(SUFFIXES)}")
    from simsa.run import perform

    summary = perform.summary_of(chosen.results)
    from simsa.plots import FIGURES
    from simsa.plots.style import save_as
    from simsa.scenario.model import nearest

    if chosen.figure not in FIGURES:
        raise SimsaError(f"there is no figure '{chosen.figure}'; {nearest(chosen.figure, FIGURES)}")
    figure = FIGURES[chosen.figure](summary, width=chosen.width, title=not chosen.no_title)
    save_as(figure, out)
    print(f"written: {out}")
    return DONE


def _inches(text: str) -> float:
    """Return a width in inches; argparse turns the error into its message."""
    try:
        width = float(text)
    except ValueError:
        width = 0.0
    if not 1 <= width <= 40:
        raise argparse.ArgumentTypeError(f"expected a number of inches from 1 to 40, got '{text}'")
    return width
