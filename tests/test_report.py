"""The report of a sweep: the same sections as text, Markdown and HTML, and the page of the catalogue.

tests/data/report/ has summaries of small runs, cut to what a report shows, and the text that belongs to each.
"""

import json
from pathlib import Path

import pytest

from simsa import report

STORED = Path(__file__).parent / "data" / "report"
NAMES = sorted(path.stem for path in STORED.glob("*.json"))


def stored(name):
    """Return a stored summary."""
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_a_stored_summary_is_the_same_to_the_byte(name):
    expected = (STORED / f"{name}.txt").read_text(encoding="utf-8")
    assert report.text(stored(name), Path("results") / name) + "\n" == expected


def test_of_many_cells_sixty_are_listed_and_the_rest_counted():
    summary = stored("relu_net_small")
    summary["cells"] = [{**summary["cells"][0], "c": 0.001 * k} for k in range(1, 101)]
    lines = report.text(summary, Path("out")).splitlines()
    assert lines[62] == "and 40 cells more, with 0 sensitive trajectories; summary.json has them"
