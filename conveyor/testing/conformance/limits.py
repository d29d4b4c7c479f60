"""Limits: how many jobs run at once, of a queue, a name or a group, whatever fetches and whatever ends their runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.model.limits import GroupLimits, LimitKind, LimitScope, NameLimits, QueueLimits, RateLimit
from conveyor.model.queries import Want
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import NAME, QUEUE, Hand, Workshop, ending, lock_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.contracts.store import LimitStore
    from conveyor.model.job import JobData

__all__ = ["LimitsConformance"]

TWO: Final = QueueLimits(max_global_concurrency=2)
ONE_OF_A_NAME: Final = QueueLimits(names={NAME: NameLimits(concurrency=1)})
ONE_OF_A_GROUP: Final = QueueLimits(group=GroupLimits(concurrency=1))


def ids(jobs: Sequence[JobData]) -> list[str]:
    """Return the ids of jobs, in their order."""
    return [job.id for job in jobs]


async def release(workshop: Workshop, job: JobData) -> None:
    await workshop.jobs.release_locks([lock_of(job)])


async def complete(workshop: Workshop, job: JobData) -> None:
    await workshop.finish(job)


async def retry(workshop: Workshop, job: JobData) -> None:
    await workshop.finish(job, Command.RETRY)


async def put_off(workshop: Workshop, job: JobData) -> None:
    await workshop.finish(job, Command.DELAY)


async def remove_as_it_completes(workshop: Workshop, job: JobData) -> None:
    assert await workshop.settle(ending(lock_of(job), Command.COMPLETE, is_removed=True)) == []


async def cancel(workshop: Workshop, job: JobData) -> None:
    await workshop.jobs.cancel_job(job.id, "no longer needed")


async def close_the_session(workshop: Workshop, job: JobData) -> None:
    assert job.token is not None
    await workshop.sessions.close(job.token.session_id)


async def reconcile(workshop: Workshop, job: JobData) -> None:
    assert job.token is not None
    await workshop.sessions.reconcile(job.token.session_id, (), job.token.fetch_number)


async def reclaim(workshop: Workshop, job: JobData) -> None:
    workshop.clock.advance(31)
    assert ids(await workshop.jobs.reclaim_stalled_jobs(3)) == [job.id]


async def give_up(workshop: Workshop, job: JobData) -> None:
    workshop.clock.advance(31)
    (failed,) = await workshop.jobs.reclaim_stalled_jobs(0)
    assert failed.state is JobState.FAILED


# Whatever takes a job from its run, crashes included; each leaves another job of the queue to fetch.
ENDS: Final = (
    release,
    complete,
    retry,
    put_off,
    remove_as_it_completes,
    cancel,
    close_the_session,
    reconcile,
    reclaim,
    give_up,
)


class LimitsConformance(StoreKit):
    """Each limit is exact, holds up nothing else, and gives back what a run took, however it ends."""

    async def test_a_queue_has_no_limits_at_first(self, limits: LimitStore) -> None:
        assert await limits.get_limits(QUEUE) == QueueLimits()
        assert list(await limits.get_limit_usages(QUEUE)) == []
        assert list(await limits.get_guarded_queues([QUEUE])) == []

    async def test_limits_are_kept_as_they_were_set(self, limits: LimitStore) -> None:
        rate = RateLimit(10, "90 seconds", key="group", burst=3, weights={"mail": 2})
        whole = QueueLimits(
            max_global_concurrency=7,
            limiter=rate,
            group=GroupLimits(concurrency=2, limiter=RateLimit(5, "0.25s"), weights={"acme": 3, "": 2}),
            names={"mail": NameLimits(concurrency=1, limiter=RateLimit(1, 1)), "naïve": NameLimits(concurrency=2)},
        )
        await limits.set_limits(QUEUE, whole)
        assert await limits.get_limits(QUEUE) == whole
        assert await limits.get_limits("elsewhere") == QueueLimits()
        assert list(await limits.get_guarded_queues(["elsewhere", QUEUE])) == [QUEUE]

    async def test_limits_outlive_the_opening(self, open_workshop: OpenWorkshop) -> None:
        async with open_workshop() as first:
            needs(first.store.capabilities.has_limits, "has_limits")
            needs(first.store.capabilities.is_durable, "is_durable")
            assert first.store.limits is not None
            await first.store.limits.set_limits(QUEUE, TWO)
        async with open_workshop() as second:
            assert second.store.limits is not None
            assert await second.store.limits.get_limits(QUEUE) == TWO

    async def test_declaring_sets_what_is_not_set_and_changes_nothing(self, limits: LimitStore) -> None:
        assert await limits.declare_limits(QUEUE, TWO) == TWO
        both = QueueLimits(max_global_concurrency=5, limiter=RateLimit(1, 1))
        assert await limits.declare_limits(QUEUE, both) == QueueLimits(
            max_global_concurrency=2, limiter=RateLimit(1, 1)
        )
        assert await limits.get_limits(QUEUE) == QueueLimits(max_global_concurrency=2, limiter=RateLimit(1, 1))

    async def test_no_more_jobs_of_a_queue_run_than_may(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, TWO)
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        first = await hand.fetch()
        assert ids(first) == ["a", "b"]
        assert ids(await (await workshop.hand()).fetch()) == []
        await workshop.finish(first[0])
        assert ids(await (await workshop.hand()).fetch()) == ["c"]

    async def test_other_queues_are_not_held_up(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, TWO)
        await workshop.add("a", "b", "c")
        await workshop.add("x", "y", "z", queue="elsewhere")
        jobs = await (await workshop.hand()).fetch_wants(Want(QUEUE, 9), Want("elsewhere", 9))
        assert ids(jobs) == ["a", "b", "x", "y", "z"]

    async def test_jobs_of_a_full_name_hold_up_nothing_else(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, ONE_OF_A_NAME)
        await workshop.add("a", "b")
        await workshop.add("x", "y", name="ship")
        hand = await workshop.hand()
        assert ids(await hand.fetch(1)) == ["a"]
        assert ids(await hand.fetch()) == ["x", "y"]

    async def test_jobs_of_a_full_group_hold_up_nothing_else(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, ONE_OF_A_GROUP)
        await workshop.add("a", "b", group="acme")
        await workshop.add("x", "y", group="bobs")
        await workshop.add("p", "q")
        assert sorted(ids(await (await workshop.hand()).fetch())) == ["a", "p", "q", "x"]
        assert ids(await (await workshop.hand()).fetch()) == []

    @pytest.mark.parametrize("end", ENDS)
    @pytest.mark.parametrize("held", [QueueLimits(max_global_concurrency=1), ONE_OF_A_NAME, ONE_OF_A_GROUP])
    async def test_whatever_ends_a_run_gives_its_place_back(
        self,
        workshop: Workshop,
        limits: LimitStore,
        held: QueueLimits,
        end: Callable[[Workshop, JobData], Awaitable[None]],
    ) -> None:
        await limits.set_limits(QUEUE, held)
        await workshop.add("a", "b", group="acme")
        job = await (await workshop.hand()).fetch_one()
        await end(workshop, job)
        hand = await workshop.hand()
        fetched = await hand.fetch()
        assert len(fetched) == 1
        assert list(await hand.fetch()) == []
        assert await workshop.queues.get_active_count(QUEUE) == 1

    async def test_limits_hold_for_suspects(self, workshop: Workshop, limits: LimitStore) -> None:
        await workshop.add("a", group="acme")
        await (await workshop.hand()).fetch_one()
        workshop.clock.advance(31)
        await workshop.jobs.reclaim_stalled_jobs(3)
        await limits.set_limits(QUEUE, QueueLimits(max_global_concurrency=1))
        await workshop.add("b")
        job = await (await workshop.hand()).fetch_one()
        hand = await workshop.hand()
        assert list(await hand.fetch_suspects()) == []
        await workshop.finish(job)
        assert ids(await hand.fetch_suspects()) == ["a"]

    async def test_limits_hold_for_the_fetch_of_a_settlement(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, QueueLimits(max_global_concurrency=1))
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        report = await hand.settle_and_fetch(ending(lock_of(job), Command.COMPLETE), Want(QUEUE, 9))
        assert ids(report.jobs) == ["b"]

    async def test_limits_hold_newest_first_and_for_one_name(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, QueueLimits(max_global_concurrency=3))
        await workshop.add("a", "b")
        await workshop.add("x", "y", name="ship")
        await workshop.add("urgent", priority=-1)
        await workshop.add("own", lifo=True)
        hand = await workshop.hand()
        assert ids(await hand.fetch(2, lifo=True)) == ["urgent", "own"]
        assert ids(await hand.fetch(2, job_name="ship")) == ["x"]

    @pytest.mark.parametrize("group", [None, "acme"])
    async def test_what_runs_already_is_counted(
        self, workshop: Workshop, limits: LimitStore, group: str | None
    ) -> None:
        await workshop.add("a", "b", "c", "d", group=group)
        hand = await workshop.hand()
        running = await hand.fetch(3)
        await limits.set_limits(QUEUE, TWO)
        assert list(await hand.fetch()) == []
        await workshop.finish(running[0])
        assert list(await hand.fetch()) == []
        await workshop.finish(running[1])
        assert ids(await hand.fetch()) == ["d"]

    async def test_limits_are_changed_while_jobs_run(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, ONE_OF_A_GROUP)
        await workshop.add("a", "b", "c", "d", group="acme")
        hand = await workshop.hand()
        assert ids(await hand.fetch()) == ["a"]
        await limits.set_limits(QUEUE, QueueLimits(group=GroupLimits(concurrency=3)))
        assert ids(await hand.fetch()) == ["b", "c"]
        await limits.set_limits(QUEUE, QueueLimits())
        assert ids(await hand.fetch()) == ["d"]

    async def test_the_same_fetch_again_gives_the_same_jobs(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, TWO)
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        assert ids(await hand.fetch()) == ids(await hand.repeat_fetch()) == ["a", "b"]

    async def test_paused_names_stay_paused(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, TWO)
        await workshop.add("a", group="acme")
        await workshop.add("x", name="ship", group="acme")
        await workshop.queues.pause_job_name(QUEUE, NAME)
        hand = await workshop.hand()
        assert ids(await hand.fetch()) == ["x"]
        await workshop.queues.resume_job_name(QUEUE, NAME)
        assert ids(await hand.fetch()) == ["a"]

    async def test_a_queue_that_is_obliterated_keeps_its_limits(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, TWO)
        await workshop.add("a", "b", "c", group="acme")
        await (await workshop.hand()).fetch()
        await workshop.queues.obliterate(QUEUE, force=True)
        assert await limits.get_limits(QUEUE) == TWO
        assert list(await limits.get_guarded_queues([QUEUE])) == [QUEUE]
        await workshop.add("d", "e", "f", group="acme")
        assert ids(await (await workshop.hand()).fetch()) == ["d", "e"]

    async def test_what_started_in_a_queue_before_it_was_obliterated_is_counted(
        self, workshop: Workshop, limits: LimitStore
    ) -> None:
        await limits.set_limits(QUEUE, QueueLimits(limiter=RateLimit(2, "10s")))
        await workshop.add("a")
        await (await workshop.hand()).fetch()
        await workshop.queues.obliterate(QUEUE, force=True)
        await workshop.add("b", "c")
        assert ids(await (await workshop.hand()).fetch()) == ["b"]
        workshop.clock.advance(10)
        assert ids(await (await workshop.hand()).fetch()) == ["c"]

    async def test_a_queue_without_limits_is_known_no_more_once_it_is_obliterated(
        self, workshop: Workshop, limits: LimitStore
    ) -> None:
        await limits.set_limits(QUEUE, TWO)
        await workshop.add("a", group="acme")
        await limits.set_limits(QUEUE, QueueLimits())
        await workshop.queues.obliterate(QUEUE)
        assert list(await limits.get_guarded_queues([QUEUE])) == []
        if workshop.store.inspection is not None:
            assert list(await workshop.store.inspection.list_queues()) == []

    async def test_a_queue_tells_who_waits_for_what(self, workshop: Workshop, limits: LimitStore) -> None:
        held = QueueLimits(5, names={NAME: NameLimits(concurrency=1)}, group=GroupLimits(concurrency=2))
        await limits.set_limits(QUEUE, held)
        await workshop.add("a", "b", "c", group="acme")
        await (await workshop.hand()).fetch()
        found = [
            (usage.scope, usage.key, usage.kind, usage.used, usage.max, usage.waiting, usage.is_full)
            for usage in await limits.get_limit_usages(QUEUE)
        ]
        runs = LimitKind.CONCURRENCY
        assert found == [
            (LimitScope.QUEUE, "", runs, 1, 5, 2, False),
            (LimitScope.NAME, NAME, runs, 1, 1, 2, True),
            (LimitScope.GROUP, "acme", runs, 1, 2, 2, False),
        ]

    @pytest.mark.parametrize("held", [TWO, ONE_OF_A_NAME, ONE_OF_A_GROUP])
    async def test_limits_are_exact_whatever_fetches_at_once(
        self, workshop: Workshop, limits: LimitStore, held: QueueLimits
    ) -> None:
        await limits.set_limits(QUEUE, held)
        await workshop.add(*(f"job-{number:02}" for number in range(40)), group="acme")
        most = held.max_global_concurrency or 1
        seen: list[int] = []

        async def work(hand: Hand) -> None:
            while await workshop.queues.count_jobs(QUEUE, JobState.COMPLETED) < 40:
                for job in await hand.fetch(3):
                    await anyio.lowlevel.checkpoint()  # let others fetch meanwhile, also where the store never waits
                    seen.append(await workshop.queues.get_active_count(QUEUE))
                    await workshop.finish(job)
                await anyio.lowlevel.checkpoint()

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(work, await workshop.hand())
        assert len(seen) == 40
        assert max(seen) <= most
