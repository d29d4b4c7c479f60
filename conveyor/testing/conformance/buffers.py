"""Buffers: whatever stops between two steps of a flush, nothing is lost, and nothing is added twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.errors import BufferTakeLostError, CapabilityError, DuplicateJobError
from conveyor.model.buffers.values import BufferPlace, FlushPlan
from conveyor.model.deduplication import Deduplication
from conveyor.model.queries import Added
from conveyor.model.states import Command, JobState
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import QUEUE, Workshop, ending, lock_of
from conveyor.testing.crowd import in_processes, in_threads
from conveyor.testing.flushing import BUFFER, flush_all, flush_in_crowd
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.contracts.store import BufferStore
    from conveyor.model.buffers.values import KeptJob
    from conveyor.model.queries import AddReceipt

__all__ = ["BuffersConformance"]

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
CROWD: Final = 3
MANY: Final = 200


def facet(workshop: Workshop) -> BufferStore:
    """Return the facet, which must be there if the store declares it."""
    needs(workshop.store.capabilities.has_buffers, "has_buffers")
    assert workshop.store.buffers is not None, "a store that declares has_buffers has the facet"
    return workshop.store.buffers


async def fill(workshop: Workshop, *job_ids: str, buffer: str = BUFFER) -> None:
    """Put jobs of these ids into a buffer, in this order."""
    receipts = await facet(workshop).add(buffer, [workshop.new(job_id) for job_id in job_ids])
    assert receipts_of(receipts) == [(job_id, Added.BUFFERED) for job_id in job_ids]


async def take(workshop: Workshop, token: str, *, limit: int = 100, buffer: str = BUFFER) -> Sequence[KeptJob]:
    """Take jobs of a buffer for a minute."""
    return await facet(workshop).take(buffer, token, MINUTE, limit=limit)


async def sizes(workshop: Workshop) -> dict[str, int]:
    """Return how many jobs each buffer has."""
    return {buffer_id: size.jobs for buffer_id, size in (await facet(workshop).get_sizes()).items()}


def ids_of(kept: Sequence[KeptJob]) -> list[str]:
    """Return the ids of jobs that were taken."""
    return [one.job.id for one in kept]


def receipts_of(receipts: Sequence[AddReceipt]) -> list[tuple[str, Added]]:
    """Return receipts as plain values."""
    return [(receipt.job_id, receipt.outcome) for receipt in receipts]


def into_first(workshop: Workshop, *job_ids: str) -> FlushPlan:
    """Return a plan by which the first of these jobs does the work of all."""
    first, *others = job_ids
    return FlushPlan(job_ids, [workshop.new(first)], dict.fromkeys(others, first))


class BuffersConformance(StoreKit):
    """What `reduce` does is core's; that a flush is one step is the store's."""

    async def test_a_store_without_buffers_has_no_facet(self, workshop: Workshop) -> None:
        needs(not workshop.store.capabilities.has_buffers, "no buffers")
        assert workshop.store.buffers is None

    async def test_a_buffered_job_is_none_of_the_jobs(self, workshop: Workshop) -> None:
        await fill(workshop, "a")
        assert await workshop.state("a") is None
        assert await workshop.fetch_order() == []
        assert (await facet(workshop).find_places(["a", "b"])).keys() == {"a"}

    async def test_a_buffered_job_comes_back_equal(self, workshop: Workshop) -> None:
        asked = Deduplication(key="k", ttl=MINUTE, states=("waiting", "active"))
        job = workshop.new(
            "ünï'code 🚚", payload=b'{"n": [1, null]}', priority=3, tags=("x",), expires=MINUTE, deduplication=asked
        )
        await facet(workshop).add(BUFFER, [job])
        now = workshop.clock.now()
        (kept,) = await take(workshop, "t")
        assert kept.added_at == now
        back = kept.job
        assert (back.id, back.queue_name, back.name, back.payload) == (job.id, QUEUE, job.name, job.payload)
        assert (back.options, back.deduplication, back.expires) == (job.options, asked, now + MINUTE)
        assert (await facet(workshop).find_places([job.id]))[job.id] == BufferPlace(BUFFER, kept)

    async def test_a_delay_counts_from_the_add(self, workshop: Workshop) -> None:
        await facet(workshop).add(BUFFER, [workshop.new("a", delay="10 minutes")])
        workshop.clock.advance(60)
        (kept,) = await take(workshop, "t")
        await facet(workshop).commit("t", FlushPlan(["a"], [kept.job], {}))
        job = await workshop.job("a")
        assert (job.state, job.run_at) == (JobState.DELAYED, workshop.clock.now() + timedelta(minutes=9))

    async def test_sizes_tell_jobs_bytes_and_times(self, workshop: Workshop) -> None:
        first_at = workshop.clock.now()
        await fill(workshop, "a", "b")
        workshop.clock.advance(5)
        await fill(workshop, "c")
        await fill(workshop, "d", buffer="other")
        found = await facet(workshop).get_sizes()
        assert found.keys() == {BUFFER, "other"}
        size = found[BUFFER]
        assert (size.jobs, size.bytes) == (3, 3 * len(b"{}"))
        assert (size.oldest_at, size.newest_at) == (first_at, workshop.clock.now())

    async def test_sizes_tell_until_when_a_flush_has_the_jobs(self, workshop: Workshop) -> None:
        async def until() -> datetime | None:
            return (await facet(workshop).get_sizes())[BUFFER].taken_until

        await fill(workshop, "a", "b")
        assert await until() is None
        await take(workshop, "t", limit=1)
        assert await until() == workshop.clock.now() + MINUTE
        await facet(workshop).release("t")
        assert await until() is None
        await take(workshop, "next", limit=1)
        await facet(workshop).commit("next", into_first(workshop, "a"))
        assert await until() is None

    async def test_jobs_are_taken_and_added_in_the_order_in_which_they_came(self, workshop: Workshop) -> None:
        await fill(workshop, *"dacb")
        kept = await take(workshop, "t", limit=3)
        assert ids_of(kept) == [*"dac"]
        await facet(workshop).commit("t", FlushPlan(ids_of(kept), [one.job for one in kept], {}))
        assert await sizes(workshop) == {BUFFER: 1}
        assert await workshop.fetch_order() == [*"dac"]

    async def test_the_same_add_again_adds_nothing_wherever_the_job_is(self, workshop: Workshop) -> None:
        await fill(workshop, "a", "b")
        await fill(workshop, "b", "a")
        assert await sizes(workshop) == {BUFFER: 2}
        await take(workshop, "t")
        await facet(workshop).commit("t", into_first(workshop, "a", "b"))
        await fill(workshop, "a", "b")
        assert await sizes(workshop) == {}
        await fill(workshop, *"abcdef")
        assert await sizes(workshop) == {BUFFER: 4}

    async def test_an_add_is_known_again_of_a_job_that_went_on_with_other_arguments(self, workshop: Workshop) -> None:
        await fill(workshop, "a")
        await take(workshop, "t")
        await facet(workshop).commit("t", FlushPlan(["a"], [workshop.new("a", payload=b"[2]")], {"a": "a"}))
        await fill(workshop, "a")
        assert await sizes(workshop) == {}
        assert (await workshop.job("a")).payload == b"[2]"
        assert await facet(workshop).find_places(["a"]) == {}

    async def test_an_id_of_another_job_is_refused_wherever_that_is(self, workshop: Workshop) -> None:
        await workshop.add("live")
        await fill(workshop, "into", "merged")
        await take(workshop, "t")
        await facet(workshop).commit("t", into_first(workshop, "into", "merged"))
        await fill(workshop, "kept")
        others = [workshop.new(id, payload=b"[1]") for id in ("live", "into", "merged", "kept")]
        receipts = await facet(workshop).add("other", others)
        assert [receipt.outcome for receipt in receipts] == [Added.DUPLICATE] * 4
        assert await sizes(workshop) == {BUFFER: 1}

    async def test_a_job_whose_id_another_took_past_the_buffer_stays_there_and_is_known_again(
        self, workshop: Workshop
    ) -> None:
        await fill(workshop, *"ab")
        other = workshop.new("a", payload=b"[1]")
        await workshop.jobs.save_job(other)
        for job in (workshop.new("a"), other):
            assert receipts_of(await facet(workshop).add(BUFFER, [job])) == [("a", Added.BUFFERED)]
        # Some stores look again once they have added something.
        receipts = await facet(workshop).add(BUFFER, [workshop.new("c"), workshop.new("a", payload=b"[2]")])
        assert receipts_of(receipts) == [("c", Added.BUFFERED), ("a", Added.DUPLICATE)]
        assert ids_of(await take(workshop, "t")) == [*"abc"]

    async def test_an_id_twice_in_one_add_is_one_job(self, workshop: Workshop) -> None:
        await fill(workshop, "a", "a")
        assert await sizes(workshop) == {BUFFER: 1}

    async def test_a_commit_removes_adds_and_leaves_a_trace(self, workshop: Workshop) -> None:
        await fill(workshop, *"abc")
        await take(workshop, "t")
        receipts = await facet(workshop).commit("t", into_first(workshop, *"abc"))
        assert receipts_of(receipts) == [("a", Added.ADDED)]
        assert await sizes(workshop) == {}
        assert await workshop.fetch_order() == ["a"]
        places = await facet(workshop).find_places([*"abc"])
        assert {id: place.merged_into for id, place in places.items()} == {"b": "a", "c": "a"}

    async def test_a_job_that_meets_a_key_went_into_the_one_that_has_it(self, workshop: Workshop) -> None:
        asked = Deduplication(key="k")
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        await workshop.add("holder", deduplication=asked)
        await fill(workshop, *"ab")
        await take(workshop, "t")
        plan = FlushPlan([*"ab"], [workshop.new("a", deduplication=asked)], {"b": "a"})
        receipts = await facet(workshop).commit("t", plan)
        assert receipts_of(receipts) == [("holder", Added.KEPT)]
        assert receipts_of(await facet(workshop).commit("t", plan)) == [("holder", Added.KEPT)]
        places = await facet(workshop).find_places([*"ab"])
        assert {id: place.merged_into for id, place in places.items()} == {"a": "holder", "b": "holder"}

    async def test_jobs_that_could_not_be_reduced_can_be_added_as_failed(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        kept = await take(workshop, "t")
        await facet(workshop).commit("t", FlushPlan([*"ab"], [one.job for one in kept], {}, failure="out of ideas"))
        for job_id in "ab":
            job = await workshop.job(job_id)
            assert (job.state, job.error.message if job.error else "") == (JobState.FAILED, "out of ideas")
        await workshop.jobs.rerun_job("a")
        assert await workshop.fetch_order() == ["a"]

    async def test_nobody_else_takes_from_a_buffer_that_is_taken(self, workshop: Workshop) -> None:
        await fill(workshop, *"abc")
        assert ids_of(await take(workshop, "one", limit=1)) == ["a"]
        assert ids_of(await take(workshop, "two")) == []
        assert ids_of(await take(workshop, "one", limit=1)) == ["a"]
        assert await sizes(workshop) == {BUFFER: 3}

    async def test_who_wants_no_job_changes_nothing(self, workshop: Workshop) -> None:
        await fill(workshop, *"abc")
        assert ids_of(await take(workshop, "none", limit=0)) == []
        assert ids_of(await take(workshop, "one", limit=1)) == ["a"]
        assert ids_of(await take(workshop, "one", limit=0)) == []
        assert ids_of(await take(workshop, "two")) == []

    async def test_what_comes_while_a_buffer_is_taken_stays_there(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        await take(workshop, "t")
        await fill(workshop, "c")
        await facet(workshop).commit("t", into_first(workshop, *"ab"))
        assert ids_of(await take(workshop, "next")) == ["c"]

    async def test_released_jobs_are_taken_by_others(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        await take(workshop, "one")
        await facet(workshop).release("one")
        await facet(workshop).release("nobody")
        assert ids_of(await take(workshop, "two")) == [*"ab"]
        await facet(workshop).release("one")
        assert ids_of(await take(workshop, "three")) == []

    async def test_a_flush_that_dies_with_its_jobs_is_done_by_another(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        await take(workshop, "dead")
        workshop.clock.advance(61)
        assert ids_of(await take(workshop, "heir")) == [*"ab"]
        await facet(workshop).commit("heir", into_first(workshop, *"ab"))
        assert await workshop.fetch_order() == ["a"]

    async def test_a_flush_that_comes_back_too_late_adds_nothing(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        await take(workshop, "zombie")
        workshop.clock.advance(61)
        await take(workshop, "heir")
        with pytest.raises(BufferTakeLostError):
            await facet(workshop).commit("zombie", into_first(workshop, *"ba"))
        assert await sizes(workshop) == {BUFFER: 2}
        await facet(workshop).commit("heir", into_first(workshop, *"ab"))
        with pytest.raises(BufferTakeLostError):
            await facet(workshop).commit("zombie", into_first(workshop, *"ba"))
        assert await workshop.fetch_order() == ["a"]

    async def test_a_flush_that_is_late_commits_where_nobody_took_over(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        await take(workshop, "slow")
        workshop.clock.advance(61)
        await facet(workshop).commit("slow", into_first(workshop, *"ab"))
        assert await sizes(workshop) == {}

    async def test_a_commit_whose_answer_was_lost_changes_nothing_more(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        await take(workshop, "t")
        plan = into_first(workshop, *"ab")
        first = await facet(workshop).commit("t", plan)
        job = await (await workshop.hand()).fetch_one()
        await workshop.settle(ending(lock_of(job), Command.COMPLETE, is_removed=True))
        await fill(workshop, "c")
        assert receipts_of(await facet(workshop).commit("t", plan)) == receipts_of(first)
        await facet(workshop).release("t")
        assert await workshop.fetch_order() == []
        assert await sizes(workshop) == {BUFFER: 1}

    async def test_a_commit_that_meets_another_job_of_its_id_does_nothing(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        await take(workshop, "t")
        await workshop.jobs.save_job(workshop.new("b", payload=b"[1]"))
        with pytest.raises(DuplicateJobError):
            await facet(workshop).commit("t", FlushPlan([*"ab"], [workshop.new("a"), workshop.new("b")], {}))
        assert (await sizes(workshop), await workshop.state("a")) == ({BUFFER: 2}, None)
        renamed = FlushPlan([*"ab"], [workshop.new("a"), workshop.new("b2")], {"b": "b2"})
        await facet(workshop).commit("t", renamed)
        assert await workshop.fetch_order() == ["b", "a", "b2"]

    async def test_traces_are_forgotten_by_their_age(self, workshop: Workshop) -> None:
        await fill(workshop, *"abc")
        await take(workshop, "t")
        await facet(workshop).commit("t", into_first(workshop, *"abc"))
        workshop.clock.advance(60)
        assert await facet(workshop).forget_merged(2 * MINUTE) == 0
        assert await facet(workshop).forget_merged(MINUTE, limit=1) == 1
        assert await facet(workshop).forget_merged(MINUTE) == 1
        assert await facet(workshop).find_places([*"abc"]) == {}

    async def test_a_buffer_has_no_place_in_a_transaction_that_there_is_not(self, workshop: Workshop) -> None:
        needs(not workshop.store.capabilities.has_transactions, "no transactions")
        with pytest.raises(CapabilityError, match="transactions"):
            await facet(workshop).add_in(object(), BUFFER, [workshop.new("a")])
        assert await sizes(workshop) == {}

    @pytest.mark.parametrize("is_committed", [True, False])
    async def test_jobs_are_buffered_exactly_when_the_callers_transaction_commits(
        self, workshop: Workshop, is_committed: bool
    ) -> None:
        needs(workshop.store.capabilities.has_transactions, "has_transactions")
        buffers, books = facet(workshop), await Books.opened(workshop)
        job = await workshop.fetched("run")
        async with books.begun(lock_of(job)) as transaction:
            await books.write(transaction.connection, "Emma")
            receipts = await buffers.add_in(transaction.connection, BUFFER, [workshop.new("a")])
            assert receipts_of(receipts) == [("a", Added.BUFFERED)]
            assert await sizes(workshop) == {}
            if is_committed:
                await transaction.commit(ending(lock_of(job), Command.COMPLETE))
            else:
                await transaction.roll_back()
        assert await sizes(workshop) == ({BUFFER: 1} if is_committed else {})

    async def test_buffers_are_there_after_a_restart(self, workshop: Workshop, open_workshop: OpenWorkshop) -> None:
        needs(workshop.store.capabilities.is_durable, "is_durable")
        await fill(workshop, *"ab")
        await take(workshop, "t")
        async with open_workshop() as again:
            assert await sizes(again) == {BUFFER: 2}
            await facet(again).commit("t", into_first(again, *"ab"))
        assert await workshop.fetch_order() == ["a"]

    async def test_tasks_that_flush_at_once_add_each_job_once(self, workshop: Workshop) -> None:
        await fill_many(workshop)
        found: list[list[str]] = []

        async def go() -> None:
            found.append(await flush_all(facet(workshop)))

        async with anyio.create_task_group() as tasks:
            for _ in range(CROWD):
                tasks.start_soon(go)
        await check_many(workshop, found)

    @pytest.mark.parametrize("crowd", [in_threads, in_processes])
    def test_threads_and_processes_that_flush_at_once_add_each_job_once(
        self, store_url: str, anyio_backend_name: str, crowd: Callable[..., list[list[str]]]
    ) -> None:
        many = {"threads" if crowd is in_threads else "processes": CROWD}
        anyio.run(in_shared_store, store_url, fill_many, backend=anyio_backend_name)
        found = crowd(store_url, flush_in_crowd, backend=anyio_backend_name, **many)
        anyio.run(in_shared_store, store_url, partial(check_many, found=found), backend=anyio_backend_name)


async def in_shared_store(url: str, do: Callable[[Workshop], Awaitable[None]]) -> None:
    """Do something in an opening of its own, where the store can be shared, long before the system's time."""
    clock = ManualClock(LONG_AGO)
    async with open_store(url, clock=clock) as store:
        needs(store.capabilities.is_shared and store.capabilities.has_buffers, "is_shared or has_buffers")
        await do(Workshop(store, clock))


async def fill_many(workshop: Workshop) -> None:
    """Fill a buffer."""
    await fill(workshop, *(f"{number:03}" for number in range(MANY)))


async def check_many(workshop: Workshop, found: Sequence[Sequence[str]]) -> None:
    """Assert that each job was added by one, or went into one that was."""
    added = [job_id for of_one in found for job_id in of_one]
    places = await facet(workshop).find_places([f"{number:03}" for number in range(MANY)])
    assert len(added) == len(set(added)), "a job was added twice"
    assert len(added) + len(places) == MANY, "a job is lost"
    assert {place.merged_into for place in places.values()} <= set(added)
    assert await workshop.queues.count_jobs(QUEUE, JobState.WAITING) == len(added)
