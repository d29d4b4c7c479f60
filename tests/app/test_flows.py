"""Flows through the app: across queues, with results, added to by runs, and told by name what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from conveyor import Conveyor, Flow, Job, JobContext, JobState, Stop, WaitForChildren
from conveyor.errors import (
    CapabilityError,
    ConfigurationError,
    DuplicateJobError,
    FlowError,
    InvalidJobStateError,
    JobFailedError,
    JobNotFoundError,
)
from conveyor.model.flows import ChildOutcome
from conveyor.model.outcomes import Completed
from conveyor.model.settlement import settle
from conveyor.testing import make_job
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.flow_bench import bench_of
from conveyor.testing.conformance.workshop import NAME, QUEUE, Workshop
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor import JobHandler, NewJob
    from conveyor.model.queries import AddReceipt

pytestmark = pytest.mark.anyio


def weigh_and_pack(app: Conveyor) -> tuple[JobHandler[..., Any, [int], int], JobHandler[..., Any, [], int]]:
    """Register two handlers in two queues: one weighs a part, the other adds up what its children returned."""

    @app.queue("parts").job()
    async def weigh(grams: int) -> int:
        if grams < 0:
            raise ValueError("too light")
        return grams

    @app.queue("boxes").job()
    async def pack(ctx: JobContext) -> int:
        return sum(child.value for child in await ctx.children() if child.outcome is ChildOutcome.COMPLETED)

    return weigh, pack


async def test_a_parent_gets_what_its_children_returned(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app, app.worker():
        box = await app.flows.add(Flow(pack.new(), [weigh.new(3), Flow(pack.new(), [weigh.new(4), weigh.new(5)])]))
        assert box.state is JobState.WAITING_CHILDREN
        assert await box.result(timeout="10s") == 12
        first, second = await box.children()
        assert (first.name, first.queue_name, first.value, first.is_open) == ("weigh", "parts", 3, False)
        assert await box.children_values() == {first.job_id: 3, second.job_id: 9}
        child = await app.jobs.get(first.job_id)
        parent = await child.parent()
        assert parent is not None
        assert parent.id == box.id
        assert await box.parent() is None
        assert list(await child.children()) == []


async def test_a_result_outlives_its_jobs_record(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app, app.worker():
        light = weigh.options(remove_on_complete=True)
        assert await (await app.flows.add(Flow(pack.new(), [light.new(3)]))).result(timeout="10s") == 3


async def test_a_failed_child_fails_those_above_it(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app, app.worker():
        low = Flow(pack.new(), [weigh.new(-1)])
        top = await app.flows.add(Flow(pack.new(), [low]))
        with pytest.raises(JobFailedError, match=f"ChildFailed: its child {low.parent.id} failed"):
            await top.result(timeout="10s")
        [child] = await top.children()
        assert child.outcome is ChildOutcome.FAILED
        assert child.error is not None
        assert child.value is None


async def test_who_waits_for_a_parent_learns_that_a_child_failed_though_no_record_is_left(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app, app.worker():
        brief = pack.options(remove_on_fail=True)
        box = await app.flows.add(Flow(brief.new(), [weigh.options(remove_on_fail=True).new(-1)]))
        with pytest.raises(JobFailedError, match="ChildFailed"):
            await box.result(timeout="10s")
        assert (await app.jobs.find()).jobs == []


async def test_a_parent_that_ignores_failures_runs(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app, app.worker():
        brave = pack.options(on_child_failure="ignore")
        box = await app.flows.add(Flow(brave.new(), [weigh.new(-1), weigh.new(2)]))
        assert await box.result(timeout="10s") == 2
        assert [child.outcome for child in await box.children()] == [ChildOutcome.FAILED, ChildOutcome.COMPLETED]


async def test_a_run_adds_children_and_comes_back_when_they_have_ended(app: Conveyor) -> None:
    weigh, _ = weigh_and_pack(app)
    runs: list[int] = []

    @app.queue("boxes").job()
    async def sort(ctx: JobContext) -> int | WaitForChildren:
        children = await ctx.children()
        runs.append(len(children))
        if not children:
            await ctx.add_children(weigh.new(1), weigh.new(2))
            return WaitForChildren()
        return sum(int(child.value) for child in children)

    async with app, app.worker():
        job = await sort.add()
        assert await job.result(timeout="10s") == 3
        assert (await job.refresh()).data.attempts_made == 1
    assert runs == [0, 2]


async def test_children_are_added_to_a_parent_that_waits(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app:
        box = await app.flows.add(Flow(pack.new(), [weigh.new(1)]))
        await box.add_children(weigh.new(10), Flow(pack.new(), [weigh.new(100)]))
        async with app.worker():
            assert await box.result(timeout="10s") == 111
        with pytest.raises(InvalidJobStateError, match="add_children"):
            await box.add_children(weigh.new(1))
        with pytest.raises(JobNotFoundError):
            await app.flows.cancel("nobody")


async def test_cancelling_a_flow_ends_all_that_has_not(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app:
        shared = weigh.options(job_id="shared").new(1)
        low = Flow(pack.options(on_child_failure="ignore").new(), [shared, weigh.options(job_id="gone").new(2)])
        top = await app.flows.add(Flow(pack.new(), [low, shared]))
        await (await app.jobs.get("gone")).remove()
        assert await app.flows.cancel(top.id, "enough") == 3
        assert await app.flows.cancel(top.id) == 0
        assert {job.state for job in (await app.jobs.find()).jobs} == {JobState.CANCELLED}


async def test_a_taken_id_leaves_nothing_added(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app:
        await weigh.options(job_id="taken").add(1)
        with pytest.raises(DuplicateJobError, match="taken"):
            await app.flows.add(Flow(pack.new(), [weigh.options(job_id="taken").new(2), weigh.new(3)]))
        assert len((await app.jobs.find()).jobs) == 1
        box = await app.flows.add(Flow(pack.new(), [weigh.new(1)]))
        with pytest.raises(DuplicateJobError, match="taken"):
            await box.add_children(weigh.options(job_id="taken").new(2))


async def test_what_is_no_flow_is_refused_before_anything_is_added(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    async with app:
        with pytest.raises(FlowError, match="has no children"):
            await app.flows.add(Flow(pack.new(), []))
        top = pack.new()
        with pytest.raises(FlowError, match="would wait for itself"):
            await app.flows.add(Flow(top, [Flow(pack.new(), [weigh.new(1), top])]))
        assert (await app.jobs.find()).jobs == []


async def test_a_middleware_sees_the_jobs_of_a_flow_and_may_leave_out_none(store_url: str) -> None:
    seen: list[str] = []

    class Watching:
        leaves_out = False

        async def around_add(
            self, jobs: Sequence[NewJob], call: Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]]
        ) -> Sequence[AddReceipt]:
            seen.extend(job.name for job in jobs)
            return await call(jobs[1:] if self.leaves_out else jobs)

        async def around_run(self, job: Any, call: Callable[[], Awaitable[object]]) -> object:
            return await call()

    watching = Watching()
    app = Conveyor(store_url, middleware=[watching])
    weigh, pack = weigh_and_pack(app)

    @app.queue("sorters").job()
    async def sort(ctx: JobContext) -> None:
        await ctx.add_children(weigh.new(2))

    async with app:
        await app.flows.add(Flow(pack.new(), [weigh.new(1)]))
        assert seen == ["weigh", "pack"]
        async with app.worker("sorters"):
            await (await sort.add()).result(timeout="10s")
        assert seen == ["weigh", "pack", "sort", "weigh"]
        watching.leaves_out = True
        with pytest.raises(FlowError, match="middleware"):
            await app.flows.add(Flow(pack.new(), [weigh.new(1)]))
        assert len((await app.jobs.find()).jobs) == 4


async def test_a_store_without_flows_says_so(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)

    @app.queue("boxes").job()
    async def sort(ctx: JobContext) -> None:
        await ctx.add_children(weigh.new(1))

    async with app, app.worker():
        app._services.store.flows = None  # type: ignore[misc] # the store as one without the facet
        with pytest.raises(CapabilityError, match="'flows'"):
            await app.flows.add(Flow(pack.new(), [weigh.new(1)]))
        job: Job[None] = await sort.add()
        for question in (job.children, job.parent):
            with pytest.raises(CapabilityError, match="'flows'"):
                await question()
        with pytest.raises(JobFailedError, match="CapabilityError"):
            await job.result(timeout="10s")


async def test_a_worker_mends_what_others_left() -> None:
    clock = ManualClock()
    async with open_store("memory://", clock=clock) as store:
        bench = bench_of(Workshop(store, clock))
        await bench.add_pair()
        nameless = evolve(settle(await bench.fetch(), Completed(), result=None, jitter=0.5), flow_id=None)
        await bench.workshop.settle(nameless)
        app = Conveyor(store)

        @app.queue(QUEUE).job(name=NAME)
        async def pack() -> None: ...

        async with app, app.worker():
            await (await app.jobs.get("top")).result(timeout="10s")


async def test_a_run_that_added_children_and_leaves_no_record_leaves_none_of_them_either(app: Conveyor) -> None:
    weigh, _ = weigh_and_pack(app)

    @app.queue("boxes").job(remove_on_complete=True)
    async def scatter(ctx: JobContext) -> None:
        await ctx.add_children(weigh.options(delay="1h", job_id="later").new(1))

    async with app, app.worker():
        job = await scatter.add()
        await job.result(timeout="10s")
        assert list(await job.children()) == []
        assert await (await app.jobs.get("later")).parents() == []


async def test_a_context_without_a_worker_says_so() -> None:
    ctx = JobContext(make_job(), None, lambda: False)  # type: ignore[arg-type] # it reports nothing
    with pytest.raises(ConfigurationError, match="need a worker"):
        await ctx.children()
    sync = JobContext(make_job(), None, lambda: False, is_async=False)  # type: ignore[arg-type] # as above
    with pytest.raises(ConfigurationError, match="need a worker"):
        sync.sync_children()


async def test_a_sync_handler_reads_what_its_children_returned(app: Conveyor) -> None:
    weigh, _ = weigh_and_pack(app)

    @app.queue("boxes").job()
    def pack_in_a_thread(ctx: JobContext) -> int:
        return sum(child.value for child in ctx.sync_children())

    async with app, app.worker():
        box = await app.flows.add(Flow(pack_in_a_thread.new(), [weigh.new(3), weigh.new(4)]))
        assert await box.result(timeout="10s") == 7


async def test_an_async_handler_is_told_not_to_block_the_loop(app: Conveyor) -> None:
    @app.queue("boxes").job()
    async def pack(ctx: JobContext) -> int:
        return len(ctx.sync_children())

    async with app, app.worker():
        with pytest.raises(JobFailedError, match=r"await ctx\.children\(\)"):
            await (await pack.add()).result(timeout="10s")


async def test_another_flow_of_the_same_job_is_refused_by_name(app: Conveyor) -> None:
    weigh, pack = weigh_and_pack(app)
    top, part, more = pack.new(), weigh.new(3), weigh.new(4)
    async with app:
        await app.flows.add(Flow(top, [part]))
        assert (await app.flows.add(Flow(top, [part]))).id == top.id
        for other in (Flow(top, [part, more]), Flow(part, [top])):
            with pytest.raises(DuplicateJobError):
                await app.flows.add(other)
        with pytest.raises(JobNotFoundError):
            await app.jobs.get(more.id)


async def _return(_: JobContext) -> WaitForChildren:
    return WaitForChildren()


async def _stop(_: JobContext) -> None:
    raise Stop(WaitForChildren())


def _return_in_a_thread(_: JobContext) -> WaitForChildren:
    return WaitForChildren()


@pytest.mark.parametrize("handler", [_return, _stop, _return_in_a_thread])
async def test_a_run_that_waits_for_no_child_fails_by_name(app: Conveyor, handler: Any) -> None:
    wait = app.queue("work").job(attempts=2)(handler)
    async with app, app.worker():
        job = await wait.add()
        with pytest.raises(JobFailedError, match=r"FlowError: the handler of .* no child of the job is open"):
            await job.result(timeout="10s")
        assert (await job.refresh()).data.attempts_made == 2


async def test_a_run_that_forgets_to_look_at_its_children_fails_once_they_have_ended(app: Conveyor) -> None:
    weigh, _ = weigh_and_pack(app)
    runs = 0

    @app.queue("work").job()
    async def forget(ctx: JobContext) -> WaitForChildren:
        nonlocal runs
        runs += 1
        if runs == 1:
            await ctx.add_children(weigh.new(3))
        return WaitForChildren()

    async with app, app.worker():
        with pytest.raises(JobFailedError, match="no child of the job is open"):
            await (await forget.add()).result(timeout="10s")
    assert runs == 2


async def test_a_child_that_ended_after_it_was_seen_open_is_seen_by_the_next_run(app: Conveyor) -> None:
    weigh, _ = weigh_and_pack(app)
    looks: list[bool] = []

    @app.queue("work").job(attempts=2)
    async def wait_on(ctx: JobContext) -> object:
        if not (children := await ctx.children()):
            await ctx.add_children(weigh.options(delay="10s").new(3))
            raise ValueError("it added, and fails")
        looks.append(children[0].is_open)
        if not children[0].is_open:
            return children[0].value
        child = await app.jobs.get(children[0].job_id)
        await child.promote()
        await child.wait_until_finished(timeout="10s")
        return WaitForChildren()

    async with app, app.worker():
        assert await (await wait_on.add()).result(timeout="30s") == 3
    assert looks == [True, False]


async def test_a_child_that_ended_before_the_run_that_added_it_is_seen_by_the_next_run(app: Conveyor) -> None:
    weigh, _ = weigh_and_pack(app)

    @app.queue("work").job()
    async def wait_long(ctx: JobContext) -> object:
        children = await ctx.children()
        if children:
            return sum(child.value for child in children)
        child = weigh.new(3)
        await ctx.add_children(child)
        await (await app.jobs.get(child.id)).wait_until_finished(timeout="10s")
        return WaitForChildren()

    async with app, app.worker():
        assert await (await wait_long.add()).result(timeout="10s") == 3
