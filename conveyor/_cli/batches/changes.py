"""``conveyor batch confirm``, ``pause``, ``resume``, ``cancel`` and ``retry``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias

from cyclopts import Parameter

from conveyor._cli.batches.parameters import BatchId, By
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from conveyor._app import Conveyor
    from conveyor._handles.batch_job import BatchJob

__all__ = ["cancel", "confirm", "pause", "resume", "retry"]

_DEFAULTS: Final = StoreOptions()

Verb: TypeAlias = Literal["confirm", "pause", "resume", "cancel", "retry"]
Reason: TypeAlias = Annotated[str | None, Parameter(help="Why, in words; kept with the batch job.")]
# These add a job that goes on with it, which only an app that knows the type may do.
_ADDING: Final = frozenset[Verb]({"confirm", "resume", "retry"})


class _Said(NamedTuple):
    by: str | None
    reason: str | None
    failed_rows: bool = False
    force: bool = False


def confirm(
    batch_id: BatchId,
    /,
    *,
    by: By = None,
    reason: Reason = None,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Let a batch job be processed that waits for somebody to look at it."""
    return _change("confirm", batch_id, _Said(by, reason), options)


def pause(
    batch_id: BatchId,
    /,
    *,
    by: By = None,
    reason: Reason = None,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Let a batch job stop where it is, within a chunk of rows."""
    return _change("pause", batch_id, _Said(by, reason), options)


def resume(
    batch_id: BatchId,
    /,
    *,
    by: By = None,
    reason: Reason = None,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Let a batch job go on where it was paused."""
    return _change("resume", batch_id, _Said(by, reason), options)


def cancel(
    batch_id: BatchId,
    /,
    *,
    by: By = None,
    reason: Reason = None,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """End a batch job, within a chunk of rows; what is done stays done."""
    return _change("cancel", batch_id, _Said(by, reason), options)


def retry(
    batch_id: BatchId,
    /,
    *,
    failed_rows: Annotated[
        bool,
        Parameter(
            name="--failed-rows",
            negative="",
            show_default=False,
            help="Create another of the rows that failed in one that has ended, and print its id.",
        ),
    ] = False,
    force: Annotated[
        bool,
        Parameter(
            name="--force",
            negative="",
            show_default=False,
            help="With --failed-rows: also where they were tried again.",
        ),
    ] = False,
    by: By = None,
    reason: Reason = None,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Let a batch job that failed go on where it was, or try its failed rows again, once."""
    return _change("retry", batch_id, _Said(by, reason, failed_rows, force), options)


def _change(verb: Verb, batch_id: str, said: _Said, options: StoreOptions) -> int:
    import anyio

    from conveyor._cli.batches.parameters import person

    return anyio.run(_run, verb, batch_id, said._replace(by=person(said.by)), options)


async def _run(verb: Verb, batch_id: str, said: _Said, options: StoreOptions) -> int:
    from conveyor._cli.batches.ids import meant
    from conveyor._cli.batches.known_types import check_works_on
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only
    from conveyor._cli.output import say, show_record
    from conveyor.model.batches.status import STOPPING_STATUSES

    async with looking_only(find_operated_app(options)) as app:
        batch = await meant(app, batch_id)
        if verb in _ADDING:
            check_works_on(app, batch)
        batch = await _changed(app, batch, verb, said)
        if verb == "cancel" and batch.batch_type not in app.batches.types():
            say(f"this app has no strategy of type {batch.batch_type!r}, so none was told of it by this command")
    record: dict[str, Any] = {"id": batch.id, "status": str(batch.status)}
    if said.failed_rows:
        record["parent_id"] = batch.parent_id
    show_record(record, options.output)
    if said.failed_rows:
        say(f"see how it goes: conveyor batch watch {batch.id}")
    if batch.status in STOPPING_STATUSES:
        say(f"its worker stops within a chunk of rows; see when: conveyor batch watch {batch.id}")
    return 0


async def _changed(app: Conveyor, batch: BatchJob, verb: Verb, said: _Said) -> BatchJob:
    if verb == "retry":
        return await _retried(app, batch, said)
    change = {"confirm": batch.confirm, "pause": batch.pause, "resume": batch.resume, "cancel": batch.cancel}[verb]
    return await change(said.by, said.reason)


async def _retried(app: Conveyor, batch: BatchJob, said: _Said) -> BatchJob:
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor.errors import DuplicateBatchJobError
    from conveyor.model.batches.status import BatchStatus

    if not said.failed_rows and batch.status is BatchStatus.COMPLETED_WITH_ERRORS:
        what = f"batch job {batch.id!r} is completed, but for its bad rows"
        raise CommandError(ExitCode.REFUSED, what, "to try these again, as another batch job: --failed-rows")
    try:
        return await app.batches.retry(batch.id, said.by, said.reason, failed_rows=said.failed_rows, force=said.force)
    except DuplicateBatchJobError as exc:
        if said.failed_rows:
            what = f"batch job {exc.existing_id!r} took up these rows already"
            raise CommandError(ExitCode.REFUSED, what, "if they are to be done once more, add --force") from exc
        what = f"batch job {exc.existing_id!r} is the same, and was created since this one failed"
        raise CommandError(ExitCode.REFUSED, what, "if it is to be done again, create it anew, with --force") from exc
