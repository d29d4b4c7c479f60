"""Result waiters: everyone in this program who waits for a job to end, served by one bulk read per hint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from conveyor._runtime.wakeup import Wakeup
from conveyor.errors import CapabilityError, ConfigurationError, JobNotFoundError, StoreError, StoreUnavailableError
from conveyor.model.buffers.values import BufferPlace
from conveyor.model.events import Notification, NotificationKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import TypeAlias

    from conveyor._runtime.transient import Outage
    from conveyor.contracts.store import Store
    from conveyor.model.job import Ending, JobData

    FindPlaces: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, BufferPlace]]]

__all__ = ["ResultWaiters"]

# How often to look in spite of hearing nothing.
POLL_SECONDS: Final = 1.0
MANY: Final = 50

_RELEVANT: Final = frozenset({NotificationKind.FINISHED, NotificationKind.CHANGED, NotificationKind.ANYTHING})


class _Waiter:
    def __init__(self) -> None:
        self.event = anyio.Event()
        self.end: JobData | Ending | None = None
        self.error: StoreError | CapabilityError | None = None


class ResultWaiters:
    """Waits on behalf of many; nobody waits: no query."""

    def __init__(self, store: Store, outage: Outage, find_places: FindPlaces) -> None:
        """Bind to a store; `find_places` tells of jobs that are in buffers or were merged into others."""
        self._store = store
        self._find_places = find_places
        self._outage = outage
        self._waiters: dict[str, list[_Waiter]] = {}
        self._wakeup = Wakeup()
        self._is_closed = False

    def notify(self, notification: Notification, /) -> None:
        """Hear a hint of the store."""
        if self._waiters and notification.kind in _RELEVANT:
            self._wakeup.set()

    async def wait(self, job_id: str) -> JobData | Ending:
        """Return the job once it has settled, or how it ended where it left no record.

        Raises:
            JobNotFoundError: there is no such job, or it was removed meanwhile, by something else than its end.
            StoreError: the store refuses to be read, in a way that does not pass by itself.
            CapabilityError: the job queue strategy keeps no jobs that could be looked up.
        """
        waiter = _Waiter()
        self._waiters.setdefault(job_id, []).append(waiter)
        self._wakeup.set()
        try:
            await waiter.event.wait()
        finally:
            self._forget(job_id, waiter)
        if self._is_closed:
            raise ConfigurationError(f"the app was closed while job {job_id!r} was waited for; the job goes on")
        if waiter.error is not None:
            raise waiter.error
        if waiter.end is None:
            raise JobNotFoundError(job_id)
        return waiter.end

    def close(self) -> None:
        """Let nobody wait for an app that is closed."""
        self._is_closed = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.event.set()

    async def run(self) -> None:
        """Serve for ever."""
        while True:
            if self._waiters:
                await self._wakeup.wait(POLL_SECONDS)
            else:
                await self._wakeup.wait()
            started = anyio.current_time()
            try:
                await self._serve()
            except StoreUnavailableError as exc:
                self._outage.note_failure(self, "look for results", exc)
            else:
                self._outage.note_success(self)
            if len(self._waiters) >= MANY:
                # A hint does not say which job ended, so each look reads for everyone who waits: with many of
                # them, looking takes a tenth of the time at most.
                await anyio.sleep(min(POLL_SECONDS, 9 * (anyio.current_time() - started)))

    async def _serve(self) -> None:
        # Only who waited before the question was sent gets its answer: whoever comes later, such as after a
        # rerun, may mean a later end.
        asking = {job_id: tuple(waiters) for job_id, waiters in self._waiters.items()}
        if not asking:
            return
        try:
            found = await self._look(list(asking))
        except StoreUnavailableError:
            raise
        except (StoreError, CapabilityError) as exc:
            # It concerns those who wait, not the app: they may go without, and the app may do something else.
            _tell_all(asking, exc)
            return
        for job_id, waiters in asking.items():
            end = found[job_id]
            if end is None or (not isinstance(end, BufferPlace) and end.state.is_settled):
                for waiter in waiters:
                    waiter.end = end
                    waiter.event.set()

    async def _look(self, job_ids: Sequence[str]) -> dict[str, JobData | Ending | BufferPlace | None]:
        """Return how each job stands, or ended, or that it is in a buffer; of a merged one, how the other does."""
        found: dict[str, JobData | Ending | BufferPlace | None] = dict.fromkeys(job_ids)
        found |= await self._store.jobs.find_jobs(job_ids)
        gone = [job_id for job_id in job_ids if found[job_id] is None]
        if gone:
            found |= await self._store.jobs.find_endings(gone)
            gone = [job_id for job_id in gone if found[job_id] is None]
        if gone:
            places = await self._find_places(gone)
            found |= places
            merged = {job_id: place.merged_into for job_id, place in places.items() if place.merged_into is not None}
            if merged:
                others = await self._look([*dict.fromkeys(merged.values())])
                found |= {job_id: others[into] for job_id, into in merged.items()}
            # What was flushed between these looks is a job by now.
            gone = [job_id for job_id in gone if found[job_id] is None]
        if gone:
            found |= await self._store.jobs.find_jobs(gone)
        return found

    def _forget(self, job_id: str, waiter: _Waiter) -> None:
        waiters = self._waiters[job_id]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[job_id]
        if not self._waiters:
            self._outage.forget(self)


def _tell_all(asking: Mapping[str, Sequence[_Waiter]], error: StoreError | CapabilityError) -> None:
    for waiters in asking.values():
        for waiter in waiters:
            waiter.error = error
            waiter.event.set()
