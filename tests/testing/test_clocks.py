"""The jumping loops, and the wall clock that follows them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from conveyor import Conveyor
from conveyor.errors import ConfigurationError
from conveyor.testing import JumpingClock, ManualClock, hold_jumps, jumping_backends

pytestmark = pytest.mark.anyio

DAY = 86_400.0


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run every test here on the loops that jump."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


async def test_sleeping_a_month_takes_no_time() -> None:
    began, real = anyio.current_time(), time.perf_counter()
    await anyio.sleep(30 * DAY)
    assert anyio.current_time() - began == pytest.approx(30 * DAY)
    assert time.perf_counter() - real < 60


async def test_days_of_an_app_pass_in_no_time() -> None:
    ran_at: list[datetime] = []
    clock = JumpingClock(datetime(2030, 3, 1, tzinfo=UTC))
    app = Conveyor("memory://", clock=clock)

    @app.queue("work").job()
    async def note() -> None:
        ran_at.append(clock.now())

    real = time.perf_counter()
    async with app, app.worker(poll_interval="1h", stalled_interval="1h", lock_duration="1h"):
        added_at = clock.now()
        await note.options(delay="3 days").add()
        await anyio.sleep(3 * DAY + 1)
    assert timedelta(days=3) <= ran_at[0] - added_at < timedelta(days=3, seconds=1)
    assert time.perf_counter() - real < 60


async def test_timers_fire_in_order_and_at_their_time() -> None:
    began = anyio.current_time()
    fired: list[tuple[float, float]] = []

    async def fire_after(seconds: float) -> None:
        await anyio.sleep(seconds)
        fired.append((seconds, anyio.current_time() - began))

    async with anyio.create_task_group() as tasks:
        for seconds in (3600.0, 60.0, DAY, 1.0):
            tasks.start_soon(fire_after, seconds)
    assert [seconds for seconds, _ in fired] == [1.0, 60.0, 3600.0, DAY]
    assert all(at == pytest.approx(seconds) for seconds, at in fired)


async def test_no_jump_while_a_thread_works() -> None:
    with anyio.fail_after(3600):
        await anyio.to_thread.run_sync(time.sleep, 0.05)
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, time.sleep, 0.1)
            await anyio.sleep(0.02)
            assert anyio.current_time() - began < 1000  # a jump would be to the deadline
    await anyio.sleep(DAY)
    assert anyio.current_time() - began > DAY


async def test_time_passes_while_a_thread_works_so_that_a_timeout_can_stop_it() -> None:
    is_told = threading.Event()

    async def tell() -> None:
        await anyio.sleep(0.05)
        is_told.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tell)
        assert await anyio.to_thread.run_sync(is_told.wait, 10)


async def test_no_jump_while_a_socket_is_awaited() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        timer = threading.Timer(0.1, there.send, [b"x"])
        timer.start()
        with anyio.fail_after(3600):
            await anyio.wait_readable(here)
        timer.join()
        assert here.recv(1) == b"x"


async def test_no_jump_while_it_is_held() -> None:
    arrived = anyio.Event()
    token = anyio.lowlevel.current_token().native_token
    post = getattr(token, "run_sync_soon", None) or token.call_soon_threadsafe  # type: ignore[attr-defined]
    timer = threading.Timer(0.1, post, [arrived.set])
    began = anyio.current_time()
    with anyio.fail_after(3600):
        timer.start()
        with hold_jumps():
            await arrived.wait()
    assert anyio.current_time() - began < 1000  # as above
    timer.join()
    await anyio.sleep(DAY)
    assert anyio.current_time() - began > DAY


async def test_no_jump_while_an_executor_works(anyio_backend_name: str) -> None:
    if anyio_backend_name == "trio":
        return
    with anyio.fail_after(3600):
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.1)


async def test_a_store_with_threads_is_waited_for(tmp_path: Any) -> None:
    clock = JumpingClock()
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db", clock=clock)

    @app.queue("work").job()
    def add(left: int, right: int) -> int:
        return left + right

    with hold_jumps():
        async with app, app.worker():
            assert await (await add.add(1, 2)).result(timeout="30s") == 3


async def test_the_wall_clock_follows_the_loop_and_can_be_read_in_a_thread() -> None:
    clock = JumpingClock()
    began = clock.now()
    await anyio.sleep(DAY)
    assert timedelta(days=1) <= clock.now() - began < timedelta(days=1, seconds=1)
    assert await anyio.to_thread.run_sync(clock.now) - began < timedelta(days=1, seconds=5)


def test_the_wall_clock_goes_on_with_the_next_loop() -> None:
    clock = JumpingClock()
    assert clock.now() == clock.now() == ManualClock().now()

    async def pass_a_day() -> None:
        clock.now()
        await anyio.sleep(DAY)
        clock.now()

    for backend, options in jumping_backends():
        before = clock.now()
        anyio.run(pass_a_day, backend=backend, backend_options=options)
        assert timedelta(days=1) <= clock.now() - before < timedelta(days=1, seconds=1)


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="time zone"):
        JumpingClock(datetime(2030, 1, 1))  # noqa: DTZ001 - what is refused


def test_holding_does_nothing_on_an_ordinary_loop() -> None:
    async def hold() -> None:
        with hold_jumps():
            await anyio.lowlevel.checkpoint()

    for backend in ("asyncio", "trio"):
        anyio.run(hold, backend=backend)
