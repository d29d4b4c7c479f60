"""Retention: settled jobs go when they are old enough, or too many, and no other job does."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import anyio
import pytest
from attrs import evolve

from conveyor.model.job import LogEntry
from conveyor.model.outcomes import Failed
from conveyor.model.queries import Added
from conveyor.model.retention import Retention
from conveyor.model.settlement import Refusal, RefusalReason, settle, settle_completed
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Workshop, ending, lock_of, token_of

__all__ = ["RetentionConformance"]

FOR_EVER: Final = Retention(max_age=None)
TEN_SECONDS: Final = Retention(max_age="10s")
ENDS: Final = [Command.COMPLETE, Command.FAIL, Command.STOP]
OWN: Final = timedelta(seconds=10)
INSTANT: Final = timedelta(microseconds=1)


async def remove(workshop: Workshop, retention: Retention = FOR_EVER, *, limit: int = 1000) -> int:
    """Remove what is outdated of the one queue."""
    return await workshop.jobs.remove_outdated_jobs([QUEUE], retention, limit=limit)


async def finish_in_order(workshop: Workshop, *job_ids: str, queue: str = QUEUE) -> None:
    """Let jobs end one second after the other, in the three ways by turns."""
    await workshop.add(*job_ids, queue=queue)
    jobs = {job.id: job for job in await (await workshop.hand()).fetch(queue=queue)}
    for place, job_id in enumerate(job_ids):
        workshop.clock.advance(1)
        await workshop.finish(jobs[job_id], ENDS[place % len(ENDS)])


async def left(workshop: Workshop, *job_ids: str) -> list[str]:
    """Return those of the jobs that are there."""
    return sorted(await workshop.jobs.find_jobs(job_ids))


class RetentionConformance(StoreKit):
    """A settled job goes at its time, with all that is known of it, and a live one never."""

    @pytest.mark.parametrize("end", ENDS)
    async def test_a_settled_job_goes_at_the_age_and_not_before(self, workshop: Workshop, end: Command) -> None:
        await workshop.finished("a", end)
        workshop.clock.advance(OWN - INSTANT)
        assert await remove(workshop, TEN_SECONDS) == 0
        workshop.clock.advance(INSTANT)
        assert await remove(workshop, TEN_SECONDS) == 1
        assert await workshop.state("a") is None

    async def test_a_job_that_never_ran_goes_by_its_end_too(self, workshop: Workshop) -> None:
        await workshop.add("cancelled")
        await workshop.add("expired", expires="1s")
        await workshop.jobs.cancel_job("cancelled", "enough")
        workshop.clock.advance(1)
        await workshop.jobs.expire_jobs()
        counts: list[int] = []
        for _ in range(2):
            workshop.clock.advance(OWN - timedelta(seconds=1))
            counts.append(await remove(workshop, TEN_SECONDS))
            workshop.clock.advance(1)
        assert counts == [1, 1]

    async def test_without_age_and_number_nothing_goes(self, workshop: Workshop) -> None:
        await workshop.finished("a")
        workshop.clock.advance(timedelta(days=10_000))
        assert await remove(workshop) == 0
        assert await workshop.state("a") is JobState.COMPLETED

    async def test_a_completed_job_goes_by_its_own_duration(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_complete=OWN)
        assert await workshop.settle(settle_completed(job, b"1")) == []
        workshop.clock.advance(OWN - INSTANT)
        assert await remove(workshop) == 0
        assert (await workshop.job("a")).result == b"1"
        workshop.clock.advance(INSTANT)
        assert await remove(workshop) == 1
        assert await workshop.state("a") is None

    async def test_a_failed_job_goes_by_its_own_duration(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_fail=OWN)
        await workshop.settle(settle(job, Failed("no", retry=False), result=None, jitter=0))
        workshop.clock.advance(OWN - INSTANT)
        assert await remove(workshop) == 0
        workshop.clock.advance(INSTANT)
        assert await remove(workshop) == 1

    async def test_a_job_that_stalled_too_often_goes_by_its_own_duration(self, workshop: Workshop) -> None:
        await workshop.fetched("a", remove_on_fail=OWN)
        workshop.clock.advance(LOCK * 2)
        (failed,) = await workshop.jobs.reclaim_stalled_jobs(0)
        assert failed.state is JobState.FAILED
        workshop.clock.advance(OWN - INSTANT)
        assert await remove(workshop) == 0
        workshop.clock.advance(INSTANT)
        assert await remove(workshop) == 1

    async def test_a_duration_for_one_end_says_nothing_of_another(self, workshop: Workshop) -> None:
        job = await workshop.fetched("completed", remove_on_fail=OWN)
        await workshop.settle(settle_completed(job, None))
        job = await workshop.fetched("stopped", remove_on_complete=OWN, remove_on_fail=OWN)
        await workshop.finish(job, Command.STOP)
        await workshop.add("cancelled", remove_on_complete=OWN, remove_on_fail=OWN)
        await workshop.jobs.cancel_job("cancelled", "enough")
        workshop.clock.advance(OWN * 2)
        assert await remove(workshop) == 0

    async def test_a_settlement_that_is_repeated_or_refused_moves_no_duration(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_complete=OWN, remove_on_fail=OWN)
        completed = settle_completed(job, None)
        await workshop.settle(completed)
        workshop.clock.advance(OWN / 2)
        assert await workshop.settle(completed) == []
        plain = await workshop.finished("b")
        failed = settle(job, Failed("no", retry=False), result=None, jitter=0)
        failed_too = evolve(failed, job_id="b", token=token_of(plain))
        assert await workshop.settle(failed, failed_too) == ["a", "b"]
        workshop.clock.advance(OWN / 2)
        assert await remove(workshop) == 1
        workshop.clock.advance(OWN)
        assert await remove(workshop) == 0
        assert await left(workshop, "a", "b") == ["b"]

    @pytest.mark.parametrize("seconds", [5, 20])
    async def test_of_two_durations_the_shorter_wins(self, workshop: Workshop, seconds: int) -> None:
        job = await workshop.fetched("a", remove_on_complete=OWN)
        await workshop.settle(settle_completed(job, None))
        shorter, retention = min(OWN, timedelta(seconds=seconds)), Retention(max_age=seconds)
        workshop.clock.advance(shorter - INSTANT)
        assert await remove(workshop, retention) == 0
        workshop.clock.advance(INSTANT)
        assert await remove(workshop, retention) == 1

    async def test_of_too_many_the_newest_ends_stay(self, workshop: Workshop) -> None:
        await finish_in_order(workshop, "e", "d", "c", "b", "a")
        assert await remove(workshop, Retention(max_age=None, max_count=5)) == 0
        assert await remove(workshop, Retention(max_age=None, max_count=2)) == 3
        assert await left(workshop, *"abcde") == ["a", "b"]

    async def test_the_newest_are_those_that_ended_last_not_those_added_last(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        for job in reversed(await (await workshop.hand()).fetch()):
            workshop.clock.advance(1)
            await workshop.finish(job)
        assert await remove(workshop, Retention(max_age=None, max_count=1)) == 2
        assert await left(workshop, *"abc") == ["a"]

    async def test_the_number_is_that_of_each_queue(self, workshop: Workshop) -> None:
        await finish_in_order(workshop, "a", "b", "c")
        await finish_in_order(workshop, "x", "y", "z", queue="elsewhere")
        retention = Retention(max_age=None, max_count=2)
        assert await workshop.jobs.remove_outdated_jobs([QUEUE, "elsewhere"], retention) == 2
        assert await left(workshop, *"abcxyz") == ["b", "c", "y", "z"]

    async def test_live_jobs_count_for_no_number(self, workshop: Workshop) -> None:
        await finish_in_order(workshop, "a", "b")
        await workshop.add("c", "d", "e")
        assert await remove(workshop, Retention(max_age=None, max_count=2)) == 0

    async def test_of_age_and_number_whichever_says_so_first_wins(self, workshop: Workshop) -> None:
        await finish_in_order(workshop, "a", "b", "c", "d")
        workshop.clock.advance(OWN - timedelta(seconds=1))
        assert await remove(workshop, Retention(max_age=OWN, max_count=3)) == 3
        await finish_in_order(workshop, "e", "f")
        assert await remove(workshop, Retention(max_age=OWN * 2, max_count=2)) == 1
        assert await left(workshop, *"abcdef") == ["e", "f"]

    async def test_other_queues_are_left_alone(self, workshop: Workshop) -> None:
        await finish_in_order(workshop, "a", "b", queue="elsewhere")
        job = await workshop.fetched("c", remove_on_complete=OWN)
        await workshop.settle(settle_completed(job, None))
        workshop.clock.advance(OWN)
        retention = Retention(max_age=OWN, max_count=1)
        assert await workshop.jobs.remove_outdated_jobs([], retention) == 0
        assert await workshop.jobs.remove_outdated_jobs(["nowhere"], retention) == 0
        assert await remove(workshop, retention) == 1
        assert await left(workshop, *"abc") == ["a", "b"]

    async def test_removing_stops_at_the_limit(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c", remove_on_complete=OWN)
        await workshop.settle(*[settle_completed(job, None) for job in await (await workshop.hand()).fetch()])
        await finish_in_order(workshop, "d", "e", "f", "g")
        workshop.clock.advance(OWN - timedelta(seconds=2))
        retention = Retention(max_age=OWN, max_count=1)
        assert await remove(workshop, retention, limit=0) == 0
        assert [await remove(workshop, retention, limit=2) for _ in range(4)] == [2, 2, 2, 0]
        assert await left(workshop, *"abcdefg") == ["g"]

    async def test_removers_at_once_count_each_job_once(self, workshop: Workshop) -> None:
        job_ids = [f"job-{number}" for number in range(20)]
        await finish_in_order(workshop, *job_ids)
        counts: list[int] = []

        async def remove_some() -> None:
            counts.append(await remove(workshop, Retention(max_age=None, max_count=5), limit=4))

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(remove_some)
        assert sorted(counts) == [0, 0, 3, 4, 4, 4]
        assert len(await left(workshop, *job_ids)) == 5

    async def test_a_live_job_never_goes(self, workshop: Workshop) -> None:
        active = await workshop.fetched("active", remove_on_complete=OWN, remove_on_fail=OWN)
        await workshop.add("waiting", remove_on_complete=OWN)
        await workshop.add("delayed", delay="300 days", remove_on_fail=OWN)
        before = await workshop.jobs.find_jobs(["active", "waiting", "delayed"])
        workshop.clock.advance(timedelta(days=100))
        assert await remove(workshop, Retention(max_age=INSTANT, max_count=1)) == 0
        assert await workshop.jobs.find_jobs(["active", "waiting", "delayed"]) == before
        assert await workshop.settle(ending(lock_of(active), Command.COMPLETE)) == []

    async def test_a_rerun_job_is_live_and_counts_from_its_new_end(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_complete=OWN)
        await workshop.settle(settle_completed(job, None))
        await workshop.jobs.rerun_job("a")
        workshop.clock.advance(OWN)
        assert await remove(workshop, TEN_SECONDS) == 0
        await workshop.settle(settle_completed(await (await workshop.hand()).fetch_one(), None))
        workshop.clock.advance(OWN - INSTANT)
        assert await remove(workshop, TEN_SECONDS) == 0
        workshop.clock.advance(INSTANT)
        assert await remove(workshop) == 1

    async def test_a_rerun_job_goes_by_its_last_end_alone(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_complete=OWN)
        await workshop.settle(settle_completed(job, None))
        await workshop.jobs.rerun_job("a")
        await workshop.jobs.cancel_job("a", "enough")
        workshop.clock.advance(OWN)
        assert await remove(workshop) == 0

    async def test_a_job_that_follows_under_the_id_of_another_goes_by_its_own_end(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a", remove_on_complete=OWN)
        await workshop.settle(settle_completed(job, None))
        await workshop.jobs.remove_job("a")
        await workshop.finished("a")
        workshop.clock.advance(OWN)
        assert await remove(workshop) == 0

    async def test_logs_and_history_go_and_the_id_is_free_again(self, workshop: Workshop) -> None:
        await workshop.add("a", attempts=2)
        hand = await workshop.hand()
        await workshop.finish(await hand.fetch_one(), Command.RETRY)
        lock = lock_of(await hand.fetch_one())
        await workshop.jobs.append_logs([LogEntry("a", "hello", lock=lock)])
        await workshop.settle(ending(lock, Command.COMPLETE))
        workshop.clock.advance(OWN)
        assert await remove(workshop, TEN_SECONDS) == 1
        receipt = await workshop.jobs.save_job(workshop.new("a", payload=b"[2]"))
        assert receipt.outcome is Added.ADDED
        assert await workshop.state("a") is JobState.WAITING
        assert await workshop.outcomes("a") == []
        assert list(await workshop.jobs.get_logs("a")) == []

    async def test_removing_again_removes_nothing_more(self, workshop: Workshop) -> None:
        await finish_in_order(workshop, "a", "b", "c")
        retention = Retention(max_age=None, max_count=1)
        assert [await remove(workshop, retention) for _ in range(2)] == [2, 0]
        workshop.clock.advance(OWN)
        assert [await remove(workshop, TEN_SECONDS) for _ in range(2)] == [1, 0]

    async def test_the_settlement_of_an_outdated_job_is_not_found_and_harms_no_heir(self, workshop: Workshop) -> None:
        job = await workshop.finished("a")
        workshop.clock.advance(OWN)
        await remove(workshop, TEN_SECONDS)
        again = ending(lock_of(job), Command.COMPLETE)
        report = await workshop.jobs.settle_jobs([again])
        assert list(report.refused) == [Refusal("a", token_of(job), RefusalReason.NOT_FOUND)]
        heir = await workshop.fetched("a")
        await workshop.jobs.settle_jobs([again])
        assert await workshop.job("a") == heir

    async def test_counts_and_lists_know_nothing_of_what_went(self, workshop: Workshop) -> None:
        await finish_in_order(workshop, "a", "b", "c")
        assert await remove(workshop, Retention(max_age=None, max_count=1)) == 2
        counts = await workshop.queues.get_job_counts(QUEUE)
        assert (counts[JobState.COMPLETED], counts[JobState.FAILED], counts[JobState.CANCELLED]) == (0, 0, 1)
        assert [job.id for job in await workshop.queues.list_jobs(QUEUE, JobState.CANCELLED)] == ["c"]
