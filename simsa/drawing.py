"""Figures drawn by processes of their own: importing matplotlib and drawing take longer than a short run.

A process begins with the import, and waits for a word on its standard input; if that ends without one, it ends too.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simsa.errors import SimsaError


@contextmanager
def drawers(folder: Path, count: int) -> Iterator[Callable[[], None]]:
    """Yield what draws the figures of `folder / "summary.json"` there, in `count` processes that have begun already.

    Drawing raises SimsaError if a process fails; what went wrong is on stderr.
    """
    command = [sys.executable, "-m", "simsa.plots", str(folder)]
    processes = [
        # a session of its own, so that Ctrl-C is for the run to answer
        subprocess.Popen([*command, str(i), str(count)], stdin=subprocess.PIPE, start_new_session=True)
        for i in range(count)
    ]

    def draw() -> None:
        for process in processes:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(b"draw")
                process.stdin.close()
        if any(process.wait() for process in processes):
            raise SimsaError(f"the figures of {folder} could not all be drawn")

    try:
        yield draw
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
