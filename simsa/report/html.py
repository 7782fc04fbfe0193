"""Render sections as one HTML page that needs no other file: it includes its style, its script and its figures."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape

from simsa.errors import SimsaError
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

PNG = b"\x89PNG\r\n\x1a\n"
"""The bytes that every PNG file begins with."""

STYLE = """
:root { color-scheme: light dark;
  --ink: #1a1a1a; --paper: #ffffff; --faint: #5c5c5c; --line: #d4d4d4; --stripe: #f4f4f4; --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #161616; --faint: #a6a6a6; --line: #3d3d3d; --stripe: #202020; --link: #8ab8f0; }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 80rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
h1, h2, p, ul { max-width: 48rem; }
h1, p, li, figcaption { overflow-wrap: anywhere; }
ul { padding-left: 1.25rem; }
a { color: var(--link); }
li { margin: 0.25rem 0; }
code { background: var(--stripe); padding: 0 0.25em; border-radius: 3px; }
details { border-top: 1px solid var(--line); padding: 0.25rem 0; }
summary { cursor: pointer; } summary h2 { display: inline; line-height: 2; margin: 0; }
.details { color: var(--faint); font-size: 0.9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.8rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.45rem; white-space: nowrap; text-align: left; }
.l { white-space: normal; min-width: 4rem; } .r { text-align: right; }
th { white-space: normal; border-bottom: 2px solid var(--line); vertical-align: bottom; }
td { border-bottom: 1px solid var(--line); }
th button { all: unset; cursor: pointer; position: relative; }
th button::after { position: absolute; left: 100%; font-size: 0.7em; }
th button:focus-visible { outline: 2px solid var(--link); }
[aria-sort=ascending] button::after { content: "\\25b2"; } [aria-sort=descending] button::after { content: "\\25bc"; }
tbody tr:nth-child(even) { background: var(--stripe); }
figure { margin: 1.5rem 0; } figcaption { max-width: 48rem; color: var(--faint); font-size: 0.9rem; }
img { display: block; max-width: min(100%, 56rem); height: auto; background: #ffffff; border-radius: 4px; }
@media (max-width: 40rem) { main { padding: 0.75rem; } th, td { padding: 0.2rem 0.4rem; } }
@media print {
  :root { color-scheme: light; --ink: #000000; --paper: #ffffff; --faint: #404040; --stripe: #ffffff; --link: #000000; }
  main { max-width: none; padding: 0; } body { font-size: 10pt; }
  .wide { overflow: visible; } td, th { white-space: normal; padding: 0.1rem 0.3rem; } table { font-size: 7.5pt; }
  tr, figure, img { break-inside: avoid; } img { max-height: 22cm; width: auto; } h1, h2 { break-after: avoid; }
  th button::after { content: none !important; } summary { list-style: none; }
  details::details-content { content-visibility: visible; }
}
"""

SCRIPT = r"""
"use strict";
const numbers = text => /^\W*(?:about |at most |\d+ from )?\W*\d/.test(text)
  ? [...text.replace(/^\d+ from /, "").replace(/(\d),(?=\d{3})/g, "$1")
      .matchAll(/-?\d*\.?\d+(?:e[-+]?\d+)?/gi)].map(([n]) => n / (text.includes("%") ? 100 : 1))
  : null;
const missing = text => text === "" || text === "-";
const compared = (a, b, numeric) => {
  if (!numeric) return a.localeCompare(b);
  const [one, two] = [numbers(a), numbers(b)];
  for (let i = 0; i < one.length && i < two.length; i++) if (one[i] !== two[i]) return one[i] - two[i];
  return one.length - two.length;
};
const sort = head => {
  const down = head.getAttribute("aria-sort") === "ascending", body = head.closest("table").tBodies[0];
  const text = row => row.cells[head.cellIndex].textContent.trim(), rows = [...body.rows];
  const numeric = rows.every(row => missing(text(row)) || numbers(text(row)));
  rows.sort((r, s) => {
    const [a, b] = [text(r), text(s)];
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return (down ? -1 : 1) * compared(a, b, numeric);
  });
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows);
};
for (const head of document.querySelectorAll("th")) if (head.textContent) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  button.addEventListener("click", () => sort(head));
  head.append(button);
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => { one.open = true; }));
"""
"""Makes the head of each column a button that sorts the rows, by numbers where every entry begins with one, else by
words; percentages are compared as probabilities, intervals by their lower end, and missing entries are last."""

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    f"script-src 'sha256-{b64encode(sha256(SCRIPT.encode()).digest()).decode()}'"
)
"""The content security policy: a browser loads nothing that is not in the page, and runs no other script."""


def render(sections: Sequence[Section]) -> str:
    """Return sections, of which there is at least one, as a page; the title of the first is that of the page.

    Those that are details are folded: a reader opens them, and they are printed. Figures are included in the page.
    Raises OSError if one cannot be read, SimsaError if it is no PNG file.
    """
    body = "\n".join(_section(section, "h2" if i else "h1") for i, section in enumerate(sections))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(sections[0].title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _section(section: Section, heading: str) -> str:
    """Return a section; its title is an element `heading`, h1 or h2."""
    blocks = "".join(map(_block, section.blocks))
    title = f"<{heading}>{_inline(section.title)}</{heading}>"
    if section.detail:
        return f"<details>\n<summary>{title}</summary>\n{blocks}</details>"
    return f"<section>\n{title}\n{blocks}</section>"


def _block(block: Block) -> str:
    """Return a block as an element, with a newline at the end."""
    match block:
        case Paragraph():
            return f"<p>{_inline(block.text)}</p>\n{_list(block.details)}"
        case Bullets():
            items = (f"<li>{_inline(item.text)}{_list(item.details)}</li>\n" for item in block.items)
            return f"<ul>\n{''.join(items)}</ul>\n"
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)


def _list(details: Sequence[str]) -> str:
    """Return details as a list; nothing if there are none."""
    items = "".join(f"<li>{_inline(line)}</li>\n" for line in details)
    return f'<ul class="details">\n{items}</ul>\n' if items else ""


def _table(table: Table) -> str:
    """Return a table, in a box that scrolls if it is wider than the window."""
    head = _row('th scope="col"', table.header, table.alignment)
    body = "".join(_row("td", row, table.alignment) for row in table.rows)
    return f'<div class="wide"><table>\n<thead>\n{head}</thead>\n<tbody>\n{body}</tbody>\n</table></div>\n'


def _row(element: str, entries: Sequence[Text], alignment: str) -> str:
    """Return a row of a table: `element` is th or td, with attributes; an entry's class is the letter of its column."""
    cells = zip(entries, alignment, strict=True)
    end = element[:2]
    return "".join(("<tr>", *(f'<{element} class="{side}">{_inline(one)}</{end}>' for one, side in cells), "</tr>\n"))


def _figure(figure: Figure) -> str:
    """Return a figure that includes the bytes of its file."""
    image = figure.path.read_bytes()
    if not image.startswith(PNG):
        raise SimsaError(f"{figure.path}: expected a PNG file, which a page can show")
    name, source = escape(figure.path.stem.replace("_", " ")), b64encode(image).decode("ascii")
    return (
        f'<figure><img alt="{name}" src="data:image/png;base64,{source}">\n'
        f"<figcaption>{_inline(figure.caption)}</figcaption></figure>\n"
    )


def _inline(text: Text) -> str:
    """Return a text within an element, its characters escaped. No line begins with a percent sign."""
    return "".join(map(_span, spans_of(text))).replace(" %", "\N{NO-BREAK SPACE}%")


def _span(span: Span) -> str:
    """Return a span of a text."""
    match span:
        case Emphasis():
            return f"<em>{escape(span.text)}</em>"
        case Code():
            return f"<code>{escape(span.text)}</code>"
        case Link():
            return f'<a href="{escape(span.address)}">{escape(span.text)}</a>'
        case str():
            return escape(span)
