"""Batches: the app's noun for batch jobs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Unpack

from attrs import frozen

from conveyor._handles.batch_job import BatchEvents, BatchJob
from conveyor._runtime.batches.registering import register
from conveyor._services.batches import changing, creating, error_files
from conveyor._services.batches.looking import look
from conveyor.model.batches.options import parse_batch_keywords, parse_filter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from conveyor._runtime.batches.service import BatchRuns
    from conveyor.contracts.batch_job import BatchJobStrategy
    from conveyor.model.batches.options import BatchKeywords
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import RowError
    from conveyor.model.job import NewJob

__all__ = ["Batches", "FoundBatches"]


@frozen
class FoundBatches:
    """A page of batch jobs; give `next_cursor` to ``list`` to get those after them."""

    batches: Sequence[BatchJob]
    next_cursor: str | None


class Batches:
    """Batch jobs, at ``app.batches``: long operations that are tracked, stopped, resumed, and told about row by row.

    Commands raise InvalidBatchStatusError where they are not legal in the status of the batch job,
    BatchJobNotFoundError where there is none, and CapabilityError where the store has no batch jobs. `by` and `reason`
    are kept in its history.
    """

    def __init__(self, runs: BatchRuns) -> None:
        """Bind to an app."""
        self._runs = runs
        self._services = runs.services

    def register(self, strategy: BatchJobStrategy) -> None:
        """Let a strategy process the batch jobs of its type in this program; before the app opens.

        Raises:
            ConfigurationError: it lacks something, another has its type or identifier, or the app is open.
        """
        register(self._runs, strategy)

    def types(self) -> Sequence[str]:
        """Return the types of batch jobs that this program knows, in the order in which they were registered."""
        return [strategy.batch_type for strategy in self._services.batches.all]

    async def create(
        self,
        batch_type: str,
        context: Mapping[str, Any],
        *,
        request: Mapping[str, Any] | None = None,
        id: str | None = None,
        **options: Unpack[BatchKeywords],
    ) -> BatchJob:
        """Create a batch job: its strategy prepares and checks the context first, and may refuse it.

        Args:
            batch_type: which strategy processes it.
            context: what it is to do: names and values that JSON has.
            request: what a web framework knows of who asks; the strategy sees it, and it is not kept.
            id: its id, of at most 200 characters; the same again is that one. None: a new one.
            options: see `CreateOptions`.

        Raises:
            BatchJobError: no strategy is of the type, or the context does not fit.
            DuplicateBatchJobError: another has the id, or is the same (see `identifying`) and it is not forced.
            ConfigurationError: an option is wrong.
        """
        parsed = parse_batch_keywords(options)
        made = await creating.create(self._services, batch_type, context, parsed, request=request, batch_id=id)
        return BatchJob(self._services, made)

    def new(self, batch_type: str, context: Mapping[str, Any], **options: Unpack[BatchKeywords]) -> NewJob:
        """Make a job that creates a batch job when it runs, for schedules and flows; its result is the id.

        Where the same batch job goes on by then, the job is cancelled.

        Raises:
            BatchJobError: no strategy is of the type, or the context is none, or does not fit its rows' `params`.
            ConfigurationError: an option is wrong.
        """
        return creating.new_creation(self._services, batch_type, context, parse_batch_keywords(options))

    async def get(self, batch_id: str) -> BatchJob:
        """Return a batch job by its id."""
        return BatchJob(self._services, await look(self._services, batch_id))

    async def parts(self, batch_id: str) -> Sequence[BatchPart]:
        """Return the parts of one, by number; none: it is not divided."""
        return await changing.parts(self._services, batch_id)

    async def list(
        self,
        *,
        types: Sequence[str] = (),
        statuses: Sequence[BatchStatus | str] = (),
        created_by: str | None = None,
        parent_id: str | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> FoundBatches:
        """Return batch jobs that match all that is said, the newest first, a page of at most 1000 at a time.

        Raises:
            ConfigurationError: a status is unknown, a time has no zone, or the limit or the cursor is none.
        """
        wanted = parse_filter(
            types=types,
            statuses=statuses,
            created_by=created_by,
            parent_id=parent_id,
            created_from=created_from,
            created_before=created_before,
        )
        page = await changing.find(self._services, wanted, cursor, limit)
        return FoundBatches([BatchJob(self._services, batch) for batch in page.batches], page.cursor)

    async def confirm(self, batch_id: str, by: str | None = None, reason: str | None = None) -> BatchJob:
        """Let one that is pre-processed be processed."""
        return BatchJob(self._services, await changing.confirm(self._services, batch_id, by, reason))

    async def pause(self, batch_id: str, by: str | None = None, reason: str | None = None) -> BatchJob:
        """Let one stop where it is, within a chunk of rows."""
        return BatchJob(self._services, await changing.pause(self._services, batch_id, by, reason))

    async def resume(self, batch_id: str, by: str | None = None, reason: str | None = None) -> BatchJob:
        """Let one go on where it was paused."""
        return BatchJob(self._services, await changing.resume(self._services, batch_id, by, reason))

    async def cancel(self, batch_id: str, by: str | None = None, reason: str | None = None) -> BatchJob:
        """End one as cancelled, within a chunk of rows where it runs. One that is cancelled already stays so."""
        return BatchJob(self._services, await changing.cancel(self._services, batch_id, by, reason))

    async def retry(
        self,
        batch_id: str,
        by: str | None = None,
        reason: str | None = None,
        *,
        failed_rows: bool = False,
        force: bool = False,
    ) -> BatchJob:
        """Let one that failed go on where it was.

        With `failed_rows`, create another of the rows that failed in one that has ended, and return that; it is
        confirmed as that one was.

        Raises:
            BatchJobError: no row of it failed.
            DuplicateBatchJobError: one that is the same was created since; or these failed rows were taken up already,
                by one that neither failed nor was cancelled, and it is not forced.
        """
        changed = await changing.retry(self._services, batch_id, by, reason, failed_rows=failed_rows, force=force)
        return BatchJob(self._services, changed)

    async def remove(self, batch_id: str) -> None:
        """Delete one that has ended, with its history, its bad rows, and its files that would expire."""
        await changing.remove(self._services, batch_id)

    async def template(self, batch_type: str) -> str:
        """Return a file that shows what people may upload; an empty string: there is none.

        Raises:
            BatchJobError: no strategy is of the type.
        """
        return await changing.template(self._services, batch_type)

    def errors(self, batch_id: str) -> AsyncIterator[RowError]:
        """Go through the bad rows of one, by number."""
        return changing.errors(self._services, batch_id)

    def error_file(self, batch_id: str, *, as_workbook: bool | None = None) -> AsyncGenerator[bytes, None]:
        """Go through the bad rows of one as its file would have them, with what is wrong about each: to be mended.

        It is in the format of the file that the context names as `file`, a spreadsheet where that was made of one by
        `Files.write_workbook`, and may be uploaded again as it is.

        Args:
            batch_id: whose.
            as_workbook: as a spreadsheet, or not; None: as it was uploaded.

        Raises:
            BatchJobError: there is no such file, or it is no table. StoredFileNotFoundError: it has gone.
            ConfigurationError: it is to be a spreadsheet, and openpyxl is not installed.
        """
        return error_files.error_file(self._services, batch_id, as_workbook=as_workbook)

    @asynccontextmanager
    async def events(self, batch_id: str) -> AsyncIterator[BatchEvents]:
        """Open a stream of what happens to one: where it stands, every change of status, progress, and its end."""
        async with changing.watch(self._services, batch_id) as buffer:
            yield BatchEvents(self._services, batch_id, buffer)
