"""What core lends to a strategy through the injector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor.model.job import JobData
    from conveyor.model.outcomes import Outcome

__all__ = ["Logger", "ProcessJob", "TaskGroup", "WorkerHost"]


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


class WorkerHost(Protocol):
    """The worker of this program, for job queue strategies that work over a store."""

    def add_queue(self, queue_name: str) -> None:
        """Fetch from this queue from now on. Adding it twice changes nothing."""
        ...

    def remove_queue(self, queue_name: str) -> None:
        """Fetch from this queue no more; what was fetched is finished."""
        ...
