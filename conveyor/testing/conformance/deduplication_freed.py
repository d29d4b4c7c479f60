"""Keys that are free again, taken by bulks: each is taken once, by whoever would have it if all jobs came alone."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor.model.deduplication import Deduplication
from conveyor.model.queries import Added, AddReceipt
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["FreedKeysConformance"]

# What became of the job that took a key.
FATES: Final = ("left", "cancelled", "removed")
WAYS: Final[Sequence[dict[str, Any]]] = (
    {"mode": "keep"},
    {"mode": "keep", "states": ["cancelled", "completed"]},
    {"mode": "keep", "ttl": "1 minute"},
    {"mode": "replace"},
    {"mode": "debounce"},
    {"mode": "throttle", "ttl": "1 minute"},
    {"mode": "reject"},
)
KEYS: Final = "rstuvw"
ADD_IDS: Final = "abcdefgh"
BULKS: Final = 20
BULK: Final = 7
PRODUCERS: Final = 4
MANY: Final = 30


class FreedKeysConformance(StoreKit):
    """A key whose job has ended is taken by the next add, in a bulk as by itself."""

    async def test_a_bulk_of_keys_that_were_taken_before_is_answered_as_if_each_job_came_alone(
        self, workshop: Workshop
    ) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        draw = Random(BULKS)  # noqa: S311 - the same bulks again, no secret
        for number in range(BULKS):
            first = [(key, draw.choice(WAYS), draw.choice(FATES)) for key in KEYS]
            # Some ids are those of the jobs that were there before.
            ids = draw.sample([*ADD_IDS, *(f"first {key}" for key in KEYS)], BULK)
            drawn = [(id, draw.choice(KEYS), draw.choice(WAYS)) for id in ids]
            together = await _add_all(workshop, f"together {number}", first, drawn, BULK)
            alone = await _add_all(workshop, f"alone {number}", first, drawn, 1)
            assert together == alone, (first, drawn)

    async def test_of_many_bulks_with_the_same_freed_keys_one_takes_each(
        self, workshop: Workshop, open_workshop: OpenWorkshop
    ) -> None:
        needs(workshop.store.capabilities.has_deduplication, "has_deduplication")
        needs(workshop.store.capabilities.is_shared, "is_shared")
        keys = [f"key {number}" for number in range(MANY)]
        for key in keys:
            await workshop.jobs.save_job(workshop.new(key, deduplication=Deduplication(key=key)))
            await workshop.jobs.cancel_job(key, "it is freed")
        receipts: list[AddReceipt] = []

        async def add(opening: Workshop, producer: int) -> None:
            order = Random(producer).sample(keys, MANY)  # noqa: S311 - the same orders again, no secret
            jobs = [opening.new(f"{producer} {key}", deduplication=Deduplication(key=key)) for key in order]
            receipts.extend(await opening.jobs.save_jobs(jobs))

        async with open_workshop() as other, anyio.create_task_group() as tasks:
            for producer in range(PRODUCERS):
                tasks.start_soon(add, (workshop, other)[producer % 2], producer)
        added = [receipt.job_id for receipt in receipts if receipt.outcome is Added.ADDED]
        assert sorted(job_id.partition(" ")[2] for job_id in added) == sorted(keys)
        assert {receipt.job_id for receipt in receipts} == set(added)
        assert len(receipts) == PRODUCERS * MANY


async def _add_all(
    workshop: Workshop,
    queue: str,
    first: Sequence[tuple[str, dict[str, Any], str]],
    drawn: Sequence[tuple[str, str, dict[str, Any]]],
    size: int,
) -> tuple[list[tuple[str, Added]], list[tuple[str, datetime]]]:
    """Take keys, let their jobs end, and add jobs, so many in each call; return the answers, and what is there then."""
    new = partial(workshop.new, queue=queue, delay="10s")
    for key, way, fate in first:
        job_id = f"{queue} first {key}"
        await workshop.jobs.save_job(new(job_id, deduplication=Deduplication(key=key, **way)))
        if fate != "left":
            await workshop.jobs.cancel_job(job_id, "it is freed")
        if fate == "removed":
            await workshop.jobs.remove_job(job_id)
    jobs = [new(f"{queue} {id}", deduplication=Deduplication(key=key, **way)) for id, key, way in drawn]
    receipts: list[AddReceipt] = []
    for place in range(0, len(jobs), size):
        receipts += await workshop.jobs.save_jobs(jobs[place : place + size])
    found = await workshop.jobs.find_jobs([job.id for job in jobs])
    left = sorted((job.id.removeprefix(queue), job.run_at) for job in found.values())
    return [(receipt.job_id.removeprefix(queue), receipt.outcome) for receipt in receipts], left
