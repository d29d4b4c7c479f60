"""FileRun: a file that becomes a batch job, and is processed in this process while somebody looks on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from attrs import define

from conveyor._cli.asking import ask, counted
from conveyor._cli.batches.creating import check_keeps, created_of_file
from conveyor._cli.batches.error_files import write_error_file
from conveyor._cli.batches.known_types import check_type
from conveyor._cli.batches.previews import bad_rows, bad_rows_kept, dry_run_lines, preview_lines, preview_of
from conveyor._cli.batches.records import batch_record
from conveyor._cli.batches.tellers import teller_on_stderr
from conveyor._cli.batches.uploads import make_upload
from conveyor._cli.batches.watching import follow
from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.output import say
from conveyor._services.batches.strategies import QUEUE
from conveyor.errors import BatchJobError
from conveyor.model.batches.status import BatchStatus

if TYPE_CHECKING:
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
    is_confirmed: bool = False
    bad_rows: int = 0
    # Why there is no file of the bad rows that were met: told after what came of the others.
    unwritten: CommandError | None = None

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
                self._agree(record["total"])
                record = anyio.run(self._process)
        except KeyboardInterrupt:
            self._interrupted()
            raise
        return record

    async def _check_rows(self) -> dict[str, Any]:
        async with self.app as app:
            check_keeps(app)
            check_type(app, self.batch_type)
            self.how.check_somebody_agrees()
            upload = make_upload(app, self.batch_type, self.file, self.how.name, self.how.sheet)
            # Where this process may not work, nothing is created.
            async with app.worker(QUEUE):
                batch = await created_of_file(app, upload, self.batch_type, self.context, self.keywords)
                self.batch_id = batch.id
                batch = await self._follow(batch, until=frozenset({BatchStatus.PRE_PROCESSED}))
            self.bad_rows = bad_rows(batch)
            for line in preview_lines(preview_of(batch, self.masking), batch.progress.total):
                say(line)
            if batch.status is BatchStatus.PRE_PROCESSED and not self.how.dry_run:
                await self._check_bad_rows(app, batch)
            if batch.status is BatchStatus.FAILED and self.bad_rows:
                say("nothing was written")
                await self._write_errors(app, batch)
            return batch_record(batch, self.masking)

    async def _check_bad_rows(self, app: Conveyor, batch: BatchJob) -> None:
        if not self.how.is_too_bad(self.bad_rows):
            return
        await batch.cancel(self.keywords.get("created_by"), "too many bad rows")
        await self._write_errors(app, batch)
        what = f"{self.how.too_bad(self.bad_rows)}: nothing was written"
        raise CommandError(ExitCode.REFUSED, what, "mend the file, or allow more with --max-errors")

    def _agree(self, total: int | None) -> None:
        if self.how.dry_run:
            return
        rows = "all rows" if total is None else counted(total - self.bad_rows, "row")
        try:
            ask(f"this will process {rows} of {self.file}", is_agreed=self.how.yes)
        except CommandError:
            anyio.run(self._say_no)
            raise

    def _interrupted(self) -> None:
        """Say how it goes on; without a yes, it does not."""
        if self.is_confirmed:
            say(f"stopped. A worker of the app goes on with it: conveyor batch watch {self.batch_id}")
            say(f"to give it up: conveyor batch cancel {self.batch_id}")
        elif self.batch_id:
            anyio.run(self._give_up, "interrupted before it was confirmed")
            say(f"stopped before anything was written; batch job {self.batch_id} is cancelled")

    async def _give_up(self, reason: str) -> BatchJob:
        async with self.app as app:
            return await app.batches.cancel(self.batch_id, self.keywords.get("created_by"), reason)

    async def _say_no(self) -> None:
        batch = await self._give_up("the answer was no")
        if await bad_rows_kept(batch):
            async with self.app as app:
                await self._write_errors(app, batch)

    async def _process(self) -> dict[str, Any]:
        async with self.app as app:
            batch = await app.batches.confirm(self.batch_id, self.keywords.get("created_by"))
            self.is_confirmed = True
            async with app.worker(QUEUE):
                batch = await self._follow(batch, until=frozenset())
            self.bad_rows = bad_rows(batch)
            for line in dry_run_lines(batch.result):
                say(line)
            if await bad_rows_kept(batch):
                await self._write_errors(app, batch)
            return batch_record(batch, self.masking)

    async def _write_errors(self, app: Conveyor, batch: BatchJob) -> None:
        try:
            await write_error_file(app, batch, self.how.errors_file)
        except BatchJobError as exc:
            say(f"{exc}; see conveyor batch errors {batch.id}")
        except CommandError as exc:
            again = f"they are kept: conveyor batch errors {batch.id} --errors-file FILE"
            self.unwritten = CommandError(exc.code, str(exc), again)

    async def _follow(self, batch: BatchJob, *, until: frozenset[BatchStatus]) -> BatchJob:
        """Tell how it goes, until the batch job has such a status, or has ended."""
        with teller_on_stderr() as teller:
            async with self.app.batches.events(batch.id) as events:
                return await follow(batch, events, [teller], self.masking, until=until)
