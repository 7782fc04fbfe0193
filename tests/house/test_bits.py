"""The records of small runs of eight scenarios have the same bits as ever.

`tests/data/bits.json` holds a digest of each field of each cell. It is written again by
`python -m tests.house.test_bits`, and only together with an entry "Numbers that changed" in the changelog. Every
arithmetic, law and kind of program has its part.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from simsa.records import read
from simsa.scenario import load
from tests.support import DATA, SCENARIOS
from tests.support.runs import planned, recorded

KNOWN = DATA / "bits.json"
SHORT = "record.checkpoints=[0, 20, 40]"
RUNS: dict[str, tuple[str, ...]] = {
    "relu_net_small": ("sweep.trajectories=48", "sweep.precision=['float64', 'float32']"),
    "bad_step": (
        "sweep.trajectories=150",
        "sweep.precision=['float64', 'float32', 'exact']",
        "sweep.c=[0.1137, '1/4', '1/3', '1/2', 0.6093, '2/3']",
    ),
    "l1_regression": ("sweep.trajectories=24", "sgd.steps=40", SHORT),
    "sort_loss": ("sweep.trajectories=24", "sgd.steps=40", SHORT, "sweep.precision=['float64', 'float32']"),
    "phase_retrieval": ("sweep.trajectories=24", "sgd.steps=40", SHORT),
    "relu_net_maxpool": ("sweep.trajectories=12", "sgd.steps=40", SHORT),
    "streaming": ("sweep.trajectories=60",),
    "identity_trap": ("sweep.trajectories=60",),
}
"""What is changed in each scenario, so that all of them together take seconds."""


def digests(name: str, folder: Path) -> dict[str, dict[str, str]]:
    """Run a scenario, and return by cell and field the digest of what was recorded: type, shape and bytes.

    A NaN is a NaN, whatever its sign and payload, which differ between processors.
    """
    recorded(planned(load(SCENARIOS / f"{name}.toml", [*RUNS[name], "claim=[]"])), folder)
    found = {}
    for cell in read.cells(folder):
        label = f"{float(cell['c'])!r} {np.asarray(cell['convention'])} {np.asarray(cell['precision'])}"
        found[label] = {
            field: digest(np.asarray(cell[field])) for field in sorted(cell) if np.asarray(cell[field]).ndim
        }
    return found


def digest(values: np.ndarray) -> str:
    """Return the digest of an array."""
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.asarray(np.nan, values.dtype), values)
    written = f"{values.dtype} {values.shape} ".encode() + np.ascontiguousarray(values).tobytes()
    return hashlib.sha256(written).hexdigest()[:16]


@pytest.mark.parametrize("name", RUNS)
def test_bits(name: str, tmp_path: Path) -> None:
    """Every field of every cell is what it was."""
    assert digests(name, tmp_path / name) == json.loads(KNOWN.read_text())[name]


def test_a_bit_is_seen() -> None:
    """The control: the sign of a zero, the last bit, the type and the shape each change a digest."""
    values = np.array([0.0, 1.0])
    others = [np.array([-0.0, 1.0]), np.nextafter(values, 2.0), values.astype(np.float32), values[None]]
    assert len({digest(values), *map(digest, others)}) == 5


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        every = {name: digests(name, Path(folder) / name) for name in RUNS}
    KNOWN.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
