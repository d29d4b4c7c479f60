"""Faults in looking around, and in changing many jobs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.memory.inspection import MemoryInspection
from conveyor.model.bulk import ChangeOutcome
from conveyor.model.error_groups import ErrorGroupPage, cursor_after, parse_cursor
from conveyor.model.queries import JobFilter
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.bulk import ChangeReceipt
    from conveyor.model.error_groups import ErrorGroup, ErrorGroupFilter
    from conveyor.model.states import Command


class EndedOtherwiseGrouped(MemoryInspection):
    """Counts what failed before and was cancelled after a rerun, as if it were failed still."""

    async def list_error_groups(
        self, wanted: ErrorGroupFilter, /, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        page = await super().list_error_groups(wanted, cursor=cursor, limit=limit)
        queues = self._tables.queues.values()
        others = sum(len(queue.by_state[JobState.CANCELLED]) for queue in queues)
        return ErrorGroupPage([evolve(group, count=group.count + others) for group in page.groups], page.next_cursor)


class FirstIsTheExample(MemoryInspection):
    """Shows the job that failed first."""

    async def list_error_groups(
        self, wanted: ErrorGroupFilter, /, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        page = await super().list_error_groups(wanted, cursor=cursor, limit=limit)
        return ErrorGroupPage([self._shown(group) for group in page.groups], page.next_cursor)

    def _shown(self, group: ErrorGroup) -> ErrorGroup:
        alike = [
            job
            for record in self._tables.jobs.values()
            if (job := record.snapshot()).error is not None and job.error.fingerprint == group.id
        ]
        return evolve(group, example_id=min(alike, key=lambda job: job.finished_at or group.last_at).id)


class GroupsInAnyOrder(MemoryInspection):
    """Sorts groups by their ids."""

    async def list_error_groups(
        self, wanted: ErrorGroupFilter, /, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        page = await super().list_error_groups(wanted, cursor=cursor, limit=limit)
        return ErrorGroupPage(sorted(page.groups, key=lambda group: group.id), page.next_cursor)


class GroupsOfOneTimeLost(MemoryInspection):
    """Goes on after the time of the last group, whatever else failed at that time."""

    async def list_error_groups(
        self, wanted: ErrorGroupFilter, /, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        page = await super().list_error_groups(wanted, limit=1000)
        groups = (
            page.groups if cursor is None else [one for one in page.groups if one.last_at < parse_cursor(cursor)[0]]
        )
        more = len(groups) > limit
        return ErrorGroupPage(groups[:limit], cursor_after(groups[limit - 1]) if more else None)


class FilterNotCheckedAgain(MemoryInspection):
    """Changes the jobs of these ids, whatever has become of them since they were found."""

    async def change_jobs(
        self, command: Command, job_ids: Sequence[str], wanted: JobFilter, /, *, reason: str = ""
    ) -> Sequence[ChangeReceipt]:
        return await super().change_jobs(command, job_ids, JobFilter(), reason=reason)


class BulkStopsAtTheFirstRefused(MemoryInspection):
    """Answers no further once a job was in the wrong state."""

    async def change_jobs(
        self, command: Command, job_ids: Sequence[str], wanted: JobFilter, /, *, reason: str = ""
    ) -> Sequence[ChangeReceipt]:
        receipts: list[ChangeReceipt] = []
        for job_id in job_ids:
            receipts += await super().change_jobs(command, [job_id], wanted, reason=reason)
            if receipts[-1].outcome is ChangeOutcome.REFUSED:
                break
        return receipts


class ReasonForgotten(MemoryInspection):
    """Cancels without a word."""

    async def change_jobs(
        self, command: Command, job_ids: Sequence[str], wanted: JobFilter, /, *, reason: str = ""
    ) -> Sequence[ChangeReceipt]:
        return await super().change_jobs(command, job_ids, wanted)
