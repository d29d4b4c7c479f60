"""Ends of deliveries: what a settlement means to a strategy that only knows "done" and "again"."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from conveyor.errors import CapabilityError, ConveyorInternalError
from conveyor.model.job import AttemptOutcome, error_info
from conveyor.model.settlement import as_discarded
from conveyor.model.states import Command

if TYPE_CHECKING:
    from conveyor.contracts.job_queue import Delivery, JobQueueCapabilities
    from conveyor.model.job import JobData
    from conveyor.model.settlement import Settlement

__all__ = ["NO_WAIT", "apply"]

NO_WAIT: Final = timedelta(0)
_ENDS: Final = frozenset({Command.COMPLETE, Command.FAIL, Command.STOP, Command.GIVE_UP})


async def apply(delivery: Delivery, job: JobData, settlement: Settlement, capabilities: JobQueueCapabilities) -> None:
    """Settle a delivery, or hand it back.

    A strategy without delays retries at once, and fails what snoozes. It counts no stalls: a run that took down what
    it ran in is an attempt. Nothing can wait for children.

    Raises:
        LockLostError, StoreUnavailableError: as the delivery does.
    """
    fitting = _fitting(job, settlement, capabilities)
    if fitting.command in _ENDS:
        await delivery.settle(fitting)
    elif fitting.command in (Command.RETRY, Command.DELAY):
        await delivery.hand_back(fitting.delay, is_counted=fitting.is_counted)
    else:
        raise ConveyorInternalError(f"a delivery cannot end by {fitting.command!r}")


def _fitting(job: JobData, settlement: Settlement, capabilities: JobQueueCapabilities) -> Settlement:
    if settlement.command is Command.WAIT_FOR_CHILDREN:
        return _refused(job, settlement, "flows", "waiting for children")
    if settlement.command is Command.RECLAIM:
        return _as_attempt(job, settlement)
    if settlement.command is Command.DELAY and not capabilities.has_delays:
        if settlement.outcome is AttemptOutcome.SNOOZED:
            return _refused(job, settlement, "has_delays", "a snooze")
        return evolve(settlement, command=Command.RETRY, delay=NO_WAIT)
    return settlement


def _as_attempt(job: JobData, settlement: Settlement) -> Settlement:
    if job.attempts_made + 1 >= job.options.attempts:
        return as_discarded(settlement, job.options)
    return evolve(settlement, command=Command.RETRY, outcome=AttemptOutcome.RETRIED, is_counted=True)


def _refused(job: JobData, settlement: Settlement, capability: str, needed_by: str) -> Settlement:
    error = CapabilityError(job.queue_name, capability, needed_by, kind="job queue of queue")
    return evolve(as_discarded(settlement, job.options), is_counted=True, error=error_info(error))
