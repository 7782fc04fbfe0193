"""`simsa extend DIR --trajectories N`: more trajectories for a run that is there."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, INTERRUPTED, Call, Commands, positive
from simsa.errors import SimsaError


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "extend",
        run,
        "run more trajectories of a run that is there, which are kept and not run again",
        "simsa extend results/identity_trap --trajectories 20000",
    )
    parser.add_argument("results", type=Path, metavar="DIR", help="the folder of a run")
    parser.add_argument(
        "--trajectories", type=positive, required=True, metavar="N", help="how many there are to be in each cell"
    )
    parser.add_argument("--out", type=Path, metavar="DIR2", help="folder of the results (default: DIR-N)")
    parser.add_argument("--resume", action="store_true", help="continue an extension that was interrupted")
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but warnings and errors")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Extend a run, and write and print the report of the whole; return the exit code."""
    from simsa.run import perform

    perform.summary_of(chosen.results)
    from simsa.records import read
    from simsa.run import load

    out: Path = chosen.out or chosen.results.with_name(f"{chosen.results.resolve().name}-{chosen.trajectories}")
    if read.exists(out) and not chosen.resume:
        raise SimsaError(f"{out} holds results already: continue them with --resume, or choose another folder")
    try:
        found = load(chosen.results).extend(chosen.trajectories, out, chosen.quiet, chosen.resume)
    except KeyboardInterrupt:
        again = [word for word in call.typed if word != "--resume"] + ["--resume"]
        print(f"interrupted; continue with: {shlex.join(again)}", file=sys.stderr)
        return INTERRUPTED
    print(command.told(found.summary, out))
    return DONE
