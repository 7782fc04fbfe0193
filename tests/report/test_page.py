"""The page report.html: what it is made of, and what it does in a browser, headless Chromium, if there is one."""

import base64
import copy
import hashlib
import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import pytest

from simsa import report
from simsa.report import html, markdown
from simsa.report.section import Figure, Paragraph, Section, Table
from tests.support import DATA

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

NASTY = """<script>alert(1)</script>"&<img src=x onerror=alert(2)>'</title>"""
IMAGE = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")


def stored(name="mixed"):
    return json.loads((DATA / "report" / f"{name}.json").read_text(encoding="utf-8"))


class Elements(HTMLParser):
    """The elements of a page with their attributes, in order, and the words outside of style and script."""

    def __init__(self, text):
        super().__init__()
        self.found, self.words, self.skip = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.skip = tag in ("style", "script")

    def handle_endtag(self, tag):
        self.skip = False

    def handle_data(self, data):
        self.words += "" if self.skip else data

    def all(self, *tags):
        return [attributes for tag, attributes in self.found if tag in tags]


def nasty():
    """Return a summary in which every text that comes from a scenario has marks of HTML."""
    summary = stored()
    summary["title"] = NASTY
    for one in (*summary["cells"], *summary["verdicts"], *summary["claims"], *summary["pairs"]):
        one["convention"] = f"{one['convention']} {NASTY}"
    for claim in summary["claims"]:
        claim |= {"text": NASTY, "claimed_text": NASTY}
    for one in summary["comparisons"]:
        one["of"] = [f"{name} {NASTY}" for name in one["of"]]
    for cell in summary["cells"]:
        cell["final_kinds"]["why"] = cell["tie_kinds"]["why"] = NASTY
        cell["observables"] = {NASTY: cell["observables"]["near"]}
    for one in summary["hypotheses"]:
        one["why"] = NASTY
    summary["bad_scales"] |= {"computed": False, "why": NASTY}
    return summary


def test_every_text_of_a_scenario_is_escaped(tmp_path):
    text = html.render(report.sections(nasty()))
    page = Elements(text)
    assert len(page.all("script")) == 1 and not page.all("img") and text.count("<script>") == 1
    assert NASTY in page.words
    assert page.words.count("<script>alert(1)</script>") > 10
    said = markdown.render(report.sections(nasty()))
    assert "<script>" not in said.replace(r"\<script>", "")


def test_nothing_is_loaded_from_outside(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(IMAGE)
    figures = [Figure(tmp_path / f"{name}.png", f"Figure {name}.") for name in ("a", "b")]
    text = html.render(report.sections(stored(), figures))
    page = Elements(text)
    assert not page.all("link", "iframe", "object", "embed", "base", "form")
    for _, attributes in page.found:
        for name in ("src", "href", "srcset", "action", "style"):
            assert not re.search(r"https?:|//", attributes.get(name, "").partition("base64,")[0])
        assert not any(name.startswith("on") for name in attributes)
    assert "@import" not in text and "url(" not in text
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert all(one["alt"] for one in page.all("img")) and len(page.all("img")) == 2


def test_headings_are_in_order_columns_have_a_scope_and_details_are_folded():
    sections = report.sections(stored())
    page = Elements(html.render(sections))
    headings = [tag for tag, _ in page.found if re.fullmatch(r"h\d", tag)]
    assert headings == ["h1", *["h2"] * (len(sections) - 1)]
    assert all(one["scope"] == "col" for one in page.all("th"))
    details = [section.detail for section in sections]
    assert len(page.all("details")) == len(page.all("summary")) == sum(details) == len(details) - 4
    assert details == sorted(details), "details come last"
    assert "open" not in page.all("details")[0]
    for rule in ("prefers-color-scheme: dark", "@media print", "img { display: block; max-width: min(100%, 56rem);"):
        assert rule in html.STYLE
    assert "background: #ffffff" in html.STYLE, "figures are legible on dark"


def opened(folder, text, script):
    """Return what a browser makes of a page after a script has run there, and what it said on the console.

    The script is allowed in the policy of the page, which allows no other.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = text.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
    text = text.replace("</body>", f"<script>{script}</script></body>")
    (folder / "page.html").write_text(text, encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", "--dump-dom",
        (folder / "page.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


CLICKS = """
const seen = [], column = (table, i) => [...table.tBodies[0].rows].map(row => row.cells[i].textContent);
const table = document.querySelector("#sorted table") || document.querySelectorAll("table")[TABLE];
[...table.tHead.rows[0].cells].forEach((head, i) => {
  const button = head.querySelector("button");
  if (!button) return;
  button.click();
  const up = column(table, i), marked = head.getAttribute("aria-sort");
  button.click();
  seen.push([head.textContent, up, column(table, i), marked, head.getAttribute("aria-sort")]);
});
const out = document.createElement("pre");
out.id = "seen";
out.textContent = JSON.stringify(seen);
document.body.append(out);
"""


def clicked(folder, text, table=0):
    """Return of each column of a table its head, its entries after one click and after two, and the marks."""
    dom, console = opened(folder, text, CLICKS.replace("TABLE", str(table)))
    assert console == []
    (seen,) = re.findall(r'<pre id="seen">(.*?)</pre>', dom, re.DOTALL)
    return {head: (up, down, marks) for head, up, down, *marks in json.loads(unescape(seen))}


COLUMNS = {
    "count": (["9", "10", "1,000", "2e3"], ["10", "2e3", "9", "1,000"]),
    "share": (["5e-05 %", "0.3 %", "8 %", "12.5 %"], ["12.5 %", "0.3 %", "5e-05 %", "8 %"]),
    "interval": (["0 to 0.06", "0.01 to 0.5", "0.02 to 0.1", "0.02 to 0.3"],) * 2,
    "missing": (["-1", "2", "3", "-"], ["2", "-", "3", "-1"]),
    "scales": (["36 from 0.01 to 0.36", "0.1, 0.5", "0.2", "2"], ["2", "0.1, 0.5", "0.2", "36 from 0.01 to 0.36"]),
    "bound": (["at most 1e-09", "about 0.2", "at most 3", "10"], ["10", "at most 3", "at most 1e-09", "about 0.2"]),
    "words": (["consistent (0 of 9)", "exact", "float64", "not decided"],) * 2,
}
"""Columns in ascending order, and the order in which they are given."""


@browser
def test_a_click_on_the_head_of_a_column_sorts_numbers_as_numbers(tmp_path):
    given = [entries for _, entries in COLUMNS.values()]
    table = Table(tuple(COLUMNS), tuple(zip(*given, strict=True)), "r" * len(COLUMNS))
    found = clicked(tmp_path, html.render([Section("Sorted", (Paragraph("x"), table))]))
    for name, (ascending, _) in COLUMNS.items():
        up, down, marks = found[name]
        up, down = ([entry.replace("\N{NO-BREAK SPACE}", " ") for entry in shown] for shown in (up, down))
        assert up == ascending, name
        last = [entry for entry in ascending if entry in ("", "-")]
        rest = [entry for entry in ascending if entry not in last]
        assert down == [*rest[::-1], *last], f"{name}: what is missing stays last"
        assert marks == ["ascending", "descending"]


@browser
@pytest.mark.parametrize("name", sorted(path.stem for path in (DATA / "report").glob("*.json")))
def test_the_page_of_a_run_opens_without_errors_and_its_cells_sort(name, tmp_path):
    (tmp_path / "landing.png").write_bytes(IMAGE)
    summary = stored(name)
    text = html.render(report.sections(summary, [Figure(tmp_path / "landing.png", "A figure.")]))
    up, down, _ = clicked(tmp_path, text, table=1)["landed"]
    numbers = [int(entry.split()[0]) for entry in up]
    assert numbers == sorted(numbers) and [int(entry.split()[0]) for entry in down] == sorted(numbers)[::-1]


@browser
def test_a_page_with_marks_in_every_text_runs_none_of_them(tmp_path):
    """The control has the mark unescaped, with a policy that allows it: then the browser says so."""
    text = html.render(report.sections(copy.deepcopy(nasty())))
    dom, console = opened(tmp_path, text, "console.assert(document.images.length === 0);")
    assert console == [] and dom.count("<script>") == 2
    broken = text.replace("</main>", "<img src='https://example.invalid/x.png'></main>")
    _, console = opened(tmp_path, broken, "console.assert(document.images.length === 0);")
    assert len(console) >= 1
