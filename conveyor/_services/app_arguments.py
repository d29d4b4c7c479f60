"""What an app is made with, looked at before it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from conveyor.errors import ConfigurationError
from conveyor.model.checks import check_name
from conveyor.model.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.batch_job import BatchJobStrategy
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.job_queue import JobQueueStrategy
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import Store

__all__ = [
    "check_batch_strategies",
    "check_buffer_storage",
    "check_file_storage",
    "check_job_queue",
    "check_lifespan",
    "check_middleware",
    "check_payload_codec",
    "check_retention",
    "check_store",
    "check_strategies",
]

T = TypeVar("T")


def check_store(given: str | Store | None) -> str | Store | None:
    """Return the store, or its URL, or None for that of the settings; raises ConfigurationError for anything else."""
    if not (given is None or isinstance(given, str) or hasattr(given, "jobs")):
        raise ConfigurationError(f"store must be a URL or an open store, got {given!r}")
    return given


def check_retention(given: Retention) -> Retention:
    """Return the retention; raises ConfigurationError for what is none."""
    if not isinstance(given, Retention):
        raise ConfigurationError(f"retention must be a Retention, got {given!r}")
    return given


def check_middleware(given: Sequence[str | Middleware]) -> Sequence[str | Middleware]:
    """Return the middleware, names and instances.

    Raises:
        ConfigurationError: it is not a list of these.
    """
    if isinstance(given, str):
        raise ConfigurationError(f"middleware must be a list, of names or of instances, got {given!r}")
    for one in given:
        if isinstance(one, type):
            raise ConfigurationError(f"middleware must be instances: give {one.__name__}(), not the class")
        if not isinstance(one, str) and not (hasattr(one, "around_add") and hasattr(one, "around_run")):
            raise ConfigurationError(f"middleware must have around_add and around_run, got {one!r}")
    return tuple(given)


def check_batch_strategies(
    given: Sequence[str | type[BatchJobStrategy] | BatchJobStrategy],
) -> Sequence[str | BatchJobStrategy]:
    """Return the batch strategies, names and instances; of a class an instance is made.

    Raises:
        ConfigurationError: it is no list of these.
    """
    if isinstance(given, str) or not isinstance(given, (list, tuple)):
        raise ConfigurationError(f"batch_strategies must be a list, of names, classes or instances, got {given!r}")
    return tuple(one() if isinstance(one, type) else one for one in given)


def check_buffer_storage(given: str | JobBufferStorageStrategy) -> str | JobBufferStorageStrategy:
    """Return the buffer storage or its name; raises ConfigurationError for what is neither."""
    if isinstance(given, type):
        raise ConfigurationError(
            f"buffer_storage must be an instance, not its class: buffer_storage={given.__name__}()"
        )
    if isinstance(given, str) or all(hasattr(given, method) for method in ("add", "buffer_size", "flush")):
        return given
    raise ConfigurationError(f"buffer_storage must be a name, or have add, buffer_size and flush, got {given!r}")


def check_job_queue(given: str | JobQueueStrategy) -> str | JobQueueStrategy:
    """Return the job queue strategy or its name; raises ConfigurationError for what is neither."""
    if isinstance(given, str):
        return given
    methods = ("init", "destroy", "add", "start", "stop")
    missing = [method for method in methods if not callable(getattr(given, method, None))]
    # It may open and close by one lifespan.
    if hasattr(given, "lifespan"):
        missing = [method for method in missing if method not in {"init", "destroy"}]
    if missing or isinstance(given, type):
        what = f"it has no {', no '.join(missing)}" if missing else "it is a class: give an instance"
        raise ConfigurationError(f"job_queue must be a name, or have {', '.join(methods)}, got {given!r}: {what}")
    return given


def check_strategies(given: Mapping[str, object]) -> Mapping[str, object]:
    """Return the named strategies: URLs of stores, open stores, and instances.

    Raises:
        ConfigurationError: a name is none, or what it names is neither.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"strategies must be a mapping, of names to URLs or instances, got {given!r}")
    for name, one in given.items():
        check_name(name, "name of a strategy")
        is_store = hasattr(one, "jobs") or (isinstance(one, str) and "://" in one)
        if not is_store and not hasattr(one, "lifespan") and not (hasattr(one, "init") and hasattr(one, "destroy")):
            raise ConfigurationError(
                f"strategies[{name!r}] must be the URL of a store, an open store, or have init and destroy, or "
                f"lifespan; got {one!r}"
            )
    return dict(given)


def check_file_storage(given: str | FileStorage) -> str | FileStorage:
    """Return the file storage or its name; raises ConfigurationError for what is neither."""
    if isinstance(given, str) or all(hasattr(given, method) for method in ("write", "read", "find", "delete")):
        return given
    raise ConfigurationError(f"file_storage must be a name, or have write, read, find and delete, got {given!r}")


def check_lifespan(given: T) -> T:
    """Return the lifespan, if there is one; raises ConfigurationError for what cannot be called."""
    if given is not None and not callable(given):
        raise ConfigurationError(
            "lifespan must be a function that takes the app and returns an async context manager, such as one "
            f"decorated with @asynccontextmanager, got {given!r}"
        )
    return given


def check_payload_codec(given: str | PayloadCodec | None) -> str | PayloadCodec | None:
    """Return the codec or its name, if there is one; raises ConfigurationError for what is neither."""
    if given is None or isinstance(given, str) or (hasattr(given, "seal") and hasattr(given, "open")):
        return given
    raise ConfigurationError(f"payload_codec must be a name, or have seal and open, got {given!r}")
