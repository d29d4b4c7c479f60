"""How ``--help`` looks: plain text in two columns, which starts faster than rich's panels."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from cyclopts.help import PlainFormatter

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

__all__ = ["TwoColumns"]

_WIDEST_LABEL: Final = 28
_WIDEST: Final = 100


class TwoColumns(PlainFormatter):
    """Names on the left, what they mean on the right."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:  # noqa: ARG002 - cyclopts gives them
        """Print one group of commands or parameters."""
        if not panel.entries:
            return
        labels = [", ".join(entry.display_labels_with_metavar) for entry in panel.entries]
        indent = " " * (min(max(map(len, labels)), _WIDEST_LABEL) + 4)
        lines = [f"{panel.title}:"]
        for label, entry in zip(labels, panel.entries, strict=True):
            text = " ".join([_plain(entry.description), *_extras(entry)])
            start = f"  {label}"
            if len(start) + 2 > len(indent):
                lines.append(start)
                start = ""
            width = min(console.width, _WIDEST)
            # Names such as sqlite:///conveyor.db and --upgrade stay whole.
            lines += textwrap.wrap(
                text.strip() or " ",
                width,
                initial_indent=start.ljust(len(indent)),
                subsequent_indent=indent,
                break_on_hyphens=False,
            ) or [start]
        console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
        console.print()


def _plain(description: object) -> str:
    # cyclopts wraps what it read from a docstring; what was given as a plain string stays one.
    text = getattr(description, "primary_renderable", description)
    return str(getattr(text, "plain", text or "")).strip()


def _extras(entry: HelpEntry) -> list[str]:
    extras: list[str] = []
    if entry.choices:
        extras.append(f"[{', '.join(entry.choices)}]")
    if entry.default is not None:
        extras.append(f"[default: {entry.default}]")
    if entry.required:
        extras.append("[required]")
    return extras
