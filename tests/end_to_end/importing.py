"""What programs import that say where they are: whoever reads that can kill them there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from conveyor import ErrorPolicy, RowBatchStrategy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor import RowContext
    from conveyor.contracts.store import TransactionConnection

__all__ = ["BATCH_ID", "Import", "Params", "Product", "is_bad", "say", "write"]

BATCH_ID = "import"


@frozen
class Product:
    """A row."""

    number: int


@frozen
class Params:
    """How many there are."""

    rows: int


def is_bad(number: int) -> bool:
    """Whether the database refuses this row."""
    return number % 97 == 0


class Import(RowBatchStrategy[Product, Params]):
    """Writes numbers into a table which would keep a number twice, and refuses those that are below zero."""

    identifier = "import"
    batch_type = "products"
    row = Product
    params = Params
    chunk_size: ClassVar[int] = 100
    chunk_seconds: ClassVar[float] = 0.1
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.skip()

    async def throttle(self, context: RowContext[Params], /) -> None:
        """Say that a chunk begins."""
        say("chunk")

    async def source(self, context: RowContext[Params], cursor: Any, /) -> AsyncIterator[tuple[Product, Any]]:
        """Yield numbers, bad ones negative."""
        for number in range((cursor or 0) + 1, context.params.rows + 1):
            yield Product(-number if is_bad(number) else number), number

    async def process(self, rows: Sequence[Product], context: RowContext[Params], /) -> None:
        """Write numbers, and say so."""
        await write(context.connection, rows)


async def write(connection: TransactionConnection, rows: Sequence[Product]) -> None:
    """Write numbers, and say where that is."""
    say("write")
    await connection.executemany("INSERT INTO products VALUES (?)", [(row.number,) for row in rows])
    say("written")


def say(where: str) -> None:
    """Print a line that is read at once."""
    sys.stdout.write(f"{where}\n")
    sys.stdout.flush()
