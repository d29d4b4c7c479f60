"""The lists of files in CONTRIBUTING.md name files that exist."""

from __future__ import annotations

import re
from typing import Final

from tests.house.tree import ROOT

RECIPES: Final = "## Recipes"
TITLE: Final = re.compile(r"^\*\*(.+)\*\*$", re.MULTILINE)
CODE: Final = re.compile(r"`([^`\s]+/[^`\s]*)`")
WANTED: Final = {"Add a job option", "Add a store verb", "Add a command", "Add a hook", "Add an error"}


def recipes() -> str:
    """Return the chapter."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(RECIPES)[2]


def missing(text: str) -> list[str]:
    """Return the paths that lead nowhere; `<name>` stands for any."""
    return [path for path in CODE.findall(text) if not list(ROOT.glob(re.sub(r"<[a-z]+>", "*", path).rstrip("/")))]


def test_the_recipes_are_there() -> None:
    assert set(TITLE.findall(recipes())) >= WANTED


def test_every_file_of_a_recipe_exists() -> None:
    assert len(CODE.findall(recipes())) > len(WANTED)
    assert missing(recipes()) == []


def test_a_path_that_leads_nowhere_is_named() -> None:
    assert missing("1. `conveyor/model/<thing>.py`, `conveyor/model/no_such.py`") == ["conveyor/model/no_such.py"]
