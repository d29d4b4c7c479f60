"""What the tests of plugins share: a folder on the path to install strangers in, and no settings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.plugins.strangers import Strangers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Strangers]:
    """Somewhere to install strangers, first on the path; the working directory configures nothing."""
    for name in ("CONVEYOR_PLUGINS_ALLOW", "CONVEYOR_PLUGINS_BLOCK"):
        monkeypatch.delenv(name, raising=False)
    site, project = tmp_path / "site", tmp_path / "project"
    site.mkdir()
    project.mkdir()
    (project / "pyproject.toml").write_text("[project]\nname = 'project'\n", encoding="utf-8")
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = dict(sys.modules)
    strangers = Strangers(site)
    yield strangers
    strangers.forget_modules(before)
