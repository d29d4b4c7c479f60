"""Ticking: whoever has a store open fires its schedules, until nothing is due, and tells what it fired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import anyio.to_thread

from conveyor.model.schedules.values import TickOutcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from conveyor.contracts.store import ScheduleStore, Store

__all__ = ["Tick", "fire_all", "fire_in_crowd"]

AT_ONCE: Final = 3


class Tick(NamedTuple):
    """A tick that fired."""

    schedule_id: str
    at: datetime


async def fire_all(schedules: ScheduleStore) -> list[Tick]:
    """Fire what is due, few schedules at a time, until nothing is."""
    fired: list[Tick] = []
    while True:
        report = await schedules.fire_schedules(limit=AT_ONCE)
        fired += [Tick(tick.schedule_id, tick.tick_at) for tick in report.ticks if tick.outcome is TickOutcome.FIRED]
        if report.next_run_at is None or report.next_run_at > report.at:
            return fired


async def fire_in_crowd(store: Store, start: Callable[[], object]) -> list[Tick]:
    """Do it when the others are there as well; see `conveyor.testing.crowd`."""
    assert store.schedules is not None, "the store declares has_schedules"
    await anyio.to_thread.run_sync(start)
    return await fire_all(store.schedules)
