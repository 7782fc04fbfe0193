"""`simsa report DIR`: print the report of a run again."""

import argparse
from pathlib import Path
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "report",
        run,
        "print the report of a run, from its summary",
        "simsa report results/identity_trap",
    )
    parser.add_argument("results", type=Path, metavar="DIR", help="the folder of a run")
    parser.add_argument("--full", action="store_true", help="with the details")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Print the report of a run; return the exit code."""
    from simsa.run import perform

    summary = perform.summary_of(chosen.results)
    from simsa import report

    print(report.text(summary, chosen.results, chosen.full))
    return DONE
