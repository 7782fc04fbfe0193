"""Run scenarios in full, those named after --only or all, and write docs/findings/results.md (`simsa.cli.catalogue`)."""

import sys
from pathlib import Path

from simsa.cli import catalogue

if __name__ == "__main__":
    sys.exit(catalogue(Path(__file__).parent.parent))
