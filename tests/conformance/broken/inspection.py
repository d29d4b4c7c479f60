"""Faults in looking around, and in changing many jobs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.memory.inspection import MemoryInspection
from conveyor.model.bulk import ChangeOutcome
from conveyor.model.queries import JobFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.bulk import ChangeReceipt
    from conveyor.model.states import Command


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
