"""The job queue strategy over NATS JetStream."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from conveyor.contracts.capabilities import Durability, Guarantees
from conveyor.contracts.clock import Clock
from conveyor.contracts.job_queue import JobQueueCapabilities
from conveyor.contracts.runtime import Logger
from conveyor_plugin_nats.adding import add_jobs, check_jobs
from conveyor_plugin_nats.bridge import Bridge
from conveyor_plugin_nats.desk import open_desk
from conveyor_plugin_nats.inspecting import cancel_job, find_job, find_jobs, remove_settled, search_jobs
from conveyor_plugin_nats.options import DEFAULT_URL, NatsOptions, Sync, parse_url
from conveyor_plugin_nats.streams import check_sync

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt, JobFilter, Page
    from conveyor.model.settlement import Settlement
    from conveyor_plugin_nats.desk import Desk
    from conveyor_plugin_nats.runs import Run

__all__ = ["NatsJobQueue"]


class NatsJobQueue:
    """Keeps jobs in a stream of NATS JetStream: a `DeliveringJobQueueStrategy`.

    An add is acknowledged once the server has it. What that survives, `guarantees` says.
    """

    _bridge: Bridge
    _desk: Desk
    _clock: Clock

    def __init__(self, given: str | NatsOptions = DEFAULT_URL) -> None:
        """Take a URL such as ``nats://user:password@host:4222?stream=jobs``, or options.

        Raises:
            ConfigurationError: a part of the URL does not fit.
        """
        self.options: NatsOptions = given if isinstance(given, NatsOptions) else parse_url(given)

    async def init(self, injector: Injector, /) -> None:
        """Connect, and make the stream where there is none.

        Raises:
            StoreUnavailableError: no server can be reached.
            StoreError: the server is too old, refuses us, or has another stream of this name.
            CapabilityError: ``sync=always`` was asked for, and the server does not sync always; or more ``replicas``
                than there are servers.
        """
        self._clock = injector.get(Clock)
        logger = injector.get(Logger)
        if self.options.sync is Sync.ALWAYS:
            await anyio.to_thread.run_sync(check_sync, self.options)
        self._bridge = Bridge()
        try:
            self._desk = await self._bridge.call(partial(open_desk, self.options, self._clock, logger))
        except BaseException:
            await self._bridge.close()
            raise

    async def destroy(self) -> None:
        """Hand back what was fetched and not begun, and close the connection."""
        try:
            await self._bridge.call(self._desk.close)
        finally:
            await self._bridge.close()

    @property
    def capabilities(self) -> JobQueueCapabilities:
        """What JetStream offers."""
        return JobQueueCapabilities(
            is_durable=True, is_shared=True, has_unique_ids=True, has_delays=True, has_retries=True, has_expiry=True
        )

    @property
    def guarantees(self) -> Guarantees:
        """What an acknowledged add, and an acknowledged end of a job, survives on each server that has it.

        More servers (``replicas``) survive the loss of a minority of them.
        """
        durability = Durability.POWER_LOSS if self.options.sync is Sync.ALWAYS else Durability.PROCESS_CRASH
        return Guarantees(add=durability, settle=durability)

    async def add(self, job: NewJob, /) -> AddReceipt:
        """Add one job; see `add_many`."""
        (receipt,) = await self.add_many([job])
        return receipt

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add several jobs, each by itself: where one fails, others were added, and adding all again is safe.

        Raises:
            PayloadError: one is larger than the server's ``max_payload`` allows; none was added.
            StoreUnavailableError: the server did not acknowledge each.
        """
        if not jobs:
            return []
        return await self._bridge.call(partial(add_jobs, self._desk.connection, jobs, self._clock.now()))

    async def check(self, jobs: Sequence[NewJob], /) -> None:
        """Raise PayloadError where one is larger than the server's ``max_payload`` allows."""
        await self._bridge.call(partial(check_jobs, self._desk.connection, jobs, self._clock.now()))

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        """Make the queue's consumer where there is none; `fetch` does the rest, and `process` is not called."""
        del process
        await self._bridge.call(partial(self._desk.start, queue_name))

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        """End its fetches, and hand back what they brought too late; return the ids of those jobs."""
        del process
        return await self._bridge.call(partial(self._desk.stop, queue_name))

    async def find_one(self, job_id: str, /) -> JobData | None:
        """Return a job by its id, or None. Of one that completed or was cancelled the arguments are not kept."""
        return await self._bridge.call(partial(find_job, self._desk.connection, job_id))

    async def find_many_by_id(self, job_ids: Sequence[str], /) -> Sequence[JobData]:
        """Return those of the jobs that there are, in the order of the ids."""
        return await self._bridge.call(partial(find_jobs, self._desk.connection, job_ids))

    async def find_many(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Return jobs that match, by their ids; each job is looked at, which takes its time where there are many.

        What matches ``text`` is looked for in the arguments of jobs that still have them.
        """
        return await self._bridge.call(
            partial(
                search_jobs,
                self._desk.connection,
                wanted,
                cursor,
                limit,
                now=self._clock.now(),
                oldest_first=oldest_first,
            )
        )

    async def remove_settled_jobs(self, queue_names: Sequence[str], older_than: timedelta, /) -> int:
        """Remove what is kept of jobs that ended; by age, each of them is looked at."""
        ended_before = self._clock.now() - older_than if older_than else None
        return await self._bridge.call(partial(remove_settled, self._desk.connection, queue_names, ended_before))

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """End a job as cancelled, and return it; see `InspectableJobQueueStrategy.cancel_job`."""
        return await self._bridge.call(partial(cancel_job, self._desk.connection, job_id, reason, self._clock.now()))

    @property
    def lock_duration(self) -> timedelta:
        """JetStream's ``ack_wait``."""
        return self.options.lock_duration

    async def fetch(self, queue_name: str, limit: int, /) -> Sequence[NatsDelivery]:
        """Wait for jobs; see `DeliveringJobQueueStrategy.fetch`."""
        try:
            runs = await self._bridge.call(partial(self._desk.fetch, queue_name, limit), shield=False)
        except BaseException:
            # The wait may have been over as it was cancelled.
            with anyio.CancelScope(shield=True):
                await self._bridge.call(partial(self._desk.abandon, queue_name))
            raise
        return [NatsDelivery(self._bridge, run) for run in runs]


class NatsDelivery:
    """One job that JetStream delivered: a `Delivery`."""

    def __init__(self, bridge: Bridge, run: Run) -> None:
        """Take the run, which lives in the bridge's thread."""
        self._bridge = bridge
        self._run = run

    @property
    def job(self) -> JobData:
        """The job."""
        return self._run.job

    async def settle(self, settlement: Settlement, /) -> None:
        """Write how the job ended, and acknowledge it."""
        await self._bridge.call(partial(self._run.settle, settlement))

    async def hand_back(self, delay: timedelta, /, *, is_counted: bool) -> None:
        """Let it be delivered again."""
        await self._bridge.call(partial(self._run.hand_back, delay, is_counted=is_counted))

    async def extend(self) -> None:
        """Keep it."""
        await self._bridge.call(self._run.extend)
