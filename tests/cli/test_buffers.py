"""``conveyor buffers``: what waits where, and flushing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor._cli.discovery import load_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")
APP = ("--app", "hello:app")
BUFFER = """
from conveyor import JobBuffer, dedupe

def reduce(jobs):
    if any(job.data["to"] == "nobody" for job in jobs):
        raise ValueError("there is nobody")
    return dedupe("to")(jobs)

app.buffers.add_buffer(JobBuffer("greetings", collect=lambda job: job.name == "send", reduce=reduce))
app.buffers.add_buffer(JobBuffer("failures", collect=lambda job: job.name == "fail", reduce=list))
"""


@pytest.fixture(autouse=True)
def buffered(folder: Path) -> None:
    """Let the app register buffers, and put jobs into one."""
    with (folder / "hello.py").open("a") as file:
        file.write(BUFFER)
    add(["ada", "ada", "grace"])


def add(names: list[str]) -> None:
    async def add_them() -> None:
        async with load_app("hello:app") as app:
            for name in names:
                await app.queue("mails").add("send", {"to": name})

    anyio.run(add_them)


def test_buffers_are_listed(conveyor: Callable[..., Ran]) -> None:
    shown = conveyor("buffers", "list", *APP).out
    assert "greetings" in shown
    failures, greetings = conveyor("buffers", "list", *APP, "-o", "json").json
    assert (greetings["id"], greetings["jobs"], greetings["is_registered"]) == ("greetings", 3, True)
    assert greetings["bytes"] == len(b'{"to":"ada"}') * 2 + len(b'{"to":"grace"}')
    assert greetings["oldest_seconds"] >= 0
    assert (failures["jobs"], failures["oldest_at"]) == (0, None)


def test_jobs_of_a_buffer_that_nobody_registers_are_shown(conveyor: Callable[..., Ran]) -> None:
    (greetings,) = conveyor("buffers", "list", *STORE, "-o", "json").json
    assert (greetings["jobs"], greetings["is_registered"]) == (3, False)


def test_buffers_are_flushed(conveyor: Callable[..., Ran]) -> None:
    flushed = conveyor("buffers", "flush", *APP, "-o", "json").json
    assert flushed == [{"id": "greetings", "added": 2}, {"id": "failures", "added": 0}]
    assert len(conveyor("jobs", "list", *STORE, "-o", "json").json) == 2
    assert conveyor("buffers", "flush", "greetings", *APP, "-o", "json").json == [{"id": "greetings", "added": 0}]


def test_a_buffer_that_is_not_there_is_named(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("buffers", "flush", "greeting", *APP)
    assert ran.code == 3
    assert "did you mean 'greetings'" in ran.err


def test_a_buffer_that_the_app_does_not_register_is_refused(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("buffers", "flush", "greetings", *STORE)
    assert ran.code == 5
    assert "does not register" in ran.err
    assert "3 jobs" in conveyor("buffers", "flush", *STORE).err


def test_a_reduce_that_fails_is_told_and_leaves_its_jobs(conveyor: Callable[..., Ran]) -> None:
    add(["nobody"])
    ran = conveyor("buffers", "flush", *APP)
    assert ran.code == 1
    assert "there is nobody" in ran.err
    assert conveyor("buffers", "list", *STORE, "-o", "json").json[0]["jobs"] == 4


def test_top_tells_how_full_they_are(conveyor: Callable[..., Ran]) -> None:
    (buffer,) = conveyor("top", *STORE, "-o", "json").json["buffers"]
    assert (buffer["id"], buffer["jobs"]) == ("greetings", 3)
    assert buffer["oldest_seconds"] >= 0
    assert any(line.split()[:2] == ["greetings", "3"] for line in conveyor("top", *STORE).out.splitlines())
