"""How Sphinx builds the pages of docs/: Markdown through MyST, shown by furo."""

from __future__ import annotations

project = "conveyor"
author = "The conveyor authors"
copyright = author

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True

# A link to another page's heading (`options.md#attempts`) is checked, down to the fourth level.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

html_theme = "furo"
html_title = "conveyor"
