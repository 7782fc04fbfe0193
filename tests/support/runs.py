"""What tests of whole runs share."""

import json
from pathlib import Path
from typing import Any

from simsa import cli
from simsa.ensemble import drive
from simsa.ensemble.executors import Threads
from simsa.ensemble.plan import Engines, Plan, choose, plan
from simsa.ensemble.resolve import resolve
from simsa.records import read
from simsa.records.layout import ZARR
from simsa.records.write import Records
from simsa.scenario import Scenario, rows


def planned(scenario: Scenario) -> Plan:
    """Return the plan of a scenario."""
    return plan(resolve(scenario))


def engines(made: Plan) -> Engines:
    """Return the engines that are done first with a plan on this machine."""
    return choose(made, "auto")[0]


def digest(scenario: Scenario) -> str:
    """Return the digest of a scenario, with its data."""
    return scenario.digest(rows(scenario)[1])


def recorded(made: Plan, folder: Path, workers: int = 1, blocks: int | None = None) -> Records:
    """Run what is left of a plan, or its first blocks, into a folder, and return the records; nothing is analysed."""
    records = Records.resume(folder, made.layout) if read.exists(folder) else Records.create(folder, made.layout)
    executor = Threads(workers)
    todo = drive.unfinished(records, lambda line: None, executor)[:blocks]
    drive.run(made, records, todo, engines=engines(made), executor=executor, say=lambda line: None, quiet=True)
    return records


def swept(file: Path | str, folder: Path | str, *changes: str) -> dict[str, Any]:
    """Run a scenario file by the command line, with changes as `--set` takes them, and return the summary.

    The report is printed in full.
    """
    words = [word for change in changes for word in ("--set", change)]
    assert cli.main(["sweep", str(file), "--out", str(folder), "--quiet", "--full", *words]) == 0
    summary: dict[str, Any] = json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))
    return summary


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of the records in a folder, with their bytes."""
    root = folder / ZARR
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
