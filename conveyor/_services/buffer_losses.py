"""What may be lost of buffered jobs is told when there is a buffer, and what is lost when the app closes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from conveyor._services.buffers import get_sizes, is_in_store
from conveyor._services.heeding import capabilities_of
from conveyor.contracts.buffer_storage import DeclaringBufferStorage, TransactionalBufferStorage
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from conveyor._services.services import Services

__all__ = ["tell_what_is_lost", "tell_what_may_be_lost"]

logger: Final = logging.getLogger("conveyor.buffers")


def tell_what_may_be_lost(services: Services) -> None:
    """Warn of buffered jobs that end with the process, though others do not, and of those that a flush may lose."""
    storage = services.buffers.storage
    name = type(storage).__name__
    if _is_lossy(services):
        logger.warning(
            "buffer storage %s keeps jobs in memory: they are lost when this process stops, though %s keeps its jobs%s",
            name,
            *_keeper(services),
        )
    if not isinstance(storage, TransactionalBufferStorage):
        logger.warning(
            "buffer storage %s clears a buffer before its jobs are added: those that it cleared are lost where "
            "this process dies in between",
            name,
        )


async def tell_what_is_lost(services: Services) -> None:
    """Warn of what is in buffers as the app closes, where nobody will find it, though the queues' jobs are kept."""
    if not _is_lossy(services):
        return
    try:
        sizes = await get_sizes(services)
    except CapabilityError:
        # The store keeps no buffers.
        return
    except Exception:
        logger.exception("what is in buffers, and is lost when this process stops, could not be counted")
        return
    for buffer_id, size in sizes.items():
        logger.warning("buffer %s is in memory: its %d jobs are lost when this process stops", buffer_id, size.jobs)


def _is_lossy(services: Services) -> bool:
    storage = services.buffers.storage
    return isinstance(storage, DeclaringBufferStorage) and not storage.is_durable and _is_durable(services)


def _is_durable(services: Services) -> bool:
    if is_in_store(services):
        return services.store.capabilities.is_durable
    return capabilities_of(services.job_queue).is_durable


def _keeper(services: Services) -> tuple[str, str]:
    """Return who keeps the jobs of queues, and how to have both kept."""
    if is_in_store(services):
        return services.store.name, '; buffer_storage="store" keeps both'
    return type(services.job_queue).__name__, '; a durable store, and buffer_storage="store", keep both'
