"""The commands of the command line: one file for each, which adds its arguments and runs it, and one list of them.

What is slow to import (Numba, SciPy, xarray, matplotlib, pandas) is imported by a command when it needs it, so that
help and a mistake in a scenario are answered at once.
"""

from simsa.commands import demo, explain, extend, merge, new, plot, replay, report, shipped, sweep, table
from simsa.commands.command import BAD_INPUT, DONE, EXITS, INTERRUPTED, Call

COMMANDS = (demo, shipped, new, explain, sweep, report, plot, table, extend, merge, replay)
"""The commands, in the order in which the help lists them. Each has `add`, which adds it to the command line."""

__all__ = ["BAD_INPUT", "COMMANDS", "DONE", "EXITS", "INTERRUPTED", "Call"]
