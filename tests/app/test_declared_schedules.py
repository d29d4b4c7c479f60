"""Declarations and a store that lasts: the same again, another one, and one that is gone."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What is warned of schedules."""
    warned: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warned.append(record.getMessage())

    listener = Listener(logging.WARNING)
    logging.getLogger("conveyor.schedules").addHandler(listener)
    yield warned
    logging.getLogger("conveyor.schedules").removeHandler(listener)


def program(url: str, interval: str, *queues: str) -> Conveyor:
    """A program that declares a schedule for each of these queues, and serves one called work."""
    app = Conveyor(url)
    for queue in queues:
        app.queue(queue).every(interval, "sweep")

    @app.queue("work").job()
    async def sweep() -> None: ...

    return app


async def test_opening_again_changes_nothing(url: str) -> None:
    async with program(url, "1 hour", "work") as app:
        before = await app.schedules.get("work:sweep")
    async with program(url, "1 hour", "work") as app:
        (after,) = await app.schedules.list()
    assert (after.spec, after.state.next_run_at) == (before.spec, before.state.next_run_at)
    assert after.state.updated_at == before.state.updated_at
    assert after.state.declared_at is not None
    assert before.state.declared_at is not None
    assert after.state.declared_at > before.state.declared_at


async def test_another_declaration_changes_the_schedule(url: str) -> None:
    async with program(url, "1 hour", "work"):
        pass
    async with program(url, "2 hours", "work") as app:
        (schedule,) = await app.schedules.list()
    assert schedule.spec.rule.every == timedelta(hours=2)


async def test_a_pause_outlives_the_program(url: str) -> None:
    async with program(url, "1 hour", "work") as app:
        await app.schedules.pause("work:sweep")
    async with program(url, "2 hours", "work") as app:
        assert (await app.schedules.get("work:sweep")).state.is_paused


async def test_a_worker_tells_of_what_is_declared_no_more(url: str, told: list[str]) -> None:
    async with program(url, "1 hour", "work", "other") as app:
        await app.schedules.upsert("made", app.queue("work").new("sweep"), every="1 hour")
    async with program(url, "1 hour") as app, app.worker():

        async def is_told() -> bool:
            return bool(told)

        await eventually(is_told)
    assert len(told) == 1
    assert "conveyor schedules remove work:sweep" in told[0]


async def test_a_program_whose_schedule_has_ended_still_opens_and_says_so(url: str, told: list[str]) -> None:
    app = Conveyor(url)
    app.queue("work").every("1 hour", "sweep", end=datetime(2020, 1, 1, tzinfo=UTC))
    async with app:
        assert await app.schedules.next_fires("work:sweep") == []
    assert told == ["schedule work:sweep fires no more: its end was at 2020-01-01 00:00:00+00:00"]
