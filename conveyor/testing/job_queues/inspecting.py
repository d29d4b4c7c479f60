"""Looking into a strategy: finding, counting out, cancelling."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conveyor.contracts.job_queue import InspectableJobQueueStrategy
from conveyor.errors import InvalidJobStateError, JobNotFoundError
from conveyor.model.queries import JobFilter
from conveyor.model.states import JobState
from conveyor.testing.job_queues.kit import QUEUE, JobQueueKit, needs, needs_no

if TYPE_CHECKING:
    from conveyor.testing.job_queues.kit import Program

__all__ = ["InspectingConformance"]

NOT_LONG: timedelta = timedelta(0)


def inspectable(program: Program) -> InspectableJobQueueStrategy:
    """Return the strategy as one that can be looked into."""
    is_inspectable = isinstance(program.strategy, InspectableJobQueueStrategy)
    needs(is_inspectable, "InspectableJobQueueStrategy")
    assert isinstance(program.strategy, InspectableJobQueueStrategy)
    return program.strategy


class InspectingConformance(JobQueueKit):
    """What a strategy shows is what there is."""

    async def test_a_job_that_ended_shows_how(self, program: Program) -> None:
        async with program.app, program.app.worker():
            strategy = inspectable(program)
            job = await program.note.add(4)
            assert await job.result(timeout=self.patience_seconds) == 8
            found = await strategy.find_one(job.id)
            assert found is not None
            assert (found.state, found.result, found.queue_name, found.name) == (
                JobState.COMPLETED,
                b"8",
                QUEUE,
                "note",
            )
            assert found.finished_at is not None

    async def test_a_job_that_failed_shows_why(self, program: Program) -> None:
        program.failures = 1
        async with program.app, program.app.worker():
            strategy = inspectable(program)
            job = await program.note.add(4)
            await job.wait_until_finished(timeout=self.patience_seconds)
            found = await strategy.find_one(job.id)
            assert found is not None
            assert (found.state, found.attempts_made) == (JobState.FAILED, 1)
            assert found.error is not None
            assert (found.error.type, found.error.message) == ("ValueError", "the ink is dry")

    async def test_nothing_is_found_of_what_is_not_there(self, program: Program) -> None:
        async with program.app:
            strategy = inspectable(program)
            assert await strategy.find_one("nobody") is None
            assert await strategy.find_many_by_id(["nobody"]) == []
            assert list((await strategy.find_many(JobFilter())).jobs) == []
            assert await strategy.remove_settled_jobs((), NOT_LONG) == 0
            with pytest.raises(JobNotFoundError):
                await strategy.cancel_job("nobody", "sold out")

    async def test_jobs_are_found_by_their_ids_in_the_order_that_is_asked_for(self, program: Program) -> None:
        async with program.app:
            strategy = inspectable(program)
            first, second = await program.add(1, 2)
            found = await strategy.find_many_by_id([second.id, "nobody", first.id])
            assert [job.id for job in found] == [second.id, first.id]

    @pytest.mark.parametrize("oldest_first", [False, True])
    async def test_a_search_goes_page_by_page_in_either_order(self, program: Program, *, oldest_first: bool) -> None:
        async with program.app:
            strategy = inspectable(program)
            jobs = await program.add(*range(5))
            await program.app.queue("others").add("other")
            wanted, cursor, found = JobFilter(queue_names=(QUEUE,)), None, []
            while True:
                page = await strategy.find_many(wanted, cursor=cursor, limit=2, oldest_first=oldest_first)
                assert len(page.jobs) <= 2
                found += [job.id for job in page.jobs]
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert found == sorted((job.id for job in jobs), reverse=not oldest_first)

    async def test_a_search_finds_what_matches(self, program: Program) -> None:
        program.failures = 1
        async with program.app, program.app.worker(concurrency=1):
            strategy = inspectable(program)
            failed, completed = await program.add(1, 2)
            await completed.wait_until_finished(timeout=self.patience_seconds)
            for state, job in ((JobState.FAILED, failed), (JobState.COMPLETED, completed)):
                page = await strategy.find_many(JobFilter(states=(state,)))
                assert [found.id for found in page.jobs] == [job.id]

    async def test_only_settled_jobs_of_the_queues_named_are_removed(self, program: Program) -> None:
        async with program.app:
            strategy = inspectable(program)
            async with program.app.worker():
                (job,) = await program.add(1)
                await job.wait_until_finished(timeout=self.patience_seconds)
            assert await strategy.remove_settled_jobs((QUEUE,), timedelta(hours=1)) == 0
            assert await strategy.remove_settled_jobs(("others",), NOT_LONG) == 0
            assert await strategy.remove_settled_jobs((QUEUE,), NOT_LONG) == 1
            assert await strategy.find_one(job.id) is None

    async def test_a_job_that_waits_is_cancelled_and_never_runs(self, program: Program) -> None:
        async with program.app:
            strategy = inspectable(program)
            needs_no(program.capabilities.runs_at_once, "runs_at_once")
            first, _ = await program.add(1, 2)
            cancelled = await strategy.cancel_job(first.id, "sold out")
            assert cancelled.state is JobState.CANCELLED
            async with program.app.worker():
                await program.until_ran(1)
        assert program.numbers == [2]

    async def test_a_job_that_ended_cannot_be_cancelled(self, program: Program) -> None:
        async with program.app, program.app.worker():
            strategy = inspectable(program)
            job = await program.note.add(1)
            await job.wait_until_finished(timeout=self.patience_seconds)
            with pytest.raises(InvalidJobStateError):
                await strategy.cancel_job(job.id, "too late")
            found = await strategy.find_one(job.id)
            assert found is not None
            assert found.state is JobState.COMPLETED
