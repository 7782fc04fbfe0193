"""Figures drawn beside a run: importing matplotlib and drawing take longer than a short run.

A process begins with the import, and waits for a word on its standard input; if that ends without one, it ends too.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from simsa.errors import SimsaError


def drawer(folder: Path, count: int) -> AbstractContextManager[Callable[[], None]]:
    """Begin a process, and return the context of what has it draw the figures of `folder / "summary.json"` there.

    count: figures that are drawn at once. Drawing raises SimsaError if it fails; what went wrong is on stderr.
    """
    command = [sys.executable, "-m", "simsa.plots", str(folder), str(count)]
    # a session of its own, so that Ctrl-C is for the run to answer
    return _told(subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True), folder)


@contextmanager
def _told(process: "subprocess.Popen[bytes]", folder: Path) -> Iterator[Callable[[], None]]:
    """Yield what tells the process to draw, and wait for its end."""
    word = process.stdin
    assert word is not None

    def draw() -> None:
        with suppress(BrokenPipeError):
            word.write(b"draw")
            word.close()
        if process.wait():
            raise SimsaError(f"the figures of {folder} could not all be drawn")

    try:
        yield draw
    finally:
        word.close()
        process.wait()
