"""Children added to a job that is there, and runs that wait for their children."""

from __future__ import annotations

import pytest

from conveyor.errors import InvalidJobStateError, JobNotFoundError, LockLostError
from conveyor.model.deduplication import Deduplication
from conveyor.model.flows import ChildOutcome
from conveyor.model.job import AttemptOutcome
from conveyor.model.outcomes import Completed, Snooze, WaitForChildren
from conveyor.model.queries import Added
from conveyor.model.settlement import settle
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.flow_bench import BROKEN, FlowBench, FlowKit
from conveyor.testing.conformance.kit import needs
from conveyor.testing.conformance.workshop import QUEUE, lock_of, stranger

__all__ = ["FlowChildrenConformance"]

WAITING, WAITS = JobState.WAITING, JobState.WAITING_CHILDREN
WAIT = WaitForChildren()


class FlowChildrenConformance(FlowKit):
    """A run may add children to its job and come back when they have ended."""

    async def test_a_parent_that_waits_can_have_more_children(self, bench: FlowBench) -> None:
        await bench.add_pair()
        added = await bench.add_children("top", bench.flow("more", bench.part("leaf"), queue="middles"))
        assert added == [Added.ADDED] * 2
        await bench.run()
        await bench.run()
        assert await bench.states("part", "leaf", "more", "top") == [
            JobState.COMPLETED, JobState.COMPLETED, WAITING, WAITS,
        ]  # fmt: skip
        await bench.run(queue="middles")
        assert await bench.workshop.state("top") is WAITING

    async def test_a_run_waits_for_the_children_that_it_adds(self, bench: FlowBench) -> None:
        await bench.workshop.add("top")
        job = await bench.fetch(QUEUE)
        assert await bench.add_children("top", bench.part("a"), bench.part("b"), lock=lock_of(job)) == [Added.ADDED] * 2
        assert await bench.workshop.state("top") is JobState.ACTIVE
        await bench.end(job, WAIT)
        top = await bench.workshop.job("top")
        assert (top.state, top.attempts_made, top.options.flow_id) == (WAITS, 0, "top")
        await bench.run()
        await bench.run()
        assert await bench.workshop.state("top") is WAITING
        await bench.run(queue=QUEUE)
        assert await bench.workshop.outcomes("top") == [AttemptOutcome.WAITED, AttemptOutcome.COMPLETED]

    async def test_a_parent_that_another_add_replaces_keeps_its_children(self, bench: FlowBench) -> None:
        needs(bench.workshop.store.capabilities.has_deduplication, "has_deduplication")
        red = Deduplication(key="red", mode="replace")
        await bench.workshop.add("top", deduplication=red)
        job = await bench.fetch(QUEUE)
        await bench.add_children("top", bench.part("part"), lock=lock_of(job))
        await bench.end(job, WAIT)
        await bench.run()
        again = bench.workshop.new("again", payload=b"[9]", tags=("new",), deduplication=red)
        assert [receipt.job_id for receipt in await bench.workshop.jobs.save_jobs([again])] == ["top"]
        top = await bench.run(queue=QUEUE)
        assert (top.payload, top.options.tags, top.options.flow_id) == (b"[9]", ("new",), "top")
        # It waits for its child again, where that runs again.
        await bench.workshop.jobs.rerun_job("part")
        await bench.workshop.jobs.rerun_job("top")
        assert await bench.workshop.state("top") is WAITS

    async def test_a_run_whose_children_have_ended_comes_back_at_once(self, bench: FlowBench) -> None:
        await bench.workshop.add("top", "childless")
        job = await bench.fetch(QUEUE)
        await bench.add_children("top", bench.part("part"), lock=lock_of(job))
        await bench.run()
        await bench.end(job, WAIT)
        await bench.run(WAIT, queue=QUEUE)
        assert await bench.states("top", "childless") == [WAITING, WAITING]

    async def test_a_wait_after_a_child_failed_fails_at_once(self, bench: FlowBench) -> None:
        await bench.workshop.add("top")
        job = await bench.fetch(QUEUE)
        await bench.add_children("top", bench.part("part"), bench.part("other"), lock=lock_of(job))
        await bench.run(BROKEN)
        await bench.end(job, WAIT)
        assert await bench.workshop.state("top") is JobState.FAILED
        assert await bench.reason("top") == ("ChildFailed", "its child part failed")

    async def test_a_wait_is_repeated_without_effect(self, bench: FlowBench) -> None:
        await bench.workshop.add("top")
        job = await bench.fetch(QUEUE)
        await bench.add_children("top", bench.part("part"), lock=lock_of(job))
        settlement = settle(job, WAIT, result=None, jitter=0.5)
        for _ in range(2):
            assert await bench.workshop.settle(settlement) == []
        await bench.run()
        assert await bench.workshop.settle(settlement) == []
        assert await bench.workshop.state("top") is WAITING
        assert await bench.workshop.outcomes("top") == [AttemptOutcome.WAITED]

    async def test_a_run_that_completes_waits_for_nothing(self, bench: FlowBench) -> None:
        await bench.workshop.add("top")
        job = await bench.fetch(QUEUE)
        await bench.add_children("top", bench.part("part"), lock=lock_of(job))
        await bench.end(job, Completed())
        await bench.run(BROKEN)
        assert await bench.workshop.state("top") is JobState.COMPLETED
        assert await bench.outcomes() == {"part": ChildOutcome.FAILED}

    async def test_a_run_that_is_put_off_keeps_its_children(self, bench: FlowBench) -> None:
        await bench.workshop.add("top")
        job = await bench.fetch(QUEUE)
        await bench.add_children("top", bench.part("part"), lock=lock_of(job))
        await bench.end(job, Snooze(0))
        await bench.run(WAIT, queue=QUEUE)
        assert await bench.workshop.state("top") is WAITS
        await bench.run()
        assert await bench.workshop.state("top") is WAITING

    async def test_the_same_children_again_add_nothing(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("other", bench.part("x")))
        children = bench.flow("more", bench.part("leaf", remove_on_complete=True), queue="middles"), bench.part("b")
        for _ in range(2):
            assert await bench.add_children("other", *children) == [Added.ADDED] * 3
        assert len(await bench.children("other")) == 3
        assert (await bench.run()).id == "x"
        assert (await bench.run()).id == "leaf"
        assert await bench.add_children("other", *children) == [Added.ADDED] * 3
        assert await bench.states("leaf", "more", "b", "other") == [None, WAITING, WAITING, WAITS]

    async def test_a_taken_id_leaves_no_child_added(self, bench: FlowBench) -> None:
        await bench.add_pair()
        await bench.workshop.add("taken", queue="elsewhere")
        added = await bench.add_children("top", bench.part("new"), bench.part("taken"))
        assert added[1] is Added.DUPLICATE
        assert await bench.workshop.state("new") is None
        assert await bench.outcomes() == {"part": None}

    async def test_a_run_that_lost_its_lock_adds_nothing(self, bench: FlowBench) -> None:
        await bench.workshop.add("top")
        job = await bench.fetch(QUEUE)
        for lock in (stranger("top"), stranger("other")):
            with pytest.raises(LockLostError):
                await bench.add_children("top", bench.part("part"), lock=lock)
        await bench.end(job)
        with pytest.raises(LockLostError):
            await bench.add_children("top", bench.part("part"), lock=lock_of(job))
        assert await bench.workshop.state("part") is None

    async def test_only_what_runs_or_waits_for_children_gets_more(self, bench: FlowBench) -> None:
        await bench.workshop.add("top")
        with pytest.raises(InvalidJobStateError) as refused:
            await bench.add_children("top", bench.part("part"))
        assert (refused.value.state, refused.value.command) == (WAITING, Command.ADD_CHILDREN)
        with pytest.raises(JobNotFoundError):
            await bench.add_children("nobody", bench.part("part"))
        assert await bench.workshop.state("part") is None
