"""What all tests of a buffer storage stand on: an app over it, and its time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import pytest

from conveyor._app import Conveyor
from conveyor._builtin.store_buffer import StoreBufferStorage
from conveyor.model.buffers.job_buffer import JobBuffer
from conveyor.model.buffers.reducing import union
from conveyor.testing.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.model.job import NewJob

__all__ = ["NAME", "QUEUE", "TAKEN_FOR", "MakeStorage", "StorageKit", "add_buffers", "shown"]

QUEUE: Final = "search"
NAME: Final = "reindex"
TAKEN_FOR: Final = timedelta(minutes=1)


class MakeStorage(Protocol):
    """Makes a storage that is not open yet; all that one test makes share what they keep, where they keep it."""

    def __call__(self) -> JobBufferStorageStrategy:
        """Return it."""
        ...


class StorageKit:
    """The fixtures; see `BufferStorageConformance`."""

    pytestmark: ClassVar[pytest.MarkDecorator] = pytest.mark.anyio

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        """Makes the storage under test: the app's store, where this is not overridden."""
        return StoreBufferStorage

    @pytest.fixture
    def store_url(self) -> str:
        """The store of the app's queues."""
        return "memory://"

    @pytest.fixture
    def is_shared(self) -> bool:
        """Whether what one process keeps there is seen by others; then `make_storage` must be importable by them."""
        return False

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The time of the app and of its store."""
        return ManualClock()

    @pytest.fixture
    def storage(self, make_storage: MakeStorage) -> JobBufferStorageStrategy:
        """The storage under test, which the app opens."""
        return make_storage()

    @pytest.fixture
    def app(self, store_url: str, storage: JobBufferStorageStrategy, clock: ManualClock) -> Conveyor:
        """An app over it, with a buffer that unites what is to be done, and one that collects nothing."""
        app = Conveyor(store_url, buffer_storage=storage, clock=clock)
        add_buffers(app)
        return app

    async def outlast(self, clock: ManualClock, duration: timedelta) -> None:
        """Let so much time go by for the storage. Override it where that has a clock of its own."""
        clock.advance(duration)

    def new(self, app: Conveyor, id: str) -> NewJob:
        """Make a job of this id."""
        return app.queue(QUEUE).new(NAME, {"ids": [id]}, job_id=id)


def add_buffers(app: Conveyor) -> None:
    """Register the buffers of the tests."""
    app.buffers.add_buffer(JobBuffer("b", collect=lambda job: job.name == NAME, reduce=union("ids")))
    app.buffers.add_buffer(JobBuffer("other", collect=lambda _: False, reduce=list))


def shown(flushed: Mapping[str, Sequence[NewJob]]) -> dict[str, list[str]]:
    """Return the ids of jobs by the ids of their buffers."""
    return {id: [job.id for job in jobs] for id, jobs in flushed.items()}
