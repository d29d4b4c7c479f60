"""Options of strategies: where they come from, and what is refused before anything is opened."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import field, frozen

from conveyor import Conveyor
from conveyor._builtin.inline_queue import InlineJobQueue
from conveyor._builtin.store_queue import StoreJobQueue
from conveyor._services.settings import find_strategy_table
from conveyor._services.strategy_options import StrategySettings, read_options
from conveyor.contracts.strategy import Settings
from conveyor.errors import ConfigurationError, JobFailedError, PluginError, UnknownStrategyError
from conveyor.model.checks import is_count

if TYPE_CHECKING:
    from conveyor.contracts.strategy import Injector
    from tests.plugins.strangers import Strangers


@frozen
class Options:
    """One field of each kind."""

    host: str = "localhost"
    port: int = field(default=4222, validator=is_count)
    ratio: float = 0.5
    is_fast: bool = False
    wait: timedelta = timedelta(seconds=5)
    servers: tuple[str, ...] = ()
    user: str | None = None


@frozen
class Needy:
    """Options of which one is needed."""

    url: str


@pytest.fixture(autouse=True)
def project(strangers: Strangers) -> Path:
    """The file that the settings are read from."""
    return Path("pyproject.toml")


def write(project: Path, table: str, name: str = "mail") -> None:
    project.write_text(f"[tool.conveyor.strategies.{name}]\n{table}\n", encoding="utf-8")


def test_defaults_hold_where_nothing_else_is_said() -> None:
    assert read_options("mail", Options) == Options()


def test_each_kind_is_read_from_pyproject(project: Path) -> None:
    write(
        project,
        'host = "h"\nport = 1\nratio = 2\nis_fast = true\nwait = "1 minute"\nservers = ["a", "b"]\nuser = "ada"',
    )
    assert read_options("mail", Options) == Options("h", 1, 2.0, True, timedelta(minutes=1), ("a", "b"), "ada")


def test_each_kind_is_read_from_the_environment_which_comes_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, 'host = "nobody sees this"\nuser = "ada"')
    texts = {"HOST": "h", "PORT": "1", "RATIO": "2", "IS_FAST": "true", "WAIT": "1m", "SERVERS": "a,b"}
    for name, text in texts.items():
        monkeypatch.setenv(f"CONVEYOR_STRATEGIES_MAIL_{name}", text)
    assert read_options("mail", Options) == Options("h", 1, 2.0, True, timedelta(minutes=1), ("a", "b"), "ada")


def test_several_of_one_kind_have_options_of_their_own(project: Path) -> None:
    project.write_text(
        "[tool.conveyor.strategies.mail]\nport = 1\n[tool.conveyor.strategies.other]\nport = 2\n", encoding="utf-8"
    )
    assert [read_options(name, Options).port for name in ("mail", "other", "third")] == [1, 2, 4222]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("prot = 1", "strategy 'mail' has no option 'prot' .*pyproject.toml.*: did you mean 'port'"),
        ('port = "many"', "port .*must be of type int, got 'many'"),
        ("port = true", "port .*must be of type int, got True"),
        ("port = 0", "port"),
        ("is_fast = 1", "is_fast .*must be of type bool, got 1"),
        ("host = 3", "host .*must be of type str, got 3"),
        ('wait = "soon"', "wait"),
        ("wait = true", "wait .*must be a duration"),
        ("servers = 1", "servers .*must be a list"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(project: Path, table: str, told: str) -> None:
    write(project, table)
    with pytest.raises(ConfigurationError, match=told):
        read_options("mail", Options)


def test_a_variable_that_no_option_is_called_like_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_STRATEGIES_MAIL_PROT", "1")
    with pytest.raises(ConfigurationError, match=r"no option 'prot' \(CONVEYOR_STRATEGIES_MAIL_PROT\): did you mean"):
        read_options("mail", Options)


def test_an_option_that_is_needed_is_named() -> None:
    with pytest.raises(ConfigurationError, match="strategy 'mail' needs url: set CONVEYOR_STRATEGIES_MAIL_URL"):
        read_options("mail", Needy)


def test_what_is_no_attrs_class_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must be an attrs class"):
        read_options("mail", int)


def test_what_is_no_table_is_refused(project: Path) -> None:
    project.write_text("[tool.conveyor.strategies]\nmail = 1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="must be a table"):
        read_options("mail", Options)


@pytest.mark.anyio
async def test_a_strategy_that_is_selected_by_name_gets_its_options(project: Path) -> None:
    write(project, "raise_on_failure = true", name="inline")
    app = Conveyor("memory://", job_queue="inline")

    @app.queue("work").job()
    async def fail() -> None:
        raise ValueError("no paper")

    async with app:
        with pytest.raises(ValueError, match="no paper"):
            await fail.add()


@pytest.mark.anyio
async def test_an_instance_has_the_options_that_it_was_made_with(project: Path) -> None:
    write(project, "raise_on_failure = true", name="inline")
    app = Conveyor("memory://", job_queue=InlineJobQueue())

    @app.queue("work").job()
    async def fail() -> None:
        raise ValueError("no paper")

    async with app:
        job = await fail.add()
        with pytest.raises(JobFailedError):
            await job.result()


@pytest.mark.anyio
async def test_a_strategy_made_in_code_reads_options_by_the_injector(project: Path) -> None:
    write(project, "port = 7")

    class Reading(StoreJobQueue):
        options: Options

        async def init(self, injector: Injector, /) -> None:
            self.options = injector.get(Settings).read("mail", Options)
            await super().init(injector)

    strategy = Reading()
    async with Conveyor("memory://", job_queue=strategy):
        assert strategy.options.port == 7


BY_URL = """from conveyor import hookimpl
from conveyor._builtin.store_queue import StoreJobQueue
from conveyor.contracts.providers import JobQueueProvider

URLS = []

def from_url(url):
    URLS.append(url)
    return StoreJobQueue()

@hookimpl
def conveyor_job_queues():
    return [JobQueueProvider("post", StoreJobQueue, 1, schemes={schemes!r}, create_from_url={create})]
"""


def by_url(schemes: Any = ("mail",), create: str = "from_url") -> str:
    return BY_URL.format(schemes=schemes, create=create)


@pytest.mark.anyio
async def test_a_strategy_is_selected_by_the_scheme_of_a_url(strangers: Strangers) -> None:
    strangers.install("acme-post", by_url(), names=("post",))
    async with Conveyor("memory://", job_queue="mail://host/1"):
        import acme_post  # type: ignore[import-not-found]

        assert acme_post.URLS == ["mail://host/1"]
    async with Conveyor("memory://", job_queue="post"):
        assert acme_post.URLS == ["mail://host/1"]


@pytest.mark.anyio
async def test_options_beside_a_url_which_has_its_own_are_refused(strangers: Strangers, project: Path) -> None:
    strangers.install("acme-post", by_url(), names=("post",))
    write(project, "port = 7", name="post")
    with pytest.raises(ConfigurationError, match=r"'post' has no option 'port' .*: it was selected by a URL"):
        async with Conveyor("memory://", job_queue="mail://host/1"):
            pytest.fail("it should have been refused")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("mail", "'mail' is a URL scheme of the job queue 'post': add ://"),
        ("post://host", "the job queue 'post' takes no URL"),
        ("inline://here", "the job queue 'inline' takes no URL"),
        ("mial://host", "mial"),
    ],
)
async def test_a_word_that_does_not_fit_is_refused_before_anything_is_opened(
    strangers: Strangers, word: str, told: str
) -> None:
    strangers.install("acme-post", by_url(), names=("post",))
    with pytest.raises((ConfigurationError, UnknownStrategyError), match=told):
        async with Conveyor("memory://", job_queue=word):
            pytest.fail("it should have been refused")


@pytest.mark.anyio
@pytest.mark.parametrize("module", [by_url((), "from_url"), by_url(("mail",), "None")])
async def test_schemes_and_what_takes_urls_go_together(strangers: Strangers, module: str) -> None:
    strangers.install("acme-post", module, names=("post",))
    with pytest.raises(PluginError, match="schemes and create_from_url go together"):
        async with Conveyor("memory://", job_queue="post"):
            pytest.fail("it should have been refused")


def test_a_setting_is_what_the_file_says_now_whatever_was_done_with_what_it_said(project: Path) -> None:
    write(project, 'servers = ["a"]')
    servers = find_strategy_table("mail")[0]["servers"]
    assert isinstance(servers, list)
    servers.append("b")
    assert read_options("mail", Options).servers == ("a",)
    write(project, 'servers = ["b"]')
    assert read_options("mail", Options).servers == ("b",)


def test_a_name_that_begins_like_another_takes_none_of_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_STRATEGIES_MAIL_TWO_PORT", "7")
    settings = StrategySettings(["mail", "mail-two"])
    assert [settings.read(name, Options).port for name in ("mail", "mail-two")] == [4222, 7]
    with pytest.raises(ConfigurationError, match="has no option 'two_port'"):
        StrategySettings(["mail"]).read("mail", Options)


@pytest.mark.anyio
async def test_options_of_a_name_that_is_nobodys_are_told_of_once_the_app_is_open(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, "raise_on_failure = true", name="inlin")
    monkeypatch.setenv("CONVEYOR_STRATEGIES_NTAS_STREAM", "jobs")
    async with Conveyor("memory://", job_queue="inline"):
        table, variable = [record.getMessage() for record in caplog.records]
    assert table.startswith("[tool.conveyor.strategies.inlin] of /")
    assert "pyproject.toml is read by nobody: no strategy 'inlin' is installed" in table
    assert "did you mean 'inline'?" in table
    assert variable.startswith("CONVEYOR_STRATEGIES_NTAS_STREAM is read by nobody: no strategy 'ntas'")


@pytest.mark.anyio
async def test_options_that_this_app_does_not_read_are_not_told_of_where_their_name_is_somebodys(
    strangers: Strangers, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    strangers.install("acme-post", by_url(), names=("acme",))
    for name in ("inline", "post", "mine", "archive"):
        monkeypatch.setenv(f"CONVEYOR_STRATEGIES_{name.upper()}_PORT", "7")

    class Reading(StoreJobQueue):
        async def init(self, injector: Injector, /) -> None:
            injector.get(Settings).read("mine", Options)
            await super().init(injector)

    write(project, "port = 7", name="post")
    # One in the box, one of a plugin that is not called like it, one that reads by a name of its own, and a named one.
    async with Conveyor("memory://", job_queue=Reading(), strategies={"archive": "memory://"}):
        assert caplog.messages == []
