"""A reader gets everywhere: links lead somewhere, and the front page of the documents leads to every page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from tests.house.tree import ROOT, pages, relative

if TYPE_CHECKING:
    from pathlib import Path

DOCS: Final = ROOT / "docs"
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE: Final = re.compile(r"[a-z]+:")
CODE: Final = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def targets(page: Path) -> set[Path]:
    """Return the files and folders that a page links to; headings are Sphinx's to check."""
    links = LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    paths = [link.partition("#")[0] for link in links if not ELSEWHERE.match(link)]
    return {(page.parent / path).resolve() for path in paths if path}


def reached(start: Path) -> set[Path]:
    """Return the pages that a reader gets to from one."""
    found, ahead = {start}, [start]
    while ahead:
        new = {path for path in targets(ahead.pop()) if path.suffix == ".md" and path.exists()} - found
        found |= new
        ahead += new
    return found


@pytest.mark.parametrize("page", pages(), ids=relative)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert sorted(str(path) for path in targets(page) if not path.exists()) == []


def test_every_page_is_reached_from_the_front_page() -> None:
    documents = {page for page in pages() if page.is_relative_to(DOCS)}
    assert sorted(relative(page) for page in documents - reached(DOCS / "index.md")) == []


def test_the_front_page_names_every_guide_and_every_page_of_the_reference() -> None:
    """Not by a detour: the sidebar is sorted by file, and this is the list in the order of use."""
    folders = ("how-to", "plugins", "reference", "explanation")
    listed = {page for page in pages() if page.parent.parent == DOCS and page.parent.name in folders}
    assert listed
    assert sorted(relative(page) for page in listed - targets(DOCS / "index.md")) == []


def test_the_readme_leads_to_the_tutorial_and_to_contributing() -> None:
    assert {DOCS / "tutorial.md", ROOT / "CONTRIBUTING.md"} <= targets(ROOT / "README.md")


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md#x) [b](https://example.org) [c](no.md) `[d](code.md)`\n", encoding="utf-8")
    assert targets(page) == {page, tmp_path / "no.md"}
