"""Jobs that run: results, outcomes, retries, order, threads."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Cancel, Completed, Failed, JobContext, JobState, Progress, Retry, Snooze, Stop, by_name, fixed
from conveyor.errors import ConfigurationError, JobFailedError
from conveyor.model.job import AttemptOutcome
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import Conveyor, Job

pytestmark = pytest.mark.anyio


async def outcomes_of(job: Job[Any]) -> Sequence[AttemptOutcome]:
    """Return how the runs of a job ended."""
    return [attempt.outcome for attempt in await job.attempts()]


async def test_a_job_runs_and_its_result_arrives(app: Conveyor) -> None:
    @app.queue("emails").job(attempts=5, timeout="30s")
    async def send_welcome(to: str, locale: str = "en") -> str:
        return f"sent to {to} in {locale}"

    async with app, app.worker():
        job = await send_welcome.add("ada@example.com")
        assert await job.result(timeout="10s") == "sent to ada@example.com in en"
        assert job.state is JobState.COMPLETED
        assert await outcomes_of(job) == [AttemptOutcome.COMPLETED]


async def test_a_thousand_jobs_each_run_once(app: Conveyor) -> None:
    ran: list[int] = []

    @app.queue("numbers").job()
    async def note(number: int) -> None:
        ran.append(number)

    async with app, app.worker(concurrency=7):
        jobs = await note.add_many([note.new(number) for number in range(1000)])
        for job in jobs:
            await job.wait_until_finished(timeout="20s")
        assert sorted(ran) == list(range(1000))


async def test_a_failing_job_is_retried_and_ends_failed_with_its_reason(app: Conveyor) -> None:
    runs: list[int] = []

    @app.queue("work").job(attempts=3, backoff=fixed("10ms"))
    async def break_down(context: JobContext) -> None:
        runs.append(context.attempt)
        raise ValueError("the reason")

    async with app, app.worker():
        job = await break_down.add()
        with pytest.raises(JobFailedError, match="ValueError: the reason"):
            await job.result(timeout="10s")
        assert runs == [1, 2, 3]
        assert await outcomes_of(job) == ["retried", "retried", "failed"]
        assert job.data.error is not None
        assert "break_down" in job.data.error.traceback


async def test_a_retry_without_backoff_is_at_once(app: Conveyor) -> None:
    runs: list[int] = []

    @app.queue("work").job(attempts=2)
    async def second_time_lucky() -> int:
        runs.append(1)
        if len(runs) == 1:
            raise OSError("not yet")
        return len(runs)

    async with app, app.worker():
        assert await (await second_time_lucky.add()).result(timeout="10s") == 2


async def test_a_named_backoff_curve_decides_the_wait(app: Conveyor) -> None:
    asked: list[int] = []

    def curve(failures: int) -> timedelta:
        asked.append(failures)
        return timedelta(milliseconds=1)

    app.register_backoff("gentle", curve)

    @app.queue("work").job(attempts=3, backoff=by_name("gentle"))
    async def fail() -> None:
        raise OSError("no")

    async with app, app.worker():
        await (await fail.add()).wait_until_finished(timeout="10s")
        assert asked == [1, 2]


async def test_an_unregistered_backoff_curve_fails_the_job_by_name(app: Conveyor) -> None:
    @app.queue("work").job(attempts=3, backoff=by_name("unheard of"))
    async def fail() -> None:
        raise OSError("no")

    async with app, app.worker():
        with pytest.raises(JobFailedError, match="unheard of"):
            await (await fail.add()).result(timeout="10s")


@pytest.mark.parametrize(
    ("outcome", "state", "history"),
    [
        (Completed(7), JobState.COMPLETED, ["completed"]),
        (Cancel("enough"), JobState.CANCELLED, ["cancelled"]),
        (Failed("never", retry=False), JobState.FAILED, ["failed"]),
        (Failed("again"), JobState.FAILED, ["retried", "failed"]),
        (Retry(after="1ms"), JobState.FAILED, ["retried", "failed"]),
    ],
)
async def test_an_outcome_is_returned_as_a_value(
    app: Conveyor, outcome: object, state: JobState, history: list[str]
) -> None:
    @app.queue("work").job(attempts=2)
    async def decide() -> object:
        return outcome

    async with app, app.worker():
        job = await (await decide.add()).wait_until_finished(timeout="10s")
        assert job.state is state
        assert await outcomes_of(job) == history


async def test_a_snooze_counts_no_attempt(app: Conveyor) -> None:
    attempts: list[int] = []

    @app.queue("work").job()
    async def wait_for_it(context: JobContext) -> object:
        attempts.append(context.attempt)
        return Snooze("1ms") if len(attempts) < 3 else "done"

    async with app, app.worker():
        job = await wait_for_it.add()
        assert await job.result(timeout="10s") == "done"
        assert attempts == [1, 1, 1]
        assert await outcomes_of(job) == ["snoozed", "snoozed", "completed"]


async def test_stop_carries_an_outcome_out_of_deep_code(app: Conveyor) -> None:
    @app.queue("work").job()
    async def dig() -> None:
        raise Stop(Cancel("found it"))

    async with app, app.worker():
        with pytest.raises(JobFailedError, match="cancelled: Cancelled: found it"):
            await (await dig.add()).result(timeout="10s")


async def test_a_result_that_has_no_json_form_fails_the_job(app: Conveyor) -> None:
    @app.queue("work").job(attempts=5)
    async def strange() -> object:
        return object()

    async with app, app.worker():
        with pytest.raises(JobFailedError, match="result of 'strange'"):
            await (await strange.add()).result(timeout="10s")


async def test_a_sync_handler_runs_in_a_thread_and_can_report(app: Conveyor) -> None:
    @app.queue("work").job()
    def compute(context: JobContext, number: int) -> bool:
        context.log("computing")
        context.progress(1, 2, "half")
        return threading.current_thread() is threading.main_thread() or number < 0

    async with app, app.worker():
        job = await compute.add(3)
        assert await job.result(timeout="10s") is False
        assert [entry.message for entry in await job.logs()] == ["computing"]
        assert job.progress == Progress(1.0, 2.0, "half")


async def test_progress_and_logs_are_seen_while_the_job_runs(app: Conveyor) -> None:
    go_on = anyio.Event()

    @app.queue("work").job()
    async def report(context: JobContext) -> None:
        context.progress(1, 3)
        context.log("first")
        context.log("second")
        await go_on.wait()

    async with app, app.worker():
        job = await report.add()

        async def is_told() -> bool:
            return (await job.refresh()).progress is not None and len(await job.logs()) == 2

        await eventually(is_told)
        assert job.progress == Progress(1.0, 3.0)
        assert job.state is JobState.ACTIVE
        assert [(line.message, line.attempt) for line in await job.logs()] == [("first", 1), ("second", 1)]
        go_on.set()
        await job.result(timeout="10s")


async def test_jobs_run_by_priority_then_age_with_lifo_first(app: Conveyor) -> None:
    ran: list[str] = []

    @app.queue("work").job()
    async def note(name: str) -> None:
        ran.append(name)

    async with app:
        await note.add("a")
        await note.options(priority=1).add("late")
        await note.add("b")
        await note.options(lifo=True).add("l1")
        await note.options(lifo=True).add("l2")
        await note.options(priority=-5).add("urgent")
        last = await note.options(priority=9).add("last")
        async with app.worker(concurrency=1, prefetch=0):
            await last.wait_until_finished(timeout="10s")
    assert ran == ["urgent", "l2", "l1", "a", "b", "late", "last"]


async def test_a_delayed_job_runs_when_its_time_comes(app: Conveyor) -> None:
    @app.queue("work").job()
    async def when() -> float:
        return datetime.now(UTC).timestamp()

    async with app, app.worker():
        due_at = datetime.now(UTC) + timedelta(milliseconds=150)
        early = await when.options(delay="100ms").add()
        late = await when.options(run_at=due_at).add()
        assert early.state is JobState.DELAYED
        assert await late.result(timeout="10s") >= due_at.timestamp()
        assert await early.result(timeout="10s") >= early.data.created_at.timestamp() + 0.09


async def test_promote_runs_a_delayed_job_now(app: Conveyor) -> None:
    @app.queue("work").job(delay="1 hour")
    async def later() -> str:
        return "now"

    async with app, app.worker():
        job = await later.add()
        await job.promote()
        assert await job.result(timeout="10s") == "now"


async def test_rerun_starts_from_the_first_attempt_with_new_data(app: Conveyor) -> None:
    @app.queue("work").job()
    async def double(number: int) -> int:
        return number * 2

    async with app, app.worker():
        job = await double.add(2)
        assert await job.result(timeout="10s") == 4
        await job.rerun({"number": 5})
        assert await job.result(timeout="10s") == 10
        assert len(await job.attempts()) == 2


async def test_a_job_of_an_unknown_handler_fails_and_says_which_are_known(app: Conveyor) -> None:
    @app.queue("mails").job()
    async def send() -> None: ...

    async with app, app.worker():
        job = await app.queue("mails").add("sent")
        with pytest.raises(JobFailedError, match="no handler called 'sent': did you mean 'send'"):
            await job.result(timeout="10s")


async def test_a_payload_that_no_longer_fits_fails_the_job_with_the_path(app: Conveyor, store_url: str) -> None:
    @app.queue("work").job()
    async def add_up(numbers: list[int]) -> int:
        return sum(numbers)

    async with app:
        good = add_up.new([1])
        good.payload = b'{"numbers":[1,"two"]}'
        (job,) = await add_up.add_many([good])
        async with app.worker():
            with pytest.raises(JobFailedError, match=r"\$\.numbers\[1\]"):
                await job.result(timeout="10s")


async def test_an_unknown_worker_option_is_refused_by_name(app: Conveyor) -> None:
    @app.queue("work").job()
    async def nothing() -> None: ...

    async with app:
        with pytest.raises(ConfigurationError, match=r"concurency.*did you mean 'concurrency'"):
            async with app.worker(concurency=3):  # type: ignore[call-arg]
                pass


async def test_attempts_tell_where_they_ran_and_what_they_logged(app: Conveyor) -> None:
    @app.queue("work").job(attempts=2)
    async def send(context: JobContext) -> None:
        context.log(f"attempt {context.attempt}")
        if context.attempt == 1:
            raise ValueError("no")

    async with app:
        async with app.worker():
            (worker,) = await app.workers()
            job = await send.add()
            await job.result(timeout="20s")
        await job.log("looked at")
        attempts = await job.attempts()
    assert [[line.message for line in attempt.logs] for attempt in attempts] == [["attempt 1"], ["attempt 2"]]
    ran_by = {(attempt.worker_id, attempt.hostname, attempt.pid) for attempt in attempts}
    assert ran_by == {(worker.id, worker.hostname, worker.pid)}
