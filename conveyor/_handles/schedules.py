"""Schedules: the app's noun for jobs that are added again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from conveyor._handles.handler import plain_handle
from conveyor._services import schedules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._handles.job import Job
    from conveyor._services.services import Services
    from conveyor.model.job import NewJob
    from conveyor.model.schedules.parsing import TimeKeywords
    from conveyor.model.schedules.values import ScheduleData

__all__ = ["Schedules"]


class Schedules:
    """Schedules of all queues, at ``app.schedules``. Those of a program's own code: ``queue.every``, ``queue.cron``.

    Workers fire them: any worker, whichever queues it serves, each tick once.
    """

    def __init__(self, services: Services) -> None:
        """Bind to an app."""
        self._services = services

    async def upsert(self, id: str, job: NewJob, **times: Unpack[TimeKeywords]) -> ScheduleData:
        """Make a schedule that adds this job at each tick, or change the one of this id; return it.

        Changed times begin anew; otherwise it goes on as it was, paused or not.

        Args:
            id: its stable id, 1 to 200 characters.
            job: made with ``handler.new(...)`` or ``queue.new(...)``; each tick's has an id of its own.
            times: `every` or `cron`, and the rest: see `ScheduleRule`.

        Raises:
            ConfigurationError: an option is wrong, or the job has a delay or another time of its own.
            CapabilityError: the store has no schedules.
        """
        return await schedules.upsert(self._services, id, job, times)

    async def get(self, id: str) -> ScheduleData:
        """Return a schedule by its id. Raises ScheduleNotFoundError where there is none."""
        return await schedules.get(self._services, id)

    async def list(self) -> Sequence[ScheduleData]:
        """Return every schedule, by id."""
        return await schedules.list_all(self._services)

    async def pause(self, id: str) -> ScheduleData:
        """Let a schedule fire no more until it is resumed; survives restarts. Its jobs go on."""
        return await schedules.pause(self._services, id)

    async def resume(self, id: str) -> ScheduleData:
        """Let it fire again, from its next tick on; those meanwhile are not made up for."""
        return await schedules.resume(self._services, id)

    async def run_now(self, id: str) -> Job[Any]:
        """Add a job of the schedule now, paused or not, and return it; its times and its limit stay."""
        return plain_handle(self._services, await schedules.run_now(self._services, id))

    async def remove(self, id: str) -> None:
        """Delete a schedule; its jobs stay. One that a program declares is there again when that is opened next."""
        await schedules.remove(self._services, id)

    async def next_fires(self, id: str, count: int = 5) -> Sequence[datetime]:
        """Return when it fires next, at most 1000 times, in UTC; nothing while it is paused or once it has ended."""
        return await schedules.next_fires(self._services, id, count)
