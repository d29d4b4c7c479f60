"""Everything a user can name has an entry in docs/reference: a heading, a row of a table, or an item of a list."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Final

import pytest
from attrs import fields_dict

import conveyor
from conveyor import errors, hookspecs, testing
from conveyor._cli.commands import make_app
from conveyor.model.options import JobKeywords
from conveyor.model.worker_options import WorkerOptions
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cyclopts import App

REFERENCE: Final = ROOT / "docs" / "reference"
# A line that begins with names in code: "## `Queue.add(name, data)`", "| `attempts`, `backoff` | …", "- `delay`: …".
ENTRY: Final = re.compile(r"^\s*(?:#+|\||[-*])\s*(`[^`]+`(?:\s*(?:,|and|/)\s*`[^`]+`)*)", re.MULTILINE)


def entries(text: str) -> set[str]:
    """Return the names that have an entry in this text, without what follows them in parentheses or brackets."""
    spans = [span for line in ENTRY.findall(text) for span in re.findall(r"`([^`]+)`", line)]
    return {re.split(r"[(\[=:<]| -| [A-Z]", span)[0].strip() for span in spans}


def all_entries() -> set[str]:
    """Return the names that have an entry on any page of the reference."""
    return {name for page in REFERENCE.glob("**/*.md") for name in entries(page.read_text(encoding="utf-8"))}


def missing(names: Iterable[str]) -> list[str]:
    """Return the names that have no entry."""
    return sorted(set(names) - all_entries())


def check_entries(names: Iterable[str], kind: str) -> None:
    """Fail with all that is missing, in a form that can be pasted into a page."""
    lacking = missing(names)
    if lacking:
        listed = "\n".join(f"- `{name}`" for name in lacking)
        pytest.fail(f"docs/reference has no entry for these {kind}:\n{listed}", pytrace=False)


def hooks() -> list[str]:
    """Return every hook."""
    return [name for name in hookspecs.__all__ if name.startswith("conveyor_")]


def error_classes() -> list[str]:
    """Return every error."""
    return [name for name in errors.__all__ if inspect.isclass(getattr(errors, name))]


def commands() -> Iterator[str]:
    """Yield every command as it is typed, `conveyor jobs list`; groups are no commands."""
    yield from _commands_of(make_app(), "conveyor")


def _commands_of(app: App, typed: str) -> Iterator[str]:
    for name in app:
        if not name.startswith("-"):
            yield from list(_commands_of(app[name], f"{typed} {name}")) or [f"{typed} {name}"]


def test_every_public_name_has_an_entry() -> None:
    check_entries(set(conveyor.__all__) - {"__version__"}, "names of the front door")


def test_every_name_for_tests_has_an_entry() -> None:
    # Imported here: pytest wants to load a plugin itself before anybody else does.
    from conveyor.testing import pytest_plugin

    check_entries([*testing.__all__, *pytest_plugin.__all__], "names of conveyor.testing")


def test_every_hook_has_an_entry() -> None:
    check_entries(hooks(), "hooks")


def test_every_error_has_an_entry() -> None:
    check_entries(error_classes(), "errors")


def test_every_job_option_has_an_entry() -> None:
    check_entries(JobKeywords.__annotations__, "job options")


def test_every_worker_option_has_an_entry() -> None:
    check_entries(fields_dict(WorkerOptions), "worker options")


def test_every_command_has_an_entry() -> None:
    check_entries(commands(), "commands")


def test_entries_are_headings_rows_and_items() -> None:
    assert entries("## `Queue.add(name)`\n| `attempts`, `backoff` | how often |\n- `delay`: when\n") == {
        "Queue.add",
        "attempts",
        "backoff",
        "delay",
    }
    assert entries("In prose, `run_at` is no entry.\n") == set()
    assert entries("### `conveyor worker APP [--queues]`\n") == {"conveyor worker"}


def test_a_missing_entry_is_named() -> None:
    assert missing(["no_such_option"]) == ["no_such_option"]
    with pytest.raises(pytest.fail.Exception, match="- `no_such_option`"):
        check_entries(["no_such_option"], "job options")


@pytest.mark.parametrize("found", [hooks(), error_classes(), list(JobKeywords.__annotations__)], ids=len)
def test_there_is_something_to_document(found: list[str]) -> None:
    assert found
