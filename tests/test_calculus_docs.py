"""docs/calculus.md prints what it says."""

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "calculus.md"


def test_the_walk_through_the_paper_prints_what_it_says():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    page = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(page, out=said.append)
    assert results.attempted > 50
    assert not results.failed, "".join(said)
