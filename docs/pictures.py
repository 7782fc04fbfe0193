"""How the gallery finds the figures that its scripts draw, and in which order it shows them."""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def figures_of(block: tuple[str, str, int], variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Save the figures that a block of a script has bound to names, and return the text that shows them.

    simsa draws figures without pyplot, where sphinx-gallery's own scraper looks for them. block: kind, text and line of
    the block. variables: those of sphinx-gallery, among them the names of the script and the next paths of images.
    settings: the configuration of the gallery.
    """
    shown = variables.setdefault("simsa_shown", set())
    paths = []
    for one in variables["example_globals"].values():
        if isinstance(one, Figure) and id(one) not in shown:
            shown.add(id(one))
            paths.append(next(variables["image_path_iterator"]))
            one.savefig(paths[-1], dpi=150)
    return str(figure_rst(paths, settings["src_dir"]))


class InOrder:
    """Sorts the scripts of the gallery as `ORDER` has them; any other comes after these, by its name."""

    def __init__(self, folder: str) -> None:
        """Take the folder of the scripts, which sphinx-gallery gives."""

    def __repr__(self) -> str:
        return "<InOrder>"

    def __call__(self, file: str) -> tuple[int, str]:
        """Return where a script stands. file: its name."""
        name = file.removeprefix("plot_").removesuffix(".py")
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)


ORDER = (
    "point",
    "paper_figure_1",
    "landing",
    "zero_hits",
    "first_passage",
    "objective",
    "margins",
    "final_points",
    "plane",
    "trajectory",
    "settings",
    "differences",
    "precisions",
    "settings",
    "column",
)
