"""`simsa table DIR`: the cells of a run as a table, for a spreadsheet, a paper or a page."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands
from simsa.errors import SimsaError

if TYPE_CHECKING:
    import pandas


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "table",
        run,
        "print the cells of a run as a table",
        "simsa table results/bad_step --format latex --columns c,landed,low,high",
    )
    parser.add_argument("results", type=Path, metavar="DIR", help="the folder of a run")
    parser.add_argument("--format", choices=FORMATS, required=True, help="numbers are in full as csv, else to 6 digits")
    parser.add_argument("--columns", metavar="NAME,...", help="which columns, in this order (default: all)")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Print the cells of a run; return the exit code."""
    from simsa.run import perform

    summary = perform.summary_of(chosen.results)
    import pandas

    from simsa.report.table import rows
    from simsa.scenario.model import nearest

    cells = pandas.DataFrame(rows(summary))
    if chosen.columns is not None:
        names = [name.strip() for name in chosen.columns.split(",")]
        if unknown := [name for name in names if name not in cells]:
            raise SimsaError(f"there is no column '{unknown[0]}'; {nearest(unknown[0], cells)}")
        cells = cells[names]
    print(FORMATS[chosen.format](cells), end="")
    return DONE


def _csv(cells: "pandas.DataFrame") -> str:
    """Return a table as comma-separated values."""
    return str(cells.to_csv(index=False))


def _latex(cells: "pandas.DataFrame") -> str:
    """Return a table as LaTeX, with the rules of the package booktabs."""
    rows = [[name.replace("_", r"\_") for name in row] for row in _rows(cells)]
    lines = [f"{' & '.join(row)} \\\\" for row in rows]
    sides = "".join("r" if numeric else "l" for numeric in _numeric(cells))
    body = [rf"\begin{{tabular}}{{{sides}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([*body, r"\end{tabular}", ""])


def _markdown(cells: "pandas.DataFrame") -> str:
    """Return a table as Markdown, as GitHub has it."""
    header, *rows = _rows(cells)
    rule = ["---:" if numeric else "---" for numeric in _numeric(cells)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, rule, *rows))


def _numeric(cells: "pandas.DataFrame") -> list[bool]:
    """Tell of each column whether it has numbers."""
    from pandas.api.types import is_numeric_dtype

    return [is_numeric_dtype(cells[name]) for name in cells]


def _rows(cells: "pandas.DataFrame") -> list[list[str]]:
    """Return the names of the columns, and then each row, as text."""
    return [list(map(str, cells.columns)), *([_text(entry) for entry in row] for row in cells.values.tolist())]


def _text(entry: Any) -> str:
    """Return an entry: a number to six digits, nothing if there is none."""
    if entry is None or (isinstance(entry, float) and math.isnan(entry)):
        return ""
    return f"{entry:.6g}" if isinstance(entry, float) else str(entry)


FORMATS: dict[str, Callable[["pandas.DataFrame"], str]] = {"csv": _csv, "latex": _latex, "markdown": _markdown}
"""By name, what writes a table."""
