"""Buffers: jobs that end without having run, as dead letters of a flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.buffers.values import FlushPlan
from conveyor.model.retention import Retention
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.buffers import facet, fill, ids_of, sizes, take
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import QUEUE, Workshop, ending, lock_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.buffers.values import KeptJob

__all__ = ["BufferEndsConformance"]


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

    async def test_a_dead_letter_can_be_rerun(self, workshop: Workshop) -> None:
        await fill(workshop, "a")
        await fail(workshop, await take(workshop, "t"))
        await workshop.jobs.rerun_job("a")
        assert await workshop.fetch_order() == ["a"]
