"""What JetStream does not have, and what does not fit, is refused before anything is half done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from conveyor_plugin_nats.queue import NatsJobQueue
from nats.js.api import PersistMode, RetentionPolicy
from opened import completed, failed, fetch_one, new_job, no_process, open_queue
from server import Server, free_port

from conveyor import Conveyor, Flow
from conveyor.contracts.capabilities import Durability
from conveyor.errors import CapabilityError, ConfigurationError, PayloadError, StoreError, StoreUnavailableError
from conveyor.model.deduplication import Deduplication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conveyor.model.options import JobKeywords

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "given", [{"priority": 1}, {"lifo": True}, {"group": "g"}, {"deduplication": Deduplication(key="k")}]
)
async def test_an_option_that_jetstream_does_not_have_is_refused_and_none_of_its_jobs_added(
    url: str, given: JobKeywords
) -> None:
    queue = NatsJobQueue(url)
    app = Conveyor("memory://", job_queue=queue)
    orders = app.queue("orders")
    async with app:
        with pytest.raises(CapabilityError):
            await orders.add_many([orders.new("pack", job_id="a"), orders.new("pack", **given)])
        assert await queue._bridge.call(lambda: queue._desk.connection.latest("a")) is None


async def test_flows_schedules_and_transactions_are_refused(url: str) -> None:
    app = Conveyor("memory://", job_queue=NatsJobQueue(url))
    orders = app.queue("orders")
    async with app:
        with pytest.raises(CapabilityError, match="flows"):
            await app.flows.add(Flow(orders.new("pack"), children=[orders.new("pick")]))
        with pytest.raises(CapabilityError, match="schedules"):
            await app.schedules.list()
        with pytest.raises(CapabilityError, match="transactions"):
            await orders.add("pack", connection=object())


async def test_arguments_that_are_too_large_are_refused_and_none_of_their_jobs_added(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        with pytest.raises(PayloadError, match="max_payload is 1048576"):
            await queue.add_many([new_job("a"), new_job("b", b"x" * 1_048_576)])
        with pytest.raises(PayloadError, match="options"):
            await queue.add(new_job("c", metadata={"k": "v" * 70_000}))
        # The connection is as it was.
        await queue.add(new_job("d"))
        assert (await fetch_one(queue)).job.id == "d"


async def test_the_largest_arguments_that_are_taken_leave_room_for_a_dead_letter(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        size = 1_048_576
        while True:
            try:
                await queue.add(new_job("a", b"x" * size))
                break
            except PayloadError:
                size -= 1_000
        first = await fetch_one(queue)
        error = ValueError("\u00fc" * 5_000)
        await first.settle(failed(first.job, error))
        kept = await queue._bridge.call(lambda: queue._desk.connection.latest("a"))
    assert kept is not None
    assert len(kept.body) == size


async def test_a_result_that_is_too_large_fails_the_job(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        await queue.add(new_job("a"))
        first = await fetch_one(queue)
        await first.settle(completed(first.job, b"x" * 1_048_576))
        kept = await queue._bridge.call(lambda: queue._desk.connection.latest("a"))
    assert kept is not None
    assert "PayloadError" in kept.headers["Conveyor-Run"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"max_msgs": 10}, "drop its oldest jobs"),
        ({"max_age": 600.0}, "drop its oldest jobs"),
        ({"max_msgs_per_subject": -1}, "max_msgs_per_subject"),
        ({"retention": RetentionPolicy.LIMITS}, "workqueue"),
        ({"subjects": None}, "subjects"),
        ({"allow_msg_schedules": False}, "schedules"),
        ({"persist_mode": PersistMode.ASYNC}, "persist_mode"),
    ],
)
async def test_a_stream_that_could_lose_jobs_is_refused(url: str, changed: dict[str, Any], reason: str) -> None:
    async with open_queue(url) as queue:
        stream, jetstream = queue.options.stream, queue._desk.connection.jetstream

        async def make_another() -> None:
            config = (await jetstream.stream_info(stream)).config
            await jetstream.delete_stream(stream)
            config = config.evolve(**changed)
            await jetstream.add_stream(config.evolve(subjects=config.subjects or [f"{stream}.elsewhere"]))

        await queue._bridge.call(make_another)
    with pytest.raises(StoreError, match=reason):
        async with open_queue(url):
            pass


async def test_workers_of_one_queue_have_one_lock_duration(url: str) -> None:
    async with open_queue(url, "orders"), open_queue(f"{url}&lock_duration=31s") as other:
        with pytest.raises(StoreError, match="lock_duration"):
            await other.start("orders", no_process)


async def test_a_consumer_that_gives_up_on_jobs_is_refused(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        stream, jetstream = queue.options.stream, queue._desk.connection.jetstream

        async def change() -> None:
            config = (await jetstream.consumer_info(stream, "orders")).config
            assert config is not None
            await jetstream.add_consumer(stream, config.evolve(max_deliver=3))

        await queue._bridge.call(change)
        async with open_queue(url) as other:
            with pytest.raises(StoreError, match="max_deliver=3"):
                await other.start("orders", no_process)


async def test_a_server_that_is_not_there_is_named(anyio_backend_name: str) -> None:
    with anyio.fail_after(10), pytest.raises(StoreUnavailableError, match="NATS at 127"):
        async with open_queue(f"nats://user:secret@127.0.0.1:{free_port()}?connect_timeout=500ms"):
            pass


async def test_a_secret_is_never_shown() -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        async with open_queue(f"nats://user:secret@127.0.0.1:{free_port()}?connect_timeout=300ms"):
            pass
    assert "secret" not in str(caught.value)


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    server = Server(jetstream="sync_interval: always", settings='authorization { user: "u", password: "p" }')
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_what_an_add_survives_is_what_the_server_was_found_to_do(strict: Server, url: str) -> None:
    monitored = f"nats://u:p@127.0.0.1:{strict.port}?stream=s&sync=always&monitor={strict.monitor}"
    async with open_queue(monitored) as queue:
        assert queue.guarantees.add is Durability.POWER_LOSS
    async with open_queue(url) as queue:
        assert queue.guarantees.add is Durability.PROCESS_CRASH


async def test_a_server_that_does_not_sync_always_is_refused_where_it_should(server: Server, url: str) -> None:
    with pytest.raises(CapabilityError, match="sync_interval: always"):
        async with open_queue(f"{url}&sync=always&monitor={server.monitor}"):
            pass
    with pytest.raises(StoreUnavailableError, match="monitoring port"):
        async with open_queue(f"{url}&sync=always&monitor=http://127.0.0.1:{free_port()}"):
            pass


async def test_a_wrong_password_is_no_reason_to_wait(strict: Server) -> None:
    with anyio.fail_after(10), pytest.raises(StoreError, match=r"(?i)authorization"):
        async with open_queue(f"nats://u:wrong@127.0.0.1:{strict.port}?connect_timeout=2s"):
            pass


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://localhost", "nats://"),
        ("nats://", "nats://"),
        ("nats://localhost:99999", "servers"),
        ("nats://localhost/jobs", "stream=jobs"),
        ("nats://localhost?straem=x", "did you mean 'stream'"),
        ("nats://localhost?stream=a.b", "stream"),
        ("nats://localhost?stream=a&stream=b", "twice"),
        ("nats://localhost?lock_duration=0s", "lock_duration"),
        ("nats://localhost?lock_duration=soon", "lock_duration"),
        ("nats://localhost?keep_failed=10ms", "keep_failed"),
        ("nats://localhost?replicas=6", "replicas"),
        ("nats://localhost?replicas=many", "replicas"),
        ("nats://localhost?sync=sometimes", "sync"),
        ("nats://localhost?sync=always", "monitor"),
        ("nats://localhost?monitor=localhost:8222", "monitor"),
        ("nats://localhost?credentials=/nowhere", "credentials"),
    ],
)
def test_a_url_that_does_not_fit_is_refused_before_anything_is_opened(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        NatsJobQueue(url)


async def test_options_come_from_the_environment_and_from_urls(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_STRATEGIES_NATS_SERVERS", url.partition("?")[0])
    monkeypatch.setenv("CONVEYOR_STRATEGIES_NATS_STREAM", f"env-{url.rpartition('-')[2]}")
    async with Conveyor("memory://", job_queue="nats") as app:
        await app.queue("orders").add("pack")
    with pytest.raises(ConfigurationError, match=r"SERVERS.*it was selected by a URL, which has its options"):
        async with Conveyor("memory://", job_queue=url):
            pass
    monkeypatch.setenv("CONVEYOR_STRATEGIES_NATS_STRAEM", "x")
    with pytest.raises(ConfigurationError, match="did you mean 'stream'"):
        async with Conveyor("memory://", job_queue="nats"):
            pass
    for option in ("SERVERS", "STREAM", "STRAEM"):
        monkeypatch.delenv(f"CONVEYOR_STRATEGIES_NATS_{option}")
    async with Conveyor("memory://", job_queue=url) as app:
        await app.queue("orders").add("pack")


def test_a_url_names_several_servers_and_every_option() -> None:
    options = NatsJobQueue("nats://u:p@one:4222,two?stream=jobs&lock_duration=1m&replicas=3&keep_failed=1d").options
    assert options.servers == ("nats://u:p@one:4222", "nats://u:p@two")
    assert options.shown == "one:4222,two"
    assert (options.stream, options.lock_duration.total_seconds(), options.replicas) == ("jobs", 60, 3)
