"""Hints between processes: by datagram, and without one by what SQLite knows of other writers."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor._builtin.sqlite.peers import socket_directory
from conveyor.model.events import Notification, NotificationKind
from conveyor.testing.stores import open_store
from tests.sqlite.jobs import new_job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conveyor._builtin.sqlite.store import SQLiteStore

pytestmark = pytest.mark.anyio

ADDER: Final = """
import sys, anyio
from conveyor.testing.stores import open_store
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions

async def main():
    async with open_store(sys.argv[1]) as store:
        await store.jobs.save_job(NewJob("from-there", "mail", "send", b"{}", JobOptions()))

anyio.run(main)
"""
ADDED: Final = Notification(NotificationKind.ADDED, "mail")
ANYTHING: Final = Notification(NotificationKind.ANYTHING)


async def wait_for(wanted: Notification, heard: AsyncIterator[Notification]) -> None:
    with anyio.fail_after(30):
        async for notification in heard:
            if notification == wanted:
                return


async def test_an_add_in_another_process_wakes_us_with_its_own_words(store: SQLiteStore, file: Path) -> None:
    async with store.notifier.subscribe("mail") as heard:
        process = await anyio.run_process([sys.executable, "-c", ADDER, f"sqlite:///{file}"], stderr=None)
        assert process.returncode == 0
        await wait_for(ADDED, heard)


async def test_two_stores_on_a_file_hear_each_other(store: SQLiteStore, file: Path) -> None:
    async with (
        open_store(f"sqlite:///{file}") as other,
        store.notifier.subscribe("mail") as heard,
    ):
        assert other.notifier is not None
        await other.jobs.save_job(new_job("a"))
        await wait_for(ADDED, heard)
        async with other.notifier.subscribe() as other_heard:
            await store.notifier.publish(Notification(NotificationKind.CHANGED, "mail"))
            await wait_for(Notification(NotificationKind.CHANGED, "mail"), other_heard)


async def test_a_writer_that_says_nothing_is_noticed(store: SQLiteStore, file: Path) -> None:
    async with store.notifier.subscribe("mail") as heard:
        silent = sqlite3.connect(file)
        with silent:
            silent.execute("insert into conveyor_queues (name) values ('silently')")
        silent.close()
        await wait_for(ANYTHING, heard)


async def test_without_sockets_a_change_is_still_noticed(
    store: SQLiteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    async with open_store(f"sqlite:///{file}") as other, store.notifier.subscribe("mail") as heard:
        await other.jobs.save_job(new_job("a"))
        await wait_for(ANYTHING, heard)


async def test_the_socket_of_a_process_that_died_is_cleared_away(store: SQLiteStore, file: Path) -> None:
    directory = socket_directory(file)
    async with store.notifier.subscribe("mail"):
        left_behind = directory / "1-dead"
        script = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(sys.argv[1])"
        await anyio.run_process([sys.executable, "-c", script, str(left_behind)], stderr=subprocess.DEVNULL)
        assert left_behind.exists()
        await store.jobs.save_job(new_job("a"))
        # Sent after the answer, so a second round says that the first is over.
        await store.jobs.save_job(new_job("b"))
        assert not left_behind.exists()


async def test_who_stops_listening_leaves_no_socket(store: SQLiteStore, file: Path) -> None:
    directory = socket_directory(file)
    async with store.notifier.subscribe(), store.notifier.subscribe("mail"):
        assert len(list(directory.iterdir())) == 1
    assert not directory.exists()


async def test_a_long_path_has_its_sockets_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    url = f"sqlite:///{folder}/jobs.db"
    async with open_store(url) as store, open_store(url) as other:
        assert store.notifier is not None
        async with store.notifier.subscribe("mail") as heard:
            await other.jobs.save_job(new_job("a"))
            await wait_for(ADDED, heard)
    assert not (folder / "jobs.db-notify").exists()
