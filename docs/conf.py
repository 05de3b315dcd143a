"""The site: ``sphinx-build -W docs site``."""

from importlib.metadata import version as installed

project = "runscope"
author = "the runscope authors"
release = installed("runscope")
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
myst_enable_extensions = ["smartquotes"]
# Code blocks hold what the commands print and what people type; not all of it is a language.
highlight_language = "none"
html_theme = "furo"
html_title = "runscope"
html_show_copyright = False
nitpicky = True
