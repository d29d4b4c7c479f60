"""Middleware: an explicit onion around every add and every run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["Middleware"]


class Middleware(Protocol):
    """Wraps adding and running. The first middleware of the app is the outermost.

    One that has something to open is an `InjectableStrategy` or a `LifespanStrategy` as well, open while the app is.
    """

    async def around_add(
        self,
        jobs: Sequence[NewJob],
        call_next: Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]],
        /,
    ) -> Sequence[AddReceipt]:
        """Await ``call_next(jobs)`` and return its answer, in the order of `jobs`."""
        ...

    async def around_run(self, job: JobData, call_next: Callable[[], Awaitable[object]], /) -> object:
        """Await ``call_next()`` and return its answer: the handler's value or outcome.

        What it raises counts as the handler's failure. Never catch cancellation.
        """
        ...
