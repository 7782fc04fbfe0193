"""The figures of a run, when told to, several at once: `python -m simsa.plots FOLDER COUNT`. See `simsa.drawing`."""

import gc
import json
import multiprocessing
import os
import sys
from multiprocessing.connection import wait
from pathlib import Path

gc.disable()  # a process that soon ends, and whose forks would copy what a collection touches

from simsa.plots.figures import FIGURES, begin  # noqa: E402
from simsa.plots.style import Summary, save  # noqa: E402


def draw_all(folder: Path, count: int) -> bool:
    """Draw the figures of `folder / "summary.json"` there, each in a process, `count` at once; tell if all were."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    processes = [multiprocessing.Process(target=_draw, args=(summary, folder, name)) for name in begin(summary, folder)]
    running: list[int] = []
    for process in processes:
        if len(running) == count:
            ended = wait(running)
            running = [other for other in running if other not in ended]
        process.start()
        running.append(process.sentinel)
    for process in processes:
        process.join()
    return not any(process.exitcode for process in processes)


def _draw(summary: Summary, folder: Path, name: str) -> None:
    """Draw one figure."""
    save(FIGURES[name](summary), folder / name)


if __name__ == "__main__":
    # a fork has matplotlib already; elsewhere than on Linux, libraries of the system may not survive one
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn")
    told = sys.stdin.read()
    os._exit(0 if not told or draw_all(Path(sys.argv[1]), int(sys.argv[2])) else 1)
