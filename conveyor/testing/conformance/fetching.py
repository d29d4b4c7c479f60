"""Fetching: who gets which job, how many, and what the run is told."""

from __future__ import annotations

import pytest

from conveyor.errors import SessionLostError
from conveyor.model.locks import LockToken
from conveyor.model.queries import Want
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Hand, Workshop, ending, lock_of

__all__ = ["FetchingConformance"]


class FetchingConformance(StoreKit):
    """A fetch locks the next jobs for one session, and says so in every field."""

    async def test_a_fetched_job_is_active_under_the_token_of_its_fetch(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        assert (job.id, job.state) == ("a", JobState.ACTIVE)
        assert job.token == LockToken(hand.id, 1)
        assert job.started_at == workshop.clock.now()

    async def test_what_a_fetch_returns_is_what_the_store_has(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        assert await workshop.job("a") == job

    async def test_a_started_at_is_the_time_of_the_fetch(self, workshop: Workshop) -> None:
        await workshop.add("a")
        workshop.clock.advance("10 minutes")
        job = await (await workshop.hand()).fetch_one()
        assert job.started_at == workshop.clock.now()
        assert job.created_at < workshop.clock.now()

    async def test_a_fetch_takes_no_more_than_its_limit(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        assert [job.id for job in await hand.fetch(2)] == ["a", "b"]
        assert [job.id for job in await hand.fetch(2)] == ["c"]

    async def test_an_empty_queue_gives_nothing(self, workshop: Workshop) -> None:
        assert list(await (await workshop.hand()).fetch()) == []

    async def test_no_job_is_given_to_two_fetches(self, workshop: Workshop) -> None:
        await workshop.add("a")
        first, second = await workshop.hand(), await workshop.hand()
        assert [job.id for job in await first.fetch()] == ["a"]
        assert list(await second.fetch()) == []
        assert list(await first.fetch()) == []

    async def test_a_fetch_takes_from_the_wanted_queue_only(self, workshop: Workshop) -> None:
        await workshop.add("a")
        await workshop.add("b", queue="elsewhere")
        assert await workshop.fetch_order(queue="elsewhere") == ["b"]

    async def test_several_wants_are_served_at_once(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        await workshop.add("x", "y", queue="elsewhere")
        hand = await workshop.hand()
        jobs = await hand.fetch_wants(Want(QUEUE, 2), Want("elsewhere", 1), Want("nowhere", 5))
        assert [job.id for job in jobs if job.queue_name == QUEUE] == ["a", "b"]
        assert [job.id for job in jobs if job.queue_name == "elsewhere"] == ["x"]
        assert {job.token for job in jobs} == {LockToken(hand.id, 1)}

    async def test_two_wants_of_one_queue_never_get_one_job_twice(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        jobs = await (await workshop.hand()).fetch_wants(Want(QUEUE, 2), Want(QUEUE, 2))
        assert sorted(job.id for job in jobs) == ["a", "b", "c"]

    async def test_a_want_of_one_name_passes_over_the_others(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", name="pack")
        await workshop.add("c", "d", name="ship")
        hand = await workshop.hand()
        assert [job.id for job in await hand.fetch(job_name="ship")] == ["c", "d"]
        assert [job.id for job in await hand.fetch()] == ["a", "b"]

    async def test_a_want_of_nothing_takes_nothing(self, workshop: Workshop) -> None:
        await workshop.add("a")
        assert list(await (await workshop.hand()).fetch(0)) == []
        assert await workshop.state("a") is JobState.WAITING

    async def test_a_fetch_without_a_session_is_refused(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = Hand(workshop.store)
        with pytest.raises(SessionLostError) as caught:
            await hand.fetch()
        assert caught.value.session_id == hand.id
        assert await workshop.state("a") is JobState.WAITING

    async def test_a_fetch_after_the_session_closed_is_refused(self, workshop: Workshop) -> None:
        hand = await workshop.hand()
        await workshop.sessions.close(hand.id)
        with pytest.raises(SessionLostError):
            await hand.fetch()

    async def test_a_settle_that_fetches_without_a_session_is_refused_and_settles_nothing(
        self, workshop: Workshop
    ) -> None:
        await workshop.add("a", "b")
        hand, nobody = await workshop.hand(), Hand(workshop.store)
        settlement = ending(lock_of(await hand.fetch_one()), Command.COMPLETE)
        with pytest.raises(SessionLostError):
            await nobody.settle_and_fetch(settlement, Want(QUEUE, 1))
        assert await workshop.state("a") is JobState.ACTIVE
        assert await workshop.state("b") is JobState.WAITING
        assert await workshop.settle(settlement) == []

    async def test_the_same_fetch_number_gives_the_same_jobs(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        jobs = await hand.fetch(2)
        assert list(await hand.repeat_fetch()) == list(jobs)
        assert await workshop.state("c") is JobState.WAITING

    async def test_the_same_fetch_number_locks_nothing_new_once_its_jobs_are_settled(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        first, second = await hand.fetch(2)
        await workshop.finish(first)
        assert [job.id for job in await hand.repeat_fetch()] == [second.id]
        await workshop.finish(second)
        assert list(await hand.repeat_fetch()) == []
        assert await workshop.state("c") is JobState.WAITING

    async def test_a_fetch_number_stands_for_its_own_jobs_alone(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        first, second = await hand.fetch(1), await hand.fetch(1)
        assert list(await hand.repeat_fetch()) == list(second)
        hand.fetches = 1
        assert list(await hand.repeat_fetch()) == list(first)
        assert await workshop.state("c") is JobState.WAITING

    async def test_the_same_fetch_number_locks_nothing_new_after_an_empty_answer(self, workshop: Workshop) -> None:
        hand = await workshop.hand()
        assert list(await hand.fetch()) == []
        await workshop.add("a")
        assert list(await hand.repeat_fetch()) == []
        assert await workshop.state("a") is JobState.WAITING

    async def test_the_same_fetch_number_does_not_give_what_another_session_has_now(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        await workshop.jobs.release_locks([lock_of(job)])
        taken = await (await workshop.hand()).fetch_one()
        assert list(await hand.repeat_fetch()) == []
        assert await workshop.job("a") == taken

    async def test_fetch_numbers_of_two_sessions_have_nothing_to_do_with_each_other(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        first, second = await workshop.hand(), await workshop.hand()
        assert [job.id for job in await first.fetch(1)] == ["a"]
        assert [job.id for job in await second.fetch(1)] == ["b"]

    async def test_a_fetch_keeps_what_the_session_already_holds(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        await hand.fetch(1)
        workshop.clock.advance(LOCK * 0.9)
        await hand.fetch(1)
        workshop.clock.advance(LOCK * 0.9)
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []

    async def test_a_fetch_never_shortens_the_lock(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = Hand(workshop.store)
        await hand.open(LOCK * 10)
        await hand.fetch(1)
        workshop.clock.advance(LOCK * 9)
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []

    async def test_a_fetch_during_settling_gives_the_next_jobs(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        report = await hand.settle_and_fetch(ending(lock_of(job), Command.COMPLETE), Want(QUEUE, 5))
        assert list(report.refused) == []
        assert [(job.id, job.token) for job in report.jobs] == [("b", LockToken(hand.id, 2))]

    async def test_a_fetch_during_settling_sees_what_was_settled(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        hand = await workshop.hand()
        report = await hand.settle_and_fetch(ending(lock_of(job), Command.RETRY), Want(QUEUE, 5))
        assert [(job.id, job.attempts_made) for job in report.jobs] == [("a", 1)]

    async def test_a_refused_settlement_does_not_stop_the_fetch(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.jobs.cancel_job("a", "enough")
        await workshop.add("b")
        report = await (await workshop.hand()).settle_and_fetch(ending(lock_of(job), Command.COMPLETE), Want(QUEUE, 1))
        assert [refusal.job_id for refusal in report.refused] == ["a"]
        assert [job.id for job in report.jobs] == ["b"]
