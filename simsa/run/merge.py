"""Put the parts of a sweep that were run apart together: the records of its shards."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from simsa.errors import RecordsError
from simsa.run.perform import SCENARIO, prepare, provenance, quiet, tell
from simsa.run.run import Run, finished
from simsa.run.said import DATA, PROGRAM


def merge(folders: Sequence[str | Path], out: str | Path, silent: bool = False) -> Run:
    """Return the run whose blocks were computed in several folders: the shards of one sweep.

    folders: of the shards, `simsa sweep FILE --shard 1/3 --out DIR` and so on, at least one. out: a new folder for the
    whole. silent: say nothing on stderr. The records are the bytes that one run of the whole would have written. Raises
    RecordsError, and names the folders, if two of them have the same block, or if they are not of the same sweep; and,
    with what is there kept in `out`, if some block is in none of them.
    """
    from simsa.ensemble.replay import origin, planned
    from simsa.records import read, write
    from simsa.scenario import load

    paths, whole = [Path(folder) for folder in folders], Path(out)
    if read.exists(whole):
        raise RecordsError(f"{whole} holds results already: choose another folder")
    layout = planned(paths[0])[1].layout
    shards = [write.Records.resume(path, layout) for path in paths]
    owner: dict[str, Path] = {}
    for path, shard in zip(paths, shards, strict=True):
        for block in shard.finished():
            if block.name in owner:
                last = block.first + block.count - 1
                raise RecordsError(
                    f"{owner[block.name]} and {path} overlap: both have cell {block.cell}, trajectories {block.first} "
                    f"to {last}"
                )
            owner[block.name] = path
    whole.mkdir(parents=True, exist_ok=True)
    for name in (SCENARIO, PROGRAM, DATA):
        if (paths[0] / name).exists():
            shutil.copy(paths[0] / name, whole)
    put, file = origin(paths[0])
    scenario = load(whole / SCENARIO, put, file)
    ready = prepare(scenario, None, quiet if silent else tell)
    records = write.Records.create(whole, layout)
    for shard in shards:
        records.adopt(shard)
    listed = ", ".join(map(str, paths))
    provenance(ready, whole, command=f"merge of {listed}", file=file, put=put, keep=False)
    done, blocks = len(records.finished()), len(layout.blocks)
    if done < blocks:
        raise RecordsError(
            f"{whole} has {done} of {blocks} blocks, as {listed} have no more; run the others with: simsa sweep "
            f"{file or whole / SCENARIO} --out {whole} --resume"
        )
    return finished(ready, records, [], silent, None)
