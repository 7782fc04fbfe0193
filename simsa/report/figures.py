"""The figures that a sweep has drawn, with their captions."""

from pathlib import Path

from simsa.report.section import Figure

CAPTIONS = {
    "landing": "The probability of a landing on Sing or C against the step scale c, with exact two-sided intervals, or "
    "the one-sided bound where no landing is known. Ticks at the top are predicted bad scales; those in the sweep have "
    "a line down.",
    "zero_hits": "What the absence of hits says: the one-sided upper bound 1 - 0.05^(1/N) after no hit in N "
    "trajectories, and where this run is on it.",
    "first_passage": "The probability that a trajectory has landed by step k.",
    "objective": "J along the run: the median and the middle half of the trajectories.",
    "margins": "The probability that the smallest guard of a trajectory is at most epsilon, against epsilon. The light "
    "thick lines are the fitted slopes, over the range that they were fitted in.",
    "codimension": "The slopes of the margins against c, with intervals: 1 for a hypersurface; open where some "
    "trajectories met a tie exactly.",
    "final_points": "Where trajectories ended, by what the point is for J. Large markers stand for many of them.",
    "plane": "Level lines of J, ties by what they are, artificial critical points, and some trajectories.",
}
"""What each figure of `simsa.plots.FIGURES` shows, by the name of its file, in the order in which they are read."""


def drawn(folder: Path) -> tuple[Figure, ...]:
    """Return the figures of CAPTIONS whose PNG files are in a folder."""
    paths = ((folder / f"{name}.png", caption) for name, caption in CAPTIONS.items())
    return tuple(Figure(path, caption) for path, caption in paths if path.is_file())
