"""Concurrency: what many do at once happens one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.model.job import AttemptOutcome, JobData
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.settlement import Settlement
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Hand, Workshop, ending, lock_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor.model.locks import Lock

__all__ = ["ConcurrencyConformance"]

MANY: Final = 300
# What a worker may do with a lock beside settling.
USES: Final = ("extend", "renew", "release")


async def drain_by_fetching(workshop: Workshop, hand: Hand, found: list[str]) -> None:
    """Fetch and complete until nothing waits."""
    while jobs := await hand.fetch(7):
        found += [job.id for job in jobs]
        assert await workshop.settle(*(ending(lock_of(job), Command.COMPLETE) for job in jobs)) == []


class ConcurrencyConformance(StoreKit):
    """Each test lets several tasks loose on the same jobs, and asks whether one order explains the result."""

    async def test_many_adds_while_others_fetch_lose_nothing(self, workshop: Workshop) -> None:
        found: list[str] = []

        async def add(prefix: str) -> None:
            for number in range(20):
                await workshop.add(f"{prefix}{number}")

        async def fetch(hand: Hand) -> None:
            while len(found) < 60:
                await drain_by_fetching(workshop, hand, found)
                await anyio.lowlevel.checkpoint()

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for prefix in "abc":
                    tasks.start_soon(add, prefix)
                for _ in range(3):
                    tasks.start_soon(fetch, await workshop.hand())
        assert len(set(found)) == len(found) == 60

    async def test_of_many_jobs_added_under_one_id_one_is_there(self, workshop: Workshop) -> None:
        receipts: list[AddReceipt] = []

        async def add(number: int) -> None:
            receipts.append(await workshop.jobs.save_job(workshop.new("a", payload=str(number).encode())))

        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(add, number)
        assert [receipt.outcome for receipt in receipts].count(Added.ADDED) == 1
        assert {receipt.job_id for receipt in receipts} == {"a"}
        assert await workshop.fetch_order() == ["a"]

    async def test_one_add_made_many_times_at_once_is_one_job(self, workshop: Workshop) -> None:
        receipts: list[AddReceipt] = []

        async def add() -> None:
            receipts.append(await workshop.jobs.save_job(workshop.new("a")))

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(add)
        assert receipts == [AddReceipt("a", Added.ADDED)] * 10
        assert await workshop.fetch_order() == ["a"]

    @pytest.mark.parametrize("is_fetch_first", [True, False])
    async def test_a_cancel_beats_a_fetch_in_either_order(self, workshop: Workshop, is_fetch_first: bool) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        fetched: list[JobData] = []

        async def fetch() -> None:
            fetched.extend(await hand.fetch())

        async def cancel() -> None:
            await workshop.jobs.cancel_job("a", "enough")

        async with anyio.create_task_group() as tasks:
            for verb in (fetch, cancel) if is_fetch_first else (cancel, fetch):
                tasks.start_soon(verb)
        assert await workshop.state("a") is JobState.CANCELLED
        for job in fetched:
            assert await workshop.settle(ending(lock_of(job), Command.COMPLETE)) == ["a"]

    @pytest.mark.parametrize("first", [0, 1, 2])
    @pytest.mark.parametrize("use", USES)
    async def test_settle_reclaim_and_the_use_of_a_lock_agree_on_one_story(
        self, workshop: Workshop, use: str, first: int
    ) -> None:
        await agree_on_one_story(workshop, workshop, use, first)

    @pytest.mark.parametrize("first", [0, 1, 2])
    @pytest.mark.parametrize("use", USES)
    async def test_two_openings_agree_on_one_story(
        self, workshop: Workshop, open_workshop: OpenWorkshop, use: str, first: int
    ) -> None:
        needs(workshop.store.capabilities.is_shared, "is_shared")
        async with open_workshop() as other:
            await agree_on_one_story(workshop, other, use, first)

    async def test_of_two_ends_of_one_run_one_is_applied(self, workshop: Workshop) -> None:
        lock = lock_of(await workshop.fetched("a"))
        refused: list[str] = []

        async def settle(settlement: Settlement) -> None:
            refused.extend(await workshop.settle(settlement))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(settle, ending(lock, Command.COMPLETE))
            tasks.start_soon(settle, ending(lock, Command.FAIL))
        assert refused == ["a"]
        assert len(await workshop.outcomes("a")) == 1

    async def test_many_reclaims_at_once_count_one_stall(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        reclaimed: list[JobData] = []

        async def reclaim() -> None:
            reclaimed.extend(await workshop.jobs.reclaim_stalled_jobs(3))

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(reclaim)
        assert [(job.id, job.stalled_count) for job in reclaimed] == [("a", 1)]

    async def test_many_promotions_at_once_promote_each_job_once(self, workshop: Workshop) -> None:
        await workshop.add(*"abcdef", delay=10)
        workshop.clock.advance(10)
        counts: list[int] = []

        async def promote() -> None:
            counts.append(await workshop.jobs.promote_delayed_jobs([QUEUE], limit=4))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(promote)
        assert sum(counts) == 6
        assert await workshop.fetch_order() == list("abcdef")

    @pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
    async def test_a_cancelled_add_happened_or_did_not(self, workshop: Workshop, checkpoints: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(workshop.add, *"abc")
            for _ in range(checkpoints):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await workshop.add("after")
        assert await workshop.fetch_order() in (["after"], ["a", "b", "c", "after"])

    @pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
    async def test_a_cancelled_settle_happened_or_did_not(self, workshop: Workshop, checkpoints: int) -> None:
        await workshop.add(*"abc")
        settlements = [ending(lock_of(job), Command.COMPLETE) for job in await (await workshop.hand()).fetch()]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(workshop.settle, *settlements)
            for _ in range(checkpoints):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert {await workshop.state(id) for id in "abc"} in ({JobState.ACTIVE}, {JobState.COMPLETED})
        assert await workshop.settle(*settlements) == []
        assert [await workshop.outcomes(id) for id in "abc"] == [[AttemptOutcome.COMPLETED]] * 3

    @pytest.mark.parametrize("command", ["add", "settle", "release", "reclaim", "promote", "expire"])
    async def test_others_see_all_of_a_bulk_command_or_nothing(self, workshop: Workshop, command: str) -> None:
        ids = [f"{number:03}" for number in range(MANY)]
        if command in ("promote", "expire"):
            await workshop.add(*ids, delay=10, expires=20)
            workshop.clock.advance(10 if command == "promote" else 20)
        elif command != "add":
            await workshop.add(*ids)
        jobs = await (await workshop.hand()).fetch() if command in ("settle", "release", "reclaim") else []
        if command == "reclaim":
            workshop.clock.advance(LOCK * 2)
        locks = [lock_of(job) for job in jobs]
        commands: dict[str, Callable[[], Awaitable[object]]] = {
            "add": lambda: workshop.add(*ids),
            "settle": lambda: workshop.settle(*(ending(lock, Command.COMPLETE) for lock in locks)),
            "release": lambda: workshop.jobs.release_locks(locks),
            "reclaim": lambda: workshop.jobs.reclaim_stalled_jobs(3),
            "promote": lambda: workshop.jobs.promote_delayed_jobs([QUEUE]),
            "expire": workshop.jobs.expire_jobs,
        }
        seen = await see(workshop, commands[command])
        assert {tuple(sorted(counts.values())) for counts in seen} <= {(), (MANY,)}
        assert seen[0] != seen[-1]

    @pytest.mark.parametrize("checkpoints", [0, 1, 2, 5])
    async def test_a_cancelled_fetch_can_be_repeated(self, workshop: Workshop, checkpoints: int) -> None:
        await workshop.add(*"abc")
        hand = await workshop.hand()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hand.fetch, 2)
            for _ in range(checkpoints):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        hand.fetches = 1
        assert [job.id for job in await hand.repeat_fetch()] in (["a", "b"], ["a", "b", "c"])


async def agree_on_one_story(workshop: Workshop, other: Workshop, use: str, first: int) -> None:
    """Settle a run in one opening and reclaim its job in the other, while its lock, which is over, is used there."""
    await workshop.add("a")
    hand = await workshop.hand()
    lock = lock_of(await hand.fetch_one())
    workshop.clock.advance(LOCK * 2)
    happened: set[str] = set()

    async def settle() -> None:
        if not await workshop.settle(ending(lock, Command.COMPLETE)):
            happened.add("settle")

    async def reclaim() -> None:
        if await other.jobs.reclaim_stalled_jobs(3):
            happened.add("reclaim")

    async def use_lock() -> None:
        if await use_once(other, hand, use, lock):
            happened.add(use)

    verbs = [settle, reclaim, use_lock]
    async with anyio.create_task_group() as tasks:
        for verb in verbs[first:] + verbs[:first]:
            tasks.start_soon(verb)
    job = await workshop.job("a")
    end = happened - {"extend", "renew"}
    assert (end, job.state, job.stalled_count, await workshop.outcomes("a")) in (
        ({"settle"}, JobState.COMPLETED, 0, [AttemptOutcome.COMPLETED]),
        ({"reclaim"}, JobState.WAITING, 1, [AttemptOutcome.STALLED]),
        ({"release"}, JobState.WAITING, 0, []),
    )


async def use_once(workshop: Workshop, hand: Hand, use: str, lock: Lock) -> bool:
    """Do something with a lock; return whether it could be done."""
    if use == "extend":
        return not await workshop.jobs.extend_locks([lock], LOCK)
    if use == "renew":
        return await workshop.sessions.renew(hand.id, LOCK)
    return not await workshop.jobs.release_locks([lock])


async def see(workshop: Workshop, command: Callable[[], Awaitable[object]]) -> list[dict[JobState, int]]:
    """Return the counts above zero that others see before, during and after a command."""
    seen: list[dict[JobState, int]] = []
    is_done = False

    async def look() -> None:
        counts = await workshop.queues.get_job_counts(QUEUE)
        seen.append({state: count for state, count in counts.items() if count})

    async def look_on() -> None:
        while not is_done:
            await look()
            await anyio.lowlevel.checkpoint()  # not every store waits for something

    await look()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look_on)
        await anyio.lowlevel.checkpoint()
        await command()
        is_done = True
    await look()
    return seen
