"""`simsa list`: the scenarios that come with simsa."""

import argparse
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    command.add(commands, "list", run, "list the scenarios that come with simsa, with the work of each", "simsa list")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Print a line for each scenario that comes with simsa; return the exit code."""
    from simsa.scenario import load
    from simsa.scenario.shipped import shipped

    print(f"{'name':<26}  {'traj-steps':>10}  title")
    for name, path in shipped().items():
        scenario = load(path)
        cells = len(scenario.c_values()) * len(scenario.conventions) * len(scenario.precisions)
        work = cells * scenario.sweep.trajectories * scenario.sgd.steps
        print(f"{name:<26}  {work:>10.2g}  {scenario.scenario.title}")
    print("\nRun one with `simsa sweep NAME`; up to some 1e6 traj-steps of a small program take seconds.")
    return DONE
