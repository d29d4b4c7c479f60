"""Handlers in processes of their own: what goes there and back, how they end, and who lives on."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, Flow, JobState
from conveyor.errors import JobFailedError, ProcessHandlerError
from conveyor.testing import inline
from tests.app import busy
from tests.app.busy import app
from tests.app.process_looks import gone, hanging, is_alive
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from conveyor import Job
    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app of the handlers use a fresh store."""
    monkeypatch.setenv("CONVEYOR_STORE", "memory://")


async def ended(job: Job[Any]) -> Job[Any]:
    """Wait until a job has ended."""
    return await job.wait_until_finished(timeout="30s")


async def test_it_fails_by_name_where_it_waits_for_no_child() -> None:
    async with app, app.worker():
        job = await busy.wait_for_children.add()
        with pytest.raises(JobFailedError, match=r"FlowError: the handler of .* no child of the job is open"):
            await job.result(timeout="30s")
        assert job.data.attempts_made == 2


async def test_it_runs_again_once_children_have_ended_that_it_did_not_see(tmp_path: Path) -> None:
    begun = anyio.Path(tmp_path) / "begun"
    async with app, app.worker():
        job = await busy.wait_for_children.add(str(tmp_path))
        await eventually(begun.exists, seconds=30)
        await job.add_children(busy.add_up.new(3))
        await (anyio.Path(tmp_path) / "go_on").touch()
        assert await job.result(timeout="30s") == [6]
        assert [attempt.outcome.value for attempt in await job.attempts()] == ["waited", "completed"]


async def test_it_runs_in_another_process_which_is_used_again() -> None:
    async with app, app.worker(concurrency=1):
        first = await (await busy.own_process_id.add()).result(timeout="30s")
        assert first != os.getpid()
        assert await (await busy.add_up.add(1000)).result(timeout="30s") == 500_500
        assert await (await busy.own_process_id.add()).result(timeout="30s") == first
        assert await (await busy.arguments.add()).result(timeout="30s") == sys.argv
    assert not is_alive(first)


async def test_it_reads_what_its_children_came_to() -> None:
    async with app, app.worker():
        brave = busy.add_children_up.options(on_child_failure="ignore")
        children = [busy.add_up.new(3), busy.decide.new("failed"), busy.report.new(0)]
        parent = await app.flows.add(Flow(brave.new(), children))
        assert await parent.result(timeout="30s") == [
            ["add_up", "completed", 6, "None"],
            ["decide", "failed", None, "RuntimeError: broken"],
            ["report", "completed", "report, attempt 1, cancelled: False", "None"],
        ]
        # The process is as good as before: what it is told next is an order.
        assert await (await busy.add_children_up.add()).result(timeout="30s") == []
        assert await (await busy.add_up.add(2)).result(timeout="30s") == 3


async def test_a_run_that_asks_for_what_the_store_has_not_fails_with_that() -> None:
    async with app, app.worker():
        app._services.store.flows = None  # type: ignore[misc] # the store as one without the facet
        job = await busy.add_children_up.add()
        with pytest.raises(JobFailedError, match=r"CapabilityError.*ctx\.children"):
            await job.result(timeout="30s")


async def test_what_it_raises_is_told_with_its_traceback() -> None:
    async with app, app.worker():
        job = await busy.refuse.add("the reason")
        with pytest.raises(JobFailedError, match="LookupError: the reason"):
            await job.result(timeout="30s")
        assert [attempt.outcome for attempt in await job.attempts()] == ["retried", "failed"]
        assert job.data.error is not None
        assert job.data.error.type == "LookupError"
        assert "in refuse" in job.data.error.traceback


async def test_what_ends_a_program_ends_its_job_alone() -> None:
    async with app, app.worker(concurrency=1):
        process = await (await busy.own_process_id.add()).result(timeout="30s")
        job = await ended(await busy.leave.add())
        assert (job.state, str(job.data.error)) == (JobState.FAILED, "SystemExit: 3")
        assert await (await busy.own_process_id.add()).result(timeout="30s") == process


@pytest.mark.parametrize("is_raised", [False, True])
async def test_every_outcome_means_what_it_does_elsewhere(is_raised: bool) -> None:
    states = {
        "completed": JobState.COMPLETED,
        "cancel": JobState.CANCELLED,
        "failed": JobState.FAILED,
        "retry": JobState.DELAYED,
        "snooze": JobState.DELAYED,
    }
    async with app, app.worker(concurrency=1):
        jobs = await busy.decide.add_many([busy.decide.new(outcome, is_raised) for outcome in states])
        for job, state in zip(jobs, states.values(), strict=True):

            async def has_run(job: Job[Any] = job, state: JobState = state) -> bool:
                return (await job.refresh()).state is state

            await eventually(has_run, seconds=30)
        assert await jobs[0].result() == 7
        assert [job.data.attempts_made for job in jobs] == [1, 1, 1, 1, 0]
        assert str(jobs[2].data.error) == "RuntimeError: broken"
        assert str(jobs[3].data.error) == "Retry: busy"


async def test_a_result_without_json_fails_its_job_by_name() -> None:
    async with app, app.worker():
        job = await busy.return_what_has_no_json.add()
        with pytest.raises(JobFailedError, match="return_what_has_no_json"):
            await job.result(timeout="30s")


async def test_logs_and_progress_come_back() -> None:
    async with app, app.worker():
        job = await busy.report.add(2)
        assert await job.result(timeout="30s") == "report, attempt 1, cancelled: False"
        assert [entry.message for entry in await job.logs()] == ["line 0", "line 1"]
        progress = (await job.refresh()).progress
        assert progress is not None
        assert (progress.done, progress.total, progress.message) == (2, 2, "half")


async def test_the_state_of_the_lifespan_is_refused_by_name() -> None:
    async with app, app.worker():
        job = await busy.ask_for_the_state.add()
        with pytest.raises(JobFailedError, match=r"ConfigurationError: ctx\.state is in the worker's process"):
            await job.result(timeout="30s")


async def test_a_timeout_ends_the_process_and_all_that_it_started(tmp_path: Path) -> None:
    async with app, app.worker(concurrency=1):
        # The start of a process, which may take long on a machine that has much to do, counts too.
        await (await busy.add_up.add(1)).result(timeout="30s")
        job = await busy.hang.options(timeout="5s").add(str(tmp_path))
        processes = await hanging(tmp_path)
        assert all(map(is_alive, processes))
        with pytest.raises(JobFailedError, match="TimeoutError"):
            await job.result(timeout="30s")
        await gone(*processes)


async def test_a_cancel_ends_the_process(tmp_path: Path) -> None:
    async with app, app.worker():
        job = await busy.hang.add(str(tmp_path))
        processes = await hanging(tmp_path)
        await job.cancel("enough")
        await gone(*processes)
        assert await (await busy.add_up.add(2)).result(timeout="30s") == 3


async def test_a_worker_that_stops_hands_the_job_back_and_leaves_no_process(tmp_path: Path) -> None:
    async with app:
        async with app.worker(shutdown_grace=0):
            job = await busy.hang.add(str(tmp_path))
            processes = await hanging(tmp_path)
        assert not is_alive(processes[0])
        await gone(*processes)
        await job.refresh()
        assert (job.state, job.data.attempts_made, job.data.stalled_count) == (JobState.WAITING, 0, 0)


@pytest.mark.parametrize(
    ("how", "reason"), [("exit", "exit code 7"), ("SIGKILL", "killed by SIGKILL"), ("SIGSEGV", "killed by SIGSEGV")]
)
async def test_a_handler_that_kills_its_process_stalls_and_harms_no_neighbour(
    how: str, reason: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVEYOR_STORE", store_url)
    async with app:
        async with app.worker(max_stalled=1, shutdown_grace=0):
            neighbour = await busy.hang.add(str(tmp_path))
            await hanging(tmp_path)
            job = await busy.die.options(attempts=5).add(how)

            async def has_stalled() -> bool:
                await job.refresh()
                return job.data.stalled_count == 1 and job.state is JobState.WAITING

            # Now it is a suspect, and waits for a worker that has nothing else to do.
            await eventually(has_stalled, seconds=30)
            assert (await neighbour.refresh()).state is JobState.ACTIVE
            await neighbour.cancel()
            await ended(job)
        assert (job.state, job.data.attempts_made, job.data.stalled_count) == (JobState.FAILED, 0, 2)
        assert [attempt.outcome for attempt in await job.attempts()] == ["stalled", "stalled"]
        assert job.data.error is not None
        assert job.data.error.type == "ProcessDiedError"
        assert reason in job.data.error.message
        assert "max_stalled=1" in job.data.error.message


async def test_middleware_sees_the_result_and_what_was_raised() -> None:
    seen: list[object] = []

    class Watching:
        async def around_add(self, jobs: Any, call_next: Any) -> Any:
            return await call_next(jobs)

        async def around_run(self, job: JobData, call_next: Callable[[], Awaitable[object]], /) -> object:
            try:
                seen.append(await call_next())
            except ProcessHandlerError as error:
                seen.append((error.type_name, error.message, error.job_id))
                raise
            return seen[-1]

    watched = Conveyor("memory://", middleware=[Watching()])
    watched._services.handlers = app._services.handlers
    async with watched, watched.worker(concurrency=1):
        done = await watched.queue("work").add("add_up", {"upto": 2})
        assert await done.result(timeout="30s") == 3
        failed = await ended(await watched.queue("work").add("refuse", {"reason": "no"}))
        assert seen == [3, *[("LookupError", "no", failed.id)] * 2]


async def test_inline_jobs_run_in_processes_too() -> None:
    async with inline(app, raise_on_failure=False):
        assert await (await busy.add_up.add(3)).result() == 6
        job = await busy.die.add("SIGKILL")
        assert (await job.refresh()).state is JobState.FAILED


async def test_a_process_that_died_idle_is_replaced_at_nobodys_cost() -> None:
    async with app, app.worker(concurrency=1):
        process = await (await busy.own_process_id.add()).result(timeout="30s")
        os.kill(process, signal.SIGKILL)
        job = await busy.own_process_id.add()
        assert await job.result(timeout="30s") != process
        assert job.data.stalled_count == 0
