"""Run a scenario: `python scripts/sweep.py FILE` is `simsa sweep FILE`."""

import sys

from simsa.cli import main

if __name__ == "__main__":
    sys.exit(main(["sweep", *sys.argv[1:]]))
