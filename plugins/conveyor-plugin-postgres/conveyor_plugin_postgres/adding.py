"""Adding jobs: in bulk, and one by one with what others add at the same time."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
import anyio.lowlevel

from conveyor.codec import encode_options
from conveyor.errors import ConveyorInternalError
from conveyor.model.deduplication import add_digest
from conveyor.model.events import NotificationKind
from conveyor.model.queries import Added, AddReceipt
from conveyor_plugin_postgres.ids import made_between
from conveyor_plugin_postgres.reading import find_jobs
from conveyor_plugin_postgres.rows import interval

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.model.job import NewJob
    from conveyor_plugin_postgres.part import Part, Row

    # Adds jobs in one statement.
    Send: TypeAlias = Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]]

__all__ = [
    "Adder",
    "add_columns",
    "has_size",
    "key_columns",
    "receipts_of",
    "runs_of",
    "save_jobs",
    "size_columns",
]

# A larger statement keeps others waiting for the connection, and gains no more.
AT_ONCE: Final = 5000
# So many columns have the answers that tell at their end which groups were full, without keys and with them.
WITH_SIZES: Final = (5, 8)
_MET: Final = frozenset({Added.KEPT, Added.REPLACED, Added.POSTPONED, Added.THROTTLED})


async def save_jobs(part: Part, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    """Add jobs, nearly always in one statement; answer in the order of the input."""
    receipts: list[AddReceipt] = []
    for run in runs_of(jobs):
        receipts += await _save_run(part, run)
    return receipts


def runs_of(jobs: Sequence[NewJob]) -> Sequence[Sequence[NewJob]]:
    """Divide jobs where those whose groups have a size meet those with keys: each kind has a statement of its own."""
    if not jobs or not any(has_size(job) for job in jobs):
        return (jobs,) if jobs else ()
    runs: list[Sequence[NewJob]] = []
    for has_key, found in groupby(jobs, lambda job: job.deduplication is not None):
        run = list(found)
        # One by one: whether a job with a key is one more, only the add itself can tell.
        runs += [[job] for job in run] if has_key else [run]
    return runs


def has_size(job: NewJob) -> bool:
    """Return whether the job is refused where its group is full."""
    group = job.options.group
    return group is not None and group.max_size is not None


async def _save_run(part: Part, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    row: Row  # there is always one
    columns = (*add_columns(jobs), part.moment, False)
    if jobs[0].deduplication is not None and has_size(jobs[0]):
        group_ids, sizes = size_columns(jobs)
        keyed = (*columns, *key_columns(jobs), group_ids[0], sizes[0])
        row = await part.fetchrow("jobs/save_jobs_sized_keyed", *keyed)
    elif any(job.deduplication is not None for job in jobs):
        row = await part.fetchrow("jobs/save_jobs_deduplicated", *columns, *key_columns(jobs))
    elif any(has_size(job) for job in jobs):
        row = await part.fetchrow("jobs/save_jobs_sized", *columns, *size_columns(jobs))
    else:
        row = await part.fetchrow("jobs/save_jobs", *columns)
    for queue_name in row[0] or ():
        part.hint(NotificationKind.ADDED, queue_name)
    for queue_name in row[1] or ():
        part.hint(NotificationKind.DELAYED, queue_name)
    receipts = receipts_of(jobs, row)
    await _bring_jobs(part, [receipt for receipt in receipts if receipt.outcome in _MET])
    return receipts


async def _bring_jobs(part: Part, receipts: Sequence[AddReceipt]) -> None:
    """Look once for the jobs that hold keys: each of those who share the statement would have to by itself."""
    if receipts:
        found = await find_jobs(part, [receipt.job_id for receipt in receipts])
        for receipt in receipts:
            receipt.job = found.get(receipt.job_id)


def add_columns(jobs: Sequence[NewJob]) -> tuple[Any, ...]:
    """Return the first arguments of the database's function add_jobs; a column that nobody uses is None."""
    return (
        [job.id for job in jobs],
        [job.queue_name for job in jobs],
        [job.name for job in jobs],
        [job.payload for job in jobs],
        _column([encode_options(job.options) for job in jobs]),
        _column([job.options.priority or None for job in jobs]),
        _column([job.options.lifo or None for job in jobs]),
        _column([interval(job.delay) for job in jobs]),
        _column([job.run_at for job in jobs]),
        _column([interval(job.expires) if isinstance(job.expires, timedelta) else None for job in jobs]),
        _column([job.expires if isinstance(job.expires, datetime) else None for job in jobs]),
        made_between([job.id for job in jobs])[0],
    )


def key_columns(jobs: Sequence[NewJob]) -> tuple[Any, ...]:
    """Return the last arguments of the database's function add_deduplicated_jobs."""
    asked = [job.deduplication for job in jobs]
    # Most ask the same.
    held_ins = {states: f",{','.join(states)}," for states in {one.held_in for one in asked if one is not None}}
    return (
        [one and one.key for one in asked],
        _column([one and interval(one.ttl) for one in asked]),
        [one and one.mode.value for one in asked],
        [one and held_ins[one.held_in] for one in asked],
        [None if job.deduplication is None else add_digest(job) for job in jobs],
    )


def size_columns(jobs: Sequence[NewJob]) -> tuple[Any, ...]:
    """Return the last arguments of the database's function add_sized_jobs."""
    groups = [job.options.group for job in jobs]
    return [group and group.id for group in groups], [group and group.max_size for group in groups]


def _column(values: list[Any]) -> list[Any] | None:
    return values if any(value is not None for value in values) else None


def receipts_of(jobs: Sequence[NewJob], row: Row) -> Sequence[AddReceipt]:
    """Return the answers of a row of the database's, be the jobs with keys or without."""
    receipts = [AddReceipt(job.id) for job in jobs]
    for place in row[2] or ():
        receipts[place - 1] = AddReceipt(jobs[place - 1].id, Added.DUPLICATE)
    keys, crowded = tuple(row)[4:7], ()
    if len(row) in WITH_SIZES:
        keys, crowded = tuple(row)[4:-1], row[-1] or ()
    for place in crowded:
        receipts[place - 1] = AddReceipt(jobs[place - 1].id, Added.GROUP_FULL)
    # Of jobs without keys there is no more; tuples, because that is what other drivers give.
    for place, job_id, outcome in zip(*(column or () for column in keys), strict=True):
        receipts[place - 1] = AddReceipt(job_id, Added(outcome))
    return receipts


class _Group:
    """Jobs that are added in one statement, and what came of them. Whose job is first sends it."""

    __slots__ = ("done", "error", "is_sent", "jobs", "receipts", "turn")

    def __init__(self) -> None:
        self.jobs: list[NewJob] = []
        self.is_sent = False
        self.turn = anyio.Event()
        self.done = anyio.Event()
        self.receipts: Sequence[AddReceipt] = ()
        self.error: Exception | None = None


class Adder:
    """Group commit: what is added one by one while a statement is on its way goes together with the next.

    There is no task for it: each group is sent by the first of its callers, when the one before is through.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        # The last of these still takes jobs; the first is on its way or about to be.
        self._groups: deque[_Group] = deque()

    async def save_job(self, job: NewJob) -> AddReceipt:
        """Add one job, as soon as those before it are through."""
        group = self._group_for_one_more()
        place = len(group.jobs)
        group.jobs.append(job)
        if place:
            await group.done.wait()
        else:
            await self._lead(group)
        if group.error is not None:
            raise group.error
        if not group.receipts:
            raise ConveyorInternalError(f"job {job.id!r} was sent, and there is no answer")
        return group.receipts[place]

    def _group_for_one_more(self) -> _Group:
        if self._groups and not self._groups[-1].is_sent and len(self._groups[-1].jobs) < AT_ONCE:
            return self._groups[-1]
        group = _Group()
        self._groups.append(group)
        return group

    async def _lead(self, group: _Group) -> None:
        # A cancelled leader still sends what the others gave it: that takes no longer than two statements may.
        with anyio.CancelScope(shield=True):
            if group is not self._groups[0]:
                await group.turn.wait()
            # Whoever is ready to add in this turn of the loop gets to it before the statement leaves. Trio may run
            # the ready ones in the opposite order: after the first wait, this caller would be ahead of all others.
            await anyio.lowlevel.cancel_shielded_checkpoint()
            await anyio.lowlevel.cancel_shielded_checkpoint()
            group.is_sent = True
            try:
                group.receipts = await self._send(group.jobs)
            except Exception as exc:  # noqa: BLE001 - raised in every caller whose job was in it
                group.error = exc
            finally:
                group.done.set()
                self._groups.popleft()
                if self._groups:
                    self._groups[0].turn.set()
