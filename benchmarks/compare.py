"""Run the peers beside each other on one work: check that they agree, then time them in turn."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import OURS, PEERS
from benchmarks.work import Work

ROOT = Path(__file__).parent.parent
PACKAGES = ("numpy", "numba", "jax", "torch", "tensorflow", "tensorflow-cpu", "casadi")


class Worker:
    """A peer in its own process."""

    def __init__(self, peer: str, work: Work, threads: int, folder: str) -> None:
        self.name = f"{peer} on {work.name}"
        command = [sys.executable, "-m", "benchmarks.worker", peer, work.name, str(threads), folder]
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_WAIT_POLICY": "passive"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=quiet
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def ask(self, *command: object) -> dict[str, Any]:
        """Send a command, and return the seconds it took and its result."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(" ".join(map(str, command)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"benchmarks: {self.name} failed at '{command[0]}'")
        result: dict[str, Any] = json.loads(answer)
        return result


def measure(work: Work, threads: int, peers: Iterable[str], repetitions: int) -> dict[str, Any]:
    """Return traj-steps/s of each repetition by peer; the peers take turns, so that all meet the same noise.

    The interpreter is always asked for the inputs and for the result that the others must reach.
    """
    reasons = {peer: PEERS[peer].cannot(work) for peer in peers}
    able = [peer for peer in peers if not reasons[peer]]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        everyone = dict.fromkeys(["interpreter", *able])
        workers = {peer: stack.enter_context(Worker(peer, work, threads, folder)) for peer in everyone}
        workers["interpreter"].ask("draw", work.trajectories, work.steps)
        for peer, worker in workers.items():
            worker.ask("check", peer, work.trajectories)
        ours = np.load(Path(folder) / "interpreter.npy").astype(float)
        differences = {}
        for peer in able:
            result = np.load(Path(folder) / f"{peer}.npy")
            differences[peer] = float(np.abs(result - ours[: len(result)]).max() / np.abs(ours).max())
        if bad := {peer: d for peer, d in differences.items() if not d <= (0 if peer in OURS else work.tolerance)}:
            raise SystemExit(f"benchmarks: {work.name}: results differ from simsa's, nothing was timed: {bad}")
        for peer in able:
            workers[peer].ask("prepare", work.trajectories, work.steps)
        rates: dict[str, list[float]] = {peer: [] for peer in able}
        for _ in range(repetitions):
            for peer in able:
                answer = workers[peer].ask("run")
                rates[peer].append(answer["result"] / answer["seconds"])
    return {
        "work": work.name, "title": work.title, "threads": threads, "precision": work.precision,
        "parameters": work.parameters, "flops": work.flops, "tolerance": work.tolerance, "rates": rates,
        "differences": differences, "cannot": {peer: reason for peer, reason in reasons.items() if reason},
        "conditions": conditions(),
    }  # fmt: skip


def conditions() -> dict[str, Any]:
    """Return what a reader must know to judge the numbers."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "cores": cores(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **versions,
    }


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
