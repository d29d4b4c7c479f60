"""Batch handlers: several jobs in one call, each with an end, a lock and an attempt of its own."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from attrs import frozen

from conveyor import BatchOptions, Cancel, Conveyor, Failed, JobContext, JobState, Retry, Snooze, Stop, WaitForChildren
from conveyor._builtin.memory.store import MemoryStore
from conveyor.errors import ConfigurationError, JobFailedError, PayloadError
from conveyor.model.job import AttemptOutcome
from conveyor.testing import inline
from conveyor.testing.clocks import JumpingClock, jumping_backends

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor import Job
    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio


@frozen
class Mail:
    to: str
    size: int = 1


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def app(clock: JumpingClock) -> Conveyor:
    """An app whose loop skips all waiting."""
    return Conveyor("memory://", clock=clock)


async def ends(jobs: Sequence[Job[Any]]) -> list[JobState]:
    """Wait for jobs, and return how each ended."""
    return [(await job.wait_until_finished(timeout="1h")).state for job in jobs]


async def test_jobs_that_are_there_are_taken_together_up_to_the_size(app: Conveyor) -> None:
    calls: list[list[str]] = []

    @app.queue("mail").job(batch=BatchOptions(size=4, linger="1s"))
    async def deliver(mails: list[Mail]) -> list[str]:
        calls.append([mail.to for mail in mails])
        return [f"sent to {mail.to}" for mail in mails]

    async with app:
        jobs = await deliver.add_many([deliver.new(Mail(str(number))) for number in range(10)])
        async with app.worker():
            results = [await job.result(timeout="1h") for job in jobs]
    assert results == [f"sent to {number}" for number in range(10)]
    assert sorted(map(len, calls)) == [2, 4, 4]
    assert sorted(to for call in calls for to in call) == [str(number) for number in range(10)]


async def test_the_first_waits_for_the_others_no_longer_than_the_linger(app: Conveyor, clock: JumpingClock) -> None:
    began: list[tuple[int, timedelta]] = []

    @app.queue("mail").job(batch=BatchOptions(size=10, linger="10s"))
    async def deliver(mails: list[str]) -> list[None]:
        began.append((len(mails), clock.now() - start))
        return [None] * len(mails)

    async with app, app.worker():
        start = clock.now()
        first = await deliver.add("ada")
        await anyio.sleep(4)
        second = await deliver.add("bob")
        assert await ends([first, second]) == [JobState.COMPLETED] * 2
    ((count, after),) = began
    assert count == 2
    assert timedelta(seconds=10) <= after < timedelta(seconds=11)


async def test_each_job_has_an_outcome_of_its_own(app: Conveyor) -> None:
    outcomes: dict[str, Any] = {
        "value": "sent",
        "failed": Failed(ValueError("no stamps")),
        "cancelled": Cancel("unwanted"),
        "snoozed": Snooze("1h"),
        "retried": Retry(after="1h"),
        "returned": ValueError("no street"),
    }

    @app.queue("mail").job(batch=BatchOptions(size=6, linger="1s"), attempts=1)
    async def deliver(names: list[str]) -> list[Any]:
        return [outcomes[name] for name in names]

    async with app:
        jobs = dict(zip(outcomes, await deliver.add_many([deliver.new(name) for name in outcomes]), strict=True))
        async with app.worker():
            assert await jobs["value"].result(timeout="1h") == "sent"
            with pytest.raises(JobFailedError, match="no stamps"):
                await jobs["failed"].result(timeout="1h")
            with pytest.raises(JobFailedError, match="unwanted"):
                await jobs["cancelled"].result(timeout="1h")
            with pytest.raises(JobFailedError, match="ValueError: no street"):
                await jobs["returned"].result(timeout="1h")
            for name in ("snoozed", "retried"):
                await jobs[name].refresh()
        assert jobs["snoozed"].state is JobState.DELAYED


@pytest.mark.parametrize("returned", [[], ["one"], None, "twice", [1, 2, 3]])
async def test_a_list_of_another_length_fails_all_by_their_retry_policies(app: Conveyor, returned: Any) -> None:
    calls: list[int] = []

    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"), attempts=2)
    async def deliver(names: list[str]) -> list[Any]:
        calls.append(len(names))
        return returned if len(calls) == 1 else names

    async with app:
        jobs = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
        async with app.worker():
            assert await ends(jobs) == [JobState.COMPLETED] * 2
            for job in jobs:
                first, last = await job.attempts()
                assert (first.outcome, last.outcome) == (AttemptOutcome.RETRIED, AttemptOutcome.COMPLETED)
                assert first.error is not None
                assert "an outcome for each of its 2 jobs" in first.error.message


class Hostile(BaseException):
    """What no handler should raise."""


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), Hostile("broken")])
async def test_what_it_raises_fails_all_and_nothing_else(app: Conveyor, error: BaseException) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"))
    async def deliver(names: list[str]) -> list[str]:
        if "bad" in names:
            raise error
        return names

    async with app, app.worker():
        jobs = await deliver.add_many([deliver.new("bad"), deliver.new("bob")])
        assert await ends(jobs) == [JobState.FAILED] * 2
        assert await (await deliver.add("ada")).result(timeout="1h") == "ada"


async def test_an_outcome_raised_from_deep_code_is_that_of_all(app: Conveyor) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"))
    async def deliver(names: list[str]) -> list[str]:
        raise Stop(Cancel("closed"))

    async with app, app.worker():
        jobs = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
        assert await ends(jobs) == [JobState.CANCELLED] * 2


async def test_a_job_that_is_cancelled_leaves_the_others_alone(app: Conveyor) -> None:
    begun, go_on = anyio.Event(), anyio.Event()
    seen: list[bool] = []

    @app.queue("mail").job(batch=BatchOptions(size=3, linger="1s"))
    async def deliver(contexts: list[JobContext], names: list[str]) -> list[str]:
        begun.set()
        await go_on.wait()
        seen.extend(context.cancelled for context in contexts)
        return names

    async with app, app.worker():
        jobs = await deliver.add_many([deliver.new(name) for name in ("ada", "bob", "eve")])
        await begun.wait()
        await jobs[1].cancel()
        await anyio.sleep(1)
        go_on.set()
        assert await ends(jobs) == [JobState.COMPLETED, JobState.CANCELLED, JobState.COMPLETED]
    assert seen == [False, True, False]


async def test_the_call_is_cancelled_once_all_its_jobs_are(app: Conveyor) -> None:
    begun, cancelled = anyio.Event(), anyio.Event()

    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"))
    async def deliver(names: list[str]) -> list[str]:
        begun.set()
        try:
            await anyio.sleep(3600)
        finally:
            cancelled.set()
        return names

    async with app, app.worker():
        jobs = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
        await begun.wait()
        for job in jobs:
            await job.cancel()
        await cancelled.wait()


async def test_the_shortest_timeout_is_that_of_the_batch(app: Conveyor, clock: JumpingClock) -> None:
    ended: list[timedelta] = []

    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"))
    async def deliver(names: list[str]) -> list[str]:
        try:
            await anyio.sleep(60)
        finally:
            ended.append(clock.now() - start)
        return names

    async with app, app.worker():
        start = clock.now()
        jobs = await deliver.add_many([deliver.options(timeout="5s").new("ada"), deliver.new("bob")])
        assert await ends(jobs) == [JobState.FAILED] * 2
        errors = [(await job.refresh()).data.error for job in jobs]
    assert ended[0] < timedelta(seconds=6)
    assert [error.type for error in errors if error] == ["TimeoutError"] * 2


async def test_a_stopping_worker_hands_all_of_a_batch_back(app: Conveyor) -> None:
    begun = anyio.Event()
    cleaned: list[str] = []

    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"))
    async def deliver(names: list[str]) -> list[str]:
        begun.set()
        try:
            await anyio.sleep(3600)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            cleaned.extend(names)
        return names

    async with app:
        jobs = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
        async with app.worker(shutdown_grace="2s"):
            await begun.wait()
        assert cleaned == ["ada", "bob"]
        for job in jobs:
            data = (await job.refresh()).data
            assert (data.state, data.attempts_made, data.stalled_count) == (JobState.WAITING, 0, 0)


async def test_what_gathers_does_not_keep_a_stopping_worker(app: Conveyor, clock: JumpingClock) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=10, linger="1h"))
    async def deliver(names: list[str]) -> list[str]:
        return names

    async with app:
        async with app.worker():
            job = await deliver.add("ada")
            await anyio.sleep(1)
            start = clock.now()
        assert clock.now() - start < timedelta(seconds=5)
        assert (await job.refresh()).state is JobState.COMPLETED


async def test_too_few_are_put_off_without_an_attempt_until_more_come(app: Conveyor) -> None:
    calls: list[list[str]] = []

    @app.queue("mail").job(batch=BatchOptions(size=5, linger="10s", minimum=3))
    async def deliver(names: list[str]) -> list[str]:
        calls.append(sorted(names))
        return names

    async with app, app.worker():
        first = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
        await anyio.sleep(35)
        assert calls == []
        third = await deliver.add("eve")
        assert await ends([*first, third]) == [JobState.COMPLETED] * 3
        assert (await first[0].refresh()).data.attempts_made == 1
    assert calls == [["ada", "bob", "eve"]]


async def test_two_handlers_share_no_batch(app: Conveyor) -> None:
    calls: list[list[str]] = []

    def make(queue: str) -> Callable[..., Awaitable[Job[str]]]:
        @app.queue(queue).job(name="deliver", batch=BatchOptions(size=4, linger="1s"))
        async def deliver(names: list[str]) -> list[str]:
            calls.append(sorted(names))
            return names

        return deliver.add

    add_mail, add_post = make("mail"), make("post")
    async with app, app.worker():
        jobs = [await add(f"{queue} {n}") for n in "12" for add, queue in ((add_mail, "mail"), (add_post, "post"))]
        assert await ends(jobs) == [JobState.COMPLETED] * 4
    assert sorted(calls) == [["mail 1", "mail 2"], ["post 1", "post 2"]]


@pytest.mark.parametrize(("by_group", "sizes"), [(False, [5]), (True, [1, 2, 2])])
async def test_groups_are_kept_apart_where_that_is_asked_for(app: Conveyor, by_group: bool, sizes: list[int]) -> None:
    calls: list[list[str]] = []

    @app.queue("mail").job(batch=BatchOptions(size=5, linger="1s", by_group=by_group))
    async def deliver(names: list[str]) -> list[str]:
        calls.append(sorted(names))
        return names

    groups = ("a", "b", "a", "b", None)
    async with app, app.worker():
        jobs = await deliver.add_many([deliver.options(group=group).new(str(group)) for group in groups])
        assert await ends(jobs) == [JobState.COMPLETED] * 5
    assert sorted(map(len, calls)) == sizes
    assert not by_group or all(len(set(call)) == 1 for call in calls)


async def test_a_job_that_stalled_runs_in_a_batch_of_its_own(clock: JumpingClock) -> None:
    store = MemoryStore(clock)
    app = Conveyor(store, clock=clock)
    calls: list[list[str]] = []

    @app.queue("mail").job(batch=BatchOptions(size=3, linger="10s", minimum=2))
    async def deliver(names: list[str]) -> list[str]:
        calls.append(sorted(names))
        return names

    async with app:
        suspect = await deliver.add("suspect")
        store.jobs._tables.jobs[suspect.id].queue.leave(record := store.jobs._tables.jobs[suspect.id])
        record.stalled_count = 1
        record.queue.enter(record, JobState.WAITING)
        async with app.worker():
            others = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
            assert await ends([suspect, *others]) == [JobState.COMPLETED] * 3
    assert sorted(calls) == [["ada", "bob"], ["suspect"]]


async def test_contexts_are_those_of_each_job(app: Conveyor) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"))
    async def deliver(contexts: list[JobContext], names: list[str]) -> list[int]:
        for context, name in zip(contexts, names, strict=True):
            context.log(f"to {name}")
        with pytest.raises(ConfigurationError, match="one job at a time"):
            contexts[0].transaction()
        return [context.attempt for context in contexts]

    async with app, app.worker():
        jobs = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
        assert [await job.result(timeout="1h") for job in jobs] == [1, 1]
        assert [[line.message for line in await job.logs()] for job in jobs] == [["to ada"], ["to bob"]]


async def test_a_sync_batch_handler_runs_in_a_thread(app: Conveyor) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"))
    def deliver(names: list[str]) -> list[bool]:
        return [threading.current_thread() is not threading.main_thread() for _ in names]

    async with app, app.worker():
        jobs = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
        assert [await job.result(timeout="1h") for job in jobs] == [True, True]


async def test_middleware_wraps_the_run_of_each_job(clock: JumpingClock) -> None:
    wrapped: list[str] = []

    class Noting:
        async def around_add(self, jobs: Any, call: Any) -> Any:
            return await call(jobs)

        async def around_run(self, job: JobData, call: Callable[[], Awaitable[object]]) -> object:
            wrapped.append(job.id)
            return await call()

    app = Conveyor("memory://", clock=clock, middleware=[Noting()])

    @app.queue("mail").job(batch=BatchOptions(size=2, linger="1s"))
    async def deliver(names: list[str]) -> list[int]:
        return [len(names)] * len(names)

    async with app, app.worker():
        jobs = await deliver.add_many([deliver.new("ada"), deliver.new("bob")])
        assert [await job.result(timeout="1h") for job in jobs] == [2, 2]
    assert sorted(wrapped) == sorted(job.id for job in jobs)


async def test_an_inline_app_runs_each_job_by_itself(app: Conveyor) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=10, linger="1h", minimum=1))
    async def deliver(names: list[str]) -> list[int]:
        return [len(names)]

    async with inline(app):
        assert await (await deliver.add("ada")).result() == 1


async def test_an_item_that_does_not_fit_is_refused_when_it_is_added(app: Conveyor) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=2))
    async def deliver(mails: list[Mail]) -> list[str]:
        return [mail.to for mail in mails]

    async with app, app.worker():
        with pytest.raises(PayloadError, match=r"item\.size"):
            await app.queue("mail").add("deliver", {"item": {"to": "ada", "size": "big"}})
        job = await app.queue("mail").add("deliver", {"item": {"to": "ada"}})
        assert await job.result(timeout="1h") == "ada"
        assert await deliver([Mail("eve")]) == ["eve"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"size": 0}, "size must be a whole number of at least 1"),
        ({"size": 2, "linger": -1}, "linger must not be negative"),
        ({"size": 2, "minimum": 0}, "minimum must be"),
        ({"size": 2, "linger": 1, "minimum": 3}, "minimum .* must not be more than size"),
        ({"size": 3, "minimum": 2}, "minimum=2 needs a linger"),
        ({"size": 3, "by_group": "yes"}, "by_group must be True or False"),
    ],
)
async def test_options_that_cannot_be_are_refused_by_name(options: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        BatchOptions(**options)


async def one_item(name: str) -> list[str]:
    return []


async def no_items() -> list[str]:
    return []


async def too_many(contexts: list[JobContext], names: list[str], more: list[str]) -> list[str]:
    return []


async def no_context(names: list[str], more: list[str]) -> list[str]:
    return []


async def no_list(names: list[str]) -> str:
    return ""


async def unsendable(names: list[threading.Thread]) -> list[str]:
    return []


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (one_item, "the parameter of batch handler 'one_item' must be a list"),
        (no_items, "must take one list of items"),
        (too_many, "must take one list of items"),
        (no_context, "must take one list of items"),
        (no_list, "the result of batch handler 'no_list'.* must be a list"),
        (unsendable, "Thread"),
    ],
)
async def test_functions_that_take_no_batch_are_refused(app: Conveyor, function: Any, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        app.queue("mail").job(batch=BatchOptions(size=2))(function)


async def test_what_is_no_batch_options_is_refused(app: Conveyor) -> None:
    with pytest.raises(ConfigurationError, match="must be BatchOptions"):
        app.queue("mail").job(batch=5)(one_item)  # type: ignore[call-overload]  # so it is


async def test_a_worker_with_too_few_slots_is_refused(app: Conveyor) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=20))
    async def deliver(names: list[str]) -> list[str]:
        return names

    async with app:
        with pytest.raises(ConfigurationError, match="concurrency of at least 20, not 10"):
            async with app.worker():
                pass


async def test_each_job_of_a_batch_waits_for_its_own_children(app: Conveyor) -> None:
    @app.queue("work").job()
    async def weigh(grams: int) -> int:
        return grams

    @app.queue("work").job(batch=BatchOptions(size=2, linger="1s"), attempts=2)
    async def pack(contexts: list[JobContext], names: list[str]) -> list[Any]:
        ends: list[Any] = []
        for context, name in zip(contexts, names, strict=True):
            children = await context.children()
            if name == "full" and not children:
                await context.add_children(weigh.new(7))
            ends.append([child.value for child in children] or WaitForChildren())
        return ends

    async with app, app.worker():
        full, empty = await pack.add_many([pack.new("full"), pack.new("empty")])
        assert await full.result(timeout="1h") == [7]
        with pytest.raises(JobFailedError, match=r"FlowError: the handler of pack .* no child of the job is open"):
            await empty.result(timeout="1h")
        assert (full.data.attempts_made, empty.data.attempts_made) == (1, 2)
