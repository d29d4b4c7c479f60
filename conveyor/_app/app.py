"""Conveyor: the composition root. It holds nouns; the verbs are theirs."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, Unpack

from conveyor._app.given import Given
from conveyor._app.running import run_in_foreground
from conveyor._builtin.system_clock import SystemClock
from conveyor._handles.batches import Batches
from conveyor._handles.buffers import Buffers
from conveyor._handles.events import EventStream
from conveyor._handles.files import Files
from conveyor._handles.flows import Flows
from conveyor._handles.jobs import Jobs
from conveyor._handles.open_app import OpenApp
from conveyor._handles.queue import Queue
from conveyor._handles.same_task import SameTask
from conveyor._handles.schedules import Schedules
from conveyor._handles.sync_producer import SyncProducer
from conveyor._handles.worker import AppWorker
from conveyor._plugins import Plugins
from conveyor._runtime.batches.service import BatchRuns
from conveyor._runtime.hosting import open_blocks_in
from conveyor._runtime.processes.nesting import refuse_in_handler_process
from conveyor._runtime.shares import weights_of
from conveyor._runtime.supervisor import Supervisor
from conveyor._services import events, metrics
from conveyor._services.app_arguments import check_batch_strategies, check_lifespan
from conveyor._services.batch_handlers import check_sizes
from conveyor._services.batches.strategies import QUEUE
from conveyor._services.importing import check_found_again
from conveyor._services.plugin_rules import read_plugin_rules
from conveyor._services.served_queues import check_active, served_weights, statuses
from conveyor._services.services import Services
from conveyor._services.settings import find_masked_fields
from conveyor.errors import ConfigurationError
from conveyor.model.checks import check_name
from conveyor.model.masking import Masking, parse_masking
from conveyor.model.options import JobOptions, parse_job_keywords
from conveyor.model.retention import Retention
from conveyor.model.worker_options import parse_worker_keywords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
    from datetime import timedelta
    from types import TracebackType

    from conveyor._runtime.board import RunListener
    from conveyor._runtime.hosting import HostGroup, HostLoop
    from conveyor._runtime.worker import Worker
    from conveyor.contracts.batch_job import BatchJobStrategy
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import Store
    from conveyor.model.durations import Duration
    from conveyor.model.events import EventKind
    from conveyor.model.metrics import Metrics
    from conveyor.model.options import JobKeywords
    from conveyor.model.queries import QueueStatus
    from conveyor.model.sessions import SessionInfo
    from conveyor.model.worker_options import WorkerKeywords

__all__ = ["Conveyor"]

# What a lifespan is: it gives the app's state for as long as the app is open.
Lifespan: TypeAlias = "Callable[[Conveyor], AbstractAsyncContextManager[object]]"

DEFAULT_RETENTION: Final = Retention()
NO_STRATEGIES: Final[Mapping[str, object]] = MappingProxyType({})


class Conveyor:
    """Your jobs: queues, handlers, workers, over one store.

    Making one reads nothing and opens nothing. ``async with app:`` opens the store and every strategy, in this
    task; ``async with app, app.worker():`` runs jobs too.
    """

    def __init__(  # noqa: PLR0913 - each is a part of its own; all but the store by keyword
        self,
        store: str | Store | None = None,
        *,
        job_queue: str | JobQueueStrategy = "store",
        buffer_storage: str | JobBufferStorageStrategy = "store",
        batch_strategies: Sequence[str | type[BatchJobStrategy] | BatchJobStrategy] = (),
        file_storage: str | FileStorage = "local",
        strategies: Mapping[str, object] = NO_STRATEGIES,
        middleware: Sequence[str | Middleware] = (),
        lifespan: Lifespan | None = None,
        payload_codec: str | PayloadCodec | None = None,
        plugins: Plugins | None = None,
        retention: Retention = DEFAULT_RETENTION,
        masked_fields: Sequence[str] = (),
        prefix: str = "",
        active_queues: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        """Describe an app.

        Args:
            store: a URL, or a store that is open already and stays the caller's. None: ``CONVEYOR_STORE``, else
                ``[tool.conveyor] store`` in pyproject.toml, else ``sqlite:///conveyor.db``.
            job_queue: the job queue strategy, by name, by URL or as an instance.
            buffer_storage: where buffered jobs wait: "store", "memory", another name, or an instance.
            batch_strategies: what batch jobs do, one for each type: by name, as classes or as instances.
            file_storage: where the files of batch jobs are: "local", another name, or an instance.
            strategies: others beside these, by name: URLs of stores, open stores, and instances of any kind. They are
                opened after the store, in this order, and found by ``injector.get(Store, "archive")``.
            middleware: wraps adds and runs, the first outermost; by name or as instances.
            lifespan: called with the app, once everything else is open; returns an async context manager, which is
                open for as long as the app is. What it gives is every handler's ``ctx.state``.
            payload_codec: how arguments and results are kept, by name or as an instance: "aes-gcm", or `AesGcmCodec`,
                encrypts them. None: as JSON that everybody can read.
            plugins: where strategies are looked up; None: everything installed.
            retention: for how long, and how many, settled jobs of the queues that its workers serve are kept; by
                default for 30 days.
            masked_fields: names of fields that nobody is shown, beside those that sound like a secret; see `masking`.
            prefix: stands before the name of every queue of the app, so that apps may share a store.
            active_queues: the queues, without the prefix, that workers of this process may serve. None:
                ``CONVEYOR_ACTIVE_QUEUES``, else ``[tool.conveyor] active_queues``, else all.
            clock: the wall clock, for tests.
        """
        self.plugins: Plugins = (plugins if plugins is not None else Plugins()).configured_by(read_plugin_rules)
        for_batches = check_batch_strategies(batch_strategies)
        self._given = Given(
            self.plugins,
            store,
            job_queue,
            buffer_storage,
            file_storage,
            [strategy for strategy in for_batches if isinstance(strategy, str)],
            strategies,
            middleware,
            payload_codec,
            retention,
            clock if clock is not None else SystemClock(),
        )
        parse_masking((masked_fields, "masked_fields="))
        self._masked_fields = masked_fields
        self._prefix = check_name(prefix, "prefix") if prefix else ""
        self._active_queues = check_active(active_queues)
        self._services = Services()
        self._services.batches.queue_name = self._prefix + QUEUE
        self._services.buffers.prefix = self._prefix
        self._batch_runs = BatchRuns(self._services)
        self._lifespan = check_lifespan(lifespan)
        self._queues: dict[str, Queue] = {}
        self._task = SameTask("the app")
        self._supervisor: Supervisor | None = None
        self._opened: AbstractAsyncContextManager[None] | None = None
        self.jobs: Jobs = Jobs(self._services)
        self.schedules: Schedules = Schedules(self._services)
        self.flows: Flows = Flows(self._services)
        self.buffers: Buffers = Buffers(self._services)
        self.files: Files = Files(self._services)
        self.batches: Batches = Batches(self._batch_runs)
        for strategy in for_batches:
            if not isinstance(strategy, str):
                self.batches.register(strategy)

    @property
    def masking(self) -> Masking:
        """What commands, and the log of ``conveyor worker``, show of jobs: three stars in place of secrets.

        Its fields are those of `Masking`'s defaults, of ``masked_fields=``, and of the setting ``masked_fields``.

        Raises:
            ConfigurationError: the setting is wrong.
        """
        setting = find_masked_fields()
        return parse_masking((self._masked_fields, "masked_fields="), *([] if setting is None else [setting]))

    def queue(self, name: str, **options: Unpack[JobKeywords]) -> Queue:
        """Return the queue of this name; the options are defaults for its jobs.

        Raises:
            ConfigurationError: an option is wrong, or the queue was named before with other options.
        """
        behaviour, placement = parse_job_keywords(options, JobOptions())
        known = self._queues.get(name)
        if known is not None and not options:
            return known
        queue = Queue(self._services, self._prefix + name, behaviour, placement)
        if known is not None and not known.has_options_of(queue):
            raise ConfigurationError(f"queue {name!r} was given other options before; give them once")
        self._queues[name] = queue
        return queue

    def queues(self) -> list[QueueStatus]:
        """Return the queues that this process has named or has handlers for, and whether their jobs run here now."""
        return statuses(self._services, [queue.name for queue in self._queues.values()])

    def register_backoff(self, name: str, curve: Callable[[int], timedelta]) -> None:
        """Register a back-off curve for ``by_name(name)``: failures so far (1 for the first) to the wait.

        Raises:
            ConfigurationError: the name is taken by another curve.
        """
        if self._services.curves.setdefault(check_name(name, "back-off name"), curve) is not curve:
            raise ConfigurationError(f"a back-off curve {name!r} is registered already")

    async def metrics(self, *queues: str, window: Duration | None = "1 hour") -> Metrics:
        """Return how full these queues are (all, where none is named), and what was counted of runs in this window.

        With the window None, that is of all time: no number is ever less than it was. See `Retention` for the spans.

        Raises:
            ConfigurationError: the window is no duration longer than zero.
            CapabilityError: the store counts nothing.
        """
        return await metrics.read(self._services, queues, window)

    @asynccontextmanager
    async def events(
        self, kinds: Collection[EventKind | str] | None = None, *, buffer: int = events.BUFFERED
    ) -> AsyncIterator[EventStream]:
        """Open a stream of what happens in all queues from now on.

        Args:
            kinds: only these, such as ``["completed", "failed"]``; LOST always comes.
            buffer: how many events wait for a reader that is busy; beyond, the oldest are dropped and counted.

        Raises:
            ConfigurationError: an unknown kind, or a buffer for less than one.
            CapabilityError: the store records no events.
        """
        async with events.watch(self._services, kinds=kinds, buffer=buffer) as gathered:
            yield EventStream(gathered, self._services.payload_codec)

    async def workers(self) -> Sequence[SessionInfo]:
        """Return the workers of every process that shares the store, the oldest first, lost ones included."""
        return await self._services.store.sessions.list_sessions()

    def worker(self, *queues: str | Mapping[str, int], **options: Unpack[WorkerKeywords]) -> AppWorker:
        """Return a worker to open with ``async with``.

        Args:
            queues: names, or mappings of name to weight; none: every active queue that has a handler.
            options: see `WorkerOptions`.

        Raises:
            ConfigurationError: an option is wrong; when opened: a queue has no handler or is not active.
        """
        # Here, where the mistake stands; the worker parses them for itself as it is opened.
        parse_worker_keywords(options)
        return AppWorker(lambda: self._open_worker(queues, options))

    async def run(self, *queues: str | Mapping[str, int], **options: Unpack[WorkerKeywords]) -> None:
        """Open the app, run a worker, and return after a signal (SIGINT, SIGTERM), ``max_jobs``, or when cancelled.

        The first signal lets running jobs end, the second cancels them and hands them back, the third exits.
        SIGUSR1 shows the running jobs and their stacks on stderr, unless the program has its own use for it.
        """
        await run_in_foreground(self, queues, options)

    async def open_in(self, task_group: HostGroup | HostLoop, *workers: AppWorker) -> OpenApp:
        """Open the app in a task of the host's, for hosts that start and stop by callbacks; return once it is open.

        It stays open until ``await opened.close()``, from any task, or until the host cancels the group: then running
        jobs are handed back. What ends the app by itself goes to the group.

        Args:
            task_group: an anyio task group, a trio nursery, or an `asyncio.TaskGroup`. Where an asyncio program has
                none: its event loop; then an error that ends the app is logged, and ``close()`` raises it.
            workers: opened after the app and closed before it: ``app.worker(...)``.

        Raises:
            ConfigurationError: the app is open already, or this is no task group that takes tasks.
            StoreError: the store cannot be opened.
        """
        return OpenApp(await open_blocks_in(task_group, self._blocks(workers)))

    def sync_producer(self, *workers: AppWorker, backend: Literal["asyncio", "trio"] = "asyncio") -> SyncProducer:
        """Return what opens the app in a thread of its own, for programs without an event loop. Nothing is opened yet.

        Args:
            workers: opened after the app and closed before it: ``app.worker(...)``. None: the program only adds.
            backend: the event loop of that thread.

        Raises:
            ConfigurationError: a worker is none.
        """
        return SyncProducer(self._services, self._blocks(workers), backend)

    def _blocks(self, workers: Sequence[AppWorker]) -> Sequence[AbstractAsyncContextManager[object]]:
        for worker in workers:
            if not isinstance(worker, AppWorker):
                raise ConfigurationError(f"workers are made with app.worker(...), got {worker!r}")
        return [self, *workers]

    async def __aenter__(self) -> Self:
        """Open the store and every strategy."""
        self._task.enter()
        try:
            open_state = None if self._lifespan is None else partial(self._lifespan, self)
            self._supervisor = self._given.make_supervisor(self._batch_runs, open_state)
            self._opened = self._open(self._supervisor)
            await self._opened.__aenter__()
        except BaseException:
            self._task.leave()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Close everything in reverse order."""
        self._task.leave()
        opened, self._opened = self._opened, None
        return None if opened is None else await opened.__aexit__(exc_type, exc, traceback)

    @asynccontextmanager
    async def _open(self, supervisor: Supervisor) -> AsyncIterator[None]:
        async with supervisor.open():
            self._given.tell_unread_options()
            yield

    @asynccontextmanager
    async def _open_worker(
        self,
        queues: Sequence[str | Mapping[str, int]],
        options: WorkerKeywords,
        listener: RunListener | None = None,
    ) -> AsyncIterator[Worker]:
        parsed = parse_worker_keywords(options)
        weights = self._weights(queues)
        handlers = self._services.handlers.of_queues(weights)
        check_sizes(handlers, parsed.concurrency)
        refuse_in_handler_process()
        check_found_again(handlers)
        if self._supervisor is None or not self._services.is_open:
            raise ConfigurationError("open the app before its worker: `async with app, app.worker():`")
        async with self._supervisor.open_worker(weights, parsed, listener) as worker:
            yield worker

    def _weights(self, queues: Sequence[str | Mapping[str, int]]) -> Mapping[str, int]:
        return served_weights(self._services, weights_of(queues), prefix=self._prefix, active=self._active_queues)
