"""Served queues: which of an app's queues a worker of this process serves, and what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._services.heeding import capabilities_of
from conveyor._services.settings import find_active_queues
from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.checks import check_name
from conveyor.model.queries import QueueStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._services.services import Services

__all__ = ["check_active", "served_weights", "statuses"]


def check_active(names: Sequence[str]) -> Sequence[str]:
    """Return names of queues.

    Raises:
        ConfigurationError: they are no list of names.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"active_queues must be a list of names, got {names!r}")
    return tuple(check_name(name, "queue name") for name in names)


def served_weights(
    services: Services, asked: Mapping[str, int], *, prefix: str, active: Sequence[str]
) -> Mapping[str, int]:
    """Return the queues that a worker is to serve, and their weights.

    Args:
        services: the app's.
        asked: names, with or without the prefix; none: all that have a handler and are active.
        prefix: stands before the name of each queue.
        active: the queues that this process may serve, without the prefix; none: what the settings say, else all.

    Raises:
        ConfigurationError: there is none to serve, or one has no handler, is not active, or has no proper weight.
    """
    known = services.handlers.queue_names()
    may_serve = _active(known, prefix, active)
    if not asked:
        asked = dict.fromkeys((name for name in known if name in may_serve), 1)
    if not asked:
        if known:
            raise ConfigurationError(f"none of the active queues has a handler here; these have: {', '.join(known)}")
        raise ConfigurationError("no queue of this app has a handler; decorate a function with @queue.job()")
    return {_served(name, known, may_serve, prefix): _weight(name, weight) for name, weight in asked.items()}


def _active(known: Mapping[str, None], prefix: str, active: Sequence[str]) -> frozenset[str]:
    if not active:
        found = find_active_queues()
        active = () if found is None else check_active(found[0])
    return frozenset(prefix + name for name in active) if active else frozenset(known)


def _served(name: str, known: Mapping[str, None], may_serve: frozenset[str], prefix: str) -> str:
    full = name if name in known else prefix + name
    if full not in known:
        raise ConfigurationError(f"queue {name!r} has no handler: {did_you_mean(name, known)}")
    if full not in may_serve:
        raise ConfigurationError(f"queue {name!r} is not one of the active queues: {', '.join(sorted(may_serve))}")
    return full


def _weight(name: str, weight: int) -> int:
    if isinstance(weight, bool) or not isinstance(weight, int) or weight < 1:
        raise ConfigurationError(f"the weight of queue {name!r} must be a whole number of at least 1")
    return weight


def statuses(services: Services, named: Sequence[str]) -> list[QueueStatus]:
    """Return what this process knows of the queues that were named or have handlers, in that order."""
    names = dict.fromkeys((*named, *services.handlers.queue_names()))
    at_once = services.is_open and capabilities_of(services.job_queue).runs_at_once
    return [
        QueueStatus(name, tuple(services.handlers.names(name)), at_once or services.serving[name] > 0) for name in names
    ]
