"""Buffers: the app's noun for jobs that are collected and reduced before they run."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from conveyor._handles.handler import plain_handle
from conveyor._services import buffers, flushing
from conveyor._services.buffer_ids import own, wanted_ids, whole_id
from conveyor._services.buffer_news import BUFFERED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor._handles.job import Job
    from conveyor._services.buffer_news import BufferEventStream
    from conveyor._services.services import Services
    from conveyor.contracts.job_buffer import JobBufferLike
    from conveyor.model.buffers.news import BufferCounts
    from conveyor.model.buffers.values import BufferSize

__all__ = ["Buffers"]


class Buffers:
    """Buffers of this program, at ``app.buffers``: by their own ids, without the app's prefix."""

    def __init__(self, services: Services) -> None:
        """Bind to an app."""
        self._services = services

    def add_buffer(self, buffer: JobBufferLike) -> None:
        """Register a buffer: jobs added in this program from now on are shown to it, before or after the app opens.

        Every program that flushes a buffer registers it; those that only add to it do, too. Jobs of flows and of
        schedules are not collected.

        Raises:
            BufferError: another buffer has its id.
            ConfigurationError: it has no `id`, `collect` or `reduce`, or something of it is not valid.
        """
        self._services.buffers.add(buffer)

    def remove_buffer(self, buffer: JobBufferLike | str) -> None:
        """Let a buffer collect no more in this program. Jobs that are in it stay there.

        Raises:
            BufferError: it is not registered.
            ConfigurationError: it is neither a buffer nor an id.
        """
        self._services.buffers.remove(whole_id(self._prefix, buffer))

    async def buffer_size(self, ids: Sequence[JobBufferLike | str] | None = None) -> dict[str, int]:
        """Return how many jobs are in each of these buffers, by id.

        None and an empty list mean all: those registered here, and those that have jobs though nobody here registered
        them. Unknown ids are absent. A buffer may be given itself.

        Raises:
            ConfigurationError: they are no list of buffers or their ids.
        """
        return own(self._prefix, await buffers.buffer_size(self._services, wanted_ids(self._prefix, ids)))

    async def sizes(self) -> dict[str, BufferSize]:
        """Return how full each buffer is that has jobs, by id: jobs, bytes, when the oldest and the newest came.

        Also those that nobody here registered; of a storage that cannot tell, what this program put there.

        Raises:
            CapabilityError: the store keeps no buffers, and no other place is named for them.
        """
        return own(self._prefix, await buffers.get_sizes(self._services))

    def counts(self) -> dict[str, BufferCounts]:
        """Return what happened to each buffer in this program so far: collected, reduced, added, flushes, failures."""
        return own(self._prefix, self._services.buffers.news.counts)

    @asynccontextmanager
    async def events(self, *, buffer: int = BUFFERED) -> AsyncIterator[BufferEventStream]:
        """Open a stream of what happens to the buffers of this program from now on.

        Args:
            buffer: how many events wait for a reader that is busy; beyond, the oldest are dropped and counted.

        Raises:
            ConfigurationError: a buffer for less than one.
        """
        with self._services.buffers.news.listening(buffer) as stream:
            yield stream

    async def flush(self, ids: Sequence[JobBufferLike | str] | None = None) -> dict[str, list[Job[Any]]]:
        """Reduce what is in these buffers now and add the result to the queues; return the jobs added, by buffer.

        None and an empty list mean all that are registered here; others are absent, and their jobs stay: one of them
        that is named and has jobs is logged as a warning. A buffer that another flush has begun gives nothing.

        Raises:
            BufferError: a `reduce` raised, and its buffer keeps the jobs then; the others were flushed.
            ConfigurationError: they are no list of buffers or their ids.
        """
        flushed = await flushing.flush(self._services, wanted_ids(self._prefix, ids))
        return {
            id: [plain_handle(self._services, job) for job in jobs] for id, jobs in own(self._prefix, flushed).items()
        }

    @property
    def _prefix(self) -> str:
        return self._services.buffers.prefix
