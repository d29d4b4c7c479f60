"""Watching: what happens from now on, gathered for one reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.checks import check_integer
from conveyor.model.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractAsyncContextManager

    from conveyor._services.event_buffer import EventBuffer
    from conveyor._services.services import Services
    from conveyor.model.events import EventRecord

__all__ = ["BUFFERED", "parse_kinds", "watch", "watch_jobs"]

BUFFERED: Final = 1000


def watch(
    services: Services,
    queue_name: str = "",
    *,
    job_id: str | None = None,
    kinds: Collection[EventKind | str] | None = None,
    buffer: int = BUFFERED,
) -> AbstractAsyncContextManager[EventBuffer]:
    """Gather what happens in a queue, or in all, maybe to one job, maybe of some kinds.

    Raises:
        ConfigurationError: an unknown kind, or a buffer for less than one event.
        CapabilityError: when entered: the store records no events.
    """
    wanted = None if kinds is None else parse_kinds(kinds)
    if check_integer(buffer, "buffer") < 1:
        raise ConfigurationError(f"buffer must hold at least 1 event, got {buffer}")

    def is_wanted(event: EventRecord) -> bool:
        return (job_id is None or event.job_id == job_id) and (wanted is None or event.kind in wanted)

    return services.feeds.watch(queue_name, is_wanted, buffer)


def watch_jobs(
    services: Services, queue_name: str, job_ids: Collection[str]
) -> AbstractAsyncContextManager[EventBuffer]:
    """Gather that something happened to one of these jobs; what it was is seen by looking at it.

    More of them may come while it is watched.
    """
    return services.feeds.watch(queue_name, lambda event: event.job_id in job_ids, 1)


def parse_kinds(kinds: Collection[EventKind | str]) -> frozenset[EventKind]:
    """Return the kinds of these names.

    Raises:
        ConfigurationError: one is unknown.
    """
    if isinstance(kinds, str):
        raise ConfigurationError(f"kinds must be several, as in ['completed', 'failed'], got {kinds!r}")
    known = [str(kind) for kind in EventKind]
    for kind in kinds:
        if kind not in known:
            raise ConfigurationError(f"there is no event {str(kind)!r}: {did_you_mean(str(kind), known)}")
    return frozenset(EventKind(kind) for kind in kinds)
