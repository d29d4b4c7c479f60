"""What core lends to a strategy through the injector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractContextManager

    from conveyor.model.buffers.news import BufferEvent
    from conveyor.model.job import JobData
    from conveyor.model.outcomes import Outcome
    from conveyor.model.settlement import Settlement

__all__ = ["BufferActivity", "JobRunner", "Logger", "ProcessJob", "RunEnd", "TaskGroup", "WorkerHost"]


class Logger(Protocol):
    """The part of the standard library's logger that conveyor uses."""

    def debug(self, msg: str, *args: object) -> None:
        """Say what only a developer wants to know."""
        ...

    def info(self, msg: str, *args: object) -> None:
        """Say what an operator may want to know."""
        ...

    def warning(self, msg: str, *args: object) -> None:
        """Say what an operator should look at."""
        ...

    def error(self, msg: str, *args: object) -> None:
        """Say what went wrong."""
        ...


class TaskGroup(Protocol):
    """A task group owned by the supervisor; anyio's fits."""

    def start_soon(self, func: Callable[..., Awaitable[Any]], /, *args: object, name: object = None) -> None:
        """Start a task; its failure takes the app down, so handle what can be handled."""
        ...


class ProcessJob(Protocol):
    """Runs one job's handler with everything core adds to it, and returns what the handler meant."""

    async def __call__(self, job: JobData, /) -> Outcome:
        """Run the job to its end. It raises nothing but cancellation."""
        ...


@frozen
class RunEnd:
    """How a run ended: what is to become of its job, and the exception that failed it, if any."""

    settlement: Settlement
    error: BaseException | None = None


class JobRunner(Protocol):
    """Runs jobs without a worker, for strategies that keep none waiting. It is there for as long as the app is open."""

    async def run(self, job: JobData, /) -> RunEnd:
        """Run a job in the task of the caller, within its timeout, and return how that ended.

        What it logs, and its progress, goes to the logger ``conveyor.jobs``. It raises nothing but cancellation.

        Args:
            job: active, with a token, which nobody else has.
        """
        ...


class BufferActivity(Protocol):
    """What this program does with its buffers, for who counts it elsewhere."""

    def calling(self, heard: Callable[[BufferEvent], None], /) -> AbstractContextManager[None]:
        """Call `heard` with each event, as it happens, as long as the context is open.

        Ids of buffers are whole, with the app's prefix. It is called wherever jobs are added: it must return at once,
        and what it raises would fail an add that was done.
        """
        ...


class WorkerHost(Protocol):
    """The worker of this program, for job queue strategies that work over a store."""

    def add_queue(self, queue_name: str) -> None:
        """Fetch from this queue from now on. Adding it twice changes nothing."""
        ...

    def remove_queue(self, queue_name: str) -> Sequence[str]:
        """Fetch from this queue no more; what runs is finished.

        What was fetched and does not run is handed back. Return the ids of those jobs; they are on their way.
        """
        ...
