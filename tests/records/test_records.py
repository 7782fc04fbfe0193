"""Records survive what happens to long runs: kills, flipped bits, other scenarios, damaged files."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from simsa.errors import RecordsError
from simsa.records import disk, read, write
from simsa.records.fields import FIELDS, table
from simsa.records.layout import ZARR, Block, Cell, Layout
from simsa.records.status import Status
from simsa.records.write import Records
from tests.support import ROOT
from tests.support.runs import contents

LAYOUT = Layout(
    cells=(Cell(Fraction(1, 2), "tensorflow", "float64"), Cell(Fraction(1), "tensorflow", "float64")),
    trajectories=100,
    steps=20,
    checkpoints=(0, 10, 20),
    objective_trajectories=40,
    parameters=3,
    block=16,
    points=True,
    last_alpha={"": 0.25},
    digest="d" * 64,
    header={"name": "made_up", "title": "", "seed": 3, "hypotheses": []},
)


def values_of(layout: Layout, block: Block) -> dict[str, np.ndarray]:
    """Made-up values, a function of the trajectory's number; nan with odd bits among them."""
    t = np.arange(block.first, block.first + block.count)[:, None] + 1000 * block.cell
    odd = np.array([0xFFF8000000000001], np.uint64).view(np.float64)
    made = {}
    for i, f in enumerate(layout.fields):
        width = layout.shape(f, 1)[1:] or (1,)
        numbers = (t * 31 + np.arange(*width) * 7 + i) % (3 if f.dtype == "uint8" else 251)
        value = np.where(numbers % 5 == 0, odd, numbers / 7) if f.dtype == "float64" else numbers
        made[f.name] = value.reshape(layout.shape(f, block.count))
    made["sensitive_point"] = np.full(made["sensitive_point"].shape, odd) if layout.points else None
    return made


def write_all(folder: Path, layout: Layout = LAYOUT) -> Records:
    records = Records.create(folder, layout)
    for block in layout.blocks:
        records.write(block, values_of(layout, block), 0.5)
    return records


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("master")
    write_all(folder)
    return folder


@pytest.fixture
def whole(master, tmp_path) -> Path:
    """A folder with all blocks written, of which a test may do what it likes."""
    return shutil.copytree(master, tmp_path / "whole")


def test_what_is_written_is_what_is_read(whole):
    data = read.open(whole)
    for block in LAYOUT.blocks:
        for name, value in values_of(LAYOUT, block).items():
            found = data[name].values[block.cell, block.first : block.first + block.count]
            np.testing.assert_array_equal(found, value)


def test_blocks_cover_every_trajectory_once():
    seen = [(b.cell, b.first + i) for b in LAYOUT.blocks for i in range(b.count)]
    assert sorted(seen) == [(cell, t) for cell in range(2) for t in range(100)]
    assert [b.cell for b in LAYOUT.blocks[:4]] == [0, 1, 0, 1], "cells grow side by side"


def test_users_see_names_units_and_coordinates(whole):
    data = read.open(whole / "records.zarr")
    assert list(data) == [f.name for f in FIELDS if f.name not in ("observe", "hit", "state")]
    assert data.objective.dims == ("cell", "trajectory", "checkpoint")
    assert data.final.dims == ("cell", "trajectory", "parameter")
    assert data.sensitive_first.attrs == {
        "long_name": "first step with a decisive tie; -1 if none",
        "units": "step",
    }
    assert data.status.attrs["flag_meanings"] == "finished unbounded not_finite too_long not_run"
    assert data.c.values.tolist() == [0.5, 1.0]
    assert data.convention.values.tolist() == ["tensorflow"] * 2
    assert data.precision.values.tolist() == ["float64"] * 2
    assert data.last_step_size.values.tolist() == [0.125, 0.25]
    assert data.checkpoint.values.tolist() == [0, 10, 20]
    assert data.attrs["seed"] == 3


def test_an_unknown_status_is_refused_and_the_kernels_have_the_same_numbers():
    from simsa.kernels import descent  # here, because the writers that are killed import this file too

    assert [descent.FINISHED, descent.UNBOUNDED, descent.NOT_FINITE] == list(Status)[:3]
    assert [one.value for one in Status] == [0, 1, 2, 3, 255] and Status(2).words == "met a NaN or an infinity"
    for number in (4, 254, -1):
        with pytest.raises(RecordsError, match=f"unknown status {number}; expected one of 0 .finished., 1 .left"):
            Status(number)


def test_the_documentation_lists_the_fields_as_the_rows_have_them():
    text = (ROOT / "docs" / "reference" / "records.md").read_text(encoding="utf-8")
    assert all(line in text.splitlines() for line in table())


def test_records_that_were_begun_before_can_be_continued():
    """The digest of the arrays is part of the format: what a row says besides must not change it."""
    with_all = dataclasses.replace(LAYOUT, observables=(("a", 0.5), ("b", float("nan"))))
    assert with_all.arrays == "fe88cdad5068b1ecf0e6e5ca16730aa10d388d915df8337ba00ed4d6937ce1de"


def test_plain_arrays_are_what_xarray_has(whole):
    data = read.open(whole)
    cells = read.cells(whole)
    assert len(cells) == 2
    for i, cell in enumerate(cells):
        one = data.isel(cell=i)
        assert set(cell) == set(one.variables)
        for name in cell:
            np.testing.assert_array_equal(cell[name], one[name].values)


def test_xarray_alone_opens_them(whole):
    data = xarray.open_dataset(whole / "records.zarr", engine="zarr", consolidated=False)
    assert set(data.coords) == {"c", "convention", "precision", "last_step_size", "checkpoint"}
    assert int((data.status == 255).sum()) == 0


def test_trajectories_that_have_not_run_say_so(tmp_path):
    records = Records.create(tmp_path, LAYOUT)
    records.write(LAYOUT.blocks[0], values_of(LAYOUT, LAYOUT.blocks[0]), 0.1)
    data = read.open(tmp_path)
    assert int((data.status == Status.NOT_RUN).sum()) == 200 - 16
    assert list(records.finished()) == [LAYOUT.blocks[0]]


def test_chunks_carry_a_checksum_and_one_block_owns_whole_chunks(whole):
    group = zarr.open_group(whole / ZARR, mode="r")
    for name, array in group.arrays():
        assert [type(codec).__name__ for codec in array.compressors] == ["ZstdCodec", "Crc32cCodec"], name
        assert array.metadata.dimension_names is not None
        if array.ndim > 1:
            assert array.chunks[:2] == (1, LAYOUT.block)


def test_points_and_checkpoints_can_be_left_out(tmp_path):
    layout = dataclasses.replace(LAYOUT, points=False, checkpoints=())
    assert {"final", "sensitive_point", "objective"} & {f.name for f in layout.fields} == set()
    records = Records.create(tmp_path, layout)
    made = values_of(LAYOUT, layout.blocks[0])
    records.write(layout.blocks[0], made, 0.1)
    assert records.intact(layout.blocks[0])
    assert "checkpoint" not in read.open(tmp_path).coords
    assert layout.bytes == 200 * (1 + 5 * 4 + 2 * 8)


def test_the_task_record_says_where_and_when(whole):
    task = json.loads((whole / "tasks" / "1-6.json").read_text())
    assert {key: task[key] for key in ("cell", "block", "first", "count", "seconds")} == {
        "cell": 1,
        "block": 6,
        "first": 96,
        "count": 4,
        "seconds": 0.5,
    }
    assert len(task["digest"]) == 64
    assert {"python", "simsa", "numpy", "numba"} <= set(task["versions"])


def test_a_wrong_shape_is_refused_before_anything_is_marked_done(tmp_path):
    records = Records.create(tmp_path, LAYOUT)
    made = values_of(LAYOUT, LAYOUT.blocks[0]) | {"margin": np.zeros(3)}
    with pytest.raises(ValueError, match=r"margin has shape \(3,\), expected \(16,\)"):
        records.write(LAYOUT.blocks[0], made, 0.1)
    assert records.finished() == {}


def test_records_are_not_made_twice(tmp_path):
    Records.create(tmp_path, LAYOUT)
    with pytest.raises(RecordsError, match="holds results already"):
        Records.create(tmp_path, LAYOUT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"digest": "e" * 64},
            "holds results of another scenario (digest dddddddddddd, this one has eeeeeeeeeeee)",
        ),
        ({"block": 32}, "cannot be continued: it was written with block = 16, and this run has 32"),
        ({"trajectories": 200}, "it was written with trajectories = 100, and this run has 200"),
        ({"cells": LAYOUT.cells[::-1]}, "cannot be continued: it was written with arrays = "),
        ({"cells": (LAYOUT.cells[0], Cell(Fraction(1), "jax", "float64"))}, "it was written with arrays = "),
        ({"checkpoints": (0, 10, 19)}, "it was written with arrays = "),
        ({"parameters": 4}, "it was written with arrays = "),
        ({"last_alpha": {"": 0.5}}, "it was written with arrays = "),
        ({"points": False}, "it was written with arrays = "),
    ],
)
def test_other_records_are_refused(tmp_path, change, message):
    Records.create(tmp_path, LAYOUT)
    with pytest.raises(RecordsError) as error:
        Records.resume(tmp_path, dataclasses.replace(LAYOUT, **change))
    assert message in str(error.value)


def test_records_of_another_version_are_refused(tmp_path, monkeypatch):
    Records.create(tmp_path, LAYOUT)
    monkeypatch.setattr("simsa.records.layout.versions", lambda: {"simsa": "99.0"})
    with pytest.raises(RecordsError, match=r"it was written with simsa = .*, and this run has 99\.0"):
        Records.resume(tmp_path, LAYOUT)


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(RecordsError, match=r"no records here \(there is no records.zarr\)"):
        read.open(tmp_path)
    with pytest.raises(RecordsError, match=r"no records here \(there is no records.zarr\)"):
        read.cells(tmp_path)
    (tmp_path / "other.zarr").mkdir()
    with pytest.raises(RecordsError, match="not records of simsa, or damaged"):
        read.open(tmp_path / "other.zarr")


def test_records_of_another_format_are_refused(tmp_path):
    Records.create(tmp_path, LAYOUT)
    path = tmp_path / ZARR / "zarr.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 7'))
    with pytest.raises(RecordsError, match="records of format 7; this version of simsa reads format 2"):
        read.open(tmp_path)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "zeros", "remove"])
@pytest.mark.parametrize("name", ["status", "final"])
def test_a_damaged_chunk_is_noticed(whole, damage, name):
    records = Records.resume(whole, LAYOUT)
    block = LAYOUT.blocks[3]
    path = whole / ZARR / name / "c" / str(block.cell) / str(block.index)
    path = path / "0" if name == "final" else path
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[len(raw) // 2] ^= 4
    kept = {"flip": raw, "truncate": raw[:-3], "empty": b"", "zeros": bytes(len(raw))}
    path.unlink() if damage == "remove" else path.write_bytes(kept[damage])
    assert [b for b in LAYOUT.blocks if not records.intact(b)] == [block]
    if damage != "remove":
        with pytest.raises(ValueError):
            _ = read.open(whole)[name].values
        with pytest.raises(ValueError):
            _ = read.cells(whole)[block.cell][name]


def refused(folder, shape=LAYOUT):
    """Return the message with which records are refused, by all who read them, and see that nothing is changed."""
    before = contents(folder)
    messages = set()
    for opened in (read.open, read.cells, lambda one: Records.resume(one, shape)):
        with pytest.raises(RecordsError) as error:
            opened(folder)
        messages.add(str(error.value))
    assert contents(folder) == before and len(messages) == 1
    (message,) = messages
    assert "\n" not in message
    return message


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_what_no_block_owns_is_not_lost_or_changed_unnoticed(whole, tmp_path, damage):
    """Without its chunk, c read back as 0; with another type or fill value, a field as other numbers."""
    Records.create(tmp_path / "new", LAYOUT)
    files = sorted(contents(tmp_path / "new"))
    assert {"zarr.json", "c/c/0", "c/zarr.json", "checkpoint/c/0", "final/zarr.json"} <= set(files)
    for file in files:
        path = whole / ZARR / file
        before = path.read_bytes()
        raw = bytearray(before)
        raw[len(raw) // 2] ^= 1
        kept = {"flip": raw, "truncate": raw[:-3], "empty": b""}
        path.unlink() if damage == "remove" else path.write_bytes(kept[damage])
        message = refused(whole)
        if file != "zarr.json":
            lost = "is missing" if damage == "remove" else "is not what was written"
            assert message == f"{path} {lost}: the records cannot be read without it; restore it, or overwrite"
        path.write_bytes(before)
    Records.resume(whole, LAYOUT)


EDITS = {
    "data_type": "int64", "fill_value": 0, "shape": [2, 99], "dimension_names": ["trajectory", "cell"],
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 32]}},
    "codecs": [{"name": "bytes", "configuration": {"endian": "big"}}], "attributes": {"units": "seconds"},
    "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}},
}  # fmt: skip


@pytest.mark.parametrize("key", EDITS)
@pytest.mark.parametrize("name", ["sensitive_first", "stopped"])
def test_edited_metadata_of_an_array_is_noticed(whole, name, key):
    path = whole / ZARR / name / "zarr.json"
    said = json.loads(path.read_text())
    assert said[key] != EDITS[key]
    path.write_text(json.dumps({**said, key: EDITS[key]}))
    assert refused(whole).startswith(f"{path} is not what was written")


@pytest.mark.parametrize("key", ["steps", "trajectories", "seed", "objective_trajectories", "arrays", "block", "new"])
def test_edited_attributes_are_noticed(whole, key):
    path = whole / ZARR / "zarr.json"
    said = json.loads(path.read_text())
    said["attributes"][key] = 7
    path.write_text(json.dumps(said))
    assert refused(whole).startswith(f"{path} is not what was written")


@pytest.mark.parametrize("files", [None, {}, [], "zarr.json"])
def test_records_without_digests_are_refused(whole, files):
    path = whole / ZARR / "zarr.json"
    said = json.loads(path.read_text())
    said["attributes"]["files"] = files
    path.write_text(json.dumps(said))
    assert refused(whole) == f"{path.parent}: not records of simsa, or damaged"


def test_a_copy_of_the_metadata_that_zarr_adds_is_no_damage(whole):
    with pytest.warns(UserWarning, match="Consolidated metadata"):
        zarr.consolidate_metadata(whole / ZARR)
    assert read.open(whole).c.values.tolist() == [0.5, 1.0]
    Records.resume(whole, LAYOUT)


@pytest.mark.parametrize("name", [f.name for f in LAYOUT.fields if f.name != "sensitive_point"])
def test_a_lost_chunk_is_noticed_by_those_who_read(whole, name):
    """It would read back as fill values: a landing as none."""
    records = Records.resume(whole, LAYOUT)
    block = LAYOUT.blocks[3]
    (path,) = [path for path in records._chunks(block) if path.is_relative_to(whole / ZARR / name)]
    path.unlink()
    for opened in (read.open, read.cells):
        with pytest.raises(RecordsError) as error:
            opened(whole)
        assert str(error.value) == f"{path} is missing: compute block {block.name} again with --resume"
    assert not records.intact(block)
    records.write(block, values_of(LAYOUT, block), 0.5)
    read.open(whole)


def test_status_is_stored_last(tmp_path):
    """A writer that is killed within a block leaves trajectories that have not been run, and none without events."""
    records = Records.create(tmp_path, LAYOUT)

    class Killed(Exception):
        pass

    def kill(*_):
        raise Killed

    for f in LAYOUT.fields:
        records._arrays[f.name] = type("Array", (), {"__setitem__": kill})()
        with pytest.raises(Killed):
            records.write(LAYOUT.blocks[0], values_of(LAYOUT, LAYOUT.blocks[0]), 0.1)
        records = Records.resume(tmp_path, LAYOUT)
        assert (read.open(tmp_path).status == Status.NOT_RUN).all()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"first": 0}'])
def test_a_damaged_task_record_is_not_taken_for_done(whole, text):
    records = Records.resume(whole, LAYOUT)
    (whole / "tasks" / "0-0.json").write_text(text)
    assert set(LAYOUT.blocks) - set(records.finished()) == {LAYOUT.blocks[0]}
    assert not records.intact(LAYOUT.blocks[0])


def test_a_forgotten_block_is_computed_again_to_the_same_bytes(whole):
    records = Records.resume(whole, LAYOUT)
    before = contents(whole)
    block = LAYOUT.blocks[5]
    records.forget(block)
    assert block not in records.finished()
    assert len(contents(whole)) < len(before)
    records.write(block, values_of(LAYOUT, block), 0.5)
    assert contents(whole) == before


def test_erased_records_can_be_made_again(whole):
    (whole / "notes.txt").write_text("mine")
    write.erase(whole)
    assert [path.name for path in whole.iterdir()] == ["notes.txt"]
    Records.create(whole, LAYOUT)


def test_leftovers_of_a_killed_creation_are_cleared(tmp_path):
    left = tmp_path / f"{ZARR}.tmp-0123"
    left.mkdir()
    Records.create(tmp_path, LAYOUT)
    assert not left.exists()


WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from tests.records import test_records as test
    folder = Path(sys.argv[1])
    print("ready", flush=True)
    records = (test.Records.resume if test.read.exists(folder) else test.Records.create)(folder, test.LAYOUT)
    for block in test.LAYOUT.blocks:
        if block not in records.finished():
            records.write(block, test.values_of(test.LAYOUT, block), 0.5)
            print(block.name, flush=True)
""")


def killed_writer(folder: Path, blocks: int, wait: float) -> list[str]:
    """Start a writer, kill it when it has acknowledged some blocks and a moment has passed; return those."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "ready\n"
    heard = [writer.stdout.readline() for _ in range(blocks)]
    try:
        writer.wait(wait)
    except subprocess.TimeoutExpired:
        os.kill(writer.pid, signal.SIGKILL)
    heard += writer.stdout.readlines()
    writer.wait()
    writer.stdout.close()
    return [line.strip() for line in heard if line.endswith("\n")]


def test_a_killed_writer_loses_no_finished_block_and_ends_with_the_same_bytes(tmp_path):
    write_all(tmp_path / "whole")
    chance = random.Random(5)
    acknowledged: set[str] = set()
    for blocks in (0, 2, 3):
        acknowledged |= set(killed_writer(tmp_path / "killed", blocks, chance.uniform(0.0, 0.04)))
        if not read.exists(tmp_path / "killed"):
            continue
        records = Records.resume(tmp_path / "killed", LAYOUT)
        finished = records.finished()
        assert acknowledged <= {block.name for block in finished}
        assert all(records.intact(block) for block in finished)
    records = Records.resume(tmp_path / "killed", LAYOUT)
    for block in LAYOUT.blocks:
        if block not in records.finished():
            records.write(block, values_of(LAYOUT, block), 0.5)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert not list((tmp_path / "killed").glob("*.tmp-*"))


def test_a_partial_chunk_of_a_killed_writer_is_removed(whole):
    before = contents(whole)
    (whole / ZARR / "status" / "c" / "0" / "1.abc.partial").write_bytes(b"half")
    Records.resume(whole, LAYOUT)
    assert contents(whole) == before


def test_json_is_strict_and_replaced_as_a_whole(tmp_path):
    disk.write_json(tmp_path / "a.json", {"x": [1, 2.5, None, "é"]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"x": [1, 2.5, None, "é"]}
    with pytest.raises(ValueError):
        disk.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert disk.read_json(tmp_path / "a.json") is not None
