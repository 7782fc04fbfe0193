"""The Python front door: run a scenario from a notebook or a program, and ask what came of it.

The command line is a thin layer over this module. Whatever a sweep is made of, a function or a file, it is a scenario
file in the folder of the results before anything is run: `Run.save` keeps that folder.
"""

import inspect
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.errors import DataError, ScenarioError, SimsaError
from simsa.primitives import Convention, convention
from simsa.program import Program, trace
from simsa.program.stored import described

if TYPE_CHECKING:
    import pandas
    import xarray

    from simsa.calculus import Explanation
    from simsa.engines import Engine
    from simsa.ensemble.drive import Outcome, Say
    from simsa.ensemble.executors import Executor
    from simsa.ensemble.plan import Plan
    from simsa.ensemble.replay import Replay
    from simsa.ensemble.resolve import Resolved
    from simsa.machine.replay import Step
    from simsa.records.layout import Block
    from simsa.records.write import Records
    from simsa.scenario import Scenario

SCENARIO, SUMMARY, PROVENANCE, PROGRAM, DATA = (
    "scenario.toml", "summary.json", "provenance.json", "program.json", "data.csv",
)  # fmt: skip
"""The files in the folder of a run, besides its records: the last two only if a sweep is made of Python objects."""


# What the command line and Python share.


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scenario that is ready to be run.

    found: with all that it names. made: its plan. engines: by convention and precision; reasons: why, in lines.
    executor: works on blocks, `workers` at a time. say: takes lines for the user.
    """

    found: "Resolved"
    made: "Plan"
    engines: "Mapping[tuple[str, str], Engine]"
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

    workers: how many blocks are worked on at once; all usable cores if None. say: takes lines for the user. executor:
    returns, of `workers`, what works on blocks; threads of this process if None. Raises SimsaError for a scenario that
    cannot be run.
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

    made, cost = ready.made, ready.made.estimate(ready.engines)
    layout, blocks = made.layout, len(made.layout.blocks)
    samples = f"{len(made.rows)} samples{' of a stream for J' if made.descent.stream else ''}"
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

    resume: continue what is there, if anything is. overwrite: remove what is there. Raises RecordsError if something is
    there and neither is said, or if it is of another scenario.
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
    """Run blocks and store them; return what was done, and the seconds that compiling took. quiet: no progress."""
    from simsa.ensemble import drive

    compiling = drive.warm_up(ready.made, ready.engines, ready.say) if todo else 0.0
    outcome = drive.run(
        ready.made, records, todo, engines=ready.engines, executor=ready.executor, say=ready.say, quiet=quiet
    )
    return outcome, compiling


def summarised(ready: Prepared, records: "Records", outcome: "Outcome", compiling: float) -> dict[str, Any]:
    """Return the summary of records, and write it beside them. compiling: seconds, as `performed` returns them."""
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


def provenance(
    ready: Prepared, folder: Path, *, command: str, file: Path | None, put: Sequence[str] = (), keep: bool
) -> None:
    """Write where records come from: the scenario, and an entry for each run that added to them.

    command: what was typed or called. file: the scenario file, beside which its data and modules lie; None if that is
    the folder itself. put: what was put over the file, as `load` takes it. keep: whether earlier entries stay.
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
        "file": None if file is None else str(file.resolve()),
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


# From Python objects to a scenario.


KEYWORDS: dict[str, tuple[str, ...]] = {
    "name": ("scenario", "name"),
    "title": ("scenario", "title"),
    "seed": ("scenario", "seed"),
    "steps": ("sgd", "steps"),
    "batch": ("sgd", "batch"),
    "step_size": ("sgd", "step_size"),
    "rule": ("sgd", "rule"),
    "radius": ("sgd", "radius"),
    "initial": ("initial",),
    "c": ("sweep", "c"),
    "trajectories": ("sweep", "trajectories"),
    "conventions": ("sweep", "convention"),
    "precision": ("sweep", "precision"),
    "checkpoints": ("record", "checkpoints"),
    "classify": ("record", "classify"),
    "observe": ("observe",),
    "claims": ("claim",),
    "engine": ("run", "engine"),
    "block": ("run", "block"),
}
"""The keyword arguments of `sweep`, and the keys of a scenario file that they set."""

WHERE = "simsa.sweep"
"""Stands in front of each line about a wrong argument, as a file's name does."""


def sweep(
    what: "str | Path | Mapping[str, Any] | Program | Callable[..., Any]",
    *,
    parameters: int | None = None,
    data: Any = None,
    columns: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    quiet: bool = False,
    **keywords: Any,
) -> "Run":
    """Run mini-batch SGD over a grid of step scales, and return what came of it.

    Parameters
    ----------
    what
        The loss of one sample: a function of a vector of parameters (and of one of data, if there are any), which is
        traced once for each tie convention; or a `Program`. Or a whole scenario: the path of its file, or a table of
        its keys, as a dict.
    parameters
        How many parameters the function takes; left out, its attribute `parameters`.
    data
        The samples: array-like of shape (n, d), a pandas DataFrame of numbers, or the table `[data]` of a scenario.
    columns
        How many numbers of each sample the function takes, where `data` is a table; else they are those of the array.
    out
        The folder of the results; a temporary one, which goes with the `Run`, if left out.
    resume, overwrite
        Continue, or replace, what is in that folder.
    workers
        How many threads work at once; all usable cores if left out.
    quiet
        No progress and no remarks.
    **keywords
        What the scenario says, each a key of the scenario file: `name`, `title`, `seed`; `steps`, `batch` (a number of
        samples, "full", "uniform_subset", or a table), `step_size` (a number, a function of k, a sequence, or a table),
        `rule`, `radius`; `initial` (a law of `simsa.starts`, or points of shape (m, p)); `c`, `trajectories`,
        `conventions`, `precision` (one or several); `checkpoints`, `classify`, `observe`, `claims`; `engine`, `block`.

    Returns
    -------
    Run
        The results; shown, a table of the cells.

    Raises
    ------
    ScenarioError, DataError, ProgramError
        For an argument that cannot be run, with its name and what was expected.
    RecordsError
        If the folder holds results already, and neither `resume` nor `overwrite` is given.

    Notes
    -----
    The step at k is x_{k+1} = x_k - c α_k g_k, where g_k is the mean selection gradient of the minibatch (recursion (8)
    of Bolte and Pauwels, NeurIPS 2020), and α_k the step size.

    Examples
    --------
    >>> import simsa
    >>> run = simsa.sweep(
    ...     lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), parameters=1, c=["1/3", 0.5], steps=3,
    ...     step_size=lambda k: 1 / (k + 1), initial=simsa.uniform(1, 3), trajectories=8, quiet=True,
    ... )
    >>> run.cells[["c", "trajectories", "landed"]].to_dict("list")
    {'c': [0.3333333333333333, 0.5], 'trajectories': [8, 8], 'landed': [0, 0]}
    """
    from simsa.scenario import load, warnings

    if unknown := [word for word in keywords if word not in KEYWORDS]:
        from simsa.scenario.model import nearest

        raise ScenarioError(f"{WHERE}: unknown argument '{unknown[0]}'; {nearest(unknown[0], KEYWORDS)}")
    said, files, origin = _said(what, parameters, data, columns, keywords)
    scratch = None
    if out is None:
        scratch = Path(tempfile.mkdtemp(prefix="simsa-"))
    folder = Path(out) if scratch is None else scratch
    run = None
    try:
        # what is there is looked at before anything is written beside it
        from simsa.records import read

        if read.exists(folder) and not (resume or overwrite):
            raise SimsaError(f"{folder} holds results already: continue them with resume=True, or overwrite=True")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        scenario = load(folder / SCENARIO, origin=origin)
        say: Say = _nothing if quiet else _tell
        ready = prepare(scenario, workers, say)
        for line in warnings(scenario, len(ready.found.samples)):
            say(line)
        records, todo = opened(ready, folder, resume=resume, overwrite=overwrite)
        provenance(ready, folder, command="simsa.sweep(...)", file=origin, keep=resume)
        run = _finished(ready, records, todo, quiet, scratch)
    finally:
        if run is None and scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    return run


def _finished(ready: Prepared, records: "Records", todo: "list[Block]", quiet: bool, scratch: Path | None) -> "Run":
    """Run what is left to run, and return the run. scratch: the temporary folder that goes with it, if it is one."""
    outcome, compiling = performed(ready, records, todo, quiet)
    if outcome.interrupted:
        kept, blocks = len(records.finished()), len(ready.made.layout.blocks)
        lost = "they are lost with their temporary folder" if scratch else "continue with resume=True"
        raise KeyboardInterrupt(f"{kept} of {blocks} blocks are done; {lost}")
    return Run(records.folder, ready, summarised(ready, records, outcome, compiling), scratch)


def load(folder: str | Path) -> "Run":
    """Return the run whose results lie in a folder: of `sweep`, of `Run.save`, or of the command line.

    Raises RecordsError if there are none, or if the scenario, its data or its program are not theirs any more.
    """
    from simsa.ensemble.replay import planned
    from simsa.errors import RecordsError
    from simsa.records import disk

    path = Path(folder)
    found, made = planned(path)
    summary = disk.read_json(path / SUMMARY)
    if summary is None:
        raise RecordsError(f"{path}: there is no summary; the run was not finished: continue it with --resume")
    from simsa.ensemble.drive import usable_cores
    from simsa.ensemble.executors import Threads
    from simsa.ensemble.plan import choose

    workers = usable_cores()
    engines, reasons = choose(made, found.scenario.run.engine, workers)
    return Run(path, Prepared(found, made, engines, reasons, Threads(workers), workers, _tell), summary, None)


def _tell(line: str) -> None:
    """Print a remark, above the progress bar if there is one."""
    from tqdm.auto import tqdm

    tqdm.write(line, file=sys.stderr)


def _nothing(line: str) -> None:
    """Say nothing."""


def _said(
    what: Any, parameters: int | None, data: Any, columns: int | None, keywords: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str], Path | None]:
    """Return the scenario as a table, the files that say it, and the file that it was read from, if it was one."""
    import tomli_w

    from simsa.scenario.load import tables, validated

    files: dict[str, str] = {}
    origin: Path | None = None
    if isinstance(what, str | Path):
        origin = Path(what)
        said = tables(origin)
    elif isinstance(what, Mapping):
        said = _plain(what)
    else:
        said = {"program": {}}
    if data is not None:
        said["data"], rows, columns = _data(data, columns)
        if rows:
            files[DATA] = rows
    for word, value in keywords.items():
        if value is not None:
            *tables_in, key = KEYWORDS[word]
            table = said
            for part in tables_in:
                table = table.setdefault(part, {})
            table[key] = _value(word, value, keywords)
    if not isinstance(what, str | Path | Mapping):
        width = getattr(what, "data", 0) if columns is None else columns
        said["program"], files[PROGRAM] = _traced(what, parameters, width, said)
        said.setdefault("scenario", {}).setdefault("name", _name(what))
    names = {key: word for word, key in KEYWORDS.items()}
    validated(said, str(origin) if origin and not keywords else WHERE, names)
    return said, {SCENARIO: tomli_w.dumps(said), **files}, origin


def _value(word: str, value: Any, keywords: Mapping[str, Any]) -> Any:
    """Return the value of a keyword as a scenario file says it."""
    plain = _plain(value)
    if word == "step_size":
        if callable(value):
            steps = keywords.get("steps")
            if not isinstance(steps, int) or steps < 1:
                raise ScenarioError(f"{WHERE}: steps: a function as step_size needs the number of steps, at least 1")
            return {"family": "table", "values": [_plain(value(k)) for k in range(steps)]}
        if isinstance(plain, list):
            return {"family": "table", "values": plain}
        return plain if isinstance(plain, dict) else {"family": "constant", "value": plain}
    if word == "batch" and not isinstance(plain, dict):
        return {"law": plain} if isinstance(plain, str) else {"law": "fixed_size", "size": plain}
    if word == "rule" and isinstance(plain, str):
        return {"name": plain}
    if word == "initial" and isinstance(plain, list):
        return {"law": "points", "points": plain}
    if word in ("c", "conventions", "precision") and not isinstance(plain, list):
        return plain if word == "c" and isinstance(plain, dict) else [plain]
    return plain


def _plain(value: Any) -> Any:
    """Return a value in the types of a TOML file: arrays as lists, fractions as text, tables as dicts."""
    if isinstance(value, Convention):
        return {"base": value.base, **value.overrides} if value.overrides else value.base
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple | range):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _data(data: Any, columns: int | None) -> tuple[dict[str, Any], str, int | None]:
    """Return the table `[data]`, the text of the file that it names, if it names one, and the number of columns."""
    if isinstance(data, Mapping):
        return _plain(data), "", columns
    try:
        rows: NDArray[np.float64] = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{WHERE}: data: expected numbers, shape (n, d): {error}") from None
    if rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or not rows.size:
        raise DataError(f"{WHERE}: data: expected an array of shape (n, d), got shape {rows.shape}")
    names = getattr(data, "columns", None)
    header = [f"column_{j}" for j in range(rows.shape[1])] if names is None else [str(name) for name in names]
    lines = [",".join(json.dumps(name) if "," in name else name for name in header)]
    lines += [",".join(map(repr, row)) for row in rows.tolist()]
    return {"source": "csv", "path": DATA}, "\n".join(lines) + "\n", rows.shape[1]


def _traced(what: Any, parameters: int | None, width: int, said: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the table `[program]` of a function or a program, and the text of the file that it names.

    width: how many numbers of each sample it takes. said: the rest of the scenario, which names the conventions.
    """
    wanted = said.get("sweep", {}).get("convention") or ["tensorflow"]
    if isinstance(what, Program):
        labels = [convention(one).label for one in wanted]
        if "convention" in said.get("sweep", {}) and labels != [what.convention.label]:
            raise ScenarioError(
                f"{WHERE}: conventions: a Program was traced for one, {what.convention.label}; to compare conventions, "
                "pass the function that it was traced from"
            )
        programs, source = [what], ""
    elif callable(what):
        p = getattr(what, "parameters", None) if parameters is None else parameters
        if p is None:
            raise ScenarioError(f"{WHERE}: parameters: how many does the function take? Say parameters=...")
        programs = [trace(what, p, width, one) for one in wanted]
        try:
            source = inspect.getsource(what)
        except (OSError, TypeError):  # typed where Python keeps no text
            source = ""
    else:
        raise ScenarioError(
            f"{WHERE}: expected a function, a Program, the path of a scenario file, or a dict, got {type(what).__name__}"
        )
    base = programs[0].convention
    first = {"base": base.base, **base.overrides} if base.overrides else base.base
    table = {"kind": "stored", "file": PROGRAM, "data": programs[0].data, "convention": first}
    return table, json.dumps(described(programs, source), indent=1)


def _name(what: Any) -> str:
    """Return a name for a function or a program."""
    name = getattr(what, "__name__", "program")
    return name if name.isidentifier() else "sweep"


# What came of it.


class Plots:
    """The figures of a run: `run.plot.landing(ax=ax)`; `dir(run.plot)` lists them."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self._summary = summary

    def __dir__(self) -> list[str]:
        from simsa.plots import FIGURES

        return list(FIGURES)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the function that draws a figure of this name of the run."""
        from simsa.plots import FIGURES

        if name not in FIGURES:
            raise AttributeError(f"there is no figure '{name}'; there are {', '.join(FIGURES)}")
        figure = FIGURES[name]

        def draw(**options: Any) -> Any:
            return figure(self._summary, **options)

        draw.__doc__ = figure.__doc__
        return draw


class Run:
    """The results of a sweep, in a folder: shown, a table of the cells.

    folder: where records, summary and scenario lie; a temporary one goes when the run is not used any more, unless
    `save` keeps it. summary: everything that tables and figures are made of, as `simsa.analysis.summarise` returns it.
    """

    def __init__(self, folder: Path, ready: Prepared, summary: dict[str, Any], scratch: Path | None) -> None:
        """Take the results in a folder; `sweep` and `load` make runs. scratch: the folder, if it is temporary."""
        self.folder, self.summary, self._ready, self._scratch = folder, summary, ready, scratch
        if scratch is not None:
            self._finalizer = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)

    @property
    def scenario(self) -> "Scenario":
        """Return the scenario that was run."""
        return self._ready.found.scenario

    @property
    def program(self) -> Program:
        """Return the loss of one sample, under the first convention."""
        return self._ready.found.program

    @cached_property
    def records(self) -> "xarray.Dataset":
        """Return what was recorded of each trajectory: a variable for each field, by (cell, trajectory)."""
        from simsa.records import read

        return read.open(self.folder)

    @cached_property
    def cells(self) -> "pandas.DataFrame":
        """Return a table with one row for each cell.

        c, convention, precision, trajectories; how many landed, were sensitive, tied, left the ball (unbounded), were
        not finite, settled; `landing_probability` with the ends of its interval; `objective`, the median of J at the
        end; `margin`, the smallest |guard| of any trajectory.
        """
        import pandas

        return pandas.DataFrame([_row(cell) for cell in self.summary["cells"]])

    @property
    def plot(self) -> Plots:
        """Return the figures of the run, by name: `run.plot.landing()`."""
        return Plots(self.summary)

    def trajectory(self, cell: int, number: int) -> "Trajectory":
        """Return one trajectory again. cell: its row in `cells`. number: of the trajectory, from 0 on."""
        from simsa.ensemble.replay import replay

        return Trajectory(self, replay(self.folder, cell, number))

    def save(self, folder: str | Path, overwrite: bool = False) -> "Run":
        """Copy the results to a folder, with the scenario that says how to get them again, and return the run there.

        overwrite: replace what is in the folder. Raises RecordsError if there is something, and it is not said.
        """
        from simsa.errors import RecordsError
        from simsa.records import disk

        path = Path(folder)
        if path.exists() and any(path.iterdir()):
            if not overwrite:
                raise RecordsError(f"{path} is not empty; choose another folder, or say overwrite=True")
            shutil.rmtree(path)
        shutil.copytree(self.folder, path, dirs_exist_ok=True)
        self.report(path / "report.html")
        summary = disk.read_json(path / SUMMARY)
        assert summary is not None
        return Run(path, self._ready, summary, None)

    def extend(self, trajectories: int, out: str | Path | None = None, quiet: bool = False) -> "Run":
        """Return a run with more trajectories in each cell: those that are there are kept, and not run again.

        trajectories: how many there are to be, at least as many as now. out: the folder of the results; a temporary one
        if left out. quiet: no progress. The result is, bit for bit, what one run of so many would be.
        """
        import tomli_w

        from simsa.ensemble.replay import origin_of
        from simsa.records import disk, write
        from simsa.scenario import load as load_scenario
        from simsa.scenario.load import tables

        layout = self._ready.made.layout
        if trajectories < layout.trajectories:
            raise ScenarioError(f"trajectories: there are {layout.trajectories} already, asked for {trajectories}")
        put, file = origin_of(self.folder)
        said = tables(self.folder / SCENARIO, put)
        said.setdefault("sweep", {})["trajectories"] = trajectories
        said.setdefault("run", {})["block"] = layout.block
        scratch = Path(tempfile.mkdtemp(prefix="simsa-")) if out is None else None
        folder = Path(out) if scratch is None else scratch
        folder.mkdir(parents=True, exist_ok=True)
        for name in (PROGRAM, DATA):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, folder)
        (folder / SCENARIO).write_text(tomli_w.dumps(said), encoding="utf-8")
        ready = prepare(load_scenario(folder / SCENARIO, origin=file), None, _nothing if quiet else _tell)
        records, _ = opened(ready, folder, resume=False, overwrite=False)
        there = write.Records.resume(self.folder, layout)
        kept = records.adopt(there)
        ready.say(f"{sum(block.count for block in kept)} trajectories are there already")
        provenance(ready, folder, command="Run.extend(...)", file=file, keep=False)
        done = set(kept)
        return _finished(ready, records, [b for b in ready.made.layout.blocks if b not in done], quiet, scratch)

    def report(self, file: str | Path = "report.html") -> Path:
        """Write the report of the run, with its figures, as one HTML file, and return its path."""
        from simsa import plots, report
        from simsa.records.disk import write
        from simsa.report.figures import drawn

        path = Path(file)
        plots.save_all(self.summary, self.folder)
        write(path, report.html.render(report.sections(self.summary, drawn(self.folder))))
        return path

    def __repr__(self) -> str:
        from simsa.report import sections, terminal

        return terminal.render(sections(self.summary)[:1])

    def _repr_html_(self) -> str:
        """Return the run for Jupyter."""
        title = self.summary["title"] or self.summary["scenario"]
        from html import escape

        return f"<p><b>{escape(str(title))}</b></p>{self.cells.to_html(index=True, float_format='{:.6g}'.format)}"


def _row(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a cell."""
    landed, objective, margin = cell["probability"]["landed"], cell["objective"]["quantiles"], cell["codimension"]
    median = next((row[-1] for q, row in objective.items() if float(q) == 0.5 and row), None)
    return {
        "c": cell["c"],
        "convention": cell["convention"],
        "precision": cell["precision"],
        "trajectories": cell["trajectories"],
        "landed": cell["landed"],
        "landing_probability": landed["estimate"],
        "low": landed["low"],
        "high": landed["high"],
        **{event: cell[event] for event in ("sensitive", "tied", "unbounded", "not_finite") if event in cell},
        "settled": cell["final"]["settled"],
        "objective": median,
        "margin": margin.get("smallest"),
    }


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One trajectory of a run, walked again: the same bits as when it was recorded.

    run: whose it is. replay: its steps, one by one; iterating over it takes them in plain Python.
    """

    run: Run = field(repr=False)
    replay: "Replay"

    @cached_property
    def path(self) -> NDArray[np.float64]:
        """Return x_0, x_1, ..., up to where it stopped, shape (steps + 1, p)."""
        from simsa.ensemble.replay import path

        steps = np.arange(self.replay.stopped + 1)
        found = path(self.replay.plan, self.replay.cell, self.replay.trajectory, steps)
        return found[~np.isnan(found).all(axis=1)]

    @cached_property
    def ties(self) -> "list[Step]":
        """Return the steps at which a selection was tied, each with its number `k`, and its ties."""
        return [step for step in self.replay if step.ties]

    def explain(self, k: int | None = None) -> "Explanation":
        """Return what automatic differentiation says at x_k for the minibatch of step k, and why.

        k: the first step with a tie if left out, or the last one if there is none.
        """
        from simsa import calculus

        if k is None:
            first = int(self.replay.record["tie_first"])
            k = first if first >= 0 else self.replay.stopped - 1
        step = next(iter(replace(self.replay, first=k, last=k + 1)))
        rows = step.data[list(step.minibatch)]
        program = self.replay.plan_programs[self.replay.cell.convention]
        return calculus.explain(calculus.objective(program, rows), np.array(step.x, dtype=np.float64))

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw the trajectory: in the plane if there are two parameters, else its coordinates along the steps.

        ax: matplotlib's axes; new ones if left out. options: `width` of new axes in inches. Returns the axes.
        """
        from simsa.plots.trajectory import trajectory

        return trajectory(self.path, ax=ax, **options)
