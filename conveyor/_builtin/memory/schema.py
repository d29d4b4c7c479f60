"""The schema facet of the memory store: there is no schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.migrations import SchemaStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.migrations import Migration

__all__ = ["MemorySchema"]


class MemorySchema:
    """Version 0 of 0, always."""

    async def get_status(self) -> SchemaStatus:
        """Return version 0 of 0."""
        return SchemaStatus(found=0, wanted=0)

    async def migrate(self) -> Sequence[Migration]:
        """Apply nothing."""
        return ()
