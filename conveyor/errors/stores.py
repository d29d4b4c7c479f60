"""What is wrong with the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.errors.configuration import ConveyorError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ConstraintError", "SchemaError", "SessionLostError", "StoreError", "StoreUnavailableError"]


class StoreError(ConveyorError):
    """The store refused or failed, and asking again does not help; the driver's own error is ``__cause__``.

    It is damaged, is no store, has another schema, is closed, or refuses this one statement. A worker that meets it
    in its own work ends with it, and `Job.result` raises it.
    """


class StoreUnavailableError(StoreError):
    """The store cannot be used at the moment: it is unreachable, busy, full, read-only or gone.

    It passes by itself, or an operator can mend it while the program waits. So a worker keeps what it has to write and
    tries again for as long as it takes; your own calls raise it at once. Whether a call that raised it took effect is
    not known; each can be repeated.
    """


class ConstraintError(StoreError):
    """The database refuses what a user's own statement writes: a constraint of a table speaks against it.

    Attributes:
        kind: "unique", "not_null", "foreign_key", "check", or "other".
        columns: of which columns, as the driver says it; empty: it does not.
    """

    def __init__(self, message: str, kind: str, columns: Iterable[str] = ()) -> None:
        self.kind = kind
        self.columns: tuple[str, ...] = tuple(columns)
        super().__init__(message)


class SessionLostError(StoreError):
    """The store knows no such worker session: it was cleared away as dead, or never opened. Nothing was fetched.

    A worker opens its session again by itself; only who calls a store's verbs meets this.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"there is no worker session {session_id!r}; open it (again) before fetching")


class SchemaError(StoreError):
    """The store's schema is not the one this version of conveyor needs."""

    def __init__(self, found: int, wanted: int, *, is_unrecorded: bool = False) -> None:
        self.found = found
        self.wanted = wanted
        self.is_unrecorded = is_unrecorded
        if is_unrecorded:
            super().__init__(
                "the store has tables of conveyor's, but no note of the migrations that made them: their SQL was run "
                "without its last lines, or stopped midway; drop them and run: conveyor store migrate; or, where they "
                "are complete, add the notes that `conveyor store sql` prints"
            )
            return
        is_old = found < wanted
        mend = "run: conveyor store migrate" if is_old else "upgrade conveyor: a newer one migrated the store"
        super().__init__(f"the store's schema is at version {found}, this conveyor needs {wanted}; {mend}")
