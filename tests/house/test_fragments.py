"""News fragments have a name that towncrier files under a type, and hold one paragraph for users."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "towncrier"
]
TYPES: Final = "|".join(kind["directory"] for kind in SETTINGS["type"])
NAME: Final = re.compile(rf"(?:\d+|\+[a-z][a-z0-9-]*)\.(?:{TYPES})\.md")


def faults(name: str, text: str) -> list[str]:
    """Return what is wrong with a fragment."""
    found = []
    if not NAME.fullmatch(name):
        found.append(f"{name}: its name must be <issue or +slug>.<type>.md, with a type of: {TYPES}")
    if len(text.splitlines()) != 1 or not text.endswith("\n"):
        found.append(f"{name}: it must be one line, and end it")
    if not text.rstrip().endswith("."):
        found.append(f"{name}: it must be sentences")
    return found


def fragments() -> list[Path]:
    """Return what towncrier gathers."""
    return sorted(path for path in (ROOT / SETTINGS["directory"]).iterdir() if path.name not in SETTINGS["ignore"])


def test_fragments_are_well_formed() -> None:
    assert [fault for path in fragments() for fault in faults(path.name, path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("7.bugfix.md", "Jobs start.\n", 0),
        ("+two-words.feature.md", "Jobs start. They end, too.\n", 0),
        ("slug.feature.md", "Jobs start.\n", 1),
        ("+slug.novelty.md", "Jobs start.\n", 1),
        ("+slug.feature", "Jobs start.\n", 1),
        ("7.bugfix.md", "Jobs start\n", 1),
        ("7.bugfix.md", "Jobs start.\n\nJobs end.\n", 1),
        ("7.bugfix.md", "", 2),
    ],
)
def test_what_is_ill_formed_is_told(name: str, text: str, count: int) -> None:
    assert len(faults(name, text)) == count
