"""`python -m benchmarks`: simsa beside its peers on every work."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.compare import ROOT, conditions, cores, measure
from benchmarks.peers import PEERS
from benchmarks.work import WORKS

RESULTS = ROOT / "benchmarks" / "results" / "benchmarks.json"


def main() -> None:
    """Parse the command line, run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=[work.name for work in WORKS], nargs="+", metavar="WORK", help="these only")
    parser.add_argument("--peers", choices=list(PEERS), nargs="+", metavar="PEER", help="these only")
    parser.add_argument("--threads", type=int, nargs="+", help="so many only; otherwise all cores, and one")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="records, kept and replaced work by work")
    parser.add_argument("--publish", action="store_true", help="write docs/performance.json and docs/performance.md")
    options = parser.parse_args()
    records = report.read(options.results)
    records["conditions"] = conditions()
    for work in WORKS:
        if options.only and work.name not in options.only:
            continue
        for threads in options.threads or sorted({1, cores()}, reverse=True):
            run = measure(work, threads, options.peers or list(PEERS), options.repetitions)
            report.keep(records, run)
            print(report.table([run]), flush=True)
            options.results.parent.mkdir(parents=True, exist_ok=True)
            options.results.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    print(f"written to {options.results}", file=sys.stderr)
    if options.publish:
        text = ", ".join(f"{key} {value}" for key, value in records["conditions"].items())
        runs = records["runs"]
        report.publish(records, {"benchmarks": "\n\n".join([text, report.table(runs), report.missing(runs)])})


if __name__ == "__main__":
    main()
