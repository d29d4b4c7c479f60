"""Providers: what a plugin's hooks return. Cheap descriptions; the backend is imported when it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor.contracts.batch_job import BatchJobStrategy
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import Store
    from conveyor.contracts.strategy import Injector
    from conveyor.model.migrations import Migration

__all__ = [
    "BatchStrategyProvider",
    "BufferStorageProvider",
    "CommandProvider",
    "FileStorageProvider",
    "JobQueueProvider",
    "MiddlewareProvider",
    "OpenStore",
    "PayloadCodecProvider",
    "StoreProvider",
]


class OpenStore(Protocol):
    """Opens a store."""

    def __call__(self, url: str, injector: Injector, /) -> AbstractAsyncContextManager[Store]:
        """Return a context manager that opens the store on entry and closes it on exit.

        The URL is parsed before any I/O. On entry the schema is migrated unless the URL says
        ``auto_migrate=false``.

        Raises:
            ConfigurationError: the URL does not fit; the message names the part and the allowed values.
            StoreUnavailableError: the store cannot be reached now.
            SchemaError: the schema does not fit and was not to be migrated.
        """
        ...


@frozen
class StoreProvider:
    """A store that a plugin offers.

    Attributes:
        name: what people call it, such as "sqlite".
        schemes: the URL schemes it answers to.
        open: opens it; imports its modules no sooner.
        migrations: its schema, step by step, as it is for this URL, without a connection.
        contract_version: the version of the contracts it was written for.
    """

    name: str
    schemes: tuple[str, ...]
    open: OpenStore
    migrations: Callable[[str], Sequence[Migration]]
    contract_version: int


@frozen
class JobQueueProvider:
    """A job queue strategy that a plugin offers.

    Attributes:
        name: what people call it.
        create: makes one that is not open: of an instance of `options`, where it has some, else of nothing.
        contract_version: the version of the contracts it was written for.
        options: an attrs class, which is filled from the settings: see `Settings.read`.
        schemes: the URL schemes it answers to.
        create_from_url: makes one of a URL; parses it, and does no I/O. It is there where there are schemes.
    """

    name: str
    create: Callable[..., JobQueueStrategy]
    contract_version: int
    options: type[Any] | None = None
    schemes: tuple[str, ...] = ()
    create_from_url: Callable[[str], JobQueueStrategy] | None = None


@frozen
class BufferStorageProvider:
    """A buffer storage strategy that a plugin offers.

    Attributes:
        name: what people call it.
        create: makes one that is not open: of an instance of `options`, where it has some, else of nothing.
        contract_version: the version of the contracts it was written for.
        options: an attrs class, which is filled from the settings: see `Settings.read`.
    """

    name: str
    create: Callable[..., JobBufferStorageStrategy]
    contract_version: int
    options: type[Any] | None = None


@frozen
class BatchStrategyProvider:
    """A batch strategy that a plugin offers.

    Attributes:
        name: what people call it: that of its `identifier` says most.
        create: makes one that is not open: of an instance of `options`, where it has some, else of nothing.
        contract_version: the version of the contracts it was written for.
        options: an attrs class, which is filled from the settings: see `Settings.read`.
    """

    name: str
    create: Callable[..., BatchJobStrategy]
    contract_version: int
    options: type[Any] | None = None


@frozen
class FileStorageProvider:
    """A file storage that a plugin offers.

    Attributes:
        name: what people call it.
        create: makes one that is not open: of an instance of `options`, where it has some, else of nothing.
        contract_version: the version of the contracts it was written for.
        options: an attrs class, which is filled from the settings: see `Settings.read`.
    """

    name: str
    create: Callable[..., FileStorage]
    contract_version: int
    options: type[Any] | None = None


@frozen
class MiddlewareProvider:
    """Middleware that a plugin offers under a name."""

    name: str
    create: Callable[[], Middleware]
    contract_version: int


@frozen
class PayloadCodecProvider:
    """A payload codec that a plugin offers under a name. It finds its settings, such as keys, by itself."""

    name: str
    create: Callable[[], PayloadCodec]
    contract_version: int


@frozen
class CommandProvider:
    """A command of ``conveyor``, or a group of commands, that a plugin offers.

    Attributes:
        name: what is typed after ``conveyor``. The commands in the box come first.
        summary: its line in ``conveyor --help``.
        target: a function with typed parameters, or a `cyclopts.App`, as ``module:attr``; imported when it is called.
            What it returns is the exit code, and its errors are told as those of all commands are. It finds what to
            work on by `conveyor.operated_app`.
        contract_version: the version of the contracts it was written for.
    """

    name: str
    summary: str
    target: str
    contract_version: int
