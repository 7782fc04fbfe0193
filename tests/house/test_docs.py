"""The README finds what it says; the pages of docs/ are run by `test_manual`."""

import re

import numpy as np

from tests.support import ROOT


def test_the_sets_of_the_readme_are_those_found():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    lines = re.findall(r"^(calculus\.\w.*?)  +# ([^:\n]*?):.*$", text, re.MULTILINE)
    assert len(lines) == 3
    for call, said in lines:
        np.testing.assert_array_equal(eval(call, names), eval(said))
