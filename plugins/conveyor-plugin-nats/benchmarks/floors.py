"""Floors: bare nats-py on one connection, and nothing around it.

``bare`` publishes, fetches and acknowledges: a run that dies late may then end what another runs, and nobody ever
learns how a job ended. ``fenced`` sends what keeps conveyor's promises, and no more: each message on condition that
nothing is known of its job, a look at what is known of it before it is run, and its end before the acknowledgement.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import nats
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

__all__ = ["FLOORS", "measure"]

STREAM: Final = "conveyor-floor"
AT_ONCE: Final = 256
BATCH: Final = 50
BODY: Final = b'{"number":12345}'
EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
KEPT: Final = {"Nats-TTL": "3600s"}
FLOORS: Final = ("bare", "fenced")


async def measure(url: str, name: str, jobs: int) -> tuple[float, float]:
    """Return how many messages are added in a second, and how many are run."""
    connection = await nats.connect(url)
    jetstream = connection.jetstream()
    try:
        await _make_stream(jetstream)
        add, run = (_add, _run) if name == "bare" else (_add_fenced, _run_fenced)
        begun = time.perf_counter()
        await _side_by_side(partial(add, jetstream, number) for number in range(jobs))
        added_at = time.perf_counter()
        await _run_all(jetstream, run, jobs)
        return jobs / (added_at - begun), jobs / (time.perf_counter() - added_at)
    finally:
        await jetstream.delete_stream(STREAM)
        await connection.close()


async def _make_stream(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(
        StreamConfig(
            name=STREAM,
            subjects=[f"{STREAM}.*.*"],
            retention=RetentionPolicy.WORK_QUEUE,
            max_msgs_per_subject=1,
            allow_msg_ttl=True,
        )
    )
    wanted = ConsumerConfig(durable_name="floor", ack_policy=AckPolicy.EXPLICIT, filter_subject=f"{STREAM}.job.*")
    await jetstream.add_consumer(STREAM, wanted, max_ack_pending=-1)


async def _side_by_side(calls: Iterable[Callable[[], Awaitable[object]]]) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(call: Callable[[], Awaitable[object]]) -> None:
        async with room:
            await call()

    await asyncio.gather(*map(one, calls))


async def _add(jetstream: JetStreamContext, number: int) -> None:
    await jetstream.publish(f"{STREAM}.job.{number}", BODY)


async def _add_fenced(jetstream: JetStreamContext, number: int) -> None:
    headers = {EXPECTED: "0", f"{EXPECTED}-Subject": f"{STREAM}.*.{number}", "Nats-Msg-Id": str(number)}
    await jetstream.publish(f"{STREAM}.job.{number}", BODY, stream=STREAM, headers=headers)


async def _run_all(
    jetstream: JetStreamContext, run: Callable[[JetStreamContext, Msg], Awaitable[None]], jobs: int
) -> None:
    subscription = await jetstream.pull_subscribe_bind("floor", stream=STREAM)
    left = jobs
    while left:
        messages = await subscription.fetch(BATCH)
        left -= len(messages)
        await asyncio.gather(*(run(jetstream, message) for message in messages))


async def _run(jetstream: JetStreamContext, message: Msg) -> None:
    del jetstream
    await message.ack()


async def _run_fenced(jetstream: JetStreamContext, message: Msg) -> None:
    number = message.subject.rpartition(".")[2]
    known = await jetstream.get_last_msg(STREAM, f"{STREAM}.*.{number}")
    headers = {EXPECTED: str(known.seq), f"{EXPECTED}-Subject": f"{STREAM}.*.{number}", **KEPT}
    await jetstream.publish(f"{STREAM}.done.{number}", b"null", stream=STREAM, headers=headers)
    await message.ack()
