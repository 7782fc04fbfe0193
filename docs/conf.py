"""How Sphinx builds the manual: `make docs` writes it to build/docs."""

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from pictures import InOrder, figures_of  # noqa: E402

import simsa  # noqa: E402

project = "simsa"
author = copyright = "the simsa developers"
version = release = simsa.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "examples/*",
    "_built/gallery/index.rst",
    "_built/gallery/*.ipynb",
    "_built/gallery/*.py",
    "_built/gallery/*.md5",
]

# Markdown. Headings have anchors, so that pages can link to a section of another one.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

# Notebooks are executed in every build, and an error in a cell fails it. Nothing is loaded for widgets: there are none.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_ipywidgets_js: dict[str, Any] = {}

# The gallery: every script is executed.
suppress_warnings = ["config.cache"]  # the configuration has a function, below
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "_built/gallery",
    "filename_pattern": r"/.*\.py",
    "image_scrapers": (figures_of,),
    "abort_on_example_error": True,
    "only_warn_on_example_error": False,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 3600,
    "remove_config_comments": True,
    "within_subsection_order": InOrder,
    "reset_modules": (),
}

# The reference. Docstrings are numpydoc's; single backticks stand for code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say it, with shapes and ranges
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries = False

ALONE = ["index", "start", "faq", "glossary", "reliability", "performance", "extend", "architecture", "contributing"]
"""Pages without others below them, which need no list of those at the left."""

WIDE = [
    "index",
    "reference/scenario",
    "reference/primitives",
    "reference/summary",
    "findings/index",
    "findings/results",
    "performance",
]
"""Pages of wide tables, which need the room at the right."""

html_theme = "pydata_sphinx_theme"
html_title = "simsa"
html_static_path = ["_static"]
html_css_files = ["simsa.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options: dict[str, Any] = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], **{page: [] for page in WIDE}},
}
html_context = {"default_mode": "auto"}
html_sidebars = {page: [] for page in ALONE}


def plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let docstrings stand in reStructuredText as they are: the bars of |x|, and a letter behind `code`."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            bars = re.sub(r"`[^`]*`|\|", lambda found: "\\|" if found[0] == "|" else found[0], line)
            lines[i] = re.sub(r"(?<!`)(`[^`]+`)(?=\w)", r"\1\\ ", bars)


def setup(app: Any) -> None:
    """Connect what changes docstrings."""
    app.connect("autodoc-process-docstring", plain, priority=900)
