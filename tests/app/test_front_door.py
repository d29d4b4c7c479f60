"""The app as it is opened, misused and embedded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor._plugins.registry import Plugins
from conveyor.errors import (
    CapabilityError,
    ConfigurationError,
    DuplicateJobError,
    JobNotFoundError,
    PayloadError,
    StoreError,
    UnknownStrategyError,
)
from conveyor.model.job import as_added
from conveyor.model.queries import AddReceipt, JobFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector
    from conveyor.model.job import JobData, NewJob

pytestmark = pytest.mark.anyio


async def test_nothing_is_opened_before_the_app_is(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    app = Conveyor(f"sqlite:///{path}")
    app.queue("work")
    assert not path.exists()
    async with app:
        assert path.exists()


async def test_a_closed_app_says_how_to_open_it(app: Conveyor) -> None:
    with pytest.raises(ConfigurationError, match="async with app"):
        await app.queue("work").counts()
    with pytest.raises(ConfigurationError, match=r"async with app, app\.worker"):
        async with _worker_of_closed(app):
            pass


def _worker_of_closed(app: Conveyor) -> AbstractAsyncContextManager[object]:
    @app.queue("work").job()
    async def nothing() -> None: ...

    return app.worker()


async def test_an_app_can_be_opened_again(app: Conveyor) -> None:
    for _ in range(2):
        async with app:
            await app.queue("work").counts()


async def test_an_app_cannot_be_opened_twice_at_once(app: Conveyor) -> None:
    async with app:
        with pytest.raises(ConfigurationError, match="open already"):
            async with app:
                pass


async def test_leaving_from_another_task_is_a_named_error(app: Conveyor) -> None:
    async with app, anyio.create_task_group() as tasks:

        async def leave() -> None:
            with pytest.raises(ConfigurationError, match="entered by another task"):
                await app.__aexit__(None, None, None)

        tasks.start_soon(leave)


async def test_a_lone_exception_leaves_unwrapped(app: Conveyor) -> None:
    @app.queue("work").job()
    async def nothing() -> None: ...

    with pytest.raises(KeyError, match="mine"):
        async with app, app.worker():
            raise KeyError("mine")


async def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(UnknownStrategyError, match=r"'sqlit'.*did you mean 'sqlite'"):
        async with Conveyor("sqlit:///x.db"):
            pass


async def test_something_that_is_no_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is no store URL"):
        async with Conveyor("jobs.db"):
            pass


async def test_an_unreadable_store_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "not_a_database.db"
    path.write_bytes(b"these are words and no database, whatever the name says" * 100)
    with pytest.raises(StoreError, match=r"not_a_database\.db"):
        async with Conveyor(f"sqlite:///{path}"):
            pass


async def test_an_unknown_job_queue_is_refused() -> None:
    with pytest.raises(UnknownStrategyError, match="job queue"):
        async with Conveyor("memory://", job_queue="stor"):
            pass


async def test_the_store_is_found_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONVEYOR_STORE", f"sqlite:///{tmp_path}/from_environment.db")
    async with Conveyor():
        assert (tmp_path / "from_environment.db").exists()


async def test_the_store_is_found_in_pyproject(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CONVEYOR_STORE", raising=False)
    (tmp_path / "pyproject.toml").write_text('[tool.conveyor]\nstore = "sqlite:///from_pyproject.db"\n')
    monkeypatch.chdir(tmp_path)
    async with Conveyor():
        assert (tmp_path / "from_pyproject.db").exists()


async def test_a_worker_for_a_queue_without_handler_is_refused_by_name(app: Conveyor) -> None:
    @app.queue("mails").job()
    async def send() -> None: ...

    async with app:
        with pytest.raises(ConfigurationError, match=r"'mials' has no handler: did you mean 'mails'"):
            async with app.worker("mials"):
                pass


@pytest.mark.parametrize("wrong", [{"max_global_concurrency": -1}, {"concurrency": 0}, {"lock_duration": "soon"}])
async def test_a_wrong_option_of_a_worker_is_refused_where_it_stands(app: Conveyor, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        app.worker(**wrong)


async def test_a_worker_without_any_handler_is_refused(app: Conveyor) -> None:
    async with app:
        with pytest.raises(ConfigurationError, match="no queue of this app has a handler"):
            async with app.worker():
                pass


async def test_arguments_that_do_not_fit_are_refused_when_added(app: Conveyor) -> None:
    @app.queue("work").job()
    async def send(to: str, times: int = 1) -> None: ...

    async with app:
        with pytest.raises(PayloadError, match=r"arguments of 'send' at \$\.times: Expected `int`, got `str`"):
            await send.add("ada", times="three")  # type: ignore[arg-type]
        with pytest.raises(PayloadError, match="missing required field `to`"):
            await send.add()  # type: ignore[call-arg]
        with pytest.raises(PayloadError, match="takes 2 positional"):
            await send.add("ada", 1, 2)  # type: ignore[call-arg]
        with pytest.raises(PayloadError, match="unknown field `cc`"):
            await app.queue("work").add("send", {"to": "ada", "cc": "bob"})
        with pytest.raises(PayloadError, match="object"):
            await app.queue("elsewhere").add("anything", object())
        assert await app.queue("work").count("waiting") == 0


async def test_unknown_options_are_refused_by_name(app: Conveyor) -> None:
    with pytest.raises(ConfigurationError, match=r"'priorty'.*did you mean 'priority'"):
        app.queue("work", priorty=3)  # type: ignore[call-arg]
    async with app:
        with pytest.raises(ConfigurationError, match="delay or run_at, not both"):
            await app.queue("w").add("x", delay="1s", run_at=_soon())
        with pytest.raises(ConfigurationError, match="is no duration"):
            await app.queue("w").add("x", delay="tomorrow")


def _soon() -> datetime:
    return datetime.now(UTC)


async def test_a_taken_id_is_refused_unless_it_is_the_same_add(app: Conveyor) -> None:
    queue = app.queue("work")
    async with app:
        first = await queue.add("pay", {"amount": 3}, job_id="order-1")
        again = await queue.add("pay", {"amount": 3}, job_id="order-1")
        assert first.id == again.id == "order-1"
        assert await queue.count(JobState.WAITING) == 1
        with pytest.raises(DuplicateJobError, match="order-1"):
            await queue.add("pay", {"amount": 4}, job_id="order-1")


async def test_two_handlers_of_one_name_are_refused(app: Conveyor) -> None:
    @app.queue("work").job()
    async def send() -> None: ...

    with pytest.raises(ConfigurationError, match="already has a handler called 'send'"):
        app.queue("work").job(name="send")(_other)


async def _other() -> None: ...


async def test_star_arguments_are_refused(app: Conveyor) -> None:
    async def vague(*args: int) -> None: ...

    with pytest.raises(ConfigurationError, match=r"\*args"):
        app.queue("work").job()(vague)


async def test_calling_a_handler_calls_the_function(app: Conveyor) -> None:
    @app.queue("work").job()
    async def double(number: int) -> int:
        """Return twice the number."""
        return number * 2

    assert await double(4) == 8
    assert getattr(double, "__doc__", "") == "Return twice the number."


async def test_drain_clean_and_jobs_of_a_queue(app: Conveyor) -> None:
    queue = app.queue("work")

    @queue.job()
    async def quick() -> None: ...

    async with app:
        done = await quick.add()
        async with app.worker():
            await done.result(timeout="10s")
        await quick.add()
        await quick.options(delay="1 hour").add()
        assert {state: n for state, n in (await queue.counts()).items() if n} == {
            "completed": 1,
            "waiting": 1,
            "delayed": 1,
        }
        assert [job.id for job in await queue.jobs("completed")] == [done.id]
        assert (await app.jobs.find(JobFilter(states=(JobState.COMPLETED,)))).jobs[0].id == done.id
        assert await queue.drain() == 2
        assert await queue.clean("completed", grace="1 hour") == 0
        assert await queue.clean("completed") == 1
        assert sum((await queue.counts()).values()) == 0
        with pytest.raises(JobNotFoundError):
            await done.refresh()
        assert await queue.get_job(done.id) is None
        with pytest.raises(ConfigurationError, match="only completed, failed and cancelled"):
            await queue.clean("waiting")


class Recorder:
    """A middleware that notes what it saw."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen

    async def around_add(
        self,
        jobs: Sequence[NewJob],
        call_next: Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]],
        /,
    ) -> Sequence[AddReceipt]:
        self.seen.append(f"{self.name} adds {len(jobs)}")
        return await call_next(jobs)

    async def around_run(self, job: JobData, call_next: Callable[[], Awaitable[object]], /) -> object:
        self.seen.append(f"{self.name} runs {job.name}")
        value = await call_next()
        self.seen.append(f"{self.name} saw {value}")
        return value


async def test_middleware_wraps_adds_and_runs_the_first_outermost(store_url: str) -> None:
    seen: list[str] = []
    app = Conveyor(store_url, middleware=[Recorder("outer", seen), Recorder("inner", seen)])

    @app.queue("work").job()
    async def answer() -> int:
        return 42

    async with app, app.worker():
        assert await (await answer.add()).result(timeout="10s") == 42
    assert seen == [
        "outer adds 1",
        "inner adds 1",
        "outer runs answer",
        "inner runs answer",
        "inner saw 42",
        "outer saw 42",
    ]


class InlineQueue:
    """A job queue strategy of somebody's own: runs each job while it is being added."""

    def __init__(self) -> None:
        self.process: ProcessJob | None = None
        self.outcomes: list[object] = []
        self.log: list[str] = []

    async def init(self, injector: Injector, /) -> None:
        self.log.append("init")

    async def destroy(self) -> None:
        self.log.append("destroy")

    async def add(self, job: NewJob, /) -> AddReceipt:
        return (await self.add_many([job]))[0]

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        assert self.process is not None
        for job in jobs:
            self.outcomes.append(await self.process(as_added(job, _soon())))
        return [AddReceipt(job.id) for job in jobs]

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        self.log.append(f"start {queue_name}")
        self.process = process

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        self.log.append(f"stop {queue_name}")
        return ()


async def test_a_strategy_of_ones_own_is_given_the_jobs_and_a_way_to_run_them(store_url: str) -> None:
    strategy = InlineQueue()
    app = Conveyor(store_url, job_queue=strategy)

    @app.queue("work").job()
    async def divide(by: int) -> float:
        return 1 / by

    async with app, app.worker():
        await divide.add(2)
        await divide.add(0)
    first, second = strategy.outcomes
    assert "Completed(value=0.5)" in repr(first)
    assert "ZeroDivisionError" in repr(second)
    assert strategy.log == ["init", "start work", "stop work", "destroy"]


async def test_a_worker_that_cannot_hold_its_strategy_says_so(store_url: str) -> None:
    app = Conveyor(store_url, job_queue=InlineQueue())
    app.queue("work").job("note")(lambda: None)
    async with app, app.worker() as worker:
        with pytest.raises(CapabilityError, match=r"worker\.pause\(\)"):
            worker.pause()
        assert not worker.is_paused


async def test_schedule_and_now(app: Conveyor) -> None:
    queue = app.queue("work", delay="1 hour")
    async with app:
        later = await queue.schedule("in 5 minutes", "remind", {"who": "ada"})
        at_once = await queue.now("remind", {"who": "bob"})
        by_default = await queue.add("remind")
        assert later.state is JobState.DELAYED
        assert at_once.state is JobState.WAITING
        assert by_default.data.run_at - by_default.data.created_at == timedelta(hours=1)


async def test_a_store_that_is_open_already_stays_the_callers(store_url: str) -> None:
    outer = Conveyor(store_url)
    async with outer:
        inner = Conveyor(outer._services.store)
        async with inner:
            await inner.queue("work").add("x")
        assert await outer.queue("work").count("waiting") == 1


def test_a_word_of_one_of_our_plugins_that_is_not_installed_names_its_distribution() -> None:
    for kind, word in (("store", "postgresql"), ("job queue", "nats")):
        error = Plugins([]).choose(kind, word).error
        assert isinstance(error, UnknownStrategyError)
        assert error.distribution == f"conveyor-plugin-{word.removesuffix('ql')}"
        assert f"install the distribution {error.distribution!r}" in str(error)
    error = Plugins([]).choose("store", "oracle").error
    assert "install the distribution" not in str(error)
