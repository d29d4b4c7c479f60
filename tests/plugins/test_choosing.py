"""Which plugin a scheme or a name selects, what is imported for it, and what broken ones can do: nothing."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor, hookspecs
from conveyor._plugins import Plugins
from conveyor._plugins.loading import HOOKS
from conveyor.errors import ConfigurationError, PluginError, UnknownStrategyError
from tests.plugins.strangers import STORE, Strangers, queue_module, store_module

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = "import no_such_module\n"


def test_every_hook_is_asked() -> None:
    assert set(HOOKS) == {name for name in hookspecs.__all__ if name.startswith("conveyor_")}


def test_finding_plugins_imports_none(strangers: Strangers) -> None:
    strangers.install("acme", store_module("acme"))
    assert "acme" in [plugin.name for plugin in Plugins().found]
    assert strangers.imported == []


def test_a_distribution_hides_those_of_its_name_further_down_the_path(
    strangers: Strangers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers.install("acme", store_module("acme"), version="1.0")
    nearer = Strangers(tmp_path / "nearer")
    nearer.describe("Acme", "[console_scripts]\nacme = acme:main\n", version="2.0")
    assert "acme" in [plugin.name for plugin in Plugins().found]
    monkeypatch.setattr(sys, "path", [str(nearer.folder), *sys.path])
    assert "acme" not in [plugin.name for plugin in Plugins().found]


def test_a_distribution_is_called_what_its_metadata_says_and_not_what_its_folder(strangers: Strangers) -> None:
    strangers.install("acme", store_module("acme"))
    (information,) = strangers.folder.glob("*.dist-info")
    information.rename(information.with_name("emca-1.0.dist-info"))
    (found,) = [plugin for plugin in Plugins().found if plugin.name == "acme"]
    assert (found.distribution, found.version) == ("acme", "1.0")


def test_a_plugin_called_like_the_scheme_is_imported_alone_and_its_backend_is_not(strangers: Strangers) -> None:
    strangers.install("acme", store_module("acme"))
    strangers.install("other", store_module("other"))
    assert Plugins().store_provider("acme://").schemes == ("acme",)
    assert strangers.imported == ["acme"]


def test_no_stranger_is_imported_for_what_is_in_the_box(strangers: Strangers) -> None:
    strangers.install("acme", store_module("sqlite"))
    plugins = Plugins()
    assert plugins.store_provider("sqlite:///a.db").name == "sqlite"
    assert plugins.job_queue_provider("store").name == "store"
    assert strangers.imported == []


def test_a_scheme_with_another_name_is_found_by_asking_all(strangers: Strangers) -> None:
    strangers.install("acme", store_module("acme", "acmes"))
    strangers.install("acme-queue", queue_module("inline"))
    plugins = Plugins()
    assert plugins.choose("store", "acmes").rule == "it alone offers it"
    assert plugins.job_queue_provider("inline").name == "inline"


def test_one_module_under_two_names_is_no_clash(strangers: Strangers) -> None:
    strangers.install("acme", store_module("a", "b"), names=("one", "two"))
    assert Plugins().store_provider("b://").name == "stranger"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "source",
    [
        BROKEN,
        "import sys; sys.exit(3)",
        "raise BaseException('out')",
        "raise KeyError",
        "def (",
        "from conveyor import hookimpl\n@hookimpl\ndef conveyor_stores(unknown): return ()",
        "from conveyor import hookimpl\n@hookimpl\ndef conveyor_stores(): return None",
        "from conveyor import hookimpl\n@hookimpl\ndef conveyor_stores(): return ['acme']",
        "from conveyor import hookimpl\n@hookimpl\ndef conveyor_stores(): raise RuntimeError('not now')",
        store_module("acme", "acme"),
        f"{STORE}@hookimpl\ndef conveyor_stores(): return [StoreProvider('a', 'acme', None, None, 1)]",
    ],
)
async def test_a_broken_plugin_harms_only_who_selects_it(
    strangers: Strangers, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    strangers.install("broken", source, version="2.1")
    strangers.install("acme", store_module("acmes"))
    async with Conveyor("memory://"):
        pass
    assert caplog.records == []
    with caplog.at_level(logging.WARNING, "conveyor.plugins"):
        assert Plugins().store_provider("acmes://").name == "stranger"
    (record,) = caplog.records
    assert "'broken' of 'broken' 2.1" in record.getMessage()
    assert "\n" not in record.getMessage()
    with pytest.raises(PluginError) as raised:
        Plugins().store_provider("broken://")
    error = raised.value
    assert (error.plugin, error.distribution, error.version) == ("broken", "broken", "2.1")
    assert error.entry_point == "broken = broken"
    assert error.__cause__ is not None
    assert type(error.__cause__).__name__ in str(error)


def test_a_warning_is_given_once(strangers: Strangers, caplog: pytest.LogCaptureFixture) -> None:
    strangers.install("broken", BROKEN)
    plugins = Plugins()
    for _ in range(2):
        with pytest.raises(UnknownStrategyError) as raised:
            plugins.store_provider("nothing://")
        assert "'broken' of 'broken' 1.0" in str(raised.value)
    assert len(caplog.records) == 1


def test_what_an_interrupted_import_was_doing_is_said(strangers: Strangers, caplog: pytest.LogCaptureFixture) -> None:
    strangers.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Plugins().store_provider("slow://")
    assert "interrupted while plugin 'slow' of 'slow' 1.0" in caplog.text


def test_what_a_plugin_prints_as_it_is_imported_is_kept_from_the_data(
    strangers: Strangers, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers.install("loud", "print('thank you for installing me')\n" + store_module("loud"))
    assert Plugins().store_provider("loud://").name == "stranger"
    assert capsys.readouterr() == ("", "thank you for installing me\n")


def test_two_plugins_of_one_name_hurt_only_who_selects_it(strangers: Strangers) -> None:
    strangers.install("acme-one", store_module("acme"), names=("acme",), version="1.1")
    strangers.install("acme-two", store_module("acmes"), names=("acme",), version="2.2")
    plugins = Plugins()
    assert plugins.store_provider("memory://").name == "memory"
    assert plugins.store_provider("acmes://").schemes == ("acmes",)
    with pytest.raises(ConfigurationError, match=r"'acme-one' 1\.1 and 'acme' of 'acme-two' 2\.2"):
        plugins.store_provider("acme://")


def test_of_two_plugins_of_one_name_one_can_be_blocked_by_its_distribution(strangers: Strangers) -> None:
    strangers.install("acme-one", store_module("acme"), names=("acme",))
    strangers.install("acme-two", store_module("acmes"), names=("acme",))
    assert Plugins(block=["acme-two"]).store_provider("acme://").schemes == ("acme",)


def test_two_plugins_that_offer_one_scheme_are_both_named(strangers: Strangers) -> None:
    strangers.install("first", store_module("acme"))
    strangers.install("second", store_module("acme"))
    with pytest.raises(ConfigurationError, match=r"'first' of 'first' 1\.0 and 'second' of 'second' 1\.0"):
        Plugins().store_provider("acme://")


@pytest.mark.parametrize(("version", "advice"), [(0, "upgrade acme"), (99, "upgrade conveyor")])
def test_another_version_of_the_contracts_is_refused_when_selected(
    strangers: Strangers, version: int, advice: str
) -> None:
    strangers.install("acme", store_module("acme", version=version))
    with pytest.raises(PluginError, match=f"version {version} of the contracts.*{advice}"):
        Plugins().store_provider("acme://")


def test_a_hook_of_a_newer_conveyor_does_no_harm(strangers: Strangers) -> None:
    newer = "@hookimpl\ndef conveyor_hook_of_tomorrow(app): return ()\n"
    strangers.install("acme", store_module("acme") + newer)
    plugins = Plugins()
    assert plugins.store_provider("acme://").name == "stranger"
    (found,) = [plugin for plugin in plugins.found if plugin.name == "acme"]
    assert plugins.load(found).unknown_hooks == ("conveyor_hook_of_tomorrow",)


def test_unreadable_metadata_of_one_distribution_harms_no_other(strangers: Strangers) -> None:
    strangers.describe("odd", "[conveyor]\nno equals sign here\n")
    strangers.install("acme", store_module("acme"))
    assert Plugins().store_provider("acme://").name == "stranger"
    assert Plugins().store_provider("memory://").name == "memory"


def test_an_entry_point_that_is_none_is_a_broken_plugin(strangers: Strangers) -> None:
    strangers.describe("odd", "[conveyor]\nodd = not a module!\n")
    with pytest.raises(PluginError, match="odd = not a module!"):
        Plugins().store_provider("odd://")
