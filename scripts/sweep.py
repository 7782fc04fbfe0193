"""Run a scenario: `python scripts/sweep.py FILE` is `simsa sweep FILE`."""

from simsa.__main__ import run

if __name__ == "__main__":
    run("sweep")
