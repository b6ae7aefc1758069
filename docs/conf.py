"""Settings of the documentation; build it with ``make docs``."""

import shutil
from importlib.metadata import version as installed_version
from pathlib import Path
from pkgutil import walk_packages

from sphinx.application import Sphinx

import supernet

project = "supernet"
author = "The supernet authors"
copyright = "The supernet authors, Apache-2.0"
release = version = installed_version("supernet")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# What a package re-exports is described once, where it is defined.
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
napoleon_numpy_docstring = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"supernet {release}"


def write_reference(app: Sphinx) -> None:
    """Write a page for each package, which describes its modules.

    Every page lists all pages beside its text: with one for each module the time to build would grow with their square.
    """
    pages = {"supernet": [".. automodule:: supernet", ""]}
    for module in walk_packages(supernet.__path__, "supernet."):
        name, page = module.name, module.name if module.ispkg else module.name.rpartition(".")[0]
        if not name.rpartition(".")[2].startswith("_"):
            heading = [] if module.ispkg else [name, "-" * len(name), ""]
            pages.setdefault(page, []).extend([*heading, f".. automodule:: {name}", ""])
    folder = Path(app.srcdir) / "generated"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, lines in pages.items():
        (folder / f"{name}.rst").write_text("\n".join([name, "=" * len(name), "", *lines]))


def setup(app: Sphinx) -> None:
    """Called by Sphinx, before it looks for pages."""
    app.connect("builder-inited", write_reference)
