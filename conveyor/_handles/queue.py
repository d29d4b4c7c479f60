"""Queue: the user's handle on one queue."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from conveyor._handles.batch_decorator import BatchJobDecorator
from conveyor._handles.events import EventStream
from conveyor._handles.handler import JobHandler, found_handle, plain_handle
from conveyor._handles.job import Job
from conveyor._services import events, jobs, limits, queues, schedules
from conveyor._services.context import JobContext
from conveyor._services.handlers import make_handler, make_process
from conveyor._services.holders import find_holder
from conveyor._services.importing import runs_in_process
from conveyor.errors import ConfigurationError, JobNotFoundError
from conveyor.model.checks import check_name
from conveyor.model.durations import parse_duration
from conveyor.model.job import NewJob
from conveyor.model.limits import QueueLimits
from conveyor.model.options import NOW, parse_job_keywords

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence

    from conveyor._handles.events import Observation
    from conveyor._services.importing import ExecutorKind
    from conveyor._services.services import Services
    from conveyor.codec import Upgrade
    from conveyor.model.batch_options import BatchOptions
    from conveyor.model.durations import Duration
    from conveyor.model.events import EventKind
    from conveyor.model.limits import GroupCounts, GroupLimits, LimitsReport, NameLimits, RateLimit
    from conveyor.model.options import JobKeywords, JobOptions, Placement
    from conveyor.model.schedules.parsing import ScheduleKeywords, TimeKeywords
    from conveyor.model.states import JobState

__all__ = ["JobDecorator", "Queue"]

P = ParamSpec("P")
R = TypeVar("R")


class JobDecorator(Protocol):
    """Makes a `JobHandler` of an async or sync function, with or without a leading `JobContext`."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[JobContext, P], Coroutine[Any, Any, R]], /
    ) -> JobHandler[Concatenate[JobContext, P], Coroutine[Any, Any, R], P, R]: ...
    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> JobHandler[P, Coroutine[Any, Any, R], P, R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[JobContext, P], R], /
    ) -> JobHandler[Concatenate[JobContext, P], R, P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> JobHandler[P, R, P, R]: ...


class Queue:
    """A named line of jobs. Get one with ``app.queue(name)``; the same name means the same queue."""

    def __init__(self, services: Services, name: str, options: JobOptions, placement: Placement = NOW) -> None:
        """Bind a queue; made by ``app.queue``."""
        self._services = services
        self.options: JobOptions = options
        self.placement: Placement = placement
        self.name: str = check_name(name, "queue name")

    def __repr__(self) -> str:
        """Show its name."""
        return f"<Queue {self.name}>"

    def has_options_of(self, other: Queue) -> bool:
        """Whether both give their jobs the same defaults."""
        return (self.options, self.placement) == (other.options, other.placement)

    @overload
    def job(
        self,
        name: str | None = None,
        *,
        executor: ExecutorKind | None = None,
        upgrade: Upgrade | None = None,
        forbid_unknown: bool = True,
        **options: Unpack[JobKeywords],
    ) -> JobDecorator: ...
    @overload
    def job(
        self,
        name: str | None = None,
        *,
        batch: BatchOptions,
        upgrade: Upgrade | None = None,
        forbid_unknown: bool = True,
        **options: Unpack[JobKeywords],
    ) -> BatchJobDecorator: ...
    def job(
        self,
        name: str | None = None,
        *,
        batch: BatchOptions | None = None,
        executor: ExecutorKind | None = None,
        upgrade: Upgrade | None = None,
        forbid_unknown: bool = True,
        **options: Unpack[JobKeywords],
    ) -> JobDecorator | BatchJobDecorator:
        """Register a function as the handler of its jobs (named after it unless `name` is given).

        A sync function runs in a thread, or in a process. The options are defaults for its jobs.

        Args:
            name: the name of its jobs.
            executor: where a sync function runs. "thread", as without: it shares the worker's one interpreter.
                "process": it has a processor to itself, and is killed when its run is to end; it must stand at the
                top of a module, and only its job and what JSON can say go there and back.
            batch: the function takes a list of several jobs' items, and returns a list with an outcome for each.
            upgrade: called with the version and the arguments (a dict, as JSON gives it) of a job added under a lower
                `version` than that given here; returns the arguments that the function takes now.
            forbid_unknown: refuse arguments that the function does not take. False ignores them, in jobs of newer
                programs for example.
            options: see `JobOptions`.

        Raises:
            ConfigurationError: an option is wrong, the name is taken, a parameter or the result cannot be sent as
                JSON, or the function cannot run where `executor` says.
        """
        if callable(name):
            raise ConfigurationError("write @queue.job() with parentheses: its arguments are options")
        laid_over, placement = parse_job_keywords(options, self.options, self.placement)

        def decorate(function: Callable[..., Any], /) -> JobHandler[..., Any, ..., Any]:
            handler = make_handler(
                self.name,
                name,
                function,
                laid_over,
                placement,
                upgrade=upgrade,
                forbid_unknown=forbid_unknown,
                batch=batch,
            )
            handler.is_in_process = runs_in_process(executor, handler)
            self._services.handlers.add(handler)
            return JobHandler(self._services, handler, function, laid_over, placement)

        return cast("JobDecorator", decorate)  # one implementation stands for the overloads of both decorators

    def process(self, function: Callable[..., Any], /) -> Callable[..., Any]:
        """Let a function run every job of the queue whose name has no handler of its own; return the function.

        It takes the job's data as it is, after a `JobContext` if it wants one: ``context.job.name`` tells which it is.

        Raises:
            ConfigurationError: it takes something else, or the queue has such a function already.
        """
        self._services.handlers.add(make_process(self.name, function, self.options, self.placement))
        return function

    def new(self, name: str, data: object = None, **options: Unpack[JobKeywords]) -> NewJob:
        """Make a job of JSON data without adding it, for `add_many`.

        Its defaults are those of its handler, where this program has it, else those of the queue.
        """
        handler = self._services.handlers.find(self.name, name)
        defaults = self if handler is None else handler
        laid_over, placement = parse_job_keywords(options, defaults.options, defaults.placement)
        return queues.make_job(self._services, self.name, name, data, options=laid_over, placement=placement)

    async def add(
        self, name: str, data: object = None, *, connection: object = None, **options: Unpack[JobKeywords]
    ) -> Job[Any]:
        """Add a job by its handler's name; `data` is the JSON object of the handler's arguments.

        With a `connection` the add joins the caller's own transaction: the job is there exactly when the caller
        commits. It is a connection of the store's driver to the store's database (SQLite: a `sqlite3.Connection`
        to the same file, used here and now on this thread), or what ``ctx.transaction()`` gives.

        Raises:
            PayloadError: the data has no JSON form, or does not fit the handler, where this program has it.
            DuplicateJobError: ``job_id`` is taken by another job, or its deduplication key in mode ``reject``.
            GroupFullError: as many jobs of its group wait as may.
            CapabilityError: a connection or a group is given, and the store has no transactions, or no groups.
            ConfigurationError: the connection is of another kind, on another database, or has no transaction.
        """
        return plain_handle(
            self._services, *await queues.add(self._services, self.new(name, data, **options), connection)
        )

    async def add_many(self, jobs: Sequence[NewJob], *, connection: object = None) -> list[Job[Any]]:
        """Add jobs made with `new`, all in one transaction, and return them in the same order.

        With a `connection`, that is the caller's own transaction: see `add`. Raises AddRefusedError where some cannot
        be added, which says which were.
        """
        return [
            plain_handle(self._services, *added) for added in await queues.add_many(self._services, jobs, connection)
        ]

    async def schedule(
        self,
        delay: Duration,
        name: str,
        data: object = None,
        /,
        *,
        connection: object = None,
        **options: Unpack[JobKeywords],
    ) -> Job[Any]:
        """Add a job that runs later: ``await queue.schedule("in 5 minutes", "remind", {"who": "ada"})``."""
        options["delay"], options["run_at"] = parse_duration(delay, field="delay"), None
        return await self.add(name, data, connection=connection, **options)

    async def now(
        self, name: str, data: object = None, *, connection: object = None, **options: Unpack[JobKeywords]
    ) -> Job[Any]:
        """Add a job that runs at once, whatever delay the queue's defaults say."""
        options["delay"] = options["run_at"] = None
        return await self.add(name, data, connection=connection, **options)

    def every(
        self,
        interval: Duration,
        job: NewJob | str,
        data: object = None,
        /,
        *,
        id: str | None = None,
        **times: Unpack[ScheduleKeywords],
    ) -> str:
        """Declare a schedule that adds a job at intervals: it is made, or changed, whenever the app opens.

        ``queue.every("2 hours", sweep.new("attic"), overlap="skip")``; return its id.

        Args:
            interval: the time from tick to tick.
            job: made with ``handler.new(...)`` or ``queue.new(...)``; or the name of one, with its `data`.
            data: the JSON object of the handler's arguments, where `job` is a name.
            id: its stable id; by default the names of queue and job, with a colon between.
            times: see `ScheduleRule`.

        Raises:
            ConfigurationError: an option is wrong, the id is declared already, or the app is open.
            PayloadError: the data has no JSON form, or does not fit the handler.
        """
        return self._declare(job, data, id, {"every": interval, **times})

    def cron(
        self,
        expression: str,
        job: NewJob | str,
        data: object = None,
        /,
        *,
        id: str | None = None,
        tz: str = "UTC",
        **times: Unpack[ScheduleKeywords],
    ) -> str:
        """Declare a schedule that adds a job when a cron expression says so: ``queue.cron("0 9 * * *", "report")``.

        As `every`, but for its times.

        Args:
            expression: five fields, or six with seconds first.
            job: as for `every`.
            data: as for `every`.
            id: as for `every`.
            tz: the zone whose clock the expression means.
            times: see `ScheduleRule`.

        Raises:
            ConfigurationError, PayloadError: as `every`.
        """
        return self._declare(job, data, id, {"cron": expression, "tz": tz, **times})

    def _declare(self, job: NewJob | str, data: object, schedule_id: str | None, times: TimeKeywords) -> str:
        if isinstance(job, NewJob):
            if data is not None:
                raise ConfigurationError("a job made with new() takes no data beside it")
            if job.queue_name != self.name:
                raise ConfigurationError(f"the job is for queue {job.queue_name!r}: declare it there")
            made = job
            return schedules.declare(self._services, schedule_id, lambda: made, times)
        name = job
        return schedules.declare(self._services, schedule_id, lambda: self.new(name, data), times)

    async def pause(self, job_name: str | None = None) -> None:
        """Start no more jobs of the queue, or of one name; survives restarts. Running jobs go on."""
        await queues.pause(self._services, self.name, job_name)

    async def resume(self, job_name: str | None = None) -> None:
        """Undo `pause` with the same name."""
        await queues.resume(self._services, self.name, job_name)

    async def counts(self) -> Mapping[JobState, int]:
        """Return how many jobs are in each of the seven states."""
        return await queues.counts(self._services, self.name)

    async def count(self, state: JobState | str) -> int:
        """Return how many jobs are in one state."""
        return await queues.count(self._services, self.name, state)

    async def jobs(self, state: JobState | str, start: int = 0, end: int = 100) -> list[Job[Any]]:
        """Return jobs start (inclusive) to end (exclusive), at most 1000: settled ones newest first."""
        found = await queues.list_jobs(self._services, self.name, state, start, end)
        return [plain_handle(self._services, job) for job in found]

    async def get_job(self, job_id: str) -> Job[Any] | None:
        """Return a job of this queue, or None."""
        try:
            return found_handle(self._services, job_id, await jobs.get(self._services, job_id, self.name))
        except JobNotFoundError:
            return None

    @asynccontextmanager
    async def events(
        self, kinds: Collection[EventKind | str] | None = None, *, buffer: int = events.BUFFERED
    ) -> AsyncIterator[EventStream]:
        """Open a stream of what happens in it from now on; ``kinds`` and ``buffer`` as for ``app.events``."""
        async with events.watch(self._services, self.name, kinds=kinds, buffer=buffer) as gathered:
            yield EventStream(gathered, self._services.payload_codec)

    @asynccontextmanager
    async def observe(self, job_id: str) -> AsyncIterator[Observation[Job[Any]]]:
        """Follow a job to its end, as ``job.observe()`` does. Raises JobNotFoundError where this queue has none."""
        job = found_handle(self._services, job_id, await jobs.get(self._services, job_id, self.name))
        async with job.observe() as states:
            yield states

    async def find_by_deduplication_key(
        self, job_name: str, key: str | None = None, *, data: object = None
    ) -> Job[Any] | None:
        """Return the job of this name that was added with this key, has not ended, and whose `ttl` is not over.

        Where it was added with ``hash=True``, give the `data` in place of the key.

        Raises:
            ConfigurationError: both are given, or neither.
            PayloadError: the data has no JSON form.
        """
        found = await find_holder(self._services, self.name, job_name, key=key, data=data)
        return None if found is None else plain_handle(self._services, found)

    async def set_limits(
        self,
        *,
        max_global_concurrency: int | None = None,
        limiter: RateLimit | None = None,
        group: GroupLimits | None = None,
        names: Mapping[str, NameLimits] | None = None,
    ) -> None:
        """Let these limits hold from now on, for all workers; what is left out is unlimited. They survive restarts.

        Raises:
            ConfigurationError: a value is out of range; nothing was changed.
            CapabilityError: the store has no limits.
        """
        held = QueueLimits(max_global_concurrency, limiter, group, dict(names or {}))
        await limits.set_limits(self._services, self.name, held)

    async def limits(self) -> LimitsReport:
        """Return what limits hold, how far each is used, who waits for it, and when it has room."""
        return await limits.look(self._services, self.name)

    async def group_counts(self, group_id: str) -> GroupCounts:
        """Return how many jobs of a group wait, and how many run."""
        return await limits.group_counts(self._services, self.name, group_id)

    async def drain(self) -> int:
        """Remove every job that has not started, delayed ones too; return how many."""
        return await queues.drain(self._services, self.name)

    async def clean(self, state: JobState | str | None, grace: Duration = 0) -> int:
        """Remove settled jobs of one state, None: of every one, that ended longer ago than `grace`; return how many.

        A job queue strategy that keeps its jobs in no store is asked for every one; it knows no single state.
        """
        return await queues.clean(self._services, self.name, state, grace)

    async def obliterate(self, force: bool = False) -> int:
        """Remove every job and pause of the queue; return how many jobs.

        Its limits stay, and it is known by them; `set_limits()` takes them away.

        Raises:
            InvalidJobStateError: a job is running and `force` is False; nothing was removed.
        """
        return await queues.obliterate(self._services, self.name, force=force)

    async def retry_jobs(self, state: JobState | str = "failed") -> int:
        """Run the settled jobs of one state again, from their first attempt; return how many."""
        return await queues.retry_jobs(self._services, self.name, state)

    async def promote_jobs(self) -> int:
        """Run every delayed job now; return how many."""
        return await queues.promote_jobs(self._services, self.name)
