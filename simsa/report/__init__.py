"""The report of a sweep: sections, rendered as text for a terminal, as Markdown, and as an HTML page.

A section (`section.Section`) is a title and blocks: paragraphs, tables, lists and figures. `sweep.SECTIONS` lists those
of a sweep. The numbers come from `simsa.analysis`; a report only arranges them.
"""

from simsa.report.section import Bullets, Figure, Paragraph, Section, Table
from simsa.report.sweep import SECTIONS, save, sections, text

__all__ = ["SECTIONS", "Bullets", "Figure", "Paragraph", "Section", "Table", "save", "sections", "text"]
