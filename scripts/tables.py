"""Write the tables in docs/ that follow from rows of the program: `python scripts/tables.py`."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from simsa import formats, rules
from simsa.plots import figures
from simsa.primitives import conventions
from simsa.records import fields
from simsa.scenario import keys

DOCS = Path(__file__).parent.parent / "docs"
TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "fields": fields.table,
    "figures": figures.table,
    "formats": formats.table,
    "keys": keys.table,
    "primitives": conventions.table,
    "rules": rules.table,
    "modifiers": rules.modifiers,
}
"""What yields the lines of each table. It stands between `<!-- NAME -->` and `<!-- end of NAME -->`."""


def written(text: str) -> str:
    """Return the text of a document with its tables as the rows have them."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: python scripts/tables.py -->\n", f"<!-- end of {name} -->\n"
        lines = "".join(f"{line}\n" for line in table())
        between = f"{begin}\n{lines}\n{end}"
        text = re.sub(f"{re.escape(begin)}.*?{end}", lambda _, new=between: new, text, flags=re.DOTALL)
    return text


def main() -> int:
    """Write the documents again whose tables are stale, and say which; return the exit code."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (now := written(text)) != text:
            path.write_text(now, encoding="utf-8")
            print(f"written: {path.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
