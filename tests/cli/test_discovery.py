"""Finding the app: where it is looked for, in which order, and what is said when it is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conveyor._cli.discovery import find_app, find_operated_app, load_app
from conveyor._cli.opening import url_of, without_migrating
from conveyor._cli.parameters import StoreOptions
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

pytestmark = pytest.mark.usefixtures("folder")


def test_an_app_is_found_in_the_working_directory() -> None:
    assert url_of(load_app("hello:app")) == "sqlite:///jobs.db"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("hello", "write module:attr, such as hello:app"),
        (":app", "write module:attr"),
        ("helo:app", "did you mean 'hello'?"),
        ("./hello:app", "'./hello' is a path, not the name of a module: write hello:app"),
        ("shop/hello.py:app", "write shop.hello:app"),
        ("hello:ap", "did you mean hello:app or hello:empty?"),
        ("hello:mails", "hello:mails is a Queue, not a Conveyor: did you mean hello:app"),
        ("broken:app", "importing 'broken' failed: No module named 'no_such_thing'"),
        ("raising:app", "importing 'raising' failed: ZeroDivisionError"),
        ("bare:app", "the module holds no Conveyor"),
    ],
)
def test_an_app_that_cannot_be_loaded_is_explained(reference: str, said: str) -> None:
    Path("broken.py").write_text("import no_such_thing")
    Path("raising.py").write_text("1 / 0")
    Path("bare.py").write_text("")
    with pytest.raises(ConfigurationError) as caught:
        load_app(reference)
    assert said in str(caught.value)


def test_no_app_at_all_says_how_to_name_one() -> None:
    with pytest.raises(ConfigurationError, match="--app module:attr, CONVEYOR_APP, or"):
        find_app(None)


def test_options_come_before_the_environment_and_that_before_pyproject(monkeypatch: pytest.MonkeyPatch) -> None:
    def url(*, app: str | None = None, store: str | None = None) -> str:
        return url_of(find_operated_app(StoreOptions(app=app, store=store)))

    assert url() == "sqlite:///conveyor.db"
    Path("pyproject.toml").write_text('[tool.conveyor]\napp = "hello:app"\nstore = "sqlite:///filed.db"')
    assert url() == "sqlite:///jobs.db"
    monkeypatch.setenv("CONVEYOR_STORE", "sqlite:///env.db")
    assert url() == "sqlite:///env.db"
    monkeypatch.setenv("CONVEYOR_APP", "hello:empty")
    assert url() == "memory://"
    assert url(store="sqlite:///given.db") == "sqlite:///given.db"
    assert url(app="hello:app") == "sqlite:///jobs.db"
    assert url(app="hello:app", store="sqlite:///given.db") == "sqlite:///given.db"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://", "memory://?auto_migrate=false"),
        ("sqlite:////a.db?auto_migrate=true&synchronous=full", "sqlite:////a.db?synchronous=full&auto_migrate=false"),
    ],
)
def test_a_url_can_be_told_to_leave_the_schema_alone(url: str, expected: str) -> None:
    assert without_migrating(url) == expected


def test_a_wrong_scheme_lists_the_known_ones(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("jobs", "list", "--store", "sqlit:///jobs.db")
    assert ran.code == 2
    # Whichever other stores are installed.
    assert re.search(r"did you mean 'sqlite'\? \(known: memory, .*\bsqlite\)", ran.err)
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "'nonsense' is no store URL"),
        ("sqlite:///.", "a SQLite URL names a file, got the path '/.'"),
        ("sqlite:///..", "a SQLite URL names a file, got the path '/..'"),
    ],
)
def test_what_is_no_url_of_a_store_is_refused_as_it_was_written(
    conveyor: Callable[..., Ran], url: str, said: str
) -> None:
    ran = conveyor("jobs", "list", "--store", url)
    assert ran.code == 2
    assert ran.err.startswith(f"error: {said}")


def test_ctrl_c_before_the_command_is_there_is_no_traceback() -> None:
    program = """
import sys
from conveyor.__main__ import main

class CtrlC:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
sys.exit(main(["version"]))
"""
    for module in ("conveyor._cli.failures", "conveyor._cli.commands", "conveyor._cli.version"):
        done = subprocess.run([sys.executable, "-c", program, module], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", ""), module


def test_a_traceback_is_shown_when_asked_for(conveyor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" in conveyor("jobs", "list", "--store", "sqlit:///jobs.db", "-v").err
    monkeypatch.setenv("CONVEYOR_TRACEBACK", "1")
    assert "Traceback" in conveyor("jobs", "list", "--store", "sqlit:///jobs.db").err
