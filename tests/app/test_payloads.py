"""Payloads through an app: typed arguments and results, and jobs that were added by older and newer programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest

from conveyor import Conveyor, JobState, Snooze
from conveyor.errors import PayloadError
from conveyor.model.job import AttemptOutcome

pytestmark = pytest.mark.anyio


@dataclass
class Card:
    number: str
    kind: Literal["card"] = "card"


@dataclass
class Cash:
    cents: int
    kind: Literal["cash"] = "cash"


@dataclass
class Receipt:
    by: Card | Cash
    day: date
    file: Path | None = None


def from_address(version: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"to": arguments["address"], "version": version}


async def test_classes_arrive_as_arguments_and_come_back_as_results(app: Conveyor) -> None:
    @app.queue("work").job()
    async def pay(by: Card | Cash, day: date) -> Receipt | Snooze:
        assert isinstance(by, Card)
        return Receipt(by, day, Path("receipts") / by.number)

    async with app, app.worker():
        job = await pay.add(Card("42"), day=date(2026, 1, 2))
        receipt = Receipt(Card("42"), date(2026, 1, 2), Path("receipts/42"))
        assert await job.result(timeout="10s") == receipt
        found = await app.queue("work").get_job(job.id)
        assert found is not None
        assert await found.result() == receipt
        with pytest.raises(PayloadError) as caught:
            await pay.add({"kind": "cash", "cents": "many"}, date(2026, 1, 2))  # type: ignore[arg-type]
        assert caught.value.path == "$.by.cents"
        with pytest.raises(PayloadError, match=r"\$\.by: `kind` is 'gold'"):
            await app.queue("work").add("pay", {"by": {"kind": "gold"}, "day": "2026-01-02"})


async def test_a_result_with_a_nan_fails_the_job_and_says_where(app: Conveyor) -> None:
    @app.queue("work").job(attempts=3)
    async def measure() -> dict[str, list[float]]:
        return {"speed": [1.0, float("nan")]}

    async with app, app.worker():
        job = await (await measure.add()).wait_until_finished("10s")
        assert job.state is JobState.FAILED
        assert "result of 'measure' at $.speed[1]: NaN" in str(job.data.error)
        assert job.data.attempts_made == 1


def with_version(url: str, version: int) -> Conveyor:
    """Return the program of a version: from 2 on its function takes `to`."""
    app = Conveyor(url)

    if version == 1:

        @app.queue("work").job(name="send")
        async def send_old(address: str) -> str:
            return address

    else:

        @app.queue("work").job(name="send", version=version, upgrade=from_address)
        async def send_new(to: str, version: int = 0) -> str:
            return f"{to} {version}"

    return app


async def test_a_job_of_an_older_program_is_upgraded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    async with with_version(url, 1) as old:
        added = await old.queue("work").add("send", {"address": "ada"})
    async with with_version(url, 2) as new, new.worker():
        jobs = [await new.jobs.get(added.id), await new.queue("work").add("send", {"to": "bob"})]
        assert [await job.result(timeout="10s") for job in jobs] == ["ada 1", "bob 0"]
        assert [job.data.options.version for job in jobs] == [1, 2]


async def test_a_job_of_a_newer_program_waits_without_spending_an_attempt(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    async with with_version(url, 2) as new:
        added = await new.queue("work").add("send", {"to": "ada"})
    async with with_version(url, 1) as old, old.worker():
        witness = await old.queue("work").add("send", {"address": "bob"}, priority=1)
        assert await witness.result(timeout="10s") == "bob"
    async with with_version(url, 2) as new:
        job = await new.jobs.get(added.id)
        assert (job.state, job.data.attempts_made) == (JobState.DELAYED, 0)
        assert [attempt.outcome for attempt in await job.attempts()] == [AttemptOutcome.SNOOZED]
        async with new.worker():
            await job.promote()
            assert await job.result(timeout="10s") == "ada 0"


async def test_a_program_without_the_handler_can_say_the_version_it_adds(app: Conveyor) -> None:
    queue = app.queue("work")
    async with app:
        job = await queue.add("send", {"to": "ada"}, version=2)
        assert (await job.refresh()).data.options.version == 2
        queue.job(name="send", version=2, upgrade=from_address)(_send)
        async with app.worker():
            assert await job.result(timeout="10s") == "ada 0"
        with pytest.raises(PayloadError, match="version 3, newer than 2"):
            await queue.add("send", {"to": "ada"}, version=3)
        with pytest.raises(PayloadError, match="raised KeyError"):
            await queue.add("send", {"to": "ada"}, version=1)


async def _send(to: str, version: int = 0) -> str:
    return f"{to} {version}"


async def test_new_data_of_a_rerun_is_of_the_jobs_own_version(app: Conveyor) -> None:
    queue = app.queue("work")
    queue.job(name="send", version=2, upgrade=from_address)(_send)
    async with app, app.worker():
        job = await queue.add("send", {"address": "ada"}, version=1)
        assert await job.result(timeout="10s") == "ada 1"
        await job.rerun({"address": "bob"})
        assert await job.result(timeout="10s") == "bob 1"
        with pytest.raises(PayloadError, match="raised KeyError"):
            await job.rerun({"to": "bob"})
