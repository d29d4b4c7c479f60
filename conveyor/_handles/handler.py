"""JobHandler: a decorated function, which can be called as before and added as a job."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack

from conveyor._handles.job import Job
from conveyor._services import queues
from conveyor._services.holders import find_holder_for
from conveyor.errors import ConfigurationError
from conveyor.model.options import parse_job_keywords
from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor._services.buffered_jobs import FoundJob
    from conveyor._services.handlers import Handler
    from conveyor._services.queues import AddedJob
    from conveyor._services.services import Services
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.options import JobKeywords, JobOptions, Placement

__all__ = ["JobHandler"]

CallP = ParamSpec("CallP")
CallR = TypeVar("CallR")
P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class JobHandler(Generic[CallP, CallR, P, R_co]):
    """What ``@queue.job`` makes of a function.

    Calling it calls the function, as a unit test would. `add`, `add_many` and `new` take the function's
    arguments (without a leading `JobContext`), and refuse those that do not fit.
    """

    def __init__(
        self,
        services: Services,
        handler: Handler,
        function: Callable[CallP, CallR],
        options: JobOptions,
        placement: Placement,
    ) -> None:
        """Bind a function; made by ``@queue.job``."""
        self._services = services
        self._handler = handler
        self._function = function
        self._options = options
        self._placement = placement
        self._connection: object = None
        update_wrapper(self, function)

    def __call__(self, *args: CallP.args, **kwargs: CallP.kwargs) -> CallR:
        """Call the function itself, here and now."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        """Show which jobs it runs."""
        return f"<JobHandler {self._handler.queue_name}/{self._handler.name}>"

    @property
    def __conveyor_handler__(self) -> Handler:
        """What a process finds again that imports it: see `import_handler`."""
        return self._handler

    @property
    def name(self) -> str:
        """The name of its jobs."""
        return self._handler.name

    @property
    def queue_name(self) -> str:
        """The queue of its jobs."""
        return self._handler.queue_name

    def options(
        self, *, connection: object = None, **options: Unpack[JobKeywords]
    ) -> JobHandler[CallP, CallR, P, R_co]:
        """Return a copy whose jobs have other options: ``await send.options(priority=-1).add(...)``.

        With a `connection`, the copy's `add` and `add_many` join that connection's transaction; it has no `new`.

        Raises:
            ConfigurationError: an option is wrong, or is `version`, which belongs to the function.
        """
        if "version" in options:
            raise ConfigurationError(f"version is that of {self.name!r} itself: give it to @queue.job()")
        laid_over, placement = parse_job_keywords(options, self._options, self._placement)
        copy: JobHandler[CallP, CallR, P, R_co] = JobHandler(
            self._services, self._handler, self._function, laid_over, placement
        )
        copy._connection = self._connection if connection is None else connection
        return copy

    def new(self, *args: P.args, **kwargs: P.kwargs) -> NewJob:
        """Make a job without adding it, for `add_many`, flows and children.

        Raises:
            PayloadError: the arguments do not fit the function.
            ConfigurationError: `options` was given a connection, which a job that is not added cannot join.
        """
        if self._connection is not None:
            raise ConfigurationError(
                f"a job of {self.name!r} made by new() is not added yet, so it cannot join the transaction of the "
                "connection that options() was given: give connection= to add_many() or app.flows.add(), which add it"
            )
        return self._make(*args, **kwargs)

    def _make(self, *args: P.args, **kwargs: P.kwargs) -> NewJob:
        handler = self._handler
        payload = handler.arguments.encode(args, kwargs)
        return queues.new_job(handler.queue_name, handler.name, payload, self._options, self._placement)

    async def add(self, *args: P.args, **kwargs: P.kwargs) -> Job[R_co]:
        """Add a job; when this returns, the job is kept as well as the store promises.

        Raises:
            PayloadError: the arguments do not fit the function.
            DuplicateJobError: ``job_id`` is taken by another job, or its deduplication key in mode ``reject``.
        """
        return self._handle(await queues.add(self._services, self._make(*args, **kwargs), self._connection))

    async def add_many(self, jobs: Sequence[NewJob], *, connection: object = None) -> list[Job[R_co]]:
        """Add jobs made with `new`, all in one transaction, and return them in the same order.

        With a `connection`, that is the caller's own transaction: see `Queue.add`.
        """
        joined = self._connection if connection is None else connection
        return [self._handle(added) for added in await queues.add_many(self._services, jobs, joined)]

    async def find_holder(self, *args: P.args, **kwargs: P.kwargs) -> Job[R_co] | None:
        """Return the job that an add of these arguments would meet, as it holds their deduplication key; or None.

        It has not ended, and its `ttl` is not over.

        Raises:
            PayloadError: the arguments do not fit the function.
            ConfigurationError: these jobs have no deduplication.
        """
        found = await find_holder_for(self._services, self._make(*args, **kwargs))
        return None if found is None else self._handle((found, Added.ADDED))

    def _handle(self, added: AddedJob) -> Job[R_co]:
        job, added_as = added
        return Job(self._services, job, self._handler.decode_result, added_as)


def plain_handle(services: Services, job: JobData | NewJob, added_as: Added = Added.ADDED) -> Job[Any]:
    """Return a handle on a job, or one added just now, whose handler may be known here or not."""
    handler = services.handlers.find(job.queue_name, job.name)
    return Job(services, job, None if handler is None else handler.decode_result, added_as)


def found_handle(services: Services, job_id: str, found: FoundJob) -> Job[Any]:
    """Return a handle on a job that was looked for by its id."""
    handler = services.handlers.find(found.data.queue_name, found.data.name)
    return Job.found(services, job_id, found, None if handler is None else handler.decode_result)
