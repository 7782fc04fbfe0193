"""From a scenario to its results, step by step: what the command line and Python do alike."""

import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsa.errors import RecordsError, SimsaError

if TYPE_CHECKING:
    from simsa.ensemble.drive import Outcome, Say
    from simsa.ensemble.executors import Executor
    from simsa.ensemble.plan import Engines, Plan
    from simsa.ensemble.resolve import Resolved
    from simsa.records.layout import Block
    from simsa.records.write import Records
    from simsa.scenario import Scenario

SCENARIO, SUMMARY, PROVENANCE = "scenario.toml", "summary.json", "provenance.json"
"""The files in the folder of a run, besides its records, figures and report."""


def tell(line: str) -> None:
    """Print a line for the user on stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def quiet(line: str) -> None:
    """Say nothing; a function of a module, as work that is done in another process takes it along."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scenario that is ready to be run.

    found: with all that it names. made: its plan. engines: by convention, precision and setting; reasons: why, in
    lines. executor: works on blocks, `workers` at a time. say: takes lines for the user.
    """

    found: "Resolved"
    made: "Plan"
    engines: "Engines"
    reasons: tuple[str, ...]
    executor: "Executor"
    workers: int
    say: "Say"

    @property
    def seconds(self) -> float:
        """Return how long the run will take, roughly, without compilation."""
        return self.made.estimate(self.engines).seconds(self.workers)


def prepare(
    scenario: "Scenario", workers: int | None, say: "Say", executor: "Callable[[int], Executor] | None" = None
) -> Prepared:
    """Return a scenario with its plan and engines.

    scenario: as `load` returns it. workers: how many blocks are worked on at once; all usable cores if None. say: takes
    lines for the user. executor: returns, of `workers`, what works on blocks; threads of this process if None. Raises
    SimsaError for a scenario that cannot be run.
    """
    from simsa.ensemble.drive import usable_cores
    from simsa.ensemble.executors import Threads
    from simsa.ensemble.plan import choose, plan
    from simsa.ensemble.resolve import resolve

    found = resolve(scenario)
    made = plan(found)
    many = workers or usable_cores()
    engines, reasons = choose(made, scenario.run.engine, many)
    return Prepared(found, made, engines, reasons, (executor or Threads)(many), many, say)


def announced(ready: Prepared, folder: Path) -> Iterator[str]:
    """Yield what is going to be done, in lines. folder: of the results."""
    from simsa.ensemble.drive import duration
    from simsa.scenario import remarks

    made, cost = ready.made, ready.made.estimate(ready.engines)
    layout, blocks = made.layout, len(made.layout.blocks)
    yield from remarks(ready.found.scenario)
    found = ready.found
    samples = f"{len(found.rows)} samples{' of a stream for J' if found.stream else ''}"
    yield (
        f"{layout.header['name']}: {len(layout.cells)} cells x {layout.trajectories} trajectories x "
        f"{layout.steps} steps = {cost.traj_steps:.3g} traj-steps "
        f"({layout.parameters} parameters, {samples})"
    )
    yield (
        f"{blocks} blocks on {ready.workers} threads, {_size(cost.bytes)} of records in {folder}"
        f"{'' if layout.points else ' (without points)'}, "
        f"roughly {duration(cost.seconds(min(ready.workers, blocks)))}"
    )
    yield from ready.reasons


def opened(ready: Prepared, folder: Path, *, resume: bool, overwrite: bool) -> "tuple[Records, list[Block]]":
    """Return records in a folder, and the blocks that have still to be run.

    ready: as `prepare` returns it. folder: of the results. resume: continue what is there, if anything is. overwrite:
    remove what is there. Raises RecordsError if something is there and neither is said, or if it is of another
    scenario.
    """
    from simsa.ensemble import drive
    from simsa.records import read, write

    if read.exists(folder):
        if resume:
            records = write.Records.resume(folder, ready.made.layout)
            todo = drive.unfinished(records, ready.say, ready.executor)
            blocks = len(ready.made.layout.blocks)
            ready.say(f"{blocks - len(todo)} of {blocks} blocks are done already")
            return records, todo
        if not overwrite:
            raise SimsaError(
                f"{folder} holds results already: continue them with --resume, or replace them with --overwrite"
            )
        write.erase(folder)
    return write.Records.create(folder, ready.made.layout), ready.made.layout.blocks


def performed(ready: Prepared, records: "Records", todo: "list[Block]", quiet: bool) -> "tuple[Outcome, float]":
    """Run blocks and store them; return what was done, and the seconds that compiling took.

    ready: as `prepare` returns it. records, todo: as `opened` returns them. quiet: no progress.
    """
    from simsa.ensemble import drive

    compiling = drive.warm_up(ready.made, ready.engines, ready.say) if todo else 0.0
    outcome = drive.run(
        ready.made, records, todo, engines=ready.engines, executor=ready.executor, say=ready.say, quiet=quiet
    )
    return outcome, compiling


def summarised(ready: Prepared, records: "Records", outcome: "Outcome", compiling: float) -> dict[str, Any]:
    """Return the summary of records, and write it beside them.

    ready: as `prepare` returns it. records: of all blocks. outcome, compiling: as `performed` returns them.
    """
    from simsa import analysis, questions
    from simsa.ensemble import drive
    from simsa.records import disk, read

    folder, speed = records.folder, outcome.traj_steps / outcome.seconds
    timing = {
        "traj_steps": outcome.traj_steps,
        "seconds": outcome.seconds,
        "traj_steps_per_second": speed,
        "compile_seconds": compiling,
        "workers": ready.workers,
        "block_seconds": sum(records.finished().values()),
    }
    if outcome.traj_steps:
        ready.say(f"done in {drive.duration(outcome.seconds)}: {speed:.3g} traj-steps/s on {ready.workers} threads")
    else:  # nothing was timed: what was said before still holds
        timing = (disk.read_json(folder / SUMMARY) or {}).get("timing", timing)
    ready.say("reading the records, and classifying sensitive and final points ...")
    summary = analysis.summarise(
        read.cells(folder),
        read.attributes(folder),
        subject=questions.subject(ready.found, ready.made),
        claims=questions.claims(ready.found.scenario),
        timing=timing,
    )
    disk.write_json(folder / SUMMARY, summary)
    return summary


def summary_of(folder: Path) -> dict[str, Any]:
    """Return the summary of the run in a folder. Raises RecordsError if there is none, and says what there is."""
    from simsa.records import disk, read

    summary = disk.read_json(folder / SUMMARY)
    if summary is None:
        if not read.exists(folder):
            raise RecordsError(f"{folder}: there are no results of a sweep")
        raise RecordsError(f"{folder}: there is no summary; the run was not finished: continue it with --resume")
    return summary


def provenance(
    ready: Prepared, folder: Path, *, command: str, file: str | Path | None, put: Sequence[str] = (), keep: bool
) -> None:
    """Write where records come from: the scenario, and an entry for each run that added to them.

    ready: as `prepare` returns it. folder: of the results. command: what was typed or called. file: the scenario file,
    beside which its data and modules lie; None if that is the folder itself. put: what was put over the file, as `load`
    takes it. keep: whether earlier entries stay.
    """
    from simsa.records import disk, layout

    header = ready.found.scenario.scenario
    earlier = (disk.read_json(folder / PROVENANCE) or {}).get("runs", []) if keep else []
    this = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": command,
        "host": platform.node(),
        "cpu": _cpu(),
        "platform": platform.platform(),
        "workers": ready.workers,
        "versions": layout.versions(),
    }
    origin = {
        "scenario": header.name,
        "seed": header.seed,
        "digest": ready.made.layout.digest,
        "file": None if file is None else str(Path(file).resolve()),
        "set": list(put),
        "runs": [*earlier, this],
    }
    disk.write_json(folder / PROVENANCE, origin)


def _cpu() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _size(count: int) -> str:
    """Return a number of bytes in words."""
    unit, value = "B", float(count)
    for larger in ("kB", "MB", "GB", "TB"):
        if value >= 1000:
            unit, value = larger, value / 1000
    return f"{value:.3g} {unit}"
