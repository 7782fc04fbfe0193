"""Whole processes: the first sweep ever on a machine, which compiles, and later ones."""

import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.compare import ROOT, conditions

SWEEP = ROOT / "scenarios" / "relu_net_small.toml"


def seconds(folder: str) -> float:
    """Return the seconds of a sweep, from the start of Python to its end; the cache is in `folder`."""
    command = [sys.executable, "-m", "simsa", "sweep", str(SWEEP), "--quiet", "--overwrite", "--out", f"{folder}/out"]
    where = {**os.environ, "SIMSA_CACHE_DIR": f"{folder}/cache"}
    began = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=where)
    return time.perf_counter() - began


def process(repetitions: int = 5) -> dict[str, Any]:
    """Return the seconds of a first sweep, with an empty cache, and of later ones."""
    with tempfile.TemporaryDirectory() as folder:
        first = seconds(folder)
        later = [seconds(folder) for _ in range(repetitions)]
    return {"conditions": conditions(), "sweep": SWEEP.name, "first": first, "later": later}
