"""The parts of an app that were given by name are made by the plugins that offer them; instances are what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conveyor._plugins import Plugins
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec

__all__ = ["make_buffer_storage", "make_job_queue", "make_middleware", "make_payload_codec"]


def make_job_queue(plugins: Plugins, given: str | JobQueueStrategy) -> JobQueueStrategy:
    """Return the job queue strategy."""
    return plugins.job_queue_provider(given).create() if isinstance(given, str) else given


def make_buffer_storage(plugins: Plugins, given: str | JobBufferStorageStrategy) -> JobBufferStorageStrategy:
    """Return the buffer storage."""
    return plugins.buffer_storage_provider(given).create() if isinstance(given, str) else given


def make_middleware(plugins: Plugins, given: str | Middleware) -> Middleware:
    """Return one middleware."""
    return plugins.middleware_provider(given).create() if isinstance(given, str) else given


def make_payload_codec(plugins: Plugins, given: str | PayloadCodec | None) -> PayloadCodec | None:
    """Return the payload codec, if there is one."""
    return plugins.payload_codec_provider(given).create() if isinstance(given, str) else given
