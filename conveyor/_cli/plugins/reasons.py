"""Reasons: what a word selects, by which rule, and what was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor._cli.output import write, write_table
from conveyor.errors import UnknownStrategyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._plugins import Choice, Plugins

__all__ = ["is_unknown", "reasons", "write_reasons"]

KINDS: Final = (
    "store",
    "job queue",
    "buffer storage",
    "batch strategy",
    "file storage",
    "middleware",
    "payload codec",
    "command",
)


def reasons(installed: Plugins, word: str) -> Sequence[dict[str, Any]]:
    """Return what a URL selects, or what a bare word does as a store's scheme or as a strategy's name.

    A kind to which nobody answers is left out where another kind knows the word.
    """
    scheme, separator, _ = word.partition("://")
    choices = [installed.choose(kind, scheme) for kind in (KINDS[:1] if separator else KINDS)]
    known = [choice for choice in choices if not isinstance(choice.error, UnknownStrategyError)]
    return [_to_json(choice) for choice in known or choices]


def is_unknown(record: Mapping[str, Any]) -> bool:
    """Whether no plugin answers to the word."""
    return bool(record["is_unknown"])


def write_reasons(records: Sequence[Mapping[str, Any]]) -> None:
    """Print them for people."""
    for number, record in enumerate(records):
        if number:
            write("")
        what = f"{record['kind']} {record['word']!r}: "
        if record["error"] is None:
            write(f"{what}plugin {record['plugin']!r} of {record['distribution']!r}: {record['rule']}")
        else:
            write(f"{what}{record['error']}")
        rows = [(look["plugin"], look["distribution"], look["version"], look["verdict"]) for look in record["looks"]]
        write_table(("looked at", "distribution", "version", "verdict"), rows)


def _to_json(choice: Choice) -> dict[str, Any]:
    plugin = None if choice.offer is None else choice.offer.plugin
    return {
        "kind": choice.kind,
        "word": choice.word,
        "plugin": None if plugin is None else plugin.name,
        "distribution": None if plugin is None else plugin.distribution,
        "version": None if plugin is None else plugin.version,
        "rule": choice.rule or None,
        "error": None if choice.error is None else str(choice.error),
        "is_unknown": isinstance(choice.error, UnknownStrategyError),
        "looks": [
            {
                "plugin": look.plugin.name,
                "distribution": look.plugin.distribution,
                "version": look.plugin.version,
                "verdict": look.verdict,
            }
            for look in choice.looks
        ],
    }
