"""How time grows with the size of the work: slopes on log-log axes, as figures/growth.png and .pdf."""

import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.compare import ROOT, conditions, cores
from benchmarks.models import Dense, Scalar
from benchmarks.peers.simsa import Simsa
from benchmarks.work import Work
from simsa.plots.page import page
from simsa.plots.style import BLACK, MARKERS, STYLE, WIDE, save

FIGURE = ROOT / "figures" / "growth"
ENOUGH = 0.5
"""Seconds of a point after which it is not measured again."""

TRAJECTORIES = Work("growth", "", Scalar(10), 0, 1000, 20, samples=1)
STEPS = Work("growth", "", Dense((2, 16, 16, 1)), 8, 256, 100)
PARAMETERS = Work("growth", "", Dense((8, 1, 1, 1)), 8, 32, 20)
SAMPLES = Work("growth", "", Dense((20, 1), "l1"), 0, 64, 10, samples=200)
THREADS = Work("growth", "", Dense((16, 32, 32, 1)), 8, 4096, 25)


def cases() -> Iterator[tuple[str, int, Work, int]]:
    """Yield (panel, size, work, threads)."""
    every = cores()
    for n in 10 ** np.arange(2, 8):
        yield "trajectories", int(n), replace(TRAJECTORIES, trajectories=int(n)), every
    for n in (10, 30, 100, 300, 1000, 3000):
        yield "steps", n, replace(STEPS, steps=n), every
    for width in (1, 3, 10, 30, 100, 310):
        work = replace(PARAMETERS, model=Dense((8, width, width, 1)))
        yield "parameters", work.parameters, work, every
    for n in (10, 100, 1000, 10_000, 100_000):
        yield "samples, all in each step", n, replace(SAMPLES, samples=n), every
    for n in (1, 2, 4):
        if n <= every:
            yield "threads", n, THREADS, n


def seconds(work: Work, threads: int) -> float:
    """Return the least seconds of a descent on the interpreter, which needs no compilation for a program."""
    with tempfile.TemporaryDirectory() as folder:
        peer = Simsa(work, threads, Path(folder), engine="interpreter")
    peer.load(work.trajectories, work.steps)
    best, spent = float("inf"), 0.0
    while spent < ENOUGH:
        began = time.perf_counter()
        peer.descend()
        took = time.perf_counter() - began
        best, spent = min(best, took), spent + took
    return best


def growth() -> dict[str, Any]:
    """Return sizes, seconds and slope by panel; the slope is that of the larger half of the sizes."""
    panels: dict[str, Any] = {}
    for name, size, work, threads in cases():
        panel = panels.setdefault(name, {"sizes": [], "seconds": []})
        panel["sizes"].append(size)
        panel["seconds"].append(seconds(work, threads))
        print(f"{name} {size}: {panel['seconds'][-1]:.3g} s", flush=True)
    for name, panel in panels.items():
        half = 0 if name == "threads" else len(panel["sizes"]) // 2
        x, y = (np.log(panel[key][half:]) for key in ("sizes", "seconds"))
        panel["slope"] = float(np.polyfit(x, y, 1)[0]) if len(x) > 1 else float("nan")
    return {"conditions": conditions(), "panels": panels}


def draw(
    record: dict[str, Any],
    *,
    figure: Figure | SubFigure | None = None,
    width: float = WIDE,
    title: bool = True,
) -> FigureBase:
    """Draw the times against the sizes, with the slope of each panel, and return the figure.

    record: what `growth` returned. figure: an empty Figure or SubFigure to draw on; None for a new one. width: of a new
    one, in inches. title: whether a title stands above.
    """
    panels = record["panels"]
    with page(figure, width, "Time against the size of the work, on logarithmic axes" if title else "") as one:
        columns = 3 if one.wide else 2
        rows = -(-len(panels) // columns)
        axes = one.grid(rows, columns, 0.75 * one.width / columns * rows, len(panels))
        for ax, (name, panel) in zip(axes, panels.items(), strict=True):
            ax.loglog(panel["sizes"], panel["seconds"], color=BLACK, marker=MARKERS[0])
            ax.set_xlabel(textwrap.fill(name, 16))
            ax.set_title(f"slope {panel['slope']:.2f}")
            ax.xaxis.set_major_locator(LogLocator(numticks=4))
            if name == "threads":
                ax.set_xticks(panel["sizes"], panel["sizes"])
                ax.xaxis.set_minor_locator(NullLocator())
                # less than a decade: the times themselves
                ax.set_yticks(panel["seconds"], [f"{seconds:.2g}" for seconds in panel["seconds"]])
                ax.yaxis.set_minor_locator(NullLocator())
        one.figure.supylabel("seconds", fontsize=STYLE["axes.labelsize"])
    return one.figure


def figure(record: dict[str, Any]) -> None:
    """Write the figure."""
    drawn = draw(record)
    assert isinstance(drawn, Figure)
    save(drawn, FIGURE)
