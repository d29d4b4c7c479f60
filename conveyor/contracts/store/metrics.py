"""The metrics facet: what was counted of runs as they were settled, and how full the queues are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.model.metrics import Metrics

__all__ = ["MetricsStore"]


class MetricsStore(Protocol):
    """A store with this facet counts, in the step of `settle_jobs` itself, each settlement that it applies there.

    Each counts once, in the minute of the store's now, for its queue and name, as `conveyor.model.metrics.tally` says:
    with the outcome that history gets, which is FAILED for a discarded job that asked for another attempt. What was
    refused or applied before counts nothing. `OpenTransaction.commit` counts what it settles, and a reclaim of stalled
    jobs counts a stall for each. Ends without a run, and those that an operator brought about, do not count.
    """

    async def get_metrics(self, window: timedelta | None, /, *, queue_names: Sequence[str] = ()) -> Metrics:
        """Return the depths of these queues (all, where none is named) and their roll-ups, read at one time.

        The spans are those that end after `window` before now, so the first may have begun before; None: all there are.
        The depth of a queue is told though nothing is in it; a queue that is not known is left out.
        """
        ...

    async def roll_up(
        self, minutes_kept: timedelta | None, hours_kept: timedelta | None, /, *, limit: int = 1000
    ) -> int:
        """Add minutes up to hours, and hours to one sum without a time; return how many were, at most `limit`.

        Those of an hour that ended `minutes_kept` ago or longer become that hour, and an hour that ended `hours_kept`
        ago or longer goes into the sum; None keeps them for ever. So what all spans of a name add up to is never less
        than it was, until its queue is obliterated. Two calls at once add up each span once.
        """
        ...
