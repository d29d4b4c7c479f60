"""Endings: what a handler returned or raised, turned into what the store is asked to do."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from conveyor.codec import encode_json
from conveyor.errors import PayloadError
from conveyor.model.outcomes import Cancel, Completed, Failed, Retry, Snooze, WaitForChildren
from conveyor.model.settlement import Settlement, settle, settle_completed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor.model.job import JobData
    from conveyor.model.retry import Curve

__all__ = ["OUTCOMES", "settlement_of"]

OUTCOMES: Final = (Completed, Failed, Retry, Snooze, Cancel, WaitForChildren)


def settlement_of(job: JobData, value: object, curves: Mapping[str, Curve], *, is_limited: bool = False) -> Settlement:
    """Return how a run ends; a result that has no JSON, or a curve that fails, fails the job for good.

    Args:
        job: the job.
        value: an outcome, or a plain value, which completes the job.
        curves: the app's back-off curves, by name.
        is_limited: whether its queue has limits, as `settle` wants to know.
    """
    try:
        if value is None:
            return settle_completed(job, None)
        if not isinstance(value, OUTCOMES):
            return settle_completed(job, encode_json(value))
        result = encode_json(value.value) if isinstance(value, Completed) and value.value is not None else None
    except PayloadError as exc:
        refused = PayloadError("result", exc.path, exc.reason, name=job.name, job_id=job.id)
        return settlement_of(job, Failed(refused, retry=False), curves)
    jitter = random.random()  # noqa: S311 - spreads retries, no secret
    try:
        return settle(job, value, result=result, jitter=jitter, curves=curves, is_limited=is_limited)
    except Exception as exc:  # noqa: BLE001 - a back-off curve is user code, or is not registered here
        return settle(job, Failed(exc, retry=False), result=None, jitter=jitter)
