"""BatchJob: the user's handle on one batch job, and what happens to it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self, cast

import anyio
from attrs import evolve, frozen

from conveyor._runtime.transient import Outage, until_available
from conveyor._services.batches import changing
from conveyor._services.batches.looking import look
from conveyor._services.batches.sealing import opened_context, opened_result
from conveyor.codec import to_json
from conveyor.model.batches.progress import BatchProgress, progress_of
from conveyor.model.durations import Duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime

    from conveyor._services.event_buffer import EventBuffer
    from conveyor._services.services import Services
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchJobData, RowError, RowOutcome, StatusChange

__all__ = ["BatchEvent", "BatchEventKind", "BatchEvents", "BatchJob"]

# Not everything that happens to a batch job happens to its job, so who watches looks so often.
LOOK_SECONDS: Final = 1.0


class BatchJob:
    """A batch job, and what can be asked of it.

    What it says of itself is as of the last look: when this handle was made, or by the last `refresh` or command.
    """

    def __init__(self, services: Services, data: BatchJobData) -> None:
        """Bind a handle; ``app.batches`` does."""
        self._services = services
        self._data = data

    def __repr__(self) -> str:
        """Show what it is and where it stood at the last look."""
        return f"<BatchJob {self.id} {self.batch_type} {self.status}>"

    @property
    def id(self) -> str:
        """Its id, unique in the store."""
        return self._data.id

    @property
    def batch_type(self) -> str:
        """Which strategy processes it."""
        return self._data.batch_type

    @property
    def status(self) -> BatchStatus:
        """Where it stood at the last look."""
        return self._data.status

    @property
    def data(self) -> BatchJobData:
        """Everything known of it at the last look, as the store has it."""
        return self._data

    @property
    def context(self) -> Mapping[str, Any]:
        """What it is to do.

        Raises:
            PayloadError: it is encrypted, and this app has no key for it.
        """
        return opened_context(self._services, self._data)

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What came of it so far, as its strategy says; raises PayloadError as `context` does."""
        return opened_result(self._services, self._data)

    @property
    def progress(self) -> BatchProgress:
        """How far it was, how fast, and how long it may still take."""
        return progress_of(self._data)

    @property
    def counts(self) -> Mapping[RowOutcome, int]:
        """Its rows by what became of them."""
        return self._data.counts

    @property
    def error(self) -> str | None:
        """Why it failed, or was interrupted."""
        return self._data.error

    @property
    def dry_run(self) -> bool:
        """Whether it tries everything and keeps nothing."""
        return self._data.dry_run

    @property
    def created_by(self) -> str | None:
        """Who wants it."""
        return self._data.created_by

    @property
    def created_at(self) -> datetime:
        """When it was created, by the store's clock."""
        return self._data.created_at

    @property
    def parent_id(self) -> str | None:
        """The batch job whose failed rows it takes up."""
        return self._data.parent_id

    @property
    def history(self) -> tuple[StatusChange, ...]:
        """Its changes of status: when, from what to what, who asked, and why."""
        return self._data.history

    async def refresh(self) -> Self:
        """Look again, and return this handle. Raises BatchJobNotFoundError where it was removed."""
        self._data = await look(self._services, self.id)
        return self

    async def wait_until_ended(self, timeout: Duration | None = None) -> Self:
        """Wait until it is completed, with errors or without, failed or cancelled, and return this handle.

        Raises:
            TimeoutError: it has not within this time; it goes on.
            BatchJobNotFoundError: somebody removed it.
        """
        seconds = None if timeout is None else parse_duration(timeout, field="timeout").total_seconds()
        with anyio.fail_after(seconds):
            async with changing.watch(self._services, self.id) as buffer:
                outage = Outage()
                while not (await until_available(self.refresh, "look at a batch job", outage)).status.is_ended:
                    await _next_look(buffer)
        return self

    async def confirm(self, by: str | None = None, reason: str | None = None) -> Self:
        """Let it be processed, once it is pre-processed. Each command raises InvalidBatchStatusError out of time."""
        return self._now(await changing.confirm(self._services, self.id, by, reason))

    async def pause(self, by: str | None = None, reason: str | None = None) -> Self:
        """Let it stop where it is, within a chunk of rows."""
        return self._now(await changing.pause(self._services, self.id, by, reason))

    async def resume(self, by: str | None = None, reason: str | None = None) -> Self:
        """Let it go on where it was paused."""
        return self._now(await changing.resume(self._services, self.id, by, reason))

    async def cancel(self, by: str | None = None, reason: str | None = None) -> Self:
        """End it as cancelled, within a chunk of rows where it runs. One that is cancelled already stays so."""
        return self._now(await changing.cancel(self._services, self.id, by, reason))

    async def retry(self, by: str | None = None, reason: str | None = None) -> Self:
        """Let one that failed go on where it was; for its failed rows alone see ``app.batches.retry``."""
        return self._now(await changing.retry(self._services, self.id, by, reason, failed_rows=False))

    async def remove(self) -> None:
        """Delete it, once it has ended, with its history, its bad rows, and its files that would expire."""
        await changing.remove(self._services, self.id)

    def errors(self) -> AsyncIterator[RowError]:
        """Go through its bad rows, by number."""
        return changing.errors(self._services, self.id)

    def to_json(self) -> dict[str, Any]:
        """Return everything known of it at the last look, as JSON-like values.

        Raises:
            PayloadError: as `context` does.
        """
        known = cast("dict[str, Any]", to_json(self._data))
        hidden = ("run", "run_started_at", "run_started_from", "identity", "cursor")
        shown = {name: value for name, value in known.items() if name not in hidden}
        result = self.result
        return {
            **shown,
            "context": dict(self.context),
            "result": None if result is None else dict(result),
            "progress": to_json(self.progress),
        }

    def _now(self, data: BatchJobData) -> Self:
        self._data = data
        return self


class BatchEventKind(StrEnum):
    """What happened to a batch job."""

    STATUS = "status"
    PROGRESS = "progress"


@frozen
class BatchEvent:
    """Something that happened to a batch job.

    Attributes:
        kind: STATUS: it changed its status; PROGRESS: it is further than before.
        batch: the batch job as it was found, in the status that it had then.
        change: which change of status, where it is one.
    """

    kind: BatchEventKind
    batch: BatchJob
    change: StatusChange | None = None


class BatchEvents:
    """A batch job as it changes, as an async iterator: first where it stands, last how it ended.

    Every change of status is in it; of its progress steps may be left out.
    """

    def __init__(self, services: Services, batch_id: str, buffer: EventBuffer | None) -> None:
        """Bind to a batch job; ``app.batches.events`` does."""
        self._services = services
        self._id = batch_id
        self._buffer = buffer
        self._seen: BatchJobData | None = None
        self._waiting: list[BatchEvent] = []
        self._outage = Outage()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> BatchEvent:
        """Return the next event, or wait for one.

        Raises:
            BatchJobNotFoundError: somebody removed it.
            StoreError: the store cannot be read, in a way that does not pass by itself.
        """
        while not self._waiting:
            if self._seen is not None:
                if self._seen.status.is_ended:
                    raise StopAsyncIteration
                await _next_look(self._buffer)
            self._look(
                await until_available(lambda: look(self._services, self._id), "look at a batch job", self._outage)
            )
        return self._waiting.pop(0)

    def _look(self, found: BatchJobData) -> None:
        before, self._seen = self._seen, found
        known = len(found.history) - 1 if before is None else len(before.history)
        for number, change in enumerate(found.history[known:], known + 1):
            # It may have changed more than once since the last look.
            then = evolve(found, status=change.after, history=found.history[:number])
            self._waiting.append(BatchEvent(BatchEventKind.STATUS, BatchJob(self._services, then), change))
        if before is not None and (found.done, found.total, found.message) != (
            before.done,
            before.total,
            before.message,
        ):
            self._waiting.append(BatchEvent(BatchEventKind.PROGRESS, BatchJob(self._services, found)))


async def _next_look(buffer: EventBuffer | None) -> None:
    """Wait until something happened to a job that works for it, or for a while."""
    with anyio.move_on_after(LOOK_SECONDS):
        await (anyio.sleep_forever() if buffer is None else buffer.take())
    if buffer is not None:
        # What happened until here is seen by looking.
        buffer.clear()
