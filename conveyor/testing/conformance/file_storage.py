"""What every file storage must do: files are there whole or not at all, and no key leads anywhere else."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import anyio
import pytest

from conveyor._app import Conveyor
from conveyor.errors import BatchJobError, StoredFileNotFoundError
from conveyor.testing.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor._handles.files import Files
    from conveyor.contracts.file_storage import FileStorage

__all__ = ["FileStorageConformance", "MakeFileStorage"]

CSV: Final = "text/csv"
HOUR: Final = timedelta(hours=1)
# A piece that no storage keeps in one block.
LARGE: Final = bytes(range(256)) * 4096


class MakeFileStorage(Protocol):
    """Makes a storage that is not open yet; all that one test makes keep their files in one place."""

    def __call__(self) -> FileStorage:
        """Return it."""
        ...


class FileStorageConformance:
    """A kit for file storages. Override the fixture `make_storage`.

    class TestMine(FileStorageConformance):
        @pytest.fixture
        def make_storage(self, tmp_path):
            return lambda: MyStorage(tmp_path)
    """

    pytestmark: ClassVar[pytest.MarkDecorator] = pytest.mark.anyio

    @pytest.fixture
    def make_storage(self) -> MakeFileStorage:
        """Makes the storage under test."""
        raise NotImplementedError("override the fixture make_storage")

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The clock of every app of the test."""
        return ManualClock()

    @pytest.fixture
    def storage(self, make_storage: MakeFileStorage) -> FileStorage:
        """The storage under test, which the app opens."""
        return make_storage()

    @pytest.fixture
    def app(self, storage: FileStorage, clock: ManualClock) -> Conveyor:
        """An app over it."""
        return Conveyor("memory://", file_storage=storage, clock=clock)

    async def test_a_file_is_read_as_it_was_written(self, app: Conveyor, clock: ManualClock) -> None:
        async with app:
            file = await app.files.write("a.csv", stream(b"one", b"", LARGE, b"two"), media_type=CSV)
            data = b"one" + LARGE + b"two"
            assert (file.name, file.size, file.media_type) == ("a.csv", len(data), CSV)
            assert file.sha256 == hashlib.sha256(data).hexdigest()
            assert (file.created_at, file.expires_at) == (clock.now(), None)
            assert await app.files.find(file.key) == file
            assert await read(app.files, file.key) == data
            assert await read(app.files, file.key, 2) == data[2:]
            assert await read(app.files, file.key, len(data) - 1) == b"o"
            assert await read(app.files, file.key, len(data)) == b""
            assert await read(app.files, file.key, len(data) + 1) == b""

    async def test_who_reads_may_leave_in_the_middle(self, app: Conveyor) -> None:
        async with app:
            file = await app.files.write("a.csv", stream(LARGE))
            async with app.files.read(file.key) as blocks:
                assert LARGE.startswith(await anext(blocks))
            assert await app.files.delete(file.key)

    async def test_an_empty_file_is_a_file(self, app: Conveyor) -> None:
        async with app:
            file = await app.files.write("a.csv", stream())
            assert (file.size, file.sha256) == (0, hashlib.sha256().hexdigest())
            assert await read(app.files, file.key) == b""

    async def test_files_of_one_name_are_several(self, app: Conveyor) -> None:
        async with app:
            files = [await app.files.write("a.csv", stream(data)) for data in (b"1", b"2")]
            assert [await read(app.files, file.key) for file in files] == [b"1", b"2"]

    async def test_files_are_written_side_by_side(self, app: Conveyor) -> None:
        contents = [bytes([number]) * (number * 10_000) for number in range(8)]
        keys: dict[int, str] = {}

        async def write(number: int) -> None:
            parts = [contents[number][at : at + 7_000] for at in range(0, len(contents[number]), 7_000)]
            keys[number] = (await app.files.write(f"{number}.bin", stream(*parts))).key

        async with app:
            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(write, number)
            assert [await read(app.files, keys[number]) for number in range(8)] == contents

    async def test_nothing_is_kept_where_the_chunks_end_in_an_error(self, app: Conveyor, storage: FileStorage) -> None:
        seen: list[bytes] = []

        async def broken() -> AsyncIterator[bytes]:
            for chunk in (b"a", LARGE):
                seen.append(chunk)
                yield chunk
            raise LookupError("the line went dead")

        async with app:
            with pytest.raises(LookupError, match="the line went dead"):
                await app.files.write("a.csv", broken())
            assert len(seen) == 2
            assert await storage.remove_expired() == 0

    async def test_nothing_is_kept_where_the_writer_is_cancelled(self, app: Conveyor, storage: FileStorage) -> None:
        async def endless() -> AsyncIterator[bytes]:
            yield LARGE
            scope.cancel()
            await anyio.sleep_forever()

        async with app:
            with anyio.CancelScope() as scope:
                await app.files.write("a.csv", endless())
            assert scope.cancelled_caught
            assert await storage.remove_expired() == 0

    async def test_a_begun_file_is_there_once_it_is_finished(self, app: Conveyor, storage: FileStorage) -> None:
        async with app:
            key = await storage.begin("out.csv", media_type=CSV)
            await storage.append(key, 0, b"a,b\n")
            await storage.append(key, 4, b"1,2\n")
            assert await storage.find(key) is None
            with pytest.raises(StoredFileNotFoundError):
                await read(app.files, key)
            file = await storage.finish(key)
            assert (file.key, file.name, file.size) == (key, "out.csv", 8)
            assert file.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()
            assert await storage.finish(key) == file == await storage.find(key)
            assert await read(app.files, key) == b"a,b\n1,2\n"

    async def test_an_export_goes_on_at_its_cursor(
        self, app: Conveyor, storage: FileStorage, make_storage: MakeFileStorage
    ) -> None:
        async with app:
            key = await storage.begin("out.csv", media_type=CSV)
            await storage.append(key, 0, b"1\n2\n3\n")
        again = make_storage()
        async with Conveyor("memory://", file_storage=again) as other:
            await again.append(key, 2, b"two\n")
            assert (await again.finish(key)).size == 6
            assert await read(other.files, key) == b"1\ntwo\n"

    async def test_a_piece_that_leaves_a_gap_is_refused(self, app: Conveyor, storage: FileStorage) -> None:
        async with app:
            key = await storage.begin("out.csv", media_type=CSV)
            await storage.append(key, 0, b"12")
            for offset in (3, -1):
                with pytest.raises(BatchJobError, match=str(offset)):
                    await storage.append(key, offset, b"4")
            await storage.finish(key)
            with pytest.raises(BatchJobError, match="finished"):
                await storage.append(key, 2, b"3")
            assert await read(app.files, key) == b"12"

    @pytest.mark.parametrize(
        "key", ["", ".", "..", "../secret", "/etc/passwd", "a/b", "a\\b", "a\0b", "0" * 32, "x" * 5000, "é", "*"]
    )
    async def test_a_key_that_was_never_given_leads_nowhere(
        self, app: Conveyor, storage: FileStorage, key: str
    ) -> None:
        async with app:
            await app.files.write("a.csv", stream(b"1"))
            assert await storage.find(key) is None
            assert await storage.delete(key) is False
            with pytest.raises(StoredFileNotFoundError):
                await read(app.files, key)
            with pytest.raises(StoredFileNotFoundError):
                await storage.append(key, 0, b"x")
            with pytest.raises(StoredFileNotFoundError):
                await storage.finish(key)

    async def test_a_deleted_file_is_gone_but_for_who_reads_it(self, app: Conveyor, storage: FileStorage) -> None:
        async with app:
            file = await app.files.write("a.csv", stream(LARGE))
            async with app.files.read(file.key) as blocks:
                first = await anext(blocks)
                assert await app.files.delete(file.key) is True
                assert first + b"".join([block async for block in blocks]) == LARGE
            assert await app.files.delete(file.key) is False
            assert await app.files.find(file.key) is None
            begun = await storage.begin("b.csv", media_type=CSV)
            assert await storage.delete(begun) is True
            with pytest.raises(StoredFileNotFoundError):
                await storage.append(begun, 0, b"x")

    async def test_an_expired_file_is_gone_before_it_is_removed(
        self, app: Conveyor, storage: FileStorage, clock: ManualClock
    ) -> None:
        async with app:
            lasting = await app.files.write("a.csv", stream(b"1"))
            file = await app.files.write("b.csv", stream(b"2"), expires_in=HOUR)
            begun = await storage.begin("c.csv", media_type=CSV, expires_in=HOUR)
            assert file.expires_at == clock.now() + HOUR
            clock.advance(HOUR - timedelta(microseconds=1))
            assert await storage.remove_expired() == 0
            assert await read(app.files, file.key) == b"2"
            clock.advance(timedelta(microseconds=1))
            assert await storage.find(file.key) is None
            with pytest.raises(StoredFileNotFoundError):
                await read(app.files, file.key)
            with pytest.raises(StoredFileNotFoundError):
                await storage.finish(begun)
            assert await storage.remove_expired() == 2
            assert await storage.remove_expired() == 0
            assert await read(app.files, lasting.key) == b"1"

    async def test_files_outlive_the_program_that_wrote_them(
        self, app: Conveyor, make_storage: MakeFileStorage, clock: ManualClock
    ) -> None:
        async with app:
            file = await app.files.write("a.csv", stream(b"1"), expires_in=HOUR)
        async with Conveyor("memory://", file_storage=make_storage(), clock=clock) as other:
            assert await other.files.find(file.key) == file
            assert await read(other.files, file.key) == b"1"

    @pytest.mark.parametrize(
        ("given", "name"), [("../../a.csv", "a.csv"), ("C:\\docs\\a.csv", "a.csv"), (" größe.csv ", "größe.csv")]
    )
    async def test_a_name_is_no_path(self, app: Conveyor, given: str, name: str) -> None:
        async with app:
            assert (await app.files.write(given, stream(b"1"))).name == name

    @pytest.mark.parametrize("name", ["", " ", "..", "a/", "a\0.csv", 'a.csv"\r\nSet-Cookie: x', "x" * 256])
    async def test_a_name_that_is_none_is_refused(self, app: Conveyor, storage: FileStorage, name: str) -> None:
        async with app:
            with pytest.raises(BatchJobError, match="no name of a file"):
                await app.files.write(name, stream(b"1"))
            with pytest.raises(BatchJobError, match="no name of a file"):
                await storage.begin(name, media_type=CSV)

    async def test_a_media_type_or_a_time_that_is_none_is_refused(self, app: Conveyor, storage: FileStorage) -> None:
        async with app:
            for media_type in ("csv", "text/csv\r\nX: y", ""):
                with pytest.raises(BatchJobError, match="no media type"):
                    await storage.begin("a.csv", media_type=media_type)
            with pytest.raises(BatchJobError, match="expires_in"):
                await storage.begin("a.csv", media_type=CSV, expires_in=timedelta(0))


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    """Yield chunks, and let others run between them."""
    for chunk in chunks:
        await anyio.lowlevel.checkpoint()
        yield chunk


async def read(files: Files, key: str, offset: int = 0) -> bytes:
    """Return all of a file from an offset on."""
    async with files.read(key, offset) as blocks:
        return b"".join([block async for block in blocks])
