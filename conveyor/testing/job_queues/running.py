"""Running jobs: each with its arguments, in order, as often as it is asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conveyor.errors import CapabilityError
from conveyor.model.queries import AddReceipt
from conveyor.testing.job_queues.kit import QUEUE, JobQueueKit, needs, needs_no

if TYPE_CHECKING:
    from conveyor.testing.job_queues.kit import Program

__all__ = ["RunningConformance"]

# By capability: options that need it.
NEEDS: dict[str, dict[str, Any]] = {
    "has_delays": {"delay": "1h"},
    "has_retries": {"attempts": 2},
    "has_priorities": {"priority": 1},
    "has_expiry": {"expires": "1h"},
}


class RunningConformance(JobQueueKit):
    """A job that was added runs."""

    async def test_a_job_runs_with_its_arguments(self, program: Program) -> None:
        async with program.app, program.app.worker():
            await program.note.add(7)
            await program.until_ran(1)
        assert program.runs == [(7, 1)]

    async def test_jobs_run_in_the_order_in_which_they_were_added(self, program: Program) -> None:
        # Without prefetch: what was fetched ahead and goes back may be passed by.
        async with program.app, program.app.worker(concurrency=1, prefetch=0):
            await program.add(*range(5))
            for number in range(5, 10):
                await program.note.add(number)
            await program.until_ran(10)
        assert program.numbers == list(range(10))

    async def test_each_of_many_jobs_runs_once(self, program: Program) -> None:
        async with program.app, program.app.worker():
            await program.add(*range(200))
            await program.until_ran(200)
        assert sorted(program.runs) == [(number, 1) for number in range(200)]

    async def test_each_queue_has_its_own_jobs(self, program: Program) -> None:
        others: list[int] = []

        @program.app.queue("others").job()
        async def other(number: int) -> None:
            others.append(number)
            await program.note.add(number + 1)

        async with program.app, program.app.worker():
            await other.add(1)
            await program.until_ran(1)
        assert (others, program.numbers) == ([1], [2])

    async def test_the_same_add_again_adds_nothing_and_another_job_under_its_id_is_refused(
        self, program: Program
    ) -> None:
        async with program.app:
            needs(program.capabilities.has_unique_ids, "has_unique_ids")
            job = program.note.new(1)
            other = program.note.options(job_id=job.id).new(2)
            given = [await program.strategy.add(one) for one in (job, job, other)]
            # One that keeps ids apart says so.
            answers = [answer for answer in given if isinstance(answer, AddReceipt)]
            assert [str(answer.outcome) for answer in answers] == ["added", "added", "duplicate"]
            assert {answer.job_id for answer in answers} == {job.id}
            async with program.app.worker():
                await program.note.add(3)
                await program.until_ran(2)
        assert sorted(program.numbers) == [1, 3]

    async def test_a_failed_job_runs_as_often_as_it_may(self, program: Program) -> None:
        program.failures = 2
        async with program.app, program.app.worker(concurrency=1):
            needs(program.capabilities.has_retries, "has_retries")
            await program.note.options(attempts=3).add(1)
            await program.until_ran(3)
            await program.note.add(2)
            await program.until_ran(4)
        assert program.runs == [(1, 1), (1, 2), (1, 3), (2, 1)]

    async def test_a_job_that_failed_for_good_does_not_run_again(self, program: Program) -> None:
        program.failures = 1
        async with program.app, program.app.worker(concurrency=1):
            await program.note.add(1)
            await program.note.add(2)
            await program.until_ran(2)
            await program.note.add(3)
            await program.until_ran(3)
        assert program.runs == [(1, 1), (2, 1), (3, 1)]

    async def test_a_delayed_job_runs_when_its_time_has_come(self, program: Program) -> None:
        async with program.app, program.app.worker(concurrency=1):
            needs(program.capabilities.has_delays, "has_delays")
            await program.note.options(delay="1s").add(1)
            await program.note.add(2)
            await program.until_ran(2)
        assert program.numbers == [2, 1]

    async def test_a_lower_priority_runs_first(self, program: Program) -> None:
        async with program.app:
            needs(program.capabilities.has_priorities, "has_priorities")
            needs_no(program.capabilities.runs_at_once, "runs_at_once")
            for number in (3, 1, 2):
                await program.note.options(priority=number).add(number)
            async with program.app.worker(concurrency=1, prefetch=0):
                await program.until_ran(3)
        assert program.numbers == [1, 2, 3]

    @pytest.mark.parametrize("capability", sorted(NEEDS))
    async def test_what_is_not_declared_is_refused_and_nothing_is_added(
        self, program: Program, capability: str
    ) -> None:
        queue = program.app.queue(QUEUE)
        async with program.app, program.app.worker(concurrency=1):
            needs_no(getattr(program.capabilities, capability), capability)
            with pytest.raises(CapabilityError, match=capability):
                await queue.add_many(
                    [queue.new("note", {"number": 1}), queue.new("note", {"number": 2}, **NEEDS[capability])]
                )
            await program.note.add(3)
            await program.until_ran(1)
        assert program.numbers == [3]
