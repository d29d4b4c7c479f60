"""Buffers in a storage that clears before anything is added: what it does not take back is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor, InMemoryJobBufferStorageStrategy, JobBuffer
from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor import NewJob
    from conveyor.model.buffers.values import BufferedJob

pytestmark = pytest.mark.anyio


class FullStorage(InMemoryJobBufferStorageStrategy):
    """Takes nothing any more once it was flushed."""

    is_flushed = False

    async def add(self, buffer_id: str, job: NewJob, /) -> NewJob:
        if self.is_flushed:
            raise StoreUnavailableError("full")
        return await super().add(buffer_id, job)

    async def flush(self, buffer_ids: Sequence[str] | None = None, /) -> Mapping[str, Sequence[NewJob]]:
        self.is_flushed = True
        return await super().flush(buffer_ids)


async def test_what_a_clearing_storage_does_not_take_back_is_told_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    app = Conveyor("memory://", buffer_storage=FullStorage())

    @app.queue("search").job()
    async def reindex(number: int) -> None: ...

    def fail(_: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        raise ValueError("no")

    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=fail))
    async with app:
        jobs = [await reindex.add(number) for number in range(2)]
        with pytest.raises(StoreUnavailableError, match="full"):
            await app.buffers.flush()
    assert f"2 jobs could not be put back and are lost: {[job.id for job in jobs]}" in caplog.text
