"""What a job costs whose queue has limits, and one of a group, beside a plain one: added, locked and settled."""

from __future__ import annotations

import secrets
import statistics
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.model.groups import Group
from conveyor.model.job import NewJob
from conveyor.model.limits import QueueLimits, RateLimit
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import settle_completed
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.contracts.store import Store
    from conveyor.model.job import JobData

__all__ = ["measure_limited"]

JOBS: Final = 2000
ROUNDS: Final = 5
AT_ONCE: Final = 50
GROUPS: Final = 20
LOCK: Final = timedelta(minutes=5)
# Far from both: what is measured is the counting.
WIDE: Final = QueueLimits(max_global_concurrency=JOBS, limiter=RateLimit(10**6, "1s"))


async def measure_limited(url: str) -> Mapping[str, float]:
    """Return microseconds per job from the add to its end, fetched with the settlements of those before it."""
    plain, grouped = [JobOptions()], [JobOptions(group=Group(f"group-{number}")) for number in range(GROUPS)]
    kinds = {"limits_none_us": plain, "limits_queue_us": plain, "limits_groups_us": grouped}
    samples: dict[str, list[float]] = {name: [] for name in kinds}
    async with open_store(url) as store:
        if store.limits is not None:
            await store.limits.set_limits("limits_queue_us", WIDE)
        for _ in range(ROUNDS):
            for name, options in kinds.items():
                samples[name].append(await _time(store, name, options))
    return {name: statistics.median(series) for name, series in samples.items()}


async def _time(store: Store, queue_name: str, options: Sequence[JobOptions]) -> float:
    session = SessionInfo(secrets.token_hex(16), hostname="bench", pid=1, backend="bench", queue_names=(queue_name,))
    await store.sessions.open(session, LOCK)
    new = [
        NewJob(secrets.token_hex(16), queue_name, "noop", b"{}", options[number % len(options)])
        for number in range(JOBS)
    ]
    begun = time.perf_counter()
    await store.jobs.save_jobs(new)
    jobs: Sequence[JobData] = ()
    for number in range(1, JOBS // AT_ONCE + 2):
        settlements = [settle_completed(job, None) for job in jobs]
        wants = [Want(queue_name, AT_ONCE)]
        jobs = (await store.jobs.settle_jobs(settlements, wants, session.id, LOCK, fetch_number=number)).jobs
    return (time.perf_counter() - begun) / JOBS * 1e6
