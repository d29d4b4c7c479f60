"""What every test shares: both backends, always; and properties that are judged by their answers, not by the clock."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, settings

from conveyor.testing.stores import open_store
from tests.steady import STEADY_TIME, steady_backends

# A busy machine makes one draw take seconds, which says nothing of the property.
settings.register_profile("conveyor", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("conveyor")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each anyio test once on asyncio and once on trio."""
    backend: str = request.param
    return backend


@pytest.fixture(params=steady_backends(), ids=lambda backend: backend[0])
def steady_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """Both backends, and threads, in a time that leaves out what the machine kept this process from doing."""
    monkeypatch.setattr(time, "monotonic", STEADY_TIME.ask)
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store to be copied: making one takes fifty milliseconds, most of them of waiting for the disk."""
    file = tmp_path_factory.mktemp("migrated") / "jobs.db"

    async def make() -> None:
        async with open_store(f"sqlite:///{file}"):
            pass

    with ThreadPoolExecutor(1) as elsewhere:  # than where the loop of a test is
        elsewhere.submit(anyio.run, make).result()
    assert [path.name for path in file.parent.iterdir()] == ["jobs.db"], "one file must be all of it"
    return file


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """The URL of an empty SQLite store, which is at `jobs.db` in the folder of the test."""
    shutil.copyfile(migrated_file, tmp_path / "jobs.db")
    return f"sqlite:///{tmp_path}/jobs.db"
