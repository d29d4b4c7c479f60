"""The kit of file storages on the one in the box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor._builtin.local_files.storage import LocalFileStorage
from conveyor.testing.conformance.file_storage import FileStorageConformance, MakeFileStorage

if TYPE_CHECKING:
    from pathlib import Path


class TestLocal(FileStorageConformance):
    """In a directory."""

    @pytest.fixture
    def make_storage(self, tmp_path: Path) -> MakeFileStorage:
        return lambda: LocalFileStorage(LocalFilesOptions(directory=str(tmp_path / "files")))
