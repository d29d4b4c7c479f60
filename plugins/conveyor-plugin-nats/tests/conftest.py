"""One server for all tests; each has a stream of its own."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

import pytest
from server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS: Final = count(1)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each anyio test once on asyncio and once on trio."""
    backend: str = request.param
    return backend


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server that no test harms."""
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def url(server: Server) -> str:
    """The URL of an empty stream."""
    return f"{server.url}?stream=test-{next(_NUMBERS)}"


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server to kill, and to start again."""
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()
