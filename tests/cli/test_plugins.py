"""``conveyor plugins``: list, show, doctor, why and check, with broken and clashing plugins installed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.plugins.strangers import Strangers, queue_module, store_module

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Ran

EXIT = "import sys; sys.exit(0)"


@pytest.fixture
def strangers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Strangers]:
    """Somewhere to install strangers, first on the path."""
    for name in ("CONVEYOR_PLUGINS_ALLOW", "CONVEYOR_PLUGINS_BLOCK"):
        monkeypatch.delenv(name, raising=False)
    site = folder / "site"
    site.mkdir()
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = dict(sys.modules)
    strangers = Strangers(site)
    yield strangers
    strangers.forget_modules(before)


@pytest.fixture
def crowd(strangers: Strangers) -> Strangers:
    """Install one plugin that works, and one for each thing that goes wrong."""
    strangers.install("acme", store_module("acme", "acmes"))
    strangers.install("bad", "import no_such_module")
    strangers.install("ends", EXIT)
    strangers.install("loud", "print('loud')\n" + queue_module("loud"))
    strangers.install("old", store_module("old", version=0))
    strangers.install("twin-one", queue_module("one"), names=("twin",))
    strangers.install("twin-two", queue_module("two"), names=("twin",))
    strangers.install("rival", store_module("acmes", "memory"))
    return strangers


def test_a_list_imports_nothing_and_says_where_plugins_come_from(
    conveyor: Callable[..., Ran], crowd: Strangers
) -> None:
    ran = conveyor("plugins", "list", "-o", "json")
    assert ran.code == 0
    assert crowd.imported == []
    found = {(plugin["name"], plugin["distribution"]): plugin for plugin in ran.json}
    assert found["sqlite", "conveyor"]["entry_point"] == "conveyor._builtin.sqlite.plugin"
    assert found["bad", "bad"] == {
        "name": "bad",
        "distribution": "bad",
        "version": "1.0",
        "entry_point": "bad",
        "status": "allowed",
        "reason": None,
        "offers": None,
    }
    assert found["twin", "twin-one"]["status"] == "clash"
    assert "'twin-two'" in found["twin", "twin-one"]["reason"]
    assert "clash: 'twin-two' has a plugin of this name, too" in conveyor("plugins", "list").out


def test_a_list_that_loads_says_what_each_offers_and_which_are_broken(
    conveyor: Callable[..., Ran], crowd: Strangers
) -> None:
    ran = conveyor("plugins", "list", "--load", "-o", "jsonl")
    assert ran.code == 0
    assert "loud" not in ran.out.splitlines()
    found = {plugin["distribution"]: plugin for plugin in map(json.loads, ran.out.splitlines())}
    assert found["acme"]["offers"] == [
        {"kind": "store", "name": "stranger", "schemes": ["acme", "acmes"], "contract_version": 1}
    ]
    statuses = {name: found[name]["status"] for name in ("acme", "bad", "ends", "loud", "old", "twin-two")}
    assert statuses == {
        "acme": "ok",
        "bad": "broken",
        "ends": "broken",
        "loud": "ok",
        "old": "incompatible",
        "twin-two": "clash",
    }
    assert found["ends"]["reason"] == "SystemExit: 0"
    assert "no_such_module" in found["bad"]["reason"]
    assert "store stranger (acme://, acmes://)" in conveyor("plugins", "list", "--load").out


def test_what_is_in_the_box_is_listed_like_the_others(conveyor: Callable[..., Ran], strangers: Strangers) -> None:
    found = {plugin["name"]: plugin for plugin in conveyor("plugins", "list", "--load", "-o", "json").json}
    assert found["sqlite"]["distribution"] == "conveyor"
    assert {(offer["kind"], offer["name"]) for offer in found["store"]["offers"]} == {
        ("job queue", "store"),
        ("buffer storage", "store"),
    }


def test_a_blocked_plugin_is_listed_with_the_rule_and_not_imported(
    conveyor: Callable[..., Ran], crowd: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVEYOR_PLUGINS_ALLOW", "acme,rival")
    monkeypatch.setenv("CONVEYOR_PLUGINS_BLOCK", "rival")
    found = {plugin["distribution"]: plugin for plugin in conveyor("plugins", "list", "--load", "-o", "json").json}
    assert crowd.imported == ["acme"]
    assert found["rival"]["status"] == found["bad"]["status"] == "blocked"
    assert found["rival"]["reason"] == "it is blocked by 'rival' in CONVEYOR_PLUGINS_BLOCK"
    assert conveyor("plugins", "show", "rival", "-o", "json").json[0]["file"] is None
    assert crowd.imported == ["acme"]


def test_one_plugin_is_shown_and_no_other_is_imported(conveyor: Callable[..., Ran], crowd: Strangers) -> None:
    ran = conveyor("plugins", "show", "acme", "-o", "json")
    assert crowd.imported == ["acme"]
    (shown,) = ran.json
    assert shown["hooks"] == ["conveyor_stores"]
    assert shown["requires"] == ["conveyor"]
    assert shown["file"].endswith("acme.py")
    assert shown["contract_versions"] == [1]
    assert "acme.py" in conveyor("plugins", "show", "acme").out


def test_a_broken_plugin_is_shown_with_its_error(conveyor: Callable[..., Ran], crowd: Strangers) -> None:
    ran = conveyor("plugins", "show", "bad")
    assert ran.code == 0
    assert "no_such_module" in ran.out


def test_both_plugins_of_a_name_are_shown_and_one_by_its_distribution(
    conveyor: Callable[..., Ran], crowd: Strangers
) -> None:
    assert [one["distribution"] for one in conveyor("plugins", "show", "twin", "-o", "json").json] == [
        "twin-one",
        "twin-two",
    ]
    assert [one["name"] for one in conveyor("plugins", "show", "twin-two", "-o", "json").json] == ["twin"]
    assert conveyor("plugins", "show", "twin").out.count("entry_point") == 2


def test_an_unknown_plugin_is_told_with_the_nearest_name(conveyor: Callable[..., Ran], crowd: Strangers) -> None:
    ran = conveyor("plugins", "show", "acmee")
    assert ran.code == 3
    assert "did you mean 'acme'?" in ran.err


def test_the_doctor_finds_nothing_where_nothing_is_wrong(conveyor: Callable[..., Ran], strangers: Strangers) -> None:
    strangers.install("acme", store_module("acme"))
    ran = conveyor("plugins", "doctor")
    assert (ran.code, ran.out) == (0, "")
    assert "problems: 0" in ran.err
    assert conveyor("plugins", "doctor", "-o", "json").json == []


def test_the_doctor_names_every_problem(conveyor: Callable[..., Ran], crowd: Strangers) -> None:
    crowd.install("silent", "x = 1")
    crowd.describe("odd", "[conveyor]\nno equals sign here\n")
    ran = conveyor("plugins", "doctor", "-o", "json")
    assert ran.code == 1
    problems = {(one["kind"], one["plugin"]): one["what"] for one in ran.json if one["is_problem"]}
    assert set(problems) == {
        ("broken", "bad"),
        ("broken", "ends"),
        ("incompatible", "old"),
        ("empty", "silent"),
        ("clash", "twin"),
        ("clash", None),
        ("unreadable", None),
    }
    assert problems["clash", None] == "the store 'acmes' is offered by 'acme' of 'acme' and 'rival' of 'rival'"
    assert "odd-1.0.dist-info" in problems["unreadable", None]
    table = conveyor("plugins", "doctor")
    assert table.code == 1
    assert "problem  bad of bad" in table.out
    assert "reinstall or upgrade bad, uninstall it, or block bad" in table.out


def test_the_doctor_notes_what_is_only_worth_knowing(
    conveyor: Callable[..., Ran], strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = "@hookimpl\ndef conveyor_hook_of_tomorrow(): return ()\n"
    strangers.install("rival", store_module("memory") + newer)
    strangers.install("acme", store_module("acme"))
    monkeypatch.setenv("CONVEYOR_PLUGINS_BLOCK", "acme,acmee")
    monkeypatch.setenv("CONVEYOR_STRATEGIES_INLIN_MOST_KEPT", "7")
    ran = conveyor("plugins", "doctor", "-o", "json")
    assert ran.code == 0
    notes = {one["kind"]: one for one in ran.json}
    assert set(notes) == {"blocked", "idle_name", "overruled", "unknown_hook", "unread_options"}
    assert notes["overruled"]["plugin"] == "rival"
    assert "'acmee' in CONVEYOR_PLUGINS_BLOCK" in notes["idle_name"]["what"]
    assert notes["unread_options"]["what"].startswith("CONVEYOR_STRATEGIES_INLIN_MOST_KEPT is read by nobody")
    assert "conveyor_hook_of_tomorrow" in notes["unknown_hook"]["what"]


def test_the_doctor_sees_a_distribution_installed_twice(
    conveyor: Callable[..., Ran], strangers: Strangers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers.install("acme", store_module("acme"))
    second = Strangers(folder / "elsewhere")
    second.folder.mkdir()
    second.install("acme", store_module("acme"), version="2.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(second.folder)])
    (found,) = conveyor("plugins", "doctor", "-o", "json").json
    assert (found["kind"], found["distribution"]) == ("copies", "acme")
    assert str(second.folder) in found["what"]


@pytest.mark.parametrize(
    ("word", "plugin", "kinds"),
    [
        ("acme", "acme", ["store"]),
        ("acme://host/jobs", "acme", ["store"]),
        ("memory", "memory", ["store", "buffer storage"]),
        ("one", "twin", ["job queue"]),
        ("store", "store", ["job queue", "buffer storage"]),
    ],
)
def test_it_is_told_why_a_plugin_is_chosen(
    conveyor: Callable[..., Ran], crowd: Strangers, word: str, plugin: str, kinds: list[str]
) -> None:
    ran = conveyor("plugins", "why", word, "-o", "json")
    assert ran.code == 0
    rule = "it alone offers it" if plugin == "twin" else "the plugin of this name comes first"
    assert [(told["kind"], told["plugin"], told["rule"], told["error"]) for told in ran.json] == [
        (kind, plugin, rule, None) for kind in kinds
    ]
    assert f"plugin {plugin!r} of" in conveyor("plugins", "why", word).out


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        ("nothing", 3, "no store is called 'nothing'"),
        ("bad://", 1, "ModuleNotFoundError"),
        ("twin", 1, "two plugins are called 'twin'"),
        ("acmes://", 1, "offered by two plugins"),
        ("old", 1, "version 0 of the contracts"),
    ],
)
def test_it_is_told_why_none_is_chosen(
    conveyor: Callable[..., Ran], crowd: Strangers, word: str, code: int, said: str
) -> None:
    ran = conveyor("plugins", "why", word)
    assert ran.code == code
    assert said in ran.out


def test_why_repeats_nothing_of_a_url_but_its_scheme(conveyor: Callable[..., Ran], strangers: Strangers) -> None:
    ran = conveyor("plugins", "why", "nowhere://ada:secret@host/jobs")
    assert ran.code == 3
    assert "secret" not in ran.out + ran.err


def test_other_commands_work_with_broken_plugins_about(conveyor: Callable[..., Ran], crowd: Strangers) -> None:
    assert conveyor("store", "migrate", "--store", "sqlite:///jobs.db").code == 0
    assert crowd.imported == []
    ran = conveyor("store", "check", "--store", "bad://")
    assert ran.code == 2
    assert "plugin 'bad' of distribution 'bad' 1.0 (entry point bad = bad) cannot be used" in ran.err


def test_the_kit_is_run_in_a_process_and_its_exit_code_is_passed_on(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    passed = start("plugins", "check", "memory://", "-k", "an_add_is_heard")
    printed, _ = passed.communicate(timeout=50)
    assert passed.returncode == 0
    assert "has_notifications" in printed
    assert "Conformance" in printed
    refused = start("plugins", "check", "memory://host")
    assert "cannot test" in refused.communicate(timeout=50)[0]
    assert refused.returncode == 2


def test_a_kit_without_its_libraries_says_what_to_install(
    conveyor: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    ran = conveyor("plugins", "check", "memory://")
    assert ran.code == 1
    assert 'pip install "conveyor[testing]"' in ran.err
