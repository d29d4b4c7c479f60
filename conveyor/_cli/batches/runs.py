"""FileRun: a file that becomes a batch job, and is processed in this process while somebody looks on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from attrs import define

from conveyor._cli.asking import ask, counted
from conveyor._cli.batches.creating import created_of_file
from conveyor._cli.batches.error_files import write_error_file
from conveyor._cli.batches.known_types import check_type
from conveyor._cli.batches.previews import bad_rows_kept, dry_run_lines, failed_in, preview_lines
from conveyor._cli.batches.records import batch_record
from conveyor._cli.batches.tellers import teller_on_stderr
from conveyor._cli.batches.uploads import make_upload
from conveyor._cli.batches.watching import follow
from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.opening import services_of
from conveyor._cli.output import say
from conveyor._services.batches.strategies import QUEUE
from conveyor.errors import BatchJobError
from conveyor.model.batches.status import BatchStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor._app import Conveyor
    from conveyor._cli.batches.running import RunOptions
    from conveyor._handles.batch_job import BatchJob
    from conveyor.model.batches.options import BatchKeywords
    from conveyor.model.masking import Masking

__all__ = ["FileRun"]


@define
class FileRun:
    """One file on its way."""

    app: Conveyor
    batch_type: str
    file: str
    context: dict[str, Any]
    keywords: BatchKeywords
    how: RunOptions
    masking: Masking | None
    # Once it is created.
    batch_id: str = ""

    def run(self) -> dict[str, Any]:
        """Check the file, ask, and process it; return what came of it, as it may be shown.

        Raises:
            CommandError: it was refused, or the answer was no.
            KeyboardInterrupt: somebody interrupted it; how it goes on has been said.
        """
        try:
            # Two openings: while a person thinks, nothing is held, and Ctrl+C works as at any prompt.
            record = anyio.run(self._check_rows)
            if record["status"] == "pre_processed":
                self._agree(record)
                record = anyio.run(self._process)
        except KeyboardInterrupt:
            if self.batch_id:
                say(
                    f"stopped. A worker of the app goes on with what is confirmed: conveyor batch watch {self.batch_id}"
                )
                say(f"to give it up: conveyor batch cancel {self.batch_id}")
            raise
        return record

    async def _check_rows(self) -> dict[str, Any]:
        async with self.app as app:
            _check_keeps(app)
            check_type(app, self.batch_type)
            upload = make_upload(app, self.batch_type, self.file, self.how.name, self.how.sheet)
            batch = await created_of_file(app, upload, self.batch_type, self.context, self.keywords)
            self.batch_id = batch.id
            batch = await self._work(batch, until=frozenset({BatchStatus.PRE_PROCESSED}))
            record = batch_record(batch, self.masking)
            for line in preview_lines(record):
                say(line)
            if batch.status is BatchStatus.PRE_PROCESSED and not self.how.dry_run and self.how.is_too_bad(record):
                await batch.cancel(self.keywords.get("created_by"), "too many bad rows")
                await self._write_errors(app, batch)
                what = f"{self.how.too_bad(record)}: nothing was written"
                raise CommandError(ExitCode.REFUSED, what, "mend the file, or allow more with --max-errors")
            if batch.status is BatchStatus.FAILED and failed_in(record):
                say("nothing was written")
                await self._write_errors(app, batch)
            return record

    def _agree(self, record: Mapping[str, Any]) -> None:
        if self.how.dry_run:
            return
        total = record["total"]
        rows = "all rows" if total is None else counted(total - failed_in(record), "row")
        try:
            ask(f"this will process {rows} of {self.file}", is_agreed=self.how.yes)
        except CommandError:
            anyio.run(self._give_up)
            raise

    async def _give_up(self) -> None:
        async with self.app as app:
            batch = await app.batches.cancel(self.batch_id, self.keywords.get("created_by"), "the answer was no")
            if bad_rows_kept(batch):
                await self._write_errors(app, batch)

    async def _process(self) -> dict[str, Any]:
        async with self.app as app:
            batch = await app.batches.confirm(self.batch_id, self.keywords.get("created_by"))
            batch = await self._work(batch, until=frozenset())
            if bad_rows_kept(batch):
                await self._write_errors(app, batch)
            record = batch_record(batch, self.masking)
            for line in dry_run_lines(record):
                say(line)
            return record

    async def _write_errors(self, app: Conveyor, batch: BatchJob) -> None:
        try:
            await write_error_file(app, batch, self.how.errors_file)
        except BatchJobError as exc:
            say(f"{exc}; see conveyor batch errors {batch.id}")

    async def _work(self, batch: BatchJob, *, until: frozenset[BatchStatus]) -> BatchJob:
        """Run a worker, and tell how it goes, until the batch job has such a status, or has ended."""
        async with self.app.worker(QUEUE):
            with teller_on_stderr() as teller:
                async with self.app.batches.events(batch.id) as events:
                    return await follow(batch, events, [teller], self.masking, until=until)


def _check_keeps(app: Conveyor) -> None:
    """Make sure that what the store has is there again after the question."""
    store = services_of(app).store
    if not store.capabilities.is_durable:
        what = f"{store.name} keeps nothing once it is closed, so a batch job in it cannot be looked at first"
        raise CommandError(ExitCode.REFUSED, what, "name another store: --store URL")
