"""``python -m conveyor.testing.conformance URL``: the kit as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.workshop import Workshop
from conveyor.testing.stores import open_store
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BROKEN_PLUGIN = "[conveyor]\nbroken = tests.conformance.broken.plugin\n"


def check(url: str, *, only: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the kit's tests of these names on the store of this URL."""
    found = os.pathsep.join(str(folder) for folder in (ROOT, path) if folder)
    return subprocess.run(
        [sys.executable, "-m", "conveyor.testing.conformance", url, "-k", only],
        env=os.environ | {"PYTHONPATH": found, "COLUMNS": "100", "NO_COLOR": "1"},
        cwd=path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_store_that_keeps_its_promises_passes(tmp_path: Path) -> None:
    run = check("memory://", only="an_add_is_heard or a_list_has_a_start", path=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = [line.split("│")[1:-1] for line in run.stdout.splitlines() if line.startswith("│")]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
    assert rows["has_notifications"] == ["yes"]
    assert rows["is_durable"] == ["no"]
    assert rows["Notifications"] == ["2", "0", "0"]
    assert rows["Queues"] == ["2", "0", "0"]


def test_a_file_is_emptied_between_tests(tmp_path: Path) -> None:
    run = check(f"sqlite:///{tmp_path}/jobs.db", only="a_list_has_a_start or draining", path=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_store_that_breaks_a_promise_fails_by_the_name_of_the_test(tmp_path: Path) -> None:
    plugin = tmp_path / "broken-1.0.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n", encoding="utf-8")
    (plugin / "entry_points.txt").write_text(BROKEN_PLUGIN, encoding="utf-8")
    run = check("broken://", only="another_fetch_of_the_same_session", path=tmp_path)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "test_another_fetch_of_the_same_session_is_another_run" in run.stdout


def test_a_store_in_use_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    anyio.run(add_a_job, url)
    run = check(url, only="draining", path=tmp_path)
    assert run.returncode == 2
    assert "is in use" in " ".join(run.stdout.split())
    assert anyio.run(has_the_job, url)


@pytest.mark.parametrize("url", ["nowhere://", "memory://host"])
def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path, url: str) -> None:
    run = check(url, only="draining", path=tmp_path)
    assert run.returncode == 2
    assert "cannot test" in run.stdout


async def add_a_job(url: str) -> None:
    async with open_store(url) as store:
        await Workshop(store, ManualClock()).add("a")


async def has_the_job(url: str) -> bool:
    async with open_store(url) as store:
        return await store.jobs.find_job("a") is not None
