"""The schedules facet: rows with stable ids that add jobs when their time comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.schedules.values import ScheduleData, ScheduleSpec, TickReport, UpsertReceipt

__all__ = ["ScheduleStore"]


class ScheduleStore(Protocol):
    """What a schedule does is decided by the pure functions of `conveyor.model.schedules.firing`; the store keeps it.

    Each command holds the schedules it changes against all others, asks the model what becomes of them at the store's
    now, and writes that with the jobs it adds and cancels in one atomic step. So no tick fires twice, whoever looks,
    and none is lost in a crash: it either took place with its job, or is still due. Beyond that a tick's job has an
    id made of the schedule's id and the tick. A schedule goes on whatever becomes of its jobs.
    """

    async def upsert_schedules(
        self, specs: Sequence[ScheduleSpec], /, *, is_declared: bool = False
    ) -> Sequence[UpsertReceipt]:
        """Make these schedules, or change those that are there, in one step; answer in the order of the input.

        Ids are unique in the whole store. See `conveyor.model.schedules.firing.upserted`. Where one was added or
        changed, SCHEDULED is published for its queue.
        """
        ...

    async def get_schedule(self, schedule_id: str, /) -> ScheduleData | None:
        """Return the schedule, or None."""
        ...

    async def list_schedules(self, *, after: str = "", limit: int = 1000) -> Sequence[ScheduleData]:
        """Return schedules whose ids come after this one, by id; ids are compared by code point."""
        ...

    async def pause_schedule(self, schedule_id: str, /) -> ScheduleData:
        """Let a schedule fire no more until it is resumed, and return it. Its jobs stay as they are.

        Raises:
            ScheduleNotFoundError
        """
        ...

    async def resume_schedule(self, schedule_id: str, /) -> ScheduleData:
        """Let it fire again, from its next tick after now on, and return it. SCHEDULED is published.

        Raises:
            ScheduleNotFoundError
        """
        ...

    async def remove_schedule(self, schedule_id: str, /) -> None:
        """Delete a schedule; its jobs stay.

        Raises:
            ScheduleNotFoundError
        """
        ...

    async def run_schedule(self, schedule_id: str, job_id: str, /) -> ScheduleData:
        """Add a job of the schedule under this id, now, paused or not, and return the schedule.

        Its times and its count of fires stay. The same call again adds nothing more.

        Raises:
            ScheduleNotFoundError
            DuplicateJobError, GroupFullError: another job has the id, or its group is full; nothing was done.
        """
        ...

    async def fire_schedules(self, *, limit: int = 100) -> TickReport:
        """Fire the schedules that are due, soonest first, at most so many; return what they did, and when the next is.

        For each, in one step: the jobs that its overlap policy cancels are cancelled, its jobs are added, and its
        next tick is set. Paused schedules are not due. Two calls at once fire each schedule once. Nothing is written
        where nothing is due.
        """
        ...
