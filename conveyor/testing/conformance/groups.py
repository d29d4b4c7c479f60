"""Groups: they take turns, so that the flood of one delays another by no more than its share."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.model.deduplication import Deduplication, DeduplicationMode
from conveyor.model.groups import Group
from conveyor.model.limits import GroupLimits, QueueLimits
from conveyor.model.queries import Added, Want
from conveyor.model.states import Command
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.limits import ids
from conveyor.testing.conformance.workshop import NAME, QUEUE, Hand, Workshop, lock_of

if TYPE_CHECKING:
    from conveyor.contracts.store import LimitStore

__all__ = ["GroupsConformance"]

# Tests that do not use it themselves.
ROUNDS: Final = 30
NEEDED: Final = pytest.mark.usefixtures("limits")
SMALL: Final = Group("acme", max_size=2)


async def add_numbered(workshop: Workshop, group: str, count: int) -> None:
    """Add so many jobs of a group ("": none), named by it and counted from 1."""
    await workshop.add(*(f"{group}{number}" for number in range(1, count + 1)), group=group or None)


async def served(hand: Hand, count: int) -> list[str]:
    """Fetch so many jobs one by one."""
    return [(await hand.fetch_one()).id for _ in range(count)]


class GroupsConformance(StoreKit):
    """Each turn is one job; groups that have nothing save up nothing."""

    @NEEDED
    async def test_a_job_keeps_its_group(self, workshop: Workshop) -> None:
        await workshop.add("a", group=SMALL)
        assert (await workshop.job("a")).options.group == SMALL
        assert (await (await workshop.hand()).fetch_one()).options.group == SMALL

    @NEEDED
    async def test_groups_take_turns(self, workshop: Workshop) -> None:
        for group in "abc":
            await add_numbered(workshop, group, 2)
        assert await served(await workshop.hand(), 6) == ["a1", "b1", "c1", "a2", "b2", "c2"]

    @NEEDED
    async def test_groups_take_turns_within_one_fetch(self, workshop: Workshop) -> None:
        for group in "abc":
            await add_numbered(workshop, group, 5)
        hand = await workshop.hand()
        assert sorted(ids(await hand.fetch(6))) == ["a1", "a2", "b1", "b2", "c1", "c2"]
        assert sorted(ids(await hand.fetch())) == ["a3", "a4", "a5", "b3", "b4", "b5", "c3", "c4", "c5"]

    @NEEDED
    async def test_a_flood_delays_another_group_by_one_turn(self, workshop: Workshop) -> None:
        await add_numbered(workshop, "flood", 50)
        hand = await workshop.hand()
        await served(hand, 20)
        await add_numbered(workshop, "late", 3)
        assert await served(hand, 6) == ["late1", "flood21", "late2", "flood22", "late3", "flood23"]

    @NEEDED
    async def test_a_job_waits_no_longer_than_one_turn_of_every_other_group(self, workshop: Workshop) -> None:
        for number in range(10):
            await add_numbered(workshop, f"g{number}-", 5)
        hand = await workshop.hand()
        await served(hand, 13)
        await add_numbered(workshop, "late", 1)
        assert "late1" in await served(hand, 11)

    @NEEDED
    async def test_jobs_without_a_group_take_turns_with_the_groups(self, workshop: Workshop) -> None:
        await workshop.add("u1", "u2", "u3")
        await add_numbered(workshop, "a", 2)
        assert await served(await workshop.hand(), 5) == ["u1", "a1", "u2", "a2", "u3"]

    @pytest.mark.parametrize("before", [1, 2, 3, 9])
    async def test_groups_that_come_later_take_turns_with_the_jobs_without_one(
        self, workshop: Workshop, limits: LimitStore, before: int
    ) -> None:
        await limits.set_limits(QUEUE, QueueLimits(max_global_concurrency=100))
        await workshop.add("u1", "u2", "u3")
        hand = await workshop.hand()
        await hand.fetch(before)
        await workshop.add("u4", "u5", "u6")
        await add_numbered(workshop, "a", 2)
        order = [job_id[0] for job_id in await served(hand, 4)]
        # The others come first where they were not served last: their turn came when nothing of them waited.
        assert order == (["u", "a", "u", "a"] if before > 3 else ["a", "u", "a", "u"])

    async def test_a_group_with_more_weight_has_more_turns(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, QueueLimits(group=GroupLimits(weights={"a": 3, "": 2})))
        await add_numbered(workshop, "a", 30)
        await add_numbered(workshop, "b", 30)
        await workshop.add(*(f"u{number}" for number in range(30)))
        first = await served(await workshop.hand(), 36)
        assert [sum(job_id[0] == group for job_id in first) for group in "aub"] == [18, 12, 6]

    @pytest.mark.parametrize("concurrency", [None, 3])
    async def test_a_fetch_of_many_takes_what_as_many_fetches_of_one_would(
        self, workshop: Workshop, limits: LimitStore, concurrency: int | None
    ) -> None:
        draw = Random(ROUNDS)  # noqa: S311 - the same rounds again, no secret
        queues = ("together", "alone")
        for queue in queues:
            await limits.set_limits(queue, QueueLimits(group=GroupLimits(concurrency, weights={"a": 3, "": 2, "d": 7})))
        hand = await workshop.hand()
        for number in range(ROUNDS):
            added = [(f"{number}-{place}", draw.choice(("", *"aabcdef"))) for place in range(draw.randrange(14))]
            taken: list[list[str]] = []
            count = draw.randrange(1, 14)
            for queue in queues:
                for id, group in added:
                    await workshop.add(f"{queue} {id}", queue=queue, group=group or None)
                limits_of_fetches = [count] if queue == "together" else [1] * count
                jobs = [job for limit in limits_of_fetches for job in await hand.fetch(limit, queue=queue)]
                taken.append(sorted(job.id.removeprefix(queue) for job in jobs))
                for job in sorted(jobs, key=lambda job: job.id)[number % 3 :]:
                    await workshop.finish(job)
            assert taken[0] == taken[1], number

    @NEEDED
    async def test_a_group_that_was_away_has_saved_up_one_turn(self, workshop: Workshop) -> None:
        await add_numbered(workshop, "a", 1)
        await add_numbered(workshop, "b", 20)
        hand = await workshop.hand()
        await served(hand, 10)
        await workshop.add("a2", "a3", "a4", group="a")
        assert await served(hand, 6) == ["a2", "a3", "b10", "a4", "b11", "b12"]

    async def test_a_group_that_was_full_has_saved_up_one_turn(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, QueueLimits(group=GroupLimits(concurrency=1)))
        await add_numbered(workshop, "a", 5)
        hand = await workshop.hand()
        held = await hand.fetch_one()
        for number in range(1, 11):
            await workshop.add(f"b{number}", group="b")
            await workshop.finish(await hand.fetch_one())
        await workshop.add("b11", "b12", group="b")
        await limits.set_limits(QUEUE, QueueLimits())
        await workshop.finish(held)
        assert await served(hand, 4) == ["a2", "a3", "b11", "a4"]

    @NEEDED
    async def test_within_a_group_the_order_is_that_of_the_queue(self, workshop: Workshop) -> None:
        await workshop.add("late", priority=5, group="a")
        await workshop.add("first", "second", group="a")
        await workshop.add("own", group="a", lifo=True)
        await workshop.add("urgent", priority=-1, group="a")
        assert await served(await workshop.hand(), 5) == ["urgent", "own", "first", "second", "late"]

    @NEEDED
    async def test_groups_are_fetched_newest_first(self, workshop: Workshop) -> None:
        await add_numbered(workshop, "a", 2)
        await add_numbered(workshop, "b", 2)
        await workshop.add("own", group="b", lifo=True)
        await workshop.add("late", group="b", priority=1)
        hand = await workshop.hand()
        assert [(await hand.fetch(1, lifo=True))[0].id for _ in range(6)] == ["a2", "own", "a1", "b2", "b1", "late"]

    @NEEDED
    async def test_a_name_can_be_wanted_from_groups(self, workshop: Workshop) -> None:
        await add_numbered(workshop, "a", 2)
        await workshop.add("x", name="ship", group="a")
        hand = await workshop.hand()
        assert ids(await hand.fetch(job_name="ship")) == ["x"]
        assert ids(await hand.fetch(job_name=NAME)) == ["a1", "a2"]

    @NEEDED
    async def test_groups_can_be_excluded(self, workshop: Workshop) -> None:
        await add_numbered(workshop, "a", 2)
        await add_numbered(workshop, "b", 1)
        await workshop.add("u")
        hand = await workshop.hand()
        assert ids(await hand.fetch_wants(Want(QUEUE, 9, exclude_groups=("a", "")))) == ["b1"]
        assert ids(await hand.fetch_wants(Want(QUEUE, 9, exclude_groups=("b",)))) == ["a1", "a2", "u"]

    @NEEDED
    async def test_delayed_jobs_of_a_group_take_turns_once_they_are_due(self, workshop: Workshop) -> None:
        await add_numbered(workshop, "a", 3)
        await workshop.add("b1", group="b", delay=10)
        hand = await workshop.hand()
        assert await served(hand, 1) == ["a1"]
        workshop.clock.advance(10)
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert sorted(await served(hand, 2)) == ["a2", "b1"]

    @NEEDED
    @pytest.mark.parametrize("command", [Command.RETRY, Command.RELEASE, Command.FAIL])
    async def test_jobs_that_wait_again_have_their_group_as_before(self, workshop: Workshop, command: Command) -> None:
        await add_numbered(workshop, "a", 1)
        hand = await workshop.hand()
        job = await hand.fetch_one()
        assert list(await hand.fetch()) == []  # the group leaves the round
        if command is Command.RELEASE:
            await workshop.jobs.release_locks([lock_of(job)])
        else:
            await workshop.finish(job, command)
        if command is Command.FAIL:
            await workshop.jobs.rerun_job("a1")
        assert (await hand.fetch_one()).options.group == Group("a")

    async def test_a_removed_job_leaves_its_group(self, workshop: Workshop, limits: LimitStore) -> None:
        await add_numbered(workshop, "a", 2)
        await workshop.jobs.remove_job("a1")
        assert await limits.get_waiting_group_count(QUEUE, "a") == 1
        assert await workshop.queues.drain(QUEUE) == 1
        assert list(await (await workshop.hand()).fetch()) == []
        assert await limits.get_waiting_group_count(QUEUE, "a") == 0

    async def test_the_jobs_of_a_group_are_counted(self, workshop: Workshop, limits: LimitStore) -> None:
        await add_numbered(workshop, "a", 3)
        await workshop.add("later", group="a", delay=10)
        await add_numbered(workshop, "b", 1)
        await (await workshop.hand()).fetch(1)
        assert await limits.get_group_active_count(QUEUE, "a") == 1
        assert await limits.get_waiting_group_count(QUEUE, "a") == 2
        assert await limits.get_group_active_count(QUEUE, "b") == 0
        assert await limits.get_waiting_group_count("elsewhere", "a") == 0

    async def test_a_queue_with_groups_is_known_as_such(self, workshop: Workshop, limits: LimitStore) -> None:
        await workshop.add("u", queue="elsewhere")
        await workshop.add("a", group="a", delay=10)
        assert list(await limits.get_guarded_queues(["nowhere", "elsewhere", QUEUE])) == [QUEUE]

    async def test_groups_outlive_the_opening(self, open_workshop: OpenWorkshop) -> None:
        async with open_workshop() as first:
            needs(first.store.capabilities.has_limits, "has_limits")
            needs(first.store.capabilities.is_durable, "is_durable")
            await add_numbered(first, "a", 3)
            await add_numbered(first, "b", 1)
            assert await served(await first.hand(), 1) == ["a1"]
        async with open_workshop() as second:
            assert await served(await second.hand(), 3) == ["b1", "a2", "a3"]

    async def test_a_full_group_refuses_jobs(self, workshop: Workshop, limits: LimitStore) -> None:
        jobs = [workshop.new(job_id, group=SMALL) for job_id in "abc"]
        receipts = await workshop.jobs.save_jobs([*jobs, workshop.new("d"), workshop.new("e", group=SMALL, delay=9)])
        assert [receipt.outcome for receipt in receipts] == [
            Added.ADDED,
            Added.ADDED,
            Added.GROUP_FULL,
            Added.ADDED,
            Added.ADDED,
        ]
        assert await workshop.state("c") is None
        assert await limits.get_waiting_group_count(QUEUE, "acme") == 2

    @NEEDED
    async def test_the_same_add_again_is_added_though_the_group_is_full(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", group=SMALL)
        await workshop.add("a", "b", group=SMALL)

    @NEEDED
    async def test_a_full_group_has_room_once_its_jobs_run(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", group=SMALL)
        await (await workshop.hand()).fetch(1)
        await workshop.add("c", group=SMALL)
        receipt = await workshop.jobs.save_job(workshop.new("d", group=SMALL))
        assert receipt.outcome is Added.GROUP_FULL

    async def test_a_delay_that_is_over_adds_to_those_that_wait_though_the_group_is_full(
        self, workshop: Workshop, limits: LimitStore
    ) -> None:
        await workshop.add("later", group=SMALL, delay=5)
        await workshop.add("a", "b", group=SMALL)
        workshop.clock.advance(6)
        await workshop.jobs.promote_delayed_jobs([QUEUE])
        assert await limits.get_waiting_group_count(QUEUE, "acme") == 3
        receipt = await workshop.jobs.save_job(workshop.new("c", group=SMALL))
        assert receipt.outcome is Added.GROUP_FULL

    async def test_a_job_that_is_replaced_may_change_to_a_group_that_is_full(
        self, workshop: Workshop, limits: LimitStore
    ) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        replacing = Deduplication(key="k", mode=DeduplicationMode.REPLACE)
        await workshop.jobs.save_job(workshop.new("first", deduplication=replacing))
        await workshop.add("a", "b", group=SMALL)
        receipt = await workshop.jobs.save_job(workshop.new("second", group=SMALL, deduplication=replacing))
        assert (receipt.outcome, receipt.job_id) == (Added.REPLACED, "first")
        assert await limits.get_waiting_group_count(QUEUE, "acme") == 3

    async def test_of_many_that_add_at_once_no_more_are_added_than_the_group_takes(
        self, workshop: Workshop, limits: LimitStore
    ) -> None:
        outcomes: list[Added] = []
        small = Group("acme", max_size=5)

        async def add(producer: int) -> None:
            for number in range(4):
                job = workshop.new(f"{producer}-{number}", group=small)
                outcomes.append((await workshop.jobs.save_job(job)).outcome)

        async with anyio.create_task_group() as tasks:
            for producer in range(5):
                tasks.start_soon(add, producer)
        assert outcomes.count(Added.ADDED) == 5
        assert await limits.get_waiting_group_count(QUEUE, "acme") == 5

    @NEEDED
    async def test_many_groups_and_fetchers_lose_no_job(self, workshop: Workshop) -> None:
        found: list[str] = []
        expected = {f"{number}" for number in range(80)}

        async def add() -> None:
            for number in range(80):
                await workshop.add(f"{number}", group=f"g{number % 9}")

        async def fetch() -> None:
            hand = await workshop.hand()
            while len(found) < len(expected):
                for job in await hand.fetch(3):
                    found.append(job.id)
                    await workshop.finish(job)
                await anyio.lowlevel.checkpoint()

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(add)
                for _ in range(4):
                    tasks.start_soon(fetch)
        assert sorted(found) == sorted(expected)
