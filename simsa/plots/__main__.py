"""Some figures of a run, when told to: `python -m simsa.plots FOLDER PART PARTS`. See `simsa.drawing`."""

import gc
import json
import os
import sys
from pathlib import Path

gc.set_threshold(100_000)  # as in `simsa.__main__`

from simsa.plots.figures import FIGURES, save_all  # noqa: E402

if __name__ == "__main__":
    folder, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if sys.stdin.read():
        save_all(json.loads((folder / "summary.json").read_text(encoding="utf-8")), folder, list(FIGURES)[part::parts])
    os._exit(0)
