"""The estimate that goes with what was found before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._runtime.transient import until_available
from conveyor.codec import find_preview, to_json
from conveyor.contracts.row_batches import RowBatchStrategy
from conveyor.model.batches.estimates import estimate_of
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import BatchFilter

if TYPE_CHECKING:
    from conveyor._runtime.batches.run import Run
    from conveyor._runtime.transient import Outage
    from conveyor._services.batches.strategies import Strategy
    from conveyor._services.services import Services

__all__ = ["add_estimate"]

_COMPLETED: Final = (BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_ERRORS)
# Among so many of the last ones those that tell are looked for.
LOOKED_AT: Final = 20


async def add_estimate(services: Services, strategy: Strategy, run: Run, outage: Outage) -> None:
    """Say in a preview how long its rows will take; a result without a preview stays as it is."""
    if find_preview(run.result) is None or run.total is None:
        return
    store = services.batch_store("the estimate of a batch job")
    wanted = BatchFilter(types=(strategy.batch_type,), statuses=_COMPLETED)
    page = await until_available(
        lambda: store.find_batches(wanted, limit=LOOKED_AT), "look at earlier batch jobs", outage
    )
    given = strategy.given
    writes = (
        isinstance(given, RowBatchStrategy) and given.rollback_safe and services.store.capabilities.has_transactions
    )
    estimate = estimate_of(run.total, page.batches, dry_runs_write=writes)
    told = None if estimate is None else to_json(estimate)
    result = run.result or {}
    run.set_result({**result, "preview": {**result["preview"], "estimate": told}})
