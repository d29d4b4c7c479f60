"""``conveyor plugins``: listed, broken ones too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Ran


def test_plugins_are_listed_with_what_they_offer(conveyor: Callable[..., Ran]) -> None:
    found = {plugin["name"]: plugin for plugin in conveyor("plugins", "list", "-o", "json").json}
    assert found["sqlite"]["distribution"] == "conveyor"
    assert found["sqlite"]["offers"] == [{"kind": "store", "name": "sqlite", "schemes": ["sqlite"]}]
    assert found["store"]["offers"] == [{"kind": "job queue", "name": "store"}]
    assert "store memory (memory://)" in conveyor("plugins", "list").out


def test_a_broken_plugin_is_listed_with_the_reason_and_harms_no_other(
    conveyor: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = folder / "bad_plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[conveyor]\nbad = no_such_module\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    ran = conveyor("plugins", "list", "-o", "json")
    assert ran.code == 0
    found = {plugin["name"]: plugin for plugin in ran.json}
    assert found["bad"]["distribution"] == "bad-plugin"
    assert "no_such_module" in found["bad"]["error"]
    assert found["memory"]["error"] is None
    assert "BROKEN" in conveyor("plugins", "list").out
