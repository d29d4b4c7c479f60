"""What is wrong about a batch job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.errors.configuration import ConveyorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BadFileError",
    "BadRowError",
    "BatchJobError",
    "BatchJobNotFoundError",
    "BatchPartFailedError",
    "BatchRunLostError",
    "BatchStoppedError",
    "DuplicateBatchJobError",
    "InvalidBatchStatusError",
    "StoredFileNotFoundError",
    "TooManyBadRowsError",
]


class BatchJobError(ConveyorError):
    """Something about one batch job: what it was given, or what was asked of it."""

    def __init__(self, message: str, *, batch_id: str = "", batch_type: str = "") -> None:
        self.batch_id = batch_id
        self.batch_type = batch_type
        super().__init__(message)


class BatchJobNotFoundError(BatchJobError):
    """There is no batch job of this id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"there is no batch job {batch_id!r}", batch_id=batch_id)


class InvalidBatchStatusError(BatchJobError):
    """The command is not legal in the status the batch job is in."""

    def __init__(self, batch_id: str, status: str, command: str, allowed: Iterable[str]) -> None:
        self.status = status
        self.command = command
        self.allowed: tuple[str, ...] = tuple(sorted(allowed))
        legal = ", ".join(self.allowed) or "nothing"
        super().__init__(
            f"batch job {batch_id!r} is {status}, so '{command}' is not allowed; allowed now: {legal}",
            batch_id=batch_id,
        )


class DuplicateBatchJobError(BatchJobError):
    """Another batch job has this id, or the same type and identity and neither failed nor was cancelled."""

    def __init__(self, existing_id: str, batch_type: str, *, is_identity: bool = True) -> None:
        self.existing_id = existing_id
        super().__init__(
            f"batch job {existing_id!r} of type {batch_type!r} is the same: look at it, or force this one"
            if is_identity
            else f"another batch job already has the id {existing_id!r}",
            batch_id=existing_id,
            batch_type=batch_type,
        )


class BatchStoppedError(BatchJobError):
    """The run is to stop: the batch job was paused or cancelled, or its worker stops. Strategies let it pass."""

    def __init__(self, batch_id: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the run of batch job {batch_id!r} stops: {reason}", batch_id=batch_id)


class BatchRunLostError(BatchJobError):
    """Another run processes the batch job by now: nothing of this step was kept."""

    def __init__(self, batch_id: str, run: str) -> None:
        self.run = run
        super().__init__(
            f"another run processes batch job {batch_id!r} by now: {run!r} may write nothing of it", batch_id=batch_id
        )


class BatchPartFailedError(BatchJobError):
    """A part of the batch job failed in a job of its own, and so has the batch job. What was done stays done.

    Attributes:
        part: which one, counted from 1.
        reason: what its run raised, or what became of its job.
    """

    def __init__(self, batch_id: str, part: int, reason: str) -> None:
        self.part = part
        self.reason = reason
        super().__init__(f"part {part} of batch job {batch_id!r} failed: {reason}", batch_id=batch_id)


class BadRowError(BatchJobError):
    """A row of a batch job is wrong: raised by what reads or checks it, and kept as a `RowError`, not raised further.

    Attributes:
        code: for machines, such as "invalid_value".
        message: for people.
        column: which column; None: the row as a whole.
        also: what else is wrong about the row, each as an error of its own; what these have in `also` is left out.
    """

    def __init__(self, code: str, message: str, column: str | None = None, *, also: Sequence[BadRowError] = ()) -> None:
        self.code = code
        self.message = message
        self.column = column
        self.also: tuple[BadRowError, ...] = tuple(also)
        super().__init__(f"{code}: {message}" if column is None else f"{code} in column {column!r}: {message}")


class TooManyBadRowsError(BatchJobError):
    """A batch job has more bad rows than its strategy allows. The rows before the last of them are done, or kept apart.

    Attributes:
        row_number: the row that was one too many; None: the share of them all is too high.
        failed: how many there are.
    """

    def __init__(self, batch_id: str, allowed: str, failed: int, row_number: int | None = None, why: str = "") -> None:
        self.row_number = row_number
        self.failed = failed
        which = "" if row_number is None else f"; the last is row {row_number}: {why}"
        super().__init__(
            f"batch job {batch_id!r} has {failed} bad {'row' if failed == 1 else 'rows'}, "
            f"and may have {allowed} at most{which}",
            batch_id=batch_id,
        )


class BadFileError(BatchJobError):
    """A file cannot be read as a table: no row of it from here on can be told.

    Attributes:
        code: for machines, such as "unknown_column".
        message: for people.
        row_number: which row, counted from 1, the header not counted; None: the header, or the file as a whole.
    """

    def __init__(self, code: str, message: str, row_number: int | None = None) -> None:
        self.code = code
        self.message = message
        self.row_number = row_number
        super().__init__(f"{code}: {message}" if row_number is None else f"{code} in row {row_number}: {message}")


class StoredFileNotFoundError(BatchJobError):
    """The file storage has no file of this key: it was never finished, was deleted, or has expired."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"there is no stored file {key!r}: it was deleted, has expired, or was never finished")
