"""The site: ``sphinx-build -W docs site``."""

from importlib.metadata import version as installed

project = "runscope"
author = "the runscope authors"
release = installed("runscope")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
myst_enable_extensions = ["smartquotes"]
# Code blocks hold what the commands print and what people type; not all of it is a language.
highlight_language = "none"
html_theme = "furo"
html_title = "runscope"
html_show_copyright = False
nitpicky = True
# Signatures name types of numpy, pandas and inner modules, which have no page here.
nitpick_ignore_regex = [("py:.*", ".*")]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
