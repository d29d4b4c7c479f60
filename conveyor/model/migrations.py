"""Schema migrations as values, and which of them remain to be applied."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from attrs import frozen

from conveyor.errors import SchemaError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Migration", "SchemaStatus", "plan"]


@frozen
class Migration:
    """One numbered step of a store's schema, with the way back.

    Args:
        version: its number.
        name: what it is called.
        up: SQL that takes the step.
        down: SQL that takes it back.
        prepare: SQL, for other tools, that comes before `up` where the store takes the step by itself; harmless again.
        record: SQL, for other tools, that notes the step as taken, so that the store knows of it.
        forget: SQL, for other tools, that removes the note.
        written: `up` as it was written, where it was made to fit one URL since; else empty.
    """

    version: int
    name: str
    up: str
    down: str
    prepare: str = ""
    record: str = ""
    forget: str = ""
    written: str = ""

    @property
    def checksum(self) -> str:
        """The SHA-256 of the step as it was written, so that an edited one is noticed."""
        return hashlib.sha256((self.written or self.up).encode()).hexdigest()


@frozen
class SchemaStatus:
    """Which version a store's schema has (0: none yet), which it should have, and the steps between."""

    found: int
    wanted: int
    pending: tuple[Migration, ...] = ()


def plan(applied: Mapping[int, str], available: Sequence[Migration]) -> tuple[Migration, ...]:
    """Return the migrations still to apply, in order.

    Args:
        applied: version to checksum, as the store recorded them.
        available: what this version of the store ships, in order.

    Raises:
        SchemaError: the store was migrated by a newer version.
        StoreError: a migration was edited after it had been applied.
    """
    wanted = available[-1].version if available else 0
    if applied and max(applied) > wanted:
        raise SchemaError(found=max(applied), wanted=wanted)
    for migration in available:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise StoreError(
                f"migration {migration.version} ({migration.name}) was changed after it had been applied: "
                "restore its file; changes to the schema are new migrations"
            )
    return tuple(migration for migration in available if migration.version not in applied)
