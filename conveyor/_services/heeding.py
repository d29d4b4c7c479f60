"""Heeding: the options of a job that its job queue strategy does not heed are refused when it is added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor.contracts.job_queue import (
    DeclaringJobQueueStrategy,
    JobQueueCapabilities,
    StoreBackedJobQueueStrategy,
)
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.model.job import NewJob

__all__ = ["Heeding", "capabilities_of"]

NOTHING: Final = JobQueueCapabilities()
EVERYTHING: Final = JobQueueCapabilities(
    has_delays=True, has_retries=True, has_priorities=True, has_expiry=True, has_schedules=True
)

# By capability: the options that need it, and whether a job has them.
_NEEDS: Final[dict[str, tuple[str, Callable[[NewJob], bool]]]] = {
    "has_delays": ("delay= or run_at=", lambda job: job.delay is not None or job.run_at is not None),
    "has_retries": ("attempts=", lambda job: job.options.attempts > 1),
    "has_priorities": ("priority= or lifo=", lambda job: job.options.priority != 0 or job.options.lifo),
    "has_expiry": ("expires=", lambda job: job.expires is not None),
}


def capabilities_of(strategy: JobQueueStrategy) -> JobQueueCapabilities:
    """Return what an open strategy heeds: what it declares; else everything where a store keeps its jobs."""
    if isinstance(strategy, DeclaringJobQueueStrategy):
        return strategy.capabilities
    return EVERYTHING if isinstance(strategy, StoreBackedJobQueueStrategy) else NOTHING


class Heeding:
    """What the strategy of an open app does not heed."""

    def __init__(self, strategy: JobQueueStrategy) -> None:
        """Ask the strategy, which is open."""
        capabilities = capabilities_of(strategy)
        self._name = type(strategy).__name__
        self._missing = [name for name in _NEEDS if not getattr(capabilities, name)]

    def check(self, jobs: Iterable[NewJob]) -> None:
        """Refuse jobs with options that are not heeded.

        Raises:
            CapabilityError: for the first of them.
        """
        if not self._missing:
            return
        for job in jobs:
            for capability in self._missing:
                options, has_them = _NEEDS[capability]
                if has_them(job):
                    raise CapabilityError(self._name, capability, options, kind="job queue")
