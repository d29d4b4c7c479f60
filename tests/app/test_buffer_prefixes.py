"""A prefix keeps the buffers of apps apart that share a store, as it does their queues."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobBuffer
from conveyor._services.maintenance.flush import FlushPass
from conveyor.errors import BufferError, ConfigurationError
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.store import Store
    from conveyor.model.buffers.values import BufferedJob

pytestmark = pytest.mark.anyio


def last(jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
    """Let the last job do the work of all."""
    return jobs[-1:]


def app_of(store: Store | str, prefix: str, **options: Any) -> Conveyor:
    app = Conveyor(store, prefix=prefix)
    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=last, **options))
    return app


async def test_a_flush_takes_the_jobs_of_its_own_app_alone(store_url: str) -> None:
    async with open_store(store_url) as store, app_of(store, "a-") as app, app_of(store, "b-") as other:
        own = await app.queue("search").add("reindex", job_id="own")
        foreign = await other.queue("search").add("reindex", job_id="foreign")
        assert await app.buffers.buffer_size() == {"b": 1}
        assert (await app.buffers.sizes()).keys() == {"b"}
        assert [job.id for job in (await app.buffers.flush())["b"]] == ["own"]
        assert (await own.refresh()).merged_into is None
        assert await other.buffers.buffer_size(["b"]) == {"b": 1}
        assert (await foreign.refresh()).queue_name == "b-search"
        assert [job.id for job in (await other.buffers.flush(["b"]))["b"]] == ["foreign"]


async def test_the_app_speaks_of_its_buffers_by_their_own_ids_and_the_store_by_the_whole_ones() -> None:
    async with open_store("memory://") as store, app_of(store, "a-") as app:
        async with app.buffers.events() as stream:
            await app.queue("search").add("reindex")
            with anyio.fail_after(10):
                assert (await anext(stream)).buffer_id == "b"
        assert app.buffers.counts().keys() == {"b"}
        assert store.buffers is not None
        assert (await store.buffers.get_sizes()).keys() == {"a-b"}
        app.buffers.remove_buffer("b")
        with pytest.raises(BufferError, match="a-b"):
            app.buffers.remove_buffer("b")
        assert await app.buffers.buffer_size() == {"b": 1}


async def test_only_ones_own_buffers_are_reported_for_being_registered_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_store("memory://") as store, app_of(store, "a-") as app, app_of(store, "b-") as other:
        await app.queue("search").add("reindex")
        await other.queue("search").add("reindex")
        app.buffers.remove_buffer("b")
        with caplog.at_level(logging.WARNING, "conveyor.buffers"):
            await FlushPass(app._services).look()
        assert [record.getMessage().split(" has ")[0] for record in caplog.records] == ["buffer a-b"]


def test_an_id_has_room_for_the_prefix() -> None:
    with pytest.raises(ConfigurationError, match="buffer id"):
        Conveyor("memory://", prefix="a-").buffers.add_buffer(
            JobBuffer("b" * 254, collect=lambda _: True, reduce=last),
        )


async def test_buffers_are_named_by_their_ids_or_given_themselves() -> None:
    app = Conveyor("memory://")
    buffer = JobBuffer("b", collect=lambda _: True, reduce=last)
    app.buffers.add_buffer(buffer)
    async with app:
        await app.queue("search").add("reindex")
        assert await app.buffers.buffer_size([buffer]) == {"b": 1}
        assert (await app.buffers.flush([buffer])).keys() == {"b"}
        lists: list[Any] = [buffer, "b", 5, [1], [None]]
        for wrong in lists:
            for ask in (app.buffers.buffer_size, app.buffers.flush):
                with pytest.raises(ConfigurationError, match="wanted"):
                    await ask(wrong)
        ids: list[Any] = [None, 5, object()]
        for wrong in ids:
            with pytest.raises(ConfigurationError, match="a buffer or its id"):
                app.buffers.remove_buffer(wrong)
