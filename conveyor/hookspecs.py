"""Every hook a plugin can implement. All are synchronous, are called at start-up, and return descriptors.

Mark an implementation with `hookimpl`, and name the module under the entry-point group ``conveyor``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.providers import (
        BatchStrategyProvider,
        BufferStorageProvider,
        CommandProvider,
        FileStorageProvider,
        JobQueueProvider,
        MiddlewareProvider,
        PayloadCodecProvider,
        StoreProvider,
    )

__all__ = [
    "PROJECT",
    "conveyor_batch_strategies",
    "conveyor_buffer_storages",
    "conveyor_cli_commands",
    "conveyor_file_storages",
    "conveyor_job_queues",
    "conveyor_middleware",
    "conveyor_payload_codecs",
    "conveyor_stores",
    "hookimpl",
    "hookspec",
]

PROJECT: Final = "conveyor"

hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)


@hookspec
def conveyor_stores() -> Sequence[StoreProvider]:
    """Return the stores this plugin offers. Import their modules in ``open``, not here."""
    return ()


@hookspec
def conveyor_job_queues() -> Sequence[JobQueueProvider]:
    """Return the job queue strategies this plugin offers. Import their modules in ``create``, not here."""
    return ()


@hookspec
def conveyor_buffer_storages() -> Sequence[BufferStorageProvider]:
    """Return the buffer storage strategies this plugin offers. Import their modules in ``create``, not here."""
    return ()


@hookspec
def conveyor_batch_strategies() -> Sequence[BatchStrategyProvider]:
    """Return the batch strategies this plugin offers. None of them is used unless an app names it."""
    return ()


@hookspec
def conveyor_file_storages() -> Sequence[FileStorageProvider]:
    """Return the file storages this plugin offers. Import their modules in ``create``, not here."""
    return ()


@hookspec
def conveyor_middleware() -> Sequence[MiddlewareProvider]:
    """Return the middleware this plugin offers. None of it is used unless an app names it."""
    return ()


@hookspec
def conveyor_payload_codecs() -> Sequence[PayloadCodecProvider]:
    """Return the payload codecs this plugin offers. Import their modules in ``create``, not here."""
    return ()


@hookspec
def conveyor_cli_commands() -> Sequence[CommandProvider]:
    """Return the commands this plugin adds to ``conveyor``. Their modules are imported when they are called."""
    return ()
