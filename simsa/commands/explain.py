"""`simsa explain KEY`: what a key of a scenario file means."""

import argparse
import textwrap
from collections.abc import Iterator
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands

WIDTH = 110
"""Most characters in a line."""


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "explain",
        run,
        "say what a key of a scenario file means: type, default, choices, an example",
        "simsa explain\nsimsa explain sgd.step_size",
    )
    parser.add_argument("key", metavar="KEY", nargs="?", help="such as sgd.step_size; the tables if left out")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Print what a key means, or the tables that there are; return the exit code."""
    from simsa.scenario.keys import explained

    for line in explained(chosen.key) if chosen.key else _tables():
        inner = " " * (len(line) - len(line.lstrip()) + 4)
        print("\n".join(textwrap.wrap(line, WIDTH, subsequent_indent=inner, break_on_hyphens=False)))
    return DONE


def _tables() -> Iterator[str]:
    """Yield a line for each table of a scenario file."""
    from simsa.scenario import Scenario

    yield "The tables of a scenario file; `simsa explain TABLE` lists the keys of one:"
    for name, field in Scenario.model_fields.items():
        needed = " (needed)" if field.is_required() else ""
        yield f"  {name}: {' '.join((field.description or '').split())}{needed}"
