"""Ends in flows: whatever ends a child is told to its parents, up to the top, and nothing revives what has ended."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import pytest
from attrs import evolve

from conveyor.model.flows import ChildOutcome
from conveyor.model.outcomes import Cancel, Retry
from conveyor.model.settlement import settle
from conveyor.model.states import JobState
from conveyor.testing.conformance.flow_bench import BROKEN, DONE, PARTS, FlowBench, FlowKit
from conveyor.testing.conformance.workshop import LOCK, QUEUE

__all__ = ["FlowEndsConformance"]

WAITING, WAITS, FAILED = JobState.WAITING, JobState.WAITING_CHILDREN, JobState.FAILED


class End(StrEnum):
    """The ways of a child to end otherwise than completed."""

    FAILED = "failed"
    FAILED_AND_REMOVED = "failed and removed"
    DISCARDED = "discarded and retried"
    MOVED = "failed by hand"
    STOPPED = "stopped by its handler"
    CANCELLED = "cancelled"
    CANCELLED_RUNNING = "cancelled while it runs"
    EXPIRED = "expired"
    EXPIRED_AT_A_FETCH = "expired at a fetch"
    STALLED = "stalled too often"
    STALLED_AND_REMOVED = "stalled too often and removed"
    REMOVED = "removed"
    DRAINED = "drained"
    OBLITERATED = "obliterated"


TOLD: Final = {
    End.STOPPED: ChildOutcome.CANCELLED,
    End.CANCELLED: ChildOutcome.CANCELLED,
    End.CANCELLED_RUNNING: ChildOutcome.CANCELLED,
    End.EXPIRED: ChildOutcome.CANCELLED,
    End.EXPIRED_AT_A_FETCH: ChildOutcome.CANCELLED,
    End.REMOVED: ChildOutcome.REMOVED,
    End.DRAINED: ChildOutcome.REMOVED,
    End.OBLITERATED: ChildOutcome.REMOVED,
}


async def end_part(bench: FlowBench, end: End) -> None:  # noqa: C901 - one case for each way
    """End the child "part", which expires after an hour and is removed where it fails as the end says."""
    workshop = bench.workshop
    match end:
        case End.FAILED | End.FAILED_AND_REMOVED:
            await bench.run(BROKEN)
        case End.DISCARDED:
            job = await bench.fetch()
            await workshop.jobs.discard("part")
            await bench.end(job, Retry())
        case End.MOVED:
            await workshop.jobs.move_to_failed("part", "enough")
        case End.STOPPED:
            await bench.run(Cancel("enough"))
        case End.CANCELLED:
            await workshop.jobs.cancel_job("part", "enough")
        case End.CANCELLED_RUNNING:
            await bench.fetch()
            await workshop.jobs.cancel_job("part", "enough")
        case End.EXPIRED:
            workshop.clock.advance(3600)
            assert await workshop.jobs.expire_jobs() == 1
        case End.EXPIRED_AT_A_FETCH:
            workshop.clock.advance(3600)
            assert await workshop.fetch_order(queue=PARTS) == []
        case End.STALLED | End.STALLED_AND_REMOVED:
            await bench.fetch()
            workshop.clock.advance(LOCK * 2)
            assert len(await workshop.jobs.reclaim_stalled_jobs(0)) == 1
        case End.REMOVED:
            await workshop.jobs.remove_job("part")
        case End.DRAINED:
            assert await workshop.queues.drain(PARTS) == 1
        case End.OBLITERATED:
            await bench.fetch()
            assert await workshop.queues.obliterate(PARTS, force=True) == 1


class FlowEndsConformance(FlowKit):
    """No parent waits for ever, and none runs that has ended."""

    async def add(self, bench: FlowBench, end: End, policy: str) -> None:
        """Add a flow of three generations whose middle has the policy; the top goes on whatever happens below."""
        part = bench.part(
            "part", expires="1h", attempts=2, remove_on_fail=end in (End.FAILED_AND_REMOVED, End.STALLED_AND_REMOVED)
        )
        middle = bench.flow("middle", part, queue="middles", on_child_failure=policy)  # type: ignore[arg-type] # a word
        await bench.add(bench.flow("top", middle, on_child_failure="ignore"))

    @pytest.mark.parametrize("end", End)
    async def test_a_child_that_did_not_complete_fails_its_parent(self, bench: FlowBench, end: End) -> None:
        await self.add(bench, end, "fail")
        await end_part(bench, end)
        assert await bench.states("middle", "top") == [FAILED, WAITING]
        outcome = TOLD.get(end, ChildOutcome.FAILED)
        assert await bench.outcomes("middle") == {"part": outcome}
        assert await bench.outcomes("top") == {"middle": ChildOutcome.FAILED}
        said = "was removed before it ended" if outcome is ChildOutcome.REMOVED else outcome.value
        assert await bench.reason("middle") == ("ChildFailed", f"its child part {said}")

    @pytest.mark.parametrize("end", End)
    async def test_a_parent_may_go_on_without_a_child(self, bench: FlowBench, end: End) -> None:
        await self.add(bench, end, "ignore")
        await end_part(bench, end)
        assert await bench.states("middle", "top") == [WAITING, WAITS]
        assert await bench.outcomes("middle") == {"part": TOLD.get(end, ChildOutcome.FAILED)}

    @pytest.mark.parametrize("end", End)
    async def test_a_parent_may_drop_a_child(self, bench: FlowBench, end: End) -> None:
        await self.add(bench, end, "remove")
        await end_part(bench, end)
        assert await bench.states("middle", "top") == [WAITING, WAITS]
        assert await bench.outcomes("middle") == {}

    async def test_a_failure_goes_up_to_the_top(self, bench: FlowBench) -> None:
        low = bench.flow("low", bench.part("leaf"), queue="middles")
        await bench.add(bench.flow("top", bench.flow("middle", low, queue="middles"), bench.part("other")))
        await bench.run(BROKEN)
        assert await bench.states("low", "middle", "top", "other") == [FAILED, FAILED, FAILED, WAITING]
        assert await bench.reason("top") == ("ChildFailed", "its child middle failed")

    async def test_a_parent_fails_with_its_first_failed_child(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("a"), bench.part("b"), bench.part("c")))
        await bench.run(BROKEN)
        assert await bench.workshop.state("top") is FAILED
        ended = await bench.workshop.job("top")
        await bench.run(BROKEN)
        await bench.run()
        assert await bench.workshop.job("top") == ended
        assert list((await bench.outcomes()).values()) == [
            ChildOutcome.FAILED, ChildOutcome.FAILED, ChildOutcome.COMPLETED,
        ]  # fmt: skip

    @pytest.mark.parametrize("kept", [True, "1h"])
    async def test_a_parent_that_fails_is_kept_as_it_asked(self, bench: FlowBench, kept: bool | str) -> None:
        middle = bench.flow("middle", bench.part("part"), queue="middles", remove_on_fail=kept)
        await bench.add(bench.flow("top", middle))
        await bench.run(BROKEN)
        assert await bench.states("middle", "top") == [None if kept is True else FAILED, FAILED]
        assert await bench.outcomes("top") == {"middle": ChildOutcome.FAILED}

    @pytest.mark.parametrize("policy", ["fail", "ignore"])
    async def test_a_cancelled_parent_is_not_revived(self, bench: FlowBench, policy: str) -> None:
        await bench.add_pair(on_child_failure=policy)  # type: ignore[arg-type] # one of the words
        await bench.workshop.jobs.cancel_job("top", "enough")
        before = await bench.workshop.job("top")
        await bench.run(DONE if policy == "ignore" else BROKEN)
        assert await bench.workshop.job("top") == before
        assert before.state is JobState.CANCELLED

    async def test_a_removed_parent_leaves_its_children_alone(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.flow("middle", bench.part("part"), queue="middles")))
        await bench.workshop.jobs.remove_job("middle")
        assert await bench.states("part", "top") == [WAITING, FAILED]
        assert list(await bench.children("middle")) == []
        assert list(await bench.flows.get_parent_ids("part")) == []
        await bench.run()
        assert await bench.workshop.state("part") is JobState.COMPLETED

    async def test_a_rerun_child_is_waited_for_again(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("a"), bench.part("b")))
        await bench.run(result=b"1")
        await bench.workshop.jobs.rerun_job("a")
        assert await bench.outcomes() == {"a": None, "b": None}
        await bench.run()
        assert await bench.workshop.state("top") is WAITS
        await bench.run(result=b"2")
        assert await bench.workshop.state("top") is WAITING
        assert [child.result for child in await bench.children()] == [b"2", None]

    async def test_a_settlement_from_before_a_rerun_tells_nothing(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("part"), on_child_failure="ignore"))
        settlement = settle(await bench.fetch(), BROKEN, result=None, jitter=0.5)
        await bench.workshop.settle(settlement)
        await bench.workshop.jobs.rerun_job("part")
        await bench.workshop.settle(settlement)
        assert await bench.outcomes() == {"part": None}

    async def test_children_rerun_in_bulk_are_counted_once(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("a"), bench.part("b"), bench.part("c")))
        await bench.run()
        await bench.run()
        assert await bench.workshop.queues.retry_jobs(PARTS, JobState.COMPLETED) == 2
        for _ in range(3):
            assert await bench.workshop.state("top") is WAITS
            await bench.run()
        assert await bench.workshop.state("top") is WAITING

    async def test_a_rerun_parent_forgives_what_failed_and_waits_for_what_is_open(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("a"), bench.part("b")))
        await bench.run(BROKEN)
        await bench.workshop.jobs.rerun_job("top")
        assert await bench.workshop.state("top") is WAITS
        await bench.run()
        assert await bench.workshop.state("top") is WAITING

    async def test_a_failed_child_and_its_parent_can_be_rerun(self, bench: FlowBench) -> None:
        await bench.add_pair()
        await bench.run(BROKEN)
        await bench.workshop.jobs.rerun_job("part")
        assert await bench.workshop.state("top") is FAILED
        await bench.workshop.jobs.rerun_job("top")
        assert await bench.workshop.state("top") is WAITS
        await bench.run()
        assert await bench.workshop.state("top") is WAITING

    async def test_a_parents_delay_counts_once(self, bench: FlowBench) -> None:
        await bench.add_pair(delay="10s")
        await bench.run()
        bench.workshop.clock.advance(10)
        await bench.workshop.jobs.promote_delayed_jobs([QUEUE])
        await bench.run(BROKEN, queue=QUEUE)
        await bench.workshop.jobs.rerun_job("part")
        await bench.workshop.jobs.rerun_job("top")
        await bench.run()
        assert await bench.workshop.state("top") is WAITING

    async def test_draining_takes_whole_flows(self, bench: FlowBench) -> None:
        middle = bench.flow("middle", bench.part("leaf", queue=QUEUE))
        await bench.add(bench.flow("top", middle, bench.part("b", queue=QUEUE)))
        assert await bench.workshop.queues.drain(QUEUE) == 4
        assert await bench.states("leaf", "b", "middle", "top") == [None] * 4
        assert await bench.edges("middle", "top") == []

    async def test_cleaning_takes_what_parents_knew(self, bench: FlowBench) -> None:
        await bench.add_pair(on_child_failure="ignore")
        await bench.run()
        await bench.run(queue=QUEUE)
        bench.workshop.clock.advance(10)
        assert await bench.workshop.queues.clean(PARTS, JobState.COMPLETED, LOCK * 0) == 1
        assert await bench.outcomes() == {"part": ChildOutcome.COMPLETED}
        assert await bench.workshop.queues.clean(QUEUE, JobState.COMPLETED, LOCK * 0) == 1
        assert await bench.outcomes() == {}

    async def test_a_parent_removed_on_completion_leaves_nothing(self, bench: FlowBench) -> None:
        await bench.add_pair(remove_on_complete=True)
        await bench.run()
        await bench.run(queue=QUEUE)
        assert await bench.states("part", "top") == [JobState.COMPLETED, None]
        assert await bench.outcomes() == {}
        assert list(await bench.flows.get_parent_ids("part")) == []

    async def test_an_end_repeated_with_a_removal_takes_nothing_from_the_record(self, bench: FlowBench) -> None:
        await bench.add_pair()
        await bench.run(result=b"1")
        top = await bench.fetch(QUEUE)
        ended = settle(top, DONE, result=None, jitter=0.5)
        assert await bench.workshop.settle(ended) == []
        await bench.workshop.settle(evolve(ended, is_removed=True))
        assert await bench.states("part", "top") == [JobState.COMPLETED, JobState.COMPLETED]
        assert await bench.outcomes() == {"part": ChildOutcome.COMPLETED}
        assert list(await bench.flows.get_parent_ids("part")) == ["top"]

    async def test_a_parent_that_lost_its_last_child_leaves_nothing_when_it_goes(self, bench: FlowBench) -> None:
        await bench.add_pair(on_child_failure="remove")
        await bench.run(BROKEN)
        assert await bench.outcomes() == {}
        await bench.workshop.jobs.remove_job("top")
        assert await bench.flows.repair_flows() == 0
        # An id that is free again means another job, with a policy of its own.
        await bench.workshop.jobs.remove_job("part")
        await bench.add_pair(on_child_failure="ignore")
        await bench.run(BROKEN)
        assert await bench.outcomes() == {"part": ChildOutcome.FAILED}
        assert await bench.workshop.state("top") is WAITING
