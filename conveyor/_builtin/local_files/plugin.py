"""The file storage in a local directory, as a plugin in the box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor._builtin.local_files.options import LocalFilesOptions
from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.providers import FileStorageProvider
from conveyor.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.file_storage import FileStorage

__all__ = ["conveyor_file_storages"]


@hookimpl
def conveyor_file_storages() -> Sequence[FileStorageProvider]:
    """Offer it under the name "local"."""
    return (
        FileStorageProvider(name="local", create=_create, contract_version=CONTRACT_VERSION, options=LocalFilesOptions),
    )


def _create(options: Any) -> FileStorage:
    from conveyor._builtin.local_files.storage import LocalFileStorage

    return LocalFileStorage(options)
