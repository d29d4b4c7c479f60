"""Creating batch jobs: what is wanted is prepared and checked by the strategy before anything is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import uuid_utils

from conveyor._services.batches.jobs import check_batch_id, new_work, pre_process_name
from conveyor._services.batches.params import check_params
from conveyor._services.batches.sealing import encoded, opened_context, sealed
from conveyor._services.batches.strategies import CREATE
from conveyor.codec import encode_json
from conveyor.errors import BatchJobError, ConfigurationError
from conveyor.model.batches.options import CreateOptions, identity_of, identity_of_bad_rows
from conveyor.model.batches.values import NewBatchJob, RowOutcome
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.retry import exponential

if TYPE_CHECKING:
    from conveyor._services.services import Services
    from conveyor.model.batches.values import BatchJobData

__all__ = ["create", "create_of_bad_rows", "new_creation"]

# Each attempt may meet a worker that does not know the type yet, for about the ten minutes that a deploy takes.
CREATION: Final = JobOptions(attempts=8, backoff=exponential("5s", max="5 minutes"))


async def create(
    services: Services,
    batch_type: str,
    context: Mapping[str, Any],
    options: CreateOptions,
    *,
    request: Mapping[str, Any] | None = None,
    batch_id: str | None = None,
) -> BatchJobData:
    """Create a batch job; the same again under the same id is that one.

    Raises:
        BatchJobError: no strategy is of the type, or the context is no mapping of what JSON has.
        DuplicateBatchJobError: another has the id, or is the same and it is not forced.
        CapabilityError: the store has no batch jobs.
        ConfigurationError: the request is no mapping.
    """
    if request is not None and not isinstance(request, Mapping):
        raise ConfigurationError(f"request must be a mapping or None, got {request!r}")
    strategy = services.batches.get(batch_type)
    store = services.batch_store("app.batches.create()")
    batch_id = str(uuid_utils.uuid7()) if batch_id is None else check_batch_id(batch_id)
    # What cannot be kept is refused before the strategy sees it.
    encoded(context, "context", batch_id, batch_type)
    prepared = await strategy.hooks.prepare_batch_job_for_processing(dict(context), request)
    kept = encoded(prepared, "context", batch_id, batch_type)
    await strategy.hooks.validate_context(prepared)
    compared = await strategy.hooks.identify(prepared) if strategy.identifying else prepared
    identity = identity_of(compared, strategy.identifying, batch_type=batch_type)
    new = NewBatchJob(
        batch_id,
        batch_type,
        sealed(services, kept, "batch context", batch_id, batch_type),
        dry_run=options.dry_run,
        confirmation=strategy.confirmation if options.confirmation is None else options.confirmation,
        created_by=options.created_by,
        # A dry run is no reason to refuse the real one.
        identity=None if options.force or options.dry_run else identity,
    )
    return await store.create_batch(new, new_work(services, batch_id, pre_process_name(batch_type)))


async def create_of_bad_rows(
    services: Services, parent: BatchJobData, *, by: str | None, force: bool = False
) -> BatchJobData:
    """Create a batch job of the rows of another that failed: what it is to do is what that one was.

    Raises:
        BatchJobError: that one goes on yet, or no row of it failed, or no strategy is of its type.
        DuplicateBatchJobError: another took these rows up, and neither failed nor was cancelled; it is not forced.
    """
    services.batches.get(parent.batch_type)
    if not parent.status.is_ended or not parent.counts.get(RowOutcome.FAILED):
        why = "no row of it failed" if parent.status.is_ended else f"it is {parent.status}"
        raise BatchJobError(
            f"batch job {parent.id!r} has no failed rows to try again: {why}",
            batch_id=parent.id,
            batch_type=parent.batch_type,
        )
    batch_id = str(uuid_utils.uuid7())
    context = encoded(opened_context(services, parent), "context", batch_id, parent.batch_type)
    new = NewBatchJob(
        batch_id,
        parent.batch_type,
        sealed(services, context, "batch context", batch_id, parent.batch_type),
        dry_run=parent.dry_run,
        confirmation=parent.confirmation,
        created_by=by,
        identity=None if force or parent.dry_run else identity_of_bad_rows(parent.id),
        parent_id=parent.id,
    )
    store = services.batch_store("app.batches.retry()")
    return await store.create_batch(new, new_work(services, batch_id, pre_process_name(parent.batch_type)))


def new_creation(services: Services, batch_type: str, context: Mapping[str, Any], options: CreateOptions) -> NewJob:
    """Make a job that creates a batch job once it runs, under its own id.

    Raises:
        BatchJobError: no strategy is of the type, or the context is no mapping of what JSON has, or does not fit.
    """
    strategy = services.batches.get(batch_type)
    job_id = str(uuid_utils.uuid7())
    encoded(context, "context", job_id, batch_type)
    check_params(strategy.given, context)
    arguments = {
        "batch_type": batch_type,
        "batch_context": dict(context),
        "dry_run": options.dry_run,
        "created_by": options.created_by,
        "confirmation": options.confirmation,
        "force": options.force,
    }
    return NewJob(job_id, services.batches.queue_name, CREATE, encode_json(arguments), CREATION)
