"""``conveyor batch errors``: the rows that could not be processed, and why."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter, validators

from conveyor._cli.batches.parameters import BatchId, check_new
from conveyor._cli.parameters import ListOptions, flattened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor._app import Conveyor
    from conveyor.model.masking import Masking

__all__ = ["errors"]

_DEFAULTS: Final = ListOptions()
# More are not read at a terminal.
_IN_A_TABLE: Final = 100


def errors(
    batch_id: BatchId,
    /,
    *,
    limit: Annotated[
        int | None,
        Parameter(
            help=f"How many at most, from the first row on; by default all, in a table {_IN_A_TABLE}.",
            validator=validators.Number(gte=1),
        ),
    ] = None,
    unmasked: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Show also the rows as they stand in the source, secrets and all."
        ),
    ] = False,
    errors_file: Annotated[
        Path | None,
        Parameter(
            help="Write them here instead, as they stood in the file, and why, ready to be mended; it must not exist."
        ),
    ] = None,
    options: Annotated[ListOptions, flattened] = _DEFAULTS,
) -> int:
    """List the bad rows of a batch job, by number: which column, a code, and a message, a line for each wrong column.

    As JSON there is one object for each row: what else is wrong about it stands in `also`.
    """
    import anyio

    check_new(errors_file)
    if errors_file is not None:
        return anyio.run(_write_file, batch_id, errors_file, options)
    return anyio.run(partial(_errors, batch_id, limit, options, unmasked=unmasked))


async def _write_file(batch_id: str, errors_file: Path, options: ListOptions) -> int:
    from conveyor._cli.batches.error_files import write_error_file
    from conveyor._cli.batches.ids import meant
    from conveyor._cli.batches.previews import bad_rows_kept
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only
    from conveyor._cli.output import say

    async with looking_only(find_operated_app(options)) as app:
        batch = await meant(app, batch_id)
        if await bad_rows_kept(batch):
            await write_error_file(app, batch, errors_file)
        else:
            say("no bad rows")
    return 0


async def _errors(batch_id: str, limit: int | None, options: ListOptions, *, unmasked: bool) -> int:
    from conveyor._cli.batches.records import ROW_TITLES, fault_records, row_cells
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only
    from conveyor._cli.output import say, show_records

    if limit is None and options.output == "table":
        limit = _IN_A_TABLE
    async with looking_only(find_operated_app(options)) as app:
        records = _records(app, batch_id, limit, None if unmasked else app.masking)
        if options.output in {"jsonl", "csv"}:
            # There may be as many as rows: they are not gathered.
            await _write_each(records, options)
            return 0
        shown = [record async for record in records]
    if not shown and options.output == "table":
        say("no bad rows")
        return 0
    if options.output == "table":
        shown = [line for record in shown for line in fault_records(record)]
    show_records(shown, options.output, ROW_TITLES if not unmasked else (*ROW_TITLES, "raw"), row_cells)
    return 0


async def _records(
    app: Conveyor, batch_id: str, limit: int | None, masking: Masking | None
) -> AsyncIterator[dict[str, Any]]:
    from conveyor._cli.batches.ids import whole_id
    from conveyor._cli.batches.records import row_record
    from conveyor._cli.output import say

    count = 0
    async for error in app.batches.errors(await whole_id(app, batch_id)):
        if count == limit:
            say(f"there are more than {limit}: say --limit, or print them all with -o csv")
            return
        count += 1
        yield row_record(error, masking)


async def _write_each(records: AsyncIterator[dict[str, Any]], options: ListOptions) -> None:
    from conveyor._cli.batches.records import fault_records
    from conveyor._cli.csv_cells import CsvWriter
    from conveyor._cli.output import write_json

    lines = CsvWriter(sys.stdout)
    async for record in records:
        if options.output == "csv":
            for line in fault_records(record):
                lines.write(line)
        else:
            write_json(record, on_one_line=True)
