"""Durability: what was written is there again when the store was closed and opened."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conveyor.contracts.capabilities import Durability
from conveyor.model.job import LogEntry, Progress, ProgressReport
from conveyor.model.queries import ALL_NAMES
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Hand, Workshop, ending, lock_of

__all__ = ["DurabilityConformance", "SharingConformance"]


class DurabilityConformance(StoreKit):
    """Closed and opened again, a durable store goes on where it stopped."""

    @pytest.fixture
    async def reopen(self, open_workshop: OpenWorkshop) -> OpenWorkshop:
        """Opens the store, where it is durable; close it before you open it again."""
        async with open_workshop() as workshop:
            needs(workshop.store.capabilities.is_durable, "is_durable")
        return open_workshop

    async def test_jobs_of_every_state_are_there_again(self, reopen: OpenWorkshop) -> None:
        async with reopen() as workshop:
            for command in (Command.COMPLETE, Command.FAIL, Command.STOP):
                await workshop.finished(command, command)
            await workshop.fetched("active")
            await workshop.add("waiting", priority=3, tags=["red"])
            await workshop.add("delayed", delay=10)
            ids = [Command.COMPLETE, Command.FAIL, Command.STOP, "active", "waiting", "delayed"]
            before = await workshop.jobs.find_jobs(ids)
        async with reopen() as workshop:
            assert len(before) == len(ids)
            assert dict(await workshop.jobs.find_jobs(ids)) == dict(before)

    async def test_the_order_is_there_again(self, reopen: OpenWorkshop) -> None:
        async with reopen() as workshop:
            await workshop.add("a", "b", "c")
            await workshop.add("x", priority=-1)
        async with reopen() as workshop:
            await workshop.add("d")
            assert await workshop.fetch_order() == ["x", "a", "b", "c", "d"]

    async def test_a_running_job_can_settle_after_the_store_was_reopened(self, reopen: OpenWorkshop) -> None:
        async with reopen() as workshop:
            job = await workshop.fetched("a")
        async with reopen() as workshop:
            assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == []
            assert await workshop.state("a") is JobState.COMPLETED

    async def test_a_settlement_repeated_after_the_store_was_reopened_is_not_refused(
        self, reopen: OpenWorkshop
    ) -> None:
        async with reopen() as workshop:
            job = await workshop.finished("a")
        async with reopen() as workshop:
            assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == []
            assert len(await workshop.outcomes("a")) == 1

    async def test_a_fetch_repeated_after_the_store_was_reopened_gives_the_same_jobs(
        self, reopen: OpenWorkshop
    ) -> None:
        hand: Hand
        async with reopen() as workshop:
            await workshop.add("a", "b", "c")
            hand = await workshop.hand()
            jobs = await hand.fetch(2)
        async with reopen() as workshop:
            again = Hand(workshop.store)
            again.id, again.fetches = hand.id, hand.fetches
            assert list(await again.repeat_fetch()) == list(jobs)

    async def test_a_job_whose_worker_died_stalls_after_the_store_was_reopened(self, reopen: OpenWorkshop) -> None:
        async with reopen() as workshop:
            await workshop.fetched("a")
            workshop.clock.advance(LOCK * 2)
        async with reopen() as workshop:
            assert [job.id for job in await workshop.jobs.get_stalled_jobs(timedelta(0))] == ["a"]
            assert [job.id for job in await workshop.jobs.reclaim_stalled_jobs(3)] == ["a"]

    async def test_pauses_and_sessions_are_there_again(self, reopen: OpenWorkshop) -> None:
        async with reopen() as workshop:
            await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
            hand = await workshop.hand()
            sessions = list(await workshop.sessions.list_sessions())
        async with reopen() as workshop:
            assert await workshop.queues.get_paused_job_names(QUEUE) == {ALL_NAMES}
            assert list(await workshop.sessions.list_sessions()) == sessions
            assert await workshop.sessions.renew(hand.id, LOCK)

    async def test_history_is_there_again(self, reopen: OpenWorkshop) -> None:
        async with reopen() as workshop:
            job = await workshop.fetched("a")
            await workshop.jobs.append_logs([LogEntry("a", "hello", lock=lock_of(job))])
            await workshop.jobs.set_progress([ProgressReport(lock_of(job), Progress(1, 2, "half"))])
            await workshop.finish(job)
            attempts, logs = await workshop.jobs.get_attempts("a"), await workshop.jobs.get_logs("a")
        async with reopen() as workshop:
            assert list(await workshop.jobs.get_attempts("a")) == list(attempts)
            assert list(await workshop.jobs.get_logs("a")) == list(logs)
            assert (await workshop.job("a")).progress == Progress(1, 2, "half")

    async def test_a_delayed_job_comes_due_while_the_store_was_closed(self, reopen: OpenWorkshop) -> None:
        async with reopen() as workshop:
            await workshop.add("a", delay=10)
            clock = workshop.clock
        clock.advance(60)
        async with reopen() as workshop:
            assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 1
            assert await workshop.fetch_order() == ["a"]

    async def test_guarantees_fit_the_capabilities(self, workshop: Workshop) -> None:
        store = workshop.store
        if not store.capabilities.is_durable:
            assert (store.guarantees.add, store.guarantees.settle) == (Durability.NOTHING, Durability.NOTHING)
        else:
            assert Durability.NOTHING not in (store.guarantees.add, store.guarantees.settle)


class SharingConformance(StoreKit):
    """Two openings of one store are two doors to the same room."""

    @pytest.fixture
    def two(self, workshop: Workshop, open_workshop: OpenWorkshop) -> OpenWorkshop:
        """Opens the store beside the first opening, where it can be shared."""
        needs(workshop.store.capabilities.is_shared, "is_shared")
        return open_workshop

    async def test_what_one_opening_adds_the_other_fetches(self, workshop: Workshop, two: OpenWorkshop) -> None:
        async with two() as other:
            await other.add("a", "b")
            assert await workshop.fetch_order() == ["a", "b"]
            assert await other.fetch_order() == []

    async def test_one_opening_settles_what_the_other_fetched(self, workshop: Workshop, two: OpenWorkshop) -> None:
        async with two() as other:
            job = await workshop.fetched("a")
            assert await other.settle(ending(lock_of(job), Command.COMPLETE)) == []
            assert await workshop.state("a") is JobState.COMPLETED

    async def test_one_opening_reclaims_what_the_other_left(self, workshop: Workshop, two: OpenWorkshop) -> None:
        async with two() as other:
            zombie = await workshop.fetched("a")
            workshop.clock.advance(LOCK * 2)
            assert [job.id for job in await other.jobs.reclaim_stalled_jobs(3)] == ["a"]
            assert await workshop.settle(ending(lock_of(zombie), Command.COMPLETE)) == ["a"]

    async def test_a_pause_holds_for_both_openings(self, workshop: Workshop, two: OpenWorkshop) -> None:
        async with two() as other:
            await workshop.add("a")
            await other.queues.pause_job_name(QUEUE, ALL_NAMES)
            assert await workshop.fetch_order() == []

    async def test_the_sequence_runs_over_both_openings(self, workshop: Workshop, two: OpenWorkshop) -> None:
        async with two() as other:
            for number in range(6):
                await (workshop, other)[number % 2].add(str(number))
            assert await workshop.fetch_order() == ["0", "1", "2", "3", "4", "5"]

    async def test_one_opening_outlives_the_other(self, workshop: Workshop, two: OpenWorkshop) -> None:
        async with two() as other:
            await other.add("a")
        await workshop.add("b")
        assert await workshop.fetch_order() == ["a", "b"]
