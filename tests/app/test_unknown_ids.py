"""Ids and keys that nothing can have: whatever the store, they are not found, rather than an error of its driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conveyor.errors import BatchJobNotFoundError, ConfigurationError, JobNotFoundError, ScheduleNotFoundError

if TYPE_CHECKING:
    from conveyor import Conveyor

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("unknown", ["a\0b", "caf\udce9", ""])
async def test_what_no_store_can_keep_is_not_found(app: Conveyor, unknown: str) -> None:
    queue = app.queue("work")
    async with app:
        assert await queue.get_job(unknown) is None
        assert await queue.find_by_deduplication_key("send", unknown) is None
        assert await queue.find_by_deduplication_key(unknown, "key") is None
        for looking in (app.jobs.get, app.flows.cancel):
            with pytest.raises(JobNotFoundError):
                await looking(unknown)
        schedules = app.schedules
        for asked in (schedules.get, schedules.pause, schedules.resume, schedules.remove, schedules.run_now):
            with pytest.raises(ScheduleNotFoundError):
                await asked(unknown)
        with pytest.raises(BatchJobNotFoundError):
            await app.batches.get(unknown)


async def test_what_is_no_string_is_refused_by_name(app: Conveyor) -> None:
    wrong: Any = 3
    async with app:
        with pytest.raises(ConfigurationError, match="job_id must be a string, got 3"):
            await app.jobs.get(wrong)
        with pytest.raises(ConfigurationError, match="key must be a string, got 3"):
            await app.queue("work").find_by_deduplication_key("send", wrong)
        with pytest.raises(ConfigurationError, match="schedule id must be a string, got 3"):
            await app.schedules.pause(wrong)
