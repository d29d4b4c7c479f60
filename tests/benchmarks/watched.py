"""What a job costs while somebody watches its queue, beside one that nobody watches: added, locked and settled."""

from __future__ import annotations

import secrets
import statistics
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.contracts.store import EventStore, Store
    from conveyor.model.job import JobData

__all__ = ["measure_watched"]

JOBS: Final = 2000
ROUNDS: Final = 5
AT_ONCE: Final = 50
LOCK: Final = timedelta(minutes=5)
OPTIONS: Final = JobOptions()
# Added, active and completed.
EVENTS_PER_JOB: Final = 3


async def measure_watched(url: str) -> Mapping[str, float]:
    """Return microseconds per job from the add to its end, and per event that is read."""
    samples: dict[str, list[float]] = {"watched_none_us": [], "watched_us": [], "events_read_us": []}
    async with open_store(url) as store:
        events = store.events
        assert events is not None
        for _ in range(ROUNDS):
            samples["watched_none_us"].append(await _time(store, "unwatched"))
            cursor = (await events.watch_events("bench", "watched", LOCK)).cursor
            samples["watched_us"].append(await _time(store, "watched"))
            samples["events_read_us"].append(await _time_reading(events, cursor))
            await events.unwatch_events("bench")
            await events.prune_events()
    return {name: statistics.median(series) for name, series in samples.items()}


async def _time(store: Store, queue_name: str) -> float:
    session = SessionInfo(secrets.token_hex(16), hostname="bench", pid=1, backend="bench", queue_names=(queue_name,))
    await store.sessions.open(session, LOCK)
    new = [NewJob(secrets.token_hex(16), queue_name, "noop", b"{}", OPTIONS) for _ in range(JOBS)]
    begun = time.perf_counter()
    await store.jobs.save_jobs(new)
    jobs: Sequence[JobData] = ()
    for number in range(1, JOBS // AT_ONCE + 2):
        settlements = [settle_completed(job, b"1") for job in jobs]
        wants = [Want(queue_name, AT_ONCE)]
        jobs = (await store.jobs.settle_jobs(settlements, wants, session.id, LOCK, fetch_number=number)).jobs
    return (time.perf_counter() - begun) / JOBS * 1e6


async def _time_reading(events: EventStore, cursor: str) -> float:
    begun = time.perf_counter()
    count = 0
    while (page := await events.read_events("watched", cursor)).events:
        count, cursor = count + len(page.events), page.cursor
    assert count == JOBS * EVENTS_PER_JOB
    return (time.perf_counter() - begun) / count * 1e6
