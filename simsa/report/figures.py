"""The figures of a sweep: those that were drawn, with their captions, and why the others were not.

What draws them leaves the list `figures.json` beside them: of each figure, in the order in which they are read,
`caption`, and `nothing`, why the run has nothing to show in it; empty if it was drawn.
"""

from collections.abc import Mapping
from pathlib import Path

from simsa.records.disk import read_json
from simsa.report.section import Block, Figure, Paragraph

LIST = "figures.json"


def drawn(folder: Path) -> tuple[Block, ...]:
    """Return the figures that are listed in a folder and whose PNG files are there, and a line about the others.

    folder: of a run. Without a list there is nothing to return.
    """
    listed: Mapping[str, Mapping[str, str]] = read_json(folder / LIST) or {}
    figures = [
        Figure(folder / f"{name}.png", one["caption"])
        for name, one in listed.items()
        if not one["nothing"] and (folder / f"{name}.png").is_file()
    ]
    reasons: dict[str, list[str]] = {}
    for name, one in listed.items():
        if one["nothing"]:
            reasons.setdefault(one["nothing"], []).append(name)
    lines = tuple(f"{', '.join(names)}: {why}" for why, names in reasons.items())
    return (*figures, *([Paragraph("Not drawn, having nothing to show:", lines)] if lines else ()))
