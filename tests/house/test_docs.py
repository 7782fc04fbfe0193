"""docs/theory/calculus.md prints what it says."""

import doctest
import re

import numpy as np

from tests.support import ROOT

PAGE = ROOT / "docs" / "theory" / "calculus.md"


def test_the_walk_through_the_paper_prints_what_it_says():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    page = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(page, out=said.append)
    assert results.attempted > 50
    assert not results.failed, "".join(said)


def test_the_sets_of_the_readme_are_those_found():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    lines = re.findall(r"^(calculus\.\w.*?)  +# ([^:\n]*?):.*$", text, re.MULTILINE)
    assert len(lines) == 3
    for call, said in lines:
        np.testing.assert_array_equal(eval(call, names), eval(said))
