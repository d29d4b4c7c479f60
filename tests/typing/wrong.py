"""Wrong programs: every type checker must report each line marked so, and no other. Read, never run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import conveyor
from conveyor import BatchOptions, Conveyor, Job, JobContext, Snooze, Stop, SyncProducer


@dataclass
class Order:
    sku: str


app = Conveyor("memory://")
queue = app.queue("work")


@queue.job()
async def send(to: str, times: int = 1) -> str:
    return to * times


@queue.job(attempts=2)
async def ship(context: JobContext, order: Order, *, urgent: bool = False) -> int | Snooze:
    return len(order.sku) if urgent else Snooze("1m")


@queue.job()
def pack(order: Order) -> list[str]:
    return [order.sku]


async def wrong_arguments(context: JobContext) -> None:
    await send.add()  # wrong: an argument is missing
    await send.add(5)  # wrong: of another type
    await send.add("ada", times="three")  # wrong: of another type, by keyword
    await send.add("ada", 1, 2)  # wrong: too many
    await send.add("ada", tmies=2)  # wrong: misspelt
    await send.add("ada", attempts=3)  # wrong: an option is no argument
    await ship.add(context, Order("pen"))  # wrong: the context is not part of a job
    await ship.add(Order("pen"), True)  # wrong: by keyword only
    await pack.add("pen")  # wrong: a str is no Order
    send.new("ada", times=None)  # wrong: of another type
    ship.new()  # wrong: an argument is missing


async def wrong_results() -> None:
    first: int = await (await send.add("ada")).result()  # wrong: it is a str
    second: Job[int] = await send.add("ada")  # wrong: a job with another result
    third: list[Job[int]] = await send.add_many([send.new("ada")])  # wrong: jobs with another result
    fourth: Snooze = await (await ship.add(Order("pen"))).result()  # wrong: an outcome is no result
    fifth: str = await (await pack.add(Order("pen"))).result()  # wrong: it is a list
    print(first, second, third, fourth, fifth)


async def wrong_options() -> None:
    app.queue("other", atempts=3)  # wrong: misspelt
    queue.job(atempts=3)  # wrong: misspelt
    queue.job(attempts="three")  # wrong: of another type
    queue.job(priority="high")  # wrong: of another type
    send.options(atempts=3)  # wrong: misspelt
    send.options(tags=5)  # wrong: of another type
    await queue.add("send", {}, atempts=3)  # wrong: misspelt
    await queue.now("send", {}, timeout=[1])  # wrong: of another type
    app.worker(concurency=3)  # wrong: misspelt
    app.worker(concurrency="many")  # wrong: of another type
    await app.run(lock_duration=None)  # wrong: it cannot be left out so
    conveyor.run(app, backend="curio")  # wrong: there is none of that name


async def wrong_hosts() -> None:
    await app.open_in()  # wrong: it takes a task group
    await app.open_in("tasks")  # wrong: a str is none
    await app.open_in(asyncio.TaskGroup(), "work")  # wrong: a worker is made with app.worker()
    app.sync_producer(backend="curio")  # wrong: there is none of that name


def wrong_producing(producer: SyncProducer) -> None:
    producer.add(send)  # wrong: an argument is missing
    producer.add(send, 5)  # wrong: of another type
    producer.add(ship, Order("pen"), urgnet=True)  # wrong: misspelt
    producer.call(queue.count, 5)  # wrong: of another type
    first: int = producer.result(producer.add(send, "ada"))  # wrong: it is a str
    print(first)


async def wrong_jobs() -> None:
    await send.add_many(["ada"])  # wrong: jobs are made with new()
    await queue.add_many([send])  # wrong: a handler is no job
    await queue.add(send)  # wrong: it takes a name
    Stop("later")  # wrong: it takes an outcome
    Snooze([1])  # wrong: it takes a duration


def wrong_upgrade(version: str) -> dict[str, Any]:
    return {"version": version}


def wrong_handlers() -> None:
    queue.job(version=2, upgrade=wrong_upgrade)  # wrong: it takes a version and the arguments
    queue.job(forbid_unknown="no")  # wrong: of another type
    queue.job()("send")  # wrong: a str is no function


@queue.job(batch=BatchOptions(size=2))
async def wrap(orders: list[Order]) -> list[str]:
    return [order.sku for order in orders]


async def wrong_batches() -> None:
    await wrap.add([Order("pen")])  # wrong: a job has one item of the list
    await wrap.add("pen")  # wrong: a str is no Order
    await wrap(Order("pen"))  # wrong: called by hand, it takes a list
    first: list[str] = await (await wrap.add(Order("pen"))).result()  # wrong: it is a str
    print(first, BatchOptions())  # wrong: the size is missing


def wrong_names() -> None:
    conveyor.Converyor()  # wrong: the front door has no such name
    print(conveyor.JobHandlers)  # wrong: nor that


async def wrong_calls() -> None:
    await send(5)  # wrong: of another type
    await ship(Order("pen"))  # wrong: called by hand, it takes its context
    pack()  # wrong: an argument is missing
