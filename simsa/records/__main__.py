"""Write the table of the recorded fields into a document: `python -m simsa.records docs/definitions.md`."""

import re
import sys
from pathlib import Path

from simsa.records.fields import table

BEGIN, END = "<!-- fields: python -m simsa.records -->\n", "<!-- end of fields -->\n"
"""The lines of the document between which the table stands."""


def written(text: str) -> str:
    """Return the text of a document with the table as the rows have it."""
    lines = "".join(f"{line}\n" for line in table())
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{lines}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
