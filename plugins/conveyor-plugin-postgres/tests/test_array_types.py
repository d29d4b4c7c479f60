"""What connections know of arrays is what the server would have told them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import asyncpg
import pytest
from conveyor_plugin_postgres.array_types import know_arrays

pytestmark = pytest.mark.anyio

NOW: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)
VALUES: Final = {
    "bool": [True, None, False],
    "bytea": [b"\x00,{", b""],
    "int4": [-(2**31), 7],
    "int8": [2**62, None],
    "timestamptz": [NOW, None],
    "interval": [timedelta(days=3, microseconds=1)],
}


@pytest.fixture
def anyio_backend() -> str:
    """It is about the driver."""
    return "asyncio"


def note(asked: list[str], record: Any) -> None:
    """Note what the server was asked."""
    asked.append(record.query)


async def test_arrays_go_and_come_without_a_question_about_their_types(server_url: str) -> None:
    connection: Any = await asyncpg.connect(server_url)
    asked: list[str] = []
    connection.add_query_logger(partial(note, asked))
    await know_arrays(connection)
    statement = f"select {', '.join(f'${place}::{kind}[]' for place, kind in enumerate(VALUES, 1))}"
    came = await connection.fetchrow(statement, *VALUES.values())
    await connection.close()
    assert list(came) == list(VALUES.values())
    assert asked == [statement]


async def test_an_array_that_nobody_told_of_is_asked_about(server_url: str) -> None:
    """As long as the server is asked about others, the test above sees it."""
    connection: Any = await asyncpg.connect(server_url)
    asked: list[str] = []
    connection.add_query_logger(partial(note, asked))
    assert await connection.fetchval("select $1::int2[]", [3]) == [3]
    await connection.close()
    assert [query for query in asked if "typeinfo_tree" in query]
