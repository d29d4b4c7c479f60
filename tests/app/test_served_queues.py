"""Which queues a process serves: those that are active, under the app's prefix; and one handler for every name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor, JobContext, JobState
from conveyor.errors import ConfigurationError, JobFailedError
from conveyor.model.queries import QueueStatus

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


def with_handlers(app: Conveyor, *names: str) -> list[str]:
    """Give queues of these names a handler each, which notes whose job it ran."""
    ran: list[str] = []

    def handle(name: str) -> None:
        @app.queue(name).job(name="note")
        async def note() -> None:
            ran.append(name)

    for name in names:
        handle(name)
    return ran


async def test_one_handler_runs_every_name_that_has_none_of_its_own(app: Conveyor) -> None:
    queue = app.queue("mail")

    @queue.job()
    async def own(number: int) -> int:
        return number

    @queue.process
    async def any_other(ctx: JobContext, data: Any) -> list[Any]:
        return [ctx.job.name, data]

    async with app, app.worker():
        assert await (await queue.add("letter", {"to": "ada"})).result(timeout=10) == ["letter", {"to": "ada"}]
        assert await (await queue.add("parcel", [1, 2])).result(timeout=10) == ["parcel", [1, 2]]
        assert await (await queue.add("own", {"number": 3})).result(timeout=10) == 3


async def test_such_a_handler_may_be_a_plain_function_of_the_data(app: Conveyor) -> None:
    queue = app.queue("mail", attempts=2)

    def weigh(data: dict[str, int]) -> int:
        return data["grams"] * 2

    assert queue.process(weigh) is weigh
    async with app, app.worker():
        job = await queue.add("letter", {"grams": 4})
        assert await job.result(timeout=10) == 8
        assert job.data.options.attempts == 2
        with pytest.raises(JobFailedError, match="KeyError"):
            await (await queue.add("letter", {})).result(timeout=10)


def test_a_queue_has_one_such_handler(app: Conveyor) -> None:
    queue = app.queue("mail")
    queue.process(lambda data: data)
    with pytest.raises(ConfigurationError, match="already has a function for jobs of any name"):
        queue.process(lambda data: data)


@pytest.mark.parametrize("function", [3, lambda: None, lambda one, two: one + two])
def test_what_does_not_take_the_data_is_refused(app: Conveyor, function: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a handler must be a function|takes a function of the job's data"):
        app.queue("mail").process(function)


async def test_queues_are_listed_with_whether_they_run_here(app: Conveyor) -> None:
    with_handlers(app, "first", "second")
    app.queue("only-added-to")
    app.queue("first").process(lambda data: data)
    quiet = [
        QueueStatus("first", ("*", "note"), False),
        QueueStatus("second", ("note",), False),
        QueueStatus("only-added-to", (), False),
    ]
    assert app.queues() == quiet
    async with app:
        async with app.worker("second"):
            assert {status.name: status.is_running for status in app.queues()} == {
                "first": False,
                "second": True,
                "only-added-to": False,
            }
            async with app.worker("second"):
                pass
            assert app.queues()[1].is_running
        assert app.queues() == quiet


async def test_inline_every_queue_runs_while_the_app_is_open() -> None:
    app = Conveyor("memory://", job_queue="inline")
    app.queue("work")
    assert not app.queues()[0].is_running
    async with app:
        assert app.queues()[0].is_running


async def test_a_process_serves_its_active_queues_and_adds_to_all(store_url: str) -> None:
    app = Conveyor(store_url, active_queues=["second"])
    ran = with_handlers(app, "first", "second")
    async with app, app.worker():
        left = await app.queue("first").add("note")
        await (await app.queue("second").add("note")).wait_until_finished(timeout=10)
        assert (await left.refresh()).state is JobState.WAITING
    assert ran == ["second"]


async def test_active_queues_come_from_the_environment_or_from_pyproject(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.conveyor]\nactive_queues = ['second']\n")
    app = Conveyor("memory://")
    with_handlers(app, "first", "second", "third")

    async def running() -> list[str]:
        async with app, app.worker():
            return [status.name for status in app.queues() if status.is_running]

    assert await running() == ["second"]
    monkeypatch.setenv("CONVEYOR_ACTIVE_QUEUES", "first, third")
    assert await running() == ["first", "third"]


@pytest.mark.parametrize(
    ("active", "asked", "told"),
    [
        (["second"], ["first"], "queue 'first' is not one of the active queues: second"),
        (["third"], [], "none of the active queues has a handler here; these have: first, second"),
        ([], ["frist"], "queue 'frist' has no handler: did you mean 'first'"),
        ([], [{"first": 0}], "the weight of queue 'first' must be"),
    ],
)
async def test_a_queue_that_is_not_served_here_is_refused(active: list[str], asked: list[Any], told: str) -> None:
    app = Conveyor("memory://", active_queues=active)
    with_handlers(app, "first", "second")
    async with app:
        with pytest.raises(ConfigurationError, match=told):
            async with app.worker(*asked):
                pytest.fail("it should have been refused")


@pytest.mark.parametrize("active", ["first", [3], [""]])
def test_what_are_no_names_of_queues_is_refused(active: Any) -> None:
    with pytest.raises(ConfigurationError):
        Conveyor("memory://", active_queues=active)


async def test_active_queues_of_pyproject_must_be_a_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.conveyor]\nactive_queues = 'second'\n")
    app = Conveyor("memory://")
    with_handlers(app, "first")
    async with app:
        with pytest.raises(ConfigurationError, match=r"active_queues in .* must be a list"):
            async with app.worker():
                pytest.fail("it should have been refused")


async def test_apps_with_prefixes_share_a_store_and_not_their_jobs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    red = Conveyor(url, prefix="red-", active_queues=["mail"])
    blue = Conveyor(url, prefix="blue-")
    ran_red, ran_blue = with_handlers(red, "mail", "other"), with_handlers(blue, "mail")
    async with red, blue:
        assert red.queue("mail").name == "red-mail"
        job = await red.queue("mail").add("note")
        assert job.queue_name == red.queue("mail").name
        async with blue.worker(), red.worker("mail"):
            await job.wait_until_finished(timeout=10)
            assert [status.name for status in red.queues() if status.is_running] == ["red-mail"]
        async with red.worker("red-mail"):
            assert [status.name for status in red.queues() if status.is_running] == ["red-mail"]
    assert (ran_red, ran_blue) == (["mail"], [])


@pytest.mark.parametrize("prefix", [3, "a\n"])
def test_a_prefix_that_is_no_name_is_refused(prefix: Any) -> None:
    with pytest.raises(ConfigurationError):
        Conveyor("memory://", prefix=prefix)
