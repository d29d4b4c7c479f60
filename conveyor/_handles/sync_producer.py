"""SyncProducer: an app that is open in a thread of its own, for programs without an event loop."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar

import sniffio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import define

from conveyor._handles.handler import plain_handle
from conveyor._runtime.hosting import HostedBlocks
from conveyor._services import queues
from conveyor.errors import ConfigurationError, ConveyorInternalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from conveyor._handles.handler import JobHandler
    from conveyor._handles.job import Job
    from conveyor._services.services import Services
    from conveyor.model.durations import Duration
    from conveyor.model.job import NewJob
    from conveyor.model.outcomes import Outcome

__all__ = ["SyncProducer"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class SyncProducer:
    """Adds jobs, and waits for them, from ordinary functions: in Flask, in scripts, in any number of threads.

    It opens the app in a thread of its own at the first call, or by ``with`` or `open`; it closes by ``with``, by
    `close`, or when the program ends.
    """

    def __init__(
        self,
        services: Services,
        blocks: Sequence[AbstractAsyncContextManager[object]],
        backend: Literal["asyncio", "trio"],
    ) -> None:
        """Made by ``app.sync_producer``."""
        self._services = services
        self._blocks = blocks
        self._backend: Literal["asyncio", "trio"] = backend
        self._lock = threading.Lock()
        self._opened: _OpenThread | None = None
        self._process_id: int | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        """Open the app."""
        return self.open()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the app: gracefully, or at once when an exception passes through."""
        self._end(is_graceful=exc_type is None)

    def open(self) -> Self:
        """Open the app now, and not at the first call; return this producer.

        Raises:
            ConfigurationError: the app is open elsewhere; an event loop runs in this thread; or this process was
                forked from one in which the producer is open.
            StoreError: the store cannot be opened.
        """
        self._check_place()
        with self._lock:
            self._is_closed = False
            self._get_opened()
        return self

    def close(self) -> None:
        """Stop the workers gracefully, and close the app; what is not open stays closed.

        Raises:
            Exception: what ended the app before.
        """
        self._end(is_graceful=True)

    def add(self, handler: JobHandler[Any, Any, P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Add a job with these arguments of its handler, as ``await handler.add(...)`` does.

        Raises:
            PayloadError: the arguments do not fit the function.
            DuplicateJobError: ``job_id`` is taken by another job.
        """
        return self.call(handler.add, *args, **kwargs)

    def add_many(self, jobs: Sequence[NewJob], *, connection: object = None) -> list[Job[Any]]:
        """Add jobs made with ``handler.new`` or ``queue.new``, all in one transaction; return them in the same order.

        With a `connection`, that is the caller's own transaction: see `Queue.add`.
        """
        added = self.call(queues.add_many, self._services, jobs, connection)
        return [plain_handle(self._services, *one) for one in added]

    def result(self, job: Job[T | Outcome], timeout: Duration | None = None) -> T:
        """Wait for a job and return what its handler returned.

        Raises:
            JobFailedError: it failed or was cancelled; the message says why.
            TimeoutError: it has not ended within this time; the job goes on.
            JobNotFoundError: it was removed.
        """
        return self.call(job.result, timeout)

    def call(self, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call any coroutine function of the app, and wait for it: ``producer.call(queue.counts)``.

        Raises:
            ConfigurationError: as `open` does; or the producer was closed.
        """
        self._check_place()
        # Under the lock, so that no call slips into a thread that is about to end.
        with self._lock:
            future = self._get_opened().start_soon(partial(function, *args, **kwargs))
        try:
            return future.result()
        finally:
            # Whoever interrupts the waiting, such as Ctrl-C, ends the call too; what is done stays done.
            future.cancel()

    def _check_place(self) -> None:
        if self._process_id not in (None, os.getpid()):
            raise ConfigurationError(
                f"this producer was opened in process {self._process_id}, from which process {os.getpid()} was forked; "
                "a store must not be shared so: open the producer after the fork, or leave it to the first add"
            )
        try:
            sniffio.current_async_library()
        except sniffio.AsyncLibraryNotFoundError:
            return
        raise ConfigurationError(
            "an event loop runs in this thread, and would stand still during this call: use `async with app:` and "
            "`await handler.add(...)` instead"
        )

    def _get_opened(self) -> _OpenThread:
        if self._is_closed:
            raise ConfigurationError("this producer was closed; open() it again")
        if self._opened is None:
            # Noted first: a process that is forked meanwhile inherits a lock that nobody releases; it must not ask.
            self._process_id = os.getpid()
            try:
                self._opened = _open_thread(self._blocks, self._backend)
            except BaseException:
                self._process_id = None
                raise
            atexit.register(self.close)
        return self._opened

    def _end(self, *, is_graceful: bool) -> None:
        if self._process_id not in (None, os.getpid()):
            return  # It is the other process that has the thread.
        with self._lock:
            opened, self._opened = self._opened, None
            self._process_id = None
            self._is_closed = True
        if opened is not None:
            atexit.unregister(self.close)
            opened.close(is_graceful=is_graceful)


@define
class _OpenThread:
    """The thread, its event loop, and the task in it that has the app open."""

    portal: BlockingPortal
    leave_portal: ExitStack
    hosted: HostedBlocks
    living: Future[None]

    def start_soon(self, function: Callable[[], Awaitable[T]]) -> Future[T]:
        """Start a call."""
        if self.living.done():
            raise ConfigurationError(
                "the app of this producer has ended; close(), which raises the reason, and open() it again"
            ) from self.living.exception()
        return self.portal.start_task_soon(function)

    def close(self, *, is_graceful: bool) -> None:
        """Close the app, and end the thread; raise what had ended the app before."""
        with self.leave_portal:
            if is_graceful:
                self.portal.call(self.hosted.close)
                self.living.result()
            elif not self.living.cancel():
                self.living.result()


def _open_thread(
    blocks: Sequence[AbstractAsyncContextManager[object]], backend: Literal["asyncio", "trio"]
) -> _OpenThread:
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal(backend, name="conveyor producer"))
        hosted = portal.call(HostedBlocks, blocks)
        living, _ = portal.start_task(hosted.run, name="conveyor app")
        return _OpenThread(portal, stack.pop_all(), hosted, living)
    raise ConveyorInternalError("an app that could not be opened in a thread was taken for open")
