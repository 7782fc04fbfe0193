"""Driving a plan gives the same records, however often it is interrupted and however it is spread."""

import _thread
import dataclasses
import multiprocessing
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from fractions import Fraction
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

import simsa
from simsa import cli, laws
from simsa.engines import ENGINES, Work, cheapest
from simsa.ensemble import drive, resolve
from simsa.ensemble.cost import SMALLEST_BLOCK, block_size
from simsa.ensemble.executors import Done, Executor, Threads, attempt
from simsa.ensemble.plan import POINTS_LIMIT, Plan, Setting, choose, fastest, plan
from simsa.errors import DataError, ProgramError, ScenarioError, SimsaError
from simsa.machine import task
from simsa.machine.task import Descent, Initial
from simsa.program.program import Builder
from simsa.records import read
from simsa.records.layout import ZARR, Block, Cell, Layout
from simsa.records.write import Records
from simsa.scenario import load
from simsa.tape import assemble
from tests.support.runs import contents, digest, planned, recorded, swept


def tape():
    builder = Builder(2)
    return assemble(builder.finish([builder.apply("mul", [builder.apply("relu", [0]), 1])]))


LAYOUT = Layout(
    cells=tuple(Cell(Fraction(c), "tensorflow", "float64") for c in (0.5, 1.0)),
    trajectories=44,
    steps=4,
    checkpoints=(0, 4),
    objective_trajectories=44,
    parameters=2,
    block=8,
    points=True,
    last_alpha={"": 0.25},
    digest="d" * 64,
)
PLAN = Plan(
    LAYOUT,
    {
        "": Setting(
            {"tensorflow": tape()},
            np.zeros((1, 0)),
            Descent(
                steps=4,
                law="full",
                size=0,
                replace=False,
                alpha=np.full(4, 0.25),
                radius=1e6,
                seed=1,
                initial=Initial("normal", np.zeros(2), np.ones(2), np.zeros((0, 2))),
                checkpoints=np.array([0, 4]),
                objective_trajectories=44,
            ),
        )
    },
)


def descend(task, *, c, first, count, say):
    """Stand in for an engine: every record is a function of the cell and the trajectory."""
    t = np.arange(first, first + count)
    numbers = (t * 13 + int(c * 14)) % 101 * float(c)
    return {
        f.name: np.broadcast_to(numbers.reshape(-1, *([1] * len(f.axes))), LAYOUT.shape(f, count)).astype(f.dtype)
        for f in LAYOUT.fields
    }


def go(folder, workers=2, machine=descend, said=None, quiet=True):
    """Run what is left to do in `folder`."""
    say = (lambda line: None) if said is None else said.append
    resumed = read.exists(folder)
    records = Records.resume(folder, LAYOUT) if resumed else Records.create(folder, LAYOUT)
    todo = drive.unfinished(records, say, Threads(workers))
    engines = dict.fromkeys(PLAN.families(), SimpleNamespace(run=machine))
    return drive.run(PLAN, records, todo, engines=engines, executor=Threads(workers), say=say, quiet=quiet)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    outcome = go(folder, workers=1)
    assert (outcome.traj_steps, outcome.interrupted) == (2 * 44 * 4, False)
    return contents(folder)


@pytest.mark.parametrize("workers", [2, 3, 16])
def test_the_number_of_threads_changes_no_byte(tmp_path, whole, workers):
    go(tmp_path, workers=workers)
    assert contents(tmp_path) == whole


def test_the_machine_is_asked_for_every_block_of_every_cell_once(tmp_path):
    asked = []

    def noting(task, *, c, first, count, say):
        asked.append((c, first, count, task.precision))
        return descend(task, c=c, first=first, count=count, say=say)

    go(tmp_path, machine=noting)
    wanted = [(LAYOUT.cells[b.cell].scale, b.first, b.count, "float64") for b in LAYOUT.blocks]
    assert sorted(asked) == sorted(wanted)


def test_at_most_the_workers_run_at_once_and_the_window_is_bounded(tmp_path):
    running, most, started, lock = 0, 0, 0, threading.Lock()
    three = threading.Barrier(3)

    def counting(*given, **named):
        nonlocal running, most, started
        with lock:
            running += 1
            most = max(most, running)
            started += 1
            early = started <= 3
        if early:
            three.wait(60)
        with lock:
            running -= 1
        return descend(*given, **named)

    go(tmp_path, workers=3, machine=counting)
    assert most == 3


class Stopping:
    """A machine that gets a Ctrl-C while it works on its n-th block."""

    def __init__(self, after, error=None):
        self.left, self.error, self.lock = after, error, threading.Lock()

    def __call__(self, *given, **named):
        with self.lock:
            self.left -= 1
            left = self.left
        if left == 0 and self.error:
            raise self.error
        if left == 0:
            _thread.interrupt_main()
        time.sleep(0.005 if left > 0 else 0.5)  # the main thread has time to notice before the last block is done
        return descend(*given, **named)


@pytest.mark.parametrize("after", [1, 4, 7])
def test_after_ctrl_c_a_run_continues_to_the_same_bytes(tmp_path, whole, after):
    said = []
    outcome = go(tmp_path, machine=Stopping(after), said=said)
    assert outcome.interrupted
    assert any("blocks in flight are done; Ctrl-C again drops them" in line for line in said)
    records = Records.resume(tmp_path, LAYOUT)
    kept = records.finished()
    assert 0 < len(kept) < len(LAYOUT.blocks)
    assert sum(block.count for block in kept) * LAYOUT.steps == outcome.traj_steps
    assert all(records.intact(block) for block in kept)
    outcome = go(tmp_path, workers=4)
    assert not outcome.interrupted
    assert contents(tmp_path) == whole


def test_an_error_in_a_block_is_raised_and_keeps_what_is_done(tmp_path, whole):
    with pytest.raises(MemoryError, match="too large"):
        go(tmp_path, machine=Stopping(5, MemoryError("too large")))
    assert 0 < len(Records.resume(tmp_path, LAYOUT).finished()) < len(LAYOUT.blocks)
    go(tmp_path)
    assert contents(tmp_path) == whole


def test_a_damaged_block_is_computed_again(tmp_path, whole):
    go(tmp_path)
    path = tmp_path / ZARR / "margin" / "c" / "1" / "2"
    raw = bytearray(path.read_bytes())
    raw[3] ^= 1
    path.write_bytes(raw)
    said = []
    outcome = go(tmp_path, said=said)
    assert said == ["block 1-2 is damaged on disk; it will be computed again"]
    assert outcome.traj_steps == 8 * 4
    assert contents(tmp_path) == whole


def test_a_finished_run_has_nothing_to_do(tmp_path):
    go(tmp_path)
    assert go(tmp_path).traj_steps == 0


def test_progress_without_a_terminal_is_a_line_now_and_then(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(drive, "PLAIN_SECONDS", 0.0)
    said = []
    go(tmp_path, said=said, quiet=False)
    assert len(said) == len(LAYOUT.blocks)
    assert "% done, " in said[0] and " traj-steps/s, about " in said[0] and said[0].endswith(" left")
    assert said[-1].startswith("100% done")
    assert capsys.readouterr() == ("", "")


def test_quiet_is_quiet(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(drive, "PLAIN_SECONDS", 0.0)
    said = []
    go(tmp_path, said=said, quiet=True)
    assert said == []
    assert capsys.readouterr() == ("", "")


def test_compilation_is_announced_once_for_each_engine_that_needs_it():
    layout = dataclasses.replace(
        LAYOUT, cells=tuple(Cell(Fraction(1, 2), "tensorflow", p) for p in ("float64", "float32", "float64"))
    )
    ready = []

    def stand_in(name, seconds):
        return SimpleNamespace(name=name, preparing=lambda task: seconds, prepare=lambda task: ready.append(name))

    slow, quick = stand_in("slow", 45.0), stand_in("quick", 0.2)
    engines = {("tensorflow", "float64", ""): slow, ("tensorflow", "float32", ""): quick}
    said = []
    drive.warm_up(dataclasses.replace(PLAN, layout=layout), engines, said.append)
    assert said == [
        "compiling for the slow engine, float64 (once per machine and version) ...",
        "... compiled in 0.0 s",
    ]
    assert ready == ["slow", "quick"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.034, "0.03 s"), (4.2, "4 s"), (42.4, "42 s"), (95, "1 min 35 s"), (7000, "1 h 56 min")],
)
def test_durations_read_well(seconds, words):
    assert drive.duration(seconds) == words


# ---------------------------------------------------------------- executors of a user's own


class Backwards(Executor):
    """One block after the other, the last first."""

    def __init__(self, workers: int = 1) -> None:
        assert workers >= 1

    def map(self, work, blocks: Iterable[Block]) -> Iterator[Done]:
        return iter([attempt(work, block) for block in reversed(list(blocks))])


class Processes(Executor):
    """Processes that share nothing with the driver but the folder; each takes a block when it is free."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, work, blocks: Iterable[Block]) -> Iterator[Done]:
        waiting, running = iter(blocks), set()
        with ProcessPoolExecutor(self.workers, multiprocessing.get_context("spawn")) as pool:
            while True:
                free = self.workers - len(running)
                running |= {pool.submit(attempt, work, block) for block in islice(waiting, free)}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)


@pytest.mark.parametrize("executor", [Backwards, Processes])
def test_an_executor_is_added_from_outside_in_one_place(tmp_path, monkeypatch, executor):
    """A whole sweep, with an observable and a rule with memory: the same bytes, and every block a task record."""
    monkeypatch.setattr("simsa.plots.save_all", lambda summary, folder: [])
    observe = '[[observe]]\nname = "height"\nexpression = "x + y"\nhit_below = 0.0\n'
    (tmp_path / "tiny.toml").write_text(TEXT + observe)
    small = ("sweep.trajectories=8", "sweep.c=[0.5]", "sweep.convention=['jax']", "record.classify=0")
    settings = (*small, "run.block=4", "run.engine='reference'")
    heavy = ("optimizer={kind='heavy_ball', momentum=0.5}", "sgd.step_size={family='constant', value='1/4'}")
    precisions = "sweep.precision=['float64', 'exact']"
    words = [part for setting in (*settings, precisions, *heavy) for part in ("--set", setting)]
    folders = tmp_path / "threads", tmp_path / "own"
    for folder, used in zip(folders, (None, executor), strict=True):
        arguments = ["sweep", str(tmp_path / "tiny.toml"), "--out", str(folder), "--quiet", "--workers", "2", *words]
        assert cli.main(arguments, executor=used) == 0
    one, two = map(contents, folders)
    assert one == two
    assert len(list((folders[1] / "tasks").glob("*.json"))) == 2 * 2
    assert cli.main([*arguments, "--resume"], executor=executor) == 0, "it reads what is there, too"


def test_an_error_of_an_executor_is_raised_with_the_blocks_before_it_stored(tmp_path):
    records = Records.create(tmp_path, LAYOUT)
    engines = dict.fromkeys(PLAN.families(), SimpleNamespace(run=Stopping(5, MemoryError("too large"))))
    with pytest.raises(MemoryError, match="too large"):
        drive.run(PLAN, records, LAYOUT.blocks, engines=engines, executor=Backwards(), say=print, quiet=True)
    assert set(records.finished()) == set(LAYOUT.blocks[-4:]) | set(LAYOUT.blocks[:-5]), "it was given all at once"


def test_a_second_ctrl_c_ends_a_run_at_once(tmp_path):
    """The blocks in flight are dropped: nobody waits for them."""
    held, said = threading.Event(), []

    def holding(*given, **named):
        _thread.interrupt_main()
        held.wait(60)
        return descend(*given, **named)

    def say(line):
        said.append(line)
        _thread.interrupt_main()

    records = Records.create(tmp_path, LAYOUT)
    engines = dict.fromkeys(PLAN.families(), SimpleNamespace(run=holding))
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        drive.run(PLAN, records, LAYOUT.blocks, engines=engines, executor=Threads(1), say=say, quiet=True)
    assert len(said) == 1 and not records.finished()
    held.set()
    while threading.active_count() > before:
        time.sleep(0.01)
    assert len(records.finished()) == 1, "a thread takes no block any more"


# ---------------------------------------------------------------- plans

TEXT = """
[scenario]
name = "tiny"
seed = 3
[program]
kind = "expression"
parameters = ["x", "y"]
data = ["a"]
expression = "relu(x - a) + y**2"
[data]
source = "inline"
rows = [[1.0], [2.0], [4.0]]
[sgd]
steps = 12
step_size = { family = "power", exponent = 0.5 }
[sweep]
c = [0.5, 0.25]
trajectories = 96
convention = ["tensorflow", { base = "pytorch", relu = 0.5 }]
precision = ["float64", "float32"]
[record]
checkpoints = [0, 6, 12]
objective_trajectories = 20
"""


def scenario_of(folder, *overrides, text=TEXT):
    (folder / "tiny.toml").write_text(text)
    return load(folder / "tiny.toml", overrides)


def test_cells_are_the_product_of_the_axes_and_share_streams_over_conventions_and_precisions(tmp_path):
    cells = planned(scenario_of(tmp_path)).layout.cells
    assert cells == tuple(
        Cell(c, convention, precision)
        for c in (Fraction(1, 2), Fraction(1, 4))
        for convention in ("tensorflow", "pytorch,relu=0.5")
        for precision in ("float64", "float32")
    )


def ran(folder, c):
    """Run the scenario over some step scales, and return the records of each cell by what it is."""
    folder.mkdir()
    made = planned(scenario_of(folder, f"sweep.c={c}", "sweep.trajectories=40"))
    recorded(made, folder / "results")
    return {
        (cell["c"].item(), str(cell["convention"]), str(cell["precision"])): {
            name: cell[name].tobytes() for name in (f.name for f in made.layout.fields)
        }
        for cell in read.cells(folder / "results")
    }


def test_a_cell_has_the_same_records_in_whatever_list_its_c_stands(tmp_path):
    """A c dropped, another order, shards, another spelling, a law: the same bytes. They were those of a place."""
    whole = ran(tmp_path / "whole", '[0.5, "1/3", 0.25, 0.1]')
    assert len(whole) == 16
    some = {
        "dropped": ran(tmp_path / "dropped", '["1/3", 0.25, 0.1]'),
        "reordered": ran(tmp_path / "reordered", '[0.1, "2/8", 0.5, "2/6"]'),
        **{f"shard {c}": ran(tmp_path / f"shard{i}", f"[{c}]") for i, c in enumerate((0.5, '"1/3"', 0.25, 0.1))},
        "law": ran(tmp_path / "law", "{ law = 'grid', low = 0.1, high = 0.5, count = 5 }"),
    }
    for name, found in some.items():
        common = found.keys() & whole.keys()
        assert len(common) == {"dropped": 12, "reordered": 16, "law": 8}.get(name, 4), name
        assert all(found[cell] == whole[cell] for cell in common), name
    finals = {found["final"] for found in whole.values()}
    assert len(finals) == 8, "the control: another c or format gives another end, and no tie tells the conventions"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("sweep.c=[0.5, 0.25, '1/2']", "sweep.c.2: expected distinct values, numbers 0 and 2 are 0.5"),
        ("sweep.c=['1/10', 0.1]", "sweep.c.1: expected distinct values, numbers 0 and 1 are 0.1"),
        ("sweep.c=['1/3', 0.3333333333333333]", "sweep.c.1: expected distinct values, numbers 0 and 1 are 0.333333333"),
        ("sweep.c={law='linspace',low=1,high=1,count=3}", "sweep.c: expected distinct values, numbers 0 and 1 are 1.0"),
        ("sweep.precision=['float32', 'float32']", "sweep.precision.1: expected distinct values, numbers 0 and 1 are"),
        ("sweep.convention=['jax', {base='jax'}]", "sweep.convention.1: expected distinct values, numbers 0 and 1 are"),
    ],
)
def test_a_cell_is_not_listed_twice(tmp_path, change, message):
    """It would be the same runs again: counted twice, they would narrow every interval for nothing."""
    with pytest.raises(ScenarioError) as caught:
        scenario_of(tmp_path, change)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_two_c_with_the_same_key_are_refused(tmp_path, monkeypatch):
    """Nobody has seen two: the chance is 3e-20 for a pair."""
    monkeypatch.setattr(task, "key_of", lambda seed, c: np.uint64(1))
    with pytest.raises(ScenarioError, match=r"two c have the same random numbers; choose another seed"):
        planned(scenario_of(tmp_path))


def test_a_plan_says_what_the_scenario_says(tmp_path):
    scenario = scenario_of(tmp_path)
    made = planned(scenario)
    assert (made.layout.steps, made.layout.trajectories, made.layout.parameters) == (12, 96, 2)
    assert made.layout.checkpoints == (0, 6, 12) and made.layout.objective_trajectories == 20
    assert made.layout.digest == digest(scenario)
    assert made.layout.last_alpha[""] == made.settings[""].descent.alpha[-1] == 12**-0.5
    assert made.layout.header["seed"] == made.settings[""].descent.seed == 3
    assert {h["theorem"] for h in made.layout.header["hypotheses"]} >= {"4"}
    assert made.settings[""].descent.law == "uniform_subset" and made.settings[""].descent.initial.kind == "normal"
    assert made.settings[""].rows.tolist() == [[1.0], [2.0], [4.0]]
    assert set(made.settings[""].tapes) == {"tensorflow", "pytorch,relu=0.5"}


def test_planning_twice_gives_the_same_plan(tmp_path):
    first, second = planned(scenario_of(tmp_path)), planned(scenario_of(tmp_path))
    assert first.layout == second.layout and costs(first) == costs(second)


def costs(made):
    """Return what a plan costs on the fastest engines."""
    return made.estimate(fastest(made, "auto"))


def test_estimates_grow_with_the_work(tmp_path):
    cost = costs(planned(scenario_of(tmp_path)))
    assert cost.traj_steps == 8 * 96 * 12
    assert cost.bytes == 8 * 96 * (1 + 5 * 4 + (2 + 3 + 2 * 2) * 8)
    longer = costs(planned(scenario_of(tmp_path, "sgd.steps=24")))
    assert longer.traj_steps == 2 * cost.traj_steps
    assert 1.5 * cost.flops < longer.flops < 2 * cost.flops, "J is evaluated as often"
    assert cost.core_seconds < longer.core_seconds < 2 * cost.core_seconds


@pytest.mark.parametrize(
    ("law", "mean"),
    [("full", 3.0), ("uniform_subset", 12 / 7), ("fixed_size", 2.0), ("reshuffled", 1.5)],
)
def test_the_mean_minibatch_of_three_samples(law, mean):
    assert laws.minibatch(law).mean(3, 2) == pytest.approx(mean)


@pytest.mark.parametrize(
    ("points", "trajectories", "kept"),
    [("auto", 1000, True), ("auto", 10**7, False), ("all", 10**7, True), ("none", 1000, False)],
)
def test_points_are_kept_while_they_are_small(tmp_path, points, trajectories, kept):
    overrides = [f"record.points={points}", f"sweep.trajectories={trajectories}"]
    made = planned(scenario_of(tmp_path, *overrides))
    assert made.layout.points is kept
    assert (2 * 8 * 2 * trajectories * 8 <= POINTS_LIMIT) is (trajectories == 1000)


def test_the_block_of_the_scenario_is_taken(tmp_path):
    assert planned(scenario_of(tmp_path, "run.block=7")).layout.block == 7


def test_a_program_that_is_wrong_names_the_scenario(tmp_path):
    with pytest.raises(ProgramError, match=r"tiny\.toml: program: .*rellu"):
        planned(scenario_of(tmp_path, text=TEXT.replace("relu(", "rellu(")))


def test_data_that_do_not_fit_the_program_name_the_scenario(tmp_path):
    network = 'kind = "network"\nlayers = [5, 2]'
    start, end = TEXT.index('kind = "exp'), TEXT.index("[data]")
    with pytest.raises(DataError) as error:
        planned(scenario_of(tmp_path, text=TEXT[:start] + network + "\n" + TEXT[end:]))
    assert str(error.value).endswith(
        "tiny.toml: data: the program reads 6 numbers of each sample, the data have 1 columns"
    )


def test_another_function_is_another_digest(tmp_path):
    start, end = TEXT.index('kind = "exp'), TEXT.index("[data]")
    python = 'kind = "python"\ntarget = "tiny:loss"\nparameters = 2\ndata = 1\n'
    digests = []
    for k in (1, 1, 2):
        (tmp_path / "tiny.py").write_text(f"def loss(x, a):\n    return {k} * x[0] * a[0] + x[1] ** 2\n")
        digests.append(planned(scenario_of(tmp_path, text=TEXT[:start] + python + TEXT[end:])).layout.digest)
    assert digests[0] == digests[1] != digests[2]


# ---------------------------------------------------------------- with the machine


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """The values of a run with the real machine, on one thread."""
    folder = tmp_path_factory.mktemp("computed")
    return values_of(folder, workers=1, block=96)


def values_of(folder, workers, block):
    made = planned(scenario_of(folder, f"run.block={block}"))
    recorded(made, folder / "out", workers)
    return read.open(folder / "out").load()


@pytest.mark.parametrize(("workers", "block"), [(1, 96), (2, 96), (4, 96), (2, 5), (4, 32)])
def test_threads_and_blocks_change_no_bit_of_what_the_machine_computes(tmp_path, computed, workers, block):
    again = values_of(tmp_path, workers, block)
    for name, value in computed.data_vars.items():
        assert value.values.tobytes() == again[name].values.tobytes(), name


def test_conventions_and_precisions_start_at_the_same_points(computed):
    start = computed.objective.isel(checkpoint=0, trajectory=slice(0, 20)).values
    for c in (0, 4):
        assert start[c].tolist() == start[c + 2].tolist()
        np.testing.assert_allclose(start[c], start[c + 1], rtol=1e-5)
    assert start[0].tolist() != start[4].tolist()
    assert np.isnan(computed.objective.values[:, 20:]).all()


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize("trajectories", [1, 100, 4096, 10**6, 10**9])
@pytest.mark.parametrize("seconds", [1e-9, 1e-4, 1.0, 100.0])
def test_blocks_are_powers_of_two_within_bounds(trajectories, seconds):
    size = block_size(dataclasses.replace(LAYOUT, trajectories=trajectories), seconds)
    assert size & (size - 1) == 0
    assert SMALLEST_BLOCK <= size <= 2**16
    if size > SMALLEST_BLOCK:
        assert size * seconds <= 2.0
        assert size * 64 <= 2 * trajectories or size * seconds <= 0.2


def test_blocks_of_large_programs_fit_into_memory():
    layout = dataclasses.replace(LAYOUT, trajectories=10**6, parameters=10**5)
    assert block_size(layout, 1e-9) == SMALLEST_BLOCK
    layout = dataclasses.replace(LAYOUT, trajectories=10**6, parameters=10**4)
    assert 2 * 8 * 10**4 * block_size(layout, 1e-9) <= 2**26


@pytest.mark.parametrize(
    ("wanted", "trajectories", "ready", "engine"),
    [
        ("auto", 10, False, "reference"),
        ("auto", 10, True, "reference"),
        ("auto", 10**6, False, "specialised"),
        ("auto", 10**9, True, "specialised"),
        *((name, 100, ready, name) for name in ("reference", "interpreter", "specialised") for ready in (False, True)),
    ],
)
def test_the_engine_is_the_one_that_is_done_first(tmp_path, monkeypatch, wanted, trajectories, ready, engine):
    """Compilation on this machine included; and the reason is a line. The size of a block does not depend on it."""
    monkeypatch.setattr("simsa.machine.launch.compiled", lambda precision, special=None: ready)
    made = planned(scenario_of(tmp_path, f"sweep.trajectories={trajectories}", f"run.engine='{wanted}'"))
    engines, reasons = choose(made, wanted, cores=2)
    assert {one.name for one in engines.values()} == {engine}
    assert all(line.startswith(f"{engine} engine, ") for line in reasons)
    assert ("done first" in reasons[0]) == (wanted == "auto")


def test_an_engine_that_refuses_says_why(tmp_path):
    made = planned(scenario_of(tmp_path))
    first = made.task(made.layout.cells[0])
    whys = {name: engine.refuses(first) for name, engine in ENGINES.items()}
    none = dict.fromkeys(("reference", "interpreter", "specialised"), "")
    assert whys == {**none, "exact": "it computes with rational numbers only, not with float64"}
    long = dataclasses.replace(
        first, tape=assemble(simsa.trace(lambda x: sum(np.sin(k * x[0]) for k in range(500)), 1))
    )
    assert "at most 400 instructions, this one has" in ENGINES["specialised"].refuses(long)
    with pytest.raises(SimsaError, match="unknown precision 'float12'; expected one of 'float64', 'float32'"):
        cheapest(dataclasses.replace(first, precision="float12"), Work(1, 1, 1.0, 0.0))


COUNTED = """
from pathlib import Path

log = Path(__file__).with_name("imports.txt")
log.write_text((log.read_text() if log.exists() else "") + "imported\\n")


def loss(x, a):
    return abs(x[0]) * a[0] + x[1] ** 2
"""


def test_data_are_read_and_a_users_module_is_imported_once_for_all_of_a_run(tmp_path, no_figures, monkeypatch):
    """Planning and report, whatever the number of conventions; a replay is another run of its own.

    Figures are given the summary, and read nothing.
    """
    start, end = TEXT.index('kind = "exp'), TEXT.index("[data]")
    python = 'kind = "python"\ntarget = "counted:loss"\nparameters = 2\ndata = 1\n'
    (tmp_path / "counted.py").write_text(COUNTED)
    (tmp_path / "x.toml").write_text(TEXT[:start] + python + TEXT[end:])
    reads = []
    read_rows = resolve.rows
    monkeypatch.setattr(resolve, "rows", lambda scenario: reads.append(scenario) or read_rows(scenario))
    settings = ("sweep.convention=['tensorflow', 'jax', 'pytorch']", "sweep.trajectories=4")
    results = tmp_path / "results"
    swept(tmp_path / "x.toml", results, *settings)
    assert (tmp_path / "imports.txt").read_text() == "imported\n" and len(reads) == 1
    assert len(simsa.replay(results, 0, 1).parameters) == 0
    assert (tmp_path / "imports.txt").read_text() == "imported\n" * 2 and len(reads) == 2


def test_a_plan_is_a_function_of_what_was_resolved(tmp_path, monkeypatch):
    """Nothing is read, imported or drawn: the files are gone, and the kernels refuse to be called."""
    start, end = TEXT.index('kind = "exp'), TEXT.index("[data]")
    python = 'kind = "python"\ntarget = "counted:loss"\nparameters = 2\ndata = 1\n'
    (tmp_path / "counted.py").write_text(COUNTED)
    found = resolve.resolve(scenario_of(tmp_path, text=TEXT[:start] + python + TEXT[end:]))
    for file in tmp_path.iterdir():
        file.unlink() if file.is_file() else shutil.rmtree(file)
    monkeypatch.setattr("simsa.machine.launch.kernels", lambda: pytest.fail("a kernel was called"))
    one, two = plan(found), plan(found)
    assert one.layout == two.layout and (tmp_path / "imports.txt").exists() is False
