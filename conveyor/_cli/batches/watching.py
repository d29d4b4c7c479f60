"""``conveyor batch watch``: how far a batch job is, until it has ended."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from conveyor._cli.batches.parameters import BatchId
from conveyor._cli.parameters import Format, StoreOptions, Unmasked, flattened

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from conveyor._cli.batches.tellers import Teller
    from conveyor._handles.batch_job import BatchEvents, BatchJob
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.masking import Masking

__all__ = ["end_of", "follow", "shown", "watch"]

_DEFAULTS: Final = StoreOptions()
# So long a batch job may stand still until it is said what it waits for.
PATIENCE_SECONDS: Final = 3.0
_SUMMARY: Final = ("id", "status", "done", "total", "counts", "error")


def watch(
    batch_id: BatchId,
    /,
    *,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show how far a batch job is, its rate and the time left, until it has ended; then print what came of it.

    With -o jsonl it prints a line for all that happens. It exits with 1 if the batch job failed or was cancelled.
    """
    import anyio

    return anyio.run(partial(_watch, batch_id, options, unmasked=unmasked))


async def follow(
    batch: BatchJob,
    events: BatchEvents,
    tellers: Sequence[Teller],
    masking: Masking | None,
    *,
    until: Collection[BatchStatus] = (),
    patience: float = PATIENCE_SECONDS,
) -> BatchJob:
    """Tell what happens to a batch job, and what it waits for where it stands still.

    Return it once it has ended, or has one of the statuses of `until`.
    """
    import anyio

    from conveyor._cli.batches.records import batch_record

    while True:
        with anyio.move_on_after(patience):
            event = await anext(events, None)
            if event is None:
                return batch
            batch = event.batch
            record = batch_record(batch, masking)
            for teller in tellers:
                teller.happened(event, record)
            if batch.status in until:
                return batch
            continue
        for teller in tellers:
            teller.silent(batch)


def end_of(record: Mapping[str, Any]) -> int:
    """Return the exit code that tells how a batch job ended."""
    from conveyor._cli.failures import ExitCode

    return ExitCode.OK if record["status"] in {"completed", "completed_with_errors"} else ExitCode.FAILED


def shown(record: Mapping[str, Any], output: Format) -> Mapping[str, Any]:
    """Return what is printed at the end: in a table, what people want to know then."""
    return {name: record[name] for name in _SUMMARY} if output == "table" else record


async def _watch(batch_id: str, options: StoreOptions, *, unmasked: bool) -> int:
    from conveyor._cli.batches.ids import meant
    from conveyor._cli.batches.records import batch_record
    from conveyor._cli.batches.tellers import JsonLines, teller_on_stderr
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only
    from conveyor._cli.output import show_record

    async with looking_only(find_operated_app(options)) as app:
        batch = await meant(app, batch_id)
        masking = None if unmasked else app.masking
        with teller_on_stderr() as on_stderr:
            tellers = [on_stderr, JsonLines()] if options.output == "jsonl" else [on_stderr]
            async with app.batches.events(batch.id) as events:
                batch = await follow(batch, events, tellers, masking)
    record = batch_record(batch, masking)
    if options.output != "jsonl":
        show_record(shown(record, options.output), options.output)
    return end_of(record)
