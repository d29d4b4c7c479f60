"""What happens in buffers is counted, and told as it happens: collected, reduced, flushed, and failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor, Deduplication, JobBuffer, dedupe
from conveyor.errors import BufferError, ConfigurationError
from conveyor.model.buffers.news import BufferCounts, BufferEventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.buffers.values import BufferedJob

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["store", "memory"])
def shop(request: pytest.FixtureRequest, store_url: str) -> Conveyor:
    """An app whose buffer reduces two jobs at a time, or fails for a job of nobody."""

    def reduce(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        if any(job.data["to"] == "nobody" for job in jobs):
            raise ValueError("there is nobody")
        return dedupe("to")(jobs)

    app = Conveyor(store_url, buffer_storage=request.param)
    app.buffers.add_buffer(JobBuffer("letters", collect=lambda job: job.name == "send", reduce=reduce, chunk_size=2))
    return app


async def add(app: Conveyor, *names: str) -> None:
    for name in names:
        await app.queue("mail").add("send", {"to": name})


async def test_each_step_is_told_and_counted(shop: Conveyor) -> None:
    async with shop, shop.buffers.events() as stream:
        assert shop.buffers.counts() == {}
        await shop.queue("mail").add("other", {"to": "ada"})
        await add(shop, "ada", "ada", "grace")
        await shop.buffers.flush()
        await shop.buffers.flush()
        told = [await anext(stream) for _ in range(6)]
        assert [(event.kind, event.jobs, event.added, event.merged) for event in told] == [
            (BufferEventKind.COLLECTED, 1, 0, 0),
            (BufferEventKind.COLLECTED, 1, 0, 0),
            (BufferEventKind.COLLECTED, 1, 0, 0),
            (BufferEventKind.REDUCED, 2, 1, 1),
            (BufferEventKind.REDUCED, 1, 1, 0),
            (BufferEventKind.FLUSHED, 3, 2, 0),
        ]
        assert {event.buffer_id for event in told} == {"letters"}
        assert shop.buffers.counts() == {"letters": BufferCounts(3, reduced=3, added=2, flushes=1, merged=1)}


async def test_a_reduce_that_fails_is_told_with_its_error(shop: Conveyor) -> None:
    async with shop, shop.buffers.events() as stream:
        await add(shop, "nobody")
        with pytest.raises(BufferError):
            await shop.buffers.flush()
        _, failed = [await anext(stream) for _ in range(2)]
        assert (failed.kind, failed.jobs, failed.error) == (
            BufferEventKind.REDUCE_FAILED,
            1,
            "ValueError: there is nobody",
        )
        assert shop.buffers.counts() == {"letters": BufferCounts(collected=1, failures=1)}


async def test_what_meets_a_key_at_its_flush_counts_as_merged_and_what_cannot_be_reduced_as_a_dead_letter(
    store_url: str,
) -> None:
    def fail(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        raise ValueError(len(jobs))

    app = Conveyor(store_url)
    app.buffers.add_buffer(JobBuffer("keyed", collect=lambda job: job.name == "keyed", reduce=list))
    app.buffers.add_buffer(
        JobBuffer("dead", collect=lambda job: job.name == "dead", reduce=fail, on_reduce_error="dead_letter")
    )
    async with app:
        for name in ("keyed", "dead"):
            for number in range(3):
                key = Deduplication(key="k") if name == "keyed" else None
                await app.queue("mail").add(name, {"number": number}, deduplication=key)
        await app.buffers.flush()
        assert app.buffers.counts() == {
            "keyed": BufferCounts(3, reduced=3, added=3, flushes=1, merged=2),
            "dead": BufferCounts(3, reduced=3, added=3, flushes=1, failures=1, dead_letters=3),
        }


async def test_a_slow_reader_holds_up_nobody_and_knows_what_it_missed(shop: Conveyor) -> None:
    async with shop:
        async with shop.buffers.events(buffer=2) as stream, shop.buffers.events() as other:
            await add(shop, "a", "b", "c")
            await shop.buffers.flush()
            assert (stream.dropped, other.dropped) == (4, 0)
            assert [(await anext(stream)).kind for _ in range(2)] == [BufferEventKind.REDUCED, BufferEventKind.FLUSHED]
        await add(shop, "d")
        assert stream.dropped == 4


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
async def test_a_stream_must_have_room(shop: Conveyor, limit: object) -> None:
    async with shop:
        with pytest.raises(ConfigurationError, match="buffer must be"):
            async with shop.buffers.events(buffer=limit):  # type: ignore[arg-type] # what it refuses
                pass
