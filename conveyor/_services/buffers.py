"""Buffers of an app: which jobs they collect, where those wait, and what became of them."""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from attrs import evolve

from conveyor._services.buffer_news import BufferNews
from conveyor._services.known_jobs import KnownJobs
from conveyor._services.sealing import sealed_jobs
from conveyor._services.takes import Takes
from conveyor.codec import decode_json
from conveyor.contracts.buffer_storage import SearchableBufferStorage, TransactionalBufferStorage
from conveyor.contracts.job_queue import StoreBackedJobQueueStrategy
from conveyor.errors import BufferError, CapabilityError, ConfigurationError
from conveyor.model.buffers.job_buffer import as_job_buffer
from conveyor.model.buffers.news import BufferEventKind
from conveyor.model.buffers.values import BufferedJob, KeptJob, shown_as, timed_from
from conveyor.model.queries import Added, AddReceipt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from conveyor._services.services import Services
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.job_buffer import JobBufferLike
    from conveyor.model.buffers.job_buffer import JobBuffer
    from conveyor.model.buffers.values import BufferPlace, BufferSize
    from conveyor.model.job import NewJob

    AddJobs: TypeAlias = Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]]

__all__ = [
    "Buffers",
    "add_collected",
    "add_one_collected",
    "buffer_size",
    "find_ids",
    "find_places",
    "get_sizes",
    "is_in_store",
]


class Buffers:
    """The buffers of this program, and the storage of their jobs while the app is open.

    Attributes:
        prefix: the app's; stands before the ids of its buffers everywhere but at ``app.buffers``.
        by_id: those registered, in the order in which they were.
        on_registered: called when one is registered: it may have triggers.
        on_first: called when the first one is registered, if that is after the app opened.
        known: what this program put into a storage that cannot tell.
        flushing: how many flushes go on in this program.
        takes: what those of them took that share a database with the queues.
        news: what happens in them.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.prefix: str = ""
        self.by_id: dict[str, JobBuffer] = {}
        self.on_registered: Callable[[], None] = lambda: None
        self.on_first: Callable[[], None] | None = None
        self.known: KnownJobs = KnownJobs()
        self.flushing: int = 0
        self.takes: Takes = Takes()
        self._storage: JobBufferStorageStrategy | None = None
        self._transactional: TransactionalBufferStorage | None = None
        self._clock: Clock | None = None
        self.news: BufferNews = BufferNews(self.now, lambda buffer_id: buffer_id.removeprefix(self.prefix))

    def add(self, given: JobBufferLike) -> None:
        """Register a buffer; the same one again changes nothing."""
        buffer = as_job_buffer(given)
        if self.prefix:
            buffer = evolve(buffer, id=self.prefix + buffer.id)
        if self.by_id.setdefault(buffer.id, buffer) != buffer:
            raise BufferError(buffer.id, "another buffer with this id is registered; give each its own")
        self.on_registered()
        if self.on_first is not None:
            tell, self.on_first = self.on_first, None
            tell()

    def remove(self, buffer_id: str) -> None:
        """Collect no more; what is there stays."""
        if self.by_id.pop(buffer_id, None) is None:
            raise BufferError(buffer_id, f"it is not registered here; known: {', '.join(self.by_id) or 'none'}")

    def open(self, storage: JobBufferStorageStrategy, clock: Clock) -> None:
        """Take the open storage."""
        self._storage, self._clock = storage, clock
        self._transactional = storage if isinstance(storage, TransactionalBufferStorage) else None

    def close(self) -> None:
        """Forget the storage."""
        self._storage = self._transactional = self.on_first = None
        self.known.clear()

    @property
    def storage(self) -> JobBufferStorageStrategy:
        """The open storage."""
        if self._storage is None:
            raise ConfigurationError("the app is not open: use it inside `async with app:`")
        return self._storage

    @property
    def transactional(self) -> TransactionalBufferStorage | None:
        """The open storage, where a flush is one step of it."""
        return self._transactional

    def now(self) -> datetime:
        """Return the time by the app's clock."""
        if self._clock is None:
            raise ConfigurationError("the app is not open: use it inside `async with app:`")
        return self._clock.now()


async def add_collected(
    services: Services,
    connection: object,
    add: AddJobs,
    jobs: Sequence[NewJob],
) -> Sequence[AddReceipt]:
    """Add jobs: those that a buffer collects go there, the others where `add` puts them; answer in their order.

    Each buffer is one step, and so are the others: an error leaves those before it where they went.

    Raises:
        BufferError: several buffers collect one job, or one that cannot be buffered; nothing was added.
        JobError: the job queue strategy could never take a job that a buffer collects; nothing was added.
    """
    chosen = await _choose(services.buffers, jobs)
    kept = jobs if services.payload_codec is None else sealed_jobs(services.payload_codec, jobs)
    buffered = [job for job, buffer_id in zip(kept, chosen, strict=True) if buffer_id is not None]
    if buffered:
        await services.check_addable(buffered)
    if len(set(chosen)) == 1:
        return await _put(services, connection, add, chosen[0], kept)
    numbers: defaultdict[str | None, list[int]] = defaultdict(list)
    for number, buffer_id in enumerate(chosen):
        numbers[buffer_id].append(number)
    receipts: dict[int, AddReceipt] = {}
    for buffer_id, own in numbers.items():
        answers = await _put(services, connection, add, buffer_id, [kept[number] for number in own])
        receipts.update(zip(own, answers, strict=True))
    return [receipts[number] for number in range(len(jobs))]


async def add_one_collected(services: Services, job: NewJob) -> AddReceipt:
    """Add one job to the buffer that collects it, else to its queue.

    Raises:
        BufferError, JobError: as `add_collected` does.
    """
    (buffer_id,) = await _choose(services.buffers, (job,))
    if buffer_id is None:
        # By itself, so that it is added together with what others add at the same time.
        return await services.adding.add(job)
    await services.check_addable((job,))
    return (await _keep(services, buffer_id, (job,), None))[0]


async def _put(
    services: Services, connection: object, add: AddJobs, buffer_id: str | None, jobs: Sequence[NewJob]
) -> Sequence[AddReceipt]:
    return await (add(jobs) if buffer_id is None else _keep(services, buffer_id, jobs, connection))


async def _choose(buffers: Buffers, jobs: Sequence[NewJob]) -> list[str | None]:
    """Return for each job the buffer that collects it."""
    now, asked = buffers.now(), [*buffers.by_id.values()]
    chosen: list[str | None] = []
    for job in jobs:
        shown = BufferedJob(job.id, job.queue_name, job.name, decode_json(job.payload), job.options, now)
        if job.delay is not None or job.run_at is not None or job.expires is not None or job.deduplication is not None:
            # Nearly no job has any of them, and what is shown is made for each.
            shown = shown_as(timed_from(job, now), shown.data, now, now)
        collecting: list[str] = []
        for buffer in asked:
            try:
                answer = buffer.collect(shown)
                # Most answer at once, and each job is asked of: whether it can be awaited costs more than all else.
                if answer is not True and answer is not False and inspect.isawaitable(answer):
                    answer = await answer
            except Exception as exc:
                raise BufferError(
                    buffer.id,
                    f"collect raised {type(exc).__name__}: {exc}, of job {job.queue_name}/{job.name}, which was not "
                    "added: it is shown the jobs of all queues",
                ) from exc
            if answer:
                collecting.append(buffer.id)
        chosen.append(_only(job, collecting) if collecting else None)
    return chosen


def _only(job: NewJob, collecting: Sequence[str]) -> str:
    """Return the one buffer that collects a job which can be buffered."""
    if len(collecting) > 1:
        raise BufferError(
            collecting[0], f"job {job.queue_name}/{job.name} is collected by {', '.join(collecting)}; by one at most"
        )
    group = job.options.group
    if group is not None and group.max_size is not None:
        raise BufferError(
            collecting[0],
            f"job {job.queue_name}/{job.name} is in a group with max_size, and nobody would hear that it is full "
            "when the buffer is flushed: give the group no size, or do not collect its jobs",
        )
    return collecting[0]


async def _keep(services: Services, buffer_id: str, jobs: Sequence[NewJob], connection: object) -> Sequence[AddReceipt]:
    buffers = services.buffers
    if buffers.transactional is not None:
        if connection is not None:
            services.transactional_queue("connection=")
        receipts = await buffers.transactional.add_many(buffer_id, jobs, connection=connection)
    else:
        receipts = await _keep_each(services, buffer_id, jobs, connection)
    buffered = [receipt.outcome for receipt in receipts].count(Added.BUFFERED)
    if buffered:
        buffers.news.tell(BufferEventKind.COLLECTED, buffer_id, buffered)
    return receipts


async def _keep_each(
    services: Services, buffer_id: str, jobs: Sequence[NewJob], connection: object
) -> Sequence[AddReceipt]:
    buffers = services.buffers
    if connection is not None:
        raise CapabilityError(type(buffers.storage).__name__, "transactions", "connection=")
    receipts: list[AddReceipt] = []
    for job in jobs:
        outcome = buffers.known.answer(job)
        if outcome is None:
            now, outcome = buffers.now(), Added.BUFFERED
            kept = KeptJob(timed_from(job, now), now)
            await buffers.storage.add(buffer_id, kept.job)
            buffers.known.keep(buffer_id, kept)
        receipts.append(AddReceipt(job.id, outcome))
    return receipts


async def find_places(services: Services, job_ids: Sequence[str]) -> Mapping[str, BufferPlace]:
    """Return those of the jobs that are in a buffer or went into another job, by id."""
    buffers = services.buffers
    if buffers.transactional is not None:
        return await buffers.transactional.find_places(job_ids)
    return buffers.known.find(job_ids)


async def find_ids(services: Services, beginning: str, limit: int) -> Sequence[str]:
    """Return ids that begin so, of jobs in buffers and of merged ones; none where the storage cannot tell."""
    storage = services.buffers.storage
    return await storage.find_ids(beginning, limit=limit) if isinstance(storage, SearchableBufferStorage) else ()


def is_in_store(services: Services) -> bool:
    """Return whether what is added to a queue is kept in the app's store."""
    job_queue = services.job_queue
    return isinstance(job_queue, StoreBackedJobQueueStrategy) and job_queue.store is services.store


async def get_sizes(services: Services) -> Mapping[str, BufferSize]:
    """Return how full each buffer of the app is that has jobs, by its whole id.

    Of a storage that cannot tell, as far as this program knows.
    """
    buffers = services.buffers
    if buffers.transactional is not None:
        sizes = await buffers.transactional.get_sizes()
    else:
        sizes = buffers.known.sizes(await buffers.storage.buffer_size(), buffers.now())
    return {buffer_id: size for buffer_id, size in sizes.items() if buffer_id.startswith(buffers.prefix)}


async def buffer_size(services: Services, wanted: Collection[str] = ()) -> dict[str, int]:
    """Return how many jobs there are in each buffer of the app that is registered here or has jobs, by its whole id.

    Unknown ids are left out; none wanted: all.
    """
    buffers = services.buffers
    found = dict.fromkeys(buffers.by_id, 0) | dict(await buffers.storage.buffer_size())
    return {
        buffer_id: count
        for buffer_id, count in found.items()
        if (buffer_id in wanted if wanted else buffer_id.startswith(buffers.prefix))
    }
