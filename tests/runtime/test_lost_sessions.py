"""A worker whose session the store has lost opens it again and goes on; what else a store refuses ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor
from conveyor.errors import StoreError
from conveyor.testing.faults import FaultyStore
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from conveyor.contracts.store import Store
    from conveyor.testing.faults import FaultKind, StoreCall

pytestmark = pytest.mark.anyio


async def lose_sessions(store: Store) -> None:
    """Let a store forget its workers."""
    for session in await store.sessions.list_sessions():
        await store.sessions.close(session.id)


@pytest.mark.parametrize("scheme", ["memory://", "sqlite:///{}/jobs.db"])
async def test_a_worker_opens_a_session_that_was_lost_again(
    scheme: str, tmp_path: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(scheme.format(tmp_path)) as store, Conveyor(store) as app:

        @app.queue("work").job()
        async def note() -> str:
            return "ran"

        async with app.worker():
            assert await (await note.add()).result(timeout=10) == "ran"
            await lose_sessions(store)
            assert await (await note.add()).result(timeout=10) == "ran"
    assert "forgot the session" in caplog.text


async def test_what_a_worker_settles_as_it_finds_its_session_lost_is_settled_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_store("memory://") as store, Conveyor(store) as app:
        ended: list[int] = []

        @app.queue("work").job()
        async def note(number: int) -> str:
            ended.append(number)
            if ended == [1]:
                await lose_sessions(store)
            return "ran"

        jobs = await note.add_many([note.new(number) for number in (1, 2, 3)])
        async with app.worker(concurrency=1, prefetch=0):
            for job in jobs:
                assert await job.result(timeout=10) == "ran"
    assert "refused a batch" not in caplog.text
    assert ended == [1, 1, 2, 3], "the lock of the first run was lost with the session"


async def test_a_fetch_that_is_refused_for_another_reason_ends_the_worker_at_once() -> None:
    asked: list[str] = []

    def refuse(call: StoreCall, /) -> FaultKind | None:
        if call.verb == "fetch_jobs":
            asked.append(call.verb)
            raise StoreError("the database is damaged")
        return None

    async with open_store("memory://") as store, Conveyor(FaultyStore(store, refuse)) as app:

        @app.queue("work").job()
        async def note() -> None: ...

        with pytest.raises(StoreError, match="the database is damaged"):
            await _work_for_ever(app)
    assert asked == ["fetch_jobs"]


async def _work_for_ever(app: Conveyor) -> None:
    async with app.worker():
        await anyio.sleep_forever()
