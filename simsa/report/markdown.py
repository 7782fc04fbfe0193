"""Render sections as Markdown, with tables as GitHub has them."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from simsa.report.section import (
    Block,
    Bullets,
    Code,
    Emphasis,
    Figure,
    Link,
    Paragraph,
    Section,
    Span,
    Table,
    Text,
    spans_of,
)

SPECIAL = re.compile(r"[\\`*|~\[]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|&(?=#?\w+;)")
"""Characters that Markdown would interpret within a line; an underscore within a word, as in alpha_k, is literal."""

LEADING = re.compile(r"^(\s*)([-+#>]|\d+[.)])(?=\s)", re.MULTILINE)
"""Beginnings that would make a line an item of a list, a title or a quotation."""


def render(sections: Sequence[Section]) -> str:
    """Return sections as Markdown: the title of the first as the title of the page, the others below it.

    Figures are links to files beside the page. Line breaks within paragraphs are kept as they are.
    """
    parts = []
    for i, section in enumerate(sections):
        parts += [f"{'##' if i else '#'} {_inline(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    """Return a block, without a newline at the end."""
    match block:
        case Paragraph():
            details = "\n".join(f"- {_lines(line)}" for line in block.details)
            return _lines(block.text) + (f"\n\n{details}" if details else "")
        case Bullets():
            lines = [line for item in block.items for line in (f"- {_lines(item.text)}", *_nested(item.details))]
            return "\n".join(lines)
        case Table():
            return _table(block)
        case Figure():
            return f"![{_inline(block.path.stem)}]({quote(block.path.name)})\n\n{_lines(block.caption)}"


def _nested(details: Sequence[str]) -> list[str]:
    """Return details as the items of a list within an item."""
    return [f"  - {_lines(line)}" for line in details]


def _table(table: Table) -> str:
    """Return the lines of a table."""
    rule = "|".join("---:" if side == "r" else "---" for side in table.alignment)
    rows = [f"| {' | '.join(map(_inline, row))} |" for row in (table.header, *table.rows)]
    return "\n".join([rows[0], f"|{rule}|", *rows[1:]])


def _lines(text: Text) -> str:
    """Return a text that begins a line."""
    return LEADING.sub(lambda found: f"{found[1]}{found[2][:-1]}\\{found[2][-1]}", _inline(text))


def _inline(text: Text) -> str:
    """Return a text within a line, its characters escaped."""
    return "".join(map(_span, spans_of(text)))


def _span(span: Span) -> str:
    """Return a span of a text."""
    match span:
        case Emphasis():
            return f"*{_span(span.text)}*"
        case Code():
            return f"`{span.text}`"
        case Link():
            return f"[{_span(span.text)}]({span.address})"
        case str():
            return SPECIAL.sub(r"\\\g<0>", span)
