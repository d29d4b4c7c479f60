"""Batches: jobs of one batch handler gather until they are enough, or have waited long enough; one call runs them all.

Each of them keeps a slot, a lock, a timeout and an end of its own. The call has a task of its own, beside the slots:
a job that is cancelled, or whose lock is lost, leaves its batch, which goes on with the others. What ends the run of
a job that may be run again elsewhere at once (a timeout, a shutdown) ends the call for all of them, so that no job is
run twice at a time.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
import anyio.abc
from attrs import frozen

from conveyor.model.outcomes import Failed, Snooze, Stop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._runtime.executor import Caller
    from conveyor._runtime.handler_threads import HandlerThreads
    from conveyor._services.handlers import Handler
    from conveyor.model.batch_options import BatchOptions
    from conveyor.model.job import JobData
    from conveyor.model.outcomes import Outcome

__all__ = ["Batches", "Member"]

# Of which queue, of which handler, and of which group alone.
_Key: TypeAlias = tuple[str, str, str | None]

logger: Final = logging.getLogger("conveyor.worker")

# A batch may be too small a few times; so often in a row, something keeps more jobs from it.
_PUT_OFFS: Final = 10


@frozen(eq=False)
class Member:
    """A job in a batch: who runs it, and what its handler is given of it."""

    job: JobData
    caller: Caller
    args: tuple[Any, ...]


class Batches:
    """The batches that gather at the moment, one for each batch handler, and group where it asks for that."""

    def __init__(self, threads: HandlerThreads) -> None:
        """Begin with none. Until `open` each job is run as a batch of its own, in the task that runs it."""
        self._threads = threads
        self._gathering: dict[_Key, _Batch] = {}
        # How often in a row each had too few jobs.
        self._put_offs: Counter[_Key] = Counter()
        self._tasks: anyio.abc.TaskGroup | None = None

    def open(self, tasks: anyio.abc.TaskGroup) -> None:
        """Let batches gather, and run in tasks of this group."""
        self._tasks = tasks

    def close(self) -> None:
        """Nothing more will come: what gathers need not wait."""
        for batch in self._gathering.values():
            batch.full.set()

    async def run(self, handler: Handler, options: BatchOptions, member: Member) -> object:
        """Run a job in a batch, and return what the handler returned for it."""
        if self._tasks is None:
            batch = _Batch(handler, options, self._threads)
            place = batch.join(member)
            await batch.run()
            return batch.outcome(place)
        batch = self._batch_for(handler, options, member, self._tasks)
        place = batch.join(member)
        try:
            await batch.ended.wait()
        finally:
            if not batch.ended.is_set():
                await batch.leave(place)
        return batch.outcome(place)

    def _batch_for(self, handler: Handler, options: BatchOptions, member: Member, tasks: anyio.abc.TaskGroup) -> _Batch:
        group = member.job.options.group if options.by_group else None
        key = (handler.queue_name, handler.name, None if group is None else group.id)
        gathering = self._gathering.get(key)
        # What may have killed a worker must not take others with it.
        is_suspect = member.job.stalled_count > 0
        if gathering is not None and not gathering.full.is_set() and not is_suspect:
            return gathering
        batch = _Batch(handler, options, self._threads)
        if is_suspect:
            batch.full.set()
        else:
            self._gathering[key] = batch
        tasks.start_soon(self._gather, key, batch, name=f"conveyor batch {handler.name}")
        return batch

    async def _gather(self, key: _Key, batch: _Batch) -> None:
        with anyio.move_on_after(batch.options.linger.total_seconds()):
            await batch.full.wait()
        # Nobody joins from here on: there is no checkpoint until the call has begun.
        batch.full.set()
        if self._gathering.get(key) is batch:
            del self._gathering[key]
        await batch.run()
        self._count_put_offs(key, batch)

    def _count_put_offs(self, key: _Key, batch: _Batch) -> None:
        """Say once that jobs are put off again and again: they would wait in silence, maybe for ever."""
        if not batch.was_too_small:
            del self._put_offs[key]
            return
        self._put_offs[key] += 1
        if self._put_offs[key] == _PUT_OFFS:
            queue_name, name, _ = key
            logger.warning(
                "batch handler %s of queue %s was put off %d times in a row: fewer than its minimum of %d jobs came "
                "together within its linger; limits of the queue may let no more run at once, or start in a time",
                name,
                queue_name,
                _PUT_OFFS,
                batch.options.minimum,
            )


class _Batch:
    """Some jobs of one handler, and the call that runs them."""

    def __init__(self, handler: Handler, options: BatchOptions, threads: HandlerThreads) -> None:
        self.options = options
        # Set when nobody may join any more, and when every job has its outcome.
        self.full = anyio.Event()
        self.ended = anyio.Event()
        self.was_too_small = False
        self._handler = handler
        self._threads = threads
        self._members: list[Member] = []
        self._left: set[int] = set()
        self._scope: anyio.CancelScope | None = None
        self._values: Sequence[object] | None = None
        self._common: Outcome | None = None

    def join(self, member: Member) -> int:
        """Take a job in; return its place."""
        self._members.append(member)
        if len(self._members) >= self.options.size:
            self.full.set()
        return len(self._members) - 1

    async def leave(self, place: int) -> None:
        """Let a job go whose run was told to end; return when it may be run elsewhere."""
        self._left.add(place)
        is_empty = len(self._left) == len(self._members)
        if self._scope is None:
            if is_empty:
                self.full.set()
        elif is_empty or not self._members[place].caller.has_lost_lock:
            self._scope.cancel()
            with anyio.CancelScope(shield=True):
                await self.ended.wait()

    def outcome(self, place: int) -> object:
        """Return what became of a job: what all have in common, or what was returned for it."""
        if self._common is not None or self._values is None:
            return self._common
        return self._values[place]

    async def run(self) -> None:
        """Call the handler with the jobs that are left, and end."""
        try:
            if self._is_too_small():
                self.was_too_small = True
                # Shorter than others wait for more: whoever waits meanwhile is met.
                self._common = Snooze(self.options.linger / 2)
            elif self._remaining:
                await self._call()
        except Stop as stop:
            self._common = stop.outcome
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is the failure of its jobs
            self._common = Failed(exc)
        except BaseException as exc:
            if _is_from_outside(exc):
                raise
            logger.warning("batch handler %s raised %s", self._handler.name, type(exc).__name__)
            self._common = Failed(exc)
        finally:
            self.ended.set()

    @property
    def _remaining(self) -> list[int]:
        return [place for place in range(len(self._members)) if place not in self._left]

    def _is_too_small(self) -> bool:
        places = self._remaining
        is_suspect = any(self._members[place].job.stalled_count for place in places)
        return bool(places) and len(places) < self.options.minimum and not is_suspect

    async def _call(self) -> None:
        places = self._remaining
        columns = [list(column) for column in zip(*(self._members[place].args for place in places), strict=True)]
        with anyio.CancelScope() as self._scope:
            values = await self._call_function(self._members[places[0]].job, columns)
            self._values = self._by_place(places, values)
        if self._values is None:
            raise TimeoutError("the run of its batch was cancelled: a job of it took longer than its timeout")

    async def _call_function(self, first: JobData, columns: list[list[Any]]) -> object:
        if self._handler.is_async:
            return await self._handler.function(*columns)
        return await self._threads.call(first, partial(self._handler.function, *columns))

    def _by_place(self, places: list[int], values: object) -> Sequence[object]:
        if not isinstance(values, list | tuple) or len(values) != len(places):
            found = f"{len(values)} of them" if isinstance(values, list | tuple) else repr(type(values).__name__)
            raise TypeError(
                f"a batch handler returns a list with an outcome for each of its {len(places)} jobs, not {found}"
            )
        by_place: list[object] = [None] * len(self._members)
        for place, value in zip(places, values, strict=True):
            # As `asyncio.gather(..., return_exceptions=True)` gives them.
            by_place[place] = Failed(value) if isinstance(value, BaseException) else value
        return by_place


def _is_from_outside(exc: BaseException) -> bool:
    """Whether the worker is being cancelled, or somebody pressed Ctrl-C; anything else is the handler's doing."""
    kinds = (KeyboardInterrupt, anyio.get_cancelled_exc_class())
    if isinstance(exc, BaseExceptionGroup):
        if exc.subgroup(kinds) is None:
            return False
    elif not isinstance(exc, kinds):
        return False
    return isinstance(exc, KeyboardInterrupt) or anyio.current_effective_deadline() == -math.inf
