"""`simsa sweep FILE`: run a scenario from end to end."""

import argparse
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, INTERRUPTED, Call, Commands, positive, shard
from simsa.drawing import drawer

SHORT = 10.0
"""Seconds up to which a run is short: a process that draws its figures may wait for its end."""

EXAMPLE = """\
simsa sweep identity_trap
simsa sweep my.toml --set sgd.steps=500 --out results/longer"""


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands, "sweep", run, "run a scenario, and write records, summary, report and figures", EXAMPLE
    )
    parser.add_argument(
        "file", metavar="FILE|NAME", help="the scenario: a TOML file, or the name of one that comes with simsa"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: results/NAME)")
    parser.add_argument("--workers", type=positive, metavar="N", help="threads (default: all usable cores)")
    parser.add_argument(
        "--shard", type=shard, metavar="K/N", help="run the K-th of N parts alone; `simsa merge` puts them together"
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="continue an interrupted run, if there is one")
    existing.add_argument("--overwrite", action="store_true", help="remove the results that are there")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    parser.add_argument("--full", action="store_true", help="print the report with its details")
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but warnings and errors")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the scenario: --set sgd.steps=500 (`simsa explain` lists the keys)",
    )


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Run a scenario; return the exit code."""
    from simsa.scenario import load, warnings
    from simsa.scenario.shipped import find

    file = find(chosen.file)
    scenario = load(file, chosen.set)
    folder: Path = chosen.out or Path("results") / scenario.scenario.name
    from simsa.run import perform

    ready = perform.prepare(scenario, chosen.workers, perform.quiet if chosen.quiet else perform.tell, call.executor)
    short = ready.seconds < SHORT
    if chosen.dry_run or not short:  # the report of a short run says the same in a moment
        for warning in warnings(scenario, len(ready.found.samples)):
            perform.tell(warning)
    for line in perform.announced(ready, folder):
        ready.say(line)
    if chosen.dry_run:
        return DONE
    drawing = drawer(folder, ready.workers) if call.apart and short and ready.workers > 1 else nullcontext()
    with drawing as draw:
        records, todo = perform.opened(ready, folder, resume=chosen.resume, overwrite=chosen.overwrite)
        if chosen.shard is not None:
            part, parts = chosen.shard
            mine = set(records.layout.blocks[part - 1 :: parts])
            todo = [block for block in todo if block in mine]
        (folder / perform.SCENARIO).write_bytes(file.read_bytes())
        perform.provenance(ready, folder, command=shlex.join(call.typed), file=file, put=chosen.set, keep=chosen.resume)
        try:
            outcome, compiling = perform.performed(ready, records, todo, chosen.quiet)
            blocks = len(records.layout.blocks)
            if chosen.shard is not None and not outcome.interrupted and len(records.finished()) < blocks:
                print(
                    f"part {part} of {parts} is done: {len(mine)} of {blocks} blocks are in {folder}; when all are: "
                    f"simsa merge {folder} ... --out DIR"
                )
                return DONE
            if not outcome.interrupted:
                summary = perform.summarised(ready, records, outcome, compiling)
                print(command.told(summary, folder, draw, chosen.full), flush=True)
                return DONE
        except KeyboardInterrupt:  # a second Ctrl-C, or one outside of the run
            pass
    again = [word for word in call.typed if word not in ("--resume", "--overwrite")] + ["--resume"]
    kept, blocks = len(records.finished()), len(ready.made.layout.blocks)
    print(
        f"interrupted: {kept} of {blocks} blocks are kept; continue with: {shlex.join(again)}",
        file=sys.stderr,
    )
    return INTERRUPTED
