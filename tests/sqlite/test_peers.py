"""What SQLite's `data_version` tells of other processes, where this one commits on several connections."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from attrs import define, field

from conveyor._builtin.sqlite.loop import EventLoop
from conveyor._builtin.sqlite.options import SqliteOptions
from conveyor._builtin.sqlite.peers import Peers
from conveyor._builtin.sqlite.transaction_thread import TransactionThread
from conveyor._builtin.sqlite.watched_file import WatchedFile
from conveyor.model.events import Notification, NotificationKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ANYTHING: Final = (Notification(NotificationKind.ANYTHING),)
STEP: Final = 0.125


@define
class Looks:
    """Looks at a file, one after another; `write` commits on a connection of its own."""

    peers: Peers
    looking: sqlite3.Connection
    writing: sqlite3.Connection
    told: list[Sequence[Notification]]
    now: list[float] = field(factory=lambda: [0.0])

    def write(self) -> None:
        self.writing.execute("insert into facts values (1)")

    def write_as_ours(self) -> None:
        self.peers.note_own_commit()
        self.write()
        self.peers.note_own_commit()

    def look(self) -> int:
        """Look a moment later; return how often it was told by then that anything may have changed."""
        self.now[0] += STEP
        self.peers.look(self.looking)
        assert set(self.told) <= {ANYTHING}
        return len(self.told)


@contextmanager
def looks_at(file: Path) -> Iterator[Looks]:
    told: list[Sequence[Notification]] = []
    now = [0.0]
    on_heard: Callable[[Sequence[Notification]], None] = told.append
    peers = Peers(file, on_heard, lambda: now[0])
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as looking,
        closing(sqlite3.connect(file, isolation_level=None)) as writing,
    ):
        looking.execute("pragma journal_mode = wal")
        looking.execute("create table facts (number integer)")
        peers.listen()
        try:
            looks = Looks(peers, looking, writing, told, now)
            looks.look()
            yield looks
        finally:
            peers.close()


def opened(file: Path) -> WatchedFile:
    file.touch()
    watched = WatchedFile(file)
    watched.note_opened()
    return watched


def test_what_others_commit_is_told_at_the_next_look(file: Path) -> None:
    with looks_at(file) as looks:
        looks.write()
        assert looks.look() == 1
        assert looks.look() == 1


def test_what_this_process_commits_all_the_time_is_told_once_a_second(file: Path) -> None:
    with looks_at(file) as looks:
        for _ in range(17):
            looks.write_as_ours()
            looks.look()
        assert len(looks.told) == 1


def test_what_others_commit_beside_our_commits_is_told_within_a_second(file: Path) -> None:
    with looks_at(file) as looks:
        looks.write_as_ours()
        looks.write()
        assert [looks.look() for _ in range(9)] == [0] * 8 + [1]


def test_what_others_commit_after_our_commits_is_told_at_the_next_look(file: Path) -> None:
    with looks_at(file) as looks:
        looks.write_as_ours()
        assert looks.look() == 0
        looks.write()
        assert looks.look() == 1


@pytest.mark.parametrize("is_seen_early", [False, True])
def test_a_commit_that_a_look_falls_into_is_still_ours(file: Path, is_seen_early: bool) -> None:
    with looks_at(file) as looks:
        looks.peers.note_own_commit()
        if is_seen_early:
            looks.write()
            assert looks.look() == 0
        else:
            assert looks.look() == 0
            looks.write()
        looks.peers.note_own_commit()
        assert looks.look() == 0


@pytest.mark.anyio
async def test_the_transactions_of_runs_say_that_they_commit(file: Path) -> None:
    noted: list[bool] = []

    def note() -> None:
        noted.append(connection.in_transaction)

    thread = TransactionThread(SqliteOptions(file), EventLoop(), opened(file), note)
    connection = thread.connect()
    thread.begin(connection)
    connection.execute("create table facts (number integer)")
    thread.commit(connection)
    thread.drop()
    assert noted == [True, False]
