"""JobBufferLike: what a class of your own needs to be a buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from conveyor.model.buffers.values import BufferedJob

__all__ = ["JobBufferLike"]


class JobBufferLike(Protocol):
    """A buffer as a class: `JobBuffer` is one. It may have any other attribute of a `JobBuffer`, such as `max_age`."""

    @property
    def id(self) -> str:
        """1 to 255 characters; the same in every program that flushes it."""
        ...

    def collect(self, job: BufferedJob, /) -> bool | Awaitable[bool]:
        """Return whether a job that is being added goes into this buffer."""
        ...

    def reduce(self, jobs: Sequence[BufferedJob], /) -> Sequence[BufferedJob] | Awaitable[Sequence[BufferedJob]]:
        """Return what to add in place of these jobs, which are in the order in which they came."""
        ...
