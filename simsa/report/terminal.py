"""Render sections as plain text for a terminal."""

import textwrap
from collections.abc import Iterator, Sequence

from simsa.report.section import Block, Bullets, Figure, Paragraph, Section, Table, plain

WIDTH = 110
"""Most characters in a line of prose; tables and details are not broken."""


def render(sections: Sequence[Section]) -> str:
    """Return sections, of which there is at least one, as lines of plain text, without a newline at the end."""
    first, *others = sections
    lines = [first.title, *_blocks(first.blocks)]
    for section in others:
        lines += _section(section)
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    """Yield the lines of a section that is not the first, its title as `Section.heading` says."""
    title = section.title[:1].lower() + section.title[1:]
    blocks = section.blocks
    if section.heading == "line":
        yield f"{title}:"
    elif section.heading == "run in" and isinstance(head := blocks[0], Paragraph):
        blocks = (Paragraph(f"{title}: {plain(head.text)}", head.details), *blocks[1:])
    yield from _blocks(blocks)


def _blocks(blocks: Sequence[Block]) -> Iterator[str]:
    """Yield the lines of blocks."""
    for block in blocks:
        match block:
            case Paragraph():
                yield from _prose(block)
            case Bullets():
                for item in block.items:
                    yield from _prose(Paragraph(f"- {plain(item.text)}", item.details))
            case Table():
                yield from _table(block)
            case Figure():
                yield from _prose(Paragraph(f"{block.path.name}: {block.caption}"))


def _prose(paragraph: Paragraph) -> Iterator[str]:
    """Yield the lines of a paragraph, broken at the width of a terminal, and its details, indented.

    No line begins with a percent sign.
    """
    space = "\N{NO-BREAK SPACE}"
    lines = textwrap.wrap(plain(paragraph.text).replace(" %", f"{space}%"), WIDTH, subsequent_indent="  ")
    yield from (line.replace(f"{space}%", " %") for line in lines)
    yield from (f"  {line}" for line in paragraph.details)


def _table(table: Table) -> Iterator[str]:
    """Yield the lines of a table: columns as wide as their widest entry, two blanks between them."""
    rows = [table.header, *(tuple(map(plain, row)) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        columns = zip(row, widths, table.alignment, strict=True)
        yield "  ".join(f"{entry:{'<' if side == 'l' else '>'}{width}}" for entry, width, side in columns).rstrip()
