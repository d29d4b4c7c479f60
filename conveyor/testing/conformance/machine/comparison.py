"""Comparing a store with the reference: all that can be seen of both after a step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.errors import JobError
from conveyor.model.batches.values import BatchFilter
from conveyor.model.states import SETTLED_STATES, Command, JobState
from conveyor.testing.conformance.machine.draws import BATCHES, NEW_DELAY, NEW_PAYLOAD, NEW_PRIORITY
from conveyor.testing.conformance.machine.tables import view_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from conveyor.contracts.store import BatchStore, JobStore, Store
    from conveyor.model.batches.values import BatchJobData
    from conveyor.model.job import JobData
    from conveyor.testing.conformance.machine.scheduling import WholeReference

__all__ = ["Comparison", "command_job"]

NOTHING: Final = timedelta(0)
STATES: Final = list(JobState)


class Comparison:
    """Looks at a store and at the reference beside it, and asserts that they agree."""

    def __init__(
        self, store: Store, reference: WholeReference, job_ids: Sequence[str], queue_names: Sequence[str]
    ) -> None:
        self._store = store
        self._reference = reference
        self._job_ids = job_ids
        self._queue_names = queue_names
        self._looks = 0

    async def look(self) -> None:
        """Compare every job, the counts and the times; of lists and histories one after the other, look by look."""
        expected = self._reference.views()
        # Those that schedules added have ids that are not drawn.
        found = await self._store.jobs.find_jobs([*self._job_ids, *(expected.keys() - set(self._job_ids))])
        assert {job_id: view_of(job) for job_id, job in found.items()} == expected
        for queue in self._queue_names:
            counts = dict(await self._store.queues.get_job_counts(queue))
            assert counts == {state: len(self._reference.select(queue, state)) for state in JobState}
        next_due = await self._store.jobs.get_next_delayed_timestamp(self._queue_names)
        assert next_due == self._reference.next_due(self._queue_names)
        suspects = await self._store.jobs.get_suspect_queues(self._queue_names)
        assert list(suspects) == self._reference.suspect_queues(self._queue_names)
        stalled = await self._store.jobs.get_stalled_jobs(NOTHING)
        assert sorted(job.id for job in stalled) == self._reference.stalled(NOTHING)
        await self._compare_governing()
        await self._compare_buffers()
        if self._store.batches is not None:
            await self._compare_batches(self._store.batches)
        self._looks += 1
        await self._compare_list(
            self._queue_names[self._looks % len(self._queue_names)], STATES[self._looks % len(STATES)]
        )
        await self._compare_history(self._job_ids[self._looks % len(self._job_ids)])
        await self._compare_family(self._job_ids[self._looks % len(self._job_ids)])

    async def look_at_histories(self) -> None:
        """Compare the runs that ended, and the log lines, of every job."""
        for job_id in self._job_ids:
            await self._compare_history(job_id)
            await self._compare_family(job_id)
        if self._store.flows is not None:
            assert await self._store.flows.repair_flows() == 0

    async def _compare_governing(self) -> None:
        """Compare how far limits are used, and how schedules stand."""
        if self._store.limits is not None:
            for queue in self._queue_names:
                usages = await self._store.limits.get_limit_usages(queue)
                told = [(one.scope, one.key, one.kind, one.used, one.max, one.waiting) for one in usages]
                assert sorted(told) == self._reference.usages(queue)
        if self._store.schedules is not None:
            schedules = await self._store.schedules.list_schedules()
            assert {schedule.id: schedule for schedule in schedules} == self._reference.schedules

    async def _compare_buffers(self) -> None:
        """Compare what is in buffers, and where the jobs went that are there no more."""
        if self._store.buffers is not None:
            assert dict(await self._store.buffers.get_sizes()) == self._reference.sizes()
            assert dict(await self._store.buffers.find_places(self._job_ids)) == self._reference.places()
            found = await self._store.buffers.find_ids("", limit=len(self._job_ids))
            assert list(found) == sorted(self._reference.places())

    async def _compare_batches(self, batches: BatchStore) -> None:
        """Compare batch jobs, page by page, those that nobody works for, and of one after the other what it has."""
        expected = self._reference.batches
        newest = sorted(expected.values(), key=lambda one: (-one.data.created_at.timestamp(), one.data.id))
        found: list[BatchJobData] = []
        cursor: str | None = None
        for _ in range(len(BATCHES)):
            page = await batches.find_batches(BatchFilter(), cursor=cursor, limit=2)
            found += page.batches
            cursor = page.cursor
            if cursor is None:
                break
        assert found == [one.data for one in newest]
        stranded = await batches.find_stranded()
        told = [(one.batch.id, None if one.job is None else one.job.id) for one in stranded]
        assert told == self._reference.stranded()
        batch_id = BATCHES[self._looks % len(BATCHES)]
        batch = expected.get(batch_id)
        assert await batches.get_batch(batch_id) == (None if batch is None else batch.data)
        errors = [] if batch is None else [batch.errors[number] for number in sorted(batch.errors)]
        assert list(await batches.get_errors(batch_id)) == errors
        if self._store.batch_parts is not None:
            parts = [] if batch is None else list(batch.parts.values())
            assert list(await self._store.batch_parts.get_parts(batch_id)) == parts

    async def _compare_list(self, queue: str, state: JobState) -> None:
        listed = await self._store.queues.list_jobs(queue, state)
        expected = [job.new.id for job in self._reference.select(queue, state)]
        if state not in SETTLED_STATES:
            assert [job.id for job in listed] == expected
            return
        # Nothing says who goes first of those that ended at the same moment.
        ended = [job.finished_at for job in listed if job.finished_at]
        assert ended == sorted(ended, reverse=True)
        assert sorted(job.id for job in listed) == sorted(expected)

    async def _compare_family(self, job_id: str) -> None:
        flows = self._store.flows
        if flows is None:
            return
        known = await flows.get_children(job_id)
        told = [(one.job_id, one.queue_name, one.name, one.outcome, one.result) for one in known]
        assert told == self._reference.children(job_id)
        assert list(await flows.get_parent_ids(job_id)) == self._reference.parent_ids(job_id)

    async def _compare_history(self, job_id: str) -> None:
        job = self._reference.find(job_id)
        if job is None:
            return
        attempts = await self._store.jobs.get_attempts(job_id)
        told = [(one.number, one.token, one.started_at, one.ended_at, one.outcome) for one in attempts]
        assert told == job.attempts
        assert len(await self._store.jobs.get_logs(job_id)) == job.lines


async def command_job(
    jobs: JobStore, job_id: str, command: Command, payload: bytes | None, now: datetime
) -> JobState | str | None:
    """Give a job an operator's command; return its new state, None where it is gone, or the name of the error."""
    verbs: dict[Command, Callable[[], Awaitable[JobData | None]]] = {
        Command.CANCEL: lambda: jobs.cancel_job(job_id, "enough"),
        Command.PROMOTE: lambda: jobs.promote_job(job_id),
        Command.RERUN: lambda: jobs.rerun_job(job_id, payload),
        Command.REMOVE: lambda: jobs.remove_job(job_id),
        Command.UPDATE_DATA: lambda: jobs.update_data(job_id, NEW_PAYLOAD),
        Command.CHANGE_DELAY: lambda: jobs.change_delay(job_id, NEW_DELAY),
        Command.CHANGE_PRIORITY: lambda: jobs.change_priority(job_id, NEW_PRIORITY),
        Command.MOVE_TO_DELAYED: lambda: jobs.move_to_delayed(job_id, now + NEW_DELAY),
        Command.MOVE_TO_FAILED: lambda: jobs.move_to_failed(job_id, "enough"),
        Command.DISCARD: lambda: jobs.discard(job_id),
    }
    try:
        job = await verbs[command]()
    except JobError as error:
        return type(error).__name__
    return None if job is None else job.state
