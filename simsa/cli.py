"""The command line: what is the same for every command (`simsa.commands`): signals, errors and exit codes.

Results and tables go to stdout, everything else to stderr.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsa.commands import BAD_INPUT, COMMANDS, DONE, EXITS, INTERRUPTED, Call
from simsa.errors import SimsaError

if TYPE_CHECKING:
    from simsa.ensemble.executors import Executor


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
    parser = _parser()
    chosen = parser.parse_args(given)
    if chosen.command is None:
        parser.print_help()
        return DONE
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's notice is a Ctrl-C
    try:
        return int(chosen.run(chosen, Call((*command.split(), *given), apart, executor)))
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
    """Run every scenario in full, or those named after --only, and write docs/findings/results.md from their summaries.

    root: the folder with scenarios/, results/ and docs/. Runs under results/ are continued, and summarised again:
    claims may be new. The page is about every scenario; one without results, or with those of another version of its
    file, is said to have none. arguments: without the name of the command; those of the process if left out. Returns
    the exit code: 0 done, 1 a claim was rejected, 2 a scenario could not be run, 3 interrupted (the same line
    continues).
    """
    page, results = root / "docs" / "findings" / "results.md", root / "results"
    files = {path.stem: path for path in sorted((root / "scenarios").glob("*.toml"))}
    parser = argparse.ArgumentParser(description="run the catalogue of scenarios, and write docs/findings/results.md")
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
        epilog=f"{EXITS}\n\nexample:\n  simsa demo\n  simsa sweep identity_trap\n  simsa sweep --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for one in COMMANDS:
        one.add(commands)
    return parser
