"""Flows: added as a whole, and parents that run once their children have ended."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

import anyio
import pytest
from attrs import evolve

from conveyor.errors import InvalidJobStateError, JobNotFoundError
from conveyor.model.events import NotificationKind
from conveyor.model.flows import Child, ChildOutcome, Edge, Flow, plan_flow
from conveyor.model.job import AttemptOutcome
from conveyor.model.outcomes import Retry
from conveyor.model.queries import Added, Want
from conveyor.model.settlement import settle
from conveyor.model.states import SETTLED_STATES, JobState
from conveyor.testing.conformance.flow_bench import BROKEN, DONE, PARTS, FlowBench, FlowKit
from conveyor.testing.conformance.notifications import heard
from conveyor.testing.conformance.workshop import QUEUE

__all__ = ["FlowsConformance"]

WAITING, WAITS = JobState.WAITING, JobState.WAITING_CHILDREN
WIDE: Final = 2_000
RIVALS: Final = 8
FLOWS: Final = 3


class FlowsConformance(FlowKit):
    """A parent runs after its children, whatever the queues, and is told what came of them."""

    async def test_a_flow_is_added_as_a_whole(self, bench: FlowBench) -> None:
        middle = bench.flow("middle", bench.part("leaf"), bench.part("later", delay="1h"), queue="middles")
        await bench.add(bench.flow("top", middle, bench.part("other")))
        assert await bench.states("leaf", "later", "middle", "other", "top") == [
            WAITING, JobState.DELAYED, WAITS, WAITING, WAITS,
        ]  # fmt: skip
        assert await bench.edges("top", "middle") == [
            Edge("top", "middle"), Edge("top", "other"), Edge("middle", "leaf"), Edge("middle", "later"),
        ]  # fmt: skip
        assert list(await bench.flows.get_parent_ids("leaf")) == ["middle"]
        assert list(await bench.flows.get_parent_ids("top")) == []
        assert list(await bench.children("leaf")) == []
        assert {job_id: (await bench.workshop.job(job_id)).options.flow_id for job_id in ("top", "leaf")} == {
            "top": "top",
            "leaf": "top",
        }

    async def test_parents_are_counted_and_listed_and_not_fetched(self, bench: FlowBench) -> None:
        await bench.add_pair()
        assert (await bench.workshop.queues.get_job_counts(QUEUE))[WAITS] == 1
        assert [job.id for job in await bench.workshop.queues.list_jobs(QUEUE, WAITS)] == ["top"]
        assert await bench.workshop.fetch_order() == []

    async def test_a_parent_runs_once_its_last_child_has_completed(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("a"), bench.part("b")))
        await bench.run()
        assert await bench.workshop.state("top") is WAITS
        bench.workshop.clock.advance(10)
        await bench.run()
        top = await bench.workshop.job("top")
        assert (top.state, top.run_at) == (WAITING, bench.workshop.clock.now())
        await bench.run(queue=QUEUE)
        assert await bench.workshop.state("top") is JobState.COMPLETED

    async def test_whatever_may_run_now_is_told_to_its_queue(self, bench: FlowBench) -> None:
        notifier = bench.workshop.store.notifier
        if notifier is None:
            pytest.skip("the store declares has_notifications=False")
        await bench.add_pair()
        job = await bench.fetch()
        async with notifier.subscribe(QUEUE) as hints:
            await bench.end(job)
            await heard(hints, NotificationKind.ADDED)

    async def test_what_completes_can_be_followed_by_its_parent_in_the_same_call(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("part", queue=QUEUE)))
        hand = await bench.workshop.hand()
        job = await hand.fetch_one()
        report = await hand.settle_and_fetch(settle(job, DONE, result=None, jitter=0.5), *_wanted())
        assert [job.id for job in report.jobs] == ["top"]

    async def test_a_childs_result_stays_when_its_record_goes(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("part", remove_on_complete=True)))
        await bench.run(result=b'{"weight":3}')
        assert await bench.states("part", "top") == [None, WAITING]
        assert list(await bench.children()) == [
            Child("part", PARTS, "pack", ChildOutcome.COMPLETED, b'{"weight":3}', None)
        ]

    async def test_a_failed_childs_error_is_told(self, bench: FlowBench) -> None:
        await bench.add_pair(on_child_failure="ignore")
        await bench.run(BROKEN)
        [child] = await bench.children()
        assert child.error is not None
        assert (child.outcome, child.error.message) == (ChildOutcome.FAILED, "the part was too small")

    async def test_a_child_that_runs_again_has_not_ended(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("part", attempts=2)))
        await bench.run(Retry())
        assert (await bench.outcomes(), await bench.workshop.state("top")) == ({"part": None}, WAITS)
        await bench.run()
        assert await bench.workshop.state("top") is WAITING

    async def test_the_same_flow_again_adds_nothing(self, bench: FlowBench) -> None:
        flow = bench.flow("top", bench.part("a", remove_on_complete=True), bench.part("b"))
        await bench.add(flow)
        await bench.add(flow)
        await bench.run()
        await bench.add(flow)
        assert await bench.states("a", "b", "top") == [None, WAITING, WAITS]
        await bench.run()
        await bench.run(queue=QUEUE)
        await bench.add(flow)
        assert await bench.states("a", "b", "top") == [None, JobState.COMPLETED, JobState.COMPLETED]

    async def test_another_flow_of_the_same_root_is_refused(self, bench: FlowBench) -> None:
        await bench.add_pair()
        top, part, more = bench.workshop.new("top"), bench.part("part"), bench.part("more")
        changed = bench.part("part", queue="elsewhere")
        for flow in (Flow(top, [part, more]), Flow(top, [more]), Flow(part, [top]), Flow(top, [changed])):
            receipts = await bench.flows.save_flow(plan_flow(flow))
            assert {receipt.outcome for receipt in receipts if receipt.job_id != "more"} == {Added.DUPLICATE}
        assert await bench.states("top", "part", "more") == [WAITS, WAITING, None]
        assert await bench.outcomes() == {"part": None}

    async def test_a_flow_does_not_take_over_jobs_that_were_added_alone(self, bench: FlowBench) -> None:
        flow = bench.flow("top", bench.part("part"))
        for job in plan_flow(flow).jobs:
            await bench.workshop.store.jobs.save_job(job)
        receipts = await bench.flows.save_flow(plan_flow(flow))
        assert [receipt.outcome for receipt in receipts] == [Added.DUPLICATE] * 2
        assert await bench.states("top", "part") == [WAITING, WAITING]

    @pytest.mark.parametrize("taken", ["leaf", "middle", "top"])
    async def test_a_taken_id_leaves_nothing_added(self, bench: FlowBench, taken: str) -> None:
        await bench.workshop.add(taken, queue="elsewhere")
        flow = bench.flow("top", bench.flow("middle", bench.part("leaf"), queue=PARTS))
        receipts = await bench.flows.save_flow(plan_flow(flow))
        assert {receipt.job_id: receipt.outcome for receipt in receipts}[taken] is Added.DUPLICATE
        assert [await bench.workshop.state(job_id) for job_id in ("leaf", "middle", "top") if job_id != taken] == [
            None,
            None,
        ]
        assert list(await bench.children("middle")) == []

    async def test_a_child_may_have_several_parents(self, bench: FlowBench) -> None:
        shared = bench.part("shared")
        left = bench.flow("left", shared, queue="middles")
        right = bench.flow("right", shared, bench.part("own"), queue="middles")
        await bench.add(bench.flow("top", left, right))
        assert list(await bench.flows.get_parent_ids("shared")) == ["left", "right"]
        await bench.run()
        assert await bench.states("left", "right", "top") == [WAITING, WAITS, WAITS]
        await bench.run()
        await bench.run(queue="middles")
        assert await bench.states("right", "top") == [WAITING, WAITS]
        await bench.run(queue="middles")
        assert await bench.workshop.state("top") is WAITING

    async def test_a_parents_delay_begins_when_its_children_have_ended(self, bench: FlowBench) -> None:
        await bench.add_pair(delay="10s")
        bench.workshop.clock.advance(60)
        assert await bench.workshop.jobs.promote_delayed_jobs([QUEUE]) == 0
        await bench.run()
        top = await bench.workshop.job("top")
        assert (top.state, top.run_at) == (JobState.DELAYED, bench.workshop.clock.now() + timedelta(seconds=10))
        bench.workshop.clock.advance(10)
        assert await bench.workshop.jobs.promote_delayed_jobs([QUEUE]) == 1
        assert await bench.workshop.fetch_order() == ["top"]

    async def test_a_parents_time_is_kept(self, bench: FlowBench) -> None:
        early, late = (bench.workshop.clock.now() + timedelta(seconds=seconds) for seconds in (5, 60))
        await bench.add(bench.flow("soon", bench.part("a"), run_at=early))
        await bench.add(bench.flow("late", bench.part("b"), run_at=late))
        bench.workshop.clock.advance(10)
        await bench.run()
        await bench.run()
        assert await bench.states("soon", "late") == [WAITING, JobState.DELAYED]
        assert (await bench.workshop.job("late")).run_at == late

    async def test_a_parent_expires_while_it_waits(self, bench: FlowBench) -> None:
        await bench.add_pair(expires="10s")
        bench.workshop.clock.advance(10)
        assert await bench.workshop.jobs.expire_jobs() == 1
        await bench.run()
        assert await bench.states("part", "top") == [JobState.COMPLETED, JobState.CANCELLED]

    async def test_a_rerun_parent_expires_no_more(self, bench: FlowBench) -> None:
        await bench.add_pair(expires="10s")
        await bench.workshop.jobs.cancel_job("top", "enough")
        await bench.workshop.jobs.rerun_job("top")
        bench.workshop.clock.advance(10)
        assert await bench.workshop.jobs.expire_jobs() == 0
        assert await bench.workshop.state("top") is JobState.WAITING_CHILDREN

    async def test_parents_keep_their_order_among_others(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("last", bench.part("a"), priority=1))
        await bench.add(bench.flow("first", bench.part("b"), lifo=True))
        await bench.workshop.add("plain")
        bench.workshop.clock.advance(1)
        await bench.run()
        await bench.run()
        assert await bench.workshop.fetch_order() == ["first", "plain", "last"]

    async def test_a_repeated_settlement_tells_once(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.part("a"), bench.part("b")))
        settlement = settle(await bench.fetch(), DONE, result=b"1", jitter=0.5)
        for _ in range(2):
            assert await bench.workshop.settle(settlement) == []
        assert await bench.workshop.settle(settlement, settlement) == []
        assert await bench.outcomes() == {"a": ChildOutcome.COMPLETED, "b": None}
        assert await bench.workshop.state("top") is WAITS

    async def test_a_settlement_without_a_lock_tells_nothing(self, bench: FlowBench) -> None:
        await bench.add_pair()
        job = await bench.fetch()
        await bench.workshop.jobs.cancel_job("part", "enough")
        await bench.workshop.jobs.rerun_job("part")
        settlement = settle(job, DONE, result=None, jitter=0.5)
        assert await bench.workshop.settle(settlement) == ["part"]
        assert await bench.outcomes() == {"part": None}

    async def test_many_children_settle_in_one_call(self, bench: FlowBench) -> None:
        parts = [bench.part(f"part-{number:05}") for number in range(WIDE)]
        await bench.add(bench.flow("top", *parts))
        jobs = await (await bench.workshop.hand()).fetch(WIDE, queue=PARTS)
        settlements = [settle(job, DONE, result=None, jitter=0.5) for job in jobs]
        assert await bench.workshop.settle(*settlements[1:]) == []
        assert await bench.workshop.state("top") is WAITS
        assert await bench.workshop.settle(settlements[0]) == []
        assert await bench.workshop.state("top") is WAITING
        assert len(await bench.children()) == WIDE

    async def test_the_last_children_may_end_at_the_same_time(self, bench: FlowBench) -> None:
        # One of the rivals must see that it is the last, though none sees what the others have not committed yet.
        for flow in range(4):
            parts = [bench.part(f"{flow}-{number}") for number in range(RIVALS)]
            left = bench.flow(f"left-{flow}", *parts, queue="middles")
            right = bench.flow(f"right-{flow}", *reversed(parts), queue="middles")
            await bench.add(bench.flow(f"top-{flow}", left, right, on_child_failure="ignore"))
        jobs = await (await bench.workshop.hand()).fetch(queue=PARTS)
        async with anyio.create_task_group() as rivals:
            for number in range(RIVALS):
                share = [settle(job, DONE, result=None, jitter=0.5) for job in jobs[number::RIVALS]]
                rivals.start_soon(bench.workshop.settle, *share)
        middles = await bench.workshop.queues.list_jobs("middles", WAITING)
        assert len(middles) == 8

    async def test_a_flow_comes_to_its_end_whoever_meddles_with_it(self, bench: FlowBench) -> None:
        # Runs end, and operators cancel, rerun and remove, all at once and at all heights: nothing waits for ever.
        for flow in range(FLOWS):
            await bench.add(_branching(bench, flow))
        jobs = await (await bench.workshop.hand()).fetch(queue=PARTS)
        settlements = [settle(job, BROKEN if job.id.endswith("3") else DONE, result=None, jitter=0.5) for job in jobs]
        async with anyio.create_task_group() as rivals:
            for number in range(RIVALS):
                rivals.start_soon(bench.workshop.settle, *settlements[number::RIVALS])
            for flow in range(FLOWS):
                rivals.start_soon(_meddle, bench, flow)
        for queue in (PARTS, "middles", PARTS, "middles", QUEUE):
            while jobs := await (await bench.workshop.hand()).fetch(queue=queue):
                await bench.workshop.settle(*[settle(job, DONE, result=None, jitter=0.5) for job in jobs])
        assert await bench.flows.repair_flows() == 0
        for queue in (PARTS, "middles", QUEUE):
            counts = await bench.workshop.queues.get_job_counts(queue)
            assert {state for state, count in counts.items() if count} <= SETTLED_STATES

    async def test_a_run_that_ended_is_among_a_childs_attempts(self, bench: FlowBench) -> None:
        await bench.add_pair()
        job = await bench.run()
        [attempt] = await bench.workshop.jobs.get_attempts("part")
        assert (attempt.outcome, attempt.token) == (AttemptOutcome.COMPLETED, job.token)
        assert list(await bench.workshop.jobs.get_attempts("top")) == []

    async def test_what_does_not_name_its_flow_is_mended(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.flow("middle", bench.part("part"), queue="middles")))
        job = await bench.fetch()
        nameless = evolve(settle(job, BROKEN, result=None, jitter=0.5), flow_id=None)
        assert await bench.workshop.settle(nameless) == []
        assert await bench.flows.repair_flows(limit=0) == 0
        assert await bench.flows.repair_flows() >= 1
        assert await bench.states("middle", "top") == [JobState.FAILED, JobState.FAILED]
        assert await bench.flows.repair_flows() == 0

    async def test_there_is_nothing_to_mend_after_the_verbs(self, bench: FlowBench) -> None:
        await bench.add(bench.flow("top", bench.flow("middle", bench.part("leaf"), queue="middles"), bench.part("b")))
        await bench.run()
        assert await bench.flows.repair_flows() == 0
        assert await bench.states("middle", "top") == [WAITING, WAITS]


def _wanted() -> tuple[Want, ...]:
    return (Want(QUEUE, 10),)


def _branching(bench: FlowBench, flow: int) -> Flow:
    middles = [
        bench.flow(
            f"{flow}-{middle}",
            *[bench.part(f"{flow}-{middle}-{leaf}") for leaf in range(6)],
            queue="middles",
            on_child_failure="ignore" if middle % 2 else "fail",
        )
        for middle in range(3)
    ]
    return bench.flow(f"{flow}", *middles, on_child_failure="ignore")


async def _meddle(bench: FlowBench, flow: int) -> None:
    verbs = bench.workshop.jobs
    for verb in (
        partial(verbs.rerun_job, f"{flow}-0-1"),
        partial(verbs.remove_job, f"{flow}-1-2"),
        partial(verbs.remove_job, f"{flow}-2"),
        partial(verbs.rerun_job, f"{flow}-0"),
        partial(verbs.cancel_job, f"{flow}-1-5", "enough"),
    ):
        with suppress(InvalidJobStateError, JobNotFoundError):
            await verb()
