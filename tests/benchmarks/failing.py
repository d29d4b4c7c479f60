"""What a run that fails costs beside one that completes: its settling, with the group of its error and without."""

from __future__ import annotations

import secrets
import statistics
import time
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from conveyor.model.error_groups import fingerprint, fingerprinted
from conveyor.model.job import AttemptOutcome, ErrorInfo, NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.settlement import Settlement, settle_completed
from conveyor.model.states import Command
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conveyor.contracts.store import Store
    from conveyor.model.job import JobData

__all__ = ["measure_failing"]

JOBS: Final = 2000
ROUNDS: Final = 9
AT_ONCE: Final = 100
QUEUE: Final = "bench"
LOCK: Final = timedelta(minutes=5)
FRAMES: Final = "".join(
    f'  File "/srv/shop/orders/{name}.py", line {line}, in {name}\n    {name}(order)\n'
    for line, name in enumerate(("handle", "pack", "weigh", "look_up"), start=17)
)


def _error(number: int) -> ErrorInfo:
    message = f"no order {number} of customer 'c{number}'"
    return ErrorInfo("KeyError", message, f"Traceback (most recent call last):\n{FRAMES}KeyError: {message}\n")


def _failed(job: JobData, number: int) -> Settlement:
    assert job.token is not None
    return Settlement(job.id, QUEUE, job.token, Command.FAIL, AttemptOutcome.FAILED, error=_error(number))


def _grouped(job: JobData, number: int) -> Settlement:
    failed = _failed(job, number)
    assert failed.error is not None
    return evolve(failed, error=fingerprinted(failed.error, QUEUE, job.name))


KINDS: Final[Mapping[str, Callable[[JobData, int], Settlement]]] = {
    "settle_completed_us": lambda job, _: settle_completed(job, None),
    "settle_failed_us": _failed,
    "settle_grouped_us": _grouped,
}


async def measure_failing(url: str) -> Mapping[str, float]:
    """Return microseconds of the processor per job: of settling alone, and of finding out what an error is like."""
    samples: defaultdict[str, list[float]] = defaultdict(list)
    errors = [_error(number) for number in range(JOBS)]
    async with open_store(url) as store:
        for _ in range(ROUNDS):
            for name, make in KINDS.items():
                samples[name].append(await _settle(store, make))
            begun = time.process_time()
            for error in errors:
                fingerprint(error, QUEUE, "noop")
            samples["fingerprint_us"].append((time.process_time() - begun) / JOBS * 1e6)
    return {name: statistics.median(series) for name, series in samples.items()}


async def _settle(store: Store, make: Callable[[JobData, int], Settlement]) -> float:
    session = SessionInfo(secrets.token_hex(16), hostname="bench", pid=1, backend="bench", queue_names=(QUEUE,))
    await store.sessions.open(session, LOCK)
    await store.jobs.save_jobs([NewJob(secrets.token_hex(16), QUEUE, "noop", b"{}", JobOptions()) for _ in range(JOBS)])
    spent = 0.0
    for number in range(1, JOBS // AT_ONCE + 1):
        jobs = await store.jobs.fetch_jobs([Want(QUEUE, AT_ONCE)], session.id, LOCK, fetch_number=number)
        settlements = [make(job, place) for place, job in enumerate(jobs)]
        begun = time.process_time()
        report = await store.jobs.settle_jobs(settlements, (), session.id, LOCK)
        spent += time.process_time() - begun
        assert not report.refused
    return spent / JOBS * 1e6
