"""Deduplication as users meet it: what `add` returns, what is raised, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from attrs import evolve

from conveyor import Conveyor, Deduplication, Job, JobState
from conveyor._builtin.memory.store import MemoryStore
from conveyor._builtin.system_clock import SystemClock
from conveyor.errors import CapabilityError, ConfigurationError, DuplicateJobError, JobNotFoundError, PayloadError
from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

pytestmark = pytest.mark.anyio
HASH = Deduplication(hash=True)


async def test_an_add_that_is_kept_gives_a_handle_on_the_job_that_is_there(app: Conveyor) -> None:
    @app.queue("work").job(deduplication=HASH)
    async def index(document: int, fields: dict[str, int]) -> int:
        return document

    async with app, app.worker():
        await app.queue("work").pause()
        first = await index.add(1, {"a": 1, "b": 2})
        again = await index.add(fields={"b": 2, "a": 1}, document=1)
        other = await index.add(2, {})
        assert (first.was_added, again.was_added, other.was_added) == (True, False, True)
        assert (again.id, again.added_as, again.state) == (first.id, Added.KEPT, JobState.WAITING)
        await app.queue("work").resume()
        assert await again.result(timeout="10s") == 1
        assert (await index.add(1, {"a": 1, "b": 2})).was_added


async def test_each_mode_says_what_it_did(app: Conveyor) -> None:
    queue = app.queue("work")

    async def add(mode: str, number: int) -> Job[Any]:
        asked = Deduplication(key=mode, mode=mode, ttl="1h")
        return await queue.add("index", {"number": number}, deduplication=asked, delay="1h")

    async with app:
        for mode, answer in (("replace", "replaced"), ("debounce", "postponed"), ("throttle", "throttled")):
            first, second = await add(mode, 1), await add(mode, 2)
            assert (second.id, second.added_as) == (first.id, answer)
            assert second.data == (await first.refresh()).data
            assert (second.to_json().get("added_as"), first.to_json().get("added_as")) == (answer, None)
            payload = b'{"number":2}' if mode == "replace" else b'{"number":1}'
            assert second.data.payload == payload


async def test_rejecting_raises_and_names_the_job_and_the_key(app: Conveyor) -> None:
    asked = Deduplication(key="order-17", mode="reject")
    async with app:
        first = await app.queue("work").add("ship", deduplication=asked)
        with pytest.raises(DuplicateJobError, match="holds the deduplication key 'order-17'") as caught:
            await app.queue("work").add("ship", deduplication=asked)
    assert (caught.value.existing_id, caught.value.key, caught.value.is_deduplicated) == (first.id, "order-17", True)


async def test_many_are_told_each_in_its_place(app: Conveyor) -> None:
    queue = app.queue("work")
    async with app:
        new = [queue.new("ship", {"n": n}, deduplication=Deduplication(key=f"order-{n % 2}")) for n in range(4)]
        added = await queue.add_many(new)
        assert [job.was_added for job in added] == [True, True, False, False]
        assert [job.id for job in added] == [new[0].id, new[1].id, new[0].id, new[1].id]
        assert [job.data.payload for job in added] == [b'{"n":0}', b'{"n":1}'] * 2


async def test_of_many_the_error_says_which_were_added_and_which_were_refused(app: Conveyor) -> None:
    queue = app.queue("work")
    async with app:
        new = [
            queue.new("ship", {"n": n}, deduplication=Deduplication(key=f"{n % 2}", mode="reject")) for n in range(3)
        ]
        with pytest.raises(
            DuplicateJobError, match=r"\(2 of the 3 jobs were added: see added_ids and refused_ids"
        ) as caught:
            await queue.add_many([*new[:1], new[2], new[1]])
        assert (caught.value.added_ids, caught.value.refused_ids) == ((new[0].id, new[1].id), (new[2].id,))
        with pytest.raises(DuplicateJobError) as alone:
            await queue.add_many(new[2:])
    assert (alone.value.added_ids, alone.value.refused_ids) == ((), (new[2].id,))
    assert "of the 1" not in str(alone.value)


async def test_a_throttled_job_may_be_gone_and_its_handle_says_so_when_asked(app: Conveyor) -> None:
    asked = Deduplication(key="a", mode="throttle", ttl="1h")
    async with app:
        first = await app.queue("work").add("ship", deduplication=asked)
        await first.remove()
        second = await app.queue("work").add("ship", deduplication=asked)
        assert (second.id, second.added_as) == (first.id, Added.THROTTLED)
        with pytest.raises(JobNotFoundError):
            await second.refresh()


async def test_a_job_is_found_by_its_key(app: Conveyor) -> None:
    queue = app.queue("work")
    async with app:
        job = await queue.add("ship", deduplication=Deduplication(key="order-17"))
        found = await queue.find_by_deduplication_key("ship", "order-17")
        assert found is not None
        assert found.id == job.id
        await job.cancel()
        assert await queue.find_by_deduplication_key("ship", "order-17") is None


async def test_a_job_whose_arguments_are_its_key_is_found_by_its_data(app: Conveyor) -> None:
    queue = app.queue("work")
    async with app:
        job = await queue.add("ship", {"order": 17, "to": {"a": 1, "b": 2}}, deduplication=HASH)
        found = await queue.find_by_deduplication_key("ship", data={"to": {"b": 2, "a": 1}, "order": 17})
        assert found is not None
        assert found.id == job.id
        assert await queue.find_by_deduplication_key("ship", data={"order": 17}) is None
        bare = await queue.add("ship", deduplication=HASH)
        found = await queue.find_by_deduplication_key("ship", data={})
        assert found is not None
        assert found.id == bare.id


async def test_a_job_is_found_by_a_key_or_by_data_not_by_both(app: Conveyor) -> None:
    async with app:
        with pytest.raises(ConfigurationError, match="give one of them"):
            await app.queue("work").find_by_deduplication_key("ship")
        with pytest.raises(ConfigurationError, match="give one of them"):
            await app.queue("work").find_by_deduplication_key("ship", "order-17", data={})
        with pytest.raises(PayloadError, match="'ship'"):
            await app.queue("work").find_by_deduplication_key("ship", data=object())


async def test_a_handler_finds_the_job_that_an_add_would_meet(app: Conveyor) -> None:
    @app.queue("work").job()
    async def ship(order: int, fast: bool = False) -> None: ...

    once, named = ship.options(deduplication=HASH), ship.options(deduplication=Deduplication(key="one"))
    async with app:
        job = await once.add(17, fast=True)
        held = await once.find_holder(fast=True, order=17)
        assert held is not None
        assert (held.id, held.added_as, held.state) == (job.id, Added.ADDED, "waiting")
        assert await once.find_holder(17) is None
        assert await named.find_holder(17) is None
        assert (await named.add(17)).was_added
        found = await named.find_holder(18)
        assert found is not None
        with pytest.raises(ConfigurationError, match="'ship' have no deduplication key"):
            await ship.find_holder(17)


async def test_many_tasks_that_add_at_once_add_one_job(app: Conveyor) -> None:
    handles: list[Job[Any]] = []

    async def add() -> None:
        handles.append(await app.queue("work").add("ship", {"order": 17}, deduplication=HASH))

    async with app, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(add)
    assert len({job.id for job in handles}) == 1
    assert [job.was_added for job in handles].count(True) == 1


async def test_a_store_without_deduplication_is_refused_before_anything_is_added() -> None:
    store = MemoryStore(SystemClock())
    store.capabilities = evolve(store.capabilities, has_deduplication=False)
    app = Conveyor(store)
    async with app:
        queue = app.queue("work")
        with pytest.raises(CapabilityError, match="deduplication"):
            await queue.add_many([queue.new("ship"), queue.new("ship", deduplication=HASH)])
        assert await queue.count("waiting") == 0


class Forwarding:
    """A job queue strategy that knows nothing of deduplication."""

    async def init(self, injector: object, /) -> None: ...

    async def destroy(self) -> None: ...

    async def add(self, job: NewJob, /) -> AddReceipt:
        raise AssertionError(job)

    async def add_many(self, jobs: object, /) -> list[AddReceipt]:
        raise AssertionError(jobs)

    async def start(self, queue_name: str, process: object, /) -> None: ...

    async def stop(self, queue_name: str, process: object, /) -> Sequence[str]:
        return ()


async def test_a_strategy_that_says_nothing_of_deduplication_is_not_trusted_with_it() -> None:
    app = Conveyor("memory://", job_queue=Forwarding())
    async with app:
        with pytest.raises(CapabilityError, match="Forwarding"):
            await app.queue("work").add("ship", deduplication=HASH)
