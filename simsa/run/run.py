"""`sweep` runs a scenario from a notebook or a program; a `Run` is what came of it."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsa.errors import RecordsError, ScenarioError
from simsa.program import Program
from simsa.run.perform import (
    SCENARIO,
    Prepared,
    opened,
    performed,
    prepare,
    provenance,
    summarised,
    summary_of,
    tell,
)
from simsa.run.perform import quiet as silent
from simsa.run.said import DATA, KEYWORDS, PROGRAM, WHERE, scenario_files
from simsa.run.trajectory import Trajectory

if TYPE_CHECKING:
    import pandas
    import xarray

    from simsa.ensemble.resolve import Resolved
    from simsa.records.layout import Block
    from simsa.records.write import Records
    from simsa.scenario import Scenario


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
        traced once for each tie convention; or a `Program`, such as `from_torch` and `from_jax` return. Or a whole
        scenario: the path of its file, or a table of
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
        `optimizer` (its kind, or a table), `radius`; `initial` (`uniform`, `normal` or `points` of simsa, a table, or
        points of shape (m, p)); `c`, `trajectories`, `conventions`, `precision` (one or several), `axes` (values by
        key); `checkpoints`, `classify`, `observe`, `claims`; `engine`, `block`.

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
    of Bolte and Pauwels, NeurIPS 2020), and α_k the step size; unless `optimizer` names another rule.

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
    from simsa.scenario import load, remarks, warnings

    if unknown := [word for word in keywords if word not in KEYWORDS]:
        from simsa.scenario.model import nearest

        raise ScenarioError(f"{WHERE}: unknown argument '{unknown[0]}'; {nearest(unknown[0], KEYWORDS)}")
    files, origin = scenario_files(what, parameters, data, columns, keywords)
    folder, scratch = _folder(out)
    run = None
    try:
        # what is there is looked at before anything is written beside it
        from simsa.records import read

        if read.exists(folder) and not (resume or overwrite):
            raise RecordsError(f"{folder} holds results already: continue them with resume=True, or overwrite=True")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        scenario = load(folder / SCENARIO, origin=origin)
        say = silent if quiet else tell
        ready = prepare(scenario, workers, say)
        for line in (*remarks(scenario), *warnings(scenario, len(ready.found.samples))):
            say(line)
        records, todo = opened(ready, folder, resume=resume, overwrite=overwrite)
        provenance(ready, folder, command="simsa.sweep(...)", file=origin, keep=resume)
        run = finished(ready, records, todo, quiet, scratch)
    finally:
        if run is None and scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
    return run


@contextmanager
def scenario_of(
    what: Any, parameters: int | None = None, data: Any = None, columns: int | None = None, **keywords: Any
) -> "Iterator[Resolved]":
    """Yield the scenario that `sweep` would run, with all that it names.

    what, parameters, data, columns, keywords: as for `sweep`.
    """
    from simsa.ensemble.resolve import resolve
    from simsa.scenario import load

    files, origin = scenario_files(what, parameters, data, columns, keywords)
    with tempfile.TemporaryDirectory(prefix="simsa-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        yield resolve(load(Path(folder) / SCENARIO, origin=origin))


def finished(ready: Prepared, records: "Records", todo: "list[Block]", quiet: bool, scratch: Path | None) -> "Run":
    """Run what is left to run, and return the run.

    ready: the scenario, ready to be run. records, todo: as `opened` returns them. quiet: no progress. scratch: the
    temporary folder that goes with the run, if it is one.
    """
    outcome, compiling = performed(ready, records, todo, quiet)
    if outcome.interrupted:
        kept, blocks = len(records.finished()), len(ready.made.layout.blocks)
        lost = "they are lost with their temporary folder" if scratch else "continue with resume=True"
        raise KeyboardInterrupt(f"{kept} of {blocks} blocks are done; {lost}")
    return Run(records.folder, ready, summarised(ready, records, outcome, compiling), scratch)


def _folder(out: str | Path | None) -> tuple[Path, Path | None]:
    """Return the folder of the results, and the temporary one if it is that."""
    if out is not None:
        return Path(out), None
    scratch = Path(tempfile.mkdtemp(prefix="simsa-"))
    return scratch, scratch


def load(folder: str | Path) -> "Run":
    """Return the run whose results lie in a folder: of `sweep`, of `Run.save`, or of the command line.

    Parameters
    ----------
    folder
        The folder of the results.

    Returns
    -------
    Run
        The results.

    Raises
    ------
    RecordsError
        If there are none, or if the scenario, its data or its program are not theirs any more.

    Examples
    --------
    >>> import tempfile
    >>> import simsa
    >>> folder = tempfile.mkdtemp()
    >>> run = simsa.sweep(
    ...     lambda x: abs(x[0]), parameters=1, c=[0.5], steps=2, step_size=1.0, initial=simsa.points([[1.0]]),
    ...     trajectories=4, out=folder, quiet=True,
    ... )
    >>> load(folder).cells.trajectories.tolist()
    [4]
    """
    from simsa.ensemble.replay import planned

    path = Path(folder)
    found, made = planned(path)
    summary = summary_of(path)
    from simsa.ensemble.drive import usable_cores
    from simsa.ensemble.executors import Threads
    from simsa.ensemble.plan import choose

    workers = usable_cores()
    engines, reasons = choose(made, found.scenario.run.engine, workers)
    return Run(path, Prepared(found, made, engines, reasons, Threads(workers), workers, tell), summary, None)


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
        return partial(FIGURES[name], self._summary)


class Run:
    """The results of a sweep, in a folder: shown, a table of the cells. `sweep` and `load` return it.

    Attributes
    ----------
    folder
        Where records, summary and scenario lie; a temporary folder goes when the run is not used any more, unless
        `save` keeps it.
    summary
        Everything that tables and figures are made of, as `simsa.analysis.summarise` returns it.
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

        c, convention, precision, and the setting if there are further axes; trajectories; how many landed, were
        sensitive, tied, left the ball (unbounded), were not finite, settled; `landing_probability` with the ends of its
        interval; `objective`, the median of J at the end; `margin`, the smallest |guard| of any trajectory.
        """
        import pandas

        from simsa.report.table import rows

        return pandas.DataFrame(rows(self.summary))

    @property
    def plot(self) -> Plots:
        """Return the figures of the run, by name: `run.plot.landing()`."""
        return Plots(self.summary)

    def trajectory(self, cell: int, number: int) -> "Trajectory":
        """Return one trajectory again.

        Parameters
        ----------
        cell
            The number of its row in `cells`, from 0 on.
        number
            The number of the trajectory in the cell, from 0 on.

        Returns
        -------
        simsa.run.Trajectory
            Its points, its ties, and what AD says there.

        Raises
        ------
        RecordsError
            If there is no such cell or trajectory.

        Examples
        --------
        >>> import simsa
        >>> run = simsa.sweep(
        ...     lambda x: abs(x[0]), parameters=1, c=[0.5], steps=2, step_size=1.0, initial=simsa.points([[0.5]]),
        ...     trajectories=4, quiet=True,
        ... )
        >>> run.trajectory(cell=0, number=3).path.ravel().tolist()
        [0.5, 0.0, 0.0]
        """
        from simsa.ensemble.replay import replay

        return Trajectory(replay(self.folder, cell, number))

    def save(self, folder: str | Path, overwrite: bool = False) -> "Run":
        """Copy the results to a folder, with the scenario that says how to get them again.

        Parameters
        ----------
        folder
            Where to; it is made if it is not there.
        overwrite
            Whether what is in the folder is replaced.

        Returns
        -------
        Run
            The run there, with `report.html` beside its records.

        Raises
        ------
        RecordsError
            If there is something in the folder, and `overwrite` is not said.

        Examples
        --------
        >>> import tempfile
        >>> import simsa
        >>> run = simsa.sweep(
        ...     lambda x: abs(x[0]), parameters=1, c=[0.5], steps=2, step_size=1.0, initial=simsa.points([[0.5]]),
        ...     trajectories=4, quiet=True,
        ... )
        >>> saved = run.save(tempfile.mkdtemp())
        >>> sorted(path.name for path in saved.folder.glob("*.html"))
        ['report.html']
        """
        path = Path(folder)
        if path.exists() and any(path.iterdir()):
            if not overwrite:
                raise RecordsError(f"{path} is not empty; choose another folder, or say overwrite=True")
            shutil.rmtree(path)
        shutil.copytree(self.folder, path, dirs_exist_ok=True)
        self.report(path / "report.html")
        return Run(path, self._ready, summary_of(path), None)

    def extend(
        self, trajectories: int, out: str | Path | None = None, quiet: bool = False, resume: bool = False
    ) -> "Run":
        """Return a run with more trajectories in each cell: those that are there are kept, and not run again.

        Parameters
        ----------
        trajectories
            How many there are to be in each cell, at least as many as now.
        out
            The folder of the results; a temporary one if left out.
        quiet
            No progress and no remarks.
        resume
            Continue an extension that was interrupted in that folder.

        Returns
        -------
        Run
            Bit for bit what one run of so many would be.

        Raises
        ------
        ScenarioError
            If there are more trajectories already.
        RecordsError
            If the folder holds results already, and `resume` is not given.

        Examples
        --------
        >>> import simsa
        >>> run = simsa.sweep(
        ...     lambda x: abs(x[0]), parameters=1, c=[0.5], steps=2, step_size=1.0, initial=simsa.points([[0.5]]),
        ...     trajectories=4, quiet=True,
        ... )
        >>> run.extend(6, quiet=True).cells[["trajectories", "landed"]].values.tolist()
        [[6, 6]]
        """
        import tomli_w

        from simsa.ensemble.replay import origin
        from simsa.records import read, write
        from simsa.scenario import load as load_scenario
        from simsa.scenario.load import tables

        layout = self._ready.made.layout
        if trajectories < layout.trajectories:
            raise ScenarioError(f"trajectories: there are {layout.trajectories} already, asked for {trajectories}")
        put, file = origin(self.folder)
        said = tables(self.folder / SCENARIO, put)
        said.setdefault("sweep", {})["trajectories"] = trajectories
        said.setdefault("run", {})["block"] = min(layout.block, layout.trajectories)
        folder, scratch = _folder(out)
        there = read.exists(folder)
        if there and not resume:
            raise RecordsError(
                f"{folder} holds results already: continue them with resume=True, or choose another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        for name in (PROGRAM, DATA):
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, folder)
        (folder / SCENARIO).write_text(tomli_w.dumps(said), encoding="utf-8")
        ready = prepare(load_scenario(folder / SCENARIO, origin=file), None, silent if quiet else tell)
        records, todo = opened(ready, folder, resume=resume, overwrite=False)
        if not there:
            kept = records.adopt(write.Records.resume(self.folder, layout))
            ready.say(f"{sum(block.count for block in kept)} trajectories are there already")
            todo = [block for block in todo if block not in set(kept)]
        provenance(ready, folder, command="Run.extend(...)", file=file, keep=there)
        return finished(ready, records, todo, quiet, scratch)

    def report(self, file: str | Path = "report.html") -> Path:
        """Write the report of the run, with its figures, as one HTML file.

        Parameters
        ----------
        file
            The file; one that is there is replaced.

        Returns
        -------
        Path
            The file.

        Examples
        --------
        >>> import tempfile
        >>> import simsa
        >>> run = simsa.sweep(
        ...     lambda x: abs(x[0]), parameters=1, c=[0.5], steps=2, step_size=1.0, initial=simsa.points([[0.5]]),
        ...     trajectories=4, quiet=True,
        ... )
        >>> run.report(f"{tempfile.mkdtemp()}/mine.html").name
        'mine.html'
        """
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
        return f"<p><b>{escape(str(title))}</b></p>{self.cells.to_html(index=True, float_format='{:.6g}'.format)}"
