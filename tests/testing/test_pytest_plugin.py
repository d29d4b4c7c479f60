"""The fixtures that conveyor lends to those who ask for them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor

if TYPE_CHECKING:
    from conveyor.testing import JumpingClock

pytest_plugins = ["conveyor.testing.pytest_plugin"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(conveyor_jumping_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """As a user's conftest.py would have it."""
    return conveyor_jumping_backend


async def test_a_day_passes(conveyor_store: str, conveyor_clock: JumpingClock) -> None:
    app = Conveyor(conveyor_store, clock=conveyor_clock)

    @app.queue("work").job()
    async def note() -> str:
        return "ran"

    async with app, app.worker(poll_interval="1h", stalled_interval="1h", lock_duration="3h"):
        began = conveyor_clock.now()
        job = await note.options(delay="1 day").add()
        await anyio.sleep(86_401)  # noqa: ASYNC116 - the clock jumps over it
        assert await job.result(timeout="5s") == "ran"
        assert conveyor_clock.now() - began > timedelta(days=1)
