"""Following a job that logs more lines than are kept."""

from __future__ import annotations

import pytest

from conveyor import Conveyor
from conveyor._cli.jobs.views import followed_logs
from conveyor.model.job import LogEntry
from conveyor.model.retention import LOG_LINES_KEPT, TRIM_EVERY
from conveyor.testing.stores import open_store

pytestmark = pytest.mark.anyio


async def test_no_line_is_passed_over_when_the_oldest_go() -> None:
    total = LOG_LINES_KEPT + 5 * TRIM_EVERY
    async with open_store("memory://") as store, Conveyor(store) as app:
        job = await app.queue("work").add("talk", {})
        written = 0
        seen: list[int] = []
        follower = followed_logs(job, None)
        while written < total:
            some = range(written, min(written + LOG_LINES_KEPT // 3, total))
            await store.jobs.append_logs([LogEntry(job.id, str(number)) for number in some])
            written = some.stop
            while len(seen) < written:
                seen += [int(entry.message) for entry in await anext(follower)]
        await job.cancel()
        assert [page async for page in follower] == []
    assert seen == list(range(total))
