"""An app that seals: nothing readable in the store, everything readable to handlers and to those who ask."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conveyor import AesGcmCodec, Conveyor, Deduplication, JobContext
from conveyor.errors import ConfigurationError, JobFailedError, PayloadError
from conveyor.model.flows import Flow

if TYPE_CHECKING:
    from pathlib import Path

    from conveyor.contracts.payload import PayloadCodec
    from conveyor.model.payload import PayloadPlace

pytestmark = pytest.mark.anyio
KEY = AesGcmCodec.new_key()


def sealing_app(url: str, codec: Any = None) -> Conveyor:
    """Return an app whose handler turns a secret round."""
    app = Conveyor(url, payload_codec=codec or AesGcmCodec({"a": KEY}))

    @app.queue("work").job(attempts=1)
    async def turn(word: str) -> str:
        return word[::-1]

    return app


def words_in(folder: Path, *words: bytes) -> list[bytes]:
    """Return those of the words that stand in a file of the folder."""
    contents = [file.read_bytes() for file in folder.iterdir() if file.is_file()]
    assert any(b"$sealed" in content for content in contents)
    return [word for word in words if any(word in content for content in contents)]


async def test_arguments_and_results_are_sealed_in_the_store_and_open_outside(store_url: str) -> None:
    app = sealing_app(store_url)
    async with app, app.worker():
        job = await app.queue("work").add("turn", {"word": "hunter2"})
        assert await job.result(timeout="10s") == "2retnuh"
        kept = (await job.refresh()).data
        assert kept.result is not None
        for secret, part in ((b"hunter2", kept.payload), (b"2retnuh", kept.result)):
            assert secret not in part
            assert json.loads(part)["$sealed"]["key"] == "a"
        again = await app.jobs.get(job.id)
        assert await again.result(timeout="10s") == "2retnuh"


async def test_everything_that_is_added_is_sealed(tmp_path: Path) -> None:
    app = sealing_app(f"sqlite:///{tmp_path}/jobs.db")
    work = app.queue("work")

    @work.job()
    async def gather(context: JobContext) -> list[Any]:
        await context.add_children(work.new("turn", {"word": "hunter5"}))
        return [child.value for child in await context.children()]

    @work.job()
    async def write(context: JobContext, word: str) -> Any:
        async with context.transaction() as connection:
            await work.add("turn", {"word": f"{word}4"}, connection=connection)
            context.set_result(f"{word}3")

    async with app, app.worker():
        flow = Flow(work.new("gather"), children=[work.new("turn", {"word": "hunter1"})])
        root = await app.flows.add(flow)
        await app.schedules.upsert("nightly", work.new("turn", {"word": "hunter6"}), every="1 hour")
        fired = await app.schedules.run_now("nightly")
        assert await fired.result(timeout="10s") == "6retnuh"
        assert await (await work.add("write", {"word": "hunter"})).result(timeout="10s") == "hunter3"
        rerun = await work.add("turn", {"word": "hunter8"})
        await rerun.wait_until_finished("10s")
        await rerun.rerun({"word": "hunter9"})
        assert await rerun.result(timeout="10s") == "9retnuh"
        assert "1retnuh" in await root.result(timeout="10s")
    assert words_in(tmp_path, b"hunter", b"retnuh") == []


async def test_sealed_arguments_cannot_be_moved_to_another_job(store_url: str) -> None:
    app = sealing_app(store_url)
    async with app:
        work = app.queue("work")
        mine, yours = [await work.add("turn", {"word": word}) for word in ("mine", "yours")]
        payload = (await yours.refresh()).data.payload
        await app._services.store.jobs.update_data(mine.id, payload)
        async with app.worker():
            with pytest.raises(JobFailedError, match="was changed since it was sealed, or belongs to another job"):
                await mine.result(timeout="10s")
            assert await yours.result(timeout="10s") == "sruoy"


async def test_a_result_cannot_be_read_without_the_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    app = sealing_app(url)
    async with app, app.worker():
        job = await app.queue("work").add("turn", {"word": "hunter2"})
        await job.result(timeout="10s")
    other = sealing_app(url, AesGcmCodec({"b": AesGcmCodec.new_key()}))
    async with other:
        with pytest.raises(PayloadError, match="the key 'a', which is not at hand"):
            await (await other.jobs.get(job.id)).result(timeout="10s")


async def test_the_same_add_again_is_the_same_add(store_url: str) -> None:
    app = sealing_app(store_url)
    async with app:
        work = app.queue("work")
        for _ in range(2):
            await work.add("turn", {"word": "hunter2"}, job_id="order-17")
        hashed = Deduplication(hash=True)
        first, second = [await work.add("turn", {"word": "x"}, deduplication=hashed) for _ in range(2)]
        assert (first.id, second.was_added) == (second.id, False)
        assert await work.count("waiting") == 2


async def test_what_waited_before_there_was_encryption_runs_where_that_is_accepted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    plain = Conveyor(url)
    async with plain:
        ids = [(await plain.queue("work").add("turn", {"word": word})).id for word in ("one", "two")]
    strict, lenient = sealing_app(url), sealing_app(url, AesGcmCodec({"a": KEY}, accept_unsealed=True))
    async with strict, strict.worker(max_jobs=1):
        with pytest.raises(JobFailedError, match="is not sealed"):
            await (await strict.jobs.get(ids[0])).result(timeout="10s")
    async with lenient, lenient.worker():
        assert await (await lenient.jobs.get(ids[1])).result(timeout="10s") == "owt"


async def test_middleware_sees_what_handlers_see(store_url: str) -> None:
    seen: list[bytes] = []

    class Seeing:
        async def around_add(self, jobs: Any, call_next: Any, /) -> Any:
            seen.extend(job.payload for job in jobs)
            return await call_next(jobs)

        async def around_run(self, job: Any, call_next: Any, /) -> Any:
            return await call_next()

    app = Conveyor(store_url, payload_codec=AesGcmCodec({"a": KEY}), middleware=[Seeing()])
    async with app:
        await app.queue("work").add("turn", {"word": "hunter2"})
    assert seen == [b'{"word":"hunter2"}']


class Backwards:
    """A codec of one's own: any object with these two methods."""

    def seal(self, payload: bytes, place: PayloadPlace, /) -> bytes:
        assert place.name == "turn"
        return json.dumps(payload.decode()[::-1]).encode()

    def open(self, kept: bytes, place: PayloadPlace, /) -> bytes:
        assert place.name == "turn"
        text: str = json.loads(kept)
        return text[::-1].encode()


async def test_a_codec_of_ones_own_fits(store_url: str) -> None:
    codec: PayloadCodec = Backwards()
    app = sealing_app(store_url, codec)
    async with app, app.worker():
        assert await (await app.queue("work").add("turn", {"word": "abc"})).result(timeout="10s") == "cba"


async def test_the_codec_in_the_box_is_chosen_by_name(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVEYOR_ENCRYPTION_KEYS", raising=False)
    app = sealing_app(store_url, "aes-gcm")
    with pytest.raises(ConfigurationError, match="CONVEYOR_ENCRYPTION_KEYS must hold"):
        async with app:
            pytest.fail("it was opened")
    monkeypatch.setenv("CONVEYOR_ENCRYPTION_KEYS", f"a:{KEY}")
    async with app, app.worker():
        assert await (await app.queue("work").add("turn", {"word": "abc"})).result(timeout="10s") == "cba"


@pytest.mark.parametrize("codec", [5, object(), b"key"])
def test_what_is_no_codec_is_refused_at_once(codec: Any) -> None:
    with pytest.raises(ConfigurationError, match="payload_codec must be a name"):
        Conveyor("memory://", payload_codec=codec)


async def test_an_app_without_a_codec_names_what_it_lacks(sqlite_url: str) -> None:
    async with sealing_app(sqlite_url) as app:
        job = await app.queue("work").add("turn", {"word": "hunter2"})
    app = Conveyor(sqlite_url)

    @app.queue("work").job()
    async def turn(word: str) -> str:
        return word

    async with app, app.worker():
        with pytest.raises(JobFailedError, match="is sealed, and this app has no payload_codec"):
            await (await app.jobs.get(job.id)).result(timeout="10s")
