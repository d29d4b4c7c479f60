"""Whether the strategies of an app can have the parts that they declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.contracts.row_batches import RowBatchStrategy
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from conveyor._services.services import Services
    from conveyor.contracts.store import Store

__all__ = ["check_parts"]


def check_parts(services: Services, store: Store) -> None:
    """Refuse strategies that declare parts, where the store keeps none.

    Raises:
        CapabilityError: one does.
    """
    for strategy in services.batches.all:
        given = strategy.given
        if isinstance(given, RowBatchStrategy) and given.parts > 1 and store.batch_parts is None:
            raise CapabilityError(store.name, "batch_parts", f"{type(given).__name__}.parts")
