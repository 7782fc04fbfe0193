"""What was wanted, and what was measured: ratios of medians in one run on one machine."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import JAX, LIMITS, OURS, PEERS, others
from benchmarks.report import best, medians

Records = dict[str, Any]
DENSE = ("dense-2-16-16-1", "dense-16-32-32-1", "digits-64-32-10")
SCALAR = ("scalar-10", "scalar-30", "scalar-100")


@dataclass(frozen=True)
class Target:
    """A number that should be at least, or at most, `wanted`."""

    title: str
    wanted: float
    measured: Callable[[Records], Iterable[tuple[str, float]]]
    most: bool = False
    unit: str = ""

    def rows(self, records: Records) -> Iterator[str]:
        """Yield the rows of the table."""
        sign = "≤" if self.most else "≥"
        for title, value in self.measured(records):
            ratio = value / self.wanted if self.most else self.wanted / value
            verdict = "met" if ratio <= 1 else f"missed by a factor of {ratio:.2f}"
            yield f"| {self.title} | {title} | {sign} {self.wanted:g}{self.unit} | {value:.2f}{self.unit} | {verdict} |"


def run_of(records: Records, work: str, threads: int = 0) -> dict[str, Any] | None:
    """Return the run of a work on so many threads, or on the most."""
    runs = [r for r in records["runs"] if r["work"] == work and threads in (0, r["threads"])]
    return max(runs, key=lambda r: r["threads"], default=None)


def over(works: Iterable[str], ours: Iterable[str], theirs: Callable[[], Iterable[str]]) -> Any:
    """Return a measure: our fastest over their fastest, for each work."""

    def measured(records: Records) -> Iterator[tuple[str, float]]:
        for work in works:
            run = run_of(records, work)
            if run and (a := best(run, ours)) and (b := best(run, theirs())):
                yield f"{run['title']}, {run['threads']} threads, beside {PEERS[b[0]].title}", a[1] / b[1]

    return measured


def single(records: Records) -> Iterator[tuple[str, float]]:
    """Yield float32 over float64."""
    for work in DENSE:
        double, half = run_of(records, work), run_of(records, f"{work}-f32")
        if double and half and (a := best(half, OURS)) and (b := best(double, OURS)):
            yield f"{double['title']}, {double['threads']} threads", a[1] / b[1]


def recording(records: Records) -> Iterator[tuple[str, float]]:
    """Yield the time that watching guards takes, in per cent of the time without; only one thread is free of noise."""
    for run in records["runs"]:
        rates = medians(run)
        if {"simsa", "simsa-unwatched"} <= set(rates):
            yield f"{run['title']}, threads {run['threads']}", 100 * (rates["simsa-unwatched"] / rates["simsa"] - 1)


def scaling(records: Records) -> Iterator[tuple[str, float]]:
    """Yield all cores over one."""
    for work in (*DENSE, *SCALAR):
        many, one = run_of(records, work), run_of(records, work, 1)
        if many and one and many["threads"] > 1 and (a := best(many, OURS)) and (b := best(one, OURS)):
            yield f"{many['title']}, {many['threads']} over 1", a[1] / b[1]


def later(records: Records) -> Iterator[tuple[str, float]]:
    """Yield the seconds of a sweep with a warm cache."""
    if "process" in records:
        yield records["process"]["sweep"], float(np.median(records["process"]["later"]))


def first(records: Records) -> Iterator[tuple[str, float]]:
    """Yield the seconds of the first sweep ever."""
    if "process" in records:
        yield records["process"]["sweep"], records["process"]["first"]


TARGETS = (
    Target("dense network, over the best peer", 15, over(DENSE, OURS, others)),
    Target("dense network, over C++", 0.9, over(DENSE, OURS, lambda: LIMITS)),
    Target("float32 over float64", 1.7, single),
    Target("scalar program, specialised, over JAX", 1.5, over(SCALAR, ("simsa",), lambda: JAX)),
    Target("scalar program, specialised, over C++", 0.9, over(SCALAR, ("simsa",), lambda: LIMITS)),
    Target("uniform subsets, over JAX", 15, over(("subsets-2-16-16-1",), OURS, lambda: JAX)),
    Target("convolution + max-pool, over the best peer", 5, over(("convolution-8x8",), OURS, others)),
    Target("recording of ties and events", 5, recording, most=True, unit=" %"),
    Target("all cores over one", 3.6, scaling),
    Target("whole process, warm cache", 2, later, most=True, unit=" s"),
    Target("whole process, first ever", 30, first, most=True, unit=" s"),
)


def ceiling(records: Records) -> str:
    """Return by how much C++, the limit, is faster than the best peer: no engine gets further on this machine."""
    ratios = [
        f"{a[1] / b[1]:.1f} ({run['title']})"
        for work in (*DENSE, "subsets-2-16-16-1", *SCALAR)
        if (run := run_of(records, work)) and (a := best(run, LIMITS)) and (b := best(run, others()))
    ]
    return f"C++ for the work, the limit, is faster than the best peer by {', '.join(ratios)}." if ratios else ""


def targets(records: Records) -> str:
    """Return the table of targets."""
    lines = ["| target | work | wanted | measured | |", "|---|---|---|---|---|"]
    for target in TARGETS:
        rows = [*target.rows(records)]
        lines += rows or [f"| {target.title} | | {'≤' if target.most else '≥'} {target.wanted:g} | not measured | |"]
    return "\n".join([*lines, "", ceiling(records)])
