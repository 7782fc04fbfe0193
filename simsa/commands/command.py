"""What the commands have in common: how one is added to the command line, how it is called, and what it returns."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsa.ensemble.executors import Executor

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 3
"""Exit codes."""

EXITS = "exit codes: 0 done, 2 bad input, 3 interrupted"


@dataclass(frozen=True)
class Call:
    """How the command line was called.

    typed: its words, with which a message says what to type. apart: whether the figures of a short run are drawn in
    processes beside it. executor: returns, of the number of workers, what works on the blocks of a sweep; None for
    threads of this process.
    """

    typed: tuple[str, ...]
    apart: bool = False
    executor: "Callable[[int], Executor] | None" = None


Commands = argparse._SubParsersAction  # what `add_subparsers` returns, for which argparse has no public name
Run = Callable[[argparse.Namespace, Call], int]
"""Runs a command with its arguments, and returns the exit code."""


def add(commands: "Commands[Any]", name: str, run: Run, summary: str, example: str) -> argparse.ArgumentParser:
    """Add a command to the command line, and return the parser of its arguments.

    commands: what it is added to. name: what is typed. run: runs it. summary: what it does, in a line without a capital
    letter or full stop. example: of a whole line, which ends its help; or several lines.
    """
    lines = "".join(f"\n  {line}" for line in example.splitlines())
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"{EXITS}\n\nexample:{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def positive(text: str) -> int:
    """Return a number from 1 on; argparse turns the error into its message."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got '{text}'")
    return int(text)


def shard(text: str) -> tuple[int, int]:
    """Return (k, n) of "k/n", 1 <= k <= n; argparse turns the error into its message."""
    k, slash, n = text.partition("/")
    if not (slash and k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise argparse.ArgumentTypeError(f"expected a part such as 2/5, the second of five, got '{text}'")
    return int(k), int(n)


def number(text: str) -> int:
    """Return a number from 0 on; argparse turns the error into its message."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer of at least 0, got '{text}'")
    return int(text)


def told(summary: Mapping[str, Any], folder: Path, draw: Callable[[], None] | None = None, full: bool = False) -> str:
    """Write the figures of a run, and its report as Markdown and HTML; return the report as text.

    summary: of the run. folder: of its results. draw: draws the figures there; they are drawn in this process if None.
    full: whether the text has the details.
    """
    from simsa import report

    if draw is None:
        from simsa import plots

        plots.save_all(summary, folder)
    else:
        draw()
    report.save(summary, folder)
    return report.text(summary, folder, full)
