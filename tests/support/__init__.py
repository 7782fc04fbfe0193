"""What tests share: where files are, and helpers that more than one test calls."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SCENARIOS = ROOT / "scenarios"
DATA = ROOT / "tests" / "data"
