"""Order within a queue: priority, then when a job became available, then the sequence of adding."""

from __future__ import annotations

import pytest

from conveyor.model.queries import Want
from conveyor.model.states import Command
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Workshop, ending, lock_of

__all__ = ["OrderingConformance"]


class OrderingConformance(StoreKit):
    """Every test compares the whole list of ids that one fetch gives out."""

    async def test_jobs_go_first_in_first_out(self, workshop: Workshop) -> None:
        for job_id in ("c", "a", "b"):
            await workshop.add(job_id)
            workshop.clock.advance(1)
        assert await workshop.fetch_order() == ["c", "a", "b"]

    async def test_jobs_added_at_the_same_moment_go_by_sequence(self, workshop: Workshop) -> None:
        ids = [f"{number:02}" for number in (5, 3, 9, 1, 7, 0, 8)]
        await workshop.add(*ids[:4])
        await workshop.add(*ids[4:])
        assert await workshop.fetch_order() == ids

    async def test_a_lower_priority_goes_first(self, workshop: Workshop) -> None:
        for job_id, priority in (("five", 5), ("zero", 0), ("minus", -3), ("ten", 10), ("also-zero", 0)):
            await workshop.add(job_id, priority=priority)
            workshop.clock.advance(1)
        assert await workshop.fetch_order() == ["minus", "zero", "also-zero", "five", "ten"]

    async def test_the_outermost_priorities_are_kept_apart(self, workshop: Workshop) -> None:
        for priority in (2**31 - 1, 0, -(2**31)):
            await workshop.add(f"p{priority}", priority=priority)
        assert await workshop.fetch_order() == [f"p{-(2**31)}", "p0", f"p{2**31 - 1}"]

    async def test_lifo_jobs_go_before_the_others_newest_first(self, workshop: Workshop) -> None:
        for job_id, lifo in (("a", False), ("x", True), ("b", False), ("y", True), ("z", True)):
            await workshop.add(job_id, lifo=lifo)
            workshop.clock.advance(1)
        assert await workshop.fetch_order() == ["z", "y", "x", "a", "b"]

    async def test_lifo_jobs_of_the_same_moment_go_by_sequence_from_the_last(self, workshop: Workshop) -> None:
        await workshop.add("x", "y", "z", lifo=True)
        assert await workshop.fetch_order() == ["z", "y", "x"]

    async def test_lifo_does_not_overtake_a_lower_priority(self, workshop: Workshop) -> None:
        await workshop.add("urgent", priority=-1)
        await workshop.add("a")
        await workshop.add("x", lifo=True)
        await workshop.add("late", priority=1)
        await workshop.add("late-x", priority=1, lifo=True)
        assert await workshop.fetch_order() == ["urgent", "x", "a", "late-x", "late"]

    async def test_a_lifo_want_turns_the_order_within_a_priority_round(self, workshop: Workshop) -> None:
        for job_id, priority in (("a", 0), ("late", 1), ("b", 0), ("c", 0), ("later", 1)):
            await workshop.add(job_id, priority=priority)
            workshop.clock.advance(1)
        assert await workshop.fetch_order(lifo=True) == ["c", "b", "a", "later", "late"]

    async def test_a_lifo_want_turns_the_sequence_round_too(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        assert await workshop.fetch_order(lifo=True) == ["c", "b", "a"]

    async def test_a_lifo_want_leaves_the_lifo_jobs_as_they_are(self, workshop: Workshop) -> None:
        for job_id, lifo in (("a", False), ("x", True), ("b", False), ("y", True)):
            await workshop.add(job_id, lifo=lifo)
            workshop.clock.advance(1)
        assert await workshop.fetch_order(lifo=True) == ["y", "x", "b", "a"]

    async def test_the_order_holds_over_several_fetches(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c", "d")
        await workshop.add("x", priority=-1)
        hand = await workshop.hand()
        order = [job.id for _ in range(3) for job in await hand.fetch(2)]
        assert order == ["x", "a", "b", "c", "d"]

    async def test_a_want_of_one_name_keeps_the_order(self, workshop: Workshop) -> None:
        await workshop.add("a", name="ship")
        await workshop.add("b", name="pack")
        await workshop.add("c", name="ship", priority=-1)
        await workshop.add("d", name="ship")
        jobs = await (await workshop.hand()).fetch(job_name="ship")
        assert [job.id for job in jobs] == ["c", "a", "d"]

    async def test_wants_of_one_queue_are_answered_one_after_the_other(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c", "d")
        wants = [Want(QUEUE, 0, lifo=True), Want(QUEUE, 1, lifo=True), Want(QUEUE, 9)]
        jobs = await (await workshop.hand()).fetch_wants(*wants)
        assert [job.id for job in jobs] == ["d", "a", "b", "c"]

    async def test_a_job_promoted_by_time_stands_where_its_time_says(self, workshop: Workshop) -> None:
        await workshop.add("due-at-10", delay=10)
        workshop.clock.advance(5)
        await workshop.add("added-at-5")
        workshop.clock.advance(10)
        await workshop.add("added-at-15")
        workshop.clock.advance(5)
        assert await workshop.jobs.promote_delayed_jobs([QUEUE]) == 1
        assert await workshop.fetch_order() == ["added-at-5", "due-at-10", "added-at-15"]

    async def test_jobs_promoted_together_stand_by_their_times(self, workshop: Workshop) -> None:
        for seconds in (30, 10, 20):
            await workshop.add(f"due-at-{seconds}", delay=seconds)
        workshop.clock.advance(60)
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert await workshop.fetch_order() == ["due-at-10", "due-at-20", "due-at-30"]

    async def test_a_tie_between_due_and_added_goes_by_sequence(self, workshop: Workshop) -> None:
        await workshop.add("first", delay=10)
        workshop.clock.advance(10)
        await workshop.add("second")
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert await workshop.fetch_order() == ["first", "second"]

    async def test_a_job_promoted_by_hand_is_available_now(self, workshop: Workshop) -> None:
        await workshop.add("promoted", delay="1h")
        await workshop.add("a")
        workshop.clock.advance(5)
        await workshop.add("b")
        workshop.clock.advance(5)
        await workshop.jobs.promote_job("promoted")
        workshop.clock.advance(5)
        await workshop.add("c")
        assert await workshop.fetch_order() == ["a", "b", "promoted", "c"]

    async def test_jobs_promoted_in_bulk_are_available_now(self, workshop: Workshop) -> None:
        await workshop.add("later", delay="2h")
        await workshop.add("sooner", delay="1h")
        workshop.clock.advance(1)
        await workshop.add("a")
        workshop.clock.advance(1)
        assert await workshop.queues.promote_jobs(QUEUE) == 2
        assert await workshop.fetch_order() == ["a", "later", "sooner"]

    async def test_a_retry_stands_where_it_is_due(self, workshop: Workshop) -> None:
        job = await workshop.fetched("due-at-10")
        await workshop.finish(job, Command.DELAY)
        workshop.clock.advance(5)
        await workshop.add("added-at-5")
        workshop.clock.advance(10)
        await workshop.add("added-at-15")
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert await workshop.fetch_order() == ["added-at-5", "due-at-10", "added-at-15"]

    async def test_a_retry_at_once_stands_behind_what_came_meanwhile(self, workshop: Workshop) -> None:
        job = await workshop.fetched("again")
        workshop.clock.advance(1)
        await workshop.add("meanwhile")
        workshop.clock.advance(1)
        await workshop.finish(job, Command.RETRY)
        assert await workshop.fetch_order() == ["meanwhile", "again"]

    async def test_a_rerun_job_is_available_now(self, workshop: Workshop) -> None:
        await workshop.finished("again")
        workshop.clock.advance(1)
        await workshop.add("meanwhile")
        workshop.clock.advance(1)
        await workshop.jobs.rerun_job("again")
        assert await workshop.fetch_order() == ["meanwhile", "again"]

    async def test_released_jobs_stand_at_their_old_places(self, workshop: Workshop) -> None:
        for job_id in ("a", "b", "c", "d"):
            await workshop.add(job_id)
            workshop.clock.advance(1)
        held = await (await workshop.hand()).fetch(3)
        assert list(await workshop.jobs.release_locks([lock_of(held[2]), lock_of(held[0])])) == []
        assert await workshop.fetch_order() == ["a", "c", "d"]

    async def test_reclaimed_jobs_stand_at_their_old_places_among_suspects(self, workshop: Workshop) -> None:
        for job_id in ("a", "b", "c"):
            await workshop.add(job_id)
            workshop.clock.advance(1)
        for limit in (1, 2):
            await (await workshop.hand()).fetch(limit)
        workshop.clock.advance(LOCK * 2)
        await workshop.add("late")
        await workshop.jobs.reclaim_stalled_jobs(3)
        assert [(await (await workshop.hand()).fetch_suspect()).id for _ in range(3)] == ["a", "b", "c"]
        assert await workshop.fetch_order() == ["late"]

    async def test_a_released_lifo_job_stands_at_its_old_place(self, workshop: Workshop) -> None:
        await workshop.add("x", lifo=True)
        await workshop.add("a")
        job = await (await workshop.hand()).fetch_one()
        workshop.clock.advance(1)
        await workshop.add("y", lifo=True)
        await workshop.jobs.release_locks([lock_of(job)])
        assert await workshop.fetch_order() == ["y", "x", "a"]

    async def test_a_retried_job_keeps_its_priority(self, workshop: Workshop) -> None:
        await workshop.add("first", priority=-5)
        job = await (await workshop.hand()).fetch_one()
        workshop.clock.advance(1)
        await workshop.add("a")
        workshop.clock.advance(1)
        await workshop.settle(ending(lock_of(job), Command.RETRY))
        assert await workshop.fetch_order() == ["first", "a"]

    async def test_a_rerun_job_keeps_its_priority(self, workshop: Workshop) -> None:
        await workshop.add("first", priority=-5)
        await workshop.finish(await (await workshop.hand()).fetch_one())
        await workshop.add("a")
        workshop.clock.advance(1)
        assert (await workshop.jobs.rerun_job("first")).priority == -5
        assert await workshop.fetch_order() == ["first", "a"]

    @pytest.mark.parametrize("is_lifo", [False, True])
    async def test_moments_less_than_a_millisecond_apart_are_kept_apart(
        self, workshop: Workshop, is_lifo: bool
    ) -> None:
        await workshop.add("second", delay=0.000_002)
        await workshop.add("first", delay=0.000_001)
        workshop.clock.advance(1)
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        order = ["first", "second"]
        assert await workshop.fetch_order(lifo=is_lifo) == (order[::-1] if is_lifo else order)
