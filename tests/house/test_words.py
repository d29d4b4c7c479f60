"""One word per thing: the glossary's words in every name, and no trace of anybody's machine."""

from __future__ import annotations

import io
import keyword
import re
import tokenize
from typing import TYPE_CHECKING, Final

import pytest

from tests.house.tree import ROOT, modules, relative

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What is never said, and what is said for it. Words that Python or a library uses too (send, push, factory) are free.
SAY: Final = {
    "ack": "settle",
    "actor": "handler",
    "adapter": "strategy",
    "broker": "store",
    "canvas": "flow",
    "claim": "fetch",
    "claimed": "fetched",
    "consumer": "worker",
    "dequeue": "fetch",
    "enqueue": "add",
    "enqueued": "added",
    "lease": "lock",
    "leased": "locked",
    "mixin": "facet",
    "orphan": "stalled",
    "orphaned": "stalled",
    "processor": "handler",
    "sweep": "pass",
    "sweeper": "pass",
    "workflow": "flow",
}
MACHINE: Final = re.compile(r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+)/")
WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
NOT_OURS: Final = {"__pycache__", "_build", "build", "dist", "site"}
TEXT: Final = {"", ".cfg", ".ini", ".json", ".lua", ".md", ".py", ".sh", ".sql", ".toml", ".txt", ".yaml", ".yml"}


def names(source: str) -> set[str]:
    """Return every name in the source; words of strings and comments are no names."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME and not keyword.iskeyword(token.string)}


def unwanted(source: str) -> list[str]:
    """Return the names that use a word we never say, with the word that is meant."""
    return [
        f"{name}: say {SAY[word]!r}"
        for name in sorted(names(source))
        for word in (part.lower() for part in WORD.findall(name))
        if word in SAY
    ]


def files_of_ours(folder: Path = ROOT) -> Iterator[Path]:
    """Yield the text files of the tree; what tools made is left out, and so is what Git keeps."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name not in NOT_OURS and (not path.name.startswith(".") or path.name in {".ci", ".github"}):
                yield from files_of_ours(path)
        elif path.suffix in TEXT and path.name != ".git":
            yield path


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_names_use_the_words_of_the_glossary(path: Path) -> None:
    assert unwanted(path.read_text(encoding="utf-8")) == []


def test_no_file_speaks_of_a_machine() -> None:
    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in files_of_ours()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_unwanted_words_are_found_in_names_only() -> None:
    assert unwanted("def enqueue_many(jobs): ...") == ["enqueue_many: say 'add'"]
    assert unwanted("class JobBroker: ...") == ["JobBroker: say 'store'"]
    assert unwanted("package = backlog  # a claim\nx = 'lease'") == []


def test_machine_paths_are_found() -> None:
    assert MACHINE.search("open('/" + "root/x')")
    assert MACHINE.search("see /" + "home/ada/conveyor")
    assert not MACHINE.search("https://example.org/work/1 or framework/root/x")
