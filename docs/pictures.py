"""How the gallery finds the figures that its scripts draw."""

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
