"""What a reader sees of a sweep: sections, shown as text in a terminal, as Markdown, and as a page in HTML.

A section (`section.Section`) is a title and blocks: paragraphs, tables, lists and figures. `sweep.SECTIONS` lists those
of a sweep. What numbers there are to show is the matter of `simsa.analysis`; a report only arranges them.
"""

from simsa.report.section import Bullets, Figure, Paragraph, Section, Table
from simsa.report.sweep import SECTIONS, save, sections, text

__all__ = ["SECTIONS", "Bullets", "Figure", "Paragraph", "Section", "Table", "save", "sections", "text"]
