"""What can be done with a queue: add to it, pause it, count it, clean it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import uuid_utils
from attrs import evolve

from conveyor._services.buffers import add_collected, add_one_collected
from conveyor._services.elsewhere import ElsewhereStore
from conveyor._services.limits import check_groups
from conveyor._services.sealing import add_sealed
from conveyor.codec import encode_json, hash_json
from conveyor.contracts.job_queue import InspectableJobQueueStrategy
from conveyor.errors import (
    AddRefusedError,
    CapabilityError,
    ConfigurationError,
    DuplicateJobError,
    GroupFullError,
    PayloadError,
)
from conveyor.model.checks import check_name
from conveyor.model.durations import Duration, parse_duration
from conveyor.model.job import NewJob
from conveyor.model.queries import ALL_NAMES, Added
from conveyor.model.states import SETTLED_STATES, JobState, parse_state

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import timedelta

    from conveyor._services.open_parts import AddsJobs
    from conveyor._services.services import Services
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import QueueStore
    from conveyor.model.job import JobData
    from conveyor.model.options import JobOptions, Placement
    from conveyor.model.queries import AddReceipt

    AddJobs: TypeAlias = Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]]

__all__ = [
    "AddedJob",
    "add",
    "add_many",
    "check_receipts",
    "clean",
    "count",
    "counts",
    "drain",
    "inside_middleware",
    "list_jobs",
    "make_job",
    "obliterate",
    "pause",
    "promote_jobs",
    "resume",
    "retry_jobs",
]

# A job as it was added, or the one that holds its key, and what became of the add.
AddedJob: TypeAlias = "tuple[NewJob | JobData, Added]"

CHUNK: Final = 1000
MOST_LISTED: Final = 1000
# The job is the caller's own then, in a queue or on its way to one.
_NEW: Final = frozenset({Added.ADDED, Added.BUFFERED})
_REFUSED: Final = frozenset({Added.DUPLICATE, Added.REJECTED, Added.GROUP_FULL})


def make_job(
    services: Services, queue_name: str, name: str, data: object, *, options: JobOptions, placement: Placement
) -> NewJob:
    """Make a job of any JSON data; where this program has a handler of the name, the data must fit it.

    Raises:
        ConfigurationError: the name is no job name.
        PayloadError: the data has no JSON form, or does not fit.
    """
    check_name(name, "job name")
    try:
        payload = encode_json({} if data is None else data)
    except PayloadError as exc:
        raise PayloadError("arguments", exc.path, exc.reason, name=name) from exc
    handler = services.handlers.find(queue_name, name)
    if handler is not None:
        handler.arguments.check(payload, options.version)
    return new_job(queue_name, name, payload, options, placement)


def new_job(queue_name: str, name: str, payload: bytes, options: JobOptions, placement: Placement) -> NewJob:
    """Make a job of an encoded payload, under a new id unless one is given."""
    job_id = placement.job_id or str(uuid_utils.uuid7())
    asked = placement.deduplication
    return NewJob(
        job_id,
        queue_name,
        name,
        payload,
        options,
        placement.delay,
        placement.run_at,
        placement.expires,
        asked.with_key(hash_json(payload)) if asked is not None and asked.hash else asked,
    )


async def add(services: Services, job: NewJob, connection: object = None) -> AddedJob:
    """Add one job, and return it, or the one that holds its deduplication key.

    Raises:
        DuplicateJobError: another job has its id, or its deduplication key and the mode is to reject.
        GroupFullError: its group is full.
        CapabilityError: it has a deduplication key or a group, and the store, or the job queue strategy, has none; or
            another option that the strategy does not heed.
    """
    if services.middleware or services.payload_codec is not None or connection is not None:
        return (await add_many(services, [job], connection))[0]
    if job.deduplication is not None:
        services.check_deduplication()
    services.check_heeded((job,))
    check_groups(services.store, (job,))
    receipt = await (add_one_collected(services, job) if services.buffers.by_id else services.adding.add(job))
    _check_receipt(job, receipt)
    if receipt.outcome in _NEW:
        return job, receipt.outcome
    return (await _added_jobs(services, [job], [receipt], is_visible=True))[0]


async def add_many(services: Services, jobs: Sequence[NewJob], connection: object = None) -> Sequence[AddedJob]:
    """Add several jobs at once, inside the transaction of a connection where one is given.

    Raises:
        DuplicateJobError, GroupFullError: as `add` does for the first of them that was not added; the others were, and
            the error tells which.
        CapabilityError: the store, or the job queue strategy, joins no transactions, does not deduplicate, or has no
            groups.
    """
    for job in jobs:
        if not isinstance(job, NewJob):
            raise ConfigurationError(f"add_many takes jobs made with new(), got {job!r}")
    if any(job.deduplication is not None for job in jobs):
        services.check_deduplication()
    services.check_heeded(jobs)
    check_groups(services.store, jobs)
    call: AddJobs = partial(_put, services.adding)
    if connection is not None:
        call = partial(services.transactional_queue("connection=").add_many_in, connection)
    codec = services.payload_codec
    if services.buffers.by_id:
        # Buffers see jobs as middleware leaves them, and seal them themselves.
        call, codec = partial(add_collected, services, connection, call), None
    receipts = await inside_middleware(services.middleware, codec, call)(jobs)
    _check_each(jobs, receipts)
    return await _added_jobs(services, jobs, receipts, is_visible=connection is None)


def inside_middleware(middleware: Sequence[Middleware], payload_codec: PayloadCodec | None, add: AddJobs) -> AddJobs:
    """Return what adds jobs through middleware, the first outermost, and seals them within it."""
    if payload_codec is not None:
        add = partial(add_sealed, payload_codec, add)
    for layer in reversed(middleware):
        add = partial(_around_add, layer, add)
    return add


def check_receipts(jobs: Sequence[NewJob], receipts: Sequence[AddReceipt]) -> None:
    """Raise DuplicateJobError where another job had the id of one of these, GroupFullError where a group was full."""
    for job, receipt in zip(jobs, receipts, strict=True):
        _check_receipt(job, receipt)


def _check_each(jobs: Sequence[NewJob], receipts: Sequence[AddReceipt]) -> None:
    """Raise what `check_receipts` does, with the ids of those that were added, and of those that were not."""
    try:
        check_receipts(jobs, receipts)
    except AddRefusedError as error:
        pairs = list(zip(jobs, receipts, strict=True))
        raise error.among(
            [job.id for job, receipt in pairs if receipt.outcome in _NEW],
            [job.id for job, receipt in pairs if receipt.outcome in _REFUSED],
        ) from None


async def _put(adding: AddsJobs, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    # One by itself goes together with what others add at the same time.
    return [await adding.add(jobs[0])] if len(jobs) == 1 else await adding.add_many(jobs)


async def _added_jobs(
    services: Services, jobs: Sequence[NewJob], receipts: Sequence[AddReceipt], *, is_visible: bool
) -> list[AddedJob]:
    """Return what each add led to; those that met another job's key bring it, or are looked up."""
    met = [receipt.job_id for receipt in receipts if receipt.outcome not in _NEW and receipt.job is None]
    # Inside the caller's transaction the store shows neither what it added nor what it changed.
    found = await services.store.jobs.find_jobs(met) if met and is_visible else {}
    return [
        (
            job
            if receipt.outcome in _NEW
            else receipt.job or found.get(receipt.job_id) or evolve(job, id=receipt.job_id),
            receipt.outcome,
        )
        for job, receipt in zip(jobs, receipts, strict=True)
    ]


async def _around_add(layer: Middleware, call: AddJobs, jobs: Sequence[NewJob]) -> Sequence[AddReceipt]:
    receipts: object = await layer.around_add(jobs, call)
    if not isinstance(receipts, Sequence) or len(receipts) != len(jobs):
        found = f"{len(receipts)} of them" if isinstance(receipts, Sequence) else repr(receipts)
        raise ConfigurationError(
            f"around_add of {type(layer).__name__} must return what call_next(jobs) does, a receipt for each of its"
            f" {len(jobs)} jobs, and returned {found}; what it passed on was added"
        )
    return receipts


def _check_receipt(job: NewJob, receipt: AddReceipt) -> None:
    asked, group = job.deduplication, job.options.group
    if receipt.outcome is Added.GROUP_FULL and group is not None and group.max_size is not None:
        raise GroupFullError(group.id, group.max_size, job.id, job.queue_name)
    if asked is not None and receipt.outcome is Added.REJECTED:
        raise DuplicateJobError(receipt.job_id, asked.key or "", job.queue_name, is_deduplicated=True)
    if receipt.outcome is Added.DUPLICATE:
        raise DuplicateJobError(receipt.job_id, job.id, job.queue_name)


async def pause(services: Services, queue_name: str, job_name: str | None) -> None:
    """Fetch no more jobs of the queue, or of one name."""
    await services.store.queues.pause_job_name(queue_name, _paused_name(job_name))


async def resume(services: Services, queue_name: str, job_name: str | None) -> None:
    """Undo `pause` with the same name."""
    await services.store.queues.resume_job_name(queue_name, _paused_name(job_name))


def _paused_name(job_name: str | None) -> str:
    # An empty name is a variable that was not set, rather than every name.
    return ALL_NAMES if job_name is None else check_name(job_name, "job name")


async def counts(services: Services, queue_name: str) -> Mapping[JobState, int]:
    """Return how many jobs are in each state."""
    return await services.store.queues.get_job_counts(queue_name)


async def count(services: Services, queue_name: str, state: JobState | str) -> int:
    """Return how many jobs are in one state."""
    return await services.store.queues.count_jobs(queue_name, parse_state(state))


async def list_jobs(
    services: Services, queue_name: str, state: JobState | str, start: int, end: int
) -> Sequence[JobData]:
    """Return jobs start (inclusive) to end (exclusive), at most 1000."""
    if start < 0 or end < start:
        raise ConfigurationError(f"start and end must be 0 <= start <= end, got {start} and {end}")
    end = min(end, start + MOST_LISTED)
    return await services.store.queues.list_jobs(queue_name, parse_state(state), start=start, end=end)


async def drain(services: Services, queue_name: str) -> int:
    """Remove every job that has not started."""
    return await services.store.queues.drain(queue_name)


async def clean(services: Services, queue_name: str, state: JobState | str | None, grace: Duration) -> int:
    """Remove settled jobs, of one state or of every one, that ended longer ago than `grace`; return how many.

    Raises:
        CapabilityError: the job queue strategy keeps the jobs in no store, and cannot do that.
    """
    wanted, patience = SETTLED_STATES if state is None else (_settled(state),), parse_duration(grace, field="grace")
    if isinstance(services.store, ElsewhereStore):
        return await _inspectable(services.job_queue, state).remove_settled_jobs([queue_name], patience)
    queues = services.store.queues
    return sum([await _in_chunks(partial(_clean, queue_name, one, patience), queues) for one in wanted])


async def _clean(queue_name: str, state: JobState, patience: timedelta, queues: QueueStore) -> int:
    return await queues.clean(queue_name, state, patience, limit=CHUNK)


def _inspectable(job_queue: JobQueueStrategy, state: JobState | str | None) -> InspectableJobQueueStrategy:
    """Return a strategy that can remove its settled jobs, all of them alike."""
    name = type(job_queue).__name__
    if not isinstance(job_queue, InspectableJobQueueStrategy):
        raise CapabilityError(name, "inspection", "cleaning a queue", kind="job queue")
    if state is not None:
        raise CapabilityError(
            name,
            "jobs in a store",
            "cleaning a queue of one state",
            kind="job queue",
            advice="it removes all that ended alike: clean(None, grace), or the command without --state",
        )
    return job_queue


async def obliterate(services: Services, queue_name: str, *, force: bool) -> int:
    """Remove every job of the queue."""
    return await services.store.queues.obliterate(queue_name, force=force)


async def retry_jobs(services: Services, queue_name: str, state: JobState | str) -> int:
    """Rerun the settled jobs of one state, in chunks; return how many."""
    settled = _settled(state)
    return await _in_chunks(lambda queues: queues.retry_jobs(queue_name, settled, limit=CHUNK), services.store.queues)


async def promote_jobs(services: Services, queue_name: str) -> int:
    """Make every delayed job wait, in chunks; return how many."""
    return await _in_chunks(lambda queues: queues.promote_jobs(queue_name, limit=CHUNK), services.store.queues)


async def _in_chunks(verb: Callable[[QueueStore], Awaitable[int]], queues: QueueStore) -> int:
    total = 0
    while True:
        done = await verb(queues)
        total += done
        if done < CHUNK:
            return total


def _settled(state: JobState | str) -> JobState:
    parsed = parse_state(state)
    if parsed not in SETTLED_STATES:
        raise ConfigurationError(f"only completed, failed and cancelled jobs have ended; got {parsed.value!r}")
    return parsed
