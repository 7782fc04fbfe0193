"""`python -m simsa` is `simsa`."""

import gc
import os
import sys

from simsa.cli import main


def run(*command: str) -> None:
    """Be the process `simsa`: run the command line, behind the words of a command if any, and end at once."""
    gc.set_threshold(500_000)  # imports make many objects and little garbage
    code = main([*command, *sys.argv[1:]], apart=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # everything is on disk; taking down the interpreter would take as long as a small run


if __name__ == "__main__":
    run()
