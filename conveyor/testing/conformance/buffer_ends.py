"""Buffers: jobs that end without having run: as dead letters of a flush, cancelled, or removed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.errors import BufferTakeLostError, DuplicateJobError
from conveyor.model.buffers.values import FlushPlan
from conveyor.model.deduplication import Deduplication
from conveyor.model.queries import Added
from conveyor.model.retention import Retention
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.buffers import facet, fill, ids_of, into_first, receipts_of, sizes, take
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import QUEUE, Workshop, ending, lock_of
from conveyor.testing.flushing import BUFFER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.buffers.values import KeptJob

__all__ = ["BufferEndsConformance"]

RIVALS: Final = 100


async def fail(workshop: Workshop, kept: Sequence[KeptJob]) -> None:
    """Commit jobs that the token t took as dead letters."""
    plan = FlushPlan(ids_of(kept), [one.job for one in kept], {}, failure="out of ideas")
    await facet(workshop).commit("t", plan)


class BufferEndsConformance(StoreKit):
    """They are jobs like others that ended: listed, counted, kept and rerun."""

    async def test_dead_letters_of_several_queues_fail_each_as_its_own(self, workshop: Workshop) -> None:
        buffers = facet(workshop)
        jobs = [
            workshop.new("plain"),
            workshop.new("delayed", delay="1 hour"),
            workshop.new("elsewhere", queue="other"),
            workshop.new("named", name="another"),
            workshop.new("gone", remove_on_fail=True),
            workshop.new("brief", remove_on_fail="1 minute"),
        ]
        await buffers.add("b", jobs)
        await fail(workshop, await take(workshop, "t", buffer="b"))
        assert await sizes(workshop) == {}
        for job in jobs:
            if job.id != "gone":
                failed = await workshop.job(job.id)
                assert (failed.state, failed.finished_at) == (JobState.FAILED, workshop.clock.now())
                assert failed.error is not None
                assert (failed.error.type, failed.error.message) == ("MovedToFailed", "out of ideas")
        assert await workshop.state("gone") is None
        assert (await workshop.jobs.find_endings(["gone"]))["gone"].state is JobState.FAILED
        assert await workshop.queues.count_jobs("other", JobState.FAILED) == 1
        assert await workshop.fetch_order() == []

    async def test_a_dead_letter_is_kept_as_long_as_its_job_asks(self, workshop: Workshop) -> None:
        await facet(workshop).add("b", [workshop.new("brief", remove_on_fail="1 minute"), workshop.new("plain")])
        await fail(workshop, await take(workshop, "t", buffer="b"))
        workshop.clock.advance(61)
        await workshop.jobs.remove_outdated_jobs([QUEUE], Retention(max_age="1 day"), limit=10)
        assert (await workshop.state("brief"), await workshop.state("plain")) == (None, JobState.FAILED)

    async def test_dead_letters_count_as_failures_of_one_kind(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_error_groups, "has_error_groups")
        await fill(workshop, *"ab")
        await fail(workshop, await take(workshop, "t"))
        errors = [(await workshop.job(job_id)).error for job_id in "ab"]
        assert errors[0] is not None
        assert errors[0] == errors[1]
        assert errors[0].fingerprint

    async def test_a_dead_letter_that_ran_meanwhile_stays_as_it_ended(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        kept = await take(workshop, "t")
        await workshop.jobs.save_job(workshop.new("a"))
        job = await (await workshop.hand()).fetch_one()
        await workshop.settle(ending(lock_of(job), Command.COMPLETE))
        await fail(workshop, kept)
        assert (await workshop.state("a"), await workshop.state("b")) == (JobState.COMPLETED, JobState.FAILED)

    async def test_a_dead_letter_that_was_added_past_its_buffer_stays_as_it_is(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        kept = await take(workshop, "t")
        await workshop.jobs.save_job(workshop.new("a"))
        await fail(workshop, kept)
        assert (await workshop.state("a"), await workshop.state("b")) == (JobState.WAITING, JobState.FAILED)
        assert await sizes(workshop) == {}

    async def test_a_dead_letter_can_be_rerun(self, workshop: Workshop) -> None:
        await fill(workshop, "a")
        await fail(workshop, await take(workshop, "t"))
        await workshop.jobs.rerun_job("a")
        assert await workshop.fetch_order() == ["a"]

    async def test_a_buffered_job_can_be_cancelled(self, workshop: Workshop) -> None:
        await fill(workshop, *"abc")
        cancelled = await facet(workshop).cancel_job("b", "changed my mind")
        assert cancelled is not None
        assert (cancelled.id, cancelled.state) == ("b", JobState.CANCELLED)
        job = await workshop.job("b")
        assert (job.state, job.finished_at) == (JobState.CANCELLED, workshop.clock.now())
        assert job.error is not None
        assert (job.error.type, job.error.message) == ("Cancelled", "changed my mind")
        assert (await sizes(workshop), await facet(workshop).find_places(["b"])) == ({BUFFER: 2}, {})
        assert ids_of(await take(workshop, "t")) == [*"ac"]
        assert await workshop.fetch_order() == []

    async def test_a_buffered_job_can_be_removed_and_added_anew(self, workshop: Workshop) -> None:
        await fill(workshop, *"abc")
        assert await facet(workshop).remove_job("b")
        assert not await facet(workshop).remove_job("b")
        assert (await workshop.state("b"), await facet(workshop).find_places(["b"])) == (None, {})
        size = (await facet(workshop).get_sizes())[BUFFER]
        assert (size.jobs, size.bytes) == (2, 2 * len(b"{}"))
        await fill(workshop, "b")
        assert ids_of(await take(workshop, "t")) == [*"acb"]

    async def test_what_is_in_no_buffer_is_neither_cancelled_nor_removed(self, workshop: Workshop) -> None:
        await fill(workshop, *"ab")
        await take(workshop, "t")
        await facet(workshop).commit("t", into_first(workshop, *"ab"))
        for job_id in (*"ab", "nobody"):
            assert await facet(workshop).cancel_job(job_id, "why not") is None
            assert not await facet(workshop).remove_job(job_id)
        assert await workshop.fetch_order() == ["a"]

    @pytest.mark.parametrize("is_removed", [True, False])
    async def test_a_flush_that_took_a_job_which_is_gone_adds_nothing(
        self, workshop: Workshop, is_removed: bool
    ) -> None:
        await fill(workshop, *"abc")
        await take(workshop, "t")
        await (facet(workshop).remove_job("b") if is_removed else facet(workshop).cancel_job("b", "why not"))
        with pytest.raises(BufferTakeLostError):
            await facet(workshop).commit("t", into_first(workshop, *"abc"))
        assert (await sizes(workshop), await workshop.fetch_order()) == ({BUFFER: 2}, [])
        assert ids_of(await take(workshop, "again")) == [*"ac"]
        await facet(workshop).commit("again", into_first(workshop, *"ac"))
        assert await workshop.fetch_order() == ["a"]
        assert (await facet(workshop).find_places([*"abc"])).keys() == {"c"}

    async def test_ids_are_found_by_their_beginning(self, workshop: Workshop) -> None:
        await fill(workshop, "order-10", "order-1", "order-2", "Order-1", "other", "order_1", "order-1ü")
        await fill(workshop, "order-100", "order-101", buffer="merged")
        await take(workshop, "t", buffer="merged")
        await facet(workshop).commit("t", into_first(workshop, "order-100", "order-101"))
        found = [*await facet(workshop).find_ids("order-1", limit=9)]
        # That which did not go into another is a job of its queue.
        assert found == ["order-1", "order-10", "order-101", "order-1ü"]
        assert [*await facet(workshop).find_ids("order-1", limit=2)] == ["order-1", "order-10"]
        assert [*await facet(workshop).find_ids("nobody", limit=9)] == []

    async def test_a_flush_of_another_buffer_goes_on(self, workshop: Workshop) -> None:
        await fill(workshop, "a")
        await fill(workshop, "b", buffer="other")
        await take(workshop, "t")
        assert await facet(workshop).remove_job("b")
        await facet(workshop).commit("t", into_first(workshop, "a"))
        assert await workshop.fetch_order() == ["a"]

    async def test_a_cancelled_job_meets_no_key_and_is_known_when_it_is_added_again(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        asked = Deduplication(key="k", mode="replace")
        await workshop.add("holder", deduplication=asked)
        job = workshop.new("a", payload=b"[1]", deduplication=asked, delay="1 hour")
        await facet(workshop).add(BUFFER, [job])
        await facet(workshop).cancel_job("a", "why not")
        assert (await workshop.job("holder")).payload == b"{}"
        (receipt,) = await facet(workshop).add(BUFFER, [job])
        assert receipts_of([receipt]) == [("a", Added.BUFFERED)]
        assert (await sizes(workshop), await workshop.state("a")) == ({}, JobState.CANCELLED)

    @pytest.mark.parametrize("payload", [b"{}", b"[1]"])
    async def test_a_job_whose_id_is_a_jobs_cannot_be_cancelled_in_its_buffer(
        self, workshop: Workshop, payload: bytes
    ) -> None:
        await fill(workshop, *"ab")
        await workshop.jobs.save_job(workshop.new("a", payload=payload))
        with pytest.raises(DuplicateJobError):
            await facet(workshop).cancel_job("a", "why not")
        assert (await sizes(workshop), await workshop.state("a")) == ({BUFFER: 2}, JobState.WAITING)
        assert await facet(workshop).remove_job("a")
        assert ids_of(await take(workshop, "t")) == ["b"]

    async def test_what_was_cancelled_in_a_buffer_is_there_after_a_restart(
        self, workshop: Workshop, open_workshop: OpenWorkshop
    ) -> None:
        needs(workshop.store.capabilities.is_durable, "is_durable")
        await fill(workshop, *"abc")
        await facet(workshop).cancel_job("b", "why not")
        await facet(workshop).remove_job("c")
        async with open_workshop() as again:
            assert (await sizes(again), await again.state("b")) == ({BUFFER: 1}, JobState.CANCELLED)

    async def test_of_a_cancel_and_a_flush_the_first_holds(self, workshop: Workshop) -> None:
        """Whoever flushes loses what it took as often as somebody cancels, and begins again."""
        buffers = facet(workshop)
        ids = [f"{number:03}" for number in range(RIVALS)]
        await fill(workshop, *ids)
        cancelled: set[str] = set()

        async def cancel_some() -> None:
            for job_id in ids[::7]:
                if await buffers.cancel_job(job_id, "why not") is not None:
                    cancelled.add(job_id)

        async def flush() -> None:
            number = 0
            while kept := await take(workshop, f"t{number}", limit=10):
                with suppress(BufferTakeLostError):
                    await buffers.commit(f"t{number}", FlushPlan(ids_of(kept), [one.job for one in kept], {}))
                number += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flush)
            tasks.start_soon(cancel_some)
        found = await workshop.jobs.find_jobs(ids)
        assert {id for id, job in found.items() if job.state is JobState.CANCELLED} == cancelled
        assert {id for id, job in found.items() if job.state is JobState.WAITING} == {*ids} - cancelled
        assert await sizes(workshop) == {}
