"""`simsa demo`: a small story in one figure."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands

SCENARIO, FIGURE = "identity_trap_generations", "landing"
"""The scenario that is run in small, and the figure of it that is drawn."""

ZERO, HALF = "tensorflow", "tensorflow,relu=0.5"
"""The labels of the two conventions: relu'(0) = 0, and relu'(0) = 1/2."""

SMALL: dict[str, Any] = {
    "title": "Where relu'(0) decides: landings on x = 0 against the step scale c",
    "c": [0.3, 0.4, "1/2", 0.6, 0.7, "3/4", 0.8, 0.9],
    "conventions": ["tensorflow", {"base": "tensorflow", "relu": 0.5}],
    "precision": "float64",
    "trajectories": 40,
    "checkpoints": [0, 6],
    "classify": 1,
    "engine": "reference",
    "claims": [],
}
"""What is changed: two conventions are compared; and a run takes seconds in plain Python, so nothing is compiled."""


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands, "demo", run, "run a small experiment, and say what was seen (some 10 seconds)", "simsa demo"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("results/demo"), metavar="DIR", help="folder (default: results/demo)"
    )


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Run the experiment, and print what was seen; return the exit code."""
    from simsa import plots, report
    from simsa.run import sweep
    from simsa.scenario.shipped import find

    folder: Path = chosen.out
    found = sweep(find(SCENARIO), out=folder, resume=True, quiet=True, **SMALL)
    plots.save_all(found.summary, folder, [FIGURE])
    report.save(found.summary, folder)
    for line in _story(found.summary["cells"], folder):
        print(line)
    return DONE


def _story(cells: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[str]:
    """Yield what was seen, and what to type next, in five lines. cells: of the summary."""
    landed = {(cell["convention"], cell["c"]): cell["landed"] for cell in cells}
    scales, starts = sorted({cell["c"] for cell in cells}), cells[0]["trajectories"]
    usual = min(landed[ZERO, c] for c in scales)
    bad = [f"{landed[ZERO, c]} for c = {c:g}" for c in scales if landed[ZERO, c] > usual]
    right = sum(landed[HALF, c] for c in scales)
    yield (
        f"SGD from {starts} starts, for {len(scales)} step scales c, on a convex loss plus 0 = relu(-x) + x - relu(x)."
    )
    yield (
        f"With relu'(0) = 0, AD's gradient is wrong at x = 0, and SGD lands there for ever: {usual} of {starts} "
        f"starts (they begin at 0), but {' and '.join(bad)}."
    )
    yield f"With relu'(0) = 1/2 it is right there: {right} land. For almost all c and starts none does (Theorem 7)."
    yield f"The figure: {folder / f'{FIGURE}.png'}; the report: {folder / 'report.html'}"
    yield (
        "Next: `simsa sweep bad_step` (random starts, bad step scales), `simsa list` (others), `simsa new my.toml` "
        "(your own)."
    )
