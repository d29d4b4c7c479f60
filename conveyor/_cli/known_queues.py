"""Which queues there are, and an error for a name that is none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.opening import services_of
from conveyor._services.elsewhere import ElsewhereStore
from conveyor.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conveyor._app import Conveyor

__all__ = ["check_queues", "is_elsewhere"]


def is_elsewhere(app: Conveyor) -> bool:
    """Return whether an open app's job queue keeps its jobs in no store."""
    return isinstance(services_of(app).store, ElsewhereStore)


async def check_queues(app: Conveyor, names: Iterable[str], advice: str = "") -> None:
    """Check that the store or the open app knows these queues; a store that cannot tell knows them all.

    Raises:
        CommandError: it does not know one, with exit code 3.
    """
    services = services_of(app)
    inspection = services.store.inspection
    if inspection is None or is_elsewhere(app):
        return
    known = {queue.name for queue in await inspection.list_queues()} | set(services.handlers.queue_names())
    for name in names:
        if name not in known:
            what = f"no queue {name!r} in {services.store.name}: {did_you_mean(name, known)}"
            raise CommandError(ExitCode.NOT_FOUND, what, advice or "see which there are: conveyor queues list")
