"""Every command that a page shows can be typed: its words and its options exist."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

import pytest
from cyclopts.exceptions import CoercionError, CycloptsError, MissingArgumentError

from conveyor._cli.commands import make_app
from conveyor._cli.plugin_commands import add_plugin_commands
from tests.house.tree import pages, relative

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BLOCK: Final = re.compile(r"^```(?:sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Perhaps a prompt, then perhaps variables of the environment, then one of the ways to start it.
TYPED: Final = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\./dev |python -m )?conveyor (.+)$", re.MULTILINE)
# `conveyor worker APP [--queues]` in prose may be short; in a block it is what people copy.
PROSE: Final = re.compile(r"`(?:\./dev )?conveyor ([^`\n]+)`")
SHELL: Final = {"|", "&&", ";", ">", ">>", "<", "&"}
ANY_COMMAND: Final = "COMMAND"


def in_blocks(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a block, up to what the shell does with it."""
    for block in BLOCK.findall(text):
        for typed in TYPED.findall(block.replace("\\\n", " ")):
            yield _before_shell(shlex.split(typed, comments=True))


def in_prose(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a sentence, without the brackets of what may be left out."""
    for typed in PROSE.findall(text):
        yield _before_shell(shlex.split(re.sub(r"[\[\]…]", "", typed)))


def _before_shell(words: list[str]) -> list[str]:
    return words[: next((number for number, word in enumerate(words) if word in SHELL), len(words))]


def complaint(words: Sequence[str], *, is_whole: bool) -> str:
    """Return what is wrong with a command, or nothing; one that is not whole may leave out arguments."""
    if ANY_COMMAND in words:
        return ""
    try:
        app = make_app()
        add_plugin_commands(app, words)
        app.parse_args(words, exit_on_error=False, print_error=False)
    except (MissingArgumentError, CoercionError) as error:
        return str(error) if is_whole else ""
    except CycloptsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("page", [page for page in pages() if "conveyor " in page.read_text()], ids=relative)
def test_the_commands_of_a_page_can_be_typed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    wrong = [f"{words}: {said}" for words in in_blocks(text) if (said := complaint(words, is_whole=True))]
    wrong += [f"{words}: {said}" for words in in_prose(text) if (said := complaint(words, is_whole=False))]
    assert not wrong, "\n".join(wrong)


def test_an_option_that_does_not_exist_is_found() -> None:
    (words,) = in_blocks("```sh\n$ A=b conveyor jobs list --no-such-thing | head\n```\n")
    assert words == ["jobs", "list", "--no-such-thing"]
    assert "--no-such-thing" in complaint(words, is_whole=True)
    (words,) = in_prose("Ask `conveyor jbos list`.\n")
    assert "jbos" in complaint(words, is_whole=False)


def test_a_command_in_prose_may_leave_out_arguments() -> None:
    assert complaint(["jobs", "show"], is_whole=True)
    assert not complaint(["jobs", "show"], is_whole=False)
