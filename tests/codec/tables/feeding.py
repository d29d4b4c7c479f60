"""What the tests of tables do with readers: files in blocks to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.codec.tables import TableReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor.codec.tables import TableRow


def blocks_of(data: bytes, size: int) -> Iterator[bytes]:
    """Yield a file in blocks."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def read_all(reader: TableReader, data: bytes, size: int = 1 << 16) -> list[TableRow]:
    """Return every row of a file."""
    return list(rows_of(reader, blocks_of(data, size)))


def rows_of(reader: TableReader, blocks: Iterator[bytes]) -> Iterator[TableRow]:
    """Yield every row of blocks, as they come."""
    for block in blocks:
        yield from reader.feed(block)
    yield from reader.finish()


def read_csv(text: str | bytes, size: int = 1 << 16) -> list[TableRow]:
    """Return every row of a CSV file of which nothing is known."""
    return read_all(TableReader(), text.encode() if isinstance(text, str) else text, size)


def values_of(rows: Sequence[TableRow]) -> list[dict[str, object]]:
    """Return what stands in rows; they are all right."""
    assert [row.error for row in rows] == [None] * len(rows)
    return [dict(row.values) for row in rows]
