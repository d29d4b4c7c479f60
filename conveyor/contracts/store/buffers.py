"""The buffers facet: jobs that wait to be reduced, taken with a token, and flushed in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from conveyor.model.buffers.values import BufferPlace, BufferSize, FlushPlan, KeptJob
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["BufferStore"]


class BufferStore(Protocol):
    """Jobs in buffers are none of the store's jobs yet: no fetch, count or filter sees them. They keep the order in
    which they were added.
    """

    async def add(self, buffer_id: str, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Put jobs into a buffer, in one step, and answer in the order of the input.

        The same add again (same id, queue, name, payload) answers BUFFERED and adds nothing, whether the job is still
        there or went on since, as itself or into another; each is known again where a job of its id was added past the
        buffer with another content. A job of another content that has the id of one in a buffer, of one that went into
        another, or of a job, answers DUPLICATE, and nothing is added of it. What is in a buffer stays there.
        What a job counts from its add (`delay`, `expires`) counts from here. Deduplication and groups are heeded when
        it is flushed.
        """
        ...

    async def add_in(self, connection: object, buffer_id: str, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Do what `add` does inside the caller's transaction; see `JobStore.save_jobs_in`.

        Raises:
            CapabilityError, ConfigurationError: as that does.
        """
        ...

    async def get_sizes(self) -> Mapping[str, BufferSize]:
        """Return how full each buffer is that has jobs, those included that are taken, by its id.

        `taken_until` is the end of the last take that was neither committed nor released, gone by or not.
        """
        ...

    async def take(self, buffer_id: str, token: str, duration: timedelta, /, *, limit: int) -> Sequence[KeptJob]:
        """Take the oldest jobs of a buffer, at most so many, in order, for a flush that ends within `duration`.

        They stay in the buffer until `commit`. Nobody else takes any job of this buffer until that, a release, or the
        end of the duration: then, and where it is empty, the answer is empty. The same token again takes the same, and
        for `duration` from then on. Whoever wants no job (a limit below 1) gets none, and changes nothing.
        """
        ...

    async def commit(self, token: str, plan: FlushPlan, /) -> Sequence[AddReceipt]:
        """Remove what was taken from its buffer and add the jobs of the plan as `save_jobs` does, in one step.

        All that `plan.taken` names are among those taken under the token. Of each job that went into another (by
        `plan.merged`, or since it met a deduplication key), a trace is kept, which `find_places` shows. With
        `plan.failure`, the jobs that were added fail for that reason at once, as by `move_to_failed`; one that was a
        job before, since it was added past the buffer as well, is left as it is.
        A token whose time is over commits as long as nobody else took jobs of the buffer. The same commit again
        changes nothing more, and answers ADDED for those that are jobs, else what they went into as KEPT; once another
        commit of the buffer came between, it is refused.

        Raises:
            BufferTakeLostError: the token has taken nothing, or no longer has it; nothing was done.
            DuplicateJobError: a job of another content has the id of one; nothing was done.
        """
        ...

    async def release(self, token: str, /) -> None:
        """Let others take what this token took; where it has nothing, nothing happens."""
        ...

    async def find_places(self, job_ids: Sequence[str], /) -> Mapping[str, BufferPlace]:
        """Return those of the jobs that are in a buffer or went into another job, by id."""
        ...

    async def find_ids(self, beginning: str, /, *, limit: int) -> Sequence[str]:
        """Return the ids that begin so of jobs that are in a buffer or went into another job: the lowest, so many."""
        ...

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData | None:
        """End a job that is in a buffer as cancelled: in one step, it leaves the buffer and is a cancelled job.

        Return it; None: it is in no buffer. It meets no deduplication key. Where a flush has taken the buffer, its
        token has nothing any more, so its commit is refused: whichever commits first, holds.

        Raises:
            DuplicateJobError: there is a job of its id, the same or another; nothing was done.
        """
        ...

    async def remove_job(self, job_id: str, /) -> bool:
        """Delete a job that is in a buffer, without a trace; return whether it was there.

        A flush that has taken the buffer lost it, as for `cancel_job`.
        """
        ...

    async def forget_merged(self, age: timedelta, /, *, limit: int = 1000) -> int:
        """Remove traces of jobs that went into others so long ago or longer; return how many (at most limit)."""
        ...
