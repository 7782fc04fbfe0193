"""Specialised C++: a program generated from the work, trajectories in the lanes of vectors, compiled by g++.

It is the limit of what could be had: all sizes are known to the compiler, nothing is recorded, and the minibatches are
given. Compiled with -O3 -march=native, and with or without fused multiply-add: simsa does not fuse.
"""

import ctypes
import hashlib
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import Dense, Scalar
from benchmarks.peers.base import Peer
from benchmarks.peers.straight import straight
from benchmarks.work import Work

HERE = Path(__file__).parent
COMPILER = "g++"
FLAGS = ("-O3", "-march=native", "-shared", "-fPIC", "-std=c++17")


def dense(work: Work, model: Dense) -> str:
    """Return the gradient of a network for S samples."""
    layers, text, at = [*pairwise(model.widths)], [], 0
    units = [f"    V y{n}[{o} * S], d{n}[{o} * S];" for n, (_, o) in enumerate(layers)]
    back, before = [], "data"
    for n, (i, o) in enumerate(layers):
        last, w, b = n + 1 == len(layers), at, at + i * o
        text.append(f"    forward<{i}, {o}, {'KEEP' if last else 'RELU'}>(y{n}, x + {w}, x + {b}, {before});")
        above = f"y{n}" if last else f"d{n}"
        # the inputs' adjoints first: the step overwrites the weights
        lines = [f"    inputs<{i}, {o}, MASK>(d{n - 1}, x + {w}, {above}, {before});"] if n else []
        lines.append(f"    weights<{i}, {o}>(x + {w}, x + {b}, g + {w}, g + {b}, {above}, {before}, factor);")
        back = lines + back
        before, at = f"y{n}", b + o
    scores = model.widths[-1]
    loss = [
        f"    {model.loss}<{scores}>({before}, data + {model.widths[0]} * S);",
        f"    for (int j = 0; j < {scores}; j++)",
        f"        for (int s = 0; s < S; s++) {before}[j * S + s] *= valid[s];",
    ]
    body = "\n".join([*units, *text, *loss, *back])
    head = "static void gradient(V* x, V* g, const V* data, const V* valid, const V* factor)"
    return f'#include "lanes.h"\n{head} {{\n{body}\n}}\n'


def scalar(work: Work, model: Scalar) -> str:
    """Return a step of a scalar program."""
    lines = ["V zero = V{}, one = 1 - V{};", *(f"V r{n} = x[{n}];" for n in range(work.parameters))]
    lines += [f"V {name} = {expression};" for name, expression in straight(work.program())]
    lines += [f"x[{n}] -= rate * d{n};" for n in range(work.parameters)]
    body = "\n".join(f"    {line}" for line in lines)
    return f'#include "scalar.h"\nINLINE void step(V (&x)[P], REAL rate) {{\n{body}\n}}\n'


GENERATORS = {Dense: dense, Scalar: scalar}


def compiled(text: str, flags: tuple[str, ...], folder: Path) -> ctypes.CDLL:
    """Compile a program, and load it."""
    name = hashlib.sha256(repr((text, flags)).encode()).hexdigest()[:16]
    source, library = folder / f"{name}.cpp", folder / f"{name}.so"
    source.write_text(text, encoding="utf-8")
    subprocess.run([COMPILER, *FLAGS, *flags, f"-I{HERE}", str(source), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


class Cpp(Peer):
    """fused: whether the compiler may fuse a product and a sum."""

    def __init__(self, work: Work, threads: int, folder: Path, fused: bool) -> None:
        super().__init__(work, threads, folder)
        real = {"float64": "double", "float32": "float"}[work.precision]
        sizes = {"P": work.parameters, "D": work.rows().shape[1], "N": len(work.rows()), "U": 4}
        sizes["B"] = work.batch or len(work.rows())
        head = f"#define REAL {real}\n" + "".join(f"constexpr int {name} = {n};\n" for name, n in sizes.items())
        text = head + GENERATORS[type(work.model)](work, work.model)
        self.library = compiled(text, (f"-ffp-contract={'fast' if fused else 'off'}",), folder)

    @classmethod
    def cannot(cls, work: Work, **options: Any) -> str:
        if not shutil.which(COMPILER):
            return f"{COMPILER} is not installed"
        return "" if type(work.model) in GENERATORS else "no generator was written for this model"

    def load(self, count: int, steps: int) -> None:
        inputs = self.inputs(count, steps)
        self.start, self.rows = inputs["start"], inputs["rows"]
        self.final = np.empty_like(self.start)
        index, self.sizes = inputs.get("index"), None
        if "mask" in inputs:
            self.sizes = np.ascontiguousarray(inputs["mask"].sum(axis=2, dtype=np.int32))
            index = np.argsort(~inputs["mask"], axis=2, kind="stable")
        self.index = None if index is None else np.ascontiguousarray(index, np.int32)
        edges = np.linspace(0, (count + 15) // 16, 8 * self.threads + 1 if self.threads > 1 else 2, dtype=int) * 16
        self.blocks = list(pairwise(np.unique(np.minimum(edges, count)).tolist()))

    def block(self, block: tuple[int, int]) -> None:
        """Run some trajectories."""
        first, stop = block
        arrays = (self.start[first:], self.final[first:])
        given = [None if a is None else a[first:].ctypes.data for a in (self.index, self.sizes)]
        self.library.descend(
            *(ctypes.c_void_p(a.ctypes.data) for a in arrays), ctypes.c_long(stop - first),
            ctypes.c_void_p(self.rows.ctypes.data), *map(ctypes.c_void_p, given), ctypes.c_long(self.steps),
            ctypes.c_long(self.steps), ctypes.c_double(self.work.rate),
        )  # fmt: skip

    def descend(self) -> np.ndarray:
        if self.threads == 1:
            list(map(self.block, self.blocks))
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(self.block, self.blocks))
        return self.final
