"""The report of a sweep: its sections, the text for a terminal, and the files `report.md` and `report.html`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from simsa.records.disk import write
from simsa.report import cells, findings, html, markdown, terminal
from simsa.report.figures import drawn
from simsa.report.section import Block, Section, Summary

SECTIONS: tuple[Callable[[Summary], Section | None], ...] = (
    cells.landings,
    cells.final_points,
    cells.observables,
    cells.rounding,
    cells.too_long,
    findings.bad_scales,
    findings.claims,
    findings.verdicts,
    findings.hypotheses,
)
"""The sections in their order: functions from the summary to a section, or to None if the run has nothing of the kind.
The title of the first section is that of the report."""


def sections(summary: Summary, figures: Sequence[Block] = ()) -> list[Section]:
    """Return the sections of a sweep, and one more for its figures if there are any.

    summary: of the sweep, as `simsa.analysis.summarise` returns it. figures: in the order in which they are shown, and
    what is said of those that are not there.
    """
    found = [section for build in SECTIONS if (section := build(summary)) is not None]
    return [*found, Section("Figures", tuple(figures), heading="none")] if figures else found


def text(summary: Summary, folder: Path) -> str:
    """Return the report of a summary for a terminal, without figures; its last line says that files are in `folder`."""
    return f"{terminal.render(sections(summary))}\nresults: {folder}"


def save(summary: Summary, folder: Path) -> None:
    """Write the report of a summary to `report.md` and `report.html` in `folder`, with the figures that are there.

    Each file is replaced as a whole. Raises OSError if a figure cannot be read or a file not written.
    """
    found = sections(summary, drawn(folder))
    write(folder / "report.md", markdown.render(found))
    write(folder / "report.html", html.render(found))
