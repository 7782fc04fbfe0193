"""The manual in docs/: its pages are found, its links lead somewhere, its reference is whole, and its examples run.

No Sphinx is needed here. `make docs` builds it, and executes its notebooks and its gallery.
"""

import doctest
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import simsa
from scripts import tables
from simsa import calculus, cli
from simsa.plots import FIGURES
from simsa.scenario import keys
from tests.support import DATA, ROOT

DOCS = ROOT / "docs"
BUILT = DOCS / "_built"
PAGES = sorted(path for path in DOCS.rglob("*.md") if BUILT not in path.parents)
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
LINKED = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES, *NOTEBOOKS]
OF_CODE = [path for path in PAGES if ">>> " in path.read_text(encoding="utf-8")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """Return the text of a page, or of the text cells of a notebook, without its blocks of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


# ---------------------------------------------------------------- pages and links


def under(page: Path) -> Iterator[Path]:
    """Yield the pages that the tables of contents of a page name."""
    for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                stem = page.parent / line
                yield next(one for one in (stem.with_suffix(".md"), stem.with_suffix(".ipynb")) if one.exists())


def test_every_page_is_reached_from_the_first():
    found, todo = set(), [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        assert page not in found, f"{name_of(page)} stands in two tables of contents"
        found.add(page)
        todo += under(page) if page.suffix == ".md" else []
    assert found == {*PAGES, *NOTEBOOKS}


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", LINKED, ids=name_of)
def test_every_relative_link_leads_somewhere(path):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        file, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_no_page_names_an_address_that_it_loads_from():
    for path in (*PAGES, *NOTEBOOKS, *EXAMPLES, DOCS / "conf.py"):
        assert not re.search(r"https?://", path.read_text(encoding="utf-8")), name_of(path)


# ---------------------------------------------------------------- the reference


def documented(page: str) -> list[str]:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    return re.findall(r"^\.\. auto(?:function|class):: (\w+)$", text, re.MULTILINE)


def test_every_public_name_is_in_the_reference():
    assert sorted(documented("python.md")) == sorted({*simsa.__all__} - {"SimsaError", "calculus"})
    assert ".. automodule:: simsa.errors" in (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    assert sorted(documented("calculus.md")) == sorted(calculus.__all__)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_tables_are_those_of_the_rows(path):
    text = path.read_text(encoding="utf-8")
    assert tables.written(text) == text, "write it again: make tables"


def test_every_key_is_on_its_page_and_says_whether_it_changes_records():
    text = (DOCS / "reference" / "scenario.md").read_text(encoding="utf-8")
    inner = [key for key in keys.keys() if "." in key]
    assert len(inner) > 60 and all(f"\n| `{key}`" in text for key in inner)
    assert [keys.counts(key) for key in ("sgd.steps", "sweep.axes", "observe.name", "run.block", "claim.text")] == [
        "yes", "unless neutral", "unless neutral", "no", "no"
    ]  # fmt: skip


def test_every_figure_is_on_its_page_and_in_the_gallery():
    text = (DOCS / "reference" / "figures.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLES)
    for name in FIGURES:
        assert text.count(f"\n| `{name}` |") == 2, f"{name}: what it shows, and when it is not drawn"
        assert f"run.plot.{name}(" in code


NAMED = {"probability", "quantiles", "kinds", "observables", "time"}
"""Entries of a summary whose keys are names or numbers: of events, quantiles, kinds, observables."""


def fields(value: Any, named: bool = False) -> Iterator[str]:
    """Yield the names of all fields below an entry of a summary. named: whether its own keys are names of things."""
    if isinstance(value, dict):
        for key, inner in value.items():
            of_interval = key in ("estimate", "low", "high", "bound", "level", "method")
            if not named or of_interval:
                yield key
            yield from fields(inner, key in NAMED and not of_interval)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, named)


def bowls(x: Any, a: Any) -> Any:
    u = x[0] + x[1]
    return a[0] * (simsa.where(u >= 1, u**2 / 2, u - 0.5) - simsa.zero(u))


def test_every_field_of_a_summary_is_on_its_page():
    text = (DOCS / "reference" / "summary.md").read_text(encoding="utf-8")
    run = simsa.sweep(
        bowls, parameters=2, data=[[1], [2]], c=["1/4", 0.3], steps=2, step_size=1, initial=simsa.uniform(1, 2),
        trajectories=8, precision=["float64", "exact"], quiet=True,
        observe=[{"name": "near", "expression": "abs(x[0] + x[1])", "hit_below": 0.1}],
        claims=[{"event": "landed", "probability": 0, "text": "wrong"}],
    )  # fmt: skip
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((DATA / "report").glob("*.json"))]
    sections = dict(re.findall(r"^## `?(\w+)`?[^\n]*\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    for summary in (run.summary, *kept):
        for entry, value in summary.items():
            section = sections.get(entry, sections["The"])
            assert entry in sections or f"`{entry}`" in section, entry
            words = set(re.findall(r"`([\w.<>]+)`", section + sections["Intervals"]))
            words = {part for word in words for part in word.split(".")}
            assert set(fields(value)) <= words, (entry, set(fields(value)) - words)


# ---------------------------------------------------------------- what the pages show, runs


def python(path: Path) -> str:
    """Return the Python examples of a page, as one session."""
    blocks = re.findall(r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return "\n".join(block for block in blocks if ">>> " in block)


def run_page(path: Path) -> int:
    """Run the Python examples of a page, then its lines of shell that call simsa; return how many examples ran."""
    said: list[str] = []
    session = doctest.DocTestParser().get_doctest(python(path), {}, path.name, str(path), 0)
    results = doctest.DocTestRunner(verbose=False).run(session, out=said.append)
    assert not results.failed, "".join(said)
    for line in re.findall(r"^\$ simsa (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        assert cli.main(shlex.split(line)) == 0, line
    return results.attempted


@pytest.mark.parametrize("path", [path for path in OF_CODE if path.name != "extend.md"], ids=name_of)
def test_the_examples_of_a_page_print_what_it_says(path, tmp_path, monkeypatch, no_figures):
    monkeypatch.chdir(tmp_path)
    assert run_page(path) > 0


def test_the_page_on_extensions_runs_in_a_process_of_its_own(tmp_path):
    """What it registers would be there for all tests after it."""
    file = tmp_path / "extend.txt"
    file.write_text(python(DOCS / "extend.md"), encoding="utf-8")
    given = [sys.executable, "-m", "doctest", str(file)]
    done = subprocess.run(given, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_every_script_of_the_gallery_is_a_page(path):
    text = path.read_text(encoding="utf-8")
    title, line = text.splitlines()[1:3]
    assert text.startswith('"""\n') and line == "=" * len(title)
    compile(text, str(path), "exec")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_a_notebook_is_stored_with_its_outputs_and_runs(path, tmp_path, monkeypatch):
    """With fewer trajectories than in the manual, and without its figures."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result", "display_data"}
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    assert all(output.get("name") != "stderr" for output in outputs)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in cells:
        source = "\n".join(line for line in "".join(cell["source"]).splitlines() if not line.startswith("%"))
        source = re.sub(r"trajectories=(\d+)", lambda found: f"trajectories={int(found[1]) // 4}", source)
        source = source.replace("classify=20", "classify=2")
        exec(re.sub(r"^\w+\.plot\.\w+\(\)$", "", source, flags=re.MULTILINE), names)


def test_how_to_cite_is_said_in_the_form_that_tools_read():
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert said["cff-version"] == "1.2.0" and said["title"] == "simsa" and said["message"]
    assert said["version"] == simsa.__version__ and said["license"] == "MIT"
    assert said["authors"] == [{"name": "The simsa developers"}]
    (paper,) = said["references"]
    assert paper["type"] == "conference-paper" and [one["family-names"] for one in paper["authors"]] == [
        "Bolte",
        "Pauwels",
    ]
