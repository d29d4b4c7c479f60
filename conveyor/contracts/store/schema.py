"""The schema facet: versioned migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.migrations import Migration, SchemaStatus

__all__ = ["SchemaStore"]


class SchemaStore(Protocol):
    """A store without a schema answers version 0 of 0."""

    async def get_status(self) -> SchemaStatus:
        """Return the version found, the version wanted, and what lies between."""
        ...

    async def migrate(self) -> Sequence[Migration]:
        """Apply what is missing, each step in a transaction; return what was applied.

        Safe to call from several processes at once.

        Raises:
            SchemaError: the schema is newer than this store knows.
        """
        ...
