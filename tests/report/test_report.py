"""The report of a sweep: the same sections as text, Markdown and HTML, and the page of the catalogue.

tests/data/report/ has summaries of small runs, cut to what a report shows, and the text that belongs to each.
"""

import base64
import json
import re
import textwrap
from html.parser import HTMLParser
from pathlib import Path

import pytest

from simsa import report
from simsa.errors import SimsaError
from simsa.records import disk
from simsa.report import html, markdown, terminal
from simsa.report.section import (
    Bullets,
    Code,
    Emphasis,
    Figure,
    Link,
    Paragraph,
    Section,
    Table,
    marked,
    plain,
)
from simsa.report.words import grouped
from simsa.vocabulary import families
from tests.support import DATA

STORED = DATA / "report"
NAMES = sorted(path.stem for path in STORED.glob("*.json"))


def stored(name):
    """Return a stored summary."""
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_a_stored_summary_is_the_same_to_the_byte(name):
    expected = (STORED / f"{name}.txt").read_text(encoding="utf-8")
    assert report.text(stored(name), Path("results") / name, full=True) + "\n" == expected
    *short, details, results = report.text(stored(name), Path("results") / name).splitlines()
    assert expected.splitlines()[: len(short)] == short and len(short) < 60
    assert details == "details: in report.html and report.md, or with --full" and results == f"results: results/{name}"


def test_of_many_cells_sixty_are_listed_and_the_rest_counted():
    summary = stored("relu_net_small")
    summary["cells"] = [{**summary["cells"][0], "c": 0.001 * k, "tied": k} for k in range(1, 101)]
    lines = report.text(summary, Path("out")).splitlines()
    assert (
        lines[lines.index("cells:") + 62]
        == "40 more cells, with 0 sensitive trajectories, are not listed; summary.json has them."
    )


def test_cells_that_differ_in_nothing_share_a_row():
    """Only if each convention has the same c: a row names no cell that it is not about."""
    cells = [
        {"c": c, "convention": convention, "precision": "float64", "n": n}
        for c, convention, n in [(0.1, "a", 1), (0.1, "b", 1), (0.2, "a", 1), (0.2, "b", 2), (0.3, "a", 1)]
    ]
    rows = grouped(cells, ["convention"], {"n": lambda cell: str(cell["n"])})
    assert [row for row, _ in rows] == [("0.1, 0.2, 0.3", "a", "1"), ("0.1", "b", "1"), ("0.2", "b", "2")]
    assert [len(some) for _, some in rows] == [3, 1, 1]
    same = [{"c": 0.01 * k, "convention": one, "n": 0} for k in range(1, 37) for one in ("a", "b")]
    ((row, some),) = grouped(same, ["convention"], {"n": lambda cell: str(cell["n"])})
    assert row == ("36 from 0.01 to 0.36", "a, b", "0") and len(some) == len(same)
    whole = [(one, two) for one in ("a", "b") for two in ("float64", "exact")]
    named = [{"convention": one, "precision": two} for one, two in whole]
    assert families(named) == "a, b; float64, exact" and families(named[1:3]) == "a, exact; b, float64"


def test_an_unknown_state_of_a_hypothesis_raises():
    summary = stored("streaming")
    summary["hypotheses"].append({"hypothesis": "x_0 is kind", "state": "hoped for", "why": "", "c": None})
    with pytest.raises(
        SimsaError, match="unknown state of a hypothesis 'hoped for'; expected one of 'not met', 'open'"
    ):
        report.text(summary, Path("out"))


# ---------------------------------------------------------------- sections


def test_blocks_that_cannot_be_shown_are_refused():
    with pytest.raises(SimsaError, match="unknown alignment 'c'"):
        Table(("a",), (), "c")
    with pytest.raises(SimsaError, match="a table of 2 columns has 1 entries"):
        Table(("a", "b"), (("1", "2"), ("3",)), "ll")
    with pytest.raises(SimsaError, match="unknown heading 'large'"):
        Section("Title", (), heading="large")
    with pytest.raises(SimsaError, match="needs a paragraph to run into"):
        Section("Title", (Table(("a",), (), "l"),), heading="run in")


def test_marks_are_read_in_constants_alone():
    assert marked("*A* is in `b`, see [c](d.md).") == (
        "", Emphasis("A"), " is in ", Code("b"), ", see ", Link("c", "d.md"), ".",
    )  # fmt: skip
    assert plain(marked("*A* is in `b`, see [c](d.md).")) == "A is in b, see c."


IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


@pytest.fixture
def everything(tmp_path):
    """One section of each heading, with each kind of block, and words that a renderer might take for marks."""
    (tmp_path / "a b.png").write_bytes(IMAGE)
    return [
        Section("<x> & *y*", (Paragraph("1. a_b < c <d> x_k *no* [no](no) `no` |x| &amp;"),)),
        Section("Run in", (Paragraph("text", ("- detail",)),), heading="run in"),
        Section("On a line", (Bullets((Paragraph("item", ("below it",)), Paragraph("another"))),)),
        Section("Not shown", (Table(("name", "n"), ((marked("*a|b*"), "1"), ("c", "22")), "lr"),), heading="none"),
        Section("Figures", (Figure(tmp_path / "a b.png", "What it shows."),), heading="none"),
    ]


def test_sections_as_text(everything):
    assert terminal.render(everything).splitlines() == [
        "<x> & *y*",
        "1. a_b < c <d> x_k *no* [no](no) `no` |x| &amp;",
        "run in: text",
        "  - detail",
        "on a line:",
        "- item",
        "  below it",
        "- another",
        "name   n",
        "a|b    1",
        "c     22",
        "a b.png: What it shows.",
    ]


def test_sections_as_markdown(everything):
    assert markdown.render(everything) == textwrap.dedent(
        r"""
        # \<x> & \*y\*

        1\. a_b < c \<d> x_k \*no\* \[no](no) \`no\` \|x\| \&amp;

        ## Run in

        text

        - \- detail

        ## On a line

        - item
          - below it
        - another

        ## Not shown

        | name | n |
        |---|---:|
        | *a\|b* | 1 |
        | c | 22 |

        ## Figures

        ![a b](a%20b.png)

        What it shows.
        """
    ).removeprefix("\n")


class Page(HTMLParser):
    """Reads a page: its elements in order, its attributes and words; every element has to be closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.attributes, self.words = [], [], [], []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, *one) for one in attrs]
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        data = data.replace("\N{NO-BREAK SPACE}", " ")
        if not {"style", "script"} & set(self.open):
            self.words.append(data)
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data


def test_sections_as_a_page(everything):
    text = html.render(everything)
    page = Page(text)
    assert [tag for tag in page.elements if tag in ("h1", "h2")] == ["h1", "h2", "h2", "h2", "h2"]
    assert page.rows == [["name", "n"], ["a|b", "1"], ["c", "22"]]
    assert "1. a_b < c <d> x_k *no* [no](no) `no` |x| &amp;" in page.words
    assert ("th", "class", "l") in page.attributes and ("td", "class", "r") in page.attributes
    (source,) = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == IMAGE
    assert "<figcaption>What it shows.</figcaption>" in text and "<em>a|b</em>" in text
    assert "color-scheme: light dark" in text and "prefers-color-scheme: dark" in text


def test_a_page_needs_nothing_from_elsewhere(everything):
    text = html.render(everything)
    page = Page(text)
    assert not {"link", "iframe", "object"} & set(page.elements) and page.elements.count("script") == 1
    assert all(value.startswith("data:") for _, name, value in page.attributes if name in ("src", "href", "srcset"))
    assert "url(" not in text and "@import" not in text and "://" not in text


def test_a_figure_that_is_no_png_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("<svg>")
    sections = [Section("Title", (Figure(tmp_path / "a.png", "What it shows."),))]
    with pytest.raises(SimsaError, match=r"a\.png: expected a PNG file"):
        html.render(sections)
    (tmp_path / "a.png").unlink()
    with pytest.raises(FileNotFoundError):
        html.render(sections)


@pytest.mark.parametrize("name", NAMES)
def test_text_markdown_and_page_show_the_same(name):
    """The tables have the same entries in all three; titles and prose are on the page, and prose is in the text."""
    sections = report.sections(stored(name))
    printed, text, page = terminal.render(sections), markdown.render(sections), Page(html.render(sections))
    tables = [block for section in sections for block in section.blocks if isinstance(block, Table)]
    rows = [list(row) for table in tables for row in (table.header, *table.rows)]
    assert page.rows == rows
    entries = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    assert [[entry.strip() for entry in row] for row in entries] == rows
    for row in rows:
        assert re.search(r"^ *" + " +".join(re.escape(entry) for entry in row if entry) + "$", printed, re.MULTILINE)
    words, prose = " ".join(printed.split()), " ".join("".join(page.words).split())
    for section in sections:
        assert section.title in prose and section.title in text
        for block in section.blocks:
            for one in block.items if isinstance(block, Bullets) else [block] * isinstance(block, Paragraph):
                for line in (plain(one.text), *one.details):
                    assert line in prose
                    assert re.sub(r"(?<=-) ", "", line) in re.sub(r"(?<=-) ", "", words), "lines break behind hyphens"


# ---------------------------------------------------------------- files


def test_a_report_is_written_with_the_figures_that_are_there(tmp_path):
    for name in ("plane.png", "landing.png", "other.png", "margins.pdf"):
        (tmp_path / name).write_bytes(IMAGE)
    listed = {name: {"caption": f"What {name} shows.", "nothing": ""} for name in ("landing", "margins", "plane")}
    listed |= {name: {"caption": "-", "nothing": "there is one precision"} for name in ("precisions", "differences")}
    (tmp_path / "figures.json").write_text(json.dumps(listed), encoding="utf-8")
    report.save(stored("streaming"), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert re.findall(r"!\[.*", text) == ["![landing](landing.png)", "![plane](plane.png)"]
    assert "What landing shows." in text and "precisions, differences: there is one precision" in text
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("data:image/png;base64,") == 2
    (tmp_path / "landing.png").unlink()
    (tmp_path / "plane.png").unlink()
    (tmp_path / "figures.json").unlink()
    report.save(stored("streaming"), tmp_path)
    assert "## Figures" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    files = ["margins.pdf", "other.png", "report.html", "report.md", "summary.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_a_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    disk.write(tmp_path / "a.md", "old\n")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        disk.write(tmp_path / "a.md", "new\n")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.md", "old\n")]
