"""Allow and block lists: given as arguments, in the environment or in pyproject.toml, and asked before any import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor
from conveyor._plugins import Plugins
from conveyor._services.plugin_rules import installed_plugins
from conveyor.errors import ConfigurationError, PluginError
from tests.plugins.strangers import store_module

if TYPE_CHECKING:
    from tests.plugins.strangers import Strangers

BLOCKING = "[tool.conveyor.plugins]\nblock = ['acme']\n"


def configure(text: str) -> None:
    """Write pyproject.toml in the working directory."""
    Path("pyproject.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", ["acme", "ac*", "conveyor-plugin-acme", "conveyor-plugin-*"])
def test_what_is_blocked_is_never_imported(strangers: Strangers, name: str) -> None:
    strangers.install("conveyor-plugin-acme", store_module("acme", "acmes"), names=("acme",))
    plugins = Plugins(block=[name])
    for url in ("acme://", "acmes://", "nothing://"):
        with pytest.raises(ConfigurationError):
            plugins.store_provider(url)
    assert strangers.imported == []


def test_what_is_not_allowed_is_never_imported(strangers: Strangers) -> None:
    strangers.install("acme", store_module("acme"))
    with pytest.raises(
        PluginError, match=r"not among those allowed by the argument allow= of Plugins \(memory, st\*\)"
    ):
        Plugins(allow=["memory", "st*"]).store_provider("acme://")
    assert strangers.imported == []


def test_block_comes_before_allow(strangers: Strangers) -> None:
    strangers.install("acme", store_module("acme"))
    with pytest.raises(PluginError, match="blocked by 'acme' in the argument block= of Plugins"):
        Plugins(allow=["acme"], block=["acme"]).store_provider("acme://")


def test_what_is_in_the_box_can_be_blocked_and_replaced(strangers: Strangers) -> None:
    with pytest.raises(PluginError, match=r"'sqlite' of distribution 'conveyor'.*blocked by 'sqlite'"):
        Plugins(block=["sqlite"]).store_provider("sqlite:///a.db")
    strangers.install("acme", store_module("sqlite"))
    assert Plugins(block=["sqlite"]).store_provider("sqlite:///a.db").name == "stranger"


@pytest.mark.anyio
async def test_an_app_obeys_the_environment(strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Conveyor("memory://")
    monkeypatch.setenv("CONVEYOR_PLUGINS_ALLOW", "memory, sqlite")
    with pytest.raises(PluginError, match=r"'store'.*allowed by CONVEYOR_PLUGINS_ALLOW \(memory, sqlite\)"):
        async with app:
            pass


@pytest.mark.anyio
async def test_the_environment_blocks_what_an_app_allows(strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Conveyor("memory://", plugins=Plugins(allow=["conveyor"]))
    monkeypatch.setenv("CONVEYOR_PLUGINS_BLOCK", "mem*")
    with pytest.raises(PluginError, match=r"blocked by 'mem\*' in CONVEYOR_PLUGINS_BLOCK"):
        async with app:
            pass


def test_the_project_says_it_where_the_environment_does_not(
    strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers.install("acme", store_module("acme"))
    configure(BLOCKING)
    with pytest.raises(PluginError, match=r"'acme' in block in \[tool.conveyor.plugins\] of .*pyproject.toml"):
        installed_plugins().store_provider("acme://")
    monkeypatch.setenv("CONVEYOR_PLUGINS_BLOCK", "sqlite")
    assert installed_plugins().store_provider("acme://").name == "stranger"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.conveyor.plugins]\nallow = 'acme'\n", "must be a list of names"),
        ("[tool.conveyor.plugins]\nblock = [1]\n", "and 1 is none"),
        ("[tool.conveyor]\nplugins = 'acme'\n", "must be a table"),
    ],
)
def test_a_list_that_is_none_is_told(strangers: Strangers, text: str, said: str) -> None:
    configure(text)
    with pytest.raises(ConfigurationError, match=said):
        installed_plugins().store_provider("memory://")


@pytest.mark.parametrize("names", ["acme", [""], [None], 7])
def test_an_argument_that_is_no_list_is_told(names: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be a list of names"):
        Plugins(allow=names)


def test_nothing_is_read_before_something_is_looked_up(strangers: Strangers) -> None:
    app = Conveyor("memory://")
    configure("this is no TOML")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        app.plugins.store_provider("memory://")
