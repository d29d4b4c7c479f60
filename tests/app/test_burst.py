"""A burst: a worker that ends as soon as there is nothing left for it to do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobBuffer, Retry, Snooze, union
from conveyor._app import run_until_signalled
from conveyor._runtime.onlookers import LoggingOnlooker
from conveyor.errors import ConfigurationError
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.testing import open_store
from tests.post_office import Office, PostQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

BRIEF = timedelta(milliseconds=1)


@pytest.fixture
async def app(store_url: str) -> AsyncIterator[Conveyor]:
    """An app over a store that is open already."""
    async with open_store(store_url) as store:
        yield Conveyor(store)


async def burst(app: Conveyor) -> bool:
    """Run one; it must end by itself."""
    with anyio.fail_after(20):
        return await run_until_signalled(app, [], {"concurrency": 3}, LoggingOnlooker(), is_burst=True)


async def test_a_burst_over_a_broker_is_refused_before_anything_runs() -> None:
    office = Office()
    app = Conveyor("memory://", job_queue=PostQueue(office))
    runs: list[int] = []

    @app.queue("work").job()
    async def note(number: int) -> None:
        runs.append(number)

    async with app:
        await note.add(1)
    with pytest.raises(ConfigurationError, match=r"PostQueue cannot tell.*--max-jobs"):
        await burst(app)
    assert (runs, office.handed_back) == ([], [])


async def counts(app: Conveyor, name: str = "work") -> dict[str, int]:
    """Return how many jobs there are, in the states that have any."""
    async with app:
        return {str(state): count for state, count in (await app.queue(name).counts()).items() if count}


async def test_a_burst_runs_what_waits_and_what_that_adds(app: Conveyor) -> None:
    @app.queue("work").job()
    async def split(depth: int) -> None:
        await anyio.sleep(0.001)
        for _ in range(2 if depth else 0):
            await split.add(depth - 1)

    async with app:
        await split.add(4)
    assert await burst(app)
    assert await counts(app) == {"completed": 31}


async def test_a_burst_without_jobs_ends(app: Conveyor) -> None:
    @app.queue("work").job()
    async def nothing() -> None: ...

    assert await burst(app)
    assert await counts(app) == {}


async def test_what_is_due_runs_and_what_comes_later_is_left(app: Conveyor) -> None:
    @app.queue("work").job()
    async def note(number: int) -> None: ...

    async with app:
        await note.options(delay="5ms").add(1)
        await note.options(delay="1 hour").add(2)
        await anyio.sleep(0.01)  # the store's clock, which nobody moves
    await burst(app)
    assert await counts(app) == {"completed": 1, "delayed": 1}


async def test_retries_at_once_run_and_later_ones_are_left(app: Conveyor) -> None:
    @app.queue("work").job(attempts=3)
    async def again(later: str) -> object:
        return Retry(after=0) if later == "now" else Snooze("1 hour")

    async with app:
        await again.add("now")
        await again.add("later")
    await burst(app)
    assert await counts(app) == {"failed": 1, "delayed": 1}


async def test_paused_jobs_are_left(app: Conveyor) -> None:
    @app.queue("work").job()
    async def note() -> None: ...

    @app.queue("other").job()
    async def note_too() -> None: ...

    async with app:
        await note.add()
        await note_too.add()
        await app.queue("work").pause()
    await burst(app)
    assert await counts(app) == {"waiting": 1}
    assert await counts(app, "other") == {"completed": 1}


async def test_what_runs_is_waited_for(app: Conveyor) -> None:
    @app.queue("work").job()
    async def hold() -> str:
        await anyio.sleep(0.2)
        return "done"

    async with app:
        await hold.add()
    await burst(app)
    assert await counts(app) == {"completed": 1}


async def test_suspects_run_too(app: Conveyor) -> None:
    @app.queue("work").job()
    async def note() -> None: ...

    async with app:
        for _ in range(3):
            await note.add()
        store = app._services.store
        await store.sessions.open(SessionInfo("d" * 32, "nowhere", 1, "none"), BRIEF)
        await store.jobs.fetch_jobs([Want("work", 3)], "d" * 32, BRIEF, fetch_number=1)
        await anyio.sleep(0.01)
        await store.jobs.reclaim_stalled_jobs(3)
    await burst(app)
    assert await counts(app) == {"completed": 3}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"max_jobs": 2}, 0),
        ({"flush_on_shutdown": True}, 0),
        ({"max_jobs": 2, "flush_on_shutdown": True}, 0),
        ({"max_age": "1 hour"}, 3),
        ({}, 3),
    ],
)
async def test_a_burst_runs_what_is_in_buffers_that_are_due_or_flushed_at_the_end(
    app: Conveyor, options: dict[str, Any], left: int
) -> None:
    done: list[int] = []

    @app.queue("work").job()
    async def note(numbers: list[int]) -> None:
        done.extend(numbers)

    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=union("numbers"), **options))
    async with app:
        await note.add_many([note.new([number]) for number in range(3)])
    await burst(app)
    async with app:
        assert await app.buffers.buffer_size() == {"b": left}
    assert (sorted(done), await counts(app)) == (([], {}) if left else ([0, 1, 2], {"completed": 1}))


async def test_a_burst_ends_though_a_buffer_cannot_be_flushed(app: Conveyor) -> None:
    tries = 0

    def fail(_: object) -> Any:
        nonlocal tries
        tries += 1
        raise ValueError("no way")

    @app.queue("work").job()
    async def note() -> None: ...

    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=fail, max_jobs=1))
    async with app:
        await note.add()
    await burst(app)
    assert tries <= 2  # the flusher's, and the burst's
    async with app:
        assert await app.buffers.buffer_size() == {"b": 1}
