"""Keeping jobs: no job is lost, and none runs twice, while workers stop and programs begin and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from conveyor.testing.job_queues.kit import QUEUE, JobQueueKit, needs, needs_no, process

if TYPE_CHECKING:
    from conveyor.testing.job_queues.kit import NewProgram, Program

__all__ = ["KeepingConformance"]


class KeepingConformance(JobQueueKit):
    """What was acknowledged is kept until it has run."""

    async def test_a_job_waits_for_a_worker(self, program: Program) -> None:
        async with program.app:
            needs_no(program.capabilities.runs_at_once, "runs_at_once")
            await program.note.add(1)
            await anyio.wait_all_tasks_blocked()
            assert program.runs == []
            async with program.app.worker():
                await program.until_ran(1)

    async def test_a_stopped_worker_takes_nothing_more_and_the_next_one_goes_on(self, program: Program) -> None:
        async with program.app:
            needs_no(program.capabilities.runs_at_once, "runs_at_once")
            for number in range(3):
                async with program.app.worker():
                    await program.note.add(10 * number)
                    await program.until_ran(2 * number + 1)
                await program.note.add(10 * number + 1)
                await anyio.wait_all_tasks_blocked()
                assert len(program.runs) == 2 * number + 1
                async with program.app.worker():
                    await program.until_ran(2 * number + 2)
        assert program.numbers == [0, 1, 10, 11, 20, 21]

    async def test_what_a_stopping_worker_hands_back_runs_again_and_counts_no_attempt(self, program: Program) -> None:
        program.go_on = anyio.Event()
        async with program.app:
            needs_no(program.capabilities.runs_at_once, "runs_at_once")
            async with program.app.worker(shutdown_grace=0):
                await program.note.add(1)
                await program.until_ran(1)
            program.go_on = None
            async with program.app.worker():
                await program.until_ran(2)
        assert program.runs == [(1, 1), (1, 1)]

    async def test_what_a_stop_hands_back_has_not_begun_and_runs_elsewhere(self, program: Program) -> None:
        program.go_on = anyio.Event()
        async with program.app:
            needs_no(program.capabilities.runs_at_once, "runs_at_once")
            async with program.app.worker(concurrency=1, prefetch=3, shutdown_grace=self.patience_seconds):
                jobs = await program.add(*range(4))
                await program.until_ran(1)
                begun = jobs[program.numbers[0]]
                handed_back = await program.strategy.stop(QUEUE, process)
                assert set(handed_back) <= {job.id for job in jobs} - {begun.id}
                assert list(await program.strategy.stop(QUEUE, process)) == []
                program.go_on.set()
            async with program.app.worker():
                await program.until_ran(4)
        assert sorted(program.runs) == [(number, 1) for number in range(4)]

    async def test_a_worker_that_stops_lets_running_jobs_end(self, program: Program) -> None:
        program.go_on = go_on = anyio.Event()
        async with program.app:
            needs_no(program.capabilities.runs_at_once, "runs_at_once")
            async with anyio.create_task_group() as tasks, program.app.worker():
                await program.note.add(1)
                await program.until_ran(1)
                tasks.start_soon(_set_soon, go_on)
            program.go_on = None
            async with program.app.worker():
                await program.note.add(2)
                await program.until_ran(2)
        assert program.runs == [(1, 1), (2, 1)]

    async def test_jobs_are_there_when_the_program_begins_anew(self, new_program: NewProgram) -> None:
        first, second = new_program(), new_program()
        async with first.app:
            needs(first.capabilities.is_durable, "is_durable")
            needs_no(first.capabilities.runs_at_once, "runs_at_once")
            await first.add(1, 2)
        async with second.app, second.app.worker():
            await second.until_ran(2)
        assert sorted(second.runs) == [(1, 1), (2, 1)]

    async def test_two_programs_run_each_job_once(self, new_program: NewProgram) -> None:
        first, second = new_program(), new_program()
        second.notes = first.notes
        async with first.app:
            needs(first.capabilities.is_shared, "is_shared")
            async with second.app, first.app.worker(), second.app.worker():
                await first.add(*range(50))
                await second.add(*range(50, 100))
                await first.until_ran(100)
        assert sorted(first.numbers) == list(range(100))


async def _set_soon(event: anyio.Event) -> None:
    await anyio.wait_all_tasks_blocked()
    event.set()
