"""What a report is made of: sections of blocks. They say what is shown, and a renderer how."""

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
    """Words that stand out in a text."""

    text: str


@dataclass(frozen=True)
class Code:
    """What is typed: a command, or the name of a file."""

    text: str


@dataclass(frozen=True)
class Link:
    """Words that lead to an address."""

    text: str
    address: str


Span = str | Emphasis | Code | Link
Text = str | tuple[Span, ...]
"""Words to be shown as they are, whatever characters they have; a tuple if some of them are more than words."""


@dataclass(frozen=True)
class Paragraph:
    """Prose, and lines that belong to it: `details`, each shown on a line of its own below the text."""

    text: Text
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table: `header` has the name of each column, `rows` its entries, `alignment` a letter a column, "l" or "r".

    Raises SimsaError if a row, or the alignment, has not one entry for each column, or if a letter is another.
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
    """A figure: the PNG file it is in, and what it shows, in a sentence."""

    path: Path
    caption: str


Block = Paragraph | Table | Bullets | Figure

Heading = Literal["line", "run in", "none"]


@dataclass(frozen=True)
class Section:
    """A part of a report: its title, which begins with a capital letter, and its blocks in their order.

    The title of the first section is the title of the report. heading: how a terminal, which has no large type, shows
    the title of a later one: on a line of its own ("line"), in front of the paragraph that comes first ("run in"), or
    not at all ("none"), because what follows speaks for itself.
    """

    title: str
    blocks: tuple[Block, ...]
    heading: Heading = "line"

    def __post_init__(self) -> None:
        known("heading", self.heading, ("line", "run in", "none"))
        if self.heading == "run in" and not (self.blocks and isinstance(self.blocks[0], Paragraph)):
            raise SimsaError(f"section {self.title!r}: a title that is run in needs a paragraph to run into")


MARK = re.compile(r"\*(?P<emphasis>[^*]+)\*|`(?P<code>[^`]+)`|\[(?P<link>[^]]+)\]\((?P<address>[^)]+)\)")


def marked(text: str) -> Text:
    """Return a text in which `*words*`, `` `words` `` and `[words](address)` are emphasised, code, and links.

    For constants in code. Words of others, such as a scenario's, may have these characters by chance, and are shown as
    they are.
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
    """Return the pieces of a text, in their order."""
    return (text,) if isinstance(text, str) else text


def plain(text: Text) -> str:
    """Return the words of a text alone, without emphasis and addresses."""
    return "".join(span if isinstance(span, str) else span.text for span in spans_of(text))
