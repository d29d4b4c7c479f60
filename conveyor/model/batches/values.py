"""The values of batch jobs, as stores keep them: what is wanted, where it stands, what came of it so far."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import Factory, field, frozen

from conveyor.model.batches.status import BatchCommand, BatchStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.job import JobData, NewJob

__all__ = [
    "BatchChange",
    "BatchFilter",
    "BatchJobData",
    "BatchPage",
    "BatchStep",
    "Confirmation",
    "NewBatchJob",
    "RowError",
    "RowFault",
    "RowOutcome",
    "StatusChange",
    "StrandedBatch",
]


class RowOutcome(StrEnum):
    """What became of a row."""

    # Written, and the strategy does not say how.
    DONE = "done"
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    # Nothing was to be done.
    SKIPPED = "skipped"
    # Recorded as a `RowError`.
    FAILED = "failed"


class Confirmation(StrEnum):
    """Who confirms a batch job once it is pre-processed: conveyor, or somebody."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


@frozen
class RowFault:
    """One thing that is wrong about a row.

    Attributes:
        code: for machines, such as "invalid_value".
        message: for people.
        column: which column; None: the row as a whole.
    """

    code: str
    message: str
    column: str | None = None

    def describe(self) -> str:
        """Return it in words, with its column."""
        return self.message if self.column is None else f"column {self.column!r}: {self.message}"


@frozen
class RowError:
    """A row that could not be processed, or does not pass its check.

    Attributes:
        row_number: which row of the source, counted from 1, the header not counted.
        code, message, column: see `RowFault`; of the first thing that is wrong.
        raw: the row as it stands in the source.
        also: what else is wrong, column by column.
        ended_run: the run ended with this row, which was one bad row too many: it is not among those that are done,
            and the next run begins with it.
    """

    row_number: int
    code: str
    message: str
    column: str | None = None
    raw: str = ""
    also: tuple[RowFault, ...] = ()
    ended_run: bool = False

    @property
    def faults(self) -> tuple[RowFault, ...]:
        """All that is wrong."""
        return (RowFault(self.code, self.message, self.column), *self.also)


@frozen
class NewBatchJob:
    """A batch job to create. The store adds its times and its status.

    Attributes:
        id: unique in the whole store.
        batch_type: which strategy processes it.
        context: what it is to do, as JSON, sealed where the app's payload codec seals.
        dry_run: it tries everything and keeps nothing.
        confirmation: whether it is confirmed as soon as it is pre-processed.
        created_by: who wants it, in the words of the app.
        identity: while a batch job of the type has the same identity and neither failed nor was cancelled, this one is
            refused. None: it is not.
        parent_id: the batch job whose failed rows it takes up.
    """

    id: str
    batch_type: str
    context: bytes
    dry_run: bool = False
    confirmation: Confirmation = Confirmation.AUTOMATIC
    created_by: str | None = None
    identity: str | None = None
    parent_id: str | None = None


@frozen
class StatusChange:
    """One line of a batch job's history.

    Attributes:
        at: when, by the store's clock.
        before: the status before it; None: it was created.
        after: the status since.
        command: what was asked; None: to be created.
        by: who asked; None: conveyor itself.
        reason: why, in words.
    """

    at: datetime
    before: BatchStatus | None
    after: BatchStatus
    command: BatchCommand | None = None
    by: str | None = None
    reason: str | None = None


@frozen
class BatchJobData:
    """A batch job as the store has it.

    Attributes:
        revision: raised by every write.
        history: its changes of status, the oldest first.
        run: the token of the run that processes it, or did last; whoever has another may write nothing.
        run_started_at: when that run began, and
        run_started_from: how many rows were done then: for the rate.
        job_id: the job that works for it now, or did last.
        steps: how many steps were saved.
        cursor: where the next run goes on, as JSON; None: from the beginning.
        done: how many rows are through, failed ones included.
        total: how many there are, where it is known.
        counts: rows by what became of them.
        message: what it is at, in words.
        result: what came of it, as JSON, sealed as the context.
        error: why it failed.
        retries: how often it was interrupted by an error since it last made progress.
        updated_at: when it was last written.
        parts: how many parts it was divided into, and
        parts_done: how many of them are through; see `conveyor.model.batches.parts`.
    """

    id: str
    batch_type: str
    status: BatchStatus
    context: bytes
    created_at: datetime
    updated_at: datetime
    dry_run: bool = False
    confirmation: Confirmation = Confirmation.AUTOMATIC
    created_by: str | None = None
    identity: str | None = None
    parent_id: str | None = None
    revision: int = 1
    history: tuple[StatusChange, ...] = ()
    run: str | None = None
    run_started_at: datetime | None = None
    run_started_from: int = 0
    job_id: str | None = None
    steps: int = 0
    cursor: bytes | None = None
    done: int = 0
    total: int | None = None
    counts: Mapping[RowOutcome, int] = field(factory=dict)
    message: str | None = None
    result: bytes | None = None
    error: str | None = None
    retries: int = 0
    parts: int = 0
    parts_done: int = 0

    def entered_at(self, status: BatchStatus) -> datetime | None:
        """Return when it last came into a status, or None."""
        return next((change.at for change in reversed(self.history) if change.after is status), None)


@frozen
class BatchChange:
    """A change of status, and what is written with it in the same step.

    Attributes:
        id: unique to the change: the same change again is the answer to a lost one, and changes nothing more.
        command: see `conveyor.model.batches.status.TRANSITIONS`.
        by, reason: see `StatusChange`.
        run: for START the new run's token; for what else a run asks, its own; None: people ask.
        if_job_id: the job that must work for the batch job for this to be done; None: whichever does.
        job: a job that is added with it, and works for the batch job from now on; where the run that is asked to resume
            goes on, it is not added. CREATED and CONFIRMED are entered with one.
        context, result: take the place of what is there; None: they stay.
        total: how many rows there are; None: it stays.
        error: why it failed.
        is_retry: whether it counts as one of `BatchJobData.retries`.
    """

    id: str
    command: BatchCommand
    by: str | None = None
    reason: str | None = None
    run: str | None = None
    if_job_id: str | None = None
    job: NewJob | None = None
    context: bytes | None = None
    result: bytes | None = None
    total: int | None = None
    error: str | None = None
    is_retry: bool = False


@frozen
class BatchStep:
    """How far a run is: what one chunk leaves behind. All numbers are those since the beginning, not of the chunk.

    Attributes:
        number: one more than `BatchJobData.steps` was; a step that was saved before is saved no more.
        errors: rows that failed in this chunk; a row that failed before has the new error.
        result: takes the place of the batch job's; None: it stays. Steps of parts have none.
        part: the part whose run saves it, and whose numbers these are; None: the batch job is not divided.
        mended: rows that failed before, and are bad no more: their errors are forgotten.
    """

    number: int
    cursor: bytes | None
    done: int
    total: int | None = None
    counts: Mapping[RowOutcome, int] = Factory(dict)
    errors: Sequence[RowError] = ()
    message: str | None = None
    result: bytes | None = None
    part: int | None = None
    mended: Sequence[int] = ()


@frozen
class BatchFilter:
    """Which batch jobs are meant; what is None or empty says nothing.

    Attributes:
        created_from: created at this time or later; created_before: earlier than this.
        id_prefix: what their ids begin with.
    """

    types: tuple[str, ...] = ()
    statuses: tuple[BatchStatus, ...] = ()
    created_by: str | None = None
    parent_id: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    id_prefix: str | None = None


@frozen
class BatchPage:
    """Some of many, the newest first, and where the next page begins; None: there is none."""

    batches: tuple[BatchJobData, ...]
    cursor: str | None = None


@frozen
class StrandedBatch:
    """A batch job that waits for a job which is settled, and then `job` is that, or not there, and then it is None."""

    batch: BatchJobData
    job: JobData | None
