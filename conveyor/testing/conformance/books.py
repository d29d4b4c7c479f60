"""Books: a table of a user's own beside the jobs, for seeing what a run's transaction wrote."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

import anyio

from conveyor.model.states import Command
from conveyor.testing.conformance.workshop import ending, lock_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.store import OpenTransaction, TransactionConnection, TransactionStore
    from conveyor.model.locks import Lock
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["LONGEST", "Books"]

LONGEST: Final = timedelta(seconds=10)
# A queue of its own, so that whoever looks is in nobody's way.
SHELF: Final = "shelf"
ROLL_BACK_SECONDS: Final = 10


class Books:
    """The table ``books (title)``, and ways to it that every database understands: no placeholders."""

    def __init__(self, workshop: Workshop) -> None:
        """Bind to a store that has transactions."""
        transactions = workshop.store.transactions
        assert transactions is not None, "has_transactions, but transactions is None"
        self.transactions: TransactionStore = transactions
        self._workshop = workshop

    @classmethod
    async def opened(cls, workshop: Workshop) -> Self:
        """Return books with nothing in them, whatever there was before."""
        books = cls(workshop)
        async with books._at_the_shelf() as connection:
            await connection.execute("drop table if exists books")
            await connection.execute("create table books (title text)")
        return books

    @asynccontextmanager
    async def begun(self, lock: Lock, longest: timedelta = LONGEST) -> AsyncIterator[OpenTransaction]:
        """Begin the transaction of a run; where the block does not end it, it is rolled back."""
        transaction = await self.transactions.begin(lock, longest)
        try:
            yield transaction
        finally:
            with anyio.move_on_after(ROLL_BACK_SECONDS, shield=True):
                await transaction.roll_back()

    async def write(self, connection: TransactionConnection, title: str) -> None:
        """Write a title, which must be plain."""
        assert title.replace("-", "").isalnum(), f"{title!r} is not plain"
        assert await connection.execute(f"insert into books (title) values ('{title}')") == 1  # noqa: S608 - see above

    async def titles_in(self, connection: TransactionConnection) -> list[str]:
        """Return the titles in order, as a transaction sees them."""
        rows = await connection.fetch("select title from books order by title")
        return [row["title"] for row in rows]

    async def titles(self) -> list[str]:
        """Return the titles in order, as a later run sees them."""
        async with self._at_the_shelf() as connection:
            return await self.titles_in(connection)

    async def clear(self) -> None:
        """Remove every title."""
        async with self._at_the_shelf() as connection:
            await connection.execute("delete from books")

    @asynccontextmanager
    async def _at_the_shelf(self) -> AsyncIterator[TransactionConnection]:
        """Lend the connection of a run that commits, and leaves no record."""
        await self._workshop.add("looks", queue=SHELF)
        hand = await self._workshop.hand()
        lock = lock_of(await hand.fetch_one(queue=SHELF))
        async with self.begun(lock) as transaction:
            yield transaction.connection
            await transaction.commit(ending(lock, Command.COMPLETE, queue=SHELF, is_removed=True))
        await self._workshop.sessions.close(hand.id)
