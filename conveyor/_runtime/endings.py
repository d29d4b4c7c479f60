"""Endings: what a handler returned or raised, turned into what the store is asked to do."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from attrs import frozen

from conveyor.codec import encode_json
from conveyor.errors import PayloadError, ProcessDiedError
from conveyor.model.outcomes import Cancel, Completed, Failed, Retry, Snooze, WaitForChildren
from conveyor.model.settlement import Settlement, settle, settle_completed, settle_stalled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor.model.job import JobData
    from conveyor.model.retry import Curve

__all__ = ["OUTCOMES", "Endings"]

OUTCOMES: Final = (Completed, Failed, Retry, Snooze, Cancel, WaitForChildren)


@frozen
class Endings:
    """Turns ends of runs into settlements.

    Attributes:
        curves: the app's back-off curves, by name.
        max_stalled: a job fails that took down what it ran in more often than this.
    """

    curves: Mapping[str, Curve]
    max_stalled: int

    def settlement_of(self, job: JobData, value: object, *, is_limited: bool = False) -> Settlement:
        """Return how a run ends that returned an outcome, or a plain value, which completes the job.

        A result that has no JSON, or a curve that fails, fails the job for good. `is_limited` says whether its queue
        has limits, as `settle` wants to know.
        """
        try:
            if value is None:
                return settle_completed(job, None)
            if not isinstance(value, OUTCOMES):
                return settle_completed(job, encode_json(value))
            result = encode_json(value.value) if isinstance(value, Completed) and value.value is not None else None
        except PayloadError as exc:
            hint = "; raise an exception, or return Failed(error)" if isinstance(value, BaseException) else ""
            refused = PayloadError("result", exc.path, exc.reason + hint, name=job.name, job_id=job.id)
            return self.settlement_of(job, Failed(refused, retry=False))
        if isinstance(value, Failed) and isinstance(value.error, ProcessDiedError):
            return settle_stalled(job, value.error, self.max_stalled)
        jitter = random.random()  # noqa: S311 - spreads retries, no secret
        try:
            return settle(job, value, result=result, jitter=jitter, curves=self.curves, is_limited=is_limited)
        except Exception as exc:  # noqa: BLE001 - a back-off curve is user code, or is not registered here
            return settle(job, Failed(exc, retry=False), result=None, jitter=jitter)
