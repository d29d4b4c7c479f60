"""An app whose jobs are in JetStream: its worker runs them, and tells their ends."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from conveyor_plugin_nats.queue import NatsJobQueue
from gaps import watch_gaps

from conveyor import Conveyor, JobBuffer, JobContext, Snooze, union
from conveyor.__main__ import main
from conveyor.errors import CapabilityError, InvalidJobStateError, JobFailedError, JobNotFoundError, PayloadError
from conveyor.model.queries import JobFilter
from conveyor.model.retry import fixed
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SECONDS = 20.0
LOCK_SECONDS = 0.6


def new_app(url: str) -> Conveyor:
    return Conveyor("memory://", job_queue=NatsJobQueue(url))


async def test_a_job_runs_and_its_result_comes_back(url: str) -> None:
    app = new_app(url)

    @app.queue("sums").job()
    async def add(left: int, right: int) -> int:
        return left + right

    async with app, app.worker():
        assert await (await add.add(1, 2)).result(timeout=SECONDS) == 3


async def test_a_job_that_another_process_adds_runs(url: str) -> None:
    ours, theirs = new_app(url), new_app(url)
    ran = anyio.Event()

    @ours.queue("sums").job()
    async def tell(word: str) -> None:
        ran.set()

    async with ours, theirs, ours.worker():
        await theirs.queue("sums").add("tell", {"word": "x"})
        with anyio.fail_after(SECONDS):
            await ran.wait()


async def test_what_failed_is_retried_by_its_policy_and_then_kept_with_its_reason(url: str) -> None:
    app = new_app(url)
    attempts: list[int] = []

    @app.queue("sums").job(attempts=3, backoff=fixed("50ms"))
    async def divide(context: JobContext, by: int) -> float:
        attempts.append(context.attempt)
        return 1 / by

    async with app, app.worker():
        job = await divide.add(0)
        with pytest.raises(JobFailedError, match="ZeroDivisionError"):
            await job.result(timeout=SECONDS)
        await job.refresh()
        assert (job.state, attempts) == (JobState.FAILED, [1, 2, 3])


async def test_a_snooze_costs_no_attempt(url: str) -> None:
    app = new_app(url)
    attempts: list[int] = []

    @app.queue("sums").job()
    async def wait(context: JobContext) -> str | Snooze:
        attempts.append(context.attempt)
        return "done" if len(attempts) == 3 else Snooze("50ms")

    async with app, app.worker():
        assert await (await wait.add()).result(timeout=SECONDS) == "done"
    assert attempts == [1, 1, 1]


async def test_a_job_that_runs_longer_than_its_lock_stays_with_its_worker(url: str) -> None:
    app = new_app(f"{url}&lock_duration={LOCK_SECONDS}s")
    runs: list[str] = []

    @app.queue("sums").job()
    async def last() -> None:
        runs.append("began")
        await anyio.sleep(2)

    gap = None
    async with app, app.worker():
        while gap is None or gap.seconds > LOCK_SECONDS / 3:  # it was kept from extending, which says nothing
            runs.clear()
            async with watch_gaps() as gap:
                await (await last.add()).wait_until_finished(timeout=SECONDS)
    assert runs == ["began"]


async def test_a_worker_that_stops_hands_back_what_it_cannot_finish_and_says_so(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "conveyor")
    app = new_app(url)
    began: list[int] = []
    second = anyio.Event()

    @app.queue("sums").job()
    async def hang(context: JobContext) -> None:
        began.append(context.attempt)
        if len(began) == 2:
            second.set()
            return
        await anyio.sleep_forever()

    async with app:
        async with app.worker(shutdown_grace="100ms"):
            job = await hang.add()
            with anyio.fail_after(SECONDS):
                while not began:
                    await anyio.lowlevel.checkpoint()
        async with app.worker():
            with anyio.fail_after(SECONDS):
                await second.wait()
            await job.wait_until_finished(timeout=SECONDS)
    assert began == [1, 1]
    assert "handing them back" in caplog.text


async def test_jobs_that_wait_are_told_from_those_that_are_put_off(url: str) -> None:
    app = new_app(url)
    queue = app.queue("sums")

    @queue.job()
    async def add(left: int, right: int) -> int:
        return left + right

    async with app:
        waiting = await add.add(1, 2)
        delayed = await add.options(delay=timedelta(hours=1)).add(3, 4)
        assert [job.state for job in (await app.jobs.get(waiting.id), await app.jobs.get(delayed.id))] == [
            JobState.WAITING,
            JobState.DELAYED,
        ]
        assert [job.id for job in (await app.jobs.find(JobFilter(states=(JobState.DELAYED,)))).jobs] == [delayed.id]
        with pytest.raises(JobNotFoundError):
            await app.jobs.get("nobody")


async def test_a_job_is_cancelled_before_it_runs_or_not_at_all(url: str) -> None:
    app = new_app(url)

    @app.queue("sums").job()
    async def add(left: int, right: int) -> int:
        return left + right

    async with app:
        doomed = await add.add(1, 2)
        later = await add.options(delay="1h").add(1, 2)
        await doomed.cancel()
        await later.cancel()
        async with app.worker():
            assert await (await add.add(5, 6)).result(timeout=SECONDS) == 11
        for job in (doomed, later):
            await job.refresh()
            assert job.state is JobState.CANCELLED
            with pytest.raises(InvalidJobStateError):
                await job.cancel()


async def test_settled_jobs_are_removed_of_some_queues_or_of_all(url: str) -> None:
    queue = NatsJobQueue(url)
    app = Conveyor("memory://", job_queue=queue)

    @app.queue("sums").job()
    async def divide(by: int) -> float:
        return 1 / by

    async with app, app.worker():
        jobs = [await divide.add(by) for by in (0, 1)]
        for job in jobs:
            await job.wait_until_finished(timeout=SECONDS)
        assert await queue.remove_settled_jobs(["others"], timedelta(0)) == 0
        assert await queue.remove_settled_jobs([], timedelta(days=1)) == 0
        assert await queue.remove_settled_jobs([], timedelta(microseconds=1)) == 2
        third = await divide.add(2)
        await third.wait_until_finished(timeout=SECONDS)
        assert await queue.remove_settled_jobs([], timedelta(0)) == 1
        assert await queue.find_many_by_id([job.id for job in jobs]) == []
        await (await divide.add(4)).wait_until_finished(timeout=SECONDS)
        with pytest.raises(CapabilityError, match="of one state"):
            await app.queue("sums").clean("completed")
        assert await app.queue("sums").clean(None, grace="1 day") == 0
        assert await app.queue("sums").clean(None) == 1


async def test_a_buffered_job_is_removed_and_not_cancelled(url: str) -> None:
    app = new_app(url)
    app.buffers.add_buffer(JobBuffer("sums", collect=lambda _: True, reduce=list))
    async with app:
        unwanted, kept = [await app.queue("sums").add("add", {"left": left, "right": 1}) for left in (1, 2)]
        with pytest.raises(CapabilityError, match=r"job\.remove\(\)"):
            await unwanted.cancel()
        await unwanted.remove()
        with pytest.raises(JobNotFoundError):
            await unwanted.refresh()
        assert [job.id for job in (await app.buffers.flush())["sums"]] == [kept.id]
        await kept.cancel()
        assert kept.state is JobState.CANCELLED


async def test_a_job_that_is_too_large_is_refused_before_a_buffer_takes_it(url: str) -> None:
    app = new_app(url)
    app.buffers.add_buffer(JobBuffer("sums", collect=lambda _: True, reduce=list))
    sums = app.queue("sums")
    async with app:
        with pytest.raises(PayloadError, match=r"arguments of 'add' .* max_payload is 1048576"):
            await sums.add("add", {"left": "x" * 1_048_576})
        with pytest.raises(PayloadError, match="max_payload is 1048576"):
            await sums.add_many([sums.new("add"), sums.new("add", {"left": "x" * 1_048_576})])
        assert await app.buffers.buffer_size() == {"sums": 0}


async def test_a_merged_job_that_is_too_large_is_added_as_the_jobs_it_was_made_of(url: str) -> None:
    app = new_app(url)
    app.buffers.add_buffer(JobBuffer("sums", collect=lambda _: True, reduce=union("words")))

    @app.queue("sums").job()
    async def count(words: list[str]) -> int:
        return len(words)

    async with app, app.worker():
        jobs = [await count.add([letter * 600_000]) for letter in "ab"]
        assert [job.id for job in (await app.buffers.flush())["sums"]] == [job.id for job in jobs]
        assert [await job.result(timeout=SECONDS) for job in jobs] == [1, 1]


async def test_ended_jobs_are_shown_without_what_is_not_kept(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = new_app(url)

    @app.queue("sums").job()
    async def add(left: int, right: int) -> int:
        return left + right

    async with app, app.worker():
        job = await add.add(1, 2)
        assert await job.result(timeout=SECONDS) == 3
        assert (job.to_json()["payload"], job.to_json()["result"]) == (None, 3)
        found = await app.jobs.find(JobFilter(queue_names=("sums",)))
        assert [one.to_json()["state"] for one in found.jobs] == ["completed"]
    # A module of its own for each backend.
    module = tmp_path.name
    program = f"from conveyor import Conveyor\napp = Conveyor('memory://', job_queue={url!r})"
    (tmp_path / f"{module}.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    clean = ("queues", "clean", "sums", "--older-than", "1ms", "--yes")
    for command, shown in ((("jobs", "show", job.id), job.id), (("jobs", "list"), job.id), (clean, '"removed": 1')):
        # As from a shell, which has no event loop.
        code = await anyio.to_thread.run_sync(main, (*command, "--app", f"{module}:app", "-o", "json"))
        printed = capsys.readouterr()
        assert code == 0, printed.err
        assert shown in printed.out
