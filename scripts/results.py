"""Run every scenario in full, or those named after --only, and write docs/results.md from their summaries.

Runs under results/ are continued, and summarised again: claims may be new. The page is about every scenario; one
without results, or with those of another version of its file, is said to have none. Exit codes: 0 done, 1 a claim was
rejected, 2 a scenario could not be run, 3 interrupted (the same line continues).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from simsa.cli import BAD_INPUT, DONE, INTERRUPTED, main
from simsa.records import disk
from simsa.report import catalogue, markdown

ROOT = Path(__file__).parent.parent
SCENARIOS, RESULTS, PAGE = ROOT / "scenarios", ROOT / "results", ROOT / "docs" / "results.md"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run scenarios and write the page; return the exit code.

    arguments: those of the command line, without its name; those of the process if left out.
    """
    scenarios = {path.stem: path for path in sorted(SCENARIOS.glob("*.toml"))}
    parser = argparse.ArgumentParser(description="run the catalogue of scenarios, and write docs/results.md")
    parser.add_argument("--only", nargs="*", default=scenarios, choices=scenarios, metavar="NAME", help="what to run")
    codes = [DONE]
    for name in parser.parse_args(arguments).only:
        codes.append(main(["sweep", str(scenarios[name]), "--out", str(RESULTS / name), "--resume"], "simsa"))
        if codes[-1] == INTERRUPTED:
            return INTERRUPTED
    summaries = {name: catalogue.summary_of(path, RESULTS / name) for name, path in scenarios.items()}
    for name, found in summaries.items():
        if isinstance(found, str):
            print(f"{name}: {found}", file=sys.stderr)
    disk.write(PAGE, markdown.render(catalogue.sections(summaries)))
    print(f"written: {PAGE.relative_to(ROOT)}")
    return BAD_INPUT if BAD_INPUT in codes else int(any(map(catalogue.rejected, summaries.values())))


if __name__ == "__main__":
    sys.exit(run())
