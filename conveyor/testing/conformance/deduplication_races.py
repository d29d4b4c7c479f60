"""Deduplication among many: tasks, openings, threads and processes that add with the same keys at once."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from itertools import chain, permutations, product
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.lowlevel
import pytest

from conveyor.model.deduplication import Deduplication
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import Command
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import NAME, QUEUE, Workshop, ending, lock_of
from conveyor.testing.producers import add_in_processes, add_in_threads
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

__all__ = ["DeduplicationRacesConformance"]

T = TypeVar("T")

KEYS: Final = ("red", "green", "blue")
ROUNDS: Final = 12
PRODUCERS: Final = 4
DELAY: Final = timedelta(minutes=10)
MODES: Final = ("keep", "replace", "debounce", "throttle", "reject")

# What a bulk may ask for one key, each in its own way.
KINDS: Final[Sequence[dict[str, Any]]] = (
    {"mode": "keep"},
    {"mode": "keep", "states": ["delayed"]},
    {"mode": "reject"},
    {"mode": "debounce"},
    {"mode": "throttle", "ttl": "1 minute"},
)
# And of what the bulks are drawn: few of each, so that they meet.
WAYS: Final[Sequence[dict[str, Any]]] = (*KINDS, {"mode": "replace"})
ADD_IDS: Final = "abcde"
PAYLOADS: Final = (b"[1]", b"[2]")
BULKS: Final = 20
BULK: Final = 7


def keyed(id: str, key: str, mode: str) -> NewJob:
    """Return a delayed job with a key."""
    asked = Deduplication(key=key, mode=mode, ttl="1 hour")
    return NewJob(id, QUEUE, NAME, b"{}", JobOptions(), delay=DELAY, deduplication=asked)


def shares(mode: str, count: int = PRODUCERS) -> list[list[NewJob]]:
    """Return what so many producers add, each with every key in an order of its own."""
    return [
        [
            keyed(f"{producer}-{number}-{key}", key, mode)
            for number in range(ROUNDS)
            for key in (*KEYS[producer % 3 :], *KEYS[: producer % 3])
        ]
        for producer in range(count)
    ]


def all_of(parts: Iterable[Iterable[T]]) -> list[T]:
    """Return what all of the parts have."""
    return list(chain.from_iterable(parts))


def check(jobs: Sequence[NewJob], receipts: Sequence[AddReceipt]) -> None:
    """Of the jobs with one key one was added, and all others were told its id."""
    told: dict[str, list[AddReceipt]] = {key: [] for key in KEYS}
    for job, receipt in zip(jobs, receipts, strict=True):
        if receipt.outcome is Added.ADDED:
            assert receipt.job_id == job.id
        assert job.deduplication is not None
        told[job.deduplication.key or ""].append(receipt)
    for answers in told.values():
        assert [answer.outcome for answer in answers].count(Added.ADDED) == 1
        assert len({answer.job_id for answer in answers}) == 1


class DeduplicationRacesConformance(StoreKit):
    """Of many who add at once, one adds; the others are told."""

    @pytest.mark.parametrize("mode", MODES)
    async def test_of_many_tasks_that_add_one_key_one_adds(self, workshop: Workshop, mode: str) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        await self._race([workshop] * PRODUCERS, mode)

    @pytest.mark.parametrize("mode", MODES)
    async def test_of_many_tasks_in_two_openings_that_add_one_key_one_adds(
        self, workshop: Workshop, open_workshop: OpenWorkshop, mode: str
    ) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        needs(workshop.store.capabilities.is_shared, "is_shared")
        async with open_workshop() as other:
            await self._race([workshop, other] * (PRODUCERS // 2), mode)

    async def test_bulks_with_the_same_keys_in_any_order_do_not_wait_for_each_other_in_a_circle(
        self, workshop: Workshop, open_workshop: OpenWorkshop
    ) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        needs(workshop.store.capabilities.is_shared, "is_shared")
        bulks = shares("keep")
        receipts: dict[int, Sequence[AddReceipt]] = {}

        async def add(opening: Workshop, number: int) -> None:
            receipts[number] = await opening.jobs.save_jobs(bulks[number])

        async with open_workshop() as other, anyio.create_task_group() as tasks:
            for number in range(PRODUCERS):
                tasks.start_soon(add, (workshop, other)[number % 2], number)
        check(all_of(bulks), all_of([receipts[number] for number in range(PRODUCERS)]))

    async def test_the_jobs_of_a_bulk_are_answered_as_if_each_came_alone(self, workshop: Workshop) -> None:
        for number, (chosen, is_held) in enumerate(product(permutations(KINDS, 3), (False, True))):
            answers: list[list[tuple[str, Added]]] = []
            for queue, size in (("together", len(chosen)), ("alone", 1)):
                jobs = [
                    workshop.new(f"{queue} {number} {place}", queue=queue, delay=delay, deduplication=asked)
                    for place, (asked, delay) in enumerate(
                        (Deduplication(key=f"{number}", **asked), "10s" if "debounce" in asked.values() else None)
                        for asked in chosen
                    )
                ]
                if is_held:
                    holding = Deduplication(key=f"{number}")
                    await workshop.jobs.save_job(workshop.new(f"{queue} {number}", queue=queue, deduplication=holding))
                receipts: list[AddReceipt] = []
                for place in range(0, len(jobs), size):
                    receipts += await workshop.jobs.save_jobs(jobs[place : place + size])
                answers.append([(receipt.job_id.partition(" ")[2], receipt.outcome) for receipt in receipts])
            assert answers[0] == answers[1], chosen

    async def test_bulks_of_any_ids_and_keys_are_answered_as_if_each_job_came_alone(self, workshop: Workshop) -> None:
        draw = Random(BULKS)  # noqa: S311 - the same bulks again, no secret
        for number in range(BULKS):
            drawn = [
                (draw.choice(ADD_IDS), draw.choice(KEYS), draw.choice(WAYS), draw.choice(PAYLOADS)) for _ in range(BULK)
            ]
            answers: list[list[tuple[str, Added]]] = []
            left: list[list[tuple[str, bytes, datetime]]] = []
            for queue, size in (("together", BULK), ("alone", 1)):
                new = partial(workshop.new, queue=queue, delay="10s")
                jobs = [
                    new(
                        f"{queue} {number} {id}",
                        payload=payload,
                        deduplication=Deduplication(key=f"{number}{key}", **way),
                    )
                    for id, key, way, payload in drawn
                ]
                receipts: list[AddReceipt] = []
                for place in range(0, BULK, size):
                    receipts += await workshop.jobs.save_jobs(jobs[place : place + size])
                found = await workshop.jobs.find_jobs([job.id for job in jobs])
                answers.append([(receipt.job_id.removeprefix(queue), receipt.outcome) for receipt in receipts])
                left.append(sorted((job.id.removeprefix(queue), job.payload, job.run_at) for job in found.values()))
            assert answers[0] == answers[1], drawn
            assert left[0] == left[1], drawn

    @pytest.mark.parametrize("mode", MODES)
    async def test_a_receipt_brings_the_job_that_holds_the_key_as_it_stands_or_none(
        self, workshop: Workshop, mode: str
    ) -> None:
        await workshop.jobs.save_job(keyed("a", "red", mode))
        workshop.clock.advance(5)
        for _ in range(2):  # the same again, too
            receipts = await workshop.jobs.save_jobs([keyed("b", "red", mode), keyed("c", "blue", mode)])
            assert receipts[0].job in (None, await workshop.job("a"))
            assert receipts[1].job is None

    async def test_an_add_of_the_same_id_with_other_arguments_is_an_add_of_its_own(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        new = partial(workshop.new, delay="1 hour", deduplication=Deduplication(key="red", mode="debounce"))
        await workshop.jobs.save_job(new("a"))
        assert await workshop.jobs.save_job(new("b")) == AddReceipt("a", Added.POSTPONED)
        workshop.clock.advance(5)
        before = (await workshop.job("a")).run_at
        assert await workshop.jobs.save_job(new("b")) == AddReceipt("a", Added.POSTPONED)
        assert (await workshop.job("a")).run_at == before
        assert await workshop.jobs.save_job(new("b", payload=b"[2]")) == AddReceipt("a", Added.POSTPONED)
        assert (await workshop.job("a")).run_at > before

    async def test_settling_and_adding_at_once_leave_no_two_jobs_with_a_key(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        ran: list[str] = []
        added: list[str] = []
        finished: list[int] = []

        async def produce(producer: int) -> None:
            for number in range(ROUNDS):
                new = workshop.new(f"{producer}-{number}", deduplication=Deduplication(key="red"))
                receipt = await workshop.jobs.save_job(new)
                added.extend([receipt.job_id] if receipt.outcome is Added.ADDED else [])
                await anyio.lowlevel.checkpoint()
            finished.append(producer)

        async def work() -> None:
            hand = await workshop.hand()
            is_over = is_empty = False
            while not (is_over and is_empty):
                # Before the fetch: what was added while it was under way is for the next.
                is_over = len(finished) == PRODUCERS
                jobs = await hand.fetch()
                is_empty = not jobs
                assert len(jobs) <= 1
                ran.extend(job.id for job in jobs)
                assert await workshop.settle(*(ending(lock_of(job), Command.COMPLETE) for job in jobs)) == []
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            for producer in range(PRODUCERS):
                tasks.start_soon(produce, producer)
        assert sorted(ran) == sorted(added)
        assert len(set(ran)) == len(ran)

    @pytest.mark.parametrize("add", [add_in_threads, add_in_processes])
    def test_of_threads_and_processes_that_add_one_key_one_adds(
        self,
        store_url: str,
        anyio_backend_name: str,
        anyio_backend_options: dict[str, Any],
        add: Callable[..., list[list[AddReceipt]]],
    ) -> None:
        anyio.run(partial(_check_shared, store_url), backend=anyio_backend_name, backend_options=anyio_backend_options)
        parts = shares("replace", 3)
        receipts = add(store_url, parts, backend=anyio_backend_name)
        check(all_of(parts), all_of(receipts))

    async def test_a_key_goes_with_the_transaction_that_took_it(self, workshop: Workshop) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        needs(workshop.store.capabilities.has_transactions, "has_transactions")
        books = await Books.opened(workshop)
        job = await workshop.fetched("runs")
        for number, is_committed in enumerate((False, True)):
            async with books.begun(lock_of(job)) as transaction:
                added = [keyed(f"{number}-{name}", "red", "replace") for name in "ab"]
                receipts = await workshop.jobs.save_jobs_in(transaction.connection, added)
                assert [receipt.outcome for receipt in receipts] == [Added.ADDED, Added.REPLACED]
                if is_committed:
                    await transaction.commit(ending(lock_of(job), Command.COMPLETE))
                else:
                    await transaction.roll_back()
        receipt = await workshop.jobs.save_job(keyed("after", "red", "keep"))
        assert receipt == AddReceipt("1-a", Added.KEPT)

    async def _race(self, openings: Sequence[Workshop], mode: str) -> None:
        parts = shares(mode, len(openings))
        receipts: list[list[AddReceipt]] = [[] for _ in parts]

        async def add(number: int) -> None:
            receipts[number] += [await openings[number].jobs.save_job(job) for job in parts[number]]

        async with anyio.create_task_group() as tasks:
            for number in range(len(openings)):
                tasks.start_soon(add, number)
        check(all_of(parts), all_of(receipts))


async def _check_shared(url: str) -> None:
    async with open_store(url) as store:
        needs(store.capabilities.has_deduplication, "has_deduplication")
        needs(store.capabilities.is_shared, "is_shared")
