"""Every figure of a run, drawn from its summary (`simsa.analysis.summarise`) alone."""

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from simsa.plots.along import first_passage, objective
from simsa.plots.ends import final_points
from simsa.plots.landing import landing, zero_hits
from simsa.plots.margins import codimension, margins
from simsa.plots.page import Plot
from simsa.plots.pairs import differences, first_difference, precisions
from simsa.plots.plane import plane, steps
from simsa.plots.settings import settings
from simsa.plots.style import Summary, save

FIGURES: dict[str, Plot] = {
    plot.name: plot
    for plot in (
        settings,
        landing,
        zero_hits,
        first_passage,
        objective,
        margins,
        codimension,
        final_points,
        plane,
        steps,
        differences,
        first_difference,
        precisions,
    )
}
"""The figures of a run by the names of their files, in the order in which they are read."""

LIST = "figures.json"
"""The file that says of each figure what it shows, or why it is not there: the report reads it."""


def save_all(summary: Summary, folder: Path, names: Collection[str] = FIGURES) -> list[Path]:
    """Write every figure that shows something to `folder` as PNG and PDF, the same bytes each time, and the list.

    summary: of a run. folder: exists. names: of the figures that are wanted. Return the files of figures. Those of an
    earlier run that show nothing any more are removed. The list, `figures.json`, has of each figure its caption, and
    why it is not there, empty if it is.
    """
    return [file for name in begin(summary, folder, names) for file in save(FIGURES[name](summary), folder / name)]


def begin(summary: Summary, folder: Path, names: Collection[str] = FIGURES) -> Iterable[str]:
    """Write the list of figures to `folder`, remove files of those with nothing to show, and return the others' names.

    summary: of a run. folder: exists. names: of the figures that are wanted.
    """
    nothing = {
        name: plot.nothing(summary) if name in names else "it was not asked for" for name, plot in FIGURES.items()
    }
    for name in (name for name, why in nothing.items() if why):
        for suffix in (".png", ".pdf"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    listed = {name: {"caption": plot.caption, "nothing": nothing[name]} for name, plot in FIGURES.items()}
    (folder / LIST).write_text(json.dumps(listed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [name for name, why in nothing.items() if not why]


def table() -> Iterator[str]:
    """Yield the lines of a Markdown table of the figures: name, and what it shows."""
    yield "| file | what it shows |"
    yield "|---|---|"
    for name, plot in FIGURES.items():
        yield f"| `{name}` | {plot.caption} |"
