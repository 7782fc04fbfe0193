"""`simsa replay DIR`: run one trajectory of a sweep again, and print it step by step."""

import argparse
from pathlib import Path
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands, number

STEPS = 20
"""Steps that a replay prints, unless told otherwise."""


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "replay",
        run,
        "run one trajectory of a sweep again, and print it step by step",
        "simsa replay results/identity_trap --cell 1 --trajectory 7",
    )
    parser.add_argument("results", type=Path, metavar="DIR", help="the folder of a sweep")
    parser.add_argument("--cell", type=number, required=True, metavar="C", help="number of the cell in the records")
    parser.add_argument("--trajectory", type=number, required=True, metavar="T", help="number of the trajectory")
    parser.add_argument("--from", type=number, default=0, metavar="K", dest="first", help="first step (default: 0)")
    parser.add_argument("--to", type=number, metavar="K", dest="last", help="step to stop before (default: 20 on)")
    parser.add_argument("--exact", action="store_true", help="with rational numbers beside, and where the two part")
    parser.add_argument("--full", action="store_true", help="vectors in full, however long")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Print one trajectory step by step; return the exit code."""
    from simsa.ensemble.replay import replay
    from simsa.ensemble.transcript import transcript

    last = chosen.first + STEPS if chosen.last is None else chosen.last
    found = replay(chosen.results, chosen.cell, chosen.trajectory, chosen.first, last)
    for line in transcript(found, exact=chosen.exact, full=chosen.full):
        print(line)
    return DONE
