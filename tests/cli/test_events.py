"""``conveyor events``: what another process does, as it does it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor
from tests.cli.conftest import await_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")


def test_events_of_other_processes_are_printed_as_they_happen(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str]
) -> None:
    add("send", {"to": "ada"})
    process = start("events", *STORE, "-o", "jsonl", "--kind", "added", "cancelled", "--limit", "2")
    await_line(process, "watching")
    job_id = add("send", {"to": "bob"})

    async def cancel() -> None:
        async with Conveyor("sqlite:///jobs.db") as app:
            await (await app.jobs.get(job_id)).cancel("enough")

    anyio.run(cancel)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    added, cancelled = [json.loads(line) for line in out.splitlines()]
    assert (added["kind"], added["queue_name"], added["job_name"], added["job_id"]) == (
        "added",
        "mails",
        "send",
        job_id,
    )
    assert (cancelled["kind"], cancelled["error"]["message"]) == ("cancelled", "enough")


def test_events_of_one_job_are_lines_for_people(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str]
) -> None:
    job_id = add("send", {"to": "ada"})
    process = start("events", *STORE, "--job", job_id[:13], "--limit", "1")
    await_line(process, "watching")
    add("send", {"to": "bob"})

    async def fail() -> None:
        async with Conveyor("sqlite:///jobs.db") as app:
            await (await app.jobs.get(job_id)).move_to_failed("no stamps")

    anyio.run(fail)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert out.split()[1:] == ["failed", "mails", "send", job_id, "MovedToFailed:", "no", "stamps"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("-o", "json"), 2, "use -o jsonl"),
        (("--kind", "complete"), 2, "did you mean 'completed'"),
        (("--queue", "mails", "--job", "x"), 2, "--queue and --job"),
        (("--queue", "mials"), 3, "did you mean 'mails'"),
        (("--job", "01a20167-9ed"), 3, "01a20167-9ed"),
        (("--limit", "0"), 2, "limit"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    conveyor: Callable[..., Ran], add: Callable[..., str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("events", *STORE, *arguments)
    assert ran.code == code
    assert message in ran.err
