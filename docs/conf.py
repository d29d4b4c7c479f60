"""How Sphinx builds the pages of docs/: Markdown through MyST, docstrings through autodoc, shown by furo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "conveyor"
author = "The conveyor authors"
copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    # The names of others: linking to them would need the network.
    (r"py:.*", r"(?!conveyor\.).*"),
    # Type variables, names of types, and what a decorator returns: they stand for something else, and have no entry.
    (
        r"py:.*",
        r"conveyor\..*\.(T|R|R_co|P|P_co|CallP|CallR|Removal|(Row|Params)(T|T_co)|Row|Curve|Duration|(Batch)?JobDecorator)",
    ),
]

# A link to another page's heading (`options.md#attempts`) is checked, down to the fourth level.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

# In docstrings a name stands between single backticks.
default_role = "code"
autodoc_default_options = {"members": True, "undoc-members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# The sidebar lists pages and headings: every method of every class would be a wall, and costs half of the build.
toc_object_entries = False
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "conveyor"


def setup(app: Sphinx) -> None:
    """Mend what autodoc and napoleon would say of our docstrings."""
    app.connect("autodoc-process-docstring", shield_first_line, priority=0)
    app.connect("autodoc-process-signature", hide_signature_of_protocol)


def shield_first_line(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep a property's "Wake-ups; None: core polls." whole: napoleon takes what stands before a colon for a type."""
    if what in {"attribute", "data", "property"}:
        lines.insert(0, r"\ ")


def hide_signature_of_protocol(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Show no ``(*args, **kwargs)`` for what nobody calls."""
    return ("", None) if what == "class" and getattr(obj, "_is_protocol", False) else (signature, returns)
