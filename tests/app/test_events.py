"""Events as users read them: streams of the app, of a queue and of a job; one job observed to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import AesGcmCodec, Conveyor, EventKind, EventStream, JobContext, JobState
from conveyor.errors import CapabilityError, ConfigurationError, JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import Event

pytestmark = pytest.mark.anyio


async def read_until(stream: EventStream, last: EventKind) -> Sequence[Event]:
    """Return the events up to the first of a kind."""
    found: list[Event] = []
    with anyio.fail_after(10):
        async for event in stream:
            found.append(event)
            if event.kind is last:
                break
    return found


async def test_a_stream_of_the_app_tells_a_job_from_its_add_to_its_result(app: Conveyor) -> None:
    @app.queue("mails").job()
    async def send(ctx: JobContext, to: str) -> str:
        ctx.progress(1, 2, "half")
        return f"sent to {to}"

    async with app, app.worker(), app.events() as stream:
        job = await send.add("ada")
        found = await read_until(stream, EventKind.COMPLETED)
    assert [event.kind for event in found] == ["added", "active", "progress", "completed"]
    assert {(event.queue_name, event.job_id, event.job_name) for event in found} == {("mails", job.id, "send")}
    assert found[-1].result == "sent to ada"
    assert found[2].progress is not None
    assert found[2].progress.message == "half"


async def test_a_failure_tells_of_each_attempt_and_why(app: Conveyor) -> None:
    @app.queue("mails").job(attempts=2)
    async def send() -> None:
        raise ValueError("no such address")

    async with app, app.worker(), app.queue("mails").events(["retried", EventKind.FAILED]) as stream:
        await send.add()
        found = await read_until(stream, EventKind.FAILED)
    assert [event.kind for event in found] == ["retried", "failed"]
    assert all(event.error is not None and "no such address" in str(event.error) for event in found)


async def test_a_stream_of_a_queue_or_of_a_job_tells_of_nothing_else(app: Conveyor) -> None:
    async with app:
        first = await app.queue("mails").add("send")
        async with app.queue("mails").events() as queue, first.events() as stream:
            await app.queue("other").add("send")
            second = await app.queue("mails").add("send")
            await first.cancel("enough")
            await app.queue("mails").pause()
            assert [event.job_id for event in await read_until(queue, EventKind.PAUSED)] == [second.id, first.id, ""]
            [event] = await read_until(stream, EventKind.CANCELLED)
    assert event.to_json()["error"] == {"type": "Cancelled", "message": "enough", "traceback": "", "fingerprint": ""}


async def test_streams_of_one_queue_each_tell_what_happened_since_they_were_opened(app: Conveyor) -> None:
    queue = app.queue("mails")
    async with app, queue.events() as early:
        first = await queue.add("send")
        async with queue.events() as late:
            second = await queue.add("send")
            await queue.pause()
            assert [event.job_id for event in await read_until(late, EventKind.PAUSED)] == [second.id, ""]
        assert [event.job_id for event in await read_until(early, EventKind.PAUSED)] == [first.id, second.id, ""]


async def test_a_reader_that_is_too_slow_is_told_how_much_it_missed(app: Conveyor) -> None:
    queue = app.queue("mails")
    async with app, queue.events(buffer=3) as slow, queue.events() as quick:
        jobs = [await queue.add("send") for _ in range(10)]
        await queue.pause()
        await read_until(quick, EventKind.PAUSED)
        found = await read_until(slow, EventKind.PAUSED)
        assert [event.kind for event in found] == ["lost", "added", "added", "paused"]
        assert (found[0].count, slow.dropped, quick.dropped) == (8, 8, 0)
        assert [event.job_id for event in found[1:3]] == [job.id for job in jobs[-2:]]


async def test_a_job_is_observed_from_where_it_stands_to_its_end(app: Conveyor) -> None:
    go_on = anyio.Event()

    @app.queue("mails").job()
    async def send(ctx: JobContext) -> int:
        ctx.progress(1, 2)
        await go_on.wait()
        return 7

    async with app:
        job = await send.add()
        seen: list[JobState] = []
        with anyio.fail_after(10):
            async with job.observe() as states:
                seen.append((await anext(states)).state)
                async with app.worker():
                    async for state in states:
                        seen.append(state.state)
                        if state.progress is not None:
                            go_on.set()
        assert (seen[0], seen[-1]) == (JobState.WAITING, JobState.COMPLETED)
        assert JobState.ACTIVE in seen
        assert await job.result() == 7
        async with app.queue("mails").observe(job.id) as states:
            assert [state.state async for state in states] == [JobState.COMPLETED]


async def test_a_job_that_leaves_no_record_is_observed_to_its_end(app: Conveyor) -> None:
    @app.queue("mails").job(remove_on_complete=True)
    async def send() -> int:
        return 7

    async with app:
        job = await send.add()
        with anyio.fail_after(10):
            async with job.observe() as states, app.worker():
                last = [(state.state, state.data.result) async for state in states][-1]
    assert last == (JobState.COMPLETED, b"7")


async def test_an_observer_is_told_that_the_job_was_removed(app: Conveyor) -> None:
    async with app:
        job = await app.queue("mails").add("send")
        with anyio.fail_after(10):
            async with job.observe() as states:
                assert (await anext(states)).state is JobState.WAITING
                await job.remove()
                with pytest.raises(JobNotFoundError):
                    await anext(states)
        with pytest.raises(JobNotFoundError):
            async with app.queue("mails").observe(job.id):
                pass


async def test_a_reader_is_told_that_the_app_was_closed(app: Conveyor) -> None:
    async with app:
        watching = app.events()
        stream = await watching.__aenter__()
    with anyio.fail_after(10), pytest.raises(ConfigurationError, match="closed"):
        await anext(stream)
    await watching.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["complete"]}, "did you mean 'completed'"),
        ({"kinds": "completed"}, "kinds must be several"),
        ({"buffer": 0}, "at least 1 event"),
        ({"buffer": "many"}, "buffer"),
    ],
)
async def test_a_bad_option_is_refused_by_its_name(app: Conveyor, options: dict[str, Any], message: str) -> None:
    async with app:
        with pytest.raises(ConfigurationError, match=message):
            async with app.events(**options):
                pass


async def test_a_store_that_records_nothing_is_named() -> None:
    app = Conveyor("memory://")
    async with app:
        app._services.store.events = None  # type: ignore[misc]  # as a store that lacks the facet
        with pytest.raises(CapabilityError, match="events"):
            async with app.events():
                pass


async def test_results_that_are_encrypted_are_read_with_the_key(store_url: str) -> None:
    app = Conveyor(store_url, payload_codec=AesGcmCodec({"one": bytes(32)}))

    @app.queue("mails").job()
    async def send() -> str:
        return "secret"

    async with app, app.worker(), app.events(["completed"]) as stream:
        await send.add()
        [event] = await read_until(stream, EventKind.COMPLETED)
        assert event.record.result is not None
        assert b"secret" not in event.record.result
        assert event.result == "secret"
