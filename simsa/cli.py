"""The command line: `simsa sweep FILE`. Results and tables go to stdout, everything else to stderr.

What is slow to import (Numba, SciPy, xarray, matplotlib) is imported when it is needed, so that help and a
mistake in a scenario are answered at once.
"""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsa.drawing import drawer
from simsa.errors import SimsaError

if TYPE_CHECKING:
    from simsa.ensemble.executors import Executor

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 3
"""Exit codes."""

SHORT = 10.0
"""Seconds up to which a run is short: a process that draws its figures may wait for its end."""

STEPS = 20
"""Steps that a replay prints, unless told otherwise."""


def main(
    arguments: Sequence[str] | None = None,
    command: str = "simsa",
    apart: bool = False,
    executor: "Callable[[int], Executor] | None" = None,
) -> int:
    """Run the command line and return the exit code: 0 done, 2 bad input, 3 interrupted.

    arguments: without the name of the command; those of the process if left out. command: how the user called
    it, for messages that say what to type. apart: draw the figures of a short run in processes beside it. executor:
    returns, of the number of workers, what works on the blocks of a sweep; threads of this process if left out.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = _parser().parse_args(given)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's notice is a Ctrl-C
    try:
        if chosen.command == "replay":
            return _replay(chosen)
        return _sweep(chosen, [*command.split(), *given], apart, executor)
    except KeyboardInterrupt:
        print("interrupted before there was anything to keep", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout is gone (`simsa sweep ... | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (SimsaError, OSError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    finally:
        signal.signal(signal.SIGTERM, before)


def catalogue(root: Path, arguments: Sequence[str] | None = None) -> int:
    """Run every scenario in full, or those named after --only, and write docs/results.md from their summaries.

    root: the folder with scenarios/, results/ and docs/. Runs under results/ are continued, and summarised again:
    claims may be new. The page is about every scenario; one without results, or with those of another version of its
    file, is said to have none. arguments: without the name of the command; those of the process if left out. Returns
    the exit code: 0 done, 1 a claim was rejected, 2 a scenario could not be run, 3 interrupted (the same line
    continues).
    """
    page, results = root / "docs" / "results.md", root / "results"
    files = {path.stem: path for path in sorted((root / "scenarios").glob("*.toml"))}
    parser = argparse.ArgumentParser(description="run the catalogue of scenarios, and write docs/results.md")
    parser.add_argument("--only", nargs="*", default=files, choices=files, metavar="NAME", help="what to run")
    codes = [DONE]
    for name in parser.parse_args(arguments).only:
        codes.append(main(["sweep", str(files[name]), "--out", str(results / name), "--resume"]))
        if codes[-1] == INTERRUPTED:
            return INTERRUPTED
    from simsa.records import disk
    from simsa.report import catalogue, markdown

    summaries = {name: catalogue.summary_of(file, results / name) for name, file in files.items()}
    for name, found in summaries.items():
        if isinstance(found, str):
            print(f"{name}: {found}", file=sys.stderr)
    disk.write(page, markdown.render(catalogue.sections(summaries)))
    print(f"written: {page.relative_to(root)}")
    return BAD_INPUT if BAD_INPUT in codes else int(any(map(catalogue.rejected, summaries.values())))


class _Version(argparse.Action):
    """Prints the version of simsa, which takes a moment to look up, only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from simsa.records.layout import versions

        print(f"simsa {versions()['simsa']}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="simsa",
        description="Ensembles of mini-batch SGD driven by automatic differentiation: how often do they land "
        "where automatic differentiation is wrong?",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sweep = commands.add_parser(
        "sweep",
        help="run a scenario, and write records, summary and figures",
        epilog="exit codes: 0 done, 2 bad input, 3 interrupted (continue with --resume)",
    )
    sweep.add_argument("file", type=Path, metavar="FILE", help="the scenario, a TOML file")
    sweep.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: results/NAME)")
    sweep.add_argument("--workers", type=_positive, metavar="N", help="threads (default: all usable cores)")
    existing = sweep.add_mutually_exclusive_group()
    existing.add_argument("--resume", action="store_true", help="continue an interrupted run, if there is one")
    existing.add_argument("--overwrite", action="store_true", help="remove the results that are there")
    sweep.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    sweep.add_argument("--full", action="store_true", help="print the report with its details")
    sweep.add_argument("--quiet", action="store_true", help="nothing on stderr but warnings and errors")
    sweep.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the scenario: --set sgd.steps=500",
    )
    again = commands.add_parser(
        "replay",
        help="run one trajectory of a sweep again, and print it step by step",
        epilog="exit codes: 0 done, 2 bad input",
    )
    again.add_argument("results", type=Path, metavar="RESULTS", help="the folder of a sweep")
    again.add_argument("--cell", type=_number, required=True, metavar="C", help="number of the cell in the records")
    again.add_argument("--trajectory", type=_number, required=True, metavar="T", help="number of the trajectory")
    again.add_argument("--from", type=_number, default=0, metavar="K", dest="first", help="first step (default: 0)")
    again.add_argument("--to", type=_number, metavar="K", dest="last", help="step to stop before (default: 20 on)")
    again.add_argument("--exact", action="store_true", help="with rational numbers beside, and where the two part")
    again.add_argument("--full", action="store_true", help="vectors in full, however long")
    return parser


def _positive(text: str) -> int:
    """Return a number of threads; argparse turns the error into its message."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got '{text}'")
    return int(text)


def _number(text: str) -> int:
    """Return a number from 0 on; argparse turns the error into its message."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer of at least 0, got '{text}'")
    return int(text)


def _say(line: str) -> None:
    """Print a line for the user, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def _replay(chosen: argparse.Namespace) -> int:
    """Print one trajectory step by step; return the exit code."""
    from simsa.ensemble.replay import replay
    from simsa.ensemble.transcript import transcript

    last = chosen.first + STEPS if chosen.last is None else chosen.last
    found = replay(chosen.results, chosen.cell, chosen.trajectory, chosen.first, last)
    for line in transcript(found, exact=chosen.exact, full=chosen.full):
        print(line)
    return DONE


def _quiet(line: str) -> None:
    """Say nothing; a function of the module, as work that is done in another process takes it along."""


def _sweep(
    chosen: argparse.Namespace, typed: Sequence[str], apart: bool, executor: "Callable[[int], Executor] | None"
) -> int:
    """Run a scenario from end to end; return the exit code. The arguments are those of `main`; typed: all words."""
    from simsa.scenario import load, warnings

    scenario = load(chosen.file, chosen.set)
    folder: Path = chosen.out or Path("results") / scenario.scenario.name
    from simsa.run import perform

    ready = perform.prepare(scenario, chosen.workers, _quiet if chosen.quiet else _say, executor)
    for warning in warnings(scenario, len(ready.found.samples)):
        _say(warning)
    for line in perform.announced(ready, folder):
        ready.say(line)
    if chosen.dry_run:
        return DONE
    short = ready.seconds < SHORT
    drawing = drawer(folder, ready.workers) if apart and short and ready.workers > 1 else nullcontext()
    with drawing as draw:
        records, todo = perform.opened(ready, folder, resume=chosen.resume, overwrite=chosen.overwrite)
        (folder / perform.SCENARIO).write_bytes(chosen.file.read_bytes())
        perform.provenance(
            ready, folder, command=shlex.join(typed), file=chosen.file, put=chosen.set, keep=chosen.resume
        )
        try:
            outcome, compiling = perform.performed(ready, records, todo, chosen.quiet)
            if not outcome.interrupted:
                summary = perform.summarised(ready, records, outcome, compiling)
                print(_report(summary, folder, draw, chosen.full), flush=True)
                return DONE
        except KeyboardInterrupt:  # a second Ctrl-C, or one outside of the run
            pass
    again = [word for word in typed if word not in ("--resume", "--overwrite")] + ["--resume"]
    kept, blocks = len(records.finished()), len(ready.made.layout.blocks)
    print(
        f"interrupted: {kept} of {blocks} blocks are kept; continue with: {shlex.join(again)}",
        file=sys.stderr,
    )
    return INTERRUPTED


def _report(summary: Mapping[str, Any], folder: Path, draw: Callable[[], None] | None, full: bool) -> str:
    """Write the figures, and the report as Markdown and HTML; return the report as text, with its details if `full`.

    draw: has figures drawn.
    """
    from simsa import report

    if draw is None:
        from simsa import plots

        plots.save_all(summary, folder)
    else:
        draw()
    report.save(summary, folder)
    return report.text(summary, folder, full)
