"""Jobs are found by id without a look into every day of the history, and yet whichever day they ended on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest
from conveyor_plugin_postgres import changes, journal, reading, settling
from conveyor_plugin_postgres.ids import made_between
from conveyor_plugin_postgres.part import Part
from conveyor_plugin_postgres.statements import Statements
from plans import Plans

from conveyor.model.job import LogEntry, Progress, ProgressReport
from conveyor.model.locks import Lock, LockToken
from conveyor.model.settlement import RefusalReason
from conveyor.model.states import Command
from conveyor.testing.conformance.workshop import ending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

pytestmark = pytest.mark.anyio

DAYS: Final = 30
# Of the days around the making of an id, and the partition of all other days.
FEW: Final = 5
NOW: Final = datetime.now(UTC)
DAY: Final = timedelta(days=1)
FILL: Final = """
insert into conveyor.history
  (id, seq, queue, name, state, priority, attempts_made, stalled_count, created_at, run_at, finished_at, payload)
values ($1, 1, 'default', 'noop', 'completed', 0, 1, 0, $2, $2, $2, '')
"""


def id_made_at(moment: datetime) -> str:
    """Return an id of version 7."""
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


@pytest.fixture
def anyio_backend() -> str:
    """It is about the database."""
    return "asyncio"


@pytest.fixture
async def connection(empty_url: str) -> AsyncIterator[Any]:
    """A connection to a store whose history has days."""
    connection: Any = await asyncpg.connect(empty_url)
    days = [NOW.date() - timedelta(days=ago) for ago in range(3, DAYS)]
    for day in days:
        await connection.execute("select conveyor.make_partition($1)", day)
    yield connection
    for day in days:
        await connection.execute(f"drop table conveyor.history_{day:%Y%m%d}")
    await connection.close()


async def find(connection: Any, *ids: str) -> set[str]:
    """Return which of these jobs there are."""
    return set(await reading.find_jobs(Part(connection, Statements(), None), ids))


async def test_a_recent_job_is_looked_for_on_few_days(connection: Any) -> None:
    job_id = id_made_at(NOW)
    await connection.execute(FILL, job_id, NOW)
    plans = Plans(connection)
    await plans.watch()
    assert await find(connection, job_id) == {job_id}
    await asyncio.sleep(0)  # the plans arrive beside the answer
    assert 0 < len({name for name in plans.take_tables() if name.startswith("history_")}) <= FEW


@pytest.mark.parametrize("ended_at", [NOW, NOW - 20 * DAY], ids=["ended soon", "ended late"])
@pytest.mark.parametrize(
    "work",
    [reading.get_attempts, changes.remove_job, partial(changes.rerun_job, payload=None), changes.lock_job],
    ids=["get_attempts", "remove_job", "rerun_job", "lock_job"],
)
async def test_what_is_done_with_one_job_touches_its_day_alone(
    connection: Any, work: Callable[..., Coroutine[Any, Any, object]], ended_at: datetime
) -> None:
    job_id = id_made_at(ended_at)
    await connection.execute(FILL, job_id, ended_at)
    plans = Plans(connection)
    await plans.watch()
    for mode in ("force_custom_plan", "force_generic_plan"):
        await connection.execute(f"set plan_cache_mode = {mode}")
        undone = connection.transaction()
        await undone.start()
        await work(Part(connection, Statements(), None), job_id)
        await undone.rollback()
        await asyncio.sleep(0)
        assert 0 < len({name for name in plans.take_tables() if name.startswith("history_")}) <= FEW


async def write_late(part: Part, job_id: str) -> Sequence[object]:
    """Say of a job, which another run has settled, all that a run may say; return what was refused."""
    lock = Lock(job_id, LockToken("f" * 32, 7))
    refused = (await settling.settle_jobs(part, [ending(lock, Command.COMPLETE)])).refused
    reported = await journal.set_progress(part, [ProgressReport(lock, Progress(1, 2))])
    logged = await journal.append_logs(part, [LogEntry(job_id, "late", lock=lock, attempt=1)])
    return [refusal.reason for refusal in (*refused, *reported, *logged)]


async def test_what_comes_too_late_is_refused_without_a_look_into_every_day(connection: Any) -> None:
    job_id = id_made_at(NOW)
    await connection.execute(FILL, job_id, NOW)
    plans = Plans(connection)
    await plans.watch()
    assert await write_late(Part(connection, Statements(), None), job_id) == [RefusalReason.LOCK_LOST] * 3
    await asyncio.sleep(0)
    assert 0 < len({name for name in plans.take_tables() if name.startswith("history_")}) <= FEW


async def test_what_became_of_a_job_is_found_with_its_attempts(connection: Any) -> None:
    job_id = id_made_at(NOW)
    await connection.execute(FILL, job_id, NOW - 20 * DAY)
    part = Part(connection, Statements(), None)
    assert await reading.get_attempts(part, job_id) == []
    run = "attempt = 1, outcome = 'completed', session_id = repeat('e', 32), fetch_number = 1"
    await connection.execute(f"update conveyor.history set {run}")
    assert [attempt.number for attempt in await reading.get_attempts(part, job_id)] == [1]


@pytest.mark.parametrize(
    ("job_id", "ended_at"),
    [
        ("order-1", NOW - 20 * DAY),
        (id_made_at(NOW - 20 * DAY), NOW - 20 * DAY),
        (id_made_at(NOW - 20 * DAY), NOW),
        (id_made_at(NOW), NOW - 20 * DAY),
        (id_made_at(NOW), NOW - 200 * DAY),
        ("ffffffff-ffff-7fff-8fff-ffffffffffff", NOW),
        ("00000000-0000-7000-8000-000000000000", NOW),
        ("no-hexadecimal-but-7-and-its-36-long", NOW),
    ],
    ids=["no uuid", "ended soon", "ended late", "made later", "no day of its own", "made never", "1970", "no time"],
)
async def test_a_job_is_found_whatever_its_id_says_of_its_time(
    connection: Any, job_id: str, ended_at: datetime
) -> None:
    await connection.execute(FILL, job_id, ended_at)
    assert await find(connection, job_id) == {job_id}
    assert await find(connection, id_made_at(NOW), job_id, job_id, "nobody") >= {job_id}
    assert await find(connection, "nobody", id_made_at(NOW - DAY)) == set()
    part = Part(connection, Statements(), None)
    assert await write_late(part, job_id) == [RefusalReason.LOCK_LOST] * 3
    assert await write_late(part, "nobody") == [RefusalReason.NOT_FOUND] * 3
    # The same end again as was applied is not refused.
    run = "session_id = repeat('f', 32), fetch_number = 7, outcome = 'completed'"
    await connection.execute(f"update conveyor.history set {run}")
    assert await write_late(part, job_id) == [RefusalReason.LOCK_LOST] * 2


def test_an_id_from_the_future_says_nothing_of_when_its_job_ended() -> None:
    """Or the same add again, days after the job ended, would not find it, and add it twice."""
    first, last = made_between([id_made_at(NOW + 2 * DAY)])
    assert (first.year, last.year) == (1, 9999)
    assert made_between([id_made_at(NOW)])[0] > NOW - 2 * DAY
