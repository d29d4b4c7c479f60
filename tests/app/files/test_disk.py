"""Two at one file: who writes, who ends it and who deletes it, each in the middle of what the other does."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import pytest

from conveyor import Conveyor
from conveyor._builtin.local_files.disk import Disk, Record, write_all
from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor._builtin.local_files.storage import LocalFileStorage
from conveyor.errors import PayloadError, StoredFileNotFoundError
from conveyor.testing.conformance.file_storage import read, stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from pathlib import Path

KEY: Final = "0123456789abcdef" * 2
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
OLD: Final = (NOW - 2 * HOUR).timestamp()


def record(name: str = "a.csv", *, expires_at: datetime | None = None) -> Record:
    return Record(name, "text/csv", NOW - 2 * HOUR, expires_at, 1, "0" * 64)


def names(disk: Disk) -> list[str]:
    return sorted(path.name.removeprefix(KEY) for path in disk.directory.iterdir())


class Interrupted(Disk):
    """Somebody else does something in the middle, once: before a part of a file is opened, deleted or put away."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.before: dict[str, Callable[[], object]] = {}

    def _interrupt(self, what: str) -> None:
        if (other := self.before.pop(what, None)) is not None:
            other()

    def _open(self, key: str, ending: str, flags: int) -> FileIO:
        opened = super()._open(key, ending, flags)
        self._interrupt(f"writing {ending[-6:]}")
        return opened

    def _unlink(self, key: str, ending: str) -> bool:
        self._interrupt(f"deleting {ending}")
        return super()._unlink(key, ending)

    def _put_away(self, key: str) -> bool:
        self._interrupt("putting away")
        return super()._put_away(key)

    def _finish_putting_away(self, key: str) -> bool:
        self._interrupt("put away")
        return super()._finish_putting_away(key)


@pytest.fixture
def disk(tmp_path: Path) -> Interrupted:
    """A directory with the data of a file whose last byte was written two hours ago."""
    disk = Interrupted(tmp_path / "files")
    with disk.create(KEY) as file:
        write_all(file, b"1")
    os.utime(disk.directory / f"{KEY}.data", (OLD, OLD))
    return disk


def test_two_may_end_a_file_at_once(disk: Interrupted) -> None:
    disk.before["writing .draft"] = lambda: disk.keep(KEY, record("theirs.csv"))
    disk.keep(KEY, record("ours.csv"))
    assert disk.get(KEY, NOW).name == "ours.csv"
    assert names(disk) == [".data", ".json"]


def test_what_was_deleted_before_it_was_whole_stays_deleted(disk: Interrupted) -> None:
    disk.before["writing .draft"] = lambda: disk.delete(KEY)
    with pytest.raises(StoredFileNotFoundError):
        disk.keep(KEY, record())
    assert names(disk) == []


def test_what_becomes_whole_while_it_is_deleted_is_deleted(disk: Interrupted) -> None:
    disk.before["deleting .data"] = lambda: disk.keep(KEY, record())
    assert disk.delete(KEY)
    assert names(disk) == []


def test_of_two_who_delete_a_file_one_did(disk: Interrupted) -> None:
    disk.keep(KEY, record())
    told: list[bool] = []
    disk.before["deleting .json"] = lambda: told.append(disk.delete(KEY))
    told.append(disk.delete(KEY))
    assert told == [True, False]


def test_an_upload_that_becomes_whole_as_it_is_given_up_stays(disk: Interrupted) -> None:
    disk.before["putting away"] = lambda: disk.keep(KEY, record())
    assert disk.remove_expired(NOW, HOUR) == 0
    assert names(disk) == [".data", ".json"]
    with disk.open(KEY, 0, NOW) as file:
        assert file.read() == b"1"


def test_an_upload_that_was_given_up_does_not_become_whole(disk: Interrupted) -> None:
    def keep() -> None:
        with pytest.raises(StoredFileNotFoundError):
            disk.keep(KEY, record())

    disk.before["put away"] = keep
    assert disk.remove_expired(NOW, HOUR) == 1
    assert names(disk) == []


@pytest.mark.parametrize(("is_whole", "left"), [(False, []), (True, [".data", ".json"])])
def test_what_a_program_put_away_before_it_died_is_seen_to(disk: Disk, is_whole: bool, left: list[str]) -> None:
    if is_whole:
        disk.keep(KEY, record())
    (disk.directory / f"{KEY}.data").rename(disk.directory / f"{KEY}.away")
    assert disk.remove_expired(NOW, HOUR) == (0 if is_whole else 1)
    assert names(disk) == left


def test_two_who_remove_what_has_expired_count_it_once(disk: Interrupted) -> None:
    disk.keep(KEY, record(expires_at=NOW))
    told: list[int] = []
    disk.before["deleting .json"] = lambda: told.append(disk.remove_expired(NOW, HOUR))
    told.append(disk.remove_expired(NOW, HOUR))
    assert told == [1, 0]
    assert names(disk) == []


def test_what_cannot_be_removed_keeps_nothing_else(disk: Disk) -> None:
    other = "f" * 32
    for key in (KEY, other):
        if key is other:
            disk.create(key).close()
        disk.keep(key, record(expires_at=NOW))
    (disk.directory / f"{KEY}.json").write_bytes(b"{")
    with pytest.raises(PayloadError):
        disk.remove_expired(NOW, HOUR)
    assert names(disk) == [".data", ".json"]


@pytest.mark.anyio
async def test_a_program_whose_threads_all_wait_for_a_file_gets_it(tmp_path: Path) -> None:
    storage = LocalFileStorage(LocalFilesOptions(directory=str(tmp_path / "files")))
    limiter = anyio.to_thread.current_default_thread_limiter()
    async with Conveyor("memory://", file_storage=storage) as app:
        # As a thread would for each of them that asks the event loop for a file.
        for number in range(int(limiter.available_tokens)):
            limiter.acquire_on_behalf_of_nowait(number)
        try:
            with anyio.fail_after(10):
                file = await app.files.write("a.csv", stream(b"1"))
                assert await read(app.files, file.key) == b"1"
        finally:
            for number in range(int(limiter.total_tokens)):
                limiter.release_on_behalf_of(number)
