"""Every figure of a run, drawn from its summary (`simsa.analysis.summarise`) alone."""

from collections.abc import Callable, Iterable
from pathlib import Path

from matplotlib.figure import Figure

from simsa.plots.along import first_passage, objective
from simsa.plots.ends import final_points
from simsa.plots.landing import landing, zero_hits
from simsa.plots.margins import codimension, margins
from simsa.plots.plane import plane
from simsa.plots.style import Summary, save

FIGURES: dict[str, Callable[..., Figure | None]] = {
    "margins": margins,
    "zero_hits": zero_hits,
    "objective": objective,
    "final_points": final_points,
    "first_passage": first_passage,
    "landing": landing,
    "plane": plane,
    "codimension": codimension,
}
"""By the name of its files: from the summary to the figure, or None if a run has nothing to show in it. Those that
take longest come first, so that figures drawn at once end together."""


def save_all(summary: Summary, folder: Path, names: Iterable[str] = FIGURES) -> list[Path]:
    """Write every figure that shows something to `folder` as PNG and PDF, the same bytes each time; return the files.

    Those of an earlier run that show nothing any more are removed.
    """
    written = []
    for name in names:
        figure = FIGURES[name](summary)
        if figure is not None:
            written += save(figure, folder / name)
        else:
            for suffix in (".png", ".pdf"):
                (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return written
