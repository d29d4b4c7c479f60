"""Job: the user's handle on one job."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import anyio

from conveyor._handles.events import EventStream, Observation
from conveyor._services import events, flows, jobs
from conveyor._services.sealing import opened_result
from conveyor.codec import decode_json, encode_json, to_json
from conveyor.errors import JobInBufferError
from conveyor.model.durations import Duration, parse_duration
from conveyor.model.flows import ChildOutcome
from conveyor.model.job import NewJob, as_added
from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from conveyor._services.buffered_jobs import FoundJob
    from conveyor._services.flows import ChildJob
    from conveyor._services.services import Services
    from conveyor.model.events import EventKind
    from conveyor.model.flows import Flow
    from conveyor.model.job import Attempt, JobData, LogEntry, Progress
    from conveyor.model.outcomes import Outcome
    from conveyor.model.states import JobState

__all__ = ["Job"]

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Job(Generic[R_co]):
    """A job that was added, and what can be asked of it.

    `state`, `progress` and `data` are as of the last look: when it was added, or the last `refresh`, `result` or
    command on this handle.
    """

    # One is made for each job that is added.
    __slots__ = ("__weakref__", "_added_as", "_added_at", "_buffer_id", "_data", "_decode_result", "_id", "_services")

    def __init__(
        self,
        services: Services,
        data: JobData | NewJob,
        decode_result: Callable[[bytes], R_co] | None = None,
        added_as: Added = Added.ADDED,
    ) -> None:
        """Bind a handle on a job, or on one added just now; ``add`` does."""
        self._added_as = added_as
        self._services = services
        self._data = data
        self._id = data.id
        self._buffer_id: str | None = None
        self._decode_result = decode_result
        self._added_at = datetime.now(UTC)

    @classmethod
    def found(
        cls, services: Services, job_id: str, found: FoundJob, decode_result: Callable[[bytes], R_co] | None = None
    ) -> Job[R_co]:
        """Return a handle on a job that was looked for by its id; ``queue.get_job`` and ``app.jobs.get`` do."""
        job = cls(services, found.data, decode_result)
        job._id = job_id
        return job._seen_as(found)

    def __repr__(self) -> str:
        """Show what it is and where it stood at the last look."""
        return f"<Job {self.id} {self.queue_name}/{self.name} {self.state}>"

    @property
    def id(self) -> str:
        """Its id, unique in the store."""
        return self._id

    @property
    def merged_into(self) -> str | None:
        """The id of the job that does its work, as of the last look, where a buffer merged it into another.

        `state`, `data` and `result` are then those of that job.
        """
        return None if self._data.id == self._id else self._data.id

    @property
    def name(self) -> str:
        """The name of its handler."""
        return self._data.name

    @property
    def queue_name(self) -> str:
        """The queue it is in."""
        return self._data.queue_name

    @property
    def was_added(self) -> bool:
        """False where the add that gave this handle met a deduplication key: then this is the job that holds it."""
        return self._added_as in {Added.ADDED, Added.BUFFERED}

    @property
    def added_as(self) -> Added:
        """What became of the add that gave this handle: added, buffered, kept, replaced, postponed or throttled.

        A handle that no add gave says ``added``.
        """
        return self._added_as

    @property
    def state(self) -> JobState:
        """Where it stood at the last look."""
        return self.data.state

    @property
    def progress(self) -> Progress | None:
        """How far it was at the last look."""
        return self.data.progress

    @property
    def data(self) -> JobData:
        """Everything known of it at the last look."""
        if isinstance(self._data, NewJob):
            # Most of those who add never ask, so it is made for those who do.
            self._data = as_added(self._data, self._added_at)
        return self._data

    async def refresh(self) -> Job[R_co]:
        """Look again, and return this handle. Raises JobNotFoundError where it was removed."""
        return self._seen_as(await jobs.get(self._services, self.id))

    async def wait_until_finished(self, timeout: Duration | None = None) -> Job[R_co]:
        """Wait until it has completed, failed or was cancelled, and return this handle.

        Also where it leaves no record, by `remove_on_complete` or `remove_on_fail`, and is one of the last 10 000.

        Raises:
            TimeoutError: it has not within this time; the job goes on.
            JobNotFoundError: somebody removed it.
        """
        seconds = None if timeout is None else parse_duration(timeout, field="timeout").total_seconds()
        with anyio.move_on_after(seconds) as patience:
            self._learn(await jobs.wait(self._services, self.data))
        if patience.cancelled_caught:
            raise TimeoutError(
                f"job {self.id!r} ({self.name}) of queue {self.queue_name!r} has not ended within {seconds:g} s; "
                f"it was {self.state} when this handle last looked, and goes on"
            )
        return self

    async def result(self: Job[T | Outcome], timeout: Duration | None = None) -> T:
        """Wait for it and return what its handler returned; outcomes such as `Snooze` are no results.

        Raises:
            JobFailedError: it failed or was cancelled; the message says why.
            TimeoutError: it has not ended within this time; the job goes on.
            JobNotFoundError: somebody removed it.
        """
        await self.wait_until_finished(timeout)
        jobs.raise_unless_completed(self.data)
        return cast("T", self._decoded_result())

    def _decoded_result(self) -> R_co:
        result = opened_result(self._services.payload_codec, self.data)
        if result is None:
            return cast("R_co", None)
        return decode_json(result) if self._decode_result is None else self._decode_result(result)

    @asynccontextmanager
    async def events(
        self, kinds: Collection[EventKind | str] | None = None, *, buffer: int = events.BUFFERED
    ) -> AsyncIterator[EventStream]:
        """Open a stream of what happens to it from now on; ``kinds`` and ``buffer`` as for ``app.events``.

        Of one that was merged, what happens to the job that does its work.

        Raises:
            JobInBufferError: it is in a buffer still, and may be merged: `observe` follows it.
        """
        if self._may_be_merged:
            await self.refresh()
        if self._buffer_id is not None:
            raise JobInBufferError(self.id, self._buffer_id)
        watched = events.watch(self._services, self.queue_name, job_id=self._data.id, kinds=kinds, buffer=buffer)
        async with watched as gathered:
            yield EventStream(gathered, self._services.payload_codec)

    @asynccontextmanager
    async def observe(self) -> AsyncIterator[Observation[Job[R_co]]]:
        """Follow it to its end: gives this handle as it stands, and again after each change, to a reader in time.

        Raises:
            CapabilityError: the store records no events.
            JobNotFoundError: from the iterator: somebody removed it.
        """
        heard = {self.id, self.data.id}
        async with events.watch_jobs(self._services, self.queue_name, heard) as gathered:
            yield Observation(self._services, self.data, gathered, heard=heard, accept=self._seen_as)

    @property
    def _may_be_merged(self) -> bool:
        return self._buffer_id is not None or (self._added_as is Added.BUFFERED and self.merged_into is None)

    def _learn(self, data: JobData) -> None:
        """Take what it is by now, which is in no buffer any more."""
        self._data, self._buffer_id = data, None

    def _seen_as(self, found: FoundJob) -> Job[R_co]:
        self._data, self._buffer_id = found.data, found.buffer_id
        return self

    async def cancel(self, reason: str = "cancelled by request") -> None:
        """End it as cancelled; a running handler is cancelled and can write nothing more.

        In a buffer, it leaves that; where a flush has begun, whichever is first holds.

        Raises:
            InvalidJobStateError: it has ended already.
            JobInBufferError: a flush merged it into another job.
            CapabilityError: it is in a buffer whose storage cannot do that.
        """
        self._learn(await jobs.cancel(self._services, self.id, reason))

    async def promote(self) -> None:
        """Run it now, though its delay is not over."""
        self._learn(await jobs.promote(self._services, self.id))

    async def rerun(self, data: object = None) -> None:
        """Run it again from its first attempt after it has ended; with new data, if given."""
        self._learn(await jobs.rerun(self._services, self.id, None if data is None else encode_json(data)))

    async def update_data(self, data: object) -> None:
        """Give it other data before it ends: for its next run, if one goes on.

        Raises:
            PayloadError: the data has no JSON form, or does not fit the handler of this program.
            InvalidJobStateError: it has ended; `rerun` takes new data then.
        """
        self._learn(await jobs.update_data(self._services, self.id, encode_json(data)))

    async def change_delay(self, delay: Duration) -> None:
        """Let it be due so long from now. Raises InvalidJobStateError unless it is delayed."""
        self._learn(await jobs.change_delay(self._services, self.id, delay))

    async def change_priority(self, priority: int) -> None:
        """Let it run sooner (a lower number) or later among those that wait.

        Raises:
            InvalidJobStateError: it runs, or has ended.
        """
        self._learn(await jobs.change_priority(self._services, self.id, priority))

    async def move_to_delayed(self, at: datetime) -> None:
        """Put it off until this time (with a time zone). A run that goes on is cancelled and counts for nothing.

        A handler may do this to its own job, though ``return Snooze(…)`` is shorter.

        Raises:
            InvalidJobStateError: it has ended, or waits for children.
        """
        self._learn(await jobs.move_to_delayed(self._services, self.id, at))

    async def move_to_failed(self, reason: str = "failed by request") -> None:
        """End it as failed; a running handler is cancelled and can write nothing more.

        Raises:
            InvalidJobStateError: it has ended already.
        """
        self._learn(await jobs.move_to_failed(self._services, self.id, reason))

    async def discard(self) -> None:
        """Let it fail for good, where it would be tried again: after the run that goes on, or the next.

        Raises:
            InvalidJobStateError: it has ended already.
        """
        self._learn(await jobs.discard(self._services, self.id))

    async def remove(self) -> None:
        """Delete it, with its history; it must not be running. Of one in a buffer, as for `cancel`."""
        await jobs.remove(self._services, self.id)

    async def parent(self) -> Job[Any] | None:
        """Return the job that waits, or waited, for it; the first where there are several, None where there is none."""
        parents = await self.parents()
        return parents[0] if parents else None

    async def parents(self) -> list[Job[Any]]:
        """Return the jobs that wait, or waited, for it."""
        return [Job(self._services, parent) for parent in await flows.get_parents(self._services, self.id)]

    async def children(self) -> Sequence[ChildJob]:
        """Return what is known of the jobs that it waits, or waited, for, in the order in which they were added."""
        return await flows.get_children(self._services, self.id)

    async def children_values(self) -> dict[str, Any]:
        """Return what the handlers of its children returned, by their ids, of those that completed."""
        found = await self.children()
        return {child.job_id: child.value for child in found if child.outcome is ChildOutcome.COMPLETED}

    async def add_children(self, *children: Flow | NewJob) -> None:
        """Let it wait for more jobs, while it waits for its children or runs; all are added, or none.

        Raises:
            InvalidJobStateError: it neither waits for children nor runs.
            FlowError: no flow can be made of them, or one of them is the job itself.
            DuplicateJobError: another job has the id of one of them.
        """
        await flows.add_children(self._services, self.id, children)

    async def log(self, message: str) -> None:
        """Keep a line with it; one of more than 10 000 characters is cut in the middle."""
        await jobs.log(self._services, self.id, message)

    async def logs(self, start: int = 0, end: int = 1000) -> Sequence[LogEntry]:
        """Return the lines kept with it: start (inclusive) to end (exclusive), oldest first."""
        return await jobs.get_logs(self._services, self.id, start, end)

    async def clear_logs(self) -> int:
        """Delete the lines kept with it; return how many there were."""
        return await jobs.clear_logs(self._services, self.id)

    async def attempts(self) -> Sequence[Attempt]:
        """Return its runs that ended, oldest first: when, on which worker, how and why, and what they logged."""
        return await jobs.get_attempts(self._services, self.id)

    def to_json(self) -> dict[str, Any]:
        """Return everything known of it at the last look, as JSON-like values.

        Of one that was merged, of the job that does its work, with its own `id`, and the other's as `merged_into`; of
        one that was in a buffer, with its `buffer_id`; from an add that was answered otherwise than ``added``, with
        that as `added_as`.
        """
        known = cast("dict[str, Any]", to_json(self.data))
        if self._added_as is not Added.ADDED:
            known["added_as"] = self._added_as.value
        if self.merged_into is not None:
            return known | {"id": self.id, "merged_into": self.merged_into}
        return known if self._buffer_id is None else known | {"buffer_id": self._buffer_id}
