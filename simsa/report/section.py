"""The parts of a report: sections of blocks, without a layout, which the renderers give them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from simsa.errors import SimsaError, known

Summary = Mapping[str, Any]
"""The summary of a run (`simsa.analysis.summarise`)."""


@dataclass(frozen=True)
class Emphasis:
    """Emphasised words."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text in a fixed-width font, such as a command or the name of a file."""

    text: str


@dataclass(frozen=True)
class Link:
    """Words with a link to an address."""

    text: str
    address: str


Span = str | Emphasis | Code | Link
Text = str | tuple[Span, ...]
"""A text, whose characters are shown literally; a tuple if some of its parts are emphasised, code or links."""


@dataclass(frozen=True)
class Paragraph:
    """Prose; below it, each of `details` is shown on a line of its own."""

    text: Text
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table.

    header: the name of each column. rows: an entry for each column. alignment: a letter for each column, "l" or "r".
    Raises SimsaError if a row or the alignment has more or fewer entries than the header, or another letter.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    alignment: str

    def __post_init__(self) -> None:
        for letter in self.alignment:
            known("alignment", letter, ("l", "r"))
        for entries in (self.alignment, *self.rows):
            if len(entries) != len(self.header):
                raise SimsaError(f"a table of {len(self.header)} columns has {len(entries)} entries in {entries!r}")


@dataclass(frozen=True)
class Bullets:
    """A list whose items are paragraphs."""

    items: tuple[Paragraph, ...]


@dataclass(frozen=True)
class Figure:
    """A figure: its PNG file, and a caption."""

    path: Path
    caption: str


Block = Paragraph | Table | Bullets | Figure

Heading = Literal["line", "run in", "none"]


@dataclass(frozen=True)
class Section:
    """A part of a report: its title, which begins with a capital letter, and its blocks in their order.

    The title of the first section is the title of the report. heading: how a terminal shows the title of a later
    section: on a line of its own ("line"), in front of its first paragraph ("run in"), or not at all ("none"). detail:
    whether the section is left out of a terminal unless it is asked for, and folded on a page. Raises SimsaError for
    another heading, or if "run in" has no paragraph to stand in front of.
    """

    title: str
    blocks: tuple[Block, ...]
    heading: Heading = "line"
    detail: bool = False

    def __post_init__(self) -> None:
        known("heading", self.heading, ("line", "run in", "none"))
        if self.heading == "run in" and not (self.blocks and isinstance(self.blocks[0], Paragraph)):
            raise SimsaError(f"section {self.title!r}: a title that is run in needs a paragraph to run into")


MARK = re.compile(r"\*(?P<emphasis>[^*]+)\*|`(?P<code>[^`]+)`|\[(?P<link>[^]]+)\]\((?P<address>[^)]+)\)")


def marked(text: str) -> Text:
    """Return a text in which `*words*`, `` `words` `` and `[words](address)` are emphasised, code, and links.

    This is for constants in the code only: a text from elsewhere, such as a scenario, may have these characters with
    another meaning.
    """
    spans: list[Span] = []
    end = 0
    for found in MARK.finditer(text):
        spans.append(text[end : found.start()])
        if found["emphasis"]:
            spans.append(Emphasis(found["emphasis"]))
        elif found["code"]:
            spans.append(Code(found["code"]))
        else:
            spans.append(Link(found["link"], found["address"]))
        end = found.end()
    return (*spans, text[end:])


def spans_of(text: Text) -> tuple[Span, ...]:
    """Return the spans of a text, in their order."""
    return (text,) if isinstance(text, str) else text


def plain(text: Text) -> str:
    """Return a text without emphasis and addresses."""
    return "".join(span if isinstance(span, str) else span.text for span in spans_of(text))
