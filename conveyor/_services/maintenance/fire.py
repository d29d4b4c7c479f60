"""The firing pass: schedules whose time has come add their jobs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from conveyor.model.schedules.values import TickOutcome

if TYPE_CHECKING:
    from datetime import timedelta

    from conveyor.contracts.store import ScheduleStore
    from conveyor.model.schedules.values import TickReceipt

__all__ = ["fire_due_schedules"]

logger: Final = logging.getLogger("conveyor.schedules")

CHUNK: Final = 100


async def fire_due_schedules(schedules: ScheduleStore) -> timedelta | None:
    """Fire every schedule that is due; return how long it is until the next is, by the store's clock (None: never)."""
    while True:
        report = await schedules.fire_schedules(limit=CHUNK)
        for tick in report.ticks:
            _tell(tick)
        if report.next_run_at is None:
            return None
        if report.next_run_at > report.at:
            return report.next_run_at - report.at


def _tell(tick: TickReceipt) -> None:
    match tick.outcome:
        case TickOutcome.FIRED:
            logger.debug("schedule %s fired for %s: job %s", tick.schedule_id, tick.tick_at, tick.job_id)
        case TickOutcome.SKIPPED:
            logger.info("schedule %s skipped %s: a job of it has not ended", tick.schedule_id, tick.tick_at)
        case TickOutcome.DUPLICATE:
            logger.warning(
                "schedule %s added no job for %s: another job has the id %s",
                tick.schedule_id,
                tick.tick_at,
                tick.job_id,
            )
        case TickOutcome.GROUP_FULL:
            logger.warning("schedule %s added no job for %s: its group is full", tick.schedule_id, tick.tick_at)
        case TickOutcome.PROBLEM:
            logger.error(
                "schedule %s cannot tell its next tick, and is looked at again: %s", tick.schedule_id, tick.note
            )
