"""Run the peers beside each other, check that they agree, time them in turn, and write the table."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import PEERS
from benchmarks.work import WORKS, Work

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
TOLERANCE = 1e-9
"""Largest difference allowed after twenty steps, relative to the largest parameter: peers add in another order."""


class Worker:
    """A peer in its own process."""

    def __init__(self, peer: str, work: Work, threads: int, folder: str, steps: int) -> None:
        command = [sys.executable, "-m", "benchmarks.peers", peer, work.name, str(threads), folder, str(steps)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def ask(self, command: str) -> float:
        """Send a command, and return the seconds it took."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"benchmarks: a peer failed ({' '.join(self.process.args[2:5])})")
        return float(answer)


def measure(work: Work, threads: int, peers: list[str], repetitions: int, steps: int) -> dict[str, Any]:
    """Return the seconds of each repetition by peer; the peers take turns, so that all meet the same noise."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        workers = {peer: stack.enter_context(Worker(peer, work, threads, folder, steps)) for peer in peers}
        workers["simsa"].ask("draw")
        for worker in workers.values():
            worker.ask("check")
        results = {peer: np.load(Path(folder) / f"{peer}.npy") for peer in peers}
        ours = results["simsa"]
        differences = {
            peer: float(np.abs(result - ours).max() / np.abs(ours).max()) for peer, result in results.items()
        }
        if bad := {peer: d for peer, d in differences.items() if not d <= TOLERANCE}:
            raise SystemExit(f"benchmarks: {work.name}: results differ from simsa's, nothing was timed: {bad}")
        for worker in workers.values():
            worker.ask("prepare")
        seconds: dict[str, list[float]] = {peer: [] for peer in peers}
        for _ in range(repetitions):
            for peer, worker in workers.items():
                seconds[peer].append(worker.ask("run"))
    return {
        "work": work.name, "title": work.title, "threads": threads, "trajectories": work.trajectories, "steps": steps,
        "flops": work.flops, "seconds": seconds, "differences": differences,
    }  # fmt: skip


def rates(run: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Return (median, lowest, highest) traj-steps/s by peer."""
    total = run["trajectories"] * run["steps"]
    speeds = {peer: total / np.array(seconds) for peer, seconds in run["seconds"].items()}
    return {peer: (float(np.median(s)), float(s.min()), float(s.max())) for peer, s in speeds.items()}


def table(runs: list[dict[str, Any]]) -> str:
    """Return the runs as a Markdown table; the ratio is simsa's median over the fastest median of JAX."""
    lines = [
        "| work | threads | who | traj-steps/s: median (lowest to highest) | GFLOP/s | simsa is faster by |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        speeds = rates(run)
        for peer, (median, low, high) in speeds.items():
            flops = f"{median * run['flops'] / 1e9:.1f}" if run["flops"] else ""
            ratio = "" if peer == "simsa" else f"{speeds['simsa'][0] / median:.2f}"
            spread = f"{median:.3g} ({low:.3g} to {high:.3g})"
            cells = (run["title"], run["threads"], PEERS[peer][0], spread, flops, ratio)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def conditions(repetitions: int) -> dict[str, Any]:
    """Return what a reader must know to judge the numbers."""
    versions = {}
    for package in ("numpy", "numba", "jax"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **versions,
        "repetitions": repetitions,
    }


def processor() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def publish(text: str) -> None:
    """Replace the table in docs/performance.md."""
    document = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Parse the command line, run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps and repetitions")
    parser.add_argument("--threads", type=int, help="this many only; otherwise one, and all cores")
    parser.add_argument("--work", choices=[work.name for work in WORKS], action="append", help="only this")
    parser.add_argument("--repetitions", type=int, help="7, or 3 with --quick")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the results")
    parser.add_argument("--publish", action="store_true", help="put the table into docs/performance.md")
    options = parser.parse_args()
    repetitions = options.repetitions or (3 if options.quick else 7)
    before = conditions(repetitions)
    peers = [peer for peer in PEERS if peer == "simsa" or find_spec("jax")]
    runs = []
    for work in WORKS:
        if options.work and work.name not in options.work:
            continue
        steps = work.steps // 5 if options.quick else work.steps
        for threads in [options.threads] if options.threads else sorted({1, before["cores"]}):
            runs.append(measure(work, threads, peers, repetitions, steps))
            print(table(runs[-1:]), flush=True)
    text = ", ".join(f"{key} {value}" for key, value in before.items()) + "\n\n" + table(runs)
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"conditions": before, "runs": runs, "rates": [rates(run) for run in runs]}
    (options.out / "benchmarks.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    (options.out / "benchmarks.md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nwritten to {options.out}")
    if options.publish:
        publish(text)


if __name__ == "__main__":
    main()
