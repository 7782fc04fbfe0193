"""`python -m benchmarks`: simsa beside its peers on every work, the machine's roofline, whole processes, growth."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import growth, report
from benchmarks.compare import ROOT, conditions, cores, measure
from benchmarks.peers import PEERS, usual
from benchmarks.process import process
from benchmarks.roofline import roofline
from benchmarks.targets import targets
from benchmarks.work import WORKS

RESULTS = ROOT / "benchmarks" / "results" / "benchmarks.json"
PARTS = ("compare", "roofline", "process", "growth", "report")


def write(records: dict[str, Any], path: Path) -> None:
    """Keep the records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    # some versions of argparse refuse no part at all, unless a default is one of the choices
    named = f"{', '.join(PARTS)}, or all"
    parser.add_argument("parts", choices=[*PARTS, "all"], nargs="*", default="all", metavar="PART", help=named)
    parser.add_argument("--only", choices=[work.name for work in WORKS], nargs="+", metavar="WORK", help="these only")
    parser.add_argument("--peers", choices=list(PEERS), nargs="+", metavar="PEER", help="these only")
    parser.add_argument("--threads", type=int, nargs="+", help="so many only; otherwise all cores, and one")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="records, kept and replaced work by work")
    parser.add_argument("--publish", action="store_true", help="write docs/performance.json and docs/performance.md")
    options = parser.parse_args(arguments)
    options.parts = PARTS if "all" in options.parts else options.parts
    return options


def main() -> None:
    """Run, print, write."""
    options = parse()
    records = report.read(options.results)
    records["conditions"] = conditions()
    if "compare" in options.parts:
        for work in WORKS:
            if options.only and work.name not in options.only:
                continue
            for threads in options.threads or sorted({1, cores()}, reverse=True):
                run = measure(work, threads, options.peers or usual(work, threads), options.repetitions)
                report.keep(records, run)
                print(report.table([run]), flush=True)
                write(records, options.results)
    for name, part in (("roofline", roofline), ("process", process), ("growth", growth.growth)):
        if name in options.parts:
            records[name] = part()
            write(records, options.results)
    if "report" not in options.parts:
        return
    records["runs"].sort(key=lambda run: [work.name for work in WORKS].index(run["work"]))
    texts = report.parts(records) | {"targets": targets(records)}
    for text in texts.values():
        print(f"\n{text}")
    if options.publish:
        report.publish(records, texts)
        if "growth" in records:
            growth.figure(records["growth"])
        print("written: docs/performance.json, docs/performance.md", file=sys.stderr)


if __name__ == "__main__":
    main()
