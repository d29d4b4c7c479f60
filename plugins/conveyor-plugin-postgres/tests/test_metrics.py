"""How sessions count apart from each other, and become one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from conveyor.model.job import AttemptOutcome
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.workshop import Workshop
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

SESSIONS = "select count(distinct session_id), count(*) from conveyor.run_counts"


@pytest.fixture
async def workshop(empty_url: str) -> AsyncIterator[Workshop]:
    """A store whose time stands still."""
    async with open_store(f"{empty_url}?clock=app", clock=(clock := ManualClock())) as store:
        yield Workshop(store, clock)


@pytest.fixture
def anyio_backend() -> str:
    """The rows are looked at by asyncpg itself."""
    return "asyncio"


async def test_the_rows_of_sessions_become_one_when_their_minute_is_over(workshop: Workshop, empty_url: str) -> None:
    metrics = workshop.store.metrics
    assert metrics is not None
    for number in range(3):
        await workshop.finished(f"job-{number}")
    assert await rows(empty_url) == (3, 3)
    before = await metrics.get_metrics(None)
    await metrics.roll_up(None, None)
    assert await rows(empty_url) == (3, 3)
    workshop.clock.advance("4 minutes")
    assert await metrics.roll_up(None, None) == 0
    assert await rows(empty_url) == (1, 1)
    assert (await metrics.get_metrics(None)).roll_ups == before.roll_ups
    assert before.total().outcomes == {AttemptOutcome.COMPLETED: 3}


async def rows(url: str) -> tuple[int, int]:
    """Return how many sessions have rows, and how many rows there are."""
    connection: Any = await asyncpg.connect(url)
    try:
        sessions, count = await connection.fetchrow(SESSIONS)
        return sessions, count
    finally:
        await connection.close()
