"""How full buffers are, told to OpenTelemetry for as long as the app is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from conveyor_plugin_observability import OpenTelemetry

from conveyor import Conveyor, JobBuffer
from conveyor.errors import CapabilityError, ConfigurationError
from conveyor.testing import open_store
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultScript, FaultyStore

if TYPE_CHECKING:
    from telemetry import Telemetry

pytestmark = pytest.mark.anyio

NAMES = ("jobs", "size", "oldest_age")
REINDEX = JobBuffer("reindex", collect=lambda job: job.name == "reindex", reduce=list)


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def middleware(telemetry: Telemetry) -> OpenTelemetry:
    """One that tells how full buffers are every ten seconds."""
    return OpenTelemetry(buffers_every="10 seconds", meter_provider=telemetry.meter_provider)


def told(telemetry: Telemetry) -> dict[str, list[float]]:
    """Return what the gauges stand at, by buffer."""
    points: Any = [telemetry.points(f"conveyor.buffer.{name}") for name in NAMES]
    ids = sorted({point.attributes["conveyor.buffer.id"] for one in points for point in one})
    return {
        id: [point.value for one in points for point in one if point.attributes["conveyor.buffer.id"] == id]
        for id in ids
    }


async def test_how_full_buffers_are_is_told_every_so_often_and_zero_once_they_are_empty(
    telemetry: Telemetry, middleware: OpenTelemetry
) -> None:
    app = Conveyor("memory://", middleware=[middleware], clock=JumpingClock())
    app.buffers.add_buffer(REINDEX)
    async with app:
        assert told(telemetry) == {}
        await app.queue("work").add_many([app.queue("work").new("reindex", {"id": number}) for number in range(2)])
        await anyio.sleep(15)
        jobs, size, age = told(telemetry)["reindex"]
        assert (jobs, size, round(age)) == (2, 2 * len(b'{"id":1}'), 10)
        await app.buffers.flush()
        assert told(telemetry)["reindex"][0] == 2
        await anyio.sleep(10)
        assert told(telemetry) == {"reindex": [0, 0, 0]}


async def test_what_was_buffered_before_is_told_once_the_app_is_open(
    telemetry: Telemetry, middleware: OpenTelemetry
) -> None:
    async with open_store("memory://") as store:
        before = Conveyor(store)
        before.buffers.add_buffer(REINDEX)
        async with before:
            await before.queue("work").add("reindex")
        async with Conveyor(store, middleware=[middleware]):
            assert told(telemetry)["reindex"][0] == 1


async def test_a_store_that_cannot_be_asked_is_asked_again(
    telemetry: Telemetry, middleware: OpenTelemetry, caplog: pytest.LogCaptureFixture
) -> None:
    script, clock = FaultScript(), JumpingClock()
    async with open_store("memory://", clock=clock) as store:
        app = Conveyor(FaultyStore(store, script), middleware=[middleware], clock=clock)
        app.buffers.add_buffer(REINDEX)
        script.spoil("get_sizes", 2)
        async with app:
            await app.queue("work").add("reindex")
            await anyio.sleep(15)
            assert told(telemetry) == {}
            await anyio.sleep(10)
            assert told(telemetry)["reindex"][0] == 1
    assert caplog.text.count("cannot tell how full the buffers are") == 2


async def test_of_a_storage_that_cannot_tell_more_the_jobs_are_told(
    telemetry: Telemetry, middleware: OpenTelemetry
) -> None:
    app = Conveyor("memory://", buffer_storage="memory", middleware=[middleware], clock=JumpingClock())
    app.buffers.add_buffer(REINDEX)
    async with app:
        await app.queue("work").add("reindex")
        await anyio.sleep(15)
        assert told(telemetry) == {"reindex": [1]}


async def test_a_store_without_buffers_is_refused_as_the_app_opens(middleware: OpenTelemetry) -> None:
    async with open_store("memory://") as store:
        without = FaultyStore(store)
        without.buffers = None
        with pytest.raises(CapabilityError, match="buffers"):
            async with Conveyor(without, middleware=[middleware]):
                pytest.fail("it opened")


async def test_nothing_is_read_unless_it_is_wanted(telemetry: Telemetry) -> None:
    async with open_store("memory://") as store:
        without = FaultyStore(store)
        without.buffers = None
        async with Conveyor(without, middleware=[telemetry.middleware()]):
            assert told(telemetry) == {}


@pytest.mark.parametrize("wrong", ["0s", 0, "often"])
def test_what_is_no_time_between_two_readings_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="buffers_every"):
        OpenTelemetry(buffers_every=wrong)
