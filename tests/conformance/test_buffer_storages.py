"""The kit of buffer storages on those in the box, and on one in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor import InMemoryJobBufferStorageStrategy
from conveyor._builtin.store_buffer import StoreBufferStorage
from conveyor.testing.conformance.buffer_storage import BufferStorageConformance, MakeStorage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor import NewJob
    from conveyor.contracts.strategy import Injector


class TestMemory(BufferStorageConformance):
    """In memory, which loses jobs with the process."""

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        return InMemoryJobBufferStorageStrategy


class TestMemoryStore(BufferStorageConformance):
    """In the app's store, in memory."""

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        return StoreBufferStorage


class TestSqliteStore(TestMemoryStore):
    """In the app's store, in a file."""

    @pytest.fixture
    def store_url(self, sqlite_url: str) -> str:
        return sqlite_url

    @pytest.fixture
    def is_shared(self) -> bool:
        return True


class Listed:
    """A storage as anybody would write it: one list."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, NewJob]] = []

    async def init(self, injector: Injector, /) -> None: ...

    async def destroy(self) -> None: ...

    async def add(self, buffer_id: str, job: NewJob, /) -> NewJob:
        self.rows.append((buffer_id, job))
        return job

    async def buffer_size(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, int]:
        found = [id for id, _ in self.rows if not buffer_ids or id in buffer_ids]
        return {id: found.count(id) for id in found}

    async def flush(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, Sequence[NewJob]]:
        found: dict[str, list[NewJob]] = {}
        for id, job in self.rows:
            if not buffer_ids or id in buffer_ids:
                found.setdefault(id, []).append(job)
        self.rows = [row for row in self.rows if row[0] not in found]
        return found


class TestListed(BufferStorageConformance):
    """One's own, in a few lines."""

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        return Listed
