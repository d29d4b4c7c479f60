"""What the documents show is true: Python blocks of every page, and examples in docstrings, run."""

from __future__ import annotations

import doctest
import re
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

import pytest
from sybil import Document, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from tests.house.tree import imported_name, modules, pages, relative

if TYPE_CHECKING:
    from pathlib import Path

    from sybil import Example

NOT_RUN: Final = "<!-- not run -->"
EXAMPLED: Final = [path for path in modules() if ">>>" in path.read_text(encoding="utf-8")]


def is_only_compiled(document: Document, example: Example) -> bool:
    """Whether the line before the block says that it is not run: it waits for ever, or needs what is not here."""
    return document.text[: example.start].rstrip().endswith(NOT_RUN)


def run_blocks(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the Python blocks of a page from top to bottom, as one module, and return how many there are."""
    (document,) = [Sybil(parsers=[PythonCodeBlockParser()]).parse(path)]
    page = ModuleType("page")
    # A module of that name must exist: decorators and the codec look up where a function or class was defined.
    monkeypatch.setitem(sys.modules, "page", page)
    document.namespace = page.__dict__
    examples = list(document.examples())
    for example in examples:
        if is_only_compiled(document, example):
            compile(example.parsed, str(path), "exec")
        else:
            example.evaluate()
    return len(examples)


@pytest.mark.parametrize("path", [page for page in pages() if "```python" in page.read_text()], ids=relative)
def test_the_blocks_of_a_page_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONVEYOR_STORE", raising=False)
    assert run_blocks(path, monkeypatch)


@pytest.mark.parametrize("path", EXAMPLED, ids=relative)
def test_the_examples_of_docstrings_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(import_module(imported_name(path)), optionflags=doctest.ELLIPSIS)
    assert results.attempted
    assert not results.failed


def test_a_block_that_fails_fails_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError):
        run_blocks(page, monkeypatch)


def test_a_block_marked_so_is_only_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{NOT_RUN}\n```python\nraise SystemExit\n```\n", encoding="utf-8")
    assert run_blocks(page, monkeypatch) == 1
    page.write_text(f"{NOT_RUN}\n\n```python\nfor\n```\n", encoding="utf-8")
    with pytest.raises(SyntaxError):
        run_blocks(page, monkeypatch)


def test_python_is_shown_in_blocks_that_are_found() -> None:
    """A block under another of Python's names, or indented, would be passed over."""
    other = re.compile(r"^\s*```+\s*(?:py|python3|pycon|Python)\s*$|^[ \t]+```+python|^~~~", re.MULTILINE)
    assert [relative(page) for page in pages() if other.search(page.read_text(encoding="utf-8"))] == []
