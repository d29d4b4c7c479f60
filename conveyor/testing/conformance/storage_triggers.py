"""Buffer storages and triggers: what is in them is counted and timed so that a worker flushes it when it is due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from conveyor._services.maintenance.flush import FlushPass
from conveyor.model.buffers.job_buffer import JobBuffer
from conveyor.testing.conformance.storage_kit import NAME, QUEUE, StorageKit

if TYPE_CHECKING:
    from conveyor._app import Conveyor
    from conveyor.testing.clocks import ManualClock

__all__ = ["StorageTriggers"]


class StorageTriggers(StorageKit):
    """A worker's look at its buffers flushes what is due, and that alone."""

    @pytest.mark.parametrize(
        ("triggers", "seconds"),
        [({"max_age": "30s"}, 30), ({"idle": "20s"}, 20), ({"cron": "* * * * *"}, 60), ({"max_age": "1h"}, None)],
    )
    async def test_a_trigger_flushes_when_its_time_has_come(
        self, app: Conveyor, clock: ManualClock, triggers: Any, seconds: float | None
    ) -> None:
        register(app, **triggers)
        async with app:
            flush_pass = pass_over(app)
            await app.queue(QUEUE).add(NAME, {"ids": ["a"]})
            await flush_pass.look()
            assert await app.buffers.buffer_size(["b"]) == {"b": 1}
            await self.outlast(clock, timedelta(seconds=seconds or 60))
            await flush_pass.look()
            assert await app.buffers.buffer_size(["b"]) == {"b": 1 if seconds is None else 0}

    @pytest.mark.parametrize("triggers", [{"max_jobs": 2}, {"max_bytes": 2 * len(b'{"ids":["a"]}')}])
    async def test_a_trigger_flushes_once_there_is_enough(self, app: Conveyor, triggers: Any) -> None:
        register(app, **triggers)
        async with app:
            flush_pass = pass_over(app)
            for left in (1, 0):
                await app.queue(QUEUE).add(NAME, {"ids": ["a"]})
                await flush_pass.look()
                assert await app.buffers.buffer_size(["b"]) == {"b": left}


def pass_over(app: Conveyor) -> FlushPass:
    """Return what a worker does once a second."""
    return FlushPass(app._services)  # noqa: SLF001 - the pass of a worker of this app, without one


def register(app: Conveyor, **triggers: Any) -> None:
    """Register the buffer of the tests with triggers."""
    app.buffers.remove_buffer("b")
    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=list, **triggers))
