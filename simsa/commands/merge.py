"""`simsa merge DIR DIR ... --out DIR`: put the shards of a sweep together."""

import argparse
from pathlib import Path
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands

EXAMPLE = """\
simsa sweep my.toml --shard 1/2 --out results/one     (on one machine)
simsa sweep my.toml --shard 2/2 --out results/two     (on another)
simsa merge results/one results/two --out results/whole"""


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands, "merge", run, "put together the shards of a sweep that were run in different folders", EXAMPLE
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="DIR", help="the folders of the shards")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder for the whole")
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but errors")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Merge the shards, and write and print the report of the whole; return the exit code."""
    from simsa.run.merge import merge

    found = merge(chosen.results, chosen.out, chosen.quiet)
    print(command.told(found.summary, chosen.out))
    return DONE
