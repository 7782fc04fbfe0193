"""Run every scenario, or those after --only, and write docs/findings/results.md: see `simsa.cli.catalogue`."""

import sys
from pathlib import Path

from simsa.cli import catalogue

if __name__ == "__main__":
    sys.exit(catalogue(Path(__file__).parent.parent))
