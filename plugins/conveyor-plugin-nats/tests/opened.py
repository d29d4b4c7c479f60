"""An open job queue without an app, and jobs for it."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import anyio
from conveyor_plugin_nats.queue import NatsJobQueue

from conveyor.contracts.clock import Clock
from conveyor.contracts.runtime import Logger
from conveyor.model.job import AttemptOutcome, JobData, NewJob, error_info
from conveyor.model.locks import LockToken
from conveyor.model.options import JobOptions
from conveyor.model.settlement import Settlement
from conveyor.model.states import Command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor_plugin_nats.options import NatsOptions
    from conveyor_plugin_nats.queue import NatsDelivery

    from conveyor.model.outcomes import Outcome

__all__ = ["completed", "failed", "fetch_one", "new_job", "no_process", "open_queue"]

T = TypeVar("T")

LONGEST_WAIT: Final = 20.0
TOKEN: Final = LockToken("0" * 32, 1)


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class _Injector:
    def __init__(self) -> None:
        self._services: dict[type[Any], object] = {
            Clock: _SystemClock(),
            Logger: logging.getLogger("conveyor.app"),
        }

    def get(self, service: type[T], /, name: str = "") -> T:
        return cast("T", self._services[service])


@asynccontextmanager
async def open_queue(given: str | NatsOptions, *queue_names: str) -> AsyncIterator[NatsJobQueue]:
    """Open a job queue, and start some queues."""
    queue = NatsJobQueue(given)
    with anyio.fail_after(LONGEST_WAIT):
        await queue.init(_Injector())
    try:
        for name in queue_names:
            await queue.start(name, no_process)
        with anyio.fail_after(LONGEST_WAIT):
            yield queue
    finally:
        with anyio.CancelScope(shield=True), anyio.fail_after(LONGEST_WAIT):
            await queue.destroy()


async def no_process(job: JobData, /) -> Outcome:
    """Stand in for what core gives, which is never called."""
    raise AssertionError(job)


async def fetch_one(queue: NatsJobQueue, queue_name: str = "orders") -> NatsDelivery:
    """Return the next delivery, and nothing else."""
    (delivery,) = await queue.fetch(queue_name, 1)
    return delivery


def new_job(job_id: str, payload: bytes = b'{"args":[],"kwargs":{}}', **given: Any) -> NewJob:
    """Return a job of the queue `orders`."""
    options = JobOptions(**{key: given.pop(key) for key in list(given) if hasattr(JobOptions(), key)})
    return NewJob(job_id, given.pop("queue_name", "orders"), "pack", payload, options, **given)


def completed(job: JobData, result: bytes | None = None, **given: Any) -> Settlement:
    """Return the end of a run that completed."""
    return Settlement(job.id, job.queue_name, TOKEN, Command.COMPLETE, AttemptOutcome.COMPLETED, result=result, **given)


def failed(job: JobData, error: Exception, **given: Any) -> Settlement:
    """Return the end of a job that failed for good."""
    return Settlement(
        job.id, job.queue_name, TOKEN, Command.FAIL, AttemptOutcome.FAILED, error=error_info(error), **given
    )
