"""What docs/reference/commands.md says of JSON is what commands print: the same keys, in the same order."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from conveyor._cli.jobs.flows import child_record
from conveyor._services.flows import ChildJob
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

PAGE: Final = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
STORE: Final = ("--store", "sqlite:///jobs.db")


def shapes(command: str) -> list[list[str]]:
    """Return the keys of each `{"a", "b"}` in the section of a command."""
    section = PAGE.partition(f"\n## `conveyor {command}")[2].partition("\n## ")[0]
    return [re.findall(r'"(\w+)"', shape) for shape in re.findall(r'`({"[^`]*"})`', section)]


def keys(value: Any) -> list[str]:
    """Return the keys of an object, or of the first of several."""
    return list(value[0] if isinstance(value, list) else value)


@pytest.fixture
def ran(conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]) -> Callable[..., Any]:
    """Run a command on a store with a failed job, and return what it printed."""
    add("fail", {"reason": "no stamps"}, job_id="the-job")
    work()
    return lambda *arguments: conveyor(*arguments, *STORE, "-o", "json").json


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("jobs list", ()),
        ("jobs logs", ("the-job",)),
        ("jobs cancel", ("the-job",)),
        ("queues list", ()),
        ("queues pause", ("mails",)),
        ("queues drain", ("mails",)),
        ("store check", ()),
        ("store sql", ()),
        ("top", ()),
        ("store stats", ()),
        ("config show", ()),
    ],
)
def test_a_command_prints_the_keys_that_its_section_says(
    ran: Callable[..., Any], command: str, arguments: tuple[str, ...]
) -> None:
    assert keys(ran(*command.split(), *arguments)) == shapes(command)[0]


@pytest.mark.parametrize("verb", ["clean", "obliterate"])
def test_what_removes_jobs_prints_as_draining_does(ran: Callable[..., Any], verb: str) -> None:
    option = {"clean": ("--state", "failed", "--yes"), "obliterate": ("--yes-delete", "mails")}[verb]
    assert keys(ran("queues", verb, "mails", *option)) == shapes("queues drain")[0]


def test_a_report_has_the_keys_that_its_section_says(ran: Callable[..., Any]) -> None:
    _, report, _ = shapes("jobs cancel")
    assert keys(ran("jobs", "rerun", "--state", "failed", "--yes")) == report


def test_attempts_logs_and_workers_have_the_keys_that_their_sections_say(ran: Callable[..., Any]) -> None:
    shown = ran("jobs", "show", "the-job")
    child, attempt, line = shapes("jobs show")
    assert [keys(shown["attempts"]), keys(shown["logs"])] == [attempt, line]
    assert keys(child_record(ChildJob("the-child", "mails", "send", None, None, None))) == child


@pytest.mark.parametrize("printed", ["list", "show", "export"])
def test_a_job_has_the_keys_of_the_example(ran: Callable[..., Any], printed: str) -> None:
    example = json.loads(PAGE.partition("```json\n")[2].partition("```")[0])
    job = {
        "list": lambda: ran("jobs", "list")["jobs"][0],
        "show": lambda: ran("jobs", "show", "the-job"),
        "export": lambda: ran("jobs", "export")[0],
    }[printed]()
    assert [key for key in job if key not in ("parents", "children", "attempts", "logs")] == list(example)
    assert list(job["options"]) == list(example["options"])
    assert list(job["error"]) == ["type", "message", "traceback", "fingerprint"]
