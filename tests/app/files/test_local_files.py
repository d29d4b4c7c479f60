"""Local files: where they are, what a crash leaves behind, and how much memory a long one takes."""

from __future__ import annotations

import os
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor
from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor._builtin.local_files.storage import LocalFileStorage
from conveyor.errors import ConfigurationError, StoredFileNotFoundError, StoreUnavailableError, UnknownStrategyError
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.file_storage import read, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def storage(folder: Path) -> LocalFileStorage:
    return LocalFileStorage(LocalFilesOptions(directory=str(folder)))


@pytest.fixture
def app(storage: LocalFileStorage) -> Conveyor:
    return Conveyor("memory://", file_storage=storage)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def modes(folder: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())]


def size_of_data(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.data"))


async def test_files_are_beside_the_file_of_the_store(tmp_path: Path) -> None:
    async with Conveyor(f"sqlite:///{tmp_path}/jobs.db") as app:
        assert not (tmp_path / "conveyor_files").exists()
        file = await app.files.write("a.csv", stream(b"1"))
        assert names(tmp_path / "conveyor_files") == [f"{file.key}.data", f"{file.key}.json"]
    async with Conveyor(f"sqlite:///{tmp_path}/jobs.db") as app:
        assert await read(app.files, file.key) == b"1"


async def test_files_go_with_a_store_that_keeps_nothing() -> None:
    storage = LocalFileStorage()
    async with Conveyor("memory://", file_storage=storage) as app:
        await app.files.write("a.csv", stream(b"1"))
        folder = storage.directory
        assert folder.is_dir()
    assert not folder.exists()


async def test_the_directory_is_a_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_STRATEGIES_LOCAL_DIRECTORY", str(folder))
    async with Conveyor("memory://") as app:
        await app.files.write("a.csv", stream(b"1"))
    assert len(names(folder)) == 2


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
async def test_files_are_nobody_elses_business(app: Conveyor, folder: Path) -> None:
    async with app:
        await app.files.write("a.csv", stream(b"1"))
    assert modes(folder) == [0o700, 0o600, 0o600]


async def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="file_storage must be"):
        Conveyor("memory://", file_storage=object())  # type: ignore[arg-type] # that is the mistake
    with pytest.raises(UnknownStrategyError, match="file storage"):
        async with Conveyor("memory://", file_storage="attic"):
            raise AssertionError
    monkeypatch.setenv("CONVEYOR_STRATEGIES_LOCAL_ABANDONED_AFTER", "0s")
    with pytest.raises(ConfigurationError, match="abandoned_after"):
        async with Conveyor("memory://"):
            raise AssertionError
    with pytest.raises(ConfigurationError, match="not open"):
        await Conveyor("memory://").files.find("x")


async def test_a_link_is_not_followed(app: Conveyor, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    async with app:
        file = await app.files.write("a.csv", stream(b"1"))
        data = folder / f"{file.key}.data"
        data.unlink()
        data.symlink_to(secret)
        with pytest.raises(StoreUnavailableError):
            await read(app.files, file.key)
        await app.files.delete(file.key)
    assert secret.read_bytes() == b"secret"


async def test_data_that_is_gone_is_a_file_that_is_gone(app: Conveyor, folder: Path) -> None:
    async with app:
        file = await app.files.write("a.csv", stream(b"1"))
        (folder / f"{file.key}.data").unlink()
        with pytest.raises(StoredFileNotFoundError):
            await read(app.files, file.key)


async def test_a_disk_that_does_not_do_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    storage = LocalFileStorage(LocalFilesOptions(directory=str(tmp_path / "file" / "files")))
    async with Conveyor("memory://", file_storage=storage) as app:
        with pytest.raises(StoreUnavailableError, match="cannot be used"):
            await app.files.write("a.csv", stream(b"1"))


async def test_a_broken_upload_leaves_nothing_behind(app: Conveyor, folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"1"
        raise LookupError

    async with app:
        with pytest.raises(LookupError):
            await app.files.write("a.csv", broken())
    assert names(folder) == []


async def test_what_a_dead_writer_left_is_removed_once_it_is_old(folder: Path) -> None:
    clock = ManualClock()
    storage = LocalFileStorage(LocalFilesOptions(directory=str(folder), abandoned_after=timedelta(hours=1)))
    async with Conveyor("memory://", file_storage=storage, clock=clock) as app:
        file = await app.files.write("a.csv", stream(b"1"))
        begun = await storage.begin("b.csv", media_type="text/csv")
        # As a process leaves it that dies in `write`, and in `finish`.
        left = folder / f"{'a' * 32}.data"
        left.write_bytes(b"half of")
        draft = folder / f"{begun}.{'b' * 16}.draft"
        draft.write_bytes(b"{")
        for path in (left, draft):
            os.utime(path, (clock.now().timestamp(),) * 2)
        clock.advance(timedelta(minutes=59))
        assert await storage.remove_expired() == 0
        assert {left.name, draft.name} <= set(names(folder))
        clock.advance(timedelta(minutes=2))
        assert await storage.remove_expired() == 1
        assert (await storage.finish(begun)).size == 0
        assert names(folder) == sorted(f"{key}.{ending}" for key in (file.key, begun) for ending in ("data", "json"))


async def test_a_half_deleted_file_is_gone(app: Conveyor, folder: Path, storage: LocalFileStorage) -> None:
    async with app:
        file = await app.files.write("a.csv", stream(b"1"))
        (folder / f"{file.key}.json").unlink()  # the first thing that `delete` does
        assert await app.files.find(file.key) is None
        with pytest.raises(StoredFileNotFoundError):
            await read(app.files, file.key)


async def test_a_long_file_takes_no_more_memory_than_a_short_one(app: Conveyor) -> None:
    async def long(count: int) -> AsyncIterator[bytes]:
        for number in range(count):
            yield number.to_bytes(4, "big") * 8192

    async def peak_of(count: int) -> int:
        tracemalloc.reset_peak()
        file = await app.files.write("a.bin", long(count))
        size = 0
        async with app.files.read(file.key) as blocks:
            async for block in blocks:
                size += len(block)
        assert size == count * 32_768 == file.size
        return tracemalloc.get_traced_memory()[1]

    async with app:
        tracemalloc.start()
        try:
            await peak_of(32)
            short, long_peak = await peak_of(32), await peak_of(1024)
        finally:
            tracemalloc.stop()
    assert long_peak < short + 1_000_000


async def test_the_next_chunk_is_asked_for_when_there_is_room(app: Conveyor, folder: Path) -> None:
    asked: list[int] = []

    async def watched() -> AsyncIterator[bytes]:
        for _ in range(8):
            await anyio.lowlevel.checkpoint()
            asked.append(size_of_data(folder))
            yield bytes(1 << 18)

    async with app:
        await app.files.write("a.bin", watched())
    assert asked == [number << 18 for number in range(8)]


class Watched(LocalFileStorage):
    """A storage that tells how often a worker came by."""

    def __init__(self, options: LocalFilesOptions | None = None) -> None:
        super().__init__(options)
        self.removed: list[int] = []
        self.came = anyio.Event()

    async def remove_expired(self) -> int:
        self.removed.append(await self.look())
        self.came.set()
        return self.removed[-1]

    async def look(self) -> int:
        return await super().remove_expired()


async def test_a_worker_removes_what_has_expired(folder: Path) -> None:
    clock = ManualClock()
    storage = Watched(LocalFilesOptions(directory=str(folder)))
    app = Conveyor("memory://", file_storage=storage, clock=clock)
    app.queue("q").job(name="nothing")(nothing)
    async with app:
        await app.files.write("a.csv", stream(b"1"), expires_in="1 hour")
        clock.advance("1 hour")
        with anyio.fail_after(30):
            async with app.worker():
                await storage.came.wait()
    assert (storage.removed, names(folder)) == ([1], [])


async def test_a_storage_that_fails_is_no_end_of_a_worker(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Watched):
        async def look(self) -> int:
            self.came.set()
            raise ValueError("out of order")

    storage = Broken()
    app = Conveyor("memory://", file_storage=storage)
    handler = app.queue("q").job(name="nothing")(nothing)
    async with app, app.worker():
        with anyio.fail_after(30):
            await storage.came.wait()
        job = await handler.add()
        await job.result(timeout="30s")
    assert "expired files could not be removed" in caplog.text


async def nothing() -> None:
    """Do nothing."""
