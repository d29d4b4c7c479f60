"""Jobs that must start in time: run before, cancelled after, and told to whoever waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor.errors import ConfigurationError, JobFailedError

pytestmark = pytest.mark.anyio


async def test_a_job_that_was_not_started_in_time_never_runs(app: Conveyor) -> None:
    ran: list[str] = []

    @app.queue("work").job()
    async def note(word: str) -> None:
        ran.append(word)

    async with app:
        late = await note.options(expires="10ms").add("late")
        early = await note.options(expires=datetime.now(UTC) + timedelta(hours=1)).add("early")
        await anyio.sleep(0.05)
        async with app.worker():
            await early.result(timeout="10s")
            with pytest.raises(JobFailedError, match="had not started by"):
                await late.result(timeout="10s")
    assert ran == ["early"]
    assert late.state is JobState.CANCELLED


async def test_a_job_of_a_paused_queue_expires_at_the_next_look(app: Conveyor) -> None:
    @app.queue("work").job()
    async def note() -> None: ...

    async with app, app.worker(stalled_interval="10ms"):
        await app.queue("work").pause()
        job = await note.options(expires="20ms").add()
        with pytest.raises(JobFailedError, match="Expired"):
            await job.result(timeout="10s")


async def test_a_queue_may_give_the_expiry_of_its_jobs_and_a_job_take_it_away(app: Conveyor) -> None:
    @app.queue("work", expires="1h").job()
    async def note() -> None: ...

    async with app:
        assert (await (await note.add()).refresh()).data.expires_at is not None
        assert (await (await note.options(expires=None).add()).refresh()).data.expires_at is None


@pytest.mark.parametrize("expires", [0, -1, "soon", True, datetime(2030, 1, 1)])  # noqa: DTZ001 - that is what is wrong
def test_a_bad_expiry_is_refused_by_its_name(expires: Any) -> None:
    with pytest.raises(ConfigurationError, match="expires"):
        Conveyor("memory://").queue("work", expires=expires)


def test_an_expiry_before_the_delay_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"expires .* must be longer than delay"):
        Conveyor("memory://").queue("work", expires="1s", delay="1s")
