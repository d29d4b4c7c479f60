"""Right programs: no type checker may have anything to say about these. Read, never run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, assert_type

import conveyor
from conveyor import (
    BatchOptions,
    Cancel,
    Completed,
    Conveyor,
    Failed,
    Job,
    JobContext,
    JobFilter,
    JobState,
    NewJob,
    OpenApp,
    Progress,
    Queue,
    Retry,
    Snooze,
    Stop,
    SyncProducer,
    exponential,
    fixed,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import trio
    from anyio.abc import TaskGroup


@dataclass
class Order:
    sku: str
    count: int = 1


app = Conveyor("memory://")
queue = app.queue("work", attempts=3)


@queue.job()
async def bare(to: str, times: int = 1) -> str:
    return to * times


@queue.job(
    name="full",
    attempts=5,
    backoff=exponential("1s"),
    timeout="30s",
    priority=-1,
    tags=("a", "b"),
    metadata={"team": "mail"},
    delay=timedelta(minutes=1),
)
async def with_options(order: Order, *, urgent: bool = False) -> Order | None:
    return order if urgent else None


@queue.job()
async def with_context(context: JobContext, order: Order) -> int:
    assert_type(context.attempt, int)
    return order.count


@queue.job()
def in_a_thread(order: Order) -> list[str]:
    return [order.sku]


@queue.job(timeout=5)
def in_a_thread_with_context(context: JobContext, to: str, *, loud: bool) -> dict[str, bool]:
    return {to: loud}


@queue.job()
async def with_outcomes(code: int) -> str | Retry | Failed | Snooze | Cancel | None:
    if code == 503:
        raise Stop(Snooze("10 minutes"))
    return Retry(after="1 minute") if code == 429 else "delivered"


@queue.job()
async def completed(code: int) -> int | Completed:
    return Completed(code) if code else code


def from_old(version: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {**arguments, "version": version}


@queue.job(version=2, upgrade=from_old, forbid_unknown=False)
async def versioned(version: int = 0) -> None: ...


async def adding() -> None:
    assert_type(await bare.add("ada"), Job[str])
    assert_type(await bare.add("ada", times=3), Job[str])
    assert_type(await with_options.add(Order("pen"), urgent=True), Job[Order | None])
    assert_type(await with_context.add(Order("pen", 2)), Job[int])
    assert_type(await in_a_thread.add(Order("pen")), Job[list[str]])
    assert_type(await in_a_thread_with_context.add("ada", loud=True), Job[dict[str, bool]])
    assert_type(await versioned.add(), Job[None])


async def results() -> None:
    assert_type(await (await bare.add("ada")).result(timeout="5s"), str)
    assert_type(await (await with_options.add(Order("pen"))).result(), Order | None)
    assert_type(await (await with_outcomes.add(200)).result(), str | None)
    assert_type(await (await completed.add(1)).result(), int)
    assert_type(await (await versioned.add()).result(), None)
    job = await bare.add("ada")
    assert_type(await job.refresh(), Job[str])
    assert_type(await (await job.wait_until_finished()).result(), str)
    assert_type(job.state, JobState)
    assert_type(job.progress, Progress | None)


async def making() -> None:
    assert_type(bare.new("ada", times=2), NewJob)
    assert_type(with_context.new(Order("pen")), NewJob)
    assert_type(await bare.add_many([bare.new("ada"), bare.new(to="bob")]), list[Job[str]])
    assert_type(await queue.add_many([bare.new("ada"), with_context.new(Order("pen"))]), list[Job[Any]])


async def with_other_options() -> None:
    urgent = bare.options(priority=-1, backoff=fixed("1s"), run_at=None, job_id="one", expires="1h")
    assert_type(await urgent.add("ada", 2), Job[str])
    assert_type(await with_context.options(delay="1m").add(Order("pen")), Job[int])
    assert_type(with_options.options(attempts=1).new(Order("pen")), NewJob)


async def by_name() -> None:
    assert_type(queue, Queue)
    job = await queue.add("bare", {"to": "ada"}, attempts=2, version=1)
    assert_type(job, Job[Any])
    assert_type(await job.result(), Any)
    assert_type(await queue.schedule("in 5 minutes", "bare", {"to": "ada"}), Job[Any])
    assert_type(await queue.now("bare", {"to": "ada"}, priority=1), Job[Any])
    assert_type(await queue.get_job("one"), Job[Any] | None)
    await app.jobs.find(JobFilter(states=(JobState.FAILED,)))


async def hosting(nursery: trio.Nursery, tasks: TaskGroup) -> None:
    opened = await app.open_in(nursery, app.worker("work"), app.worker(concurrency=2))
    assert_type(opened, OpenApp)
    await opened.close()
    await app.open_in(tasks)
    async with asyncio.TaskGroup() as group:
        await app.open_in(group, app.worker())
    await app.open_in(asyncio.get_running_loop())


def without_a_loop(producer: SyncProducer) -> None:
    assert_type(producer.add(bare, "ada", times=2), Job[str])
    assert_type(producer.add(with_context, Order("pen")), Job[int])
    assert_type(producer.result(producer.add(bare.options(priority=1), "ada"), timeout="5s"), str)
    assert_type(producer.result(producer.add(completed, 1)), int)
    assert_type(producer.add_many([bare.new("ada"), with_context.new(Order("pen"))]), list[Job[Any]])
    assert_type(producer.call(queue.count, "waiting"), int)
    assert_type(producer.call(bare.add, "ada", times=2), Job[str])
    with app.sync_producer(app.worker("work"), backend="trio") as opened:
        assert_type(opened, SyncProducer)


@queue.job(batch=BatchOptions(size=10, linger="1s"), attempts=2)
async def in_batches(orders: list[Order]) -> list[int | Snooze]:
    return [len(order.sku) for order in orders]


@queue.job(batch=BatchOptions(size=10))
def in_batches_with_contexts(contexts: list[JobContext], words: Sequence[str]) -> list[bool]:
    return [context.cancelled for context in contexts for _ in words]


async def batching(contexts: list[JobContext]) -> None:
    assert_type(await (await in_batches.add(Order("pen"))).result(), int)
    assert_type(await in_batches([Order("pen")]), Sequence[int | Snooze])
    assert_type(await (await in_batches_with_contexts.add("pen")).result(), bool)
    assert_type(in_batches_with_contexts(contexts, ["pen"]), Sequence[bool])


async def calling(context: JobContext) -> None:
    assert_type(await bare("ada"), str)
    assert_type(await with_context(context, Order("pen")), int)
    assert_type(in_a_thread(Order("pen")), list[str])
    assert_type(in_a_thread_with_context(context, "ada", loud=False), dict[str, bool])
    waiting: Coroutine[Any, Any, str] = bare("ada")
    await waiting


async def working() -> None:
    async with app, app.worker("work", concurrency=5, lock_duration="30s"):
        pass
    async with conveyor.Conveyor() as opened:
        assert_type(opened, Conveyor)
    await app.run(concurrency=2)
    conveyor.run(app, backend="trio")
