"""What is wrong about one job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from conveyor.errors.configuration import ConveyorError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AddRefusedError",
    "DuplicateJobError",
    "GroupFullError",
    "InvalidJobStateError",
    "JobError",
    "JobFailedError",
    "JobInBufferError",
    "JobNotFoundError",
    "LockLostError",
    "PayloadError",
    "ProcessDiedError",
    "ProcessHandlerError",
    "UnknownHandlerError",
]


class JobError(ConveyorError):
    """An error about one job."""

    def __init__(self, message: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.job_id = job_id
        self.queue_name = queue_name
        super().__init__(message)


class JobNotFoundError(JobError):
    """No job has this id: it never existed, or was removed."""

    def __init__(self, job_id: str, queue_name: str = "") -> None:
        where = f" in queue {queue_name!r}" if queue_name else ""
        super().__init__(
            f"no job {job_id!r}{where}: it never existed or was removed", job_id=job_id, queue_name=queue_name
        )


class JobInBufferError(JobNotFoundError):
    """The job is none of its queue's: it waits in a buffer still, or a flush merged it into another job."""

    def __init__(self, job_id: str, buffer_id: str = "", merged_into: str | None = None) -> None:
        self.buffer_id = buffer_id
        self.merged_into = merged_into
        says = f"job {job_id!r} is in buffer {buffer_id!r} still: cancel or remove it, or flush the buffer first"
        if merged_into is not None:
            says = f"job {job_id!r} was merged into job {merged_into!r}, which does the work of both: ask that one"
        JobError.__init__(self, says, job_id=job_id)


class InvalidJobStateError(JobError):
    """The command is not legal in the state the job is in."""

    def __init__(self, job_id: str, state: str, command: str, allowed: Iterable[str], queue_name: str = "") -> None:
        self.state = state
        self.command = command
        self.allowed: tuple[str, ...] = tuple(sorted(allowed))
        legal = ", ".join(self.allowed) or "nothing"
        super().__init__(
            f"job {job_id!r} is {state}, so {command!r} is not allowed; allowed now: {legal}",
            job_id=job_id,
            queue_name=queue_name,
        )


class AddRefusedError(JobError):
    """A job was not added. Of an `add_many`, also which of its jobs were, and which were not.

    Attributes:
        added_ids: the jobs of the same call that were added; one that met a deduplication key is in neither.
        refused_ids: those that were refused, that of this error first. Both are empty where the call was no `add_many`.
    """

    def __init__(self, message: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.added_ids: tuple[str, ...] = ()
        self.refused_ids: tuple[str, ...] = ()
        super().__init__(message, job_id=job_id, queue_name=queue_name)

    def among(self, added_ids: Iterable[str], refused_ids: Iterable[str]) -> Self:
        """Say what became of the jobs that were to be added in the same call; return the error."""
        self.added_ids, self.refused_ids = tuple(added_ids), tuple(refused_ids)
        return self

    def __str__(self) -> str:
        """Return the message; of one of several jobs, with how many were added."""
        total = len(self.added_ids) + len(self.refused_ids)
        if total < 2:
            return super().__str__()
        told = f"{len(self.added_ids)} of the {total} jobs were added: see added_ids and refused_ids of this error"
        return f"{super().__str__()} ({told})"


class DuplicateJobError(AddRefusedError):
    """A different job already has this id, or holds this deduplication key and the mode is ``reject``.

    Ids are unique over live and retained jobs.
    """

    def __init__(self, existing_id: str, key: str, queue_name: str = "", *, is_deduplicated: bool = False) -> None:
        self.existing_id = existing_id
        self.key = key
        self.is_deduplicated = is_deduplicated
        super().__init__(
            f"job {existing_id!r} holds the deduplication key {key!r}: it is added already"
            if is_deduplicated
            else f"a different job already has the id {key!r}: choose another id, or remove the existing job",
            job_id=existing_id,
            queue_name=queue_name,
        )


class GroupFullError(AddRefusedError):
    """As many jobs of the group wait already as its ``max_size`` lets wait."""

    def __init__(self, group_id: str, max_size: int, job_id: str, queue_name: str = "") -> None:
        self.group_id = group_id
        self.max_size = max_size
        super().__init__(
            f"job {job_id!r} was not added: {max_size} jobs of group {group_id!r} wait already, which is its max_size; "
            "add it later, or with a higher max_size",
            job_id=job_id,
            queue_name=queue_name,
        )


class UnknownHandlerError(JobError):
    """A job names a handler that this program does not have."""

    def __init__(self, name: str, known: Iterable[str], *, job_id: str = "", queue_name: str = "") -> None:
        self.name = name
        self.known: tuple[str, ...] = tuple(sorted(known))
        super().__init__(
            f"queue {queue_name!r} has no handler called {name!r}: {did_you_mean(name, self.known)}",
            job_id=job_id,
            queue_name=queue_name,
        )


class PayloadError(JobError):
    """Arguments or a result do not fit the handler's types, or cannot be written as JSON."""

    def __init__(self, direction: str, path: str, reason: str, *, name: str = "", job_id: str = "") -> None:
        self.direction = direction
        self.path = path
        self.reason = reason
        of = f" of {name!r}" if name else ""
        super().__init__(f"{direction}{of} at {path}: {reason}", job_id=job_id)


class LockLostError(JobError):
    """The run no longer owns its job: another run does, or somebody ended the job."""

    def __init__(self, token: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.token = token
        super().__init__(
            f"the lock {token!r} of job {job_id!r} is lost: nothing more can be written by this run",
            job_id=job_id,
            queue_name=queue_name,
        )


class JobFailedError(JobError):
    """The job that was waited for ended as failed or cancelled; ``error`` says why."""

    def __init__(self, job_id: str, state: str, error: str, *, queue_name: str = "", traceback: str = "") -> None:
        self.state = state
        self.error = error
        self.traceback = traceback
        super().__init__(f"job {job_id!r} {state}: {error}", job_id=job_id, queue_name=queue_name)


class ProcessHandlerError(JobError):
    """What a handler raised in a process of its own: as text, for the exception itself stays there.

    The job's attempt says `type_name`, `message` and `traceback` as if it had been raised here.
    """

    def __init__(self, type_name: str, message: str, traceback: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.type_name = type_name
        self.message = message
        self.traceback = traceback
        super().__init__(f"{type_name}: {message}", job_id=job_id, queue_name=queue_name)


class ProcessDiedError(JobError):
    """The process of a handler ended before the handler did: it was killed, crashed, or left by ``os._exit()``."""

    def __init__(self, reason: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.reason = reason
        super().__init__(f"the process of its handler is gone: {reason}", job_id=job_id, queue_name=queue_name)
