"""A file that is uploaded for a batch job: it goes again where that is refused, and stays where nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor
from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor._builtin.local_files.storage import LocalFileStorage
from conveyor._cli.batches.creating import created_of_file
from conveyor._cli.batches.uploads import make_upload
from conveyor._cli.failures import CommandError
from conveyor.errors import StoreUnavailableError
from conveyor.testing.faults import FaultKind, FaultScript, FaultyStore
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Prices:
    """Two methods are a strategy; its file must have a name."""

    identifier = batch_type = "prices"

    async def prepare_batch_job_for_processing(self, context: Mapping[str, object], _: object) -> Mapping[str, object]:
        if context.get("region") != "eu":
            raise ValueError("no such region")
        return context

    async def process_job(self, _: str) -> None:
        raise AssertionError("nothing runs here")

    async def build_template(self) -> str:
        return ""


def files(folder: Path) -> list[str]:
    """Return what the app's file storage has on the disk."""
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """A file to be uploaded."""
    file = tmp_path / "prices.csv"
    file.write_text("name,price\ntea,1\n")
    return file


async def test_a_file_goes_again_where_its_batch_job_is_refused(prices: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    app = Conveyor(
        "memory://", batch_strategies=[Prices], file_storage=LocalFileStorage(LocalFilesOptions(directory=str(kept)))
    )
    async with app:
        upload = make_upload(app, "prices", str(prices), None, None)
        with pytest.raises(CommandError, match="no such region"):
            await created_of_file(app, upload, "prices", {"region": "us"}, {})
        assert files(kept) == []


async def test_a_file_stays_where_nobody_knows_whether_its_batch_job_was_made(prices: Path, tmp_path: Path) -> None:
    kept, script = tmp_path / "kept", FaultScript()
    async with open_store("memory://") as store:
        app = Conveyor(
            FaultyStore(store, script),
            batch_strategies=[Prices],
            file_storage=LocalFileStorage(LocalFilesOptions(directory=str(kept))),
        )
        async with app:
            upload = make_upload(app, "prices", str(prices), None, None)
            script.spoil("create_batch", 1, FaultKind.LOSE_ANSWER)
            with pytest.raises(StoreUnavailableError):
                await created_of_file(app, upload, "prices", {"region": "eu"}, {})
            (made,) = (await app.batches.list()).batches
            assert await app.files.find(made.context["file"]) is not None
