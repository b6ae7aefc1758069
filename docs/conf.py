"""Settings of the documentation; build it with ``make docs``."""

from importlib.metadata import version as installed_version

project = "supernet"
author = "The supernet authors"
copyright = "The supernet authors, Apache-2.0"
release = version = installed_version("supernet")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# What a package re-exports is described once, where it is defined.
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
napoleon_numpy_docstring = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"supernet {release}"
