"""The roofline of the machine: peak products and sums, and loads from the first and second cache, measured."""

import ctypes
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import conditions, cores
from benchmarks.peers.cpp import compiled

ROUNDS = 3_000_000
CHAINS, BITS = 14, {"float64": 64, "float32": 32}
CONTRACTIONS = {"fused": "fast", "unfused": "off"}
SIZES = {"L1": 16 * 1024, "L2": 256 * 1024}
"""Bytes that are read again and again: half of the caches of current cores."""

READ = 200_000_000
"""Bytes that a measurement reads."""


def fastest(calls: list[Callable[[], Any]], repetitions: int) -> float:
    """Return the least seconds of the calls, one a thread, at once; ctypes releases the interpreter's lock."""
    best = float("inf")
    with ThreadPoolExecutor(len(calls)) as pool:
        for _ in range(repetitions):
            began = time.perf_counter()
            for running in [pool.submit(call) for call in calls]:
                running.result()
            best = min(best, time.perf_counter() - began)
    return best


def roofline(repetitions: int = 20) -> dict[str, Any]:
    """Return GFLOP/s and GB/s on one core and on all."""
    source = Path(__file__).with_suffix(".cpp").read_text(encoding="utf-8")
    result: dict[str, Any] = {"conditions": conditions()}
    with tempfile.TemporaryDirectory() as folder:
        libraries = {
            name: compiled(source, (f"-ffp-contract={way}",), Path(folder)) for name, way in CONTRACTIONS.items()
        }
    for threads in sorted({1, cores()}):
        found = {}
        for way, library in libraries.items():
            for name, bits in BITS.items():
                seconds = fastest([partial(getattr(library, name), ctypes.c_long(ROUNDS))] * threads, repetitions)
                found[f"{name} {way}"] = threads * ROUNDS * CHAINS * 2 * (256 // bits) / seconds / 1e9
        for name, size in SIZES.items():
            memories = [np.ones(size // 8 + 8) for _ in range(threads)]
            starts = [ctypes.c_void_p((memory.ctypes.data + 63) // 64 * 64) for memory in memories]
            counts = ctypes.c_long(size // 8), ctypes.c_long(READ // size)
            seconds = fastest([partial(libraries["fused"].loads, start, *counts) for start in starts], repetitions)
            found[name] = threads * size * (READ // size) / seconds / 1e9
        result[str(threads)] = found
    return result
