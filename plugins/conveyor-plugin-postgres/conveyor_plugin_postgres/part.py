"""One operation's view of the database: a connection, the statements, the time, and the hints to send after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from conveyor.model.events import Notification

if TYPE_CHECKING:
    from datetime import datetime

    from conveyor.model.events import NotificationKind
    from conveyor_plugin_postgres.statements import Statements

__all__ = ["Part", "Row"]

# What asyncpg hands out: the statement decides the types of the columns.
Row: TypeAlias = Any


class Part:
    """What an operation works with. It touches nothing else: it may be run a second time after a rollback."""

    __slots__ = ("_given", "connection", "hints", "statements")

    def __init__(self, connection: Any, statements: Statements, given: datetime | None) -> None:
        """Take a connection, asyncpg's own or of its pool; `given` is the time, where it is not the database's."""
        self.connection = connection
        self.statements = statements
        self.hints: dict[Notification, None] = {}
        self._given = given

    @property
    def moment(self) -> datetime | None:
        """The time as statements take it; None: the database's."""
        return self._given

    async def now(self) -> datetime:
        """Return the time."""
        if self._given is not None:
            return self._given
        now: datetime = await self.connection.fetchval("select clock_timestamp()")
        return now

    async def fetch(self, name: str, *params: object) -> list[Row]:
        """Run a statement by "facet/method" and return its rows."""
        rows: list[Row] = await self.connection.fetch(self.statements[name], *params)
        return rows

    async def fetchrow(self, name: str, *params: object) -> Row | None:
        """Run a statement and return its first row."""
        return await self.connection.fetchrow(self.statements[name], *params)

    async def fetchval(self, name: str, *params: object) -> Any:
        """Run a statement and return the first column of its first row."""
        return await self.connection.fetchval(self.statements[name], *params)

    async def execute(self, name: str, *params: object) -> int:
        """Run a statement and return how many rows it changed."""
        tag: str = await self.connection.execute(self.statements[name], *params)
        return int(tag.rpartition(" ")[2]) if tag[-1:].isdigit() else 0

    def hint(self, kind: NotificationKind, queue_name: str = "", job_id: str = "") -> None:
        """Publish this after the commit; equal hints count as one."""
        self.hints[Notification(kind, queue_name, job_id)] = None
