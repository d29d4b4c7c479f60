"""Suspects: jobs that stalled before, which are fetched apart, one at a time."""

from __future__ import annotations

from conveyor.model.queries import ALL_NAMES, Want
from conveyor.model.states import Command
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Workshop, ending, lock_of

__all__ = ["SuspectsConformance"]

SUSPECT = Want(QUEUE, 10, is_suspect=True)


async def stall(workshop: Workshop, *job_ids: str, priority: int = 0) -> None:
    """Add jobs and let the worker die that fetched them."""
    await workshop.add(*job_ids, priority=priority)
    await (await workshop.hand()).fetch()
    workshop.clock.advance(LOCK * 2)
    await workshop.jobs.reclaim_stalled_jobs(3)


class SuspectsConformance(StoreKit):
    """A job that stalled takes no neighbours with it the next time (P8)."""

    async def test_an_ordinary_fetch_passes_over_suspects(self, workshop: Workshop) -> None:
        await stall(workshop, "a", "b")
        await workshop.add("c")
        hand = await workshop.hand()
        assert [job.id for job in await hand.fetch()] == ["c"]
        assert list(await hand.fetch(lifo=True)) == []
        assert list(await hand.fetch(job_name="pack")) == []

    async def test_a_fetch_of_suspects_passes_over_the_others(self, workshop: Workshop) -> None:
        await workshop.add("a")
        assert list(await (await workshop.hand()).fetch_suspects()) == []
        await stall(workshop, "b")
        assert [job.id for job in await (await workshop.hand()).fetch_suspects()] == ["a"]

    async def test_one_suspect_is_given_whatever_the_limit(self, workshop: Workshop) -> None:
        await stall(workshop, "a", "b")
        hand = await workshop.hand()
        assert [job.id for job in await hand.fetch_suspects(0)] == []
        assert [job.id for job in await hand.fetch_suspects(100)] == ["a"]

    async def test_a_session_is_given_no_second_suspect(self, workshop: Workshop) -> None:
        await stall(workshop, "a", "b")
        hand = await workshop.hand()
        held = await hand.fetch_suspect()
        assert list(await hand.fetch_suspects()) == []
        other = await (await workshop.hand()).fetch_suspect()
        assert other.id == "b"
        await workshop.jobs.release_locks([lock_of(other)])
        await workshop.finish(held)
        assert (await hand.fetch_suspect()).id == "b"

    async def test_two_wants_of_one_fetch_are_given_one_suspect(self, workshop: Workshop) -> None:
        await workshop.add("x", queue="elsewhere")
        await (await workshop.hand()).fetch(queue="elsewhere")
        await stall(workshop, "a", "b")
        hand = await workshop.hand()
        jobs = await hand.fetch_wants(Want("elsewhere", 1, is_suspect=True), SUSPECT)
        assert [job.id for job in jobs] == ["x"]

    async def test_suspects_and_others_in_one_fetch_come_in_the_order_of_the_wants(self, workshop: Workshop) -> None:
        await stall(workshop, "a")
        await workshop.add("b", "c")
        jobs = await (await workshop.hand()).fetch_wants(Want(QUEUE, 2), SUSPECT)
        assert [job.id for job in jobs] == ["b", "c", "a"]

    async def test_suspects_come_in_the_usual_order(self, workshop: Workshop) -> None:
        await stall(workshop, "a", "b")
        await stall(workshop, "urgent", priority=-1)
        wants = Want(QUEUE, 1, lifo=True, is_suspect=True)
        ids = [job.id for _ in range(3) for job in await (await workshop.hand()).fetch_wants(wants)]
        assert ids == ["urgent", "a", "b"]

    async def test_suspects_of_one_name_can_be_wanted(self, workshop: Workshop) -> None:
        await stall(workshop, "a")
        hand = await workshop.hand()
        assert list(await hand.fetch_wants(Want(QUEUE, 1, job_name="ship", is_suspect=True))) == []
        assert len(await hand.fetch_wants(Want(QUEUE, 1, job_name="pack", is_suspect=True))) == 1

    async def test_the_same_fetch_again_gives_the_same_suspect(self, workshop: Workshop) -> None:
        await stall(workshop, "a", "b")
        hand = await workshop.hand()
        first = await hand.fetch_wants(SUSPECT)
        assert list(await hand.repeat_fetch(SUSPECT)) == list(first)

    async def test_a_suspect_may_come_with_a_settlement(self, workshop: Workshop) -> None:
        await stall(workshop, "a", "b")
        hand = await workshop.hand()
        job = await hand.fetch_suspect()
        report = await hand.settle_and_fetch(ending(lock_of(job), Command.COMPLETE), SUSPECT)
        assert [job.id for job in report.jobs] == ["b"]

    async def test_a_job_stays_suspect_when_it_is_handed_back_or_tried_again(self, workshop: Workshop) -> None:
        await stall(workshop, "a")
        hand = await workshop.hand()
        await workshop.jobs.release_locks([lock_of(await hand.fetch_suspect())])
        await workshop.finish(await hand.fetch_suspect(), Command.RETRY)
        await workshop.finish(await hand.fetch_suspect(), Command.DELAY)
        workshop.clock.advance(10)
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert list(await hand.fetch()) == []
        assert (await hand.fetch_suspect()).id == "a"

    async def test_a_rerun_job_is_no_suspect(self, workshop: Workshop) -> None:
        await stall(workshop, "a")
        hand = await workshop.hand()
        await workshop.finish(await hand.fetch_suspect(), Command.FAIL)
        await workshop.jobs.rerun_job("a")
        assert list(await workshop.jobs.get_suspect_queues([QUEUE])) == []
        assert (await hand.fetch_one()).id == "a"

    async def test_a_suspect_waits_like_any_other_job(self, workshop: Workshop) -> None:
        await stall(workshop, "a")
        await workshop.add("b")
        assert (await workshop.queues.get_job_counts(QUEUE))[(await workshop.job("a")).state] == 2
        assert await workshop.queues.drain(QUEUE) == 2
        assert list(await workshop.jobs.get_suspect_queues([QUEUE])) == []

    async def test_the_queues_with_suspects_are_told(self, workshop: Workshop) -> None:
        await workshop.add("x", queue="elsewhere")
        await stall(workshop, "a")
        assert list(await workshop.jobs.get_suspect_queues(["nowhere", "elsewhere", QUEUE])) == [QUEUE]
        assert list(await workshop.jobs.get_suspect_queues([])) == []
        await (await workshop.hand()).fetch_suspect()
        assert list(await workshop.jobs.get_suspect_queues([QUEUE])) == []

    async def test_paused_suspects_are_neither_told_nor_given(self, workshop: Workshop) -> None:
        await stall(workshop, "a")
        hand = await workshop.hand()
        for name in ("pack", ALL_NAMES):
            await workshop.queues.pause_job_name(QUEUE, name)
            assert list(await workshop.jobs.get_suspect_queues([QUEUE])) == []
            assert list(await hand.fetch_suspects()) == []
            await workshop.queues.resume_job_name(QUEUE, name)
        assert list(await workshop.jobs.get_suspect_queues([QUEUE])) == [QUEUE]
