"""A peer in a process of its own: it reads commands, and answers each with a line of JSON.

    python -m benchmarks.worker PEER WORK THREADS FOLDER

The process keeps to THREADS cores. WORK is the name of a work; FOLDER holds what every peer is handed.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

from benchmarks.peers import PEERS
from benchmarks.work import WORKS


def main(peer: str, name: str, threads: str, folder: str) -> None:
    """Answer commands from standard input: a word and its arguments a line."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    entry, answers = PEERS[peer], sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # some peers print
        work = next(work for work in WORKS if work.name == name)
        worker = entry.kind()(work, int(threads), Path(folder), **entry.options)
        for line in sys.stdin:
            command, *arguments = line.split()
            began = time.perf_counter()
            result = getattr(worker, command)(*arguments)
            print(json.dumps({"seconds": time.perf_counter() - began, "result": result}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
