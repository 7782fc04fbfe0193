"""The report of a sweep: its sections, the text for a terminal, and the files that are written beside the summary."""

from collections.abc import Callable, Sequence
from pathlib import Path

from simsa.records.disk import write
from simsa.report import cells, findings, html, markdown, table, terminal
from simsa.report.answers import answers
from simsa.report.figures import drawn
from simsa.report.section import Block, Bullets, Paragraph, Section, Summary
from simsa.report.words import differing
from simsa.vocabulary import AXES


def first(summary: Summary) -> Section:
    """Return the first section: what the run was, and the answers that it gives."""
    alone = [key for key in AXES if not differing(summary["cells"], (key,))]
    shared = [one for one in (summary["cells"][0].get(key) for key in alone) if one]
    title = ", ".join([summary["title"] or summary["scenario"], *shared, f"seed {summary['seed']}"])
    return Section(title, (Bullets(tuple(map(Paragraph, answers(summary)))),))


SECTIONS: tuple[Callable[[Summary], Section | None], ...] = (
    first,
    findings.matrix,
    cells.landings,
    findings.claims,
    cells.landing_words,
    cells.final_points,
    cells.observables,
    cells.rounding,
    cells.too_long,
    findings.bad_scales,
    findings.verdicts,
    findings.hypotheses,
)
"""The sections in their order: functions from the summary to a section, or to None if the run has nothing of the kind.
The title of the first section is that of the report. Those that are details are shown after the others."""


def sections(summary: Summary, figures: Sequence[Block] = ()) -> list[Section]:
    """Return the sections of a sweep, the details last, and before these one for its figures if there are any.

    summary: of the sweep, as `simsa.analysis.summarise` returns it. figures: in the order in which they are shown, and
    what is said of those that are not there.
    """
    found = [section for build in SECTIONS if (section := build(summary)) is not None]
    pictures = [Section("Figures", tuple(figures), heading="none")] if figures else []
    return [
        *(section for section in found if not section.detail),
        *pictures,
        *(section for section in found if section.detail),
    ]


def text(summary: Summary, folder: Path, full: bool = False) -> str:
    """Return the report of a summary for a terminal, without figures; its last line says that files are in a folder.

    summary: of the sweep. folder: of the results. full: with the details, which are left out otherwise.
    """
    found = sections(summary)
    shown = [section for section in found if full or not section.detail]
    rest = [] if full else ["details: in report.html and report.md, or with --full"]
    return "\n".join([terminal.render(shown), *rest, f"results: {folder}"])


def save(summary: Summary, folder: Path) -> None:
    """Write `report.md` and `report.html`, with the figures that are in `folder`, and the cells as `summary.csv`.

    Each file is replaced as a whole. Raises OSError if a figure cannot be read or a file not written.
    """
    found = sections(summary, drawn(folder))
    write(folder / "report.md", markdown.render(found))
    write(folder / "report.html", html.render(found))
    write(folder / "summary.csv", table.csv(summary))
