"""Rates: how many jobs start in a time, of a queue, a name or a group, and when there is room again."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from conveyor.model.limits import GroupLimits, LimitKind, LimitScope, NameLimits, QueueLimits, RateLimit
from conveyor.model.queries import Want
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.limits import ids
from conveyor.testing.conformance.workshop import NAME, QUEUE, Workshop, lock_of
from conveyor.testing.rivals import FetchMode, Haul, Rivalry, fetch_in_processes, fetch_in_threads
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor.contracts.store import LimitStore

__all__ = ["RatesConformance"]

DAY: Final = "1 day"
# So many of the jobs that rivals want may start that day.
MOST_A_DAY: Final = 25
RIVALS: Final = 3


def limiter(most: int, per: str = "10s", **more: Any) -> QueueLimits:
    """Return limits that are a rate of the queue."""
    return QueueLimits(limiter=RateLimit(most, per, **more))


class RatesConformance(StoreKit):
    """A rate is exact at every moment, and wakes nobody in vain or too late."""

    async def test_a_window_lets_no_more_start_in_any_stretch_of_its_time(
        self, workshop: Workshop, limits: LimitStore
    ) -> None:
        await limits.set_limits(QUEUE, limiter(3))
        await workshop.add(*"abcdefgh")
        hand = await workshop.hand()
        assert ids(await hand.fetch(2)) == ["a", "b"]
        workshop.clock.advance(4)
        assert ids(await hand.fetch()) == ["c"]
        assert ids(await hand.fetch()) == []
        workshop.clock.advance(5.999999)
        assert ids(await hand.fetch()) == []
        workshop.clock.advance(0.000001)
        assert ids(await hand.fetch()) == ["d", "e"]
        workshop.clock.advance(4)
        assert ids(await hand.fetch()) == ["f"]

    async def test_a_bucket_gives_a_burst_and_then_its_rate(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, limiter(3, "1s", burst=5))
        await workshop.add(*"abcdefghijklmnopq")
        hand = await workshop.hand()
        assert len(await hand.fetch()) == 5
        workshop.clock.advance(0.333333)
        assert len(await hand.fetch()) == 0
        workshop.clock.advance(0.000001)
        assert len(await hand.fetch()) == 1
        workshop.clock.advance(1)
        assert len(await hand.fetch()) == 3
        workshop.clock.advance(100)
        assert len(await hand.fetch()) == 5

    @pytest.mark.parametrize("burst", [None, 10])
    async def test_heavy_jobs_use_more_of_a_rate(
        self, workshop: Workshop, limits: LimitStore, burst: int | None
    ) -> None:
        await limits.set_limits(QUEUE, limiter(10, burst=burst, weights={"heavy": 4}))
        await workshop.add("a", "b", "c", name="heavy")
        await workshop.add("x", "y")
        hand = await workshop.hand()
        assert ids(await hand.fetch()) == ["a", "b"]
        assert ids(await hand.fetch()) == []  # two starts are left, but the light ones do not overtake
        workshop.clock.advance(10)
        assert ids(await hand.fetch()) == ["c", "x", "y"]

    async def test_a_rate_of_each_name_holds_up_that_name(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, limiter(1, key="name"))
        await workshop.add("a", "b")
        await workshop.add("x", "y", name="ship")
        assert ids(await (await workshop.hand()).fetch()) == ["a", "x"]

    async def test_a_rate_of_one_name_holds_up_that_name(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, QueueLimits(names={NAME: NameLimits(limiter=RateLimit(1, "10s"))}))
        await workshop.add("a", "b")
        await workshop.add("x", "y", name="ship")
        hand = await workshop.hand()
        assert ids(await hand.fetch()) == ["a", "x", "y"]
        workshop.clock.advance(10)
        assert ids(await hand.fetch()) == ["b"]

    @pytest.mark.parametrize(
        "held", [limiter(1, key="group"), QueueLimits(group=GroupLimits(limiter=RateLimit(1, "10s")))]
    )
    async def test_a_rate_of_each_group_holds_up_that_group(
        self, workshop: Workshop, limits: LimitStore, held: QueueLimits
    ) -> None:
        await limits.set_limits(QUEUE, held)
        await workshop.add("a", "b", group="acme")
        await workshop.add("x", "y", group="bobs")
        hand = await workshop.hand()
        assert ids(await hand.fetch()) == ["a", "x"]
        assert ids(await hand.fetch()) == []
        workshop.clock.advance(10)
        assert ids(await hand.fetch()) == ["b", "y"]

    async def test_a_start_counts_whatever_becomes_of_it(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, limiter(1))
        await workshop.add("a")
        hand = await workshop.hand()
        await workshop.jobs.release_locks([lock_of(await hand.fetch_one())])
        assert ids(await hand.fetch()) == []
        workshop.clock.advance(10)
        assert ids(await hand.fetch()) == ["a"]

    async def test_the_same_fetch_again_uses_nothing_more(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, limiter(3))
        await workshop.add("a", "b", "c", "d")
        hand = await workshop.hand()
        await hand.fetch(1)
        for _ in range(3):
            assert ids(await hand.repeat_fetch(Want(QUEUE, 1))) == ["a"]
        assert ids(await hand.fetch()) == ["b", "c"]

    async def test_a_rate_that_replaces_another_counts_what_started(
        self, workshop: Workshop, limits: LimitStore
    ) -> None:
        await limits.set_limits(QUEUE, limiter(3))
        await workshop.add(*"abcdefgh")
        hand = await workshop.hand()
        await hand.fetch(2)
        await limits.set_limits(QUEUE, limiter(4))
        assert len(await hand.fetch()) == 2
        await limits.set_limits(QUEUE, limiter(4, burst=1))
        assert len(await hand.fetch()) == 1

    async def test_when_there_is_room_again_is_told_to_those_who_wait(
        self, workshop: Workshop, limits: LimitStore
    ) -> None:
        await limits.set_limits(QUEUE, limiter(2))
        started_at = workshop.clock.now()
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        assert await limits.get_next_room_timestamp([QUEUE]) is None
        await hand.fetch(1)
        workshop.clock.advance(4)
        await hand.fetch(1)
        assert list(await hand.fetch()) == []
        assert await limits.get_next_room_timestamp([QUEUE]) == started_at + timedelta(seconds=10)
        assert await limits.get_next_room_timestamp(["elsewhere"]) is None
        workshop.clock.advance(6)
        assert await limits.get_next_room_timestamp([QUEUE]) is None
        assert ids(await hand.fetch()) == ["c"]

    async def test_when_a_group_has_room_again_is_told(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, QueueLimits(group=GroupLimits(limiter=RateLimit(1, "10s"))))
        started_at = workshop.clock.now()
        await workshop.add("a", "b", group="acme")
        await (await workshop.hand()).fetch()
        assert await limits.get_next_room_timestamp([QUEUE]) == started_at + timedelta(seconds=10)

    async def test_when_a_bucket_has_room_for_a_heavy_job_is_told(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, limiter(2, "1s", burst=4, weights={NAME: 3}))
        started_at = workshop.clock.now()
        await workshop.add("a", "b")
        hand = await workshop.hand()
        assert ids(await hand.fetch()) == ["a"]
        assert list(await hand.fetch()) == []
        assert await limits.get_next_room_timestamp([QUEUE]) == started_at + timedelta(seconds=1)
        workshop.clock.advance(1)
        assert ids(await hand.fetch()) == ["b"]

    async def test_a_queue_tells_when_its_rates_have_room(self, workshop: Workshop, limits: LimitStore) -> None:
        group = GroupLimits(limiter=RateLimit(1, "10s"))
        await limits.set_limits(QUEUE, QueueLimits(limiter=RateLimit(4, "1s", burst=4), group=group))
        await workshop.add("a", "b", group="acme")
        started_at = workshop.clock.now()
        await (await workshop.hand()).fetch()
        queue, acme = await limits.get_limit_usages(QUEUE)
        assert (queue.scope, queue.kind, queue.used, queue.max) == (LimitScope.QUEUE, LimitKind.RATE, 1, 4)
        assert (queue.waiting, queue.free_at, queue.is_full) == (1, None, False)
        assert (acme.scope, acme.key, acme.used, acme.max) == (LimitScope.GROUP, "acme", 1, 1)
        assert (acme.waiting, acme.free_at, acme.is_full) == (1, started_at + timedelta(seconds=10), True)

    async def test_a_rate_is_exact_whatever_fetches_at_once(self, workshop: Workshop, limits: LimitStore) -> None:
        await limits.set_limits(QUEUE, limiter(MOST_A_DAY, DAY))
        await workshop.add(*(f"job-{number:03}" for number in range(60)))
        found: list[str] = []

        async def fetch() -> None:
            hand = await workshop.hand()
            while jobs := await hand.fetch(4):
                found.extend(job.id for job in jobs)

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(fetch)
        assert len(found) == len(set(found)) == MOST_A_DAY

    @pytest.mark.parametrize("fetch", [fetch_in_threads, fetch_in_processes])
    def test_a_rate_is_exact_whatever_threads_and_processes_fetch(
        self,
        store_url: str,
        anyio_backend_name: str,
        anyio_backend_options: dict[str, Any],
        fetch: Callable[..., list[list[Haul]]],
    ) -> None:
        run = partial(anyio.run, backend=anyio_backend_name, backend_options=anyio_backend_options)
        run(_set_up_shared, store_url)
        many = {"threads" if fetch is fetch_in_threads else "processes": RIVALS}
        rivalries = [Rivalry(f"{QUEUE}-{group}", FetchMode.SETTLING) for group in ("plain", "grouped")]
        found = fetch(store_url, rivalries, backend=anyio_backend_name, **many)
        for hauls in found:
            fetched = [job_id for haul in hauls for job_id in haul.fetched]
            assert len(fetched) == len(set(fetched)) == MOST_A_DAY


async def _set_up_shared(url: str) -> None:
    """Add more jobs than may start that day to a queue without groups, and to one with groups."""
    async with open_store(url) as store:
        needs(store.capabilities.has_limits, "has_limits")
        needs(store.capabilities.is_shared, "is_shared")
        assert store.limits is not None
        workshop = Workshop(store, ManualClock())
        for kind in ("plain", "grouped"):
            await store.limits.set_limits(f"{QUEUE}-{kind}", limiter(MOST_A_DAY, DAY))
            for number in range(60):
                group = f"tenant-{number % 7}" if kind == "grouped" else None
                await workshop.add(f"{kind}-{number:03}", queue=f"{QUEUE}-{kind}", group=group)
